//! The agent: one task that owns every session. What can happen arrives as an [`Event`]; what follows
//! is decided by the model and carried out by workers, which answer with events.
//!
//! ```text
//! mailbox ─▶ apply ─▶ settle: plan → refreshes, notices, prompt files, parked askers
//!    ▲                                  │
//!    └──────────── workers ◀────────────┘
//! ```

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc::UnboundedReceiver, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    asks::Parked,
    clusters::Clusters,
    event::{Event, Mailbox},
    flights::Flight,
    known::Known,
    login::Logins,
    scribe::{PromptLine, Scribe},
    shared::is_shared,
    tokens::Tokens,
    watcher::{self, Watches},
};
use crate::{
    config::aws_files,
    model::{
        ConsoleToken, Credentials, LoginKey, ProfileName, Secret, SsoToken,
        keyring::KeyringStatus,
        notice::{self, Root, Said},
        plan::{self, Sessions},
        policy::Policy,
        session::{Activity, FailureClass, Session, SessionKey, Spec, Trouble, span},
        status::{self, LoginFacts, Seen},
    },
    report::{Code, Report},
    store::state::State,
    world::World,
};

/// How long the end of the agent waits for a renewal of a token that is under way.
const LAST_REFRESH: Duration = Duration::from_secs(1);

/// How long it then waits for the last writes.
const LAST_WRITES: Duration = Duration::from_millis(300);

/// Shorter, and a chain would go cold between its steps.
const SHORTEST_WARMTH: Duration = Duration::from_mins(1);

/// How long a chain is warm that somebody only looks through.
const A_LOOK: Duration = Duration::from_mins(2);

/// A use is kept on disk when the last one kept is this old: it only has to be known to the hour.
const WORTH_NOTING: Duration = Duration::from_mins(5);

/// What a session holds that must not be seen.
#[derive(Debug)]
pub(super) enum Held {
    /// A sign-in's token.
    Token(SsoToken),
    /// A sign-in to the console, with its keys.
    Console(Box<ConsoleToken>),
    /// A role's credentials.
    Keys(Credentials),
}

impl Held {
    /// Returns the credentials, where it is something that signs.
    pub(super) fn keys(&self) -> Option<&Credentials> {
        match self {
            Self::Keys(keys) => Some(keys),
            Self::Console(token) => Some(&token.keys),
            Self::Token(_) => None,
        }
    }
}

/// The owner of every session.
pub(super) struct Agent {
    pub(super) world: Arc<World>,
    pub(super) mailbox: Mailbox,
    pub(super) policy: Policy,
    pub(super) known: Known,
    pub(super) sessions: Sessions,
    pub(super) vault: HashMap<SessionKey, Held>,
    pub(super) memory: State,
    pub(super) logins: Logins,
    pub(super) clusters: Clusters,
    pub(super) tokens: Tokens,
    pub(super) parked: Vec<Parked>,
    pub(super) scribe: Scribe,
    pub(super) reports: BTreeMap<String, Report>,
    /// Sign-ins of which nobody has asked AWS yet whose they are.
    pub(super) unidentified: BTreeSet<LoginKey>,
    /// Sessions that somebody logged out of, until they are used again.
    pub(super) rested: BTreeSet<SessionKey>,
    /// Shared files that changed while something was being done about their sessions.
    pub(super) unread: BTreeSet<SessionKey>,
    /// What the key store said last.
    pub(super) key_store: Option<KeyringStatus>,
    /// Sessions that the key store was asked for.
    pub(super) looked_for: BTreeSet<SessionKey>,
    /// Whose they were before.
    pub(super) earlier_person: BTreeMap<LoginKey, String>,
    pub(super) started_at: Timestamp,
    pub(super) changed: watch::Sender<u64>,
    pub(super) workers: JoinSet<()>,
    pub(super) shutdown: CancellationToken,
    pub(super) watches: Watches,
    pub(super) last_prompts: Vec<PromptLine>,
    pub(super) flights: BTreeMap<SessionKey, Flight>,
    pub(super) last_flight: u64,
    said: Said,
    /// Whether something has happened since the watchers were last told.
    pub(super) is_news: bool,
    /// When the next comparison of a cluster is due.
    next_check: Option<Timestamp>,
    /// What each shared token file said last: the mark of its token, or that there is no file. Only a
    /// change of it is news; a file that merely could not be rewritten is not.
    pub(super) files_say: BTreeMap<SessionKey, Option<Secret>>,
}

