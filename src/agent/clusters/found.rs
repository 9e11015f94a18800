//! What follows from what AWS said about a cluster, and from a profile that is gone.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::{
    Synced,
    files::{Job, Purpose},
};
use crate::{
    agent::{event::Reply, owner::Agent},
    model::{
        cluster::{Cluster, Found, Kind, Part, compare},
        session::SessionKey,
    },
    report::{Code, Report},
};

/// What profiles come to: the session that their keys are of.
pub(in crate::agent) type Leaves = BTreeMap<String, SessionKey>;

/// Returns why a cluster cannot be used, if it cannot.
pub(super) fn report_of(cluster: &Cluster, file: &str) -> Option<Report> {
    let drift = cluster.drifts.all().find(|drift| drift.kind.part() == Part::Cluster)?;
    let code = match &drift.kind {
        Kind::Deleted | Kind::AnotherAccount { .. } => Code::ClusterNotFound,
        Kind::NotUsable { .. } => Code::ClusterNotReady,
        _ => return None,
    };
    let told = drift.told(cluster, file);
    let fix =
        told.fix.unwrap_or_else(|| format!("wait, then run `eksd cluster sync {}`", cluster.alias));
    Some(Report::new(code, format!("cluster `{}` {}", cluster.alias, told.what), fix))
}

impl Agent {
    /// AWS was asked about a cluster.
    pub(in crate::agent) fn cluster_found(
        &mut self,
        cluster: Cluster,
        is_new: bool,
        found: &Found,
        reply: Reply<Synced>,
    ) {
        let now = self.now();
        if is_new {
            self.add_found(cluster, found, reply);
            return;
        }
        let known = match self.clusters.get(&cluster.alias) {
            Ok(known) if known.is_same_registration(&cluster) => known.clone(),
            Ok(_) => {
                let _hung_up = reply.send(Err(registered_anew(&cluster.alias)));
                return;
            }
            Err(report) => {
                let _hung_up = reply.send(Err(report));
                return;
            }
        };
        let alias = known.alias.clone();
        let comparison = compare(&known.facts, found);
        for change in &comparison.changes {
            tracing::info!(cluster = alias, what = change.words(), "the cluster changed");
        }
        if !comparison.changes.is_empty() {
            self.forget_refusals(Some(&alias));
        }
        let before = self.wanted_file(&known);
        if let Some(entry) = self.clusters.by_alias.get_mut(&alias) {
            entry.facts = comparison.facts;
            entry.checked_at = Some(now);
        }
        match comparison.drift {
            Some(kind) => self.note_drift(&alias, kind),
            None => self.clear_drift(&alias, Part::Cluster),
        }
        self.check_again(&alias, now);
        self.end_fight(&alias);
        // The registry first: an agent that is killed now puts the file right when it starts again.
        let (kept, registry) = oneshot::channel();
        let done = Box::new(move |_: Result<(), Report>| {
            let _gone = kept.send(());
        });
        self.scribe.keep_clusters(self.clusters.all(), None, done);
        let purpose = Purpose::Compared { changes: comparison.changes, reply };
        self.write_file(&alias, Job { purpose, before, registry: Some(registry) });
    }

    fn add_found(&mut self, cluster: Cluster, found: &Found, reply: Reply<Synced>) {
        let Found::Cluster(facts) = found else {
            let _hung_up = reply.send(Err(registered_anew(&cluster.alias)));
            return;
        };
        // It may have been registered before, with another profile or proxy.
        let before = self.clusters.get(&cluster.alias).ok();
        let before = before.and_then(|before| self.wanted_file(before));
        let alias = cluster.alias.clone();
        let cluster = Cluster { facts: (**facts).clone(), checked_at: Some(self.now()), ..cluster };
        let purpose = Purpose::Added { cluster: Box::new(cluster), reply };
        self.write_file(&alias, Job { purpose, before, registry: None });
    }

