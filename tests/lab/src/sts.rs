//! STS: who am I, and credentials from credentials.

use serde_json::{Value, json};

use crate::calls::Call;
use crate::clock::iso;
use crate::http::{Answer, Fail, Params, Request, hex, random};
use crate::sigv4::{self, Signed};
use crate::world::{Session, World};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

pub(crate) fn serve(
    world: &mut World,
    op: &str,
    request: &Request,
    call: &mut Call,
) -> Result<Answer, Fail> {
    let params = request.params();
    call.role = params.get("RoleArn").map(String::from);
    call.account = call.role.as_deref().and_then(|arn| arn.split(':').nth(4)).map(String::from);
    let caller = check(world, request, "sts", call)?;
    let result = match op {
        "GetCallerIdentity" => {
            json!({"Arn": caller.arn, "UserId": caller.user_id, "Account": caller.account})
        }
        "AssumeRole" => assume_role(world, &params, &caller)?,
        "GetSessionToken" => session_token(world, &params, &caller)?,
        "MissingAction" => {
            return Err(Fail::new(400, "MissingAction", "Could not find operation"));
        }
        _ => {
            let message = format!("Could not find operation {op} for version 2011-06-15");
            return Err(Fail::new(400, "InvalidAction", message));
        }
    };
    let id = request_id();
    if wants_json(request) {
        let body = json!({format!("{op}Response"): {
            format!("{op}Result"): result, "ResponseMetadata": {"RequestId": id},
        }});
        return Ok(Answer::json(200, &body));
    }
    let inner = xml(&format!("{op}Result"), &result);
    let meta = xml("ResponseMetadata", &json!({"RequestId": id}));
    let text = format!("<{op}Response xmlns=\"{NAMESPACE}\">{inner}{meta}</{op}Response>");
    Ok(Answer::new(200, "text/xml", text))
}

/// Checks the signature and notes in the call who signed.
pub(crate) fn check(
    world: &World,
    request: &Request,
    service: &str,
    call: &mut Call,
) -> Result<Session, Fail> {
    let parts = Signed {
        method: &request.method,
        path: &request.path,
        query: &request.raw_query,
        headers: &request.headers,
        body: &request.body,
        service,
    };
    let signer = sigv4::verify(parts, world.now(), world.script.skew, |key| world.lookup(key))?;
    call.arn = Some(signer.session.arn.clone());
    call.access_key = Some(signer.access_key);
    call.region = Some(signer.region);
    call.presigned = signer.presigned;
    Ok(signer.session)
}

/// An error in STS's words.
pub(crate) fn error(fail: &Fail, request: &Request) -> Answer {
    let kind = if fail.status < 500 { "Sender" } else { "Receiver" };
    let (code, message, id) = (&fail.code, &fail.message, request_id());
    if wants_json(request) {
        let error = json!({"Code": code, "Message": message, "Type": kind});
        return Answer::json(fail.status, &json!({"Error": error, "RequestId": id}));
    }
    // Type comes first on the wire; a JSON object would put it last.
    let parts = [("Type", kind), ("Code", code), ("Message", message)];
    let inner: String = parts.iter().map(|(tag, text)| xml(tag, &json!(text))).collect();
    let id = xml("RequestId", &json!(id));
    let text =
        format!("<ErrorResponse xmlns=\"{NAMESPACE}\"><Error>{inner}</Error>{id}</ErrorResponse>");
    Answer::new(fail.status, "text/xml", text)
}

fn wants_json(request: &Request) -> bool {
    request.header("accept").contains("json")
}

fn request_id() -> String {
    let h = hex(&random::<16>());
    [&h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..]].join("-")
}

fn xml(tag: &str, value: &Value) -> String {
    let inner = match value {
        Value::Object(fields) => fields.iter().map(|(k, v)| xml(k, v)).collect(),
        Value::String(text) => text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
        other => other.to_string(),
    };
    format!("<{tag}>{inner}</{tag}>")
}

fn invalid(value: &str, field: &str, rule: &str) -> Fail {
    Fail::new(
        400,
        "ValidationError",
        format!(
            "1 validation error detected: Value '{value}' at '{field}' failed to satisfy \
             constraint: Member must {rule}"
        ),
    )
}

fn duration(params: &Params, default: i64, most: i64) -> Result<i64, Fail> {
    let Some(text) = params.filled("DurationSeconds") else { return Ok(default) };
    match text.parse::<i64>() {
        Ok(n) if n < 900 => {
            Err(invalid(text, "durationSeconds", "have value greater than or equal to 900"))
        }
        Ok(n) if n > most => {
            let rule = format!("have value less than or equal to {most}");
            Err(invalid(text, "durationSeconds", &rule))
        }
        Ok(n) => Ok(n),
        Err(_) => Err(Fail::new(400, "MalformedInput", "DurationSeconds must be a number")),
    }
}

