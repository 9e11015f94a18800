//! Logging out: AWS is told, what is held here is wiped, and what cannot be taken back is named.

use std::sync::Arc;

use super::{
    answers::rfc3339,
    event::Reply,
    owner::{Agent, Held},
    refresh::{LOCK_PATIENCE, blocking},
};
use crate::{
    aws::Kind,
    ipc::wire::{EndedSession, LogoutDone, LogoutParams, StillValid},
    model::{
        Chain, ProfileName, Secret, Source, SsoLogin,
        session::{SessionKey, Spec},
    },
    report::Report,
    world::World,
};

impl Agent {
    pub(super) fn logout(&mut self, params: &LogoutParams, reply: Reply<LogoutDone>) {
        let logins: Vec<SsoLogin> = if params.all {
            self.known.logins().values().cloned().collect()
        } else {
            match self.login_for(params.name.as_deref()) {
                Ok(login) => vec![login],
                Err(report) => {
                    let _hung_up = reply.send(Err(report));
                    return;
                }
            }
        };
        let jobs: Vec<Wipe> = logins.into_iter().map(|login| self.wipe(login)).collect();
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
    fn wipe(&mut self, login: SsoLogin) -> Wipe {
        let key = SessionKey::Login(login.key.clone());
        let access_token = match self.vault.get(&key) {
            Some(Held::Token(token)) => Some(token.access_token.clone()),
            _ => None,
        };
        let still_valid = self.still_valid(&login);
        let roles = self.roles_of(&login);
        if let Some(Held::Token(token)) = self.vault.get(&key) {
            let token = token.clone();
            self.logins.note_refused(&login.key, &token);
        }
        self.forget_login(&login.key, None);
        Wipe { login, access_token, still_valid, roles }
    }

    /// Role keys were handed out, and AWS has no way to take them back.
    fn still_valid(&self, login: &SsoLogin) -> Vec<StillValid> {
        let now = self.now();
        let profiles = self.known.profiles_of(&login.key);
        profiles
            .into_iter()
            .filter_map(|profile| {
                let leaf: &Spec = self.known.profile(profile.as_str())?.specs.last()?;
                let held = self.sessions.get(&leaf.key)?.held.filter(|held| held.is_good(now))?;
                let is_role = !matches!(leaf.key, SessionKey::Login(_));
                is_role.then(|| StillValid {
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

/// What is left to do for one sign-in.
struct Wipe {
    login: SsoLogin,
    access_token: Option<Secret>,
    still_valid: Vec<StillValid>,
    roles: Vec<(String, String)>,
}

impl Wipe {
    async fn run(self, world: &Arc<World>) -> EndedSession {
        let (cache, key, roles) =
            (world.sso_cache.clone(), self.login.key.clone(), self.roles.clone());
        // The file first: whatever AWS says, nothing here can use the session any more.
        let on_disk = blocking(move || {
            let _lock = cache.lock(&key, LOCK_PATIENCE);
            let token = cache.read(&key).ok().flatten().map(|cached| cached.token.access_token);
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
        let mut not_told = None;
        if let Some(token) = self.access_token.or(token_on_disk) {
            let login = self.login.key.to_string();
            if let Err(error) = world.aws.logout(&self.login.reach, &token).await
                // A token that AWS does not know any more needs no logout.
                && error.kind != Kind::TokenRefused
            {
                not_told = Some(error.report(&login));
            }
        }
        tracing::info!(login = %self.login.key, told = not_told.is_none(), "logged out");
        EndedSession {
            session: self.login.key.to_string(),
            not_told,
            not_wiped,
            still_valid: self.still_valid,
        }
    }
}
