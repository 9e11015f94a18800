//! What the programs that read the AWS files make of a profile, where they do not agree.
//!
//! Rules and their order, read and, but for Go, run: botocore 1.43 (`credentials.py`, the AWS CLI and
//! everything in Python), aws-config 1.13 (`profile/credentials/repr.rs`, the Rust SDK),
//! `@aws-sdk/credential-provider-ini` 3.973 (`resolveProfileData`, the JavaScript SDK), and the Go SDK v2
//! (`config/shared_config.go`, `config/resolve_credentials.go`). eksd itself goes the AWS CLI's way
//! (`chain`). Nothing here decides what eksd serves.

pub mod container;
mod keys;

use std::fmt;

use super::{AwsFiles, FileKind, Origin, ProfileName, Section, text::printable};

pub use self::keys::{Ignored, ignored};

/// A program, by how it chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    /// The AWS CLI, and everything else on botocore.
    AwsCli,
    /// The AWS SDK for Rust.
    Rust,
    /// The AWS SDK for JavaScript, v3.
    JavaScript,
    /// The AWS SDK for Go, v2: terraform among others.
    Go,
}

impl Reader {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::AwsCli, Self::Rust, Self::JavaScript, Self::Go];

    /// Returns its name in messages; the first two are those of findings, too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwsCli => "AWS CLI",
            Self::Rust => "Rust SDK",
            Self::JavaScript => "JavaScript SDK",
            Self::Go => "Go SDK",
        }
    }
}

/// What credentials are made of at the beginning of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keys in a file.
    Keys,
    /// A permission set of Identity Center.
    Sso,
    /// An Identity Center sign-in without account and role: a token and no credentials.
    SsoToken,
    /// A role that a web identity token is exchanged for.
    WebIdentity,
    /// A sign-in to the console.
    Console,
    /// A program.
    Process,
    /// What `credential_source` names.
    Machine,
    /// The profile holds nothing; the reader looks elsewhere.
    Nothing,
}

impl Kind {
    /// Returns the key that stands for it, to point at.
    pub fn key(self) -> &'static str {
        match self {
            Self::Keys => "aws_access_key_id",
            Self::Sso => "sso_account_id",
            Self::SsoToken => "sso_session",
            Self::WebIdentity => "web_identity_token_file",
            Self::Console => "login_session",
            Self::Process => "credential_process",
            Self::Machine => "credential_source",
            Self::Nothing => "",
        }
    }

    /// Returns it in words, for after `takes`.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Keys => "the keys in the file",
            Self::Sso => "the SSO permission set",
            Self::SsoToken => "the SSO token, which gives no credentials",
            Self::WebIdentity => "the web identity",
            Self::Console => "the console sign-in",
            Self::Process => "what `credential_process` prints",
            Self::Machine => "what `credential_source` names",
            Self::Nothing => "nothing here, and looks elsewhere",
        }
    }
}

/// The way a reader goes from a profile to credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The profiles whose roles are assumed, in the order in which they are.
    pub roles: Vec<ProfileName>,
    /// The profile that the first credentials come from.
    pub base: ProfileName,
    /// What they are made of.
    pub kind: Kind,
}

/// Why a reader does not take a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One sentence without a period.
    pub why: String,
    /// Where.
    pub origin: Origin,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.why, self.origin)
    }
}

/// Returns the way that `reader` goes from the profile `name`; `None` where there is no such profile.
pub fn way(reader: Reader, files: &AwsFiles, name: &str) -> Option<Result<Way, Refusal>> {
    let (name, section) = files.profiles.get_key_value(name)?;
    let mut walk = Walk { reader, files, visited: vec![name], roles: Vec::new() };
    Some(walk.from(name, section).map(|(base, kind)| {
        let mut roles = walk.roles;
        roles.reverse();
        Way { roles, base, kind }
    }))
}

/// Longer chains end here whatever a reader would do.
const LONGEST: usize = 32;

/// What one profile comes to: where to go on, or what is there.
enum Found {
    Role,
    Kind(Kind),
}

struct Walk<'a> {
    reader: Reader,
    files: &'a AwsFiles,
    visited: Vec<&'a ProfileName>,
    roles: Vec<ProfileName>,
}

