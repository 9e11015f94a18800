//! STS and EKS: signatures, sessions and their limits.

mod common;

use common::{ALICE, Keys, alice, eks, keys_of, sts};
use eksd_lab::{Lab, Script, What};

const T0: i64 = 1_795_485_784;
const DATE: &str = "20261124T020304Z";
const WHO: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const SERIAL: &str = "arn%3Aaws%3Aiam%3A%3A111122223333%3Amfa%2Falice";

fn frozen(change: impl FnOnce(&mut Script)) -> Lab {
    let mut script = Script::default();
    change(&mut script);
    let lab = Lab::start(script);
    lab.freeze(T0);
    lab
}

fn assume(role: &str, more: &str) -> String {
    let role = format!("arn:aws:iam::{role}").replace(':', "%3A").replace('/', "%2F");
    format!("Action=AssumeRole&Version=2011-06-15&RoleArn={role}&RoleSessionName=me{more}")
}

fn dev() -> String {
    assume("111122223333:role/dev", "")
}

#[test]
fn a_good_signature_is_answered_in_xml() {
    let lab = frozen(|_| {});
    let reply = sts(&lab, &alice(), DATE, WHO);
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.xml("Arn"), Some("arn:aws:iam::111122223333:user/alice"));
    let call = lab.calls_of("GetCallerIdentity").pop().expect("a call");
    assert_eq!(call.access_key.as_deref(), Some(ALICE));
    assert!(!call.presigned);
}

#[test]
fn wrong_signatures_are_refused_with_the_real_codes() {
    let lab = frozen(|_| {});
    let error = |keys: &Keys, date: &str| {
        let reply = sts(&lab, keys, date, WHO);
        let code = reply.xml("Code").expect("an error").to_owned();
        (reply.status, code, reply.xml("Message").expect("a message").to_owned())
    };
    let (status, code, message) = error(&Keys { secret: "x".into(), ..alice() }, DATE);
    assert_eq!((status, code.as_str()), (403, "SignatureDoesNotMatch"));
    assert!(message.starts_with("The request signature we calculated"), "{message}");
    let (status, code, _) = error(&Keys { id: "AKIAUNKNOWN".into(), ..alice() }, DATE);
    assert_eq!((status, code.as_str()), (403, "InvalidClientTokenId"));
    let (_, code, _) = error(&Keys { token: Some("x".into()), ..alice() }, DATE);
    assert_eq!(code, "InvalidClientTokenId");
    let (_, code, message) = error(&alice(), "20261124T015803Z");
    assert_eq!(code, "SignatureDoesNotMatch");
    assert_eq!(
        message,
        "Signature expired: 20261124T015803Z is now earlier than 20261124T015804Z \
         (20261124T020304Z - 5 min.)"
    );
    let (_, _, message) = error(&alice(), "20261124T020805Z");
    assert!(message.starts_with("Signature not yet current: 20261124T020805Z is still later"));
    assert_eq!(sts(&lab, &alice(), "20261124T015804Z", WHO).status, 200, "five minutes are fine");
}

#[test]
fn a_changed_body_breaks_the_signature() {
    let lab = frozen(|_| {});
    let host = format!("127.0.0.1:{}", lab.port());
    let headers = common::sign(&alice(), "sts", ("POST", "/", ""), &host, DATE, WHO);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(k, v)| (&**k, &**v)).collect();
    let other = WHO.replace("2011", "2012");
    let reply = common::send(lab.port(), "POST", "/", &headers, &other).expect("an answer");
    assert_eq!(reply.status, 403);
}

#[test]
fn a_session_ends_and_can_be_revoked() {
    let lab = frozen(|_| {});
    let session = keys_of(&sts(&lab, &alice(), DATE, &dev()));
    let reply = sts(&lab, &session, DATE, WHO);
    assert_eq!(reply.xml("Arn"), Some("arn:aws:sts::111122223333:assumed-role/dev/me"));
    lab.advance(3600);
    let late = sts(&lab, &session, "20261124T030304Z", WHO);
    assert_eq!((late.status, late.xml("Code")), (403, Some("ExpiredToken")));
    lab.revoke(What::Sessions);
    let gone = sts(&lab, &session, "20261124T030304Z", WHO);
    assert_eq!(gone.xml("Code"), Some("InvalidClientTokenId"));
}

#[test]
fn the_session_length_has_its_limits() {
    let lab = frozen(|_| {});
    let ask = |keys: &Keys, role: &str, seconds: u32| {
        let form = assume(role, &format!("&DurationSeconds={seconds}"));
        let reply = sts(&lab, keys, DATE, &form);
        (reply.status, reply.xml("Message").unwrap_or_default().to_owned())
    };
    let (status, message) = ask(&alice(), "111122223333:role/dev", 3601);
    assert_eq!(status, 400);
    assert!(message.contains("MaxSessionDuration set for this role"), "{message}");
    let (_, message) = ask(&alice(), "111122223333:role/dev", 899);
    assert!(message.contains("greater than or equal to 900"), "{message}");
    assert_eq!(ask(&alice(), "111122223333:role/second", 43_200).0, 200);
    let session = keys_of(&sts(&lab, &alice(), DATE, &dev()));
    let (status, message) = ask(&session, "111122223333:role/second", 3601);
    assert_eq!(status, 400);
    assert!(message.contains("1 hour session limit for roles assumed by role chaining"));
    assert_eq!(ask(&session, "111122223333:role/second", 3600).0, 200);
}

