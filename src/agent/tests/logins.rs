//! Logging in and out, by both flows, alone and together, and what others do to the shared cache.

use std::time::Duration;

use eksd_lab::{Act, Fault, Script, What};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::bench::{Bench, CONFIG, minutes};
use crate::{
    agent::event::{Event, LoginNews},
    ipc::wire::{Confidence, Flow, Phase},
    report::Code,
    store::atomic,
};

/// Opens an address as a browser does, and follows its redirections. Returns the last status line.
async fn browse(url: &str) -> String {
    let mut url = url.to_owned();
    loop {
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut stream = TcpStream::connect(host).await.unwrap();
        let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let header = |name: &str| {
            answer.lines().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        match header("location") {
            Some(next) => url = next,
            None => return answer.lines().next().unwrap_or_default().to_owned(),
        }
    }
}

async fn address(news: &mut tokio::sync::mpsc::UnboundedReceiver<LoginNews>) -> String {
    match news.recv().await.expect("news") {
        LoginNews::Open(open) => open.url,
        other => panic!("not an address: {other:?}"),
    }
}

#[tokio::test]
async fn by_browser() {
    let bench = Bench::start().await;
    assert_eq!(bench.row("dev").await.phase, Phase::NeedsLogin);
    let mut news = bench.begin_login("dev", Flow::Browser, false);
    let url = address(&mut news).await;
    assert!(url.contains("code_challenge_method=S256"), "{url}");
    assert_eq!(browse(&url).await, "HTTP/1.1 200 OK");
    let Some(LoginNews::Over(Ok(done))) = news.recv().await else { panic!("not over") };
    assert!(!done.already);
    assert_eq!((done.good_until, done.confidence), (None, Confidence::Unknown));
    assert!(bench.credentials("dev").await.is_ok());
    // In the AWS CLI's format, for every other tool.
    let file = bench.token_json();
    assert_eq!(file["startUrl"], "https://corp.awsapps.com/start");
    assert_eq!(file["region"], "eu-west-1");
    for key in ["accessToken", "refreshToken", "clientId", "clientSecret"] {
        assert!(file[key].is_string(), "{key}");
    }
}

#[tokio::test]
async fn a_login_that_is_not_needed_is_not_started() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    let calls = bench.lab.count("*");
    assert!(bench.login("dev").await.already);
    assert_eq!(bench.lab.count("*"), calls);
}

#[tokio::test]
async fn force_ends_the_session_first() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    let mut news = bench.begin_login("dev", Flow::DeviceCode, true);
    address(&mut news).await;
    assert_eq!(bench.lab.count("Logout"), 1);
    let Some(LoginNews::Over(Ok(done))) = news.recv().await else { panic!("not over") };
    assert!(!done.already);
}

#[tokio::test]
async fn everybody_waits_for_the_one_login() {
    let bench = Bench::start().await;
    let mut waiters: Vec<_> =
        (0..20).map(|_| bench.begin_login("corp", Flow::Browser, false)).collect();
    let mut addresses = Vec::new();
    for news in &mut waiters {
        addresses.push(address(news).await);
    }
    addresses.dedup();
    assert_eq!(addresses.len(), 1);
    browse(&addresses[0]).await;
    for news in &mut waiters {
        assert!(matches!(news.recv().await, Some(LoginNews::Over(Ok(_)))));
    }
    assert_eq!(bench.lab.count("RegisterClient"), 1);
    assert_eq!(bench.lab.count("CreateToken"), 1);
}

#[tokio::test]
async fn a_login_that_nobody_waits_for_ends() {
    let bench = Bench::start().await;
    let mut first = bench.begin_login("corp", Flow::Browser, false);
    let mut second = bench.begin_login("corp", Flow::Browser, false);
    let url = address(&mut first).await;
    address(&mut second).await;
    drop(first);
    bench.mailbox.send(Event::LoginLeft);
    bench.status().await;
    drop(second);
    bench.mailbox.send(Event::LoginLeft);
    bench.status().await;
    // Its address is gone: the next one is another.
    let mut third = bench.begin_login("corp", Flow::Browser, false);
    assert_ne!(address(&mut third).await, url);
}

