//! Faults, the record of calls, the control plane and many clients at once.

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Barrier;
use std::time::Duration;

use common::{get, portal, post, refresh, send, sign_in};
use eksd_lab::{Act, Fault, Lab, Script};
use serde_json::json;

const ROLE: &str = "/federation/credentials?account_id=111122223333&role_name=Developer";
const LONG: Duration = Duration::from_secs(20);

#[test]
fn an_error_is_answered_as_often_as_it_was_queued() {
    let lab = Lab::start(Script::default());
    let (client, first) = sign_in(&lab);
    let fault = Fault::status("CreateToken", 429, "TooManyRequestsException");
    lab.queue(fault.grant("refresh_token").times(2).retry_after(7));
    for _ in 0..2 {
        let reply = refresh(&lab, &client, &first["refreshToken"]);
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("7")));
    }
    assert_eq!(refresh(&lab, &client, &first["refreshToken"]).status, 200, "not used up before");
    let last = lab.calls_of("CreateToken").pop().expect("a call");
    assert_eq!((last.grant.as_deref(), last.status), (Some("refresh_token"), Some(200)));
    assert_eq!(lab.calls()[4].error.as_deref(), Some("TooManyRequestsException"));
}

#[test]
fn a_connection_can_be_dropped_before_and_after_the_call() {
    let lab = Lab::start(Script::default());
    let (client, first) = sign_in(&lab);
    let body = json!({
        "clientId": client["clientId"], "clientSecret": client["clientSecret"],
        "grantType": "refresh_token", "refreshToken": first["refreshToken"],
    });
    let ask = || send(lab.port(), "POST", "/token", &[], &body.to_string());
    lab.queue(Fault::new("CreateToken", Act::Drop));
    assert!(ask().is_none());
    lab.queue(Fault::new("CreateToken", Act::DropAfter));
    assert!(ask().is_none());
    let reply = ask().expect("an answer");
    assert_eq!(reply.status, 400, "the lost answer held the only good refresh token");
    let calls = lab.calls_of("CreateToken");
    assert_eq!(calls[1].fault.as_deref(), Some("drop"));
    assert_eq!((calls[2].fault.as_deref(), calls[2].status), (Some("drop_after"), None));
}

#[test]
fn half_an_answer_and_a_captive_portal() {
    let lab = Lab::start(Script::default());
    let (_, signed_in) = sign_in(&lab);
    lab.queue(Fault::new("GetRoleCredentials", Act::Half));
    lab.queue(Fault::new("GetRoleCredentials", Act::Html));
    let half = portal(&lab, &signed_in["accessToken"], "GET", ROLE);
    let told: usize = half.header("content-length").and_then(|n| n.parse().ok()).expect("told");
    assert_eq!(half.status, 200);
    assert!(half.body.starts_with("{\"roleCredentials\""), "{}", half.body);
    assert_eq!(half.body.len(), told / 2);
    let html = portal(&lab, &signed_in["accessToken"], "GET", ROLE);
    assert_eq!(html.status, 200);
    assert!(html.body.starts_with("<html>"), "{}", html.body);
    assert_eq!(portal(&lab, &signed_in["accessToken"], "GET", ROLE).status, 200);
}

#[test]
fn a_stalled_call_is_seen_and_never_answered() {
    let lab = Lab::start(Script::default());
    lab.queue(Fault::new("Start", Act::Stall));
    let mut stream = TcpStream::connect(("127.0.0.1", lab.port())).expect("connects");
    stream.write_all(b"GET /start HTTP/1.1\r\nHost: lab\r\n\r\n").expect("writes");
    assert!(lab.wait_for_calls("Start", 1, LONG));
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    assert!(stream.read(&mut [0]).is_err(), "not a byte");
    assert_eq!(get(&lab, "/start").status, 200, "others are served meanwhile");
    drop(lab);
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    assert!(!matches!(stream.read(&mut [0]), Ok(1..)), "stopping the lab ends the call");
}

#[test]
fn a_delayed_call_is_served_after_all() {
    let lab = Lab::start(Script::default());
    lab.queue(Fault::delay("Start", 150));
    let begun = std::time::Instant::now();
    assert_eq!(get(&lab, "/start").status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(150));
}

