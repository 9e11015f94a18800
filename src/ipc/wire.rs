//! The messages: with [`Report`], the only serde types that cross the socket.
//!
//! Instants are RFC 3339 in UTC; `null` means not known. A receiver ignores fields it does not
//! know, and an agent refuses methods it does not know.

mod clusters;
mod delivery;
mod explain;
mod login;

use serde::{Deserialize, Serialize};

pub use self::{
    clusters::{
        ClusterAddParams, ClusterDescribed, ClusterDiscoverParams, ClusterName,
        ClusterRenameParams, ClusterStatus, ClusterSyncParams, DiscoverProgress, Discovered,
        DiscoveredCluster, DriftStatus, NotListed, SyncDone, SyncedCluster,
    },
    delivery::{
        EndpointOpen, EnsureAnswer, EnsureParams, Ensured, Mirror, NameParams, ProfileParams,
        Whoami,
    },
    explain::{Explanation, Step, ValueAt},
    login::{
        EndedSession, Flow, LoginAsk, LoginCodeParams, LoginConsole, LoginDone, LoginOpen,
        LoginParams, LogoutDone, LogoutParams, MfaCode, StillValid,
    },
};
use crate::report::Report;

/// A request line.
#[derive(Debug, Serialize, Deserialize)]
pub struct RequestLine {
    /// Always `2.0`.
    pub jsonrpc: String,
    /// Chosen by the client; the answer carries it.
    pub id: u64,
    /// What is asked.
    #[serde(flatten)]
    pub request: Request,
}

impl RequestLine {
    /// Wraps a request.
    pub fn new(id: u64, request: Request) -> Self {
        Self { jsonrpc: "2.0".to_owned(), id, request }
    }
}

/// Everything a client can ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params")]
pub enum Request {
    /// Must be the first request on a connection.
    #[serde(rename = "hello")]
    Hello(Hello),
    /// What is good, until when.
    #[serde(rename = "status")]
    Status(StatusParams),
    /// Like `status`, but the connection then carries a `changed` notification at each change.
    #[serde(rename = "subscribe")]
    Subscribe(StatusParams),
    /// Starts a login, or joins the one in flight. `login.open` notifications come before the
    /// answer. Hanging up leaves the login to others who wait for it, else ends it.
    #[serde(rename = "login.start")]
    LoginStart(LoginParams),
    /// Answers a `login.ask` on the connection of a `login.start`, which goes on.
    #[serde(rename = "login.code")]
    LoginCode(LoginCodeParams),
    /// Ends sessions, at AWS and here.
    #[serde(rename = "logout")]
    Logout(LogoutParams),
    /// Credentials of a profile. The answer is secret.
    #[serde(rename = "credentials")]
    Credentials(CredentialsParams),
    /// Whether credentials will last.
    #[serde(rename = "ensure")]
    Ensure(EnsureParams),
    /// Who AWS says a profile is.
    #[serde(rename = "whoami")]
    Whoami(NameParams),
    /// What a profile comes to, and why.
    #[serde(rename = "explain")]
    Explain(NameParams),
    /// Opens the container endpoint for a profile, for as long as the asking process lives. The
    /// token stands in a file that the answer names.
    #[serde(rename = "endpoint.open")]
    EndpointOpen(ProfileParams),
    /// Makes sure that the mirror config is there, and says where.
    #[serde(rename = "mirror")]
    Mirror(Empty),
    /// A token for a cluster. The answer is secret.
    #[serde(rename = "token")]
    Token(TokenParams),
    /// Registers a cluster and writes its kubeconfig file.
    #[serde(rename = "clusters.add")]
    ClusterAdd(ClusterAddParams),
    /// What registering a cluster would come to.
    #[serde(rename = "clusters.describe")]
    ClusterDescribe(ClusterAddParams),
    /// Forgets a cluster and removes its kubeconfig file.
    #[serde(rename = "clusters.remove")]
    ClusterRemove(ClusterName),
    /// Gives a cluster another alias; its kubeconfig file moves.
    #[serde(rename = "clusters.rename")]
    ClusterRename(ClusterRenameParams),
    /// Compares the kubeconfig files with AWS now.
    #[serde(rename = "clusters.sync")]
    ClusterSync(ClusterSyncParams),
    /// Looks for clusters. `discover.progress` notifications come before the answer.
    #[serde(rename = "clusters.discover")]
    ClusterDiscover(ClusterDiscoverParams),
    /// Ends the `clusters.discover` under way on the connection, which then answers with what was
    /// found so far.
    #[serde(rename = "clusters.discover.stop")]
    ClusterDiscoverStop(Empty),
    /// Says what a name stands for.
    #[serde(rename = "resolve")]
    Resolve(ResolveParams),
    /// A live shell says what it uses, so that it is kept warm.
    #[serde(rename = "use")]
    Use(UseParams),
    /// The agent ends.
    #[serde(rename = "agent.stop")]
    Stop(Empty),
}

