//! `eksd agent`: the background process.

use std::{
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    os::{fd::AsFd, unix::process::CommandExt},
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    cli::{
        args::AgentCommand,
        door::{self, Call},
        exit::Done,
        output::{self, Stop},
    },
    config::Settings,
    ipc::{
        client::{Client, Refusal},
        wire::{Empty, Request, StatusAnswer, StatusParams},
    },
    model::text::{printable, printable_sentence},
    report::{Code, Report},
};

/// An agent that is well says something at once.
const LIMIT: Duration = Duration::from_secs(2);

/// An agent that is told to end stores what it must, and ends.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Longest part of the log that is looked through for its last lines.
const LOG_TAIL: u64 = 1 << 20;

/// Runs `eksd agent`.
pub fn run(call: &Call, command: AgentCommand) -> Done {
    match command {
        AgentCommand::Run => Err(run_here(call).into()),
        AgentCommand::Start => start(call),
        AgentCommand::Stop => {
            let was_there = stop(call)?;
            output::talk(if was_there { "the agent has ended" } else { "no agent runs" });
            Ok(0)
        }
        AgentCommand::Restart => {
            // An agent that runs is worth more than one that refuses to start.
            Settings::load(&call.paths).map_err(Report::from)?;
            stop(call)?;
            start(call)
        }
        AgentCommand::Status => status(call),
        AgentCommand::Logs { follow, lines } => logs(call, follow, lines),
    }
}

/// Becomes the agent; returns only if that fails.
fn run_here(call: &Call) -> Report {
    let program = match door::agent_program(call) {
        Ok(program) => program,
        Err(report) => return report,
    };
    let error = Command::new(&program).arg("run").exec();
    let what = format!("`{}` cannot be run", program.display());
    Report::new(Code::AgentUnavailable, what, "install `eksd-agent` beside `eksd`")
        .because(error.to_string())
}

fn start(call: &Call) -> Done {
    let mut client = door::start(call)?;
    let status = ask_status(&mut client)?;
    output::talk(format!("the agent runs (process {})", status.agent.pid));
    Ok(0)
}

fn ask_status(client: &mut Client) -> Result<StatusAnswer, Report> {
    client.ask(Request::Status(StatusParams::default()), LIMIT)
}

/// Ends the agent and waits until its process is gone, so that the next one finds the lock free.
/// Returns whether there was one.
fn stop(call: &Call) -> Result<bool, Stop> {
    let mut client = match Client::connect(&call.paths.socket, LIMIT) {
        Ok(client) => client,
        Err(Refusal::NoAgent) => return Ok(false),
        Err(Refusal::Failed(report)) => return Err(report.into()),
    };
    let pid = client.pid();
    let end = End::watch(pid);
    match client.ask::<Empty>(Request::Stop(Empty {}), LIMIT) {
        Ok(Empty {}) => (),
        // One that hung up has ended; one of another version, or a hung one, is told by signal.
        Err(report) if report.code == Code::AgentUnavailable => (),
        Err(report) => signal(pid, Signal::TERM).ok_or(report)?,
    }
    if end.comes(&mut client, END_LIMIT)? {
        return Ok(true);
    }
    let what = format!("the agent has not ended after {END_LIMIT:?}");
    let fix = pid.map_or("end its process by hand".to_owned(), |pid| {
        format!("run `kill -9 {}`; what it held is read again", pid.as_raw_nonzero())
    });
    Err(Report::new(Code::AgentSilent, what, fix).into())
}

fn signal(pid: Option<Pid>, signal: Signal) -> Option<()> {
    kill_process(pid?, signal).ok()
}

/// The end of a process. The socket closes a little before the lock is free.
struct End {
    #[cfg(target_os = "linux")]
    process: Option<std::os::fd::OwnedFd>,
}

impl End {
    #[cfg(target_os = "linux")]
    fn watch(pid: Option<Pid>) -> Self {
        let open = |pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty());
        Self { process: pid.and_then(|pid| open(pid).ok()) }
    }

    #[cfg(not(target_os = "linux"))]
    fn watch(_: Option<Pid>) -> Self {
        Self {}
    }

    /// Waits for it.
    fn comes(&self, client: &mut Client, limit: Duration) -> Result<bool, Report> {
        let until = Instant::now() + limit;
        #[cfg(target_os = "linux")]
        if let Some(process) = &self.process {
            return crate::ipc::client::is_readable(process.as_fd(), until);
        }
        client.wait_for_end(until)
    }
}

fn status(call: &Call) -> Done {
    let mut client = door::running(call, LIMIT)?;
    let answer = ask_status(&mut client)?;
    let agent = &answer.agent;
    output::data(format!(
        "eksd {} runs as process {} since {}\n  socket: {}\n  log: {}\n  profiles: {}, clusters: {}\n",
        printable(&agent.version),
        agent.pid,
        printable(&agent.started_at),
        call.paths.shown(&call.paths.socket),
        call.paths.shown(&call.paths.log),
        answer.profiles.len(),
        answer.clusters.len(),
    ))?;
    Ok(0)
}

fn logs(call: &Call, follow: bool, lines: usize) -> Done {
    let file = std::fs::File::open(&call.paths.log).map_err(|error| {
        let what = format!("`{}` cannot be read", call.paths.shown(&call.paths.log));
        let fix = "run `eksd agent start`; under systemd the log is in the journal";
        Report::new(Code::ReadFailed, what, fix).because(error.to_string())
    })?;
    if follow {
        return follow_log(call, lines);
    }
    for line in tail(file, lines).map_err(|error| unreadable(&error))? {
        output::data(line)?;
    }
    Ok(0)
}

/// Returns the last lines, fit for a terminal.
fn tail(mut file: impl Read + Seek, lines: usize) -> std::io::Result<Vec<String>> {
    let length = file.seek(SeekFrom::End(0))?;
    let begin = length.saturating_sub(LOG_TAIL);
    file.seek(SeekFrom::Start(begin))?;
    let mut found = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        found.push(String::from_utf8_lossy(&line?).into_owned());
    }
    let cut = usize::from(0 < begin);
    let from = found.len().saturating_sub(lines).max(cut.min(found.len()));
    Ok(found.split_off(from).iter().map(|line| printable_sentence(line) + "\n").collect())
}

/// `tail` knows how to wait for more and to notice that the file was rotated away.
fn follow_log(call: &Call, lines: usize) -> Done {
    let error =
        Command::new("tail").args(["-n", &lines.to_string(), "-F"]).arg(&call.paths.log).exec();
    Err(unreadable(&error).into())
}

fn unreadable(error: &std::io::Error) -> Report {
    Report::new(Code::ReadFailed, "the log cannot be read", "look at it with another program")
        .because(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn last_lines() {
        let log = || Cursor::new(b"one\ntwo\nthree \x1b[2J\n".to_vec());
        assert_eq!(tail(log(), 2).unwrap(), ["two\n", "three ?[2J\n"]);
        assert_eq!(tail(log(), 0).unwrap(), [""; 0]);
        assert_eq!(tail(log(), 9).unwrap().len(), 3);
        let cut = format!("{}\nlast\n", "x".repeat(usize::try_from(LOG_TAIL).unwrap()));
        assert_eq!(tail(Cursor::new(cut.into_bytes()), 9).unwrap(), ["last\n"]);
    }
}
