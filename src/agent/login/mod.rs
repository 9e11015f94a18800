//! Logging in: who waits for which root session, and what the person must do.
//!
//! Only a person's act starts a login, one runs for each root session, and everybody who asks for the
//! same one waits for it. A login that nobody waits for any more ends. What is shown to everybody (an
//! address) is shown to all who wait; what only one can do (type a code, run the AWS CLI) is asked of
//! the one who came first, and of the next where that one hangs up.

mod code;
mod sso;

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::{sync::mpsc::UnboundedSender, task::AbortHandle};

use self::{code::Codes, sso::Work};
use super::{
    answers::rfc3339,
    event::{CodeWanted, Event, Fresh, LoginNews, Mailbox},
    owner::{Agent, Held, bug},
    watcher,
};
use crate::{
    ipc::wire::{LoginAsk, LoginConsole, LoginDone, LoginOpen, LoginParams},
    model::{
        Secret,
        session::{Activity, Recipe, SessionKey, Spec},
        status::{self, RootEnd},
        text::printable,
    },
    report::{Code, Report},
};

/// The logins in flight.
#[derive(Debug, Default)]
pub(super) struct Logins {
    flights: BTreeMap<SessionKey, Flight>,
    /// Those who wait for a refresh to tell whether a login is needed.
    asked: Vec<(SessionKey, LoginParams, UnboundedSender<LoginNews>)>,
    refused: BTreeMap<SessionKey, Secret>,
    codes: Codes,
    /// The number of the last one: what a login that was given up still says is not for the next.
    last: u64,
}

/// Somebody who waits for a login.
#[derive(Debug)]
struct Waiter {
    news: UnboundedSender<LoginNews>,
    /// Whether they gave a code, and want to hear what became of that one.
    gave_code: bool,
}

/// One login, and all who wait for it.
#[derive(Debug)]
struct Flight {
    number: u64,
    stage: Stage,
    waiters: Vec<Waiter>,
    task: Option<AbortHandle>,
    /// Codes that were not taken.
    refusals: u32,
    /// What the person named, for the question who they are.
    name: Option<String>,
    /// The role whose keys tell that.
    witness: Option<SessionKey>,
}

/// What a login waits for.
#[derive(Clone, Debug)]
enum Stage {
    /// AWS.
    Busy,
    /// Somebody who opens an address.
    Open(LoginOpen),
    /// Somebody who types a code.
    Code(LoginAsk),
    /// Somebody who runs the AWS CLI.
    Console(LoginConsole),
}

impl Flight {
    fn new(number: u64, stage: Stage, waiter: Waiter, name: Option<String>) -> Self {
        let waiters = vec![waiter];
        Self { number, stage, waiters, task: None, refusals: 0, name, witness: None }
    }

    /// Tells those whom the stage concerns.
    fn tell(&self, key: &SessionKey) {
        let concerned = match self.stage {
            Stage::Busy => 0,
            Stage::Open(_) => self.waiters.len(),
            Stage::Code(_) | Stage::Console(_) => 1,
        };
        for waiter in self.waiters.iter().take(concerned) {
            if let Some(news) = self.news(key) {
                let _hung_up = waiter.news.send(news);
            }
        }
    }

    fn news(&self, key: &SessionKey) -> Option<LoginNews> {
        match &self.stage {
            Stage::Busy => None,
            Stage::Open(open) => Some(LoginNews::Open(open.clone())),
            Stage::Code(ask) => {
                let wanted = CodeWanted { key: key.clone(), ask: ask.clone() };
                Some(LoginNews::Code(Box::new(wanted)))
            }
            Stage::Console(console) => Some(LoginNews::Console(console.clone())),
        }
    }
}

/// Tells the agent if a login dies without a word, so that nobody waits for ever.
struct LastWord {
    mailbox: Mailbox,
    key: SessionKey,
    number: u64,
    is_said: bool,
}

impl LastWord {
    fn new(mailbox: &Mailbox, key: &SessionKey, number: u64) -> Self {
        Self { mailbox: mailbox.clone(), key: key.clone(), number, is_said: false }
    }

