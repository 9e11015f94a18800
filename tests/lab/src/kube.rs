//! A Kubernetes API server, as much of it as clients need to be convinced.

use serde_json::{Value, json};

use crate::calls::Call;
use crate::eks_token;
use crate::http::{Answer, Request};
use crate::kube_objects::{self, RESOURCES};
use crate::script::Cluster;
use crate::sts::principal;
use crate::world::World;

const ADMINS: &str = "system:masters";
const REVIEWS: [(&str, &str, &str); 2] = [
    ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview"),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
];

/// Who asks.
struct Who {
    username: String,
    groups: Vec<String>,
    /// The session's ARN; nothing for the anonymous user.
    arn: Option<String>,
}

impl Who {
    fn is_admin(&self) -> bool {
        self.groups.iter().any(|g| g == ADMINS)
    }
}

pub(crate) fn serve(
    world: &World,
    cluster: &Cluster,
    hosts: &[String],
    request: &Request,
    call: &mut Call,
) -> Answer {
    match identify(world, cluster, hosts, request, call) {
        Ok(who) => answer(cluster, request, &who),
        Err(why) => {
            call.why = Some(why);
            status(401, "Unauthorized", "Unauthorized", None)
        }
    }
}

/// A failure as the API server words it.
pub(crate) fn status(code: u16, reason: &str, message: &str, details: Option<Value>) -> Answer {
    let mut body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    if let Some(details) = details {
        body["details"] = details;
    }
    Answer::json(code, &body)
}

/// The reason that the API server gives with a status.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    }
}

fn identify(
    world: &World,
    cluster: &Cluster,
    hosts: &[String],
    request: &Request,
    call: &mut Call,
) -> Result<Who, String> {
    let authorization = request.header("authorization");
    if authorization.is_empty() {
        return Ok(Who {
            username: "system:anonymous".into(),
            groups: vec!["system:unauthenticated".into()],
            arn: None,
        });
    }
    let token = authorization.strip_prefix("Bearer ").ok_or("no bearer token")?;
    let signer = eks_token::verify(world, token.trim(), named(cluster), hosts)?;
    let arn = signer.session.arn;
    call.arn = Some(arn.clone());
    call.access_key = Some(signer.access_key);
    call.region = Some(signer.region);
    let (username, mut groups) = match &cluster.map {
        None => (arn.clone(), vec![ADMINS.to_owned()]),
        Some(map) => {
            let canonical = principal(&arn);
            let mapped = map
                .get(&canonical)
                .or_else(|| map.get(&arn))
                .ok_or_else(|| format!("{canonical} is not mapped to a user"))?;
            (mapped.username.clone(), mapped.groups.clone())
        }
    };
    groups.push("system:authenticated".into());
    Ok(Who { username, groups, arn: Some(arn) })
}

/// What a token must name: a local cluster's id.
fn named(cluster: &Cluster) -> &str {
    cluster.local_id.as_deref().unwrap_or(&cluster.name)
}

fn answer(cluster: &Cluster, request: &Request, who: &Who) -> Answer {
    let parts: Vec<&str> = request.path.split('/').filter(|p| !p.is_empty()).collect();
    match parts[..] {
        ["healthz" | "livez" | "readyz"] => return Answer::new(200, "text/plain", "ok"),
        ["version"] => return version(cluster),
        _ if who.arn.is_none() => {
            let message = format!(
                "forbidden: User \"{}\" cannot {} path \"{}\"",
                who.username,
                if request.method == "GET" { "get" } else { "post" },
                request.path
            );
            return status(403, "Forbidden", &message, Some(json!({})));
        }
        _ => {}
    }
    let version = "v1";
    match parts[..] {
        ["api"] => Answer::json(
            200,
            &json!({"kind": "APIVersions", "versions": [version],
                    "serverAddressByClientCIDRs": []}),
        ),
        ["apis"] => Answer::json(200, &groups()),
        ["api", "v1"] => Answer::json(200, &core_resources()),
        ["apis", group, "v1"] => match REVIEWS.iter().find(|r| r.0 == group) {
            Some((group, plural, kind)) => Answer::json(
                200,
                &json!({
                    "kind": "APIResourceList", "apiVersion": "v1",
                    "groupVersion": format!("{group}/v1"),
                    "resources": [{"name": plural, "singularName": "", "namespaced": false,
                                   "kind": kind, "verbs": ["create"]}],
                }),
            ),
            None => not_found(),
        },
        ["apis", group, "v1", plural] if request.method == "POST" => {
            match REVIEWS.iter().find(|r| r.0 == group && r.1 == plural) {
                Some((group, _, kind)) => review(group, kind, request, who),
                None => not_found(),
            }
        }
        ["api", "v1", "namespaces", namespace, resource] => {
            objects(cluster, request, who, resource, None, Some(namespace))
        }
        ["api", "v1", "namespaces", namespace, resource, name] => {
            objects(cluster, request, who, resource, Some(name), Some(namespace))
        }
        ["api", "v1", resource] => objects(cluster, request, who, resource, None, None),
        ["api", "v1", resource, name] => objects(cluster, request, who, resource, Some(name), None),
        _ => not_found(),
    }
}

