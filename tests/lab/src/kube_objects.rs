//! The few objects that every cluster of the lab holds.

use serde_json::{Value, json};

use crate::script::Cluster;

/// A resource of the core group.
pub(crate) struct Resource {
    pub(crate) plural: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) short: &'static str,
    pub(crate) namespaced: bool,
}

pub(crate) const RESOURCES: [Resource; 4] = [
    Resource { plural: "nodes", kind: "Node", short: "no", namespaced: false },
    Resource { plural: "namespaces", kind: "Namespace", short: "ns", namespaced: false },
    Resource { plural: "pods", kind: "Pod", short: "po", namespaced: true },
    Resource { plural: "configmaps", kind: "ConfigMap", short: "cm", namespaced: true },
];

fn object(resource: &Resource, name: &str, namespace: Option<&str>, rest: Value) -> Value {
    let mut metadata = json!({
        "name": name, "uid": format!("00000000-0000-0000-0000-{:012x}", name.len()),
        "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z",
    });
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    let mut object = json!({"apiVersion": "v1", "kind": resource.kind, "metadata": metadata});
    if let (Value::Object(into), Value::Object(rest)) = (&mut object, rest) {
        into.extend(rest);
    }
    object
}

/// All objects of a resource.
pub(crate) fn items(resource: &Resource, cluster: &Cluster) -> Vec<Value> {
    match resource.plural {
        "nodes" => (1..=2)
            .map(|i| {
                let version = format!("v{}.0-eks-lab", cluster.version);
                let status = json!({
                    "conditions": [{"type": "Ready", "status": "True"}],
                    // Typed clients insist on all of it.
                    "nodeInfo": {
                        "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "",
                        "kernelVersion": "", "kubeProxyVersion": version,
                        "kubeletVersion": version, "machineID": "", "operatingSystem": "linux",
                        "osImage": "", "systemUUID": "",
                    },
                });
                let name = format!("ip-10-0-0-{i}.{}.internal", cluster.name);
                object(resource, &name, None, json!({"spec": {}, "status": status}))
            })
            .collect(),
        "namespaces" => ["default", "kube-system"]
            .iter()
            .map(|name| object(resource, name, None, json!({"status": {"phase": "Active"}})))
            .collect(),
        "pods" => {
            let rest = json!({"spec": {"containers": []}, "status": {"phase": "Running"}});
            vec![object(resource, "web-0", Some("default"), rest)]
        }
        _ => {
            let rest = json!({"data": {"mapRoles": map_roles(cluster)}});
            vec![object(resource, "aws-auth", Some("kube-system"), rest)]
        }
    }
}

/// The cluster's map of principals as aws-auth writes it.
fn map_roles(cluster: &Cluster) -> String {
    let mut text = String::new();
    for (arn, mapped) in cluster.map.iter().flatten() {
        text.push_str(&format!("- rolearn: {arn}\n  username: {}\n", mapped.username));
        text.push_str("  groups:\n");
        for group in &mapped.groups {
            text.push_str(&format!("  - {group}\n"));
        }
    }
    if text.is_empty() { "[]\n".into() } else { text }
}

/// Objects as `kubectl get` wants them.
pub(crate) fn table(resource: &Resource, items: &[Value]) -> Value {
    let (column, cell): (&str, fn(&Value) -> Value) = match resource.plural {
        "nodes" => ("Status", |_| "Ready".into()),
        "configmaps" => ("Data", |o| o["data"].as_object().map_or(0, serde_json::Map::len).into()),
        _ => ("Status", |o| o["status"]["phase"].clone()),
    };
    let rows: Vec<Value> = items
        .iter()
        .map(|o| {
            json!({
                "cells": [o["metadata"]["name"], cell(o)],
                "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                           "metadata": o["metadata"]},
            })
        })
        .collect();
    let head = |name: &str, format: &str| json!({"name": name, "type": "string", "format": format, "priority": 0, "description": ""});
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": "1"},
        "columnDefinitions": [head("Name", "name"), head(column, "")], "rows": rows,
    })
}