    fn say(mut self, result: Result<Fresh, Report>) {
        self.is_said = true;
        let (key, number) = (self.key.clone(), self.number);
        self.mailbox.send(Event::LoginEnded { key, number, result });
    }
}

impl Drop for LastWord {
    fn drop(&mut self) {
        if !self.is_said {
            let (key, number) = (self.key.clone(), self.number);
            let result = Err(bug("a login died without a word").report);
            self.mailbox.send(Event::LoginEnded { key, number, result });
        }
    }
}

impl Logins {
    /// Returns whether somebody is logging in there.
    pub(super) fn is_in_flight(&self, key: &SessionKey) -> bool {
        self.flights.contains_key(key)
    }

    /// Returns whether a login there is eksd's own, whose token counts and no other: not where the
    /// AWS CLI makes it.
    pub(super) fn is_ours(&self, key: &SessionKey) -> bool {
        let flight = self.flights.get(key);
        flight.is_some_and(|flight| !matches!(flight.stage, Stage::Console(_)))
    }

    /// Returns the logins that the AWS CLI makes, each with its profile.
    pub(super) fn consoles(&self) -> Vec<(SessionKey, String)> {
        let flights = self.flights.iter();
        flights
            .filter_map(|(key, flight)| match &flight.stage {
                Stage::Console(console) => Some((key.clone(), console.profile.clone())),
                _ => None,
            })
            .collect()
    }

    /// Lets those who wait for one login wait for another.
    pub(super) fn move_to(&mut self, from: &SessionKey, to: &SessionKey) {
        let Some(mut moved) = self.flights.remove(from) else { return };
        match self.flights.get_mut(to) {
            Some(flight) => flight.waiters.append(&mut moved.waiters),
            None => {
                self.flights.insert(to.clone(), moved);
            }
        }
    }

    /// Tells those who wait what the person must open.
    pub(super) fn opened(&mut self, key: &SessionKey, open: LoginOpen) {
        self.go_on(key, Stage::Open(open));
    }

    fn go_on(&mut self, key: &SessionKey, stage: Stage) {
        if let Some(flight) = self.flights.get_mut(key) {
            flight.stage = stage;
            flight.tell(key);
        }
    }

    /// Takes somebody into a login that is under way. Returns them where none is.
    fn join(&mut self, key: &SessionKey, waiter: Waiter) -> Option<Waiter> {
        let Some(flight) = self.flights.get_mut(key) else { return Some(waiter) };
        if let Stage::Open(open) = &flight.stage {
            let _hung_up = waiter.news.send(LoginNews::Open(open.clone()));
        }
        flight.waiters.push(waiter);
        None
    }

    /// Begins a login.
    fn begin(
        &mut self,
        key: &SessionKey,
        stage: Stage,
        waiter: Waiter,
        name: Option<String>,
    ) -> u64 {
        self.last += 1;
        let flight = Flight::new(self.last, stage, waiter, name);
        flight.tell(key);
        self.flights.insert(key.clone(), flight);
        self.last
    }

    /// Returns whether this is the login that is under way there.
    fn is_current(&self, key: &SessionKey, number: u64) -> bool {
        self.flights.get(key).is_some_and(|flight| flight.number == number)
    }

    fn over(&mut self, key: &SessionKey, result: &Result<LoginDone, Report>) {
        let Some(flight) = self.flights.remove(key) else { return };
        if let Some(task) = flight.task {
            task.abort();
        }
        for waiter in flight.waiters {
            let _hung_up = waiter.news.send(LoginNews::Over(result.clone()));
        }
    }

    /// Ends the logins that nobody waits for any more, and asks the next one where whoever was
    /// asked has gone. Returns what has ended.
    fn sweep(&mut self) -> Vec<SessionKey> {
        let mut ended = Vec::new();
        self.asked.retain(|(_, _, news)| !news.is_closed());
        self.flights.retain(|key, flight| {
            let was_asked = flight.waiters.first().is_some_and(|first| !first.news.is_closed());
            flight.waiters.retain(|waiter| !waiter.news.is_closed());
            if flight.waiters.is_empty() {
                tracing::info!(login = %key, "login given up: nobody waits for it");
                if let Some(task) = &flight.task {
                    task.abort();
                }
                ended.push(key.clone());
            } else if !was_asked && matches!(flight.stage, Stage::Code(_) | Stage::Console(_)) {
                flight.tell(key);
            }
            !flight.waiters.is_empty()
        });
        ended
    }

