//! The mirror config: the person's AWS config again, with eksd as the source of all keys.
//!
//! Works line by line on what the files say, since the AWS CLI, the SDKs and scripts read oddities each in
//! their own way: what is not about credentials stays as it was written, byte for byte. What every
//! reader would trip over, or take for another profile's, is left out or put straight. No line with a
//! secret gets through, and none is parsed here: `config::aws_files::outline` says what a line is.

mod words;
mod writer;

use std::collections::{BTreeMap, BTreeSet};

use self::{words::word, writer::Writer};
use super::{AwsFiles, ProfileName, Source, chain};

/// A whole line of a file, its end included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The text as written.
    pub text: &'a str,
    /// What it is.
    pub kind: LineKind<'a>,
}

/// What a line is to the AWS CLI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineKind<'a> {
    /// The header of a section.
    Header {
        /// What stands in the brackets.
        written: &'a str,
        /// What that means.
        names: Heading,
    },
    /// A key of the section, in lower case.
    Key(String),
    /// More of the key above.
    More,
    /// A comment.
    Note,
    /// Nothing but blanks.
    Blank,
    /// Nothing that eksd can use, and for which some refuse the file: outside of sections, without `=`.
    Lost,
}

/// What a header names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heading {
    /// A profile.
    Profile(ProfileName),
    /// `[DEFAULT]`, whose keys the CLI copies into all sections.
    Inherited,
    /// Anything else; `[services x]` and `[sso-session x]` among it.
    Other,
}

/// What the mirror says about itself and eksd.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The config file as people see it.
    pub config: &'a str,
    /// The credentials file as people see it.
    pub credentials: &'a str,
    /// The absolute path of the client.
    pub command: &'a str,
}

/// Long-lived and temporary keys. Three are secrets; the first is of no use without them, and a tool
/// that finds it alone stops at it.
const KEYS: [&str; 4] =
    ["aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_security_token"];

/// Where a profile's keys come from (botocore `credentials.py`, and the SDKs' own resolvers). Rust and Go
/// take a profile with any of the `sso_` keys for one of Identity Center before they look at
/// `credential_process`, and fail where some are missing; so all of them go.
const SOURCES: [&str; 12] = [
    "role_arn",
    "source_profile",
    "credential_source",
    "web_identity_token_file",
    "credential_process",
    "login_session",
    "sso_session",
    "sso_start_url",
    "sso_region",
    "sso_account_id",
    "sso_role_name",
    "sso_registration_scopes",
];

/// How a role is assumed, and until when keys last: `chain` reads the same.
const DETAILS: [&str; 12] = [
    "mfa_serial",
    "mfa_process",
    "external_id",
    "duration_seconds",
    "role_session_name",
    "source_identity",
    "session_tags",
    "transitive_session_tags",
    "x_security_token_expires",
    "aws_expiration",
    "expiration",
    "aws_session_expiration",
];

/// Returns whether eksd hands out keys for the profile. One that only yields a sign-in's token stays as it
/// is: SDKs read that token themselves.
pub fn is_served(files: &AwsFiles, name: &ProfileName) -> bool {
    chain::resolve(files, name.as_str())
        .is_ok_and(|chain| !matches!(chain.source, Source::SsoTokenOnly { .. }))
}

/// Returns the mirror of the two files. The same input gives the same bytes.
///
/// A profile that is not served keeps what it says about credentials, apart from keys: what it needs of
/// the credentials file goes into the mirror as well, since tools see an empty one.
pub fn render(
    config: &[Line<'_>],
    credentials: &[Line<'_>],
    about: &About<'_>,
    is_served: impl Fn(&ProfileName) -> bool,
) -> String {
    let mut theirs = credentials_file(credentials);
    let mut plans = BTreeMap::new();
    for section in sections(config) {
        if let Some(profile) = section.profile {
            let plan = plans.entry(profile.name).or_insert_with(Plan::default);
            // Of headers that are written differently the CLI takes the later one's keys alone.
            if plan.headers.insert(profile.written) {
                plan.taken = profile.written;
                plan.keys.clear();
            }
            if plan.taken == profile.written {
                plan.keys.extend(section.body.iter().filter_map(Line::key));
            }
        }
    }
    for name in theirs.keys() {
        plans.entry(*name).or_default();
    }
    for (name, plan) in &mut plans {
        plan.theirs = theirs.remove(name).unwrap_or_default();
        plan.is_served = can_be_asked(name.as_str()) && is_served(name);
        plan.decide(name, about.command);
    }
    let mut writer = Writer::new(config, about, plans);
    for section in sections(config) {
        writer.section(&section);
    }
    writer.finish()
}

impl Line<'_> {
    fn key(&self) -> Option<&str> {
        match &self.kind {
            LineKind::Key(key) => Some(key),
            _ => None,
        }
    }
}

/// A header with what stands under it; the lines before the first one have none.
struct Section<'l, 'a> {
    header: Option<&'l Line<'a>>,
    profile: Option<Profile<'l, 'a>>,
    is_inherited: bool,
    body: &'l [Line<'a>],
}

#[derive(Clone, Copy)]
struct Profile<'l, 'a> {
    name: &'l ProfileName,
    written: &'a str,
}

