//! Registered clusters: their kubeconfig files are kept equal to what `DescribeCluster` says.
//!
//! The registry belongs to the agent's task. Asking AWS and writing a file is an [`Errand`], which
//! runs beside it and comes back as an event.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    event::{Ask, Event, Mailbox, Patience},
    owner::Agent,
    refresh::blocking,
};
use crate::{
    aws::Kind,
    ipc::wire::{ClusterAddParams, ClusterDescribed, ClusterStatus, Empty, SyncedCluster},
    model::{
        Credentials, Reach,
        cluster::{Cluster, ClusterFacts},
        kubeconfig::Wanted,
        status::Phase,
        text::{near_miss, printable},
    },
    report::{Code, Report},
    store::{kubeconfigs, lock::Locks},
    world::World,
};

/// After a failed comparison the next try waits this long, unless somebody asks.
const RETRY: Duration = Duration::from_mins(15);

/// However short the setting: more often would be a load on AWS for nothing.
const SHORTEST_CHECK: Duration = Duration::from_mins(1);

/// The registered clusters, by alias.
#[derive(Debug, Default)]
pub(crate) struct Clusters {
    clusters: BTreeMap<String, Cluster>,
    next_check: BTreeMap<String, Timestamp>,
}

impl Clusters {
    /// Takes over what was registered before.
    pub(crate) fn new(clusters: impl IntoIterator<Item = Cluster>) -> Self {
        let clusters =
            clusters.into_iter().map(|cluster| (cluster.alias.clone(), cluster)).collect();
        Self { clusters, next_check: BTreeMap::new() }
    }

    /// Returns a cluster by its alias.
    pub(super) fn get(&self, alias: &str) -> Result<&Cluster, Report> {
        self.clusters.get(alias).ok_or_else(|| {
            let near = near_miss(alias, self.clusters.keys().map(String::as_str));
            Report::new(
                Code::UnknownCluster,
                format!("no cluster is registered as `{}`", printable(alias)),
                match near {
                    Some(near) => format!("did you mean `{}`?", printable(near)),
                    None => {
                        "`eksd cluster list` shows what is; `eksd cluster add` adds one".to_owned()
                    }
                },
            )
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Cluster> {
        self.clusters.values()
    }

    pub(super) fn aliases(&self) -> impl Iterator<Item = String> + '_ {
        self.clusters.keys().cloned()
    }
}

/// One comparison of a cluster with AWS.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    alias: String,
    name: String,
    profile: String,
    described_by: Option<String>,
    role_arn: Option<String>,
    proxy_url: Option<String>,
    region: String,
    reach: Reach,
    /// What EKS said last, of a cluster that is registered already.
    known: Option<ClusterFacts>,
}

impl Errand {
    /// Asks AWS, puts the file right and reports to the agent.
    pub(super) async fn run(
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
        let facts = self.ask_aws(world, mailbox).await?;
        let changes = write_file(world, &self.alias, &facts).await?;
        Ok((facts, changes))
    }

    async fn ask_aws(&self, world: &World, mailbox: &Mailbox) -> Result<ClusterFacts, Report> {
        let credentials = self.credentials(mailbox).await?;
        world.pace.wait().await;
        let found = world.aws.describe_cluster(&self.reach, &credentials, &self.name).await;
        found.map_err(|error| match error.kind {
            Kind::ClusterNotFound => self.not_found(),
            _ => error.report(self.describer()),
        })
    }

