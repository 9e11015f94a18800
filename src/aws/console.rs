//! The sign-in to the console that the AWS CLI keeps (`aws login`): its renewal. Not signed; the
//! refresh token goes along with a proof of the key that it is bound to (botocore `credentials.py`,
//! `LoginCredentialFetcher`; service model `signin`, `CreateOAuth2Token`).

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{
    Aws, AwsError, Class, Kind,
    call::Call,
    codes::Service,
    dpop::Key,
    sso::{filled, sane_expiry},
};
use crate::model::{ConsoleToken, Credentials, Reach, Secret};

pub(super) const OPERATION: &str = "CreateOAuth2Token";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    client_id: &'a str,
    grant_type: &'static str,
    refresh_token: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    access_token: AccessToken,
    expires_in: i64,
    refresh_token: Option<String>,
    id_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessToken {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
}

impl Aws {
    /// Renews a console sign-in (`CreateOAuth2Token`). What the answer does not hold stays as it was:
    /// account, client, key, and the id token, which comes with a login only.
    ///
    /// AWS answers the same refresh token twice within its time, but gives a new one each time: keep
    /// that. There is no default region, as botocore has none for this service.
    ///
    /// # Errors
    /// [`Kind::GrantRefused`]: the sign-in is over, or the password was changed; a person has to log in.
    /// [`Kind::AccessDenied`]: the person may not sign in this way.
    pub async fn refresh_console(
        &self,
        reach: &Reach,
        token: &ConsoleToken,
    ) -> Result<ConsoleToken, AwsError> {
        let key = Key::read(&token.dpop_key).ok_or_else(|| {
            AwsError::new(OPERATION, Class::NeedsPerson, Kind::GrantRefused)
                .with_message("the `dpopKey` of the sign-in is not a key that can be used")
        })?;
        let mut secrets = vec![token.refresh_token.expose()];
        secrets.extend(token.id_token.as_ref().map(Secret::expose));
        let call = self.call(OPERATION, Service::Signin, reach, secrets).await?;
        let result = self.exchange(&call, &key, token).await;
        call.log(&result);
        result
    }

    async fn exchange(
        &self,
        call: &Call<'_>,
        key: &Key,
        token: &ConsoleToken,
    ) -> Result<ConsoleToken, AwsError> {
        let url = format!("{}/v1/token", self.url(Service::Signin, &call.route));
        let request = request(call, key, token, &url)
            .ok_or_else(|| AwsError::local(OPERATION, "the request could not be built"))?;
        let sent = call.route.http.exchange(request).await;
        let response = sent.map_err(|error| call.unreachable(&error))?;
        if !response.status().is_success() {
            return Err(call.refused_http(&response));
        }
        let body = response.body().bytes().unwrap_or_default();
        // serde's message would quote the answer.
        let answer = serde_json::from_slice(body).map_err(|_| call.refused_http(&response))?;
        renewed(call, token, answer)
    }
}

fn request(call: &Call<'_>, key: &Key, token: &ConsoleToken, url: &str) -> Option<HttpRequest> {
    let body = Request {
        client_id: &token.client_id,
        grant_type: "refresh_token",
        refresh_token: token.refresh_token.expose(),
    };
    let proof = key.proof(url, call.signing_time)?;
    let mut proof = http::HeaderValue::from_str(proof.expose()).ok()?;
    proof.set_sensitive(true);
    let request = http::Request::builder()
        .method("POST")
        .uri(url)
        .header("accept", "application/json")
        .header("content-type", "application/json")
        .header("dpop", proof)
        .body(SdkBody::from(serde_json::to_vec(&body).ok()?))
        .ok()?;
    HttpRequest::try_from(request).ok()
}

fn renewed(call: &Call<'_>, old: &ConsoleToken, answer: Answer) -> Result<ConsoleToken, AwsError> {
    let new = answer.access_token;
    let secret = Secret::new(filled(call, new.secret_access_key)?);
    let session_token = Secret::new(filled(call, new.session_token)?);
    let expires_at = call.now().checked_add(SignedDuration::from_secs(answer.expires_in)).ok();
    let secret_of = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Secret::new);
    Ok(ConsoleToken {
        keys: Credentials {
            access_key_id: filled(call, new.access_key_id)?,
            secret_access_key: secret,
            session_token: Some(session_token),
            expires_at: Some(sane_expiry(call, expires_at)?),
            account_id: old.keys.account_id.clone(),
        },
        client_id: old.client_id.clone(),
        refresh_token: secret_of(answer.refresh_token).unwrap_or_else(|| old.refresh_token.clone()),
        id_token: secret_of(answer.id_token).or_else(|| old.id_token.clone()),
        dpop_key: old.dpop_key.clone(),
    })
}
