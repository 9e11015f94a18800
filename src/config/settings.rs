//! `config.toml`: eksd's own settings. Without a file everything has its default.
//!
//! A key that is not known is an error with its line, never ignored: a misspelt key that changes
//! nothing is found out on the day it matters.

mod reader;

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use toml::de::DeTable;

use self::reader::Reader;
pub use self::reader::parse_duration;
use super::Paths;
use crate::{
    model::{LoginKey, MfaWay, alias::Template, keyring::KeyringUse},
    report::{Code, Report},
};

/// How a person logs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoginFlow {
    /// By browser where there is a desktop, else by device code.
    #[default]
    Auto,
    /// Authorization code with PKCE in a browser on this machine.
    Browser,
    /// A code typed on any device.
    DeviceCode,
}

/// How the AWS tools get credentials in a shell that said `eksd use`, and below `eksd exec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// From a generated config in which every profile asks eksd.
    #[default]
    Mirror,
    /// From the person's own files, as the profile stands there.
    Profile,
}

/// All settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `[refresh] keep_warm`: how long after its last use a profile is still renewed.
    pub keep_warm: Duration,
    /// `[notices] enabled`.
    pub notices_enabled: bool,
    /// `[notices] before`: how long before a person is needed to say so, longest first.
    pub notices_before: Vec<Duration>,
    /// `[login] flow`.
    pub login_flow: LoginFlow,
    /// `[login] copy`: whether what a person needs next goes to the clipboard.
    pub login_copy: bool,
    /// `[aws] delivery`.
    pub delivery: Delivery,
    /// `[mfa] session_duration`: how long an MFA session is asked for.
    pub mfa_session_duration: Duration,
    /// `[mfa] keyring`.
    pub keyring: KeyringUse,
    /// `[clusters] check_every`: how often endpoint and CA are compared with AWS.
    pub check_clusters_every: Duration,
    /// `[clusters] regions`: where `eksd cluster discover` looks besides a profile's own region.
    pub cluster_regions: Vec<String>,
    /// `[clusters] alias`: what clusters that are discovered are to be called here.
    pub cluster_alias: Template,
    /// `[mfa-device.SERIAL] process`: the command that prints its codes.
    mfa_processes: BTreeMap<String, String>,
    /// `[profile.NAME] mfa`.
    mfa_ways: BTreeMap<String, MfaWay>,
    /// `[sso-session.NAME] length`, by sso-session or legacy start URL.
    session_lengths: BTreeMap<String, Duration>,
    /// `[sso-session.NAME] browser`: the words of a command.
    browsers: BTreeMap<String, Vec<String>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keep_warm: Duration::from_hours(12),
            notices_enabled: true,
            notices_before: [30, 10, 2].map(Duration::from_mins).to_vec(),
            login_flow: LoginFlow::Auto,
            login_copy: true,
            delivery: Delivery::Mirror,
            // What `aws configure mfa-login` asks for, too.
            mfa_session_duration: Duration::from_hours(12),
            keyring: KeyringUse::Off,
            check_clusters_every: Duration::from_hours(6),
            cluster_regions: Vec::new(),
            cluster_alias: Template::default(),
            mfa_processes: BTreeMap::new(),
            mfa_ways: BTreeMap::new(),
            session_lengths: BTreeMap::new(),
            browsers: BTreeMap::new(),
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is there and cannot be read.
    #[error("`{file}` cannot be read")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error("{file}:{line}: {what}")]
    Line {
        /// The file as people see it.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong there.
        what: String,
        /// What to write instead.
        fix: String,
    },
}

impl From<SettingsError> for Report {
    fn from(error: SettingsError) -> Self {
        let what = error.to_string();
        match error {
            SettingsError::Read { file, source } => {
                Self::new(Code::ReadFailed, what, format!("make `{file}` a file that you can read"))
                    .because(source.to_string())
            }
            SettingsError::Line { fix, .. } => Self::new(Code::SettingsInvalid, what, fix),
        }
    }
}

impl Settings {
    /// Reads the settings file; no file means defaults.
    pub fn load(paths: &Paths) -> Result<Self, SettingsError> {
        let file = paths.shown(&paths.settings);
        match read(&paths.settings) {
            Ok(Some(text)) => Self::parse(&text, &file),
            Ok(None) => Ok(Self::default()),
            Err(source) => Err(SettingsError::Read { file, source }),
        }
    }

    /// Parses the text of a settings file, shown to people as `file`.
    pub fn parse(text: &str, file: &str) -> Result<Self, SettingsError> {
        let reader = Reader::new(text, file);
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            reader.error(at, error.message(), "see the settings in the README")
        })?;
        let mut settings = Self::default();
        reader.read(table.get_ref(), &mut settings)?;
        Ok(settings)
    }

    /// Returns how long the person said that sessions of this sign-in last.
    pub fn session_length(&self, login: &LoginKey) -> Option<Duration> {
        self.session_lengths.get(login.cache_text()).copied()
    }

    /// Returns the command that shows pages of this sign-in, in words; `session` is the sso-session
    /// or the start URL.
    pub fn browser(&self, session: &str) -> Option<&[String]> {
        self.browsers.get(session).map(Vec::as_slice)
    }

    /// Returns the command line that prints codes of this device.
    pub fn mfa_process(&self, serial: &str) -> Option<&str> {
        self.mfa_processes.get(serial).map(String::as_str)
    }

    /// Returns how this profile uses an MFA code.
    pub fn mfa_way(&self, profile: &str) -> MfaWay {
        self.mfa_ways.get(profile).copied().unwrap_or_default()
    }
}

/// Nobody has more to say; what is larger is another file.
const LARGEST_FILE: u64 = 1 << 20;

fn read(path: &Path) -> io::Result<Option<String>> {
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => Err(io::Error::other("it is not a regular file")),
        Ok(metadata) if LARGEST_FILE < metadata.len() => Err(io::Error::other("it is too large")),
        Ok(_) => std::fs::read_to_string(path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
