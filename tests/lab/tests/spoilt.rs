//! Answers that are not what they should be, from every service.

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use common::{alice, get, portal, proof, send, sign_in, sts};
use eksd_lab::{Act, Expiry, Fault, Instance, Lab, Script};
use serde_json::Value;

const T0: i64 = 1_795_485_784;
const DATE: &str = "20261124T020304Z";
const ROLE: &str = "/federation/credentials?account_id=111122223333&role_name=Developer";
const DEV: &str = "Action=AssumeRole&Version=2011-06-15&RoleSessionName=me\
                   &RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fdev";

fn frozen() -> Lab {
    let lab = Lab::start(Script { instance: Some(Instance::default()), ..Script::default() });
    lab.freeze(T0);
    lab
}

/// A call of each operation that hands out credentials: its name, and what it answers.
fn everyone(lab: &Lab, spoil: &Fault) -> Vec<(&'static str, common::Reply)> {
    let (_, signed_in) = sign_in(lab);
    let login = lab.console_login(None).content;
    let ttl = [("x-aws-ec2-metadata-token-ttl-seconds", "60")];
    let token = send(lab.port(), "PUT", "/latest/api/token", &ttl, "").expect("an answer").body;
    let role = "/latest/meta-data/iam/security-credentials/dev";
    let pod = lab.identity_token("system:serviceaccount:default:web", 60);
    let web = DEV.replace("AssumeRole&", "AssumeRoleWithWebIdentity&").replace("dev", "pod");
    let web = format!("{web}&WebIdentityToken={pod}");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let mut answers = Vec::new();
    let mut ask = |op: &'static str, call: &dyn Fn() -> common::Reply| {
        lab.queue(Fault { op: op.into(), ..spoil.clone() });
        answers.push((op, call()));
    };
    ask("GetRoleCredentials", &|| portal(lab, &signed_in["accessToken"], "GET", ROLE));
    ask("AssumeRole", &|| sts(lab, &alice(), DATE, DEV));
    ask("AssumeRoleWithWebIdentity", &|| {
        send(lab.port(), "POST", "/", &form, &web).expect("an answer")
    });
    let jti = login["refreshToken"].as_str().expect("a text, new each time");
    ask("CreateOAuth2Token", &|| proof::refresh(lab, &login, &login["refreshToken"], jti));
    ask("MetadataCredentials", &|| {
        let headers = [("x-aws-ec2-metadata-token", token.as_str())];
        send(lab.port(), "GET", role, &headers, "").expect("an answer")
    });
    ask("ContainerCredentials", &|| get(lab, "/v2/credentials/lab"));
    assert_eq!(lab.state()["faults"], Value::Array(Vec::new()), "each met its own");
    answers
}

/// Every expiry in an answer.
fn ends(reply: &common::Reply) -> Vec<Value> {
    fn collect(value: &Value, found: &mut Vec<Value>) {
        let Some(fields) = value.as_object() else { return };
        for (name, inner) in fields {
            if ["expiration", "expiresin"].contains(&&*name.to_lowercase()) {
                found.push(inner.clone());
            }
            collect(inner, found);
        }
    }
    let mut found: Vec<Value> = reply.xml("Expiration").map(Value::from).into_iter().collect();
    collect(&reply.json(), &mut found);
    found
}

#[test]
fn every_expiry_can_be_absurd() {
    let lab = frozen();
    for (op, reply) in everyone(&lab, &Fault::expiry("*", Expiry::Year9999)) {
        let want = match op {
            "GetRoleCredentials" => Value::from(253_402_300_799_000_i64),
            "CreateOAuth2Token" => Value::from(253_402_300_799_i64 - T0),
            _ => "9999-12-31T23:59:59Z".into(),
        };
        assert_eq!((reply.status, ends(&reply)), (200, vec![want]), "{op}");
    }
    for (op, reply) in everyone(&lab, &Fault::expiry("*", Expiry::Past)) {
        let want = match op {
            "GetRoleCredentials" => Value::from((T0 - 3600) * 1000),
            "CreateOAuth2Token" => Value::from(-3600),
            _ => "2026-11-24T01:03:04Z".into(),
        };
        assert_eq!(ends(&reply), [want], "{op}");
    }
    for (op, reply) in everyone(&lab, &Fault::expiry("*", Expiry::Missing)) {
        assert_eq!((reply.status, ends(&reply)), (200, Vec::new()), "{op}");
    }
    for (op, reply) in everyone(&lab, &Fault::expiry("*", Expiry::NoZone)) {
        let ends = ends(&reply);
        let zoned = ends[0].as_str().is_some_and(|text| text.ends_with('Z'));
        assert!(!zoned, "{op}: {ends:?}");
    }
    assert_eq!(lab.calls_of("AssumeRole")[0].fault.as_deref(), Some("expiry"));
}

