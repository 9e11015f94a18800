//! `config.toml`: eksd's own settings. Without a file everything has its default.
//!
//! A key that is not known is an error with its line, never ignored: a misspelt key that changes
//! nothing is found out on the day it matters.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::Paths;
use crate::{
    model::{LoginKey, text},
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
    /// `[clusters] check_every`: how often endpoint and CA are compared with AWS.
    pub check_clusters_every: Duration,
    /// `[sso-session.NAME] length`, by sso-session or legacy start URL.
    session_lengths: BTreeMap<String, Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keep_warm: Duration::from_hours(12),
            notices_enabled: true,
            notices_before: [30, 10, 2].map(Duration::from_mins).to_vec(),
            login_flow: LoginFlow::Auto,
            check_clusters_every: Duration::from_hours(6),
            session_lengths: BTreeMap::new(),
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
        let reader = Reader { text, file };
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            reader.error(at, error.message(), "see the settings in the README")
        })?;
        let mut settings = Self::default();
        reader.table(table.get_ref(), &mut settings)?;
        Ok(settings)
    }

    /// Returns how long the person said that sessions of this sign-in last.
    pub fn session_length(&self, login: &LoginKey) -> Option<Duration> {
        self.session_lengths.get(login.cache_text()).copied()
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

struct Reader<'a> {
    text: &'a str,
    file: &'a str,
}

type Key<'a> = Spanned<std::borrow::Cow<'a, str>>;
type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn table(&self, table: &DeTable<'_>, settings: &mut Settings) -> Result<(), SettingsError> {
        for (name, value) in table {
            match name.get_ref().as_ref() {
                "refresh" => self.section(value, "refresh", &["keep_warm"], |_, value| {
                    self.duration(value).map(|length| settings.keep_warm = length)
                })?,
                "notices" => {
                    self.section(value, "notices", &["enabled", "before"], |key, value| {
                        if key == "enabled" {
                            settings.notices_enabled = self.flag(value)?;
                        } else {
                            settings.notices_before = self.durations(value)?;
                        }
                        Ok(())
                    })?;
                }
                "login" => self.section(value, "login", &["flow"], |_, value| {
                    self.flow(value).map(|flow| settings.login_flow = flow)
                })?,
                "clusters" => self.section(value, "clusters", &["check_every"], |_, value| {
                    self.duration(value).map(|every| settings.check_clusters_every = every)
                })?,
                "sso-session" => {
                    for (session, value) in self.as_table(value, "sso-session")? {
                        self.section(value, "sso-session.NAME", &["length"], |_, value| {
                            let length = self.duration(value)?;
                            settings.session_lengths.insert(session.get_ref().to_string(), length);
                            Ok(())
                        })?;
                    }
                }
                _ => {
                    let known = ["refresh", "notices", "login", "clusters", "sso-session"];
                    return Err(self.unknown(name, "", &known));
                }
            }
        }
        Ok(())
    }

    /// Hands each key of a section on; the section knows no others.
    fn section(
        &self,
        value: &Value<'_>,
        name: &str,
        known: &[&str],
        mut take: impl FnMut(&str, &Value<'_>) -> Result<(), SettingsError>,
    ) -> Result<(), SettingsError> {
        for (key, value) in self.as_table(value, name)? {
            if !known.contains(&key.get_ref().as_ref()) {
                return Err(self.unknown(key, &format!(" in [{name}]"), known));
            }
            take(key.get_ref(), value)?;
        }
        Ok(())
    }

    fn as_table<'v, 'i>(
        &self,
        value: &'v Value<'i>,
        name: &str,
    ) -> Result<&'v DeTable<'i>, SettingsError> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.error(
                value.span().start,
                format!("`{name}` is a section"),
                format!("write `[{name}]` and its keys below"),
            )),
        }
    }

    fn unknown(&self, key: &Key<'_>, place: &str, known: &[&str]) -> SettingsError {
        let shown = text::printable(key.get_ref());
        let fix = match text::near_miss(key.get_ref(), known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        self.error(key.span().start, format!("unknown key `{shown}`{place}"), fix)
    }

    fn flag(&self, value: &Value<'_>) -> Result<bool, SettingsError> {
        value.get_ref().as_bool().ok_or_else(|| {
            self.error(value.span().start, "not a switch", "write `true` or `false`")
        })
    }

    fn flow(&self, value: &Value<'_>) -> Result<LoginFlow, SettingsError> {
        match value.get_ref().as_str() {
            Some("auto") => Ok(LoginFlow::Auto),
            Some("browser") => Ok(LoginFlow::Browser),
            Some("device-code") => Ok(LoginFlow::DeviceCode),
            _ => Err(self.error(
                value.span().start,
                "not a way to log in",
                "write \"auto\", \"browser\" or \"device-code\"",
            )),
        }
    }

    fn duration(&self, value: &Value<'_>) -> Result<Duration, SettingsError> {
        value.get_ref().as_str().and_then(parse_duration).ok_or_else(|| {
            self.error(
                value.span().start,
                "not a length of time",
                "write one such as \"45s\", \"30m\", \"12h\", \"7d\" or \"1h30m\"",
            )
        })
    }

    fn durations(&self, value: &Value<'_>) -> Result<Vec<Duration>, SettingsError> {
        let DeValue::Array(items) = value.get_ref() else {
            let fix = "write them as [\"30m\", \"10m\", \"2m\"]";
            return Err(self.error(value.span().start, "not a list of lengths of time", fix));
        };
        let mut lengths =
            items.iter().map(|item| self.duration(item)).collect::<Result<Vec<_>, _>>()?;
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        Ok(lengths)
    }

    fn error(&self, at: usize, what: impl Into<String>, fix: impl Into<String>) -> SettingsError {
        SettingsError::Line {
            file: self.file.to_owned(),
            line: 1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count(),
            what: what.into(),
            fix: fix.into(),
        }
    }
}

