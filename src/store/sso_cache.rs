//! The AWS CLI's SSO token cache, shared with every tool that reads it.
//!
//! A login made here serves the CLI and all SDKs, and theirs serves eksd. None of them locks these
//! files and some write them in place (the Rust, JavaScript and Java SDKs), so a file that is not
//! whole is [`StoreError::Torn`], never "logged out". Fields that eksd does not know are kept, as are
//! the names and the order of fields. Files are botocore's and the CLI's: `botocore/tokens.py`,
//! `botocore/utils.py` (`SSOTokenLoader`, `SSOTokenFetcher`).
//!
//! Refresh tokens work once. Whoever refreshes holds [`SsoCache::lock`] from reading the old token to
//! writing the new one, and reads again after taking it.

mod names;
#[cfg(test)]
mod tests;

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Fields, SHARED, StoreError, atomic,
    fields::{Part, to_json},
    lock::{Lock, Locks},
};

use crate::{
    config::Paths,
    model::{
        Chain, LoginKey, Registration, Secret, Source, SsoLogin, SsoToken, format_instant,
        parse_instant,
    },
};

/// A token as found in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    /// The token, with its registration where that is complete.
    pub token: SsoToken,
    /// When somebody wrote the file.
    pub modified_at: Timestamp,
    /// `startUrl`: the configured one, even where a login went to another address.
    pub start_url: Option<String>,
    /// `region`.
    pub region: Option<String>,
    /// What else the file says.
    pub other: Fields,
}

/// What [`SsoCache::update`] does with a file.
#[derive(Debug)]
pub enum Decision {
    /// Leaves it.
    Keep,
    /// Writes this token into it.
    Write(Box<SsoLogin>, Box<SsoToken>),
    /// Removes it.
    Remove,
}

/// For which login flow a client is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A code typed on any device.
    DeviceCode,
    /// A browser on this machine.
    AuthorizationCode,
}

/// The grant types of a client for the browser flow; one for device codes has none (AWS CLI
/// `botocore/utils.py`, `SSOTokenFetcherAuth`).
const AUTHORIZATION_CODE_GRANTS: [&str; 2] = ["authorization_code", "refresh_token"];

/// The SSO cache and the part of the CLI's role cache that hangs on it.
#[derive(Clone, Debug)]
pub struct SsoCache {
    dir: PathBuf,
    cli_dir: PathBuf,
    locks: Locks,
}

impl SsoCache {
    /// Looks where the AWS CLI looks. Touches nothing yet.
    pub fn new(paths: &Paths) -> Self {
        Self {
            dir: paths.sso_cache_dir.clone(),
            cli_dir: paths.cli_cache_dir.clone(),
            locks: Locks::new(&paths.file_locks_dir),
        }
    }

    /// Returns the folder, for watchers.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the file of a login's token.
    pub fn token_path(&self, key: &LoginKey) -> PathBuf {
        self.dir.join(names::token(key))
    }

    /// Reads the token of a login; `None` where there is no file.
    ///
    /// # Errors
    /// [`StoreError::Torn`] while somebody writes the file: ask again within 50 to 200 ms.
    pub fn read(&self, key: &LoginKey) -> Result<Option<Cached>, StoreError> {
        read_token(&self.token_path(key))
    }

    /// Writes a login's token, exactly as given: a refresh token that the new one lacks is gone. Fields
    /// that eksd does not know stay as they are in the file. The caller holds [`SsoCache::lock`].
    pub fn write(
        &self,
        key: &LoginKey,
        login: &SsoLogin,
        token: &SsoToken,
    ) -> Result<(), StoreError> {
        let path = self.token_path(key);
        let existing = Fields::read_to_replace(&path)?;
        let client = token.registration.as_ref();
        let expires_at = format_instant(token.expires_at);
        let registered_until = client.map(|client| format_instant(client.expires_at));
        // In the order in which the CLI writes them.
        let known = [
            ("startUrl", Some(login.start_url.as_str())),
            ("region", login.reach.region.as_deref()),
            ("accessToken", Some(token.access_token.expose())),
            ("expiresAt", Some(expires_at.as_str())),
            ("clientId", client.map(|client| client.client_id.as_str())),
            ("clientSecret", client.map(|client| client.client_secret.expose())),
            ("registrationExpiresAt", registered_until.as_deref()),
            ("refreshToken", token.refresh_token.as_ref().map(Secret::expose)),
        ];
        let known = known.map(|(name, text)| (name, Part::text(text)));
        self.replace(&path, &existing.merged(&known))
    }

