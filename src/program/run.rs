//! One run of a helper, from its start to its end or its deadline.

use std::{
    io,
    os::{fd::AsFd, unix::process::ExitStatusExt as _},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, waitid},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};
use zeroize::Zeroizing;

use super::{Environment, ProgramError, error::Stream, redact::redacted};
use crate::{model::Secret, platform};

/// How long a helper may take: what the Go SDK gives it. The others wait for ever.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// What a helper may print: the Java SDK's 64 000 bytes, rounded up.
const MOST_STDOUT: usize = 64 * 1024;

/// What is kept of a helper's complaints: the last of them.
const KEPT_STDERR: usize = 64 * 1024;

/// Somebody who complains at this length does not stop.
const MOST_STDERR: usize = 1024 * 1024;

/// The POSIX shell is there on every system that eksd runs on; `PATH` need not lead to it.
const SHELL: &str = "/bin/sh";

/// Runs a command and returns what it printed, if it ended well within `deadline`.
///
/// What it wrote up to its end counts. A process that it left in the background is not waited for,
/// nor, after a good end, killed: agents of keys and passwords are started that way.
///
/// Dropping the future kills the helper and what it started, unless that began a session of its own.
/// Needs a runtime with I/O and time.
///
/// # Errors
/// See [`ProgramError`].
pub async fn run(
    command: &str,
    environment: &Environment,
    deadline: Duration,
) -> Result<Secret, ProgramError> {
    if command.contains('\0') {
        return Err(ProgramError::NotStarted { source: io::ErrorKind::InvalidInput.into() });
    }
    if let Some(profile) = environment.repeated() {
        return Err(ProgramError::Loop { profile: profile.to_owned() });
    }
    let mut helper = Helper::start(command, environment)
        .map_err(|source| ProgramError::NotStarted { source })?;
    let ended = tokio::time::timeout(deadline, helper.end()).await;
    let status = ended.map_err(|_| ProgramError::Deadline { after: deadline })??;
    if !status.success() {
        return Err(ProgramError::Failed {
            code: status.code(),
            signal: status.signal(),
            words: redacted(helper.stderr.whole_words()),
        });
    }
    let bytes = std::mem::take(&mut *helper.stdout.bytes);
    let text = String::from_utf8(bytes).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        ProgramError::NotText
    })?;
    Ok(Secret::new(text))
}

/// A running helper; killed with its group when dropped.
struct Helper {
    child: Child,
    stdout: Capture<tokio::process::ChildStdout>,
    stderr: Capture<tokio::process::ChildStderr>,
}

impl Helper {
    fn start(command: &str, environment: &Environment) -> io::Result<Self> {
        let mut shell = Command::new(SHELL);
        shell
            .args(["-c", command])
            .env_clear()
            .envs(environment.variables())
            // The agent's folder; a client's would let a repository choose the program.
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        platform::set_apart(&mut shell);
        let mut child = shell.spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        Ok(Self {
            child,
            stdout: Capture::new(stdout, Stream::Stdout, MOST_STDOUT, MOST_STDOUT),
            stderr: Capture::new(stderr, Stream::Stderr, KEPT_STDERR, MOST_STDERR),
        })
    }

    /// Waits for the end of the helper itself, not of what it left behind; that is killed where the helper
    /// failed.
    async fn end(&mut self) -> Result<ExitStatus, ProgramError> {
        let lost = |source| ProgramError::Lost { source };
        // Before the first look, so that no end is missed.
        let mut ends = signal(SignalKind::child()).map_err(lost)?;
        let is_well = loop {
            if let Some(is_well) = self.has_ended().map_err(lost)? {
                break is_well;
            }
            tokio::select! {
                more = self.stdout.more(), if self.stdout.is_open() => more?,
                more = self.stderr.more(), if self.stderr.is_open() => more?,
                _ = ends.recv() => (),
            }
        };
        // All that it wrote is in the pipes by now. Others may hold them open: no end will come.
        self.stdout.rest()?;
        self.stderr.rest()?;
        if !is_well {
            self.kill_group();
        }
        self.child.wait().await.map_err(lost)
    }

    /// Returns whether it ended well, once it has ended; its id stays its own until it is waited for.
    fn has_ended(&self) -> io::Result<Option<bool>> {
        let Some(leader) = self.leader() else { return Ok(Some(false)) };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let ended = waitid(WaitId::Pid(leader), options)?;
        Ok(ended.map(|status| status.exit_status() == Some(0)))
    }

    /// Returns its id. None: it was waited for, and the number may be another's by now.
    fn leader(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }

    fn kill_group(&self) {
        if let Some(leader) = self.leader() {
            let _gone_already = rustix::process::kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.kill_group();
        // The runtime waits for a dropped child, so that no zombie stays.
    }
}

/// One stream of a helper, as far as it is kept.
struct Capture<R> {
    pipe: Option<R>,
    stream: Stream,
    bytes: Zeroizing<Vec<u8>>,
    seen: usize,
    kept: usize,
    most: usize,
}

impl<R: AsyncRead + AsFd + Unpin> Capture<R> {
    fn new(pipe: Option<R>, stream: Stream, kept: usize, most: usize) -> Self {
        // Room from the start: growing would leave copies of secrets behind.
        let bytes = Zeroizing::new(Vec::with_capacity(kept));
        Self { pipe, stream, bytes, seen: 0, kept, most }
    }

    fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Waits for more.
    async fn more(&mut self) -> Result<(), ProgramError> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let mut chunk = Zeroizing::new([0; 4096]);
        let read = pipe.read(&mut *chunk).await;
        self.take(read, &chunk[..])
    }

    /// Takes what is there, and waits for nothing. The runtime may not know of it yet, so the
    /// descriptor itself is asked; it does not block.
    fn rest(&mut self) -> Result<(), ProgramError> {
        while let Some(pipe) = &self.pipe {
            let mut chunk = Zeroizing::new([0; 4096]);
            match rustix::io::read(pipe, &mut *chunk) {
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                read => self.take(read.map_err(io::Error::from), &chunk[..])?,
            }
        }
        Ok(())
    }

    fn take(&mut self, read: io::Result<usize>, chunk: &[u8]) -> Result<(), ProgramError> {
        let size = read.map_err(|source| ProgramError::Lost { source })?;
        if size == 0 {
            self.pipe = None;
        }
        self.seen += size;
        if self.most < self.seen {
            return Err(ProgramError::TooMuch { stream: self.stream, most: self.most });
        }
        // The first bytes make room, where not all are kept; so nothing grows.
        let over = (self.bytes.len() + size).saturating_sub(self.kept);
        self.bytes.drain(..over);
        self.bytes.extend_from_slice(&chunk[..size]);
        Ok(())
    }

    /// Returns what is kept, without the rest of a word that was cut: it may be that of a secret.
    fn whole_words(&self) -> &[u8] {
        if self.seen == self.bytes.len() {
            return &self.bytes;
        }
        let end = self.bytes.iter().position(u8::is_ascii_whitespace).unwrap_or(self.bytes.len());
        &self.bytes[end..]
    }
}
