//! The token files that the agent shares with the AWS tools: of Identity Center sign-ins, and of sign-ins
//! to the console. Another program may renew or remove what is in them at any time.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{event::Fresh, owner::Held, refresh::blocking};
use crate::{
    model::{
        ConsoleToken, Secret, SsoLogin, SsoToken,
        session::{SessionKey, Trouble},
    },
    store::{StoreError, lock::Lock, login_cache, sso_cache},
    world::World,
};

/// How long another program may hold a token file's lock: as long as a refresh takes.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// How long the winner of a race for a rotated refresh token may take to write its file.
const RACE: Duration = Duration::from_secs(5);

/// How often the file is looked at during that time.
const RACE_LOOK: Duration = Duration::from_millis(250);

/// What is in a shared file.
#[derive(Debug)]
pub(super) enum Shared {
    /// An Identity Center sign-in.
    Sso(sso_cache::Cached),
    /// A sign-in to the console.
    Console(login_cache::Cached),
}

/// What tells a token from the one before and after it.
#[derive(Clone, Copy)]
pub(super) struct Marks<'a> {
    /// Other with each renewal.
    pub(super) mark: &'a Secret,
    /// Other with each renewal, where it rotates.
    refresh_token: Option<&'a Secret>,
    expires_at: Timestamp,
}

impl<'a> From<&'a SsoToken> for Marks<'a> {
    fn from(token: &'a SsoToken) -> Self {
        Self {
            mark: &token.access_token,
            refresh_token: token.refresh_token.as_ref(),
            expires_at: token.expires_at,
        }
    }
}

impl<'a> From<&'a ConsoleToken> for Marks<'a> {
    fn from(token: &'a ConsoleToken) -> Self {
        Self {
            mark: token.mark(),
            refresh_token: Some(&token.refresh_token),
            // The cache and the service both say when the keys end.
            expires_at: token.keys.expires_at.unwrap_or(Timestamp::MIN),
        }
    }
}

impl Marks<'_> {
    /// Returns whether this is not the other one.
    pub(super) fn is_other_than(&self, other: Marks<'_>) -> bool {
        self.mark != other.mark || self.refresh_token != other.refresh_token
    }

    /// Returns whether somebody made this from the other one, or logged in anew.
    fn is_newer_than(&self, other: Marks<'_>) -> bool {
        self.refresh_token != other.refresh_token
            || (self.mark != other.mark && other.expires_at < self.expires_at)
    }
}

impl Held {
    /// Returns what tells it from others, where it is in a file that is shared.
    pub(super) fn marks(&self) -> Option<Marks<'_>> {
        match self {
            Self::Token(token) => Some(token.into()),
            Self::Console(token) => Some((&**token).into()),
            Self::Keys(_) => None,
        }
    }
}

impl Shared {
    pub(super) fn marks(&self) -> Marks<'_> {
        match self {
            Self::Sso(cached) => (&cached.token).into(),
            Self::Console(cached) => (&cached.token).into(),
        }
    }

    /// Returns when somebody wrote the file.
    pub(super) fn modified_at(&self) -> Timestamp {
        match self {
            Self::Sso(cached) => cached.modified_at,
            Self::Console(cached) => cached.modified_at,
        }
    }

    /// Returns whether it belongs to this sign-in, and not to one that had its name before. Tools may
    /// write a start URL with a slash at its end or without.
    pub(super) fn is_of(&self, login: &SsoLogin) -> bool {
        let Self::Sso(cached) = self else { return true };
        let bare = |url: &str| url.trim_end_matches(['/', '#']).to_owned();
        let url = cached.start_url.as_deref();
        let region = cached.region.as_deref().zip(login.reach.region.as_deref());
        url.is_none_or(|url| bare(url) == bare(&login.start_url))
            && region.is_none_or(|(found, ours)| found == ours)
    }

    /// Returns whether there is anything to be had by it.
    pub(super) fn is_useful(&self, now: Timestamp) -> bool {
        match self {
            Self::Sso(cached) => now < cached.token.expires_at || cached.token.is_refreshable(now),
            // Until when it can be renewed nobody says.
            Self::Console(_) => true,
        }
    }

    pub(super) fn into_fresh(self) -> Fresh {
        let issued_at = Some(self.modified_at());
        match self {
            Self::Sso(cached) => Fresh::Token { token: cached.token, issued_at, not_kept: None },
            Self::Console(cached) => {
                Fresh::Console { token: Box::new(cached.token), issued_at, not_kept: None }
            }
        }
    }
}

