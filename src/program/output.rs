//! What helpers print: credentials, or a code.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::ProgramError;
use crate::model::{Credentials, Secret, parse_instant};

/// AWS grants nothing longer (STS API, `GetSessionToken`). A helper that says otherwise is asked
/// again at this age: nothing here claims to last longer than AWS lets it.
const LONGEST: SignedDuration = SignedDuration::from_hours(36);

/// Reads what a `credential_process` printed (AWS CLI User Guide, "Sourcing credentials with an
/// external process"): one JSON object and nothing else.
///
/// `Version` is the number 1; `SessionToken`, `Expiration` and `AccountId` may be absent, null or
/// empty. `Expiration` is taken in every form that botocore takes, if it names a zone; beyond 36 hours,
/// it counts as 36 hours from `now`.
///
/// # Errors
/// [`ProgramError::Ended`] where they have ended by `now`, else [`ProgramError::Output`]; neither quotes
/// the text.
pub fn credentials(printed: &Secret, now: Timestamp) -> Result<Credentials, ProgramError> {
    let wrong = |why| ProgramError::Output { why };
    if printed.expose().trim().is_empty() {
        return Err(wrong("it printed nothing"));
    }
    let mut fields: Map<String, Value> = serde_json::from_str(printed.expose())
        .map_err(|_| wrong("what it printed is not one JSON object and nothing else"))?;
    // Any other form is another version to botocore and the SDKs.
    if fields.get("Version").and_then(Value::as_u64) != Some(1) {
        return Err(wrong("its `Version` is not the number 1"));
    }
    let access_key_id = text(&mut fields, "AccessKeyId")
        .filter(|id| is_header(id))
        .ok_or(wrong("it has no `AccessKeyId`, or one that cannot be"))?;
    let secret = text(&mut fields, "SecretAccessKey")
        .map(Secret::new)
        .filter(|secret| is_header(secret.expose()))
        .ok_or(wrong("it has no `SecretAccessKey`, or one that cannot be"))?;
    let session_token = match fields.remove("SessionToken") {
        None | Some(Value::Null) => None,
        Some(Value::String(token)) if token.is_empty() => None,
        Some(Value::String(token)) if is_header(&token) => Some(Secret::new(token)),
        Some(_) => return Err(wrong("its `SessionToken` cannot be one")),
    };
    let expires_at = match fields.remove("Expiration") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => Some(expiry(&text, now)?),
        Some(_) => return Err(wrong("its `Expiration` is not a text")),
    };
    let account_id = text(&mut fields, "AccountId")
        .filter(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()));
    Ok(Credentials {
        access_key_id,
        secret_access_key: secret,
        session_token,
        expires_at,
        account_id,
    })
}

/// Reads what an `mfa_process` printed: six digits, and blanks around them (aws-vault `USAGE.md`,
/// "Using `mfa_process`").
///
/// # Errors
/// [`ProgramError::Output`], without the text.
pub fn mfa_code(printed: &Secret) -> Result<Secret, ProgramError> {
    let code = printed.expose().trim();
    if code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(Secret::new(code))
    } else {
        Err(ProgramError::Output { why: "what it printed is not a code of six digits" })
    }
}

