//! Everything that can happen to the agent, as one closed enum, and the mailbox it arrives in.

use std::{path::PathBuf, time::Duration};

use tokio::sync::{mpsc, oneshot, watch};

use super::{
    clusters::{Errand, Synced},
    discover::Survey,
    ensure::Ends,
    person::Identified,
    shared::Shared,
    tokens::{Handed, TokenAsk},
    uses::Meant,
    watcher::Change,
};
use crate::{
    ipc::wire::{
        ClusterAddParams, ClusterDiscoverParams, ClusterRenameParams, Empty, Explanation, LoginAsk,
        LoginConsole, LoginDone, LoginOpen, LoginParams, LogoutDone, LogoutParams, MfaCode,
        StatusAnswer, StatusParams, UseParams,
    },
    model::{
        AwsFiles, ConsoleToken, Credentials, Secret, SsoToken,
        cluster::{Cluster, Found},
        session::{SessionKey, Trouble},
        token::Subject,
    },
    report::Report,
    store::{keyring::Answer, kubeconfigs::Written},
};

/// Where an answer goes. That nobody listens any more is no error: the asker hung up.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Report>>;

/// The one way to the agent.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox(mpsc::UnboundedSender<Event>);

impl Mailbox {
    /// Returns a mailbox and its other end. Unbounded: the server limits the connections, each
    /// connection has one request under way, and workers answer once each.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Drops an event in. An agent that has ended takes nothing any more, and nobody minds.
    pub(super) fn send(&self, event: Event) {
        let _ended = self.0.send(event);
    }

    /// Asks and waits for the answer.
    pub(super) async fn ask<T>(&self, event: impl FnOnce(Reply<T>) -> Event) -> Result<T, Report> {
        let (reply, answer) = oneshot::channel();
        self.send(event(reply));
        answer.await.unwrap_or_else(|_| Err(ending()))
    }
}

/// Returns the answer of an agent that is about to end.
pub(super) fn ending() -> Report {
    Report::new(
        crate::report::Code::AgentUnavailable,
        "the agent is ending",
        "run the command again; it starts a new agent",
    )
}

/// How long an asker waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Until a refresh in flight has ended.
    Some,
    /// Until a login in flight has ended, too: a person looks at a terminal.
    Login,
    /// Not at all: the best there is.
    None,
}

/// A question for credentials.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// Whose.
    pub(super) profile: String,
    /// How long the asker waits.
    pub(super) patience: Patience,
    /// Whether this keeps the profile warm; eksd's own questions do not.
    pub(super) is_use: bool,
    /// How long they should last, where that is more than the floor and can be had.
    pub(super) min_life: Duration,
}

impl Ask {
    /// Returns the question of a program that uses the profile.
    pub(super) fn new(profile: &str, patience: Patience) -> Self {
        Self { profile: profile.to_owned(), patience, is_use: true, min_life: Duration::ZERO }
    }
}

/// What a login tells those who wait for it.
#[derive(Clone, Debug)]
pub(super) enum LoginNews {
    /// The person must open this.
    Open(LoginOpen),
    /// The person must type a code.
    Code(Box<CodeWanted>),
    /// The person must run the AWS CLI.
    Console(LoginConsole),
    /// It is over.
    Over(Result<LoginDone, Report>),
}

/// A code that a person must type.
#[derive(Clone, Debug)]
pub(super) struct CodeWanted {
    /// The session it is for.
    pub(super) key: SessionKey,
    /// What to tell the person.
    pub(super) ask: LoginAsk,
}

/// What came of an MFA code.
#[derive(Debug)]
pub(super) struct CodeTried {
    /// The session it was for.
    pub(super) key: SessionKey,
    /// Of which login.
    pub(super) number: u64,
    /// What AWS said.
    pub(super) result: Result<Fresh, Trouble>,
}

/// What a refresh brought, secrets included.
#[derive(Debug)]
pub(super) enum Fresh {
    /// For a sign-in.
    Token {
        /// The token.
        token: SsoToken,
        /// When it was made, where that is known from a file.
        issued_at: Option<jiff::Timestamp>,
        /// Why it could not be kept on disk, if it could not.
        not_kept: Option<Report>,
    },
    /// For a sign-in to the console.
    Console {
        /// The sign-in.
        token: Box<ConsoleToken>,
        /// When it was made, where that is known from a file.
        issued_at: Option<jiff::Timestamp>,
        /// Why it could not be kept on disk, if it could not.
        not_kept: Option<Report>,
    },
    /// For a role.
    Keys(Credentials),
}

