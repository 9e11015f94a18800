//! The steps of a chain in words, what caps each, and what limits the whole.

use super::{Facts, Path, Step, has_role, length};
use crate::model::{
    AwsFiles, Chain, Credentials, LoginKey, Machine, MfaWay, Origin, ProfileName, RoleHop, Section,
    Source, SsoLogin, text::printable,
};

/// AWS caps a role that is assumed with temporary keys (IAM User Guide, "Role chaining").
const CHAINED: u64 = 3600;

/// Returns the steps, source first. The chain begins in the section `base`.
pub(super) fn steps(files: &AwsFiles, base: &Section, chain: &Chain, facts: &Facts) -> Vec<Step> {
    let mut steps = source(files, base, chain, facts);
    for (at, hop) in chain.hops.iter().enumerate() {
        steps.push(role(files, chain, at, hop));
    }
    steps
}

fn source(files: &AwsFiles, base: &Section, chain: &Chain, facts: &Facts) -> Vec<Step> {
    let at = |key: &str| base.origin_of(key).clone();
    match &chain.source {
        Source::Sso { login, account_id, role_name } => {
            let what = format!(
                "SSO permission set `{role_name}` in account {account_id} through {}",
                login_name(login)
            );
            let cap = "the permission set's own session duration, 1 h to 12 h";
            vec![
                sign_in(files, base, login),
                Step { what, origin: at("sso_role_name"), cap: Some(cap.into()) },
            ]
        }
        Source::SsoTokenOnly { login } => vec![sign_in(files, base, login)],
        Source::Keys(keys) => {
            let mut steps = vec![keys_step(keys, at("aws_access_key_id"))];
            if let Some((_, device)) = chain.mfa()
                && chain.mfa_way == MfaWay::Session
            {
                let asked = length(facts.mfa_session.as_secs());
                steps.push(Step {
                    what: format!(
                        "MFA session of device {} ({asked}, shared by all roles that name it)",
                        device.serial
                    ),
                    origin: device.origin.clone(),
                    cap: Some(format!("{asked}, as asked for")),
                });
            }
            steps
        }
        Source::Console(login) => vec![Step {
            what: format!("console sign-in of {} (`aws login`)", login.arn),
            origin: login.origin.clone(),
            cap: Some("15 min at a time, until the sign-in ends".into()),
        }],
        Source::WebIdentity(identity) => vec![Step {
            what: format!(
                "role {} for the web identity token in {}",
                identity.role_arn,
                identity.token_file.display()
            ),
            origin: identity.origin.clone(),
            cap: Some(asked(identity.duration_seconds)),
        }],
        Source::Process(process) => vec![Step {
            what: format!("keys that a program prints: `{}`", program(&process.command)),
            origin: process.origin.clone(),
            cap: Some("whatever `Expiration` it prints".into()),
        }],
        Source::Machine { kind, origin } => {
            let (what, cap) = match kind {
                Machine::Environment => {
                    ("keys in the environment of the agent", "eksd cannot renew them")
                }
                Machine::Instance => {
                    ("the instance's role, from its metadata service", "as the service says")
                }
                Machine::Container => {
                    ("the container's role, from its credentials endpoint", "as the endpoint says")
                }
            };
            vec![Step { what: what.into(), origin: origin.clone(), cap: Some(cap.into()) }]
        }
    }
}

fn login_name(login: &SsoLogin) -> String {
    match &login.key {
        LoginKey::Named(name) => format!("sso-session `{name}`"),
        LoginKey::StartUrl(url) => url.clone(),
    }
}

fn sign_in(files: &AwsFiles, base: &Section, login: &SsoLogin) -> Step {
    let (what, origin) = match &login.key {
        LoginKey::Named(name) => (
            format!("sign-in to sso-session `{name}` at {}", login.start_url),
            files.sso_sessions.get(name).map(|section| section.origin.clone()),
        ),
        LoginKey::StartUrl(url) => (format!("sign-in at {url}"), None),
    };
    Step {
        what,
        origin: origin.unwrap_or_else(|| base.origin_of("sso_start_url").clone()),
        cap: Some("as long as its administrator lets it last; AWS does not say".into()),
    }
}

fn keys_step(keys: &Credentials, origin: Origin) -> Step {
    let id = &keys.access_key_id;
    let (what, cap) = match (keys.are_temporary(), keys.expires_at) {
        (false, _) => (format!("long-lived keys {id} in a file"), None),
        (true, Some(at)) => {
            (format!("temporary keys {id} in a file"), Some(format!("they end at {at}")))
        }
        (true, None) => (
            format!("temporary keys {id} in a file"),
            Some("the file does not say when they end".to_owned()),
        ),
    };
    Step { what, origin, cap }
}

/// Returns the first word of a command line: the rest may hold a secret.
fn program(command: &str) -> String {
    let words = shlex::split(command).unwrap_or_default();
    words.into_iter().next().unwrap_or_else(|| "?".to_owned())
}

