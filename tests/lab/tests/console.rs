//! The sign-in service behind `aws login`.

mod common;

use common::proof::{CLIENT, Claims, refresh, token};
use common::{Keys, get, keys_of, sts};
use eksd_lab::{Approval, Console, Fault, Lab, Script, What};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const T0: i64 = 1_795_485_784;
const DATE: &str = "20261124T020304Z";
const WHO: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const ADMIN: &str = "arn:aws:sts::111122223333:assumed-role/Admin/alice@example.com";

fn frozen(console: Console) -> Lab {
    let lab = Lab::start(Script { console, ..Script::default() });
    lab.freeze(T0);
    lab
}

fn keys(access: &Value) -> Keys {
    let text = |name: &str| access[name].as_str().expect("a text").to_owned();
    Keys {
        id: text("accessKeyId"),
        secret: text("secretAccessKey"),
        token: Some(text("sessionToken")),
    }
}

/// Status and error of an answer.
fn error(reply: &common::Reply) -> (u16, String) {
    let body = reply.json();
    assert!(body["message"].is_string(), "{}", reply.body);
    (reply.status, body["error"].as_str().expect("an error").into())
}

#[test]
fn a_planted_sign_in_is_what_the_cli_would_have_stored() {
    let lab = frozen(Console::default());
    let login = lab.console_login(Some(ADMIN));
    let digest = Sha256::digest(ADMIN);
    let name = digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert_eq!((login.arn.as_str(), login.file), (ADMIN, name + ".json"));
    let content = login.content;
    assert_eq!(content["accessToken"]["expiresAt"], "2026-11-24T02:18:04Z");
    assert_eq!(content["accessToken"]["accountId"], "111122223333");
    assert_eq!(
        (&content["tokenType"], &content["clientId"]),
        (&json!("aws_sigv4"), &json!(CLIENT))
    );
    assert!(content["refreshToken"].is_string() && content["idToken"].is_string(), "{content}");
    let who = sts(&lab, &keys(&content["accessToken"]), DATE, WHO);
    assert_eq!(who.xml("Arn"), Some(ADMIN), "{}", who.body);
    assert_eq!(lab.console_login(None).arn, ALICE, "the script's person");
    assert_eq!(lab.state()["consoles"], 2);
    let ctl = common::post(&lab, "/_lab/console", &json!({"arn": ADMIN})).json();
    assert_eq!(ctl["arn"], ADMIN);
    assert!(ctl["content"]["dpopKey"].as_str().is_some_and(|pem| pem.contains("BEGIN EC")));
}

#[test]
fn a_refresh_rotates_and_its_credentials_are_good_for_fifteen_minutes() {
    let lab = frozen(Console { credentials: 3600, ..Console::default() });
    let content = lab.console_login(None).content;
    let first = refresh(&lab, &content, &content["refreshToken"], "1");
    assert_eq!(first.status, 200, "{}", first.body);
    let got = first.json();
    assert_eq!((&got["tokenType"], &got["expiresIn"]), (&json!("aws_sigv4"), &json!(900)));
    assert_ne!(got["refreshToken"], content["refreshToken"]);
    assert!(got.get("idToken").is_none(), "only a sign-in has one: {got}");
    let mine = keys(&got["accessToken"]);
    assert_eq!(sts(&lab, &mine, DATE, WHO).xml("Arn"), Some(ALICE));
    let again = refresh(&lab, &content, &content["refreshToken"], "2");
    assert_eq!(error(&again), (401, "TOKEN_EXPIRED".into()));
    assert_eq!(again.header("x-amzn-errortype"), Some("AccessDeniedException"));
    assert_eq!(refresh(&lab, &content, &got["refreshToken"], "3").status, 200);
    lab.advance(900);
    assert_eq!(sts(&lab, &mine, "20261124T021804Z", WHO).xml("Code"), Some("ExpiredToken"));
    let calls = lab.calls_of("CreateOAuth2Token");
    let told: Vec<_> = calls.iter().map(|c| c.error.as_deref()).collect();
    assert_eq!(told, [None, Some("TOKEN_EXPIRED"), None]);
    assert_eq!(calls[0].grant.as_deref(), Some("refresh_token"));
    assert_eq!(calls[0].service, "signin");
}

