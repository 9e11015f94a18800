//! File names in the AWS CLI's caches: SHA-1, in lower-case hex, of a text that says what is inside.

use std::fmt::Write as _;

use sha1::{Digest, Sha1};

use crate::model::{LoginKey, SsoLogin};

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
    use serde_json::Value;

    use super::*;
    use crate::model::Reach;

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
