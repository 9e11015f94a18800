//! Sessions: what eksd renews, and in which state each is.
//!
//! Two questions are kept apart: what may be served ([`Session::held`]) and what is being done
//! ([`Session::activity`]). Secrets are not here; the agent keeps them beside, under the same key.

use std::{fmt, time::Duration};

use jiff::Timestamp;

use super::{Chain, Credentials, LoginKey, Reach, RoleHop, Source, SsoLogin};
use crate::report::Report;

/// What makes two sessions the same, however many profiles lead to them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SessionKey {
    /// An Identity Center sign-in; what is held is the access token.
    Login(LoginKey),
    /// A permission set in an account.
    SsoRole {
        /// The sign-in it hangs on.
        login: LoginKey,
        /// `sso_account_id`.
        account_id: String,
        /// `sso_role_name`.
        role_name: String,
    },
    /// An assumed role.
    Role {
        /// Whose credentials assume it.
        source: RoleSource,
        /// The role.
        role_arn: String,
        /// `role_session_name`.
        session_name: Option<String>,
        /// `external_id`.
        external_id: Option<String>,
        /// `duration_seconds`.
        duration_seconds: Option<u32>,
    },
}

/// Whose credentials assume a role.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoleSource {
    /// Another session's.
    Session(Box<SessionKey>),
    /// Keys in a file, by their access key id.
    Keys(String),
}

impl fmt::Display for SessionKey {
    /// For logs: no secrets are in a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login(login) => write!(f, "login {login}"),
            Self::SsoRole { account_id, role_name, .. } => {
                write!(f, "sso role {account_id}/{role_name}")
            }
            Self::Role { role_arn, .. } => write!(f, "role {role_arn}"),
        }
    }
}

/// How a session is made from its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// Refresh token → access token; where that is refused, a person.
    Login(SsoLogin),
    /// Access token → role credentials.
    SsoRole {
        /// The way to the portal.
        reach: Reach,
    },
    /// Credentials → credentials of the role.
    AssumeRole {
        /// The hop.
        hop: RoleHop,
        /// The keys to call with, where the source is not a session.
        keys: Option<Credentials>,
    },
}

/// A session as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its identity.
    pub key: SessionKey,
    /// The session it is made from.
    pub parent: Option<SessionKey>,
    /// How.
    pub recipe: Recipe,
}

impl Chain {
    /// Returns the sessions of the chain, root first; the last one holds the profile's
    /// credentials. Empty where the credentials are keys in a file, and where eksd cannot serve the
    /// chain: nothing of it is asked for then.
    pub fn specs(&self) -> Vec<Spec> {
        let mut specs = Vec::new();
        if self.unsupported().is_some() {
            return specs;
        }
        let mut keys = None;
        match &self.source {
            Source::Sso { login, account_id, role_name } => {
                specs.push(login_spec(login));
                specs.push(Spec {
                    key: SessionKey::SsoRole {
                        login: login.key.clone(),
                        account_id: account_id.clone(),
                        role_name: role_name.clone(),
                    },
                    parent: Some(SessionKey::Login(login.key.clone())),
                    recipe: Recipe::SsoRole { reach: login.reach.clone() },
                });
            }
            Source::SsoTokenOnly { login } => specs.push(login_spec(login)),
            Source::Keys(found) => keys = Some(found.clone()),
            Source::Unsupported { .. } => {}
        }
        for hop in &self.hops {
            let parent = specs.last().map(|spec| spec.key.clone());
            let source = match (&parent, &keys) {
                (Some(parent), _) => RoleSource::Session(Box::new(parent.clone())),
                (None, Some(keys)) => RoleSource::Keys(keys.access_key_id.clone()),
                (None, None) => return specs,
            };
            let key = SessionKey::Role {
                source,
                role_arn: hop.role_arn.clone(),
                session_name: hop.session_name.clone(),
                external_id: hop.external_id.clone(),
                duration_seconds: hop.duration_seconds,
            };
            let recipe = Recipe::AssumeRole {
                hop: hop.clone(),
                keys: keys.clone().filter(|_| parent.is_none()),
            };
            specs.push(Spec { key, parent, recipe });
        }
        specs
    }
}

