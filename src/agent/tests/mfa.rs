//! MFA: one session for all roles of a device, one prompt for all who ask, no code twice.

use eksd_lab::{Fault, Script};

use super::bench::{Bench, at, minutes};
use crate::{
    agent::event::{Ask, Event, LoginNews, Patience},
    ipc::wire::{Confidence, Flow, LoginAsk, LoginDone, LoginParams, MfaCode, Phase},
    model::session::SessionKey,
    report::{Code, Report},
};

const GUARDED: &str = "\
[profile alice]
aws_access_key_id = AKIALABALICE00000001
aws_secret_access_key = SECRET
region = eu-west-1

[profile guarded]
role_arn = arn:aws:iam::444455556666:role/prod-admin
source_profile = alice
mfa_serial = arn:aws:iam::111122223333:mfa/alice
duration_seconds = 7200
region = eu-west-1

[profile second]
role_arn = arn:aws:iam::111122223333:role/second
source_profile = alice
mfa_serial = arn:aws:iam::111122223333:mfa/alice
region = eu-west-1

[profile further]
role_arn = arn:aws:iam::111122223333:role/dev
source_profile = guarded
region = eu-west-1
";

async fn bench(settings: &str) -> Bench {
    let script = Script::default();
    let secret = script.users["AKIALABALICE00000001"].secret.clone();
    Bench::start_with(&GUARDED.replace("SECRET", &secret), settings, script).await
}

type News = tokio::sync::mpsc::UnboundedReceiver<LoginNews>;

async fn asked(news: &mut News) -> (SessionKey, LoginAsk) {
    match news.recv().await.expect("news") {
        LoginNews::Code(wanted) => (wanted.key, wanted.ask),
        other => panic!("not asked for a code: {other:?}"),
    }
}

async fn over(news: &mut News) -> Result<LoginDone, Report> {
    match news.recv().await.expect("news") {
        LoginNews::Over(result) => result,
        other => panic!("not over: {other:?}"),
    }
}

fn give(bench: &Bench, key: &SessionKey, code: &str) {
    let (key, code) = (key.clone(), MfaCode::new(code));
    bench.mailbox.send(Event::LoginCode { key, code });
}

/// Logs in with the code that the device shows now.
async fn log_in(bench: &Bench, name: &str) -> LoginDone {
    let mut news = bench.begin_login(name, Flow::Auto, false);
    let (key, _) = asked(&mut news).await;
    give(bench, &key, &bench.lab.totp("alice"));
    over(&mut news).await.unwrap()
}

#[tokio::test]
async fn one_code_serves_every_role_of_the_device() {
    let bench = bench("").await;
    assert_eq!(bench.row("guarded").await.phase, Phase::NeedsMfa);
    let done = log_in(&bench, "guarded").await;
    assert_eq!(done.session, "arn:aws:iam::111122223333:mfa/alice");
    assert_eq!(done.good_until.as_deref(), Some("2026-03-02T20:00:00Z"));
    assert_eq!(done.confidence, Confidence::Exact);
    for profile in ["guarded", "second", "further"] {
        // Made with temporary keys: an hour, whatever the profile asks for.
        let keys = bench.credentials(profile).await.unwrap();
        assert_eq!(keys.expires_at, Some(at("09:00:00")), "{profile}");
        let row = bench.row(profile).await;
        assert_eq!((row.phase, row.cap.as_deref()), (Phase::Fresh, Some("chained, 1 h cap")));
        assert_eq!(row.good_until.as_deref(), Some("2026-03-02T20:00:00Z"));
    }
    assert_eq!(bench.lab.count("GetSessionToken"), 1);
    // The keys renew by themselves for as long as the session lives.
    for _ in 0..20 {
        bench.pass(minutes(30)).await;
        assert!(bench.credentials("guarded").await.is_ok());
    }
    assert_eq!(bench.lab.count("GetSessionToken"), 1);
}

#[tokio::test]
async fn the_end_of_the_session_is_told_ahead_and_named() {
    let bench = bench("").await;
    log_in(&bench, "guarded").await;
    bench.credentials("guarded").await.unwrap();
    for _ in 0..23 {
        bench.pass(minutes(30)).await;
        bench.credentials("guarded").await.unwrap();
    }
    assert_eq!(bench.row("guarded").await.phase, Phase::Expiring);
    let device = "MFA session of arn:aws:iam::111122223333:mfa/alice";
    assert_eq!(bench.notices(), [format!("{device} ends in 30 min")]);
    // A new code ahead of the end leaves no gap.
    assert!(!log_in(&bench, "guarded").await.already);
    assert_eq!(bench.row("guarded").await.phase, Phase::Fresh);
    assert_eq!(bench.notices(), ["withdrawn"]);
}

