//! The one HTTP client under all calls: connections, proxies, deadlines, and a first look at each
//! answer before anything parses it.
//!
//! Answers are read to the end here, within the deadline and up to a limit, so that a cut or
//! endless body, or a page from somebody else, is a failure to reach AWS before the SDK sees it.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{self, TlsContext, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};

use super::{
    answer::{Answer, Headers, is_page},
    client::{Deadlines, Surroundings},
    clock::Clocks,
    trust,
};

/// No answer that eksd asks for is near this; a list of 100 clusters has 10 KB.
const LONGEST_BODY: usize = 1024 * 1024;

/// An HTTP client for one set of trusted authorities.
#[derive(Clone)]
pub(crate) struct Http(Arc<Inner>);

struct Inner {
    plain: SharedHttpConnector,
    // Made at the first use of TLS: reading the platform's roots costs tens of milliseconds.
    secure: OnceLock<SharedHttpConnector>,
    trust: Option<TlsContext>,
    https_proxy: ProxyConfig,
    deadlines: Deadlines,
    clocks: Arc<Clocks>,
}

/// Something came back, but not an answer of AWS.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The body is longer than any answer.
    TooLong,
    /// The connection broke within the body.
    Cut,
    /// A page for a browser.
    Page { status: u16 },
    /// AWS's JSON and XML services never redirect.
    Redirect { status: u16 },
    /// 407: the proxy wants a password.
    ProxyAuth,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the answer is longer than {LONGEST_BODY} bytes"),
            Self::Cut => f.write_str("the answer was cut off"),
            Self::Page { status } => write!(f, "status {status} with an HTML page"),
            Self::Redirect { status } => write!(f, "status {status}, a redirection"),
            Self::ProxyAuth => f.write_str("the proxy asks for a password (status 407)"),
        }
    }
}

impl std::error::Error for Fault {}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl Http {
    /// Makes a client. `trust` of `None` means the platform's roots.
    pub(crate) fn new(
        around: &Surroundings,
        trust: Option<TlsContext>,
        clocks: Arc<Clocks>,
    ) -> Result<Self, String> {
        let for_http = proxy(around.http_proxy.as_deref(), "HTTP_PROXY", ProxyConfig::http)?;
        let for_https = proxy(around.https_proxy.as_deref(), "HTTPS_PROXY", ProxyConfig::https)?;
        // Loopback is never behind a proxy, whatever NO_PROXY says (as in Go, net/http
        // `ProxyFromEnvironment`).
        let direct =
            format!("localhost,127.0.0.0/8,::1,{}", around.no_proxy.as_deref().unwrap_or_default());
        let plain =
            connector(trust::nobody()?, for_http.no_proxy(&direct), around.deadlines.connect);
        Ok(Self(Arc::new(Inner {
            plain,
            secure: OnceLock::new(),
            trust,
            https_proxy: for_https.no_proxy(&direct),
            deadlines: around.deadlines,
            clocks,
        })))
    }

    fn connector_for(&self, request: &HttpRequest) -> Result<&SharedHttpConnector, ConnectorError> {
        let inner = &*self.0;
        if !request.uri().starts_with("https:") {
            return Ok(&inner.plain);
        }
        if let Some(secure) = inner.secure.get() {
            return Ok(secure);
        }
        let trust = match &inner.trust {
            Some(trust) => trust.clone(),
            None => trust::platform().map_err(|error| ConnectorError::user(error.into()))?,
        };
        let proxy = inner.https_proxy.clone();
        Ok(inner.secure.get_or_init(|| connector(trust, proxy, inner.deadlines.connect)))
    }

    /// Sends a request and reads the whole answer, within the attempt's deadline. What cannot be an
    /// answer of AWS is an error.
    pub(crate) async fn exchange(
        &self,
        request: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        let response = self.fetch(request).await?;
        self.look_at(&response)?;
        Ok(response)
    }

    /// Does as [`Http::exchange`] does, and leaves it to the caller to look at the answer.
    pub(crate) async fn fetch(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let sent = self.connector_for(&request)?.call(request);
        let whole = async {
            let mut response = sent.await?;
            let body = read(response.take_body()).await?;
            *response.body_mut() = SdkBody::from(body);
            Ok(response)
        };
        tokio::time::timeout(self.0.deadlines.attempt, whole)
            .await
            .unwrap_or_else(|late| Err(ConnectorError::timeout(late.into())))
    }

    fn look_at(&self, response: &HttpResponse) -> Result<(), ConnectorError> {
        let status = response.status().as_u16();
        let headers = Headers::of(response.headers());
        let body = response.body().bytes().unwrap_or_default();
        let fault = match status {
            407 => Some(Fault::ProxyAuth),
            300..400 => Some(Fault::Redirect { status }),
            // What a load balancer of AWS says when the service behind it is away is a page too.
            429 | 500.. => None,
            _ if is_page(headers.content_type, body) => Some(Fault::Page { status }),
            _ => None,
        };
        if let Some(fault) = fault {
            return Err(ConnectorError::other(fault.into(), None));
        }
        if let Some(server) = (Answer { status, headers, body }).date() {
            self.0.clocks.saw(server);
        }
        Ok(())
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.clone();
        HttpConnectorFuture::new(async move { http.exchange(request).await })
    }
}

impl HttpClient for Http {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn connector(trust: TlsContext, proxy: ProxyConfig, connect: Duration) -> SharedHttpConnector {
    let settings = HttpConnectorSettings::builder().connect_timeout(connect).build();
    SharedHttpConnector::new(
        Connector::builder()
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .tls_context(trust)
            .proxy_config(proxy)
            .connector_settings(settings)
            .sleep_impl(TokioSleep::new())
            // AWS closes idle connections after some 20 s; a suspended laptop's are dead anyway.
            .pool_idle_timeout(Duration::from_secs(15))
            .build(),
    )
}

/// The variables may hold a password, so the message names only the variable.
fn proxy<E>(
    url: Option<&str>,
    variable: &str,
    make: fn(String) -> Result<ProxyConfig, E>,
) -> Result<ProxyConfig, String> {
    let Some(url) = url.map(str::trim).filter(|url| !url.is_empty()) else {
        return Ok(ProxyConfig::disabled());
    };
    // `proxy:3128` is fine for curl and the AWS CLI.
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    make(url).map_err(|_| format!("{variable} is not the URL of a proxy"))
}

async fn read(body: SdkBody) -> Result<Vec<u8>, ConnectorError> {
    let mut stream = ByteStream::new(body);
    let mut whole = Vec::new();
    loop {
        match stream.try_next().await {
            Ok(Some(chunk)) if whole.len() + chunk.len() <= LONGEST_BODY => {
                whole.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => return Err(ConnectorError::other(Fault::TooLong.into(), None)),
            Ok(None) => return Ok(whole),
            Err(_) => return Err(ConnectorError::other(Fault::Cut.into(), None)),
        }
    }
}