impl<'a> Walk<'a> {
    fn from(
        &mut self,
        name: &'a ProfileName,
        section: &'a Section,
    ) -> Result<(ProfileName, Kind), Refusal> {
        match self.look(section)? {
            Found::Kind(kind) => {
                // Go puts a role on top of whatever the profile holds.
                let wraps = self.reader == Reader::Go
                    && section.has("role_arn")
                    && !matches!(kind, Kind::WebIdentity | Kind::Nothing)
                    && (self.visited.len() == 1 || kind != Kind::Keys);
                if wraps {
                    self.roles.push(name.clone());
                }
                Ok((name.clone(), kind))
            }
            Found::Role => {
                self.roles.push(name.clone());
                self.role(name, section)
            }
        }
    }

    /// Decides between the role and the rest.
    fn look(&self, section: &Section) -> Result<Found, Refusal> {
        let is_first = self.visited.len() == 1;
        let keys = has_keys(section);
        let role = section.has("role_arn");
        let token_file = section.has("web_identity_token_file");
        let source = section.has("source_profile");
        let place = section.has("credential_source");
        match self.reader {
            Reader::AwsCli if role && !token_file && (is_first || !keys) => Ok(Found::Role),
            Reader::Rust | Reader::JavaScript | Reader::Go if !is_first && keys => {
                Ok(Found::Kind(Kind::Keys))
            }
            Reader::Rust if role && !token_file => Ok(Found::Role),
            Reader::JavaScript if role && source != place => Ok(Found::Role),
            Reader::Go => {
                let process = section.has("credential_process");
                if 1 < [source, place, process, token_file].iter().filter(|it| **it).count() {
                    let why = "only one of `source_profile`, `credential_source`, \
                               `credential_process` and `web_identity_token_file` may be there";
                    return Err(refusal(section, "source_profile", why));
                }
                for key in ["source_profile", "credential_source", "web_identity_token_file"] {
                    if section.has(key) && !role {
                        return Err(refusal(section, key, format!("`{key}` wants a `role_arn`")));
                    }
                }
                if source { Ok(Found::Role) } else { self.base(section).map(Found::Kind) }
            }
            _ => self.base(section).map(Found::Kind),
        }
    }

    fn role(
        &mut self,
        name: &'a ProfileName,
        section: &'a Section,
    ) -> Result<(ProfileName, Kind), Refusal> {
        let source = match (section.get("source_profile"), section.get("credential_source")) {
            (Some(source), None) => source,
            (None, Some(place)) => {
                return self.place(section, place).map(|kind| (name.clone(), kind));
            }
            _ => {
                let why =
                    "`role_arn` wants exactly one of `source_profile` and `credential_source`";
                return Err(refusal(section, "role_arn", why));
            }
        };
        let circle = || refusal(section, "source_profile", "the roles go in a circle");
        if source == name.as_str() {
            // Go reads the profile anew without its role; the others want keys there.
            let may = has_keys(section) || self.reader == Reader::Go;
            let kind = match self.reader {
                _ if !may => return Err(circle()),
                Reader::JavaScript => Kind::Keys,
                Reader::AwsCli | Reader::Rust | Reader::Go => self.base(section)?,
            };
            return if kind == Kind::Nothing { Err(circle()) } else { Ok((name.clone(), kind)) };
        }
        let Some((next, next_section)) = self.files.profiles.get_key_value(source) else {
            let why = format!("there is no profile `{}`", printable(source));
            return Err(refusal(section, "source_profile", why));
        };
        if self.visited.contains(&next) || LONGEST <= self.visited.len() {
            return Err(circle());
        }
        self.visited.push(next);
        match self.from(next, next_section)? {
            (_, Kind::Nothing) => {
                let why = format!("`{}` has no credentials", printable(source));
                Err(refusal(section, "source_profile", why))
            }
            found => Ok(found),
        }
    }

    /// botocore looks at the value letter by letter.
    fn place(&self, section: &Section, value: &str) -> Result<Kind, Refusal> {
        let is_known = super::Machine::ALL.iter().any(|kind| match self.reader {
            Reader::AwsCli | Reader::JavaScript | Reader::Go => kind.key() == value,
            Reader::Rust => kind.key().eq_ignore_ascii_case(value),
        });
        if is_known {
            return Ok(Kind::Machine);
        }
        let why = format!("it does not know `credential_source = {}`", printable(value));
        Err(refusal(section, "credential_source", why))
    }

