//! Credentials from around this machine: the container endpoint of ECS and EKS Pod Identity, and the
//! instance metadata service. Neither is signed, and neither is reached through a proxy: both are on
//! this machine or next to it, and what they hand out must not pass anybody else.

use std::{net::IpAddr, sync::Arc, time::Instant};

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    Aws, AwsError, Class, Deadlines, Kind, Surroundings,
    answer::{Answer, Headers, cleared, retry_after},
    call::unreachable,
    client::record,
    clock::Clocks,
    http::Http,
    sso::sane,
};
use crate::model::{Credentials, Reach, Secret, parse_instant};

const PASSES: Class = Class::MayPass { retry_after: None };

/// One conversation with an endpoint next to this machine.
pub(super) struct Local {
    pub(super) operation: &'static str,
    http: Http,
    host: String,
    now: Timestamp,
    began: Instant,
    /// What must not turn up in an error's text.
    secrets: Vec<Secret>,
}

impl Local {
    /// Prepares calls to the host of `url`, with connections of their own.
    pub(super) fn new(
        aws: &Aws,
        operation: &'static str,
        url: &str,
        deadlines: Deadlines,
    ) -> Result<Self, AwsError> {
        let failed = |message: String| AwsError::local(operation, &message);
        let direct = Surroundings {
            https_proxy: None,
            http_proxy: None,
            deadlines,
            ..aws.surroundings().clone()
        };
        // The clock of whoever answers is not that of AWS.
        let clocks = Arc::new(Clocks::new(Arc::clone(&direct.now)));
        let trust = if url.starts_with("https:") {
            aws.trust(&Reach::default()).map_err(failed)?
        } else {
            None
        };
        let http = Http::new(&direct, trust, clocks).map_err(failed)?;
        let host = host(url).unwrap_or_default();
        let (now, began) = (aws.now(), Instant::now());
        Ok(Self { operation, http, host, now, began, secrets: Vec::new() })
    }

    pub(super) fn hide(&mut self, secret: Secret) {
        self.secrets.push(secret);
    }

    fn secrets(&self) -> Vec<&str> {
        self.secrets.iter().map(Secret::expose).collect()
    }

    /// Sends a request and returns the whole answer, whatever it says.
    pub(super) async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&'static str, &Secret)],
    ) -> Result<HttpResponse, AwsError> {
        let mut request =
            http::Request::builder().method(method).uri(url).header("accept", "application/json");
        for (name, value) in headers {
            let mut value = http::HeaderValue::from_str(value.expose())
                .map_err(|_| self.local("what is to be sent has no form of a header"))?;
            value.set_sensitive(true);
            request = request.header(*name, value);
        }
        let request = request
            .body(SdkBody::empty())
            .ok()
            .and_then(|request| HttpRequest::try_from(request).ok())
            .ok_or_else(|| self.local("the request could not be built"))?;
        let sent = self.http.fetch(request).await;
        sent.map_err(|error| unreachable(self.operation, &self.host, &self.secrets(), &error))
    }

    pub(super) fn local(&self, message: &str) -> AwsError {
        AwsError::local(self.operation, message)
    }

    pub(super) fn error(&self, class: Class, kind: Kind) -> AwsError {
        AwsError::new(self.operation, class, kind).with_host(&self.host)
    }

    /// An answer makes no sense, for the reason given.
    pub(super) fn nonsense(&self, message: &str) -> AwsError {
        self.error(PASSES, Kind::Malformed).with_message(message)
    }

    /// Turns an answer with another status than 200 into an error. These endpoints are asked over
    /// loopback or a link-local address, or by TLS, so a status is theirs even without a code.
    pub(super) fn refused(&self, response: &HttpResponse) -> AwsError {
        let status = response.status().as_u16();
        let body = response.body().bytes().unwrap_or_default();
        let answer = Answer { status, headers: Headers::of(response.headers()), body };
        let words = answer.words();
        let text = match (words.message, answer.is_page()) {
            (Some(message), _) => message,
            (None, true) => String::new(),
            (None, false) => String::from_utf8_lossy(body).into_owned(),
        };
        let secrets = self.secrets();
        let message = match cleared(&text, &secrets) {
            text if text.is_empty() => format!("status {status}"),
            text => format!("status {status}: {text}"),
        };
        let wait = retry_after(answer.headers.retry_after, self.now);
        let (class, kind) = match status {
            429 => (Class::MayPass { retry_after: wait }, Kind::Throttled),
            500.. => (Class::MayPass { retry_after: wait }, Kind::ServerFault),
            401 | 403 => (Class::NeverWorks, Kind::AccessDenied),
            400..500 => (Class::NeverWorks, Kind::BadRequest),
            _ => (PASSES, Kind::Malformed),
        };
        let code = words.code.filter(|code| cleared(code, &secrets) == *code);
        self.error(class, kind).with_code(code).with_message(&message)
    }

    /// Reads the credentials of an answer with status 200: `AccessKeyId`, `SecretAccessKey`, `Token`
    /// and `Expiration`, without any of which botocore and the SDKs refuse it as well.
    pub(super) fn credentials(
        &self,
        mut fields: Map<String, Value>,
    ) -> Result<Credentials, AwsError> {
        let mut text = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) if is_header(&text) => Some(text),
            Some(Value::String(text)) => {
                drop(Secret::new(text));
                None
            }
            _ => None,
        };
        let access_key_id = text("AccessKeyId").ok_or_else(|| self.nonsense("no `AccessKeyId`"))?;
        let secret = text("SecretAccessKey")
            .map(Secret::new)
            .ok_or_else(|| self.nonsense("no `SecretAccessKey`"))?;
        // The Rust SDK takes either name.
        let token = text("Token")
            .or_else(|| text("SessionToken"))
            .map(Secret::new)
            .ok_or_else(|| self.nonsense("no `Token`"))?;
        let expiration = text("Expiration").ok_or_else(|| self.nonsense("no `Expiration`"))?;
        let expires_at =
            sane(self.now, parse_instant(&expiration)).map_err(|message| self.nonsense(message))?;
        Ok(Credentials {
            access_key_id,
            secret_access_key: secret,
            session_token: Some(token),
            expires_at: Some(expires_at),
            account_id: text("AccountId"),
        })
    }

    /// Returns the fields of a body of JSON.
    pub(super) fn fields(&self, response: &HttpResponse) -> Result<Map<String, Value>, AwsError> {
        let body = response.body().bytes().unwrap_or_default();
        if Headers::of(response.headers()).is_page(body) {
            return Err(self
                .error(PASSES, Kind::Page)
                .with_message("status 200 with an HTML page"));
        }
        // serde's message would quote the answer.
        serde_json::from_slice(body).map_err(|_| self.nonsense("the answer is not a JSON object"))
    }

    pub(super) fn log<T>(&self, result: &Result<T, AwsError>) {
        record(self.operation, "", self.began, result);
    }
}

/// Returns the host of a URL as it is shown, with its port.
fn host(url: &str) -> Option<String> {
    Some(url.parse::<http::Uri>().ok()?.authority()?.as_str().to_owned())
}

/// Returns the address in the host of a URL, where it is one.
pub(super) fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Keys and tokens go into headers.
fn is_header(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
