//! Discovery: which clusters there are, over profiles and regions.
//!
//! The agent's task says who can be asked ([`Survey`]); the questions go out beside it, a few at a
//! time. What one profile was told of an account's region, no other is asked for.

mod answer;
mod search;
mod survey;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{
    sync::{OnceCell, mpsc},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

pub(super) use self::survey::Survey;
use self::{
    answer::Known,
    search::{Asked, Search, side_by_side},
};
use super::event::{Event, Mailbox};
use crate::{
    aws::AwsError,
    ipc::wire::{ClusterDiscoverParams, DiscoverProgress, Discovered, NotListed},
    model::discovery::{Place, places},
    report::Report,
    world::World,
};

/// How long the whole search may take: some three thousand calls.
const LIMIT: Duration = Duration::from_mins(5);

/// Looks for clusters until all places are asked about, it takes too long, or somebody has enough.
pub(super) async fn discover(
    world: Arc<World>,
    mailbox: Mailbox,
    params: ClusterDiscoverParams,
    news: mpsc::UnboundedSender<DiscoverProgress>,
    enough: CancellationToken,
) -> Result<Discovered, Report> {
    let signer = params.authenticate_with.clone();
    let survey = mailbox.ask(|reply| Event::ClusterSurvey { params, reply }).await?;
    let search = Arc::new(Search {
        credentials: survey.chosen.iter().map(|_| OnceCell::new()).collect(),
        chosen: survey.chosen,
        world,
        mailbox,
    });
    let stop = enough.child_token();
    let _over = stop.clone().drop_guard();
    let clock = stop.clone();
    // Ends with the guard.
    tokio::spawn(async move {
        tokio::select! {
            () = clock.cancelled() => {}
            () = sleep(LIMIT) => clock.cancel(),
        }
    });
    let mut found = Found { not_listed: survey.refused, ..Found::default() };
    let askers = search.askers(&stop, &mut found).await;
    let places = places(&askers);
    found.places = places.len();
    found.spared = places.iter().map(|place| place.askers.len()).sum();
    found.tell(&news);
    let jobs = places.into_iter().map(|place| search.clone().ask_about(place));
    let is_whole = side_by_side(jobs, &stop, |asked| {
        found.take(asked);
        found.tell(&news);
    })
    .await;
    found.stopped |= !is_whole;
    found.not_listed.extend(search.without_credentials());
    let known = Known { registered: &survey.registered, signer: signer.as_deref() };
    Ok(search.put_together(found, &known, &stop).await)
}

/// What is known so far.
#[derive(Default)]
struct Found {
    told: Vec<(Place, usize, BTreeSet<String>)>,
    errors: Vec<(String, usize, AwsError)>,
    not_listed: Vec<NotListed>,
    asked: usize,
    places: usize,
    spared: usize,
    stopped: bool,
}

impl Found {
    fn take(&mut self, asked: Asked) {
        self.asked += 1;
        self.spared -= asked.tried;
        let region = asked.place.region.clone();
        self.errors.extend(asked.errors.into_iter().map(|(at, it)| (region.clone(), at, it)));
        match asked.names {
            Some((teller, names)) => self.told.push((asked.place, teller, names)),
            // Nobody was told: what was not asked was not spared.
            None => self.spared -= asked.place.askers.len() - asked.tried,
        }
    }

    fn tell(&self, news: &mpsc::UnboundedSender<DiscoverProgress>) {
        let _hung_up = news.send(DiscoverProgress {
            asked: self.asked,
            of: self.places,
            clusters: self.told.iter().map(|(_, _, names)| names.len()).sum(),
            refused: self.not_listed.len() + self.errors.len(),
        });
    }
}
