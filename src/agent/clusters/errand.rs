//! One comparison of a cluster with AWS: it is asked about, its file is put right, and the agent is
//! told. Runs beside the agent's task and comes back as an event.

use std::sync::Arc;

use crate::{
    agent::{
        event::{Ask, Event, Mailbox, Patience},
        refresh::blocking,
    },
    aws::Kind,
    ipc::wire::{ClusterStatus, SyncedCluster},
    model::{
        Credentials, Reach,
        cluster::{Cluster, ClusterFacts},
        kubeconfig::Wanted,
        text::printable,
    },
    report::{Code, Report},
    store::kubeconfigs,
    world::World,
};

/// One comparison of a cluster with AWS.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    pub(super) alias: String,
    pub(super) name: String,
    pub(super) profile: String,
    pub(super) described_by: Option<String>,
    pub(super) role_arn: Option<String>,
    pub(super) proxy_url: Option<String>,
    pub(super) region: String,
    pub(super) reach: Reach,
    /// What EKS said last, of a cluster that is registered already.
    pub(super) known: Option<ClusterFacts>,
}

impl Errand {
    /// Asks AWS, puts the file right and reports to the agent.
    pub(crate) async fn run(
        self,
        world: &Arc<World>,
        mailbox: &Mailbox,
    ) -> Result<(ClusterStatus, Vec<String>), Report> {
        let was_known = self.known.is_some();
        match self.compare(world, mailbox).await {
            Ok((facts, changes)) => {
                let is_another =
                    self.known.as_ref().is_some_and(|known| known.created_at != facts.created_at);
                let cluster = Box::new(Cluster {
                    alias: self.alias,
                    name: self.name,
                    region: self.region,
                    profile: self.profile,
                    described_by: self.described_by,
                    role_arn: self.role_arn,
                    proxy_url: self.proxy_url,
                    facts,
                    checked_at: Some(world.clock.now()),
                    drift: is_another
                        .then(|| "the cluster was created anew under the same name".to_owned()),
                });
                let told = changes.clone();
                let status = mailbox
                    .ask(|reply| Event::ClusterSynced { cluster, was_known, changes: told, reply })
                    .await?;
                Ok((status, changes))
            }
            Err(report) => {
                if self.known.is_some() {
                    let alias = self.alias;
                    mailbox.send(Event::ClusterFailed { alias, report: report.clone() });
                }
                Err(report)
            }
        }
    }

    async fn compare(
        &self,
        world: &Arc<World>,
        mailbox: &Mailbox,
    ) -> Result<(ClusterFacts, Vec<String>), Report> {
        let credentials = self.credentials(mailbox).await?;
        world.pace.wait().await;
        let found = world.aws.describe_cluster(&self.reach, &credentials, &self.name).await;
        let facts = found.map_err(|error| match error.kind {
            Kind::ClusterNotFound => self.not_found(),
            _ => error.report(self.describer()),
        })?;
        let changes = write_file(world, &self.alias, &facts).await?;
        Ok((facts, changes))
    }

    fn describer(&self) -> &str {
        self.described_by.as_deref().unwrap_or(&self.profile)
    }

    fn not_found(&self) -> Report {
        let (name, region) = (printable(&self.name), printable(&self.region));
        Report::new(
            Code::ClusterNotFound,
            format!(
                "there is no cluster `{name}` in {region} that profile `{}` can see",
                self.describer()
            ),
            format!(
                "check the region: `aws eks list-clusters --region {region} --profile {}`",
                self.describer()
            ),
        )
    }

    async fn credentials(&self, mailbox: &Mailbox) -> Result<Credentials, Report> {
        let profile = self.describer().to_owned();
        // Registering a cluster is a use of its profile; looking after it is not.
        let is_use = self.known.is_none();
        let ask = Ask { is_use, ..Ask::new(&profile, Patience::Some) };
        mailbox.ask(|reply| Event::Credentials { ask, reply }).await
    }

    /// Runs for `eksd cluster sync`: a failure is a row, not an end.
    pub(crate) async fn row(self, world: &Arc<World>, mailbox: &Mailbox) -> SyncedCluster {
        let alias = self.alias.clone();
        match self.run(world, mailbox).await {
            Ok((_, changes)) => SyncedCluster { alias, changes, report: None },
            Err(report) => SyncedCluster { alias, changes: Vec::new(), report: Some(report) },
        }
    }
}

/// Makes a cluster's file say what it must, and returns what was changed.
pub(super) async fn write_file(
    world: &Arc<World>,
    alias: &str,
    facts: &ClusterFacts,
) -> Result<Vec<String>, Report> {
    let (Some(server), Some(certificate_authority), true) =
        (facts.endpoint.clone(), facts.certificate_authority.clone(), facts.is_usable())
    else {
        return Err(Report::new(
            Code::ClusterNotReady,
            format!(
                "cluster `{}` is {} and has no address to connect to",
                facts.name, facts.status
            ),
            "wait until it is ACTIVE, then run the command again",
        ));
    };
    let path = world.kubeconfig_path(alias);
    let command = world.command.clone();
    let wanted = Wanted { alias: alias.to_owned(), server, certificate_authority, command };
    blocking(move || kubeconfigs::put_right(&path, &wanted))
        .await
        .map_err(|trouble| trouble.report)?
}
