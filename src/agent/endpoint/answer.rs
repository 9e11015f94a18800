//! What is answered, as the AWS SDKs read it. Each answer ends its connection, no header lets a page
//! read it, and nothing may keep it.

use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    agent::answers::rfc3339,
    model::{Credentials, ProfileName, text::printable},
    report::{Code, Report},
};

/// Every refusal has this body, whatever was wrong: who tries learns nothing.
const REFUSED: &str =
    r#"{"code":"refused","message":"eksd answers here to the program that it gave a token"}"#;

/// A whole answer; wiped when dropped, since it may hold credentials.
pub(super) type Answer = Zeroizing<Vec<u8>>;

/// The fields that botocore, and the SDKs for JS and Rust, want all of; `AccountId` may be absent (AWS
/// SDKs and Tools Reference Guide, "Container credential provider"; the clients' sources).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Issued<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
    token: &'a str,
    expiration: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
}

/// An error as the SDKs read it: botocore shows all of it, the SDK for JS (3.972) the fields with a
/// capital, those for Java and Go the others, and the one for Rust none.
#[derive(Serialize)]
struct Failed<'a> {
    code: Code,
    message: &'a str,
    #[serde(rename = "Code")]
    code_for_js: Code,
    #[serde(rename = "Message")]
    message_for_js: &'a str,
}

/// Returns the answer to whoever is not served.
pub(super) fn refused() -> Answer {
    whole("403 Forbidden", REFUSED.as_bytes())
}

/// Returns the answer with a profile's credentials, or with why there are none.
pub(super) fn of(profile: &ProfileName, credentials: Result<&Credentials, &Report>) -> Answer {
    let credentials = match credentials {
        Ok(credentials) => credentials,
        Err(report) => return failed(report),
    };
    let (Some(token), Some(end)) = (&credentials.session_token, credentials.expires_at) else {
        return failed(&lasting(profile));
    };
    let issued = Issued {
        access_key_id: &credentials.access_key_id,
        secret_access_key: credentials.secret_access_key.expose(),
        token: token.expose(),
        expiration: rfc3339(end),
        account_id: credentials.account_id.as_deref(),
    };
    // Room from the start: growing would leave copies behind.
    let size = token.expose().len() + 1024;
    let mut body = Zeroizing::new(Vec::with_capacity(size));
    match serde_json::to_writer(&mut *body, &issued) {
        Ok(()) => whole("200 OK", &body),
        Err(error) => failed(
            &Report::new(Code::Internal, "the answer could not be written", "report this")
                .because(error.to_string()),
        ),
    }
}

/// Returns the report for keys that are served in other ways.
///
/// botocore, and the SDKs for JS and Rust, take no answer without `Token` and `Expiration`. An empty
/// token is signed along by some, which AWS refuses, and an end that AWS did not grant is never made up.
pub(super) fn lasting(profile: &ProfileName) -> Report {
    let name = printable(profile.as_str());
    Report::new(
        Code::Misconfigured,
        format!(
            "profile `{name}` has keys without a token or a known end, \
             which AWS SDKs do not take from an endpoint"
        ),
        format!("run `eksd exec {name}` without `--server`"),
    )
}

fn failed(report: &Report) -> Answer {
    let message = format!("{}: {}", report.what, report.fix);
    let failed = Failed {
        code: report.code,
        message: &message,
        code_for_js: report.code,
        message_for_js: &message,
    };
    let body = serde_json::to_vec(&failed).unwrap_or_default();
    whole(status(report.code), &body)
}

/// Trying again helps with a 503, and all SDKs do; with a 409 (RFC 9110 section 15.5.10) somebody has
/// to do something first, and the SDKs for Rust, Java and Go say so at once. Of the two, the one for
/// JS shows what a 409 says.
fn status(code: Code) -> &'static str {
    match code {
        Code::Unreachable
        | Code::Throttled
        | Code::AgentUnavailable
        | Code::AgentSilent
        | Code::Internal => "503 Service Unavailable",
        _ => "409 Conflict",
    }
}

