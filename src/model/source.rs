//! What a chain is made of: where it begins, and the roles on the way.

use std::{fmt, path::PathBuf};

use super::{Credentials, Origin, ProfileName, Section};

/// What makes two SSO logins the same: the sso-session's name, or, in profiles without one, the
/// start URL byte for byte. The same text, hashed, names the token file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LoginKey {
    /// `[sso-session NAME]`.
    Named(String),
    /// A legacy profile's `sso_start_url`.
    StartUrl(String),
}

impl LoginKey {
    /// Returns the text whose SHA-1 names the token file in `~/.aws/sso/cache` (AWS CLI
    /// `botocore/utils.py`, `SSOTokenLoader`).
    pub fn cache_text(&self) -> &str {
        match self {
            Self::Named(text) | Self::StartUrl(text) => text,
        }
    }
}

impl fmt::Display for LoginKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cache_text())
    }
}

/// How calls for one profile leave the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reach {
    /// The region called, where the configuration names one.
    pub region: Option<String>,
    /// `ca_bundle`: a PEM file that replaces the platform's roots.
    pub ca_bundle: Option<String>,
    /// `use_fips_endpoint`.
    pub fips: bool,
    /// `use_dualstack_endpoint`.
    pub dual_stack: bool,
}

impl Reach {
    pub(super) fn of(section: &Section) -> Self {
        let is_true =
            |key| section.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        Self {
            region: section.get("region").map(str::to_owned),
            ca_bundle: section.get("ca_bundle").map(str::to_owned),
            fips: is_true("use_fips_endpoint"),
            dual_stack: is_true("use_dualstack_endpoint"),
        }
    }

    /// Returns the same way out to another region.
    #[must_use]
    pub fn to_region(&self, region: &str) -> Self {
        Self { region: Some(region.to_owned()), ..self.clone() }
    }
}

/// An Identity Center sign-in as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsoLogin {
    /// Its identity.
    pub key: LoginKey,
    /// The entry page, as configured.
    pub start_url: String,
    /// `sso_registration_scopes`; empty where the person set none.
    pub scopes: Vec<String>,
    /// The way to `sso_region`.
    pub reach: Reach,
}

/// A sign-in to the AWS console that the AWS CLI keeps (`aws login`, key `login_session`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleLogin {
    /// The ARN of the identity, without blanks around it.
    pub arn: String,
    /// A profile that names it, for `aws login --profile`.
    pub profile: ProfileName,
    /// The way to the sign-in service.
    pub reach: Reach,
    /// The line of the key.
    pub origin: Origin,
}

/// Which role a web identity token is exchanged for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebIdentity {
    /// The profile, for messages.
    pub profile: ProfileName,
    /// The role.
    pub role_arn: String,
    /// The file with the token, read anew at each refresh: whoever issues it replaces it.
    pub token_file: PathBuf,
    /// `role_session_name`.
    pub session_name: Option<String>,
    /// `duration_seconds`.
    pub duration_seconds: Option<u32>,
    /// The way to STS.
    pub reach: Reach,
    /// The line of the token file's key.
    pub origin: Origin,
}

/// A program that prints credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Process {
    /// The profile, for messages.
    pub profile: ProfileName,
    /// The command line as written. Some people put secrets there.
    pub command: String,
    /// The profile's region, for what the program calls.
    pub reach: Reach,
    /// Its line.
    pub origin: Origin,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("profile", &self.profile)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// A place around the agent that hands out credentials (`credential_source`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Machine {
    /// Keys in the agent's environment.
    Environment,
    /// The instance metadata service.
    Instance,
    /// The container credentials endpoint of ECS, or of EKS Pod Identity.
    Container,
}

