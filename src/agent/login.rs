//! Logging in: who waits for which login, and the two flows.
//!
//! Only a person's act starts a login, one runs for each sign-in, and everybody who asks for the
//! same one waits for it. A login that nobody waits for any more ends.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{sync::mpsc::UnboundedSender, task::AbortHandle};

use super::{
    callback::Callback,
    event::{Event, Fresh, LoginNews, Mailbox},
    owner::{Agent, Held},
    refresh::{LOCK_PATIENCE, blocking, forget_registration, keep, trouble},
};
use crate::{
    aws::{AwsError, Class, Grant, Kind, TokenRequest, pkce},
    ipc::wire::{Flow, LoginDone, LoginOpen, LoginParams},
    model::{
        LoginKey, Registration, Secret, SsoLogin, SsoToken,
        session::{Activity, SessionKey},
        status,
        text::printable,
    },
    report::{Code, Report},
    store::sso_cache,
    world::World,
};

/// How long a person may take in the browser; the AWS CLI waits as long.
const LONGEST_LOGIN: Duration = Duration::from_mins(10);

/// RFC 8628 section 3.5: where the server names no interval, five seconds, and five more for each
/// `slow_down`.
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// The logins in flight.
#[derive(Debug, Default)]
pub(super) struct Logins {
    flights: BTreeMap<LoginKey, Flight>,
    /// Those who wait for a refresh to tell whether a login is needed.
    asked: Vec<(LoginKey, LoginParams, UnboundedSender<LoginNews>)>,
    refused: BTreeMap<LoginKey, Secret>,
}

#[derive(Debug)]
struct Flight {
    opened: Option<LoginOpen>,
    waiters: Vec<UnboundedSender<LoginNews>>,
    task: AbortHandle,
}

impl Logins {
    /// Returns whether somebody is logging in there.
    pub(super) fn is_in_flight(&self, key: &LoginKey) -> bool {
        self.flights.contains_key(key)
    }

    /// Tells those who wait what the person must open.
    pub(super) fn opened(&mut self, key: &LoginKey, open: &LoginOpen) {
        if let Some(flight) = self.flights.get_mut(key) {
            flight.opened = Some(open.clone());
            for waiter in &flight.waiters {
                let _hung_up = waiter.send(LoginNews::Open(open.clone()));
            }
        }
    }

    fn over(&mut self, key: &LoginKey, result: &Result<LoginDone, Report>) {
        for waiter in self.flights.remove(key).into_iter().flat_map(|flight| flight.waiters) {
            let _hung_up = waiter.send(LoginNews::Over(result.clone()));
        }
    }

    /// Ends the logins that nobody waits for any more.
    pub(super) fn sweep(&mut self) {
        self.flights.retain(|key, flight| {
            flight.waiters.retain(|waiter| !waiter.is_closed());
            if flight.waiters.is_empty() {
                tracing::info!(login = %key, "login given up: nobody waits for it");
                flight.task.abort();
            }
            !flight.waiters.is_empty()
        });
    }

    /// Remembers a token that AWS refused, so that its file is not believed again.
    pub(super) fn note_refused(&mut self, key: &LoginKey, token: &SsoToken) {
        self.refused.insert(key.clone(), token.access_token.clone());
    }

    /// Returns whether AWS has refused this token.
    pub(super) fn was_refused(&self, key: &LoginKey, token: &SsoToken) -> bool {
        self.refused.get(key) == Some(&token.access_token)
    }
}

impl Agent {
    pub(super) fn begin_login(&mut self, params: &LoginParams, news: UnboundedSender<LoginNews>) {
        let login = match self.login_for(params.name.as_deref()) {
            Ok(login) => login,
            Err(report) => {
                let _hung_up = news.send(LoginNews::Over(Err(report)));
                return;
            }
        };
        if let Some(flight) = self.logins.flights.get_mut(&login.key) {
            if let Some(open) = &flight.opened {
                let _hung_up = news.send(LoginNews::Open(open.clone()));
            }
            flight.waiters.push(news);
            return;
        }
        if !params.force && self.can_renew_first(&login.key) {
            // Perhaps nobody is needed: one refresh tells.
            let key = SessionKey::Login(login.key.clone());
            self.logins.asked.push((login.key, params.clone(), news));
            self.begin_refresh(&key);
            return;
        }
        self.log_in(params, login, news);
    }

