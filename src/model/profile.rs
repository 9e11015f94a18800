//! What the person configured: profiles, sso-sessions, and where each value stands.
//!
//! The types hold what `config::aws_files` read, merged as the AWS CLI merges it; nothing here
//! knows how a file is parsed.

use std::{borrow::Borrow, collections::BTreeMap, fmt, sync::Arc};

use super::Secret;

/// The name of a `[profile NAME]` section, byte for byte as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProfileName(Arc<str>);

impl ProfileName {
    /// Wraps a name.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self(Arc::from(name.as_ref()))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for ProfileName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ProfileName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// Which of the two AWS files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// `~/.aws/config`.
    Config,
    /// `~/.aws/credentials`.
    Credentials,
    /// No file: the environment that the agent was started in.
    Environment,
}

/// Where a value stands, for messages such as `~/.aws/config:12`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// Which of the two files.
    pub kind: FileKind,
    /// The file as shown to people, or the variable.
    pub file: Arc<str>,
    /// The line, counted from 1; 0 for a variable.
    pub line: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FileKind::Environment => write!(f, "environment: {}", self.file),
            FileKind::Config | FileKind::Credentials => write!(f, "{}:{}", self.file, self.line),
        }
    }
}

/// The value of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Anything that may be shown.
    Plain(String),
    /// A value of a key that holds a secret (`aws_secret_access_key`, `aws_session_token`, …).
    Secret(Secret),
    /// An indented block of `key = value` lines under an empty key (`s3 =`), one level deep.
    Block(BTreeMap<String, String>),
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What the file says.
    pub value: Value,
    /// The line of the key.
    pub origin: Origin,
    /// Where the same key stands, too, and does not count, the first displaced first. Only the places:
    /// what does not count is not kept.
    pub shadows: Vec<Origin>,
}

impl Entry {
    /// Wraps a value that shadows nothing.
    pub fn new(value: Value, origin: Origin) -> Self {
        Self { value, origin, shadows: Vec::new() }
    }

    /// Takes the place of `loser`, which is remembered.
    pub fn displace(&mut self, loser: Self) {
        let lost = loser.shadows.into_iter().chain([loser.origin]);
        self.shadows.splice(0..0, lost);
    }
}

/// A section: a profile, an sso-session or a services section, with lower-case keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The line of its header. For a profile in both files, that of the config file.
    pub origin: Origin,
    /// Keys, lower-cased, merged over both files (the credentials file wins, per key).
    pub keys: BTreeMap<String, Entry>,
}

impl Section {
    /// Returns a non-secret, non-empty text value.
    pub fn get(&self, key: &str) -> Option<&str> {
        match &self.keys.get(key)?.value {
            Value::Plain(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Returns a secret value.
    pub fn secret(&self, key: &str) -> Option<&Secret> {
        match &self.keys.get(key)?.value {
            Value::Secret(secret) if !secret.expose().is_empty() => Some(secret),
            _ => None,
        }
    }

    /// Returns whether the key is there with a value, secret or not.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some() || self.secret(key).is_some()
    }

    /// Returns one key of an indented block, e.g. `endpoint_url` under `sts =`.
    pub fn nested(&self, key: &str, inner: &str) -> Option<&str> {
        match &self.keys.get(key)?.value {
            Value::Block(block) => block.get(inner).map(String::as_str),
            _ => None,
        }
    }

    /// Returns where the key stands, or the section's header where it does not.
    pub fn origin_of(&self, key: &str) -> &Origin {
        self.keys.get(key).map_or(&self.origin, |entry| &entry.origin)
    }
}

/// Something in a file that eksd reads past but others may stumble over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The line at fault.
    pub origin: Origin,
    /// What is wrong there, one sentence without a period.
    pub what: String,
    /// Which readers refuse the whole file for it: `AWS CLI`, `Rust SDK`. Empty: only that
    /// line or section is lost.
    pub refused_by: Vec<&'static str>,
}

/// Both AWS files as one set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsFiles {
    /// Profiles of both files.
    pub profiles: BTreeMap<ProfileName, Section>,
    /// `[sso-session NAME]` sections.
    pub sso_sessions: BTreeMap<String, Section>,
    /// `[services NAME]` sections.
    pub services: BTreeMap<String, Section>,
    /// What was read past, in file order.
    pub findings: Vec<Finding>,
}