impl Machine {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Environment, Self::Instance, Self::Container];

    /// Returns the value of `credential_source` (AWS SDKs and Tools Reference Guide, "Assume role
    /// credential provider").
    pub fn key(self) -> &'static str {
        match self {
            Self::Environment => "Environment",
            Self::Instance => "Ec2InstanceMetadata",
            Self::Container => "EcsContainer",
        }
    }

    /// Returns the word for it in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Instance => "instance",
            Self::Container => "container",
        }
    }
}

/// What AWS is asked for when a role is assumed: with whose credentials they are assumed, these
/// make two sessions the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleTerms {
    /// The role.
    pub role_arn: String,
    /// `role_session_name`, where configured.
    pub session_name: Option<String>,
    /// `external_id`.
    pub external_id: Option<String>,
    /// `duration_seconds`.
    pub duration_seconds: Option<u32>,
    /// `source_identity`. The AWS tools know no such key; aws-vault does (its `USAGE.md`).
    pub source_identity: Option<String>,
    /// `session_tags`, as aws-vault writes them: `key=value,key=value`.
    pub tags: Vec<(String, String)>,
    /// `transitive_session_tags`: keys of tags that stay along a chain.
    pub transitive_tags: Vec<String>,
}

/// Returns whether AWS takes this as the name of a role's session (STS API, `RoleSessionName`).
pub fn is_session_name(text: &str) -> bool {
    (2..=64).contains(&text.len()) && text.bytes().all(|b| is_word(b) || b"+=,.@-".contains(&b))
}

/// Returns whether AWS takes this as an external id (STS API, `ExternalId`).
pub fn is_external_id(text: &str) -> bool {
    (2..=1224).contains(&text.len()) && text.bytes().all(|b| is_word(b) || b"+=,.@:/-".contains(&b))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A device of a person.
#[derive(Clone, PartialEq, Eq)]
pub struct MfaDevice {
    /// `mfa_serial`.
    pub serial: String,
    /// `mfa_process`: a command that prints a code, as aws-vault knows it.
    pub process: Option<String>,
    /// The line of the serial.
    pub origin: Origin,
}

impl fmt::Debug for MfaDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MfaDevice")
            .field("serial", &self.serial)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// One assumed role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleHop {
    /// The profile that holds the `role_arn`.
    pub profile: ProfileName,
    /// What is asked for.
    pub terms: RoleTerms,
    /// The device whose code the role wants.
    pub mfa: Option<MfaDevice>,
    /// The way to STS.
    pub reach: Reach,
    /// The line of the `role_arn`.
    pub origin: Origin,
}

/// Where a chain begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A permission set of Identity Center.
    Sso {
        /// The sign-in it hangs on.
        login: SsoLogin,
        /// `sso_account_id`.
        account_id: String,
        /// `sso_role_name`.
        role_name: String,
    },
    /// Only the sign-in: the profile names no account and role, so it yields a token and no
    /// credentials.
    SsoTokenOnly {
        /// The sign-in.
        login: SsoLogin,
    },
    /// Keys written in a file: long-lived, or temporary ones that eksd cannot renew.
    Keys(Credentials),
    /// A sign-in to the console.
    Console(ConsoleLogin),
    /// A token of somebody else's.
    WebIdentity(WebIdentity),
    /// A program.
    Process(Process),
    /// A place around the agent.
    Machine {
        /// Which.
        kind: Machine,
        /// The line that says so.
        origin: Origin,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_aws_takes() {
        for (text, is_name, is_id) in [
            ("eksd-ann", true, true),
            ("ann@example.com", true, true),
            ("a_b+c=d,e.f-g", true, true),
            ("a", false, false),
            ("", false, false),
            ("a b", false, false),
            ("a/b:c", false, true),
            ("é!", false, false),
            ("a\nb", false, false),
        ] {
            assert_eq!((is_session_name(text), is_external_id(text)), (is_name, is_id), "{text:?}");
        }
        assert!(is_session_name(&"x".repeat(64)) && !is_session_name(&"x".repeat(65)));
        assert!(is_external_id(&"x".repeat(1224)) && !is_external_id(&"x".repeat(1225)));
    }
}
