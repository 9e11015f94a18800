//! `eksd exec`: runs a command as a profile or cluster.
//!
//! The command takes this process's place, so signals, terminal, job control and exit code are its own,
//! and no process stands between. Its keys are not in its environment: it asks for them, so that
//! they renew for as long as it runs.

use std::{
    ffi::OsStr,
    io::ErrorKind,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    cli::{
        args::ExecArgs,
        asks,
        door::{self, ANSWER_LIMIT, Call, Wish},
        exit::{Done, stop},
        output,
        variables::{Change, Way},
    },
    config::{Delivery, Settings},
    ipc::wire::{EndpointOpen, Owner, ProfileParams, Request, Resolved},
    model::text::printable,
    report::{Code, Report},
};

/// How long to look whether an agent runs.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// What a shell says of a command that is not there (POSIX, "Exit Status for Commands").
const NOT_FOUND: u8 = 127;

/// And of one that cannot be run.
const NOT_RUNNABLE: u8 = 126;

/// Runs `eksd exec`; comes back only where the command could not be run.
pub fn run(call: &Call, args: &ExecArgs) -> Done {
    check(call, args)?;
    start_elsewhere(call);
    let change = match prepare(call, args) {
        Ok(change) => change,
        Err(report) => return Ok(stop(&report)),
    };
    let Some((program, words)) = args.command.split_first() else {
        return Err(Report::new(Code::Usage, "which command?", "see `eksd exec --help`").into());
    };
    let mut command = Command::new(program);
    command.args(words);
    for name in change.gone() {
        command.env_remove(name);
    }
    command.envs(change.come());
    // The command would have an ended child that it does not know.
    door::forget_stand_ins(call);
    let error = command.exec();
    let (report, code) = not_run(program, &error);
    output::report(&report);
    Ok(code)
}

/// Refuses what makes no sense, before anybody is asked.
fn check(call: &Call, args: &ExecArgs) -> Result<(), Report> {
    if let Some(outer) = call.env.eksd_exec.as_deref().filter(|_| !args.nested) {
        let what = format!("this runs in `eksd exec {}` already", printable(outer));
        let fix = "leave that first; or, if it is meant, add `--nested`";
        return Err(Report::new(Code::Usage, what, fix));
    }
    if args.server && call.no_agent {
        let what = "`--server` needs an agent that stays while the command runs";
        return Err(Report::new(Code::Usage, what, "leave `--no-agent` out, or `--server`"));
    }
    Ok(())
}

fn prepare(call: &Call, args: &ExecArgs) -> Result<Change, Report> {
    // The command takes this process's place, and its number.
    let owner = Owner::Command(std::process::id());
    let resolved = asks::resolve(call, &args.name, Some(owner))?;
    if !args.no_check {
        // A login that is missing is said here, not by the command in the words of its SDK.
        drop(asks::credentials(call, &resolved.profile, ANSWER_LIMIT)?);
    }
    let mut change = if args.server {
        let endpoint = open(call, &resolved)?;
        Change::to_use(
            &args.name,
            &resolved,
            Way::Endpoint(&endpoint, &asks::mirror(call)?),
            &call.paths,
        )
    } else if Settings::load(&call.paths)?.delivery == Delivery::Mirror {
        Change::to_use(&args.name, &resolved, Way::Mirror(&asks::mirror(call)?), &call.paths)
    } else {
        Change::to_use(&args.name, &resolved, Way::Profile, &call.paths)
    };
    change.region(&resolved);
    change.set("EKSD_EXEC", &args.name);
    Ok(change)
}

/// Starts the agent, where none runs, by another process: one that this process starts would be a child of
/// the command, which may wait until it has none. What goes wrong is said when the agent is asked.
fn start_elsewhere(call: &Call) {
    if call.no_agent || door::running(call, CONNECT_LIMIT).is_ok() {
        return;
    }
    if let Ok(own) = std::env::current_exe() {
        let mut start = Command::new(own);
        start.args(["agent", "start"]).stdin(Stdio::null()).stdout(Stdio::null());
        drop(start.stderr(Stdio::null()).status());
    }
}

/// Opens the endpoint for this process, which the command will be: the agent closes it when that ends.
fn open(call: &Call, resolved: &Resolved) -> Result<EndpointOpen, Report> {
    let request = Request::EndpointOpen(ProfileParams { profile: resolved.profile.clone() });
    door::ask(call, Wish::Started, &request, ANSWER_LIMIT)
}

fn not_run(program: &OsStr, error: &std::io::Error) -> (Report, u8) {
    let shown = printable(&program.to_string_lossy());
    if error.kind() == ErrorKind::NotFound {
        let what = format!("`{shown}` was not found");
        let fix = "see to it that it is installed and that PATH names its folder";
        return (Report::new(Code::Usage, what, fix), NOT_FOUND);
    }
    let what = format!("`{shown}` cannot be run");
    let fix = "see to it that it is a program for this machine and may be executed";
    (Report::new(Code::Usage, what, fix).because(error.to_string()), NOT_RUNNABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Env;

    fn args(server: bool, nested: bool) -> ExecArgs {
        let command = vec!["true".into()];
        ExecArgs { name: "dev".into(), server, nested, no_check: false, command }
    }

    fn call(pairs: &[(&str, &str)], no_agent: bool) -> Call {
        let home = [("HOME", "/home/ann")];
        Call::new(&Env::from_map(home.iter().chain(pairs).copied()), no_agent).unwrap()
    }

    #[test]
    fn one_in_another_is_asked_about() {
        let inside = call(&[("EKSD_EXEC", "prod\u{1b}")], false);
        let report = check(&inside, &args(false, false)).unwrap_err();
        assert_eq!(report.what, "this runs in `eksd exec prod?` already");
        check(&inside, &args(false, true)).unwrap();
        check(&call(&[], false), &args(false, false)).unwrap();
    }

    #[test]
    fn an_endpoint_needs_somebody_who_stays() {
        assert_eq!(check(&call(&[], true), &args(true, false)).unwrap_err().code, Code::Usage);
        check(&call(&[], false), &args(true, false)).unwrap();
    }

    #[test]
    fn what_cannot_be_run() {
        let folder = tempfile::tempdir().unwrap();
        let run = |path: &std::path::Path| not_run(path.as_os_str(), &Command::new(path).exec()).1;
        assert_eq!(run(&folder.path().join("nothing")), 127);
        assert_eq!(run(folder.path()), 126);
        assert_eq!(run(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")), 126);
    }
}
