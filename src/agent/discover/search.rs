//! The questions: whose account is it, and which clusters are there.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{sync::OnceCell, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{Found, survey::Chosen};
use crate::{
    agent::event::{Ask, Event, Mailbox, Patience},
    aws::{AwsError, ClusterPage, Kind},
    ipc::wire::NotListed,
    model::{
        Credentials, Reach,
        discovery::{Asker, Place},
    },
    report::{Code, Report},
    world::World,
};

/// Questions that are under way at once; how fast they go out is the pace's business.
const MOST_AT_ONCE: usize = 8;

/// How long a profile's credentials may take; a helper program has half a minute.
const CREDENTIALS_LIMIT: Duration = Duration::from_secs(40);

/// How often the same question is asked where AWS asks to slow down.
const TRIES: usize = 3;

/// A page has a hundred names; nobody has more than ten thousand clusters in a region.
const MOST_PAGES: usize = 100;

/// Runs the jobs, at most [`MOST_AT_ONCE`] at a time. Returns whether all of them ran to their end.
pub(super) async fn side_by_side<T: Send + 'static>(
    jobs: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
    stop: &CancellationToken,
    mut done: impl FnMut(T),
) -> bool {
    let mut jobs = jobs.into_iter();
    // Dropped, it ends what is under way.
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < MOST_AT_ONCE
            && let Some(job) = jobs.next()
        {
            under_way.spawn(job);
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return under_way.is_empty(),
            ended = under_way.join_next() => match ended {
                Some(Ok(result)) => done(result),
                Some(Err(error)) => tracing::error!(%error, "a question panicked"),
                None => return true,
            },
        }
    }
}

/// What the questions share.
pub(super) struct Search {
    pub(super) world: Arc<World>,
    pub(super) mailbox: Mailbox,
    pub(super) chosen: Vec<Chosen>,
    /// Those of each profile that was asked as, or why there are none.
    pub(super) credentials: Vec<OnceCell<Result<Credentials, Report>>>,
}

/// What was said about one place.
pub(super) struct Asked {
    pub(super) place: Place,
    /// Who was told, and what.
    pub(super) names: Option<(usize, BTreeSet<String>)>,
    /// Who was not.
    pub(super) errors: Vec<(usize, AwsError)>,
    /// How many were asked.
    pub(super) tried: usize,
}

impl Search {
    pub(super) fn profile(&self, at: usize) -> &str {
        &self.chosen[at].profile
    }

    /// Returns a profile's credentials; asked for once. No use of it: it is not kept warm afterwards.
    pub(super) async fn credentials(&self, at: usize) -> Option<&Credentials> {
        let ask = async || {
            let profile = self.profile(at);
            let ask = Ask { is_use: false, ..Ask::new(profile, Patience::Some) };
            let asked = self.mailbox.ask(|reply| Event::Credentials { ask, reply });
            timeout(CREDENTIALS_LIMIT, asked).await.unwrap_or_else(|_| {
                let what = format!("there are no credentials of profile `{profile}` yet");
                let fix = "try again in a moment; `eksd status` shows how it goes";
                Err(Report::new(Code::Unreachable, what, fix))
            })
        };
        self.credentials[at].get_or_init(ask).await.as_ref().ok()
    }

    /// Returns a row for each profile that turned out to have no credentials.
    pub(super) fn without_credentials(&self) -> Vec<NotListed> {
        let reports = self.credentials.iter().enumerate().filter_map(|(at, cell)| {
            let report = cell.get()?.as_ref().err()?.clone();
            Some(NotListed { profile: self.profile(at).to_owned(), region: None, report })
        });
        reports.collect()
    }