/// No parameters, or no result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The client's [`super::PROTOCOL`].
    pub protocol: u32,
    /// Name and version, for the log.
    pub client: String,
}

/// The agent's answer to `hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The agent's [`super::PROTOCOL`].
    pub protocol: u32,
    /// The agent's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
}

/// Which rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusParams {
    /// Profiles and clusters by name; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// Which profile, and whether the caller will wait for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialsParams {
    /// The profile.
    pub profile: String,
    /// Whether the caller can wait for a login that is under way: a person looks at a terminal.
    #[serde(default)]
    pub waits_for_login: bool,
}

/// Credentials on the wire.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireCredentials {
    /// Public part.
    pub access_key_id: String,
    /// Secret part.
    pub secret_access_key: String,
    /// Present on temporary credentials.
    pub session_token: Option<String>,
    /// `YYYY-MM-DDTHH:MM:SSZ`; absent on long-lived keys.
    pub expiration: Option<String>,
    /// Where it is known.
    pub account_id: Option<String>,
}

impl std::fmt::Debug for WireCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireCredentials")
            .field("access_key_id", &self.access_key_id)
            .field("expiration", &self.expiration)
            .finish_non_exhaustive()
    }
}

/// Which cluster: one that is registered, or one described like in `aws eks get-token`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenParams {
    /// A registered cluster's alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// `--cluster-name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// `--cluster-id` (local clusters on Outposts).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// `--region`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// `--profile`, or the caller's `AWS_PROFILE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// `--role-arn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// What the session of that role is called; else as for every role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_session_name: Option<String>,
    /// The external id that the role asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// A token on the wire.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireToken {
    /// `k8s-aws-v1.…`.
    pub token: String,
    /// When the caller should ask again, `YYYY-MM-DDTHH:MM:SSZ`.
    pub expires_at: String,
    /// What is known where the cluster seems to refuse these tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

impl std::fmt::Debug for WireToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A name to look up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveParams {
    /// A cluster's alias or a profile, `CLUSTER/NAMESPACE`, or several clusters with `+` in between.
    pub name: String,
    /// Who will use it: what a namespace, or several clusters, are kept for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// A process of the caller's, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// A shell.
    Shell(u32),
    /// A command.
    Command(u32),
}

/// What a name stands for. A cluster wins over a profile of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The profile: the one named, or the cluster's.
    pub profile: String,
    /// The cluster's alias, where the name is one; of several, the first.
    pub cluster: Option<String>,
    /// Region of the cluster, or of the profile.
    pub region: Option<String>,
    /// The cluster's file; where there is more than one, what `KUBECONFIG` must be.
    pub kubeconfig: Option<String>,
    /// Whether some tools get the profile's keys without a question only from the mirror config:
    /// anything but plain Identity Center.
    #[serde(default)]
    pub needs_mirror: bool,
}

/// What a shell uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseParams {
    /// A profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// A cluster's alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// How sure an instant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// AWS said so.
    Exact,
    /// From the settings, or learned.
    Estimated,
    /// Nobody knows.
    Unknown,
}

/// Phase of a profile or cluster; see the glossary in ARCHITECTURE.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Good.
    Fresh,
    /// Good, and being refreshed.
    Renewing,
    /// Good, but a person will be needed soon.
    Expiring,
    /// AWS cannot be reached; still served until the true end.
    Degraded,
    /// A login is needed.
    NeedsLogin,
    /// An MFA code is needed.
    NeedsMfa,
    /// Temporary keys that eksd cannot renew have ended.
    Expired,
    /// Cannot work as written.
    Misconfigured,
    /// Renewable, not in use, nothing held.
    Idle,
    /// Long-lived keys.
    Static,
}

impl Phase {
    /// Returns the phase as shown and as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Renewing => "renewing",
            Self::Expiring => "expiring",
            Self::Degraded => "degraded",
            Self::NeedsLogin => "needs-login",
            Self::NeedsMfa => "needs-mfa",
            Self::Expired => "expired",
            Self::Misconfigured => "misconfigured",
            Self::Idle => "idle",
            Self::Static => "static",
        }
    }
}

