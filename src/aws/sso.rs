//! The SSO portal: role credentials for a token, and logout.
//!
//! Calls are not signed; the bearer token goes in a header, over TLS only (SSO portal API).

use jiff::{SignedDuration, Timestamp};

use super::{Aws, AwsError, call::Call, codes::Service};
use crate::model::{Credentials, Reach, Secret};

impl Aws {
    /// Gets the credentials of a permission set in an account (`GetRoleCredentials`).
    ///
    /// # Errors
    /// [`Kind::TokenRefused`](super::Kind::TokenRefused): renew the token once, then a login is
    /// needed. [`Kind::NotAssigned`](super::Kind::NotAssigned): a login does not help.
    pub async fn role_credentials(
        &self,
        reach: &Reach,
        access_token: &Secret,
        account_id: &str,
        role_name: &str,
    ) -> Result<Credentials, AwsError> {
        let secrets = vec![access_token.expose()];
        let call = self.call("GetRoleCredentials", Service::Sso, reach, secrets).await?;
        let sent = call
            .route
            .sso
            .get_role_credentials()
            .access_token(access_token.expose())
            .account_id(account_id)
            .role_name(role_name)
            .send()
            .await;
        call.end(sent, |answer| {
            let keys =
                answer.role_credentials.ok_or_else(|| call.nonsense("no credentials in it"))?;
            let (Some(access_key_id), Some(secret), Some(session_token)) =
                (keys.access_key_id, keys.secret_access_key, keys.session_token)
            else {
                return Err(call.nonsense("credentials without key, secret or session token"));
            };
            let expires_at = Timestamp::from_millisecond(keys.expiration).ok();
            Ok(Credentials {
                access_key_id: filled(&call, access_key_id)?,
                secret_access_key: Secret::new(filled(&call, secret)?),
                session_token: Some(Secret::new(filled(&call, session_token)?)),
                expires_at: Some(sane_expiry(&call, expires_at)?),
                account_id: Some(account_id.to_owned()),
            })
        })
    }

    /// Ends the session behind a token (`Logout`). Role credentials already handed out stay good
    /// until they end.
    pub async fn logout(&self, reach: &Reach, access_token: &Secret) -> Result<(), AwsError> {
        let call = self.call("Logout", Service::Sso, reach, vec![access_token.expose()]).await?;
        let sent = call.route.sso.logout().access_token(access_token.expose()).send().await;
        call.end(sent, |_| Ok(()))
    }
}

pub(super) fn filled(call: &Call<'_>, text: String) -> Result<String, AwsError> {
    if text.is_empty() {
        Err(call.nonsense("an empty field where a value belongs"))
    } else {
        Ok(text)
    }
}

/// Role sessions last 12 h at most (IAM User Guide, "`DurationSeconds`"), `GetSessionToken`'s 36 h.
const LONGEST_SESSION: SignedDuration = SignedDuration::from_hours(36);

/// Refuses credentials that have ended already, or that would end later than AWS ever grants.
pub(super) fn sane_expiry(
    call: &Call<'_>,
    expires_at: Option<Timestamp>,
) -> Result<Timestamp, AwsError> {
    sane(call.now(), expires_at).map_err(|message| call.nonsense(message))
}

/// Does as [`sane_expiry`] does, and says what is wrong.
pub(super) fn sane(
    now: Timestamp,
    expires_at: Option<Timestamp>,
) -> Result<Timestamp, &'static str> {
    match expires_at {
        Some(at) if at <= now => Err("the credentials have ended already"),
        Some(at) if LONGEST_SESSION < at.duration_since(now) => {
            Err("the credentials would end later than AWS grants")
        }
        Some(at) => Ok(at),
        None => Err("the end of the credentials is not a time"),
    }
}