    /// Asks AWS and keeps nothing.
    pub(super) async fn describe(
        self,
        world: &World,
        mailbox: &Mailbox,
    ) -> Result<ClusterDescribed, Report> {
        let facts = self.ask_aws(world, mailbox).await?;
        let (server, certificate_authority) = way_in(&facts)?;
        Ok(ClusterDescribed {
            alias: self.alias,
            name: self.name,
            region: self.region,
            arn: facts.arn,
            server,
            certificate_authority,
        })
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
    pub(super) async fn row(self, world: &Arc<World>, mailbox: &Mailbox) -> SyncedCluster {
        let alias = self.alias.clone();
        match self.run(world, mailbox).await {
            Ok((_, changes)) => SyncedCluster { alias, changes, report: None },
            Err(report) => SyncedCluster { alias, changes: Vec::new(), report: Some(report) },
        }
    }
}

/// Returns a cluster's address and CA.
fn way_in(facts: &ClusterFacts) -> Result<(String, String), Report> {
    if let (Some(server), Some(certificate_authority), true) =
        (facts.endpoint.clone(), facts.certificate_authority.clone(), facts.is_usable())
    {
        return Ok((server, certificate_authority));
    }
    let what =
        format!("cluster `{}` is {} and has no address to connect to", facts.name, facts.status);
    let fix = "wait until it is ACTIVE, then run the command again";
    Err(Report::new(Code::ClusterNotReady, what, fix))
}

/// Makes a cluster's file say what it must, and returns what was changed.
async fn write_file(
    world: &Arc<World>,
    alias: &str,
    facts: &ClusterFacts,
) -> Result<Vec<String>, Report> {
    let (server, certificate_authority) = way_in(facts)?;
    let path = world.kubeconfig_path(alias);
    let command = world.command.clone();
    let wanted = Wanted { alias: alias.to_owned(), server, certificate_authority, command };
    let locks = Locks::new(&world.paths.file_locks_dir);
    blocking(move || kubeconfigs::put_right(&path, &wanted, &locks))
        .await
        .map_err(|trouble| trouble.report)?
}

impl Agent {
    pub(super) fn cluster_wanted(&self, params: &ClusterAddParams) -> Result<Errand, Report> {
        let alias = params.alias.as_deref().unwrap_or(&params.name);
        check_alias(alias)?;
        self.known.chain(&params.profile)?;
        let describer = params.described_by.as_deref().unwrap_or(&params.profile);
        let chain = self.known.chain(describer)?;
        let region = params
            .region
            .clone()
            .or_else(|| chain.reach.region.clone())
            .or_else(|| self.world.default_region.clone())
            .ok_or_else(|| {
                Report::new(
                    Code::Usage,
                    format!("no region is known for cluster `{}`", printable(&params.name)),
                    "give `--region REGION`, or set `region` in the profile",
                )
            })?;
        if let Ok(other) = self.clusters.get(alias)
            && (other.name != params.name || other.region != region)
        {
            return Err(Report::new(
                Code::Usage,
                format!("`{alias}` is taken by cluster `{}` in {}", other.name, other.region),
                "give another name with `--alias`, or remove the other one first",
            ));
        }
        Ok(Errand {
            alias: alias.to_owned(),
            name: params.name.clone(),
            profile: params.profile.clone(),
            described_by: params.described_by.clone().filter(|other| *other != params.profile),
            role_arn: params.role_arn.clone(),
            proxy_url: params.proxy_url.clone(),
            reach: chain.reach.to_region(&region),
            region,
            known: None,
        })
    }

    pub(super) fn cluster_errands(&self, alias: Option<&str>) -> Result<Vec<Errand>, Report> {
        let chosen: Vec<&Cluster> = match alias {
            Some(alias) => vec![self.clusters.get(alias)?],
            None => self.clusters.all().collect(),
        };
        Ok(chosen.into_iter().map(|cluster| self.errand(cluster)).collect())
    }

    fn errand(&self, cluster: &Cluster) -> Errand {
        let reach = self.known.chain(cluster.describer()).map_or_else(
            |_| Reach::default().to_region(&cluster.region),
            |chain| chain.reach.to_region(&cluster.region),
        );
        Errand {
            alias: cluster.alias.clone(),
            name: cluster.name.clone(),
            profile: cluster.profile.clone(),
            described_by: cluster.described_by.clone(),
            role_arn: cluster.role_arn.clone(),
            proxy_url: cluster.proxy_url.clone(),
            region: cluster.region.clone(),
            known: Some(cluster.facts.clone()),
            reach,
        }
    }

    fn check_every(&self) -> Duration {
        self.world.settings.check_clusters_every.max(SHORTEST_CHECK)
    }

    fn is_used(&self, profile: &str, now: Timestamp) -> bool {
        let last = self.memory.last_used_at.get(profile);
        let until = last.and_then(|at| at.checked_add(self.policy.keep_warm).ok());
        until.is_some_and(|until| now < until)
    }

