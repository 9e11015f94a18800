//! Sign-ins to the console: the AWS CLI makes them, eksd and the AWS tools renew them in turn.

use eksd_lab::{Console, Fault, Script, What};
use tokio::sync::mpsc::UnboundedReceiver;

use super::bench::{Bench, DEADLINE, at, minutes};
use crate::{
    agent::{
        event::{Event, LoginNews},
        watcher::Change,
    },
    ipc::wire::{Confidence, Flow, LoginDone, Phase},
    model::Reach,
    report::{Code, Report},
    store::{atomic, login_cache::LoginCache},
};

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const ADMIN: &str = "arn:aws:sts::111122223333:assumed-role/Admin/alice@example.com";
const OP: &str = "CreateOAuth2Token";

const CONFIG: &str = "\
[profile con]
login_session = arn:aws:iam::111122223333:user/alice
region = eu-west-1

[profile hop]
role_arn = arn:aws:iam::111122223333:role/second
source_profile = con
region = eu-west-1
";

async fn bench() -> Bench {
    Bench::start_with(CONFIG, "", Script::default()).await
}

fn cache(bench: &Bench) -> LoginCache {
    LoginCache::new(&bench.paths)
}

/// Leaves what `aws login` leaves, without a word to the agent. Returns the file's text.
fn sign_in(bench: &Bench, arn: &str) -> String {
    let login = bench.lab.console_login(Some(arn));
    let text = login.content.to_string();
    atomic::ensure_dir(&bench.paths.login_cache_dir).unwrap();
    atomic::write(&bench.paths.login_cache_dir.join(login.file), text.as_bytes()).unwrap();
    text
}

fn look(bench: &Bench) {
    bench.mailbox.send(Event::Changed(Change::Cache));
}

/// Signs in, and waits until the agent has seen it.
async fn signed_in(bench: &Bench) {
    sign_in(bench, ALICE);
    look(bench);
    bench.until(|status| status.profiles[0].phase != Phase::NeedsLogin).await;
}

fn refusals(bench: &Bench) -> usize {
    bench.lab.calls_of(OP).iter().filter(|call| call.status != Some(200)).count()
}

/// Renews the file's sign-in as the AWS CLI does: eksd's lock is none of its business. Returns what it
/// would write.
async fn renewed_by_the_cli(bench: &Bench) -> crate::model::ConsoleToken {
    let old = cache(bench).read(ALICE).unwrap().unwrap().token;
    let reach = Reach::default().to_region("eu-west-1");
    bench.world().aws.refresh_console(&reach, &old).await.unwrap()
}

#[tokio::test]
async fn keys_of_a_quarter_of_an_hour_last_for_an_hour() {
    let bench = bench().await;
    assert_eq!(bench.row("con").await.phase, Phase::NeedsLogin);
    let report = bench.credentials("hop").await.unwrap_err();
    assert_eq!((report.code, report.fix.as_str()), (Code::NeedsLogin, "run `eksd login hop`"));
    signed_in(&bench).await;
    let first = bench.credentials("con").await.unwrap();
    assert_eq!(first.expires_at, Some(at("08:15:00")));
    assert_eq!(bench.lab.count(OP), 0, "adopted as it was");
    let mut all = std::collections::BTreeSet::new();
    for _ in 0..60 {
        bench.pass(minutes(1)).await;
        let keys = bench.credentials_at_once("con").await.unwrap();
        let left = keys.expires_at.unwrap().duration_since(bench.world().clock.now());
        assert!(5 * 60 < left.as_secs(), "the AWS CLI would renew with {left:?} left");
        all.insert(keys.access_key_id);
    }
    // Each at half of its life, and the minute in which the clock is moved.
    assert_eq!((bench.lab.count(OP), refusals(&bench), all.len()), (7, 0, 8));
    let row = bench.row("con").await;
    assert_eq!((row.phase, row.confidence), (Phase::Fresh, Confidence::Unknown));
    assert_eq!((row.good_until, row.account_id.as_deref()), (None, Some("111122223333")));
    assert_eq!(row.root.unwrap().kind, "console");
    let names: Vec<&str> = row.clocks.iter().map(|clock| clock.name.as_str()).collect();
    assert_eq!(names, ["console keys", "console login"]);
}

#[tokio::test]
async fn roles_are_chained() {
    let bench = bench().await;
    signed_in(&bench).await;
    let keys = bench.credentials("hop").await.unwrap();
    assert_eq!(keys.expires_at, Some(at("09:00:00")));
    assert_eq!(bench.row("hop").await.cap.as_deref(), Some("chained, 1 h cap"));
    // Renewed after its source's keys have changed many times.
    bench.pass(minutes(30)).await;
    bench.until(|_| bench.lab.count("AssumeRole") == 2).await;
    assert!(bench.credentials("hop").await.unwrap().expires_at > keys.expires_at);
    assert_eq!(refusals(&bench), 0);
}

