//! EKS: what a cluster is, and which there are. Two calls, made by hand over the same HTTP
//! client: rest-json signed with SigV4 for the service `eks` (EKS API; Smithy "AWS restJson1").

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::{
    identity::Identity,
    orchestrator::{HttpRequest, HttpResponse},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Aws, AwsError,
    call::Call,
    clock::system_time,
    codes::Service,
    eks_token::{is_cluster_id, push_encoded},
    sts::{for_sdk, secrets_of},
};
use crate::model::{ClusterFacts, Credentials, Reach, cluster::EndpointAccess};

#[derive(Deserialize)]
struct DescribeCluster {
    cluster: WireCluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCluster {
    name: String,
    arn: String,
    status: String,
    endpoint: Option<String>,
    certificate_authority: Option<WireAuthority>,
    version: Option<String>,
    created_at: Option<f64>,
    id: Option<String>,
    platform_version: Option<String>,
    access_config: Option<WireAccess>,
    resources_vpc_config: Option<WireVpc>,
    outpost_config: Option<WireOutpost>,
    connector_config: Option<WireConnector>,
}

/// `VpcConfigResponse` (EKS API).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireVpc {
    #[serde(default)]
    endpoint_public_access: bool,
    #[serde(default)]
    endpoint_private_access: bool,
    #[serde(default)]
    public_access_cidrs: Vec<String>,
}

/// `OutpostConfigResponse` (EKS API).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireOutpost {
    etcd_instance_type: Option<String>,
}

/// `ConnectorConfigResponse` (EKS API): the cluster runs elsewhere.
#[derive(Deserialize)]
struct WireConnector {
    provider: Option<String>,
}

#[derive(Deserialize)]
struct WireAuthority {
    data: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAccess {
    authentication_mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListClusters {
    clusters: Vec<String>,
    next_token: Option<String>,
}

/// Names of clusters of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterPage {
    /// The names.
    pub names: Vec<String>,
    /// What to ask for the rest with, where there is more.
    pub next: Option<String>,
}

impl Aws {
    /// Asks for the facts of one cluster (`DescribeCluster`).
    ///
    /// # Errors
    /// [`Kind::ClusterNotFound`](super::Kind::ClusterNotFound) where this account has none of
    /// that name in this region.
    pub async fn describe_cluster(
        &self,
        reach: &Reach,
        credentials: &Credentials,
        name: &str,
    ) -> Result<ClusterFacts, AwsError> {
        if !is_cluster_id(name) {
            let message = "this cannot be the name of a cluster";
            return Err(AwsError::local("DescribeCluster", message));
        }
        let secrets = secrets_of(credentials);
        let call = self.call("DescribeCluster", Service::Eks, reach, secrets).await?;
        let answer = self.get(&call, credentials, &format!("/clusters/{name}")).await;
        let result = answer.and_then(|answer: DescribeCluster| facts(&call, name, answer.cluster));
        call.log(&result);
        result
    }

    /// Asks for a hundred names of clusters of a region (`ListClusters`): the first ones, or those
    /// after a page before.
    pub async fn clusters_page(
        &self,
        reach: &Reach,
        credentials: &Credentials,
        after: Option<&str>,
    ) -> Result<ClusterPage, AwsError> {
        let secrets = secrets_of(credentials);
        let call = self.call("ListClusters", Service::Eks, reach, secrets).await?;
        let mut path = String::from("/clusters?maxResults=100");
        if let Some(token) = after {
            path.push_str("&nextToken=");
            push_encoded(&mut path, token);
        }
        let page: Result<ListClusters, AwsError> = self.get(&call, credentials, &path).await;
        let result = page.map(|page| ClusterPage {
            names: page.clusters,
            next: page.next_token.filter(|token| !token.is_empty()),
        });
        call.log(&result);
        result
    }

