//! The client's side of the socket: connect, ask, wait with a deadline.
//!
//! One thread, no runtime. Every wait is one `poll` with the time that is left, so a hung agent
//! costs the caller its deadline and nothing more. Who may start an agent, and how, is in
//! [`super::start`].

use std::{
    fs,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{fs::MetadataExt, net::UnixStream},
    },
    path::Path,
    process::{Child, ChildStdin, ChildStdout},
    time::{Duration, Instant},
};

use interprocess::{
    local_socket::traits::StreamCommon, os::unix::uds_local_socket::Stream as LocalStream,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt},
    process::Pid,
};
use serde::{Deserialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::{
    LONGEST_ANSWER, PROTOCOL,
    wire::{Hello, Notification, Request, RequestLine, RpcError, Welcome},
};
use crate::report::{Code, Report};

/// The id that `hello` has on every connection; other requests count on from it.
const HELLO_ID: u64 = 1;

/// Most bytes taken from the agent in one read.
const CHUNK: usize = 16 * 1024;

/// Why there is no connection.
#[derive(Debug)]
pub enum Refusal {
    /// Nobody listens: there is no socket, or one that its owner left behind. An agent may be
    /// started.
    NoAgent,
    /// Something is wrong that starting an agent would not mend.
    Failed(Report),
}

/// What came while waiting.
#[derive(Debug)]
pub enum Heard<T> {
    /// The answer waited for.
    Answer(T),
    /// Something happened at the agent.
    Notification(Notification),
    /// One of the other descriptors that were waited for can be read; which.
    Other(usize),
    /// The time is over.
    Late,
}

/// A connection to an agent, or to a process that answers like one.
#[derive(Debug)]
pub struct Client {
    pipe: Pipe,
    /// Read, and not yet taken. Answers hold secrets.
    unread: Zeroizing<Vec<u8>>,
    /// How much of `unread` is known to hold no line end.
    searched: usize,
    last_id: u64,
    welcome: Option<Welcome>,
}

impl Client {
    /// Connects to the agent's socket, waiting at most `timeout` where more callers than the
    /// socket has room for are waiting already.
    pub fn connect(socket: &Path, timeout: Duration) -> Result<Self, Refusal> {
        let ours = rustix::process::geteuid().as_raw();
        check_owners(socket, ours)?;
        let stream = match connect(socket, timeout) {
            Ok(stream) => LocalStream::from(stream),
            Err(Errno::NOENT | Errno::CONNREFUSED) => return Err(Refusal::NoAgent),
            Err(Errno::AGAIN) => return Err(Refusal::Failed(silent(timeout))),
            Err(error) => {
                let what = format!("`{}` cannot be connected to", socket.display());
                let report = Report::new(Code::AgentUnavailable, what, "run `eksd agent restart`");
                return Err(Refusal::Failed(report.because(error.to_string())));
            }
        };
        let creds = stream.peer_creds().map_err(|error| {
            let what = format!("whoever listens at `{}` cannot be identified", socket.display());
            let report = Report::new(Code::UnsafePath, what, "run `eksd agent restart`");
            Refusal::Failed(report.because(error.to_string()))
        })?;
        check_peer(socket, creds.euid(), ours).map_err(Refusal::Failed)?;
        let pid = creds.pid().and_then(Pid::from_raw);
        Ok(Self::new(Pipe::Socket { stream: OwnedSocket(stream), pid }))
    }

    /// Wraps a process that reads requests from its standard input and answers on its output.
    pub(super) fn over(child: Child, stdin: ChildStdin, stdout: ChildStdout) -> Self {
        Self::new(Pipe::Process { child, stdin, stdout })
    }

    fn new(pipe: Pipe) -> Self {
        let unread = Zeroizing::new(Vec::new());
        Self { pipe, unread, searched: 0, last_id: 0, welcome: None }
    }

    /// Returns what the agent said about itself, once something was heard from it.
    pub fn welcome(&self) -> Option<&Welcome> {
        self.welcome.as_ref()
    }

    /// Returns the agent's process, as the kernel knows it.
    pub fn pid(&self) -> Option<Pid> {
        match &self.pipe {
            Pipe::Socket { pid, .. } => *pid,
            Pipe::Process { child, .. } => Some(Pid::from_child(child)),
        }
    }

    /// Asks and waits for the answer. Notifications that come first are dropped.
    pub fn ask<T: DeserializeOwned>(
        &mut self,
        request: Request,
        deadline: Duration,
    ) -> Result<T, Report> {
        let until = Instant::now() + deadline;
        let id = self.send(request, until)?;
        loop {
            match self.hear(id, Some(until), &[])? {
                Heard::Answer(answer) => return Ok(answer),
                Heard::Notification(_) | Heard::Other(_) => (),
                Heard::Late => return Err(silent(deadline)),
            }
        }
    }

    /// Sends a request and returns its id. The first takes `hello` along in the same write.
    pub fn send(&mut self, request: Request, until: Instant) -> Result<u64, Report> {
        let mut lines = Vec::new();
        if self.last_id == 0 {
            let client = format!("eksd {}", env!("CARGO_PKG_VERSION"));
            let hello = Request::Hello(Hello { protocol: PROTOCOL, client });
            self.last_id = HELLO_ID;
            write_line(&mut lines, HELLO_ID, hello)?;
        }
        self.last_id += 1;
        write_line(&mut lines, self.last_id, request)?;
        self.pipe.write(&lines, until)?;
        Ok(self.last_id)
    }

    /// Waits for the answer to request `id`, a notification, one of `others` or the end of the
    /// time, whichever comes first.
    pub fn hear<T: DeserializeOwned>(
        &mut self,
        id: u64,
        until: Option<Instant>,
        others: &[BorrowedFd<'_>],
    ) -> Result<Heard<T>, Report> {
        loop {
            while let Some(line) = self.take_line()? {
                let heard = if self.welcome.is_none() {
                    self.greet(&line)?.map(Heard::Notification)
                } else {
                    understand::<T>(&line, id)?
                };
                if let Some(heard) = heard {
                    return Ok(heard);
                }
            }
            match wait(self.pipe.as_fd(), PollFlags::IN, others, until)? {
                Ready::First => self.fill()?,
                Ready::Other(which) => return Ok(Heard::Other(which)),
                Ready::Neither => return Ok(Heard::Late),
            }
        }
    }

    /// Waits until the agent hangs up. Returns whether it did.
    pub fn wait_for_end(&mut self, until: Instant) -> Result<bool, Report> {
        loop {
            self.unread.clear();
            match wait(self.pipe.as_fd(), PollFlags::IN, &[], Some(until))? {
                Ready::First if self.pipe.read(&mut self.unread).is_ok_and(|read| 0 < read) => (),
                Ready::First => return Ok(true),
                _ => return Ok(false),
            }
        }
    }

    /// Takes the answer to `hello`; a notification may come first.
    fn greet(&mut self, line: &[u8]) -> Result<Option<Notification>, Report> {
        let line: Line<Welcome> = parse(line)?;
        if let Some(error) = line.error {
            return Err(if error.data.code == Code::ProtocolMismatch {
                mismatch("client and agent are of different versions").because(error.data.what)
            } else {
                error.data
            });
        }
        match line.result {
            Some(welcome) if line.id == Some(HELLO_ID) => {
                if welcome.protocol != PROTOCOL {
                    let what = format!(
                        "the agent is eksd {} and speaks protocol {}, this eksd speaks {PROTOCOL}",
                        crate::model::text::printable(&welcome.version),
                        welcome.protocol,
                    );
                    return Err(mismatch(what));
                }
                self.welcome = Some(welcome);
                Ok(None)
            }
            Some(_) => Err(mismatch("the agent answered a question that was not asked")),
            None => Ok(line.notification()),
        }
    }

    /// Returns the next whole line, without its end.
    fn take_line(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, Report> {
        let end = self.unread[self.searched..].iter().position(|byte| *byte == b'\n');
        let length = end.map_or(self.unread.len(), |end| self.searched + end);
        if LONGEST_ANSWER < length {
            let what = format!("the agent's answer is longer than {LONGEST_ANSWER} bytes");
            return Err(mismatch(what));
        }
        if end.is_none() {
            self.searched = length;
            return Ok(None);
        }
        self.searched = 0;
        let rest = Zeroizing::new(self.unread.split_off(length + 1));
        let mut line = std::mem::replace(&mut self.unread, rest);
        line.truncate(length);
        Ok(Some(line))
    }

    fn fill(&mut self) -> Result<(), Report> {
        match self.pipe.read(&mut self.unread) {
            Ok(0) => Err(self.pipe.hung_up()),
            Ok(_) => Ok(()),
            Err(error) if is_temporary(&error) => Ok(()),
            Err(error) => Err(self.pipe.hung_up().because(error.to_string())),
        }
    }
}

/// One line from the agent. Flat, unlike [`super::wire::AgentLine`], whose untagged form would
/// have a status of a thousand rows parsed into a tree first; the test below holds them together.
#[derive(Deserialize)]
struct Line<T> {
    id: Option<u64>,
    result: Option<T>,
    error: Option<RpcError>,
    method: Option<String>,
    params: Option<serde_json::Value>,
}

impl<T> Line<T> {
    /// Returns the notification that this is; `None` for one that this version does not know.
    fn notification(self) -> Option<Notification> {
        let method = self.method?;
        let params = self.params.unwrap_or_else(|| serde_json::json!({}));
        serde_json::from_value(serde_json::json!({ "method": method, "params": params })).ok()
    }
}

fn understand<T: DeserializeOwned>(line: &[u8], id: u64) -> Result<Option<Heard<T>>, Report> {
    // An answer nobody waits for any more may be of another type: its id decides first.
    #[derive(Deserialize)]
    struct Head {
        id: Option<u64>,
    }
    let answers = match parse::<Head>(line)?.id {
        Some(answers) if answers != id => return Ok(None),
        answers => answers,
    };
    let line: Line<T> = parse(line)?;
    if let Some(error) = line.error {
        return Err(error.data);
    }
    if answers.is_none() {
        return Ok(line.notification().map(Heard::Notification));
    }
    match line.result {
        Some(result) => Ok(Some(Heard::Answer(result))),
        None => Err(mismatch("the agent's answer holds neither a result nor an error")),
    }
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Report> {
    // serde's message may quote the line, and the line may hold a secret: position only.
    serde_json::from_slice(line).map_err(|error| {
        let place = format!("column {} of a line of {} bytes", error.column(), line.len());
        mismatch("the agent's answer makes no sense").because(place)
    })
}

fn write_line(lines: &mut Vec<u8>, id: u64, request: Request) -> Result<(), Report> {
    serde_json::to_writer(&mut *lines, &RequestLine::new(id, request)).map_err(|error| {
        Report::new(Code::Internal, "the request cannot be written", "report this as a bug")
            .because(error.to_string())
    })?;
    lines.push(b'\n');
    Ok(())
}

/// The two ways to an agent.
#[derive(Debug)]
enum Pipe {
    Socket { stream: OwnedSocket, pid: Option<Pid> },
    Process { child: Child, stdin: ChildStdin, stdout: ChildStdout },
}

/// A local stream; the newtype is for its `Debug`, which would print the peer's path.
struct OwnedSocket(LocalStream);

impl std::fmt::Debug for OwnedSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("socket")
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Socket { stream, .. } => stream.0.as_fd(),
            Self::Process { stdout, .. } => stdout.as_fd(),
        }
    }
}

impl Pipe {
    fn read(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        let length = into.len();
        into.resize(length + CHUNK, 0);
        let read = match self {
            Self::Socket { stream, .. } => stream.0.read(&mut into[length..]),
            Self::Process { stdout, .. } => stdout.read(&mut into[length..]),
        };
        into.truncate(length + read.as_ref().map_or(0, |read| *read));
        read
    }

    fn input(&self) -> BorrowedFd<'_> {
        match self {
            Self::Socket { stream, .. } => stream.0.as_fd(),
            Self::Process { stdin, .. } => stdin.as_fd(),
        }
    }

    fn write(&mut self, mut bytes: &[u8], until: Instant) -> Result<(), Report> {
        while !bytes.is_empty() {
            if let Ready::Neither = wait(self.input(), PollFlags::OUT, &[], Some(until))? {
                return Err(silent(Duration::ZERO));
            }
            let written = match self {
                Self::Socket { stream, .. } => stream.0.write(bytes),
                Self::Process { stdin, .. } => stdin.write(bytes),
            };
            match written {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if is_temporary(&error) => (),
                // An agent that cannot begin says why before it listens: that is to be read yet.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(self.hung_up().because(error.to_string())),
            }
        }
        Ok(())
    }

    fn hung_up(&mut self) -> Report {
        match self {
            Self::Socket { .. } => Report::new(
                Code::AgentUnavailable,
                "the agent hung up before it answered",
                "run the command again; if it goes on, `eksd agent logs` says why",
            ),
            Self::Process { child, .. } => {
                let report = Report::new(
                    Code::AgentUnavailable,
                    "`eksd-agent once` ended before it answered",
                    "run `eksd-agent once` by hand to see why",
                );
                match child.wait() {
                    Ok(status) => report.because(status.to_string()),
                    Err(error) => report.because(error.to_string()),
                }
            }
        }
    }
}

