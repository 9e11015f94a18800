//! How failures of AWS calls are told to people.

use super::{AwsError, Class, Kind, console, container, instance, web_identity};
use crate::{
    model::text::printable,
    report::{Code, Report},
};

/// Condition, what happened, what to do.
type Told = (Code, String, String);

impl AwsError {
    /// Returns the report for people. `name` is what the call was for, as it is typed after
    /// `eksd login`: a profile, an sso-session or a cluster.
    pub fn report(&self, name: &str) -> Report {
        let name = printable(name);
        let told =
            self.next_door(&name).or_else(|| self.on_the_way()).or_else(|| self.at_login(&name));
        let (code, what, fix) = told.unwrap_or_else(|| self.at_aws(&name));
        let mut report = Report::new(code, what, self.fix().map_or(fix, str::to_owned));
        report.why.extend(self.why());
        report.why.extend(self.note().map(str::to_owned));
        report
    }

    /// Not AWS was asked, but an endpoint next to this machine.
    fn next_door(&self, shown: &str) -> Option<Told> {
        let (place, away, refused) = match self.operation {
            container::OPERATION => (
                "container credentials endpoint",
                "check that eksd-agent runs in the container whose variables AWS_CONTAINER_… it has",
                "check the task role, or the pod identity association of the service account",
            ),
            instance::OPERATION => (
                "instance metadata service",
                "check that this machine is an EC2 instance and its metadata service is on; in a container it needs a hop limit of 2",
                "check the role of the instance profile and its trust policy",
            ),
            _ => return None,
        };
        let asked = |what: &str, fix: &str| Some((format!("the {place} {what}"), fix.to_owned()));
        let (code, told) = match self.kind {
            Kind::Local => return None,
            Kind::NotAssigned => (
                Code::AccessDenied,
                asked(
                    "has no role for this instance",
                    "attach an instance profile with a role to the instance",
                ),
            ),
            Kind::AccessDenied | Kind::BadRequest => {
                (Code::AccessDenied, asked(&format!("refused credentials for `{shown}`"), refused))
            }
            Kind::Throttled => (
                Code::Throttled,
                asked("asks to call less often", "wait: eksd tries again by itself"),
            ),
            Kind::ServerFault => {
                (Code::Unreachable, asked("failed to answer", "wait: eksd tries again by itself"))
            }
            Kind::Page | Kind::Malformed => {
                (Code::Unreachable, asked("sent an answer that makes no sense", away))
            }
            _ => (Code::Unreachable, asked("could not be reached", away)),
        };
        told.map(|(what, fix)| (code, what, fix))
    }

    /// AWS was not reached, or does not answer now.
    fn on_the_way(&self) -> Option<Told> {
        let host = self.host().unwrap_or("AWS");
        Some(match self.kind {
            Kind::Dns => (
                Code::Unreachable,
                format!("the name of {host} could not be resolved"),
                "check the network; eksd tries again by itself".to_owned(),
            ),
            Kind::Connect => (
                Code::Unreachable,
                format!("{host} could not be reached"),
                "check network, VPN and HTTPS_PROXY; eksd tries again by itself".to_owned(),
            ),
            Kind::Proxy => (
                Code::Unreachable,
                format!("the proxy did not connect to {host}"),
                "check HTTPS_PROXY and NO_PROXY, then run `eksd agent restart`".to_owned(),
            ),
            Kind::Tls { untrusted: true } => (
                Code::Unreachable,
                format!("the certificate of {host} is not trusted: a proxy may intercept the connection"),
                "set AWS_CA_BUNDLE (or `ca_bundle` in the profile) to the proxy's CA file, then run `eksd agent restart`"
                    .to_owned(),
            ),
            Kind::Tls { untrusted: false } => (
                Code::Unreachable,
                format!("no secure connection to {host} could be made"),
                "check whether a proxy or firewall interferes; eksd tries again by itself".to_owned(),
            ),
            Kind::Timeout => (
                Code::Unreachable,
                format!("{host} did not answer in time"),
                "check network and VPN; eksd tries again by itself".to_owned(),
            ),
            Kind::Page => (
                Code::Unreachable,
                format!("a web page came in place of an answer from {host}"),
                "log in to the network (hotel, guest or company portal); eksd tries again by itself"
                    .to_owned(),
            ),
            Kind::Malformed => (
                Code::Unreachable,
                format!("{host} sent an answer that makes no sense"),
                "check whether a proxy changes answers; eksd tries again by itself".to_owned(),
            ),
            Kind::ServerFault => (
                Code::Unreachable,
                format!("AWS failed to answer {}", self.operation),
                "wait: eksd tries again by itself".to_owned(),
            ),
            Kind::Throttled | Kind::SlowDown => (
                Code::Throttled,
                format!("AWS asks to call {} less often", self.operation),
                "wait: eksd tries again by itself".to_owned(),
            ),
            Kind::ClockSkew { ahead } => (
                Code::AwsRefused,
                format!(
                    "the clock of this machine is {} s {} that of AWS",
                    ahead.unsigned_abs(),
                    if ahead < 0 { "behind" } else { "ahead of" }
                ),
                "set the clock: `sudo timedatectl set-ntp true`".to_owned(),
            ),
            _ => return None,
        })
    }

