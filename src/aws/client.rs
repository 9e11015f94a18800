//! [`Aws`]: what every call shares, and the way from a [`Reach`] to ready clients.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls::TlsContext;
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use jiff::{SignedDuration, Timestamp};

use super::{
    AwsError, InstanceMetadata, StsEndpoint,
    clock::{Clocks, Now, SdkClock},
    codes::Service,
    hosts,
    http::Http,
    trust,
};
use crate::model::Reach;

/// Endpoints that stand in for AWS's own.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// `AWS_ENDPOINT_URL`: for each service without one of its own.
    pub all: Option<String>,
    /// `AWS_ENDPOINT_URL_STS`.
    pub sts: Option<String>,
    /// `AWS_ENDPOINT_URL_SSO`.
    pub sso: Option<String>,
    /// `AWS_ENDPOINT_URL_SSO_OIDC`.
    pub sso_oidc: Option<String>,
    /// `AWS_ENDPOINT_URL_EKS`.
    pub eks: Option<String>,
    /// `AWS_ENDPOINT_URL_SIGNIN`.
    pub signin: Option<String>,
    /// `AWS_ENDPOINT_URL_IAM`.
    pub iam: Option<String>,
}

impl Endpoints {
    fn of(&self, service: Service) -> Option<&str> {
        let own = match service {
            Service::SsoOidc => &self.sso_oidc,
            Service::Sso => &self.sso,
            Service::Sts => &self.sts,
            Service::Eks => &self.eks,
            Service::Signin => &self.signin,
            Service::Iam => &self.iam,
        };
        own.as_deref().or(self.all.as_deref()).filter(|url| !url.is_empty())
    }
}

/// How long a call may take. There is one attempt; whoever calls decides about the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// To connect, TLS and proxy included: the SDKs' default.
    pub connect: Duration,
    /// For the whole attempt, the body included.
    pub attempt: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_millis(3100), attempt: Duration::from_secs(10) }
    }
}

/// What the environment said about calls when the agent started. Nothing in this room reads the
/// environment or a profile file itself.
#[derive(Clone)]
pub struct Surroundings {
    /// Endpoints in place of AWS's own.
    pub endpoints: Endpoints,
    /// `AWS_CA_BUNDLE`: wins over a profile's `ca_bundle` (botocore `configprovider.py`: the
    /// environment before the file).
    pub ca_bundle: Option<PathBuf>,
    /// `SSL_CERT_FILE`: where no CA bundle is set.
    pub ssl_cert_file: Option<PathBuf>,
    /// `HTTPS_PROXY` or `https_proxy`.
    pub https_proxy: Option<String>,
    /// `HTTP_PROXY` or `http_proxy`.
    pub http_proxy: Option<String>,
    /// `NO_PROXY` or `no_proxy`.
    pub no_proxy: Option<String>,
    /// `AWS_USE_FIPS_ENDPOINT`: wins over the profile where it is set.
    pub fips: Option<bool>,
    /// `AWS_USE_DUALSTACK_ENDPOINT`: wins over the profile where it is set.
    pub dual_stack: Option<bool>,
    /// `AWS_REGION` or `AWS_DEFAULT_REGION`: for what names no region.
    pub region: Option<String>,
    /// About the instance metadata service.
    pub instance: InstanceMetadata,
    /// How long calls may take.
    pub deadlines: Deadlines,
    /// This machine's clock, uncorrected.
    pub now: Now,
}

impl Surroundings {
    /// Returns surroundings in which nothing is set.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            endpoints: Endpoints::default(),
            ca_bundle: None,
            ssl_cert_file: None,
            https_proxy: None,
            http_proxy: None,
            no_proxy: None,
            fips: None,
            dual_stack: None,
            region: None,
            instance: InstanceMetadata::default(),
            deadlines: Deadlines::default(),
            now: Arc::new(now),
        }
    }
}