#[tokio::test]
async fn a_stray_visit_changes_nothing() {
    let bench = Bench::start().await;
    let mut news = bench.begin_login("corp", Flow::Browser, false);
    let url = address(&mut news).await;
    let redirect = url.split("redirect_uri=").nth(1).unwrap().split('&').next().unwrap();
    let redirect = redirect.replace("%3A", ":").replace("%2F", "/");
    let stray = format!("{redirect}?code=stolen&state=guessed");
    assert_eq!(browse(&stray).await, "HTTP/1.1 400 Bad Request");
    assert_eq!(browse(&url).await, "HTTP/1.1 200 OK");
    assert!(matches!(news.recv().await, Some(LoginNews::Over(Ok(_)))));
}

#[tokio::test]
async fn a_refusal_is_told() {
    let script = Script { approval: eksd_lab::Approval::Deny, ..Script::default() };
    let bench = Bench::start_with(CONFIG, "", script).await;
    let mut news = bench.begin_login("corp", Flow::Browser, false);
    browse(&address(&mut news).await).await;
    let Some(LoginNews::Over(Err(report))) = news.recv().await else { panic!("not refused") };
    assert_eq!(report.code, Code::LoginDenied);
    let mut news = bench.begin_login("corp", Flow::DeviceCode, false);
    address(&mut news).await;
    let Some(LoginNews::Over(Err(report))) = news.recv().await else { panic!("not refused") };
    assert_eq!(report.code, Code::LoginDenied);
}

#[tokio::test]
async fn the_end_of_the_session_is_believed_once_and_said_once() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    bench.lab.revoke(What::RefreshTokens);
    bench.advance(minutes(30));
    let row = bench.until_phase("dev", Phase::NeedsLogin).await;
    assert_eq!(row.report.unwrap().code, Code::NeedsLogin);
    assert_eq!(row.action.as_deref(), Some("eksd login dev"));
    assert_eq!(bench.notices(), ["SSO session corp has ended"]);

    // The role's keys are good to their own end, and then nobody asks AWS in vain.
    assert!(bench.credentials("dev").await.is_ok());
    bench.advance(minutes(61));
    let calls = bench.lab.count("*");
    for _ in 0..50 {
        assert_eq!(bench.credentials("dev").await.unwrap_err().code, Code::NeedsLogin);
    }
    assert_eq!(bench.lab.count("*"), calls);
    assert_eq!(bench.notices(), Vec::<String>::new());

    bench.login("dev").await;
    bench.until_phase("dev", Phase::Fresh).await;
    assert_eq!(bench.notices(), ["withdrawn"]);
}

#[tokio::test]
async fn a_known_length_warns_ahead() {
    let settings = "[sso-session.corp]\nlength = \"8h\"\n";
    let bench = Bench::start_with(CONFIG, settings, Script::default()).await;
    let done = bench.login("corp").await;
    assert_eq!(done.good_until.as_deref(), Some("2026-03-02T16:00:00Z"));
    assert_eq!(done.confidence, Confidence::Estimated);
    bench.credentials("dev").await.unwrap();
    for _ in 0..15 {
        bench.pass(minutes(30)).await;
    }
    assert_eq!(bench.until_phase("dev", Phase::Expiring).await.report, None);
    assert_eq!(bench.notices(), ["SSO session corp ends in about 30 min"]);
    // Now a login is not for nothing.
    assert!(!bench.login("corp").await.already);
    bench.until_phase("dev", Phase::Fresh).await;
    assert_eq!(bench.notices(), ["withdrawn"]);
}

