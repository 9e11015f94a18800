//! Signature Version 4, from the server's side.

use hmac::{Hmac, Mac as _};
use hyper::HeaderMap;
use sha2::{Digest as _, Sha256};

use crate::clock::{basic, parse_basic};
use crate::http::{Fail, encode, hex, parse_query};
use crate::world::Session;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// STS honours a presigned URL this long, whatever `X-Amz-Expires` says.
const PRESIGNED_SECONDS: i64 = 900;

/// The parts of a request that a signature covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// The service that the credential must be scoped to.
    pub(crate) service: &'a str,
}

/// Who signed a request.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    pub(crate) access_key: String,
    pub(crate) region: String,
    pub(crate) presigned: bool,
    pub(crate) session: Session,
}

struct Claim {
    credential: String,
    signed_headers: String,
    signature: String,
    date: String,
    token: Option<String>,
    payload: String,
    presigned: bool,
}

/// Checks a signature by the clock `now` (Unix seconds); errors carry STS's codes.
pub(crate) fn verify(
    request: Signed<'_>,
    now: i64,
    skew: i64,
    lookup: impl Fn(&str) -> Option<Session>,
) -> Result<Signer, Fail> {
    let mut pairs = parse_query(request.query);
    let claim = claim(request, &pairs)?;
    pairs.retain(|(key, _)| !key.eq_ignore_ascii_case("x-amz-signature"));
    let scope: Vec<&str> = claim.credential.split('/').collect();
    let [access_key, day, region, service, "aws4_request"] = scope[..] else {
        return Err(Fail::new(
            400,
            "IncompleteSignature",
            format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{}'",
                claim.credential
            ),
        ));
    };
    let bad = |message: String| Fail::new(403, "SignatureDoesNotMatch", message);
    if service != request.service {
        let wanted = request.service;
        return Err(bad(format!("Credential should be scoped to correct service: '{wanted}'.")));
    }
    let signed: Vec<&str> = claim.signed_headers.split(';').collect();
    if !signed.contains(&"host") {
        return Err(bad("'Host' or ':authority' must be a 'SignedHeader' in the AWS \
                        Authorization."
            .into()));
    }
    check_time(&claim, now, skew)?;
    let invalid = "The security token included in the request is invalid.";
    let Some(session) = lookup(access_key).filter(|s| s.token == claim.token) else {
        return Err(Fail::new(403, "InvalidClientTokenId", invalid));
    };
    if session.expires_ms.is_some_and(|end| now * 1000 >= end) {
        let message = "The security token included in the request is expired";
        return Err(Fail::new(403, "ExpiredToken", message));
    }
    let canonical = canonical(request, &mut pairs, &signed, &claim);
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    let text = format!("{ALGORITHM}\n{}\n{scope}\n{digest}", claim.date);
    let key = [day, region, service, "aws4_request"]
        .iter()
        .fold(format!("AWS4{}", session.secret).into_bytes(), |key, part| {
            hmac(&key, part.as_bytes())
        });
    if hex(&hmac(&key, text.as_bytes())) != claim.signature || !claim.date.starts_with(day) {
        return Err(bad("The request signature we calculated does not match the signature you \
                        provided. Check your AWS Secret Access Key and signing method. Consult \
                        the service documentation for details."
            .into()));
    }
    Ok(Signer {
        access_key: access_key.into(),
        region: region.into(),
        presigned: claim.presigned,
        session,
    })
}

/// Returns key and region that the `Authorization` header claims; nobody has looked whether it is true.
pub(crate) fn claimed(headers: &HeaderMap) -> Option<(&str, &str)> {
    let (_, rest) = headers.get("authorization")?.to_str().ok()?.split_once("Credential=")?;
    let mut parts = rest.split([',', ' ']).next()?.split('/');
    let (key, _day, region) = (parts.next()?, parts.next()?, parts.next()?);
    Some((key, region))
}

