//! When clusters are compared: on a timer, those that are in use.

use std::time::Duration;

use jiff::Timestamp;

use crate::{agent::owner::Agent, model::status::Phase};

/// After a failed comparison the next try waits this long, unless somebody asks.
const RETRY: Duration = Duration::from_mins(15);

/// However short the setting: more often would be a load on AWS for nothing.
const SHORTEST_CHECK: Duration = Duration::from_mins(1);

impl Agent {
    pub(super) fn check_every(&self) -> Duration {
        self.world.settings.check_clusters_every.max(SHORTEST_CHECK)
    }

    fn is_used(&self, profile: &str, now: Timestamp) -> bool {
        let last = self.memory.last_used_at.get(profile);
        let until = last.and_then(|at| at.checked_add(self.policy.keep_warm).ok());
        until.is_some_and(|until| now < until)
    }

    /// Starts the comparisons that are due and returns when the next one is. Only clusters whose
    /// profile is in use are compared on the timer.
    pub(in crate::agent) fn clusters_due(&mut self, now: Timestamp) -> Option<Timestamp> {
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
}