#[tokio::test]
async fn an_estimated_end_that_has_come_is_put_to_the_test() {
    let settings = "[sso-session.corp]\nlength = \"50m\"\n";
    // The estimate is right: the session ends at 08:50, long before its token would be renewed.
    let lifetimes = eksd_lab::Lifetimes { session: 3000, ..Default::default() };
    let script = Script { lifetimes, ..Script::default() };
    let bench = Bench::start_with(CONFIG, settings, script).await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    bench.pass(minutes(26)).await;
    bench.notices();
    bench.advance(minutes(24));
    bench.until_phase("dev", Phase::NeedsLogin).await;
    assert_eq!(bench.notices(), ["SSO session corp has ended"]);

    // The estimate is wrong: one refresh tells, and nothing is claimed any more.
    let bench = Bench::start_with(CONFIG, settings, Script::default()).await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    bench.pass(minutes(26)).await;
    bench.pass(minutes(24)).await;
    let row = bench.until_phase("dev", Phase::Fresh).await;
    assert_eq!((row.good_until, row.confidence), (None, Confidence::Unknown));
    let calls = bench.lab.count("CreateToken");
    bench.pass(minutes(5)).await;
    assert_eq!(bench.lab.count("CreateToken"), calls);
}

#[tokio::test]
async fn a_legacy_profile_logs_in_by_device_code_and_its_end_is_exact() {
    let config = "[profile old]\nsso_start_url = https://old.awsapps.com/start\nsso_region = eu-west-1\n\
                  sso_account_id = 111122223333\nsso_role_name = Developer\nregion = eu-west-1\n";
    let bench = Bench::start_with(config, "", Script::default()).await;
    let mut news = bench.begin_login("old", Flow::Browser, false);
    let url = address(&mut news).await;
    assert!(url.contains("user_code="), "{url}");
    let Some(LoginNews::Over(Ok(done))) = news.recv().await else { panic!("not over") };
    assert_eq!(done.confidence, Confidence::Exact);
    assert_eq!(done.good_until.as_deref(), Some("2026-03-02T16:00:00Z"));
    assert!(bench.credentials("old").await.is_ok());

    bench.advance(minutes(8 * 60));
    bench.until_phase("old", Phase::NeedsLogin).await;
    assert_eq!(bench.lab.count("CreateToken"), 1);
}

#[tokio::test]
async fn a_login_of_another_tool_is_adopted() {
    let giver = Bench::start().await;
    giver.login("corp").await;
    let file = std::fs::read(giver.token_file()).unwrap();

    let bench = Bench::start_with(CONFIG, "", Script::default()).await;
    assert_eq!(bench.row("dev").await.phase, Phase::NeedsLogin);
    // Torn first, as some SDKs write it.
    atomic::write(&bench.token_file(), &file[..file.len() / 2]).unwrap();
    bench.mailbox.send(Event::Changed(crate::agent::watcher::Change::Cache));
    bench.status().await;
    assert_eq!(bench.row("dev").await.phase, Phase::NeedsLogin);
    atomic::write(&bench.token_file(), &file).unwrap();
    bench.mailbox.send(Event::Changed(crate::agent::watcher::Change::Cache));
    bench.until(|status| status.profiles[0].phase != Phase::NeedsLogin).await;
}

#[tokio::test]
async fn a_refresh_token_that_another_tool_used_is_no_end() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    let before = bench.token_json();

    // Another tool refreshes with the same token, and has not written the file yet.
    let body = serde_json::json!({
        "clientId": before["clientId"], "clientSecret": before["clientSecret"],
        "grantType": "refresh_token", "refreshToken": before["refreshToken"],
    });
    bench.lab.edit(|script| script.reuse_revokes_family = false);
    let answer = post(&bench.lab.url(), "/token", &body).await;
    bench.advance(minutes(30));
    bench.lab.called("CreateToken", 3).await;
    let mut after = before.clone();
    after["accessToken"] = answer["accessToken"].clone();
    after["refreshToken"] = answer["refreshToken"].clone();
    after["expiresAt"] = "2026-03-02T09:30:00Z".into();
    after["extra"] = "kept".into();
    atomic::write(&bench.token_file(), after.to_string().as_bytes()).unwrap();

    bench
        .until(|status| {
            let root = status.profiles[0].root.as_ref().unwrap();
            root.access_token_expires_at.as_deref() == Some("2026-03-02T09:30:00Z")
        })
        .await;
    assert_eq!(bench.lab.count("CreateToken"), 3);
    assert_eq!(bench.notices(), Vec::<String>::new());
    // The next renewal is ours again, and keeps what the other tool wrote beside.
    bench.advance(minutes(60));
    bench.lab.called("CreateToken", 4).await;
    bench.until(|_| bench.token_json()["refreshToken"] != answer["refreshToken"]).await;
    assert_eq!(bench.token_json()["extra"], "kept");
}

