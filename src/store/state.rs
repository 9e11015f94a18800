//! What the agent learned and wants to know after a restart. No secrets.
//!
//! One JSON file with a version. An entry that makes no sense is left out, a field that is not known is
//! ignored; a file of a later version, or one that is no such file at all, is kept aside and the agent
//! starts with nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{StoreError, atomic};
use crate::{
    model::{
        LoginKey, ProfileName,
        learned::{Learned, Observation},
        session::span,
    },
    report::{Code, Report},
};

/// The format. It is raised when an older agent would misread the file, not for each new field.
const VERSION: u64 = 1;

/// How many unreadable files are kept aside: enough to look at, not enough to fill a disk.
const MOST_ASIDE: u32 = 3;

/// The longest name of a person: ARNs, which are longest, have at most 2048 characters (API Reference
/// of IAM, "`arnType`").
const LONGEST_PERSON: usize = 2048;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// When each profile was last asked for.
    pub last_used_at: BTreeMap<ProfileName, Timestamp>,
    /// When a person last logged in.
    pub logged_in_at: BTreeMap<LoginKey, Timestamp>,
    /// When AWS last proved that the session of that login lives. Only where the login itself was seen:
    /// a token that was found is younger than its session, and its end would tell a wrong length.
    pub alive_at: BTreeMap<LoginKey, Timestamp>,
    /// Who logged in, as AWS says it.
    pub person: BTreeMap<LoginKey, String>,
    /// What earlier sessions told about the length of the next.
    pub learned: BTreeMap<LoginKey, Learned>,
}

impl State {
    /// A person was seen to log in at `at`.
    pub fn saw_login(&mut self, login: &LoginKey, at: Timestamp) {
        self.logged_in_at.insert(login.clone(), at);
        self.alive_at.insert(login.clone(), at);
        self.person.remove(login);
    }

    /// A token was found that somebody else got, at `at` or earlier: its session teaches nothing.
    pub fn found_login(&mut self, login: &LoginKey, at: Timestamp) {
        self.forget_session(login);
        self.logged_in_at.insert(login.clone(), at);
    }

    /// AWS renewed the token at `at`.
    pub fn proved_alive(&mut self, login: &LoginKey, at: Timestamp) {
        if let Some(logged_in_at) = self.logged_in_at.get(login)
            && let Some(alive_at) = self.alive_at.get_mut(login)
            && *alive_at < at
        {
            *alive_at = at;
            let alive = span(*logged_in_at, at);
            self.learn(login, |learned| {
                learned.outlived(alive);
            });
        }
    }

    /// AWS refused at `at` to renew the token: the session is over, and nobody logged out of it.
    pub fn refused(&mut self, login: &LoginKey, at: Timestamp) {
        // Taken: a second refusal of the same session is no second end.
        if let Some(alive_at) = self.alive_at.remove(login)
            && let Some(logged_in_at) = self.logged_in_at.get(login)
        {
            let (alive, dead) = (span(*logged_in_at, alive_at), span(*logged_in_at, at));
            self.learn(login, |learned| learned.ended(alive, dead));
        }
    }

    /// Somebody logged out, here or elsewhere: how long the session would have lasted stays unknown.
    pub fn forget_session(&mut self, login: &LoginKey) {
        self.alive_at.remove(login);
        self.person.remove(login);
    }

    /// Returns how long sessions of this sign-in last, where that could be learned.
    pub fn learned_length(&self, login: &LoginKey) -> Option<Duration> {
        self.learned.get(login)?.length()
    }

    fn learn(&mut self, login: &LoginKey, lesson: impl FnOnce(&mut Learned)) {
        let learned = self.learned.entry(login.clone()).or_default();
        lesson(learned);
        if learned.observations().is_empty() {
            self.learned.remove(login);
        }
    }

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
        let known: BTreeSet<&LoginKey> =
            self.logged_in_at.keys().chain(self.person.keys()).chain(self.learned.keys()).collect();
        let logins = |is_wanted: fn(&LoginKey) -> bool| -> Map<_, _> {
            let wanted = known.iter().filter(|key| is_wanted(key));
            wanted.map(|key| (key.to_string(), self.login_to_json(key))).collect()
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
        let mut state = Self::default();
        for (name, entry) in entries(&json, "profiles") {
            if let Some(at) = instant(entry, "last_used_at") {
                state.last_used_at.insert(ProfileName::new(name), at);
            }
        }
        for (name, entry) in entries(&json, "sso_sessions") {
            state.login_from_json(&LoginKey::Named(name.clone()), entry);
        }
        for (url, entry) in entries(&json, "start_urls") {
            state.login_from_json(&LoginKey::StartUrl(url.clone()), entry);
        }
        Ok(state)
    }

