//! The lab in the hand of a test.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::calls::{Call, CallLog, count};
use crate::control::{What, rejection};
use crate::faults::Fault;
use crate::script::{Mapped, Script};
use crate::server::{Door, Shared};
use crate::signin::{self, ConsoleLogin};
use crate::tls::{Authority, service_names};
use crate::totp::totp;
use crate::web_identity;
use crate::world::{DeviceState, World};

/// How to start a lab.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What to play.
    pub script: Script,
    /// The port of the AWS services over HTTP; 0 takes a free one.
    pub port: u16,
    /// A port for the AWS services over TLS under their real names; 0 takes a free one, none
    /// opens no such port.
    pub tls_port: Option<u16>,
    /// Every finished call is appended here, a JSON object a line.
    pub calls: Option<PathBuf>,
}

/// A running lab, on its own thread. Dropping it stops it.
///
/// Every method works from plain code and from within any async runtime; none blocks, save the
/// ones that say so.
pub struct Lab {
    shared: Arc<Shared>,
    port: u16,
    tls_port: Option<u16>,
    ca_pem: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lab").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Lab {
    /// Starts a lab on free ports.
    ///
    /// # Panics
    /// When no socket can be had.
    pub fn start(script: Script) -> Self {
        Self::open(Options { script, ..Options::default() }).expect("a lab on loopback")
    }

    /// Starts a lab that also serves TLS under the services' real names, on a free port.
    ///
    /// # Panics
    /// When no socket can be had.
    pub fn start_tls(script: Script) -> Self {
        let options = Options { script, tls_port: Some(0), ..Options::default() };
        Self::open(options).expect("a lab on loopback")
    }