    /// Remembers a token that AWS refused, so that its file is not believed again.
    pub(super) fn note_refused(&mut self, key: &SessionKey, mark: &Secret) {
        self.refused.insert(key.clone(), mark.clone());
    }

    /// Returns whether AWS has refused this token.
    pub(super) fn was_refused(&self, key: &SessionKey, mark: &Secret) -> bool {
        self.refused.get(key) == Some(mark)
    }
}

impl Agent {
    pub(super) fn begin_login(&mut self, params: &LoginParams, news: UnboundedSender<LoginNews>) {
        let root = match self.root_for(params.name.as_deref()) {
            Ok(root) => root,
            Err(report) => {
                let _hung_up = news.send(LoginNews::Over(Err(report)));
                return;
            }
        };
        self.session(&root);
        let waiter = Waiter { news, gave_code: params.mfa_code.is_some() };
        let Some(Waiter { news, .. }) = self.logins.join(&root.key, waiter) else {
            if let Some(code) = &params.mfa_code {
                self.try_code(&root.key, code.expose());
            }
            return;
        };
        if !params.force && self.can_renew_first(&root.key) {
            // Perhaps nobody is needed: one refresh tells.
            self.logins.asked.push((root.key.clone(), params.clone(), news));
            if !self.begin_refresh(&root.key) {
                self.resume_logins(&root.key);
            }
            return;
        }
        self.log_in(params, &root, news);
    }

    /// Somebody who waited for a login hung up.
    pub(super) fn login_left(&mut self) {
        for key in self.logins.sweep() {
            self.read_again(&key);
        }
    }

    /// A login is over, one way or another.
    fn login_over(&mut self, key: &SessionKey, result: &Result<LoginDone, Report>) {
        self.logins.over(key, result);
        self.read_again(key);
    }

    /// Goes on with the logins that waited for a refresh.
    pub(super) fn resume_logins(&mut self, key: &SessionKey) {
        let all = std::mem::take(&mut self.logins.asked);
        let (now, later) = all.into_iter().partition(|(root, _, _)| root == key);
        self.logins.asked = later;
        for (key, params, news) in Vec::from_iter::<Vec<_>>(now) {
            let root = self.sessions.get(&key).map(|session| session.spec.clone());
            if let Some(root) = root.filter(|_| !news.is_closed()) {
                self.log_in(&params, &root, news);
            }
        }
    }

    fn log_in(&mut self, params: &LoginParams, root: &Spec, news: UnboundedSender<LoginNews>) {
        let waiter = Waiter { news, gave_code: params.mfa_code.is_some() };
        let Some(waiter) = self.logins.join(&root.key, waiter) else { return };
        if !params.force && self.is_login_good(&root.key) {
            let done = self.login_done(root, true);
            let _hung_up = waiter.news.send(LoginNews::Over(Ok(done)));
            return;
        }
        tracing::info!(login = %root.key, "login begins");
        let name = params.name.clone();
        match &root.recipe {
            Recipe::Login(login) => {
                let ended = match self.vault.get(&root.key) {
                    Some(Held::Token(token)) if params.force => Some(token.clone()),
                    _ => None,
                };
                let number = self.logins.begin(&root.key, Stage::Busy, waiter, name);
                let last = LastWord::new(&self.mailbox, &root.key, number);
                let world = self.world.clone();
                let work = Work { world, last, login: login.clone(), ended };
                let flow = params.flow;
                let task = self.workers.spawn(async move { work.run(flow).await });
                if let Some(flight) = self.logins.flights.get_mut(&root.key) {
                    flight.task = Some(task);
                }
            }
            Recipe::Console(login) => {
                // The one with the `login_session`: the CLI writes that setting where it logs in.
                let profile = login.profile.to_string();
                // An agent for one request looks at no folder otherwise.
                if !self.watches.are_begun() {
                    self.watches = watcher::watch(&self.world, &self.mailbox);
                }
                let stage = Stage::Console(LoginConsole { profile });
                self.logins.begin(&root.key, stage, waiter, None);
            }
            _ => self.begin_code_login(params, root, waiter),
        }
    }

