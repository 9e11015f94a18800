//! One sign-in, one-time refresh tokens, and eight other programs that renew it at every call: eksd
//! loses no login by that, and takes over what the others wrote.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use eksd_lab::{Lifetimes, Script};
use serde_json::Value;

use crate::place::Place;
use crate::ran::Ran;
use crate::tools::{aws_v2, tool};

/// For how long everybody renews.
const LENGTH: Duration = Duration::from_secs(20);

fn hammer(place: &Place, n: usize) -> Child {
    // Of the eight, two are the AWS CLI, and six are botocore.
    let script = if n < 2 {
        format!(
            "while :; do '{}' --profile dev sts get-caller-identity || :; done",
            aws_v2().display()
        )
    } else {
        "while :; do python3 once.py || :; done".to_owned()
    };
    let mut command = place.command("sh");
    command.args(["-c", &script]).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("AWS_MAX_ATTEMPTS", "1").env("AWS_PAGER", "");
    rustix_group(&mut command);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn rustix_group(command: &mut std::process::Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
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
    let others: Vec<Child> = (0..8).map(|n| hammer(&place, n)).collect();
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
    for mut other in others {
        let group = rustix::process::Pid::from_child(&other);
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
        other.wait().unwrap();
    }
    assert!(failed.is_empty(), "{failed:?} of {asked}\n{}", place.log());
    let renewals: Vec<_> = place.lab().calls_of("CreateToken");
    let of_eksd = |call: &&eksd_lab::Call| {
        !call.user_agent.contains("Boto") && !call.user_agent.contains("aws-cli")
    };
    let mine = renewals.iter().filter(of_eksd).count();
    let others = renewals.len() - mine;
    assert!(4 <= others, "the others renewed {others} times only");
    // The login itself is one of them.
    assert!(2 <= mine, "eksd renewed {mine} times");
    // Everybody is still logged in, and nobody had to do anything for it.
    let row: Value = place.row("dev");
    assert_ne!(row["phase"], "needs-login", "{row}\n{}", place.log());
    place.credentials("dev");
    place.real(tool("aws"), "--profile dev --region eu-west-1 sts get-caller-identity").ok();
    assert_eq!(place.browsers(), 1);
}