/// What the request says about its own signature.
fn claim(request: Signed<'_>, pairs: &[(String, String)]) -> Result<Claim, Fail> {
    let param = |name: &str| {
        pairs.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v.clone())
    };
    let header =
        |name: &str| request.headers.get(name).and_then(|v| v.to_str().ok()).map(String::from);
    if let Some(signature) = param("x-amz-signature") {
        return Ok(Claim {
            credential: param("x-amz-credential").unwrap_or_default(),
            signed_headers: param("x-amz-signedheaders").unwrap_or_default().to_lowercase(),
            signature,
            date: param("x-amz-date").unwrap_or_default(),
            token: param("x-amz-security-token").filter(|t| !t.is_empty()),
            payload: hex(&Sha256::digest(b"")),
            presigned: true,
        });
    }
    let missing =
        || Fail::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token");
    let authorization = header("authorization").ok_or_else(missing)?;
    let fields = authorization.strip_prefix(ALGORITHM).ok_or_else(missing)?;
    let field = |name: &str| {
        fields
            .split(',')
            .filter_map(|part| part.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
            .ok_or_else(|| {
                let message = format!(
                    "Authorization header requires '{name}' parameter. Authorization={ALGORITHM}"
                );
                Fail::new(400, "IncompleteSignature", message)
            })
    };
    let hashed = hex(&Sha256::digest(request.body));
    let payload = header("x-amz-content-sha256").unwrap_or_else(|| hashed.clone());
    if payload != hashed && payload != "UNSIGNED-PAYLOAD" {
        let message =
            "The provided 'x-amz-content-sha256' header does not match what was computed.";
        return Err(Fail::new(400, "XAmzContentSHA256Mismatch", message));
    }
    Ok(Claim {
        credential: field("Credential")?,
        signed_headers: field("SignedHeaders")?,
        signature: field("Signature")?,
        date: header("x-amz-date").unwrap_or_default(),
        token: header("x-amz-security-token").filter(|t| !t.is_empty()),
        payload,
        presigned: false,
    })
}

fn check_time(claim: &Claim, now: i64, skew: i64) -> Result<(), Fail> {
    let Some(at) = parse_basic(&claim.date) else {
        let message = format!(
            "Date must be in ISO-8601 'basic format'. Got '{}'. See \
             http://en.wikipedia.org/wiki/ISO_8601",
            claim.date
        );
        return Err(Fail::new(400, "IncompleteSignature", message));
    };
    let life = if claim.presigned { PRESIGNED_SECONDS.max(skew) } else { skew };
    let message = if now - at > life {
        format!(
            "Signature expired: {} is now earlier than {} ({} - {} min.)",
            claim.date,
            basic(now - life),
            basic(now),
            life / 60
        )
    } else if at - now > skew {
        format!(
            "Signature not yet current: {} is still later than {} ({} + {} min.)",
            claim.date,
            basic(now + skew),
            basic(now),
            skew / 60
        )
    } else {
        return Ok(());
    };
    Err(Fail::new(403, "SignatureDoesNotMatch", message))
}

fn canonical(
    request: Signed<'_>,
    pairs: &mut [(String, String)],
    signed: &[&str],
    claim: &Claim,
) -> String {
    // Only S3 signs the path as it is sent; all others escape it once more.
    let path = if request.path.is_empty() { "/".into() } else { encode(request.path, "/") };
    for (key, value) in pairs.iter_mut() {
        (*key, *value) = (encode(key, ""), encode(value, ""));
    }
    pairs.sort();
    let query: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let mut text = format!("{}\n{path}\n{}\n", request.method, query.join("&"));
    for name in signed {
        let values: Vec<String> = request
            .headers
            .get_all(*name)
            .iter()
            .map(|v| {
                String::from_utf8_lossy(v.as_bytes())
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        text.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    text.push_str(&format!("\n{}\n{}", claim.signed_headers, claim.payload));
    text
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length of key will do");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}
