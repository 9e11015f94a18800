//! One sign-in, one-time refresh tokens, and eight other programs that renew it at every call: eksd
//! loses no login by that, and takes over what the others wrote.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use eksd_lab::{Call, Lifetimes, Script};
use serde_json::Value;

use crate::place::Place;
use crate::ran::Ran;
use crate::tools::{Guarded, aws_v2, tool};

/// Milliseconds from another program's renewal until its token must be in the shared file, on a machine
/// that is busy with nine.
const JUST_BEFORE: i64 = 2000;

/// For how long everybody renews.
const LENGTH: Duration = Duration::from_secs(20);

/// Renews until the test is over. `kill -0`: or gone.
fn hammer(place: &Place, n: usize) -> Guarded {
    // Of the eight, two are the AWS CLI, and six are botocore.
    let script = if n < 2 {
        format!(
            "while kill -0 $PPID; do '{}' --profile dev sts get-caller-identity || :; done",
            aws_v2().display()
        )
    } else {
        "while kill -0 $PPID; do python3 once.py || :; done".to_owned()
    };
    let mut command = place.command("sh");
    command.args(["-c", &script]).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("AWS_MAX_ATTEMPTS", "1").env("AWS_PAGER", "");
    rustix_group(&mut command);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Guarded(command.spawn().unwrap())
}

fn rustix_group(command: &mut std::process::Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

fn is_eksd(call: &Call) -> bool {
    !call.user_agent.contains("Boto") && !call.user_agent.contains("aws-cli")
}

/// eksd is refused only where another program was first with the same token, just before; and sends none
/// twice. Returns how many races it lost.
#[track_caller]
fn check_races(mine: &[&Call], others: &[&Call]) -> usize {
    let mut sent = BTreeSet::new();
    for call in mine {
        assert!(
            call.refresh_token.is_some() && sent.insert(&call.refresh_token),
            "twice: {call:?}"
        );
        if call.status == Some(200) {
            continue;
        }
        let is_winner = |other: &&&Call| {
            other.status == Some(200)
                && other.refresh_token == call.refresh_token
                && (0..=JUST_BEFORE).contains(&(call.time_ms - other.time_ms))
        };
        assert!(others.iter().any(|other| is_winner(&other)), "no race was lost: {call:?}");
    }
    mine.iter().filter(|call| call.status != Some(200)).count()
}

const ONCE: &str =
    "import boto3; boto3.Session(profile_name='dev').client('sts').get_caller_identity()\n";

#[test]
fn eight_others_that_renew_at_every_call_cost_no_login() {
    let _needed: [_; 2] = [tool("python3"), aws_v2()];
    // Everybody but eksd renews what has less than fifteen minutes left: always, here. A token that was
    // used once is refused, and what it brought stays good: which of two programs without a common
    // lock comes second is chance.
    let lifetimes = Lifetimes { access_token: 2, role_credentials: 6, ..Lifetimes::default() };
    let script = Script { lifetimes, reuse_revokes_family: false, ..Script::default() };
    let place = Place::with(script);
    place.write("home/once.py", ONCE);
    place.login();
    let others: Vec<Guarded> = (0..8).map(|n| hammer(&place, n)).collect();
    let began = Instant::now();
    let (mut asked, mut failed) = (0, Vec::new());
    while began.elapsed() < LENGTH {
        asked += 1;
        let given: Ran = place.eksd("credential-process --profile dev");
        if given.code != Some(0) {
            failed.push(given.err);
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    drop(others);
    assert!(failed.is_empty(), "{failed:?} of {asked}\n{}", place.log());
    let mut renewals: Vec<Call> = place.lab().calls_of("CreateToken");
    renewals.retain(|call| call.grant.as_deref() == Some("refresh_token"));
    let (mine, others): (Vec<&Call>, Vec<&Call>) = renewals.iter().partition(|call| is_eksd(call));
    assert!(4 <= others.len(), "the others renewed {} times only", others.len());
    assert!(!mine.is_empty(), "eksd renewed nothing");
    let lost = check_races(&mine, &others);
    eprintln!("eksd renewed {} times and lost {lost} races", mine.len());
    // Everybody is still logged in, and nobody had to do anything for it.
    let row: Value = place.row("dev");
    assert_ne!(row["phase"], "needs-login", "{row}\n{}", place.log());
    place.credentials("dev");
    place.real(tool("aws"), "--profile dev --region eu-west-1 sts get-caller-identity").ok();
    assert_eq!(place.browsers(), 1);
}
