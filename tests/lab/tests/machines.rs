//! Credentials that a machine is given: the metadata service, and container credentials.

mod common;

use common::{Keys, Reply, get, send, sts};
use eksd_lab::{Container, Fault, Instance, Lab, Script, What};
use serde_json::Value;

const T0: i64 = 1_795_485_784;
const DATE: &str = "20261124T020304Z";
const WHO: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

fn on_ec2() -> Lab {
    let lab = Lab::start(Script { instance: Some(Instance::default()), ..Script::default() });
    lab.freeze(T0);
    lab
}

fn ask(lab: &Lab, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    send(lab.port(), method, path, headers, "").expect("an answer")
}

fn metadata_token(lab: &Lab, seconds: &str) -> Reply {
    ask(lab, "PUT", "/latest/api/token", &[(TTL, seconds)])
}

fn with_token(lab: &Lab, token: &str, path: &str) -> Reply {
    ask(lab, "GET", path, &[("x-aws-ec2-metadata-token", token)])
}

fn keys(body: &Value) -> Keys {
    let text = |name: &str| body[name].as_str().expect("a text").to_owned();
    Keys { id: text("AccessKeyId"), secret: text("SecretAccessKey"), token: Some(text("Token")) }
}

#[test]
fn the_metadata_service_wants_a_token() {
    let lab = on_ec2();
    assert_eq!(get(&lab, ROLES).status, 401, "version 1 is off");
    for seconds in ["0", "21601", "long", ""] {
        assert_eq!(metadata_token(&lab, seconds).status, 400, "{seconds}");
    }
    assert_eq!(get(&lab, "/latest/api/token").status, 405);
    let forwarded = [(TTL, "60"), ("x-forwarded-for", "10.0.0.1")];
    assert_eq!(ask(&lab, "PUT", "/latest/api/token", &forwarded).status, 403);
    let token = metadata_token(&lab, "60");
    assert_eq!((token.status, token.header(TTL)), (200, Some("60")));
    assert_eq!(with_token(&lab, &token.body, ROLES).body, "dev");
    lab.advance(60);
    assert_eq!(with_token(&lab, &token.body, ROLES).status, 401, "the token has ended");
    let token = metadata_token(&lab, "60").body;
    lab.revoke(What::MetadataTokens);
    assert_eq!(with_token(&lab, &token, ROLES).status, 401);
}

#[test]
fn an_instance_has_the_credentials_of_its_role() {
    let lab = on_ec2();
    let token = metadata_token(&lab, "21600").body;
    let got = with_token(&lab, &token, &format!("{ROLES}dev")).json();
    assert_eq!((got["Code"].as_str(), got["Type"].as_str()), (Some("Success"), Some("AWS-HMAC")));
    assert_eq!(got["Expiration"], "2026-11-24T08:03:04Z");
    let who = sts(&lab, &keys(&got), DATE, WHO);
    let session = "arn:aws:sts::111122223333:assumed-role/dev/i-0123456789abcdef0";
    assert_eq!(who.xml("Arn"), Some(session));
    assert_eq!(with_token(&lab, &token, &format!("{ROLES}other")).status, 404);
    let place = |path: &str| with_token(&lab, &token, &format!("/latest/meta-data/{path}")).body;
    assert_eq!(place("placement/region"), "eu-west-1");
    assert_eq!(place("placement/availability-zone/"), "eu-west-1a");
    assert_eq!(place("instance-id"), "i-0123456789abcdef0");
    lab.edit(|s| s.instance = Some(Instance { role: None, ..Instance::default() }));
    assert_eq!(with_token(&lab, &token, ROLES).status, 404, "no instance profile");
    lab.edit(|s| s.instance = None);
    assert_eq!(metadata_token(&lab, "60").status, 404, "not on EC2");
    let ops: Vec<_> = lab.calls().into_iter().map(|c| c.op).collect();
    assert_eq!(ops[..2], ["MetadataToken", "MetadataCredentials"]);
    assert_eq!(ops.last().map(String::as_str), Some("MetadataToken"));
}

#[test]
fn a_container_needs_its_authorization() {
    let lab = Lab::start(Script::default());
    lab.freeze(T0);
    let pod = |token: &str| ask(&lab, "GET", "/v1/credentials", &[("authorization", token)]);
    let wrong = pod("lab-pod-token2");
    assert_eq!(wrong.status, 403);
    assert_eq!(wrong.json()["code"], "AccessDeniedException");
    assert!(wrong.json()["message"].is_string());
    assert_eq!(get(&lab, "/v1/credentials").status, 403);
    let got = pod("lab-pod-token").json();
    assert_eq!(got["AccountId"], "111122223333");
    let who = sts(&lab, &keys(&got), DATE, WHO);
    assert_eq!(who.xml("Arn"), Some("arn:aws:sts::111122223333:assumed-role/dev/eks-demo-web"));
    let task = get(&lab, "/v2/credentials/lab").json();
    assert_eq!(task["Expiration"], "2026-11-24T08:03:04Z");
    assert!(task.get("AccountId").is_none(), "{task}");
    lab.queue(Fault::status("ContainerCredentials", 500, "ServerError").message("later"));
    let failed = get(&lab, "/v2/credentials/lab");
    assert_eq!((failed.status, failed.json()["code"].as_str()), (500, Some("ServerError")));
    assert_eq!(failed.json()["message"], "later");
    let call = &lab.calls_of("ContainerCredentials")[0];
    assert_eq!(call.role.as_deref(), Some("arn:aws:iam::111122223333:role/dev"));
    assert_eq!(call.service, "container");
}

#[test]
fn a_container_endpoint_moves_with_the_script() {
    let lab = Lab::start(Script::default());
    lab.edit(|s| s.containers = vec![Container { path: "/c".into(), ..Container::default() }]);
    assert_eq!(get(&lab, "/c").status, 200);
    assert_eq!(get(&lab, "/v2/credentials/lab").status, 403, "STS, which wants a signature");
    assert_eq!(lab.container_url("/c"), format!("{}/c", lab.url()));
}
