//! A question for what is held changes nothing: nobody is told, and no cluster is gone through.

use super::bench::{Bench, minutes};
use crate::{
    agent::event::Event,
    ipc::wire::{Empty, UseParams},
};

/// More than what a login leaves behind.
const MOST_ROUNDS: u32 = 50;

#[tokio::test]
async fn asking_again_is_no_news() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    let mut changes = bench.mailbox.ask(|reply| Event::Subscribe { reply }).await.unwrap();
    let uses = || async {
        let params = UseParams { profile: Some("dev".to_owned()), cluster: None };
        let used = bench.mailbox.ask(|reply| Event::Use { params, reply }).await;
        assert_eq!(used.unwrap(), Empty {});
    };
    // What the login and the first question began still comes in, but some round is without news.
    let mut is_quiet = false;
    for _ in 0..MOST_ROUNDS {
        changes.mark_unchanged();
        bench.credentials("dev").await.unwrap();
        uses().await;
        bench.status().await;
        is_quiet |= !changes.has_changed().unwrap();
    }
    assert!(is_quiet);
    // Another one that was not in use is, and so is the first one when it was left for long.
    bench.credentials("readonly").await.unwrap();
    assert!(changes.has_changed().unwrap());
    bench.clock.advance(minutes(24 * 60));
    bench.until(|_| true).await;
    changes.mark_unchanged();
    uses().await;
    bench.status().await;
    assert!(changes.has_changed().unwrap());
}