    /// Removes a login's token. Returns whether there was one.
    pub fn remove(&self, key: &LoginKey) -> Result<bool, StoreError> {
        atomic::remove(&self.token_path(key))
    }

    /// Takes the lock of a login, waiting at most as long as `patience`; only for worker threads. It may
    /// be held across a network call and let go by another thread.
    pub fn lock(&self, key: &LoginKey, patience: Duration) -> Result<Lock, StoreError> {
        self.locks.lock(&self.token_path(key), patience)
    }

    /// Takes the lock of a login; `None` where another holds it.
    pub fn try_lock(&self, key: &LoginKey) -> Result<Option<Lock>, StoreError> {
        self.locks.try_lock(&self.token_path(key))
    }

    /// Locks, reads again, lets `decide` look, does what it says. `decide` is not asked where the lock
    /// cannot be had or the file cannot be read.
    pub fn update(
        &self,
        key: &LoginKey,
        patience: Duration,
        decide: impl FnOnce(Option<Cached>) -> Decision,
    ) -> Result<(), StoreError> {
        let _lock = self.lock(key, patience)?;
        match decide(self.read(key)?) {
            Decision::Keep => Ok(()),
            Decision::Write(login, token) => self.write(key, &login, &token),
            Decision::Remove => self.remove(key).map(|_| ()),
        }
    }

    /// Returns every token in the cache with its file, whoever made it. What is not a token (client
    /// registrations lie in the same folder) or is not whole is left out.
    pub fn list(&self) -> Result<Vec<(PathBuf, Cached)>, StoreError> {
        let files = json_files(&self.dir)?;
        Ok(files
            .into_iter()
            .filter_map(|path| {
                let cached = read_token(&path).ok()??;
                Some((path, cached))
            })
            .collect())
    }

    /// Removes a file that [`SsoCache::list`] returned. Returns whether it was still there.
    pub fn remove_listed(&self, path: &Path) -> Result<bool, StoreError> {
        if path.parent() != Some(&self.dir) {
            return Err(StoreError::Unsafe {
                path: path.to_owned(),
                why: "is not in the SSO cache",
            });
        }
        atomic::remove(path)
    }

    /// Reads the client registered for a login and flow, unless it has ended by `now`. One that cannot
    /// be read counts as none: another registration costs one call.
    pub fn read_registration(
        &self,
        login: &SsoLogin,
        grant: Grant,
        now: Timestamp,
    ) -> Option<Registration> {
        let (mut fields, _) = Fields::read(&self.dir.join(names::registration(login))).ok()??;
        let grants = fields.get("grantTypes").and_then(Value::as_array);
        let has = |grant: &str| {
            grants.is_some_and(|grants| grants.iter().any(|own| own.as_str() == Some(grant)))
        };
        let is_fit = match grant {
            Grant::DeviceCode => grants.is_none(),
            Grant::AuthorizationCode => AUTHORIZATION_CODE_GRANTS.into_iter().all(has),
        };
        if !is_fit || fields.text("accessToken").is_some() {
            return None;
        }
        let expires_at = parse_instant(fields.text("expiresAt")?)?;
        let scopes = fields.get("scopes").and_then(Value::as_array);
        let scopes = scopes.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        let scopes = scopes.collect();
        let registration = Registration {
            client_id: fields.take_text("clientId")?,
            client_secret: Secret::new(fields.take_text("clientSecret")?),
            expires_at,
            scopes,
        };
        (now < registration.expires_at).then_some(registration)
    }

    /// Writes the client registered for a login and flow, as the CLI does, which will use it.
    pub fn write_registration(
        &self,
        login: &SsoLogin,
        grant: Grant,
        registration: &Registration,
    ) -> Result<(), StoreError> {
        let expires_at = format_instant(registration.expires_at);
        let scopes = Value::from(registration.scopes.as_slice());
        let grants = Value::from(AUTHORIZATION_CODE_GRANTS.as_slice());
        let mut parts = vec![
            ("clientId", Part::Text(&registration.client_id)),
            ("clientSecret", Part::Text(registration.client_secret.expose())),
            ("expiresAt", Part::Text(&expires_at)),
        ];
        if !registration.scopes.is_empty() {
            parts.push(("scopes", Part::Other(&scopes)));
        }
        if grant == Grant::AuthorizationCode {
            parts.push(("grantTypes", Part::Other(&grants)));
        }
        self.replace(&self.dir.join(names::registration(login)), &parts)
    }

