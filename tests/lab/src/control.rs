//! The control plane: what tests and people do to the lab, over HTTP and in process.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::http::{Answer, Request};
use crate::script::{Cluster, Mapped, Script};
use crate::server::Shared;
use crate::signin;
use crate::web_identity;
use crate::world::{DeviceState, World};

/// What can be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// All access tokens.
    AccessTokens,
    /// All refresh tokens.
    RefreshTokens,
    /// All client registrations.
    Clients,
    /// All temporary credentials.
    Sessions,
    /// All console sign-ins: their refresh tokens.
    Consoles,
    /// All tokens of the metadata service.
    MetadataTokens,
    /// All of these, and everything that is half-way to being one.
    All,
}

/// A change to one cluster.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ClusterChange {
    name: String,
    account: Option<String>,
    region: Option<String>,
    status: Option<String>,
    version: Option<String>,
    endpoint: Option<String>,
    ca: Option<String>,
    authentication_mode: Option<String>,
    local_id: Option<String>,
    connector: Option<String>,
    public: Option<bool>,
    private: Option<bool>,
    public_cidrs: Option<Vec<String>>,
    ip_family: Option<String>,
    recreate: bool,
    delete: bool,
}

impl Shared {
    /// Changes the script and makes the API servers fit it.
    pub(crate) fn edit(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Script),
    ) -> Result<(), std::io::Error> {
        change(&mut self.world().script);
        self.sync_kubes()
    }

    /// Forgets everything and goes back to the script that the lab began with.
    pub(crate) fn reset(self: &Arc<Self>) -> Result<(), std::io::Error> {
        {
            let mut world = self.world();
            let seed = world.seed.clone();
            *world = World::new(seed);
        }
        self.calls.clear();
        self.sync_kubes()
    }

    pub(crate) fn revoke(&self, what: What) {
        let mut world = self.world();
        let all = what == What::All;
        if all || what == What::AccessTokens {
            world.access.clear();
        }
        if all || what == What::RefreshTokens {
            world.refresh.clear();
        }
        if all || what == What::Clients {
            world.clients.clear();
        }
        if all || what == What::Sessions {
            world.sessions.clear();
        }
        if all || what == What::Consoles {
            world.consoles.clear();
        }
        if all || what == What::MetadataTokens {
            world.metadata_tokens.clear();
        }
        if all {
            world.devices.clear();
            world.codes.clear();
            world.console_codes.clear();
        }
    }

    /// The ARN of the cluster with this name or ARN.
    pub(crate) fn find(&self, cluster: &str) -> Option<String> {
        let world = self.world();
        let mut arns = world.script.clusters.iter().map(|c| (c, world.script.arn_of(c)));
        arns.find(|(c, arn)| c.name == cluster || arn == cluster).map(|(_, arn)| arn)
    }

    /// Changes the cluster with this name or ARN; false if there is none.
    pub(crate) fn with_cluster(&self, cluster: &str, change: impl FnOnce(&mut Cluster)) -> bool {
        let Some(arn) = self.find(cluster) else { return false };
        let mut world = self.world();
        let at = world.script.clusters.iter().position(|c| world.script.arn_of(c) == arn);
        at.map(|at| change(&mut world.script.clusters[at])).is_some()
    }

    /// A new API server with a new CA under the old name; false if there is no such cluster.
    pub(crate) fn recreate(self: &Arc<Self>, cluster: &str) -> Result<bool, std::io::Error> {
        let Some(arn) = self.find(cluster) else { return Ok(false) };
        let now = self.world().now();
        self.with_cluster(&arn, |c| c.created_at = now);
        self.stop_kube(&arn);
        self.sync_kubes()?;
        Ok(true)
    }

    pub(crate) fn state(&self) -> Value {
        let clusters: BTreeMap<String, Value> = {
            let arns: Vec<String> = {
                let world = self.world();
                world.script.clusters.iter().map(|c| world.script.arn_of(c)).collect()
            };
            let place = |arn: &String| self.place(arn);
            arns.iter()
                .filter_map(|arn| Some((arn.clone(), place(arn)?)))
                .map(|(arn, p)| (arn, json!({"endpoint": p.endpoint, "ca": p.ca_pem})))
                .collect()
        };
        let world = self.world();
        let devices: Vec<Value> = world
            .devices
            .values()
            .map(|d| json!({"user_code": d.user_code, "state": d.state.name()}))
            .collect();
        json!({
            "script": world.script,
            "now": world.now(),
            "clock": {"offset": world.clock.offset_ms / 1000,
                      "frozen": world.clock.frozen_ms.map(|ms| ms / 1000)},
            "clients": world.clients.len(),
            "access_tokens": world.access.len(),
            "refresh_tokens": world.refresh.values().filter(|r| !r.used).count(),
            "sessions": world.sessions.len(),
            "consoles": world.consoles.values().filter(|r| !r.used).count(),
            "devices": devices,
            "faults": world.faults,
            "kubes": clusters,
        })
    }
}

