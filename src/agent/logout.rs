//! Logging out: AWS is told, what is held here is wiped, and what cannot be taken back is named.

use std::sync::Arc;

use super::{
    answers::rfc3339,
    console,
    event::Reply,
    owner::{Agent, Held},
    refresh::blocking,
    shared::LOCK_PATIENCE,
};
use crate::{
    aws::{AwsError, Kind, TokenRequest},
    ipc::wire::{EndedSession, LogoutDone, LogoutParams, StillValid},
    model::{
        Chain, ProfileName, Source, SsoLogin, SsoToken,
        session::{Activity, Recipe, SessionKey, Spec},
    },
    report::Report,
    world::World,
};

impl Agent {
    pub(super) fn logout(&mut self, params: &LogoutParams, reply: Reply<LogoutDone>) {
        let jobs: Vec<Wipe> = if params.all {
            let roots: Vec<Spec> = self.known.roots().cloned().collect();
            let jobs = roots.iter().map(|root| self.wipe(root)).collect();
            self.wipe_rest();
            jobs
        } else {
            let name = params.name.as_deref();
            let job = match self.root_for(name) {
                Ok(root) => Ok(self.wipe(&root)),
                // No person begins it; what is held can be wiped all the same.
                Err(report) => name.and_then(|name| self.wipe_profile(name)).ok_or(report),
            };
            match job {
                Ok(job) => vec![job],
                Err(report) => {
                    let _hung_up = reply.send(Err(report));
                    return;
                }
            }
        };
        let world = self.world.clone();
        self.workers.spawn(async move {
            let mut ended = Vec::new();
            for job in jobs {
                ended.push(job.run(&world).await);
            }
            let _hung_up = reply.send(Ok(LogoutDone { ended }));
        });
    }

    /// Wipes what is held in memory, and returns what is left to do on disk and at AWS.
    fn wipe(&mut self, root: &Spec) -> Wipe {
        let still_valid = self.still_valid(&root.key);
        let rest = match &root.recipe {
            Recipe::Login(login) => {
                let token = match self.vault.get(&root.key) {
                    Some(Held::Token(token)) => Some(token.clone()),
                    _ => None,
                };
                self.memory.forget_session(&login.key);
                self.scribe.keep_state(&self.memory);
                let (login, token) = (Box::new(login.clone()), token.map(Box::new));
                Rest::Sso { roles: self.roles_of(&login), login, token }
            }
            Recipe::Console(login) => Rest::Console(login.arn.clone()),
            _ => Rest::Nothing,
        };
        if let Some(marks) = self.vault.get(&root.key).and_then(Held::marks) {
            self.logins.note_refused(&root.key, marks.mark);
        }
        // Whoever logs out knows that the session is over.
        self.rested.insert(root.key.clone());
        let under: Vec<SessionKey> = self
            .sessions
            .keys()
            .filter(|key| self.root_of(key) == Some(&root.key))
            .cloned()
            .collect();
        self.forget_root(&root.key, None);
        self.forget_kept(&root.key);
        if !root.wants_person() {
            // It would begin anew by itself.
            self.rest(&under);
        }
        let chains = self.chains_of(&root.key);
        Wipe { name: root.login_name(), rest, still_valid, chains }
    }

    /// Drops what sessions hold, and leaves them alone until somebody asks.
    fn rest(&mut self, keys: &[SessionKey]) {
        for key in keys {
            self.vault.remove(key);
            self.forget_flight(key);
            if let Some(session) = self.sessions.get_mut(key) {
                session.held = None;
                session.revive();
                session.activity = Activity::Idle;
                session.warm_until = None;
            }
            self.rested.insert(key.clone());
        }
        let resting = |name: &ProfileName| {
            let specs = self.known.profile(name.as_str()).map(|resolved| resolved.specs.as_slice());
            specs.and_then(<[Spec]>::last).is_some_and(|leaf| self.rested.contains(&leaf.key))
        };
        // A restart does not wake them either.
        let names: Vec<ProfileName> =
            self.memory.last_used_at.keys().filter(|name| resting(name)).cloned().collect();
        for name in &names {
            self.memory.last_used_at.remove(name);
        }
        self.scribe.keep_state(&self.memory);
    }

    /// What hangs on no root session: what programs printed, roles assumed with long-lived keys.
    fn wipe_rest(&mut self) {
        let has_no_root = |key: &SessionKey| {
            let root = self.root_of(key).and_then(|root| self.sessions.get(root));
            root.is_none_or(|root| !root.is_root())
        };
        let keys: Vec<SessionKey> =
            self.sessions.keys().filter(|key| has_no_root(key)).cloned().collect();
        self.rest(&keys);
    }

    /// Wipes what a profile that no person begins holds.
    fn wipe_profile(&mut self, name: &str) -> Option<Wipe> {
        let resolved = self.known.profile(name)?;
        let keys: Vec<SessionKey> = resolved.specs.iter().map(|spec| spec.key.clone()).collect();
        let root = keys.first()?.clone();
        let still_valid = self.still_valid(&root);
        let chains = self.chains_of(&root);
        self.rest(&keys);
        Some(Wipe { name: name.to_owned(), rest: Rest::Nothing, still_valid, chains })
    }

    /// Returns the chains that begin at a root session.
    fn chains_of(&self, root: &SessionKey) -> Vec<Chain> {
        let rows = self.known.in_file_order().into_iter().map(|(_, resolved)| resolved);
        let under = rows.filter(|it| it.specs.first().is_some_and(|spec| spec.key == *root));
        under.filter_map(|resolved| resolved.chain.as_ref().ok()).cloned().collect()
    }

