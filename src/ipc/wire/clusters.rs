//! Registered clusters.

use serde::{Deserialize, Serialize};

use super::{Confidence, Phase};
use crate::report::Report;

/// A cluster to register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterAddParams {
    /// Its name at AWS.
    pub name: String,
    /// Its region; absent: the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The profile that signs its tokens, and describes it unless another one does.
    pub profile: String,
    /// The profile that describes it, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described_by: Option<String>,
    /// A role that the profile assumes to sign tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// The proxy through which its API server is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<String>,
    /// What to call it here; absent: its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

/// What AWS says about a cluster that is not registered by that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterDescribed {
    /// What it would be called here.
    pub alias: String,
    /// Its name at AWS.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its ARN.
    pub arn: String,
    /// The address of its API server.
    pub server: String,
    /// The API server's CA: PEM, in base64.
    pub certificate_authority: String,
}

/// A registered cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterName {
    /// Its alias.
    pub alias: String,
}

/// Which clusters to compare.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSyncParams {
    /// One, or all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncDone {
    /// A row a cluster.
    pub clusters: Vec<SyncedCluster>,
}

/// What came of comparing one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncedCluster {
    /// Its alias.
    pub alias: String,
    /// What was changed in the file, in words; empty: nothing.
    pub changes: Vec<String>,
    /// Why it could not be compared.
    pub report: Option<Report>,
}

/// A cluster's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// Its alias.
    pub cluster: String,
    /// Its ARN.
    pub arn: String,
    /// Its name at AWS.
    #[serde(default)]
    pub name: String,
    /// Its region.
    pub region: String,
    /// The profile that signs.
    pub profile: String,
    /// The profile that describes it, where that is another one.
    #[serde(default)]
    pub described_by: Option<String>,
    /// The role that the profile assumes to sign.
    #[serde(default)]
    pub role_arn: Option<String>,
    /// Its Kubernetes version.
    #[serde(default)]
    pub version: Option<String>,
    /// The profile's phase.
    pub phase: Phase,
    /// The profile's.
    pub good_until: Option<String>,
    /// How sure `good_until` is.
    pub confidence: Confidence,
    /// Its kubeconfig file.
    pub kubeconfig: String,
    /// When AWS was last asked about it.
    pub checked_at: Option<String>,
    /// How the file or the cluster differs, in words.
    pub drift: Option<String>,
}