#[tokio::test]
async fn a_refusal_needs_a_person_and_takes_nothing_that_is_good() {
    let bench = bench().await;
    signed_in(&bench).await;
    let keys = bench.credentials("con").await.unwrap();
    bench.lab.revoke(What::Consoles);
    bench.advance(minutes(8));
    bench.until_phase("con", Phase::NeedsLogin).await;
    assert_eq!(bench.notices().len(), 1);
    assert_eq!(bench.credentials("con").await.unwrap(), keys);
    bench.pass(minutes(7)).await;
    let report = bench.credentials("con").await.unwrap_err();
    assert_eq!((report.code, report.fix.as_str()), (Code::NeedsLogin, "run `eksd login con`"));
    assert_eq!(bench.lab.count(OP), 1, "asked once");
    // Another look at the same file changes nothing; another sign-in does.
    look(&bench);
    bench.pass(minutes(1)).await;
    assert_eq!(bench.row("con").await.phase, Phase::NeedsLogin);
    signed_in(&bench).await;
    assert!(bench.credentials("con").await.is_ok());
}

#[tokio::test]
async fn a_missing_permission_is_no_end() {
    let bench = bench().await;
    signed_in(&bench).await;
    let keys = bench.credentials("con").await.unwrap();
    bench.lab.queue(Fault::status(OP, 403, "INSUFFICIENT_PERMISSIONS").times(-1));
    bench.pass(minutes(8)).await;
    let row = bench.until_phase("con", Phase::Misconfigured).await;
    let report = row.report.unwrap();
    assert_eq!(report.code, Code::AccessDenied);
    assert!(report.fix.contains("signin:CreateOAuth2Token"), "{report:?}");
    assert_eq!(bench.credentials("con").await.unwrap(), keys);
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let bench = bench().await;
    signed_in(&bench).await;
    bench.credentials("con").await.unwrap();
    bench.lab.queue(Fault::status(OP, 429, "TooManyRequestsError").times(2));
    bench.pass(minutes(8)).await;
    bench.until_phase("con", Phase::Degraded).await;
    bench.pass(minutes(1)).await;
    bench.pass(minutes(1)).await;
    bench.until_phase("con", Phase::Fresh).await;
    assert_eq!(bench.notices(), Vec::<String>::new());
}

#[tokio::test]
async fn what_another_tool_renewed_is_taken_and_the_used_token_not_sent() {
    let bench = bench().await;
    signed_in(&bench).await;
    bench.credentials("con").await.unwrap();
    // The CLI renews and writes, and nobody tells the agent: it looks before it asks AWS.
    let newer = renewed_by_the_cli(&bench).await;
    cache(&bench).write(ALICE, &newer).unwrap();
    bench.pass(minutes(8)).await;
    assert_eq!(bench.credentials("con").await.unwrap().access_key_id, newer.keys.access_key_id);
    assert_eq!((bench.lab.count(OP), refusals(&bench)), (1, 0));
    // The next renewal is ours, with the token that the CLI got.
    bench.pass(minutes(8)).await;
    assert_ne!(bench.credentials("con").await.unwrap().access_key_id, newer.keys.access_key_id);
    assert_eq!((bench.lab.count(OP), refusals(&bench)), (2, 0));
}

#[tokio::test]
async fn a_race_that_was_lost_is_no_end() {
    let bench = bench().await;
    signed_in(&bench).await;
    bench.credentials("con").await.unwrap();
    // The CLI has used the token and not written the new one yet.
    let newer = renewed_by_the_cli(&bench).await;
    bench.advance(minutes(8));
    bench.lab.called(OP, 2).await;
    cache(&bench).write(ALICE, &newer).unwrap();
    bench.until(|status| status.agent.refreshing == 0).await;
    assert_eq!(bench.credentials("con").await.unwrap().access_key_id, newer.keys.access_key_id);
    assert_eq!(bench.row("con").await.phase, Phase::Fresh);
    assert_eq!((bench.notices(), refusals(&bench)), (Vec::<String>::new(), 1));
}

