//! The model's values as they cross the socket.

use jiff::Timestamp;

use super::owner::{Agent, Held};
use crate::{
    ipc::wire::{
        AgentStatus, ClusterStatus, Confidence, DriftStatus, KeyStore, Phase, ProfileStatus,
        RootStatus, StatusAnswer, StatusParams, WireCredentials,
    },
    model::{
        Chain, ChainError, Credentials, Source,
        cluster::Cluster,
        discovery::account_of,
        session::{SessionKey, Spec},
        status::{self, View, view},
    },
    report::Report,
};

/// Returns an instant as every AWS tool can read it: `YYYY-MM-DDTHH:MM:SSZ`, rounded down, so that
/// nobody believes in a fraction of a second that AWS does not grant.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns credentials for the wire. The one place where their secrets become text again.
pub(crate) fn wire_credentials(credentials: &Credentials) -> WireCredentials {
    WireCredentials {
        access_key_id: credentials.access_key_id.clone(),
        secret_access_key: credentials.secret_access_key.expose().to_owned(),
        session_token: credentials.session_token.as_ref().map(|it| it.expose().to_owned()),
        expiration: credentials.expires_at.map(rfc3339),
        account_id: credentials.account_id.clone(),
    }
}

impl From<status::Phase> for Phase {
    fn from(phase: status::Phase) -> Self {
        match phase {
            status::Phase::Fresh => Self::Fresh,
            status::Phase::Renewing => Self::Renewing,
            status::Phase::Expiring => Self::Expiring,
            status::Phase::Degraded => Self::Degraded,
            status::Phase::NeedsLogin => Self::NeedsLogin,
            status::Phase::NeedsMfa => Self::NeedsMfa,
            status::Phase::Expired => Self::Expired,
            status::Phase::Misconfigured => Self::Misconfigured,
            status::Phase::Idle => Self::Idle,
            status::Phase::Static => Self::Static,
        }
    }
}

impl From<status::Confidence> for Confidence {
    fn from(confidence: status::Confidence) -> Self {
        match confidence {
            status::Confidence::Exact => Self::Exact,
            status::Confidence::Estimated => Self::Estimated,
            status::Confidence::Unknown => Self::Unknown,
        }
    }
}

impl Agent {
    /// Returns the view of a profile.
    pub(super) fn view(&self, name: &str) -> View {
        let resolved = self.known.profile(name).map(|resolved| &resolved.chain);
        match resolved {
            Some(chain) => view(name, chain.as_ref(), self.seen()),
            None => View::missing(self.unknown(name)),
        }
    }

    pub(super) fn status(&self, params: &StatusParams) -> Result<StatusAnswer, Report> {
        for name in &params.names {
            let is_known = self.known.profile(name).is_some()
                || self.clusters.get(name).is_ok()
                || self.known.login_named(name).is_some();
            if !is_known {
                return Err(self.unknown(name));
            }
        }
        let is_asked = |name: &str, login: Option<&str>| {
            params.names.is_empty()
                || params.names.iter().any(|asked| asked == name || Some(asked.as_str()) == login)
        };
        let profiles = self.known.in_file_order().into_iter().filter(|(name, resolved)| {
            // Nearly every config has a [default] that only holds settings.
            if params.names.is_empty()
                && name.as_str() == "default"
                && matches!(resolved.chain, Err(ChainError::NoCredentials { .. }))
            {
                return false;
            }
            let login = resolved.chain.as_ref().ok().and_then(Chain::login);
            is_asked(name.as_str(), login.map(|login| login.key.cache_text()))
        });
        let clusters = self.clusters.all().filter(|cluster| is_asked(&cluster.alias, None));
        Ok(StatusAnswer {
            version: 1,
            agent: AgentStatus {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                started_at: rfc3339(self.started_at),
                refreshing: self.refreshing(),
            },
            profiles: profiles.map(|(name, _)| self.profile_status(name.as_str())).collect(),
            clusters: clusters.map(|cluster| self.cluster_status(cluster)).collect(),
            reports: self.known.reports().iter().chain(self.reports.values()).cloned().collect(),
            key_store: self.key_store.as_ref().map(|status| KeyStore {
                store: status.store.clone(),
                answers: status.answers,
                why: status.why.clone(),
            }),
        })
    }

    fn profile_status(&self, name: &str) -> ProfileStatus {
        let view = self.view(name);
        let chain = self.known.chain(name).ok();
        ProfileStatus {
            profile: name.to_owned(),
            phase: view.phase.into(),
            good_until: view.end.ends_at.map(rfc3339),
            confidence: view.end.confidence.into(),
            credentials_expire_at: view.credentials_expire_at.map(rfc3339),
            cap: chain.filter(|chain| chain.is_chained()).map(|_| "chained, 1 h cap".to_owned()),
            clocks: chain.map(|chain| self.clocks(chain)).unwrap_or_default(),
            root: chain.map(|chain| self.root_status(chain)),
            account_id: chain.and_then(account_of),
            role: chain.and_then(role_of),
            in_use: view.in_use,
            // Only a command: what a report advises stands in the report.
            action: chain
                .filter(|chain| can_be_begun(chain, view.phase))
                .map(|_| format!("eksd login {name}")),
            report: view.report,
        }
    }