pub(crate) fn serve(shared: &Arc<Shared>, verb: &str, request: &Request) -> Answer {
    if request.method == "GET" {
        let params = request.params();
        let op = params.filled("op");
        return match verb {
            "state" => Answer::json(200, &shared.state()),
            "calls" => {
                let mut calls = shared.calls.all();
                calls.retain(|c| op.is_none_or(|op| c.op == op));
                Answer::json(200, &json!(calls))
            }
            "count" => Answer::json(200, &json!({"count": shared.calls.count(op.unwrap_or("*"))})),
            "throttled" => {
                let service = params.filled("service").unwrap_or("*");
                Answer::json(200, &json!({"count": shared.calls.throttled(service)}))
            }
            _ => Answer::json(404, &json!({"error": format!("no such page: {verb}")})),
        };
    }
    let body = if request.body.is_empty() {
        Ok(json!({}))
    } else {
        serde_json::from_slice(&request.body).map_err(|e| e.to_string())
    };
    match body.and_then(|body| change(shared, verb, body)) {
        Ok(answer) => Answer::json(200, &answer),
        Err(error) => Answer::json(400, &json!({"error": error})),
    }
}

fn change(shared: &Arc<Shared>, verb: &str, body: Value) -> Result<Value, String> {
    let text = |key: &str| body[key].as_str().map(String::from);
    match verb {
        "state" => {
            let mut script = json!(shared.world().script);
            merge(&mut script, body);
            let script: Script = serde_json::from_value(script).map_err(|e| e.to_string())?;
            shared.edit(|s| *s = script).map_err(|e| e.to_string())?;
        }
        "faults" => {
            if body["clear"] == true {
                shared.world().faults.clear();
            } else {
                let list = if body.is_array() { body } else { json!([body]) };
                let list: Vec<Fault> = serde_json::from_value(list).map_err(|e| e.to_string())?;
                shared.world().faults.extend(list);
            }
        }
        "approve" | "deny" => {
            let state = if verb == "deny" { DeviceState::Denied } else { DeviceState::Approved };
            let code = text("user_code");
            return Ok(json!({"decided": shared.world().decide(code.as_deref(), state)}));
        }
        "revoke" => {
            let what = serde_json::from_value(body["what"].clone()).map_err(|e| e.to_string())?;
            shared.revoke(what);
        }
        "clock" => return clock(shared, &body),
        "console" | "identity_token" => return hand_out(shared, verb, &body),
        "reset" => shared.reset().map_err(|e| e.to_string())?,
        "clusters" => {
            let change = serde_json::from_value(body).map_err(|e| e.to_string())?;
            return cluster(shared, change);
        }
        "reject" => {
            let name = text("cluster").ok_or("cluster is missing")?;
            let next = body["next"].as_i64().unwrap_or(1);
            let status = body["status"].as_u64().and_then(|s| u16::try_from(s).ok());
            shared.world().faults.push(rejection(&name, next, status.unwrap_or(401)));
        }
        "map" => {
            let name = text("cluster").ok_or("cluster is missing")?;
            let map: Option<BTreeMap<String, Mapped>> =
                serde_json::from_value(body["map"].clone()).map_err(|e| e.to_string())?;
            if !shared.with_cluster(&name, |c| c.map = map) {
                return Err(format!("no such cluster: {name}"));
            }
        }
        _ => return Err(format!("no such verb: {verb}")),
    }
    Ok(json!({"ok": true}))
}

