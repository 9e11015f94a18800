//! The EKS token: a presigned `GetCallerIdentity` that the cluster sends to STS in our name.
//!
//! Pure computation. The URL is the AWS CLI's, parameter for parameter (aws-cli
//! `customizations/eks/get_token.py`, botocore `signers.py`); what the cluster checks is in
//! aws-iam-authenticator `pkg/token/token.go`: at most 4096 bytes, an STS host of its partition,
//! path `/`, these parameters and no others, `x-k8s-aws-id` among the signed headers.

use std::time::Duration;

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;

use super::{AwsError, Class, Kind, clock::system_time, sts::for_sdk};
use crate::model::{Credentials, Secret};

/// The STS endpoint that a token names, and the region it is signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsEndpoint {
    /// The base URL, without a final slash.
    pub url: String,
    /// The region of the signature.
    pub region: String,
}

/// A token and the instant it was signed for: the cluster takes it for 15 minutes from then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minted {
    /// The bearer token.
    pub token: Secret,
    /// The second in its `X-Amz-Date`.
    pub signed_at: Timestamp,
}

const OPERATION: &str = "MintToken";

const PREFIX: &str = "k8s-aws-v1.";

/// The length that aws-iam-authenticator refuses to read beyond.
const LONGEST: usize = 4096;

/// What both official clients put in; STS takes the URL for 15 minutes all the same.
const EXPIRES: Duration = Duration::from_mins(1);

/// Mints a token for the cluster named by `cluster_id`: its name, or the id of a local cluster on
/// Outposts.
///
/// # Errors
/// [`Kind::TokenTooLong`] where the session token is so long that no cluster would read the
/// result; [`Kind::Local`] where `cluster_id` cannot be the name of a cluster.
pub fn mint(
    credentials: &Credentials,
    cluster_id: &str,
    sts: &StsEndpoint,
    now: Timestamp,
) -> Result<Minted, AwsError> {
    if !is_cluster_id(cluster_id) {
        return Err(AwsError::local(OPERATION, "this cannot be the name of a cluster"));
    }
    let signed_at = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let url = signed_url(credentials, cluster_id, sts, signed_at)?;
    let mut token = String::with_capacity(PREFIX.len() + url.expose().len().div_ceil(3) * 4);
    token.push_str(PREFIX);
    BASE64_URL_SAFE_NO_PAD.encode_string(url.expose(), &mut token);
    if LONGEST < token.len() {
        let message = format!(
            "{} bytes, {LONGEST} at most: the session token of these credentials is too long",
            token.len()
        );
        return Err(
            AwsError::new(OPERATION, Class::NeverWorks, Kind::TokenTooLong).with_message(&message)
        );
    }
    Ok(Minted { token: Secret::new(token), signed_at })
}

/// Returns the URL inside a token.
pub(super) fn url_in(token: &Secret) -> Option<Secret> {
    let url = BASE64_URL_SAFE_NO_PAD.decode(token.expose().strip_prefix(PREFIX)?).ok()?;
    String::from_utf8(url).ok().map(Secret::new)
}

fn signed_url(
    credentials: &Credentials,
    cluster_id: &str,
    sts: &StsEndpoint,
    signed_at: Timestamp,
) -> Result<Secret, AwsError> {
    let unsignable = || AwsError::local(OPERATION, "the token could not be signed");
    let mut url = String::with_capacity(2048);
    url.push_str(&sts.url);
    url.push_str("/?Action=GetCallerIdentity&Version=2011-06-15");

    let identity: Identity = for_sdk(credentials).into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES);
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&sts.region)
        .name("sts")
        .time(system_time(signed_at))
        .settings(settings)
        .build()
        .map_err(|_| unsignable())?
        .into();
    let headers = [("x-k8s-aws-id", cluster_id)];
    let request = SignableRequest::new("GET", &*url, headers.into_iter(), SignableBody::Bytes(b""))
        .map_err(|_| unsignable())?;
    let (instructions, _) = sign(request, &params).map_err(|_| unsignable())?.into_parts();
    let (_, mut signed) = instructions.into_parts();
    // aws-sigv4 puts the session token last, the AWS CLI before the signature.
    signed.sort_by_key(|(name, _)| *name == "X-Amz-Signature");
    for (name, value) in &signed {
        url.push('&');
        url.push_str(name);
        url.push('=');
        push_encoded(&mut url, value);
    }
    Ok(Secret::new(url))
}