/// Returns the session of a sign-in.
pub fn login_spec(login: &SsoLogin) -> Spec {
    Spec {
        key: SessionKey::Login(login.key.clone()),
        parent: None,
        recipe: Recipe::Login(login.clone()),
    }
}

/// A stretch of time in which something is good: from `issued_at`, up to but without `expires_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// When it was made, or first seen.
    pub issued_at: Timestamp,
    /// The first instant at which AWS refuses.
    pub expires_at: Timestamp,
}

impl Validity {
    /// Returns whether it is good at `now`.
    pub fn is_good(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }

    /// Returns the length of the stretch; zero where the ends are reversed.
    pub fn lifetime(&self) -> Duration {
        span(self.issued_at, self.expires_at)
    }
}

/// Returns the time from `from` to `to`, zero where `to` is earlier.
pub(crate) fn span(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// What is being done about a session.
///
/// ```text
///            due                   ok
///   Idle ──────────▶ Refreshing ─────────▶ Idle
///                        │  may pass
///                        ├──────────────▶ BackingOff ──(until)──▶ Refreshing
///                        │  needs a person
///                        ├──────────────▶ WaitingForPerson ──(login, adopted token)──▶ Idle
///                        │  never works
///                        └──────────────▶ Refused ──(asked again later, config change)──▶ Idle
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Nothing; the plan says when.
    Idle,
    /// One call is in flight.
    Refreshing,
    /// The last try failed in a way that may pass.
    BackingOff {
        /// When to try again.
        until: Timestamp,
        /// From when on somebody who asks is reason enough to try.
        ask_from: Timestamp,
    },
    /// Only a person can go on.
    WaitingForPerson,
    /// AWS said no; asking again on a timer would be pointless.
    Refused {
        /// When it said so.
        at: Timestamp,
    },
}

/// Why the last refresh failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The class that decides what happens next.
    pub class: FailureClass,
    /// What to tell people.
    pub report: Report,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// Try again, not before `retry_after` where the server named one.
    MayPass {
        /// `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// A definite refusal that a login mends.
    NeedsPerson,
    /// A definite refusal that no refresh and no login mends.
    NeverWorks,
}

/// What a refresh brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Something good.
    Held {
        /// How long it is good.
        validity: Validity,
        /// Whether it can be renewed without a person (a token without refresh token cannot).
        renewable: bool,
    },
    /// Nothing.
    Failed(Trouble),
}

/// A session that eksd tracks.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// What it is and how it is made.
    pub spec: Spec,
    /// What may be served, while it is good.
    pub held: Option<Validity>,
    /// Whether what is held can be renewed without a person.
    pub renewable: bool,
    /// What is being done.
    pub activity: Activity,
    /// 0.9 ..= 1.1, drawn once for each session so that sessions of one login do not refresh in
    /// one burst, and the same one is never pushed around by new draws.
    pub jitter: f64,
    /// Failed tries in a row.
    pub failures: u32,
    /// The last failure, until something succeeds.
    pub trouble: Option<Trouble>,
    /// Until when it is kept warm.
    pub warm_until: Option<Timestamp>,
    /// Set when the parent was refreshed because it was refused here, so that a second refusal
    /// is believed.
    pub parent_retried: bool,
}

impl Session {
    /// Returns a session with nothing held. `jitter` is 0.9 ..= 1.1.
    pub fn new(spec: Spec, jitter: f64) -> Self {
        // A sign-in without a token can only begin with a person.
        let activity = match spec.recipe {
            Recipe::Login(_) => Activity::WaitingForPerson,
            Recipe::SsoRole { .. } | Recipe::AssumeRole { .. } => Activity::Idle,
        };
        let renewable = !matches!(spec.recipe, Recipe::Login(_));
        Self {
            spec,
            held: None,
            renewable,
            activity,
            jitter,
            failures: 0,
            trouble: None,
            warm_until: None,
            parent_retried: false,
        }
    }

    /// Returns whether something good is held at `now`.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.held.is_some_and(|held| held.is_good(now))
    }

    /// Returns whether it is kept warm at `now`.
    pub fn is_warm(&self, now: Timestamp) -> bool {
        self.warm_until.is_some_and(|until| now < until)
    }

    /// Returns whether it is an Identity Center sign-in.
    pub fn is_login(&self) -> bool {
        matches!(self.spec.recipe, Recipe::Login(_))
    }
}
