//! How every failure reaches people: one [`Report`], the same on terminal, JSON, socket and notice.

use serde::{Deserialize, Serialize};

use crate::model::{
    ChainError, ProfileName,
    text::{printable, printable_sentence},
};

/// A stable name for a condition. Scripts and searches use it; a code is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// No profile of that name.
    UnknownProfile,
    /// No cluster of that alias or id is registered.
    UnknownCluster,
    /// A line of an AWS file could not be used.
    ConfigBroken,
    /// A kubeconfig of the person's cannot be read, or not be edited safely.
    KubeconfigBroken,
    /// The profile cannot work as written.
    Misconfigured,
    /// The root session has ended or was refused; a person must log in.
    NeedsLogin,
    /// An MFA code is needed.
    NeedsMfa,
    /// Temporary keys that cannot be renewed have ended.
    Expired,
    /// AWS could not be reached, or answered nonsense.
    Unreachable,
    /// AWS asked to slow down.
    Throttled,
    /// AWS knows the caller and refuses: role not assigned, trust policy, no permission.
    AccessDenied,
    /// AWS refused the request for another reason.
    AwsRefused,
    /// A program that was to bring credentials or a code failed.
    ProgramFailed,
    /// `DescribeCluster` found nothing of that name in that region.
    ClusterNotFound,
    /// The cluster exists but cannot be used now (being created, deleted, failed).
    ClusterNotReady,
    /// A token for a cluster was refused, by AWS or, as it seems, by the cluster.
    TokenRefused,
    /// AWS accepts the tokens for a cluster, and the cluster, as it seems, does not take who they are of.
    IdentityRefused,
    /// A login was started and did not end well.
    LoginFailed,
    /// The person, or the directory, said no.
    LoginDenied,
    /// Nobody finished the login in time.
    LoginTimeout,
    /// Another person than before logged in to the same session.
    AnotherPerson,
    /// No agent, and none could be started.
    AgentUnavailable,
    /// The agent gave no answer in time.
    AgentSilent,
    /// Agent and client do not speak the same protocol.
    ProtocolMismatch,
    /// A request that the agent does not understand.
    BadRequest,
    /// `config.toml` has a key or value that is not known.
    SettingsInvalid,
    /// A file or folder could not be read.
    ReadFailed,
    /// A file or folder could not be written.
    WriteFailed,
    /// A folder or file is owned by, or open to, somebody else.
    UnsafePath,
    /// A command line that makes no sense.
    Usage,
    /// A bug.
    Internal,
}

impl Code {
    /// Returns the exit code of a command that fails with this report: 2 for usage and
    /// configuration, 3 where no agent could be had, else 1.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::UnknownProfile
            | Self::UnknownCluster
            | Self::ConfigBroken
            | Self::KubeconfigBroken
            | Self::Misconfigured
            | Self::SettingsInvalid
            | Self::Usage => 2,
            Self::AgentUnavailable | Self::AgentSilent | Self::ProtocolMismatch => 3,
            _ => 1,
        }
    }
}

/// What happened, why, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The condition's stable name.
    pub code: Code,
    /// One line, no capital, no period.
    pub what: String,
    /// Causes, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// What to do: a command where there is one.
    pub fix: String,
}

impl Report {
    /// Builds a report without causes.
    pub fn new(code: Code, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code, what: what.into(), why: Vec::new(), fix: fix.into() }
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }
}

impl Report {
    /// Says why profile `name` cannot work as written.
    pub fn of_chain(name: &str, error: &ChainError) -> Self {
        let shown = printable(name);
        let broken = |fix: String| {
            let what = format!("profile `{shown}` cannot work as written");
            Self::new(Code::Misconfigured, what, fix)
                .because(printable_sentence(&error.to_string()))
        };
        let meant = |near: &Option<ProfileName>| {
            near.as_ref().map(|near| format!("did you mean `{}`?", printable(near.as_str())))
        };
        match error {
            ChainError::UnknownProfile { near, .. } => Self::new(
                Code::UnknownProfile,
                printable_sentence(&error.to_string()),
                meant(near).unwrap_or_else(|| {
                    "`eksd status --all` lists the profiles that eksd found".to_owned()
                }),
            ),
            ChainError::MissingSource { key, near, origin, .. } => {
                broken(meant(near).unwrap_or_else(|| format!("mend `{key}` at {origin}")))
            }
            ChainError::Loop { key, origin, .. } => broken(format!("mend `{key}` at {origin}")),
            ChainError::TooDeep { origin } => broken(format!("mend `source_profile` at {origin}")),
            ChainError::SourceCount { origin } => broken(format!(
                "leave one of `source_profile` and `credential_source` near {origin}"
            )),
            ChainError::UnknownCredentialSource { origin, .. } => {
                broken(format!("mend `credential_source` at {origin}"))
            }
            ChainError::MissingSsoSession { name, origin } => broken(format!(
                "add a section `[sso-session {}]`, or mend the name at {origin}",
                printable(name)
            )),
            ChainError::MissingKey { key, origin } => {
                broken(format!("add `{key}` to the section at {origin}"))
            }
            ChainError::MixedSso { key, origin, .. } => {
                broken(format!("remove `{key}` at {origin}: the sso-session has it"))
            }
            ChainError::NoCredentials { origin } => broken(format!(
                "add `sso_session`, `role_arn` or another source of credentials at {origin}"
            )),
        }
    }
}

impl std::fmt::Display for Report {
    /// The form for terminals: `error:`, `because:` and `fix:` lines, without a final newline.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "error: {}", self.what)?;
        for why in &self.why {
            write!(f, "\n  because: {why}")?;
        }
        write!(f, "\n  fix: {}", self.fix)
    }
}
