//! The AWS files as people write them, and as the AWS CLI reads them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn config(text: &str) -> AwsFiles {
    parse(Some(("~/.aws/config", text.as_bytes())), None)
}

/// `line: what [who]` of each finding.
fn findings(files: &AwsFiles) -> Vec<String> {
    let shown = |finding: &Finding| {
        let Finding { origin, what, refused_by } = finding;
        if refused_by.is_empty() {
            format!("{}: {what}", origin.line)
        } else {
            format!("{}: {what} [{}]", origin.line, refused_by.join(", "))
        }
    };
    files.findings.iter().map(shown).collect()
}

/// A section as botocore's `full_config` has it.
fn as_json(section: &Section) -> Json {
    let value = |entry: &Entry| match &entry.value {
        Value::Plain(text) => json!(text),
        Value::Secret(secret) => json!(secret.expose()),
        Value::Block(block) => json!(block),
    };
    section.keys.iter().map(|(key, entry)| (key.clone(), value(entry))).collect()
}

fn profiles(files: &AwsFiles) -> Json {
    files.profiles.iter().map(|(name, section)| (name.to_string(), as_json(section))).collect()
}

/// What is kept of the files that botocore refuses, and so has no result for.
/// Case, profiles that are kept, line of the finding.
const REFUSED_BY_THE_CLI: [(&str, &str, u32); 6] = [
    // Merged, the later key wins: as all SDKs have it.
    ("same profile twice in one file", r#"{"dev": {"a": "2", "b": "1", "c": "3"}}"#, 4),
    // The later wins: as all SDKs have it.
    ("same key twice in one section", r#"{"dev": {"a": "2"}}"#, 3),
    // Only the line is lost.
    ("line with no equals sign", r#"{"dev": {}}"#, 2),
    // Only the key is lost.
    ("property before any section", r#"{"dev": {"b": "1"}}"#, 1),
    // The section is lost: guessing where its name ends could give keys to another profile.
    ("unclosed section header", "{}", 1),
    // The mark is skipped: as the JavaScript SDK does.
    ("byte-order mark", r#"{"dev": {"a": "1"}}"#, 1),
];

#[test]
fn the_aws_cli_agrees() {
    let vectors = include_str!("../../../tests/data/aws/config-parse.json");
    let vectors: Json = serde_json::from_str(vectors).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 32);
    for case in cases {
        let name = case["case"].as_str().unwrap();
        let text = |key: &str| case[key].as_str().unwrap().as_bytes();
        let files = parse(
            Some(("~/.aws/config", text("config"))),
            Some(("~/.aws/credentials", text("credentials"))),
        );
        let readers = case["results"].as_object().unwrap();
        let by =
            |reader: &str| readers.iter().find(|(name, _)| name.starts_with(reader)).unwrap().1;
        let (cli, rust) = (by("botocore"), by("aws-runtime"));

        let refused = REFUSED_BY_THE_CLI.iter().find(|(refused, ..)| *refused == name);
        if let Some((_, expected, line)) = refused {
            assert!(cli.get("error").is_some(), "{name}");
            let expected: Json = serde_json::from_str(expected).unwrap();
            assert_eq!(profiles(&files), expected, "{name}");
            let finding = files.findings.iter().find(|finding| finding.origin.line == *line);
            assert!(finding.is_some_and(|finding| finding.refused_by.contains(&AWS_CLI)), "{name}");
        } else {
            assert_eq!(profiles(&files), cli["profiles"], "{name}");
            let sessions: Vec<_> = files.sso_sessions.keys().collect();
            assert_eq!(json!(sessions), cli["sso_sessions"], "{name}");
            let services: Json = files
                .services
                .iter()
                .map(|(name, section)| (name.clone(), as_json(section)))
                .collect();
            assert_eq!(services, cli["services"], "{name}");
        }
        for (reader, result) in [(AWS_CLI, cli), (RUST_SDK, rust)] {
            let said = files.findings.iter().any(|finding| finding.refused_by.contains(&reader));
            assert_eq!(said, result.get("error").is_some(), "{name}: {reader}");
        }
        // aws-runtime counts lines as well: `… on line N:`.
        if let Some(line) = rust["error"].as_str().and_then(|error| error.split("on line ").nth(1))
        {
            let line = line.split(':').next().unwrap().parse::<u32>().unwrap();
            let mut lines = files.findings.iter().filter(|finding| finding.origin.line == line);
            assert!(lines.any(|finding| finding.refused_by.contains(&RUST_SDK)), "{name}");
        }
    }
}

/// The one place where the CLI reads a file and eksd reads it otherwise. Inside a section the CLI takes
/// an unclosed header with a `=` or `:` in it for a key named `[profile b`, and the keys below for keys of
/// the section above: another profile's role or region under this name. Here they are lost.
#[test]
fn an_unclosed_header_gives_no_keys_to_the_section_above() {
    let files =
        config("[profile a]\nregion = eu\n[profile b:\nregion = us\n[profile c]\nregion = ap\n");
    assert_eq!(profiles(&files), json!({"a": {"region": "eu"}, "c": {"region": "ap"}}));
    assert_eq!(
        findings(&files),
        ["3: the section header is not closed with `]`; the keys under it are lost [Rust SDK]"]
    );
}

#[test]
fn findings_name_line_and_reader() {
    for (text, expected) in [
        ("[profile a]\nregion = x\n", &[][..]),
        ("[dev]\n", &["1: `[dev]` is not a profile: in this file it is written `[profile dev]`"]),
        ("[plugins]\nx = y\n", &[]),
        (
            "[Profile dev]\n",
            &[
                "1: `[Profile dev]` is not read: write `[profile …]`, in lower case and without blanks before it",
            ],
        ),
        (
            "[profile my dev]\n",
            &[
                "1: the header `[profile my dev]` names more than one word: write the name with `-` for blanks",
            ],
        ),
        ("[profile]\n", &["1: the header `[profile]` names nothing"]),
        ("[profile \"dev]\n", &["1: a quote in the header `[profile \"dev]` is not closed"]),
        ("[profile \"dev\"]\n", &["1: the Rust SDK does not see the section `[profile \"dev\"]`"]),
        ("[profiles dev]\n", &["1: the Rust SDK does not see the section `[profiles dev]`"]),
        (
            "[profile a]\nregion = x # y\n",
            &["2: the AWS CLI takes the comment as part of the value of `region`, the SDKs do not"],
        ),
        (
            "[default]\na = 1\n[profile default]\na = 2\n",
            &["3: the same section, written differently, stands in line 1; only this one counts"],
        ),
        (
            "[profile default]\na = 1\n[default]\na = 2\n",
            &[
                "3: the same section, written differently, stands in line 1; the AWS CLI takes only this one, the Rust SDK only that one",
            ],
        ),
        (
            "[profile a]\nb = 1\nb = 2\n",
            &[
                "3: the key stands a second time, first in line 2; the later value is taken [AWS CLI]",
            ],
        ),
        ("[profile a]\nb: 1\n", &["2: the line has no `=` [Rust SDK]"]),
        ("[profile a]\n  b = 1\n  c = 1\n", &["2: an indented line belongs to no key [Rust SDK]"]),
        ("[profile a]\n= 1\n", &["2: there is no key before the `=` [AWS CLI, Rust SDK]"]),
        ("[profile a]\nsome key = 1\n", &["2: the Rust SDK ignores the key `some key`"]),
        (
            "[profile a]\ns3 =\n  a = 1\n  nonsense\n  b = 2\n",
            &["4: a line in an indented block is not `key = value` [AWS CLI, Rust SDK]"],
        ),
        (
            "[profile a]\ns3 =\n  # why\n  a = 1\n",
            &["3: a line in an indented block is not `key = value` [Rust SDK]"],
        ),
        (
            "a = 1\nb = 1\n",
            &["1: keys before the first section belong to nothing [AWS CLI, Rust SDK]"],
        ),
        (
            "[profile a]\n[profile b\nc = 1\nd\n",
            &[
                "2: the section header is not closed with `]`; the keys under it are lost [AWS CLI, Rust SDK]",
            ],
        ),
    ] {
        assert_eq!(findings(&config(text)), expected, "{text}");
    }
}

#[test]
fn one_bad_line_loses_only_itself() {
    let files = config(
        "[profile a]\nregion = 1\nnonsense\n  nonsense = more\noutput = json\n[profile b\nregion = 2\n[profile c]\nregion = 3\n",
    );
    assert_eq!(
        profiles(&files),
        json!({"a": {"region": "1", "output": "json"}, "c": {"region": "3"}})
    );
}

#[test]
fn a_block_keeps_its_good_lines() {
    let files = config("[profile a]\ns3 =\n  a = 1\n  nonsense\n\n  b = x = y\n");
    assert_eq!(profiles(&files), json!({"a": {"s3": {"a": "1", "b": "x = y"}}}));
}

#[test]
fn origins_are_those_of_the_file_that_won() {
    let files = parse(
        Some(("CONFIG", b"# 1\n[profile dev]\nregion = eu\naws_access_key_id = A\n")),
        Some(("CREDENTIALS", b"[dev]\naws_access_key_id = B\n[only]\n")),
    );
    let dev = &files.profiles["dev"];
    assert_eq!(dev.origin.to_string(), "CONFIG:2");
    assert_eq!(dev.origin_of("region").to_string(), "CONFIG:3");
    assert_eq!(dev.origin_of("aws_access_key_id").to_string(), "CREDENTIALS:2");
    assert_eq!(dev.origin_of("aws_access_key_id").kind, FileKind::Credentials);
    assert_eq!(dev.get("aws_access_key_id"), Some("B"));
    assert_eq!(files.profiles["only"].origin.to_string(), "CREDENTIALS:3");
}

#[test]
fn what_does_not_count_leaves_its_place() {
    let files = parse(
        Some((
            "CONFIG",
            b"[default]\nregion = a\noutput = b\n[profile default]\nregion = c\nregion = d\n\
              [DEFAULT]\nregion = e\n[profile x]\nregion = f\n",
        )),
        Some(("CREDENTIALS", b"[default]\nregion = g\nregion = h\n")),
    );
    let places = |profile: &str, key: &str| -> (String, Vec<String>) {
        let entry = &files.profiles[profile].keys[key];
        (entry.origin.to_string(), entry.shadows.iter().map(ToString::to_string).collect())
    };
    let owned = |places: &[&str]| places.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        places("default", "region"),
        (
            "CREDENTIALS:3".into(),
            // `[DEFAULT]` once for each section that it would have been copied into.
            owned(&["CONFIG:8", "CONFIG:2", "CONFIG:8", "CONFIG:5", "CONFIG:6", "CREDENTIALS:2"]),
        )
    );
    assert_eq!(places("x", "region"), ("CONFIG:10".into(), owned(&["CONFIG:8"])));
    // A key that only the section without effect has is no key of the profile.
    assert!(!files.profiles["default"].keys.contains_key("output"));
}

#[test]
fn secrets_are_secret_and_findings_never_quote_values() {
    let text = "[default]\naws_secret_access_key = hunter2 # note\naws_session_token = hunter2\n\
                aws_security_token =\n  hunter2=\nhunter2\n  hunter2\naws_secret_access_key = hunter2\n";
    let files = parse(None, Some(("x", text.as_bytes())));
    assert!(!format!("{files:?}").contains("hunter2"), "{files:?}");
    assert_eq!(files.findings.len(), 4, "{:?}", files.findings);
    assert_eq!(files.profiles["default"].secret("aws_session_token").unwrap().expose(), "hunter2");
}

#[test]
fn default_in_capitals_is_inherited_as_python_does_it() {
    let files = config("[DEFAULT]\nregion = eu\n[profile a]\n[profile b]\nregion = us\n");
    assert_eq!(profiles(&files), json!({"a": {"region": "eu"}, "b": {"region": "us"}}));
}

#[test]
fn any_line_end_will_do() {
    let files = config("[profile a]\r\nb = 1\r  two\nc = 3\r\n");
    assert_eq!(profiles(&files), json!({"a": {"b": "1\ntwo", "c": "3"}}));
    assert_eq!(files.profiles["a"].origin_of("c").line, 4);
}

#[test]
fn bytes_that_are_not_text_cost_their_line_only() {
    let files = parse(Some(("x", b"[profile a]\nb = \xff1\nc = 2\n")), None);
    assert_eq!(profiles(&files), json!({"a": {"b": "\u{fffd}1", "c": "2"}}));
    assert_eq!(findings(&files), ["2: the line is not UTF-8 [AWS CLI, Rust SDK]"]);
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let mut text = b"[profile a]\n".to_vec();
    text.resize(LARGEST_FILE, b'\n');
    assert_eq!(parse(Some(("x", &text)), None).profiles.len(), 1);
    text.push(b'\n');
    let files = parse(Some(("x", &text)), None);
    assert_eq!(files.profiles.len(), 0);
    assert_eq!(findings(&files), ["1: the file is larger than 4 MiB and is not read"]);
}

#[test]
fn nonsense_is_not_repeated_for_ever() {
    let text = format!("[profile a]\n{}b: 1\n", "nonsense\n".repeat(500));
    let files = config(&text);
    assert_eq!(files.findings.len(), MOST_FINDINGS + 1);
    assert_eq!(
        findings(&files).last().unwrap(),
        "102: 401 more lines are at fault [AWS CLI, Rust SDK]"
    );
}

#[test]
fn files_on_disk() {
    let home = tempfile::tempdir().unwrap();
    let paths = Paths::new(&super::super::Env::from_map([("HOME", home.path())])).unwrap();
    assert_eq!(read(&paths), (AwsFiles::default(), Vec::new()), "missing files are empty");

    std::fs::create_dir_all(home.path().join(".aws/credentials")).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a file as somebody else wrote it")]
    std::fs::write(&paths.aws_config, "[dev]\n[profile dev]\n").unwrap();
    let (files, reports) = read(&paths);
    assert_eq!(files.profiles.len(), 1);
    assert_eq!(files.findings[0].origin.to_string(), "~/.aws/config:1");
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].what, "`~/.aws/credentials` cannot be read");
}

#[test]
fn a_pipe_in_place_of_a_file_keeps_nobody_waiting() {
    let home = tempfile::tempdir().unwrap();
    let pipe = home.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let error = read_file(&pipe).unwrap_err();
    assert_eq!(error.to_string(), "it is not a regular file");
}

fn key() -> impl Strategy<Value = String> {
    "[a-zA-Z_][a-zA-Z0-9_]{0,12}"
}

fn value() -> impl Strategy<Value = String> {
    // Neither blanks at the ends nor what makes a block or a comment.
    "[!-~é]([ -~é]{0,20}[!-~é])?"
}

proptest! {
    #[test]
    fn any_bytes_can_be_read(config in any::<Vec<u8>>(), credentials in any::<Vec<u8>>()) {
        parse(Some(("a", &config)), Some(("b", &credentials)));
    }

    #[test]
    fn anything_made_of_the_right_characters_can_be_read(
        text in r#"(\[|\]|profile|sso-session|default|DEFAULT|=|:|#|;| |\t|\r|\n|"|'|\\|a|é|\u{feff}){0,60}"#
    ) {
        parse(Some(("a", text.as_bytes())), Some(("b", text.as_bytes())));
    }

    #[test]
    fn every_key_of_a_valid_file_comes_back(
        sections in prop::collection::btree_map(
            "[a-z0-9_.@+-]{1,12}",
            prop::collection::btree_map(key().prop_map(|key| key.to_lowercase()), value(), 0..6),
            0..6,
        ),
        end in prop::sample::select(vec!["\n", "\r\n"]),
        equals in prop::sample::select(vec!["=", " = ", "\t= "]),
    ) {
        let mut text = String::new();
        for (name, keys) in &sections {
            text += &format!("[profile {name}]{end}");
            for (key, value) in keys {
                text += &format!("{key}{equals}{value}{end}");
            }
        }
        let files = config(&text);
        let found: BTreeMap<String, BTreeMap<String, String>> = files
            .profiles
            .iter()
            .map(|(name, section)| {
                let text = |entry: &Entry| match &entry.value {
                    Value::Plain(text) => text.clone(),
                    Value::Secret(secret) => secret.expose().to_owned(),
                    Value::Block(_) => unreachable!("no value is empty"),
                };
                let keys = section.keys.iter().map(|(key, entry)| (key.clone(), text(entry)));
                (name.to_string(), keys.collect())
            })
            .collect();
        prop_assert_eq!(found, sections);
        prop_assert!(files.findings.iter().all(|finding| finding.refused_by.is_empty()), "{:?}", files.findings);
    }
}