    fn login_to_json(&self, key: &LoginKey) -> Value {
        let mut entry = Map::new();
        let mut put = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                entry.insert(field.to_owned(), value);
            }
        };
        put("logged_in_at", self.logged_in_at.get(key).map(|at| json!(at.to_string())));
        put("alive_at", self.alive_at.get(key).map(|at| json!(at.to_string())));
        put("person", self.person.get(key).map(|person| json!(person)));
        let seconds = |end: &Observation| json!({"alive": end.alive().as_secs(), "dead": end.dead().as_secs()});
        let learned = self.learned.get(key);
        put("ends", learned.map(|it| it.observations().iter().map(seconds).collect()));
        Value::Object(entry)
    }

    fn login_from_json(&mut self, key: &LoginKey, entry: &Value) {
        if let Some(at) = instant(entry, "logged_in_at") {
            self.logged_in_at.insert(key.clone(), at);
            if let Some(alive_at) = instant(entry, "alive_at").filter(|alive_at| at <= *alive_at) {
                self.alive_at.insert(key.clone(), alive_at);
            }
        }
        let person = entry.get("person").and_then(Value::as_str);
        let is_name = |name: &&str| {
            !name.is_empty() && name.len() <= LONGEST_PERSON && !name.chars().any(char::is_control)
        };
        if let Some(person) = person.filter(is_name) {
            self.person.insert(key.clone(), person.to_owned());
        }
        let ends = entry.get("ends").and_then(Value::as_array).into_iter().flatten();
        let observed = ends.filter_map(|end| {
            let seconds = |field| end.get(field)?.as_u64().map(Duration::from_secs);
            Observation::new(seconds("alive")?, seconds("dead")?)
        });
        let learned = Learned::from_observations(observed);
        if !learned.observations().is_empty() {
            self.learned.insert(key.clone(), learned);
        }
    }
}

/// Returns the entries of a section; none where it is no section.
fn entries<'a>(json: &'a Value, section: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    json.get(section).and_then(Value::as_object).into_iter().flatten()
}