fn text(fields: &mut Map<String, Value>, name: &str) -> Option<String> {
    match fields.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// Both go into a header of a request, as part of it or to sign it.
fn is_header(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn expiry(text: &str, now: Timestamp) -> Result<Timestamp, ProgramError> {
    let latest = now.checked_add(LONGEST).unwrap_or(Timestamp::MAX);
    let at = match parse_instant(text) {
        Some(at) => at,
        // The calendar here ends a day before year 9999 does, which some write for "never".
        None if text.trim().starts_with("9999-")
            && parse_instant(&text.replacen("9999-", "9998-", 1)).is_some() =>
        {
            latest
        }
        None if text.trim().parse::<jiff::civil::DateTime>().is_ok() => {
            return Err(ProgramError::Output { why: "its `Expiration` names no time zone" });
        }
        None => return Err(ProgramError::Output { why: "its `Expiration` is not an instant" }),
    };
    if at <= now { Err(ProgramError::Ended) } else { Ok(at.min(latest)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-13T12:00:00Z".parse().unwrap()
    }

    fn read(text: &str) -> Result<Credentials, String> {
        credentials(&Secret::new(text), now()).map_err(|error| error.to_string())
    }

    fn with(name: &str, value: Value) -> String {
        let mut whole = json!({
            "Version": 1, "AccessKeyId": "ASIA1", "SecretAccessKey": "planted-secret",
            "SessionToken": "planted-token", "Expiration": "2026-11-13T13:00:00Z",
            "AccountId": "111122223333",
        });
        whole[name] = value;
        whole.to_string()
    }

    #[test]
    fn whole_and_least() {
        let got = read(&with("More", json!({"is": "ignored"}))).unwrap();
        assert_eq!(got.access_key_id, "ASIA1");
        assert_eq!(got.secret_access_key.expose(), "planted-secret");
        assert_eq!(got.session_token.as_ref().unwrap().expose(), "planted-token");
        assert_eq!(got.expires_at, Some("2026-11-13T13:00:00Z".parse().unwrap()));
        assert_eq!(got.account_id.as_deref(), Some("111122223333"));
        let least = r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"s"}"#;
        let empty = r#" {"Version":1,"AccessKeyId":"A","SecretAccessKey":"s","SessionToken":null,
            "Expiration":"","AccountId":""}
            "#;
        for text in [least, empty] {
            let got = read(text).unwrap();
            assert_eq!((got.session_token, got.expires_at, got.account_id), (None, None, None));
        }
    }

    #[test]
    fn what_is_not_what_was_asked_for() {
        let good = with("AccountId", Value::Null);
        for (text, part) in [
            (String::new(), "printed nothing"),
            ("\n".to_owned(), "printed nothing"),
            ("planted-secret".to_owned(), "not one JSON object"),
            ("[]".to_owned(), "not one JSON object"),
            (format!("debug\n{good}"), "not one JSON object"),
            (format!("{good}{good}"), "not one JSON object"),
            (good[..40].to_owned(), "not one JSON object"),
            (format!("\u{feff}{good}"), "not one JSON object"),
            (with("Version", json!("1")), "`Version`"),
            (with("Version", json!(2)), "`Version`"),
            (with("Version", json!(1.5)), "`Version`"),
            (with("Version", Value::Null), "`Version`"),
            (with("AccessKeyId", Value::Null), "`AccessKeyId`"),
            (with("AccessKeyId", json!("")), "`AccessKeyId`"),
            (with("AccessKeyId", json!("A\r\nx: y")), "`AccessKeyId`"),
            (with("SecretAccessKey", json!(7)), "`SecretAccessKey`"),
            (with("SecretAccessKey", json!("planted-secret\n")), "`SecretAccessKey`"),
            (with("SessionToken", json!(7)), "`SessionToken`"),
            (with("SessionToken", json!("planted token")), "`SessionToken`"),
            (with("Expiration", json!(1_795_462_132)), "not a text"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(part) && !error.contains("planted"), "{text}: {error}");
        }
        for account in [json!("x"), json!("11112222333"), json!(111_122_223_333_u64)] {
            assert_eq!(read(&with("AccountId", account)).unwrap().account_id, None);
        }
    }

    #[test]
    fn expiries_that_botocore_takes() {
        let vectors = include_str!("../../tests/data/aws/timestamps.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        for row in vectors["rows"].as_array().unwrap() {
            let text = row["text"].as_str().unwrap();
            let found = read(&with("Expiration", json!(text)));
            if row["botocore"] == 1 {
                let at = found.unwrap().expires_at.unwrap();
                assert_eq!(at.as_second(), 1_794_629_145, "{text}");
            } else if row["botocore"] == 0 {
                found.unwrap_err();
            }
        }
    }

    #[test]
    fn absurd_expiries() {
        let latest = "2026-11-15T00:00:00Z";
        for (text, expected) in [
            ("2026-11-13T12:00:00Z", Err("ended already")),
            ("2001-01-01T00:00:00Z", Err("ended already")),
            ("-009999-01-02T01:59:59Z", Err("ended already")),
            ("2026-11-13T12:00:01Z", Ok("2026-11-13T12:00:01Z")),
            ("2026-11-15T00:00:01Z", Ok(latest)),
            ("9999-12-31T23:59:59Z", Ok(latest)),
            ("9999-12-31T23:59:59.999+14:00", Ok(latest)),
            ("9999-13-31T23:59:59Z", Err("not an instant")),
            ("2026-11-13T13:59:60Z", Ok("2026-11-13T13:59:59Z")),
            ("2026-11-13T13:59:61Z", Err("not an instant")),
            ("2026-11-13T13:00:00", Err("no time zone")),
            ("9999-12-31T23:59:59", Err("no time zone")),
            ("2026-11-13", Err("no time zone")),
            ("13:00:00Z", Err("not an instant")),
            ("99999-01-01T00:00:00Z", Err("not an instant")),
            ("never", Err("not an instant")),
            ("1795462132", Err("not an instant")),
        ] {
            let found = read(&with("Expiration", json!(text)));
            match expected {
                Ok(at) => {
                    assert_eq!(found.unwrap().expires_at, Some(at.parse().unwrap()), "{text}");
                }
                Err(part) => {
                    let error = found.unwrap_err();
                    assert!(error.contains(part), "{text}: {error}");
                }
            }
        }
    }

    #[test]
    fn codes() {
        for (text, expected) in [
            ("123456", Some("123456")),
            (" 012345\r\n", Some("012345")),
            ("12345", None),
            ("1234567", None),
            ("code 123456", None),
            ("１２３４５６", None),
            ("", None),
        ] {
            let found = mfa_code(&Secret::new(text)).ok();
            assert_eq!(found.as_ref().map(Secret::expose), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*", zone in "[-+Z0-9:T. ]*") {
            let _ = credentials(&Secret::new(text.clone()), now());
            let _ = credentials(&Secret::new(with("Expiration", json!(zone))), Timestamp::MAX);
            let _ = credentials(&Secret::new(with("Expiration", json!(text))), Timestamp::MIN);
        }
    }
}
