//! Registered clusters: their kubeconfig files are kept equal to what `DescribeCluster` says.
//!
//! The registry belongs to the agent's task. Asking AWS is an [`Errand`], writing a file a job of
//! `files`; both run beside it and come back as events.

mod errand;
mod files;
mod found;
mod timer;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub(super) use self::errand::{Errand, rows};
use self::files::{Fights, Jobs, Look};
use super::{event::Reply, owner::Agent, scribe::Without};
use crate::{
    ipc::wire::{ClusterAddParams, ClusterRenameParams, ClusterStatus, Empty},
    model::{
        ClusterFacts, Reach,
        cluster::{Cluster, Drifts, check_alias, check_proxy_url},
        text::{near_miss, printable},
    },
    report::{Code, Report},
};

/// The registered clusters, by alias.
#[derive(Debug, Default)]
pub(crate) struct Clusters {
    by_alias: BTreeMap<String, Cluster>,
    /// When each is compared next.
    next_check: BTreeMap<String, Timestamp>,
    /// When each was suspect last.
    suspected_at: BTreeMap<String, Timestamp>,
    /// Those that are suspect now.
    suspects: BTreeSet<String>,
    /// Files to be written.
    jobs: Jobs,
    /// How often files were put back lately.
    fights: Fights,
    look: Look,
    /// Whether to look again when everything is written.
    looks_after: bool,
}

/// A cluster that was compared, and what was changed, in words.
pub(super) type Synced = (ClusterStatus, Vec<String>);

impl Clusters {
    /// Takes over what was registered before.
    pub(crate) fn new(clusters: impl IntoIterator<Item = Cluster>) -> Self {
        let by_alias =
            clusters.into_iter().map(|cluster| (cluster.alias.clone(), cluster)).collect();
        Self { by_alias, ..Self::default() }
    }

    /// Returns a cluster by its alias.
    pub(super) fn get(&self, alias: &str) -> Result<&Cluster, Report> {
        self.by_alias.get(alias).ok_or_else(|| {
            let near = near_miss(alias, self.by_alias.keys().map(String::as_str));
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
        self.by_alias.values()
    }

    /// Refuses an alias that is taken.
    fn check_free(&self, alias: &str) -> Result<(), Report> {
        let Some(other) = self.by_alias.get(alias) else { return Ok(()) };
        Err(taken_by(other, "choose another name, or remove the other one first"))
    }

    /// Refuses a registration whose alias is another cluster's. The same one may be registered again, with
    /// another profile or proxy; of its name there may be one in each account.
    fn check_registration(&self, cluster: &Cluster) -> Result<(), Report> {
        let Some(other) = self.by_alias.get(&cluster.alias) else { return Ok(()) };
        let arns = [&other.facts.arn, &cluster.facts.arn];
        let is_same = other.name == cluster.name
            && other.region == cluster.region
            && (arns[0] == arns[1] || arns.iter().any(|arn| arn.is_empty()));
        if is_same {
            return Ok(());
        }
        Err(taken_by(other, "give another name with `--alias`, or remove the other one first"))
    }

    /// Forgets everything about a cluster, but for the file that is being written.
    fn forget(&mut self, alias: &str) {
        self.by_alias.remove(alias);
        self.next_check.remove(alias);
        self.suspected_at.remove(alias);
        self.suspects.remove(alias);
        self.fights.remove(alias);
    }

    pub(super) fn aliases(&self) -> impl Iterator<Item = String> + '_ {
        self.by_alias.keys().cloned()
    }
}

impl Agent {
    pub(super) fn cluster_wanted(&self, params: &ClusterAddParams) -> Result<Errand, Report> {
        let alias = params.alias.as_deref().unwrap_or(&params.name);
        check_alias(alias)?;
        if let Some(url) = &params.proxy_url {
            check_proxy_url(url)?;
        }
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
        let cluster = Cluster {
            alias: alias.to_owned(),
            name: params.name.clone(),
            profile: params.profile.clone(),
            described_by: params.described_by.clone().filter(|other| *other != params.profile),
            role_arn: params.role_arn.clone(),
            proxy_url: params.proxy_url.clone(),
            facts: ClusterFacts::default(),
            checked_at: None,
            drifts: Drifts::default(),
            region,
        };
        self.clusters.check_registration(&cluster)?;
        let reach = chain.reach.to_region(&cluster.region);
        Ok(Errand { cluster, is_new: true, reach })
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
        Errand { cluster: cluster.clone(), is_new: false, reach }
    }

    pub(super) fn cluster_rename(&mut self, params: ClusterRenameParams, reply: Reply<Empty>) {
        let ClusterRenameParams { alias, to } = params;
        let checked = self
            .clusters
            .get(&alias)
            .map(drop)
            .and_then(|()| check_alias(&to))
            .and_then(|()| self.clusters.check_free(&to));
        match checked {
            Ok(()) => {
                let purpose = files::Purpose::Renamed { to, reply };
                self.write_file(&alias, files::Job { purpose, before: None, registry: None });
            }
            Err(report) => {
                let _hung_up = reply.send(Err(report));
            }
        }
    }

    pub(super) fn cluster_remove(&mut self, alias: &str, reply: Reply<Empty>) {
        if let Err(report) = self.clusters.get(alias) {
            let _hung_up = reply.send(Err(report));
            return;
        }
        self.clusters.forget(alias);
        let file = Without::First(self.world.kubeconfig_path(alias));
        let done = Box::new(move |gone: Result<(), Report>| {
            let _hung_up = reply.send(gone.map(|()| Empty {}));
        });
        self.scribe.keep_clusters(self.clusters.all(), Some(file), done);
    }
}

fn taken_by(other: &Cluster, fix: &str) -> Report {
    let account =
        other.facts.account().map(|account| format!(" of account {}", printable(account)));
    let what = format!(
        "`{}` is taken by cluster `{}` in {}{}",
        printable(&other.alias),
        printable(&other.name),
        printable(&other.region),
        account.unwrap_or_default()
    );
    Report::new(Code::Usage, what, fix)
}
