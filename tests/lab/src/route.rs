//! Which service and operation a request is for, and how each service words an error.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::calls::Call;
use crate::http::{Answer, Fail, Request, decode, hex};
use crate::script::Script;
use crate::script_sources::Container;
use crate::world::World;
use crate::{iam, kube, metadata, oidc, signin, sts};

/// Paths that one operation has to itself.
const FIXED: [(&str, &str, &str); 14] = [
    ("/client/register", "oidc", "RegisterClient"),
    ("/device_authorization", "oidc", "StartDeviceAuthorization"),
    ("/token", "oidc", "CreateToken"),
    ("/authorize", "oidc", "Authorize"),
    ("/device", "oidc", "Device"),
    ("/start", "oidc", "Start"),
    ("/federation/credentials", "portal", "GetRoleCredentials"),
    ("/assignment/accounts", "portal", "ListAccounts"),
    ("/assignment/roles", "portal", "ListAccountRoles"),
    ("/logout", "portal", "Logout"),
    ("/clusters", "eks", "ListClusters"),
    ("/v1/token", "signin", "CreateOAuth2Token"),
    ("/v1/authorize", "signin", "ConsoleAuthorize"),
    ("/v1/sessions/confirmation", "signin", "ConsoleConfirmation"),
];

/// Starts the record of a call with all that the request itself tells. `cluster` is the ARN of
/// the cluster whose API server it came to.
pub(crate) fn open_call(world: &World, cluster: Option<&str>, request: &Request) -> Call {
    let mut call = Call {
        time_ms: world.now_ms(),
        method: request.method.clone(),
        path: request.path.clone(),
        user_agent: request.header("user-agent").into(),
        ..Call::default()
    };
    if let Some(arn) = cluster {
        (call.service, call.op) = ("kube".into(), "Kube".into());
        call.cluster = arn.rsplit('/').next().map(String::from);
        let token = request.header("authorization").strip_prefix("Bearer ");
        call.token = token.map(|it| hex(&Sha256::digest(it)[..6]));
        return call;
    }
    let (service, op) = operation(world, request);
    (call.service, call.op) = (service.into(), op);
    match call.op.as_str() {
        "CreateToken" | "CreateOAuth2Token" => {
            let json = request.json();
            let grant = json["grantType"].as_str().and_then(|g| g.rsplit(':').next());
            call.grant = grant.map(String::from);
            let given = json["refreshToken"].as_str();
            call.refresh_token = given.map(|it| hex(&Sha256::digest(it)[..6]));
        }
        "DescribeCluster" => {
            call.cluster = request.path.strip_prefix("/clusters/").map(decode);
        }
        _ => {}
    }
    call
}

fn operation(world: &World, request: &Request) -> (&'static str, String) {
    let path = request.path.as_str();
    if let Some((_, service, op)) = FIXED.iter().find(|(fixed, ..)| *fixed == path) {
        return (service, (*op).into());
    }
    if path.starts_with("/clusters/") {
        return ("eks", "DescribeCluster".into());
    }
    if let Some(op) = metadata::operation(path) {
        return ("imds", op.into());
    }
    if container(&world.script, path).is_some() {
        return ("container", "ContainerCredentials".into());
    }
    match request.params().filled("Action").unwrap_or("MissingAction") {
        op if op == iam::OPERATION => ("iam", op.into()),
        op => ("sts", op.into()),
    }
}

/// The endpoint of container credentials at a path.
pub(crate) fn container<'a>(script: &'a Script, path: &str) -> Option<&'a Container> {
    script.containers.iter().find(|c| c.path == path)
}

/// Puts an error in the words of the service that was called.
pub(crate) fn refuse(fail: &Fail, request: &Request, call: &mut Call) -> Answer {
    call.error = Some(fail.code.clone());
    let answer = match call.service.as_str() {
        "sts" => sts::error(fail, request, sts::NAMESPACE),
        "iam" => sts::error(fail, request, iam::NAMESPACE),
        "kube" => kube::status(fail.status, kube::reason(fail.status), &fail.message, None),
        "imds" => metadata::error(fail),
        "oidc" => {
            let error = oidc::oauth_error(&fail.code);
            let body = json!({"error": error, "error_description": fail.message});
            Answer::json(fail.status, &body).with("x-amzn-errortype", &fail.code)
        }
        "signin" => {
            let (class, error) = signin::names(fail);
            let body = json!({"error": error, "message": fail.message});
            Answer::json(fail.status, &body).with("x-amzn-errortype", class)
        }
        "container" => {
            let body = json!({"code": fail.code, "message": fail.message});
            Answer::json(fail.status, &body)
        }
        _ => {
            let mut body = json!({"message": fail.message});
            if let Some(cluster) = &fail.cluster {
                body["clusterName"] = cluster.clone().into();
            }
            Answer::json(fail.status, &body).with("x-amzn-errortype", &fail.code)
        }
    };
    match fail.retry_after {
        Some(seconds) => answer.with("retry-after", seconds.to_string()),
        None => answer,
    }
}
