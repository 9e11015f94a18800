//! Starting an agent, and the stand-in for one: `eksd-agent once`.
//!
//! The agent says on a pipe, in one line, when it listens or why it does not; nobody sleeps and
//! looks again. Detaching (`setsid`, closing the pipe) is the agent's part.

use std::{
    ffi::OsStr,
    io::Read,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::event::PollFlags;

use super::{
    client::{Client, Ready, wait},
    wire::Startup,
};
use crate::report::{Code, Report};

/// The agent's program.
const PROGRAM: &str = "eksd-agent";

/// How long an agent may take until it listens. Its goal is 15 ms; a cold disk, or a virus scanner,
/// takes longer.
pub const START_LIMIT: Duration = Duration::from_secs(10);

/// A start-up line longer than this is none.
const LONGEST_STARTUP: usize = 64 * 1024;

/// Returns the agent's program: the one beside this program, else the first in `search_path`.
pub fn find_agent(search_path: Option<&OsStr>) -> Result<PathBuf, Report> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(PROGRAM)));
    let searched = search_path.map(std::env::split_paths).into_iter().flatten();
    // A relative entry would run whatever lies in the folder that somebody happens to be in.
    let searched =
        searched.filter(|folder| folder.is_absolute()).map(|folder| folder.join(PROGRAM));
    beside.into_iter().chain(searched).find(|path| path.is_file()).ok_or_else(|| {
        Report::new(
            Code::AgentUnavailable,
            format!("`{PROGRAM}` was found neither beside `eksd` nor in PATH"),
            format!("install `{PROGRAM}` into the folder that `eksd` is in"),
        )
    })
}

/// Starts an agent in the background and waits until it listens. One that runs already is fine:
/// of two callers that start one at once, one is told so.
pub fn start_agent(program: &Path) -> Result<(), Report> {
    let mut child = spawn(program, &["run", "--background"], Stdio::null())?;
    let stdout = child.stdout.take();
    let said = match stdout {
        Some(stdout) => startup_line(stdout, Instant::now() + START_LIMIT),
        None => Err(not_started("its output is not a pipe")),
    };
    match said {
        Ok(Some(Startup::Ready)) => Ok(()),
        Ok(Some(Startup::AlreadyRunning)) => {
            reap(child);
            Ok(())
        }
        Ok(Some(Startup::Failed(report))) => {
            reap(child);
            Err(report)
        }
        Ok(None) => Err(match child.wait() {
            Ok(status) => not_started(format!("it ended without a word: {status}")),
            Err(error) => not_started(error.to_string()),
        }),
        Err(report) => {
            // Ours, and stuck: the next caller starts with a free lock.
            drop(child.kill());
            reap(child);
            Err(report)
        }
    }
}

/// Starts a process that answers like an agent for as long as the client lives.
pub fn once(program: &Path) -> Result<Client, Report> {
    let mut child = spawn(program, &["once"], Stdio::piped())?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(stdin), Some(stdout)) => Ok(Client::over(child, stdin, stdout)),
        _ => Err(not_started("its input and output are not pipes")),
    }
}

fn spawn(program: &Path, words: &[&str], stdin: Stdio) -> Result<Child, Report> {
    Command::new(program)
        .args(words)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| not_started(format!("`{}`: {error}", program.display())))
}

/// Reads the one line. `None`: the agent ended without it.
fn startup_line(mut pipe: ChildStdout, until: Instant) -> Result<Option<Startup>, Report> {
    let mut line = Vec::new();
    loop {
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            return serde_json::from_slice(&line[..end])
                .map(Some)
                .map_err(|error| not_started("it said something else").because(error.to_string()));
        }
        if LONGEST_STARTUP < line.len() {
            return Err(not_started("it said something else"));
        }
        match wait(pipe.as_fd(), PollFlags::IN, &[], Some(until))? {
            Ready::First => (),
            _ => return Err(not_started(format!("it was not ready after {START_LIMIT:?}"))),
        }
        let mut chunk = [0; 4096];
        match pipe.read(&mut chunk) {
            Ok(0) => return Ok(None),
            Ok(read) => line.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => (),
            Err(error) => return Err(not_started(error.to_string())),
        }
    }
}

/// An agent that failed, or is one too many, ends by itself; nothing is learned from how.
fn reap(mut child: Child) {
    drop(child.wait());
}

fn not_started(why: impl Into<String>) -> Report {
    Report::new(
        Code::AgentUnavailable,
        "the agent could not be started",
        "run `eksd agent run` to see why in the foreground",
    )
    .because(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another process writes the file: one that this process holds open while a test beside this one
    /// starts a program cannot be run (`ETXTBSY`).
    fn write(path: &Path, text: &str) {
        let write = r#"printf '%s\n' "$2" > "$1" && chmod 700 "$1""#;
        let status = Command::new("sh").args(["-c", write, "sh"]).arg(path).arg(text).status();
        assert!(status.unwrap().success());
    }

    /// Runs `start_agent` on a script in the agent's place.
    fn start(script: &str) -> Result<(), Report> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("agent");
        write(&program, &format!("#!/bin/sh\n{script}"));
        start_agent(&program)
    }

    #[test]
    fn ready_and_already_running_are_both_fine() {
        start("echo '\"ready\"'").unwrap();
        start("echo '\"already-running\"'").unwrap();
    }

    #[test]
    fn the_words_it_is_started_with() {
        start("[ \"$*\" = 'run --background' ] && echo '\"ready\"'").unwrap();
    }

    #[test]
    fn its_own_report_comes_through() {
        let line = r#"{"failed":{"code":"write-failed","what":"no room","fix":"make room"}}"#;
        let report = start(&format!("echo '{line}'; exit 1")).unwrap_err();
        assert_eq!(report, Report::new(Code::WriteFailed, "no room", "make room"));
    }

    #[test]
    fn an_end_without_a_word_tells_the_status() {
        let report = start("exit 7").unwrap_err();
        assert_eq!(report.code, Code::AgentUnavailable);
        assert_eq!(report.why, ["it ended without a word: exit status: 7"]);
    }

    #[test]
    fn garbage_is_a_report() {
        let report = start("echo hello").unwrap_err();
        assert_eq!(report.code, Code::AgentUnavailable);
        assert_eq!(report.why[0], "it said something else");
    }

    #[test]
    fn relative_search_path_entries_are_not_searched() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join(PROGRAM), "");
        let search_path = std::env::join_paths([Path::new("."), folder.path()]).unwrap();
        let found = find_agent(Some(&search_path));
        assert_eq!(found.unwrap(), folder.path().join(PROGRAM));
        assert_eq!(find_agent(None).unwrap_err().code, Code::AgentUnavailable);
    }
}