impl Agent {
    /// Returns an agent that knows nothing yet; `memory` and `clusters` are from before its start.
    pub(super) fn new(
        world: Arc<World>,
        mailbox: Mailbox,
        memory: State,
        clusters: Clusters,
        shutdown: CancellationToken,
    ) -> Self {
        let policy = Policy {
            keep_warm: world.settings.keep_warm.max(SHORTEST_WARMTH),
            notice_before: world.settings.notices_before.clone(),
            ..Policy::default()
        };
        let scribe = Scribe::new(&world, &mailbox);
        let mut said = Said::default();
        said.begin_with(clusters.all());
        Self {
            policy,
            known: Known::default(),
            sessions: Sessions::new(),
            vault: HashMap::new(),
            memory,
            logins: Logins::default(),
            clusters,
            tokens: Tokens::default(),
            parked: Vec::new(),
            scribe,
            reports: BTreeMap::new(),
            unidentified: BTreeSet::new(),
            unread: BTreeSet::new(),
            rested: BTreeSet::new(),
            key_store: None,
            looked_for: BTreeSet::new(),
            earlier_person: BTreeMap::new(),
            started_at: world.clock.now(),
            changed: watch::Sender::new(0),
            workers: JoinSet::new(),
            shutdown,
            watches: Watches::default(),
            last_prompts: Vec::new(),
            flights: BTreeMap::new(),
            last_flight: 0,
            said,
            is_news: true,
            next_check: None,
            files_say: BTreeMap::new(),
            world,
            mailbox,
        }
    }

    /// Starts with what is on the disk. Nobody is served yet, so the first answer is a whole one.
    pub(super) fn begin(&mut self) {
        let (files, unread) = aws_files::read(&self.world.paths);
        self.take_files(files, unread);
        self.begin_with_caches();
        self.restore_kubeconfigs();
    }

