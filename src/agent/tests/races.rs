//! A login, a logout, a renewal and another tool at the same time.

use std::time::Duration;

use eksd_lab::{Act, Approval, Fault, Lifetimes, Script, What};
use tokio::sync::mpsc::UnboundedReceiver;

use super::bench::{Bench, CONFIG, minutes};
use crate::{
    agent::{
        event::{Event, LoginNews},
        shared,
    },
    aws::{Grant, TokenRequest},
    ipc::wire::{Flow, LoginDone, Phase},
    model::{LoginKey, Reach, SsoLogin, session::SessionKey},
    report::{Code, Report},
    store::sso_cache::SsoCache,
};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";

fn corp() -> SsoLogin {
    SsoLogin {
        key: LoginKey::Named("corp".into()),
        start_url: "https://corp.awsapps.com/start".to_owned(),
        scopes: vec!["sso:account:access".to_owned()],
        reach: Reach::default().to_region("eu-west-1"),
    }
}

fn key() -> SessionKey {
    SessionKey::Login(corp().key)
}

/// Logs in as another tool does, and leaves the token in the shared cache, without a word to the agent.
async fn another_tool_logs_in(bench: &Bench, person: &str) {
    bench.lab.edit(|script| {
        person.clone_into(&mut script.person);
        script.approval = Approval::Auto;
    });
    let (aws, login) = (&bench.world().aws, corp());
    let registration = aws.register_client(&login, Grant::Device).await.unwrap();
    let device = aws.start_device_authorization(&login, &registration).await.unwrap();
    let request = TokenRequest::DeviceCode { device_code: device.device_code };
    let token = aws.create_token(&login.reach, &registration, &request).await.unwrap();
    SsoCache::new(&bench.paths).write(&login.key, &login, &token).unwrap();
}

/// Lets the agent see what the token file says now.
async fn look(bench: &Bench) {
    let found = shared::read(bench.world(), &key()).unwrap().map(Box::new);
    bench.mailbox.send(Event::CacheRead { key: key(), found });
    bench.status().await;
}

/// What does not come soon does not come at all.
async fn soon<F: Future>(wanted: F) -> F::Output {
    let answer = tokio::time::timeout(Duration::from_secs(10), wanted).await;
    answer.expect("an answer within ten seconds")
}

async fn person(bench: &Bench) -> Option<String> {
    bench.row("dev").await.root.unwrap().person
}

async fn until_person(bench: &Bench, person: &str) {
    let is_it = |row: &crate::ipc::wire::ProfileStatus| {
        row.root.as_ref().is_some_and(|root| root.person.as_deref() == Some(person))
    };
    soon(bench.until(|status| status.profiles.iter().any(is_it))).await;
}

/// How often a refresh token was used.
fn renewals(bench: &Bench) -> usize {
    let calls = bench.lab.calls_of("CreateToken");
    calls.iter().filter(|call| call.grant.as_deref() == Some("refresh_token")).count()
}

/// A renewal that takes a while, and then goes its way.
fn slow_renewal() -> Fault {
    Fault::delay("CreateToken", 2000).grant("refresh_token")
}

/// Moves the clocks and waits until the renewal of the token is at AWS.
async fn renewal_under_way(bench: &Bench, after: Duration) {
    let before = bench.lab.count("CreateToken");
    bench.advance(after);
    soon(bench.lab.called("CreateToken", before + 1)).await;
    assert!(0 < bench.status().await.agent.refreshing);
}

async fn opened(news: &mut UnboundedReceiver<LoginNews>) {
    match soon(news.recv()).await.expect("news") {
        LoginNews::Open(_) => {}
        other => panic!("not an address: {other:?}"),
    }
}

async fn over(news: &mut UnboundedReceiver<LoginNews>) -> Result<LoginDone, Report> {
    match soon(news.recv()).await.expect("news") {
        LoginNews::Over(result) => result,
        other => panic!("not over: {other:?}"),
    }
}

