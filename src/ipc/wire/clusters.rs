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

/// A registered cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterName {
    /// Its alias.
    pub alias: String,
}

/// Another alias for a registered cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRenameParams {
    /// Its alias.
    pub alias: String,
    /// The new one.
    pub to: String,
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
    /// What AWS changed and what was put right in the file, in words; empty: nothing.
    pub changes: Vec<String>,
    /// Why it could not be compared, or cannot be used.
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
    /// The same, each for itself.
    #[serde(default)]
    pub drifts: Vec<DriftStatus>,
    /// Its status at AWS.
    #[serde(default)]
    pub status: Option<String>,
    /// When it was made, by AWS's word.
    #[serde(default)]
    pub created_at: Option<String>,
    /// Its id, of a local cluster on an Outpost: what its tokens name.
    #[serde(default)]
    pub id: Option<String>,
    /// From where its API server can be reached: `public`, `private` or `public-and-private`.
    #[serde(default)]
    pub endpoint_access: Option<String>,
    /// The networks that may come from the internet, where not all may.
    #[serde(default)]
    pub public_cidrs: Vec<String>,
    /// The proxy on the way, where the registration names one.
    #[serde(default)]
    pub proxy_url: Option<String>,
}

/// A way in which a cluster differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftStatus {
    /// What kind; a later agent may know more.
    pub kind: String,
    /// When eksd saw it first.
    pub since: String,
    /// What happened, in words.
    pub what: String,
    /// What to do, where somebody must.
    pub fix: Option<String>,
    /// Whether it is over and only told.
    pub is_news: bool,
}
