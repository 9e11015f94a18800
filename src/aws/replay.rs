//! The request inside a token, sent as the cluster's authenticator sends it: whether AWS takes it, and
//! who it says it is from (aws-iam-authenticator `pkg/token/token.go`, `Verify`). It needs no permission.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use serde::Deserialize;

use super::{
    Aws, AwsError, CallerIdentity, call::Call, codes::Service, eks_token::url_in, sts::secrets_of,
};
use crate::model::{Credentials, Reach, Secret};

const OPERATION: &str = "GetCallerIdentity";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    get_caller_identity_response: Inner,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inner {
    get_caller_identity_result: Identity,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Identity {
    account: String,
    arn: String,
    user_id: String,
}

impl Aws {
    /// Sends the request inside `token`, which these credentials signed for the cluster `cluster_id`.
    ///
    /// # Errors
    /// What STS says of it, with its code: that is what the cluster would be told.
    pub async fn replay(
        &self,
        reach: &Reach,
        credentials: &Credentials,
        token: &Secret,
        cluster_id: &str,
    ) -> Result<CallerIdentity, AwsError> {
        let unusable = || AwsError::local(OPERATION, "the token could not be taken apart");
        let url = url_in(token).ok_or_else(unusable)?;
        let mut secrets = secrets_of(credentials);
        // The signature, and the session token as it is written in a URL.
        secrets.extend(url.expose().split(['=', '&']).filter(|part| 60 < part.len()));
        let call = self.call(OPERATION, Service::Sts, reach, secrets).await?;
        let request = http::Request::builder()
            .method("GET")
            .uri(url.expose())
            .header("x-k8s-aws-id", cluster_id)
            .header("accept", "application/json")
            .body(SdkBody::empty())
            .ok()
            .and_then(|request| HttpRequest::try_from(request).ok())
            .ok_or_else(unusable)?;
        let answer = call.route.http.exchange(request).await;
        let result = answer
            .map_err(|error| call.unreachable(&error))
            .and_then(|response| identity(&call, &response));
        call.log(&result);
        result
    }
}

fn identity(call: &Call<'_>, response: &HttpResponse) -> Result<CallerIdentity, AwsError> {
    if !response.status().is_success() {
        return Err(call.refused_http(response));
    }
    let body = response.body().bytes().unwrap_or_default();
    let body: Body = serde_json::from_slice(body).map_err(|_| call.refused_http(response))?;
    let Identity { account, arn, user_id } =
        body.get_caller_identity_response.get_caller_identity_result;
    Ok(CallerIdentity { account, arn, user_id })
}