/// Returns whether a session is in a file that is shared.
pub(super) fn is_shared(key: &SessionKey) -> bool {
    matches!(key, SessionKey::Login(_) | SessionKey::Console(_))
}

/// Reads the file of a session; `None` where there is none, or the session has none. Blocks on the disk.
pub(super) fn read(world: &World, key: &SessionKey) -> Result<Option<Shared>, StoreError> {
    Ok(match key {
        SessionKey::Login(login) => world.sso_cache.read(login)?.map(Shared::Sso),
        SessionKey::Console(arn) => world.login_cache.read(arn)?.map(Shared::Console),
        _ => None,
    })
}

/// Takes the lock of a session's file. Blocks.
fn lock(world: &World, key: &SessionKey) -> Option<Lock> {
    let lock = match key {
        SessionKey::Login(login) => world.sso_cache.lock(login, LOCK_PATIENCE),
        SessionKey::Console(arn) => world.login_cache.lock(arn, LOCK_PATIENCE),
        _ => return None,
    };
    lock.inspect_err(|error| tracing::warn!(%error, "token file is not locked")).ok()
}

/// Where a renewal begins.
pub(super) enum Begun {
    /// Another program was faster.
    Faster(Box<Shared>),
    /// It is ours to renew, and nobody of eksd's does it at the same time while the lock is held.
    Ours {
        /// The lock, if it could be had.
        guard: Option<Lock>,
        /// What another program made of ours, where that has ended again. It is this that can be
        /// renewed: AWS may end the whole session of a refresh token that is used twice.
        newer: Option<Box<Shared>>,
    },
}

/// Takes the lock of a session's file and reads it again: another program that shares it may have been
/// faster, and a refresh token works once.
pub(super) async fn begin(
    world: &Arc<World>,
    key: &SessionKey,
    ours: Marks<'_>,
) -> Result<Begun, Trouble> {
    let (at, of) = (world.clone(), key.clone());
    let (guard, on_disk) = blocking(move || (lock(&at, &of), read(&at, &of))).await?;
    let newer = on_disk.ok().flatten().filter(|found| found.marks().is_newer_than(ours));
    match newer.map(Box::new) {
        Some(found) if world.clock.now() < found.marks().expires_at => Ok(Begun::Faster(found)),
        // One that ended before ours is what ours was made from, and could not be replaced.
        newer => {
            let newer = newer.filter(|found| ours.expires_at < found.marks().expires_at);
            Ok(Begun::Ours { guard, newer })
        }
    }
}

/// Why a refresh token was refused, as far as its file tells.
pub(super) enum Race {
    /// Another program used it, and this is what it got.
    Lost(Box<Shared>),
    /// Somebody logged out.
    Gone,
    /// Nobody used it: it is over.
    None,
}

/// A refused refresh token may have been used by somebody else a moment ago, who has not written the
/// new one yet.
pub(super) async fn lost_race(
    world: &Arc<World>,
    key: &SessionKey,
    ours: Marks<'_>,
) -> Result<Race, Trouble> {
    let looks = RACE.as_millis() / RACE_LOOK.as_millis();
    for _ in 0..looks {
        let (at, of) = (world.clone(), key.clone());
        match blocking(move || read(&at, &of)).await? {
            Ok(Some(found)) if found.marks().is_newer_than(ours) => {
                return Ok(Race::Lost(Box::new(found)));
            }
            Ok(None) => return Ok(Race::Gone),
            Ok(Some(_)) | Err(_) => tokio::time::sleep(RACE_LOOK).await,
        }
    }
    Ok(Race::None)
}
