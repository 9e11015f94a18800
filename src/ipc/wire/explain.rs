//! What a profile comes to, and why.

use serde::{Deserialize, Serialize};

use super::ClockStatus;
use crate::report::Report;

/// The answer to `explain`. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The profile: the one named, or the cluster's.
    pub profile: String,
    /// The cluster, where the name is one.
    pub cluster: Option<String>,
    /// From the source to the profile's credentials.
    pub chain: Vec<Step>,
    /// What decides how long the credentials live, in words.
    pub limit: Option<String>,
    /// Every end that plays a part.
    pub clocks: Vec<ClockStatus>,
    /// Every value that plays a part.
    pub values: Vec<ValueAt>,
    /// What shadows what, and where programs disagree.
    pub notes: Vec<String>,
    /// Why the profile cannot work as written, or does not work now.
    pub report: Option<Report>,
}

/// One step of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What happens there, in words.
    pub what: String,
    /// `FILE:LINE`, or the variable.
    pub origin: String,
    /// What AWS grants at most there, in words.
    pub cap: Option<String>,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueAt {
    /// The section or group it belongs to: `profile dev`, `sso-session corp`.
    pub section: String,
    /// The key.
    pub key: String,
    /// The value; `null` for a secret.
    pub value: Option<String>,
    /// `FILE:LINE`, or the variable.
    pub origin: String,
    /// Where the same key stands, too, and does not count.
    pub shadows: Vec<String>,
}
