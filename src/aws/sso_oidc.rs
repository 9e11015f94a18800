//! SSO OIDC: client registration, the two ways to log in, and the renewal of tokens.
//!
//! Not signed; JSON bodies with the API's own names, not `OAuth`'s form encoding (SSO OIDC API).
//! The flows are the AWS CLI's (aws-cli `customizations/configure/sso.py`, botocore `utils.py`
//! `SSOTokenFetcher` and `SSOTokenFetcherAuth`).

use std::{fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{Aws, AwsError, call::Call, codes::Service, eks_token::push_encoded, sso::filled};
use crate::model::{LoginKey, Reach, Registration, Secret, SsoLogin, SsoToken};

/// How registrations call themselves; AWS shows it to the person who approves a login.
const CLIENT_NAME: &str = "eksd";

/// The AWS CLI's default; without a scope the device flow brings no refresh token.
const DEFAULT_SCOPE: &str = "sso:account:access";

/// Registered without a port: any port of loopback then fits (RFC 8252 section 7.3).
const REDIRECT_URI: &str = "http://127.0.0.1/oauth/callback";

/// How often to ask where AWS does not say (RFC 8628 section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);

/// Which way of logging in a registration is for: neither takes the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Authorization code with PKCE, in a browser on this machine.
    Browser,
    /// A code that the person types in a browser anywhere.
    Device,
}

/// A device login that waits for its person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceAuthorization {
    /// What the login is asked for with.
    pub device_code: Secret,
    /// What the person compares or types.
    pub user_code: String,
    /// Where the person types it.
    pub verification_uri: String,
    /// The same page with the code filled in.
    pub verification_uri_complete: Option<String>,
    /// When the codes end.
    pub expires_at: Timestamp,
    /// How long to wait between two questions.
    pub interval: Duration,
}

/// What a token is asked for with.
#[derive(Clone, PartialEq, Eq)]
pub enum TokenRequest {
    /// The device flow.
    DeviceCode {
        /// From [`DeviceAuthorization`].
        device_code: Secret,
    },
    /// The browser flow.
    AuthorizationCode {
        /// What the redirection brought.
        code: Secret,
        /// The redirection's address, with its port.
        redirect_uri: String,
        /// What the challenge was made of.
        verifier: Secret,
    },
    /// A renewal. The token works once: keep the one that the answer holds.
    Refresh {
        /// The refresh token.
        token: Secret,
    },
}

impl TokenRequest {
    fn grant_type(&self) -> &'static str {
        match self {
            Self::DeviceCode { .. } => "urn:ietf:params:oauth:grant-type:device_code",
            Self::AuthorizationCode { .. } => "authorization_code",
            Self::Refresh { .. } => "refresh_token",
        }
    }

    fn secrets(&self) -> Vec<&str> {
        match self {
            Self::DeviceCode { device_code } => vec![device_code.expose()],
            Self::AuthorizationCode { code, verifier, .. } => {
                vec![code.expose(), verifier.expose()]
            }
            Self::Refresh { token } => vec![token.expose()],
        }
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest")
            .field("grant_type", &self.grant_type())
            .finish_non_exhaustive()
    }
}

impl Aws {
    /// Registers eksd as a public client for one way of logging in (`RegisterClient`).
    ///
    /// # Errors
    /// [`Kind::BadRequest`](super::Kind::BadRequest) where start URL, region or scopes are wrong.
    pub async fn register_client(
        &self,
        login: &SsoLogin,
        grant: Grant,
    ) -> Result<Registration, AwsError> {
        let call = self.call("RegisterClient", Service::SsoOidc, &login.reach, vec![]).await?;
        let scopes = scopes(login, grant);
        let mut request = call
            .route
            .oidc
            .register_client()
            .client_name(CLIENT_NAME)
            .client_type("public")
            .set_scopes(Some(scopes.clone()).filter(|scopes| !scopes.is_empty()));
        if grant == Grant::Browser {
            request = request
                .grant_types("authorization_code")
                .grant_types("refresh_token")
                .redirect_uris(REDIRECT_URI)
                .issuer_url(&login.start_url);
        }
        call.end(request.send().await, |answer| {
            let (Some(client_id), Some(client_secret)) = (answer.client_id, answer.client_secret)
            else {
                return Err(call.nonsense("a registration without id or secret"));
            };
            let expires_at = Timestamp::from_second(answer.client_secret_expires_at)
                .ok()
                .filter(|at| call.now() < *at)
                .ok_or_else(|| call.nonsense("a registration that has ended already"))?;
            Ok(Registration {
                client_id: filled(&call, client_id)?,
                client_secret: Secret::new(filled(&call, client_secret)?),
                expires_at,
                scopes,
            })
        })
    }

