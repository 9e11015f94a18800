//! The container credentials endpoint: HTTP on loopback, for programs that take credentials from
//! `AWS_CONTAINER_CREDENTIALS_FULL_URI` (AWS SDKs and Tools Reference Guide, "Container credential
//! provider"). docs/container-endpoint.md is its description.
//!
//! Nobody listens until a client opens it for a process. Each opening makes a token for one profile that
//! is good until that process ends; with the last of them the port is closed.
//!
//! HTTP is parsed by httparse, and not served by hyper, which is built on it: with one request a
//! connection little would be left for hyper to do, it answers some malformed requests in its own
//! way, and its buffers would keep the credentials.

mod answer;
mod lease;
mod request;
mod visit;

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::Ipv4Addr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use rustix::process::Pid;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::{AbortHandle, Id, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::{
    lease::{Lease, TokenFile, Watch},
    request::{Digest, PATH},
};
use super::{
    event::{Ask, Event, Mailbox, Patience, Reply, ending},
    process,
};
use crate::{
    config::Paths,
    ipc::wire::EndpointOpen,
    model::{Credentials, ProfileName, readers::container::can_serve, token::Asker},
    report::{Code, Report},
};

/// How long a request waits for AWS. The SDK for JS hangs up after a second, the others later; it
/// asks again, and meanwhile the refresh goes on.
const PATIENCE: Duration = Duration::from_millis(900);

/// Connections at once. Over it those are ended that have not shown a token, the oldest first, so
/// that nobody who only connects can keep the others out.
const MOST_VISITS: usize = 128;

/// Tokens at once: each has a file and a descriptor.
const MOST_LEASES: usize = 256;

/// Returns the folder of the token files.
pub(super) fn folder(paths: &Paths) -> PathBuf {
    paths.endpoint_dir()
}

/// The way to the endpoint; it runs in [`Desk::run`].
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    mailbox: Mailbox,
    folder: Arc<PathBuf>,
    orders: mpsc::UnboundedSender<Order>,
}

/// What the desk is asked.
#[derive(Debug)]
enum Order {
    /// A process was given a token. The answer is the address.
    Open { lease: Lease, watch: Watch, reply: Reply<String> },
    /// A visitor shows a token. The answer is the profile that it stands for.
    Show { digest: Digest, visit: Id, reply: oneshot::Sender<Option<ProfileName>> },
}

impl Endpoint {
    /// Returns an endpoint that is closed and keeps its tokens in `folder`, and the desk that serves it.
    /// What an agent before left there is removed.
    pub(super) fn new(mailbox: Mailbox, folder: PathBuf) -> (Self, Desk) {
        if let Err(error) = lease::sweep(&folder) {
            tracing::warn!(%error, "token files of an agent before were not removed");
        }
        let (orders, received) = mpsc::unbounded_channel();
        let endpoint = Self { mailbox, folder: Arc::new(folder), orders };
        let desk = Desk {
            endpoint: endpoint.clone(),
            orders: received,
            listening: None,
            leases: HashMap::new(),
            ends: JoinSet::new(),
            visits: JoinSet::new(),
            strangers: VecDeque::new(),
            removals: JoinSet::new(),
        };
        (endpoint, desk)
    }

    /// Opens the endpoint for `profile`, for as long as the process `pid` lives.
    ///
    /// # Errors
    /// Says so where the profile cannot be served this way however long one waits, where the process
    /// is not known, and where no address or file is to be had.
    pub(super) async fn open(
        &self,
        profile: ProfileName,
        pid: Option<Pid>,
    ) -> Result<EndpointOpen, Report> {
        let pid = pid.ok_or_else(|| closed("the system does not tell which process asks"))?;
        // First: while it waits for the answer, its number is its own.
        let watch = Watch::begin(pid)
            .map_err(|error| closed("the process that asks is gone").because(error.to_string()))?;
        self.check(&profile).await?;
        let folder = self.folder.clone();
        let made = tokio::task::spawn_blocking(move || TokenFile::make(&folder)).await;
        let (file, digest) =
            made.map_err(|error| closed("a task failed").because(error.to_string()))??;
        let token_file = file.path().display().to_string();
        let (reply, answer) = oneshot::channel();
        self.order(Order::Open { lease: Lease::new(profile, digest, file), watch, reply });
        let uri = answer.await.unwrap_or_else(|_| Err(ending()))?;
        Ok(EndpointOpen { uri, token_file })
    }

    /// Refuses a profile that this way will never serve. One that needs a login now, or that AWS has
    /// not answered for yet, is fine: a program may be started first.
    async fn check(&self, profile: &ProfileName) -> Result<(), Report> {
        match self.ask(profile, Patience::None).await {
            Ok(keys) if !can_serve(&keys) => Err(answer::lasting(profile)),
            Ok(_) => Ok(()),
            Err(report) => match report.code {
                Code::UnknownProfile
                | Code::ConfigBroken
                | Code::Misconfigured
                | Code::AgentUnavailable => Err(report),
                _ => Ok(()),
            },
        }
    }

    /// Returns what a program is given: what is held, or what comes within a moment, or the best there is.
    async fn credentials(&self, profile: &ProfileName) -> Result<Credentials, Report> {
        match timeout(PATIENCE, self.ask(profile, Patience::Some)).await {
            Ok(answer) => answer,
            Err(_) => self.ask(profile, Patience::None).await,
        }
    }

    async fn ask(&self, profile: &ProfileName, patience: Patience) -> Result<Credentials, Report> {
        let ask = Ask::new(profile.as_str(), patience);
        self.mailbox.ask(|reply| Event::Credentials { ask, reply }).await
    }

