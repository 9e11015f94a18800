//! What each reader of the AWS files takes: every row of `tests/data/aws/profile-resolution.json`, from the
//! text of the files on.

use eksd::{
    config::aws_files,
    model::{
        AwsFiles, chain,
        explain::{Facts, explain},
        readers::{Reader, ignored, way},
    },
};
use serde_json::Value;

use crate::source::read;

const SSO: &str = "
[sso-session corp]
sso_start_url = https://corp.example/start
sso_region = eu-west-1
";

const KEYS: &str = "aws_access_key_id = AKIAX\naws_secret_access_key = s\n";

fn files(config: &str, credentials: &str) -> AwsFiles {
    aws_files::parse(
        Some(("config", format!("{SSO}{config}").as_bytes())),
        Some(("credentials", credentials.as_bytes())),
    )
}

/// `process of p > roles of a, b`, or why not.
fn shown(reader: Reader, files: &AwsFiles, name: &str) -> String {
    match way(reader, files, name).unwrap() {
        Ok(way) => {
            let roles = way.roles.iter().map(|name| format!(" > role of {name}"));
            format!("{:?} of {}{}", way.kind, way.base, roles.collect::<String>())
        }
        Err(refusal) => format!("refused: {refusal}"),
    }
}

/// All four agree, or each is named: AWS CLI, Rust, JavaScript, Go.
#[track_caller]
fn check(config: &str, credentials: &str, expected: [&str; 4]) {
    let files = files(config, credentials);
    let found = Reader::ALL.map(|reader| shown(reader, &files, "p"));
    assert_eq!(found, expected, "{config}");
}

#[track_caller]
fn rows(file: &str, key: &str) -> Vec<Value> {
    let vectors: Value = serde_json::from_str(&read(&format!("tests/data/aws/{file}"))).unwrap();
    vectors[key].as_array().unwrap().clone()
}

/// The files of a row of the vectors, and what its words come to here.
struct Row {
    case: &'static str,
    config: String,
    /// In the words of the vectors, and the way: AWS CLI, JavaScript, Rust.
    ways: [(&'static str, &'static str); 3],
    /// How a note of `eksd explain` on it goes; empty where there is none.
    note: &'static str,
}

/// What `eksd explain` says beside the chain.
fn notes(files: &AwsFiles) -> Vec<String> {
    explain(files, "p", chain::resolve(files, "p").as_ref(), &Facts::default()).notes
}

fn resolution() -> Vec<Row> {
    let role = "Keys of keys > role of p";
    let keys = format!("[profile keys]\n{KEYS}");
    let hop = format!("{keys}[profile p]\nrole_arn = A\nsource_profile = keys\n");
    let circle = "refused: the roles go in a circle";
    vec![
        Row {
            case: "static keys and credential_process in one [profile] of the config file",
            config: format!("[profile p]\n{KEYS}credential_process = x\n"),
            ways: [("process", "Process of p"), ("static", "Keys of p"), ("process", "Process of p")],
            note: "programs disagree about `p`: the AWS CLI and Rust SDK take what `credential_process` prints",
        },
        Row {
            case: "role_arn with source_profile = itself and static keys in it",
            config: format!("[profile p]\n{KEYS}role_arn = A\nsource_profile = p\n"),
            ways: [
                ("assumes the role with its own keys", "Keys of p > role of p"),
                ("same", "Keys of p > role of p"),
                ("same", "Keys of p > role of p"),
            ],
            note: "",
        },
        Row {
            case: "a -> b -> a through source_profile",
            config: "[profile p]\nrole_arn = A\nsource_profile = b\n[profile b]\nrole_arn = B\nsource_profile = p\n"
                .into(),
            ways: [
                ("error InfiniteLoopConfigError", circle),
                ("error, cycle detected", circle),
                ("error CredentialLoop", circle),
            ],
            note: "",
        },
        Row {
            case: "sso_session and an equal sso_start_url in the profile",
            config: "[profile p]\nsso_session = corp\nsso_start_url = https://corp.example/start\nsso_account_id = 1\nsso_role_name = R\n"
                .into(),
            ways: [
                ("accepted when values agree, error when not", "Sso of p"),
                ("accepted", "Sso of p"),
                (
                    "error: sso_start_url may only be in the [sso-session] section",
                    "refused: `sso_start_url` may only stand in the `[sso-session]`",
                ),
            ],
            note: "the Rust SDK refuses it: `sso_start_url` may only stand in",
        },
        Row {
            case: "role_arn + mfa_serial, no terminal",
            config: format!("{hop}mfa_serial = arn:aws:iam::1:mfa/ann\n"),
            ways: [
                ("prompts, then EOFError", role),
                ("error: no MFA callback", role),
                (
                    "ignores mfa_serial, calls AssumeRole without SerialNumber/TokenCode",
                    role,
                ),
            ],
            note: "the Rust SDK ignores `mfa_serial` and calls without a code",
        },
        Row {
            case: "role_arn + duration_seconds = 900",
            config: format!("{hop}duration_seconds = 900\n"),
            ways: [
                ("sends DurationSeconds=900 (by reading)", role),
                ("sends it, 3600 when the key is absent (by reading)", role),
                ("ignores the key, sends no DurationSeconds", role),
            ],
            note: "the Rust SDK ignores `duration_seconds`; the Go SDK does up to 15 minutes",
        },
        Row {
            case: "credential_process with Expiration ending in UTC",
            config: "[profile p]\ncredential_process = x\n".into(),
            ways: [
                ("accepted", "Process of p"),
                ("credentials with an invalid Date", "Process of p"),
                ("error", "Process of p"),
            ],
            note: "a time that ends in `UTC` is an error for the Rust and Go SDKs and no date for the",
        },
    ]
}

