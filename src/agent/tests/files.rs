//! The AWS files change under the agent.

use super::bench::{Bench, CONFIG};
use crate::{ipc::wire::Phase, report::Code};

#[tokio::test]
async fn a_new_profile_is_seen_and_a_removed_one_is_forgotten() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    bench.write_config(&CONFIG.replace("[profile dev]", "[profile renamed]"));
    bench.until(|status| status.profiles[0].profile == "renamed").await;
    assert!(bench.credentials("renamed").await.is_ok());
    let report = bench.credentials("dev").await.unwrap_err();
    assert_eq!(report.code, Code::UnknownProfile);
    // `hop` has lost its source.
    assert_eq!(bench.row("hop").await.phase, Phase::Misconfigured);
    // The same account and role: nothing was fetched again.
    assert_eq!(bench.lab.count("GetRoleCredentials"), 1);
}

#[tokio::test]
async fn a_broken_line_costs_only_itself_and_is_named() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    // The header of `dev` is broken: its last good version stays in use.
    bench.write_config(&CONFIG.replace("[profile dev]", "[profile dev"));
    let status = bench.until(|status| !status.reports.is_empty()).await;
    assert!(status.reports.iter().all(|report| report.code == Code::ConfigBroken));
    assert!(status.reports[0].what.contains("config:6"), "{:?}", status.reports[0]);
    assert!(bench.credentials("dev").await.is_ok());
    assert!(bench.credentials("readonly").await.is_ok());
    // Mended: nothing is left to say.
    bench.write_config(CONFIG);
    bench.until(|status| status.reports.is_empty()).await;
    assert!(bench.credentials("dev").await.is_ok());
}

#[tokio::test]
async fn a_profile_that_is_deleted_beside_an_old_mistake_is_gone() {
    let broken = format!("nonsense\n{CONFIG}");
    let bench = Bench::start_with(&broken, "", eksd_lab::Script::default()).await;
    bench.login("corp").await;
    bench.credentials("readonly").await.unwrap();
    let without = broken.replace("[profile readonly]", "[profile other]");
    bench.write_config(&without);
    bench.until(|status| status.profiles.iter().any(|row| row.profile == "other")).await;
    assert_eq!(bench.credentials("readonly").await.unwrap_err().code, Code::UnknownProfile);
}

#[tokio::test]
async fn a_lost_profile_stays_in_use_through_further_edits() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    let broken = CONFIG.replace("[profile dev]", "[profile dev");
    bench.write_config(&broken);
    bench.until(|status| !status.reports.is_empty()).await;
    bench.write_config(&broken.replace("[profile readonly]", "[profile other]"));
    bench.until(|status| status.profiles.iter().any(|row| row.profile == "other")).await;
    assert!(bench.credentials("dev").await.is_ok());
}

#[tokio::test]
async fn a_config_that_goes_and_comes_back_has_lost_no_login() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.write_config("[profile other]\nregion = eu-west-1\n");
    bench.until(|status| status.profiles.len() == 1).await;
    bench.write_config(CONFIG);
    bench.until(|status| status.profiles.len() == 4).await;
    bench.until(|status| status.profiles[0].phase != Phase::NeedsLogin).await;
    assert!(bench.credentials("dev").await.is_ok());
    assert_eq!(bench.lab.count("CreateToken"), 1);
}

#[tokio::test]
async fn an_editor_that_truncates_first_deletes_nothing() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    bench.write_config("");
    bench.status().await;
    bench.write_config(CONFIG);
    bench.status().await;
    assert!(bench.credentials("dev").await.is_ok());
    assert_eq!(bench.lab.count("GetRoleCredentials"), 1);
}

#[tokio::test]
async fn a_near_miss_is_named() {
    let bench = Bench::start().await;
    let report = bench.credentials("redaonly").await.unwrap_err();
    assert_eq!(
        (report.code, report.fix.as_str()),
        (Code::UnknownProfile, "did you mean `readonly`?")
    );
}