/// Connects by hand: interprocess takes a full backlog for success (`EAGAIN` of a Unix socket is not
/// `EINPROGRESS`), and Linux keeps to `SO_SNDTIMEO` here if it is set before `connect`.
fn connect(socket: &Path, timeout: Duration) -> Result<UnixStream, Errno> {
    let address = SocketAddrUnix::new(socket)?;
    let fd = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    sockopt::set_socket_timeout(&fd, sockopt::Timeout::Send, Some(timeout))?;
    rustix::net::connect(&fd, &address)?;
    Ok(fd.into())
}

/// Refuses a socket, or a folder around it, that somebody else could have put there.
fn check_owners(socket: &Path, ours: u32) -> Result<(), Refusal> {
    for path in socket.parent().into_iter().chain([socket]) {
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Refusal::NoAgent),
            Err(error) => {
                let what = format!("`{}` cannot be looked at", path.display());
                let fix = "see to it that the folder is yours, then run the command again";
                let report = Report::new(Code::ReadFailed, what, fix);
                return Err(Refusal::Failed(report.because(error.to_string())));
            }
        };
        // The socket itself is guarded by its folder: what `bind` gives it depends on the umask.
        let open_to = if found.is_dir() { found.mode() & 0o022 } else { 0 };
        check_owner(path, found.uid(), open_to, ours).map_err(Refusal::Failed)?;
    }
    Ok(())
}