#[test]
fn every_row_of_the_resolution_vectors() {
    let vectors = rows("profile-resolution.json", "cases");
    let cases = resolution();
    assert_eq!(vectors.len(), cases.len());
    let readers =
        [("botocore", Reader::AwsCli), ("js", Reader::JavaScript), ("rust", Reader::Rust)];
    for (vector, row) in vectors.iter().zip(cases) {
        assert_eq!(vector["case"], row.case);
        let files = files(&row.config, "");
        let said = notes(&files);
        if row.note.is_empty() {
            assert_eq!(said, [""; 0], "{}", row.case);
        } else {
            assert!(said.iter().any(|note| note.contains(row.note)), "{}: {said:#?}", row.case);
        }
        for ((column, reader), (words, expected)) in readers.into_iter().zip(row.ways) {
            assert_eq!(vector[column], words, "{}", row.case);
            let found = shown(reader, &files, "p");
            assert!(found.starts_with(expected), "{} {column}: {found}", row.case);
        }
        if vector["go_by_reading"] == "static" {
            assert_eq!(shown(Reader::Go, &files, "p"), "Keys of p");
        }
    }
}

#[test]
fn keys_that_not_all_heed() {
    let said = |keys: &str| {
        let files = files(&format!("[profile p]\nrole_arn = A\n{keys}"), "");
        let said = ignored(&files.profiles["p"]);
        said.into_iter().map(|it| format!("{}: {}", it.origin, it.what)).collect::<Vec<_>>()
    };
    assert_eq!(
        said("mfa_serial = M"),
        [
            "config:7: the Rust SDK ignores `mfa_serial` and calls without a code, the JavaScript SDK \
             and Go SDK fail unless their program asks for codes, and Python programs ask each time \
             they start"
        ]
    );
    assert_eq!(
        said("duration_seconds = 900"),
        ["config:7: the Rust SDK ignores `duration_seconds`; the Go SDK does up to 15 minutes"]
    );
    assert_eq!(
        said("duration_seconds = 3600"),
        ["config:7: the Rust SDK ignores `duration_seconds`"]
    );
    assert_eq!(
        said("duration_seconds = 1h"),
        ["config:7: `duration_seconds` is not a number, so the AWS CLI ignores it"]
    );
    assert_eq!(said("external_id = E"), [""; 0]);
}

