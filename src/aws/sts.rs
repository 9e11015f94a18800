//! STS: assumed roles, MFA sessions, and who one is.

use std::time::Duration;

use aws_sdk_sts::{
    config::{Credentials as SdkCredentials, SharedCredentialsProvider},
    types::Tag,
};
use jiff::Timestamp;

use super::{
    Aws, AwsError, Class, Kind,
    call::Call,
    codes::Service,
    sso::{filled, sane_expiry},
};
use crate::model::{
    Credentials, Reach, RoleHop, RoleTerms, Secret,
    text::{printable, printable_sentence},
};

/// The least and most that `AssumeRole` takes for `DurationSeconds` (STS API).
const SHORTEST: u32 = 900;
pub(super) const LONGEST: u32 = 43_200;

/// What a role assumed with temporary keys gets at most (IAM User Guide, "Role chaining").
const LONGEST_CHAINED: u32 = 3600;

/// The least and most that `GetSessionToken` takes for `DurationSeconds` (STS API).
const SHORTEST_SESSION: i32 = 900;
const LONGEST_SESSION: i32 = 129_600;

/// The serial of a security key or passkey has `:u2f/` where that of an app has `:mfa/` (IAM User
/// Guide, "Multi-factor authentication": FIDO2 is for the console only).
const FIDO: &str = "security keys and passkeys (FIDO) show no codes, and STS takes codes only";

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
    /// `session_name` stands in for a `role_session_name` that is not set. `code` is the serial of
    /// an MFA device of the caller's and the six digits that it shows; it works once, so whoever
    /// tries again asks for the next one.
    ///
    /// # Errors
    /// [`Kind::MfaRefused`]: the code, or the device, see [`AwsError::report`].
    /// [`Kind::AccessDenied`]: AWS does not tell which of role, policies, MFA and external id is
    /// at fault, so the report says what was asked for.
    pub async fn assume_role(
        &self,
        credentials: &Credentials,
        hop: &RoleHop,
        session_name: &str,
        code: Option<(&str, &Secret)>,
    ) -> Result<Credentials, AwsError> {
        const OPERATION: &str = "AssumeRole";
        let terms = &hop.terms;
        if let Some((serial, code)) = code {
            check_mfa(OPERATION, serial, code)?;
        }
        let mut secrets = secrets_of(credentials);
        secrets.extend(terms.external_id.as_deref());
        secrets.extend(code.map(|(_, code)| digits(code)));
        let call = self.call(OPERATION, Service::Sts, &hop.reach, secrets).await?;
        let longest = if credentials.are_temporary() { LONGEST_CHAINED } else { LONGEST };
        let transitive = Some(terms.transitive_tags.clone()).filter(|keys| !keys.is_empty());
        let sent = sts(&call, credentials)
            .assume_role()
            .role_arn(&terms.role_arn)
            .role_session_name(
                terms.session_name.clone().unwrap_or_else(|| session_name_of(session_name)),
            )
            .set_external_id(terms.external_id.clone())
            .set_duration_seconds(duration(terms.duration_seconds, longest))
            .set_source_identity(terms.source_identity.clone())
            .set_tags(tags(&call, &terms.tags)?)
            .set_transitive_tag_keys(transitive)
            .set_serial_number(code.map(|(serial, _)| serial.to_owned()))
            .set_token_code(code.map(|(_, code)| digits(code).to_owned()))
            .send()
            .await;
        let result = call.end(sent, |answer| {
            let arn = answer.assumed_role_user.map(|user| user.arn);
            let account = account_of(arn.as_deref().unwrap_or(&terms.role_arn));
            keys(&call, answer.credentials, account)
        });
        result.map_err(|error| match error.kind {
            Kind::AccessDenied => {
                error.with_note(&asked_for(credentials, &terms.role_arn, code.is_some(), terms))
            }
            _ => error,
        })
    }

    /// Gets an MFA session of a user: temporary credentials that carry the fact that a code was
    /// given (`GetSessionToken`). `duration` becomes 15 minutes to 36 hours, in seconds.
    ///
    /// # Errors
    /// As [`Aws::assume_role`]. [`Kind::Local`] for temporary `keys`: AWS takes a user's long-lived
    /// ones only, and the code would be lost.
    pub async fn session_token(
        &self,
        reach: &Reach,
        keys: &Credentials,
        serial: &str,
        code: &Secret,
        duration: Duration,
    ) -> Result<Credentials, AwsError> {
        const OPERATION: &str = "GetSessionToken";
        if keys.are_temporary() {
            let message = "an MFA session begins with a user's long-lived keys, not temporary ones";
            return Err(AwsError::local(OPERATION, message));
        }
        check_mfa(OPERATION, serial, code)?;
        let mut secrets = secrets_of(keys);
        secrets.push(digits(code));
        let call = self.call(OPERATION, Service::Sts, reach, secrets).await?;
        let seconds = i32::try_from(duration.as_secs()).unwrap_or(LONGEST_SESSION);
        let sent = sts(&call, keys)
            .get_session_token()
            .serial_number(serial)
            .token_code(digits(code))
            .duration_seconds(seconds.clamp(SHORTEST_SESSION, LONGEST_SESSION))
            .send()
            .await;
        call.end(sent, |answer| self::keys(&call, answer.credentials, keys.account_id.clone()))
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

/// Reads the credentials of an answer.
pub(super) fn keys(
    call: &Call<'_>,
    keys: Option<aws_sdk_sts::types::Credentials>,
    account_id: Option<String>,
) -> Result<Credentials, AwsError> {
    let keys = keys.ok_or_else(|| call.nonsense("no credentials in it"))?;
    let expires_at = Timestamp::from_second(keys.expiration.secs()).ok();
    Ok(Credentials {
        access_key_id: filled(call, keys.access_key_id)?,
        secret_access_key: Secret::new(filled(call, keys.secret_access_key)?),
        session_token: Some(Secret::new(filled(call, keys.session_token)?)),
        expires_at: Some(sane_expiry(call, expires_at)?),
        account_id,
    })
}

/// Returns the account in an ARN.
pub(super) fn account_of(arn: &str) -> Option<String> {
    arn.split(':').nth(4).filter(|account| !account.is_empty()).map(str::to_owned)
}

fn tags(call: &Call<'_>, tags: &[(String, String)]) -> Result<Option<Vec<Tag>>, AwsError> {
    let made: Result<Vec<Tag>, _> =
        tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    let made = made.map_err(|_| AwsError::local(call.operation, "a session tag is not whole"))?;
    Ok(Some(made).filter(|tags| !tags.is_empty()))
}

/// The code as AWS wants it; people and programs put blanks around it.
fn digits(code: &Secret) -> &str {
    code.expose().trim()
}

/// Finds out what AWS would refuse anyhow, before a code is lost to it.
fn check_mfa(operation: &'static str, serial: &str, code: &Secret) -> Result<(), AwsError> {
    if serial.contains(":u2f/") {
        return Err(AwsError::new(operation, Class::NeverWorks, Kind::MfaRefused)
            .with_message(FIDO)
            .with_fix("set `mfa_serial` to a device that shows codes, an authenticator app for example; a user may have several devices"));
    }
    let code = digits(code);
    if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AwsError::new(operation, Class::NeedsPerson, Kind::MfaRefused)
            .with_message("a code has six digits; what was given has not")
            .with_fix("give the six digits that the device shows now"));
    }
    Ok(())
}