    /// A person has to act on the login.
    fn at_login(&self, shown: &str) -> Option<Told> {
        let login = format!("run `eksd login {shown}`");
        Some(match self.kind {
            Kind::TokenRefused | Kind::GrantRefused | Kind::RegistrationRefused => {
                (Code::NeedsLogin, format!("the login behind `{shown}` has ended"), login)
            }
            Kind::LoginPending | Kind::LoginTimedOut => (
                Code::LoginTimeout,
                format!("the login for `{shown}` was not finished in time"),
                login,
            ),
            Kind::LoginDenied => (
                Code::LoginDenied,
                format!("the login for `{shown}` was denied"),
                format!("run `eksd login {shown}` and allow the access that the page asks for"),
            ),
            Kind::CredentialsExpired if self.operation == web_identity::OPERATION => (
                Code::Expired,
                format!("the web identity token of `{shown}` has ended"),
                "have a new token put into the file that `web_identity_token_file` names; eksd reads it again by itself"
                    .to_owned(),
            ),
            Kind::CredentialsExpired => {
                (Code::Expired, format!("the credentials of `{shown}` have ended"), login)
            }
            Kind::MfaRefused if self.class == Class::NeverWorks => (
                Code::Misconfigured,
                format!("the MFA device of `{shown}` cannot be used"),
                format!(
                    "mend `mfa_serial` of `{shown}`: `aws iam list-mfa-devices` shows the user's devices"
                ),
            ),
            Kind::MfaRefused => (
                Code::NeedsMfa,
                format!("AWS did not accept the MFA code for `{shown}`"),
                "wait for the next code and use that: each works once".to_owned(),
            ),
            _ => return None,
        })
    }

    /// AWS was reached and refuses, or nothing was sent.
    fn at_aws(&self, shown: &str) -> Told {
        match self.kind {
            Kind::NotAssigned => (
                Code::AccessDenied,
                format!("account and role of `{shown}` are not assigned to you"),
                "check `sso_account_id` and `sso_role_name`, or ask an administrator for the permission set; logging in again does not help"
                    .to_owned(),
            ),
            Kind::KeyRefused => (
                Code::AwsRefused,
                format!("AWS does not accept the access key of `{shown}`"),
                format!("check the key of the profile and its source: `eksd status {shown} --verbose`"),
            ),
            Kind::AccessDenied => (
                Code::AccessDenied,
                format!("AWS denied {} for `{shown}`", self.operation),
                match self.operation {
                    "AssumeRole" => "check that the role exists and that its trust policy lets this caller in; if it asks for MFA, set `mfa_serial`, for an external id, `external_id`".to_owned(),
                    web_identity::OPERATION => "check that the role exists and that its trust policy names the issuer, audience and subject of the token".to_owned(),
                    "ListClusters" => "ask an administrator for the permission `eks:ListClusters`, or name another profile of the account".to_owned(),
                    console::OPERATION => "ask an administrator for the permission `signin:CreateOAuth2Token`".to_owned(),
                    _ => format!("check role, trust policy and permissions; `eksd status {shown} --verbose` names the role"),
                },
            ),
            Kind::RegionDisabled => (
                Code::AwsRefused,
                format!("the region is not enabled for the account of `{shown}`"),
                "set another `region` in the profile, or enable this one in the account".to_owned(),
            ),
            Kind::ClusterNotFound => (
                Code::ClusterNotFound,
                format!("there is no cluster `{shown}` in this account and region"),
                "check name, region and profile: `aws eks list-clusters`".to_owned(),
            ),
            Kind::Local => (
                Code::Misconfigured,
                format!("{} for `{shown}` could not be prepared", self.operation),
                "mend the setting named above; `eksd config check` shows where it is from"
                    .to_owned(),
            ),
            Kind::TokenTooLong => (
                Code::AwsRefused,
                format!("the token for `{shown}` is longer than clusters accept"),
                "use a role with fewer or shorter session tags and policies".to_owned(),
            ),
            _ => (
                Code::AwsRefused,
                format!("AWS refused {} for `{shown}`", self.operation),
                format!("check the profile's settings: `eksd status {shown} --verbose`"),
            ),
        }
    }
}
