//! One question to AWS about a cluster. Runs beside the agent's task and comes back as an event; what
//! follows from the answer is decided there.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    agent::{
        event::{Ask, Event, Mailbox, Patience},
        refresh::blocking,
    },
    aws::Kind,
    ipc::wire::{ClusterDescribed, ClusterStatus, SyncedCluster},
    model::{
        Credentials, Reach,
        cluster::{Cluster, ClusterFacts, Found},
        kubeconfig::Wanted,
        text::printable,
    },
    report::{Code, Report},
    store::kubeconfigs,
    world::World,
};

/// So many clusters are compared side by side. The calls themselves go out at the world's pace.
const SIDE_BY_SIDE: usize = 8;

/// A cluster to ask about.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    /// As it is registered, or is to be.
    pub(super) cluster: Cluster,
    /// Whether it is to be registered.
    pub(super) is_new: bool,
    /// The way to its region.
    pub(super) reach: Reach,
}

impl Errand {
    /// Asks AWS, and waits until the agent has done what follows from the answer. Returns the
    /// cluster, and what was changed, in words.
    pub(crate) async fn run(
        self,
        world: &Arc<World>,
        mailbox: &Mailbox,
    ) -> Result<(ClusterStatus, Vec<String>), Report> {
        let Self { cluster, is_new, .. } = &self;
        let found = match self.ask(world, mailbox).await {
            Ok(found) => found,
            Err(report) => {
                if !is_new {
                    let (alias, report) = (cluster.alias.clone(), report.clone());
                    mailbox.send(Event::ClusterFailed { alias, report });
                }
                return Err(report);
            }
        };
        if *is_new {
            self.usable(&found)?;
        }
        let (cluster, is_new) = (Box::new(self.cluster), self.is_new);
        mailbox.ask(|reply| Event::ClusterFound { cluster, is_new, found, reply }).await
    }

    /// Asks AWS and keeps nothing.
    pub(crate) async fn describe(
        self,
        world: &Arc<World>,
        mailbox: &Mailbox,
    ) -> Result<ClusterDescribed, Report> {
        let found = self.ask(world, mailbox).await?;
        let facts = self.usable(&found)?;
        let path = world.kubeconfig_path(&self.cluster.alias);
        let wanted = Wanted {
            alias: self.cluster.alias.clone(),
            server: facts.endpoint.clone().unwrap_or_default(),
            certificate_authority: facts.certificate_authority.clone().unwrap_or_default(),
            command: world.command.clone(),
            proxy_url: self.cluster.proxy_url.clone(),
            former_proxy_url: None,
        };
        let told = wanted.clone();
        let file = blocking(move || kubeconfigs::preview(&path, &told));
        let file = file.await.map_err(|trouble| trouble.report)??;
        Ok(ClusterDescribed {
            alias: self.cluster.alias.clone(),
            name: self.cluster.name.clone(),
            region: self.cluster.region.clone(),
            arn: facts.arn.clone(),
            server: wanted.server,
            certificate_authority: wanted.certificate_authority,
            file,
        })
    }

    async fn ask(&self, world: &World, mailbox: &Mailbox) -> Result<Found, Report> {
        let credentials = self.credentials(mailbox).await?;
        world.pace.wait().await;
        let name = &self.cluster.name;
        match world.aws.describe_cluster(&self.reach, &credentials, name).await {
            Ok(facts) => Ok(Found::Cluster(Box::new(facts))),
            Err(error) if error.kind == Kind::ClusterNotFound => {
                Ok(Found::Nothing { account: credentials.account_id })
            }
            Err(error) => {
                if error.kind == Kind::Throttled {
                    world.pace.ease().await;
                }
                Err(error.report(self.cluster.describer()))
            }
        }
    }

    async fn credentials(&self, mailbox: &Mailbox) -> Result<Credentials, Report> {
        // Registering a cluster is a use of its profile; looking after it is not.
        let ask = Ask { is_use: self.is_new, ..Ask::new(self.cluster.describer(), Patience::Some) };
        mailbox.ask(|reply| Event::Credentials { ask, reply }).await
    }

    /// Refuses a cluster that cannot be used, before anything is written.
    fn usable<'a>(&self, found: &'a Found) -> Result<&'a ClusterFacts, Report> {
        let facts = match found {
            Found::Cluster(facts) => facts,
            Found::Nothing { .. } => return Err(not_found(&self.cluster)),
        };
        let name = printable(&facts.name);
        if let Some(provider) = &facts.connector {
            return Err(Report::new(
                Code::ClusterNotReady,
                format!(
                    "cluster `{name}` runs at {} and is only registered with EKS",
                    printable(provider)
                ),
                "use the kubeconfig of whoever runs it",
            )
            .because("EKS has no address for it, and its API server takes no EKS tokens"));
        }
        if facts.is_usable() && facts.endpoint.is_some() && facts.certificate_authority.is_some() {
            return Ok(facts);
        }
        let status = printable(&facts.status);
        let fix = match facts.status.as_str() {
            "CREATING" | "PENDING" => "wait until it is ACTIVE, then run the command again",
            _ => "look at it in the EKS console: it can be added once it is ACTIVE",
        };
        Err(Report::new(
            Code::ClusterNotReady,
            format!("cluster `{name}` is {status} and has no address to connect to"),
            fix,
        ))
    }

    /// Runs for `eksd cluster sync`: a failure is a row, not an end.
    async fn row(self, world: &Arc<World>, mailbox: &Mailbox) -> SyncedCluster {
        let alias = self.cluster.alias.clone();
        match self.run(world, mailbox).await {
            Ok((_, changes)) => SyncedCluster { alias, changes, report: None },
            Err(report) => SyncedCluster { alias, changes: Vec::new(), report: Some(report) },
        }
    }
}

/// Runs errands side by side, and returns their rows in the order of the errands.
pub(crate) async fn rows(
    errands: Vec<Errand>,
    world: &Arc<World>,
    mailbox: &Mailbox,
) -> Vec<SyncedCluster> {
    let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let mut running = JoinSet::new();
    for (at, errand) in errands.into_iter().enumerate() {
        let (world, mailbox, places) = (world.clone(), mailbox.clone(), places.clone());
        running.spawn(async move {
            let _place = places.acquire().await;
            (at, errand.row(&world, &mailbox).await)
        });
    }
    let mut rows = running.join_all().await;
    rows.sort_by_key(|(at, _)| *at);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn not_found(cluster: &Cluster) -> Report {
    let (name, region) = (printable(&cluster.name), printable(&cluster.region));
    let describer = printable(cluster.describer());
    Report::new(
        Code::ClusterNotFound,
        format!("there is no cluster `{name}` in {region} that profile `{describer}` can see"),
        format!(
            "check the region: `aws eks list-clusters --region {region} --profile {describer}`"
        ),
    )
}