/// The person does not come to the browser before [`eksd_lab::Lab::approve_all`].
fn nobody_approves(bench: &Bench) {
    bench.lab.edit(|script| script.approval = Approval::Manual);
}

#[tokio::test]
async fn keys_of_one_person_are_not_served_to_the_next() {
    let bench = Bench::start().await;
    assert_eq!(bench.login("dev").await.person.as_deref(), Some(ALICE));
    let old = bench.credentials("dev").await.unwrap();
    another_tool_logs_in(&bench, BOB).await;
    look(&bench).await;
    assert_ne!(person(&bench).await.as_deref(), Some(ALICE));
    assert_ne!(bench.credentials_at_once("dev").await.ok().as_ref(), Some(&old));
    assert_ne!(soon(bench.credentials("dev")).await.unwrap(), old);
    until_person(&bench, BOB).await;
    let reports = bench.status().await.reports;
    assert!(reports.iter().any(|it| it.code == Code::AnotherPerson), "{reports:?}");
}

#[tokio::test]
async fn keys_made_with_those_of_one_person_are_not_served_to_the_next() {
    let config = format!(
        "{CONFIG}\n[profile aside]\nrole_arn = arn:aws:iam::444455556666:role/aside\n\
         source_profile = readonly\nregion = eu-west-1\n"
    );
    let mut script = Script::default();
    script
        .roles
        .insert("arn:aws:iam::444455556666:role/aside".to_owned(), eksd_lab::Role::default());
    let bench = Bench::start_with(&config, "", script).await;
    bench.login("dev").await;
    let old = bench.credentials("aside").await.unwrap();
    another_tool_logs_in(&bench, BOB).await;
    look(&bench).await;
    assert_ne!(bench.credentials_at_once("aside").await.ok().as_ref(), Some(&old));
    assert_ne!(soon(bench.credentials("aside")).await.unwrap(), old);
}

#[tokio::test]
async fn keys_of_one_person_are_not_served_to_the_next_who_logs_in_here() {
    let bench = Bench::start().await;
    bench.login("dev").await;
    bench.credentials("dev").await.unwrap();
    let old = bench.credentials("readonly").await.unwrap();
    bench.advance(minutes(10));
    // The session of before is not ended: what it brought is good for everybody but the next.
    bench.lab.queue(Fault::new("Logout", Act::Drop).times(-1));
    bench.lab.edit(|script| BOB.clone_into(&mut script.person));
    let mut news = bench.begin_login("dev", Flow::DeviceCode, true);
    opened(&mut news).await;
    let done = over(&mut news).await.unwrap();
    assert_eq!((done.person.as_deref(), done.was_person.as_deref()), (Some(BOB), Some(ALICE)));
    assert_ne!(bench.credentials_at_once("readonly").await.ok().as_ref(), Some(&old));
    assert_ne!(soon(bench.credentials("readonly")).await.unwrap(), old);
    // What the same person had stays, and so does what the new one got.
    let keys = bench.credentials("dev").await.unwrap();
    bench.advance(minutes(1));
    let mut news = bench.begin_login("readonly", Flow::DeviceCode, true);
    opened(&mut news).await;
    assert_eq!(over(&mut news).await.unwrap().was_person, None);
    assert_eq!(bench.credentials("dev").await.unwrap(), keys);
}

#[tokio::test]
async fn the_own_renewal_forgets_nothing() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    // Not due together with the token.
    bench.advance(minutes(20));
    let keys = bench.credentials("dev").await.unwrap();
    until_person(&bench, ALICE).await;
    bench.pass(minutes(10)).await;
    assert_eq!(renewals(&bench), 1);
    look(&bench).await;
    assert_eq!(person(&bench).await.as_deref(), Some(ALICE));
    assert_eq!(bench.credentials("dev").await.unwrap(), keys);
    assert_eq!(bench.lab.count("GetRoleCredentials"), 1);
    assert_eq!(bench.lab.count("GetCallerIdentity"), 1);
}