#[test]
fn a_proof_has_to_be_right_and_is_good_for_one_call() {
    let lab = frozen(Console::default());
    let content = lab.console_login(None).content;
    let pem = content["dpopKey"].as_str().expect("a key");
    let other = lab.console_login(None).content;
    let fields = json!({
        "clientId": CLIENT, "grantType": "refresh_token",
        "refreshToken": content["refreshToken"],
    });
    let good = Claims::of(&lab, "good");
    let refused = |proof: &str, why: &str| {
        let reply = token(&lab, &fields, proof);
        assert_eq!(error(&reply), (400, "INVALID_REQUEST".into()), "{why}");
        let call = lab.calls().pop().expect("a call");
        assert!(call.why.as_deref().is_some_and(|told| told.contains(why)), "{why}: {call:?}");
    };
    refused("", "not a JWT");
    refused(&Claims { htm: "GET".into(), ..good.clone() }.sign(pem), "is for GET");
    refused(&Claims { htu: "https://x/v1/token".into(), ..good.clone() }.sign(pem), "https://x/");
    refused(&Claims { iat: T0 - 301, ..good.clone() }.sign(pem), "iat");
    refused(&Claims { iat: T0 + 301, ..good.clone() }.sign(pem), "iat");
    refused(&Claims { jti: String::new(), ..good.clone() }.sign(pem), "no jti");
    refused(&good.sign(other["dpopKey"].as_str().expect("a key")), "another key");
    refused(&good.sign(pem), "seen before");
    let fresh = Claims { iat: T0 - 300, jti: "fresh".into(), ..good };
    assert_eq!(token(&lab, &fields, &fresh.sign(pem)).status, 200, "nothing used it up");
}

#[test]
fn a_sign_in_ends_after_its_time_or_when_it_is_revoked() {
    let lab = frozen(Console { session: 1000, ..Console::default() });
    let content = lab.console_login(None).content;
    lab.advance(400);
    let got = refresh(&lab, &content, &content["refreshToken"], "1").json();
    assert_eq!(got["expiresIn"], 600, "no longer than the sign-in");
    lab.advance(600);
    let late = refresh(&lab, &content, &got["refreshToken"], "2");
    assert_eq!(error(&late), (401, "TOKEN_EXPIRED".into()));
    let content = lab.console_login(None).content;
    lab.revoke(What::Consoles);
    let gone = refresh(&lab, &content, &content["refreshToken"], "3");
    assert_eq!(error(&gone), (401, "TOKEN_EXPIRED".into()));
}

#[test]
fn rotation_is_as_the_script_says() {
    let lab = frozen(Console { rotate: false, ..Console::default() });
    let content = lab.console_login(None).content;
    let old = &content["refreshToken"];
    for jti in ["1", "2"] {
        assert_eq!(refresh(&lab, &content, old, jti).json()["refreshToken"], *old);
    }
    let lab = frozen(Console { reuse_ends: true, ..Console::default() });
    let content = lab.console_login(None).content;
    let next = refresh(&lab, &content, &content["refreshToken"], "1").json();
    let again = refresh(&lab, &content, &content["refreshToken"], "2");
    assert_eq!(error(&again), (401, "TOKEN_EXPIRED".into()));
    let heir = refresh(&lab, &content, &next["refreshToken"], "3");
    assert_eq!(error(&heir), (401, "TOKEN_EXPIRED".into()), "the family ended");
}

#[test]
fn errors_are_worded_as_the_service_words_them() {
    let lab = frozen(Console::default());
    let content = lab.console_login(None).content;
    for (status, code, class, told) in [
        (403, "USER_CREDENTIALS_CHANGED", "AccessDeniedException", "USER_CREDENTIALS_CHANGED"),
        (403, "INSUFFICIENT_PERMISSIONS", "AccessDeniedException", "INSUFFICIENT_PERMISSIONS"),
        (429, "TooManyRequestsError", "TooManyRequestsError", "rate_exceeded"),
        (500, "InternalServerException", "InternalServerException", "server_error"),
    ] {
        lab.queue(Fault::status("CreateOAuth2Token", status, code).grant("refresh_token"));
        let reply = refresh(&lab, &content, &content["refreshToken"], code);
        assert_eq!(error(&reply), (status, told.into()));
        assert_eq!(reply.header("x-amzn-errortype"), Some(class));
    }
}

