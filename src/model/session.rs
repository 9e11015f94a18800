//! Sessions: what eksd renews, and in which state each is.
//!
//! Two questions are kept apart: what may be served ([`Session::held`]) and what is being done
//! ([`Session::activity`]). Secrets are not here; the agent keeps them beside, under the same key.

use std::{fmt, time::Duration};

use jiff::Timestamp;

use super::{
    Chain, ConsoleLogin, Credentials, LoginKey, Machine, MfaDevice, MfaWay, Process, ProfileName,
    Reach, RoleHop, RoleTerms, Source, SsoLogin, WebIdentity,
};
use crate::report::Report;

/// What makes two sessions the same, however many profiles lead to them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
        /// What is asked for.
        terms: RoleTerms,
        /// The device whose code it is assumed with, where it is.
        serial: Option<String>,
    },
    /// An MFA session: one for a user's device, however many roles want its codes.
    Mfa {
        /// The user's access key id.
        access_key_id: String,
        /// The device.
        serial: String,
    },
    /// A sign-in to the console, by the ARN of the identity.
    Console(String),
    /// What a program printed.
    Process {
        /// The profile that names the program.
        profile: ProfileName,
        /// Its command line: another command is another session.
        command: String,
    },
    /// A role that a web identity token was exchanged for.
    WebIdentity {
        /// The role.
        role_arn: String,
        /// The token's file.
        token_file: std::path::PathBuf,
        /// `role_session_name`.
        session_name: Option<String>,
    },
    /// What a place around the agent hands out.
    Machine(Machine),
}

/// Whose credentials assume a role.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoleSource {
    /// Another session's.
    Session(Box<SessionKey>),
    /// Keys in a file, by their access key id.
    Keys(String),
}

impl SessionKey {
    /// Returns the Identity Center sign-in that this is, if it is one.
    pub fn as_login(&self) -> Option<&LoginKey> {
        match self {
            Self::Login(login) => Some(login),
            _ => None,
        }
    }

    /// Returns what people call it; not yet fit for a terminal.
    pub fn title(&self) -> String {
        match self {
            Self::Login(login) => format!("SSO session {login}"),
            Self::Mfa { serial, .. } => format!("MFA session of {serial}"),
            Self::Console(arn) => format!("console login {arn}"),
            Self::Role { terms, .. } => format!("role {}", terms.role_arn),
            other => other.to_string(),
        }
    }
}

impl fmt::Debug for SessionKey {
    /// For logs and tests. A command may hold a secret that somebody put there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SessionKey {
    /// For logs: no secrets are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login(login) => write!(f, "login {login}"),
            Self::SsoRole { account_id, role_name, .. } => {
                write!(f, "sso role {account_id}/{role_name}")
            }
            Self::Role { terms, .. } => write!(f, "role {}", terms.role_arn),
            Self::Mfa { serial, .. } => write!(f, "mfa session of {serial}"),
            Self::Console(arn) => write!(f, "console login {arn}"),
            Self::Process { profile, .. } => write!(f, "process of {profile}"),
            Self::WebIdentity { role_arn, .. } => write!(f, "web identity role {role_arn}"),
            Self::Machine(kind) => write!(f, "{}", kind.as_str()),
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
        hop: Box<RoleHop>,
        /// The keys to call with, where the source is not a session.
        keys: Option<Credentials>,
    },
    /// Long-lived keys and a code → an MFA session.
    Mfa(Box<MfaRecipe>),
    /// The console's refresh token → keys; where that is refused, a person.
    Console(ConsoleLogin),
    /// A program → what it prints.
    Process(Process),
    /// A token in a file → credentials of the role.
    WebIdentity(WebIdentity),
    /// A place around the agent → what it hands out.
    Machine {
        /// Which.
        kind: Machine,
    },
}