    /// The kinds that are not a role, in the reader's order.
    fn base(&self, section: &Section) -> Result<Kind, Refusal> {
        let order: &[Kind] = match self.reader {
            // Keys of the config file come last here; see `is_there`.
            Reader::AwsCli => {
                &[Kind::WebIdentity, Kind::Sso, Kind::Keys, Kind::Console, Kind::Process]
            }
            Reader::Rust => &[
                Kind::Machine,
                Kind::WebIdentity,
                Kind::Sso,
                Kind::Console,
                Kind::Process,
                Kind::Keys,
            ],
            Reader::JavaScript => {
                &[Kind::Keys, Kind::WebIdentity, Kind::Process, Kind::Sso, Kind::Console]
            }
            // Where newer versions look for a console sign-in was not seen.
            Reader::Go => &[
                Kind::Keys,
                Kind::Machine,
                Kind::WebIdentity,
                Kind::Sso,
                Kind::Process,
                Kind::Console,
            ],
        };
        match order.iter().find(|kind| self.is_there(**kind, section)) {
            Some(Kind::Sso) => self.sso(section),
            Some(Kind::WebIdentity) if !section.has("role_arn") => {
                let why = "`web_identity_token_file` wants a `role_arn`";
                Err(refusal(section, "web_identity_token_file", why))
            }
            Some(Kind::Machine) => {
                self.place(section, section.get("credential_source").unwrap_or_default())
            }
            Some(kind) => Ok(*kind),
            None if has_keys(section) => Ok(Kind::Keys),
            None => Ok(Kind::Nothing),
        }
    }

    /// Returns whether the reader takes the profile for one of this kind.
    fn is_there(&self, kind: Kind, section: &Section) -> bool {
        match (kind, self.reader) {
            (Kind::Keys, Reader::AwsCli) => {
                let key = section.keys.get("aws_access_key_id");
                has_keys(section) && key.is_some_and(|key| key.origin.kind == FileKind::Credentials)
            }
            (Kind::Keys, _) => has_keys(section),
            (Kind::Sso, Reader::AwsCli) => {
                section.has("sso_account_id") || section.has("sso_role_name")
            }
            (Kind::Sso, _) => SSO_KEYS.iter().any(|key| section.has(key)),
            (Kind::WebIdentity, Reader::Rust | Reader::JavaScript) => {
                section.has(kind.key()) && section.has("role_arn")
            }
            _ => section.has(kind.key()),
        }
    }

    fn sso(&self, section: &Section) -> Result<Kind, Refusal> {
        match section.get("sso_session") {
            Some(session) => self.named(section, session)?,
            None => {
                for key in ["sso_start_url", "sso_region"] {
                    if !section.has(key) {
                        return Err(refusal(section, key, format!("`{key}` is missing")));
                    }
                }
            }
        }
        match (section.has("sso_account_id"), section.has("sso_role_name")) {
            (true, true) => Ok(Kind::Sso),
            (false, false) if self.reader == Reader::Rust => Ok(Kind::SsoToken),
            (true, false) => Err(refusal(section, "sso_account_id", "`sso_role_name` is missing")),
            (false, _) => Err(refusal(section, "sso_session", "`sso_account_id` is missing")),
        }
    }

    /// What a profile may say that its sso-session says.
    fn named(&self, section: &Section, name: &str) -> Result<(), Refusal> {
        let Some(session) = self.files.sso_sessions.get(name) else {
            let why = format!("there is no `[sso-session {}]`", printable(name));
            return Err(refusal(section, "sso_session", why));
        };
        for key in ["sso_start_url", "sso_region", "sso_registration_scopes"] {
            let Some(own) = section.get(key) else { continue };
            let differs = session.get(key).is_some_and(|other| other != own);
            let is_refused = match self.reader {
                Reader::AwsCli => differs,
                Reader::JavaScript | Reader::Go => differs && key != "sso_registration_scopes",
                Reader::Rust => key != "sso_registration_scopes",
            };
            if is_refused && self.reader == Reader::Rust {
                let why = format!("`{key}` may only stand in the `[sso-session]`");
                return Err(refusal(section, key, why));
            }
            if is_refused {
                let why = format!("`{key}` is not that of `[sso-session {}]`", printable(name));
                return Err(refusal(section, key, why));
            }
        }
        Ok(())
    }
}

/// Any of these makes a profile one of Identity Center for the SDKs; the AWS CLI looks at the account
/// and the role (botocore `SSOProvider`).
const SSO_KEYS: [&str; 5] =
    ["sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name"];

fn has_keys(section: &Section) -> bool {
    section.has("aws_access_key_id") && section.has("aws_secret_access_key")
}

fn refusal(section: &Section, key: &str, why: impl Into<String>) -> Refusal {
    Refusal { why: why.into(), origin: section.origin_of(key).clone() }
}