    /// Goes on with the logins that waited for a refresh.
    pub(super) fn resume_logins(&mut self, key: &LoginKey) {
        let all = std::mem::take(&mut self.logins.asked);
        let (now, later) = all.into_iter().partition(|(login, _, _)| login == key);
        self.logins.asked = later;
        for (key, params, news) in Vec::from_iter::<Vec<_>>(now) {
            if let Some(login) = self.known.logins().get(&key).cloned() {
                self.log_in(&params, login, news);
            }
        }
    }

    fn log_in(&mut self, params: &LoginParams, login: SsoLogin, news: UnboundedSender<LoginNews>) {
        if let Some(flight) = self.logins.flights.get_mut(&login.key) {
            flight.waiters.push(news);
            return;
        }
        if !params.force && self.is_login_good(&login.key) {
            let done = self.login_done(&login.key, true);
            let _hung_up = news.send(LoginNews::Over(Ok(done)));
            return;
        }
        let key = SessionKey::Login(login.key.clone());
        let ended = match self.vault.get(&key) {
            Some(Held::Token(token)) if params.force => Some(token.access_token.clone()),
            _ => None,
        };
        let (world, mailbox) = (self.world.clone(), self.mailbox.clone());
        let work = Work { world, mailbox, login: login.clone(), ended };
        let flow = params.flow;
        let task = self.workers.spawn(async move { work.run(flow).await });
        tracing::info!(login = %login.key, "login begins");
        let flight = Flight { opened: None, waiters: vec![news], task };
        self.logins.flights.insert(login.key, flight);
    }

    /// Returns the sign-in that a profile, cluster, sso-session or nothing means.
    pub(super) fn login_for(&self, name: Option<&str>) -> Result<SsoLogin, Report> {
        let Some(name) = name else { return self.only_login() };
        if let Some(login) = self.known.login_named(name) {
            return Ok(login.clone());
        }
        let profile = match self.clusters.get(name) {
            Ok(cluster) => cluster.profile.clone(),
            Err(_) if self.known.profile(name).is_some() => name.to_owned(),
            Err(_) => return Err(self.unknown(name)),
        };
        let chain = self.known.chain(&profile)?;
        chain.login().cloned().ok_or_else(|| {
            Report::new(
                Code::Misconfigured,
                format!("profile `{}` does not begin at an SSO session", printable(&profile)),
                "there is nothing to log in to; `eksd status` shows what the profile uses",
            )
        })
    }

    fn only_login(&self) -> Result<SsoLogin, Report> {
        let all: Vec<&SsoLogin> = self.known.logins().values().collect();
        let needed: Vec<&SsoLogin> =
            all.iter().copied().filter(|login| !self.is_login_good(&login.key)).collect();
        match (all.as_slice(), needed.as_slice()) {
            ([only], _) | (_, [only]) => Ok((*only).clone()),
            ([], _) => Err(Report::new(
                Code::Misconfigured,
                "no profile uses an SSO session",
                "run `aws configure sso`, or add an [sso-session] section to the AWS config",
            )),
            _ => {
                let names: Vec<String> = all
                    .iter()
                    .map(|login| format!("`{}`", printable(login.key.cache_text())))
                    .collect();
                Err(Report::new(
                    Code::Usage,
                    "there are several SSO sessions",
                    format!("name one: `eksd login NAME` with one of {}", names.join(", ")),
                ))
            }
        }
    }

    /// Returns whether the token has ended but may be renewed without a person.
    fn can_renew_first(&self, key: &LoginKey) -> bool {
        let session = self.sessions.get(&SessionKey::Login(key.clone()));
        session.is_some_and(|session| {
            !session.is_good(self.now())
                && session.held.is_some()
                && session.renewable
                && matches!(
                    session.activity,
                    Activity::Idle | Activity::Refreshing | Activity::BackingOff { .. }
                )
        })
    }

