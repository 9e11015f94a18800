//! When clusters are compared: on a timer, those that are in use; soon, one that is suspect.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    agent::owner::Agent,
    model::{
        cluster::{Cluster, Kind, Part, timing},
        session::span,
        status::Phase,
    },
};

/// After a failed comparison the next try waits this long, unless somebody asks; so does a cluster
/// that is on its way into another state.
const RETRY: Duration = Duration::from_mins(15);

/// However short the setting: more often would be a load on AWS for nothing.
const SHORTEST_CHECK: Duration = Duration::from_mins(1);

/// A suspect cluster is compared after this: what made it suspect is often over by then.
const SUSPICION: Duration = Duration::from_secs(30);

/// A cluster is suspect once in this time, however many clients are refused.
const SUSPECT_AGAIN: Duration = Duration::from_mins(5);

/// An appointment that was missed by more than this, over a night without credentials or while the machine
/// slept, is made anew: three hundred clusters whose profile is used again do not come at once.
const MISSED: Duration = Duration::from_mins(5);

impl Agent {
    fn check_every(&self) -> Duration {
        self.world.settings.check_clusters_every.max(SHORTEST_CHECK)
    }

    fn is_used(&self, profile: &str, now: Timestamp) -> bool {
        let last = self.memory.last_used_at.get(profile);
        let until = last.and_then(|at| at.checked_add(self.policy.keep_warm).ok());
        until.is_some_and(|until| now < until)
    }

    fn about(&self, length: Duration, now: Timestamp) -> Timestamp {
        timing::about(length, now, (self.world.random)())
    }

    /// Makes the next appointment of a cluster that was compared.
    pub(super) fn check_again(&mut self, alias: &str, now: Timestamp) {
        let is_moving = self.clusters.get(alias).is_ok_and(|cluster| {
            matches!(cluster.drifts.of(Part::Cluster), Some(Kind::NotUsable { status })
                if status != "FAILED")
        });
        let at = self.about(if is_moving { RETRY } else { self.check_every() }, now);
        self.clusters.next_check.insert(alias.to_owned(), at);
        self.clusters.suspects.remove(alias);
    }

    /// Brings the next comparison of a cluster forward, since something about it looks wrong: a client
    /// was refused with a good token, or somebody wrote another address into its file. Cheap, and no matter how often it is called.
    pub(in crate::agent) fn suspect_cluster(&mut self, alias: &str) {
        let now = self.now();
        let last = self.clusters.suspected_at.get(alias).copied();
        if self.clusters.get(alias).is_err()
            || last.is_some_and(|last| last <= now && span(last, now) < SUSPECT_AGAIN)
        {
            return;
        }
        tracing::info!(cluster = alias, "a cluster is suspect; it is compared soon");
        self.clusters.suspected_at.insert(alias.to_owned(), now);
        let soon = now.checked_add(SUSPICION).unwrap_or(Timestamp::MAX);
        let at = self.clusters.next_check.entry(alias.to_owned()).or_insert(soon);
        *at = soon.min(*at);
        // Somebody uses it right now, whatever is known of its profile.
        self.clusters.suspects.insert(alias.to_owned());
        self.is_news = true;
    }

    /// Starts the comparisons that are due and returns when the next one is. Only clusters whose
    /// profile is in use, and those that are suspect, are compared on the timer, and only with
    /// credentials that are held anyway.
    pub(in crate::agent) fn clusters_due(&mut self, now: Timestamp) -> Option<Timestamp> {
        if !self.world.is_daemon() {
            // One request: only what it asks for is its business.
            return None;
        }
        let mut appointments: Vec<(String, Timestamp)> = Vec::new();
        for cluster in self.clusters.all() {
            let is_suspect = self.clusters.suspects.contains(&cluster.alias);
            let is_meant = is_suspect || self.is_used(&cluster.profile, now);
            if is_meant && self.can_describe(cluster, now) {
                let planned = self.clusters.next_check.get(&cluster.alias).copied();
                let planned = planned.filter(|at| is_suspect || span(*at, now) < MISSED);
                let at = planned.unwrap_or_else(|| {
                    let dice = (self.world.random)();
                    timing::first_check(cluster.checked_at, self.check_every(), now, dice)
                });
                appointments.push((cluster.alias.clone(), at));
            }
        }
        let mut next: Option<Timestamp> = None;
        for (alias, mut at) in appointments {
            if at <= now {
                self.compare_now(&alias);
                at = self.about(RETRY, now);
            }
            self.clusters.next_check.insert(alias, at);
            next = Some(next.map_or(at, |earlier| earlier.min(at)));
        }
        next
    }

    fn can_describe(&self, cluster: &Cluster, now: Timestamp) -> bool {
        let view = self.view(cluster.describer());
        match view.phase {
            Phase::Static => true,
            _ => view.credentials_expire_at.is_some_and(|at| now < at),
        }
    }

    fn compare_now(&mut self, alias: &str) {
        let Ok(cluster) = self.clusters.get(alias) else { return };
        let errand = self.errand(cluster);
        let (world, mailbox) = (self.world.clone(), self.mailbox.clone());
        self.workers.spawn(async move {
            // The failure is in the agent's books already.
            let _reported = errand.run(&world, &mailbox).await;
        });
    }
}