#[tokio::test]
async fn a_token_of_another_person_that_a_renewal_finds_is_no_renewal() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.advance(minutes(20));
    let old = bench.credentials("dev").await.unwrap();
    until_person(&bench, ALICE).await;
    // Nobody sees the file change; the renewal reads it.
    another_tool_logs_in(&bench, BOB).await;
    bench.pass(minutes(10)).await;
    assert_eq!(renewals(&bench), 0);
    assert_ne!(soon(bench.credentials("dev")).await.unwrap(), old);
    until_person(&bench, BOB).await;
}

#[tokio::test]
async fn a_token_that_is_made_from_that_of_another_person_is_theirs() {
    let lifetimes = Lifetimes { role_credentials: 12 * 3600, ..Lifetimes::default() };
    let bench = Bench::start_with(CONFIG, "", Script { lifetimes, ..Script::default() }).await;
    bench.login("corp").await;
    bench.advance(minutes(20));
    let old = bench.credentials("dev").await.unwrap();
    until_person(&bench, ALICE).await;
    another_tool_logs_in(&bench, BOB).await;
    // The machine sleeps, until that token has ended, too.
    bench.pass(minutes(90)).await;
    assert_eq!(renewals(&bench), 1);
    assert_ne!(soon(bench.credentials("dev")).await.unwrap(), old);
    until_person(&bench, BOB).await;
}

#[tokio::test]
async fn a_file_that_changes_during_a_renewal_does_not_abort_it() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.advance(minutes(20));
    let keys = bench.credentials("dev").await.unwrap();
    until_person(&bench, ALICE).await;
    bench.lab.queue(slow_renewal());
    renewal_under_way(&bench, minutes(10)).await;
    another_tool_logs_in(&bench, BOB).await;
    look(&bench).await;
    assert_eq!(person(&bench).await.as_deref(), Some(ALICE));
    let is_over = |status: &crate::ipc::wire::StatusAnswer| status.agent.refreshing == 0;
    soon(bench.until(is_over)).await;
    look(&bench).await;
    // The renewal came last, and what it wrote is what everybody has.
    assert_eq!(bench.token_json()["expiresAt"], "2026-03-02T09:30:00Z");
    let row = bench.row("dev").await;
    let root = row.root.unwrap();
    assert_eq!(root.access_token_expires_at.as_deref(), Some("2026-03-02T09:30:00Z"));
    assert_eq!((row.phase, root.person.as_deref()), (Phase::Fresh, Some(ALICE)));
    assert_eq!(bench.credentials("dev").await.unwrap(), keys);
    assert_eq!(renewals(&bench), 1);
}

#[tokio::test]
async fn a_file_that_changed_during_a_renewal_is_read_after_it() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.advance(minutes(20));
    bench.credentials("dev").await.unwrap();
    until_person(&bench, ALICE).await;
    let fault = Fault::status("CreateToken", 503, "ServiceUnavailable").grant("refresh_token");
    bench.lab.queue(Fault { delay_ms: 1500, ..fault.times(-1) });
    renewal_under_way(&bench, minutes(10)).await;
    another_tool_logs_in(&bench, BOB).await;
    look(&bench).await;
    assert_eq!(person(&bench).await.as_deref(), Some(ALICE));
    // The renewal fails, and then the file counts.
    until_person(&bench, BOB).await;
    assert_eq!(bench.row("dev").await.phase, Phase::Fresh);
}

#[tokio::test]
async fn a_file_that_changed_during_a_login_is_read_after_it() {
    let bench = Bench::start().await;
    nobody_approves(&bench);
    let mut news = bench.begin_login("dev", Flow::DeviceCode, false);
    opened(&mut news).await;
    another_tool_logs_in(&bench, BOB).await;
    look(&bench).await;
    assert_eq!(bench.row("dev").await.phase, Phase::NeedsLogin);
    assert!(news.try_recv().is_err(), "the login was not overtaken");
    drop(news);
    bench.mailbox.send(Event::LoginLeft);
    soon(bench.until(|status| status.profiles[0].phase != Phase::NeedsLogin)).await;
    assert!(bench.credentials("dev").await.is_ok());
    until_person(&bench, BOB).await;
}