    /// Returns whether a login now would be for nothing: the sign-in lives, and not near its end.
    fn is_login_good(&self, key: &LoginKey) -> bool {
        let now = self.now();
        let Some(session) = self.sessions.get(&SessionKey::Login(key.clone())) else {
            return false;
        };
        let lives = session.is_good(now)
            && !matches!(session.activity, Activity::WaitingForPerson | Activity::Refused { .. });
        let end = status::root_end(session, self.login_facts(key), now);
        let warn_from = end.ends_at.and_then(|at| at.checked_sub(self.policy.first_notice()).ok());
        lives && warn_from.is_none_or(|from| now < from)
    }

    fn login_done(&self, key: &LoginKey, already: bool) -> LoginDone {
        let session = self.sessions.get(&SessionKey::Login(key.clone()));
        let end = session.map_or(status::RootEnd::UNKNOWN, |session| {
            status::root_end(session, self.login_facts(key), self.now())
        });
        LoginDone {
            session: key.to_string(),
            already,
            good_until: end.ends_at.map(super::answers::rfc3339),
            confidence: end.confidence.into(),
            person: None,
            was_person: None,
        }
    }

    pub(super) fn end_login(&mut self, key: &LoginKey, result: Result<Fresh, Report>) {
        let result = match result {
            Ok(fresh) => {
                let session_key = SessionKey::Login(key.clone());
                if let Some(login) = self.known.logins().get(key).cloned() {
                    let spec = crate::model::session::login_spec(&login);
                    self.session(&spec);
                    // A login is a use: its token is kept alive from now on.
                    let until = self.now().checked_add(self.policy.keep_warm);
                    self.warm(&[spec], until.unwrap_or(Timestamp::MAX));
                }
                self.forget_flight(&session_key);
                self.note_login(key, self.now());
                self.hold(&session_key, fresh);
                self.revive_under(key);
                Ok(self.login_done(key, false))
            }
            Err(report) => {
                tracing::warn!(login = %key, what = report.what, "login failed");
                Err(report)
            }
        };
        self.logins.over(key, &result);
    }
}

/// Returns which kind of registration the AWS CLI keeps for a grant.
fn kept_grant(grant: Grant) -> sso_cache::Grant {
    match grant {
        Grant::Browser => sso_cache::Grant::AuthorizationCode,
        Grant::Device => sso_cache::Grant::DeviceCode,
    }
}

/// One login, as a task.
struct Work {
    world: Arc<World>,
    mailbox: Mailbox,
    login: SsoLogin,
    /// The token of a session that is to be ended first.
    ended: Option<Secret>,
}

impl Work {
    async fn run(self, flow: Flow) {
        if let Some(token) = &self.ended
            && let Err(error) = self.world.aws.logout(&self.login.reach, token).await
        {
            tracing::warn!(%error, "the earlier session could not be ended at AWS");
        }
        // Profiles without an sso-session know only the device flow, as in the AWS CLI.
        let is_legacy = matches!(self.login.key, LoginKey::StartUrl(_));
        let result = if is_legacy || flow == Flow::DeviceCode {
            self.by_device_code().await
        } else {
            self.by_browser().await
        };
        let result = match result {
            Ok(token) => {
                // A refresh that is under way elsewhere ends first, and does not write over this.
                let (cache, key) = (self.world.sso_cache.clone(), self.login.key.clone());
                let _lock = blocking(move || cache.lock(&key, LOCK_PATIENCE)).await;
                let not_kept = keep(&self.world, &self.login, &token).await;
                Ok(Fresh::Token { token, issued_at: None, not_kept })
            }
            Err(report) => Err(report),
        };
        self.mailbox.send(Event::LoginEnded { key: self.login.key.clone(), result });
    }

    fn open(&self, url: String, user_code: Option<String>, expires_at: Timestamp) {
        let open = LoginOpen {
            session: self.login.key.to_string(),
            url,
            user_code,
            expires_at: super::answers::rfc3339(expires_at),
        };
        self.mailbox.send(Event::LoginOpened { key: self.login.key.clone(), open });
    }

    fn failed(&self, error: &AwsError) -> Report {
        trouble(error, &self.login.key.to_string()).report
    }