#[test]
fn two_kinds_in_one_profile() {
    let process = "[profile p]\ncredential_process = x\n";
    // A stale section of the credentials file wins over the process for the CLI, too.
    check(
        process,
        &format!("[p]\n{KEYS}"),
        ["Keys of p", "Process of p", "Keys of p", "Keys of p"],
    );
    let sso = "[profile p]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = R\n";
    check(sso, "", ["Sso of p"; 4]);
    check(sso, &format!("[p]\n{KEYS}"), ["Sso of p", "Sso of p", "Keys of p", "Keys of p"]);
    check(
        &format!("{sso}credential_process = x\n"),
        "",
        ["Sso of p", "Sso of p", "Process of p", "Sso of p"],
    );
    let console = "[profile p]\nlogin_session = arn\n";
    check(
        console,
        &format!("[p]\n{KEYS}"),
        ["Keys of p", "Console of p", "Keys of p", "Keys of p"],
    );
    check(
        &format!("{console}credential_process = x\n"),
        "",
        ["Console of p", "Console of p", "Process of p", "Process of p"],
    );
    let web = "[profile p]\nrole_arn = A\nweb_identity_token_file = /t\n";
    check(
        &format!("{web}{KEYS}"),
        "",
        ["WebIdentity of p", "WebIdentity of p", "Keys of p", "Keys of p > role of p"],
    );
}

#[test]
fn mixed_sso_values() {
    let differing = "[profile p]\nsso_session = corp\nsso_region = us-east-1\nsso_account_id = 1\nsso_role_name = R\n";
    let other = "refused: `sso_region` is not that of `[sso-session corp]` (config:7)";
    check(
        differing,
        "",
        [
            other,
            "refused: `sso_region` may only stand in the `[sso-session]` (config:7)",
            other,
            other,
        ],
    );
    let equal = differing.replace("us-east-1", "eu-west-1");
    check(
        &equal,
        "",
        [
            "Sso of p",
            "refused: `sso_region` may only stand in the `[sso-session]` (config:7)",
            "Sso of p",
            "Sso of p",
        ],
    );
    let half = "[profile p]\nsso_session = corp\nsso_role_name = R\n";
    check(half, "", ["refused: `sso_account_id` is missing (config:6)"; 4]);
    // No account and no role: only a token, and the CLI looks on.
    let refused = "refused: `sso_account_id` is missing (config:6)";
    check(
        "[profile p]\nsso_session = corp\n",
        "",
        ["Nothing of p", "SsoToken of p", refused, refused],
    );
}

#[test]
fn roles_and_their_sources() {
    let base = "[profile p]\nrole_arn = A\nsource_profile = b\n";
    // Keys in the second profile set its role aside.
    check(
        &format!("{base}[profile b]\n{KEYS}role_arn = B\nsource_profile = c\n"),
        "",
        ["Keys of b > role of p"; 4],
    );
    // Only for the CLI do the rest of its kinds come before keys of the config file.
    check(
        &format!("{base}[profile b]\n{KEYS}credential_process = x\n"),
        "",
        [
            "Process of b > role of p",
            "Keys of b > role of p",
            "Keys of b > role of p",
            "Keys of b > role of p",
        ],
    );
    check(base, "", ["refused: there is no profile `b` (config:7)"; 4]);
    check(
        &format!("{base}[profile b]\nregion = r\n"),
        "",
        [
            "refused: `b` has no credentials (config:7)",
            "refused: `b` has no credentials (config:7)",
            "refused: `b` has no credentials (config:7)",
            "refused: `b` has no credentials (config:7)",
        ],
    );
    let both = format!("{base}credential_source = Environment\n[profile b]\n{KEYS}");
    let one = "refused: `role_arn` wants exactly one of `source_profile` and `credential_source` (config:6)";
    check(
        &both,
        "",
        [
            one,
            one,
            "Nothing of p",
            "refused: only one of `source_profile`, `credential_source`, `credential_process` and \
         `web_identity_token_file` may be there (config:7)",
        ],
    );
    let place = "[profile p]\nrole_arn = A\ncredential_source = ecscontainer\n";
    let unknown = "refused: it does not know `credential_source = ecscontainer` (config:7)";
    check(place, "", [unknown, "Machine of p > role of p", unknown, unknown]);
    check(&place.replace("ecscontainer", "EcsContainer"), "", ["Machine of p > role of p"; 4]);
    // A place without a role counts for two.
    check(
        "[profile p]\ncredential_source = Environment\n",
        "",
        [
            "Nothing of p",
            "Machine of p",
            "Nothing of p",
            "refused: `credential_source` wants a `role_arn` (config:6)",
        ],
    );
}
