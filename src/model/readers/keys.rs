//! Keys that some readers pass over, or stumble at.

use super::Reader;
use crate::model::{Origin, Section};

/// A key that does not mean the same everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The key.
    pub key: &'static str,
    /// Its line.
    pub origin: Origin,
    /// Who does what with it, one sentence without a period.
    pub what: String,
}

/// From this length on the Go SDK sends `duration_seconds` (`resolve_credentials.go`,
/// `credsFromAssumeRole`: whole minutes, more than 15).
const GO_SENDS_FROM: u32 = 16 * 60;

/// Returns what of a profile with a role is not heeded by all readers.
pub fn ignored(section: &Section) -> Vec<Ignored> {
    let mut all = Vec::new();
    let mut add = |key: &'static str, what: String| {
        all.push(Ignored { key, origin: section.origin_of(key).clone(), what });
    };
    if !section.has("role_arn") {
        return all;
    }
    if section.has("mfa_serial") {
        add(
            "mfa_serial",
            format!(
                "the {} ignores `mfa_serial` and calls without a code, the {} and {} fail unless their \
                 program asks for codes, and Python programs ask each time they start",
                Reader::Rust.as_str(),
                Reader::JavaScript.as_str(),
                Reader::Go.as_str()
            ),
        );
    }
    if let Some(text) = section.get("duration_seconds") {
        let rust = format!("the {} ignores `duration_seconds`", Reader::Rust.as_str());
        add(
            "duration_seconds",
            match text.parse::<u32>() {
                Err(_) => {
                    "`duration_seconds` is not a number, so the AWS CLI ignores it".to_owned()
                }
                Ok(seconds) if seconds < GO_SENDS_FROM => {
                    format!("{rust}; the {} does up to 15 minutes", Reader::Go.as_str())
                }
                Ok(_) => rust,
            },
        );
    }
    all
}
