//! Proofs of possession (DPoP, RFC 9449), and the keys that they are made with.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::jwt;

/// The bytes before the private number in ring's PKCS #8 of a P-256 key, which has no optional
/// parts.
const PKCS8_HEAD: usize = 36;
/// The parts of a SEC 1 `ECPrivateKey` (RFC 5915) of P-256 around its two numbers.
const SEC1_HEAD: [u8; 7] = [0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20];
const SEC1_MIDDLE: [u8; 17] = [
    0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0xa1, 0x44, 0x03, 0x42,
    0x00,
];

/// What a good proof says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// The thumbprint of the key that it was made with.
    pub(crate) key: String,
    /// Its number, for one use.
    pub(crate) jti: String,
}

/// A fresh key of a client.
#[derive(Debug)]
pub(crate) struct Key {
    /// SEC 1, in lines of 64 characters: as the AWS CLI stores it.
    pub(crate) pem: String,
    pub(crate) thumbprint: String,
}

/// Checks a proof by RFC 9449, section 4.3; the error says what is wrong with it.
///
/// Whether it was used before is the caller's business.
pub(crate) fn check(
    text: &str,
    method: &str,
    url: &str,
    now: i64,
    skew: i64,
) -> Result<Proof, String> {
    let token = jwt::parse(text).ok_or("the DPoP header is not a JWT")?;
    if token.header["typ"] != "dpop+jwt" || token.header["alg"] != "ES256" {
        return Err("the proof's typ or alg is not dpop+jwt and ES256".into());
    }
    let jwk = &token.header["jwk"];
    if !jwk["d"].is_null() {
        return Err("the proof holds a private key".into());
    }
    let (point, thumbprint) = public(jwk).ok_or("the proof's jwk is no P-256 key")?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
        .verify(token.signed.as_bytes(), &token.signature)
        .map_err(|_| "the proof's signature is wrong")?;
    let claim = |name: &str| token.claims[name].as_str().unwrap_or_default();
    if claim("htm") != method {
        return Err(format!("the proof is for {}, not {method}", claim("htm")));
    }
    if claim("htu") != url {
        return Err(format!("the proof is for {}, not {url}", claim("htu")));
    }
    if claim("jti").is_empty() {
        return Err("the proof has no jti".into());
    }
    match token.claims["iat"].as_i64() {
        Some(at) if (now - at).abs() <= skew => {}
        _ => return Err(format!("the proof's iat is {}, and now is {now}", token.claims["iat"])),
    }
    Ok(Proof { key: thumbprint, jti: claim("jti").into() })
}

/// The point and the thumbprint (RFC 7638) of a public key.
fn public(jwk: &Value) -> Option<(Vec<u8>, String)> {
    if jwk["kty"] != "EC" || jwk["crv"] != "P-256" {
        return None;
    }
    let mut point = vec![4];
    for name in ["x", "y"] {
        let number = URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok()?;
        point.extend((number.len() == 32).then_some(number)?);
    }
    let thumbprint = thumbprint(&point);
    Some((point, thumbprint))
}

fn thumbprint(point: &[u8]) -> String {
    let [x, y] = [&point[1..33], &point[33..65]].map(|number| URL_SAFE_NO_PAD.encode(number));
    // In this order and without blanks, says RFC 7638, section 3.
    let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

/// Makes a key.
pub(crate) fn new_key() -> Key {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
        .expect("the system has random bytes");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random)
        .expect("a key that was just made");
    let point = pair.public_key().as_ref();
    let private = &pkcs8.as_ref()[PKCS8_HEAD..PKCS8_HEAD + 32];
    let der = [&SEC1_HEAD, private, &SEC1_MIDDLE, point].concat();
    let mut pem = String::from("-----BEGIN EC PRIVATE KEY-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END EC PRIVATE KEY-----\n");
    Key { pem, thumbprint: thumbprint(point) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9449, section 4.1: a proof for `POST https://server.example.com/token`.
    const KNOWN: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik\
        VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR\
        nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE\
        QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIj\
        oiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia\
        WF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg\
        4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
    const URL: &str = "https://server.example.com/token";
    const AT: i64 = 1_562_262_616;

    #[test]
    fn accepts_the_proof_of_the_rfc() {
        let proof = check(KNOWN, "POST", URL, AT + 60, 60).expect("good");
        assert_eq!(proof.jti, "-BwC3ESc6acc2lTc");
        // RFC 9449, section 6.1: the jkt of the same key.
        assert_eq!(proof.key, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    }

    #[test]
    fn refuses_another_request_another_time_and_another_key() {
        let wrong = |text: &str, method: &str, url: &str, now: i64| {
            check(text, method, url, now, 60).expect_err("must be refused")
        };
        assert!(wrong(KNOWN, "GET", URL, AT).contains("not GET"));
        assert!(wrong(KNOWN, "POST", &format!("{URL}2"), AT).contains("token2"));
        assert!(wrong(KNOWN, "POST", URL, AT + 61).contains("iat"));
        assert!(wrong(KNOWN, "POST", URL, AT - 61).contains("iat"));
        assert!(wrong(&KNOWN.replace(".2-Gx", ".3-Gx"), "POST", URL, AT).contains("signature"));
        assert!(wrong("a.b.c", "POST", URL, AT).contains("not a JWT"));
        let hs256 = jwt::sign(&serde_json::json!({"htm": "POST"}), "x");
        assert!(wrong(&hs256, "POST", URL, AT).contains("typ"));
    }

    #[test]
    fn a_new_key_is_one_that_others_can_read() {
        let key = new_key();
        let lines: Vec<&str> = key.pem.lines().collect();
        assert_eq!(lines.len(), 5);
        assert!(lines.iter().all(|line| line.len() <= 64));
        let der = STANDARD.decode(lines[1..4].concat()).expect("base64");
        assert_eq!(der.len(), 121);
        let (private, point) = (&der[7..39], &der[56..]);
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            private,
            point,
            &SystemRandom::new(),
        );
        pair.expect("the two numbers belong together");
        assert_eq!(key.thumbprint, thumbprint(point));
        assert_ne!(key.pem, new_key().pem);
    }
}
