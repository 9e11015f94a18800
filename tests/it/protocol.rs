//! Replays the worked exchange of `docs/protocol.md` against a real agent.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::source::read;

/// Stands in the document for what differs from run to run.
const ANY: &str = "<any>";

/// Returns the first block of `docs/protocol.md` that is fenced as `kind`.
#[track_caller]
fn block(kind: &str) -> String {
    let document = read("docs/protocol.md");
    let (_, rest) = document
        .split_once(&format!("\n```{kind}\n"))
        .unwrap_or_else(|| panic!("docs/protocol.md has no `{kind}` block"));
    rest.split("\n```").next().unwrap().to_owned()
}

/// A home with the document's AWS config, and an agent for one client in it.
struct Room {
    _home: TempDir,
    agent: Child,
}

impl Drop for Room {
    fn drop(&mut self) {
        drop(self.agent.kill());
        drop(self.agent.wait());
    }
}

fn room() -> Room {
    let home = TempDir::new().unwrap();
    fs::create_dir(home.path().join(".aws")).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
    fs::write(home.path().join(".aws/config"), block("ini")).unwrap();
    let agent = Command::new(env!("CARGO_BIN_EXE_eksd-agent"))
        .arg("once")
        .env_clear()
        .env("HOME", home.path())
        // Nobody listens there: a call that should not be made fails at once.
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Room { _home: home, agent }
}

#[test]
fn the_worked_exchange_is_true() {
    let mut room = room();
    let mut stdin = room.agent.stdin.take().unwrap();
    let mut stdout = BufReader::new(room.agent.stdout.take().unwrap());
    let mut said = 0;
    for line in block("text").lines() {
        if let Some(request) = line.strip_prefix("→ ") {
            writeln!(stdin, "{request}").unwrap();
        } else if let Some(expected) = line.strip_prefix("← ") {
            let mut answer = String::new();
            stdout.read_line(&mut answer).unwrap();
            let Ok(answer) = serde_json::from_str::<Value>(&answer) else {
                drop(stdin);
                let mut log = String::new();
                room.agent.stderr.take().unwrap().read_to_string(&mut log).unwrap();
                panic!("the agent said `{answer}`\n{log}");
            };
            let expected: Value = serde_json::from_str(expected).unwrap();
            let difference = difference("", &expected, &answer);
            assert_eq!(
                difference, None,
                "\nin the document: {expected}\nthe agent:       {answer}"
            );
            said += 1;
        } else {
            assert!(line.is_empty(), "neither a request nor an answer: {line}");
        }
    }
    assert!(5 <= said, "only {said} answers");
}

/// Returns where `actual` differs from `expected`.
fn difference(place: &str, expected: &Value, actual: &Value) -> Option<String> {
    match (expected, actual) {
        (Value::String(any), actual) if any == ANY && !actual.is_null() => None,
        (Value::Object(left), Value::Object(right)) => {
            let extra = right.keys().find(|key| !left.contains_key(*key));
            if let Some(key) = extra {
                return Some(format!("{place}.{key} is not in the document"));
            }
            left.iter().find_map(|(key, value)| {
                let other = right.get(key).unwrap_or(&Value::Null);
                difference(&format!("{place}.{key}"), value, other)
            })
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => left
            .iter()
            .zip(right)
            .enumerate()
            .find_map(|(at, (left, right))| difference(&format!("{place}[{at}]"), left, right)),
        (left, right) => (left != right).then(|| format!("{place}: {left} is {right}")),
    }
}

#[test]
fn differences_are_seen() {
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    for (expected, actual, found) in [
        (r#"{"a": "<any>"}"#, r#"{"a": 1}"#, None),
        (r#"{"a": "<any>"}"#, r#"{"a": null}"#, Some(".a: \"<any>\" is null")),
        (r#"{"a": 1}"#, r#"{"a": 1, "b": 2}"#, Some(".b is not in the document")),
        (r#"{"a": [1, 2]}"#, r#"{"a": [1, 3]}"#, Some(".a[1]: 2 is 3")),
        (r#"{"a": [1]}"#, r#"{"a": []}"#, Some(".a: [1] is []")),
    ] {
        assert_eq!(
            difference("", &value(expected), &value(actual)).as_deref(),
            found,
            "{expected}"
        );
    }
}
