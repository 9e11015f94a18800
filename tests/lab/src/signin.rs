//! The sign-in service behind `aws login`: console sign-ins and their 15-minute credentials.
//!
//! Shapes and error codes are those of the `signin` model of botocore 1.43; the URLs and the
//! cached file are those of the AWS CLI 2.38.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::calls::Call;
use crate::clock::iso;
use crate::dpop;
use crate::http::{Answer, Fail, Params, Request, encode, hex, word};
use crate::jwt;
use crate::oidc::{bare_loopback, text};
use crate::script::Approval;
use crate::world::{ConsoleCode, ConsoleRefresh, Session, World};

const SAME_DEVICE: &str = "arn:aws:signin:::devtools/same-device";
const CROSS_DEVICE: &str = "arn:aws:signin:::devtools/cross-device";
const CONFIRMATION: &str = "/v1/sessions/confirmation";
/// "Maximum value is 900 seconds", says the model.
const LONGEST: i64 = 900;

/// A console sign-in as a client has it after `aws login`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleLogin {
    /// Who is signed in: for `login_session` in a profile.
    pub arn: String,
    /// The file's name in `~/.aws/login/cache`: SHA-256 of the ARN, in hexadecimal, and `.json`.
    pub file: String,
    /// The file's content.
    pub content: Value,
}

pub(crate) fn serve(
    world: &mut World,
    op: &str,
    request: &Request,
    call: &mut Call,
) -> Result<Answer, Fail> {
    match op {
        "ConsoleAuthorize" => authorize(world, &request.params(), &request.base),
        "ConsoleConfirmation" => Ok(confirmation(&request.params())),
        _ => {
            let answer = token(world, request);
            call.why = answer.as_ref().err().map(|fail| fail.message.clone());
            answer
        }
    }
}

/// The class of an error and its OAuth name, from the code that the lab knows it by.
pub(crate) fn names(fail: &Fail) -> (&str, &str) {
    match fail.code.as_str() {
        code @ ("TOKEN_EXPIRED"
        | "AUTHCODE_EXPIRED"
        | "USER_CREDENTIALS_CHANGED"
        | "INSUFFICIENT_PERMISSIONS") => ("AccessDeniedException", code),
        code @ "INVALID_REQUEST" => ("ValidationException", code),
        class @ "TooManyRequestsError" => (class, "rate_exceeded"),
        class => (class, "server_error"),
    }
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Fail> {
    Err(Fail::new(400, "INVALID_REQUEST", message))
}

fn expired(code: &str, message: &str) -> Fail {
    Fail::new(401, code, message)
}

fn authorize(world: &mut World, params: &Params, base: &str) -> Result<Answer, Fail> {
    let get = |name: &str| params.get(name).unwrap_or_default();
    let redirect = get("redirect_uri");
    let known = match get("client_id") {
        SAME_DEVICE => bare_loopback(redirect).is_some(),
        CROSS_DEVICE => redirect == format!("{base}{CONFIRMATION}"),
        _ => return invalid("unknown client_id"),
    };
    if !known {
        return invalid("redirect_uri is not this client's");
    }
    if get("response_type") != "code" || get("scope") != "openid" {
        return invalid("response_type must be code, and scope openid");
    }
    // Not the S256 of RFC 7636: the service has a spelling of its own.
    if get("code_challenge_method") != "SHA-256" || get("code_challenge").len() != 43 {
        return invalid("a SHA-256 code_challenge is required");
    }
    let state = encode(get("state"), "");
    let query = if world.script.approval == Approval::Deny {
        format!("error=access_denied&state={state}")
    } else {
        let code = word::<40>();
        let kept = ConsoleCode {
            client: get("client_id").into(),
            redirect: redirect.into(),
            challenge: get("code_challenge").into(),
            arn: world.script.console.arn.clone(),
            expires_ms: world.now_ms() + world.script.lifetimes.auth_code * 1000,
        };
        world.console_codes.insert(code.clone(), kept);
        format!("code={code}&state={state}")
    };
    Ok(Answer::html(302, "").with("location", format!("{redirect}?{query}")))
}

/// The page that shows what to paste into a terminal on another device.
fn confirmation(params: &Params) -> Answer {
    let get = |name: &str| params.get(name).unwrap_or_default();
    let pasted = STANDARD.encode(format!("state={}&code={}", get("state"), get("code")));
    Answer::html(200, &format!("<h1>Authorization code</h1><code>{pasted}</code>"))
}

/// CreateOAuth2Token.
fn token(world: &mut World, request: &Request) -> Result<Answer, Fail> {
    let body = request.json();
    let client = text(&body, "clientId");
    if client != SAME_DEVICE && client != CROSS_DEVICE {
        return invalid("unknown clientId");
    }
    let (now, skew) = (world.now(), world.script.skew);
    let url = format!("{}{}", request.base, request.path);
    let proof = dpop::check(request.header("dpop"), &request.method, &url, now, skew);
    let proof = proof.map_err(|why| Fail::new(400, "INVALID_REQUEST", why))?;
    if !world.proofs.insert(proof.jti) {
        return invalid("the proof's jti was seen before");
    }
    let (old, first) = match text(&body, "grantType") {
        "authorization_code" => (redeem_code(world, &body, proof.key)?, true),
        "refresh_token" => (redeem_refresh(world, &body, &proof.key)?, false),
        _ => return invalid("unknown grantType"),
    };
    let id_token = first.then(|| id_token(world, &old));
    let rotate = first || world.script.console.rotate;
    let refresh = if rotate { word::<120>() } else { text(&body, "refreshToken").into() };
    let (seconds, access) = grant(world, &old);
    world.consoles.insert(refresh.clone(), ConsoleRefresh { used: false, ..old });
    let mut answer = json!({
        "accessToken": access, "tokenType": "aws_sigv4", "expiresIn": seconds,
        "refreshToken": refresh,
    });
    if let Some(id_token) = id_token {
        answer["idToken"] = id_token.into();
    }
    Ok(Answer::json(200, &answer))
}

fn redeem_code(world: &mut World, body: &Value, key: String) -> Result<ConsoleRefresh, Fail> {
    // One use only, whether or not it is a good one.
    let code = world.console_codes.remove(text(body, "code"));
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(text(body, "codeVerifier")));
    let gone = || expired("AUTHCODE_EXPIRED", "The authorization code is unknown or expired");
    let code = code.filter(|c| world.now_ms() < c.expires_ms).ok_or_else(gone)?;
    if code.client != text(body, "clientId")
        || code.redirect != text(body, "redirectUri")
        || code.challenge != challenge
    {
        return invalid("clientId, redirectUri or codeVerifier do not fit the code");
    }
    Ok(begin(world, code.client, code.arn, key))
}

