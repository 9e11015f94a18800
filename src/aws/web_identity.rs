//! STS: a role for somebody else's token. Not signed: the token says who one is.

use super::{
    Aws, AwsError, Kind,
    codes::Service,
    sts::{LONGEST, account_of, duration, keys, session_name_of},
    token_file,
};
use crate::model::{Credentials, Secret, WebIdentity, text::printable_sentence};

pub(super) const OPERATION: &str = "AssumeRoleWithWebIdentity";

/// Reads the token of a web identity, without blanks around it: a token of `OpenID` Connect has none
/// in it. Blocks on the disk: for worker threads.
///
/// # Errors
/// [`Kind::Local`]; it may pass where the file is not there or empty.
pub fn web_identity_token(identity: &WebIdentity) -> Result<Secret, AwsError> {
    let token = token_file::read(OPERATION, &identity.token_file)?;
    Ok(Secret::new(token.expose().trim()))
}

impl Aws {
    /// Exchanges a token for credentials of a role (`AssumeRoleWithWebIdentity`).
    ///
    /// The duration is that of the profile within what AWS takes: this is not role chaining.
    /// `session_name` stands in for a `role_session_name` that is not set.
    ///
    /// # Errors
    /// [`Kind::CredentialsExpired`]: the token has ended, and may be replaced by whoever issues it.
    /// [`Kind::AccessDenied`]: its issuer, audience or subject is not one that the role trusts.
    pub async fn assume_role_with_web_identity(
        &self,
        identity: &WebIdentity,
        token: &Secret,
        session_name: &str,
    ) -> Result<Credentials, AwsError> {
        let call =
            self.call(OPERATION, Service::Sts, &identity.reach, vec![token.expose()]).await?;
        let seconds = duration(identity.duration_seconds, LONGEST);
        let name = identity.session_name.clone();
        let sent = aws_sdk_sts::Client::from_conf(call.route.sts.clone().build())
            .assume_role_with_web_identity()
            .role_arn(&identity.role_arn)
            .role_session_name(name.unwrap_or_else(|| session_name_of(session_name)))
            .web_identity_token(token.expose())
            .set_duration_seconds(seconds)
            .send()
            .await;
        let result = call.end(sent, |answer| {
            let arn = answer.assumed_role_user.map(|user| user.arn);
            let account = account_of(arn.as_deref().unwrap_or(&identity.role_arn));
            keys(&call, answer.credentials, account)
        });
        result.map_err(|error| match error.kind {
            Kind::AccessDenied | Kind::CredentialsExpired => error.with_note(&format!(
                "asked for {} with the token in `{}`",
                printable_sentence(&identity.role_arn),
                printable_sentence(&identity.token_file.display().to_string()),
            )),
            _ => error,
        })
    }
}
