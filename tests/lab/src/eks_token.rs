//! Checks an EKS bearer token the way the authenticator in front of EKS does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::HeaderMap;
use hyper::header::HeaderValue;

use crate::clock::parse_basic;
use crate::http::parse_query;
use crate::sigv4::{self, Signed, Signer};
use crate::world::World;

const PREFIX: &str = "k8s-aws-v1.";
const LONGEST: usize = 4096;
const ALLOWED: [&str; 11] = [
    "action",
    "version",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
    "x-amz-user-agent",
    "x-amzn-trace-id",
];

/// Says who sent a token to the cluster, or why the token is no good.
///
/// `hosts` are accepted besides the real STS hosts, over plain HTTP too.
pub(crate) fn verify(
    world: &World,
    token: &str,
    cluster: &str,
    hosts: &[String],
) -> Result<Signer, String> {
    if token.len() > LONGEST {
        return Err("token is too large".into());
    }
    let raw = token.strip_prefix(PREFIX).ok_or("token is missing expected prefix")?;
    let bytes = URL_SAFE_NO_PAD.decode(raw).map_err(|e| format!("malformed token: {e}"))?;
    let url = String::from_utf8(bytes).map_err(|e| format!("malformed token: {e}"))?;
    let (scheme, rest) = url.split_once("://").ok_or("token is not a URL")?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = match place.find('/') {
        Some(at) => place.split_at(at),
        None => (place, ""),
    };
    let ours = hosts.iter().any(|h| h == host);
    if scheme != "https" && !(ours && scheme == "http") {
        return Err(format!("unexpected scheme {scheme:?} in pre-signed URL"));
    }
    if !ours && !is_sts(host) {
        return Err(format!("unexpected hostname {host:?} in pre-signed URL"));
    }
    if path != "/" {
        return Err("unexpected path in pre-signed URL".into());
    }
    check_params(world, query)?;

    let mut headers = HeaderMap::new();
    let value = |text: &str| HeaderValue::from_str(text).map_err(|e| e.to_string());
    headers.insert("host", value(host)?);
    headers.insert("x-k8s-aws-id", value(cluster)?);
    let request =
        Signed { method: "GET", path: "/", query, headers: &headers, body: b"", service: "sts" };
    sigv4::verify(request, world.now(), world.script.skew, |key| world.lookup(key)).map_err(|e| {
        format!("error from AWS (expected 200, got {}): {}: {}", e.status, e.code, e.message)
    })
}

fn check_params(world: &World, query: &str) -> Result<(), String> {
    let mut params: Vec<(String, String)> = Vec::new();
    for (key, value) in parse_query(query) {
        let lower = key.to_ascii_lowercase();
        if params.iter().any(|(seen, _)| *seen == lower) {
            return Err(format!("duplicate query parameter {key:?}"));
        }
        if !ALLOWED.contains(&lower.as_str()) {
            return Err(format!("non-whitelisted query parameter {key:?}"));
        }
        params.push((lower, value));
    }
    let param = |name: &str| params.iter().find(|(k, _)| k == name).map_or("", |(_, v)| v.as_str());
    if param("action") != "GetCallerIdentity" {
        return Err("unexpected action parameter in pre-signed URL".into());
    }
    let signed = param("x-amz-signedheaders").to_lowercase();
    if !signed.split(';').any(|name| name == "x-k8s-aws-id") {
        return Err("client did not sign the x-k8s-aws-id header in the pre-signed URL".into());
    }
    let expires: Option<i64> = param("x-amz-expires").parse().ok();
    if !expires.is_some_and(|seconds| (0..=900).contains(&seconds)) {
        return Err("invalid X-Amz-Expires parameter in pre-signed URL".into());
    }
    let Some(at) = parse_basic(param("x-amz-date")) else {
        return Err("X-Amz-Date parameter must be present in pre-signed URL".into());
    };
    if world.now() > at + 900 {
        return Err("X-Amz-Date parameter is expired (15 minute expiration)".into());
    }
    Ok(())
}

