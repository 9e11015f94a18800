//! Profile → chain: which root a profile begins at and which roles are assumed on the way.
//!
//! The order of kinds within one profile is the AWS CLI's (botocore `credentials.py`,
//! `create_credential_resolver`): a role, then web identity, SSO, static keys of the credentials
//! file, `login_session`, `credential_process`, static keys of the config file. From the second
//! profile of a chain on, static keys take a `role_arn` there out of the order, and only that
//! (`_resolve_credentials_from_profile`).

use super::{
    AwsFiles, Credentials, FileKind, Origin, ProfileName, Section,
    instant::expiry,
    source::{
        ConsoleLogin, LoginKey, Machine, MfaDevice, Process, Reach, RoleHop, RoleTerms, Source,
        SsoLogin, WebIdentity,
    },
    text::near_miss,
};

/// Deeper chains than this are a mistake; each hop is a network call.
const MOST_HOPS: usize = 8;

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
    /// How an MFA code is used, where one is needed.
    pub mfa_way: MfaWay,
}

/// How an MFA code is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MfaWay {
    /// One session for all roles of the device, asked for once in hours; AWS caps the roles
    /// assumed with it at an hour, and they renew by themselves.
    #[default]
    Session,
    /// The role is assumed with the code itself, so it may last as long as its own limit; each
    /// such role asks anew when it ends.
    PerRole,
}

impl Chain {
    /// Returns the Identity Center sign-in at the root, if there is one.
    pub fn login(&self) -> Option<&SsoLogin> {
        match &self.source {
            Source::Sso { login, .. } | Source::SsoTokenOnly { login } => Some(login),
            _ => None,
        }
    }

    /// Returns the device whose code the chain needs: that of the first role, where long-lived
    /// keys assume it. AWS ties a device to a user, so temporary keys cannot give its code; there
    /// the MFA that they were made with counts.
    pub fn mfa(&self) -> Option<(&Credentials, &MfaDevice)> {
        match (&self.source, self.hops.first()?) {
            (Source::Keys(keys), RoleHop { mfa: Some(device), .. }) if !keys.are_temporary() => {
                Some((keys, device))
            }
            _ => None,
        }
    }

    /// Returns whether the last role is assumed with temporary keys, so that AWS caps it at 1 h.
    pub fn is_chained(&self) -> bool {
        match (&self.source, self.hops.len()) {
            (_, 0) => false,
            (Source::Keys(keys), 1) => {
                keys.are_temporary() || (self.mfa().is_some() && self.mfa_way == MfaWay::Session)
            }
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
    /// `source_profile`, or a process that asks eksd for a profile, names nothing.
    #[error("`{key}` names no profile: there is no `{source_name}` ({origin})")]
    MissingSource {
        /// The key.
        key: &'static str,
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
        /// The setting that closes the circle.
        key: &'static str,
        /// Its line.
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
    let mut walk = Walk { files, path: vec![profile.clone()], first: 1, hops: Vec::new() };
    let source = walk.source_of(profile, section)?;
    walk.hops.reverse();
    Ok(Chain {
        profile: profile.clone(),
        source,
        hops: walk.hops,
        reach: Reach::of(section),
        mfa_way: MfaWay::default(),
    })
}

struct Walk<'a> {
    files: &'a AwsFiles,
    path: Vec<ProfileName>,
    /// The length that the path has at the profile that was asked for.
    first: usize,
    hops: Vec<RoleHop>,
}

impl Walk<'_> {
    fn source_of(&mut self, name: &ProfileName, section: &Section) -> Result<Source, ChainError> {
        let is_first = self.path.len() == self.first;
        let keys_win = !is_first && keys_of(section).is_some();
        if !keys_win && section.has("role_arn") && !section.has("web_identity_token_file") {
            return self.role(name, section);
        }
        self.base(name, section)
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
            if keys_of(section).is_none() {
                return Err(self.circle(source, "source_profile", origin));
            }
            return self.base(name, section);
        }
        if self.path.iter().any(|visited| visited.as_str() == source) {
            return Err(self.circle(source, "source_profile", origin));
        }
        let Some((next, next_section)) = self.files.profiles.get_key_value(source) else {
            let others = self.files.profiles.keys().filter(|other| *other != name);
            let near = near_miss(source, others.map(ProfileName::as_str));
            return Err(ChainError::MissingSource {
                key: "source_profile",
                source_name: source.to_owned(),
                origin,
                near: near.map(ProfileName::new),
            });
        };
        self.path.push(next.clone());
        self.source_of(next, next_section)
    }

    fn circle(&self, back_to: &str, key: &'static str, origin: Origin) -> ChainError {
        let visited = self.path.iter().map(ToString::to_string);
        ChainError::Loop { path: visited.chain([back_to.to_owned()]).collect(), key, origin }
    }

    /// The kinds that are not a role, in the CLI's order.
    fn base(&mut self, name: &ProfileName, section: &Section) -> Result<Source, ChainError> {
        if section.has("web_identity_token_file") {
            return web_identity(name, section).map(Source::WebIdentity);
        }
        // A sign-in alone is no kind of credentials: anything else goes first (botocore
        // `SSOProvider._load_sso_config`).
        let has_any = |keys: [&str; 2]| keys.iter().any(|key| section.has(key));
        if has_any(["sso_account_id", "sso_role_name"]) {
            return self.sso(section);
        }
        let keys = keys_of(section);
        let in_credentials_file = section
            .keys
            .get("aws_access_key_id")
            .is_some_and(|entry| entry.origin.kind == FileKind::Credentials);
        match (keys, section.get("login_session"), section.get("credential_process")) {
            (Some(keys), _, _) if in_credentials_file => Ok(Source::Keys(keys)),
            (_, Some(arn), _) => Ok(Source::Console(console(name, section, arn))),
            (_, None, Some(command)) => self.process(name, section, command),
            (Some(keys), None, None) => Ok(Source::Keys(keys)),
            (None, None, None) if has_any(["sso_session", "sso_start_url"]) => self.sso(section),
            // What the environment says where no file says anything.
            (None, None, None) => match section.get("credential_source") {
                Some(source)
                    if section.origin_of("credential_source").kind == FileKind::Environment =>
                {
                    credential_source(section, source)
                }
                _ => Err(ChainError::NoCredentials { origin: section.origin.clone() }),
            },
        }
    }