#[test]
fn every_answer_can_be_cut_or_long_or_something_else() {
    let lab = frozen();
    for (op, reply) in everyone(&lab, &Fault::new("*", Act::Malformed)) {
        let told = reply.header("content-length").and_then(|n| n.parse().ok());
        assert_eq!(Some(reply.body.len()), told, "{op}: whole as HTTP");
        assert!(!reply.body.is_empty() && reply.json().is_null(), "{op}: {}", reply.body);
        assert_eq!(reply.xml("RequestId"), None, "{op}");
    }
    for (op, reply) in everyone(&lab, &Fault::new("*", Act::Huge { bytes: 3_000_000 })) {
        assert_eq!((reply.status, reply.body.len()), (200, 3_000_000), "{op}");
        let good = reply.json().is_object() || reply.xml("RequestId").is_some();
        assert!(good, "{op}: still what it was");
    }
    for (op, reply) in everyone(&lab, &Fault::new("*", Act::Html)) {
        assert!(reply.body.starts_with("<html>"), "{op}");
    }
    let kind = "text/plain".to_owned();
    let act = Act::Body { status: 502, kind, text: "upstream".into() };
    for (op, reply) in everyone(&lab, &Fault::new("*", act)) {
        assert_eq!((reply.status, reply.body.as_str()), (502, "upstream"), "{op}");
        assert_eq!(reply.header("content-type"), Some("text/plain"), "{op}");
    }
    for (op, reply) in everyone(&lab, &Fault::body("*", "[]")) {
        assert_eq!((reply.status, reply.json()), (200, Value::Array(Vec::new())), "{op}");
    }
    for (op, reply) in everyone(&lab, &Fault::status("*", 503, "Unavailable")) {
        assert_eq!(reply.status, 503, "{op}");
    }
}

#[test]
fn an_answer_can_stop_half_way_and_stay_silent() {
    let lab = frozen();
    lab.queue(Fault::new("ContainerCredentials", Act::StallHalf));
    let mut stream = TcpStream::connect(("127.0.0.1", lab.port())).expect("connects");
    let ask = b"GET /v2/credentials/lab HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n";
    stream.write_all(ask).expect("writes");
    stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let mut text = Vec::new();
    let error = stream.read_to_end(&mut text).expect_err("open and silent");
    assert!(matches!(error.kind(), std::io::ErrorKind::WouldBlock), "{error}");
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("\"AccessKeyId\"") && !text.ends_with('}'), "{text}");
    assert_eq!(lab.state()["sessions"], 1, "the call took effect");
    assert_eq!(get(&lab, "/v2/credentials/lab").status, 200, "others are served meanwhile");
}

#[test]
fn the_new_acts_are_read_from_json() {
    for (text, act) in [
        (r#"{"act": "malformed"}"#, Act::Malformed),
        (r#"{"act": "stall_half"}"#, Act::StallHalf),
        (r#"{"act": "huge", "bytes": 7}"#, Act::Huge { bytes: 7 }),
        (r#"{"act": "expiry", "expiry": "far_future"}"#, Act::Expiry { expiry: Expiry::FarFuture }),
        (
            r#"{"act": "body", "text": ""}"#,
            Act::Body { status: 200, kind: "application/json".into(), text: String::new() },
        ),
    ] {
        assert_eq!(serde_json::from_str::<Act>(text).expect(text), act);
    }
}
