//! What a person should know beside the chain itself.

use super::{Path, has_role, stands_for};
use crate::model::{
    AwsFiles, Chain, FileKind, Finding, Origin, Section, Source,
    readers::{Kind, Reader, container, ignored, way},
};

/// Keys by which other tools keep settings of their own in the AWS files. eksd leaves them alone.
const TOOLS: [(&str, &str); 10] = [
    ("granted_sso_", "granted"),
    ("granted_", "granted"),
    ("include_profile", "aws-vault"),
    ("parent_profile", "aws-vault"),
    ("azure_", "aws-azure-login"),
    ("okta_", "gimme-aws-creds or another Okta tool"),
    ("aws_saml_url", "aws-okta"),
    ("saml2aws", "saml2aws"),
    ("google_config", "aws-google-auth"),
    ("adfs_config", "aws-adfs"),
];

/// Returns what is to be said, the weightiest first.
pub(super) fn notes(files: &AwsFiles, path: &Path<'_>, chain: Option<&Chain>) -> Vec<String> {
    let mut notes = refused_files(files);
    notes.extend(disagreement(files, path, chain));
    for (at, (_, section)) in path.iter().enumerate() {
        notes.extend(stale(section, at == 0, chain));
    }
    if let Some(chain) = chain {
        notes.extend(codes(chain));
        notes.extend(of_source(chain));
    }
    for (at, (name, section)) in path.iter().enumerate() {
        if has_role(section, at == 0) {
            notes.extend(
                ignored(section).into_iter().map(|it| format!("{} ({})", it.what, it.origin)),
            );
        } else if let Some(target) = stands_for(section) {
            let origin = section.origin_of("credential_process");
            notes.push(format!(
                "`credential_process` of `{name}` is eksd itself ({origin}): it stands for `{target}`"
            ));
        }
        notes.extend(tools(section));
    }
    notes.extend(findings(files, path));
    notes
}

/// A file that a reader refuses is refused for every profile in it.
fn refused_files(files: &AwsFiles) -> Vec<String> {
    let mut notes = Vec::new();
    for reader in [Reader::AwsCli, Reader::Rust] {
        let mut said: Vec<&str> = Vec::new();
        for finding in &files.findings {
            let file = &*finding.origin.file;
            if finding.refused_by.contains(&reader.as_str()) && !said.contains(&file) {
                said.push(file);
                notes.push(format!(
                    "the {} refuses the whole of {file}: {} ({})",
                    reader.as_str(),
                    finding.what,
                    finding.origin
                ));
            }
        }
    }
    notes
}

/// Says who takes what where not all go the same way.
fn disagreement(files: &AwsFiles, path: &Path<'_>, chain: Option<&Chain>) -> Option<String> {
    let name = path.first()?.0;
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for reader in Reader::ALL {
        let takes = match way(reader, files, name.as_str())? {
            Ok(way) => {
                let section = files.profiles.get(&way.base)?;
                let origin = section.origin_of(way.kind.key());
                let what = match way.kind {
                    Kind::Nothing => way.kind.in_words().to_owned(),
                    kind => format!("{} ({origin})", kind.in_words()),
                };
                let roles: Vec<_> = way.roles.iter().map(|name| format!("`{name}`")).collect();
                let plural = if roles.len() == 1 { "role" } else { "roles" };
                if roles.is_empty() {
                    format!("take {what}")
                } else {
                    format!("take {what}, then the {plural} of {}", roles.join(", "))
                }
            }
            Err(refusal) => format!("refuse it: {refusal}"),
        };
        match groups.iter_mut().find(|(known, _)| *known == takes) {
            Some((_, readers)) => readers.push(reader.as_str()),
            None => groups.push((takes, vec![reader.as_str()])),
        }
    }
    // Where all refuse, the report says it.
    if groups.len() < 2 || chain.is_none() && groups.iter().all(|(it, _)| it.starts_with("refuse"))
    {
        return None;
    }
    let said: Vec<_> = groups
        .into_iter()
        .map(|(takes, readers)| match readers.as_slice() {
            [one] => {
                let (verb, rest) = takes.split_once(' ').unwrap_or((&takes, ""));
                format!("the {one} {verb}s {rest}")
            }
            [most @ .., last] => format!("the {} and {last} {takes}", most.join(", ")),
            [] => String::new(),
        })
        .collect();
    let own = match (way(Reader::AwsCli, files, name.as_str())?, chain) {
        (Ok(way), Some(_)) if way.kind != Kind::Nothing => "; eksd does as the AWS CLI",
        _ => "",
    };
    Some(format!("programs disagree about `{name}`: {}{own}", said.join("; ")))
}

