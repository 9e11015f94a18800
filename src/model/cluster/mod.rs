//! Clusters: what EKS says about one, what is registered here, and how the two come apart.

mod access;
mod compare;
mod drift;
mod fight;
pub mod timing;
mod words;

use jiff::Timestamp;

/// What was put back where a file was written anew.
pub const WHOLE: &str = "the whole file";

pub use self::{
    access::{EndpointAccess, check_alias, check_proxy_url},
    compare::{Comparison, Found, compare},
    drift::{Change, Drift, Drifts, Kind, NEWS_STAYS, Part},
    fight::{Fight, MOST_PUT_BACK, Verdict},
};

/// The answer of `DescribeCluster`, as far as eksd uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterFacts {
    /// The name within account and region.
    pub name: String,
    /// The full name; the region in it is the cluster's own.
    pub arn: String,
    /// The address of the API server; absent while the cluster is being created.
    pub endpoint: Option<String>,
    /// The certificate authority as EKS sends it: PEM in base64. Absent while being created.
    pub certificate_authority: Option<String>,
    /// `ACTIVE`, `UPDATING`, `CREATING`, `DELETING`, `FAILED` or `PENDING`.
    pub status: String,
    /// The Kubernetes version, e.g. `1.34`.
    pub version: Option<String>,
    /// When it was made: a cluster of the same name with another instant is another cluster.
    pub created_at: Option<Timestamp>,
    /// The id that signs tokens of local clusters on Outposts; absent on all others.
    pub id: Option<String>,
    /// The EKS platform version, e.g. `eks.12`.
    pub platform_version: Option<String>,
    /// `API`, `API_AND_CONFIG_MAP` or `CONFIG_MAP`.
    pub authentication_mode: Option<String>,
    /// From where its API server can be reached, where EKS says so.
    pub access: Option<EndpointAccess>,
    /// Whose it is, of a cluster that is not EKS's own and only registered there (EKS Connector).
    pub connector: Option<String>,
}

impl ClusterFacts {
    /// Returns whether the API server can be talked to: the AWS CLI writes a kubeconfig for
    /// these two states only (`customizations/eks/update_kubeconfig.py`).
    pub fn is_usable(&self) -> bool {
        matches!(self.status.as_str(), "ACTIVE" | "UPDATING")
    }

    /// Returns what a token for this cluster names: the id where there is one, else the name
    /// (AWS CLI `customizations/eks/get_token.py`).
    pub fn token_id(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.name)
    }

    /// Returns the account in its ARN.
    pub fn account(&self) -> Option<&str> {
        self.arn.split(':').nth(4).filter(|account| !account.is_empty())
    }
}

/// A cluster that the person registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// What it is called here: its kubeconfig's name, its context, its word in a prompt.
    pub alias: String,
    /// Its name at AWS.
    pub name: String,
    /// Its region.
    pub region: String,
    /// The profile that signs its tokens, and describes it unless another one does.
    pub profile: String,
    /// The profile that describes it, where that is another one.
    pub described_by: Option<String>,
    /// A role that the profile assumes to sign tokens.
    pub role_arn: Option<String>,
    /// The proxy through which its API server is reached: `proxy-url` in the kubeconfig.
    pub proxy_url: Option<String>,
    /// What EKS said last.
    pub facts: ClusterFacts,
    /// When that was.
    pub checked_at: Option<Timestamp>,
    /// How it differs from what a person would expect.
    pub drifts: Drifts,
}

impl Cluster {
    /// Returns the profile that asks EKS about it.
    pub fn describer(&self) -> &str {
        self.described_by.as_deref().unwrap_or(&self.profile)
    }

    /// Returns whether both are the same cluster at AWS, asked about and signed for alike.
    pub fn is_same_registration(&self, other: &Self) -> bool {
        self.alias == other.alias
            && self.name == other.name
            && self.region == other.region
            && self.profile == other.profile
            && self.described_by == other.described_by
            && self.role_arn == other.role_arn
    }
}
