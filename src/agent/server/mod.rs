//! The agent's side of the socket: one task a connection, limits on everything a peer controls.

mod discover;
mod lines;
mod service;

use std::{io, sync::Arc, time::Duration};

use interprocess::local_socket::tokio::{Listener, Stream, prelude::*};
use serde::Serialize;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(super) use self::service::with_patience;
use self::{lines::Lines, service::Service};
use super::{
    endpoint::{Caller, Endpoint},
    event::{Event, LoginNews, Mailbox, Reply},
};
use crate::{
    ipc::{
        PROTOCOL,
        wire::{
            AgentLine, Empty, Hello, Notification, Request, RequestLine, RpcError, StatusParams,
            Welcome,
        },
    },
    model::{session::SessionKey, text::printable_sentence},
    report::{Code, Report},
    world::World,
};

/// A peer that has connected says hello within this time.
const HELLO_DEADLINE: Duration = Duration::from_secs(5);

/// A connection without a request ends after this time.
const IDLE_DEADLINE: Duration = Duration::from_mins(1);

/// A peer that does not read its answer is left alone after this time.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// Connections at once; more wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 512;

/// JSON-RPC 2.0 section 5.1.
mod code {
    pub(super) const PARSE_ERROR: i32 = -32_700;
    pub(super) const INVALID_REQUEST: i32 = -32_600;
    pub(super) const UNKNOWN_METHOD: i32 = -32_601;
    pub(super) const INVALID_PARAMS: i32 = -32_602;
    pub(super) const REPORT: i32 = -32_000;
}

/// Serves connections until the shutdown token is cancelled.
pub(super) async fn serve(
    listener: Listener,
    world: Arc<World>,
    mailbox: Mailbox,
    endpoint: Endpoint,
    shutdown: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                // Out of descriptors: wait for some to come free instead of spinning.
                tracing::warn!(%error, "no connection accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if !is_own_user(&stream) {
            tracing::warn!("a connection of another user was refused");
            continue;
        }
        let pid = stream.peer_creds().ok().and_then(|peer| peer.pid());
        let caller = Caller::new(endpoint.clone(), pid);
        let (world, mailbox, shutdown) = (world.clone(), mailbox.clone(), shutdown.clone());
        connections.spawn(async move {
            let _place = place;
            let (reader, writer) = tokio::io::split(stream);
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ended = talk(reader, writer, world, mailbox, Some(caller)) => {}
            }
        });
    }
    connections.close();
    connections.wait().await;
}

/// The folder and the socket keep others out already; the kernel's word is the second lock.
fn is_own_user(stream: &Stream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_creds().ok().and_then(|peer| peer.euid()) == Some(own)
}

/// Talks to one peer until it hangs up or breaks the rules. Without a `caller`, who it is is not known.
pub(super) async fn talk<R, W>(
    reader: R,
    writer: W,
    world: Arc<World>,
    mailbox: Mailbox,
    caller: Option<Caller>,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let service = Arc::new(Service { world, mailbox, caller });
    let mut peer = Peer { lines: Lines::new(reader), writer, service };
    if !peer.greet().await? {
        return Ok(());
    }
    while let Some(line) = peer.next_line(IDLE_DEADLINE).await? {
        peer.handle(&line).await?;
    }
    Ok(())
}

