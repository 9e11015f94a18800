//! SSO OIDC and the portal.

mod common;

use common::{DEVICE, get, portal, post, refresh, register, send, sign_in, start_device, token};
use eksd_lab::{Approval, Lab, Script, What};
use serde_json::{Value, json};

const T0: i64 = 1_795_485_784;
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const ROLE: &str = "/federation/credentials?account_id=111122223333&role_name=Developer";

fn frozen(change: impl FnOnce(&mut Script)) -> Lab {
    let mut script = Script::default();
    change(&mut script);
    let lab = Lab::start(script);
    lab.freeze(T0);
    lab
}

fn authorize(lab: &Lab, client: &Value, redirect: &str) -> common::Reply {
    let id = client["clientId"].as_str().expect("an id");
    let redirect = redirect.replace(':', "%3A").replace('/', "%2F");
    get(
        lab,
        &format!(
            "/authorize?response_type=code&client_id={id}&redirect_uri={redirect}&state=a%20b\
             &code_challenge_method=S256&scopes=sso%3Aaccount%3Aaccess&code_challenge={CHALLENGE}"
        ),
    )
}

/// The code in a redirect.
fn code_of(reply: &common::Reply) -> String {
    let place = reply.header("location").expect("a redirect");
    let (_, rest) = place.split_once("code=").expect("a code");
    rest.split('&').next().expect("a code").into()
}

fn redeem(lab: &Lab, client: &Value, code: &str, redirect: &str, verifier: &str) -> common::Reply {
    let more = json!({"grantType": "authorization_code", "code": code, "redirectUri": redirect,
                      "codeVerifier": verifier});
    token(lab, client, &more)
}

#[test]
fn a_device_code_is_pending_then_approved_then_used_up() {
    let lab = frozen(|s| s.approval = Approval::Manual);
    let client = register(&lab);
    let device = start_device(&lab, &client);
    let more = json!({"grantType": DEVICE, "deviceCode": device["deviceCode"]});
    let poll = || token(&lab, &client, &more);
    let first = poll();
    assert_eq!((first.status, &first.json()["error"]), (400, &json!("authorization_pending")));
    assert_eq!(first.header("x-amzn-errortype"), Some("AuthorizationPendingException"));
    assert_eq!(poll().json()["error"], "slow_down", "polled twice in one moment");
    lab.advance(1);
    assert_eq!(poll().json()["error"], "authorization_pending");
    let page = device["verificationUriComplete"].as_str().expect("a page");
    let page = page.strip_prefix(&lab.url()).expect("a page of the lab");
    assert_eq!(get(&lab, page).status, 200);
    lab.advance(1);
    let good = poll();
    assert_eq!(good.status, 200);
    assert_eq!(good.json()["expiresIn"], 3600);
    assert_eq!(poll().json()["error"], "invalid_grant", "a device code works once");
}

#[test]
fn a_device_code_expires_or_is_denied() {
    let lab = frozen(|s| s.approval = Approval::Manual);
    let client = register(&lab);
    let (old, refused) = (start_device(&lab, &client), start_device(&lab, &client));
    let poll = |device: &Value| {
        token(&lab, &client, &json!({"grantType": DEVICE, "deviceCode": device["deviceCode"]}))
    };
    let body = json!({"user_code": refused["userCode"]});
    assert_eq!(post(&lab, "/_lab/deny", &body).json()["decided"], 1);
    let reply = poll(&refused);
    assert_eq!(reply.header("x-amzn-errortype"), Some("AccessDeniedException"));
    lab.advance(600);
    assert_eq!(poll(&old).header("x-amzn-errortype"), Some("ExpiredTokenException"));
}

#[test]
fn an_authorization_code_needs_its_verifier_and_redirect_and_works_once() {
    let lab = frozen(|_| {});
    let client = register(&lab);
    let here = "http://127.0.0.1:43210/oauth/callback";
    let fresh = || {
        let reply = authorize(&lab, &client, here);
        assert_eq!(reply.status, 302, "{}", reply.body);
        let place = reply.header("location").expect("a redirect");
        assert!(place.starts_with(here) && place.ends_with("&state=a%20b"), "{place}");
        code_of(&reply)
    };
    let wrong = "x".repeat(43);
    let other = "http://127.0.0.1:43211/oauth/callback";
    assert_eq!(redeem(&lab, &client, &fresh(), here, &wrong).json()["error"], "invalid_grant");
    assert_eq!(redeem(&lab, &client, &fresh(), other, VERIFIER).json()["error"], "invalid_grant");
    let code = fresh();
    assert_eq!(redeem(&lab, &client, &code, here, VERIFIER).status, 200);
    assert_eq!(redeem(&lab, &client, &code, here, VERIFIER).json()["error"], "invalid_grant");
    let late = fresh();
    lab.advance(60);
    assert_eq!(redeem(&lab, &client, &late, here, VERIFIER).json()["error"], "invalid_grant");
}