/// What an MFA session is made of, besides a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MfaRecipe {
    /// The user's keys.
    pub keys: Credentials,
    /// The device.
    pub device: MfaDevice,
    /// The profile that asks for it.
    pub profile: ProfileName,
    /// The way to STS.
    pub reach: Reach,
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
    /// credentials. Empty where the credentials are keys in a file.
    pub fn specs(&self) -> Vec<Spec> {
        let (mut specs, mut keys) = self.source_specs();
        for hop in &self.hops {
            let parent = specs.last().map(|spec| spec.key.clone());
            let source = match (&parent, &keys) {
                (Some(parent), _) => RoleSource::Session(Box::new(parent.clone())),
                (None, Some(keys)) => RoleSource::Keys(keys.access_key_id.clone()),
                (None, None) => return specs,
            };
            // Only the first role of long-lived keys comes this far with a device.
            let is_direct = parent.is_none() && self.mfa().is_some();
            let serial = hop.mfa.as_ref().filter(|_| is_direct).map(|mfa| mfa.serial.clone());
            let key = SessionKey::Role { source, terms: hop.terms.clone(), serial };
            let recipe = Recipe::AssumeRole { hop: Box::new(hop.clone()), keys: keys.take() };
            specs.push(Spec { key, parent, recipe });
        }
        specs
    }

    /// Returns the sessions before the first role, and the keys that assume it where there is none.
    fn source_specs(&self) -> (Vec<Spec>, Option<Credentials>) {
        let root = |key, recipe| (vec![Spec { key, parent: None, recipe }], None);
        match &self.source {
            Source::Sso { login, account_id, role_name } => {
                let role = Spec {
                    key: SessionKey::SsoRole {
                        login: login.key.clone(),
                        account_id: account_id.clone(),
                        role_name: role_name.clone(),
                    },
                    parent: Some(SessionKey::Login(login.key.clone())),
                    recipe: Recipe::SsoRole { reach: login.reach.clone() },
                };
                (vec![login_spec(login), role], None)
            }
            Source::SsoTokenOnly { login } => (vec![login_spec(login)], None),
            Source::Keys(keys) => match self.mfa() {
                Some((keys, device)) if self.mfa_way == MfaWay::Session => {
                    (vec![self.mfa_spec(keys, device)], None)
                }
                _ => (Vec::new(), Some(keys.clone())),
            },
            Source::Console(login) => {
                root(SessionKey::Console(login.arn.clone()), Recipe::Console(login.clone()))
            }
            Source::WebIdentity(identity) => {
                let key = SessionKey::WebIdentity {
                    role_arn: identity.role_arn.clone(),
                    token_file: identity.token_file.clone(),
                    session_name: identity.session_name.clone(),
                };
                root(key, Recipe::WebIdentity(identity.clone()))
            }
            Source::Process(process) => {
                let key = SessionKey::Process {
                    profile: process.profile.clone(),
                    command: process.command.clone(),
                };
                root(key, Recipe::Process(process.clone()))
            }
            Source::Machine { kind, .. } => {
                root(SessionKey::Machine(*kind), Recipe::Machine { kind: *kind })
            }
        }
    }

    fn mfa_spec(&self, keys: &Credentials, device: &MfaDevice) -> Spec {
        let key = SessionKey::Mfa {
            access_key_id: keys.access_key_id.clone(),
            serial: device.serial.clone(),
        };
        let hop = self.hops.first();
        let recipe = MfaRecipe {
            keys: keys.clone(),
            device: device.clone(),
            profile: hop.map_or_else(|| self.profile.clone(), |hop| hop.profile.clone()),
            reach: hop.map_or_else(|| self.reach.clone(), |hop| hop.reach.clone()),
        };
        Spec { key, parent: None, recipe: Recipe::Mfa(Box::new(recipe)) }
    }
}

impl Spec {
    /// Returns whether it is a root session: a sign-in, or what an MFA code is given for.
    pub fn is_root(&self) -> bool {
        match (&self.recipe, &self.key) {
            (Recipe::Login(_) | Recipe::Mfa(_) | Recipe::Console(_), _)
            | (Recipe::AssumeRole { .. }, SessionKey::Role { serial: Some(_), .. }) => true,
            (
                Recipe::AssumeRole { .. }
                | Recipe::SsoRole { .. }
                | Recipe::Process(_)
                | Recipe::WebIdentity(_)
                | Recipe::Machine { .. },
                _,
            ) => false,
        }
    }

    /// Returns what `eksd login` takes to begin the session: the sign-in, or a profile that uses it.
    pub fn login_name(&self) -> String {
        match &self.recipe {
            Recipe::Login(login) => login.key.to_string(),
            Recipe::Mfa(recipe) => recipe.profile.to_string(),
            Recipe::Console(login) => login.profile.to_string(),
            Recipe::AssumeRole { hop, .. } => hop.profile.to_string(),
            _ => self.key.to_string(),
        }
    }

    /// Returns the Identity Center sign-in that it is, if it is one.
    pub fn sso_login(&self) -> Option<&SsoLogin> {
        match &self.recipe {
            Recipe::Login(login) => Some(login),
            _ => None,
        }
    }

    /// Returns the device whose code begins the session, where one does.
    pub fn device(&self) -> Option<&MfaDevice> {
        match (&self.recipe, &self.key) {
            (Recipe::Mfa(recipe), _) => Some(&recipe.device),
            (Recipe::AssumeRole { hop, .. }, SessionKey::Role { serial: Some(_), .. }) => {
                hop.mfa.as_ref()
            }
            _ => None,
        }
    }

    /// Returns whether it begins with a person: a device with a command that prints codes needs
    /// none.
    pub fn wants_person(&self) -> bool {
        self.is_root() && self.device().is_none_or(|device| device.process.is_none())
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
    /// The same, and it tells that the root session has come to its end by itself.
    Ended,
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
    /// Whether the end of what is held was told; if not, it is when eksd asks anew.
    pub has_end: bool,
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
        // What wants a person can only begin with one.
        let renewable = !spec.wants_person();
        let activity = if renewable { Activity::Idle } else { Activity::WaitingForPerson };
        Self {
            spec,
            held: None,
            has_end: true,
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

    /// A device got a command that prints its codes, or lost it: from now on a person begins the session,
    /// or nobody has to.
    pub fn begins_otherwise(&mut self, wants_person: bool) {
        self.renewable = !wants_person;
        if matches!(self.activity, Activity::Refreshing) {
            return;
        }
        self.activity = match (wants_person, self.held) {
            (true, None) => Activity::WaitingForPerson,
            _ => Activity::Idle,
        };
        self.trouble = None;
    }

    /// Returns whether it is a root session: the step of a chain that only a person can begin.
    pub fn is_root(&self) -> bool {
        self.spec.is_root()
    }
}
