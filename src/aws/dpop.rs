//! Proof of possession (RFC 9449): a statement, signed with the key that a sign-in is bound to, that
//! goes along with one request.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use rustls::pki_types::{PrivateSec1KeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

use crate::model::Secret;

/// Of a PKCS #8 key, what comes before the key itself: version 0, `id-ecPublicKey`, `prime256v1`
/// (RFC 5208 section 5, RFC 5480 section 2.1.1).
const P256: [u8; 24] = [
    0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
    0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
];

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;

/// The length of a coordinate on the curve.
const COORDINATE: usize = 32;

/// A key that a sign-in is bound to: ECDSA on P-256.
pub(super) struct Key {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Key {
    /// Reads a key in the form in which the AWS tools keep it: PEM of `ECPrivateKey` (RFC 5915) with its
    /// public key. `None` for anything else.
    pub(super) fn read(pem: &Secret) -> Option<Self> {
        let sec1 = PrivateSec1KeyDer::from_pem_slice(pem.expose().as_bytes()).ok()?;
        let inner = wrapped(OCTET_STRING, &[sec1.secret_sec1_der()])?;
        let pkcs8 = wrapped(SEQUENCE, &[&P256, &inner])?;
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random);
        Some(Self { pair: pair.ok()?, random })
    }

    /// Returns the proof for one POST to `url` at `now` (RFC 9449 section 4.2), in the AWS CLI's order of
    /// fields. `None` where the system gives no random bytes.
    pub(super) fn proof(&self, url: &str, now: Timestamp) -> Option<Secret> {
        let unsigned = self.unsigned(url, now.as_second(), &uuid()?)?;
        let signature = self.pair.sign(&self.random, unsigned.as_bytes()).ok()?;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        Some(Secret::new(format!("{unsigned}.{signature}")))
    }

    fn unsigned(&self, url: &str, iat: i64, jti: &str) -> Option<String> {
        // An uncompressed point: 4, x, y (SEC 1, section 2.3.3).
        let (x, y) = self.pair.public_key().as_ref().get(1..)?.split_at_checked(COORDINATE)?;
        let [x, y] = [x, y].map(|coordinate| BASE64_URL_SAFE_NO_PAD.encode(coordinate));
        let header = format!(
            r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{{"kty":"EC","x":"{x}","y":"{y}","crv":"P-256"}}}}"#
        );
        let url = serde_json::to_string(url).ok()?;
        let payload = format!(r#"{{"htm":"POST","htu":{url},"iat":{iat},"jti":"{jti}"}}"#);
        let [header, payload] = [header, payload].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        Some(format!("{header}.{payload}"))
    }
}

/// Returns a DER element; keys are far below the 255 bytes that it can hold.
fn wrapped(tag: u8, parts: &[&[u8]]) -> Option<Zeroizing<Vec<u8>>> {
    let length = u8::try_from(parts.iter().map(|part| part.len()).sum::<usize>()).ok()?;
    // Room from the start: growing would leave copies of the key behind.
    let mut element = Zeroizing::new(Vec::with_capacity(usize::from(length) + 3));
    element.push(tag);
    if 0x80 <= length {
        element.push(0x81);
    }
    element.push(length);
    for part in parts {
        element.extend_from_slice(part);
    }
    Some(element)
}

/// A random UUID (RFC 9562, version 4), as the AWS tools name their proofs.
fn uuid() -> Option<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).ok()?;
    let mut number = u128::from_be_bytes(bytes);
    number = number & !(0xf << 76) | 0x4 << 76;
    number = number & !(0x3 << 62) | 0x2 << 62;
    let hex = format!("{number:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Some(parts.join("-"))
}

#[cfg(test)]
pub(super) mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    /// Made by the AWS CLI 2.36.7 with a key that protects nothing.
    pub(in crate::aws) fn vector() -> Value {
        let vectors: Value =
            serde_json::from_str(include_str!("../../tests/data/aws/oauth.json")).unwrap();
        vectors["dpop"].clone()
    }

    pub(in crate::aws) fn pem() -> Secret {
        Secret::new(vector()["private_key_sec1_pem"].as_str().unwrap())
    }

    /// Checks a proof as a server does, from its own bytes alone: the signature by the key in its
    /// header. Returns header and payload.
    pub(in crate::aws) fn verified(proof: &str) -> (Value, Value) {
        let parts: Vec<&str> = proof.split('.').collect();
        let [header, payload, signature] = parts[..] else { panic!("{proof}") };
        let decoded = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
        let json = |text: &str| serde_json::from_slice::<Value>(&decoded(text)).unwrap();
        let (head, body) = (json(header), json(payload));
        let mut point = vec![4];
        for coordinate in ["x", "y"] {
            point.extend(decoded(head["jwk"][coordinate].as_str().unwrap()));
        }
        let signed = format!("{header}.{payload}");
        assert_eq!(decoded(signature).len(), 64, "r and s, not DER");
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(signed.as_bytes(), &decoded(signature))
            .expect("a good signature");
        (head, body)
    }

    #[test]
    fn what_is_signed_is_what_the_cli_signs() {
        let vector = vector();
        let text = |name: &str| vector[name].as_str().unwrap();
        let key = Key::read(&pem()).unwrap();
        let iat = vector["iat"].as_i64().unwrap();
        let unsigned = key.unsigned(text("htu"), iat, text("jti")).unwrap();
        assert_eq!(unsigned, text("signing_input"));
        // The check agrees with the CLI's own signature.
        verified(text("one_valid_jwt"));
    }

    #[test]
    fn proofs_are_signed_and_never_the_same() {
        let key = Key::read(&pem()).unwrap();
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        let proofs = [(); 2].map(|()| key.proof("https://x.example/\"v1", now).unwrap());
        let [(header, one), (_, other)] = [&proofs[0], &proofs[1]].map(|p| verified(p.expose()));
        assert_eq!(
            header,
            serde_json::from_str::<Value>(vector()["header_json"].as_str().unwrap()).unwrap()
        );
        assert_eq!(one["htu"], "https://x.example/\"v1");
        assert_eq!((&one["htm"], &one["iat"]), (&"POST".into(), &1_767_323_045.into()));
        assert_ne!(one["jti"], other["jti"]);
        let jti = one["jti"].as_str().unwrap();
        assert!(jti.len() == 36 && jti.as_bytes()[14] == b'4', "{jti}");
        assert!(b"89ab".contains(&jti.as_bytes()[19]), "{jti}");
        assert_eq!(format!("{:?}", proofs[0]), "***");
    }

    #[test]
    fn other_keys_are_none() {
        let pem = |body: &str| {
            format!("-----BEGIN EC PRIVATE KEY-----\n{body}\n-----END EC PRIVATE KEY-----\n")
        };
        // Without its public key; on P-384; nothing; more than a key.
        let short = "MDECAQEEIPUbiQKHXZwKtE06DXWeG1Dy5AV5p4Ot8/TT1t2DxLpKoAoGCCqGSM49AwEH";
        let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        for text in [
            String::new(),
            "not PEM".to_owned(),
            pem(""),
            pem("AAAA"),
            pem(short),
            pem(&"A".repeat(400)),
            p384.serialize_pem(),
        ] {
            assert!(Key::read(&Secret::new(text.clone())).is_none(), "{text}");
        }
    }
}
