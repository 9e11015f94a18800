//! The AWS CLIs and boto3, unchanged, with what eksd gives them and what they leave for eksd.

use std::path::PathBuf;

use serde_json::Value;

use crate::home::{CONFIG, DEVELOPER};
use crate::place::Place;
use crate::ran::Ran;
use crate::tools::{aws_v2, tool, until};

/// A place whose profile `through` gets its keys from `eksd credential-process`.
fn place() -> Place {
    let mut place = Place::new();
    let eksd = place.program("eksd").display().to_string();
    let through = format!(
        "{CONFIG}\n[profile through]\nregion = eu-west-1\n\
         credential_process = {eksd} credential-process --profile dev\n"
    );
    place.write("home/.aws/config", &through);
    place.set("AWS_REGION", "eu-west-1");
    place
}

const WHO: &str = "sts get-caller-identity --output json";

fn boto3(place: &Place, profile: &str) -> Ran {
    let script = format!(
        "import boto3, json\ns = boto3.Session(profile_name='{profile}')\n\
         print(json.dumps(s.client('sts').get_caller_identity()))\n"
    );
    place.write("who.py", &script);
    place.real(tool("python3"), place.path("who.py").to_str().unwrap())
}

/// Asks who one is through both CLIs and boto3.
#[track_caller]
fn everybody_is_the_developer(place: &Place, profile: &str) {
    let clis: [(&str, PathBuf); 2] = [("v1", tool("aws")), ("v2", aws_v2())];
    for (name, cli) in clis {
        let who: Value = place.real(cli, &format!("--profile {profile} {WHO}")).json();
        assert_eq!(who["Arn"], DEVELOPER, "AWS CLI {name}");
    }
    assert_eq!(boto3(place, profile).json()["Arn"], DEVELOPER, "boto3");
}

#[test]
fn credential_process_serves_them_all() {
    let place = place();
    let refused = place.real(tool("aws"), &format!("--profile through {WHO}")).failed();
    assert!(refused.contains("eksd login dev"), "the CLI shows what to run: {refused}");
    place.login();
    everybody_is_the_developer(&place, "through");
    assert_eq!(place.lab().count("GetRoleCredentials"), 1, "one for all of them");
    let callers = place.lab().calls_of("GetCallerIdentity");
    assert!(callers.iter().all(|call| call.status == Some(200)), "{callers:?}");
}

#[test]
fn the_shared_cache_serves_them_all() {
    let place = place();
    place.login();
    everybody_is_the_developer(&place, "dev");
    let renewals = place.lab().calls_of("CreateToken");
    let grants: Vec<_> = renewals.iter().filter_map(|call| call.grant.as_deref()).collect();
    assert_eq!(grants, ["authorization_code"], "the token that eksd wrote was good for all");
}

#[test]
fn a_login_of_the_cli_is_adopted_and_its_logout_seen() {
    let place = place();
    place.eksd("status dev --check").fails(11);
    let mut watching = place.eksd_command("status dev --json --watch");
    let watching = watching.stdout(std::process::Stdio::piped()).spawn().unwrap();
    place.real(aws_v2(), "sso login --profile dev").ok();
    let tokens = place.lab().count("CreateToken");
    place.until_phase("dev", "idle");
    assert_eq!(place.credentials("dev")["AccountId"], "111122223333");
    assert_eq!(place.lab().count("CreateToken"), tokens, "adopted as it is");
    place.until_phase("dev", "fresh");

    place.real(aws_v2(), "sso logout").ok();
    place.until_phase("dev", "needs-login");
    let refused = place.eksd("credential-process --profile reader").fails(1);
    assert!(refused.contains("eksd login reader"), "{refused}");

    // Whoever watches was told of each, without asking.
    let seen = crate::ran::Ran::from(stopped(watching));
    let phases: Vec<String> = seen
        .out
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|status| status["profiles"][0]["phase"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(phases.first().map(String::as_str), Some("needs-login"), "{phases:?}");
    assert!(phases.contains(&"fresh".to_owned()), "{phases:?}");
    assert_eq!(phases.last().map(String::as_str), Some("needs-login"), "{phases:?}");
}

/// Interrupts a program as Ctrl-C does, and returns what it did.
fn stopped(child: std::process::Child) -> std::process::Output {
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_token_that_the_cli_renewed_is_taken_over() {
    let lifetimes = eksd_lab::Lifetimes { access_token: 20, ..Default::default() };
    let script = eksd_lab::Script { lifetimes, ..eksd_lab::Script::default() };
    let mut place = Place::with(script);
    place.set("AWS_REGION", "eu-west-1");
    place.login();
    // The CLI renews what has less than fifteen minutes left at every call: the refresh token that
    // eksd knows is used up each time.
    for _ in 0..3 {
        place.real(aws_v2(), &format!("--profile dev {WHO}")).ok();
        place.credentials("dev");
    }
    let renewals = place.lab().calls_of("CreateToken");
    let bad: Vec<_> = renewals.iter().filter(|call| call.status != Some(200)).collect();
    assert!(bad.is_empty(), "a used token was sent: {bad:?}\n{}", place.log());
    until("still logged in", || place.row("dev")["phase"] != "renewing");
    assert_ne!(place.row("dev")["phase"], "needs-login");
}