#[tokio::test]
async fn a_torn_file_is_somebody_writing() {
    let bench = bench().await;
    signed_in(&bench).await;
    let keys = bench.credentials("con").await.unwrap();
    let path = cache(&bench).path(ALICE);
    bench.pass(minutes(1)).await;
    let whole = sign_in(&bench, ALICE);
    atomic::write(&path, &whole.as_bytes()[..whole.len() / 2]).unwrap();
    look(&bench);
    assert_eq!(bench.credentials("con").await.unwrap(), keys);
    assert_eq!(bench.row("con").await.phase, Phase::Fresh);
    atomic::write(&path, whole.as_bytes()).unwrap();
    look(&bench);
    // Its keys end a minute later than the first ones.
    let ends = "2026-03-02T08:16:00Z";
    bench.until(|status| status.profiles[0].credentials_expire_at.as_deref() == Some(ends)).await;
    assert_eq!(bench.lab.count(OP), 0);
}

#[tokio::test]
async fn a_logout_of_the_cli_is_seen() {
    let bench = bench().await;
    signed_in(&bench).await;
    bench.credentials("hop").await.unwrap();
    assert!(cache(&bench).remove(ALICE).unwrap());
    look(&bench);
    bench.until_phase("con", Phase::NeedsLogin).await;
    assert_eq!(bench.credentials("hop").await.unwrap_err().code, Code::NeedsLogin);
}

#[tokio::test]
async fn what_was_renewed_is_on_the_disk_before_anybody_has_it() {
    let mut bench = bench().await;
    signed_in(&bench).await;
    bench.credentials("con").await.unwrap();
    bench.pass(minutes(8)).await;
    let keys = bench.credentials("con").await.unwrap();
    bench.restart("").await;
    assert_eq!(bench.credentials("con").await.unwrap(), keys);
    bench.pass(minutes(8)).await;
    assert_ne!(bench.credentials("con").await.unwrap(), keys);
    assert_eq!((bench.lab.count(OP), refusals(&bench)), (2, 0));
}

#[tokio::test]
async fn keys_that_ended_meanwhile_are_renewed_at_the_first_question() {
    let mut bench = bench().await;
    signed_in(&bench).await;
    bench.stop().await;
    bench.advance(minutes(120));
    bench.start_again("").await;
    let keys = bench.credentials("con").await.unwrap();
    assert_eq!(keys.expires_at, Some(at("10:15:00")));
    assert_eq!((bench.lab.count(OP), refusals(&bench)), (1, 0));
}

#[tokio::test]
async fn what_cannot_be_written_is_served_from_memory() {
    let bench = bench().await;
    signed_in(&bench).await;
    bench.credentials("con").await.unwrap();
    let path = cache(&bench).path(ALICE);
    let old = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    bench.pass(minutes(8)).await;
    let said = |report: &Report| report.what.contains("the console login could not be written");
    bench.until(|status| status.reports.iter().any(said)).await;
    let keys = bench.credentials("con").await.unwrap();
    // The old file comes back, with a refresh token that has been used.
    std::fs::remove_dir(&path).unwrap();
    atomic::write(&path, &old).unwrap();
    look(&bench);
    bench.pass(minutes(1)).await;
    assert_eq!(bench.credentials("con").await.unwrap(), keys);
    bench.pass(minutes(7)).await;
    bench.until(|status| !status.reports.iter().any(said)).await;
    assert_eq!(refusals(&bench), 0);
}

async fn next(news: &mut UnboundedReceiver<LoginNews>) -> LoginNews {
    let next = tokio::time::timeout(DEADLINE, news.recv()).await;
    next.expect("news in time").expect("news")
}

async fn console(news: &mut UnboundedReceiver<LoginNews>) -> String {
    match next(news).await {
        LoginNews::Console(console) => console.profile,
        other => panic!("not sent to the AWS CLI: {other:?}"),
    }
}

async fn over(news: &mut UnboundedReceiver<LoginNews>) -> Result<LoginDone, Report> {
    match next(news).await {
        LoginNews::Over(result) => result,
        other => panic!("not over: {other:?}"),
    }
}

#[tokio::test]
async fn a_login_ends_when_the_cli_has_written_its_file() {
    let bench = bench().await;
    let mut news = bench.begin_login("hop", Flow::Browser, false);
    assert_eq!(console(&mut news).await, "con");
    let mut second = bench.begin_login("con", Flow::Browser, false);
    bench.status().await;
    // Nobody tells the agent: it watches from the beginning of the login on. None of the folders was
    // there before.
    assert!(!bench.paths.login_cache_dir.parent().unwrap().exists());
    sign_in(&bench, ALICE);
    let done = over(&mut news).await.unwrap();
    assert_eq!((done.session.as_str(), done.already), (ALICE, false));
    assert_eq!((done.good_until, done.confidence), (None, Confidence::Unknown));
    assert_eq!(over(&mut second).await.unwrap().session, ALICE);
    // A login is a use.
    bench.pass(minutes(8)).await;
    assert_eq!(bench.lab.count(OP), 1);
    let mut again = bench.begin_login("con", Flow::Browser, false);
    assert!(over(&mut again).await.unwrap().already);
}

