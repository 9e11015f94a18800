//! SSO OIDC: client registration, sign-ins and their tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::http::{Answer, Fail, Params, Request, encode, random, word};
use crate::script::Approval;
use crate::world::{Access, Client, Code, Device, DeviceState, Refresh, SignIn, World};

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

pub(crate) fn serve(world: &mut World, op: &str, request: &Request) -> Result<Answer, Fail> {
    match op {
        "RegisterClient" => register(world, &request.json()),
        "StartDeviceAuthorization" => start_device(world, &request.json(), &request.base),
        "CreateToken" => create_token(world, &request.json()),
        "Authorize" => authorize(world, &request.params()),
        "Device" => Ok(device_page(world, &request.params())),
        _ => Ok(Answer::html(200, "<h1>The lab's access portal</h1>")),
    }
}

/// The OAuth name of an error class.
pub(crate) fn oauth_error(code: &str) -> &'static str {
    match code {
        "AuthorizationPendingException" => "authorization_pending",
        "SlowDownException" => "slow_down",
        "ExpiredTokenException" => "expired_token",
        "AccessDeniedException" => "access_denied",
        "InvalidGrantException" => "invalid_grant",
        "InvalidClientException" => "invalid_client",
        "InvalidClientMetadataException" => "invalid_client_metadata",
        "InvalidRedirectUriException" => "invalid_redirect_uri",
        "InvalidRequestException" => "invalid_request",
        "InvalidScopeException" => "invalid_scope",
        "UnauthorizedClientException" => "unauthorized_client",
        "UnsupportedGrantTypeException" => "unsupported_grant_type",
        _ => "server_error",
    }
}

/// A field of a body, empty if it is absent or no text.
pub(crate) fn text<'a>(body: &'a Value, key: &str) -> &'a str {
    body[key].as_str().unwrap_or_default()
}

fn texts(body: &Value, key: &str) -> Vec<String> {
    let items = body[key].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(String::from).collect()
}

fn fail<T>(status: u16, code: &str, message: &str) -> Result<T, Fail> {
    Err(Fail::new(status, code, message))
}

fn register(world: &mut World, body: &Value) -> Result<Answer, Fail> {
    if text(body, "clientName").is_empty() || text(body, "clientType") != "public" {
        return fail(400, "InvalidClientMetadataException", "clientType must be public");
    }
    let mut grants = texts(body, "grantTypes");
    if grants.is_empty() {
        grants = vec![DEVICE.into(), "refresh_token".into()];
    }
    let redirects = texts(body, "redirectUris");
    if grants.iter().any(|g| g == "authorization_code") {
        if redirects.is_empty() || !redirects.iter().all(|r| bare_loopback(r).is_some()) {
            return fail(400, "InvalidRedirectUriException", "Invalid redirect uri");
        }
        if text(body, "issuerUrl").is_empty() {
            return fail(400, "InvalidRequestException", "issuerUrl is required");
        }
    }
    let now = world.now();
    let expires = now + world.script.lifetimes.client;
    let (id, secret) = (word::<16>(), word::<200>());
    let answer = json!({
        "clientId": id, "clientSecret": secret,
        "clientIdIssuedAt": now, "clientSecretExpiresAt": expires,
    });
    let client = Client {
        secret,
        expires_ms: expires * 1000,
        grants,
        redirects,
        scopes: texts(body, "scopes"),
    };
    world.clients.insert(id, client);
    Ok(Answer::json(200, &answer))
}

/// The client that a request names, if its secret is right and not yet old.
fn client(world: &World, body: &Value) -> Result<Client, Fail> {
    match world.clients.get(text(body, "clientId")) {
        Some(c) if c.secret != text(body, "clientSecret") => {
            fail(401, "InvalidClientException", "Invalid client secret provided")
        }
        Some(c) if world.now_ms() >= c.expires_ms => {
            fail(401, "InvalidClientException", "Client is expired")
        }
        Some(c) => Ok(c.clone()),
        None => fail(401, "InvalidClientException", "Invalid client provided"),
    }
}

