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

/// A sign-in to the console as the AWS CLI keeps it: keys, and what the next ones are asked for with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleToken {
    /// The keys: they last 15 minutes (Sign-In API, `CreateOAuth2Token`).
    pub keys: Credentials,
    /// What the AWS CLI signed in as: its client for this machine, or for another device.
    pub client_id: String,
    /// May rotate: the one that the last answer held is the one to use.
    pub refresh_token: Secret,
    /// Who signed in. Only a login brings one, and nobody needs it to renew.
    pub id_token: Option<Secret>,
    /// The private key that the refresh token is bound to (RFC 9449 section 5): SEC 1 in PEM.
    pub dpop_key: Secret,
}

impl ConsoleToken {
    /// Returns what tells this token from the one before and after it: each renewal brings keys of its
    /// own, while the refresh token may stay.
    pub fn mark(&self) -> &Secret {
        self.keys.session_token.as_ref().unwrap_or(&self.keys.secret_access_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret_of_a_sign_in() {
        let hush = || Secret::new("hush");
        let token = ConsoleToken {
            keys: Credentials {
                access_key_id: "ASIAX".to_owned(),
                secret_access_key: hush(),
                session_token: Some(hush()),
                expires_at: None,
                account_id: Some("111122223333".to_owned()),
            },
            client_id: "arn:aws:signin:::devtools/same-device".to_owned(),
            refresh_token: hush(),
            id_token: Some(hush()),
            dpop_key: hush(),
        };
        let shown = format!("{token:?}");
        assert!(!shown.contains("hush") && shown.contains("same-device"), "{shown}");
    }
}