fn begin(world: &mut World, client: String, arn: String, key: String) -> ConsoleRefresh {
    let ends_ms = world.now_ms() + world.script.console.session * 1000;
    ConsoleRefresh { client, key, arn, number: world.next_sign_in(), ends_ms, used: false }
}

fn redeem_refresh(world: &mut World, body: &Value, key: &str) -> Result<ConsoleRefresh, Fail> {
    let now = world.now_ms();
    let (rotate, reuse_ends) = (world.script.console.rotate, world.script.console.reuse_ends);
    let gone = |message: &str| expired("TOKEN_EXPIRED", message);
    let found = world.consoles.get_mut(text(body, "refreshToken"));
    let old = found.ok_or_else(|| gone("The refresh token is unknown"))?;
    if old.client != text(body, "clientId") {
        return invalid("the refresh token is another client's");
    }
    if old.key != key {
        return invalid("the refresh token is bound to another key");
    }
    if now >= old.ends_ms {
        return Err(gone("The session has expired"));
    }
    if old.used {
        let number = old.number;
        if reuse_ends {
            world.consoles.retain(|_, r| r.number != number);
        }
        return Err(gone("The refresh token was used before"));
    }
    old.used = rotate;
    Ok(old.clone())
}

/// Makes the credentials of a sign-in; how many seconds they last, and what they are.
fn grant(world: &mut World, signin: &ConsoleRefresh) -> (i64, Value) {
    let left = (signin.ends_ms - world.now_ms()).div_euclid(1000);
    let seconds = world.script.console.credentials.min(LONGEST).min(left);
    let (key, session) = world.mint(seconds, identity(&signin.arn));
    let access = json!({
        "accessKeyId": key, "secretAccessKey": session.secret, "sessionToken": session.token,
    });
    (seconds, access)
}

/// Who a console identity is to STS.
fn identity(arn: &str) -> Session {
    let name = arn.rsplit('/').next().unwrap_or_default();
    let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
    let user_id = if arn.ends_with(":root") {
        account.clone()
    } else if let Some((_, rest)) = arn.split_once(":assumed-role/") {
        format!("AROA{}:{name}", rest.split('/').next().unwrap_or_default().to_uppercase())
    } else {
        format!("AIDA{}", name.to_uppercase())
    };
    Session { arn: arn.into(), user_id, account, ..Session::default() }
}

/// Its `sub` is where clients learn the ARN from; none checks the signature.
fn id_token(world: &World, signin: &ConsoleRefresh) -> String {
    let now = world.now();
    let claims = json!({
        "iss": "https://signin.aws.amazon.com/signin", "aud": signin.client,
        "sub": signin.arn, "iat": now, "exp": now + LONGEST,
    });
    jwt::sign(&claims, &word::<16>())
}

/// A sign-in as if someone had just run `aws login`, without the person and their browser.
pub(crate) fn log_in(world: &mut World, arn: Option<&str>) -> ConsoleLogin {
    let arn = arn.unwrap_or(&world.script.console.arn).to_owned();
    let key = dpop::new_key();
    let signin = begin(world, SAME_DEVICE.into(), arn.clone(), key.thumbprint);
    let (seconds, mut access) = grant(world, &signin);
    access["accountId"] = arn.split(':').nth(4).unwrap_or_default().into();
    access["expiresAt"] = iso(world.now() + seconds).into();
    let refresh = word::<120>();
    let content = json!({
        "accessToken": access, "tokenType": "aws_sigv4", "clientId": SAME_DEVICE,
        "refreshToken": refresh, "idToken": id_token(world, &signin), "dpopKey": key.pem,
    });
    world.consoles.insert(refresh, signin);
    let file = format!("{}.json", hex(&Sha256::digest(arn.as_bytes())));
    ConsoleLogin { arn, file, content }
}