fn check_owner(path: &Path, owner: u32, open_to: u32, ours: u32) -> Result<(), Report> {
    let why = if owner != ours {
        format!("it belongs to user {owner}, you are user {ours}")
    } else if open_to != 0 {
        "others can write to it".to_owned()
    } else {
        return Ok(());
    };
    let what = format!("`{}` is not safe to use for the agent's socket", path.display());
    let fix = format!(
        "remove `{}`, or set `EKSD_RUNTIME_DIR` to a folder that is yours alone",
        path.display()
    );
    Err(Report::new(Code::UnsafePath, what, fix).because(why))
}

/// Refuses to talk to a process of another user, whoever owns the socket file.
fn check_peer(socket: &Path, peer: Option<u32>, ours: u32) -> Result<(), Report> {
    if peer == Some(ours) {
        return Ok(());
    }
    let who = peer.map_or("an unknown user".to_owned(), |uid| format!("user {uid}"));
    let what = format!("the process that listens at `{}` is not yours", socket.display());
    let fix = "find out who runs it; set `EKSD_RUNTIME_DIR` to a folder that is yours alone";
    Err(Report::new(Code::UnsafePath, what, fix)
        .because(format!("it runs as {who}, you are user {ours}")))
}

/// Which descriptor can be used.
pub(super) enum Ready {
    First,
    Other(usize),
    Neither,
}

