//! The rules of the house. Each failure names the file, the line and the rule.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::source::{Named, Source, read, root, rust_files};

/// Who may use whom: a room, and the rooms that it may name. The order is that of reading: what a
/// room uses comes before it. ARCHITECTURE.md says why.
const ROOMS: [(&str, &[&str]); 15] = [
    ("model", &["report"]),
    ("report", &["model"]),
    ("config", &["model", "report"]),
    ("ipc", &["model", "report"]),
    ("platform", &[]),
    ("clock", &["platform"]),
    ("pace", &[]),
    ("notify", &["model"]),
    ("store", &["config", "model", "report"]),
    ("aws", &["model", "report"]),
    ("program", &["config", "model", "platform", "report"]),
    ("world", &["clock", "config", "store", "aws", "program", "notify", "pace", "model", "report"]),
    (
        "agent",
        &[
            "world", "clock", "config", "ipc", "store", "aws", "program", "notify", "pace",
            "platform", "model", "report",
        ],
    ),
    ("cli", &["ipc", "config", "store", "model", "report"]),
    // The crate's root only lists the rooms.
    ("lib", &[]),
];

/// Crates that only some rooms may name, outside of tests.
const CRATES: [(&[&str], &[&str], &str); 9] = [
    (
        &["aws_*", "ring", "rustls", "rustls_*", "hyper", "hyper_*", "http_body", "http_body_util"],
        &["aws"],
        "only `aws` talks to AWS",
    ),
    (
        &["tokio", "tokio_util", "tracing", "tracing_subscriber"],
        &["aws", "clock", "pace", "platform", "program", "notify", "store", "world", "agent"],
        "the client has no async runtime",
    ),
    (&["notify"], &["agent"], "only the agent watches files"),
    (&["httparse"], &["agent"], "only the agent's endpoint is asked over HTTP"),
    (&["notify_rust"], &["notify"], "only `notify` talks to the desktop"),
    (&["zbus"], &["store"], "only `store` talks to the key store"),
    (&["clap", "clap_complete", "unicode_width"], &["cli"], "only `cli` talks to people"),
    (&["toml", "directories"], &["config"], "only `config` knows where and how settings are kept"),
    (&["sha1"], &["store"], "only `store` names the AWS CLI's files"),
];

/// What `model` may name besides `std`.
const MODEL_CRATES: [&str; 6] =
    ["jiff", "shlex", "thiserror", "strsim", "unicode_width", "zeroize"];

/// Files of `model` that may also name a crate that reads a format.
const MODEL_FORMATS: [(&str, &str); 3] = [
    ("src/model/kubeconfig.rs", "serde_yaml_ng"),
    ("src/model/foreign/tree.rs", "granit_parser"),
    ("src/model/foreign/lint/certificate.rs", "base64"),
];

/// What of `store` the client may name: it is for files that belong to the person.
const CLIENTS_STORE: [&str; 3] = ["person_kubeconfig", "kubeconfig_lock", "StoreError"];

/// Parts of `std` that touch the world.
const STD_IMPURE: [&str; 7] = ["fs", "env", "net", "process", "io", "thread", "os"];

/// The one file with `unsafe` in it.
const UNSAFE_FILE: &str = "src/platform.rs";

/// A longer file probably holds two things.
const LONGEST_FILE: usize = 600;

/// Reasons for which a test may stand aside: another test runs it in a process of its own, or it only
/// prints a figure.
const IGNORED: [&str; 2] = ["ignore = \"run by ", "ignore = \"measures; asserts nothing\""];

#[derive(Default)]
struct Findings(String);

impl Findings {
    fn add(&mut self, place: &str, line: usize, rule: &str) {
        writeln!(self.0, "{place}:{line}: {rule}").unwrap();
    }