/// With a refresh token that was used AWS may end the session: what is in the file is to be used.
#[tokio::test]
async fn what_another_tool_renewed_is_renewed_even_where_it_has_ended_since() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    let mut file = bench.token_json();
    let body = serde_json::json!({
        "clientId": file["clientId"], "clientSecret": file["clientSecret"],
        "grantType": "refresh_token", "refreshToken": file["refreshToken"],
    });
    let answer = post(&bench.lab.url(), "/token", &body).await;
    file["accessToken"] = answer["accessToken"].clone();
    file["refreshToken"] = answer["refreshToken"].clone();
    file["expiresAt"] = "2026-03-02T09:20:00Z".into();
    atomic::write(&bench.token_file(), file.to_string().as_bytes()).unwrap();

    assert!(bench.lab.script().reuse_revokes_family);
    // The machine sleeps until both have ended.
    bench.advance(minutes(90));
    bench.lab.called("CreateToken", 3).await;
    bench
        .until(|status| {
            let root = status.profiles[0].root.as_ref().unwrap();
            root.access_token_expires_at.as_deref() == Some("2026-03-02T10:30:00Z")
        })
        .await;
    assert_eq!(bench.lab.count("CreateToken"), 3);
}

async fn post(base: &str, path: &str, body: &serde_json::Value) -> serde_json::Value {
    let host = base.strip_prefix("http://").unwrap();
    let body = body.to_string();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_that_could_not_be_written_is_not_replaced_by_the_old_file() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    // Nobody looks at the file meanwhile: for a moment it is not there at all.
    // A folder in the file's place: the renewal works, its writing does not.
    let old = std::fs::read(bench.token_file()).unwrap();
    std::fs::remove_file(bench.token_file()).unwrap();
    std::fs::create_dir(bench.token_file()).unwrap();
    bench.pass(minutes(30)).await;
    bench.until(|it| it.reports.iter().any(|it| it.what.contains("not be written"))).await;
    assert_eq!(bench.lab.count("CreateToken"), 2);
    // The file comes back as it was, with a refresh token that has been used.
    std::fs::remove_dir(bench.token_file()).unwrap();
    atomic::write(&bench.token_file(), &old).unwrap();
    bench.mailbox.send(Event::Changed(crate::agent::watcher::Change::Cache));
    bench.pass(minutes(1)).await;
    bench.pass(minutes(1)).await;
    assert_eq!(bench.lab.count("CreateToken"), 2);
    assert_eq!(bench.row("dev").await.phase, Phase::Fresh);
}

#[tokio::test]
async fn the_time_of_the_login_survives_a_restart() {
    let settings = "[sso-session.corp]\nlength = \"8h\"\n";
    let mut bench = Bench::start_with(CONFIG, settings, Script::default()).await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    bench.pass(minutes(30)).await;
    let is_kept = |_: &_| {
        let kept = std::fs::read_to_string(&bench.paths.state).unwrap_or_default();
        kept.contains("dev") && kept.contains("logged_in_at")
    };
    bench.until(is_kept).await;
    bench.restart(settings).await;
    let row = bench.until_phase("dev", Phase::Fresh).await;
    assert_eq!(row.good_until.as_deref(), Some("2026-03-02T16:00:00Z"));
}

#[tokio::test]
async fn an_old_token_is_renewed_before_anybody_is_asked_to_log_in() {
    let lifetimes = eksd_lab::Lifetimes { session: 30 * 24 * 3600, ..Default::default() };
    let script = Script { lifetimes, ..Script::default() };
    let bench = Bench::start_with(CONFIG, "", script).await;
    bench.login("corp").await;
    // A weekend: nothing is kept warm any more, and the token has ended.
    bench.pass(minutes(60 * 60)).await;
    assert!(bench.login("corp").await.already);
    // The session itself is over: now somebody is.
    bench.pass(minutes(60 * 24 * 40)).await;
    assert!(!bench.login("corp").await.already);
}

