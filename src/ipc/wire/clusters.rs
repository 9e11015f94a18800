//! Registered clusters.

use serde::{Deserialize, Serialize};

use super::{Confidence, Phase};
use crate::{
    model::alias::{Subject, Template, propose},
    report::Report,
};

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
    /// What its kubeconfig file would say.
    pub file: String,
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
    /// What AWS says of its tokens, where the cluster seems to refuse them.
    #[serde(default)]
    pub report: Option<Report>,
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

/// Where to look for clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterDiscoverParams {
    /// The profiles to ask as, the preferred first; empty: `default`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// Every profile that has credentials, in place of `profiles`.
    #[serde(default)]
    pub all: bool,
    /// The regions to ask in; empty: each profile's own, and those of the settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// The profile that shall sign for whatever is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticate_with: Option<String>,
}

/// How far a search for clusters is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoverProgress {
    /// How many places (an account's region) were asked about.
    pub asked: usize,
    /// Of how many.
    pub of: usize,
    /// Clusters found so far.
    pub clusters: usize,
    /// How often somebody was refused, or could not ask.
    pub refused: usize,
}

/// What came of a search for clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovered {
    /// What was found, by account, region and name.
    pub clusters: Vec<DiscoveredCluster>,
    /// Who was refused, or could not ask.
    pub refused: Vec<NotListed>,
    /// How many places (an account's region) somebody was told the clusters of.
    pub listed: usize,
    /// Of how many.
    pub places: usize,
    /// How many calls were spared, since another profile had been told already.
    pub spared: usize,
    /// Whether the search was stopped, or took too long, before all places were asked about.
    pub stopped: bool,
    /// The template of the aliases.
    pub template: String,
}

impl Discovered {
    /// Gives those that are not registered an alias each, none of `taken`.
    pub fn propose_aliases(&mut self, template: &Template, taken: &[String]) {
        let new = self.clusters.iter_mut().filter(|cluster| cluster.registered_as.is_none());
        let mut new: Vec<&mut DiscoveredCluster> = new.collect();
        let subjects: Vec<Subject> = new
            .iter()
            .map(|cluster| Subject {
                account_id: cluster.account_id.clone(),
                region: cluster.region.clone(),
                name: cluster.name.clone(),
                account_alias: cluster.account_alias.clone(),
                profile: cluster.profile.clone(),
            })
            .collect();
        for (cluster, alias) in new.iter_mut().zip(propose(template, &subjects, taken)) {
            cluster.alias = alias;
        }
    }
}

/// A cluster that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveredCluster {
    /// Its name at AWS.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its account.
    pub account_id: String,
    /// What its account is called, where the template of the aliases asks for that.
    pub account_alias: Option<String>,
    /// Its ARN.
    pub arn: String,
    /// The profile that signs.
    pub profile: String,
    /// The profile that was told of it.
    pub described_by: String,
    /// Who could sign, the best first.
    pub profiles: Vec<String>,
    /// Its alias, where it is registered.
    pub registered_as: Option<String>,
    /// What to call it.
    pub alias: String,
}

/// A list of clusters that a profile did not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotListed {
    /// The profile.
    pub profile: String,
    /// The region; absent: it could not ask at all.
    pub region: Option<String>,
    /// Why, and what to do.
    pub report: Report,
}
