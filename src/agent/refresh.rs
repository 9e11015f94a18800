//! Refreshing one session: the worker that the agent starts, and that answers with one event.
//!
//! A worker takes everything it needs with it; it never looks at the agent's state.

use std::{sync::Arc, time::Duration};

use super::{
    console,
    event::Fresh,
    owner::{Held, bug},
    shared::{self, Begun, Race, Shared},
};
use crate::{
    aws::{AwsError, Class, Kind, TokenRequest, web_identity_token},
    model::{
        ConsoleLogin, ConsoleToken, Credentials, LoginKey, Machine, MfaDevice, Process,
        ProfileName, RoleHop, Secret, SsoLogin, SsoToken, WebIdentity,
        session::{FailureClass, MfaRecipe, Recipe, Session, SessionKey, Spec, Trouble},
        text::printable,
    },
    program::{self, ProgramError},
    report::{Code, Report},
    store::StoreError,
    world::World,
};

/// After this time a device shows another code (RFC 6238 section 5.2).
const NEXT_CODE: Duration = Duration::from_secs(30);

/// What to refresh, with the secrets it takes.
pub(super) enum Job {
    /// A sign-in's token.
    Token {
        /// The sign-in.
        login: SsoLogin,
        /// What is held now.
        token: SsoToken,
    },
    /// A sign-in to the console.
    Console {
        /// The sign-in.
        login: ConsoleLogin,
        /// What is held now.
        token: Box<ConsoleToken>,
    },
    /// A permission set's credentials.
    SsoRole {
        /// The way to the portal.
        reach: crate::model::Reach,
        /// The sign-in's access token.
        access_token: Secret,
        /// Whose sign-in.
        login: LoginKey,
        /// The account.
        account_id: String,
        /// The permission set.
        role_name: String,
    },
    /// A role.
    Role {
        /// The hop.
        hop: Box<RoleHop>,
        /// Who assumes it.
        credentials: Credentials,
        /// The code that it is assumed with.
        code: Option<GivenCode>,
    },
    /// What a program prints.
    Process(Process),
    /// A role for somebody else's token.
    WebIdentity(WebIdentity),
    /// What a place around the agent hands out.
    Machine(Machine),
    /// An MFA session.
    Mfa {
        /// What it is made of.
        recipe: Box<MfaRecipe>,
        /// The code.
        code: GivenCode,
    },
}

/// Where an MFA code comes from.
pub(super) enum GivenCode {
    /// A person.
    Typed(Secret),
    /// A command that prints one.
    Program(String),
}

impl GivenCode {
    async fn get(
        self,
        world: &Arc<World>,
        profile: &ProfileName,
        device: &MfaDevice,
    ) -> Result<Secret, Trouble> {
        let command = match self {
            Self::Typed(code) => return Ok(code),
            Self::Program(command) => command,
        };
        let printed = run(world, &command, profile, None).await;
        printed.and_then(|printed| program::mfa_code(&printed)).map_err(|error| Trouble {
            class: error.class(),
            report: error.report("mfa_process", profile.as_str(), &device.origin),
        })
    }
}

/// Runs a program of the person for a profile.
async fn run(
    world: &Arc<World>,
    command: &str,
    profile: &ProfileName,
    region: Option<&str>,
) -> Result<Secret, ProgramError> {
    let environment = world.helpers.for_profile(profile.as_str(), region);
    program::run(command, &environment, program::DEADLINE).await
}

