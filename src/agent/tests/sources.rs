//! Where else credentials come from: programs, web identities, places around the agent.

use std::os::unix::fs::PermissionsExt as _;

use eksd_lab::Script;

use super::bench::{Bench, at, minutes};
use crate::{
    agent::{
        event::{Event, LoginNews},
        watcher::Change,
    },
    ipc::wire::{Flow, Phase},
    report::Code,
};

#[track_caller]
fn put(path: impl AsRef<std::path::Path>, text: impl AsRef<[u8]>) {
    crate::store::atomic::write(path.as_ref(), text.as_ref()).unwrap();
}

/// A program that counts how often it is run and prints keys that end at 09:00.
const HELPER: &str = r#"#!/bin/sh
echo run >>"$HOME/runs"
[ -e "$HOME/broken" ] && { echo "no session: run corp-login" >&2; exit 1; }
printf '{"Version": 1, "AccessKeyId": "ASIAPROCESS000000001", "SecretAccessKey": "s", '
printf '"SessionToken": "t", "Expiration": "%s"}' "$(cat "$HOME/ends")"
"#;

async fn with_helper(config: &str) -> Bench {
    let bench = Bench::start_with("[profile other]\nregion = r\n", "", Script::default()).await;
    let helper = bench.paths.home.join("helper");
    put(&helper, HELPER);
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    put(bench.paths.home.join("ends"), "2026-03-02T09:00:00Z");
    bench.write_config(&config.replace("HELPER", helper.to_str().unwrap()));
    bench.until(|status| status.profiles.iter().any(|row| row.profile == "p")).await;
    bench
}

fn runs(bench: &Bench) -> usize {
    std::fs::read_to_string(bench.paths.home.join("runs")).map_or(0, |text| text.lines().count())
}

const PROCESS: &str = "[profile p]\ncredential_process = HELPER\nregion = eu-west-1\n";

#[tokio::test]
async fn a_program_is_run_when_somebody_asks_and_renewed_ahead() {
    let bench = with_helper(PROCESS).await;
    assert_eq!((bench.row("p").await.phase, runs(&bench)), (Phase::Idle, 0));
    let keys = bench.credentials("p").await.unwrap();
    assert_eq!(keys.expires_at, Some(at("09:00:00")));
    bench.credentials("p").await.unwrap();
    assert_eq!(runs(&bench), 1);
    put(bench.paths.home.join("ends"), "2026-03-02T10:00:00Z");
    bench.pass(minutes(30)).await;
    let keys = bench.credentials("p").await.unwrap();
    assert_eq!((keys.expires_at, runs(&bench)), (Some(at("10:00:00")), 2));
    assert_eq!(bench.row("p").await.root.unwrap().kind, "process");
}

#[tokio::test]
async fn a_program_that_fails_loses_nothing_that_is_good() {
    let bench = with_helper(PROCESS).await;
    bench.credentials("p").await.unwrap();
    put(bench.paths.home.join("broken"), "");
    bench.pass(minutes(40)).await;
    let row = bench.until_phase("p", Phase::Degraded).await;
    let report = row.report.unwrap();
    assert!(report.why.iter().any(|why| why.contains("run corp-login")), "{report:?}");
    assert!(bench.credentials("p").await.is_ok());
    bench.pass(minutes(20)).await;
    assert!(bench.credentials_at_once("p").await.is_err());
    std::fs::remove_file(bench.paths.home.join("broken")).unwrap();
    put(bench.paths.home.join("ends"), "2026-03-02T11:00:00Z");
    bench.pass(minutes(6)).await;
    assert!(bench.credentials("p").await.is_ok());
}

#[tokio::test]
async fn keys_without_an_end_are_asked_for_anew() {
    let config = "[profile p]\ncredential_process = echo run >>\"$HOME/runs\"; \
                  echo '{\"Version\": 1, \"AccessKeyId\": \"ASIAENDLESS000000001\", \"SecretAccessKey\": \"s\", \"SessionToken\": \"t\"}'\n";
    let bench = with_helper(config).await;
    assert_eq!(bench.credentials("p").await.unwrap().expires_at, None);
    let row = bench.row("p").await;
    assert_eq!(row.credentials_expire_at, None);
    assert!(row.clocks.iter().any(|clock| clock.source.contains("names no end")), "{row:?}");
    bench.pass(minutes(30)).await;
    assert_eq!(runs(&bench), 2);
}

#[tokio::test]
async fn another_command_is_another_session() {
    let bench = with_helper(PROCESS).await;
    bench.credentials("p").await.unwrap();
    bench.write_config("[profile p]\ncredential_process = echo '{}'\n");
    bench
        .until(|status| status.profiles.iter().all(|row| row.credentials_expire_at.is_none()))
        .await;
    let report = bench.credentials("p").await.unwrap_err();
    assert!(report.what.contains("credential_process"), "{report:?}");
}

