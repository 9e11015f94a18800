//! Credentials as AWS hands them out.

use jiff::Timestamp;

use super::Secret;

/// One set of AWS credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// `AKIA…` for long-lived keys, `ASIA…` for temporary ones. Not a secret.
    pub access_key_id: String,
    /// The key that signs.
    pub secret_access_key: Secret,
    /// Present on every temporary set.
    pub session_token: Option<Secret>,
    /// The first instant at which AWS refuses them; `None` for long-lived keys.
    pub expires_at: Option<Timestamp>,
    /// The account they act in, where it is known.
    pub account_id: Option<String>,
}

impl Credentials {
    /// Returns whether AWS made these from other credentials, so that a role assumed with them
    /// is chained and limited to one hour (IAM User Guide, "Role chaining").
    pub fn are_temporary(&self) -> bool {
        self.session_token.is_some()
    }
}

/// An SSO access token and what is needed to renew it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsoToken {
    /// The bearer token for the SSO portal.
    pub access_token: Secret,
    /// The first instant at which the portal refuses it.
    pub expires_at: Timestamp,
    /// Rotates: each works once.
    pub refresh_token: Option<Secret>,
    /// The client registration it belongs to; without one it cannot be refreshed.
    pub registration: Option<Registration>,
}

impl SsoToken {
    /// Returns whether the token can be renewed without a person at `now`: a refresh token and
    /// an unexpired registration are needed (botocore `tokens.py`).
    pub fn is_refreshable(&self, now: Timestamp) -> bool {
        self.refresh_token.is_some()
            && self.registration.as_ref().is_some_and(|client| now < client.expires_at)
    }
}

/// An OIDC client registration (SSO OIDC `RegisterClient`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Public name of the client.
    pub client_id: String,
    /// Its secret; a public client's, but still not for eyes.
    pub client_secret: Secret,
    /// `clientSecretExpiresAt`; after it, neither refresh nor login works with it.
    pub expires_at: Timestamp,
    /// Scopes asked for at registration.
    pub scopes: Vec<String>,
}
