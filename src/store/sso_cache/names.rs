//! File names in the AWS CLI's caches: SHA-1, in lower-case hex, of a text that says what is inside.

use std::fmt::Write as _;

use serde_json::Value;
use sha1::{Digest, Sha1};

use crate::model::{LoginKey, RoleTerms, SsoLogin, WebIdentity};

/// Returns the name of a token's file (botocore `utils.py`, `SSOTokenLoader._generate_cache_key`).
pub(super) fn token(key: &LoginKey) -> String {
    hashed(key.cache_text())
}

/// Returns the name of a client registration's file (AWS CLI v2 `botocore/utils.py`,
/// `_registration_cache_key`): Python's `json.dumps` of what the client is registered for.
pub(super) fn registration(login: &SsoLogin) -> String {
    let (session_name, region) = match &login.key {
        LoginKey::Named(name) => (python_text(name), &login.reach.region),
        LoginKey::StartUrl(_) => ("null".to_owned(), &login.reach.region),
    };
    let scopes = if login.scopes.is_empty() {
        "null".to_owned()
    } else {
        let scopes: Vec<_> = login.scopes.iter().map(|scope| python_text(scope)).collect();
        format!("[{}]", scopes.join(", "))
    };
    hashed(&format!(
        r#"{{"region": {}, "scopes": {scopes}, "session_name": {session_name}, "startUrl": {}, "tool": "botocore"}}"#,
        region.as_deref().map_or_else(|| "null".to_owned(), python_text),
        python_text(&login.start_url),
    ))
}

/// Returns the name of a role's file in `~/.aws/cli/cache` (botocore `credentials.py`,
/// `SSOCredentialFetcher._create_cache_key`): JSON without blanks.
pub(super) fn sso_role(account_id: &str, role_name: &str, login: &LoginKey) -> String {
    let (key, text) = match login {
        LoginKey::Named(name) => ("sessionName", name),
        LoginKey::StartUrl(url) => ("startUrl", url),
    };
    hashed(&format!(
        r#"{{"accountId":{},"roleName":{},"{key}":{}}}"#,
        python_text(account_id),
        python_text(role_name),
        python_text(text)
    ))
}

/// Returns the name of an assumed role's file in `~/.aws/cli/cache` (botocore `credentials.py`,
/// `BaseAssumeRoleCredentialFetcher._create_cache_key`): the arguments of the call. Whose keys assume the
/// role is not in it, nor what the AWS CLI does not know.
pub(super) fn role(terms: &RoleTerms, serial: Option<&str>) -> String {
    let mut arguments = vec![("RoleArn", Value::from(terms.role_arn.as_str()))];
    let mut add = |name, value: Option<Value>| arguments.extend(value.map(|value| (name, value)));
    add("RoleSessionName", terms.session_name.as_deref().map(Value::from));
    add("ExternalId", terms.external_id.as_deref().map(Value::from));
    add("SerialNumber", serial.map(Value::from));
    add("DurationSeconds", terms.duration_seconds.map(Value::from));
    of_arguments(arguments)
}

/// Returns the name of the file of a role that a web identity was exchanged for, of the same kind
/// (`AssumeRoleWithWebIdentityCredentialFetcher`): the token is not in it.
pub(super) fn web_identity(identity: &WebIdentity) -> String {
    let terms = RoleTerms {
        role_arn: identity.role_arn.clone(),
        session_name: identity.session_name.clone(),
        // botocore's profiles hand no duration on here (`AssumeRoleWithWebIdentityProvider`).
        ..RoleTerms::default()
    };
    role(&terms, None)
}

fn of_arguments<'a>(arguments: impl IntoIterator<Item = (&'a str, Value)>) -> String {
    let arguments = arguments.into_iter().map(|(name, value)| (name.to_owned(), value));
    hashed(&python_json(&Value::Object(arguments.collect())))
}

