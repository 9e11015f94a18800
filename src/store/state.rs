//! What the agent learned and wants to know after a restart. No secrets.
//!
//! One JSON file with a version. An entry that makes no sense is left out, a field that is not known is
//! ignored; a file of a later version, or one that is no such file at all, is kept aside and the agent
//! starts with nothing.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{StoreError, atomic};
use crate::{
    model::{LoginKey, ProfileName},
    report::{Code, Report},
};

/// The format. It is raised when an older agent would misread the file, not for each new field.
const VERSION: u64 = 1;

/// How many unreadable files are kept aside: enough to look at, not enough to fill a disk.
const MOST_ASIDE: u32 = 3;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// When each profile was last asked for.
    pub last_used_at: BTreeMap<ProfileName, Timestamp>,
    /// When a person last logged in.
    pub logged_in_at: BTreeMap<LoginKey, Timestamp>,
}

impl State {
    /// Loads the file. The report, where there is one, says why it starts with nothing.
    pub fn load(path: &Path) -> (Self, Option<Report>) {
        let why = match atomic::read(path) {
            Ok(None) => return (Self::default(), None),
            Ok(Some(content)) => match Self::from_json(&content.bytes) {
                Ok(state) => return (state, None),
                Err(why) => why,
            },
            Err(StoreError::Unusable { why, .. }) => why.to_owned(),
            // Nothing is wrong with the file itself: it stays.
            Err(error) => return (Self::default(), Some(error.into())),
        };
        let shown = path.display();
        let report = match keep_aside(path) {
            Ok(aside) => Report::new(
                Code::ReadFailed,
                format!("`{shown}` could not be used; eksd starts without what it had learned"),
                format!("nothing: it is kept as `{}`", aside.display()),
            ),
            Err(error) => Report::new(
                Code::WriteFailed,
                format!("`{shown}` can neither be used nor be put aside"),
                format!("remove `{shown}`"),
            )
            .because(error.to_string()),
        };
        (Self::default(), Some(report.because(why)))
    }

    /// Writes the file.
    pub fn save(&self, path: &Path) -> Result<(), StoreError> {
        atomic::write(path, self.to_json().to_string().as_bytes())
    }

    fn to_json(&self) -> Value {
        let profiles: Map<_, _> = self
            .last_used_at
            .iter()
            .map(|(name, at)| (name.to_string(), json!({"last_used_at": at.to_string()})))
            .collect();
        let logins = |is_wanted: fn(&LoginKey) -> bool| -> Map<_, _> {
            let wanted = self.logged_in_at.iter().filter(|(key, _)| is_wanted(key));
            wanted
                .map(|(key, at)| (key.to_string(), json!({"logged_in_at": at.to_string()})))
                .collect()
        };
        json!({
            "version": VERSION,
            "profiles": profiles,
            "sso_sessions": logins(|key| matches!(key, LoginKey::Named(_))),
            "start_urls": logins(|key| matches!(key, LoginKey::StartUrl(_))),
        })
    }

    fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(bytes).map_err(|error| {
            // The error's own text could quote the file.
            format!("it is not JSON from line {} on", error.line())
        })?;
        match json.get("version").and_then(Value::as_u64) {
            Some(VERSION) => (),
            Some(other) => {
                return Err(format!("it has version {other}; this eksd knows {VERSION}"));
            }
            None => return Err("it has no version".to_owned()),
        }
        let instants = |section: &str, field: &str| {
            let entries = json.get(section).and_then(Value::as_object).into_iter().flatten();
            let field = field.to_owned();
            entries.filter_map(move |(name, entry)| {
                Some((name.clone(), entry.get(&field)?.as_str()?.parse::<Timestamp>().ok()?))
            })
        };
        let named =
            instants("sso_sessions", "logged_in_at").map(|(name, at)| (LoginKey::Named(name), at));
        let by_url =
            instants("start_urls", "logged_in_at").map(|(url, at)| (LoginKey::StartUrl(url), at));
        Ok(Self {
            last_used_at: instants("profiles", "last_used_at")
                .map(|(name, at)| (ProfileName::new(name), at))
                .collect(),
            logged_in_at: named.chain(by_url).collect(),
        })
    }
}

