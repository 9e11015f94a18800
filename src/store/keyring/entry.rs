//! What an entry of the key store holds: JSON with a version.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::model::{Credentials, Secret};

/// The format. It is raised when an older eksd would misread an entry, not for each new field.
const VERSION: u64 = 1;

/// Larger than any session token that AWS makes (a few kilobytes).
const LARGEST: usize = 1 << 16;

/// Room for everything but the secrets.
const ROOM: usize = 1024;

#[derive(Serialize)]
struct Written<'a> {
    version: u64,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
    expires_at: String,
    account_id: Option<&'a str>,
}

#[derive(Deserialize)]
struct Read {
    version: u64,
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expires_at: String,
    account_id: Option<String>,
}

/// Returns the value for the key store; `None` for what is no session.
pub(super) fn write(credentials: &Credentials) -> Option<Zeroizing<Vec<u8>>> {
    let session_token = credentials.session_token.as_ref()?.expose();
    let secret_access_key = credentials.secret_access_key.expose();
    let written = Written {
        version: VERSION,
        access_key_id: &credentials.access_key_id,
        secret_access_key,
        session_token,
        expires_at: credentials.expires_at?.to_string(),
        account_id: credentials.account_id.as_deref(),
    };
    // Room from the start, even if every letter is escaped: growing would leave copies behind.
    let room = ROOM + 6 * (session_token.len() + secret_access_key.len());
    let mut value = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *value, &written).ok()?;
    Some(value)
}

/// Returns the session of a value, where it is one that is good at `now`.
pub(super) fn read(value: &[u8], now: Timestamp) -> Option<Credentials> {
    if LARGEST < value.len() {
        return None;
    }
    // The error's own text could quote the value.
    let read: Read = serde_json::from_slice(value).ok()?;
    let credentials = Credentials {
        access_key_id: read.access_key_id,
        secret_access_key: Secret::new(read.secret_access_key),
        session_token: Some(Secret::new(read.session_token)),
        expires_at: Some(read.expires_at.parse().ok()?),
        account_id: read.account_id,
    };
    (read.version == VERSION && credentials.are_good_mfa_session(now)).then_some(credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of this version must be understood for ever.
    const VERSION_1: &str = r#"{"version":1,"access_key_id":"ASIAIOSFODNN7EXAMPLE","secret_access_key":"wJalr\"XUtn","session_token":"IQoJ","expires_at":"2026-11-24T20:00:00Z","account_id":"111122223333"}"#;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn session() -> Credentials {
        Credentials {
            access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "wJalr\"XUtn".to_owned().into(),
            session_token: Some("IQoJ".to_owned().into()),
            expires_at: Some(at("2026-11-24T20:00:00Z")),
            account_id: Some("111122223333".to_owned()),
        }
    }

    #[test]
    fn version_1() {
        assert_eq!(write(&session()).as_deref().map(Vec::as_slice), Some(VERSION_1.as_bytes()));
        assert_eq!(read(VERSION_1.as_bytes(), at("2026-11-24T19:59:59Z")), Some(session()));
        assert_eq!(read(VERSION_1.as_bytes(), at("2026-11-24T20:00:00Z")), None);
        let nobody = VERSION_1.replace(r#""account_id":"111122223333""#, r#""later":[1,2]"#);
        let expected = Credentials { account_id: None, ..session() };
        assert_eq!(read(nobody.as_bytes(), at("2026-11-24T19:00:00Z")), Some(expected));
    }

    #[test]
    fn what_is_no_session_is_not_read() {
        let long = "x".repeat(LARGEST);
        for (part, other) in [
            ("\"version\":1", "\"version\":2"),
            ("\"version\":1", "\"version\":\"1\""),
            ("\"version\":1,", ""),
            ("ASIAIOSFODNN7EXAMPLE", ""),
            ("IQoJ", ""),
            ("IQoJ", &long),
            ("2026-11-24T20:00:00Z", "soon"),
            ("2026-11-24T20:00:00Z", "2027-11-24T20:00:00Z"),
            ("}", ""),
        ] {
            let value = VERSION_1.replace(part, other);
            assert_ne!(value, VERSION_1);
            assert_eq!(read(value.as_bytes(), at("2026-11-24T19:00:00Z")), None, "{part}");
        }
        assert_eq!(read(b"", at("2026-11-24T19:00:00Z")), None);
        assert_eq!(read(b"\xff\xfe", at("2026-11-24T19:00:00Z")), None);
    }

    #[test]
    fn what_is_no_session_is_not_written() {
        let lasting = Credentials { session_token: None, ..session() };
        let endless = Credentials { expires_at: None, ..session() };
        assert!(write(&lasting).is_none() && write(&endless).is_none());
    }

    #[test]
    fn the_value_is_written_into_one_place() {
        let token = "\u{1}".repeat(5000);
        let long = Credentials { session_token: Some(token.into()), ..session() };
        let value = write(&long).unwrap();
        let room = ROOM + 6 * (5000 + "wJalr\"XUtn".len());
        assert_eq!(value.capacity(), room);
        assert!(30_000 < value.len(), "{}", value.len());
    }
}
