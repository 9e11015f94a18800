//! MFA sessions in the operating system's key store, so that a restart of the agent does not cost
//! another code.
//!
//! The key store is a guest: it may be absent, locked, slow, hung, forbidden or wiped, and then eksd
//! serves without it. One thread talks to it, each request has a deadline, and a store that failed is
//! left alone for a while. Nothing here asks a person for anything: what is locked stays locked.
//!
//! For Linux (Secret Service API, version 0.2). Elsewhere there is no store yet.

mod entry;
#[cfg(target_os = "linux")]
mod secret_service;

use std::{
    fmt, io,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::model::{
    Credentials,
    keyring::{KeyringStatus, KeyringUse, MfaKey},
};

/// Requests that wait while the store is slow; there is one for each person's MFA device.
const QUEUE: usize = 16;

/// What to do.
#[derive(Debug)]
pub enum Request {
    /// See whether the store answers.
    Check,
    /// Find a session that is good at `now`. One that is not is deleted.
    Read {
        /// Whose.
        key: MfaKey,
        /// The instant.
        now: Timestamp,
    },
    /// Keep a session, in place of an earlier one.
    Write {
        /// Whose.
        key: MfaKey,
        /// The session.
        credentials: Credentials,
    },
    /// Delete a session.
    Delete {
        /// Whose.
        key: MfaKey,
    },
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The session that was to be read, where there is one.
    pub found: Option<Credentials>,
    /// The store, and whether it did what it was asked for.
    pub status: KeyringStatus,
}

/// Who hears how a request ended: called once, on any thread, and must not wait.
pub type Reply = Box<dyn FnOnce(Answer) + Send>;

/// How patient one is with the store.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a request may take. A store on the same machine that is well answers in milliseconds.
    pub deadline: Duration,
    /// How long a store that failed is left alone: whoever waits for an answer of AWS must not wait for
    /// it again and again.
    pub rest: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(3), rest: Duration::from_mins(1) }
    }
}

/// Why there is nothing to be had from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Failure {
    #[error("there is no session bus")]
    NoBus,
    #[error("the session bus is not on this machine")]
    FarBus,
    #[error("no key store is running")]
    NoService,
    #[error("it has no default collection")]
    NoCollection,
    #[error("it is locked")]
    Locked,
    #[error("it would have asked for a password")]
    WouldAsk,
    #[error("it may not be used")]
    Denied,
    #[error("it did not answer in time")]
    Late,
    #[error("it broke off or made no sense")]
    Broken,
    #[error("this is no session to keep")]
    NoSession,
    #[error("too much is asked of it")]
    Busy,
    #[cfg(not(target_os = "linux"))]
    #[error("eksd does not know this system's key store")]
    Unknown,
}

impl Failure {
    /// Returns whether to leave the store alone for a while. The others are found out at once, and
    /// may change as fast: a person logs in to the desktop, or unlocks the store.
    fn is_tiring(self) -> bool {
        matches!(self, Self::WouldAsk | Self::Denied | Self::Late | Self::Broken)
    }
}

/// The key store. Dropping it waits for nothing.
#[derive(Debug)]
pub struct Keyring {
    /// `None` where it is off.
    queue: Option<SyncSender<Waiting>>,
}

impl Keyring {
    /// Returns a key store that is never touched: every answer says so.
    pub fn off() -> Self {
        Self { queue: None }
    }

    /// Starts the thread that talks to the store. The store itself is looked for at the first request.
    /// `bus` is the address of the session bus; `None` is the one of this session.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn start(wanted: KeyringUse, bus: Option<String>, limits: Limits) -> io::Result<Self> {
        if wanted == KeyringUse::Off {
            return Ok(Self::off());
        }
        let (queue, requests) = sync_channel(QUEUE);
        let worker = Worker { wanted, bus, limits, circuit: Circuit::default() };
        thread::Builder::new().name("keyring".to_owned()).spawn(move || worker.run(&requests))?;
        Ok(Self { queue: Some(queue) })
    }

    /// Hands a request over, without waiting. `reply` is called in any case.
    pub fn ask(&self, request: Request, reply: Reply) {
        let waiting = Waiting { request: Some(request), reply: Some(reply) };
        match &self.queue {
            None => waiting.answer(Answer { found: None, status: KeyringStatus::off() }),
            Some(queue) => match queue.try_send(waiting) {
                Ok(()) => {}
                Err(TrySendError::Full(waiting) | TrySendError::Disconnected(waiting)) => {
                    waiting.answer(Answer::new(Err(Failure::Busy)));
                }
            },
        }
    }
}