    fn root_status(&self, chain: &Chain) -> RootStatus {
        let plain = |kind: &str, name: &str| RootStatus {
            kind: kind.to_owned(),
            name: name.to_owned(),
            person: None,
            ends_at: None,
            access_token_expires_at: None,
            registration_expires_at: None,
        };
        if let Some(root) = chain.specs().first()
            && let Some(device) = root.device()
        {
            let end = self.sessions.get(&root.key).map(|it| status::end_of(it, self, self.now()));
            let ends_at = end.and_then(|end| end.ends_at).map(rfc3339);
            return RootStatus { ends_at, ..plain("mfa", &device.serial) };
        }
        match &chain.source {
            Source::Keys(keys) => RootStatus {
                ends_at: keys.expires_at.map(rfc3339),
                ..plain("keys", &keys.access_key_id)
            },
            Source::Console(login) => plain("console", &login.arn),
            Source::Process(process) => plain("process", &process.origin.to_string()),
            Source::WebIdentity(identity) => plain("web-identity", &identity.role_arn),
            Source::Machine { kind, origin } => plain(kind.as_str(), &origin.to_string()),
            Source::Sso { login, .. } | Source::SsoTokenOnly { login } => {
                let key = SessionKey::Login(login.key.clone());
                let facts = self.login_facts(&login.key);
                let session = self.sessions.get(&key);
                let end = session.map(|session| status::root_end(session, facts, self.now()));
                let token = match self.vault.get(&key) {
                    Some(Held::Token(token)) => Some(token.expires_at),
                    _ => None,
                };
                RootStatus {
                    ends_at: end.and_then(|end| end.ends_at).map(rfc3339),
                    access_token_expires_at: token.map(rfc3339),
                    person: self.memory.person.get(&login.key).cloned(),
                    registration_expires_at: facts.registration_expires_at.map(rfc3339),
                    ..plain("sso", login.key.cache_text())
                }
            }
        }
    }

    pub(super) fn cluster_status(&self, cluster: &Cluster) -> ClusterStatus {
        let view = self.view(&cluster.profile);
        let file = self.file_of(&cluster.alias);
        let access = cluster.facts.access.as_ref();
        let drifts = cluster.drifts.all().map(|drift| {
            let told = drift.told(cluster, &file);
            DriftStatus {
                kind: drift.kind.as_str().to_owned(),
                since: rfc3339(drift.since),
                what: told.what,
                fix: told.fix,
                is_news: drift.kind.is_news(),
            }
        });
        let drifts = drifts.collect();
        ClusterStatus {
            cluster: cluster.alias.clone(),
            arn: cluster.facts.arn.clone(),
            name: cluster.name.clone(),
            region: cluster.region.clone(),
            profile: cluster.profile.clone(),
            described_by: cluster.described_by.clone(),
            role_arn: cluster.role_arn.clone(),
            version: cluster.facts.version.clone(),
            phase: view.phase.into(),
            good_until: view.end.ends_at.map(rfc3339),
            confidence: view.end.confidence.into(),
            kubeconfig: self.world.kubeconfig_path(&cluster.alias).display().to_string(),
            checked_at: cluster.checked_at.map(rfc3339),
            drift: cluster.drift_in_words(&file),
            drifts,
            status: Some(cluster.facts.status.clone()).filter(|status| !status.is_empty()),
            created_at: cluster.facts.created_at.map(rfc3339),
            id: cluster.facts.id.clone(),
            endpoint_access: access.map(|access| access.as_str().to_owned()),
            public_cidrs: access.map(|access| access.limits().to_vec()).unwrap_or_default(),
            proxy_url: cluster.proxy_url.clone(),
            report: self.verdict_of(cluster),
        }
    }
}

/// Returns whether a login is what the profile needs.
fn can_be_begun(chain: &Chain, phase: status::Phase) -> bool {
    use status::Phase::{Expiring, NeedsLogin, NeedsMfa};
    matches!(phase, NeedsLogin | NeedsMfa | Expiring)
        && chain.specs().first().is_some_and(Spec::is_root)
}

fn role_of(chain: &Chain) -> Option<String> {
    match (chain.hops.last(), &chain.source) {
        (Some(hop), _) => hop.terms.role_arn.rsplit_once('/').map(|(_, name)| name.to_owned()),
        (None, Source::Sso { role_name, .. }) => Some(role_name.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_rounded_down_and_end_in_z() {
        let at: Timestamp = "2026-11-24T08:00:59.999+01:00".parse().unwrap();
        assert_eq!(rfc3339(at), "2026-11-24T07:00:59Z");
    }
}