struct Peer<R, W> {
    lines: Lines<R>,
    writer: W,
    service: Arc<Service>,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Peer<R, W> {
    /// Exchanges hellos. Returns whether to talk on.
    async fn greet(&mut self) -> io::Result<bool> {
        let Some(line) = self.next_line(HELLO_DEADLINE).await? else { return Ok(false) };
        match parse(&line) {
            Ok(RequestLine { id, request: Request::Hello(hello), .. }) => {
                self.welcome(id, &hello).await
            }
            Ok(RequestLine { id, .. }) => {
                let report = bad_request("the first request must be `hello`");
                self.fail(Some(id), code::INVALID_REQUEST, report).await?;
                Ok(false)
            }
            Err((id, code, report)) => {
                self.fail(id, code, report).await?;
                Ok(false)
            }
        }
    }

    async fn welcome(&mut self, id: u64, hello: &Hello) -> io::Result<bool> {
        if hello.protocol != PROTOCOL {
            let what =
                format!("the client speaks protocol {}, the agent {PROTOCOL}", hello.protocol);
            let report = Report::new(Code::ProtocolMismatch, what, "run `eksd agent restart`");
            self.fail(Some(id), code::REPORT, report).await?;
            return Ok(false);
        }
        let welcome = Welcome {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
        };
        self.answer(id, Ok(welcome)).await?;
        Ok(true)
    }

    /// Reads a line. `None`: the peer hung up, or broke a limit and was told.
    async fn next_line(&mut self, deadline: Duration) -> io::Result<Option<String>> {
        match timeout(deadline, self.lines.next()).await {
            Err(_) => Ok(None),
            Ok(Err(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                let report = bad_request("a request line is at most 64 KiB long");
                self.fail(None, code::INVALID_REQUEST, report).await?;
                Ok(None)
            }
            Ok(line) => line,
        }
    }

    async fn handle(&mut self, line: &str) -> io::Result<()> {
        let RequestLine { id, request, .. } = match parse(line) {
            Ok(request) => request,
            Err((id, code, report)) => return self.fail(id, code, report).await,
        };
        let service = self.service.clone();
        match request {
            Request::Hello(_) => self.refuse(id, "`hello` is said once").await,
            Request::LoginCode(_) => self.refuse(id, "`login.code` answers `login.ask`").await,
            Request::Subscribe(params) => self.subscribe(id, params).await,
            Request::LoginStart(params) => {
                let (news, received) = mpsc::unbounded_channel();
                service.mailbox.send(Event::Login { params, news });
                self.tell_login(id, received).await
            }
            Request::Stop(_) => {
                self.answer(id, Ok(Empty {})).await?;
                service.mailbox.send(Event::Stop);
                Ok(())
            }
            // Calls to AWS are large while they run: they get room of their own.
            Request::Status(params) => self.tell(id, service.status(params)).await,
            Request::Logout(params) => self.tell(id, service.logout(params)).await,
            Request::Credentials(params) => self.tell(id, service.credentials(params)).await,
            Request::Token(params) => self.tell(id, service.token(params)).await,
            Request::Ensure(params) => self.tell(id, Box::pin(service.ensure(params))).await,
            Request::Whoami(params) => self.tell(id, Box::pin(service.whoami(params))).await,
            Request::Explain(params) => self.tell(id, service.explain(params)).await,
            Request::EndpointOpen(params) => self.tell(id, service.open_endpoint(params)).await,
            Request::Mirror(_) => self.tell(id, service.mirror()).await,
            Request::ClusterAdd(params) => {
                self.tell(id, Box::pin(service.add_cluster(params))).await
            }
            Request::ClusterRename(params) => self.tell(id, service.rename_cluster(params)).await,
            Request::ClusterDescribe(params) => {
                self.tell(id, Box::pin(service.describe_cluster(params))).await
            }
            Request::ClusterRemove(params) => self.tell(id, service.remove_cluster(params)).await,
            Request::ClusterSync(params) => {
                self.tell(id, Box::pin(service.sync_clusters(params))).await
            }
            Request::ClusterDiscover(params) => self.discover(id, params).await,
            Request::ClusterDiscoverStop(_) => {
                self.refuse(id, "`clusters.discover.stop` ends `clusters.discover`").await
            }
            Request::Resolve(params) => self.tell(id, service.resolve(params)).await,
            Request::Use(params) => self.tell(id, service.note_use(params)).await,
        }
    }

    /// Answers with what comes of a question.
    async fn tell<T: Serialize>(
        &mut self,
        id: u64,
        answer: impl Future<Output = Result<T, Report>>,
    ) -> io::Result<()> {
        let answer = answer.await;
        self.answer(id, answer).await
    }

    async fn refuse(&mut self, id: u64, what: &str) -> io::Result<()> {
        self.fail(Some(id), code::INVALID_REQUEST, bad_request(what)).await
    }

    async fn subscribe(&mut self, id: u64, params: StatusParams) -> io::Result<()> {
        // First, so that nothing is missed that changes after the answer.
        let changes = self.ask(|reply| Event::Subscribe { reply }).await;
        let answer = self.service.status(params).await;
        self.answer(id, answer).await?;
        match changes {
            Ok(changes) => self.push_changes(changes).await,
            Err(_) => Ok(()),
        }
    }

    async fn ask<T>(&self, event: impl FnOnce(Reply<T>) -> Event) -> Result<T, Report> {
        self.service.mailbox.ask(event).await
    }

    /// Tells the peer of every change until it hangs up.
    async fn push_changes(&mut self, mut changes: watch::Receiver<u64>) -> io::Result<()> {
        loop {
            tokio::select! {
                next = changes.changed() => {
                    if next.is_err() {
                        return Ok(());
                    }
                    self.notify(Notification::Changed(Empty {})).await?;
                }
                // A subscriber may ask on the same connection.
                line = self.lines.next() => match line? {
                    Some(line) => match parse(&line) {
                        Ok(RequestLine { id, request: Request::Status(params), .. }) => {
                            let answer = self.ask(|reply| Event::Status { params, reply }).await;
                            self.answer(id, answer).await?;
                        }
                        _ => return Ok(()),
                    },
                    None => return Ok(()),
                },
            }
        }
    }

    async fn tell_login(
        &mut self,
        id: u64,
        mut news: mpsc::UnboundedReceiver<LoginNews>,
    ) -> io::Result<()> {
        // The session for which this peer was asked for a code.
        let mut asked_for = None;
        loop {
            let next = tokio::select! {
                next = news.recv() => next,
                line = self.lines.next() => {
                    if let Ok(Some(line)) = &line
                        && let Ok(RequestLine { id, request: Request::LoginCode(params), .. }) = parse(line)
                        && let Some(key) = &asked_for
                    {
                        let key = SessionKey::clone(key);
                        self.service.mailbox.send(Event::LoginCode { key, code: params.code });
                        self.answer(id, Ok(Empty {})).await?;
                        continue;
                    }
                    // Whatever else it says, or that it hangs up, ends its wait.
                    drop(news);
                    self.service.mailbox.send(Event::LoginLeft);
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            };
            match next {
                Some(LoginNews::Open(open)) => {
                    self.notify(Notification::LoginOpen(open)).await?;
                }
                Some(LoginNews::Code(wanted)) => {
                    asked_for = Some(wanted.key);
                    self.notify(Notification::LoginAsk(wanted.ask)).await?;
                }
                Some(LoginNews::Console(console)) => {
                    self.notify(Notification::LoginConsole(console)).await?;
                }
                Some(LoginNews::Over(result)) => return self.answer(id, result).await,
                None => return self.answer::<Empty>(id, Err(super::event::ending())).await,
            }
        }
    }

    async fn answer<T: Serialize>(&mut self, id: u64, answer: Result<T, Report>) -> io::Result<()> {
        match answer {
            Ok(result) => {
                self.write(&AgentLine::Answer { jsonrpc: "2.0".to_owned(), id, result }).await
            }
            Err(report) => self.fail(Some(id), code::REPORT, report).await,
        }
    }

    async fn fail(&mut self, id: Option<u64>, code: i32, report: Report) -> io::Result<()> {
        let error = RpcError { code, message: report.what.clone(), data: report };
        self.write(&AgentLine::<()>::Failure { jsonrpc: "2.0".to_owned(), id, error }).await
    }

    async fn notify(&mut self, notification: Notification) -> io::Result<()> {
        let jsonrpc = "2.0".to_owned();
        self.write(&AgentLine::<()>::Notification { jsonrpc, notification }).await
    }

    async fn write<T: Serialize>(&mut self, line: &AgentLine<T>) -> io::Result<()> {
        // Wiped after use: answers may hold credentials.
        let mut text = zeroize::Zeroizing::new(serde_json::to_vec(line)?);
        text.push(b'\n');
        let written = async {
            self.writer.write_all(&text).await?;
            self.writer.flush().await
        };
        timeout(WRITE_DEADLINE, written).await.map_err(|_| io::ErrorKind::TimedOut)?
    }
}

fn parse(line: &str) -> Result<RequestLine, (Option<u64>, i32, Report)> {
    serde_json::from_str(line).map_err(|error| {
        let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
        let field = |name: &str| value.as_ref().and_then(|value| value.get(name));
        let id = field("id").and_then(serde_json::Value::as_u64);
        let why = printable_sentence(&error.to_string());
        let (code, what) = match (&value, field("method")) {
            (None, _) => (code::PARSE_ERROR, "a line that is not JSON"),
            (Some(_), None) => (code::INVALID_REQUEST, "a request without a method"),
            (Some(_), Some(_)) if why.contains("unknown variant") && why.contains("`hello`") => {
                (code::UNKNOWN_METHOD, "a method that this agent does not know")
            }
            (Some(_), Some(_)) => (code::INVALID_PARAMS, "parameters that do not fit the method"),
        };
        (id, code, bad_request(what).because(why))
    })
}

fn bad_request(what: &str) -> Report {
    Report::new(Code::BadRequest, what, "see docs/protocol.md")
}
