//! IAM: what an account is called. One call, made by hand like those to EKS: a signed GET whose
//! answer is XML (IAM API, "`ListAccountAliases`":
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccountAliases.html>).

use super::{
    Aws, AwsError, answer::element, call::Call, codes::Service, eks::signed, hosts, sts::secrets_of,
};
use crate::model::{Credentials, Reach};

/// The version of the API that the parameters are of.
const QUERY: &str = "/?Action=ListAccountAliases&Version=2010-05-08";

impl Aws {
    /// Asks what the account of the credentials is called (`ListAccountAliases`); an account has one
    /// alias at most. IAM is one for all regions of a partition, so of `reach`'s region only the
    /// partition counts.
    pub async fn account_alias(
        &self,
        reach: &Reach,
        credentials: &Credentials,
    ) -> Result<Option<String>, AwsError> {
        let home = hosts::iam_region(reach.region.as_deref().unwrap_or_default());
        let reach = reach.to_region(home);
        let secrets = secrets_of(credentials);
        let call = self.call("ListAccountAliases", Service::Iam, &reach, secrets).await?;
        let result = self.first_alias(&call, credentials).await;
        call.log(&result);
        result
    }

    async fn first_alias(
        &self,
        call: &Call<'_>,
        credentials: &Credentials,
    ) -> Result<Option<String>, AwsError> {
        let url = format!("{}{QUERY}", self.url(Service::Iam, &call.route));
        let request = signed(call, credentials, "iam", &url)
            .ok_or_else(|| AwsError::local(call.operation, "the request could not be built"))?;
        let response =
            call.route.http.exchange(request).await.map_err(|error| call.unreachable(&error))?;
        let body = response.body().bytes().unwrap_or_default();
        let text = std::str::from_utf8(body).unwrap_or_default();
        if !response.status().is_success() || !text.contains("<ListAccountAliasesResult>") {
            return Err(call.refused_http(&response));
        }
        Ok(element(text, "member"))
    }
}
