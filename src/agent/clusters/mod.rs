//! Registered clusters: their kubeconfig files are kept equal to what `DescribeCluster` says.
//!
//! The registry belongs to the agent's task. Asking AWS and writing a file is an [`Errand`], which
//! runs beside it and comes back as an event.

mod errand;
mod timer;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub(super) use self::errand::Errand;
use self::errand::write_file;
use super::{event::Reply, owner::Agent};
use crate::{
    ipc::wire::{ClusterAddParams, ClusterStatus, Empty},
    model::{
        Reach,
        cluster::Cluster,
        text::{near_miss, printable},
    },
    report::{Code, Report},
};

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

    pub(super) fn cluster_synced(
        &mut self,
        cluster: Cluster,
        was_known: bool,
        changes: &[String],
        reply: Reply<ClusterStatus>,
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

    pub(super) fn cluster_remove(&mut self, alias: &str, reply: Reply<Empty>) {
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
