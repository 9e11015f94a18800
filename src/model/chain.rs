//! Profile → chain: which root a profile begins at and which roles are assumed on the way.
//!
//! The order of kinds within one profile is the AWS CLI's (botocore `credentials.py`,
//! `create_credential_resolver`): a role, then web identity, SSO, static keys of the credentials
//! file, `login_session`, `credential_process`, static keys of the config file. From the second
//! profile of a chain on, static keys win over a `role_arn` there (`_resolve_source_credentials`).

use std::fmt;

use jiff::Timestamp;

use super::{AwsFiles, Credentials, FileKind, Origin, ProfileName, Section, text::near_miss};
use crate::report::{Code, Report};

/// Deeper chains than this are a mistake; each hop is a network call.
const MOST_HOPS: usize = 8;

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
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
    fn of(section: &Section) -> Self {
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

/// One assumed role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleHop {
    /// The profile that holds the `role_arn`.
    pub profile: ProfileName,
    /// The role.
    pub role_arn: String,
    /// `role_session_name`, where configured.
    pub session_name: Option<String>,
    /// `external_id`.
    pub external_id: Option<String>,
    /// `duration_seconds`.
    pub duration_seconds: Option<u32>,
    /// `mfa_serial`.
    pub mfa_serial: Option<String>,
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
    /// A kind that this version shows but cannot serve.
    Unsupported {
        /// The key or value that names the kind, e.g. `credential_process`.
        kind: &'static str,
        /// Its line.
        origin: Origin,
    },
}

/// A profile, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Whose chain it is.
    pub profile: ProfileName,
    /// Where it begins.
    pub source: Source,
    /// Roles in the order in which they are assumed.
    pub hops: Vec<RoleHop>,
    /// The way out of the profile itself (its `region` for cluster calls).
    pub reach: Reach,
}

impl Chain {
    /// Returns the sign-in at the root, if there is one.
    pub fn login(&self) -> Option<&SsoLogin> {
        match &self.source {
            Source::Sso { login, .. } | Source::SsoTokenOnly { login } => Some(login),
            Source::Keys(_) | Source::Unsupported { .. } => None,
        }
    }

    /// Returns why this version cannot serve the chain, if it cannot.
    pub fn unsupported(&self) -> Option<Report> {
        let name = &self.profile;
        if let Source::Unsupported { kind, origin } = &self.source {
            return Some(
            Report::new(
                Code::SourceUnsupported,
                format!("profile `{name}` gets its credentials from `{kind}`, which eksd does not serve yet"),
                "use the profile with the AWS tools directly",
            )
            .because(format!("{origin}: `{kind}`")),
        );
        }
        let hop = self.hops.iter().find(|hop| hop.mfa_serial.is_some())?;
        Some(
            Report::new(
                Code::NeedsMfa,
                format!("profile `{name}` needs an MFA code, which eksd cannot ask for yet"),
                "use the profile with the AWS tools directly",
            )
            .because(format!("{}: role `{}` has an `mfa_serial`", hop.origin, hop.role_arn)),
        )
    }

    /// Returns whether the last role is assumed with temporary keys, so that AWS caps it at 1 h.
    pub fn is_chained(&self) -> bool {
        match (&self.source, self.hops.len()) {
            (_, 0) => false,
            (Source::Keys(keys), 1) => keys.are_temporary(),
            _ => true,
        }
    }
}

/// Why a profile cannot work as written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No such profile.
    #[error("there is no profile `{name}`")]
    UnknownProfile {
        /// The name asked for.
        name: String,
        /// A name that is spelled almost the same.
        near: Option<ProfileName>,
    },
    /// `source_profile` names nothing.
    #[error("`source_profile = {source_name}` names no profile ({origin})")]
    MissingSource {
        /// The name written there.
        source_name: String,
        /// Its line.
        origin: Origin,
        /// A name that is spelled almost the same.
        near: Option<ProfileName>,
    },
    /// `source_profile` comes back to a profile already visited.
    #[error("the roles go in a circle: {} ({origin})", .path.join(" → "))]
    Loop {
        /// The profiles in order, the first one again at the end.
        path: Vec<String>,
        /// The line that closes the circle.
        origin: Origin,
    },
    /// More hops than sense.
    #[error("more than {MOST_HOPS} roles in a row ({origin})")]
    TooDeep {
        /// The line of the hop too many.
        origin: Origin,
    },
    /// `role_arn` with both or neither of `source_profile` and `credential_source`.
    #[error("`role_arn` wants exactly one of `source_profile` and `credential_source` ({origin})")]
    SourceCount {
        /// The line of the `role_arn`.
        origin: Origin,
    },
    /// `credential_source` with an unknown value.
    #[error(
        "`credential_source = {value}` is not one of Environment, Ec2InstanceMetadata, EcsContainer ({origin})"
    )]
    UnknownCredentialSource {
        /// The value written there.
        value: String,
        /// Its line.
        origin: Origin,
    },
    /// `sso_session` names nothing.
    #[error("`sso_session = {name}` names no [sso-session {name}] section ({origin})")]
    MissingSsoSession {
        /// The name written there.
        name: String,
        /// Its line.
        origin: Origin,
    },
    /// A key is missing.
    #[error("`{key}` is missing ({origin})")]
    MissingKey {
        /// The key.
        key: &'static str,
        /// The section that should hold it.
        origin: Origin,
    },
    /// A profile with `sso_session` repeats a key with another value.
    #[error("`{key}` differs from the one in [sso-session {session}] ({origin})")]
    MixedSso {
        /// The key.
        key: &'static str,
        /// The sso-session.
        session: String,
        /// The line in the profile.
        origin: Origin,
    },
    /// The profile says nothing about credentials.
    #[error("the profile has no credentials of its own ({origin})")]
    NoCredentials {
        /// The profile's header.
        origin: Origin,
    },
}