    /// Removes a login's client registration: after AWS refused it. Returns whether there was one.
    pub fn remove_registration(&self, login: &SsoLogin) -> Result<bool, StoreError> {
        atomic::remove(&self.dir.join(names::registration(login)))
    }

    /// Removes the CLI's own cached credentials of a role of this login, which would outlive a logout.
    /// Returns whether there were any.
    pub fn remove_cli_role_cache(
        &self,
        account_id: &str,
        role_name: &str,
        login: &LoginKey,
    ) -> Result<bool, StoreError> {
        atomic::remove(&self.cli_dir.join(names::sso_role(account_id, role_name, login)))
    }

    /// Removes the CLI's own cached credentials of every role that it assumes for a profile. Two profiles
    /// that assume one role alike share a file there, whoever they are. Returns how many there were.
    pub fn remove_cli_assumed_roles(&self, chain: &Chain) -> Result<usize, StoreError> {
        let hops = chain
            .hops
            .iter()
            .map(|hop| names::role(&hop.terms, hop.mfa.as_ref().map(|it| it.serial.as_str())));
        let exchanged = match &chain.source {
            Source::WebIdentity(identity) => Some(names::web_identity(identity)),
            _ => None,
        };
        let mut removed = 0;
        for name in hops.chain(exchanged) {
            removed += usize::from(atomic::remove(&self.cli_dir.join(name))?);
        }
        Ok(removed)
    }

    /// Removes the CLI's cached credentials of all SSO roles, of every login, as `aws sso logout` does
    /// (awscli `customizations/sso/logout.py`). Returns how many there were.
    pub fn remove_cli_sso_roles(&self) -> Result<usize, StoreError> {
        let mut removed = 0;
        for path in json_files(&self.cli_dir)? {
            let is_sso = Fields::read(&path).is_ok_and(|found| {
                found.is_some_and(|(f, _)| f.text("ProviderType") == Some("sso"))
            });
            if is_sso && atomic::remove(&path)? {
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn replace(&self, path: &Path, parts: &[(&str, Part<'_>)]) -> Result<(), StoreError> {
        atomic::ensure_dir(&self.dir)?;
        atomic::write_with(path, &to_json(parts), SHARED)
    }
}

fn read_token(path: &Path) -> Result<Option<Cached>, StoreError> {
    let Some((mut fields, modified_at)) = Fields::read(path)? else { return Ok(None) };
    let unusable = |why| StoreError::Unusable { path: path.to_owned(), why };
    // Both are needed, the rest is not (botocore `SSOTokenLoader.__call__`).
    let access_token = fields.take_text("accessToken").ok_or(unusable("it has no access token"))?;
    let expires_at = fields
        .take_text("expiresAt")
        .and_then(|text| parse_instant(&text))
        .ok_or(unusable("its `expiresAt` is not an instant with a zone"))?;
    let token = SsoToken {
        access_token: Secret::new(access_token),
        expires_at,
        refresh_token: fields.take_text("refreshToken").map(Secret::new),
        registration: take_registration(&mut fields),
    };
    Ok(Some(Cached {
        token,
        modified_at,
        start_url: fields.take_text("startUrl"),
        region: fields.take_text("region"),
        other: fields,
    }))
}

/// Takes the client's three fields, or none of them.
fn take_registration(fields: &mut Fields) -> Option<Registration> {
    let expires_at = parse_instant(fields.text("registrationExpiresAt")?)?;
    fields.text("clientId")?;
    let client_secret = fields.text("clientSecret").map(Secret::new)?;
    let client_id = fields.take_text("clientId")?;
    drop(fields.take_text("clientSecret").map(Secret::new));
    fields.take_text("registrationExpiresAt");
    Some(Registration { client_id, client_secret, expires_at, scopes: Vec::new() })
}

/// Returns the files that may be tokens or the like; no folder means none.
fn json_files(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |source| StoreError::Read { path: dir.to_owned(), source };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension() == Some(OsStr::new("json")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