    async fn get<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        credentials: &Credentials,
        path: &str,
    ) -> Result<T, AwsError> {
        let url = format!("{}{path}", self.url(Service::Eks, &call.route));
        let request = signed(call, credentials, "eks", &url)
            .ok_or_else(|| AwsError::local(call.operation, "the request could not be built"))?;
        let response =
            call.route.http.exchange(request).await.map_err(|error| call.unreachable(&error))?;
        read(call, &response)
    }
}

/// Returns a signed GET; `service` is the name that the signature is scoped to.
pub(super) fn signed(
    call: &Call<'_>,
    credentials: &Credentials,
    service: &str,
    url: &str,
) -> Option<HttpRequest> {
    let identity: Identity = for_sdk(credentials).into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&call.route.region)
        .name(service)
        .time(system_time(call.signing_time))
        .settings(SigningSettings::default())
        .build()
        .ok()?
        .into();
    let headers = [("accept", "application/json")];
    let signable =
        SignableRequest::new("GET", url, headers.into_iter(), SignableBody::Bytes(b"")).ok()?;
    let (instructions, _) = sign(signable, &params).ok()?.into_parts();
    let mut request = http::Request::builder().method("GET").uri(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut request = request.body(aws_smithy_types::body::SdkBody::empty()).ok()?;
    instructions.apply_to_request_http1x(&mut request);
    HttpRequest::try_from(request).ok()
}

fn read<T: DeserializeOwned>(call: &Call<'_>, response: &HttpResponse) -> Result<T, AwsError> {
    if !response.status().is_success() {
        return Err(call.refused_http(response));
    }
    let body = response.body().bytes().unwrap_or_default();
    // serde's message would quote the answer.
    serde_json::from_slice(body).map_err(|_| call.refused_http(response))
}

fn facts(call: &Call<'_>, name: &str, wire: WireCluster) -> Result<ClusterFacts, AwsError> {
    if wire.name != name {
        return Err(call.nonsense("the answer is about another cluster"));
    }
    let endpoint = wire.endpoint.filter(|endpoint| !endpoint.is_empty());
    if !endpoint.as_deref().is_none_or(|endpoint| endpoint.starts_with("https://")) {
        return Err(call.nonsense("the cluster's endpoint is not an https address"));
    }
    let certificate_authority = wire
        .certificate_authority
        .and_then(|authority| authority.data)
        .filter(|data| !data.is_empty());
    if let Some(data) = &certificate_authority
        && BASE64_STANDARD.decode(data).is_err()
    {
        return Err(call.nonsense("the cluster's certificate authority is not base64"));
    }
    // A local cluster's tokens name its id (AWS CLI `customizations/eks/update_kubeconfig.py`,
    // `get_user_entry`): one on an Outpost, unless its etcd has instances of its own.
    let is_local = wire.outpost_config.is_some_and(|outpost| outpost.etcd_instance_type.is_none());
    Ok(ClusterFacts {
        name: wire.name,
        arn: wire.arn,
        endpoint,
        certificate_authority,
        status: wire.status,
        version: wire.version,
        created_at: wire.created_at.and_then(instant),
        id: wire.id.filter(|id| is_local && is_cluster_id(id)),
        platform_version: wire.platform_version,
        authentication_mode: wire.access_config.and_then(|access| access.authentication_mode),
        access: wire.resources_vpc_config.map(|vpc| EndpointAccess {
            is_public: vpc.endpoint_public_access,
            is_private: vpc.endpoint_private_access,
            public_cidrs: vpc.public_access_cidrs,
        }),
        connector: wire
            .connector_config
            .map(|connector| connector.provider.unwrap_or_else(|| "another provider".to_owned())),
    })
}

/// Milliseconds far beyond any date, and exact in both types.
const FARTHEST: f64 = 9.0e15;

/// Timestamps are epoch seconds with a fraction (Smithy, `epoch-seconds`).
fn instant(seconds: f64) -> Option<Timestamp> {
    let milliseconds = seconds * 1000.0;
    if !(-FARTHEST..FARTHEST).contains(&milliseconds) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked above")]
    Timestamp::from_millisecond(milliseconds.round() as i64).ok()
}
