//! Ways in which credentials reach programs, and questions about them.

use serde::{Deserialize, Serialize};

use super::{Confidence, Phase};
use crate::report::Report;

/// A profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileParams {
    /// Its name.
    pub profile: String,
}

/// A profile or cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameParams {
    /// A cluster's alias or a profile.
    pub name: String,
}

/// What should last, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnsureParams {
    /// Profiles and clusters.
    pub names: Vec<String>,
    /// For how many seconds.
    pub seconds: u64,
}

/// A row for each name, in the order asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnsureAnswer {
    /// The rows.
    pub rows: Vec<Ensured>,
}

/// Whether one profile lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ensured {
    /// The name asked for.
    pub name: String,
    /// The profile: the one named, or the cluster's.
    pub profile: String,
    /// Its phase.
    pub phase: Phase,
    /// Whether credentials can be had for the whole time.
    pub lasts: bool,
    /// Until when they can surely, or by the best estimate, be had.
    pub until: Option<String>,
    /// How sure that is.
    pub confidence: Confidence,
    /// Why they will not last.
    pub report: Option<Report>,
}

/// The answer to `whoami`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whoami {
    /// The profile: the one named, or the cluster's.
    pub profile: String,
    /// The account.
    pub account: String,
    /// The ARN; of an assumed role, that of the session.
    pub arn: String,
    /// The unique id.
    pub user_id: String,
}

/// Where the container endpoint is (AWS SDKs and Tools Reference Guide, "Container credential
/// provider").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointOpen {
    /// For `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub uri: String,
    /// For `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`.
    pub token_file: String,
}

/// Where the mirror config is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// For `AWS_CONFIG_FILE`.
    pub config: String,
    /// For `AWS_SHARED_CREDENTIALS_FILE`; holds nothing.
    pub credentials: String,
}
