//! The AWS CLI (both), boto3 and kubectl, unchanged, against the lab.
//!
//! Needs `aws` (v1), `python3` with boto3, `kubectl`, and AWS CLI v2 named by `EKSD_TEST_AWS_V2`.

#[path = "../common/mod.rs"]
mod common;
mod sources;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use common::person::{CREDENTIALS, LAB_BINARY, Person, with_v2};
use common::{start_device, token};
use eksd_lab::{Approval, Fault, Lab, Mapped, Script};
use serde_json::{Value, json};
use tempfile::TempDir;

const ALICE_ARN: &str = "arn:aws:iam::111122223333:user/alice";
const DEVELOPER: &str = "arn:aws:sts::111122223333:assumed-role/\
                         AWSReservedSSO_Developer_0123456789abcdef/alice@example.com";

#[test]
fn cli_v1_signs_and_assumes_roles() {
    let person = Person::new(Script::default());
    assert_eq!(person.aws("sts get-caller-identity").json()["Arn"], ALICE_ARN);
    let dev = person.aws("--profile dev sts get-caller-identity").json();
    let arn = dev["Arn"].as_str().expect("an ARN");
    assert!(arn.starts_with("arn:aws:sts::111122223333:assumed-role/dev/"), "{arn}");
    let second = person.aws("--profile second sts get-caller-identity").json();
    let arn = second["Arn"].as_str().expect("an ARN");
    assert!(arn.starts_with("arn:aws:sts::111122223333:assumed-role/second/"), "{arn}");
    let hops = person.lab.calls_of("AssumeRole");
    let last = hops.last().expect("a call");
    assert!(last.arn.as_deref().expect("a caller").contains("assumed-role/dev/"), "{last:?}");
    assert!(last.user_agent.contains("aws-cli/1"), "{last:?}");
}

#[test]
fn cli_v1_shows_the_errors_of_sts() {
    let person = Person::new(Script::default());
    let wrong = CREDENTIALS.replace("alice-long", "not-long");
    fs::write(person.file(".aws/credentials"), wrong).expect("writes");
    let shown = person.aws("sts get-caller-identity").failed();
    assert!(shown.contains("(SignatureDoesNotMatch)"), "{shown}");
    fs::write(person.file(".aws/credentials"), CREDENTIALS).expect("writes");
    person.lab.set_offset(40_000);
    let shown = person.aws("sts get-caller-identity").failed();
    assert!(shown.contains("Signature expired: "), "{shown}");
    assert!(shown.contains(" is now earlier than "), "{shown}");
    person.lab.set_offset(0);
    let long = "--role-arn arn:aws:iam::111122223333:role/dev --role-session-name me";
    let shown = person.aws(&format!("sts assume-role {long} --duration-seconds 7200")).failed();
    assert!(shown.contains("(ValidationError)"), "{shown}");
    person.lab.queue(Fault::status("GetCallerIdentity", 400, "Throttling"));
    let shown = person.aws("sts get-caller-identity").failed();
    assert!(shown.contains("(Throttling)"), "{shown}");
}