impl Job {
    /// Returns the job for a session, if what it is made from is there.
    pub(super) fn new(
        session: &Session,
        vault: &std::collections::HashMap<SessionKey, Held>,
    ) -> Option<Self> {
        let held = |key: &SessionKey| vault.get(key);
        let parent = session.spec.parent.as_ref().and_then(held);
        match (&session.spec.recipe, &session.spec.key) {
            (Recipe::Login(login), key) => match held(key)? {
                Held::Token(token) => {
                    Some(Self::Token { login: login.clone(), token: token.clone() })
                }
                Held::Keys(_) | Held::Console(_) => None,
            },
            (Recipe::Console(login), key) => match held(key)? {
                Held::Console(token) => {
                    Some(Self::Console { login: login.clone(), token: token.clone() })
                }
                Held::Keys(_) | Held::Token(_) => None,
            },
            (Recipe::SsoRole { reach }, SessionKey::SsoRole { login, account_id, role_name }) => {
                let Held::Token(token) = parent? else { return None };
                Some(Self::SsoRole {
                    reach: reach.clone(),
                    access_token: token.access_token.clone(),
                    login: login.clone(),
                    account_id: account_id.clone(),
                    role_name: role_name.clone(),
                })
            }
            (Recipe::AssumeRole { hop, keys: None }, _) => {
                let credentials = parent?.keys()?.clone();
                Some(Self::Role { hop: hop.clone(), credentials, code: None })
            }
            (Recipe::AssumeRole { hop, keys: Some(keys) }, SessionKey::Role { serial, .. }) => {
                let code = match serial {
                    Some(_) => Some(GivenCode::Program(session.spec.device()?.process.clone()?)),
                    None => None,
                };
                Some(Self::Role { hop: hop.clone(), credentials: keys.clone(), code })
            }
            (Recipe::Process(process), _) => Some(Self::Process(process.clone())),
            (Recipe::WebIdentity(identity), _) => Some(Self::WebIdentity(identity.clone())),
            (Recipe::Machine { kind }, _) => Some(Self::Machine(*kind)),
            (Recipe::Mfa(recipe), _) => {
                let code = GivenCode::Program(recipe.device.process.clone()?);
                Some(Self::Mfa { recipe: recipe.clone(), code })
            }
            _ => None,
        }
    }

    /// Returns the job that begins a session with a code that a person typed.
    pub(super) fn with_code(spec: &Spec, code: Secret) -> Option<Self> {
        let code = GivenCode::Typed(code);
        match &spec.recipe {
            Recipe::Mfa(recipe) => Some(Self::Mfa { recipe: recipe.clone(), code }),
            Recipe::AssumeRole { hop, keys: Some(keys) } => {
                Some(Self::Role { hop: hop.clone(), credentials: keys.clone(), code: Some(code) })
            }
            _ => None,
        }
    }

    /// Does it.
    pub(super) async fn run(self, world: &Arc<World>) -> Result<Fresh, Trouble> {
        let result = self.call(world).await;
        if result.as_ref().is_err_and(|trouble| trouble.report.code == Code::Throttled) {
            world.pace.ease().await;
        }
        result
    }

    async fn call(self, world: &Arc<World>) -> Result<Fresh, Trouble> {
        if !matches!(self, Self::Process(_) | Self::Machine(_)) {
            world.pace.wait().await;
        }
        match self {
            Self::Process(process) => from_process(world, &process).await,
            Self::WebIdentity(identity) => from_web_identity(world, identity).await,
            Self::Machine(kind) => from_machine(world, kind).await,
            Self::Token { login, token } => refresh_token(world, login, token).await,
            Self::Console { login, token } => console::renew(world, &login, &token).await,
            Self::SsoRole { reach, access_token, login, account_id, role_name } => world
                .aws
                .role_credentials(&reach, &access_token, &account_id, &role_name)
                .await
                .map(Fresh::Keys)
                .map_err(|error| {
                    let mut found = trouble(&error, &login.to_string());
                    if error.kind == Kind::NotAssigned {
                        found.report.what = format!(
                            "role `{}` in account {} is not assigned to you",
                            printable(&role_name),
                            printable(&account_id)
                        );
                    }
                    found
                }),
            Self::Role { hop, credentials, code } => {
                assume_role(world, &hop, &credentials, code).await
            }
            Self::Mfa { recipe, code } => begin_mfa(world, &recipe, code).await,
        }
    }
}

async fn assume_role(
    world: &Arc<World>,
    hop: &RoleHop,
    credentials: &Credentials,
    code: Option<GivenCode>,
) -> Result<Fresh, Trouble> {
    let is_printed = matches!(code, Some(GivenCode::Program(_)));
    let code = match (code, &hop.mfa) {
        (Some(code), Some(device)) => Some((device, code.get(world, &hop.profile, device).await?)),
        _ => None,
    };
    let code = code.as_ref().map(|(device, code)| (device.serial.as_str(), code));
    let given = world.aws.assume_role(credentials, hop, &world.role_session_name, code).await;
    given.map(Fresh::Keys).map_err(|error| {
        let found = code_trouble(&error, &hop.profile, is_printed);
        // What the role was assumed with is over: that is what to renew.
        let is_source = error.kind == Kind::CredentialsExpired
            || (error.kind == Kind::KeyRefused && credentials.are_temporary());
        let class = if is_source { FailureClass::NeedsPerson } else { found.class };
        Trouble { class, ..found }
    })
}