    /// A cluster could not be compared. That is no drift: nothing is known about it.
    pub(in crate::agent) fn cluster_failed(alias: &str, report: &Report) {
        tracing::warn!(cluster = alias, what = report.what, "cluster could not be compared");
    }

    pub(super) fn note_drift(&mut self, alias: &str, kind: Kind) {
        let now = self.now();
        if let Some(cluster) = self.clusters.by_alias.get_mut(alias) {
            cluster.drifts.note(kind, now);
        }
    }

    pub(super) fn clear_drift(&mut self, alias: &str, part: Part) {
        if let Some(cluster) = self.clusters.by_alias.get_mut(alias) {
            cluster.drifts.clear(part);
        }
    }

    /// Refuses a token for a cluster that AWS no longer knows, or that names a profile which is gone:
    /// there nobody would take it, and kubectl would name another cause.
    pub(in crate::agent) fn check_not_gone(&self, cluster: &Cluster) -> Result<(), Report> {
        for drift in cluster.drifts.all() {
            let code = match &drift.kind {
                Kind::ProfileGone { profile, .. } if *profile == cluster.profile => {
                    Code::UnknownProfile
                }
                Kind::Deleted => Code::ClusterNotFound,
                _ => continue,
            };
            let told = drift.told(cluster, &self.file_of(&cluster.alias));
            let what = match code {
                Code::UnknownProfile => format!("cluster `{}`: {}", cluster.alias, told.what),
                _ => format!("cluster `{}` {}", cluster.alias, told.what),
            };
            return Err(Report::new(code, what, told.fix.unwrap_or_default()));
        }
        Ok(())
    }

    /// Returns what the profiles come to that clusters need.
    pub(in crate::agent) fn leaves(&self) -> Leaves {
        let leaf = |name: &str| Some(self.known.profile(name)?.specs.last()?.key.clone());
        self.known
            .in_file_order()
            .into_iter()
            .filter_map(|(name, _)| Some((name.to_string(), leaf(name.as_str())?)))
            .collect()
    }

    /// Compares the profiles that clusters need with those there are. `before` is what profiles came
    /// to until now: one that is gone may only have another name.
    pub(in crate::agent) fn follow_profiles(&mut self, before: &Leaves) {
        let now = self.now();
        let leaves = self.leaves();
        let mut is_news = false;
        for cluster in self.clusters.by_alias.values_mut() {
            let needed = [Some(&cluster.profile), cluster.described_by.as_ref()];
            let is_there = |name: &str| self.known.profile(name).is_some();
            let gone = needed.into_iter().flatten().find(|name| !is_there(name)).cloned();
            let had = cluster.drifts.of(Part::Profile).cloned();
            match (gone, had) {
                (None, Some(_)) => cluster.drifts.clear(Part::Profile),
                (None, None) => continue,
                // Which one it is like was to be seen at that moment only.
                (Some(gone), Some(Kind::ProfileGone { profile, .. })) if profile == gone => {
                    continue;
                }
                (Some(gone), _) => {
                    let was = before.get(&gone);
                    let mut like = leaves
                        .iter()
                        .filter(|(name, leaf)| Some(*leaf) == was && !before.contains_key(*name));
                    let like = like.next().filter(|_| like.next().is_none());
                    let like = like.map(|(name, _)| name.clone());
                    cluster.drifts.note(Kind::ProfileGone { profile: gone, like }, now);
                }
            }
            is_news = true;
        }
        if is_news {
            self.keep_clusters();
        }
    }

    /// Drops news about clusters that has been shown for long enough.
    pub(in crate::agent) fn forget_old_news(&mut self) {
        let now = self.now();
        let mut forgot = false;
        for cluster in self.clusters.by_alias.values_mut() {
            forgot |= cluster.drifts.forget_old_news(now);
        }
        if forgot {
            self.keep_clusters();
        }
    }
}

fn registered_anew(alias: &str) -> Report {
    Report::new(
        Code::Usage,
        format!("cluster `{alias}` was registered anew meanwhile"),
        "run the command again",
    )
}