/// JSON as Python's `json.dumps` writes it with sorted keys.
fn python_json(value: &Value) -> String {
    match value {
        Value::String(text) => python_text(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(python_json).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            let members: Vec<_> = members
                .into_iter()
                .map(|(key, value)| format!("{}: {}", python_text(key), python_json(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn hashed(text: &str) -> String {
    let mut name = String::with_capacity(45);
    for byte in Sha1::digest(text) {
        let _ = write!(name, "{byte:02x}");
    }
    name + ".json"
}

/// A text as Python's `json.dumps` writes it: everything but printable ASCII is escaped
/// (`json/encoder.py`, `py_encode_basestring_ascii`).
fn python_text(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            ' '..='~' => json.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(json, "\\u{unit:04x}");
                }
            }
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FileKind, Origin, Reach};

    fn vectors(text: &str, list: &str) -> Vec<Value> {
        let vectors: Value = serde_json::from_str(text).unwrap();
        vectors[list].as_array().unwrap().clone()
    }

    fn key(case: &Value) -> LoginKey {
        match case["sso_session"].as_str() {
            Some(name) => LoginKey::Named(name.to_owned()),
            None => LoginKey::StartUrl(case["sso_start_url"].as_str().unwrap().to_owned()),
        }
    }

    const CACHE_NAMES: &str = include_str!("../../../tests/data/aws/cache-names.json");
    const CLI_CACHE_KEYS: &str = include_str!("../../../tests/data/aws/cli-cache-keys.json");

    #[test]
    fn tokens_are_where_the_cli_looks() {
        let cases = vectors(CACHE_NAMES, "sso_token");
        assert_eq!(cases.len(), 12);
        for case in cases {
            assert_eq!(token(&key(&case)), case["file"], "{case}");
        }
    }

    #[test]
    fn registrations_are_where_the_cli_looks() {
        let cases = vectors(CACHE_NAMES, "sso_client_registration");
        assert_eq!(cases.len(), 4);
        for case in cases {
            let scopes = case["scopes"].as_array().into_iter().flatten();
            let login = SsoLogin {
                key: key(&case),
                start_url: case["sso_start_url"].as_str().unwrap().to_owned(),
                scopes: scopes.map(|scope| scope.as_str().unwrap().to_owned()).collect(),
                reach: Reach::default().to_region(case["sso_region"].as_str().unwrap()),
            };
            assert_eq!(registration(&login), case["file"], "{case}");
        }
    }

    #[test]
    fn roles_are_where_the_cli_looks() {
        let cases = vectors(CLI_CACHE_KEYS, "sso_role");
        assert_eq!(cases.len(), 2);
        for case in cases {
            let text = |key: &str| case[key].as_str().unwrap();
            let name = sso_role(text("sso_account_id"), text("sso_role_name"), &key(&case));
            assert_eq!(name, case["file"], "{case}");
        }
    }

    #[test]
    fn assumed_roles_are_where_the_cli_looks() {
        let assumed = vectors(CLI_CACHE_KEYS, "assume_role");
        let exchanged = vectors(CLI_CACHE_KEYS, "web_identity");
        assert_eq!((assumed.len(), exchanged.len()), (8, 2));
        for case in &exchanged {
            let name = case["extra_args"]["RoleSessionName"].as_str();
            let identity = WebIdentity {
                profile: "dev".into(),
                role_arn: case["role_arn"].as_str().unwrap().to_owned(),
                token_file: "/token".into(),
                session_name: name.map(str::to_owned),
                duration_seconds: Some(3600),
                reach: Reach::default(),
                origin: Origin { kind: FileKind::Config, file: "config".into(), line: 1 },
            };
            assert_eq!(web_identity(&identity), case["file"], "{case}");
        }
        for case in assumed {
            let arguments = case["extra_args"].as_object().unwrap();
            let text = |key: &str| arguments.get(key).map(|it| it.as_str().unwrap().to_owned());
            let role_arn = case["role_arn"].as_str().unwrap().to_owned();
            // No profile has a policy: botocore hashes what it says, and not its text.
            if let Some(policy) = text("Policy") {
                let policy = serde_json::from_str(&policy).unwrap();
                let name = of_arguments([("RoleArn", role_arn.into()), ("Policy", policy)]);
                assert_eq!(name, case["file"], "{case}");
                continue;
            }
            let terms = RoleTerms {
                role_arn,
                session_name: text("RoleSessionName"),
                external_id: text("ExternalId"),
                duration_seconds: arguments
                    .get("DurationSeconds")
                    .map(|it| u32::try_from(it.as_u64().unwrap()).unwrap()),
                source_identity: Some("unknown to the CLI".into()),
                ..RoleTerms::default()
            };
            assert_eq!(role(&terms, text("SerialNumber").as_deref()), case["file"], "{case}");
        }
    }

    #[test]
    fn text_is_escaped_as_python_escapes_it() {
        for (text, expected) in [
            ("plain /~", r#""plain /~""#),
            ("\"\\\n\r\t\u{8}\u{c}", r#""\"\\\n\r\t\b\f""#),
            ("équipe", r#""\u00e9quipe""#),
            ("\u{7f}\u{1}⎈😀", r#""\u007f\u0001\u2388\ud83d\ude00""#),
        ] {
            assert_eq!(python_text(text), expected);
        }
    }
}