fn instant(entry: &Value, field: &str) -> Option<Timestamp> {
    entry.get(field)?.as_str()?.parse().ok()
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
            ..State::default()
        }
    }

    /// What a state with everything in it holds of one sign-in.
    fn full() -> State {
        let corp = LoginKey::Named("corp".into());
        let mut full = state();
        full.alive_at.insert(corp.clone(), at("2026-11-24T15:31:00Z"));
        full.person.insert(corp.clone(), "jane@example.com".to_owned());
        full.learned.insert(corp, learned(&[(27_060, 28_860), (27_000, 28_801)]));
        full
    }

    fn learned(ends: &[(u64, u64)]) -> Learned {
        let seconds = Duration::from_secs;
        let end = |(alive, dead): &(u64, u64)| Observation::new(seconds(*alive), seconds(*dead));
        Learned::from_observations(ends.iter().map(|it| end(it).unwrap()))
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
    fn a_full_file_of_the_first_version_loads_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        let text = include_str!("../../tests/data/compat/state-v1.json");
        put(&path, text);
        assert_eq!(State::load(&path), (full(), None));
        full().save(&path).unwrap();
        let (written, kept): (Value, Value) = (
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap(),
            serde_json::from_str(text).unwrap(),
        );
        assert_eq!(written, kept);
    }

    #[test]
    fn what_makes_no_sense_of_a_sign_in_is_left_out() {
        let long = "x".repeat(LONGEST_PERSON + 1);
        for entry in [
            // Nobody was alive before the login, or without one.
            r#"{"logged_in_at":"2026-11-24T08:00:00Z","alive_at":"2026-11-24T07:59:59Z"}"#,
            r#"{"logged_in_at":"2026-11-24T08:00:00Z","alive_at":"soon","person":7,"ends":{}}"#,
            r#"{"logged_in_at":"2026-11-24T08:00:00Z","person":"a\u001b[31m","ends":[1,{},[]]}"#,
            r#"{"logged_in_at":"2026-11-24T08:00:00Z","person":"","ends":[]}"#,
            // Reversed, wide, too long, below nothing, no number.
            r#"{"logged_in_at":"2026-11-24T08:00:00Z","ends":[
                {"alive":28860,"dead":27060},{"alive":0,"dead":28860},
                {"alive":99999999,"dead":99999999},{"alive":-1,"dead":900},
                {"alive":18446744073709551615,"dead":18446744073709551615},{"alive":"1","dead":900},
                {"alive":28000}]}"#,
            &format!(r#"{{"logged_in_at":"2026-11-24T08:00:00Z","person":"{long}"}}"#),
        ] {
            let text = format!(r#"{{"version":1,"sso_sessions":{{"corp":{entry}}}}}"#);
            let found = State::from_json(text.as_bytes()).unwrap();
            let corp = LoginKey::Named("corp".into());
            let only = State {
                logged_in_at: [(corp, at("2026-11-24T08:00:00Z"))].into(),
                ..State::default()
            };
            assert_eq!(found, only, "{entry}");
        }
        let text = r#"{"version":1,"start_urls":{"u":{"alive_at":"2026-11-24T07:59:59Z"}}}"#;
        assert_eq!(State::from_json(text.as_bytes()), Ok(State::default()));
        let text = format!(
            r#"{{"version":1,"start_urls":{{"u":{{"person":"{}","ends":[{}]}}}}}}"#,
            &long[1..],
            vec![r#"{"alive":27060,"dead":28860}"#; 50].join(",")
        );
        let found = State::from_json(text.as_bytes()).unwrap();
        let key = LoginKey::StartUrl("u".into());
        assert_eq!(found.person[&key].len(), LONGEST_PERSON);
        assert_eq!(found.learned[&key].observations().len(), 8);
        let alone = State { learned: BTreeMap::new(), ..found };
        assert_eq!(State::from_json(alone.to_json().to_string().as_bytes()), Ok(alone));
    }

    #[test]
    fn the_life_of_a_session() {
        let corp = LoginKey::Named("corp".into());
        let mut state = State::default();
        for day in ["2026-11-23", "2026-11-24"] {
            let at = |time: &str| at(&format!("{day}T{time}Z"));
            state.saw_login(&corp, at("08:00:00"));
            state.person.insert(corp.clone(), "jane".to_owned());
            state.proved_alive(&corp, at("08:30:00"));
            state.proved_alive(&corp, at("15:31:00"));
            // The clock was set back.
            state.proved_alive(&corp, at("12:00:00"));
            assert_eq!(state.alive_at[&corp], at("15:31:00"));
            state.refused(&corp, at("16:01:00"));
            state.refused(&corp, at("16:02:00"));
        }
        assert_eq!(state.learned[&corp], learned(&[(27_060, 28_860), (27_060, 28_860)]));
        assert_eq!(state.learned_length(&corp), Some(Duration::from_hours(8)));
        assert_eq!(state.learned_length(&LoginKey::StartUrl("corp".into())), None);
        // Who it was is known until the next login.
        assert_eq!(state.person[&corp], "jane");

        state.saw_login(&corp, at("2026-11-25T08:00:00Z"));
        assert!(state.person.is_empty());
        state.proved_alive(&corp, at("2026-11-25T17:00:00Z"));
        assert_eq!(state.learned_length(&corp), None, "disproved");
        assert!(state.learned.is_empty());
    }

    /// Logged out here or elsewhere, logged in again over a session that lived, or found: no end.
    #[test]
    fn what_is_no_end() {
        let corp = LoginKey::Named("corp".into());
        for (how, event) in [
            ("out", State::forget_session as fn(&mut State, &LoginKey)),
            ("in again", |state, corp| {
                state.saw_login(corp, at("2026-11-24T15:40:00Z"));
                state.proved_alive(corp, at("2026-11-24T15:59:00Z"));
                assert_eq!(state.alive_at[corp], at("2026-11-24T15:59:00Z"));
                state.forget_session(corp);
            }),
            ("found", |state, corp| {
                state.found_login(corp, at("2026-11-24T15:40:00Z"));
                assert_eq!(state.logged_in_at[corp], at("2026-11-24T15:40:00Z"));
                state.proved_alive(corp, at("2026-11-24T15:59:00Z"));
            }),
        ] {
            let mut state = State::default();
            state.saw_login(&corp, at("2026-11-24T08:00:00Z"));
            state.person.insert(corp.clone(), "jane".to_owned());
            state.proved_alive(&corp, at("2026-11-24T15:31:00Z"));
            event(&mut state, &corp);
            state.refused(&corp, at("2026-11-24T16:01:00Z"));
            let left = (state.alive_at.len(), state.person.len(), state.learned.len());
            assert_eq!(left, (0, 0, 0), "{how}");
        }
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
            alive in prop::option::of(0_i64..4_000_000_000),
            person in prop::option::of("[^\\pC]{1,40}"),
            ends in prop::collection::vec((27_000_u64..28_000, 28_000_u64..30_000), 0..10),
        ) {
            let at = |second| Timestamp::from_second(second).unwrap();
            let mut state = State {
                last_used_at: used.into_iter().map(|(name, second)| (ProfileName::new(name), at(second))).collect(),
                logged_in_at: logins
                    .into_iter()
                    .map(|((is_named, text), second)| {
                        (if is_named { LoginKey::Named(text) } else { LoginKey::StartUrl(text) }, at(second))
                    })
                    .collect(),
                ..State::default()
            };
            if let Some((key, logged_in_at)) = state.logged_in_at.first_key_value() {
                let is_later = |alive_at: &Timestamp| logged_in_at <= alive_at;
                state.alive_at.extend(alive.map(at).filter(is_later).map(|at| (key.clone(), at)));
                state.person.extend(person.map(|person| (key.clone(), person)));
                if !ends.is_empty() {
                    state.learned.insert(key.clone(), learned(&ends));
                }
            }
            prop_assert_eq!(State::from_json(state.to_json().to_string().as_bytes()), Ok(state));
        }
    }
}
