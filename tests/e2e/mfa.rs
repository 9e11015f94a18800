//! MFA from one code to every tool: `eksd login`, then the AWS CLIs, boto3 and the SDK for JavaScript
//! through the mirror config, and none of them asks.

use std::process::Stdio;

use eksd_lab::Script;
use serde_json::Value;

use crate::place::Place;
use crate::ran::Ran;
use crate::tools::{aws_v2, js_sdk, tool};

const CONFIG: &str = "\
[profile guarded]
role_arn = arn:aws:iam::444455556666:role/prod-admin
source_profile = keys
mfa_serial = arn:aws:iam::111122223333:mfa/alice
region = eu-west-1

[profile further]
role_arn = arn:aws:iam::111122223333:role/dev
source_profile = guarded
role_session_name = a-further-step
region = eu-west-1
";

fn place() -> Place {
    let place = Place::with(Script::default());
    place.write("home/.aws/config", CONFIG);
    place
}

fn log_in(place: &Place) {
    let code = place.lab().totp("alice");
    let said = place.eksd(&format!("login guarded --mfa-code {code}")).talk();
    assert!(said.contains("mfa/alice"), "{said}");
}

/// Runs a program below `eksd exec`, with the PATH of the tests and nobody to ask.
fn exec(place: &Place, profile: &str, program: &std::path::Path, words: &[&str]) -> Ran {
    let mut command = place.eksd_command("exec");
    command.arg(profile).arg("--").arg(program).args(words).stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("AWS_PAGER", "").output().unwrap().into()
}

const WHO: [&str; 4] = ["sts", "get-caller-identity", "--output", "json"];

#[test]
fn no_tool_asks_for_a_code() {
    let place = place();
    log_in(&place);
    let roles = [
        ("guarded", "arn:aws:sts::444455556666:assumed-role/prod-admin/"),
        ("further", "arn:aws:sts::111122223333:assumed-role/dev/a-further-step"),
    ];
    let boto3 = "import boto3, json; print(json.dumps(boto3.client('sts').get_caller_identity()))";
    for (profile, arn) in roles {
        for cli in [tool("aws"), aws_v2()] {
            let who: Value = exec(&place, profile, &cli, &WHO).json();
            assert!(who["Arn"].as_str().unwrap().starts_with(arn), "{} {who}", cli.display());
        }
        let who: Value = exec(&place, profile, &tool("python3"), &["-c", boto3]).json();
        assert!(who["Arn"].as_str().unwrap().starts_with(arn), "boto3 {who}");
        let js = format!(
            "require('{}').fromIni({{profile: '{profile}'}})().then(k => console.log(JSON.stringify(k)))",
            js_sdk().join("node_modules/@aws-sdk/credential-provider-ini").display()
        );
        let keys: Value = exec(&place, profile, &tool("node"), &["-e", &js]).json();
        assert_eq!(keys["accessKeyId"], place.credentials(profile)["AccessKeyId"], "JS");
    }
    assert_eq!(place.lab().count("GetSessionToken"), 1, "one code for all of them");
    assert_eq!(place.lab().count("AssumeRole"), 2, "one call a role for all of them");
}

#[test]
fn without_a_session_everybody_is_told_what_to_run() {
    let place = place();
    let said = exec(&place, "guarded", &tool("aws"), &WHO);
    let said = said.fails(12);
    assert!(said.contains("eksd login guarded"), "{said}");
    // Not started at all: the message is eksd's own. Through the mirror the tool shows it.
    let refused = place.eksd("credential-process --profile guarded").fails(1);
    assert_eq!(refused.lines().count(), 1, "{refused}");
    assert!(refused.contains("eksd login guarded"), "{refused}");
    place.eksd("status guarded --check").fails(12);
    place.eksd("login guarded --no-input").fails(12);
    assert_eq!(place.lab().count("*"), 0);
}

#[test]
fn ensure_knows_how_long_it_lasts() {
    let place = place();
    log_in(&place);
    place.eksd("ensure --for 45m guarded").talk();
    place.eksd("ensure --for 11h -p guarded -p further").talk();
    let said = place.eksd("ensure --for 13h guarded").fails(10);
    assert!(said.contains("guarded"), "{said}");
}

#[test]
fn a_used_code_is_refused_here_with_the_time_to_wait() {
    let place = place();
    let code = place.lab().totp("alice");
    place.eksd(&format!("login guarded --mfa-code {code}")).talk();
    let said = place.eksd(&format!("login guarded --force --mfa-code {code}")).failed();
    assert!(said.contains("given already") && said.contains("wait "), "{said}");
    assert_eq!(place.lab().count("GetSessionToken"), 1);
}

#[test]
fn what_is_known_is_explained() {
    let place = place();
    let said = place.eksd("explain further").out;
    for part in ["alice", "prod-admin", "dev", "1 h", "~/.aws/config:"] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
    assert!(!said.contains("alice-long-term-secret"), "{said}");
}

#[test]
fn the_mirror_follows_the_files() {
    let place = place();
    log_in(&place);
    exec(&place, "guarded", std::path::Path::new("/bin/true"), &[]).ok();
    let mirror = "home/.local/share/eksd/aws/config";
    assert!(place.read(mirror).contains("[profile further]"), "{}", place.read(mirror));
    let changed = CONFIG.replace("[profile further]", "[profile renamed]") + "output = yaml\n";
    let began = std::time::Instant::now();
    place.write("home/.aws/config", &changed);
    crate::tools::until("the mirror is as the files are", || {
        let text = place.read(mirror);
        text.contains("[profile renamed]") && text.contains("output = yaml")
    });
    eprintln!("the mirror followed after {:?}", began.elapsed());
    assert!(!place.read(mirror).contains("[profile further]"));
    // By hand it cannot be changed for long, and what a tool wrote there is not lost.
    let dir = "home/.local/share/eksd/aws";
    let reports = || place.status()["reports"].to_string();
    let own = place.read(mirror);
    for (file, own) in [("credentials", ""), ("config", own.as_str())] {
        let (path, kept) = (format!("{dir}/{file}"), format!("{dir}/{file}.kept-1"));
        // Whole at once: what is written into a file while eksd replaces it nobody can keep.
        place.write("mine", "[profile x]\naws_access_key_id = AKIAX\n");
        std::fs::rename(place.path("mine"), place.path(&path)).unwrap();
        crate::tools::until("it is put right at once", || place.read(&path) == own);
        crate::tools::until("what was written there is kept", || reports().contains(".kept-1"));
        assert!(place.read(&kept).contains("AKIAX"));
        // It is said until it is gone, whoever asks for the mirror meanwhile.
        exec(&place, "guarded", std::path::Path::new("/bin/true"), &[]).ok();
        assert!(reports().contains(&format!("{file}.kept-1")), "{}", reports());
        std::fs::remove_file(place.path(&kept)).unwrap();
        crate::tools::until("nothing is said of it", || !reports().contains("kept-"));
    }
}