#[tokio::test]
async fn a_login_that_the_first_gives_up_is_asked_of_the_next() {
    let bench = bench().await;
    let mut first = bench.begin_login("con", Flow::Browser, false);
    console(&mut first).await;
    let mut second = bench.begin_login("con", Flow::Browser, false);
    bench.status().await;
    drop(first);
    bench.mailbox.send(Event::LoginLeft);
    assert_eq!(console(&mut second).await, "con");
    sign_in(&bench, ALICE);
    assert!(over(&mut second).await.is_ok());
}

#[tokio::test]
async fn a_sign_in_that_may_live_is_tried_before_anybody_is_asked() {
    let bench = bench().await;
    signed_in(&bench).await;
    bench.advance(minutes(60));
    let mut news = bench.begin_login("con", Flow::Browser, false);
    assert!(over(&mut news).await.unwrap().already);
    assert_eq!(bench.lab.count(OP), 1);
    bench.lab.revoke(What::Consoles);
    bench.advance(minutes(60));
    let mut news = bench.begin_login("con", Flow::Browser, false);
    assert_eq!(console(&mut news).await, "con");
    sign_in(&bench, ALICE);
    assert!(!over(&mut news).await.unwrap().already);
}

#[tokio::test]
async fn a_forced_login_ends_with_a_new_sign_in() {
    let bench = bench().await;
    signed_in(&bench).await;
    let before = bench.credentials("con").await.unwrap();
    let mut news = bench.begin_login("con", Flow::Browser, true);
    console(&mut news).await;
    look(&bench);
    bench.status().await;
    sign_in(&bench, ALICE);
    assert!(!over(&mut news).await.unwrap().already);
    assert_ne!(bench.credentials("con").await.unwrap(), before);
}

#[tokio::test]
async fn somebody_else_may_sign_in() {
    for is_known in [false, true] {
        let other = format!("[profile other]\nlogin_session = {ADMIN}\nregion = eu-west-1\n");
        let config = if is_known { format!("{CONFIG}\n{other}") } else { CONFIG.to_owned() };
        let bench = Bench::start_with(&config, "", Script::default()).await;
        let mut news = bench.begin_login("con", Flow::Browser, false);
        console(&mut news).await;
        // The file first, then the profile: so does the CLI.
        sign_in(&bench, ADMIN);
        look(&bench);
        if is_known {
            bench.until_phase("other", Phase::Fresh).await;
        }
        bench.write_config(&config.replace(ALICE, ADMIN));
        let done = over(&mut news).await.unwrap();
        assert_eq!(done.session, ADMIN);
        assert!(bench.credentials("hop").await.is_ok());
    }
}

#[tokio::test]
async fn logging_out_removes_the_file_and_names_what_stays() {
    let bench = bench().await;
    signed_in(&bench).await;
    bench.credentials("hop").await.unwrap();
    let file = std::fs::read(cache(&bench).path(ALICE)).unwrap();
    let done = bench.logout("con").await;
    let [ended] = done.ended.as_slice() else { panic!("{done:?}") };
    assert_eq!((ended.not_told.as_ref(), ended.not_wiped.as_ref()), (None, None));
    let stays = ended.still_valid.iter().map(|it| (it.profile.as_str(), it.until.as_str()));
    let expected = [("con", "2026-03-02T08:15:00Z"), ("hop", "2026-03-02T09:00:00Z")];
    assert_eq!(stays.collect::<Vec<_>>(), expected);
    assert!(!cache(&bench).path(ALICE).exists());
    assert_eq!(bench.credentials("con").await.unwrap_err().code, Code::NeedsLogin);
    // What was logged out of does not come back with its file.
    look(&bench);
    bench.status().await;
    atomic::write(&cache(&bench).path(ALICE), &file).unwrap();
    look(&bench);
    bench.pass(minutes(1)).await;
    assert_eq!(bench.row("con").await.phase, Phase::NeedsLogin);
}

#[tokio::test]
async fn a_sign_in_whose_time_is_over_needs_a_person() {
    let console = Console { session: 1000, ..Console::default() };
    let script = Script { console, ..Script::default() };
    let bench = Bench::start_with(CONFIG, "", script).await;
    signed_in(&bench).await;
    bench.credentials("con").await.unwrap();
    bench.pass(minutes(8)).await;
    // No longer than the sign-in: 520 seconds.
    let keys = bench.credentials("con").await.unwrap();
    assert_eq!(keys.expires_at, Some(at("08:16:40")));
    bench.advance(minutes(9));
    bench.until_phase("con", Phase::NeedsLogin).await;
    assert_eq!(bench.credentials("con").await.unwrap_err().code, Code::NeedsLogin);
}