async fn from_process(world: &Arc<World>, process: &Process) -> Result<Fresh, Trouble> {
    let region = process.reach.region.as_deref();
    let printed = run(world, &process.command, &process.profile, region).await;
    let keys = printed.and_then(|printed| program::credentials(&printed, world.clock.now()));
    keys.map(Fresh::Keys).map_err(|error| Trouble {
        class: error.class(),
        report: error.report("credential_process", process.profile.as_str(), &process.origin),
    })
}

/// Exchanges the token that stands in the file now: whoever issues it replaces it.
async fn from_web_identity(world: &Arc<World>, identity: WebIdentity) -> Result<Fresh, Trouble> {
    let told = |error: &AwsError, identity: &WebIdentity| {
        let found = trouble(error, identity.profile.as_str());
        // The token is renewed by whoever issues it: a login does not help, and waiting may.
        let class = match found.class {
            FailureClass::NeedsPerson => FailureClass::MayPass { retry_after: None },
            class => class,
        };
        Trouble { class, ..found }
    };
    let read = identity.clone();
    let token = blocking(move || web_identity_token(&read)).await?;
    let token = token.map_err(|error| told(&error, &identity))?;
    let name = &world.role_session_name;
    let given = world.aws.assume_role_with_web_identity(&identity, &token, name).await;
    given.map(Fresh::Keys).map_err(|error| told(&error, &identity))
}

async fn from_machine(world: &Arc<World>, kind: Machine) -> Result<Fresh, Trouble> {
    let given = match (kind, &world.container) {
        (Machine::Environment, _) => return from_environment(world),
        (Machine::Instance, _) => world.aws.instance_credentials().await,
        (Machine::Container, Some(container)) => world.aws.container_credentials(container).await,
        (Machine::Container, None) => {
            let what = "the agent's environment names no container endpoint";
            return Err(not_here(what, "AWS_CONTAINER_CREDENTIALS_FULL_URI"));
        }
    };
    given.map(Fresh::Keys).map_err(|error| trouble(&error, kind.as_str()))
}

fn from_environment(world: &Arc<World>) -> Result<Fresh, Trouble> {
    let never = |report| Trouble { class: FailureClass::NeverWorks, report };
    match &world.environment_keys {
        Ok(Some(keys)) if keys.expires_at.is_some_and(|at| at <= world.clock.now()) => {
            let what = "the keys in the agent's environment have ended";
            let fix = "run the tool that exported them again, then `eksd agent restart`";
            Err(never(Report::new(Code::Expired, what, fix)))
        }
        Ok(Some(keys)) => Ok(Fresh::Keys(keys.clone())),
        Ok(None) => Err(not_here("the agent's environment holds no keys", "AWS_ACCESS_KEY_ID")),
        Err(report) => Err(never(report.clone())),
    }
}

fn not_here(what: &str, variable: &str) -> Trouble {
    let fix = format!("set `{variable}` where the agent is started, then run `eksd agent restart`");
    Trouble { class: FailureClass::NeverWorks, report: Report::new(Code::Misconfigured, what, fix) }
}

async fn begin_mfa(
    world: &Arc<World>,
    recipe: &MfaRecipe,
    code: GivenCode,
) -> Result<Fresh, Trouble> {
    let is_printed = matches!(code, GivenCode::Program(_));
    let code = code.get(world, &recipe.profile, &recipe.device).await?;
    let length = world.settings.mfa_session_duration;
    let serial = &recipe.device.serial;
    let given = world.aws.session_token(&recipe.reach, &recipe.keys, serial, &code, length).await;
    given.map(Fresh::Keys).map_err(|error| code_trouble(&error, &recipe.profile, is_printed))
}

/// A code that a program printed may have been used a moment ago; the next one is new.
fn code_trouble(error: &AwsError, profile: &ProfileName, is_printed: bool) -> Trouble {
    let mut found = trouble(error, profile.as_str());
    if is_printed && error.kind == Kind::MfaRefused && found.class == FailureClass::NeedsPerson {
        found.class = FailureClass::MayPass { retry_after: Some(NEXT_CODE) };
    }
    found
}

/// How long a service that throttles and names no time is left alone.
const THROTTLED: Duration = Duration::from_secs(5);