/// Appends a query value: all but the unreserved characters of RFC 3986 in percent form.
pub(super) fn push_encoded(url: &mut String, value: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push('%');
            url.push(char::from(HEX[usize::from(byte >> 4)]));
            url.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// Names are `[0-9A-Za-z][A-Za-z0-9_-]{0,99}` (EKS API, `CreateCluster`); ids are UUIDs.
pub(super) fn is_cluster_id(text: &str) -> bool {
    text.len() <= 100
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::Value;

    use super::{super::hosts, *};

    fn credentials(key: &str, secret: &str, token: Option<&str>) -> Credentials {
        Credentials {
            access_key_id: key.to_owned(),
            secret_access_key: Secret::new(secret),
            session_token: token.map(Secret::new),
            expires_at: None,
            account_id: None,
        }
    }

    /// Tokens of the AWS CLI 2.36.7, byte for byte.
    #[test]
    fn tokens_are_those_of_the_aws_cli() {
        let text = include_str!("../../tests/data/aws/eks-tokens.json");
        let vectors: Value = serde_json::from_str(text).unwrap();
        let vectors = vectors["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 9);
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap();
            let is_on = |name: &str| vector["env"][name] == "true";
            let keys = credentials(
                text("access_key_id"),
                text("secret_access_key"),
                vector["session_token"].as_str(),
            );
            let region = text("signing_region");
            let url = hosts::sts(
                region,
                is_on("AWS_USE_FIPS_ENDPOINT"),
                is_on("AWS_USE_DUALSTACK_ENDPOINT"),
            );
            let sts = StsEndpoint { url, region: region.to_owned() };
            let now: Timestamp = text("now").parse().unwrap();
            let signed = signed_url(&keys, text("x_k8s_aws_id"), &sts, now).unwrap();
            assert_eq!(signed.expose(), text("presigned_url"), "{}", text("case"));
            let later = now + Duration::from_millis(999);
            let minted = mint(&keys, text("x_k8s_aws_id"), &sts, later).unwrap();
            assert_eq!(minted.token.expose(), text("token"), "{}", text("case"));
            assert_eq!(minted.signed_at, now);
            assert_eq!(url_in(&minted.token), Some(signed));
        }
    }

    fn stand_in() -> StsEndpoint {
        StsEndpoint { url: "http://127.0.0.1:4566".to_owned(), region: "eu-west-1".to_owned() }
    }

    #[test]
    fn an_endpoint_of_ones_own_is_named_as_it_is() {
        let keys = credentials("AKIDEXAMPLE", "secret", None);
        let signed = signed_url(&keys, "demo", &stand_in(), Timestamp::UNIX_EPOCH).unwrap();
        assert!(signed.expose().starts_with("http://127.0.0.1:4566/?Action=GetCallerIdentity&"));
    }

    #[test]
    fn a_token_that_no_cluster_reads_is_not_minted() {
        let sized = |length: usize| {
            let keys = credentials("ASIAEXAMPLE", "secret", Some(&"x".repeat(length)));
            mint(&keys, "demo", &stand_in(), Timestamp::UNIX_EPOCH)
        };
        assert!(sized(2400).is_ok());
        let error = sized(3000).unwrap_err();
        assert_eq!(error.kind, Kind::TokenTooLong);
        assert!(error.report("demo").fix.contains("fewer or shorter session tags"), "{error}");
    }

    #[test]
    fn names_that_clusters_cannot_have() {
        let keys = credentials("AKIDEXAMPLE", "secret", None);
        for name in ["", "-x", "a b", "a\nb", "é", &"x".repeat(101)] {
            let error = mint(&keys, name, &stand_in(), Timestamp::UNIX_EPOCH).unwrap_err();
            assert_eq!(error.kind, Kind::Local, "{name:?}");
        }
    }

    /// Prints the cost of one token: `cargo test --release -- --ignored --nocapture mint_cost`.
    #[test]
    #[ignore = "measures; asserts nothing"]
    fn mint_cost() {
        let keys = credentials("ASIAEXAMPLE", "secret", Some(&"FwoGZXIv/+".repeat(80)));
        let sts = stand_in();
        let began = Instant::now();
        for second in 0..20_000 {
            let now = Timestamp::from_second(1_760_000_000 + second).unwrap();
            std::hint::black_box(mint(&keys, "demo", &sts, now).unwrap());
        }
        println!("{:?} a token", began.elapsed() / 20_000);
    }
}