#[tokio::test]
async fn who_waits_for_a_renewal_to_log_in_logs_in_after_a_logout() {
    let bench = Bench::start().await;
    bench.login("dev").await;
    bench.credentials("dev").await.unwrap();
    let first = bench.token_json();
    nobody_approves(&bench);
    bench.lab.queue(slow_renewal());
    // Past the end of the token: whether a person is needed, the renewal tells.
    renewal_under_way(&bench, minutes(61)).await;
    let mut news = bench.begin_login("corp", Flow::DeviceCode, false);
    bench.status().await;
    assert!(news.try_recv().is_err(), "it waits");
    soon(bench.logout("corp")).await;
    opened(&mut news).await;
    // What the renewal would have brought does not come back: it was given up.
    assert_eq!(bench.status().await.agent.refreshing, 0);
    look(&bench).await;
    assert!(!bench.token_file().exists());
    assert_eq!(bench.row("dev").await.phase, Phase::NeedsLogin);
    assert_eq!(bench.credentials("dev").await.unwrap_err().code, Code::NeedsLogin);
    // The lab's clock stands still, and it would find the next question too early.
    bench.advance(Duration::from_secs(2));
    bench.lab.approve_all();
    assert!(!over(&mut news).await.unwrap().already);
    assert!(soon(bench.credentials("dev")).await.is_ok());
    assert_ne!(bench.token_json()["refreshToken"], first["refreshToken"]);
}

#[tokio::test]
async fn the_last_minutes_of_keys_whose_session_is_over_are_given_at_once() {
    let bench = Bench::start().await;
    bench.login("dev").await;
    let keys = bench.credentials("dev").await.unwrap();
    bench.lab.revoke(What::AccessTokens);
    bench.lab.revoke(What::RefreshTokens);
    bench.advance(minutes(50));
    bench.until_phase("dev", Phase::NeedsLogin).await;
    let asked = tokio::time::timeout(Duration::from_secs(1), bench.credentials("dev"));
    assert_eq!(asked.await.expect("an answer at once").unwrap(), keys);
    bench.pass(minutes(10)).await;
    assert_eq!(soon(bench.credentials("dev")).await.unwrap_err().code, Code::NeedsLogin);
}

#[tokio::test]
async fn another_start_url_or_region_is_another_session() {
    for (from, to) in [
        ("https://corp.awsapps.com/start", "https://other.awsapps.com/start"),
        ("sso_region = eu-west-1", "sso_region = eu-central-1"),
    ] {
        let bench = Bench::start().await;
        bench.login("dev").await;
        bench.credentials("dev").await.unwrap();
        bench.write_config(&CONFIG.replace(from, to));
        soon(bench.until_phase("dev", Phase::NeedsLogin)).await;
        // The file under that name is still the one of before.
        look(&bench).await;
        let row = bench.row("dev").await;
        assert_eq!((row.phase, row.credentials_expire_at), (Phase::NeedsLogin, None), "{to}");
        assert_eq!(row.root.unwrap().person, None, "{to}");
        assert_eq!(bench.credentials("dev").await.unwrap_err().code, Code::NeedsLogin, "{to}");
        // A change elsewhere in the file is none of the session's business.
        assert!(!bench.login("dev").await.already);
        let keys = bench.credentials("dev").await.unwrap();
        bench.write_config(&(CONFIG.replace(from, to) + "\n[profile more]\nregion = r\n"));
        soon(bench.until(|it| it.profiles.iter().any(|row| row.profile == "more"))).await;
        look(&bench).await;
        assert_eq!(bench.credentials("dev").await.unwrap(), keys);
    }
}