    /// A process that is eksd itself stands for the profile that it names: to run it would have
    /// the agent wait for itself.
    fn process(
        &mut self,
        name: &ProfileName,
        section: &Section,
        command: &str,
    ) -> Result<Source, ChainError> {
        let origin = section.origin_of("credential_process").clone();
        let Some(target) = eksd_profile(command) else {
            return Ok(Source::Process(Process {
                profile: name.clone(),
                command: command.to_owned(),
                reach: Reach::of(section),
                origin,
            }));
        };
        if self.path.iter().any(|visited| visited.as_str() == target) {
            return Err(self.circle(&target, "credential_process", origin));
        }
        let Some((next, next_section)) = self.files.profiles.get_key_value(target.as_str()) else {
            let near = near_miss(&target, self.files.profiles.keys().map(ProfileName::as_str));
            return Err(ChainError::MissingSource {
                key: "credential_process",
                source_name: target,
                origin,
                near: near.map(ProfileName::new),
            });
        };
        self.path.push(next.clone());
        // Asked for by its own name, the profile is the first of its chain.
        let mut inner = Walk {
            files: self.files,
            path: self.path.clone(),
            first: self.path.len(),
            hops: Vec::new(),
        };
        let source = inner.source_of(next, next_section)?;
        self.hops.extend(inner.hops);
        Ok(source)
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
        for key in ["sso_start_url", "sso_region", "sso_registration_scopes"] {
            // Scopes need not stand in the session; the other two must.
            let is_bound = session.has(key) || key != "sso_registration_scopes";
            if let Some(own) = section.get(key)
                && is_bound
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
    let list = |key| {
        let items = section.get(key).into_iter().flat_map(|text| text.split(','));
        items.map(str::trim).filter(|item| !item.is_empty())
    };
    RoleHop {
        profile: name.clone(),
        terms: RoleTerms {
            role_arn: text("role_arn").unwrap_or_default(),
            session_name: text("role_session_name"),
            external_id: text("external_id"),
            duration_seconds: seconds(section),
            source_identity: text("source_identity"),
            tags: list("session_tags")
                .filter_map(|tag| tag.split_once('='))
                .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
                .collect(),
            transitive_tags: list("transitive_session_tags").map(str::to_owned).collect(),
        },
        mfa: section.get("mfa_serial").map(|serial| MfaDevice {
            serial: serial.to_owned(),
            process: text("mfa_process"),
            origin: section.origin_of("mfa_serial").clone(),
        }),
        reach: Reach::of(section),
        origin: origin.clone(),
    }
}

/// botocore drops what is not an integer silently.
fn seconds(section: &Section) -> Option<u32> {
    section.get("duration_seconds").and_then(|text| text.parse().ok())
}

fn web_identity(name: &ProfileName, section: &Section) -> Result<WebIdentity, ChainError> {
    Ok(WebIdentity {
        profile: name.clone(),
        role_arn: required(section, "role_arn")?,
        token_file: required(section, "web_identity_token_file")?.into(),
        session_name: section.get("role_session_name").map(str::to_owned),
        duration_seconds: seconds(section),
        reach: Reach::of(section),
        origin: section.origin_of("web_identity_token_file").clone(),
    })
}

fn console(name: &ProfileName, section: &Section, arn: &str) -> ConsoleLogin {
    ConsoleLogin {
        arn: arn.trim().to_owned(),
        profile: name.clone(),
        reach: Reach::of(section),
        origin: section.origin_of("login_session").clone(),
    }
}

/// Returns the profile that a `credential_process` asks eksd for, where that is all it does.
pub(super) fn eksd_profile(command: &str) -> Option<String> {
    let words = shlex::split(command)?;
    let mut words = words.iter().map(String::as_str);
    let is_eksd = words.next()?.rsplit('/').next() == Some("eksd");
    let mut rest = words.filter(|word| *word != "--no-agent");
    if !is_eksd || rest.next() != Some("credential-process") {
        return None;
    }
    match (rest.next()?, rest.next(), rest.next()) {
        ("--profile", Some(name), None) => Some(name.to_owned()),
        (word, None, None) => word.strip_prefix("--profile=").map(str::to_owned),
        _ => None,
    }
}

fn credential_source(section: &Section, value: &str) -> Result<Source, ChainError> {
    let origin = section.origin_of("credential_source").clone();
    match Machine::ALL.into_iter().find(|kind| kind.key().eq_ignore_ascii_case(value)) {
        Some(kind) => Ok(Source::Machine { kind, origin }),
        None => Err(ChainError::UnknownCredentialSource { value: value.to_owned(), origin }),
    }
}

fn keys_of(section: &Section) -> Option<Credentials> {
    let secret_access_key = section.secret("aws_secret_access_key")?.clone();
    let session_token =
        section.secret("aws_session_token").or_else(|| section.secret("aws_security_token"));
    Some(Credentials {
        access_key_id: section.get("aws_access_key_id")?.to_owned(),
        secret_access_key,
        session_token: session_token.cloned(),
        expires_at: session_token.and_then(|_| expiry(|key| section.get(key))),
        account_id: section.get("aws_account_id").map(str::to_owned),
    })
}