/// The answer to `status`; also what `eksd status --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusAnswer {
    /// Version of this format.
    pub version: u32,
    /// The agent.
    pub agent: AgentStatus,
    /// Profiles, in the order of the config file.
    pub profiles: Vec<ProfileStatus>,
    /// Registered clusters, by alias.
    pub clusters: Vec<ClusterStatus>,
    /// What is wrong beyond one profile: config lines, settings, files that cannot be written.
    pub reports: Vec<Report>,
    /// The key store that MFA sessions are kept in; absent where none is used.
    #[serde(default)]
    pub key_store: Option<KeyStore>,
}

/// A key store of the system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStore {
    /// Its name.
    pub store: String,
    /// Whether it answers.
    pub answers: bool,
    /// Why it does not.
    pub why: Option<String>,
}

/// One of the several ends that a profile has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStatus {
    /// `role keys`, `access token`, `client registration`, `session`, …
    pub name: String,
    /// When it ends.
    pub ends_at: Option<String>,
    /// How sure that is.
    pub confidence: Confidence,
    /// Who says so, in words.
    pub source: String,
}

/// The agent itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub started_at: String,
    /// Refreshes under way.
    #[serde(default)]
    pub refreshing: usize,
}

/// A profile's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileStatus {
    /// Its name.
    pub profile: String,
    /// Its phase.
    pub phase: Phase,
    /// The first instant at which a person will be needed.
    pub good_until: Option<String>,
    /// How sure `good_until` is.
    pub confidence: Confidence,
    /// End of the credentials held now.
    pub credentials_expire_at: Option<String>,
    /// Why they cannot live longer, where AWS caps them: `chained, 1 h cap`.
    pub cap: Option<String>,
    /// Every end that plays a part, the nearest to the caller first.
    #[serde(default)]
    pub clocks: Vec<ClockStatus>,
    /// The root session.
    pub root: Option<RootStatus>,
    /// Account the credentials act in.
    pub account_id: Option<String>,
    /// Role or permission set.
    pub role: Option<String>,
    /// Whether eksd keeps it warm.
    pub in_use: bool,
    /// The command that mends it, where a person must act.
    pub action: Option<String>,
    /// What is wrong.
    pub report: Option<Report>,
}

/// The step of a chain that only a person can renew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootStatus {
    /// `sso`, `mfa`, `console`, `keys`, `process`, `web-identity`, `environment`, `instance` or
    /// `container`.
    pub kind: String,
    /// The sso-session, start URL, MFA device, console identity, key id, role, or line.
    pub name: String,
    /// Who logged in, where AWS has said it.
    #[serde(default)]
    pub person: Option<String>,
    /// When it ends.
    pub ends_at: Option<String>,
    /// End of the access token; renews silently.
    pub access_token_expires_at: Option<String>,
    /// End of the client registration; a login renews it.
    pub registration_expires_at: Option<String>,
}

/// A line from the agent: an answer, or a notification (without `id`).
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AgentLine<T> {
    /// It worked.
    Answer {
        /// Always `2.0`.
        jsonrpc: String,
        /// The request's.
        id: u64,
        /// What was asked for.
        result: T,
    },
    /// It did not.
    Failure {
        /// Always `2.0`.
        jsonrpc: String,
        /// The request's; `null` where the line could not be read.
        id: Option<u64>,
        /// Why.
        error: RpcError,
    },
    /// Something happened.
    Notification {
        /// Always `2.0`.
        jsonrpc: String,
        /// What.
        #[serde(flatten)]
        notification: Notification,
    },
}

/// What the agent says unasked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params")]
pub enum Notification {
    /// A login waits for the person.
    #[serde(rename = "login.open")]
    LoginOpen(LoginOpen),
    /// A login waits for an MFA code.
    #[serde(rename = "login.ask")]
    LoginAsk(LoginAsk),
    /// A login waits for the AWS CLI.
    #[serde(rename = "login.console")]
    LoginConsole(LoginConsole),
    /// A search for clusters goes on.
    #[serde(rename = "discover.progress")]
    DiscoverProgress(DiscoverProgress),
    /// The status is no longer what it was.
    #[serde(rename = "changed")]
    Changed(Empty),
}

/// A JSON-RPC error object; `data` is the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpcError {
    /// JSON-RPC 2.0 section 5.1: −32700 parse error, −32600 invalid request, −32601 unknown
    /// method, −32602 invalid params; −32000 for everything a [`Report`] says better.
    pub code: i32,
    /// The report's `what`.
    pub message: String,
    /// The report.
    pub data: Report,
}

/// What the agent says on the pipe of whoever started it, one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Startup {
    /// It listens.
    Ready,
    /// Another agent holds the lock and listens.
    AlreadyRunning,
    /// It does not run, and why.
    Failed(Report),
}