impl Answer {
    fn new(result: Result<Option<Credentials>, Failure>) -> Self {
        let (found, why) = match result {
            Ok(found) => (found, None),
            Err(failure) => (None, Some(failure.to_string())),
        };
        let store = "Secret Service".to_owned();
        Self { found, status: KeyringStatus { store, answers: why.is_none(), why } }
    }
}

/// A request with whoever waits for its answer, who gets one even if the thread dies.
struct Waiting {
    request: Option<Request>,
    reply: Option<Reply>,
}

impl Waiting {
    fn answer(mut self, answer: Answer) {
        if let Some(reply) = self.reply.take() {
            reply(answer);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            reply(Answer::new(Err(Failure::Broken)));
        }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("request", &self.request).finish_non_exhaustive()
    }
}

/// A store that failed is left alone for a while.
#[derive(Debug, Default)]
struct Circuit {
    open: Option<(Failure, Instant)>,
}

impl Circuit {
    /// Returns why the store is left alone at `now`, if it is.
    fn why_open(&self, rest: Duration, now: Instant) -> Option<Failure> {
        let (failure, since) = self.open?;
        (now.saturating_duration_since(since) < rest).then_some(failure)
    }

    fn note(&mut self, failure: Option<Failure>, now: Instant) {
        self.open = failure.filter(|failure| failure.is_tiring()).map(|failure| (failure, now));
    }
}

/// The thread that talks to the store.
struct Worker {
    wanted: KeyringUse,
    bus: Option<String>,
    limits: Limits,
    circuit: Circuit,
}

impl Worker {
    fn run(mut self, requests: &Receiver<Waiting>) {
        for mut waiting in requests {
            let Some(request) = waiting.request.take() else { continue };
            waiting.answer(Answer::new(self.try_it(request)));
        }
    }

    fn try_it(&mut self, request: Request) -> Result<Option<Credentials>, Failure> {
        if let Some(failure) = self.circuit.why_open(self.limits.rest, Instant::now()) {
            return Err(failure);
        }
        let result = self.carry_out(request);
        let failure = result.as_ref().err().copied();
        if let Some(failure) = failure {
            tracing::debug!(%failure, "the key store did not do what it was asked for");
        }
        self.circuit.note(failure, Instant::now());
        result
    }