#[tokio::test]
async fn a_forced_login_given_up_leaves_nothing_good() {
    let bench = Bench::start().await;
    bench.login("dev").await;
    bench.credentials("dev").await.unwrap();
    nobody_approves(&bench);
    let mut given_up = bench.begin_login("dev", Flow::DeviceCode, true);
    opened(&mut given_up).await;
    assert_eq!(bench.lab.count("Logout"), 1);
    drop(given_up);
    bench.mailbox.send(Event::LoginLeft);
    look(&bench).await;
    let row = bench.row("dev").await;
    assert_eq!((row.phase, row.root.unwrap().person), (Phase::NeedsLogin, None));
    assert_eq!(bench.credentials("dev").await.unwrap_err().code, Code::NeedsLogin);

    // What the one given up still says is not for the next one.
    let mut next = bench.begin_login("dev", Flow::DeviceCode, false);
    opened(&mut next).await;
    let late = Report::new(Code::LoginTimeout, "nobody finished", "again");
    bench.mailbox.send(Event::LoginEnded { key: key(), number: 2, result: Err(late) });
    bench.status().await;
    assert!(next.try_recv().is_err(), "the next one goes on");
    bench.lab.approve_all();
    assert!(!over(&mut next).await.unwrap().already);
    assert!(bench.credentials("dev").await.is_ok());
    // Neither is word of the session before.
    let mark = crate::model::Secret::new("the token of before");
    bench.mailbox.send(Event::SessionEnded { key: key(), mark });
    assert_ne!(bench.row("dev").await.phase, Phase::NeedsLogin);
    assert!(bench.credentials("dev").await.is_ok());
}

#[tokio::test]
async fn a_session_that_was_being_ended_when_the_person_left_is_not_good() {
    let bench = Bench::start().await;
    bench.login("dev").await;
    bench.credentials("dev").await.unwrap();
    nobody_approves(&bench);
    bench.lab.queue(Fault::delay("Logout", 500));
    let given_up = bench.begin_login("dev", Flow::DeviceCode, true);
    soon(bench.lab.called("Logout", 1)).await;
    drop(given_up);
    bench.mailbox.send(Event::LoginLeft);
    soon(bench.until_phase("dev", Phase::NeedsLogin)).await;
    assert_eq!(bench.credentials("dev").await.unwrap_err().code, Code::NeedsLogin);
}

#[tokio::test]
async fn a_session_that_could_not_be_ended_stays() {
    let bench = Bench::start().await;
    bench.login("dev").await;
    bench.credentials("dev").await.unwrap();
    nobody_approves(&bench);
    bench.lab.queue(Fault::new("Logout", Act::Drop).times(-1));
    let mut given_up = bench.begin_login("dev", Flow::DeviceCode, true);
    opened(&mut given_up).await;
    drop(given_up);
    bench.mailbox.send(Event::LoginLeft);
    look(&bench).await;
    assert_eq!(bench.row("dev").await.phase, Phase::Fresh);
    assert!(bench.credentials("dev").await.is_ok());
}

#[tokio::test]
async fn a_logout_with_a_token_past_its_end_renews_it_to_end_the_session() {
    let lifetimes = Lifetimes { session: 30 * 24 * 3600, ..Lifetimes::default() };
    let script = Script { lifetimes, ..Script::default() };
    let bench = Bench::start_with(CONFIG, "", script).await;
    bench.login("corp").await;
    // A weekend: nothing is kept warm, and the access token has ended.
    bench.pass(minutes(60 * 60)).await;
    let before = renewals(&bench);
    let done = soon(bench.logout("corp")).await;
    assert_eq!((&done.ended[0].not_told, &done.ended[0].not_wiped), (&None, &None));
    assert_eq!(renewals(&bench), before + 1);
    let status: Vec<_> = bench.lab.calls_of("Logout").iter().map(|call| call.status).collect();
    assert_eq!(status, [Some(200)]);
    assert!(!bench.token_file().exists());
    assert_eq!(bench.row("dev").await.phase, Phase::NeedsLogin);
}