#[tokio::test]
async fn watchers_are_told_of_news_and_not_of_their_own_questions() {
    let bench = Bench::start().await;
    let mut changes = bench.mailbox.ask(|reply| Event::Subscribe { reply }).await.unwrap();
    bench.status().await;
    bench.status().await;
    changes.mark_unchanged();
    for _ in 0..10 {
        bench.status().await;
    }
    assert!(!changes.has_changed().unwrap());
    bench.login("corp").await;
    assert!(changes.has_changed().unwrap());
}

#[tokio::test]
async fn a_renewal_under_way_is_on_the_disk_before_the_agent_is_gone() {
    let mut bench = Bench::start().await;
    bench.login("corp").await;
    let before = bench.token_json();
    bench.lab.queue(Fault::delay("CreateToken", 300));
    bench.advance(minutes(30));
    bench.until(|status| status.agent.refreshing == 1).await;
    bench.stop().await;
    assert_eq!(bench.lab.count("CreateToken"), 2);
    assert_ne!(bench.token_json()["refreshToken"], before["refreshToken"]);
}

#[tokio::test]
async fn an_unreachable_service_is_no_end() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    bench.lab.queue(Fault::new("*", Act::Html).times(-1));
    bench.advance(minutes(59));
    bench.until_phase("dev", Phase::Degraded).await;
    bench.pass(minutes(30)).await;
    let report = bench.credentials_at_once("dev").await.unwrap_err();
    assert_eq!(report.code, Code::Unreachable);
    bench.pass(minutes(6)).await;
    bench.lab.clear_faults();
    bench.pass(minutes(6)).await;
    assert!(bench.credentials("dev").await.is_ok());
    assert_eq!(bench.notices(), Vec::<String>::new());
}

#[tokio::test]
async fn logging_out_tells_aws_wipes_here_and_names_what_lives_on() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    let done = bench.logout("dev").await;
    let ended = &done.ended[0];
    assert_eq!((ended.session.as_str(), &ended.not_told), ("corp", &None));
    assert_eq!(ended.still_valid[0].profile, "dev");
    assert_eq!(ended.still_valid[0].until, "2026-03-02T09:00:00Z");
    assert_eq!(bench.lab.count("Logout"), 1);
    assert!(!bench.token_file().exists());
    assert_eq!(bench.row("dev").await.phase, Phase::NeedsLogin);
    assert_eq!(bench.credentials("dev").await.unwrap_err().code, Code::NeedsLogin);
}

#[tokio::test]
async fn logging_out_works_without_a_network() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.lab.queue(Fault::new("Logout", Act::Drop).times(-1));
    let done = bench.logout("corp").await;
    assert_eq!(done.ended[0].not_told.as_ref().unwrap().code, Code::Unreachable);
    assert!(!bench.token_file().exists());
    assert_eq!(bench.credentials("dev").await.unwrap_err().code, Code::NeedsLogin);
}

#[tokio::test]
async fn a_logout_of_another_tool_is_seen() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    std::fs::remove_file(bench.token_file()).unwrap();
    bench.mailbox.send(Event::Changed(crate::agent::watcher::Change::Cache));
    bench.until_phase("dev", Phase::NeedsLogin).await;
}

#[tokio::test]
async fn a_killed_agent_loses_no_login() {
    let mut bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    let is_kept =
        |_: &_| std::fs::read_to_string(&bench.paths.state).is_ok_and(|it| it.contains("dev"));
    bench.until(is_kept).await;
    bench.restart("").await;
    // Used shortly before, so it is fetched without being asked for.
    bench.until_phase("dev", Phase::Fresh).await;
    assert!(bench.credentials("dev").await.is_ok());
    assert_eq!(bench.lab.count("CreateToken"), 1);
}

#[tokio::test]
async fn a_stalled_service_keeps_nobody_waiting_for_ever() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    let first = bench.credentials("dev").await.unwrap();
    bench.lab.queue(Fault::new("GetRoleCredentials", Act::Stall).times(-1));
    bench.advance(minutes(40));
    // Twenty minutes are left: the old keys, at once.
    let asked = tokio::time::timeout(Duration::from_secs(1), bench.credentials("dev"));
    assert_eq!(asked.await.expect("an answer at once").unwrap(), first);
}