/// `sts.amazonaws.com`, a regional, FIPS or dual-stack host, in any partition.
fn is_sts(host: &str) -> bool {
    let tails = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];
    tails.iter().filter_map(|tail| host.strip_suffix(tail)).any(|head| {
        let (name, region) = head.split_once('.').map_or((head, None), |(n, r)| (n, Some(r)));
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        (name == "sts" || name == "sts-fips")
            && region.is_none_or(|r| !r.is_empty() && r.bytes().all(plain))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::script::Script;
    use crate::world::Session;

    fn vectors() -> serde_json::Value {
        serde_json::from_str(include_str!("../data/eks-tokens.json")).expect("valid JSON")
    }

    /// A world that knows a vector's credentials and stands at its moment.
    fn world_of(v: &serde_json::Value) -> World {
        let text = |key: &str| v[key].as_str().map(str::to_owned);
        let mut world = World::new(Script::default());
        let session = Session {
            secret: text("secret_access_key").expect("a secret"),
            token: text("session_token"),
            arn: "arn:aws:iam::111122223333:user/vector".into(),
            user_id: "AIDA".into(),
            account: "111122223333".into(),
            ..Session::default()
        };
        world.sessions.insert(text("access_key_id").expect("a key"), session);
        let at = text("now").expect("a moment").replace(['-', ':'], "");
        let now = parse_basic(&at).expect("a moment");
        world.clock = Clock { offset_ms: 0, frozen_ms: Some(now * 1000) };
        world
    }

    fn wrap(url: &str) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(url))
    }

    #[test]
    fn accepts_the_tokens_of_the_aws_cli() {
        let vectors = vectors();
        let all = vectors["vectors"].as_array().expect("a list");
        assert_eq!(all.len(), 9);
        for v in all {
            let (token, cluster) = (v["token"].as_str().expect("a"), v["x_k8s_aws_id"].as_str());
            let world = world_of(v);
            let got = verify(&world, token, cluster.expect("b"), &[]);
            let signer = got.unwrap_or_else(|e| panic!("{}: {e}", v["case"]));
            assert_eq!(Some(signer.access_key.as_str()), v["access_key_id"].as_str());
            assert!(signer.presigned);
        }
    }

    #[test]
    fn refuses_another_cluster_another_secret_and_a_late_token() {
        let v = &vectors()["vectors"][1];
        let token = v["token"].as_str().expect("a token");
        let mut world = world_of(v);
        let wrong = verify(&world, token, "other", &[]).expect_err("another cluster");
        assert!(wrong.contains("SignatureDoesNotMatch"), "{wrong}");
        world.clock.advance(901);
        let late = verify(&world, token, "prod", &[]).expect_err("too late");
        assert!(late.contains("15 minute"), "{late}");
        world.clock.advance(-1);
        assert!(verify(&world, token, "prod", &[]).is_ok(), "900 s is not yet late");
        for session in world.sessions.values_mut() {
            session.expires_ms = Some(0);
        }
        let ended = verify(&world, token, "prod", &[]).expect_err("credentials ended");
        assert!(ended.contains("ExpiredToken"), "{ended}");
        for session in world.sessions.values_mut() {
            session.expires_ms = None;
            session.secret.push('x');
        }
        assert!(verify(&world, token, "prod", &[]).is_err(), "another secret");
    }

    #[test]
    fn keeps_the_authenticators_rules() {
        let v = &vectors()["vectors"][0];
        let url = v["presigned_url"].as_str().expect("a URL");
        let world = world_of(v);
        let ours = ["127.0.0.1:80".to_owned()];
        let reason =
            |token: &str| verify(&world, token, "prod", &ours).expect_err("must be refused");
        let host = "https://sts.us-east-1.amazonaws.com/";
        for (changed, why) in [
            (url.replace("https://", "http://"), "scheme"),
            (url.replace("sts.us-east-1.amazonaws.com", "sts.evil.example.com"), "hostname"),
            (url.replace("sts.us-east-1.amazonaws.com", "sts.a.b.amazonaws.com"), "hostname"),
            (url.replace(host, &format!("{host}x")), "path"),
            (url.replace("Action=GetCallerIdentity", "Action=AssumeRole"), "action"),
            (format!("{url}&action=GetCallerIdentity"), "duplicate"),
            (format!("{url}&Extra=1"), "whitelisted"),
            (url.replace("%3Bx-k8s-aws-id", ""), "x-k8s-aws-id"),
            (url.replace("Expires=60", "Expires=901"), "X-Amz-Expires"),
            (url.replace("Expires=60", "Expires=-1"), "X-Amz-Expires"),
            (url.replace("X-Amz-Date=2026", "X-Amz-Date=x026"), "X-Amz-Date"),
            (
                url.replace("https://sts.us-east-1.amazonaws.com", "http://127.0.0.1:80"),
                "Signature",
            ),
        ] {
            assert!(
                reason(&wrap(&changed)).contains(why),
                "{changed}: {}",
                reason(&wrap(&changed))
            );
        }
        let token = v["token"].as_str().expect("a token");
        assert!(reason(&format!("{token}=")).contains("malformed"), "padding");
        assert!(reason(&token.replace("v1", "v2")).contains("prefix"));
        assert!(reason(&format!("{token}{}", "A".repeat(4096))).contains("too large"));
    }
}