/// Renames the file to `NAME.bad-1`, moving earlier ones up; the oldest of three goes.
pub(super) fn keep_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".bad-{n}"));
        PathBuf::from(name)
    };
    for n in (1..MOST_ASIDE).rev() {
        match fs::rename(aside(n), aside(n + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => (),
        }
    }
    fs::rename(path, aside(1))?;
    Ok(aside(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn state() -> State {
        State {
            last_used_at: [(ProfileName::new("dev"), at("2026-11-24T09:00:00.5Z"))].into(),
            logged_in_at: [
                (LoginKey::Named("corp".into()), at("2026-11-24T08:00:00Z")),
                (LoginKey::StartUrl("corp".into()), at("2026-11-23T08:00:00Z")),
            ]
            .into(),
        }
    }

    #[track_caller]
    fn put(path: &Path, text: &str) {
        atomic::write(path, text.as_bytes()).unwrap();
    }

    /// Files of this version must load for ever.
    #[test]
    fn version_1() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        let text = r#"{"profiles":{"dev":{"last_used_at":"2026-11-24T09:00:00.5Z"}},"sso_sessions":{"corp":{"logged_in_at":"2026-11-24T08:00:00Z"}},"start_urls":{"corp":{"logged_in_at":"2026-11-23T08:00:00Z"}},"version":1}"#;
        put(&path, text);
        assert_eq!(State::load(&path), (state(), None));
        state().save(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn no_file_is_no_news() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(State::load(&dir.path().join("state.json")), (State::default(), None));
    }

    #[test]
    fn entries_that_make_no_sense_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        put(
            &path,
            r#"{"version":1,"new":7,"profiles":{"a":{"last_used_at":"soon"},"b":5,"c":{},
                "dev":{"last_used_at":"2026-11-24T09:00:00.5Z","x":1}},"sso_sessions":[],"start_urls":null}"#,
        );
        let (found, report) = State::load(&path);
        assert_eq!(report, None);
        assert_eq!(found, State { logged_in_at: BTreeMap::new(), ..state() });
    }

    #[test]
    fn what_cannot_be_used_is_kept_aside_three_times() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        for (text, expected) in [
            ("", "it is not JSON from line 1 on"),
            ("hunter2", "it is not JSON from line 1 on"),
            (r#"{"version":2}"#, "it has version 2; this eksd knows 1"),
            (r#"{"version":"1"}"#, "it has no version"),
        ] {
            put(&path, text);
            let (found, report) = State::load(&path);
            let report = report.unwrap();
            assert_eq!((found, report.why[0].as_str()), (State::default(), expected));
            assert!(report.fix.ends_with("state.json.bad-1`"), "{report}");
            assert!(!report.to_string().contains("hunter2"), "{report}");
            assert!(!path.exists());
        }
        let aside = |n| fs::read_to_string(dir.path().join(format!("state.json.bad-{n}"))).ok();
        assert_eq!(aside(1).as_deref(), Some(r#"{"version":"1"}"#));
        assert_eq!(aside(2).as_deref(), Some(r#"{"version":2}"#));
        assert_eq!(aside(3).as_deref(), Some("hunter2"));
        assert_eq!(aside(4), None);
    }

    #[test]
    fn what_cannot_be_read_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file/state.json");
        put(&dir.path().join("file"), "");
        let (found, report) = State::load(&path);
        assert_eq!((found, report.unwrap().code), (State::default(), Code::ReadFailed));
    }

    proptest! {
        #[test]
        fn what_is_saved_is_loaded(
            used in prop::collection::btree_map(any::<String>(), 0_i64..4_000_000_000, 0..5),
            logins in prop::collection::btree_map((any::<bool>(), any::<String>()), 0_i64..4_000_000_000, 0..5),
        ) {
            let at = |second| Timestamp::from_second(second).unwrap();
            let state = State {
                last_used_at: used.into_iter().map(|(name, second)| (ProfileName::new(name), at(second))).collect(),
                logged_in_at: logins
                    .into_iter()
                    .map(|((is_named, text), second)| {
                        (if is_named { LoginKey::Named(text) } else { LoginKey::StartUrl(text) }, at(second))
                    })
                    .collect(),
            };
            prop_assert_eq!(State::from_json(state.to_json().to_string().as_bytes()), Ok(state));
        }
    }
}
