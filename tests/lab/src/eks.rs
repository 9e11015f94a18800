//! EKS: which clusters there are, and where.

use serde_json::{Value, json};

use crate::calls::Call;
use crate::http::{Answer, Fail, Request, decode};
use crate::portal::cut;
use crate::script::Cluster;
use crate::sts::check;
use crate::world::World;

/// Where a cluster's API server is, and the CA that signed its certificate.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) endpoint: String,
    pub(crate) ca_pem: String,
}

pub(crate) fn serve(
    world: &mut World,
    op: &str,
    request: &Request,
    call: &mut Call,
    place: impl Fn(&str) -> Option<Place>,
) -> Result<Answer, Fail> {
    let caller = check(world, request, "eks", call).map_err(in_eks_words)?;
    let region = call.region.clone().unwrap_or_default();
    let script = &world.script;
    let mine = script
        .clusters
        .iter()
        .filter(|c| c.account == caller.account && script.region_of(c) == region);
    call.account = Some(caller.account.clone());
    if op == "ListClusters" {
        let mut names: Vec<&str> = mine.map(|c| c.name.as_str()).collect();
        names.sort_unstable();
        let params = request.params();
        let asked = params.filled("maxResults").map(|n| n.parse().unwrap_or(0));
        let token = params.filled("nextToken");
        let (names, more) = cut(names, asked, token, script.page_size, 100)
            .map_err(|e| Fail { code: "InvalidParameterException".into(), ..e })?;
        return Ok(Answer::json(200, &json!({"clusters": names, "nextToken": more})));
    }
    let name = decode(request.path.trim_start_matches("/clusters/"));
    call.cluster = Some(name.clone());
    let Some(cluster) = mine.into_iter().find(|c| c.name == name) else {
        let message = format!("No cluster found for name: {name}.");
        let fail = Fail::new(404, "ResourceNotFoundException", message);
        return Err(Fail { cluster: Some(name), ..fail });
    };
    let arn = script.arn_of(cluster);
    let body = json!({"cluster": describe(cluster, &arn, &region, place(&arn))});
    Ok(Answer::json(200, &body))
}

/// The JSON services name the errors of a signature differently.
fn in_eks_words(fail: Fail) -> Fail {
    let code = match fail.code.as_str() {
        "InvalidClientTokenId" => "UnrecognizedClientException",
        "ExpiredToken" => "ExpiredTokenException",
        "SignatureDoesNotMatch" => "InvalidSignatureException",
        "MissingAuthenticationToken" => "MissingAuthenticationTokenException",
        "IncompleteSignature" => "IncompleteSignatureException",
        other => other,
    };
    Fail { code: code.into(), ..fail }
}

fn describe(cluster: &Cluster, arn: &str, region: &str, place: Option<Place>) -> Value {
    use base64::Engine as _;
    let id = issuer_id(arn);
    let mut body = json!({
        "name": cluster.name,
        "arn": arn,
        "createdAt": cluster.created_at,
        "version": cluster.version,
        "roleArn": format!("arn:aws:iam::{}:role/eks-{}", cluster.account, cluster.name),
        "resourcesVpcConfig": {
            "subnetIds": ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"],
            "securityGroupIds": [],
            "clusterSecurityGroupId": "sg-0a1b2c3d4e5f60003",
            "vpcId": "vpc-0a1b2c3d4e5f60004",
            "endpointPublicAccess": cluster.public,
            "endpointPrivateAccess": cluster.private,
            "publicAccessCidrs": cluster.public_cidrs,
        },
        "kubernetesNetworkConfig": network(cluster),
        "identity": {"oidc": {"issuer": format!("https://oidc.eks.{region}.amazonaws.com/id/{id}")}},
        "status": cluster.status,
        "platformVersion": "eks.1",
        "accessConfig": {
            "authenticationMode": cluster.authentication_mode,
            "bootstrapClusterCreatorAdminPermissions": true,
        },
        "health": {"issues": []},
        "tags": {},
    });
    if let Some(id) = &cluster.local_id {
        body["id"] = id.as_str().into();
        body["outpostConfig"] = json!({
            "outpostArns": [format!("arn:aws:outposts:{region}:{}:outpost/op-0a1b2c3d4e5f60005", cluster.account)],
            "controlPlaneInstanceType": "m5.large",
        });
    }
    if let Some(provider) = &cluster.connector {
        body["connectorConfig"] = json!({"provider": provider});
        body["resourcesVpcConfig"] = Value::Null;
    }
    // A cluster that is still being made has neither, and one that runs elsewhere never has.
    if cluster.status != "CREATING" && cluster.connector.is_none() {
        let ca = cluster.ca.clone().or_else(|| place.as_ref().map(|p| p.ca_pem.clone()));
        let data = base64::engine::general_purpose::STANDARD.encode(ca.unwrap_or_default());
        body["certificateAuthority"] = json!({"data": data});
        body["endpoint"] = cluster.endpoint.clone().or(place.map(|p| p.endpoint)).into();
    }
    body
}

fn network(cluster: &Cluster) -> Value {
    if cluster.ip_family == "ipv6" {
        json!({"serviceIpv6Cidr": "fd00:ec2::/108", "ipFamily": "ipv6"})
    } else {
        json!({"serviceIpv4Cidr": "10.100.0.0/16", "ipFamily": "ipv4"})
    }
}

fn issuer_id(arn: &str) -> String {
    use sha2::Digest as _;
    crate::http::hex(&sha2::Sha256::digest(arn.as_bytes())[..16]).to_uppercase()
}