fn sections<'l, 'a>(lines: &'l [Line<'a>]) -> impl Iterator<Item = Section<'l, 'a>> {
    let chunks = lines.chunk_by(|_, next| !matches!(next.kind, LineKind::Header { .. }));
    chunks.map(|chunk| match chunk {
        [header @ Line { kind: LineKind::Header { written, names }, .. }, body @ ..] => {
            let profile = match names {
                Heading::Profile(name) => Some(Profile { name, written }),
                Heading::Inherited | Heading::Other => None,
            };
            let is_inherited = *names == Heading::Inherited;
            Section { header: Some(header), profile, is_inherited, body }
        }
        body => Section { header: None, profile: None, is_inherited: false, body },
    })
}

/// Keys with their lines.
type Entries<'l, 'a> = BTreeMap<&'l str, Vec<&'a str>>;

/// Returns what the credentials file says of each profile; of a key that stands twice the later, as all
/// readers have it that do not refuse the file.
fn credentials_file<'l, 'a>(lines: &'l [Line<'a>]) -> BTreeMap<&'l ProfileName, Entries<'l, 'a>> {
    let mut profiles: BTreeMap<_, Entries<'_, '_>> = BTreeMap::new();
    let mut inherited = Entries::new();
    for section in sections(lines) {
        let entries = match section.profile {
            Some(profile) => profiles.entry(profile.name).or_default(),
            None if section.is_inherited => &mut inherited,
            None => continue,
        };
        let mut last = None;
        for line in section.body {
            match &line.kind {
                LineKind::Key(key) => {
                    entries.insert(key, vec![line.text]);
                    last = Some(key.as_str());
                }
                LineKind::More => {
                    if let Some(lines) = last.and_then(|key| entries.get_mut(key)) {
                        lines.push(line.text);
                    }
                }
                _ => (),
            }
        }
    }
    for entries in profiles.values_mut() {
        for (key, lines) in &inherited {
            entries.entry(key).or_insert_with(|| lines.clone());
        }
    }
    profiles
}

/// Returns the key of the line, wherever it stands; anything where it has none.
fn key_in(line: &str) -> String {
    line.split(['=', ':']).next().unwrap_or_default().trim().to_lowercase()
}

/// Names of secrets, whatever stands before them: those of [`KEYS`], of other programs, and those that AWS
/// answers with.
const SECRETS: [&str; 6] = [
    "secret_access_key",
    "aws_secret_key",
    "aws_session_token",
    "aws_security_token",
    "secretaccesskey",
    "sessiontoken",
];

/// Returns whether a secret is given anywhere in the line: keys that were commented out are keys still.
fn holds_secret(line: &str) -> bool {
    values(&line.to_lowercase()).next().is_some()
}

/// Returns whether the line names a secret whose value has to stand on the next one.
fn awaits_secret(line: &str) -> bool {
    let line = line.to_lowercase();
    let last = values(&line).min_by_key(|value| value.len());
    last.is_some_and(|value| value.trim_matches([' ', '\t', '"', '\'', '\\']).trim().is_empty())
}

/// Returns what stands behind the name of each secret and its sign.
fn values(lower: &str) -> impl Iterator<Item = &str> {
    SECRETS.iter().flat_map(move |name| {
        lower.match_indices(name).filter_map(|(at, _)| {
            let rest = lower[at + name.len()..].trim_start_matches(['"', '\'', '`']).trim_start();
            rest.strip_prefix(['=', ':'])
        })
    })
}

/// Returns whether a tool can name the profile to eksd: not with nothing, nor with a NUL, and not with what
/// looks like an option.
fn can_be_asked(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-') && !name.contains(char::is_control)
}

/// What becomes of one profile.
#[derive(Default)]
struct Plan<'l, 'a> {
    /// Its headers in the config file.
    headers: BTreeSet<&'a str>,
    /// The one whose keys the CLI takes.
    taken: &'a str,
    /// Those.
    keys: BTreeSet<&'l str>,
    /// Its keys in the credentials file; those that go into the mirror, once decided.
    theirs: Entries<'l, 'a>,
    is_served: bool,
    /// Whether keys of the credentials file were left out that nothing stands in for.
    lacks_keys: bool,
    /// The line that names eksd, without its end.
    process: Option<String>,
}

impl Plan<'_, '_> {
    fn decide(&mut self, name: &ProfileName, command: &str) {
        let are_keys = |key: &&str| KEYS.contains(key);
        self.lacks_keys = !self.is_served && self.theirs.keys().any(are_keys);
        self.keys.extend(self.theirs.keys());
        let is_served = self.is_served;
        self.theirs.retain(|key, lines| {
            let more = lines.split_off(1);
            let is_kept = |line: &&str| !gives_keys(&key_in(line), is_served);
            lines.extend(more.into_iter().filter(is_kept));
            !is_left_out(key, is_served) && !lines.iter().any(|line| holds_secret(line))
        });
        // Without its keys a profile would come to whatever the machine has, another identity. eksd
        // says why there are none.
        let is_bare = self.keys.iter().any(are_keys)
            && !self.keys.iter().any(|key| SOURCES.contains(key))
            && can_be_asked(name.as_str());
        self.process = (is_served || is_bare).then(|| {
            let (command, name) = (word(command), word(name.as_str()));
            format!("credential_process = {command} credential-process --profile {name}")
        });
    }
}

/// Returns whether a line with the key stays out of the mirror.
fn is_left_out(key: &str, is_served: bool) -> bool {
    gives_keys(key, is_served) || (is_served && DETAILS.contains(&key))
}

/// Returns whether a reader that sees the key looks for keys where eksd should be asked. It must not be there
/// even below another key: JavaScript takes an indented key for a key.
fn gives_keys(key: &str, is_served: bool) -> bool {
    KEYS.contains(&key) || (is_served && SOURCES.contains(&key))
}