/// Resolves `name` to its chain.
///
/// # Errors
/// Says what in the files is at fault, with its line.
pub fn resolve(files: &AwsFiles, name: &str) -> Result<Chain, ChainError> {
    let Some((profile, section)) = files.profiles.get_key_value(name) else {
        let near = near_miss(name, files.profiles.keys().map(ProfileName::as_str));
        return Err(ChainError::UnknownProfile {
            name: name.to_owned(),
            near: near.map(ProfileName::new),
        });
    };
    let mut walk = Walk { files, path: vec![profile.clone()], hops: Vec::new() };
    let source = walk.source_of(profile, section)?;
    walk.hops.reverse();
    Ok(Chain { profile: profile.clone(), source, hops: walk.hops, reach: Reach::of(section) })
}

struct Walk<'a> {
    files: &'a AwsFiles,
    path: Vec<ProfileName>,
    hops: Vec<RoleHop>,
}

impl Walk<'_> {
    fn source_of(&mut self, name: &ProfileName, section: &Section) -> Result<Source, ChainError> {
        let is_first = self.path.len() == 1;
        if !is_first && let Some(keys) = keys_of(section) {
            return Ok(Source::Keys(keys));
        }
        if section.has("role_arn") && !section.has("web_identity_token_file") {
            return self.role(name, section);
        }
        self.base(section)
    }

    /// Follows `source_profile` (or `credential_source`) of a profile with a `role_arn`.
    fn role(&mut self, name: &ProfileName, section: &Section) -> Result<Source, ChainError> {
        let origin = section.origin_of("role_arn").clone();
        if self.hops.len() == MOST_HOPS {
            return Err(ChainError::TooDeep { origin });
        }
        self.hops.push(hop(name, section, &origin));
        match (section.get("source_profile"), section.get("credential_source")) {
            (Some(source), None) => self.follow(name, section, source),
            (None, Some(source)) => credential_source(section, source),
            _ => Err(ChainError::SourceCount { origin }),
        }
    }

    fn follow(
        &mut self,
        name: &ProfileName,
        section: &Section,
        source: &str,
    ) -> Result<Source, ChainError> {
        let origin = section.origin_of("source_profile").clone();
        if source == name.as_str() {
            // A profile may name itself where it holds keys (botocore, all SDKs).
            return keys_of(section).map(Source::Keys).ok_or_else(|| self.circle(source, origin));
        }
        if self.path.iter().any(|visited| visited.as_str() == source) {
            return Err(self.circle(source, origin));
        }
        let Some((next, next_section)) = self.files.profiles.get_key_value(source) else {
            let near = near_miss(source, self.files.profiles.keys().map(ProfileName::as_str));
            return Err(ChainError::MissingSource {
                source_name: source.to_owned(),
                origin,
                near: near.map(ProfileName::new),
            });
        };
        self.path.push(next.clone());
        self.source_of(next, next_section)
    }

    fn circle(&self, back_to: &str, origin: Origin) -> ChainError {
        let visited = self.path.iter().map(ToString::to_string);
        ChainError::Loop { path: visited.chain([back_to.to_owned()]).collect(), origin }
    }

    /// The kinds that are not a role, in the CLI's order.
    fn base(&self, section: &Section) -> Result<Source, ChainError> {
        let unsupported =
            |kind| Ok(Source::Unsupported { kind, origin: section.origin_of(kind).clone() });
        if section.has("web_identity_token_file") {
            return unsupported("web_identity_token_file");
        }
        if ["sso_session", "sso_start_url", "sso_account_id", "sso_role_name"]
            .iter()
            .any(|key| section.has(key))
        {
            return self.sso(section);
        }
        let keys = keys_of(section);
        let in_credentials_file = section
            .keys
            .get("aws_access_key_id")
            .is_some_and(|entry| entry.origin.kind == FileKind::Credentials);
        match keys {
            Some(keys) if in_credentials_file => Ok(Source::Keys(keys)),
            _ if section.has("login_session") => unsupported("login_session"),
            _ if section.has("credential_process") => unsupported("credential_process"),
            Some(keys) => Ok(Source::Keys(keys)),
            None => Err(ChainError::NoCredentials { origin: section.origin.clone() }),
        }
    }

    fn sso(&self, section: &Section) -> Result<Source, ChainError> {
        let login = match section.get("sso_session") {
            Some(name) => self.named_login(section, name)?,
            None => legacy_login(section)?,
        };
        let missing = |key| ChainError::MissingKey { key, origin: section.origin.clone() };
        match (section.get("sso_account_id"), section.get("sso_role_name")) {
            (Some(account_id), Some(role_name)) => Ok(Source::Sso {
                login,
                account_id: account_id.to_owned(),
                role_name: role_name.to_owned(),
            }),
            (None, None) if section.has("sso_session") => Ok(Source::SsoTokenOnly { login }),
            (None, _) => Err(missing("sso_account_id")),
            (_, None) => Err(missing("sso_role_name")),
        }
    }

    fn named_login(&self, section: &Section, name: &str) -> Result<SsoLogin, ChainError> {
        let Some(session) = self.files.sso_sessions.get(name) else {
            return Err(ChainError::MissingSsoSession {
                name: name.to_owned(),
                origin: section.origin_of("sso_session").clone(),
            });
        };
        for key in ["sso_start_url", "sso_region"] {
            if let Some(own) = section.get(key)
                && session.get(key) != Some(own)
            {
                return Err(ChainError::MixedSso {
                    key,
                    session: name.to_owned(),
                    origin: section.origin_of(key).clone(),
                });
            }
        }
        let scopes = session.get("sso_registration_scopes").unwrap_or_default();
        Ok(SsoLogin {
            key: LoginKey::Named(name.to_owned()),
            start_url: required(session, "sso_start_url")?,
            scopes: scopes
                .split(',')
                .map(str::trim)
                .filter(|scope| !scope.is_empty())
                .map(str::to_owned)
                .collect(),
            reach: Reach::of(section).to_region(&required(session, "sso_region")?),
        })
    }
}