    /// The session was ended at AWS, for a login that was to begin anew.
    pub(super) fn session_ended(&mut self, key: &SessionKey, mark: &Secret) {
        let held = self.vault.get(key).and_then(Held::marks);
        if held.is_some_and(|held| held.mark != mark) {
            // Another login was faster.
            return;
        }
        self.logins.note_refused(key, mark);
        if let SessionKey::Login(login) = key {
            self.person_unknown(login);
            self.memory.forget_session(login);
            self.scribe.keep_state(&self.memory);
        }
        self.forget_root(key, None);
    }

    /// Returns the root session that a profile, cluster, sso-session or nothing means.
    pub(super) fn root_for(&self, name: Option<&str>) -> Result<Spec, Report> {
        let Some(name) = name else { return self.only_root() };
        if let Some(root) = self.known.root_named(name) {
            return Ok(root.clone());
        }
        let profile = match self.clusters.get(name) {
            Ok(cluster) => cluster.profile.clone(),
            Err(_) if self.known.profile(name).is_some() => name.to_owned(),
            Err(_) => return Err(self.unknown(name)),
        };
        let root = self.known.chain(&profile)?.specs().into_iter().next();
        root.filter(Spec::is_root).ok_or_else(|| {
            Report::new(
                Code::Misconfigured,
                format!("profile `{}` needs no login", printable(&profile)),
                format!(
                    "`eksd explain {}` shows where its credentials come from",
                    printable(&profile)
                ),
            )
        })
    }

    fn only_root(&self) -> Result<Spec, Report> {
        // A device with a command that prints codes needs nobody.
        let all: Vec<&Spec> = self.known.roots().filter(|root| root.wants_person()).collect();
        let needed: Vec<&Spec> =
            all.iter().copied().filter(|root| !self.is_login_good(&root.key)).collect();
        match (all.as_slice(), needed.as_slice()) {
            ([only], _) | (_, [only]) => Ok((*only).clone()),
            ([], _) => Err(Report::new(
                Code::Misconfigured,
                "no profile needs a login",
                "run `aws configure sso`, or add an [sso-session] section to the AWS config",
            )),
            _ => {
                let names: Vec<String> =
                    all.iter().map(|root| format!("`{}`", printable(&root.login_name()))).collect();
                Err(Report::new(
                    Code::Usage,
                    "there are several sessions to log in to",
                    format!("name one: `eksd login NAME` with one of {}", names.join(", ")),
                ))
            }
        }
    }

    /// Returns whether what is held has ended but may be renewed without a person, or can be begun
    /// without one.
    fn can_renew_first(&self, key: &SessionKey) -> bool {
        let session = self.sessions.get(key);
        session.is_some_and(|session| {
            !session.is_good(self.now())
                && (session.held.is_some() || !session.spec.wants_person())
                && session.renewable
                && matches!(
                    session.activity,
                    Activity::Idle | Activity::Refreshing | Activity::BackingOff { .. }
                )
        })
    }

    /// Returns whether a login now would be for nothing: the session lives, and not near its end.
    fn is_login_good(&self, key: &SessionKey) -> bool {
        let now = self.now();
        let Some(session) = self.sessions.get(key) else { return false };
        let lives = session.is_good(now)
            && !matches!(session.activity, Activity::WaitingForPerson | Activity::Refused { .. });
        let end = status::end_of(session, self, now);
        let warn_from = end.ends_at.and_then(|at| at.checked_sub(self.policy.first_notice()).ok());
        lives && warn_from.is_none_or(|from| now < from)
    }

    fn login_done(&self, root: &Spec, already: bool) -> LoginDone {
        let session = self.sessions.get(&root.key);
        let end =
            session.map_or(RootEnd::UNKNOWN, |session| status::end_of(session, self, self.now()));
        LoginDone {
            session: match &root.key {
                SessionKey::Login(login) => login.to_string(),
                SessionKey::Console(arn) => arn.clone(),
                _ => {
                    root.device().map_or_else(|| root.login_name(), |device| device.serial.clone())
                }
            },
            already,
            good_until: end.ends_at.map(rfc3339),
            confidence: end.confidence.into(),
            person: root.key.as_login().and_then(|login| self.memory.person.get(login)).cloned(),
            was_person: None,
        }
    }