    /// Finds out the accounts that no configuration names. A profile of which nobody learns it reaches
    /// no place.
    pub(super) async fn askers(
        self: &Arc<Self>,
        stop: &CancellationToken,
        found: &mut Found,
    ) -> Vec<Asker> {
        let mut askers: Vec<Asker> = self
            .chosen
            .iter()
            .map(|chosen| Asker {
                profile: chosen.profile.clone(),
                account: chosen.account.clone().unwrap_or_default(),
                regions: if chosen.account.is_some() { chosen.regions.clone() } else { Vec::new() },
            })
            .collect();
        let unknown = (0..askers.len()).filter(|at| self.chosen[*at].account.is_none());
        let jobs = unknown.map(|at| {
            let search = self.clone();
            async move { (at, search.account(at).await) }
        });
        let is_whole = side_by_side(jobs, stop, |(at, account)| match account {
            Some(Ok(account)) => {
                askers[at].account = account;
                askers[at].regions.clone_from(&self.chosen[at].regions);
            }
            Some(Err(error)) => {
                let profile = self.profile(at).to_owned();
                let report = error.report(&profile);
                found.not_listed.push(NotListed { profile, region: None, report });
            }
            // Without credentials; that has a row of its own.
            None => {}
        })
        .await;
        found.stopped |= !is_whole;
        askers
    }

    async fn account(&self, at: usize) -> Option<Result<String, AwsError>> {
        let credentials = self.credentials(at).await?;
        if let Some(account) = &credentials.account_id {
            return Some(Ok(account.clone()));
        }
        let Chosen { reach, regions, .. } = &self.chosen[at];
        let reach = regions.first().map_or(reach.clone(), |region| reach.to_region(region));
        self.world.pace.wait().await;
        let identity = self.world.aws.caller_identity(&reach, credentials).await;
        Some(identity.map(|identity| identity.account))
    }

    /// Asks one profile after the other until one is told.
    pub(super) async fn ask_about(self: Arc<Self>, place: Place) -> Asked {
        let mut asked = Asked { place, names: None, errors: Vec::new(), tried: 0 };
        for at in asked.place.askers.clone() {
            asked.tried += 1;
            let Some(credentials) = self.credentials(at).await else { continue };
            let reach = self.chosen[at].reach.to_region(&asked.place.region);
            match self.list(&reach, credentials).await {
                Ok(names) => {
                    asked.names = Some((at, names));
                    break;
                }
                Err(error) => {
                    let is_for_all = is_for_all(&error);
                    asked.errors.push((at, error));
                    if is_for_all {
                        break;
                    }
                }
            }
        }
        asked
    }

    async fn list(
        &self,
        reach: &Reach,
        credentials: &Credentials,
    ) -> Result<BTreeSet<String>, AwsError> {
        let mut names = BTreeSet::new();
        let mut next: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let page = self.page(reach, credentials, next.as_deref()).await?;
            names.extend(page.names);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        Ok(names)
    }

    async fn page(
        &self,
        reach: &Reach,
        credentials: &Credentials,
        after: Option<&str>,
    ) -> Result<ClusterPage, AwsError> {
        let mut tries = 1;
        loop {
            self.world.pace.wait().await;
            let page = self.world.aws.clusters_page(reach, credentials, after).await;
            match page {
                Err(error) if error.kind == Kind::Throttled => {
                    self.world.pace.ease().await;
                    if TRIES <= tries {
                        return Err(error);
                    }
                    tries += 1;
                }
                page => return page,
            }
        }
    }
}

/// Returns whether another profile would meet the same at that place.
fn is_for_all(error: &AwsError) -> bool {
    error.kind.is_unreachable()
        || matches!(error.kind, Kind::RegionDisabled | Kind::Throttled | Kind::ClockSkew { .. })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_at_a_time() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs = (0..40).map(|_| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                most.fetch_max(1 + now.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                sleep(Duration::from_secs(1)).await;
                now.fetch_sub(1, Ordering::SeqCst);
            }
        });
        let began = tokio::time::Instant::now();
        let mut done = 0;
        assert!(side_by_side(jobs, &CancellationToken::new(), |()| done += 1).await);
        assert_eq!((done, most.load(Ordering::SeqCst)), (40, MOST_AT_ONCE));
        assert_eq!(began.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn enough_is_enough() {
        let stop = CancellationToken::new();
        let jobs = (0..40).map(|_| sleep(Duration::from_secs(1)));
        let mut done = 0;
        let is_whole = side_by_side(jobs, &stop, |()| {
            done += 1;
            if done == 12 {
                stop.cancel();
            }
        })
        .await;
        assert_eq!((is_whole, done), (false, 12));
    }
}