fn legacy_login(section: &Section) -> Result<SsoLogin, ChainError> {
    let start_url = required(section, "sso_start_url")?;
    Ok(SsoLogin {
        key: LoginKey::StartUrl(start_url.clone()),
        start_url,
        scopes: Vec::new(),
        reach: Reach::of(section).to_region(&required(section, "sso_region")?),
    })
}

fn required(section: &Section, key: &'static str) -> Result<String, ChainError> {
    section
        .get(key)
        .map(str::to_owned)
        .ok_or_else(|| ChainError::MissingKey { key, origin: section.origin.clone() })
}

fn hop(name: &ProfileName, section: &Section, origin: &Origin) -> RoleHop {
    let text = |key| section.get(key).map(str::to_owned);
    RoleHop {
        profile: name.clone(),
        role_arn: text("role_arn").unwrap_or_default(),
        session_name: text("role_session_name"),
        external_id: text("external_id"),
        // botocore drops what is not an integer silently.
        duration_seconds: section.get("duration_seconds").and_then(|text| text.parse().ok()),
        mfa_serial: text("mfa_serial"),
        reach: Reach::of(section),
        origin: origin.clone(),
    }
}

fn credential_source(section: &Section, value: &str) -> Result<Source, ChainError> {
    let origin = section.origin_of("credential_source").clone();
    let known = ["Environment", "Ec2InstanceMetadata", "EcsContainer"];
    match known.into_iter().find(|kind| kind.eq_ignore_ascii_case(value)) {
        Some(kind) => Ok(Source::Unsupported { kind, origin }),
        None => Err(ChainError::UnknownCredentialSource { value: value.to_owned(), origin }),
    }
}

/// Expiry keys that other tools write beside temporary keys: saml2aws, aws-mfa and gimme-aws-creds
/// among them (their sources; there is no standard).
const EXPIRY_KEYS: [&str; 4] =
    ["x_security_token_expires", "aws_expiration", "expiration", "aws_session_expiration"];

fn keys_of(section: &Section) -> Option<Credentials> {
    let secret_access_key = section.secret("aws_secret_access_key")?.clone();
    let session_token =
        section.secret("aws_session_token").or_else(|| section.secret("aws_security_token"));
    Some(Credentials {
        access_key_id: section.get("aws_access_key_id")?.to_owned(),
        secret_access_key,
        session_token: session_token.cloned(),
        expires_at: EXPIRY_KEYS
            .iter()
            .find_map(|key| section.get(key)?.replacen(' ', "T", 1).parse::<Timestamp>().ok())
            .filter(|_| session_token.is_some()),
        account_id: section.get("aws_account_id").map(str::to_owned),
    })
}