#[test]
fn cli_v1_uses_mfa_codes() {
    let person = Person::new(Script::default());
    let code = person.run(LAB_BINARY, &["totp", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"]).ok();
    let serial = "arn:aws:iam::111122223333:mfa/alice";
    let ask = format!("--serial-number {serial} --token-code {}", code.trim());
    let got = person.aws(&format!("sts get-session-token {ask}")).json();
    assert!(got["Credentials"]["SessionToken"].is_string(), "{got}");
    let again = person.aws(&format!("sts get-session-token {ask}")).failed();
    assert!(again.contains("invalid MFA one time pass code"), "{again}");
}

#[test]
fn the_clis_ask_what_an_account_is_called() {
    let person = Person::new(Script::default());
    assert_eq!(
        person.aws("iam list-account-aliases").json()["AccountAliases"],
        json!(["corp-dev"])
    );
    let call = &person.lab.calls_of("ListAccountAliases")[0];
    assert_eq!((call.service.as_str(), call.status), ("iam", Some(200)));
    person.lab.edit(|script| script.account_aliases.clear());
    assert_eq!(person.aws("iam list-account-aliases").json()["AccountAliases"], json!([]));
    person.lab.queue(Fault::status("ListAccountAliases", 403, "AccessDenied").caller("user/alice"));
    let shown = person.aws("iam list-account-aliases").failed();
    assert!(shown.contains("(AccessDenied)"), "{shown}");
    let person = with_v2(Script::default());
    assert_eq!(
        person.aws("iam list-account-aliases").json()["AccountAliases"],
        json!(["corp-dev"])
    );
}

#[test]
fn a_list_of_clusters_is_denied_to_a_role_in_a_region() {
    let person = Person::new(Script::default());
    let fault = Fault::status("ListClusters", 403, "AccessDeniedException").times(-1);
    person.lab.queue(fault.region("eu-west-1").caller("assumed-role/dev/"));
    assert_eq!(person.aws("eks list-clusters").json()["clusters"], json!(["demo"]));
    let shown = person.aws("--profile dev eks list-clusters").failed();
    assert!(shown.contains("(AccessDeniedException)"), "{shown}");
    let elsewhere = person.aws("--profile dev --region us-east-1 eks list-clusters").json();
    assert_eq!(elsewhere["clusters"], json!([]));
}

#[test]
fn kubectl_reaches_a_cluster_with_the_clis_token() {
    let person = Person::new(Script::default());
    let cluster = person.aws("eks describe-cluster --name demo").json();
    assert_eq!(cluster["cluster"]["endpoint"], person.lab.kube_url("demo"));
    let missing = person.aws("eks describe-cluster --name none").failed();
    assert!(missing.contains("(ResourceNotFoundException)"), "{missing}");
    assert_eq!(person.aws("eks list-clusters").json()["clusters"], json!(["demo"]));
    person.aws("eks update-kubeconfig --name demo").ok();
    let nodes = person.kubectl("get nodes").ok();
    assert!(nodes.contains("ip-10-0-0-2.demo.internal") && nodes.contains("Ready"), "{nodes}");
    assert!(person.kubectl("version").ok().contains("Server Version: v1.32.0-eks-lab"));
    assert!(person.kubectl("auth whoami").ok().contains(ALICE_ARN));
    assert_eq!(person.kubectl("auth can-i list pods").ok().trim(), "yes");
    let pods = person.kubectl("get pods -A -o json").json();
    assert_eq!(pods["items"][0]["metadata"]["name"], "web-0");
    let missing = person.kubectl("get node none").failed();
    assert!(missing.contains("nodes \"none\" not found"), "{missing}");
    let own = person.run(LAB_BINARY, &["kube", "get", "nodes"]).ok();
    assert_eq!(own, "ip-10-0-0-1.demo.internal\nip-10-0-0-2.demo.internal\n");
}

#[test]
fn the_clis_token_is_a_presigned_call_that_anyone_can_replay() {
    use base64::Engine as _;
    let person = Person::new(Script::default());
    let credential = person.aws("eks get-token --cluster-name demo").json();
    let token = credential["status"]["token"].as_str().expect("a token");
    let raw = token.strip_prefix("k8s-aws-v1.").expect("the prefix");
    let url = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(raw).expect("base64");
    let url = String::from_utf8(url).expect("text");
    let target = url.strip_prefix(&person.lab.url()).expect("the lab's own STS");
    let replay = |cluster: &str, accept: &str| {
        let headers = [("x-k8s-aws-id", cluster), ("accept", accept)];
        common::send(person.lab.port(), "GET", target, &headers, "").expect("an answer")
    };
    let answer = replay("demo", "application/json").json();
    let result = &answer["GetCallerIdentityResponse"]["GetCallerIdentityResult"];
    assert_eq!(result["Arn"], ALICE_ARN, "{answer}");
    assert_eq!(replay("demo", "*/*").xml("Arn"), Some(ALICE_ARN));
    assert_eq!(replay("prod", "*/*").xml("Code"), Some("SignatureDoesNotMatch"));
    person.lab.advance(901);
    let late = replay("demo", "*/*");
    assert!(late.xml("Message").is_some_and(|m| m.contains("- 15 min.)")), "{}", late.body);
    assert!(person.lab.calls_of("GetCallerIdentity")[0].presigned);
}

#[test]
fn kubectl_is_turned_away() {
    let person = Person::new(Script::default());
    person.aws("eks update-kubeconfig --name demo").ok();
    person.kubectl("get nodes").ok();
    person.lab.reject("demo", 1, 401);
    let shown = person.kubectl("get nodes").failed();
    assert!(shown.contains("You must be logged in to the server"), "{shown}");
    let viewer = Mapped { username: "viewer".into(), groups: vec!["team".into()] };
    person.lab.map("demo", Some(BTreeMap::from([(ALICE_ARN.into(), viewer)])));
    let shown = person.kubectl("get nodes").failed();
    assert!(shown.contains("User \"viewer\" cannot list resource \"nodes\""), "{shown}");
    assert!(person.kubectl("auth can-i list pods").out.starts_with("no"));
    person.lab.map("demo", Some(BTreeMap::new()));
    let shown = person.kubectl("get nodes").failed();
    assert!(shown.contains("Unauthorized") || shown.contains("logged in"), "{shown}");
    let why = person.lab.calls_of("Kube").pop().and_then(|c| c.why).expect("a reason");
    assert!(why.contains("is not mapped"), "{why}");
    let mine = person.run(LAB_BINARY, &["kube", "get", "nodes"]).failed();
    assert!(mine.contains("error from server (401): Unauthorized"), "{mine}");
    // A token of one cluster is no good at another.
    person.lab.map("demo", None);
    let text = fs::read_to_string(person.file("kubeconfig")).expect("there");
    fs::write(person.file("kubeconfig"), text.replace("- demo", "- other")).expect("writes");
    person.kubectl("get nodes").failed();
    let why = person.lab.calls_of("Kube").pop().and_then(|c| c.why).expect("a reason");
    assert!(why.contains("SignatureDoesNotMatch"), "{why}");
}

const BOTO3: &str = "
import boto3
session = boto3.Session(profile_name='sso')
print(session.client('sts').get_caller_identity()['Arn'], end='')
";

#[test]
fn boto3_uses_a_stored_sign_in() {
    let person = Person::new(Script::default());
    person.write_sso_token("2999-01-01T00:00:00Z");
    assert_eq!(person.run("python3", &["-c", BOTO3]).ok(), DEVELOPER);
    assert_eq!(person.lab.count("CreateToken"), 1, "no refresh was needed");
    person.write_sso_token("2020-01-01T00:00:00Z");
    assert_eq!(person.run("python3", &["-c", BOTO3]).ok(), DEVELOPER);
    let grants: Vec<_> = person.lab.calls_of("CreateToken").into_iter().map(|c| c.grant).collect();
    assert_eq!(grants.last(), Some(&Some("refresh_token".into())), "{grants:?}");
    person.lab.revoke(eksd_lab::What::AccessTokens);
    let shown = person.run("python3", &["-c", BOTO3]).failed();
    assert!(shown.contains("UnauthorizedException"), "{shown}");
}

#[test]
fn boto3_trusts_the_tls_port() {
    let person =
        Person { lab: Lab::start_tls(Script::default()), ..Person::new(Script::default()) };
    let ca = person.file("ca.pem");
    fs::write(&ca, person.lab.ca_pem()).expect("writes");
    let url = person.lab.tls_url().expect("a TLS port");
    let script = format!(
        "import boto3\nprint(boto3.client('sts', endpoint_url='{url}', verify='{}')\
         .get_caller_identity()['Arn'], end='')",
        ca.display()
    );
    assert_eq!(person.run("python3", &["-c", &script]).ok(), ALICE_ARN);
}

#[test]
fn cli_v2_signs_in_with_pkce() {
    let person = with_v2(Script::default());
    person.aws("sso login --profile sso").ok();
    assert_eq!(person.lab.calls_of("Authorize")[0].status, Some(302));
    let grants = person.lab.calls_of("CreateToken");
    assert_eq!(grants[0].grant.as_deref(), Some("authorization_code"));
    let who = person.aws("--profile sso sts get-caller-identity").json();
    assert_eq!(who["Arn"], DEVELOPER);
    person.aws("--profile sso eks update-kubeconfig --name demo").ok();
    let nodes = person.run(LAB_BINARY, &["kube", "get", "nodes"]).ok();
    assert!(nodes.contains("demo.internal"), "{nodes}");
    let version = person.run(LAB_BINARY, &["kube", "get", "version"]).ok();
    assert_eq!(version, "v1.32.0-eks-lab\n");
    person.aws("sso logout").ok();
    assert_eq!(person.lab.calls_of("Logout")[0].status, Some(200));
    assert_eq!(person.lab.state()["refresh_tokens"], 0);
}

#[test]
fn cli_v2_signs_in_with_a_device_code() {
    let person = with_v2(Script { approval: Approval::Manual, ..Script::default() });
    person.aws("sso login --profile sso --use-device-code").ok();
    assert_eq!(person.lab.count("Device"), 1, "the browser opened the page");
    let polls = person.lab.calls_of("CreateToken");
    assert!(polls.iter().all(|c| c.grant.as_deref() == Some("device_code")), "{polls:?}");
    let who = person.aws("--profile sso sts get-caller-identity").json();
    assert_eq!(who["Arn"], DEVELOPER);
}

#[test]
fn cli_v2_is_refused() {
    let person = with_v2(Script { approval: Approval::Deny, ..Script::default() });
    person.aws("sso login --profile sso").failed();
    let last = person.lab.calls_of("Authorize").pop().expect("a call");
    assert_eq!(last.status, Some(302));
    assert_eq!(person.lab.count("CreateToken"), 0, "there is no code to redeem");
}

#[test]
fn serve_runs_from_a_script_until_it_is_told_to_stop() {
    use std::io::{BufRead as _, BufReader};
    let folder = TempDir::new().expect("a folder");
    let script = folder.path().join("script.json");
    fs::write(&script, r#"{"approval": "manual", "lifetimes": {"session": 77}}"#).expect("writes");
    let ca = folder.path().join("ca.pem");
    let ready_file = folder.path().join("ready.json");
    let mut lab = Command::new(LAB_BINARY)
        .args(["serve", "--tls-port", "0", "--ca-out"])
        .arg(&ca)
        .arg("--script")
        .arg(&script)
        .arg("--ready-file")
        .arg(&ready_file)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("starts");
    let mut line = String::new();
    BufReader::new(lab.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let told = line.strip_prefix("eksd-lab ready ").expect("the ready line");
    let file = fs::read_to_string(&ready_file).expect("written");
    assert_eq!(told.trim(), file);
    let ready: Value = serde_json::from_str(told).expect("JSON");
    assert!(fs::read_to_string(ca).expect("written").starts_with("-----BEGIN CERTIFICATE"));
    let ctl = |args: &[&str]| {
        let url = ready["url"].as_str().expect("a URL");
        let mut command = Command::new(LAB_BINARY);
        let output = command.arg("ctl").args(args).env("EKSD_LAB_URL", url).output();
        let output = output.expect("runs");
        assert!(output.status.success(), "{args:?}");
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    assert_eq!(ctl(&["state"])["script"]["lifetimes"]["session"], 77);
    ctl(&["state", r#"{"page_size": 3}"#]);
    assert_eq!(ctl(&["state"])["script"]["page_size"], 3);
    ctl(&["clock", r#"{"frozen": 1000}"#]);
    assert_eq!(ctl(&["state"])["now"], 1000);
    assert_eq!(ctl(&["approve"])["decided"], 0);
    assert_eq!(ctl(&["count?op=CreateToken"])["count"], 0);
    Command::new("kill").arg(lab.id().to_string()).status().expect("kill runs");
    assert!(lab.wait().expect("ends").success());
}

#[test]
fn the_browser_returns_before_its_page_does() {
    let person = Person::new(Script { approval: Approval::Manual, ..Script::default() });
    let client = common::register(&person.lab);
    let device = start_device(&person.lab, &client);
    let page = device["verificationUriComplete"].as_str().expect("a page");
    // A page that never comes: only a browser that does not wait for it returns.
    person.lab.queue(Fault::new("Device", eksd_lab::Act::Stall));
    person.run(LAB_BINARY, &["open", page]).ok();
    let deadline = std::time::Duration::from_secs(20);
    assert!(person.lab.wait_for_calls("Device", 1, deadline));
    person.run(LAB_BINARY, &["open", "--wait", page]).ok();
    let more = json!({"grantType": common::DEVICE, "deviceCode": device["deviceCode"]});
    let reply = token(&person.lab, &client, &more);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let shown = person.run(LAB_BINARY, &["open", "--wait", "http://example.com/"]).failed();
    assert!(shown.contains("eksd-lab: "), "{shown}");
}
