//! STS: assumed roles, and who one is.

use aws_sdk_sts::config::{Credentials as SdkCredentials, SharedCredentialsProvider};
use jiff::Timestamp;

use super::{
    Aws, AwsError,
    call::Call,
    codes::Service,
    sso::{filled, sane_expiry},
};
use crate::model::{Credentials, Reach, RoleHop, Secret};

/// The least and most that `AssumeRole` takes for `DurationSeconds` (STS API).
const SHORTEST: u32 = 900;
const LONGEST: u32 = 43_200;

/// What a role assumed with temporary keys gets at most (IAM User Guide, "Role chaining").
const LONGEST_CHAINED: u32 = 3600;

/// Who AWS says one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The account.
    pub account: String,
    /// The ARN; of an assumed role, that of the session.
    pub arn: String,
    /// The unique id, e.g. `AROA…:session`.
    pub user_id: String,
}

impl Aws {
    /// Assumes the role of one hop with the credentials of the one before (`AssumeRole`).
    ///
    /// The duration is that of the profile, within what AWS takes and, for temporary
    /// credentials, within the hour that chained roles get; without one AWS gives an hour.
    /// `session_name` stands in for a `role_session_name` that is not set. No MFA code is sent.
    pub async fn assume_role(
        &self,
        credentials: &Credentials,
        hop: &RoleHop,
        session_name: &str,
    ) -> Result<Credentials, AwsError> {
        let mut secrets = secrets_of(credentials);
        secrets.extend(hop.terms.external_id.as_deref());
        let call = self.call("AssumeRole", Service::Sts, &hop.reach, secrets).await?;
        let duration = duration(hop.terms.duration_seconds, credentials.are_temporary());
        let sent = sts(&call, credentials)
            .assume_role()
            .role_arn(&hop.terms.role_arn)
            .role_session_name(
                hop.terms.session_name.clone().unwrap_or_else(|| session_name_of(session_name)),
            )
            .set_external_id(hop.terms.external_id.clone())
            .set_duration_seconds(duration.and_then(|seconds| i32::try_from(seconds).ok()))
            .send()
            .await;
        call.end(sent, |answer| {
            let keys = answer.credentials.ok_or_else(|| call.nonsense("no credentials in it"))?;
            let expires_at = Timestamp::from_second(keys.expiration.secs()).ok();
            let arn = answer.assumed_role_user.map(|user| user.arn);
            Ok(Credentials {
                access_key_id: filled(&call, keys.access_key_id)?,
                secret_access_key: Secret::new(filled(&call, keys.secret_access_key)?),
                session_token: Some(Secret::new(filled(&call, keys.session_token)?)),
                expires_at: Some(sane_expiry(&call, expires_at)?),
                account_id: arn
                    .as_deref()
                    .or(Some(&hop.terms.role_arn))
                    .and_then(|arn| arn.split(':').nth(4))
                    .filter(|account| !account.is_empty())
                    .map(str::to_owned),
            })
        })
    }

    /// Asks who the credentials belong to (`GetCallerIdentity`): needs no permission.
    pub async fn caller_identity(
        &self,
        reach: &Reach,
        credentials: &Credentials,
    ) -> Result<CallerIdentity, AwsError> {
        let secrets = secrets_of(credentials);
        let call = self.call("GetCallerIdentity", Service::Sts, reach, secrets).await?;
        let sent = sts(&call, credentials).get_caller_identity().send().await;
        call.end(sent, |answer| match (answer.account, answer.arn, answer.user_id) {
            (Some(account), Some(arn), Some(user_id)) => {
                Ok(CallerIdentity { account, arn, user_id })
            }
            _ => Err(call.nonsense("an identity without account, ARN or id")),
        })
    }
}

/// What of these credentials must not turn up in a text.
pub(super) fn secrets_of(credentials: &Credentials) -> Vec<&str> {
    let token = credentials.session_token.as_ref().map(Secret::expose);
    [Some(credentials.secret_access_key.expose()), token].into_iter().flatten().collect()
}

fn sts(call: &Call<'_>, credentials: &Credentials) -> aws_sdk_sts::Client {
    let provider = SharedCredentialsProvider::new(for_sdk(credentials));
    let config = call.route.sts.clone().credentials_provider(provider).build();
    aws_sdk_sts::Client::from_conf(config)
}

/// Returns the credentials in the SDK's type, whose `Debug` hides them too. The expiry is left
/// out: whether they are still good is AWS's to say.
pub(super) fn for_sdk(credentials: &Credentials) -> SdkCredentials {
    SdkCredentials::new(
        credentials.access_key_id.clone(),
        credentials.secret_access_key.expose(),
        credentials.session_token.as_ref().map(|token| token.expose().to_owned()),
        None,
        "eksd",
    )
}

fn duration(configured: Option<u32>, is_chained: bool) -> Option<u32> {
    let longest = if is_chained { LONGEST_CHAINED } else { LONGEST };
    configured.map(|seconds| seconds.clamp(SHORTEST, longest))
}

/// Makes a session name of a text: `[\w+=,.@-]{2,64}` (STS API, `RoleSessionName`).
fn session_name_of(text: &str) -> String {
    let mut name: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) { c } else { '-' })
        .take(64)
        .collect();
    while name.len() < 2 {
        name.push('-');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_stay_within_what_aws_takes() {
        for (configured, is_chained, expected) in [
            (None, false, None),
            (None, true, None),
            (Some(60), false, Some(900)),
            (Some(7200), false, Some(7200)),
            (Some(7200), true, Some(3600)),
            (Some(1800), true, Some(1800)),
            (Some(999_999), false, Some(43_200)),
        ] {
            assert_eq!(duration(configured, is_chained), expected);
        }
    }

    #[test]
    fn session_names_are_made_to_fit() {
        for (text, expected) in [
            ("eksd-jane", "eksd-jane"),
            ("eksd-jané doe", "eksd-jan--doe"),
            ("", "--"),
            ("a@b.c", "a@b.c"),
        ] {
            assert_eq!(session_name_of(text), expected);
        }
        assert_eq!(session_name_of(&"x".repeat(99)).len(), 64);
    }
}