    /// Runs until the shutdown token is cancelled.
    pub(super) async fn run(mut self, mut inbox: UnboundedReceiver<Event>) {
        loop {
            let wake_at = self.settle();
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                event = inbox.recv() => match event {
                    Some(event) => {
                        self.apply(event);
                        // One settling for everything that has come in meanwhile.
                        while let Ok(event) = inbox.try_recv() {
                            self.apply(event);
                        }
                    }
                    None => break,
                },
                () = self.world.clock.nap(wake_at) => self.is_news = true,
            }
            while self.workers.try_join_next().is_some() {}
        }
        self.end(inbox).await;
    }

    /// A refresh token works once: a renewal that AWS may have granted already is waited for, so
    /// that the new token is on the disk before the agent is gone.
    async fn end(mut self, mut inbox: UnboundedReceiver<Event>) {
        let deadline = tokio::time::sleep(LAST_REFRESH);
        tokio::pin!(deadline);
        while self.flights.keys().any(is_shared) {
            tokio::select! {
                () = &mut deadline => break,
                event = inbox.recv() => match event {
                    Some(Event::Refreshed { key, flight, result }) => {
                        self.refreshed(&key, flight, result);
                    }
                    Some(_) => {}
                    None => break,
                },
            }
        }
        self.workers.abort_all();
        let mut scribe = self.scribe;
        // Off this thread: a disk that hangs must not hold up the end.
        let written = tokio::task::spawn_blocking(move || scribe.finish());
        let _gave_up = tokio::time::timeout(LAST_WRITES, written).await;
    }

    pub(super) fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    pub(super) fn seen(&self) -> Seen<'_> {
        Seen { sessions: &self.sessions, facts: self, policy: &self.policy, now: self.now() }
    }

    fn apply(&mut self, event: Event) {
        self.is_news |= is_news(&event);
        match event {
            Event::Credentials { ask, reply } => self.ask_credentials(&ask, reply),
            Event::Explain { name, reply } => {
                let _hung_up = reply.send(self.explain(&name));
            }
            Event::Ends { name, reply } => {
                let _hung_up = reply.send(self.ends(&name));
            }
            Event::Token { ask, reply } => self.ask_token(ask, reply),
            Event::TokenJudged { subject, access_key_id, verdict } => {
                self.token_judged(&subject, &access_key_id, &verdict);
            }
            Event::Status { params, reply } => {
                let _hung_up = reply.send(self.status(&params));
            }
            Event::Subscribe { reply } => {
                let _hung_up = reply.send(Ok(self.changed.subscribe()));
            }
            Event::Resolve { name, reply } => {
                let _hung_up = reply.send(self.resolve(&name));
            }
            Event::Use { params, reply } => {
                let _hung_up = reply.send(self.note_use(&params));
            }
            Event::Login { params, news } => self.begin_login(&params, news),
            Event::LoginOpened { key, open } => self.logins.opened(&key, open),
            Event::LoginCode { key, code } => self.try_code(&key, code.expose()),
            Event::CodeTried(tried) => self.code_tried(*tried),
            Event::Identified(identified) => self.identified(identified),
            Event::StoreAnswered { key, answer } => self.store_answered(&key, answer),
            Event::MirrorWritten(result) => self.mirror_written(result),
            Event::LoginEnded { key, number, result } => self.login_ended(&key, number, result),
            Event::SessionEnded { key, mark } => self.session_ended(&key, &mark),
            Event::LoginLeft => self.login_left(),
            Event::Logout { params, reply } => self.logout(&params, reply),
            Event::Refreshed { key, flight, result } => self.refreshed(&key, flight, result),
            Event::FilesRead { files, unread } => self.files_read(files, unread),
            Event::CacheRead { key, found } => self.cache_read(&key, found.map(|found| *found)),
            Event::Changed(change) => watcher::follow(self, change),
            Event::ClusterAdd { params, reply } => {
                let _hung_up = reply.send(self.cluster_wanted(&params));
            }
            Event::ClusterSurvey { params, reply } => {
                let _hung_up = reply.send(self.survey(&params));
            }
            Event::ClusterErrands { alias, reply } => {
                self.forget_refusals(alias.as_deref());
                let _hung_up = reply.send(self.cluster_errands(alias.as_deref()));
            }
            Event::ClusterFound { cluster, is_new, found, reply } => {
                self.cluster_found(*cluster, is_new, &found, reply);
            }
            Event::ClusterFailed { alias, report } => Self::cluster_failed(&alias, &report),
            Event::ClusterWritten { alias, result } => self.cluster_written(&alias, result),
            Event::ClustersLooked { different, is_start } => {
                self.clusters_looked(different, is_start);
            }
            Event::ClusterRename { params, reply } => self.cluster_rename(params, reply),
            Event::ClusterRemove { alias, reply } => self.cluster_remove(&alias, reply),
            Event::Written { what, report } => {
                let before = match &report {
                    Some(report) => self.reports.insert(what.to_owned(), report.clone()),
                    None => self.reports.remove(what),
                };
                self.is_news |= before != report;
            }
            Event::Stop => self.shutdown.cancel(),
        }
    }

    /// Carries out what the model decides now, and returns when to look again.
    fn settle(&mut self) -> Option<Timestamp> {
        let now = self.now();
        let mut plan = plan::plan(&self.sessions, now);
        for key in std::mem::take(&mut plan.ended) {
            if let Some(session) = self.sessions.get_mut(&key) {
                tracing::info!(session = %key, "the sign-in is over");
                session.end(None);
                self.is_news = true;
            }
        }
        for key in std::mem::take(&mut plan.due) {
            let _nothing_to_do = self.begin_refresh(&key);
        }
        for key in self.to_probe(now) {
            let _nothing_to_do = self.begin_refresh(&key);
        }
        self.answer_parked();
        let roots = self.roots(now);
        for notice in self.said.update(&roots, &self.policy.notice_before, now) {
            self.world.notifier.send(notice);
        }
        let tokens_due = self.tokens_due(now);
        // All clusters are gone through, and a kubectl waits for its token meanwhile: not for nothing.
        if self.is_news {
            self.settle_clusters(now);
        }
        let notices_due = notice::wake_at(&roots, &self.policy.notice_before, now);
        let wakes = [notices_due, tokens_due, self.next_check];
        for at in wakes.into_iter().flatten() {
            plan.wake_by(at);
        }
        if std::mem::take(&mut self.is_news) {
            self.changed.send_modify(|revision| *revision += 1);
        }
        plan.wake_at
    }

    /// Does what the present state of things asks for at each cluster.
    fn settle_clusters(&mut self, now: Timestamp) {
        self.forget_old_news();
        let world = &self.world;
        let file = |alias: &str| world.paths.shown(&world.kubeconfig_path(alias));
        for notice in self.said.update_clusters(self.clusters.all(), file) {
            self.world.notifier.send(notice);
        }
        self.next_check = self.clusters_due(now);
        self.write_prompts();
    }

    /// Returns the sign-ins whose estimated end has come.
    fn to_probe(&self, now: Timestamp) -> Vec<SessionKey> {
        let is_due = |key: &SessionKey, session: &Session| match key {
            SessionKey::Login(login) => {
                session.is_warm(now) && status::should_probe(session, self.login_facts(login), now)
            }
            _ => false,
        };
        let due = self.sessions.iter().filter(|(key, session)| is_due(key, session));
        due.map(|(key, _)| key.clone()).collect()
    }

    fn roots(&self, now: Timestamp) -> Vec<Root> {
        let roots = self.sessions.values().filter(|session| session.is_root());
        roots
            .map(|session| Root {
                key: session.spec.key.clone(),
                login_name: session.spec.login_name(),
                has_ended: session.activity == Activity::WaitingForPerson,
                end: status::end_of(session, self, now),
                in_use: session.is_warm(now) && !self.rested.contains(&session.spec.key),
            })
            .collect()
    }

    pub(super) fn login_facts(&self, key: &LoginKey) -> LoginFacts {
        let token = match self.vault.get(&SessionKey::Login(key.clone())) {
            Some(Held::Token(token)) => Some(token),
            _ => None,
        };
        LoginFacts {
            logged_in_at: self.memory.logged_in_at.get(key).copied(),
            length: self
                .world
                .settings
                .session_length(key)
                .or_else(|| self.memory.learned_length(key)),
            registration_expires_at: token
                .and_then(|token| token.registration.as_ref())
                .map(|registration| registration.expires_at),
        }
    }

    /// Returns who says how long a sign-in lasts.
    pub(super) fn length_source(&self, key: &LoginKey) -> &'static str {
        match self.world.settings.session_length(key) {
            Some(_) => "`length` in the settings",
            None => "learned from earlier sessions",
        }
    }

    /// Makes the sessions of a profile exist and keeps them warm until `until`.
    pub(super) fn warm(&mut self, specs: &[Spec], until: Timestamp) {
        for spec in specs {
            let session = self.session(spec);
            session.warm_until = Some(session.warm_until.map_or(until, |at| at.max(until)));
        }
    }

    /// Keeps the steps of a chain warm until all of them can have been made, for a question that is no
    /// use. Not the root: nobody is to be told that it ends.
    pub(super) fn warm_for_a_look(&mut self, specs: &[Spec]) {
        let until = self.now().checked_add(A_LOOK).unwrap_or(Timestamp::MAX);
        let steps: Vec<Spec> = specs.iter().filter(|spec| !spec.is_root()).cloned().collect();
        self.warm(&steps, until);
    }

    /// Notes that a profile is used now.
    pub(super) fn note_used(&mut self, profile: &ProfileName, specs: &[Spec]) {
        let now = self.now();
        let until = now.checked_add(self.policy.keep_warm).unwrap_or(Timestamp::MAX);
        let is_warm = |spec: &Spec| {
            let session = self.sessions.get(&spec.key);
            session.is_some_and(|session| session.is_warm(now)) && !self.rested.contains(&spec.key)
        };
        let last = self.memory.last_used_at.get(profile);
        let was_used = last.is_some_and(|last| span(*last, now) < self.policy.keep_warm);
        self.is_news |= !was_used || !specs.iter().all(is_warm);
        for spec in specs {
            // Whoever was logged out of is still; asking is no login.
            if !spec.wants_person() {
                self.rested.remove(&spec.key);
            }
        }
        self.warm(specs, until);
        let last = self.memory.last_used_at.insert(profile.clone(), now);
        let is_news = last.is_none_or(|last| WORTH_NOTING <= span(last, now));
        if is_news {
            self.scribe.keep_state(&self.memory);
        }
    }

    /// Returns the session of `spec`, made where there is none.
    pub(super) fn session(&mut self, spec: &Spec) -> &mut Session {
        let world = &self.world;
        self.sessions.entry(spec.key.clone()).or_insert_with(|| {
            let jitter = 0.9 + 0.2 * (world.random)().clamp(0.0, 1.0);
            Session::new(spec.clone(), jitter)
        })
    }
}

impl status::Facts for Agent {
    fn login(&self, key: &LoginKey) -> LoginFacts {
        self.login_facts(key)
    }
}

/// Returns the trouble of something that cannot happen.
pub(super) fn bug(what: &str) -> Trouble {
    Trouble {
        class: FailureClass::MayPass { retry_after: None },
        report: Report::new(Code::Internal, what, "report this as a bug"),
    }
}

/// Returns whether an event may change what somebody watches. A question does not, nor does a file that
/// was written; where one of these does, that is noted there.
fn is_news(event: &Event) -> bool {
    match event {
        Event::Credentials { .. }
        | Event::Token { .. }
        | Event::Use { .. }
        | Event::Status { .. }
        | Event::Subscribe { .. }
        | Event::Resolve { .. }
        | Event::Ends { .. }
        | Event::Explain { .. }
        | Event::ClusterSurvey { .. }
        | Event::MirrorWritten(Ok(None))
        | Event::Written { .. } => false,
        Event::ClustersLooked { different, .. } => !different.is_empty(),
        _ => true,
    }
}