fn not_found() -> Answer {
    let message = "the server could not find the requested resource";
    status(404, "NotFound", message, Some(json!({})))
}

fn version(cluster: &Cluster) -> Answer {
    let (major, minor) = cluster.version.split_once('.').unwrap_or((&cluster.version, "0"));
    Answer::json(
        200,
        &json!({
            "major": major, "minor": minor, "gitVersion": format!("v{}.0-eks-lab", cluster.version),
            "gitCommit": "0000000", "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z",
            "goVersion": "go1.23", "compiler": "gc", "platform": "linux/amd64",
        }),
    )
}

fn groups() -> Value {
    let groups: Vec<Value> = REVIEWS
        .iter()
        .map(|(group, _, _)| {
            let version = json!({"groupVersion": format!("{group}/v1"), "version": "v1"});
            json!({"name": group, "versions": [version], "preferredVersion": version})
        })
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn core_resources() -> Value {
    let rows: Vec<Value> = RESOURCES
        .iter()
        .map(|r| {
            json!({
                "name": r.plural, "singularName": r.kind.to_lowercase(), "kind": r.kind,
                "namespaced": r.namespaced, "verbs": ["get", "list"], "shortNames": [r.short],
            })
        })
        .collect();
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": rows})
}

/// Reviews of oneself. kubectl posts them as protobuf and takes JSON for an answer.
fn review(group: &str, kind: &str, request: &Request, who: &Who) -> Answer {
    let mut body = request.json();
    if !body.is_object() {
        body = json!({});
    }
    body["apiVersion"] = format!("{group}/v1").into();
    body["kind"] = kind.into();
    body["status"] = if kind == "SelfSubjectReview" {
        json!({"userInfo": {
            "username": who.username, "groups": who.groups, "extra": {"arn": [who.arn]},
        }})
    } else if who.is_admin() {
        json!({"allowed": true})
    } else {
        json!({"allowed": false, "reason": "no access policy allows this"})
    };
    Answer::json(201, &body)
}

fn objects(
    cluster: &Cluster,
    request: &Request,
    who: &Who,
    plural: &str,
    name: Option<&str>,
    namespace: Option<&str>,
) -> Answer {
    let Some(resource) = RESOURCES.iter().find(|r| r.plural == plural) else {
        return not_found();
    };
    if request.method != "GET" {
        let message = "the server does not allow this method on the requested resource";
        return status(405, "MethodNotAllowed", message, Some(json!({})));
    }
    if !who.is_admin() {
        let place = match namespace {
            Some(namespace) => format!("in the namespace \"{namespace}\""),
            None => "at the cluster scope".into(),
        };
        let shown = match name {
            Some(name) => format!("{plural} \"{name}\""),
            None => plural.into(),
        };
        let message = format!(
            "{shown} is forbidden: User \"{}\" cannot {} resource \"{plural}\" in API group \"\" \
             {place}",
            who.username,
            if name.is_some() { "get" } else { "list" },
        );
        return status(403, "Forbidden", &message, Some(json!({"name": name, "kind": plural})));
    }
    let mut items = kube_objects::items(resource, cluster);
    items.retain(|o| {
        namespace.is_none_or(|n| o["metadata"]["namespace"] == n)
            && name.is_none_or(|n| o["metadata"]["name"] == n)
    });
    if let (Some(name), true) = (name, items.is_empty()) {
        let details = json!({"name": name, "kind": plural});
        return status(404, "NotFound", &format!("{plural} \"{name}\" not found"), Some(details));
    }
    if request.header("accept").contains("as=Table") {
        return Answer::json(200, &kube_objects::table(resource, &items));
    }
    if name.is_some() {
        return Answer::json(200, &items.remove(0));
    }
    Answer::json(
        200,
        &json!({"kind": format!("{}List", resource.kind), "apiVersion": "v1",
                "metadata": {"resourceVersion": "1"}, "items": items}),
    )
}
