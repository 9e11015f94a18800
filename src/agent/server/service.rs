//! What a peer can ask for, one method a request.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::{
    agent::{
        answers::{rfc3339, wire_credentials},
        clusters::{Errand, rows},
        endpoint::{self, Caller},
        ensure,
        event::{Ask, Event, Mailbox, Patience, Reply},
        mirrored,
        refresh::blocking,
        tokens::{Handed, News, TokenAsk},
    },
    ipc::wire::{
        ClusterAddParams, ClusterDescribed, ClusterName, ClusterRenameParams, ClusterStatus,
        ClusterSyncParams, CredentialsParams, Empty, EndpointOpen, EnsureAnswer, EnsureParams,
        Explanation, LogoutDone, LogoutParams, Mirror, NameParams, ProfileParams, ResolveParams,
        Resolved, StatusAnswer, StatusParams, SyncDone, TokenParams, UseParams, Whoami,
        WireCredentials, WireToken,
    },
    report::{Code, Report},
    world::World,
};

/// How long a question for credentials waits for AWS; SDKs give a `credential_process` some 20 s,
/// people at a prompt less.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a caller with a person at its terminal waits for a login that is under way.
const LOGIN_PATIENCE: Duration = Duration::from_mins(2);

/// How long a token that is there already waits for what AWS says of the one before: a cause is worth a
/// moment to a client that is being refused, and no more.
const VERDICT_PATIENCE: Duration = Duration::from_secs(1);

/// Asks, waits as long as a caller can be kept waiting, and then takes the best there is.
pub(in crate::agent) async fn with_patience<T>(
    mailbox: &Mailbox,
    event: impl Fn(Patience, Reply<T>) -> Event,
) -> Result<T, Report> {
    match timeout(PATIENCE, mailbox.ask(|reply| event(Patience::Some, reply))).await {
        Ok(answer) => answer,
        Err(_) => mailbox.ask(|reply| event(Patience::None, reply)).await,
    }
}

/// Answers for one peer.
pub(super) struct Service {
    pub(super) world: Arc<World>,
    pub(super) mailbox: Mailbox,
    /// Who the peer is, where that is known.
    pub(super) caller: Option<Caller>,
}

impl Service {
    pub(super) async fn status(&self, params: StatusParams) -> Result<StatusAnswer, Report> {
        self.mailbox.ask(|reply| Event::Status { params, reply }).await
    }

    pub(super) async fn logout(&self, params: LogoutParams) -> Result<LogoutDone, Report> {
        self.mailbox.ask(|reply| Event::Logout { params, reply }).await
    }

    pub(super) async fn resolve(&self, params: ResolveParams) -> Result<Resolved, Report> {
        let meant = self.mailbox.ask(|reply| Event::Resolve { name: params.name, reply }).await?;
        meant.settle(&self.world, params.owner).await
    }

    pub(super) async fn note_use(&self, params: UseParams) -> Result<Empty, Report> {
        self.mailbox.ask(|reply| Event::Use { params, reply }).await
    }

    pub(super) async fn explain(&self, params: NameParams) -> Result<Explanation, Report> {
        self.mailbox.ask(|reply| Event::Explain { name: params.name, reply }).await
    }

    pub(super) async fn ensure(&self, params: EnsureParams) -> Result<EnsureAnswer, Report> {
        ensure::ensure(&self.mailbox, &self.world, params).await
    }

    pub(super) async fn whoami(&self, params: NameParams) -> Result<Whoami, Report> {
        ensure::whoami(&self.mailbox, &self.world, params.name).await
    }

    pub(super) async fn credentials(
        &self,
        params: CredentialsParams,
    ) -> Result<WireCredentials, Report> {
        let mut answer = with_patience(&self.mailbox, |patience, reply| Event::Credentials {
            ask: Ask::new(&params.profile, patience),
            reply,
        })
        .await;
        let needs_person = answer
            .as_ref()
            .is_err_and(|report| matches!(report.code, Code::NeedsLogin | Code::NeedsMfa));
        if needs_person && params.waits_for_login {
            // Somebody may be logging in right now.
            let ask = Ask::new(&params.profile, Patience::Login);
            let waiting = self.mailbox.ask(|reply| Event::Credentials { ask, reply });
            answer = timeout(LOGIN_PATIENCE, waiting).await.unwrap_or(answer);
        }
        answer.as_ref().map(wire_credentials).map_err(Clone::clone)
    }

    pub(super) async fn token(&self, params: TokenParams) -> Result<WireToken, Report> {
        let asker = self.caller.as_ref().and_then(Caller::asker);
        let handed = with_patience(&self.mailbox, |patience, reply| Event::Token {
            ask: TokenAsk { params: params.clone(), asker: asker.clone(), patience },
            reply,
        });
        let Handed { token, expires_at, news } = handed.await?;
        let report = match news {
            News::None => None,
            News::Report(report) => Some(report),
            News::Coming(verdict, suspicion) => match timeout(VERDICT_PATIENCE, verdict).await {
                Ok(Ok(verdict)) => Some(verdict),
                _ => Some(suspicion),
            },
        };
        let token = token.expose().to_owned();
        Ok(WireToken { token, expires_at: rfc3339(expires_at), report })
    }

    /// Opens the endpoint for as long as the peer's process lives.
    pub(super) async fn open_endpoint(
        &self,
        params: ProfileParams,
    ) -> Result<EndpointOpen, Report> {
        match &self.caller {
            Some(caller) => caller.open(&params.profile).await,
            None => Err(endpoint::only_in_background()),
        }
    }

    /// Makes sure that the mirror config is there and true.
    pub(super) async fn mirror(&self) -> Result<Mirror, Report> {
        let (world, mailbox) = (self.world.clone(), self.mailbox.clone());
        // What a tool wrote there is told to the person, whoever asked.
        let refresh = move || mirrored::refresh(&world, &mailbox);
        let mirror = blocking(refresh).await.map_err(|trouble| trouble.report)??;
        Ok(Mirror {
            config: mirror.config.display().to_string(),
            credentials: mirror.credentials.display().to_string(),
        })
    }

    pub(super) async fn add_cluster(
        &self,
        params: ClusterAddParams,
    ) -> Result<ClusterStatus, Report> {
        let errand = self.mailbox.ask(|reply| Event::ClusterAdd { params, reply }).await?;
        errand.run(&self.world, &self.mailbox).await.map(|(status, _)| status)
    }

    pub(super) async fn rename_cluster(
        &self,
        params: ClusterRenameParams,
    ) -> Result<Empty, Report> {
        self.mailbox.ask(|reply| Event::ClusterRename { params, reply }).await
    }

    pub(super) async fn describe_cluster(
        &self,
        params: ClusterAddParams,
    ) -> Result<ClusterDescribed, Report> {
        let errand = self.mailbox.ask(|reply| Event::ClusterAdd { params, reply }).await?;
        errand.describe(&self.world, &self.mailbox).await
    }

    pub(super) async fn remove_cluster(&self, params: ClusterName) -> Result<Empty, Report> {
        self.mailbox.ask(|reply| Event::ClusterRemove { alias: params.alias, reply }).await
    }

    pub(super) async fn sync_clusters(
        &self,
        params: ClusterSyncParams,
    ) -> Result<SyncDone, Report> {
        let alias = params.alias;
        let errands: Vec<Errand> =
            self.mailbox.ask(|reply| Event::ClusterErrands { alias, reply }).await?;
        Ok(SyncDone { clusters: rows(errands, &self.world, &self.mailbox).await })
    }
}
