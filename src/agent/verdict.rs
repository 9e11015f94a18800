//! What to tell people of a token that a cluster seems to refuse. What AWS answered stands beside our
//! reading of it, always.

use super::answers::rfc3339;
use crate::{
    aws::{AwsError, CallerIdentity, Kind},
    model::{
        Credentials, Reach,
        text::{printable, printable_sentence},
        token::{Refusal, Subject, principal_of},
    },
    report::{Code, Report},
};

/// A cluster that seems to refuse tokens.
#[derive(Debug)]
pub(super) struct Suspect {
    /// Whose tokens.
    pub(super) subject: Subject,
    /// What the cluster is called here, where it is registered.
    pub(super) alias: Option<String>,
    /// The way to STS.
    pub(super) reach: Reach,
    /// The region of the Identity Center that the profile logs in to.
    pub(super) sso_region: Option<String>,
}

/// Adds what was seen to what AWS said.
pub(super) fn told(verdict: &Report, seen: &Refusal) -> Report {
    let times = if seen.count == 1 { "once".to_owned() } else { format!("{} times", seen.count) };
    verdict.clone().because(format!(
        "since {} {} came back {times} for another token before the end of the one it had, as clients do that were told 401",
        rfc3339(seen.first_at),
        printable(&seen.client),
    ))
}

impl Suspect {
    fn shown(&self) -> String {
        printable(self.alias.as_deref().unwrap_or(&self.subject.cluster_id))
    }

    /// Says what is suspected before AWS has been asked.
    pub(super) fn suspicion(&self, client: &str) -> Report {
        let what = format!(
            "`{}` seems to have refused the last token: {} asks for another before its end",
            self.shown(),
            printable(client)
        );
        let fix = match &self.alias {
            Some(alias) => {
                format!(
                    "if it goes on, `eksd status {}` says what AWS makes of it",
                    printable(alias)
                )
            }
            None => {
                "run the command again: then eksd asks AWS what it makes of the token".to_owned()
            }
        };
        Report::new(Code::TokenRefused, what, fix)
    }

    /// Says what AWS made of a token, and what that means for a cluster that refuses it.
    pub(super) fn verdict(
        &self,
        credentials: &Credentials,
        said: Result<&CallerIdentity, &AwsError>,
    ) -> Report {
        match said {
            Ok(identity) => self.accepted(identity),
            Err(error) => self.refused(credentials, error),
        }
    }

    fn accepted(&self, identity: &CallerIdentity) -> Report {
        let what = format!(
            "AWS accepts the token for `{}` as {}; if the cluster answers Unauthorized, it does not map that identity",
            self.shown(),
            printable_sentence(&identity.arn)
        );
        let principal = principal_of(&identity.arn, self.sso_region.as_deref());
        let fix = format!(
            "have an administrator map it: `aws eks create-access-entry --cluster-name {} --region {} --principal-arn {}`",
            printable(&self.subject.cluster_id),
            printable(&self.subject.region),
            printable_sentence(&principal)
        );
        Report::new(Code::IdentityRefused, what, fix).because("GetCallerIdentity: 200")
    }

    fn refused(&self, credentials: &Credentials, error: &AwsError) -> Report {
        let cluster = self.shown();
        let profile = printable(self.subject.profile.as_str());
        let refused = |why: String, fix: String| {
            let what = format!("AWS refuses the token for `{cluster}`: {why}");
            Report::new(Code::TokenRefused, what, fix)
        };
        let report = match error.kind {
            kind if kind.is_unreachable() || kind == Kind::Throttled => {
                let told = error.report(&profile);
                let what = format!(
                    "whether AWS accepts the token for `{cluster}` cannot be verified from here: {}",
                    told.what
                );
                Report::new(told.code, what, told.fix)
            }
            Kind::ClockSkew { .. } => {
                let told = error.report(&profile);
                refused(told.what, told.fix)
            }
            Kind::CredentialsExpired => refused(
                "the credentials that signed it have ended".to_owned(),
                format!("run `eksd login {profile}`"),
            ),
            Kind::KeyRefused if error.code() == Some("SignatureDoesNotMatch") => refused(
                "its signature does not fit the secret key, or the cluster's name".to_owned(),
                format!("check the keys of profile `{profile}`: `eksd explain {profile}`"),
            ),
            Kind::KeyRefused => {
                let kind = if credentials.are_temporary() { "temporary" } else { "long-lived" };
                let key = printable(&credentials.access_key_id);
                refused(
                    format!(
                        "it does not know the {kind} key {key}, or not with this session token"
                    ),
                    format!("check where it comes from: `eksd explain {profile}`"),
                )
            }
            Kind::RegionDisabled => refused(
                format!("STS is switched off in {}", printable(&self.subject.region)),
                "have an administrator activate STS in that region: IAM, Account settings"
                    .to_owned(),
            ),
            _ => refused(
                error.code().unwrap_or("no code").to_owned(),
                format!("see `eksd explain {profile}`"),
            ),
        };
        report.because(error.to_string())
    }
}