    #[cfg(target_os = "linux")]
    fn carry_out(&self, request: Request) -> Result<Option<Credentials>, Failure> {
        // Its own, with nothing but a timer: zbus brings what drives its sockets.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let Ok(runtime) = runtime else { return Err(Failure::Broken) };
        runtime.block_on(async {
            let work = secret_service::carry_out(self.bus.as_deref(), self.wanted, request);
            let done = tokio::time::timeout(self.limits.deadline, work).await;
            done.unwrap_or(Err(Failure::Late))
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn carry_out(&self, _: Request) -> Result<Option<Credentials>, Failure> {
        let _ = (self.wanted, &self.bus, self.limits.deadline);
        Err(Failure::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn ask(keyring: &Keyring) -> Answer {
        let (sender, answers) = channel();
        keyring.ask(Request::Check, Box::new(move |answer| sender.send(answer).unwrap()));
        answers.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    #[test]
    fn off_is_never_touched() {
        let off = Keyring::start(KeyringUse::Off, Some("nonsense".into()), Limits::default());
        for keyring in [off.unwrap(), Keyring::off()] {
            assert!(keyring.queue.is_none());
            assert_eq!(ask(&keyring), Answer { found: None, status: KeyringStatus::off() });
        }
    }

    /// No address, nobody there, somewhere else: found out at once, and nothing is started.
    #[cfg(target_os = "linux")]
    #[test]
    fn no_bus() {
        for (address, why) in [
            ("", "there is no session bus"),
            ("disabled:", "there is no session bus"),
            ("unix:path=/nonexistent/bus", "there is no session bus"),
            ("tcp:host=127.0.0.1,port=9", "the session bus is not on this machine"),
            ("unixexec:path=/bin/true", "there is no session bus"),
        ] {
            for wanted in [KeyringUse::On, KeyringUse::Auto] {
                let began = Instant::now();
                let keyring = Keyring::start(wanted, Some(address.into()), Limits::default());
                let status = ask(&keyring.unwrap()).status;
                let expected = KeyringStatus {
                    store: "Secret Service".to_owned(),
                    answers: false,
                    why: Some(why.to_owned()),
                };
                assert_eq!(status, expected, "{address}");
                assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
            }
        }
    }

    /// A bus that accepts and says nothing is what a stopped one looks like.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_bus_that_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bus");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let limits = Limits { deadline: Duration::from_millis(100), ..Limits::default() };
        let address = format!("unix:path={}", path.display());
        let keyring = Keyring::start(KeyringUse::On, Some(address), limits).unwrap();
        assert_eq!(ask(&keyring).status.why.as_deref(), Some("it did not answer in time"));
    }

    #[test]
    fn everybody_hears_something() {
        let (queue, requests) = sync_channel(1);
        let keyring = Keyring { queue: Some(queue) };
        let (sender, answers) = channel();
        let why = |number: usize| {
            let sender = sender.clone();
            let tell = move |answer: Answer| sender.send((number, answer.status.why)).unwrap();
            keyring.ask(Request::Check, Box::new(tell));
        };
        let heard = || answers.try_recv().map(|(number, why)| (number, why.unwrap()));
        why(1);
        why(2);
        assert_eq!(heard(), Ok((2, "too much is asked of it".to_owned())), "no room");
        assert!(heard().is_err());
        drop(requests);
        assert_eq!(
            heard(),
            Ok((1, "it broke off or made no sense".to_owned())),
            "its thread is gone"
        );
        why(3);
        assert_eq!(heard(), Ok((3, "too much is asked of it".to_owned())), "nobody there");
        assert!(heard().is_err());
    }

    #[test]
    fn what_failed_is_left_alone_for_a_while() {
        let rest = Duration::from_mins(1);
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        for failure in [Failure::WouldAsk, Failure::Denied, Failure::Late, Failure::Broken] {
            let mut circuit = Circuit::default();
            assert_eq!(circuit.why_open(rest, begin), None);
            circuit.note(Some(failure), begin);
            assert_eq!(circuit.why_open(rest, after(0)), Some(failure));
            assert_eq!(circuit.why_open(rest, after(59)), Some(failure));
            assert_eq!(circuit.why_open(rest, after(60)), None);
            circuit.note(None, after(60));
            assert_eq!(circuit.why_open(rest, after(60)), None);
        }
        for failure in [Failure::NoBus, Failure::NoService, Failure::Locked, Failure::NoSession] {
            let mut circuit = Circuit::default();
            circuit.note(Some(failure), begin);
            assert_eq!(circuit.why_open(rest, begin), None, "{failure}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let credentials = Credentials {
            access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "hunter2".to_owned().into(),
            session_token: Some("hunter2".to_owned().into()),
            expires_at: None,
            account_id: None,
        };
        let key = MfaKey { access_key_id: "AKIA".to_owned(), serial: "1".to_owned() };
        let answer = Answer { found: Some(credentials.clone()), status: KeyringStatus::off() };
        let request = Some(Request::Write { key, credentials });
        let waiting = Waiting { request, reply: None };
        let shown = format!("{waiting:?} {answer:?}");
        assert!(shown.contains("ASIAIOSFODNN7EXAMPLE") && !shown.contains("hunter2"), "{shown}");
    }
}
