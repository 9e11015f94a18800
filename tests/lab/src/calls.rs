//! The record of every call.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// One request that reached the lab.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Call {
    /// Unix milliseconds by the lab's clock, when the request was read.
    pub time_ms: i64,
    /// `oidc`, `portal`, `sts`, `eks`, `iam`, `signin`, `imds`, `container` or `kube`.
    pub service: String,
    /// The API's name of the operation (`GetRoleCredentials`); `Kube` for every request to a
    /// Kubernetes API server; `Authorize`, `Device`, `Start`, `ConsoleAuthorize` and
    /// `ConsoleConfirmation` for the person's pages; `MetadataToken`, `MetadataRoles`,
    /// `MetadataCredentials` and `Metadata` (the rest) for the metadata service of EC2;
    /// `ContainerCredentials`.
    pub op: String,
    /// GET, POST or PUT.
    pub method: String,
    /// The path, without query.
    pub path: String,
    /// The grant of CreateToken and CreateOAuth2Token: `device_code`, `authorization_code` or
    /// `refresh_token`.
    pub grant: Option<String>,
    /// The beginning of the refresh token's SHA-256: tells whether two callers sent the same one.
    pub refresh_token: Option<String>,
    /// The beginning of the SHA-256 of the bearer token that a Kubernetes API server was shown.
    pub token: Option<String>,
    /// The HTTP status; none while the call is open, or if it was never answered.
    pub status: Option<u16>,
    /// The error code that was answered.
    pub error: Option<String>,
    /// The fault that was played.
    pub fault: Option<String>,
    /// The caller's ARN, once its signature or token was found good.
    pub arn: Option<String>,
    /// The access key id that signed.
    pub access_key: Option<String>,
    /// The account that was asked for.
    pub account: Option<String>,
    /// The role that was asked for: a permission set's name, or a role ARN.
    pub role: Option<String>,
    /// The cluster that was asked for, or that was reached.
    pub cluster: Option<String>,
    /// The region of the signature.
    pub region: Option<String>,
    /// The client's User-Agent.
    pub user_agent: String,
    /// Signed in the URL, not in a header.
    pub presigned: bool,
    /// Why a Kubernetes API server or the sign-in service turned the caller away.
    pub why: Option<String>,
    /// A limit of the script was exceeded: see [`crate::Script::limits`].
    pub throttled: bool,
    /// `RoleSessionName` of an assumed role.
    pub session_name: Option<String>,
    /// `DurationSeconds`, as it was asked for.
    pub duration: Option<i64>,
    /// `ExternalId`.
    pub external_id: Option<String>,
    /// `SerialNumber` of an MFA device.
    pub mfa_serial: Option<String>,
    /// `SourceIdentity`.
    pub source_identity: Option<String>,
    /// Session tags.
    pub tags: BTreeMap<String, String>,
    /// `TransitiveTagKeys`.
    pub transitive_tags: Vec<String>,
    /// The subject of a web identity token, once the token was found good.
    pub subject: Option<String>,
}

/// All calls, with a way to wait for one.
#[derive(Debug)]
pub(crate) struct CallLog {
    calls: Mutex<Vec<Call>>,
    /// How many calls were forgotten, so that an open call's number stays good.
    forgotten: AtomicUsize,
    changed: Condvar,
    seen: watch::Sender<usize>,
    file: Option<Mutex<File>>,
}

impl CallLog {
    pub(crate) fn new(file: Option<File>) -> Self {
        Self {
            calls: Mutex::default(),
            forgotten: AtomicUsize::new(0),
            changed: Condvar::new(),
            seen: watch::Sender::new(0),
            file: file.map(Mutex::new),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.notify_all();
        self.seen.send_modify(|n| *n += 1);
    }

    /// Records an open call; the number is for [`CallLog::finish`].
    pub(crate) fn begin(&self, call: Call) -> usize {
        let mut calls = self.lock();
        calls.push(call);
        let number = self.forgotten.load(Ordering::Relaxed) + calls.len() - 1;
        drop(calls);
        self.tell();
        number
    }

    /// Puts what is known by now in place of what was recorded, and into the file.
    pub(crate) fn finish(&self, number: usize, call: &Call) {
        {
            // The counter changes under this lock only.
            let mut calls = self.lock();
            let index = number.checked_sub(self.forgotten.load(Ordering::Relaxed));
            if let Some(slot) = index.and_then(|index| calls.get_mut(index)) {
                *slot = call.clone();
            }
        }
        if let Some(file) = &self.file {
            let mut line = serde_json::to_vec(call).unwrap_or_default();
            line.push(b'\n');
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // A full disk must not change what the client sees.
            let _ = file.write_all(&line);
        }
        self.tell();
    }

    pub(crate) fn all(&self) -> Vec<Call> {
        self.lock().clone()
    }

    pub(crate) fn clear(&self) {
        let mut calls = self.lock();
        self.forgotten.fetch_add(calls.len(), Ordering::Relaxed);
        calls.clear();
    }

    pub(crate) fn count(&self, op: &str) -> usize {
        count(&self.lock(), op)
    }

    pub(crate) fn throttled(&self, service: &str) -> usize {
        let calls = self.lock();
        let of = |call: &&Call| call.throttled && (call.service == service || service == "*");
        calls.iter().filter(of).count()
    }

    pub(crate) fn wait(&self, deadline: Duration, mut done: impl FnMut(&[Call]) -> bool) -> bool {
        let (calls, _) = self
            .changed
            .wait_timeout_while(self.lock(), deadline, |calls| !done(calls))
            .unwrap_or_else(PoisonError::into_inner);
        done(&calls)
    }

    pub(crate) async fn until(&self, mut done: impl FnMut(&[Call]) -> bool) {
        let mut seen = self.seen.subscribe();
        loop {
            seen.mark_unchanged();
            if done(&self.lock()) || seen.changed().await.is_err() {
                return;
            }
        }
    }
}

pub(crate) fn count(calls: &[Call], op: &str) -> usize {
    calls.iter().filter(|c| c.op == op || op == "*").count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_forgotten_while_open_does_not_overwrite_another() {
        let named = |op: &str| Call { op: op.into(), ..Call::default() };
        let log = CallLog::new(None);
        let old = log.begin(named("Old"));
        log.clear();
        let new = log.begin(named("New"));
        log.finish(old, &Call { status: Some(500), ..named("Old") });
        log.finish(new, &Call { status: Some(200), ..named("New") });
        assert_eq!(log.all(), [Call { status: Some(200), ..named("New") }]);
    }
}
