//! Limits on how often services can be called.

mod common;

use common::{alice, eks, get, portal, post, refresh, sign_in, sts};
use eksd_lab::{Fault, Lab, Limit, Script};
use serde_json::json;

const DATE: &str = "20261124T020304Z";
const ROLE: &str = "/federation/credentials?account_id=111122223333&role_name=Developer";

fn limited(name: &str, limit: Limit) -> Lab {
    let lab = Lab::start(Script::default());
    lab.freeze(1_795_485_784);
    lab.edit(|s| {
        s.limits.insert(name.into(), limit);
    });
    lab
}

const ONE: Limit = Limit { per_second: 1, burst: 1, retry_after: None };

#[test]
fn the_portal_turns_away_what_is_too_much() {
    let lab = limited("portal", Limit { per_second: 20, burst: 20, retry_after: Some(2) });
    let (_, signed_in) = sign_in(&lab);
    let ask = || portal(&lab, &signed_in["accessToken"], "GET", ROLE);
    assert!((0..20).all(|_| ask().status == 200));
    assert_eq!(lab.throttled("*"), 0);
    let reply = ask();
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("2")));
    assert_eq!(reply.header("x-amzn-errortype"), Some("TooManyRequestsException"));
    assert_eq!((lab.throttled("portal"), lab.throttled("oidc")), (1, 0));
    lab.advance(1);
    assert_eq!(ask().status, 200);
    let calls = lab.calls_of("GetRoleCredentials");
    assert_eq!(calls.iter().filter(|c| c.throttled).count(), 1);
    assert_eq!(calls[20].error.as_deref(), Some("TooManyRequestsException"));
    assert_eq!(get(&lab, "/_lab/throttled?service=portal").json()["count"], 1);
}

#[test]
fn each_service_has_its_own_words() {
    let lab = limited("sts", ONE);
    let who = "Action=GetCallerIdentity&Version=2011-06-15";
    assert_eq!(sts(&lab, &alice(), DATE, who).status, 200);
    let reply = sts(&lab, &alice(), DATE, who);
    assert_eq!((reply.status, reply.xml("Code")), (400, Some("Throttling")));
    assert_eq!(reply.xml("Message"), Some("Rate exceeded"));
    let lab = limited("eks", ONE);
    assert_eq!(eks(&lab, &alice(), DATE, "/clusters").status, 200);
    let reply = eks(&lab, &alice(), DATE, "/clusters");
    assert_eq!(
        (reply.status, reply.header("x-amzn-errortype")),
        (429, Some("ThrottlingException"))
    );
    let lab = limited("CreateToken", ONE);
    let (client, signed_in) = sign_in(&lab);
    let reply = refresh(&lab, &client, &signed_in["refreshToken"]);
    assert_eq!(
        (reply.status, reply.header("x-amzn-errortype")),
        (429, Some("TooManyRequestsException"))
    );
    lab.advance(1);
    let reply = refresh(&lab, &client, &signed_in["refreshToken"]);
    assert_eq!(reply.status, 200, "what was turned away had no effect: {}", reply.body);
    let lab = limited("signin", Limit { per_second: 0, burst: 0, retry_after: None });
    let reply = post(&lab, "/v1/token", &json!({}));
    assert_eq!((reply.status, reply.json()["error"].as_str()), (429, Some("rate_exceeded")));
}

#[test]
fn a_call_that_is_turned_away_meets_no_fault() {
    let lab = limited("portal", ONE);
    let (_, signed_in) = sign_in(&lab);
    let ask = || portal(&lab, &signed_in["accessToken"], "GET", ROLE).status;
    assert_eq!(ask(), 200);
    lab.queue(Fault::status("GetRoleCredentials", 503, "ServiceUnavailable"));
    assert_eq!(ask(), 429);
    lab.advance(1);
    assert_eq!(ask(), 503, "it waited for a call that comes through");
    lab.edit(|s| s.limits.clear());
    assert_eq!(ask(), 200);
    assert!(lab.calls_of("GetRoleCredentials")[2].fault.is_some());
    assert_eq!(lab.throttled("portal"), 1, "a fault is no throttle");
}