/// What can happen.
#[derive(Debug)]
pub(super) enum Event {
    /// Somebody asks for credentials.
    Credentials { ask: Ask, reply: Reply<Credentials> },
    /// Somebody asks what a profile comes to.
    Explain { name: String, reply: Reply<Explanation> },
    /// Somebody asks for the session that a profile's credentials come from, for its ends.
    Ends { name: String, reply: Reply<Ends> },
    /// Somebody asks for a token.
    Token { ask: TokenAsk, reply: Reply<Handed> },
    /// AWS was asked what it makes of a token signed with that key.
    TokenJudged { subject: Box<Subject>, access_key_id: String, verdict: Report },
    /// Somebody asks how things are.
    Status { params: StatusParams, reply: Reply<StatusAnswer> },
    /// Somebody wants to know when that changes.
    Subscribe { reply: Reply<watch::Receiver<u64>> },
    /// Somebody asks what a name stands for.
    Resolve { name: String, reply: Reply<Meant> },
    /// A shell uses something.
    Use { params: UseParams, reply: Reply<Empty> },
    /// A person logs in.
    Login { params: LoginParams, news: mpsc::UnboundedSender<LoginNews> },
    /// A login is at the point where the person must act.
    LoginOpened { key: SessionKey, open: LoginOpen },
    /// A person typed an MFA code.
    LoginCode { key: SessionKey, code: MfaCode },
    /// AWS was given an MFA code.
    CodeTried(Box<CodeTried>),
    /// AWS was asked who logged in.
    Identified(Identified),
    /// The key store answered.
    StoreAnswered { key: SessionKey, answer: Answer },
    /// The mirror config was written, or could not be. What a tool had written there is kept in a file.
    MirrorWritten(Result<Option<PathBuf>, Report>),
    /// A login is over.
    LoginEnded { key: SessionKey, number: u64, result: Result<Fresh, Report> },
    /// A session was ended at AWS, since a new one is to begin: the token that is dead now.
    SessionEnded { key: SessionKey, mark: Secret },
    /// Somebody who waited for a login hung up.
    LoginLeft,
    /// A person logs out.
    Logout { params: LogoutParams, reply: Reply<LogoutDone> },
    /// A refresh is over.
    Refreshed { key: SessionKey, flight: u64, result: Result<Fresh, Trouble> },
    /// The AWS files were read.
    FilesRead { files: AwsFiles, unread: Vec<Report> },
    /// A shared token file was read: what is in it, or that there is none.
    CacheRead { key: SessionKey, found: Option<Box<Shared>> },
    /// Something in a watched folder changed.
    Changed(Change),
    /// Somebody registers a cluster.
    ClusterAdd { params: ClusterAddParams, reply: Reply<Errand> },
    /// Somebody looks for clusters: who can be asked.
    ClusterSurvey { params: ClusterDiscoverParams, reply: Reply<Survey> },
    /// Somebody wants clusters compared with AWS now.
    ClusterErrands { alias: Option<String>, reply: Reply<Vec<Errand>> },
    /// AWS was asked about a cluster.
    ClusterFound {
        /// As it was registered when AWS was asked, or is to be.
        cluster: Box<Cluster>,
        /// Whether it is to be.
        is_new: bool,
        found: Found,
        reply: Reply<Synced>,
    },
    /// A cluster could not be compared.
    ClusterFailed { alias: String, report: Report },
    /// A cluster's file was written, or could not be.
    ClusterWritten { alias: String, result: Result<Written, Report> },
    /// Somebody looked at the clusters' files: those that say something else than they must.
    ClustersLooked {
        different: Vec<String>,
        /// Whether the agent has just started.
        is_start: bool,
    },
    /// Somebody gives a cluster another alias.
    ClusterRename { params: ClusterRenameParams, reply: Reply<Empty> },
    /// Somebody forgets a cluster.
    ClusterRemove { alias: String, reply: Reply<Empty> },
    /// A file could not be written, or could again.
    Written { what: &'static str, report: Option<Report> },
    /// A client wants the agent to end.
    Stop,
}
