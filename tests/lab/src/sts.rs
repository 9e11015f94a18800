//! STS: the protocol around its operations, and who am I.

use serde_json::{Value, json};

use crate::assume;
use crate::calls::Call;
use crate::http::{Answer, Fail, Params, Request, hex, random};
use crate::sigv4::{self, Signed};
use crate::web_identity;
use crate::world::{Session, World};

pub(crate) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

pub(crate) fn serve(
    world: &mut World,
    op: &str,
    request: &Request,
    call: &mut Call,
) -> Result<Answer, Fail> {
    let params = request.params();
    assume::note(&params, call);
    let result = if op == "AssumeRoleWithWebIdentity" {
        web_identity::assume(world, &params, call)?
    } else {
        let caller = check(world, request, "sts", call)?;
        signed(world, op, &params, &caller)?
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

/// The operations that take a signature.
fn signed(world: &mut World, op: &str, params: &Params, caller: &Session) -> Result<Value, Fail> {
    match op {
        "GetCallerIdentity" => Ok(json!({
            "Arn": caller.arn, "UserId": caller.user_id, "Account": caller.account,
        })),
        "AssumeRole" => assume::assume_role(world, params, caller),
        "GetSessionToken" => assume::session_token(world, params, caller),
        "MissingAction" => Err(Fail::new(400, "MissingAction", "Could not find operation")),
        _ => {
            let message = format!("Could not find operation {op} for version 2011-06-15");
            Err(Fail::new(400, "InvalidAction", message))
        }
    }
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

/// An error in the words of STS, and of other services that answer XML.
pub(crate) fn error(fail: &Fail, request: &Request, namespace: &str) -> Answer {
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
        format!("<ErrorResponse xmlns=\"{namespace}\"><Error>{inner}</Error>{id}</ErrorResponse>");
    Answer::new(fail.status, "text/xml", text)
}

fn wants_json(request: &Request) -> bool {
    request.header("accept").contains("json")
}

pub(crate) fn request_id() -> String {
    let h = hex(&random::<16>());
    [&h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..]].join("-")
}

pub(crate) fn xml(tag: &str, value: &Value) -> String {
    let inner = match value {
        Value::Object(fields) => fields.iter().map(|(k, v)| xml(k, v)).collect(),
        Value::String(text) => text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
        other => other.to_string(),
    };
    format!("<{tag}>{inner}</{tag}>")
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