    /// A login's task has ended; one that was given up says nothing about the next.
    pub(super) fn login_ended(
        &mut self,
        key: &SessionKey,
        number: u64,
        result: Result<Fresh, Report>,
    ) {
        if self.logins.is_current(key, number) {
            self.end_login(key, result);
        } else {
            tracing::debug!(login = %key, number, "result of a login given up ignored");
        }
    }

    fn end_login(&mut self, key: &SessionKey, result: Result<Fresh, Report>) {
        let fresh = match result {
            Ok(fresh) => fresh,
            Err(report) => {
                tracing::warn!(login = %key, what = report.what, "login failed");
                return self.login_over(key, &Err(report));
            }
        };
        let Some(root) = self.sessions.get(key).map(|session| session.spec.clone()) else { return };
        // A login is a use: what it brought is kept alive from now on.
        let until = self.now().checked_add(self.policy.keep_warm);
        self.warm(std::slice::from_ref(&root), until.unwrap_or(Timestamp::MAX));
        self.forget_flight(key);
        if let SessionKey::Login(login) = key {
            self.person_unknown(login);
            self.memory.saw_login(login, self.now());
            self.scribe.keep_state(&self.memory);
        }
        self.hold(key, fresh);
        self.keep_session(key);
        self.revive_under(key);
        let flight = self.logins.flights.get_mut(key);
        let name = flight.and_then(|flight| {
            flight.task = None;
            flight.stage = Stage::Busy;
            flight.name.clone()
        });
        if key.as_login().is_some()
            && let Some(witness) = self.identify(key, name.as_deref())
            && let Some(flight) = self.logins.flights.get_mut(key)
        {
            flight.witness = Some(witness);
            return;
        }
        let done = self.login_done(&root, false);
        self.login_over(key, &Ok(done));
    }

    /// The role that would have told who logged in cannot be had.
    pub(super) fn witness_failed(&mut self, role: &SessionKey) {
        let waiting = self.logins.flights.iter();
        let waiting = waiting.filter(|(_, flight)| flight.witness.as_ref() == Some(role));
        for key in waiting.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.login_identified(&key, None, None);
        }
    }

    /// Ends a login that waited for the answer who it was.
    pub(super) fn login_identified(
        &mut self,
        key: &SessionKey,
        person: Option<String>,
        earlier: Option<String>,
    ) {
        let Some(root) = self.sessions.get(key).map(|session| session.spec.clone()) else { return };
        if self.logins.flights.get(key).is_some_and(|flight| flight.witness.is_some()) {
            let was_person = earlier.filter(|earlier| person.as_ref() != Some(earlier));
            let was_person = was_person.filter(|_| person.is_some());
            let done = LoginDone { person, was_person, ..self.login_done(&root, false) };
            self.login_over(key, &Ok(done));
        }
    }

    /// The session is gone from the files: there is nothing left to log in to.
    pub(super) fn login_gone(&mut self, key: &SessionKey) {
        let what = format!("{} is gone from the AWS config", printable(&key.title()));
        let report =
            Report::new(Code::LoginFailed, what, "`eksd status --all` lists what there is");
        let all = std::mem::take(&mut self.logins.asked);
        let (gone, kept) = all.into_iter().partition(|(root, _, _)| root == key);
        self.logins.asked = kept;
        for (_, _, news) in Vec::from_iter::<Vec<_>>(gone) {
            let _hung_up = news.send(LoginNews::Over(Err(report.clone())));
        }
        self.login_over(key, &Err(report));
    }

    /// A session came to be good without the login that waits for it: another tool logged in, which is
    /// the only way to a console sign-in.
    pub(super) fn login_overtaken(&mut self, key: &SessionKey) {
        let Some(root) = self.sessions.get(key).map(|session| session.spec.clone()) else { return };
        let until = self.now().checked_add(self.policy.keep_warm);
        self.warm(std::slice::from_ref(&root), until.unwrap_or(Timestamp::MAX));
        let done = self.login_done(&root, false);
        self.login_over(key, &Ok(done));
    }
}
