//! Calls over real HTTP: against canned answers for their form and their failures, and against
//! the lab for the whole way.

#![expect(
    clippy::disallowed_methods,
    reason = "files and instants of a test, in a room that may use neither `store` nor `clock`"
)]

mod against_lab;
mod console;
mod failures;
mod mfa;
mod next_door;
mod requests;
mod sealed;
mod server;
mod transport;
mod web_identity;

use std::time::Duration;

use jiff::Timestamp;

use super::{Aws, Deadlines, Surroundings};
use crate::model::{
    Credentials, FileKind, LoginKey, Origin, ProfileName, Reach, Registration, RoleHop, RoleTerms,
    Secret, SsoLogin,
};

const NOW: &str = "2026-01-02T03:04:05Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// Surroundings at a fixed time, with short deadlines and one endpoint for all services.
fn around(endpoint: &str) -> Surroundings {
    let mut around = Surroundings::new(now);
    around.endpoints.all = Some(endpoint.to_owned());
    around.deadlines =
        Deadlines { connect: Duration::from_secs(2), attempt: Duration::from_secs(5) };
    around
}

fn aws(endpoint: &str) -> Aws {
    Aws::new(around(endpoint)).unwrap()
}

fn reach(region: &str) -> Reach {
    Reach::default().to_region(region)
}

fn login() -> SsoLogin {
    SsoLogin {
        key: LoginKey::Named("corp".to_owned()),
        start_url: "https://corp.awsapps.com/start".to_owned(),
        scopes: Vec::new(),
        reach: reach("eu-west-1"),
    }
}

/// Secrets that must turn up in no text.
const PLANTED: [&str; 9] = [
    "planted-secret-key",
    "planted-session-token",
    "planted-client-secret",
    "planted-access-token",
    "planted-refresh-token",
    "planted-device-code",
    "planted-code",
    "planted-verifier",
    "planted-external-id",
];

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "ASIAEXAMPLE".to_owned(),
        secret_access_key: Secret::new("planted-secret-key"),
        session_token: Some(Secret::new("planted-session-token")),
        expires_at: None,
        account_id: None,
    }
}

fn registration() -> Registration {
    Registration {
        client_id: "client-1".to_owned(),
        client_secret: Secret::new("planted-client-secret"),
        expires_at: "2026-03-01T00:00:00Z".parse().unwrap(),
        scopes: vec!["sso:account:access".to_owned()],
    }
}

fn hop() -> RoleHop {
    RoleHop {
        profile: ProfileName::new("prod"),
        terms: RoleTerms {
            role_arn: "arn:aws:iam::444455556666:role/admin".to_owned(),
            external_id: Some("planted-external-id".to_owned()),
            duration_seconds: Some(7200),
            ..RoleTerms::default()
        },
        mfa: None,
        reach: Reach::default(),
        origin: Origin { kind: FileKind::Config, file: "~/.aws/config".into(), line: 1 },
    }
}