    fn timeout(&self) -> Report {
        Report::new(
            Code::LoginTimeout,
            format!("nobody finished the login to `{}` in time", self.login.key),
            format!("run `eksd login {}` again", self.login.key),
        )
    }

    /// Returns a client registration: the one that the AWS CLI or we made before, or a new one.
    async fn registration(&self, grant: Grant) -> Result<Registration, Report> {
        let (cache, login) = (self.world.sso_cache.clone(), self.login.clone());
        let now = self.world.clock.now();
        let kept = kept_grant(grant);
        let known = blocking(move || cache.read_registration(&login, kept, now));
        if let Ok(Some(known)) = known.await {
            return Ok(known);
        }
        let made = self.world.aws.register_client(&self.login, grant).await;
        let made = made.map_err(|error| self.failed(&error))?;
        let (cache, login, new) = (self.world.sso_cache.clone(), self.login.clone(), made.clone());
        let written = blocking(move || cache.write_registration(&login, kept, &new));
        if let Ok(Err(error)) = written.await {
            tracing::warn!(%error, "the client registration is not kept");
        }
        Ok(made)
    }

    /// Authorization code with PKCE (RFC 7636) over a loopback redirect (RFC 8252 section 7.3).
    async fn by_browser(&self) -> Result<SsoToken, Report> {
        let registration = self.registration(Grant::Browser).await?;
        let callback = Callback::bind().await?;
        let verifier = pkce::verifier().map_err(|error| self.failed(&error))?;
        let url = self
            .world
            .aws
            .authorize_url(
                &self.login,
                &registration,
                callback.redirect_uri(),
                callback.state(),
                &pkce::challenge(&verifier),
            )
            .map_err(|error| self.failed(&error))?;
        let expires_at = self.world.clock.now().checked_add(LONGEST_LOGIN);
        self.open(url, None, expires_at.unwrap_or(Timestamp::MAX));
        let waited = tokio::time::timeout(LONGEST_LOGIN, callback.code(&self.login.key)).await;
        let Ok(code) = waited else {
            // Perhaps the page said that it does not know the client: no browser tells.
            forget_registration(&self.world, &self.login).await;
            return Err(self.timeout());
        };
        let code = code?;
        let redirect_uri = callback.redirect_uri().to_owned();
        let request = TokenRequest::AuthorizationCode { code, redirect_uri, verifier };
        let token = self.world.aws.create_token(&self.login.reach, &registration, &request).await;
        if token.as_ref().is_err_and(|error| error.kind == Kind::RegistrationRefused) {
            forget_registration(&self.world, &self.login).await;
        }
        token.map_err(|error| self.failed(&error))
    }

    /// Device authorization grant (RFC 8628).
    async fn by_device_code(&self) -> Result<SsoToken, Report> {
        let mut registration = self.registration(Grant::Device).await?;
        let aws = &self.world.aws;
        let mut device = aws.start_device_authorization(&self.login, &registration).await;
        if device.as_ref().is_err_and(|error| error.kind == Kind::RegistrationRefused) {
            forget_registration(&self.world, &self.login).await;
            registration = self.registration(Grant::Device).await?;
            device = aws.start_device_authorization(&self.login, &registration).await;
        }
        let device = device.map_err(|error| self.failed(&error))?;
        let url = device.verification_uri_complete.unwrap_or(device.verification_uri);
        self.open(url, Some(device.user_code), device.expires_at);
        let mut interval = device.interval;
        let request = TokenRequest::DeviceCode { device_code: device.device_code };
        loop {
            tokio::time::sleep(interval).await;
            if device.expires_at <= self.world.clock.now() {
                return Err(self.timeout());
            }
            match self.world.aws.create_token(&self.login.reach, &registration, &request).await {
                Ok(token) => return Ok(token),
                Err(error) => match (error.kind, error.class) {
                    (Kind::SlowDown, _) => interval += SLOW_DOWN,
                    (Kind::LoginTimedOut, _) => return Err(self.timeout()),
                    // An unreachable network passes, too; the code is still good.
                    (Kind::LoginPending, _) | (_, Class::MayPass { .. }) => {}
                    _ => return Err(self.failed(&error)),
                },
            }
        }
    }
}