#[test]
fn an_mfa_code_works_once() {
    let lab = frozen(|_| {});
    let role = "444455556666:role/prod-admin";
    let bare = sts(&lab, &alice(), DATE, &assume(role, ""));
    assert_eq!((bare.status, bare.xml("Code")), (403, Some("AccessDenied")));
    let with = |code: &str| format!("&SerialNumber={SERIAL}&TokenCode={code}");
    let code = lab.totp("alice");
    let first = sts(&lab, &alice(), DATE, &assume(role, &with(&code)));
    assert_eq!(first.status, 200, "{}", first.body);
    let again = sts(&lab, &alice(), DATE, &assume(role, &with(&code)));
    assert_eq!(
        again.xml("Message"),
        Some("MultiFactorAuthentication failed with invalid MFA one time pass code.")
    );
    let wrong = with(&code).replace("%2Falice", "%2Fbob");
    let wrong = sts(&lab, &alice(), DATE, &assume(role, &wrong));
    assert!(wrong.body.contains("unable to validate MFA code"), "{}", wrong.body);
    lab.advance(30);
    let next = lab.totp(ALICE);
    assert_eq!(sts(&lab, &alice(), DATE, &assume(role, &with(&next))).status, 200);
}

#[test]
fn mfa_of_a_session_token_lasts_one_hop() {
    let lab = frozen(|s| {
        s.roles.get_mut("arn:aws:iam::111122223333:role/second").expect("there").require_mfa = true;
    });
    let form = format!(
        "Action=GetSessionToken&Version=2011-06-15&SerialNumber={SERIAL}&TokenCode={}",
        lab.totp("alice")
    );
    let reply = sts(&lab, &alice(), DATE, &form);
    assert_eq!(reply.xml("Expiration"), Some("2026-11-24T14:03:04Z"), "{}", reply.body);
    let session = keys_of(&reply);
    let again = sts(&lab, &session, DATE, "Action=GetSessionToken&Version=2011-06-15");
    assert_eq!(again.status, 403, "needs a long-term key");
    let admin = assume("444455556666:role/prod-admin", "");
    let first = sts(&lab, &session, DATE, &admin);
    assert_eq!(first.status, 200, "{}", first.body);
    let second = assume("111122223333:role/second", "");
    assert_eq!(sts(&lab, &keys_of(&first), DATE, &second).status, 403, "one hop only");
    let long = sts(&lab, &session, DATE, &(admin + "&DurationSeconds=7200"));
    assert!(long.body.contains("role chaining"), "{}", long.body);
}

#[test]
fn a_trust_policy_can_ask_for_more() {
    let lab = frozen(|s| {
        let role = s.roles.get_mut("arn:aws:iam::111122223333:role/dev").expect("there");
        role.external_id = Some("partner".into());
        role.trust = vec!["arn:aws:iam::111122223333:role/second".into()];
    });
    let second = assume("111122223333:role/second", "");
    let session = keys_of(&sts(&lab, &alice(), DATE, &second));
    let with = dev() + "&ExternalId=partner";
    assert_eq!(sts(&lab, &session, DATE, &with).status, 200);
    assert_eq!(sts(&lab, &session, DATE, &dev()).status, 403, "no external id");
    assert_eq!(sts(&lab, &alice(), DATE, &with).status, 403, "alice is not trusted");
    let none = sts(&lab, &alice(), DATE, &assume("111122223333:role/none", ""));
    assert_eq!(
        none.xml("Message"),
        Some(
            "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: \
             sts:AssumeRole on resource: arn:aws:iam::111122223333:role/none"
        )
    );
}

#[test]
fn eks_shows_the_callers_clusters() {
    let lab = frozen(|_| {});
    assert_eq!(eks(&lab, &alice(), DATE, "/clusters").json()["clusters"][0], "demo");
    let demo = eks(&lab, &alice(), DATE, "/clusters/demo").json();
    assert_eq!(demo["cluster"]["endpoint"], lab.kube_url("demo"));
    assert_eq!(demo["cluster"]["arn"], "arn:aws:eks:eu-west-1:111122223333:cluster/demo");
    let other = eks(&lab, &alice(), DATE, "/clusters/prod");
    assert_eq!(other.header("x-amzn-errortype"), Some("ResourceNotFoundException"));
    assert_eq!(other.json()["message"], "No cluster found for name: prod.");
    let wrong = eks(&lab, &Keys { id: "AKIAUNKNOWN".into(), ..alice() }, DATE, "/clusters");
    assert_eq!(wrong.header("x-amzn-errortype"), Some("UnrecognizedClientException"));
}

#[test]
fn a_recreated_cluster_moves_and_has_a_new_ca() {
    let lab = frozen(|_| {});
    let (url, ca) = (lab.kube_url("demo"), lab.kube_ca_pem("demo"));
    lab.recreate("demo");
    assert_ne!((lab.kube_url("demo"), lab.kube_ca_pem("demo")), (url, ca));
    let demo = eks(&lab, &alice(), DATE, "/clusters/demo").json();
    assert_eq!(demo["cluster"]["endpoint"], lab.kube_url("demo"));
    assert_eq!(demo["cluster"]["createdAt"], T0);
    lab.edit(|s| s.clusters.retain(|c| c.name != "demo"));
    assert_eq!(eks(&lab, &alice(), DATE, "/clusters/demo").status, 404);
}