fn credentials(key: &str, session: &Session) -> Value {
    json!({
        "AccessKeyId": key, "SecretAccessKey": session.secret, "SessionToken": session.token,
        "Expiration": iso(session.expires_ms.unwrap_or(0).div_euclid(1000)),
    })
}

fn session_token(world: &mut World, params: &Params, caller: &Session) -> Result<Value, Fail> {
    if caller.token.is_some() {
        let message = "Cannot call GetSessionToken with session credentials";
        return Err(Fail::new(403, "AccessDenied", message));
    }
    let seconds = duration(params, 43_200, 129_600)?;
    let mfa = given_mfa(world, params, caller)?;
    let (arn, id) = (caller.arn.clone(), caller.user_id.clone());
    let (key, session) = world.mint(seconds, arn, id, &caller.account, mfa);
    Ok(json!({"Credentials": credentials(&key, &session)}))
}

/// Whether the request holds a good MFA code; a bad one is an error.
fn given_mfa(world: &mut World, params: &Params, caller: &Session) -> Result<bool, Fail> {
    let (serial, code) = (params.filled("SerialNumber"), params.filled("TokenCode"));
    if serial.is_none() && code.is_none() {
        return Ok(false);
    }
    if let Some(text) = code.filter(|t| t.len() != 6 || !t.bytes().all(|c| c.is_ascii_digit())) {
        let rule = "satisfy regular expression pattern: [\\d]*";
        return Err(invalid(text, "tokenCode", rule));
    }
    world.check_mfa(caller.user.as_ref(), serial, code)?;
    Ok(true)
}

fn assume_role(world: &mut World, params: &Params, caller: &Session) -> Result<Value, Fail> {
    let arn = params.get("RoleArn").unwrap_or_default();
    let name = params.get("RoleSessionName").unwrap_or_default();
    if name.len() < 2 {
        let rule = "have length greater than or equal to 2";
        return Err(invalid(name, "roleSessionName", rule));
    }
    if name.len() > 64 {
        let rule = "have length less than or equal to 64";
        return Err(invalid(name, "roleSessionName", rule));
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)) {
        let rule = "satisfy regular expression pattern: [\\w+=,.@-]*";
        return Err(invalid(name, "roleSessionName", rule));
    }
    let seconds = duration(params, 3600, 43_200)?;
    let denied = || {
        let message = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}",
            caller.arn
        );
        Fail::new(403, "AccessDenied", message)
    };
    let role = world.script.roles.get(arn).cloned().ok_or_else(denied)?;
    let principal = principal(&caller.arn);
    let trusted = role.trust.is_empty() || role.trust.contains(&principal);
    let external =
        role.external_id.is_none() || role.external_id.as_deref() == params.get("ExternalId");
    if !trusted || !external {
        return Err(denied());
    }
    // Presence of MFA carries over from GetSessionToken, for one hop.
    let mfa = given_mfa(world, params, caller)? || caller.mfa;
    if role.require_mfa && !mfa {
        return Err(denied());
    }
    let too_long = |text: &str| {
        Fail::new(400, "ValidationError", format!("The requested DurationSeconds exceeds {text}"))
    };
    if caller.token.is_some() && seconds > 3600 {
        return Err(too_long("the 1 hour session limit for roles assumed by role chaining."));
    }
    if seconds > role.max {
        return Err(too_long("the MaxSessionDuration set for this role."));
    }
    let account = arn.split(':').nth(4).unwrap_or_default();
    let partition = arn.split(':').nth(1).unwrap_or("aws");
    let role_name = arn.rsplit('/').next().unwrap_or_default();
    let session_arn = format!("arn:{partition}:sts::{account}:assumed-role/{role_name}/{name}");
    let id = format!("AROA{}:{name}", role_name.to_uppercase());
    let (key, session) = world.mint(seconds, session_arn, id, account, false);
    Ok(json!({
        "Credentials": credentials(&key, &session),
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
    }))
}

/// The IAM principal behind a caller: a session's role (without its path), or the user.
pub(crate) fn principal(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    if let [_, partition, "sts", _, account, resource] = parts[..]
        && let Some(rest) = resource.strip_prefix("assumed-role/")
    {
        let role = rest.split('/').next().unwrap_or_default();
        return format!("arn:{partition}:iam::{account}:role/{role}");
    }
    arn.into()
}
