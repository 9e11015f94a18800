//! A program that runs for an hour on keys of fifteen minutes, as Terraform does, in 45 seconds: one
//! process, one client, and no call that meets an end; by every way in which keys are delivered.

use std::process::{Child, Stdio};

use eksd_lab::{Lifetimes, Script};

use crate::home::CONFIG;
use crate::place::Place;
use crate::ran::Ran;
use crate::tools::tool;

/// Calls AWS with one client for as long as it is told to, and prints how often that went well. The
/// first failure ends it.
const RUN: &str = r"
import boto3, sys, time
client = boto3.client('sts', region_name='eu-west-1')
end, calls, keys = time.monotonic() + float(sys.argv[1]), 0, set()
while time.monotonic() < end:
    client.get_caller_identity()
    keys.add(client._request_signer._credentials.get_frozen_credentials().access_key)
    calls += 1
    time.sleep(0.4)
print(calls, len(keys))
";

/// An hour of keys of fifteen minutes is four lives; here a life is ten seconds.
const SECONDS: &str = "45";

fn start(place: &Place, words: &[&str], vars: &[(&str, &str)]) -> Child {
    let (program, words) = words.split_first().unwrap();
    let mut command = place.command(program);
    command.args(words).arg(tool("python3")).arg(place.path("run.py")).arg(SECONDS);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(vars.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn nothing_expires_under_a_program_that_runs_on() {
    let lifetimes =
        Lifetimes { role_credentials: 10, access_token: 14, session: 3600, ..Lifetimes::default() };
    let place = Place::with(Script { lifetimes, ..Script::default() });
    let eksd = place.program("eksd").to_str().unwrap().to_owned();
    place.write(
        "home/.aws/config",
        &format!(
            "{CONFIG}\n[profile through]\nregion = eu-west-1\n\
             credential_process = {eksd} credential-process --profile dev\n"
        ),
    );
    place.write("run.py", RUN);
    place.login();
    let ways = [
        ("the mirror config", start(&place, &[&eksd, "exec", "dev", "--"], &[])),
        ("the container endpoint", start(&place, &[&eksd, "exec", "dev", "--server", "--"], &[])),
        ("credential_process", start(&place, &["env"], &[("AWS_PROFILE", "through")])),
        ("the shared cache", start(&place, &["env"], &[("AWS_PROFILE", "reader")])),
    ];
    for (way, child) in ways {
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{way}: {}\n{}", ran.err, place.log());
        let counts: Vec<u32> =
            ran.out.split_whitespace().map(|word| word.parse().unwrap()).collect();
        assert!(40 < counts[0] && 4 <= counts[1], "{way}: {counts:?} calls and keys");
    }
    let refused = place.lab().calls_of("GetCallerIdentity");
    let refused: Vec<_> = refused.iter().filter(|call| call.status != Some(200)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(place.browsers(), 1);
}
