//! What a profile comes to, and why: its chain, what limits each step, every value with its place, what
//! shadows what, and where programs disagree.
//!
//! For people, so in words. Names and values stand here as the files have them; who shows them makes them
//! fit for a terminal. No secret gets in: not a key, not a token, not a command line.

mod notes;
mod shell;
mod steps;
mod values;

use std::time::Duration;

pub use self::shell::{SHADOWING, Shell, shadowing};
use super::{
    AwsFiles, Chain, ChainError, FileKind, Origin, ProfileName, Section, chain::eksd_profile,
};
use crate::report::Report;

/// A profile, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The profile.
    pub profile: String,
    /// From the source to the profile's credentials; of a broken profile what could be walked.
    pub steps: Vec<Step>,
    /// What decides how long the credentials live, and who must act then.
    pub limit: Option<String>,
    /// Every value that plays a part, the profile's own first.
    pub values: Vec<ValueAt>,
    /// What shadows what, and where programs disagree: one sentence each, without a period.
    pub notes: Vec<String>,
    /// Why the profile cannot work as written.
    pub report: Option<Report>,
}

/// One step of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What happens there.
    pub what: String,
    /// The line that says so.
    pub origin: Origin,
    /// What AWS grants at most there.
    pub cap: Option<String>,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueAt {
    /// `profile dev`, `sso-session corp`.
    pub section: String,
    /// The key.
    pub key: String,
    /// The value; `None` where it is, or may hold, a secret.
    pub value: Option<String>,
    /// Where it stands.
    pub origin: Origin,
    /// Where the same key stands, too, and does not count.
    pub shadows: Vec<Origin>,
}

/// What the files do not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How long an MFA session is asked for.
    pub mfa_session: Duration,
    /// The shell that asks; empty where it is not known.
    pub shell: Shell,
}

impl Default for Facts {
    fn default() -> Self {
        // What STS gives unless asked otherwise (API Reference, `GetSessionToken`).
        Self { mfa_session: Duration::from_hours(12), shell: Shell::default() }
    }
}

/// Explains the profile `name`, which comes to `chain`.
pub fn explain(
    files: &AwsFiles,
    name: &str,
    chain: Result<&Chain, &ChainError>,
    facts: &Facts,
) -> Explanation {
    let path = path(files, name);
    let mut notes = notes::notes(files, &path, chain.ok());
    notes.extend(shadowing(&facts.shell, name));
    Explanation {
        profile: name.to_owned(),
        steps: match (chain, path.last()) {
            (Ok(chain), Some((_, base))) => steps::steps(files, base, chain, facts),
            _ => steps::walked(&path),
        },
        limit: chain.ok().map(|chain| steps::limit(chain, facts)),
        values: values::values(files, &path),
        notes,
        report: chain.err().map(|error| Report::of_chain(name, error)),
    }
}

/// The profiles that a chain goes through.
type Path<'a> = [(&'a ProfileName, &'a Section)];

/// Returns the profiles from `name` on, as far as one leads to the next: also where the chain is broken.
fn path<'a>(files: &'a AwsFiles, name: &str) -> Vec<(&'a ProfileName, &'a Section)> {
    let mut path: Vec<(&ProfileName, &Section)> = Vec::new();
    let mut next = files.profiles.get_key_value(name);
    while let Some((name, section)) = next {
        if path.iter().any(|(visited, _)| *visited == name) {
            break;
        }
        let is_role = has_role(section, path.is_empty());
        path.push((name, section));
        let process = stands_for(section);
        let source = if is_role { section.get("source_profile") } else { process.as_deref() };
        next = source.and_then(|source| files.profiles.get_key_value(source));
    }
    path
}

/// Returns whether a role is assumed at a profile (see `chain`).
fn has_role(section: &Section, is_first: bool) -> bool {
    let has_keys = section.has("aws_access_key_id") && section.has("aws_secret_access_key");
    section.has("role_arn") && !section.has("web_identity_token_file") && (is_first || !has_keys)
}

/// Returns the profile that eksd is asked for, where a profile without a role is only that (see `chain`).
fn stands_for(section: &Section) -> Option<String> {
    let before = ["web_identity_token_file", "sso_account_id", "sso_role_name", "login_session"];
    let has_keys = section.keys.get("aws_access_key_id").is_some_and(|key| {
        key.origin.kind == FileKind::Credentials && section.has("aws_secret_access_key")
    });
    if has_keys || before.iter().any(|key| section.has(key)) {
        return None;
    }
    section.get("credential_process").and_then(eksd_profile)
}

/// Returns a length as people say it: `12 h`, `90 min`.
fn length(seconds: u64) -> String {
    match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
        (hours, 0, 0) if 0 < hours => format!("{hours} h"),
        (hours, minutes, 0) if 0 < hours => format!("{hours} h {minutes} min"),
        (0, minutes, 0) if 0 < minutes => format!("{minutes} min"),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        for (seconds, expected) in [
            (900, "15 min"),
            (3600, "1 h"),
            (5400, "1 h 30 min"),
            (43200, "12 h"),
            (3601, "3601 s"),
            (0, "0 s"),
        ] {
            assert_eq!(length(seconds), expected);
        }
    }
}