impl fmt::Debug for Surroundings {
    /// Leaves out the proxies: their URLs may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("endpoints", &self.endpoints)
            .field("ca_bundle", &self.ca_bundle)
            .field("ssl_cert_file", &self.ssl_cert_file)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// All calls to AWS. Cheap to share, safe to use from many tasks.
pub struct Aws {
    around: Surroundings,
    clocks: Arc<Clocks>,
    https: Mutex<HashMap<Option<Bundle>, Http>>,
    routes: Mutex<HashMap<RouteKey, Arc<Route>>>,
}

/// A CA bundle at one time: a file that was replaced is another bundle.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Bundle {
    path: PathBuf,
    modified: Option<SystemTime>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct RouteKey {
    region: String,
    fips: bool,
    dual_stack: bool,
    bundle: Option<Bundle>,
}

/// Ready clients for one region and way out.
pub(crate) struct Route {
    pub(crate) region: String,
    fips: bool,
    dual_stack: bool,
    pub(crate) http: Http,
    pub(crate) sso: aws_sdk_sso::Client,
    pub(crate) oidc: aws_sdk_ssooidc::Client,
    pub(crate) sts: aws_sdk_sts::config::Builder,
}

/// A person has some ten regions; beyond this, something else is at work.
const MOST_ROUTES: usize = 256;

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").field("around", &self.around).finish_non_exhaustive()
    }
}

