//! The instance metadata service of EC2, version 2 (EC2 User Guide, "Use the Instance Metadata
//! Service"): a session token first, then the role's name, then its credentials. Version 1, which
//! any program can be tricked into asking, is not spoken.

use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{Aws, AwsError, Class, Deadlines, Kind, answer::Headers, metadata::Local};
use crate::model::{Credentials, Secret};

pub(super) const OPERATION: &str = "InstanceCredentials";

/// Where it listens on every instance.
const ADDRESS: &str = "http://169.254.169.254";

/// Where it listens by IPv6.
const ADDRESS_IPV6: &str = "http://[fd00:ec2::254]";

const CREDENTIALS: &str = "/latest/meta-data/iam/security-credentials/";

/// The longest that the service grants; the token is used for the two calls behind it.
const TOKEN_SECONDS: &str = "21600";

/// The SDKs' second: on any other machine nobody answers, and this is to be found out fast.
const DEADLINES: Deadlines =
    Deadlines { connect: Duration::from_secs(1), attempt: Duration::from_secs(2) };

/// What the environment says about the instance metadata service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceMetadata {
    /// `AWS_EC2_METADATA_DISABLED`.
    pub is_disabled: bool,
    /// `AWS_EC2_METADATA_SERVICE_ENDPOINT`: in place of the usual address.
    pub endpoint: Option<String>,
    /// `AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE` is `IPv6`.
    pub is_ipv6: bool,
}

impl Aws {
    /// Gets the credentials of this instance's role. Three calls, each of 2 s at most, 1 s to connect.
    ///
    /// # Errors
    /// [`Kind::Local`] where it is switched off here. [`Kind::NotAssigned`] where the instance has no
    /// role.
    pub async fn instance_credentials(&self) -> Result<Credentials, AwsError> {
        let metadata = &self.surroundings().instance;
        if metadata.is_disabled {
            let message = "AWS_EC2_METADATA_DISABLED is `true`";
            return Err(AwsError::local(OPERATION, message).with_fix(
                "unset AWS_EC2_METADATA_DISABLED, then run `eksd agent restart`, or use another \
                 source of credentials",
            ));
        }
        let usual = if metadata.is_ipv6 { ADDRESS_IPV6 } else { ADDRESS };
        let base = metadata.endpoint.as_deref().unwrap_or(usual).trim_end_matches('/');
        let mut local = Local::new(self, OPERATION, base, DEADLINES)?;
        let result = ask(&mut local, base).await;
        local.log(&result);
        result
    }
}

async fn ask(local: &mut Local, base: &str) -> Result<Credentials, AwsError> {
    let seconds = Secret::new(TOKEN_SECONDS);
    let ttl = [("x-aws-ec2-metadata-token-ttl-seconds", &seconds)];
    let answer = local.send("PUT", &format!("{base}/latest/api/token"), &ttl).await?;
    let token = Secret::new(line(local, &answer)?);
    local.hide(token.clone());

    let headers = [("x-aws-ec2-metadata-token", &token)];
    let answer = local.send("GET", &format!("{base}{CREDENTIALS}"), &headers).await?;
    if answer.status().as_u16() == 404 {
        return Err(local
            .error(Class::NeverWorks, Kind::NotAssigned)
            .with_message("the metadata service knows no role (status 404)"));
    }
    let role = line(local, &answer)?;
    // It becomes part of a path (IAM API, `RoleName`).
    if 64 < role.len()
        || !role.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
    {
        return Err(local.nonsense("the role's name is none"));
    }
    let answer = local.send("GET", &format!("{base}{CREDENTIALS}{role}"), &headers).await?;
    if answer.status().as_u16() != 200 {
        return Err(local.refused(&answer));
    }
    let fields = local.fields(&answer)?;
    match fields.get("Code").and_then(serde_json::Value::as_str) {
        Some("Success") => local.credentials(fields),
        // Such as `AssumeRoleUnauthorizedAccess`: the role does not trust EC2.
        Some(_) => {
            let refused = local.refused(&answer);
            let code = refused.code().map(str::to_owned);
            Err(local
                .error(Class::NeverWorks, Kind::AccessDenied)
                .with_code(code)
                .with_message(refused.message()))
        }
        None => Err(local.nonsense("no `Code`")),
    }
}

/// Returns the first line of an answer of text.
fn line(local: &Local, answer: &HttpResponse) -> Result<String, AwsError> {
    if answer.status().as_u16() != 200 {
        return Err(local.refused(answer));
    }
    let body = answer.body().bytes().unwrap_or_default();
    if Headers::of(answer.headers()).is_page(body) {
        let page = local.error(Class::MayPass { retry_after: None }, Kind::Page);
        return Err(page.with_message("status 200 with an HTML page"));
    }
    std::str::from_utf8(body)
        .ok()
        .and_then(|text| text.lines().next())
        .map(str::trim)
        .filter(|line| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_graphic()))
        .map(str::to_owned)
        .ok_or_else(|| local.nonsense("the answer is not a line of text"))
}
