//! Sign-ins to the console with the real AWS CLI v2, which makes them (`aws login`), reads what eksd
//! renewed, and renews what eksd then takes over.

use std::time::Duration;

use eksd_lab::{Console, Script};
use serde_json::Value;

use crate::place::Place;
use crate::tools::{aws_v2, comes, until};

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const WHO: &str = "--profile con sts get-caller-identity --output json";
const OP: &str = "CreateOAuth2Token";

const CONFIG: &str = "\
[profile con]
login_session = arn:aws:iam::111122223333:user/alice
region = eu-west-1

[profile hop]
role_arn = arn:aws:iam::111122223333:role/second
source_profile = con
region = eu-west-1
";

fn place(console: Console) -> Place {
    let mut place = Place::with(Script { console, ..Script::default() });
    place.write("home/.aws/config", CONFIG);
    let beside = std::env::var("PATH").unwrap();
    place.set("PATH", format!("{}:{beside}", aws_v2().parent().unwrap().display()));
    place
}

/// Returns how often the service was asked, by grant; none of it was refused.
#[track_caller]
fn grants(place: &Place) -> Vec<String> {
    let calls = place.lab().calls_of(OP);
    let refused: Vec<_> = calls.iter().filter(|call| call.status != Some(200)).collect();
    assert!(refused.is_empty(), "{refused:?}\n{}", place.log());
    calls.into_iter().filter_map(|call| call.grant).collect()
}

#[track_caller]
fn the_cli_is_alice(place: &Place) {
    let who: Value = place.real(aws_v2(), WHO).json();
    assert_eq!(who["Arn"], ALICE);
}

#[test]
fn a_login_runs_the_aws_cli_and_serves_both() {
    let place = place(Console::default());
    let said = place.eksd("login hop").talk();
    assert!(said.contains(&format!("logged in to `{ALICE}`")), "{said}");
    assert_eq!((place.browsers(), grants(&place)), (1, vec!["authorization_code".to_owned()]));
    assert_eq!(place.credentials("con")["AccountId"], "111122223333");
    place.credentials("hop");
    the_cli_is_alice(&place);
    place.eksd("login con").talk();
    assert_eq!((place.browsers(), grants(&place).len()), (1, 1), "one sign-in for all of them");
    let row = place.row("con");
    assert_eq!((&row["phase"], &row["root"]["kind"]), (&"fresh".into(), &"console".into()));

    let said = place.eksd("logout con").talk();
    assert!(said.contains("`con` that were handed out stay valid until"), "{said}");
    let refused = place.real(aws_v2(), WHO).failed();
    assert!(refused.contains("aws login"), "{refused}");
    let refused = place.eksd("credential-process --profile hop").fails(1);
    assert!(refused.contains("eksd login hop"), "{refused}");
}

#[test]
fn what_aws_login_wrote_is_adopted_and_its_logout_seen() {
    let place = place(Console::default());
    place.eksd("status con --check").fails(11);
    // Neither the cache nor the folder above is there, and the agent runs already.
    assert!(!place.path("home/.aws/login").exists());
    place.real(aws_v2(), "login --profile con").ok();
    place.until_phase("con", "fresh");
    place.credentials("hop");
    assert_eq!(grants(&place), ["authorization_code"], "adopted as it is");
    place.real(aws_v2(), "logout --profile con").ok();
    place.until_phase("con", "needs-login");
    // The folder is made anew.
    std::fs::remove_dir_all(place.path("home/.aws/login")).unwrap();
    place.real(aws_v2(), "login --profile con").ok();
    place.until_phase("con", "fresh");
}

#[test]
fn eksd_and_the_cli_renew_in_turn_and_neither_uses_a_token_twice() {
    // The CLI renews what has less than five minutes left, at every call; eksd at half.
    let place = place(Console { credentials: 30, ..Console::default() });
    place.eksd("login con").talk();
    for turn in 0..2 {
        the_cli_is_alice(&place);
        let by_cli = grants(&place).len();
        let file = place.credentials("con");
        assert_eq!(grants(&place).len(), by_cli, "what the CLI got is taken over");
        let renewed = || by_cli < place.lab().count(OP);
        assert!(comes(Duration::from_secs(30), renewed), "turn {turn}: {}", place.log());
        until("its keys are served", || place.credentials("con") != file);
    }
    the_cli_is_alice(&place);
    // The login, two of eksd's, three of the CLI's.
    assert_eq!(grants(&place).len(), 6);
}

#[test]
fn a_login_without_an_agent_ends_as_well() {
    let place = place(Console::default());
    let said = place.eksd("--no-agent login con").talk();
    assert!(said.contains(ALICE), "{said}");
    place.eksd("--no-agent credential-process --profile con").ok();
    assert_eq!((place.agents().len(), grants(&place).len()), (0, 1));
}

#[test]
fn without_the_aws_cli_the_person_is_told_and_can_try_again() {
    let mut place = place(Console::default());
    let path = std::env::var("PATH").unwrap();
    place.set("PATH", place.path("bin").to_str().unwrap().to_owned());
    let said = place.eksd("login con").failed();
    assert!(said.contains("`aws` was not found") && said.contains("eksd login con"), "{said}");
    place.script("bin/aws", "#!/bin/sh\nexit 255\n");
    let said = place.eksd("login con").failed();
    assert!(said.contains("`aws login` did not end well"), "{said}");
    place.set("PATH", format!("{}:{path}", aws_v2().parent().unwrap().display()));
    place.eksd("login con").talk();
    the_cli_is_alice(&place);
}

#[test]
fn nothing_of_a_sign_in_is_shown() {
    let mut place = place(Console { credentials: 8, ..Console::default() });
    place.set("EKSD_LOG", "trace");
    let mut said = place.eksd("login con").talk();
    let first = place.lab().count(OP);
    let read = || -> Value {
        let folder = std::fs::read_dir(place.path("home/.aws/login/cache")).unwrap();
        let file = folder.flatten().map(|entry| entry.path()).next().unwrap();
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    };
    let mut secrets = Vec::new();
    for _ in 0..2 {
        let file = read();
        for pointer in
            ["/accessToken/secretAccessKey", "/accessToken/sessionToken", "/refreshToken"]
        {
            secrets.push(file.pointer(pointer).unwrap().as_str().unwrap().to_owned());
        }
        secrets.push(file["dpopKey"].as_str().unwrap().lines().nth(1).unwrap().to_owned());
        if place.lab().count(OP) == first {
            until("eksd renews", || first < place.lab().count(OP));
            until("it is written", || read()["refreshToken"] != file["refreshToken"]);
        }
    }
    for words in ["status --json", "status --verbose", "explain con", "logout con"] {
        let ran = place.eksd(words);
        said.push_str(&(ran.out + &ran.err));
    }
    said.push_str(&place.log());
    let state = place.read("home/.local/state/eksd/state.json");
    assert!(said.contains("CreateOAuth2Token"), "nothing was logged: {said}");
    for secret in secrets {
        assert!(!said.contains(&secret) && !state.contains(&secret), "`{secret}` was shown");
    }
}
