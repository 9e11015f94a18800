//! Credentials that a machine is given: the metadata service of EC2 (version 2 only), and the
//! endpoints of container credentials of ECS and of EKS Pod Identity.
//!
//! From "Use IMDSv2" and "Retrieve security credentials from instance metadata" in the EC2 user
//! guide, "Task IAM role" in the ECS developer guide, and what botocore 1.43 reads.

use serde_json::{Value, json};

use crate::calls::Call;
use crate::clock::iso;
use crate::http::{Answer, Fail, Request, word};
use crate::script_sources::{Container, Instance};
use crate::world::{Session, World};

const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "x-aws-ec2-metadata-token";
const ROLES: &str = "/latest/meta-data/iam/security-credentials";
/// The longest that a token can last.
const LONGEST: i64 = 21_600;

/// The operation behind a path of the metadata service.
pub(crate) fn operation(path: &str) -> Option<&'static str> {
    let rest = path.strip_prefix("/latest/")?;
    Some(match path.strip_prefix(ROLES) {
        Some("" | "/") => "MetadataRoles",
        Some(role) if role.starts_with('/') => "MetadataCredentials",
        _ if rest == "api/token" => "MetadataToken",
        _ => "Metadata",
    })
}

/// Answers as the metadata service: in plain text, with an HTML page for an error.
pub(crate) fn serve(
    world: &mut World,
    op: &str,
    request: &Request,
    call: &mut Call,
) -> Result<Answer, Fail> {
    let missing = || Fail::new(404, "NotFound", "Not Found");
    let instance = world.script.instance.clone().ok_or_else(missing)?;
    if op == "MetadataToken" {
        return token(world, request);
    }
    let end = world.metadata_tokens.get(request.header(TOKEN));
    if end.is_none_or(|end| world.now_ms() >= *end) {
        return Err(Fail::new(401, "Unauthorized", "Unauthorized"));
    }
    if request.method != "GET" {
        return Err(Fail::new(405, "MethodNotAllowed", "Method Not Allowed"));
    }
    let plain = |text: &str| Ok(Answer::new(200, "text/plain", text));
    let region = world.script.region.clone();
    let path = request.path.trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    match (op, path.strip_prefix("/latest/meta-data/").unwrap_or_default()) {
        ("MetadataRoles", _) => plain(role_name(&instance).ok_or_else(missing)?),
        ("MetadataCredentials", _) if role_name(&instance) == Some(last) => {
            call.role.clone_from(&instance.role);
            Ok(credentials(world, &instance))
        }
        (_, "placement/region") => plain(&region),
        (_, "placement/availability-zone") => plain(&format!("{region}a")),
        (_, "instance-id") => plain(&instance.id),
        _ => Err(missing()),
    }
}

/// An error of the metadata service.
pub(crate) fn error(fail: &Fail) -> Answer {
    Answer::html(fail.status, &format!("<html><body><h1>{}</h1></body></html>", fail.message))
}

fn role_name(instance: &Instance) -> Option<&str> {
    instance.role.as_deref().and_then(|arn| arn.rsplit('/').next())
}

fn token(world: &mut World, request: &Request) -> Result<Answer, Fail> {
    if request.method != "PUT" {
        return Err(Fail::new(405, "MethodNotAllowed", "Method Not Allowed"));
    }
    // So that a proxy that was left open does not hand out tokens.
    if !request.header("x-forwarded-for").is_empty() {
        return Err(Fail::new(403, "Forbidden", "Forbidden"));
    }
    let seconds = request.header(TTL).parse().ok().filter(|n| (1..=LONGEST).contains(n));
    let seconds = seconds.ok_or_else(|| Fail::new(400, "BadRequest", "Bad Request"))?;
    let token = word::<42>();
    world.metadata_tokens.insert(token.clone(), world.now_ms() + seconds * 1000);
    Ok(Answer::new(200, "text/plain", token).with(TTL, seconds.to_string()))
}

fn credentials(world: &mut World, instance: &Instance) -> Answer {
    let role = instance.role.as_deref().unwrap_or_default();
    let mut body = mint(world, role, &instance.id, instance.credentials);
    body["Code"] = "Success".into();
    body["Type"] = "AWS-HMAC".into();
    body["LastUpdated"] = iso(world.now()).into();
    // The service calls its JSON text.
    Answer::new(200, "text/plain", body.to_string())
}

fn mint(world: &mut World, role: &str, session: &str, seconds: i64) -> Value {
    let (key, session) = world.mint(seconds, Session::of_role(role, session));
    let end = session.expires_ms.unwrap_or(0).div_euclid(1000);
    json!({
        "AccessKeyId": key, "SecretAccessKey": session.secret, "Token": session.token,
        "Expiration": iso(end),
    })
}

/// Answers as an agent that gives containers their credentials.
pub(crate) fn container(
    world: &mut World,
    container: &Container,
    request: &Request,
    call: &mut Call,
) -> Result<Answer, Fail> {
    call.role = Some(container.role.clone());
    let wanted = container.authorization.as_deref();
    if wanted.is_some_and(|wanted| request.header("authorization") != wanted) {
        let message = "The authorization token is missing or is not this container's";
        return Err(Fail::new(403, "AccessDeniedException", message));
    }
    if request.method != "GET" {
        return Err(Fail::new(405, "MethodNotAllowed", "only GET"));
    }
    let mut body = mint(world, &container.role, &container.session, container.credentials);
    if container.account_id {
        body["AccountId"] = container.role.split(':').nth(4).unwrap_or_default().into();
    }
    Ok(Answer::json(200, &body))
}