fn role(files: &AwsFiles, chain: &Chain, at: usize, hop: &RoleHop) -> Step {
    let with = match at.checked_sub(1).map(|before| &chain.hops[before]) {
        Some(before) => format!("the role of profile `{}`", before.profile),
        None => match &chain.source {
            Source::Keys(keys) if chain.mfa().is_some() && chain.mfa_way == MfaWay::PerRole => {
                format!("the keys {} and a code", keys.access_key_id)
            }
            Source::Keys(_) if chain.mfa().is_some() => "the MFA session".to_owned(),
            Source::Keys(keys) => format!("the keys {}", keys.access_key_id),
            Source::Sso { .. } | Source::SsoTokenOnly { .. } => "the permission set".to_owned(),
            Source::Console(_) => "the console sign-in".to_owned(),
            Source::WebIdentity(_) => "the web identity's role".to_owned(),
            Source::Process(_) => "what the program prints".to_owned(),
            Source::Machine { .. } => "what the machine hands out".to_owned(),
        },
    };
    let is_chained = 0 < at || is_first_chained(chain);
    let line = files
        .profiles
        .get(&hop.profile)
        .and_then(|section| section.keys.get("duration_seconds"))
        .map(|entry| entry.origin.to_string());
    let cap = if is_chained {
        chained(hop.terms.duration_seconds, line.as_deref().unwrap_or("?"))
    } else {
        asked(hop.terms.duration_seconds)
    };
    Step {
        what: format!("role {} assumed with {with}", hop.terms.role_arn),
        origin: hop.origin.clone(),
        cap: Some(cap),
    }
}

/// Returns whether the first role is assumed with temporary keys.
fn is_first_chained(chain: &Chain) -> bool {
    let first = chain.hops.iter().take(1).cloned().collect();
    Chain { hops: first, ..chain.clone() }.is_chained()
}

fn chained(duration_seconds: Option<u32>, line: &str) -> String {
    let most = length(CHAINED);
    match duration_seconds.map(u64::from) {
        Some(seconds) if CHAINED < seconds => format!(
            "chained: at most {most}; `duration_seconds = {seconds}` ({line}) is cut to {most} because \
             the role is chained"
        ),
        Some(seconds) if seconds < CHAINED => {
            format!("`duration_seconds = {seconds}`: {}", length(seconds))
        }
        _ => format!("chained: at most {most}"),
    }
}

fn asked(duration_seconds: Option<u32>) -> String {
    match duration_seconds.map(u64::from) {
        Some(seconds) => format!(
            "`duration_seconds = {seconds}`: {}, where the role's own limit allows it",
            length(seconds)
        ),
        None => "1 h, which AWS gives unless `duration_seconds` asks for another".to_owned(),
    }
}

/// Returns what of a broken chain could be walked, source first.
pub(super) fn walked(path: &Path<'_>) -> Vec<Step> {
    let step = |(at, (name, section)): (usize, &(&ProfileName, &Section))| {
        let (what, origin) = if has_role(section, at == 0) {
            let arn = section.get("role_arn").unwrap_or_default();
            (format!("role {arn} of profile `{name}`"), section.origin_of("role_arn"))
        } else {
            (format!("profile `{name}`"), &section.origin)
        };
        Step { what, origin: origin.clone(), cap: None }
    };
    path.iter().enumerate().rev().map(step).collect()
}

/// Returns what decides how long the credentials live, and who must act then.
pub(super) fn limit(chain: &Chain, facts: &Facts) -> String {
    let name = printable(chain.profile.as_str());
    let keys = match chain.hops.last() {
        Some(_) if chain.is_chained() => {
            "the keys live an hour at most, since the role is chained; eksd renews them"
        }
        Some(_) => "the role decides how long the keys live; eksd renews them",
        None => "the keys are renewed",
    };
    match &chain.source {
        Source::Sso { login, .. } => {
            let keys = if chain.hops.is_empty() {
                "the permission set decides how long the keys live; eksd renews them"
            } else {
                keys
            };
            format!(
                "{keys} until the sign-in to `{}` ends: then a person runs `eksd login {name}`",
                login.key
            )
        }
        Source::SsoTokenOnly { .. } => {
            "the profile names no account and role: it gives a token and no credentials".to_owned()
        }
        Source::Keys(source) => of_keys(chain, source, keys, facts),
        Source::Console(_) => {
            format!("{keys} until the console sign-in ends: then a person runs `eksd login {name}`")
        }
        Source::WebIdentity(_) => {
            format!("{keys} as long as somebody keeps the token file fresh")
        }
        Source::Process(_) => format!("{keys} as long as the program prints new ones"),
        Source::Machine { kind: Machine::Environment, .. } => {
            "the keys are those of the agent's environment, and nobody renews them".to_owned()
        }
        Source::Machine { .. } => format!("{keys} as long as the machine hands them out"),
    }
}

fn of_keys(chain: &Chain, source: &Credentials, keys: &str, facts: &Facts) -> String {
    let name = printable(chain.profile.as_str());
    match (chain.mfa(), chain.mfa_way) {
        (Some((_, device)), way) => {
            let who = match &device.process {
                Some(_) => "then the command of `mfa_process` gives the next code".to_owned(),
                None => format!("then a person gives a code to `eksd login {name}`"),
            };
            match way {
                MfaWay::Session => format!(
                    "{keys} until the MFA session ends, after {}: {who}",
                    length(facts.mfa_session.as_secs())
                ),
                MfaWay::PerRole => format!("the role's keys last until their own end: {who}"),
            }
        }
        (None, _) if source.are_temporary() => {
            "the temporary keys in the file decide: eksd cannot renew them, the tool that wrote them \
             can"
            .to_owned()
        }
        (None, _) if chain.hops.is_empty() => {
            "nothing ends by itself: long-lived keys last until somebody takes them back".to_owned()
        }
        (None, _) => format!("{keys} as long as the keys in the file are good"),
    }
}
