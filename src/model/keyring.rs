//! What may be kept in the operating system's key store: the sessions that an MFA code began.
//!
//! The store itself is elsewhere; here is what a kept session is called, what of it is believed when it
//! comes back, and what a person may see of the store.

use std::{fmt, time::Duration};

use jiff::Timestamp;

use super::Credentials;

/// The longest session that an MFA code can begin: `GetSessionToken` grants 36 hours at most (API
/// Reference of STS, "GetSessionToken").
const LONGEST: Duration = Duration::from_hours(36);

/// How far the machine's clock may be off when the session comes back; AWS accepts as much in
/// signatures.
const SKEW: Duration = Duration::from_mins(5);

/// How long an access key id is (API Reference of STS, "Credentials").
const ID_LENGTH: std::ops::RangeInclusive<usize> = 16..=128;

/// Whether the key store is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyringUse {
    /// Never.
    Off,
    /// Yes; that it does not answer is worth telling.
    On,
    /// Where one is running and open.
    Auto,
}

/// Whose MFA session it is. Not a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MfaKey {
    /// The long-lived key that asked for the session.
    pub access_key_id: String,
    /// The MFA device: an ARN, or the number on a hardware device.
    pub serial: String,
}

impl fmt::Display for MfaKey {
    /// What the entry is found by, in the key store and in the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.access_key_id, self.serial)
    }
}

/// What a person may see of the key store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyringStatus {
    /// Which it is.
    pub store: String,
    /// Whether it answered when it was last asked.
    pub answers: bool,
    /// Why it does not.
    pub why: Option<String>,
}

impl KeyringStatus {
    /// Returns the status where the settings say that there is none.
    pub fn off() -> Self {
        Self { store: "off".to_owned(), answers: false, why: None }
    }
}

impl Credentials {
    /// Returns whether these can be an MFA session, and are good at `now`: whoever wrote the key store
    /// may have been an older eksd, another program or a broken disk.
    pub fn are_good_mfa_session(&self, now: Timestamp) -> bool {
        let latest = now.checked_add(LONGEST + SKEW).unwrap_or(Timestamp::MAX);
        let is_word = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        ID_LENGTH.contains(&self.access_key_id.len())
            && is_word(&self.access_key_id)
            && !self.secret_access_key.expose().is_empty()
            && self.session_token.as_ref().is_some_and(|token| !token.expose().is_empty())
            && self.expires_at.is_some_and(|end| now < end && end <= latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn session() -> Credentials {
        Credentials {
            access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI".to_owned().into(),
            session_token: Some("IQoJb3JpZ2lu".to_owned().into()),
            expires_at: Some(at("2026-11-24T20:00:00Z")),
            account_id: None,
        }
    }

    #[test]
    fn what_comes_back_is_looked_at() {
        let id = |id: &str| Credentials { access_key_id: id.to_owned(), ..session() };
        let end = |end: Option<&str>| Credentials { expires_at: end.map(at), ..session() };
        for (what, credentials, expected) in [
            ("good", session(), true),
            ("just good", end(Some("2026-11-24T08:00:01Z")), true),
            ("ended", end(Some("2026-11-24T08:00:00Z")), false),
            ("the longest", end(Some("2026-11-25T20:00:00Z")), true),
            ("the longest, with a wrong clock", end(Some("2026-11-25T20:05:00Z")), true),
            ("too long", end(Some("2026-11-25T20:05:01Z")), false),
            ("without an end", end(None), false),
            ("shortest id", id("ASIAIOSFODNN7EXA"), true),
            ("short id", id("ASIAIOSFODNN7EX"), false),
            ("longest id", id(&"A".repeat(128)), true),
            ("long id", id(&"A".repeat(129)), false),
            ("an id that is none", id("ASIAIOSFODNN7\u{1b}[31m"), false),
            ("no token", Credentials { session_token: None, ..session() }, false),
            (
                "an empty token",
                Credentials { session_token: Some(String::new().into()), ..session() },
                false,
            ),
            (
                "no secret",
                Credentials { secret_access_key: String::new().into(), ..session() },
                false,
            ),
        ] {
            let is_good = credentials.are_good_mfa_session(at("2026-11-24T08:00:00Z"));
            assert_eq!(is_good, expected, "{what}");
        }
        assert!(!end(Some("9999-12-30T22:00:00Z")).are_good_mfa_session(Timestamp::MAX));
    }

    #[test]
    fn what_an_entry_is_called() {
        let key = MfaKey {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            serial: "arn:aws:iam::111122223333:mfa/jane".to_owned(),
        };
        assert_eq!(key.to_string(), "AKIAIOSFODNN7EXAMPLE/arn:aws:iam::111122223333:mfa/jane");
    }
}
