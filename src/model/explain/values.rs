//! The values that play a part, each with its place.

use super::{Path, ValueAt};
use crate::model::{AwsFiles, Entry, Section, Value};

/// Keys that decide about credentials and the way to AWS, in the order in which they are shown.
const KEYS: [&str; 34] = [
    "sso_session",
    "sso_start_url",
    "sso_region",
    "sso_registration_scopes",
    "sso_account_id",
    "sso_role_name",
    "role_arn",
    "source_profile",
    "credential_source",
    "web_identity_token_file",
    "mfa_serial",
    "mfa_process",
    "external_id",
    "role_session_name",
    "duration_seconds",
    "source_identity",
    "session_tags",
    "transitive_session_tags",
    "login_session",
    "credential_process",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_security_token",
    "x_security_token_expires",
    "aws_expiration",
    "expiration",
    "aws_session_expiration",
    "aws_account_id",
    "region",
    "ca_bundle",
    "use_fips_endpoint",
    "use_dualstack_endpoint",
    "endpoint_url",
];

/// Command lines, in which some people keep secrets.
const COMMANDS: [&str; 2] = ["credential_process", "mfa_process"];

/// Returns the values of the profiles on the way and of their sso-sessions.
pub(super) fn values(files: &AwsFiles, path: &Path<'_>) -> Vec<ValueAt> {
    let mut values = Vec::new();
    let mut sessions = Vec::new();
    for (name, section) in path {
        of_section(&format!("profile {name}"), section, &mut values);
        let session = section.get("sso_session").filter(|session| !sessions.contains(session));
        if let Some((name, section)) =
            session.and_then(|session| files.sso_sessions.get_key_value(session))
        {
            of_section(&format!("sso-session {name}"), section, &mut values);
        }
        sessions.extend(session);
    }
    values
}

fn of_section(section_name: &str, section: &Section, values: &mut Vec<ValueAt>) {
    for key in KEYS {
        let Some(Entry { value, origin, shadows }) = section.keys.get(key) else { continue };
        let value = match value {
            Value::Plain(text) if !COMMANDS.contains(&key) => Some(text.clone()),
            Value::Plain(_) | Value::Secret(_) => None,
            Value::Block(_) => continue,
        };
        values.push(ValueAt {
            section: section_name.to_owned(),
            key: key.to_owned(),
            value,
            origin: origin.clone(),
            shadows: shadows.clone(),
        });
    }
}