fn whole(status: &str, body: &[u8]) -> Answer {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut answer = Zeroizing::new(Vec::with_capacity(head.len() + body.len()));
    answer.extend_from_slice(head.as_bytes());
    answer.extend_from_slice(body);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    fn keys() -> Credentials {
        Credentials {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            secret_access_key: Secret::new("secret/with+signs"),
            session_token: Some(Secret::new("token==")),
            expires_at: Some("2026-11-23T20:00:00.9Z".parse().unwrap()),
            account_id: Some("111122223333".to_owned()),
        }
    }

    #[track_caller]
    fn parts(answer: &Answer) -> (String, serde_json::Value) {
        let text = std::str::from_utf8(answer).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        assert!(head.contains("\r\nConnection: close"), "{head}");
        assert!(head.contains("\r\nCache-Control: no-store"), "{head}");
        assert!(!head.to_ascii_lowercase().contains("access-control"), "{head}");
        let status = head.lines().next().unwrap().strip_prefix("HTTP/1.1 ").unwrap().to_owned();
        (status, serde_json::from_str(body).unwrap())
    }

    /// Every row of the vectors, with what eksd answers there: what readers fail at it never sends, a
    /// refusal that will stay is a 4xx, which not all ask for again, and one that may pass a 5xx.
    #[test]
    fn what_readers_were_seen_to_do() {
        let text = include_str!("../../../tests/data/aws/container-endpoint.json");
        let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
        let dev = ProfileName::new("dev");
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 6);
        for case in cases {
            // The other is about the file with the token: see `lease`.
            let Some(response) = case["response"].as_str() else { continue };
            let (status, what) = response.split_once(' ').unwrap();
            let report = |code| Err(Report::new(code, "w", "f"));
            let keys = match what {
                "with all four fields" => Ok(keys()),
                "without Token" => Ok(Credentials { session_token: None, ..keys() }),
                "without Expiration" => Ok(Credentials { expires_at: None, ..keys() }),
                "with JSON body" if status == "500" => report(Code::Unreachable),
                "with JSON body" => report(Code::NeedsLogin),
                other => panic!("{other}"),
            };
            let answer = parts(&of(&dev, keys.as_ref())).0;
            let seen = |reader: &str| case[reader].as_str().unwrap_or_default();
            let is_ok = ["botocore", "rust"].iter().any(|reader| seen(reader).starts_with("ok"));
            assert_eq!(answer == "200 OK", is_ok, "{response}: {answer}");
            if what == "with JSON body" {
                assert_eq!(answer[..1], status[..1], "{response}: {answer}");
                let is_asked_again = seen("rust").starts_with("error after 3 requests");
                assert_eq!(answer.starts_with('5'), is_asked_again, "{response}: {answer}");
            }
        }
    }

    #[test]
    fn all_four_fields_and_the_account() {
        let answer = of(&ProfileName::new("dev"), Ok(&keys()));
        let (status, body) = parts(&answer);
        assert_eq!(status, "200 OK");
        let expected = serde_json::json!({
            "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "secret/with+signs",
            "Token": "token==", "Expiration": "2026-11-23T20:00:00Z", "AccountId": "111122223333",
        });
        assert_eq!(body, expected);
        let unknown = Credentials { account_id: None, ..keys() };
        let (_, body) = parts(&of(&ProfileName::new("dev"), Ok(&unknown)));
        assert_eq!(body.as_object().unwrap().len(), 4, "{body}");
    }

    #[test]
    fn keys_that_sdks_would_not_take_are_not_served() {
        for lasting in [
            Credentials { session_token: None, expires_at: None, ..keys() },
            Credentials { session_token: None, ..keys() },
            Credentials { expires_at: None, ..keys() },
        ] {
            let answer = of(&ProfileName::new("ci"), Ok(&lasting));
            let (status, body) = parts(&answer);
            assert_eq!(status, "409 Conflict");
            assert_eq!(body["code"], "misconfigured");
            let message = body["message"].as_str().unwrap();
            assert!(message.contains("run `eksd exec ci` without `--server`"), "{message}");
            assert!(!String::from_utf8_lossy(&answer).contains("secret/with"));
        }
    }

    #[test]
    fn failures_say_what_to_do_and_whether_to_try_again() {
        for (code, expected) in [
            (Code::NeedsLogin, "409 Conflict"),
            (Code::NeedsMfa, "409 Conflict"),
            (Code::Expired, "409 Conflict"),
            (Code::AccessDenied, "409 Conflict"),
            (Code::UnknownProfile, "409 Conflict"),
            (Code::Unreachable, "503 Service Unavailable"),
            (Code::Throttled, "503 Service Unavailable"),
            (Code::AgentUnavailable, "503 Service Unavailable"),
        ] {
            let report = Report::new(code, "it \"ended\"", "run `eksd login dev`");
            let (status, body) = parts(&of(&ProfileName::new("dev"), Err(&report)));
            assert_eq!(status, expected, "{code:?}");
            assert_eq!(body["message"], "it \"ended\": run `eksd login dev`");
            assert_eq!(body["code"], serde_json::to_value(code).unwrap());
            assert_eq!((&body["Code"], &body["Message"]), (&body["code"], &body["message"]));
        }
        assert_eq!(parts(&refused()).0, "403 Forbidden");
    }
}
