//! Sign-ins to the console: the AWS CLI begins them (`aws login`), and whoever needs one renews it.

use std::sync::Arc;

use super::{
    event::Fresh,
    owner::Agent,
    refresh::{blocking, not_kept, trouble},
    shared::{self, Begun, LOCK_PATIENCE, Race, Shared},
};
use crate::{
    aws::Class,
    model::{
        ConsoleLogin, ConsoleToken,
        session::{SessionKey, Trouble},
    },
    report::Report,
    world::World,
};

/// Renews a sign-in under its file's lock. What it brings is on the disk before anybody has it: the old
/// refresh token may have been good for once.
pub(super) async fn renew(
    world: &Arc<World>,
    login: &ConsoleLogin,
    ours: &ConsoleToken,
) -> Result<Fresh, Trouble> {
    let key = SessionKey::Console(login.arn.clone());
    let (guard, newer) = match shared::begin(world, &key, ours.into()).await? {
        Begun::Faster(found) => return Ok(found.into_fresh()),
        Begun::Ours { guard, newer } => (guard, newer),
    };
    let ours = match newer.as_deref() {
        Some(Shared::Console(newer)) => &newer.token,
        _ => ours,
    };
    let error = match world.aws.refresh_console(&login.reach, ours).await {
        Ok(token) => {
            let not_kept = keep(world, &login.arn, &token).await;
            drop(guard);
            return Ok(Fresh::Console { token: Box::new(token), issued_at: None, not_kept });
        }
        Err(error) => error,
    };
    drop(guard);
    let refused = trouble(&error, login.profile.as_str());
    if !matches!(error.class, Class::NeedsPerson) {
        return Err(refused);
    }
    match shared::lost_race(world, &key, ours.into()).await? {
        Race::Lost(found) => Ok(found.into_fresh()),
        Race::Gone | Race::None => Err(refused),
    }
}

/// Writes a sign-in where the AWS tools look for it. What cannot be written is served from memory.
async fn keep(world: &Arc<World>, arn: &str, token: &ConsoleToken) -> Option<Report> {
    let (cache, arn, token) = (world.login_cache.clone(), arn.to_owned(), token.clone());
    match blocking(move || cache.write(&arn, &token)).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(not_kept("console login", error)),
        Err(trouble) => Some(trouble.report),
    }
}

/// Removes a sign-in, as `aws logout` does: AWS has no call by which the CLI's client could end one.
/// Returns why it could not be.
pub(super) async fn wipe(world: &Arc<World>, arn: String) -> Option<Report> {
    let cache = world.login_cache.clone();
    let removed = blocking(move || {
        // A renewal that is under way elsewhere ends first, and does not bring the file back.
        let _lock = cache.lock(&arn, LOCK_PATIENCE);
        cache.remove(&arn)
    });
    match removed.await {
        Ok(removed) => removed.err().map(Report::from),
        Err(trouble) => Some(trouble.report),
    }
}

impl Agent {
    /// `aws login` may sign in somebody else than the profile named, and then writes that into the
    /// profile: who waits for the one waits for the other from now on.
    pub(super) fn follow_console_logins(&mut self) {
        for (from, profile) in self.logins.consoles() {
            let root = self.known.profile(&profile).and_then(|it| it.specs.first());
            let Some(to) = root.map(|root| root.key.clone()) else { continue };
            if matches!(to, SessionKey::Console(_)) && to != from {
                self.logins.move_to(&from, &to);
                // Another profile may have had it all along.
                if self.sessions.get(&to).is_some_and(|session| session.is_good(self.now())) {
                    self.login_overtaken(&to);
                }
            }
        }
    }
}