impl Aws {
    /// Makes the room. Nothing is read and nothing is called yet.
    ///
    /// # Errors
    /// Fails where an endpoint or a proxy is not a URL.
    pub fn new(around: Surroundings) -> Result<Self, AwsError> {
        let endpoints = &around.endpoints;
        for (variable, url) in [
            ("AWS_ENDPOINT_URL", &endpoints.all),
            ("AWS_ENDPOINT_URL_STS", &endpoints.sts),
            ("AWS_ENDPOINT_URL_SSO", &endpoints.sso),
            ("AWS_ENDPOINT_URL_SSO_OIDC", &endpoints.sso_oidc),
            ("AWS_ENDPOINT_URL_EKS", &endpoints.eks),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &around.instance.endpoint),
            ("AWS_ENDPOINT_URL_SIGNIN", &endpoints.signin),
            ("AWS_ENDPOINT_URL_IAM", &endpoints.iam),
        ] {
            if let Some(url) = url
                && !url.is_empty()
                && !is_endpoint(url)
            {
                let message = format!("{variable} is not an http or https URL");
                return Err(AwsError::local("Configure", &message));
            }
        }
        let clocks = Arc::new(Clocks::new(Arc::clone(&around.now)));
        Http::new(&around, None, Arc::clone(&clocks))
            .map_err(|message| AwsError::local("Configure", &message))?;
        Ok(Self { around, clocks, https: Mutex::default(), routes: Mutex::default() })
    }

    /// Returns by how much this machine's clock is ahead of AWS's (negative: behind), to a second
    /// or two. `None` until AWS has answered, and after the clock was set.
    pub fn ahead(&self) -> Option<SignedDuration> {
        self.clocks.ahead()
    }

    /// Returns the time to sign with: this machine's, corrected where AWS's is 30 s to 15 min
    /// away. EKS tokens are to be minted at it; beyond 15 min ([`Aws::ahead`]) they would be
    /// refused, and the person has to set the clock.
    pub fn signing_time(&self) -> Timestamp {
        self.clocks.signing_time()
    }

    /// Returns the STS endpoint that tokens for clusters in `reach`'s region name.
    ///
    /// # Errors
    /// Fails without a region.
    pub fn sts_endpoint(&self, reach: &Reach) -> Result<StsEndpoint, AwsError> {
        let region = self.region("MintToken", reach, None)?;
        let url = match self.around.endpoints.of(Service::Sts) {
            Some(own) => own.trim_end_matches('/').to_owned(),
            None => hosts::sts_in_token(&region, self.fips(reach), self.dual_stack(reach)),
        };
        Ok(StsEndpoint { url, region })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clocks.now()
    }

    pub(super) fn surroundings(&self) -> &Surroundings {
        &self.around
    }

    /// Returns which authorities calls by `reach` believe; `None` is the platform's.
    pub(super) fn trust(&self, reach: &Reach) -> Result<Option<TlsContext>, String> {
        self.bundle(reach).map(|bundle| trust::bundle(&bundle.path)).transpose()
    }

    /// Returns the base URL of a service, without a final slash.
    pub(crate) fn url(&self, service: Service, route: &Route) -> String {
        self.base_url(service, &route.region, route.fips, route.dual_stack)
    }

    /// Returns the base URL without making clients first.
    pub(crate) fn oidc_url(&self, reach: &Reach) -> Result<String, AwsError> {
        let region = self.region("Authorize", reach, None)?;
        Ok(self.base_url(Service::SsoOidc, &region, self.fips(reach), self.dual_stack(reach)))
    }

    fn base_url(&self, service: Service, region: &str, fips: bool, dual_stack: bool) -> String {
        if let Some(url) = self.around.endpoints.of(service) {
            return url.trim_end_matches('/').to_owned();
        }
        match service {
            Service::SsoOidc => hosts::sso_oidc(region, fips, dual_stack),
            Service::Sso => hosts::sso(region, fips, dual_stack),
            Service::Sts => hosts::sts(region, fips, dual_stack),
            Service::Eks => hosts::eks(region, fips, dual_stack),
            Service::Signin => hosts::signin(region, fips, dual_stack),
            Service::Iam => hosts::iam(region, fips, dual_stack).to_owned(),
        }
    }

    fn fips(&self, reach: &Reach) -> bool {
        self.around.fips.unwrap_or(reach.fips)
    }

    fn dual_stack(&self, reach: &Reach) -> bool {
        self.around.dual_stack.unwrap_or(reach.dual_stack)
    }

    fn region(
        &self,
        operation: &'static str,
        reach: &Reach,
        fallback: Option<&str>,
    ) -> Result<String, AwsError> {
        let set = reach.region.as_deref().or(self.around.region.as_deref()).or(fallback);
        match set {
            Some(region) if hosts::is_region(region) => Ok(region.to_owned()),
            Some(_) => Err(AwsError::local(operation, "the `region` is not the name of a region")),
            None => Err(AwsError::local(operation, "no `region` is set")),
        }
    }

    /// Returns ready clients for a way out.
    pub(crate) async fn route(
        &self,
        operation: &'static str,
        reach: &Reach,
        fallback: Option<&str>,
    ) -> Result<Arc<Route>, AwsError> {
        let key = RouteKey {
            region: self.region(operation, reach, fallback)?,
            fips: self.fips(reach),
            dual_stack: self.dual_stack(reach),
            bundle: self.bundle(reach),
        };
        if let Some(route) =
            self.routes.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
        {
            return Ok(route);
        }
        let http = self
            .http(key.bundle.as_ref())
            .map_err(|message| AwsError::local(operation, &message))?;
        let base = self.sdk_config(&key, &http).await;
        let route = Arc::new(self.clients(&key, http, &base));
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if routes.len() == MOST_ROUTES {
            routes.clear();
        }
        routes.insert(key, Arc::clone(&route));
        Ok(route)
    }

    fn bundle(&self, reach: &Reach) -> Option<Bundle> {
        let path = self
            .around
            .ca_bundle
            .as_deref()
            .or(reach.ca_bundle.as_deref().map(Path::new))
            .or(self.around.ssl_cert_file.as_deref())
            .filter(|path| !path.as_os_str().is_empty())?;
        let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        Some(Bundle { path: path.to_owned(), modified })
    }

    fn http(&self, bundle: Option<&Bundle>) -> Result<Http, String> {
        let mut https = self.https.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = https.get(&bundle.cloned()) {
            return Ok(http.clone());
        }
        let trust = bundle.map(|bundle| trust::bundle(&bundle.path)).transpose()?;
        let http = Http::new(&self.around, trust, Arc::clone(&self.clocks))?;
        // Older states of the same file are of no use any more.
        https.retain(|known, _| {
            known.as_ref().map(|known| &known.path) != bundle.map(|bundle| &bundle.path)
        });
        https.insert(bundle.cloned(), http.clone());
        Ok(http)
    }

    /// Builds the SDK's configuration from what is passed here and nothing else.
    ///
    /// Whatever the loader is not told, it looks up in the environment and in the profile files:
    /// the files are replaced by an empty one, every setting that matters is told, and what the
    /// service clients would look up later (`AWS_ENDPOINT_URL_…`) is cut off afterwards. A test
    /// runs a call in a process with a hostile environment.
    async fn sdk_config(&self, key: &RouteKey, http: &Http) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.around.deadlines.connect)
            .operation_attempt_timeout(self.around.deadlines.attempt)
            .build();
        let loader: ConfigLoader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(key.region.clone()))
            .use_fips(key.fips)
            .use_dual_stack(key.dual_stack)
            .http_client(http.clone())
            .time_source(SdkClock(Arc::clone(&self.clocks)))
            .sleep_impl(TokioSleep::new())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .identity_cache(aws_config::identity::IdentityCache::no_cache())
            // `Clocks` does it, for EKS and for tokens as well.
            .disable_clock_skew_correction(true)
            .disable_request_compression(true)
            .request_min_compression_size_bytes(10_240)
            .profile_files(no_files())
            .endpoint_url("http://127.0.0.1:9")
            .no_credentials();
        let mut config = loader.load().await.into_builder();
        config.set_endpoint_url(None);
        config.set_app_name(None);
        config.set_service_config(Some(Nothing));
        config.build()
    }

    fn clients(&self, key: &RouteKey, http: Http, base: &SdkConfig) -> Route {
        // An endpoint of one's own cannot be combined with FIPS or dual stack (endpoint rules).
        let own = |service| self.around.endpoints.of(service).map(str::to_owned);
        let mut sso = aws_sdk_sso::config::Builder::from(base);
        if let Some(url) = own(Service::Sso) {
            sso = sso.endpoint_url(url).use_fips(false).use_dual_stack(false);
        }
        let mut oidc = aws_sdk_ssooidc::config::Builder::from(base);
        if let Some(url) = own(Service::SsoOidc) {
            oidc = oidc.endpoint_url(url).use_fips(false).use_dual_stack(false);
        }
        let mut sts = aws_sdk_sts::config::Builder::from(base);
        if let Some(url) = own(Service::Sts) {
            sts = sts.endpoint_url(url).use_fips(false).use_dual_stack(false);
        }
        Route {
            region: key.region.clone(),
            fips: key.fips,
            dual_stack: key.dual_stack,
            http,
            sso: aws_sdk_sso::Client::from_conf(sso.build()),
            oidc: aws_sdk_ssooidc::Client::from_conf(oidc.build()),
            sts,
        }
    }
}

/// The loader insists on one profile file.
#[allow(deprecated, reason = "the type's new home, aws-runtime, is not a dependency")]
fn no_files() -> aws_config::profile::profile_file::ProfileFiles {
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
    ProfileFiles::builder().with_contents(ProfileFileKind::Config, "").build()
}

/// Answers the service clients' questions about the environment: there is none.
#[derive(Debug)]
struct Nothing;

impl LoadServiceConfig for Nothing {
    fn load_config(&self, _: ServiceConfigKey<'_>) -> Option<String> {
        None
    }
}

fn is_endpoint(url: &str) -> bool {
    url.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
    })
}

/// One line in the log for each call.
pub(crate) fn record<T>(
    operation: &'static str,
    region: &str,
    began: Instant,
    result: &Result<T, AwsError>,
) {
    let ms = began.elapsed().as_millis();
    match result {
        Ok(_) => tracing::debug!(operation, region, ms, "done"),
        Err(error) => {
            let code = error.code().unwrap_or_default();
            tracing::debug!(operation, region, ms, kind = ?error.kind, code, "failed");
        }
    }
}