/// Waits for `first` (in direction `flags`), one of `others` (to be read) or `until`. A descriptor whose
/// other end is gone counts as ready.
pub(super) fn wait(
    first: BorrowedFd<'_>,
    flags: PollFlags,
    others: &[BorrowedFd<'_>],
    until: Option<Instant>,
) -> Result<Ready, Report> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = vec![PollFd::from_borrowed_fd(first, flags)];
        fds.extend(others.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) | Err(Errno::INTR) if left == Some(Duration::ZERO) => return Ok(Ready::Neither),
            Ok(0) | Err(Errno::INTR) => (),
            Ok(_) => match fds.iter().position(|fd| !fd.revents().is_empty()) {
                Some(0) => return Ok(Ready::First),
                Some(at) => return Ok(Ready::Other(at - 1)),
                None => (),
            },
            Err(error) => {
                let what = "waiting for the agent failed";
                let report = Report::new(Code::Internal, what, "report this as a bug");
                return Err(report.because(error.to_string()));
            }
        }
    }
}

/// Waits until `fd` can be read. Returns whether that came before `until`.
pub fn is_readable(fd: BorrowedFd<'_>, until: Instant) -> Result<bool, Report> {
    wait(fd, PollFlags::IN, &[], Some(until)).map(|ready| matches!(ready, Ready::First))
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

/// The agent gave no answer in time.
pub fn silent(waited: Duration) -> Report {
    let what = if waited.is_zero() {
        "the agent does not read what it is asked".to_owned()
    } else {
        format!("the agent gave no answer in {waited:?}")
    };
    Report::new(Code::AgentSilent, what, "run `eksd agent restart`")
}

fn mismatch(what: impl Into<String>) -> Report {
    Report::new(Code::ProtocolMismatch, what, "run `eksd agent restart`")
}

#[cfg(test)]
mod tests;
