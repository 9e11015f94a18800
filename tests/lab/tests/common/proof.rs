//! Proofs of possession (DPoP) as a client of the sign-in service makes them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use eksd_lab::Lab;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use super::{Reply, send};

pub(crate) const CLIENT: &str = "arn:aws:signin:::devtools/same-device";

/// What a proof says; each field can be made wrong.
#[derive(Debug, Clone)]
pub(crate) struct Claims {
    pub(crate) htm: String,
    pub(crate) htu: String,
    pub(crate) iat: i64,
    pub(crate) jti: String,
}

impl Claims {
    /// Right for a call of the lab now.
    pub(crate) fn of(lab: &Lab, jti: &str) -> Self {
        let htu = format!("{}/v1/token", lab.url());
        Self { htm: "POST".into(), htu, iat: lab.now(), jti: jti.into() }
    }

    /// The proof, made with a key in SEC 1 as PEM.
    pub(crate) fn sign(&self, pem: &str) -> String {
        let lines: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(lines).expect("base64");
        let (private, point) = (&der[7..39], &der[56..]);
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            private,
            point,
            &random,
        );
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let [x, y] = [&point[1..33], &point[33..]].map(|n| URL_SAFE_NO_PAD.encode(n));
        let header = json!({
            "typ": "dpop+jwt", "alg": "ES256",
            "jwk": {"kty": "EC", "crv": "P-256", "x": x, "y": y},
        });
        let claims = json!({"htm": self.htm, "htu": self.htu, "iat": self.iat, "jti": self.jti});
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = pair.expect("a key").sign(&random, signed.as_bytes()).expect("signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// CreateOAuth2Token with these fields and this proof.
pub(crate) fn token(lab: &Lab, fields: &Value, proof: &str) -> Reply {
    let headers = [("content-type", "application/json"), ("dpop", proof)];
    send(lab.port(), "POST", "/v1/token", &headers, &fields.to_string()).expect("an answer")
}

/// A refresh with a good proof, which is called `jti`.
pub(crate) fn refresh(lab: &Lab, content: &Value, refresh_token: &Value, jti: &str) -> Reply {
    let pem = content["dpopKey"].as_str().expect("a key");
    let fields = json!({
        "clientId": content["clientId"], "grantType": "refresh_token",
        "refreshToken": refresh_token,
    });
    token(lab, &fields, &Claims::of(lab, jti).sign(pem))
}