fn start_device(world: &mut World, body: &Value, base: &str) -> Result<Answer, Fail> {
    if !client(world, body)?.grants.iter().any(|g| g == DEVICE) {
        return fail(400, "UnauthorizedClientException", "Not a client of the device flow");
    }
    if text(body, "startUrl").is_empty() {
        return fail(400, "InvalidRequestException", "startUrl is required");
    }
    let (code, user_code) = (word::<40>(), user_code());
    let life = world.script.lifetimes;
    let state = match world.script.approval {
        Approval::Auto => DeviceState::Approved,
        Approval::Manual => DeviceState::Pending,
        Approval::Deny => DeviceState::Denied,
    };
    let answer = json!({
        "deviceCode": code, "userCode": user_code,
        "verificationUri": format!("{base}/device"),
        "verificationUriComplete": format!("{base}/device?user_code={user_code}"),
        "expiresIn": life.device_code, "interval": life.interval,
    });
    let device = Device {
        user_code,
        client: text(body, "clientId").into(),
        state,
        person: world.script.person.clone(),
        polled_ms: None,
        expires_ms: world.now_ms() + life.device_code * 1000,
    };
    world.devices.insert(code, device);
    Ok(Answer::json(200, &answer))
}

fn user_code() -> String {
    const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
    let mut code: String =
        random::<8>().iter().map(|b| char::from(LETTERS[usize::from(*b) % 20])).collect();
    code.insert(4, '-');
    code
}

/// The verification page; opening it with a code is the person's yes.
fn device_page(world: &mut World, params: &Params) -> Answer {
    let Some(code) = params.filled("user_code") else {
        return Answer::html(
            200,
            "<form>Code <input name=user_code><button>Confirm</button></form>",
        );
    };
    let state = if world.script.approval == Approval::Deny {
        DeviceState::Denied
    } else {
        DeviceState::Approved
    };
    world.decide(Some(code), state);
    match world.devices.values().find(|d| d.user_code == code) {
        Some(d) => Answer::html(200, &format!("<h1>Request {}</h1>", d.state.name())),
        None => Answer::html(404, "<h1>Unknown code</h1>"),
    }
}

