//! What the readers want of a container credentials endpoint (`AWS_CONTAINER_CREDENTIALS_FULL_URI`),
//! seen with botocore 1.43, `@aws-sdk/credential-provider-http` 3.x and aws-config 1.13:
//! `tests/data/aws/container-endpoint.json`. The agent's endpoint is tested with its rows.

use crate::model::Credentials;

/// Returns whether these credentials can be handed out: an answer without `Token` or `Expiration` is an
/// error in all three, and asked for again.
pub fn can_serve(credentials: &Credentials) -> bool {
    credentials.session_token.is_some() && credentials.expires_at.is_some()
}