/// Keys of the credentials file beside something else that the profile says.
fn stale(section: &Section, is_first: bool, chain: Option<&Chain>) -> Option<String> {
    let keys = section.keys.get("aws_access_key_id")?;
    let other =
        ["role_arn", "sso_account_id", "login_session", "credential_process"].into_iter().find(
            |key| section.keys.get(*key).is_some_and(|other| other.origin.kind == FileKind::Config),
        )?;
    let own_role = is_first && section.get("source_profile").is_some() && section.has("role_arn");
    let is_own = own_role && matches!(chain, Some(Chain { source: Source::Keys(_), .. }));
    if keys.origin.kind != FileKind::Credentials || is_own {
        return None;
    }
    Some(format!(
        "keys of the same name at {} stand beside `{other}` at {} and shadow it for some programs: \
         remove them if nothing needs them",
        keys.origin,
        section.origin_of(other)
    ))
}

/// MFA devices whose codes nobody can give.
fn codes(chain: &Chain) -> Vec<String> {
    let mut notes = Vec::new();
    for (at, hop) in chain.hops.iter().enumerate() {
        let Some(device) = &hop.mfa else { continue };
        if device.serial.contains(":u2f/") {
            notes.push(format!(
                "`mfa_serial` names a security key ({}): STS takes codes only; name a virtual or \
                 hardware device that shows codes",
                device.origin
            ));
        } else if 0 < at || chain.mfa().is_none() {
            notes.push(format!(
                "`mfa_serial` is not used ({}): only long-lived keys of its user can give a code of the \
                 device, and this role is assumed with temporary ones; the MFA that those were made with \
                 counts",
                device.origin
            ));
        }
    }
    notes
}

fn of_source(chain: &Chain) -> Option<String> {
    match &chain.source {
        Source::Process(process) => Some(format!(
            "other programs run `credential_process` themselves and each reads `Expiration` its own way: \
             a time that ends in `UTC` is an error for the Rust and Go SDKs and no date for the \
             JavaScript SDK; print `YYYY-MM-DDTHH:MM:SSZ`, as eksd does ({})",
            process.origin
        )),
        Source::Keys(keys) if chain.hops.is_empty() && !container::can_serve(keys) => Some(
            "eksd cannot hand these keys out through the container endpoint: the AWS CLI and the SDKs \
             want a session token and an end there"
                .to_owned(),
        ),
        _ => None,
    }
}

fn tools(section: &Section) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    let mut said: Vec<&str> = Vec::new();
    for (key, entry) in &section.keys {
        let tool = TOOLS.iter().find(|(start, _)| key.starts_with(start));
        if let Some((_, tool)) = tool.filter(|(_, tool)| !said.contains(tool)) {
            said.push(tool);
            notes.push(format!(
                "`{key}` is a setting of {tool} ({}): eksd leaves it to that tool",
                entry.origin
            ));
        }
    }
    notes
}

/// What was read past at a line that plays a part.
fn findings(files: &AwsFiles, path: &Path<'_>) -> Vec<String> {
    let sessions =
        path.iter().filter_map(|(_, section)| files.sso_sessions.get(section.get("sso_session")?));
    let sections = path.iter().map(|(_, section)| *section).chain(sessions);
    let places: Vec<&Origin> = sections
        .flat_map(|section| {
            let entries = section.keys.values();
            let lines = entries.flat_map(|entry| entry.shadows.iter().chain([&entry.origin]));
            lines.chain([&section.origin])
        })
        .collect();
    let concerns =
        |finding: &&Finding| finding.refused_by.is_empty() && places.contains(&&finding.origin);
    let found = files.findings.iter().filter(concerns);
    found.map(|finding| format!("{} ({})", finding.what, finding.origin)).collect()
}