    /// Starts the comparisons that are due and returns when the next one is. Only clusters whose
    /// profile is in use are compared on the timer.
    pub(super) fn clusters_due(&mut self, now: Timestamp) -> Option<Timestamp> {
        let every = self.check_every();
        let mut next: Option<Timestamp> = None;
        let mut due = Vec::new();
        for cluster in self.clusters.all() {
            let view = self.view(cluster.describer());
            let can_ask = match view.phase {
                Phase::Static => true,
                _ => view.credentials_expire_at.is_some_and(|at| now < at),
            };
            if !can_ask || !self.is_used(&cluster.profile, now) {
                continue;
            }
            let planned = self.clusters.next_check.get(&cluster.alias).copied();
            let at = planned.or_else(|| cluster.checked_at?.checked_add(every).ok());
            match at {
                Some(at) if now < at => next = Some(next.map_or(at, |earlier| earlier.min(at))),
                _ => due.push(self.errand(cluster)),
            }
        }
        for errand in due {
            let again = now.checked_add(RETRY).unwrap_or(Timestamp::MAX);
            self.clusters.next_check.insert(errand.alias.clone(), again);
            next = Some(next.map_or(again, |earlier| earlier.min(again)));
            let (world, mailbox) = (self.world.clone(), self.mailbox.clone());
            self.workers.spawn(async move {
                // The failure is in the agent's books already.
                let _reported = errand.run(&world, &mailbox).await;
            });
        }
        next
    }

    pub(super) fn cluster_synced(
        &mut self,
        cluster: Cluster,
        was_known: bool,
        changes: &[String],
        reply: super::event::Reply<ClusterStatus>,
    ) {
        if was_known && let Err(report) = self.clusters.get(&cluster.alias) {
            // Forgotten meanwhile: its file must not come back.
            let _hung_up = reply.send(Err(report));
            let file = self.world.kubeconfig_path(&cluster.alias);
            self.scribe.keep_clusters(self.clusters.all(), Some(file), Box::new(drop));
            return;
        }
        for change in changes {
            tracing::info!(cluster = cluster.alias, change, "kubeconfig put right");
        }
        let every = self.check_every();
        let again = self.now().checked_add(every).unwrap_or(Timestamp::MAX);
        self.clusters.next_check.insert(cluster.alias.clone(), again);
        let status = self.cluster_status(&cluster);
        self.clusters.clusters.insert(cluster.alias.clone(), cluster);
        // Not registered before it is on disk: an agent that is killed now must still know it.
        let done = Box::new(move |kept: Result<(), Report>| {
            let _hung_up = reply.send(kept.map(|()| status));
        });
        self.scribe.keep_clusters(self.clusters.all(), None, done);
    }

    pub(super) fn cluster_failed(&mut self, alias: &str, report: Report) {
        tracing::warn!(cluster = alias, what = report.what, "cluster could not be compared");
        if let Some(cluster) = self.clusters.clusters.get_mut(alias) {
            // A cluster that AWS cannot be asked about has not drifted.
            let is_drift = matches!(report.code, Code::ClusterNotFound | Code::ClusterNotReady);
            if is_drift {
                cluster.drift = Some(report.what);
            }
        }
    }

    pub(super) fn cluster_remove(&mut self, alias: &str, reply: super::event::Reply<Empty>) {
        if let Err(report) = self.clusters.get(alias) {
            let _hung_up = reply.send(Err(report));
            return;
        }
        self.clusters.clusters.remove(alias);
        self.clusters.next_check.remove(alias);
        let file = self.world.kubeconfig_path(alias);
        let done = Box::new(move |gone: Result<(), Report>| {
            let _hung_up = reply.send(gone.map(|()| Empty {}));
        });
        self.scribe.keep_clusters(self.clusters.all(), Some(file), done);
    }

    /// Puts every file right from what is known, without asking AWS: at the start (eksd may have
    /// moved), and when a file was edited.
    pub(super) fn restore_kubeconfigs(&mut self) {
        for cluster in self.clusters.all().cloned().collect::<Vec<_>>() {
            let world = self.world.clone();
            self.workers.spawn(async move {
                match write_file(&world, &cluster.alias, &cluster.facts).await {
                    Ok(changes) => {
                        for change in changes {
                            tracing::info!(cluster = cluster.alias, change, "kubeconfig put right");
                        }
                    }
                    Err(report) => tracing::warn!(what = report.what, "kubeconfig not written"),
                }
            });
        }
    }
}

/// An alias is a file name, a kubectl context and a word in a prompt.
fn check_alias(alias: &str) -> Result<(), Report> {
    let is_fine = !alias.is_empty()
        && alias.len() <= 100
        && !alias.starts_with(['.', '-'])
        && alias.chars().all(|c| c.is_ascii_alphanumeric() || "._-@+".contains(c));
    if is_fine {
        return Ok(());
    }
    Err(Report::new(
        Code::Usage,
        format!("`{}` cannot be a cluster's alias", printable(alias)),
        "use letters, digits and `._-@+`, at most 100, not beginning with `.` or `-`",
    ))
}
