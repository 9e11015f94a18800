//! Logging in to Identity Center: the two flows.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    agent::{
        callback::Callback,
        event::{Event, Fresh, Mailbox},
        login::LastWord,
        logout::end_at_aws,
        refresh::{blocking, forget_registration, keep, trouble},
        shared::LOCK_PATIENCE,
    },
    aws::{AwsError, Class, Grant, Kind, TokenRequest, pkce},
    ipc::wire::{Flow, LoginOpen},
    model::{LoginKey, Registration, SsoLogin, SsoToken, session::SessionKey},
    report::{Code, Report},
    store::sso_cache,
    world::World,
};

/// How long a person may take in the browser; the AWS CLI waits as long.
pub(super) const LONGEST_LOGIN: Duration = Duration::from_mins(10);

/// RFC 8628 section 3.5: where the server names no interval, five seconds, and five more for each
/// `slow_down`.
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// Returns which kind of registration the AWS CLI keeps for a grant.
fn kept_grant(grant: Grant) -> sso_cache::Grant {
    match grant {
        Grant::Browser => sso_cache::Grant::AuthorizationCode,
        Grant::Device => sso_cache::Grant::DeviceCode,
    }
}

/// One login, as a task.
pub(super) struct Work {
    pub(super) world: Arc<World>,
    pub(super) last: LastWord,
    pub(super) login: SsoLogin,
    /// The token of a session that is to be ended first.
    pub(super) ended: Option<SsoToken>,
}

/// Ends the earlier session at AWS, and tells the agent.
async fn end(world: Arc<World>, mailbox: Mailbox, login: SsoLogin, token: SsoToken) {
    match end_at_aws(&world, &login, &token).await {
        None => {
            let key = SessionKey::Login(login.key);
            mailbox.send(Event::SessionEnded { key, mark: token.access_token });
        }
        Some(report) => {
            tracing::warn!(what = report.what, "the earlier session is not ended at AWS");
        }
    }
}

impl Work {
    pub(super) async fn run(self, flow: Flow) {
        if let Some(token) = self.ended.clone() {
            let (world, login) = (self.world.clone(), self.login.clone());
            let mailbox = self.last.mailbox.clone();
            // On its own: if the login is given up meanwhile, the session may be over at AWS all the
            // same, and the agent must hear of it.
            let ending = tokio::spawn(end(world, mailbox, login, token));
            let _panicked = ending.await;
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
        self.last.say(result);
    }

    fn key(&self) -> SessionKey {
        SessionKey::Login(self.login.key.clone())
    }

    fn open(&self, url: String, user_code: Option<String>, expires_at: Timestamp) {
        let open = LoginOpen {
            session: self.login.key.to_string(),
            url,
            user_code,
            expires_at: crate::agent::answers::rfc3339(expires_at),
        };
        self.last.mailbox.send(Event::LoginOpened { key: self.key(), open });
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
                    (Kind::Throttled, Class::MayPass { retry_after }) => {
                        self.world.pace.ease().await;
                        interval = (interval + SLOW_DOWN).max(retry_after.unwrap_or_default());
                    }
                    (Kind::LoginTimedOut, _) => return Err(self.timeout()),
                    // An unreachable network passes, too; the code is still good.
                    (Kind::LoginPending, _) | (_, Class::MayPass { .. }) => {}
                    _ => return Err(self.failed(&error)),
                },
            }
        }
    }
}