#[tokio::test]
async fn roles_are_assumed_with_what_a_program_prints() {
    let bench = with_helper(&format!(
        "{PROCESS}[profile r]\nrole_arn = arn:aws:iam::111122223333:role/dev\nsource_profile = p\nregion = eu-west-1\n"
    ))
    .await;
    // The lab does not know these keys, and says so: the program is asked once more, then believed.
    assert!(bench.credentials("r").await.is_err());
    assert_eq!(bench.row("r").await.cap.as_deref(), Some("chained, 1 h cap"));
    assert_eq!(runs(&bench), 2);
}

const GUARDED: &str = "\
[profile alice]
aws_access_key_id = AKIALABALICE00000001
aws_secret_access_key = SECRET
[profile p]
role_arn = arn:aws:iam::444455556666:role/prod-admin
source_profile = alice
mfa_serial = arn:aws:iam::111122223333:mfa/alice
mfa_process = cat \"$HOME/code\"
region = eu-west-1
";

#[tokio::test]
async fn a_device_with_a_command_needs_nobody() {
    let secret = Script::default().users["AKIALABALICE00000001"].secret.clone();
    let bench = with_helper(&GUARDED.replace("SECRET", &secret)).await;
    // What the device will show then.
    let show = |later: i64| {
        bench.lab.advance(later);
        put(bench.paths.home.join("code"), bench.lab.totp("alice") + "\n");
        bench.lab.advance(-later);
    };
    show(0);
    assert_eq!(bench.row("p").await.phase, Phase::Idle);
    bench.credentials("p").await.unwrap();
    assert_eq!(bench.lab.count("GetSessionToken"), 1);
    // Renewed ahead, like everything that needs nobody.
    for _ in 0..12 {
        bench.credentials("p").await.unwrap();
        show(1800);
        bench.pass(minutes(30)).await;
    }
    bench.lab.called("GetSessionToken", 2).await;
    assert!(bench.notices().is_empty());
    // `eksd login` begins it without a question, too.
    bench.logout("p").await;
    show(30);
    bench.advance(std::time::Duration::from_secs(30));
    let mut news = bench.begin_login("p", Flow::Auto, false);
    match news.recv().await.unwrap() {
        LoginNews::Over(result) => assert!(result.is_ok(), "{result:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_command_that_prints_no_code_says_so() {
    let secret = Script::default().users["AKIALABALICE00000001"].secret.clone();
    let bench = with_helper(&GUARDED.replace("SECRET", &secret)).await;
    put(bench.paths.home.join("code"), "locked");
    let report = bench.credentials("p").await.unwrap_err();
    assert!(report.what.contains("mfa_process"), "{report:?}");
    assert_ne!(report.code, Code::Internal);
    assert_eq!(bench.lab.count("*"), 0);
}

#[tokio::test]
async fn logged_out_of_a_device_with_a_command_stays_out_until_somebody_asks() {
    let secret = Script::default().users["AKIALABALICE00000001"].secret.clone();
    let mut bench = with_helper(&GUARDED.replace("SECRET", &secret)).await;
    put(bench.paths.home.join("code"), bench.lab.totp("alice") + "\n");
    let old = bench.credentials("p").await.unwrap();
    let is_kept =
        |_: &_| std::fs::read_to_string(&bench.paths.state).is_ok_and(|it| it.contains("\"p\""));
    bench.until(is_kept).await;
    bench.logout("p").await;
    let calls = bench.lab.count("*");
    for _ in 0..4 {
        let row = bench.row("p").await;
        assert_eq!((row.phase, row.credentials_expire_at), (Phase::Idle, None));
        assert!(bench.lab.count("*") == calls, "begun anew by itself");
        bench.pass(minutes(10)).await;
    }
    // A change of the file wakes nothing, and a restart does not either.
    bench.mailbox.send(Event::Changed(Change::Files));
    bench.pass(minutes(1)).await;
    bench.stop().await;
    bench.start_again("").await;
    bench.pass(minutes(1)).await;
    assert_eq!(bench.row("p").await.phase, Phase::Idle);
    assert_eq!(bench.lab.count("*"), calls);
    // Whoever asks has it begun anew, with nothing of before.
    put(bench.paths.home.join("code"), bench.lab.totp("alice") + "\n");
    assert_ne!(bench.credentials("p").await.unwrap(), old);
    assert_eq!(bench.lab.count("GetSessionToken"), 2);
}

#[tokio::test]
async fn logged_out_of_a_program_stays_out_until_somebody_asks() {
    let bench = with_helper(PROCESS).await;
    bench.credentials("p").await.unwrap();
    let done = bench.logout("p").await;
    assert_eq!(done.ended[0].still_valid[0].profile, "p");
    for _ in 0..7 {
        let row = bench.row("p").await;
        assert_eq!((row.phase, row.credentials_expire_at), (Phase::Idle, None));
        bench.pass(minutes(10)).await;
    }
    assert_eq!(runs(&bench), 1);
    put(bench.paths.home.join("ends"), "2026-03-02T11:00:00Z");
    assert_eq!(bench.credentials("p").await.unwrap().expires_at, Some(at("11:00:00")));
    assert_eq!(runs(&bench), 2);
}
