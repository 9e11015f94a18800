//! The AWS CLI's cache of console sign-ins (`aws login`), shared with every tool that reads it.
//!
//! A file for each identity that signed in: its keys, and what renews them. Files are botocore's and
//! the CLI's (`botocore/credentials.py`, `LoginCredentialFetcher`; `botocore/utils.py`,
//! `LoginTokenLoader`). As in [`sso_cache`](super::sso_cache), a file that is not whole is
//! [`StoreError::Torn`], what eksd does not know is kept, and whoever renews holds
//! [`LoginCache::lock`] from reading the old token to writing the new one.

#[cfg(test)]
mod tests;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    Fields, SHARED, StoreError, atomic,
    fields::{Part, to_json},
    lock::{Lock, Locks},
};
use crate::{
    config::Paths,
    model::{ConsoleToken, Credentials, Secret, format_instant, parse_instant},
};

/// What the keys are for: `TokenType` of the Sign-In API.
const TOKEN_TYPE: &str = "aws_sigv4";

/// A sign-in as found in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    /// The sign-in.
    pub token: ConsoleToken,
    /// When the keys end.
    pub expires_at: Timestamp,
    /// When somebody wrote the file.
    pub modified_at: Timestamp,
}

/// The cache.
#[derive(Clone, Debug)]
pub struct LoginCache {
    dir: PathBuf,
    locks: Locks,
}

impl LoginCache {
    /// Looks where the AWS CLI looks. Touches nothing yet.
    pub fn new(paths: &Paths) -> Self {
        Self { dir: paths.login_cache_dir.clone(), locks: Locks::new(&paths.file_locks_dir) }
    }

    /// Returns the file of an identity (botocore `utils.py`, `generate_login_cache_key`).
    pub fn path(&self, arn: &str) -> PathBuf {
        let mut name = String::with_capacity(69);
        for byte in Sha256::digest(arn) {
            let _ = write!(name, "{byte:02x}");
        }
        self.dir.join(name + ".json")
    }

    /// Reads an identity's sign-in; `None` where there is no file.
    ///
    /// # Errors
    /// [`StoreError::Torn`] while somebody writes the file: ask again within 50 to 200 ms.
    pub fn read(&self, arn: &str) -> Result<Option<Cached>, StoreError> {
        let path = self.path(arn);
        let Some((mut fields, modified_at)) = Fields::read(&path)? else { return Ok(None) };
        let unusable = |why| StoreError::Unusable { path: path.clone(), why };
        // A text in a file of the SSO cache.
        let mut keys = fields.take_object("accessToken").ok_or(unusable("it has no keys"))?;
        // Botocore needs the same, and `accountId`, which no call needs.
        let mut text = |name, why| fields.take_text(name).ok_or(unusable(why));
        let client_id = text("clientId", "it has no client")?;
        let refresh_token = Secret::new(text("refreshToken", "it has no refresh token")?);
        let dpop_key = Secret::new(text("dpopKey", "it has no key for proofs")?);
        let id_token = fields.take_text("idToken").map(Secret::new);
        let mut text = |name, why| keys.take_text(name).ok_or(unusable(why));
        let access_key_id = text("accessKeyId", "its keys have no id")?;
        let secret_access_key = Secret::new(text("secretAccessKey", "its keys have no secret")?);
        let session_token = Secret::new(text("sessionToken", "its keys have no session token")?);
        let expires_at = text("expiresAt", "its keys have no end")?;
        let expires_at = parse_instant(&expires_at)
            .ok_or(unusable("its `expiresAt` is not an instant with a zone"))?;
        let keys = Credentials {
            access_key_id,
            secret_access_key,
            session_token: Some(session_token),
            expires_at: Some(expires_at),
            account_id: keys.take_text("accountId"),
        };
        let token = ConsoleToken { keys, client_id, refresh_token, id_token, dpop_key };
        Ok(Some(Cached { token, expires_at, modified_at }))
    }

    /// Writes an identity's sign-in. Fields that eksd does not know stay as they are in the file. The
    /// caller holds [`LoginCache::lock`].
    pub fn write(&self, arn: &str, token: &ConsoleToken) -> Result<(), StoreError> {
        let path = self.path(arn);
        let existing = Fields::read_to_replace(&path)?;
        let keys = &token.keys;
        let expires_at = keys.expires_at.map(format_instant);
        // In the order in which the CLI writes them; what eksd does not know comes after.
        let known = [
            ("accessKeyId", Some(keys.access_key_id.as_str())),
            ("secretAccessKey", Some(keys.secret_access_key.expose())),
            ("sessionToken", keys.session_token.as_ref().map(Secret::expose)),
            ("accountId", keys.account_id.as_deref()),
            ("expiresAt", expires_at.as_deref()),
        ]
        .map(|(name, text)| (name, Part::text(text)));
        let mut access: Vec<_> =
            known.iter().filter_map(|(name, part)| Some((*name, (*part)?))).collect();
        let others = existing.get("accessToken").and_then(Value::as_object);
        let others = others.into_iter().flatten().map(|(name, value)| (name.as_str(), value));
        let others = others.filter(|(name, _)| known.iter().all(|(own, _)| own != name));
        access.extend(others.map(|(name, value)| (name, Part::Other(value))));
        let known = [
            ("accessToken", Some(Part::Object(&access))),
            ("tokenType", Some(Part::Text(TOKEN_TYPE))),
            ("clientId", Some(Part::Text(&token.client_id))),
            ("refreshToken", Some(Part::Text(token.refresh_token.expose()))),
            ("idToken", Part::text(token.id_token.as_ref().map(Secret::expose))),
            ("dpopKey", Some(Part::Text(token.dpop_key.expose()))),
        ];
        atomic::ensure_dir(&self.dir)?;
        atomic::write_with(&path, &to_json(&existing.merged(&known)), SHARED)
    }

    /// Removes an identity's sign-in, which is all that `aws logout` does. Returns whether there was one.
    pub fn remove(&self, arn: &str) -> Result<bool, StoreError> {
        atomic::remove(&self.path(arn))
    }

    /// Takes the lock of an identity, waiting at most as long as `patience`; only for worker threads. It
    /// may be held across a network call and let go by another thread.
    pub fn lock(&self, arn: &str, patience: Duration) -> Result<Lock, StoreError> {
        self.locks.lock(&self.path(arn), patience)
    }

    /// Returns the folder, for watchers.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
