//! A question for what is held changes nothing: nobody is told, and no cluster is gone through.

use super::bench::{Bench, minutes};
use crate::{
    agent::event::Event,
    ipc::wire::{Empty, ProfileStatus, UseParams},
};

#[tokio::test]
async fn asking_again_is_no_news() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    // Who logged in is asked on the side.
    bench
        .until(|status| {
            let root = |row: &ProfileStatus| {
                row.profile == "dev" && row.root.as_ref().is_some_and(|root| root.person.is_some())
            };
            status.agent.refreshing == 0 && status.profiles.iter().any(root)
        })
        .await;
    let mut changes = bench.mailbox.ask(|reply| Event::Subscribe { reply }).await.unwrap();
    // Whatever is on its way has come when this is answered.
    bench.status().await;
    changes.mark_unchanged();
    let uses = || async {
        let params = UseParams { profile: Some("dev".to_owned()), cluster: None };
        let used = bench.mailbox.ask(|reply| Event::Use { params, reply }).await;
        assert_eq!(used.unwrap(), Empty {});
    };
    for _ in 0..3 {
        bench.credentials("dev").await.unwrap();
        uses().await;
    }
    bench.status().await;
    assert!(!changes.has_changed().unwrap());
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