    /// Puts an order before the desk. One that has closed takes none, and drops what waits for answers.
    fn order(&self, order: Order) {
        let _closed = self.orders.send(order);
    }
}

fn closed(what: &str) -> Report {
    Report::new(
        Code::AgentUnavailable,
        format!("the endpoint cannot be opened: {what}"),
        "run `eksd exec` without `--server`",
    )
}

/// A client of the socket, as the endpoint knows it.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    endpoint: Endpoint,
    pid: Option<Pid>,
}

impl Caller {
    /// Describes a client by the process number that the kernel tells of its socket.
    pub(super) fn new(endpoint: Endpoint, pid: Option<i32>) -> Self {
        Self { endpoint, pid: pid.and_then(Pid::from_raw) }
    }

    /// Returns the program that this client runs for.
    pub(super) fn asker(&self) -> Option<Asker> {
        process::parent_of(self.pid?)
    }

    /// Opens the endpoint for as long as this client lives.
    pub(super) async fn open(&self, profile: &str) -> Result<EndpointOpen, Report> {
        self.endpoint.open(ProfileName::new(profile), self.pid).await
    }
}

/// Returns the report of an agent that ends with its client.
pub(super) fn only_in_background() -> Report {
    closed("it needs the agent in the background")
}

/// The port, while it is open.
struct Listening {
    listener: TcpListener,
    /// What a request must name as its `Host`.
    host: Arc<str>,
}

/// Owns the port, the tokens and the connections.
pub(super) struct Desk {
    endpoint: Endpoint,
    orders: mpsc::UnboundedReceiver<Order>,
    listening: Option<Listening>,
    leases: HashMap<Digest, Lease>,
    /// A task for each lease, which ends with its process.
    ends: JoinSet<Digest>,
    visits: JoinSet<()>,
    /// The visits that have not shown a token, the oldest first.
    strangers: VecDeque<AbortHandle>,
    /// Files are removed beside the runtime's thread.
    removals: JoinSet<()>,
}

impl Desk {
    /// Serves until the shutdown token is cancelled; then no token file is left.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let has_room = self.visits.len() < MOST_VISITS || !self.strangers.is_empty();
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(order) = self.orders.recv() => self.take(order).await,
                Some(ended) = self.ends.join_next() => self.end(ended.ok()),
                stream = accept(self.listening.as_ref()), if has_room => self.receive(stream),
                Some(left) = self.visits.join_next_with_id() => {
                    let visit = left.map_or_else(|error| error.id(), |(id, ())| id);
                    self.strangers.retain(|stranger| stranger.id() != visit);
                }
                Some(_) = self.removals.join_next() => {}
            }
        }
        self.listening = None;
        self.orders.close();
        self.visits.shutdown().await;
        let leases = std::mem::take(&mut self.leases);
        self.removals.spawn_blocking(move || drop(leases));
        while self.removals.join_next().await.is_some() {}
    }

    async fn take(&mut self, order: Order) {
        match order {
            Order::Open { lease, watch, reply } => {
                let answer = self.admit(lease, watch).await;
                let _hung_up = reply.send(answer);
            }
            Order::Show { digest, visit, reply } => {
                let profile = self.leases.get(&digest).map(|lease| lease.profile.clone());
                if profile.is_some() {
                    self.strangers.retain(|stranger| stranger.id() != visit);
                }
                let _hung_up = reply.send(profile);
            }
        }
    }

    async fn admit(&mut self, lease: Lease, watch: Watch) -> Result<String, Report> {
        if MOST_LEASES <= self.leases.len() {
            return Err(closed("too many programs use it"));
        }
        let listening = match self.listening.take() {
            Some(listening) => listening,
            None => listen()
                .await
                .map_err(|error| closed("there is no port").because(error.to_string()))?,
        };
        let uri = format!("http://{}{PATH}", listening.host);
        self.listening = Some(listening);
        tracing::info!(profile = %lease.profile, "the endpoint is open for a program");
        let digest = lease.digest;
        self.leases.insert(digest, lease);
        self.ends.spawn(async move {
            watch.ended().await;
            digest
        });
        Ok(uri)
    }

    /// A process has ended.
    fn end(&mut self, digest: Option<Digest>) {
        let Some(lease) = digest.and_then(|digest| self.leases.remove(&digest)) else { return };
        tracing::info!(profile = %lease.profile, "a program at the endpoint has ended");
        self.removals.spawn_blocking(move || drop(lease));
        if self.leases.is_empty() {
            // The next one gets another port: whoever takes this one learns tokens that are worth nothing.
            self.listening = None;
        }
    }

    fn receive(&mut self, stream: io::Result<TcpStream>) {
        let (stream, listening) = match (stream, &self.listening) {
            (Ok(stream), Some(listening)) => (stream, listening),
            (Err(error), _) => {
                tracing::warn!(%error, "no connection accepted at the endpoint");
                return;
            }
            (Ok(_), None) => return,
        };
        if MOST_VISITS <= self.visits.len()
            && let Some(oldest) = self.strangers.pop_front()
        {
            oldest.abort();
        }
        let visit = visit::serve(stream, listening.host.clone(), self.endpoint.clone());
        self.strangers.push_back(self.visits.spawn(visit));
    }
}

async fn listen() -> io::Result<Listening> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let host = listener.local_addr()?.to_string().into();
    Ok(Listening { listener, host })
}

/// Waits for a connection; for ever while there is no port.
async fn accept(listening: Option<&Listening>) -> io::Result<TcpStream> {
    let Some(Listening { listener, .. }) = listening else { return std::future::pending().await };
    match listener.accept().await {
        Ok((stream, _)) => Ok(stream),
        Err(error) => {
            // Out of descriptors: wait for some to come free instead of spinning.
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests;