#[test]
fn roles_assumed_from_the_console_are_chained() {
    let lab = frozen(Console::default());
    let mine = keys(&lab.console_login(None).content["accessToken"]);
    let role = "arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fsecond";
    let ask = |more: &str| {
        let form =
            format!("Action=AssumeRole&Version=2011-06-15&RoleArn={role}&RoleSessionName=me{more}");
        sts(&lab, &mine, DATE, &form)
    };
    assert!(ask("&DurationSeconds=3601").body.contains("role chaining"));
    assert_eq!(ask("").status, 200);
}

/// The page's redirect, as a query.
fn authorize(lab: &Lab, client: &str, redirect: &str) -> String {
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let target = format!(
        "/v1/authorize?response_type=code&client_id={client}&state=s&scope=openid\
         &code_challenge_method=SHA-256&redirect_uri={redirect}&code_challenge={challenge}"
    );
    let page = get(lab, &target);
    assert_eq!(page.status, 302, "{}", page.body);
    page.header("location").expect("a redirect").to_owned()
}

fn redeem(lab: &Lab, code: &str, verifier: &str, jti: &str) -> common::Reply {
    let pem = lab.console_login(None).content["dpopKey"].as_str().expect("a key").to_owned();
    let fields = json!({
        "clientId": CLIENT, "grantType": "authorization_code", "code": code,
        "redirectUri": "http://127.0.0.1:1/cb", "codeVerifier": verifier,
    });
    token(lab, &fields, &Claims::of(lab, jti).sign(&pem))
}

#[test]
fn an_authorization_code_needs_its_verifier_and_works_once() {
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let lab = frozen(Console::default());
    let code = || {
        let place = authorize(&lab, CLIENT, "http://127.0.0.1:1/cb");
        let query = place.strip_prefix("http://127.0.0.1:1/cb?code=").expect("a code");
        query.strip_suffix("&state=s").expect("the state").to_owned()
    };
    let first = code();
    let got = redeem(&lab, &first, VERIFIER, "1");
    assert_eq!(got.status, 200, "{}", got.body);
    assert!(got.json()["idToken"].is_string());
    assert_eq!(error(&redeem(&lab, &first, VERIFIER, "2")), (401, "AUTHCODE_EXPIRED".into()));
    assert_eq!(error(&redeem(&lab, &code(), "other", "3")), (400, "INVALID_REQUEST".into()));
    let late = code();
    lab.advance(60);
    assert_eq!(error(&redeem(&lab, &late, VERIFIER, "4")), (401, "AUTHCODE_EXPIRED".into()));
    lab.edit(|s| s.approval = Approval::Deny);
    let denied = authorize(&lab, CLIENT, "http://127.0.0.1:1/cb");
    assert!(denied.contains("error=access_denied"), "{denied}");
    let bad = format!("/v1/authorize?response_type=code&client_id={CLIENT}&redirect_uri=http://x/");
    assert_eq!(get(&lab, &bad).status, 400, "not a loopback address");
}

#[test]
fn session_credentials_of_the_console_can_be_handed_on() {
    let lab = frozen(Console { arn: ADMIN.into(), ..Console::default() });
    let mine = keys(&lab.console_login(None).content["accessToken"]);
    let form = "Action=AssumeRole&Version=2011-06-15&RoleSessionName=me\
                &RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fdev";
    let dev = keys_of(&sts(&lab, &mine, DATE, form));
    let who = sts(&lab, &dev, DATE, WHO);
    assert_eq!(who.xml("Arn"), Some("arn:aws:sts::111122223333:assumed-role/dev/me"));
}