    /// Starts a lab.
    pub fn open(options: Options) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let file = match &options.calls {
            Some(path) => Some(File::options().create(true).append(true).open(path)?),
            None => None,
        };
        let authority = Authority::new("eksd-lab root")?;
        let regions = options.script.all_regions();
        let shared = Arc::new(Shared::new(
            World::new(options.script),
            CallLog::new(file),
            runtime.handle().clone(),
        ));
        let (stop, stopped) = oneshot::channel::<()>();
        // From here on the runtime belongs to its thread, where dropping it is allowed.
        let thread = std::thread::Builder::new().name("eksd-lab".into()).spawn(move || {
            let _ = runtime.block_on(stopped);
        })?;
        let mut lab = Self {
            shared,
            port: 0,
            tls_port: None,
            ca_pem: authority.pem().into(),
            stop: Some(stop),
            thread: Some(thread),
        };
        lab.port = lab.shared.listen(options.port, Door::Aws("http"), None)?.0;
        if let Some(port) = options.tls_port {
            let acceptor = authority.acceptor(service_names(&regions))?;
            let (port, _) = lab.shared.listen(port, Door::Aws("https"), Some(acceptor))?;
            lab.tls_port = Some(port);
        }
        lab.shared.sync_kubes()?;
        Ok(lab)
    }

    /// Where the AWS services are: for `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port of [`Lab::url`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port where the AWS services speak TLS under their real names.
    pub fn tls_port(&self) -> Option<u16> {
        self.tls_port
    }

    /// The same services over TLS, by address.
    pub fn tls_url(&self) -> Option<String> {
        self.tls_port.map(|port| format!("https://127.0.0.1:{port}"))
    }

    /// The CA of the TLS port, as PEM: for `AWS_CA_BUNDLE`.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Where the API server of a cluster (name or ARN) is.
    ///
    /// # Panics
    /// When there is no such cluster.
    pub fn kube_url(&self, cluster: &str) -> String {
        self.place(cluster).endpoint
    }

    /// The CA of a cluster's API server, as PEM.
    ///
    /// # Panics
    /// When there is no such cluster.
    pub fn kube_ca_pem(&self, cluster: &str) -> String {
        self.place(cluster).ca_pem
    }

    fn place(&self, cluster: &str) -> crate::eks::Place {
        let arn = self.shared.find(cluster);
        arn.and_then(|arn| self.shared.place(&arn)).expect("a cluster of the lab")
    }

    /// The script as it is now.
    pub fn script(&self) -> Script {
        self.shared.world().script.clone()
    }

    /// Changes the script; API servers start and stop as clusters come and go.
    ///
    /// # Panics
    /// When a new cluster finds no socket.
    pub fn edit(&self, change: impl FnOnce(&mut Script)) {
        self.shared.edit(change).expect("an API server for each cluster");
    }

    /// Settings, clock, counts of live grants, waiting device codes, faults and API servers.
    pub fn state(&self) -> Value {
        self.shared.state()
    }

    /// Forgets everything and goes back to the script that the lab was started with.
    ///
    /// # Panics
    /// When a cluster of that script finds no socket.
    pub fn reset(&self) {
        self.shared.reset().expect("an API server for each cluster");
    }

    /// Every call so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.all()
    }

    /// The calls of one operation, oldest first.
    pub fn calls_of(&self, op: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|c| c.op == op).collect()
    }

    /// How many calls of an operation were made; `*` counts all.
    pub fn count(&self, op: &str) -> usize {
        self.shared.calls.count(op)
    }

    /// How many calls of a service (as in [`Call::service`]; `*` is all) a limit turned away.
    pub fn throttled(&self, service: &str) -> usize {
        self.shared.calls.throttled(service)
    }

    /// Forgets the calls so far; one that is open is not seen again.
    pub fn forget_calls(&self) {
        self.shared.calls.clear();
    }

    /// Blocks until `n` calls of an operation have arrived, answered or not; false if the
    /// deadline passes first.
    pub fn wait_for_calls(&self, op: &str, n: usize, deadline: Duration) -> bool {
        self.wait_until(deadline, |calls| count(calls, op) >= n)
    }

    /// Blocks until the calls satisfy `done`; false if the deadline passes first.
    pub fn wait_until(&self, deadline: Duration, done: impl FnMut(&[Call]) -> bool) -> bool {
        self.shared.calls.wait(deadline, done)
    }

    /// Waits, without blocking the thread and without a deadline, until `n` calls of an
    /// operation have arrived.
    pub async fn called(&self, op: &str, n: usize) {
        self.shared.calls.until(|calls| count(calls, op) >= n).await;
    }

    /// Adds a fault after those that are waiting.
    pub fn queue(&self, fault: Fault) {
        self.shared.world().faults.push(fault);
    }

    /// Drops all faults that are waiting. Calls already held stay held.
    pub fn clear_faults(&self) {
        self.shared.world().faults.clear();
    }

    /// Makes the API server of a cluster turn the next `times` calls away.
    pub fn reject(&self, cluster: &str, times: i64, status: u16) {
        self.queue(rejection(cluster, times, status));
    }

    /// Says who is who in a cluster; none makes everyone an administrator.
    ///
    /// # Panics
    /// When there is no such cluster.
    pub fn map(&self, cluster: &str, map: Option<BTreeMap<String, Mapped>>) {
        assert!(self.shared.with_cluster(cluster, |c| c.map = map), "no cluster {cluster}");
    }

    /// Gives a cluster a new API server and a new CA under its old name.
    ///
    /// # Panics
    /// When there is no such cluster, or no socket for it.
    pub fn recreate(&self, cluster: &str) {
        let found = self.shared.recreate(cluster).expect("a socket");
        assert!(found, "no cluster {cluster}");
    }

    /// The lab's time, in Unix seconds.
    pub fn now(&self) -> i64 {
        self.shared.world().now()
    }

    /// Stops the clock at a moment.
    pub fn freeze(&self, unix_seconds: i64) {
        self.shared.world().clock.frozen_ms = Some(unix_seconds * 1000);
    }

    /// Lets a stopped clock follow the system's again.
    pub fn unfreeze(&self) {
        self.shared.world().clock.frozen_ms = None;
    }

    /// Moves the clock on, stopped or not.
    pub fn advance(&self, seconds: i64) {
        self.shared.world().clock.advance(seconds);
    }

    /// Sets how far the running clock is ahead of the system's.
    pub fn set_offset(&self, seconds: i64) {
        self.shared.world().clock.offset_ms = seconds * 1000;
    }

    /// The person approves every pending device code; how many there were.
    pub fn approve_all(&self) -> usize {
        self.shared.world().decide(None, DeviceState::Approved)
    }

    /// The person refuses every pending device code; how many there were.
    pub fn deny_all(&self) -> usize {
        self.shared.world().decide(None, DeviceState::Denied)
    }

    /// Signs in to the console as `aws login` would, without a browser; none is
    /// [`crate::Console::arn`]. The content goes into a file of `~/.aws/login/cache`.
    pub fn console_login(&self, arn: Option<&str>) -> ConsoleLogin {
        signin::log_in(&mut self.shared.world(), arn)
    }

    /// A token of the script's identity provider for a subject, good for some seconds from now:
    /// what a `web_identity_token_file` holds.
    pub fn identity_token(&self, subject: &str, seconds: i64) -> String {
        web_identity::token(&self.shared.world(), subject, seconds)
    }

    /// Where a container finds its credentials: for `AWS_CONTAINER_CREDENTIALS_FULL_URI`. The
    /// path is that of one of [`Script::containers`].
    pub fn container_url(&self, path: &str) -> String {
        self.url() + path
    }

    /// Makes tokens, registrations or credentials invalid.
    pub fn revoke(&self, what: What) {
        self.shared.revoke(what);
    }

    /// The MFA code that the device of this user (access key id or user name) shows now.
    ///
    /// # Panics
    /// When there is no such user or device.
    pub fn totp(&self, user: &str) -> String {
        let world = self.shared.world();
        let mut users = world.script.users.iter();
        let found = users.find(|(key, u)| *key == user || u.name == user);
        let mfa = found.and_then(|(_, u)| u.mfa.as_ref()).expect("a user with an MFA device");
        totp(&mfa.seed, world.now()).expect("a base32 seed")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