/// Parses `45s`, `30m`, `12h`, `7d` and combinations such as `1h30m`; each unit once, largest first.
/// Nothing is longer than ten years, so that adding it to an instant cannot overflow.
fn parse_duration(text: &str) -> Option<Duration> {
    const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
    let mut units = UNITS.iter();
    let mut rest = text.trim();
    let mut seconds = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.chars().next()?;
        let (_, size) = units.find(|(name, _)| *name == unit)?;
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(*size)?)?;
        rest = tail[unit.len_utf8()..].trim_start();
    }
    (seconds <= 10 * 366 * 86_400).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fails(text: &str, expected: &str) {
        let report = Report::from(Settings::parse(text, "~/c.toml").unwrap_err());
        assert_eq!(report.code, Code::SettingsInvalid);
        assert_eq!(format!("{} | {}", report.what, report.fix), expected);
    }

    #[test]
    fn an_empty_file_means_defaults() {
        assert_eq!(Settings::parse("", "x").unwrap(), Settings::default());
        assert_eq!(Settings::parse("[refresh]\n", "x").unwrap(), Settings::default());
    }

    #[test]
    fn every_key() {
        let text = r#"
            [refresh]
            keep_warm = "1h30m"
            [notices]
            enabled = false
            before = ["2m", "1h", "2m"]
            [login]
            flow = "device-code"
            [clusters]
            check_every = "1d"
            [sso-session.corp]
            length = "12h"
            [sso-session."https://d-1.awsapps.com/start"]
            length = "90d"
        "#;
        let settings = Settings::parse(text, "x").unwrap();
        assert_eq!(settings.keep_warm, Duration::from_mins(90));
        assert!(!settings.notices_enabled);
        assert_eq!(settings.notices_before, [Duration::from_hours(1), Duration::from_mins(2)]);
        assert_eq!(settings.login_flow, LoginFlow::DeviceCode);
        assert_eq!(settings.check_clusters_every, Duration::from_hours(24));
        for (key, expected) in [
            (LoginKey::Named("corp".into()), Some(Duration::from_hours(12))),
            (
                LoginKey::StartUrl("https://d-1.awsapps.com/start".into()),
                Some(Duration::from_hours(90 * 24)),
            ),
            (LoginKey::Named("Corp".into()), None),
        ] {
            assert_eq!(settings.session_length(&key), expected, "{key}");
        }
    }

    #[test]
    fn mistakes_name_their_line_and_what_was_meant() {
        fails(
            "[refresh]\nkeep_wram = \"1h\"\n",
            "~/c.toml:2: unknown key `keep_wram` in [refresh] | did you mean `keep_warm`?",
        );
        fails(
            "\n[notice]\nenabled = true\n",
            "~/c.toml:2: unknown key `notice` | did you mean `notices`?",
        );
        fails(
            "colour = true\n",
            "~/c.toml:1: unknown key `colour` | known here: refresh, notices, login, clusters, sso-session",
        );
        fails(
            "[sso-session.corp]\nlenght = \"8h\"",
            "~/c.toml:2: unknown key `lenght` in [sso-session.NAME] | did you mean `length`?",
        );
        fails(
            "[refresh]\nkeep_warm = 12\n",
            "~/c.toml:2: not a length of time | write one such as \"45s\", \"30m\", \"12h\", \"7d\" or \"1h30m\"",
        );
        fails(
            "[notices]\nbefore = [\n \"30m\",\n \"soon\"]",
            "~/c.toml:4: not a length of time | write one such as \"45s\", \"30m\", \"12h\", \"7d\" or \"1h30m\"",
        );
        fails("[notices]\nenabled = 1", "~/c.toml:2: not a switch | write `true` or `false`");
        fails(
            "[login]\nflow = \"Browser\"",
            "~/c.toml:2: not a way to log in | write \"auto\", \"browser\" or \"device-code\"",
        );
        fails(
            "refresh = 1",
            "~/c.toml:1: `refresh` is a section | write `[refresh]` and its keys below",
        );
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let error = Settings::parse("[refresh]\nkeep_warm = \n", "~/c.toml").unwrap_err();
        assert!(error.to_string().starts_with("~/c.toml:2: "), "{error}");
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("45s", Some(45)),
            ("30m", Some(1_800)),
            ("12h", Some(43_200)),
            ("7d", Some(604_800)),
            ("1h30m", Some(5_400)),
            ("1d 2h", Some(93_600)),
            ("0s", Some(0)),
            ("", None),
            ("12", None),
            ("h", None),
            ("-1h", None),
            ("1.5h", None),
            ("30m1h", None),
            ("1h1h", None),
            ("1w", None),
            ("1é", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
            ("4000d", None),
        ] {
            assert_eq!(parse_duration(text).map(|length| length.as_secs()), expected, "{text}");
        }
    }

    #[test]
    fn files() {
        let home = tempfile::tempdir().unwrap();
        let env = super::super::Env::from_map([("HOME", home.path())]);
        let mut paths = Paths::new(&env).unwrap();
        assert_eq!(Settings::load(&paths).unwrap(), Settings::default());
        paths.settings = home.path().to_owned();
        let report = Report::from(Settings::load(&paths).unwrap_err());
        assert_eq!((report.code, report.what.as_str()), (Code::ReadFailed, "`~` cannot be read"));
    }
}