/// A loopback URL without its port (RFC 8252: any port will do), or nothing for other URLs.
pub(crate) fn bare_loopback(url: &str) -> Option<String> {
    let rest = url.strip_prefix("http://")?;
    let (place, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = if let Some(end) = place.find(']') {
        &place[..=end]
    } else {
        place.split(':').next().unwrap_or_default()
    };
    ["127.0.0.1", "localhost", "[::1]"].contains(&host).then(|| format!("http://{host}{path}"))
}

fn authorize(world: &mut World, params: &Params) -> Result<Answer, Fail> {
    let get = |name: &str| params.get(name).unwrap_or_default();
    let Some(client) = world.clients.get(get("client_id")) else {
        return fail(400, "InvalidRequestException", "unknown client_id");
    };
    if get("response_type") != "code" {
        return fail(400, "InvalidRequestException", "response_type must be code");
    }
    if get("code_challenge_method") != "S256" || get("code_challenge").len() != 43 {
        return fail(400, "InvalidRequestException", "an S256 code_challenge is required");
    }
    let redirect = get("redirect_uri");
    let known = bare_loopback(redirect).is_some_and(|bare| {
        client.redirects.iter().filter_map(|r| bare_loopback(r)).any(|r| r == bare)
    });
    if !known || !client.grants.iter().any(|g| g == "authorization_code") {
        return fail(400, "InvalidRequestException", "redirect_uri is not registered");
    }
    let state = encode(get("state"), "");
    let query = if world.script.approval == Approval::Deny {
        format!("error=access_denied&error_description=User%20denied&state={state}")
    } else {
        let code = word::<40>();
        let query = format!("code={code}&state={state}");
        let kept = Code {
            client: get("client_id").into(),
            redirect: redirect.into(),
            challenge: get("code_challenge").into(),
            person: world.script.person.clone(),
            expires_ms: world.now_ms() + world.script.lifetimes.auth_code * 1000,
        };
        world.codes.insert(code, kept);
        query
    };
    let separator = if redirect.contains('?') { '&' } else { '?' };
    let place = format!("{redirect}{separator}{query}");
    Ok(Answer::html(302, "").with("location", place))
}

fn create_token(world: &mut World, body: &Value) -> Result<Answer, Fail> {
    let client = client(world, body)?;
    let grant = text(body, "grantType");
    if ![DEVICE, "authorization_code", "refresh_token"].contains(&grant) {
        return fail(400, "UnsupportedGrantTypeException", "Unsupported grant type");
    }
    if !client.grants.iter().any(|g| g == grant) {
        return fail(400, "UnauthorizedClientException", "Client is not registered for this grant");
    }
    let (signin, refresh) = match grant {
        DEVICE => (redeem_device(world, body)?, None),
        "authorization_code" => (redeem_code(world, body)?, None),
        _ => redeem_refresh(world, body)?,
    };
    let refreshable =
        client.grants.iter().any(|g| g == "refresh_token") && !client.scopes.is_empty();
    let life = world.script.lifetimes;
    let wanted = if refreshable { life.access_token } else { life.session };
    let expires_ms = signin.ends_ms.min(world.now_ms() + wanted * 1000);
    let token = format!("aoa{}", word::<120>());
    let mut answer = json!({
        "accessToken": token, "tokenType": "Bearer",
        "expiresIn": (expires_ms - world.now_ms()) / 1000,
    });
    world.access.insert(token, Access { signin: signin.clone(), expires_ms });
    if refreshable {
        let fresh = refresh.unwrap_or_else(|| format!("aor{}", word::<120>()));
        answer["refreshToken"] = Value::from(fresh.clone());
        let client = text(body, "clientId").into();
        world.refresh.insert(fresh, Refresh { client, signin, used: false });
    }
    Ok(Answer::json(200, &answer))
}

fn redeem_device(world: &mut World, body: &Value) -> Result<SignIn, Fail> {
    let (now, code) = (world.now_ms(), text(body, "deviceCode"));
    let interval_ms = world.script.lifetimes.interval * 1000;
    let Some(device) = world.devices.get_mut(code).filter(|d| d.client == text(body, "clientId"))
    else {
        return fail(400, "InvalidGrantException", "Invalid device code");
    };
    if now >= device.expires_ms {
        return fail(400, "ExpiredTokenException", "Device code is expired");
    }
    // A little less than the interval, for clients whose timers wake early.
    let early = device.polled_ms.is_some_and(|last| now - last < interval_ms * 8 / 10);
    device.polled_ms = Some(now);
    match device.state {
        DeviceState::Denied => fail(400, "AccessDeniedException", "The person refused"),
        _ if early => fail(400, "SlowDownException", "Slow down"),
        DeviceState::Pending => {
            fail(400, "AuthorizationPendingException", "Authorization is still pending")
        }
        DeviceState::Approved => {
            let person = device.person.clone();
            world.devices.remove(code);
            Ok(world.sign_in(person))
        }
    }
}

fn redeem_code(world: &mut World, body: &Value) -> Result<SignIn, Fail> {
    // One use only, whether or not it is a good one.
    let code = world.codes.remove(text(body, "code"));
    let digest = Sha256::digest(text(body, "codeVerifier").as_bytes());
    let good = code.filter(|c| {
        c.client == text(body, "clientId")
            && c.redirect == text(body, "redirectUri")
            && c.challenge == URL_SAFE_NO_PAD.encode(digest)
            && world.now_ms() < c.expires_ms
    });
    match good {
        Some(code) => Ok(world.sign_in(code.person)),
        None => fail(400, "InvalidGrantException", "Invalid authorization code"),
    }
}

fn redeem_refresh(world: &mut World, body: &Value) -> Result<(SignIn, Option<String>), Fail> {
    let now = world.now_ms();
    let given = text(body, "refreshToken");
    let (rotate, revoke) = (world.script.rotate_refresh_tokens, world.script.reuse_revokes_family);
    let Some(old) = world
        .refresh
        .get_mut(given)
        .filter(|r| r.client == text(body, "clientId") && now < r.signin.ends_ms)
    else {
        return fail(400, "InvalidGrantException", "Invalid refresh token provided");
    };
    let signin = old.signin.clone();
    if old.used {
        if revoke {
            world.end(signin.number);
        }
        return fail(400, "InvalidGrantException", "Invalid refresh token provided");
    }
    old.used = rotate;
    Ok((signin, (!rotate).then(|| given.to_owned())))
}