    #[track_caller]
    fn none(self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}

fn room_of(source: &Source) -> String {
    source.module().into_iter().next().unwrap_or_else(|| "lib".to_owned())
}

/// The programs may name every room: they only start one.
fn is_program(source: &Source) -> bool {
    source.path == "src/main.rs" || source.path.starts_with("src/bin/")
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// Returns what is wrong with naming `named` in `room`.
fn broken_rule(room: &str, named: &Named, crates: &BTreeSet<String>) -> Option<String> {
    let first = named.segments[0].as_str();
    if first == "crate" {
        let other = named.segments[1].as_str();
        let (_, may) = ROOMS.iter().find(|(name, _)| *name == room)?;
        let is_room = ROOMS.iter().any(|(name, _)| *name == other);
        let part = named.segments.get(2).map(String::as_str).unwrap_or_default();
        if (room, other) == ("cli", "store") && !CLIENTS_STORE.contains(&part) {
            let parts = CLIENTS_STORE.join(", ");
            return Some(format!("`cli` may use `store` for the person's files: {parts}"));
        }
        if !is_room || other == room || may.contains(&other) {
            return None;
        }
        let may = if may.is_empty() { "no other room".to_owned() } else { may.join(", ") };
        return Some(format!("`{room}` may use {may}; not `{other}`"));
    }
    if named.in_tests || !crates.contains(first) {
        return None;
    }
    CRATES.iter().find_map(|(crates, rooms, why)| {
        let is_meant = crates.iter().any(|pattern| matches(pattern, first));
        (is_meant && !rooms.contains(&room))
            .then(|| format!("{why}: `{first}` may be named by {}", rooms.join(", ")))
    })
}

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let mut findings = Findings::default();
    let crates = dependencies();
    for source in rust_files("src") {
        let room = room_of(&source);
        if is_program(&source) {
            continue;
        }
        if !ROOMS.iter().any(|(name, _)| *name == room) {
            findings.add(
                &source.path,
                1,
                "a room that the table in tests/it/tidy.rs does not know",
            );
        }
        for named in source.paths() {
            if let Some(rule) = broken_rule(&room, &named, &crates) {
                findings.add(&source.path, named.line, &rule);
            }
        }
    }
    findings.none();
}

#[test]
fn the_table_would_find_something() {
    let named = |path: &str| Named {
        segments: path.split("::").map(str::to_owned).collect(),
        line: 1,
        in_tests: false,
    };
    for (room, path, expected) in [
        ("model", "crate::store::atomic", Some("`model` may use report; not `store`")),
        ("cli", "crate::aws::Aws", Some("may use ipc, config, store, model, report; not `aws`")),
        ("cli", "crate::store::person_kubeconfig::edit", None),
        ("cli", "crate::store::state::State", Some("`cli` may use `store` for the person's files")),
        ("cli", "crate::cli::args", None),
        ("agent", "crate::cli::args", Some("not `cli`")),
        ("agent", "aws_sdk_sts::Client", Some("only `aws` talks to AWS")),
        ("world", "aws_config::load", Some("only `aws` talks to AWS")),
        ("aws", "aws_config::load", None),
        ("notify", "zbus::Connection", Some("only `store` talks to the key store")),
        ("ipc", "tokio::net", Some("the client has no async runtime")),
        ("agent", "crate::model::Chain", None),
    ] {
        let rule = broken_rule(room, &named(path), &dependencies());
        match expected {
            Some(part) => assert!(rule.as_ref().is_some_and(|it| it.contains(part)), "{rule:?}"),
            None => assert_eq!(rule, None, "{room} {path}"),
        }
    }
}

#[test]
fn the_model_is_pure() {
    let mut findings = Findings::default();
    let dependencies = dependencies();
    for source in rust_files("src/model") {
        for named in source.paths().iter().filter(|named| !named.in_tests) {
            let first = named.segments[0].as_str();
            let second = named.segments[1].as_str();
            if first == "std" && STD_IMPURE.contains(&second) {
                let rule = format!("`model` does no I/O and asks nobody: not `std::{second}`");
                findings.add(&source.path, named.line, &rule);
            }
            let may = MODEL_CRATES.contains(&first)
                || MODEL_FORMATS.contains(&(source.path.as_str(), first));
            if dependencies.contains(first) && !may {
                let rule = format!("`model` may use {}; not `{first}`", MODEL_CRATES.join(", "));
                findings.add(&source.path, named.line, &rule);
            }
        }
        for word in ["SystemTime", "Instant"] {
            for line in source.lines_with(&[word]) {
                findings.add(&source.path, line, "`now` is an argument in `model`");
            }
        }
        for line in source.lines_with(&["now", "("]) {
            findings.add(&source.path, line, "`now` is an argument in `model`, never asked for");
        }
        for word in ["Serialize", "Deserialize", "serde"] {
            for line in source.lines_with(&[word]) {
                let rule = "types of `model` are not serialisable: `ipc::wire` and `store` convert";
                findings.add(&source.path, line, rule);
            }
        }
        for line in source.lines_with(&["async"]) {
            findings.add(&source.path, line, "nothing in `model` waits");
        }
    }
    findings.none();
}

/// Returns the crates that the manifest names, as they are named in source.
fn dependencies() -> BTreeSet<String> {
    let manifest: serde_json::Value = toml::from_str(&read("Cargo.toml")).unwrap();
    let targets = manifest["target"].as_object().unwrap().values();
    let tables = std::iter::once(&manifest).chain(targets);
    let tables = tables.filter_map(|table| table["dependencies"].as_object());
    tables.flat_map(|table| table.keys()).map(|name| name.replace('-', "_")).collect()
}

#[test]
fn unsafe_code_is_in_one_file() {
    let mut findings = Findings::default();
    for source in rust_files("src").iter().chain(&rust_files("tests")) {
        if source.path == UNSAFE_FILE {
            continue;
        }
        for line in source.all_lines_with(&["unsafe"]) {
            findings.add(&source.path, line, "`unsafe` is only in src/platform.rs");
        }
    }
    findings.none();
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut findings = Findings::default();
    for source in rust_files("src").iter().chain(&rust_files("tests")) {
        let lines = source.text.lines().count();
        if LONGEST_FILE < lines {
            let rule =
                format!("a file has at most {LONGEST_FILE} lines; this one holds two things");
            findings.add(&source.path, lines, &rule);
        }
        if !source.text.starts_with("//!") {
            findings.add(&source.path, 1, "a file opens with `//!`: what it is for");
        }
    }
    findings.none();
}

#[test]
fn nothing_is_left_for_later() {
    let mut findings = Findings::default();
    let fix_me = ["FIX", "ME"].concat();
    for source in rust_files("src").iter().chain(&rust_files("tests")) {
        for word in ["todo", "unimplemented", "dbg"] {
            for line in source.all_lines_with(&[word, "!"]) {
                findings.add(
                    &source.path,
                    line,
                    &format!("no `{word}!`: finish it, or open an issue"),
                );
            }
        }
        for line in source.all_lines_with(&["#", "[", "ignore"]) {
            let text = source.text.lines().nth(line - 1).unwrap_or_default();
            if !IGNORED.iter().any(|reason| text.contains(reason)) {
                let rule = format!("a test that is not run protects nobody, unless it {IGNORED:?}");
                findings.add(&source.path, line, &rule);
            }
        }
        for (at, line) in source.text.lines().enumerate() {
            if line.contains(&fix_me) {
                findings.add(
                    &source.path,
                    at + 1,
                    &format!("no {fix_me}: fix it, or open an issue"),
                );
            }
        }
    }
    findings.none();
}

#[test]
fn every_room_has_its_place_in_the_architecture() {
    let architecture = read("ARCHITECTURE.md");
    let mut findings = Findings::default();
    for (room, _) in ROOMS.iter().filter(|(room, _)| *room != "lib") {
        let is_there = root().join(format!("src/{room}.rs")).exists()
            || root().join(format!("src/{room}/mod.rs")).exists();
        if !is_there {
            findings.add("tests/it/tidy.rs", 1, &format!("there is no room `{room}` in src"));
        }
        let heading = format!("\n### `{room}`\n");
        let Some((_, text)) = architecture.split_once(&heading) else {
            findings.add("ARCHITECTURE.md", 1, &format!("the room `{room}` has no section"));
            continue;
        };
        let section = text.split("\n#").next().unwrap_or_default();
        if !section.contains("**Invariant:**") {
            findings.add("ARCHITECTURE.md", 1, &format!("the room `{room}` has no **Invariant:**"));
        }
    }
    findings.none();
}

/// A change of the protocol that its description does not know is found here.
#[test]
fn the_protocol_is_described() {
    let wire = read("src/ipc/wire.rs");
    let described = read("docs/protocol.md");
    let mut findings = Findings::default();
    let mut is_flat = false;
    for (at, line) in wire.lines().enumerate() {
        let line = line.trim();
        let was_flat = std::mem::replace(&mut is_flat, line == "#[serde(flatten)]");
        let method = line.strip_prefix("#[serde(rename = \"").and_then(|it| it.split('"').next());
        if let Some(method) = method
            && !described.contains(&format!("### `{method}`"))
        {
            let rule = format!("docs/protocol.md has no section `{method}`");
            findings.add("src/ipc/wire.rs", at + 1, &rule);
        }
        let field = line
            .strip_prefix("pub ")
            .filter(|it| !was_flat && !it.contains('('))
            .and_then(|it| it.split_once(": "))
            .map(|(field, _)| field);
        if let Some(field) = field
            && !described.contains(&format!("`{field}`"))
            && !described.contains(&format!("\"{field}\""))
        {
            let rule = format!("docs/protocol.md does not mention the field `{field}`");
            findings.add("src/ipc/wire.rs", at + 1, &rule);
        }
    }
    for code in codes() {
        if !described.contains(&format!("| `{code}` |")) {
            findings.add("src/report.rs", 1, &format!("docs/protocol.md does not list `{code}`"));
        }
    }
    findings.none();
}

/// Returns the report codes as they are on the wire.
fn codes() -> Vec<String> {
    let report = read("src/report.rs");
    let (_, body) = report.split_once("pub enum Code {").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let variants = body.lines().map(str::trim).filter(|line| !line.starts_with("///"));
    variants
        .filter_map(|line| line.strip_suffix(','))
        .map(|variant| {
            let mut code = String::new();
            for c in variant.chars() {
                if c.is_uppercase() && !code.is_empty() {
                    code.push('-');
                }
                code.extend(c.to_lowercase());
            }
            code
        })
        .collect()
}

#[test]
fn the_codes_are_as_serde_writes_them() {
    for code in codes() {
        let read: eksd::report::Code = serde_json::from_value(code.clone().into()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), code);
    }
}