#[tokio::test]
async fn what_is_over_needs_a_code_and_nothing_asks_for_it() {
    let bench = bench("[mfa]\nsession_duration = \"15m\"\n").await;
    log_in(&bench, "guarded").await;
    bench.credentials("guarded").await.unwrap();
    bench.pass(minutes(15)).await;
    bench.until_phase("guarded", Phase::NeedsMfa).await;
    let calls = bench.lab.count("*");
    for _ in 0..8 {
        bench.pass(minutes(10)).await;
    }
    assert_eq!(bench.lab.count("*"), calls);
    assert_eq!(bench.credentials("guarded").await.unwrap_err().code, Code::NeedsMfa);
}

#[tokio::test]
async fn everybody_who_asks_shares_one_prompt() {
    let bench = bench("").await;
    let mut all: Vec<News> =
        (0..20).map(|_| bench.begin_login("guarded", Flow::Auto, false)).collect();
    all.push(bench.begin_login("second", Flow::Auto, false));
    let (key, _) = asked(&mut all[0]).await;
    bench.status().await;
    for news in &mut all[1..] {
        assert!(news.try_recv().is_err(), "asked twice");
    }
    give(&bench, &key, &bench.lab.totp("alice"));
    for news in &mut all {
        assert!(over(news).await.is_ok());
    }
    assert_eq!(bench.lab.count("GetSessionToken"), 1);
}

#[tokio::test]
async fn where_the_one_who_was_asked_hangs_up_the_next_is_asked() {
    let bench = bench("").await;
    let mut first = bench.begin_login("guarded", Flow::Auto, false);
    let mut second = bench.begin_login("second", Flow::Auto, false);
    asked(&mut first).await;
    drop(first);
    bench.mailbox.send(Event::LoginLeft);
    let (key, _) = asked(&mut second).await;
    give(&bench, &key, &bench.lab.totp("alice"));
    assert!(over(&mut second).await.is_ok());
}

#[tokio::test]
async fn a_code_is_not_given_twice() {
    let bench = bench("").await;
    let code = bench.lab.totp("alice");
    let mut news = bench.begin_login("guarded", Flow::Auto, false);
    let (key, ask) = asked(&mut news).await;
    assert_eq!((ask.wait_seconds, ask.refused), (0, None));
    give(&bench, &key, &code);
    over(&mut news).await.unwrap();
    // 08:00:00 begins a step of the device.
    bench.advance(std::time::Duration::from_secs(12));
    let mut news = bench.begin_login("guarded", Flow::Auto, true);
    let (key, ask) = asked(&mut news).await;
    assert_eq!(ask.wait_seconds, 18);
    give(&bench, &key, &code);
    let (_, ask) = asked(&mut news).await;
    let refused = ask.refused.unwrap();
    assert!(refused.what.contains("given already"), "{refused:?}");
    assert_eq!(refused.fix, "wait 18 s for the next code");
    assert_eq!(bench.lab.count("GetSessionToken"), 1);
    bench.advance(std::time::Duration::from_secs(18));
    give(&bench, &key, &bench.lab.totp("alice"));
    assert!(over(&mut news).await.is_ok());
    assert_eq!(bench.lab.count("GetSessionToken"), 2);
}

#[tokio::test]
async fn a_wrong_code_is_asked_for_again_and_not_for_ever() {
    let bench = bench("").await;
    let mut news = bench.begin_login("guarded", Flow::Auto, false);
    let (key, _) = asked(&mut news).await;
    give(&bench, &key, "12345");
    let (_, ask) = asked(&mut news).await;
    assert_eq!(ask.refused.unwrap().what, "an MFA code has six digits");
    assert_eq!(bench.lab.count("GetSessionToken"), 0);
    give(&bench, &key, "000000");
    let (_, ask) = asked(&mut news).await;
    assert_eq!((ask.refused.unwrap().code, ask.wait_seconds), (Code::NeedsMfa, 0));
    give(&bench, &key, "000001");
    assert_eq!(over(&mut news).await.unwrap_err().code, Code::NeedsMfa);
    // Nothing is left over: the next login asks anew.
    let mut news = bench.begin_login("guarded", Flow::Auto, false);
    asked(&mut news).await;
}

#[tokio::test]
async fn a_code_on_the_command_line_asks_nobody() {
    let bench = bench("").await;
    let with_code = |code: &str| {
        let (news, received) = tokio::sync::mpsc::unbounded_channel();
        let mfa_code = Some(MfaCode::new(code));
        let params =
            LoginParams { name: Some("guarded".into()), mfa_code, ..LoginParams::default() };
        bench.mailbox.send(Event::Login { params, news });
        received
    };
    let mut news = with_code("000000");
    assert_eq!(over(&mut news).await.unwrap_err().code, Code::NeedsMfa);
    let mut news = with_code(&bench.lab.totp("alice"));
    assert!(over(&mut news).await.is_ok());
}

