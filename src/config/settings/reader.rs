//! From a file's text to settings: every mistake has its line.

use std::{ops::RangeInclusive, time::Duration};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Delivery, KeyringUse, LoginFlow, Settings, SettingsError};
use crate::model::{MfaWay, alias::Template, discovery::is_region, text};

/// What STS grants (`GetSessionToken`, `DurationSeconds`: 900 to 129600).
const MFA_SESSION: RangeInclusive<Duration> = Duration::from_mins(15)..=Duration::from_hours(36);

const SECTIONS: [&str; 9] = [
    "refresh",
    "notices",
    "login",
    "aws",
    "mfa",
    "mfa-device",
    "clusters",
    "profile",
    "sso-session",
];

const FLOWS: &[(&str, LoginFlow)] = &[
    ("auto", LoginFlow::Auto),
    ("browser", LoginFlow::Browser),
    ("device-code", LoginFlow::DeviceCode),
];

const DELIVERIES: &[(&str, Delivery)] =
    &[("mirror", Delivery::Mirror), ("profile", Delivery::Profile)];

const KEYRINGS: &[(&str, KeyringUse)] =
    &[("off", KeyringUse::Off), ("on", KeyringUse::On), ("auto", KeyringUse::Auto)];

const MFA_WAYS: &[(&str, MfaWay)] = &[("session", MfaWay::Session), ("per-role", MfaWay::PerRole)];

/// One file, and how it is called in messages.
pub(super) struct Reader<'a> {
    text: &'a str,
    file: &'a str,
}

type Key<'a> = Spanned<std::borrow::Cow<'a, str>>;
type Value<'a> = Spanned<DeValue<'a>>;

impl<'a> Reader<'a> {
    /// Takes the text of a file, shown to people as `file`.
    pub(super) fn new(text: &'a str, file: &'a str) -> Self {
        Self { text, file }
    }

    /// Reads the whole file.
    pub(super) fn read(
        &self,
        table: &DeTable<'_>,
        settings: &mut Settings,
    ) -> Result<(), SettingsError> {
        for (name, value) in table {
            match name.get_ref().as_ref() {
                "refresh" => self.section(value, "refresh", &["keep_warm"], |_, value| {
                    self.duration(value).map(|length| settings.keep_warm = length)
                })?,
                "notices" => self.notices(value, settings)?,
                "login" => self.login(value, settings)?,
                "aws" => self.section(value, "aws", &["delivery"], |_, value| {
                    self.choice(value, "a way to deliver credentials", DELIVERIES)
                        .map(|delivery| settings.delivery = delivery)
                })?,
                "mfa" => self.mfa(value, settings)?,
                "mfa-device" => self.each(value, "mfa-device", |serial, value| {
                    self.section(value, "mfa-device.SERIAL", &["process"], |_, value| {
                        let command = self.command(value)?;
                        settings.mfa_processes.insert(serial.to_owned(), command);
                        Ok(())
                    })
                })?,
                "clusters" => self.clusters(value, settings)?,
                "profile" => self.each(value, "profile", |profile, value| {
                    self.section(value, "profile.NAME", &["mfa"], |_, value| {
                        let way = self.choice(value, "a way to use MFA codes", MFA_WAYS)?;
                        settings.mfa_ways.insert(profile.to_owned(), way);
                        Ok(())
                    })
                })?,
                "sso-session" => self.each(value, "sso-session", |session, value| {
                    self.sso_session(session, value, settings)
                })?,
                _ => return Err(self.unknown(name, "", &SECTIONS)),
            }
        }
        Ok(())
    }

    fn notices(&self, value: &Value<'_>, settings: &mut Settings) -> Result<(), SettingsError> {
        self.section(value, "notices", &["enabled", "before"], |key, value| {
            if key == "enabled" {
                settings.notices_enabled = self.flag(value)?;
            } else {
                settings.notices_before = self.durations(value)?;
            }
            Ok(())
        })
    }

    fn login(&self, value: &Value<'_>, settings: &mut Settings) -> Result<(), SettingsError> {
        self.section(value, "login", &["flow", "copy"], |key, value| {
            if key == "flow" {
                settings.login_flow = self.choice(value, "a way to log in", FLOWS)?;
            } else {
                settings.login_copy = self.flag(value)?;
            }
            Ok(())
        })
    }