#[test]
fn waiting_for_calls_ends_when_they_come_or_at_the_deadline() {
    let lab = Lab::start(Script::default());
    assert!(!lab.wait_for_calls("Start", 1, Duration::from_millis(20)));
    std::thread::scope(|scope| {
        scope.spawn(|| get(&lab, "/start"));
        assert!(lab.wait_for_calls("Start", 1, LONG));
    });
    assert!(lab.wait_until(LONG, |calls| calls.iter().all(|c| c.status == Some(200))));
}

#[test]
fn a_test_with_its_own_runtime_can_use_the_lab() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let lab = std::sync::Arc::new(Lab::start(Script::default()));
        let other = std::sync::Arc::clone(&lab);
        let client = tokio::task::spawn_blocking(move || get(&other, "/start").status);
        lab.called("Start", 1).await;
        assert_eq!(client.await.expect("joins"), 200);
    });
}

#[test]
fn two_hundred_clients_at_once() {
    let lab = Lab::start(Script::default());
    let (_, signed_in) = sign_in(&lab);
    let together = Barrier::new(200);
    std::thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                together.wait();
                assert_eq!(portal(&lab, &signed_in["accessToken"], "GET", ROLE).status, 200);
            });
        }
    });
    assert_eq!(lab.count("GetRoleCredentials"), 200);
    assert_eq!(lab.state()["sessions"], 200);
}

#[test]
fn the_control_plane_does_what_the_handle_does() {
    let lab = Lab::start(Script::default());
    let ok = |path: &str, body: serde_json::Value| {
        let reply = post(&lab, path, &body);
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.json()
    };
    ok("/_lab/state", json!({"lifetimes": {"access_token": 60}, "approval": "manual"}));
    assert_eq!(lab.script().lifetimes.access_token, 60);
    assert_eq!(lab.script().lifetimes.session, 28_800, "merged, not replaced");
    ok("/_lab/clock", json!({"frozen": 1000}));
    assert_eq!(ok("/_lab/clock", json!({"advance": 5}))["now"], 1005);
    assert_eq!(lab.now(), 1005);
    ok("/_lab/faults", json!([{"op": "Start", "act": "status", "status": 503}]));
    assert_eq!(get(&lab, "/start").status, 503);
    ok("/_lab/faults", json!({"op": "Start", "act": "drop", "times": -1}));
    ok("/_lab/faults", json!({"clear": true}));
    assert_eq!(get(&lab, "/start").status, 200);
    assert_eq!(get(&lab, "/_lab/count?op=Start").json()["count"], 2);
    assert_eq!(get(&lab, "/_lab/calls?op=Start").json()[0]["status"], 503);
    let before = lab.kube_url("demo");
    ok("/_lab/clusters", json!({"name": "demo", "recreate": true, "version": "1.33"}));
    assert_ne!(lab.kube_url("demo"), before);
    ok("/_lab/clusters", json!({"name": "new", "account": "111122223333"}));
    assert!(lab.kube_url("new").starts_with("https://127.0.0.1:"));
    ok("/_lab/clusters", json!({"name": "new", "delete": true}));
    ok("/_lab/map", json!({"cluster": "demo", "map": {}}));
    ok("/_lab/reject", json!({"cluster": "demo", "next": 2, "status": 503}));
    assert_eq!(get(&lab, "/_lab/state").json()["faults"][0]["times"], 2);
    ok("/_lab/revoke", json!({"what": "all"}));
    ok("/_lab/reset", json!({}));
    assert_eq!(lab.script(), Script::default());
    assert_eq!(lab.calls(), []);
    for (path, body) in [
        ("/_lab/state", json!({"liftimes": {}})),
        ("/_lab/clock", json!({"frosen": 1})),
        ("/_lab/faults", json!({"op": "Start", "act": "explode"})),
        ("/_lab/revoke", json!({"what": "everything"})),
        ("/_lab/nothing", json!({})),
    ] {
        assert_eq!(post(&lab, path, &body).status, 400, "{path}");
    }
}

#[test]
fn calls_go_to_a_file_too() {
    let path = std::env::temp_dir().join(format!("eksd-lab-calls-{}", std::process::id()));
    let options = eksd_lab::Options { calls: Some(path.clone()), ..Default::default() };
    let lab = Lab::open(options).expect("opens");
    get(&lab, "/start");
    drop(lab);
    let text = std::fs::read_to_string(&path).expect("written");
    std::fs::remove_file(path).expect("removed");
    let call: eksd_lab::Call = serde_json::from_str(text.trim()).expect("one line of JSON");
    assert_eq!((call.op.as_str(), call.status), ("Start", Some(200)));
}