#[tokio::test]
async fn a_role_that_wants_its_own_code_lasts_as_long_as_it_may() {
    let bench = bench("[profile.guarded]\nmfa = \"per-role\"\n").await;
    let done = log_in(&bench, "guarded").await;
    assert_eq!(done.good_until.as_deref(), Some("2026-03-02T10:00:00Z"));
    let keys = bench.credentials("guarded").await.unwrap();
    assert_eq!(keys.expires_at, Some(at("10:00:00")));
    assert_eq!((bench.lab.count("GetSessionToken"), bench.lab.count("AssumeRole")), (0, 1));
    assert_eq!(bench.row("guarded").await.cap, None);
    // The other role of the device is not touched by it.
    assert_eq!(bench.row("second").await.phase, Phase::NeedsMfa);
    // At its end a code is needed again; nothing renews it half way.
    bench.pass(minutes(90)).await;
    assert_eq!(bench.lab.count("AssumeRole"), 1);
    assert_eq!(bench.row("guarded").await.phase, Phase::Expiring);
    bench.pass(minutes(30)).await;
    bench.until_phase("guarded", Phase::NeedsMfa).await;
}

#[tokio::test]
async fn a_patient_caller_waits_for_the_login_under_way() {
    let bench = bench("").await;
    let mut news = bench.begin_login("guarded", Flow::Auto, false);
    let (key, _) = asked(&mut news).await;
    let impatient = bench.credentials("guarded").await;
    assert_eq!(impatient.unwrap_err().code, Code::NeedsMfa);
    let ask = Ask::new("guarded", Patience::Login);
    let mailbox = bench.mailbox.clone();
    let patient =
        tokio::spawn(async move { mailbox.ask(|reply| Event::Credentials { ask, reply }).await });
    bench.status().await;
    give(&bench, &key, &bench.lab.totp("alice"));
    assert!(over(&mut news).await.is_ok());
    assert!(patient.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_login_given_up_lets_the_patient_go() {
    let bench = bench("").await;
    let mut news = bench.begin_login("guarded", Flow::Auto, false);
    asked(&mut news).await;
    let ask = Ask::new("guarded", Patience::Login);
    let mailbox = bench.mailbox.clone();
    let patient =
        tokio::spawn(async move { mailbox.ask(|reply| Event::Credentials { ask, reply }).await });
    bench.status().await;
    drop(news);
    bench.mailbox.send(Event::LoginLeft);
    assert_eq!(patient.await.unwrap().unwrap_err().code, Code::NeedsMfa);
}

#[tokio::test]
async fn logging_out_wipes_the_session_and_names_what_lives_on() {
    let bench = bench("").await;
    log_in(&bench, "guarded").await;
    bench.credentials("guarded").await.unwrap();
    let done = bench.logout("guarded").await;
    let [ended] = done.ended.as_slice() else { panic!("{done:?}") };
    assert_eq!(ended.not_told, None);
    let [valid] = ended.still_valid.as_slice() else { panic!("{ended:?}") };
    assert_eq!((valid.profile.as_str(), valid.until.as_str()), ("guarded", "2026-03-02T09:00:00Z"));
    assert_eq!(bench.row("guarded").await.phase, Phase::NeedsMfa);
    assert_eq!(bench.credentials("guarded").await.unwrap_err().code, Code::NeedsMfa);
}

#[tokio::test]
async fn the_last_minutes_of_a_role_with_its_own_code_are_given_at_once() {
    let bench = bench("[profile.guarded]\nmfa = \"per-role\"\n").await;
    log_in(&bench, "guarded").await;
    let keys = bench.credentials("guarded").await.unwrap();
    bench.pass(minutes(110)).await;
    let wait = std::time::Duration::from_secs(1);
    let asked = tokio::time::timeout(wait, bench.credentials("guarded"));
    assert_eq!(asked.await.expect("an answer at once").unwrap(), keys);
    assert_eq!(bench.lab.count("AssumeRole"), 1);
}

#[tokio::test]
async fn logged_out_of_a_device_stays_logged_out() {
    let bench = bench("").await;
    log_in(&bench, "guarded").await;
    for profile in ["guarded", "second", "further"] {
        bench.credentials(profile).await.unwrap();
    }
    bench.logout("second").await;
    let calls = bench.lab.count("*");
    for _ in 0..3 {
        for profile in ["guarded", "second", "further"] {
            assert_eq!(bench.credentials(profile).await.unwrap_err().code, Code::NeedsMfa);
            let row = bench.row(profile).await;
            assert_eq!((row.phase, row.credentials_expire_at), (Phase::NeedsMfa, None));
        }
        bench.pass(minutes(10)).await;
    }
    assert_eq!(bench.lab.count("*"), calls);
}

/// A command that prints the codes of the device.
const PROCESS: &str =
    "mfa_serial = arn:aws:iam::111122223333:mfa/alice\nmfa_process = cat \"$HOME/code\"\n";

/// Gives the device a command, or takes it away, and waits until the agent knows.
async fn with_command(bench: &Bench, has_command: bool) {
    let secret = bench.lab.script().users["AKIALABALICE00000001"].secret.clone();
    let plain = GUARDED.replace("SECRET", &secret);
    let serial = "mfa_serial = arn:aws:iam::111122223333:mfa/alice\n";
    let text = if has_command { plain.replace(serial, PROCESS) } else { plain };
    let mark = format!("mark-{has_command}");
    bench.write_config(&format!("{text}[profile {mark}]\nregion = r\n"));
    bench.until(|it| it.profiles.iter().any(|row| row.profile == mark)).await;
}

/// What the command will print after a while.
fn show(bench: &Bench, later: i64) {
    bench.lab.advance(later);
    let code = bench.lab.totp("alice") + "\n";
    bench.lab.advance(-later);
    crate::store::atomic::write(&bench.paths.home.join("code"), code.as_bytes()).unwrap();
}

#[tokio::test]
async fn a_device_that_gets_a_command_needs_nobody_from_then_on() {
    let bench = bench("").await;
    assert_eq!(bench.row("guarded").await.phase, Phase::NeedsMfa);
    show(&bench, 0);
    with_command(&bench, true).await;
    assert_eq!(bench.row("guarded").await.phase, Phase::Idle);
    assert!(bench.credentials("guarded").await.is_ok());
    assert_eq!(bench.lab.count("GetSessionToken"), 1);
}

#[tokio::test]
async fn a_session_of_a_person_is_renewed_by_the_command_that_came_later() {
    let bench = bench("").await;
    log_in(&bench, "guarded").await;
    bench.credentials("guarded").await.unwrap();
    with_command(&bench, true).await;
    assert_eq!(bench.row("guarded").await.phase, Phase::Fresh);
    for _ in 0..12 {
        bench.credentials("guarded").await.unwrap();
        show(&bench, 1800);
        bench.pass(minutes(30)).await;
    }
    bench.lab.called("GetSessionToken", 2).await;
    assert_eq!(bench.lab.count("GetSessionToken"), 2);
    assert!(bench.notices().is_empty());
}

#[tokio::test]
async fn a_device_that_loses_its_command_needs_a_person_at_the_end_and_not_before() {
    let bench = bench("[mfa]\nsession_duration = \"2h\"\n").await;
    show(&bench, 0);
    with_command(&bench, true).await;
    bench.credentials("guarded").await.unwrap();
    with_command(&bench, false).await;
    for _ in 0..3 {
        bench.pass(minutes(30)).await;
        assert!(bench.credentials("guarded").await.is_ok());
    }
    assert_eq!(bench.lab.count("GetSessionToken"), 1);
    bench.pass(minutes(30)).await;
    bench.until_phase("guarded", Phase::NeedsMfa).await;
    // The role's keys are good to their own end.
    bench.pass(minutes(60)).await;
    assert_eq!(bench.credentials("guarded").await.unwrap_err().code, Code::NeedsMfa);
    // Without a session, who begins it is all that changes.
    bench.advance(minutes(1));
    with_command(&bench, true).await;
    with_command(&bench, false).await;
    bench.until_phase("guarded", Phase::NeedsMfa).await;
    log_in(&bench, "guarded").await;
    assert!(bench.credentials("guarded").await.is_ok());
}

#[tokio::test]
async fn a_command_that_goes_while_it_is_used_leaves_nobody_waiting() {
    let bench = bench("").await;
    show(&bench, 0);
    with_command(&bench, true).await;
    let fault = Fault::status("GetSessionToken", 503, "ServiceUnavailable");
    bench.lab.queue(Fault { delay_ms: 1500, ..fault.times(-1) });
    let (ask, mailbox) = (Ask::new("guarded", Patience::Some), bench.mailbox.clone());
    let asker =
        tokio::spawn(async move { mailbox.ask(|reply| Event::Credentials { ask, reply }).await });
    bench.lab.called("GetSessionToken", 1).await;
    with_command(&bench, false).await;
    assert_eq!(asker.await.unwrap().unwrap_err().code, Code::NeedsMfa);
    bench.until_phase("guarded", Phase::NeedsMfa).await;
}