    fn mfa(&self, value: &Value<'_>, settings: &mut Settings) -> Result<(), SettingsError> {
        self.section(value, "mfa", &["session_duration", "keyring"], |key, value| {
            if key == "session_duration" {
                let length = self.duration(value)?;
                if !MFA_SESSION.contains(&length) {
                    let what = "AWS grants MFA sessions of 15 minutes to 36 hours";
                    return Err(self.error(value.span().start, what, "write one such as \"12h\""));
                }
                settings.mfa_session_duration = length;
            } else {
                settings.keyring = self.choice(value, "a use of the key store", KEYRINGS)?;
            }
            Ok(())
        })
    }

    fn clusters(&self, value: &Value<'_>, settings: &mut Settings) -> Result<(), SettingsError> {
        let known = ["check_every", "regions", "alias"];
        self.section(value, "clusters", &known, |key, value| {
            match key {
                "check_every" => settings.check_clusters_every = self.duration(value)?,
                "regions" => settings.cluster_regions = self.regions(value)?,
                _ => settings.cluster_alias = self.template(value)?,
            }
            Ok(())
        })
    }

    fn regions(&self, value: &Value<'_>) -> Result<Vec<String>, SettingsError> {
        let fix = "write them as [\"eu-west-1\", \"us-east-1\"]";
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.error(value.span().start, "not a list of regions", fix));
        };
        items
            .iter()
            .map(|item| {
                let region = item.get_ref().as_str().filter(|text| is_region(text));
                region
                    .map(str::to_owned)
                    .ok_or_else(|| self.error(item.span().start, "not the name of a region", fix))
            })
            .collect()
    }

    fn template(&self, value: &Value<'_>) -> Result<Template, SettingsError> {
        let read = Template::parse(value.get_ref().as_str().unwrap_or_default());
        read.map_err(|error| {
            self.error(
                value.span().start,
                text::printable_sentence(&error.to_string()),
                error.fix(),
            )
        })
    }

    fn sso_session(
        &self,
        session: &str,
        value: &Value<'_>,
        settings: &mut Settings,
    ) -> Result<(), SettingsError> {
        self.section(value, "sso-session.NAME", &["length", "browser"], |key, value| {
            if key == "length" {
                settings.session_lengths.insert(session.to_owned(), self.duration(value)?);
            } else {
                settings.browsers.insert(session.to_owned(), self.words(value)?);
            }
            Ok(())
        })
    }

    /// Hands each table below a section on, with its name.
    fn each(
        &self,
        value: &Value<'_>,
        name: &str,
        mut take: impl FnMut(&str, &Value<'_>) -> Result<(), SettingsError>,
    ) -> Result<(), SettingsError> {
        for (key, value) in self.as_table(value, name)? {
            take(key.get_ref(), value)?;
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

    /// Takes one of the words that are known here.
    fn choice<T: Copy>(
        &self,
        value: &Value<'_>,
        what: &str,
        known: &[(&str, T)],
    ) -> Result<T, SettingsError> {
        let word = value.get_ref().as_str();
        known.iter().find(|(name, _)| word == Some(name)).map(|(_, choice)| *choice).ok_or_else(
            || {
                let names: Vec<String> =
                    known.iter().map(|(name, _)| format!("\"{name}\"")).collect();
                let (last, first) = names.split_last().expect("a choice has words");
                let fix = format!("write {} or {last}", first.join(", "));
                self.error(value.span().start, format!("not {what}"), fix)
            },
        )
    }

    /// Takes a command line, as a shell would split it.
    fn command(&self, value: &Value<'_>) -> Result<String, SettingsError> {
        let line = value.get_ref().as_str();
        let is_command = |line: &&str| shlex::split(line).is_some_and(|words| !words.is_empty());
        line.filter(is_command).map(str::to_owned).ok_or_else(|| {
            let fix = "write it as in a shell, with its quotes closed: \"op item get aws --otp\"";
            self.error(value.span().start, "not a command", fix)
        })
    }

    /// Takes the words of a command: a list, or a line as a shell would split it.
    fn words(&self, value: &Value<'_>) -> Result<Vec<String>, SettingsError> {
        let words = match value.get_ref() {
            DeValue::Array(items) => items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>(),
            value => value.as_str().and_then(shlex::split),
        };
        words.filter(|words| words.first().is_some_and(|word| !word.is_empty())).ok_or_else(|| {
            let fix = "write \"firefox -P work\" or [\"firefox\", \"-P\", \"work\"]";
            self.error(value.span().start, "not a command", fix)
        })
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

    /// Says what is wrong with the line at byte `at`.
    pub(super) fn error(
        &self,
        at: usize,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> SettingsError {
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
pub fn parse_duration(text: &str) -> Option<Duration> {
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