#[test]
fn authorize_redirects_only_to_what_was_registered() {
    let lab = frozen(|_| {});
    let client = register(&lab);
    for redirect in [
        "http://127.0.0.1:1/other",
        "http://example.com/oauth/callback",
        "http://127.0.0.1.example.com/oauth/callback",
        "https://127.0.0.1/oauth/callback",
    ] {
        assert_eq!(authorize(&lab, &client, redirect).status, 400, "{redirect}");
    }
    lab.edit(|s| s.approval = Approval::Deny);
    let refused = authorize(&lab, &client, "http://127.0.0.1:1/oauth/callback");
    let place = refused.header("location").expect("a redirect");
    assert!(place.contains("error=access_denied") && !place.contains("code="), "{place}");
}

#[test]
fn refresh_tokens_rotate_and_reuse_ends_the_sign_in() {
    let lab = frozen(|_| {});
    let (client, first) = sign_in(&lab);
    let second = refresh(&lab, &client, &first["refreshToken"]);
    assert_eq!(second.status, 200);
    let second = second.json();
    assert_ne!(first["refreshToken"], second["refreshToken"]);
    assert_eq!(portal(&lab, &second["accessToken"], "GET", ROLE).status, 200);
    let reused = refresh(&lab, &client, &first["refreshToken"]);
    assert_eq!((reused.status, &reused.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(refresh(&lab, &client, &second["refreshToken"]).status, 400, "family is revoked");
    assert_eq!(portal(&lab, &second["accessToken"], "GET", ROLE).status, 401);
}

#[test]
fn the_rotation_switches_switch() {
    let lab = frozen(|s| s.reuse_revokes_family = false);
    let (client, first) = sign_in(&lab);
    let second = refresh(&lab, &client, &first["refreshToken"]).json();
    assert_eq!(refresh(&lab, &client, &first["refreshToken"]).status, 400);
    assert_eq!(refresh(&lab, &client, &second["refreshToken"]).status, 200, "family lives on");
    lab.edit(|s| s.rotate_refresh_tokens = false);
    let (client, first) = sign_in(&lab);
    let again = refresh(&lab, &client, &first["refreshToken"]).json();
    assert_eq!(again["refreshToken"], first["refreshToken"]);
    assert_eq!(refresh(&lab, &client, &first["refreshToken"]).status, 200);
}

#[test]
fn no_token_outlives_the_sign_in() {
    let lab = frozen(|s| s.lifetimes.session = 5000);
    let (client, mut last) = sign_in(&lab);
    assert_eq!(last["expiresIn"], 3600);
    lab.advance(4000);
    last = refresh(&lab, &client, &last["refreshToken"]).json();
    assert_eq!(last["expiresIn"], 1000, "cut at the end of the sign-in");
    lab.advance(999);
    assert_eq!(portal(&lab, &last["accessToken"], "GET", ROLE).status, 200);
    lab.advance(1);
    assert_eq!(portal(&lab, &last["accessToken"], "GET", ROLE).status, 401);
    assert_eq!(refresh(&lab, &client, &last["refreshToken"]).json()["error"], "invalid_grant");
}

#[test]
fn a_registration_expires_and_its_secret_counts() {
    let lab = frozen(|s| s.lifetimes.client = 100);
    let (client, first) = sign_in(&lab);
    let mut wrong = client.clone();
    wrong["clientSecret"] = json!("guess");
    assert_eq!(refresh(&lab, &wrong, &first["refreshToken"]).status, 401);
    lab.advance(100);
    let late = refresh(&lab, &client, &first["refreshToken"]);
    assert_eq!(late.header("x-amzn-errortype"), Some("InvalidClientException"));
}

#[test]
fn a_sign_in_without_scopes_has_one_long_token() {
    let lab = frozen(|_| {});
    let body = json!({"clientName": "old", "clientType": "public"});
    let client = post(&lab, "/client/register", &body).json();
    let device = start_device(&lab, &client);
    let more = json!({"grantType": DEVICE, "deviceCode": device["deviceCode"]});
    let answer = token(&lab, &client, &more).json();
    assert_eq!((&answer["expiresIn"], &answer["refreshToken"]), (&json!(28_800), &Value::Null));
}

#[test]
fn the_portal_says_401_403_and_404() {
    let lab = frozen(|_| {});
    let (_, signed_in) = sign_in(&lab);
    let access = &signed_in["accessToken"];
    let status = |target: &str| portal(&lab, access, "GET", target).status;
    assert_eq!(status(&ROLE.replace("Developer", "Admin")), 403);
    assert_eq!(status(&ROLE.replace("111122223333", "999999999999")), 404);
    assert_eq!(status(&ROLE.replace("111122223333", "12")), 400);
    assert_eq!(portal(&lab, &json!("aoaWrong"), "GET", ROLE).status, 401);
    let good = portal(&lab, access, "GET", ROLE).json();
    assert_eq!(good["roleCredentials"]["expiration"], (T0 + 3600) * 1000, "milliseconds");
    let call = lab.calls_of("GetRoleCredentials").pop().expect("a call");
    assert_eq!(call.account.as_deref(), Some("111122223333"));
    assert_eq!(call.role.as_deref(), Some("Developer"));
    assert_eq!(call.status, Some(200));
}

#[test]
fn lists_come_in_pages() {
    let lab = frozen(|s| s.page_size = 1);
    let (_, signed_in) = sign_in(&lab);
    let list = |target: &str| portal(&lab, &signed_in["accessToken"], "GET", target);
    let first = list("/assignment/accounts").json();
    assert_eq!(first["accountList"][0]["accountId"], "111122223333");
    let next = first["nextToken"].as_str().expect("more").to_owned();
    let second = list(&format!("/assignment/accounts?next_token={next}")).json();
    assert_eq!(second["accountList"][0]["accountName"], "prod");
    assert_eq!(second["nextToken"], Value::Null);
    let roles = list("/assignment/roles?account_id=111122223333&max_result=100").json();
    assert_eq!(roles["roleList"].as_array().map(Vec::len), Some(1));
    assert_eq!(list("/assignment/accounts?next_token=nonsense").status, 400);
}

#[test]
fn logging_out_ends_this_sign_in_only() {
    let lab = frozen(|_| {});
    let ((client, mine), (_, other)) = (sign_in(&lab), sign_in(&lab));
    assert_eq!(portal(&lab, &mine["accessToken"], "POST", "/logout").status, 200);
    assert_eq!(portal(&lab, &mine["accessToken"], "GET", ROLE).status, 401);
    assert_eq!(refresh(&lab, &client, &mine["refreshToken"]).status, 400);
    assert_eq!(portal(&lab, &other["accessToken"], "GET", ROLE).status, 200);
}

#[test]
fn revoking_hits_what_it_names() {
    let lab = frozen(|_| {});
    let (client, first) = sign_in(&lab);
    lab.revoke(What::AccessTokens);
    assert_eq!(portal(&lab, &first["accessToken"], "GET", ROLE).status, 401);
    let second = refresh(&lab, &client, &first["refreshToken"]).json();
    lab.revoke(What::RefreshTokens);
    assert_eq!(portal(&lab, &second["accessToken"], "GET", ROLE).status, 200);
    assert_eq!(refresh(&lab, &client, &second["refreshToken"]).status, 400);
    lab.revoke(What::Clients);
    assert_eq!(refresh(&lab, &client, &second["refreshToken"]).status, 401);
}

#[test]
fn answers_carry_the_labs_time() {
    let lab = frozen(|_| {});
    let reply = send(lab.port(), "GET", "/start", &[], "").expect("an answer");
    assert_eq!(reply.header("date"), Some("Tue, 24 Nov 2026 02:03:04 GMT"));
    lab.advance(60);
    assert_eq!(get(&lab, "/start").header("date"), Some("Tue, 24 Nov 2026 02:04:04 GMT"));
}

#[test]
fn a_sign_in_keeps_its_person() {
    let lab = frozen(|s| s.approval = Approval::Manual);
    let who = |token: &Value| {
        let body = portal(&lab, token, "GET", ROLE).json();
        let text = |name: &str| body["roleCredentials"][name].as_str().expect("a text").to_owned();
        let (id, secret) = (text("accessKeyId"), text("secretAccessKey"));
        let keys = common::Keys { id, secret, token: Some(text("sessionToken")) };
        let form = "Action=GetCallerIdentity&Version=2011-06-15";
        let reply = common::sts(&lab, &keys, "20261124T020304Z", form);
        let arn = reply.xml("Arn").expect("an ARN");
        arn.rsplit('/').next().expect("a name").to_owned()
    };
    let client = register(&lab);
    let device = start_device(&lab, &client);
    lab.edit(|s| s.person = "bob@example.com".into());
    lab.approve_all();
    lab.edit(|s| s.person = "carol@example.com".into());
    let redirect = "http://127.0.0.1:1234/oauth/callback";
    let code = code_of(&authorize(&lab, &client, redirect));
    lab.edit(|s| s.person = "dave@example.com".into());
    let more = json!({"grantType": DEVICE, "deviceCode": device["deviceCode"]});
    let bob = token(&lab, &client, &more).json();
    let carol = redeem(&lab, &client, &code, redirect, VERIFIER).json();
    assert_eq!(who(&bob["accessToken"]), "bob@example.com", "who approved, not who is there now");
    assert_eq!(who(&carol["accessToken"]), "carol@example.com");
    let again = refresh(&lab, &client, &bob["refreshToken"]).json();
    assert_eq!(who(&again["accessToken"]), "bob@example.com", "a refresh changes nobody");
}
