//! `eksd credential-process`: a profile's credentials in the form that every SDK reads.
//!
//! Never prompts. The SDKs wait between ten seconds and for ever, and each call waits behind this
//! one, so it gives up early and says what to run. Where somebody looks on and a login is under way
//! already, it waits for that.

use std::time::Duration;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    cli::{args::CredentialProcessArgs, asks, door::Call, exit::Done, output},
    ipc::wire::WireCredentials,
    report::{Code, Report},
};

/// The agent answers after three seconds, with whatever it has by then.
const LIMIT: Duration = Duration::from_secs(5);

/// Runs `eksd credential-process`.
pub fn run(call: &Call, args: &CredentialProcessArgs) -> Done {
    let credentials = asks::credentials(call, &args.profile, LIMIT)?;
    output::data(json(&credentials)?.as_slice())?;
    Ok(0)
}

/// The form of the AWS CLI User Guide, "Sourcing credentials with an external process".
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Printed<'a> {
    version: u8,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
}

fn json(credentials: &WireCredentials) -> Result<Zeroizing<Vec<u8>>, Report> {
    let printed = Printed {
        version: 1,
        access_key_id: &credentials.access_key_id,
        secret_access_key: &credentials.secret_access_key,
        session_token: credentials.session_token.as_deref(),
        expiration: credentials.expiration.as_deref(),
        account_id: credentials.account_id.as_deref(),
    };
    // Room from the start: growing would leave copies of secrets behind.
    let mut json = Zeroizing::new(Vec::with_capacity(8 * 1024));
    serde_json::to_writer(&mut *json, &printed).map_err(|error| {
        Report::new(Code::Internal, "the credentials cannot be written", "report this as a bug")
            .because(error.to_string())
    })?;
    json.push(b'\n');
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_and_long_lived_keys() {
        let mut credentials = WireCredentials {
            access_key_id: "ASIA1".into(),
            secret_access_key: "s/+\"".into(),
            session_token: Some("t==".into()),
            expiration: Some("2026-11-24T15:00:00Z".into()),
            account_id: Some("111122223333".into()),
        };
        assert_eq!(
            String::from_utf8(json(&credentials).unwrap().to_vec()).unwrap(),
            "{\"Version\":1,\"AccessKeyId\":\"ASIA1\",\"SecretAccessKey\":\"s/+\\\"\",\"SessionToken\":\"t==\",\"Expiration\":\"2026-11-24T15:00:00Z\",\"AccountId\":\"111122223333\"}\n"
        );
        credentials.session_token = None;
        credentials.expiration = None;
        credentials.account_id = None;
        assert_eq!(
            String::from_utf8(json(&credentials).unwrap().to_vec()).unwrap(),
            "{\"Version\":1,\"AccessKeyId\":\"ASIA1\",\"SecretAccessKey\":\"s/+\\\"\"}\n"
        );
    }
}