    /// Keys were handed out, and AWS has no way to take them back.
    fn still_valid(&self, root: &SessionKey) -> Vec<StillValid> {
        let now = self.now();
        let rows = self.known.in_file_order().into_iter();
        rows.filter(|(_, resolved)| resolved.specs.first().is_some_and(|spec| spec.key == *root))
            .filter_map(|(profile, resolved)| {
                let leaf: &Spec = resolved.specs.last()?;
                let held = self.sessions.get(&leaf.key)?.held.filter(|held| held.is_good(now))?;
                let are_keys = !matches!(leaf.key, SessionKey::Login(_));
                are_keys.then(|| StillValid {
                    profile: profile.to_string(),
                    until: rfc3339(held.expires_at),
                })
            })
            .collect()
    }

    /// Returns the permission sets under a sign-in, for the AWS CLI's cache of their keys.
    fn roles_of(&self, login: &SsoLogin) -> Vec<(String, String)> {
        let profiles: Vec<&ProfileName> = self.known.profiles_of(&login.key).into_iter().collect();
        profiles
            .into_iter()
            .filter_map(|profile| match self.known.chain(profile.as_str()).ok()? {
                Chain { source: Source::Sso { account_id, role_name, .. }, .. } => {
                    Some((account_id.clone(), role_name.clone()))
                }
                _ => None,
            })
            .collect()
    }
}

/// What is left to do for one root session.
struct Wipe {
    name: String,
    rest: Rest,
    still_valid: Vec<StillValid>,
    /// What hangs on it: the AWS CLI keeps keys of the roles, too.
    chains: Vec<Chain>,
}

/// Where else a root session is known.
enum Rest {
    /// Nowhere: AWS cannot take an MFA session back.
    Nothing,
    /// In the AWS CLI's cache of sign-ins, by its identity.
    Console(String),
    /// At AWS, and in the AWS CLI's caches.
    Sso { login: Box<SsoLogin>, token: Option<Box<SsoToken>>, roles: Vec<(String, String)> },
}

impl Wipe {
    async fn run(self, world: &Arc<World>) -> EndedSession {
        let (not_told, not_wiped) = match self.rest {
            Rest::Nothing => (None, None),
            Rest::Console(arn) => (None, console::wipe(world, arn).await),
            Rest::Sso { login, token, roles } => wipe_sso(world, login, token, roles).await,
        };
        let (cache, chains) = (world.sso_cache.clone(), self.chains);
        let removed = blocking(move || {
            chains.iter().try_for_each(|chain| cache.remove_cli_assumed_roles(chain).map(|_| ()))
        });
        let removed = removed.await.map_err(|trouble| trouble.report);
        let not_wiped =
            not_wiped.or_else(|| removed.and_then(|done| done.map_err(Report::from)).err());
        tracing::info!(session = self.name, told = not_told.is_none(), "logged out");
        EndedSession { session: self.name, not_told, not_wiped, still_valid: self.still_valid }
    }
}

/// Returns why AWS could not be told, and why the files could not be removed.
async fn wipe_sso(
    world: &Arc<World>,
    login: Box<SsoLogin>,
    token: Option<Box<SsoToken>>,
    roles: Vec<(String, String)>,
) -> (Option<Report>, Option<Report>) {
    let (cache, key) = (world.sso_cache.clone(), login.key.clone());
    // The file first: whatever AWS says, nothing here can use the session any more.
    let on_disk = blocking(move || {
        let _lock = cache.lock(&key, LOCK_PATIENCE);
        let token = cache.read(&key).ok().flatten().map(|cached| cached.token);
        let mut removed = cache.remove(&key);
        for (account_id, role_name) in &roles {
            let gone = cache.remove_cli_role_cache(account_id, role_name, &key);
            removed = removed.and(gone);
        }
        (token, removed)
    })
    .await;
    let (token_on_disk, not_wiped) = match on_disk {
        Ok((token, removed)) => (token, removed.err().map(Report::from)),
        Err(trouble) => (None, Some(trouble.report)),
    };
    let newest = token
        .map(|token| *token)
        .into_iter()
        .chain(token_on_disk)
        .max_by_key(|token| token.expires_at);
    let not_told = match newest {
        Some(token) => end_at_aws(world, &login, &token).await,
        None => None,
    };
    (not_told, not_wiped)
}

/// Ends the session behind a token at AWS. Returns why that could not be done.
///
/// An access token ends within the hour, and the session lives on: such a token is renewed first, or
/// AWS would not know what to end.
pub(super) async fn end_at_aws(
    world: &Arc<World>,
    login: &SsoLogin,
    token: &SsoToken,
) -> Option<Report> {
    let now = world.clock.now();
    let told = |error: &AwsError| Some(error.report(&login.key.to_string()));
    let mut access_token = token.access_token.clone();
    if token.expires_at <= now
        && token.is_refreshable(now)
        && let (Some(refresh), Some(registration)) = (&token.refresh_token, &token.registration)
    {
        let request = TokenRequest::Refresh { token: refresh.clone() };
        match world.aws.create_token(&login.reach, registration, &request).await {
            Ok(renewed) => access_token = renewed.access_token,
            // The session is over already.
            Err(error) if error.kind == Kind::GrantRefused => return None,
            Err(error) => return told(&error),
        }
    }
    match world.aws.logout(&login.reach, &access_token).await {
        // A token that AWS does not know any more needs no logout.
        Err(error) if error.kind != Kind::TokenRefused => told(&error),
        _ => None,
    }
}