/// Turns an error of AWS into what the model decides on. `login` is what `eksd login` takes.
pub(super) fn trouble(error: &AwsError, login: &str) -> Trouble {
    let class = match error.class {
        Class::MayPass { retry_after } => FailureClass::MayPass {
            retry_after: retry_after.or((error.kind == Kind::Throttled).then_some(THROTTLED)),
        },
        Class::NeedsPerson => FailureClass::NeedsPerson,
        Class::NeverWorks => FailureClass::NeverWorks,
    };
    Trouble { class, report: error.report(login) }
}

/// Renews a token under the file's lock: another program that shares the file may have been
/// faster, and a refresh token works once.
async fn refresh_token(
    world: &Arc<World>,
    login: SsoLogin,
    ours: SsoToken,
) -> Result<Fresh, Trouble> {
    let key = SessionKey::Login(login.key.clone());
    let (guard, newer) = match shared::begin(world, &key, (&ours).into()).await? {
        Begun::Faster(found) => return Ok(found.into_fresh()),
        Begun::Ours { guard, newer } => (guard, newer),
    };
    // Another tool's token may be another person's: whoever takes the new one must know.
    let found_at = newer.as_ref().map(|_| world.clock.now());
    let ours = match newer.map(|newer| *newer) {
        Some(Shared::Sso(newer)) => newer.token,
        _ => ours,
    };
    let now = world.clock.now();
    let (Some(refresh_token), Some(registration)) = (&ours.refresh_token, &ours.registration)
    else {
        return Err(at_its_end(&login));
    };
    if registration.expires_at <= now {
        return Err(at_its_end(&login));
    }
    let request = TokenRequest::Refresh { token: refresh_token.clone() };
    match world.aws.create_token(&login.reach, registration, &request).await {
        Ok(token) => {
            let not_kept = keep(world, &login, &token).await;
            drop(guard);
            Ok(Fresh::Token { token, issued_at: found_at, not_kept })
        }
        Err(error) if matches!(error.class, Class::NeedsPerson) => {
            drop(guard);
            if error.kind == Kind::RegistrationRefused {
                forget_registration(world, &login).await;
            }
            lost_race(world, &login, &ours, &error).await
        }
        Err(error) => Err(trouble(&error, &login.key.to_string())),
    }
}

/// A client that AWS does not know any more: with it the next login would end at a page that says
/// so, and nobody would tell eksd.
pub(super) async fn forget_registration(world: &Arc<World>, login: &SsoLogin) {
    let (cache, login) = (world.sso_cache.clone(), login.clone());
    if let Ok(Err(error)) = blocking(move || cache.remove_registration(&login)).await {
        tracing::warn!(%error, "the client registration could not be removed");
    }
}

/// The token has no refresh token, or its client registration has ended.
fn at_its_end(login: &SsoLogin) -> Trouble {
    Trouble { class: FailureClass::NeedsPerson, report: over(&login.key) }
}

async fn lost_race(
    world: &Arc<World>,
    login: &SsoLogin,
    ours: &SsoToken,
    error: &AwsError,
) -> Result<Fresh, Trouble> {
    let key = SessionKey::Login(login.key.clone());
    let mut over = trouble(error, &login.key.to_string());
    match shared::lost_race(world, &key, ours.into()).await? {
        Race::Lost(found) => return Ok(found.into_fresh()),
        Race::None if error.kind == Kind::GrantRefused => over.class = FailureClass::Ended,
        // That somebody logged out says nothing about the session's length.
        Race::Gone | Race::None => {}
    }
    Err(over)
}

/// Writes a token where the AWS tools look for it. What cannot be written is served from memory.
pub(super) async fn keep(world: &Arc<World>, login: &SsoLogin, token: &SsoToken) -> Option<Report> {
    let (cache, login, token) = (world.sso_cache.clone(), login.clone(), token.clone());
    match blocking(move || cache.write(&login.key, &login, &token)).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(not_kept("SSO token", error)),
        Err(trouble) => Some(trouble.report),
    }
}

pub(super) fn not_kept(what: &str, error: StoreError) -> Report {
    let cause = Report::from(error);
    let what = format!(
        "the {what} could not be written; eksd goes on with it, the AWS tools cannot see it"
    );
    Report::new(cause.code, what, cause.fix).because(cause.what)
}

/// Runs file work off the loop.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Trouble> {
    tokio::task::spawn_blocking(work).await.map_err(|_| bug("a file worker panicked"))
}

/// Returns the report of a sign-in that only a person can go on with.
pub(super) fn over(login: &LoginKey) -> Report {
    Report::new(
        Code::NeedsLogin,
        format!("the SSO session `{login}` is over or never began"),
        format!("run `eksd login {login}`"),
    )
}
