//! One call on its way: what its failures are turned into.

use std::{error::Error, io, sync::Arc, time::Instant};

use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse,
    result::{ConnectorError, SdkError},
};
use jiff::{SignedDuration, Timestamp};

use super::{
    Aws, AwsError, Class, Kind,
    answer::{Answer, Headers, cleared, retry_after, server_time_of},
    client::{Route, record},
    codes::{Service, may_be_the_clock, meaning},
    http::Fault,
};
use crate::model::Reach;

const PASSES: Class = Class::MayPass { retry_after: None };

/// More than any request takes; AWS itself begins to refuse at 5 min ahead and 15 min behind.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A call that is being made.
pub(crate) struct Call<'a> {
    pub(crate) operation: &'static str,
    pub(crate) route: Arc<Route>,
    service: Service,
    host: String,
    now: Timestamp,
    pub(crate) signing_time: Timestamp,
    /// What must not turn up in an error's text.
    secrets: Vec<&'a str>,
    began: Instant,
}

impl Aws {
    /// Begins a call.
    pub(crate) async fn call<'a>(
        &self,
        operation: &'static str,
        service: Service,
        reach: &Reach,
        secrets: Vec<&'a str>,
    ) -> Result<Call<'a>, AwsError> {
        // STS alone answers everywhere; the SDKs take the same region where none is set.
        let fallback = (service == Service::Sts).then_some("us-east-1");
        let route = self.route(operation, reach, fallback).await?;
        let url = self.url(service, &route);
        let host = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or(host);
        let host = host.rsplit('@').next().unwrap_or(host).to_owned();
        let began = Instant::now();
        let (now, signing_time) = (self.now(), self.signing_time());
        Ok(Call { operation, route, service, host, now, signing_time, secrets, began })
    }
}

impl Call<'_> {
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Ends the call: logs it and turns the SDK's error into ours.
    pub(crate) fn end<T, O, E>(
        &self,
        sent: Result<O, SdkError<E, HttpResponse>>,
        read: impl FnOnce(O) -> Result<T, AwsError>,
    ) -> Result<T, AwsError>
    where
        E: Error + 'static,
    {
        let result = sent.map_err(|error| self.failed(&error)).and_then(read);
        self.log(&result);
        result
    }

    pub(crate) fn log<T>(&self, result: &Result<T, AwsError>) {
        record(self.operation, &self.route.region, self.began, result);
    }

    fn error(&self, class: Class, kind: Kind) -> AwsError {
        AwsError::new(self.operation, class, kind).with_host(&self.host)
    }

    fn failed<E: Error + 'static>(&self, error: &SdkError<E, HttpResponse>) -> AwsError {
        match error {
            SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
                Some(error) => self.unreachable(error),
                None => self.error(PASSES, Kind::Connect),
            },
            SdkError::TimeoutError(_) => self.error(PASSES, Kind::Timeout),
            SdkError::ResponseError(answer) => self.refused_http(answer.raw()),
            SdkError::ServiceError(answer) => self.refused_http(answer.raw()),
            // Its text could repeat what was to be sent.
            _ => AwsError::local(self.operation, "the request could not be built"),
        }
    }

    /// An answer makes no sense, for the reason given.
    pub(crate) fn nonsense(&self, message: &str) -> AwsError {
        self.error(PASSES, Kind::Malformed).with_message(message)
    }

    pub(crate) fn refused_http(&self, response: &HttpResponse) -> AwsError {
        self.refused(&Answer {
            status: response.status().as_u16(),
            headers: Headers::of(response.headers()),
            body: response.body().bytes().unwrap_or_default(),
        })
    }

    /// Turns an answer that is not what was asked for into an error.
    pub(crate) fn refused(&self, answer: &Answer<'_>) -> AwsError {
        let mut words = answer.words();
        if self.service == Service::Signin {
            // One exception for four things that need different ones (service model `signin`).
            words.code = answer.error_field().or(words.code);
        }
        // A code has the letters of a token; one that was sent is not a code.
        words.code = words.code.filter(|code| cleared(code, &self.secrets) == *code);
        let message = cleared(words.message.as_deref().unwrap_or_default(), &self.secrets);
        let found = meaning(self.service, words.code.as_deref(), answer.status, &message)
            .filter(|_| 400 <= answer.status);
        let Some((class, kind)) = found else {
            let what = match answer.status {
                200..300 => "the answer is not of the service's form".to_owned(),
                status => format!("status {status} without an error code of AWS"),
            };
            let kind = if answer.is_page() { Kind::Page } else { Kind::Malformed };
            return self.error(PASSES, kind).with_message(&what).with_server_date(answer.date());
        };
        let (class, kind) =
            self.skew(words.code.as_deref(), &message, answer.date()).unwrap_or((class, kind));
        let class = match class {
            Class::MayPass { .. } => {
                Class::MayPass { retry_after: retry_after(answer.headers.retry_after, self.now) }
            }
            other => other,
        };
        let message = match (message.as_str(), &words.code) {
            ("", None) => format!("status {}", answer.status),
            _ => message,
        };
        self.error(class, kind)
            .with_code(words.code)
            .with_message(&message)
            .with_request_id(words.request_id.map(|id| cleared(&id, &self.secrets)))
            .with_server_date(answer.date())
    }

    /// Signature errors are about the clock where they say so, or where AWS's clock is far away.
    fn skew(
        &self,
        code: Option<&str>,
        message: &str,
        date: Option<Timestamp>,
    ) -> Option<(Class, Kind)> {
        if !code.is_some_and(may_be_the_clock) {
            return None;
        }
        let says_so = message.contains("Signature expired") || message.contains("not yet current");
        let server = date.or_else(|| server_time_of(message));
        let ahead = server.map(|server| self.now.duration_since(server));
        let is_far = ahead.is_some_and(|ahead| SKEW < ahead.abs());
        (says_so || is_far)
            .then(|| (PASSES, Kind::ClockSkew { ahead: ahead.map_or(0, |ahead| ahead.as_secs()) }))
    }

    /// Turns a failure below HTTP into an error.
    pub(crate) fn unreachable(&self, error: &ConnectorError) -> AwsError {
        unreachable(self.operation, &self.host, &self.secrets, error)
    }
}

/// Turns a failure below HTTP into an error.
pub(crate) fn unreachable(
    operation: &'static str,
    host: &str,
    secrets: &[&str],
    error: &ConnectorError,
) -> AwsError {
    let mut kind = if error.is_timeout() { Kind::Timeout } else { Kind::Connect };
    let mut deepest = String::new();
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        deepest = cause.to_string();
        if let Some(fault) = cause.downcast_ref::<Fault>() {
            kind = match fault {
                Fault::TooLong | Fault::Cut => Kind::Malformed,
                Fault::Page { .. } | Fault::Redirect { .. } => Kind::Page,
                Fault::ProxyAuth => Kind::Proxy,
            };
            break;
        }
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            let untrusted = matches!(error, rustls::Error::InvalidCertificate(_));
            kind = Kind::Tls { untrusted };
            break;
        }
        // hyper-util's errors for name look-up and for CONNECT are not public types.
        if deepest.starts_with("dns error") {
            kind = Kind::Dns;
        } else if deepest.starts_with("tunnel error") {
            kind = Kind::Proxy;
        }
        next = match cause.downcast_ref::<io::Error>() {
            // The source of an `io::Error` is its payload's source: the payload is skipped.
            Some(error) => error.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => cause.source(),
        };
    }
    AwsError::new(operation, PASSES, kind).with_host(host).with_message(&cleared(&deepest, secrets))
}