/// What a test plants where a client looks for it.
fn hand_out(shared: &Shared, verb: &str, body: &Value) -> Result<Value, String> {
    let mut world = shared.world();
    if verb == "console" {
        let login = signin::log_in(&mut world, body["arn"].as_str());
        return Ok(json!({"arn": login.arn, "file": login.file, "content": login.content}));
    }
    let subject = body["subject"].as_str().ok_or("subject is missing")?;
    let seconds = body["seconds"].as_i64().unwrap_or(3600);
    Ok(json!({"token": web_identity::token(&world, subject, seconds)}))
}

/// The fault that turns the next `times` calls to a cluster away.
pub(crate) fn rejection(cluster: &str, times: i64, status: u16) -> Fault {
    let reason = crate::kube::reason(status);
    Fault::status("Kube", status, reason).message(reason).cluster(cluster).times(times)
}

fn clock(shared: &Shared, body: &Value) -> Result<Value, String> {
    let fields = body.as_object().ok_or("an object is wanted")?;
    let mut world = shared.world();
    for (key, value) in fields {
        let seconds = value.as_i64();
        match (key.as_str(), seconds) {
            ("offset", Some(seconds)) => world.clock.offset_ms = seconds * 1000,
            ("frozen", Some(seconds)) => world.clock.frozen_ms = Some(seconds * 1000),
            ("frozen", None) if value.is_null() => world.clock.frozen_ms = None,
            ("advance", Some(seconds)) => world.clock.advance(seconds),
            _ => return Err(format!("not a change of the clock: {key}")),
        }
    }
    Ok(json!({"now": world.now()}))
}

fn cluster(shared: &Arc<Shared>, change: ClusterChange) -> Result<Value, String> {
    let io = |e: std::io::Error| e.to_string();
    if change.name.is_empty() {
        return Err("name is missing".into());
    }
    let known = shared.find(&change.name);
    if change.delete {
        let arn = known.ok_or("no such cluster")?;
        shared
            .edit(|s| {
                let at = s.clusters.iter().position(|c| s.arn_of(c) == arn);
                at.map(|at| s.clusters.remove(at));
            })
            .map_err(io)?;
        return Ok(json!({"ok": true}));
    }
    if known.is_none() {
        let account = change.account.clone().ok_or("account is missing for a new cluster")?;
        let (name, region) = (change.name.clone(), change.region.clone());
        let new = Cluster { name, account, region, ..Cluster::default() };
        shared.edit(|s| s.clusters.push(new)).map_err(io)?;
    }
    if change.recreate {
        shared.recreate(&change.name).map_err(io)?;
    }
    shared.with_cluster(&change.name, |c| {
        if let Some(status) = change.status {
            c.status = status;
        }
        if let Some(version) = change.version {
            c.version = version;
        }
        if let Some(mode) = change.authentication_mode {
            c.authentication_mode = mode;
        }
        if change.endpoint.is_some() {
            c.endpoint = change.endpoint;
        }
        if change.ca.is_some() {
            c.ca = change.ca;
        }
        if change.local_id.is_some() {
            c.local_id = change.local_id;
        }
        if change.connector.is_some() {
            c.connector = change.connector;
        }
        if let Some(public) = change.public {
            c.public = public;
        }
        if let Some(private) = change.private {
            c.private = private;
        }
        if let Some(cidrs) = change.public_cidrs {
            c.public_cidrs = cidrs;
        }
        if let Some(family) = change.ip_family {
            c.ip_family = family;
        }
    });
    shared.sync_kubes().map_err(io)?;
    Ok(json!({"ok": true}))
}

/// Puts `from` over `into`, object by object.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
