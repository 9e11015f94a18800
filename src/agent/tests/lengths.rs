//! How long sessions last, learned from those that ended; and whose they are.

use eksd_lab::{Script, What};

use super::bench::{Bench, CONFIG, minutes};
use crate::{
    ipc::wire::{Confidence, Phase},
    report::Code,
};

/// Logs in and works until the session is over. Returns after how many half hours.
async fn live_through(bench: &Bench) -> u32 {
    bench.login("corp").await;
    for half_hours in 0..200 {
        if bench.row("dev").await.phase == Phase::NeedsLogin {
            return half_hours;
        }
        let _soon_over = bench.credentials("dev").await;
        bench.pass(minutes(30)).await;
    }
    panic!("the session never ends");
}

#[tokio::test]
async fn two_sessions_that_end_alike_tell_the_length_of_the_third() {
    let mut bench = Bench::start().await;
    live_through(&bench).await;
    // One end may have been an administrator's act.
    bench.login("corp").await;
    assert_eq!(bench.row("dev").await.confidence, Confidence::Unknown);
    for _ in 0..17 {
        let _soon_over = bench.credentials("dev").await;
        bench.pass(minutes(30)).await;
    }
    assert_eq!(bench.row("dev").await.phase, Phase::NeedsLogin);
    // What was learned outlives the agent.
    bench.status().await;
    bench.stop().await;
    bench.start_again("").await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    let row = bench.row("dev").await;
    assert_eq!(row.confidence, Confidence::Estimated);
    let ends = row.good_until.unwrap();
    let lasts = ends.parse::<jiff::Timestamp>().unwrap().duration_since(bench.world().clock.now());
    assert_eq!(lasts, jiff::SignedDuration::from_hours(8));
    let clock = row.clocks.iter().find(|clock| clock.name == "SSO session").unwrap();
    assert_eq!(clock.source, "learned from earlier sessions");
}

#[tokio::test]
async fn revocations_and_logouts_teach_nothing() {
    let bench = Bench::start().await;
    for _ in 0..2 {
        // An administrator ends the sessions at different times.
        bench.login("corp").await;
        bench.credentials("dev").await.unwrap();
        bench.pass(minutes(30)).await;
        bench.lab.revoke(What::AccessTokens);
        bench.lab.revoke(What::RefreshTokens);
        bench.pass(minutes(30)).await;
        bench.until_phase("dev", Phase::NeedsLogin).await;
        bench.login("corp").await;
        for _ in 0..3 {
            bench.credentials("dev").await.unwrap();
            bench.pass(minutes(30)).await;
        }
        bench.logout("corp").await;
    }
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    assert_eq!(bench.row("dev").await.confidence, Confidence::Unknown);
}

#[tokio::test]
async fn a_setting_counts_before_what_was_learned() {
    let settings = "[sso-session.corp]\nlength = \"10h\"\n";
    let bench = Bench::start_with(CONFIG, settings, Script::default()).await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    let row = bench.row("dev").await;
    assert_eq!(row.good_until.as_deref(), Some("2026-03-02T18:00:00Z"));
    let clock = row.clocks.iter().find(|clock| clock.name == "SSO session").unwrap();
    assert_eq!(clock.source, "`length` in the settings");
}

#[tokio::test]
async fn a_login_says_who_it_was_and_costs_no_role_call_more() {
    let bench = Bench::start().await;
    let done = bench.login("dev").await;
    assert_eq!(done.person.as_deref(), Some("alice@example.com"));
    assert_eq!(done.was_person, None);
    bench.credentials("dev").await.unwrap();
    assert_eq!(bench.lab.count("GetRoleCredentials"), 1);
    assert_eq!(bench.lab.count("GetCallerIdentity"), 1);
}

#[tokio::test]
async fn another_person_on_the_same_session_is_named() {
    let bench = Bench::start().await;
    bench.login("dev").await;
    bench.lab.edit(|script| script.person = "mallory@example.com".into());
    bench.lab.revoke(What::AccessTokens);
    bench.lab.revoke(What::RefreshTokens);
    bench.pass(minutes(30)).await;
    bench.until_phase("dev", Phase::NeedsLogin).await;
    let done = bench.login("dev").await;
    assert_eq!(done.person.as_deref(), Some("mallory@example.com"));
    assert_eq!(done.was_person.as_deref(), Some("alice@example.com"));
    let status = bench.status().await;
    let report = status.reports.iter().find(|report| report.code == Code::AnotherPerson).unwrap();
    assert!(report.what.contains("mallory@example.com"), "{report:?}");
    // Whoever logs out begins anew.
    bench.logout("corp").await;
    bench.lab.edit(|script| script.person = "alice@example.com".into());
    let done = bench.login("dev").await;
    assert_eq!((done.person.as_deref(), done.was_person), (Some("alice@example.com"), None));
    assert!(bench.status().await.reports.is_empty());
}