    /// Begins a device login (`StartDeviceAuthorization`).
    pub async fn start_device_authorization(
        &self,
        login: &SsoLogin,
        registration: &Registration,
    ) -> Result<DeviceAuthorization, AwsError> {
        let secrets = vec![registration.client_secret.expose()];
        let call =
            self.call("StartDeviceAuthorization", Service::SsoOidc, &login.reach, secrets).await?;
        let sent = call
            .route
            .oidc
            .start_device_authorization()
            .client_id(&registration.client_id)
            .client_secret(registration.client_secret.expose())
            .start_url(&login.start_url)
            .send()
            .await;
        call.end(sent, |answer| {
            let (Some(device_code), Some(user_code), Some(verification_uri)) =
                (answer.device_code, answer.user_code, answer.verification_uri)
            else {
                return Err(call.nonsense("a device login without code or address"));
            };
            let complete = answer.verification_uri_complete.filter(|uri| !uri.is_empty());
            if !is_web_address(&verification_uri) || !complete.as_deref().is_none_or(is_web_address)
            {
                return Err(call.nonsense("the login page is not a web address"));
            }
            Ok(DeviceAuthorization {
                device_code: Secret::new(filled(&call, device_code)?),
                user_code: filled(&call, user_code)?,
                verification_uri,
                verification_uri_complete: complete,
                expires_at: ends_in(&call, answer.expires_in)?,
                interval: u64::try_from(answer.interval)
                    .ok()
                    .filter(|seconds| 0 < *seconds)
                    .map_or(INTERVAL, Duration::from_secs),
            })
        })
    }

    /// Asks for a token (`CreateToken`). The answer's registration is the one passed in; its
    /// refresh token is the old one where AWS sends none, as the Rust SDK has it.
    ///
    /// # Errors
    /// While a device login waits: [`Kind::LoginPending`](super::Kind::LoginPending) and
    /// [`Kind::SlowDown`](super::Kind::SlowDown).
    pub async fn create_token(
        &self,
        reach: &Reach,
        registration: &Registration,
        request: &TokenRequest,
    ) -> Result<SsoToken, AwsError> {
        let mut secrets = request.secrets();
        secrets.push(registration.client_secret.expose());
        let call = self.call("CreateToken", Service::SsoOidc, reach, secrets).await?;
        let create = call
            .route
            .oidc
            .create_token()
            .client_id(&registration.client_id)
            .client_secret(registration.client_secret.expose())
            .grant_type(request.grant_type());
        let create = match request {
            TokenRequest::DeviceCode { device_code } => create.device_code(device_code.expose()),
            TokenRequest::AuthorizationCode { code, redirect_uri, verifier } => create
                .code(code.expose())
                .redirect_uri(redirect_uri)
                .code_verifier(verifier.expose()),
            TokenRequest::Refresh { token } => create.refresh_token(token.expose()),
        };
        let old = match request {
            TokenRequest::Refresh { token } => Some(token.clone()),
            _ => None,
        };
        call.end(create.send().await, |answer| {
            let access_token =
                answer.access_token.ok_or_else(|| call.nonsense("no access token in it"))?;
            Ok(SsoToken {
                access_token: Secret::new(filled(&call, access_token)?),
                expires_at: ends_in(&call, answer.expires_in)?,
                refresh_token: answer
                    .refresh_token
                    .filter(|token| !token.is_empty())
                    .map(Secret::new)
                    .or(old),
                registration: Some(registration.clone()),
            })
        })
    }

    /// Returns the page on which a person approves a browser login. Parameters and their order
    /// are the AWS CLI's: `scopes` in the plural, where `OAuth` has `scope`.
    ///
    /// # Errors
    /// Fails without a region.
    pub fn authorize_url(
        &self,
        login: &SsoLogin,
        registration: &Registration,
        redirect_uri: &str,
        state: &str,
        challenge: &str,
    ) -> Result<String, AwsError> {
        let mut url = self.oidc_url(&login.reach)?;
        url.push_str("/authorize?response_type=code");
        for (name, value) in [
            ("client_id", registration.client_id.as_str()),
            ("redirect_uri", redirect_uri),
            ("state", state),
            ("code_challenge_method", "S256"),
            ("scopes", &scopes(login, Grant::Browser).join(" ")),
            ("code_challenge", challenge),
        ] {
            url.push('&');
            url.push_str(name);
            url.push('=');
            push_encoded(&mut url, value);
        }
        Ok(url)
    }
}

fn scopes(login: &SsoLogin, grant: Grant) -> Vec<String> {
    let wants_default = match grant {
        Grant::Browser => true,
        // Legacy profiles get one token for the whole session and no refresh, as with the CLI.
        Grant::Device => matches!(login.key, LoginKey::Named(_)),
    };
    if login.scopes.is_empty() && wants_default {
        vec![DEFAULT_SCOPE.to_owned()]
    } else {
        login.scopes.clone()
    }
}

/// The address is shown and opened: nothing but a web page may come of it.
fn is_web_address(uri: &str) -> bool {
    (uri.starts_with("https://") || uri.starts_with("http://"))
        && uri.bytes().all(|b| b.is_ascii_graphic())
}

fn ends_in(call: &Call<'_>, seconds: i32) -> Result<Timestamp, AwsError> {
    Some(seconds)
        .filter(|seconds| 0 < *seconds)
        .and_then(|seconds| call.now().checked_add(SignedDuration::from_secs(seconds.into())).ok())
        .ok_or_else(|| call.nonsense("what it brings has ended already"))
}