/// What the caller may compare with the role's trust policy.
fn asked_for(
    credentials: &Credentials,
    role_arn: &str,
    with_mfa: bool,
    terms: &RoleTerms,
) -> String {
    let with = |is: bool| if is { "with" } else { "without" };
    let kind = if credentials.are_temporary() { "temporary" } else { "long-lived" };
    let mut text = format!(
        "asked for {} by the {kind} key {}, {} an MFA code, {} an external id",
        printable_sentence(role_arn),
        printable(&credentials.access_key_id),
        with(with_mfa),
        with(terms.external_id.is_some()),
    );
    if let Some(identity) = &terms.source_identity {
        text.push_str(&format!(", as source identity {}", printable(identity)));
    }
    if !terms.tags.is_empty() {
        text.push_str(", with session tags");
    }
    text
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

/// Returns the seconds to ask for, where any are configured: within what AWS takes.
pub(super) fn duration(configured: Option<u32>, longest: u32) -> Option<i32> {
    configured.and_then(|seconds| i32::try_from(seconds.clamp(SHORTEST, longest)).ok())
}

/// Makes a session name of a text: `[\w+=,.@-]{2,64}` (STS API, `RoleSessionName`).
pub(super) fn session_name_of(text: &str) -> String {
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
        for (configured, longest, expected) in [
            (None, LONGEST, None),
            (None, LONGEST_CHAINED, None),
            (Some(60), LONGEST, Some(900)),
            (Some(7200), LONGEST, Some(7200)),
            (Some(7200), LONGEST_CHAINED, Some(3600)),
            (Some(1800), LONGEST_CHAINED, Some(1800)),
            (Some(u32::MAX), LONGEST, Some(43_200)),
        ] {
            assert_eq!(duration(configured, longest), expected);
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
