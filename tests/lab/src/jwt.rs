//! JSON Web Tokens (RFC 7519, compact form), as issuers and verifiers see them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// A token taken apart; its signature is not yet checked.
#[derive(Debug)]
pub(crate) struct Jwt<'a> {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    /// What the signature is over.
    pub(crate) signed: &'a str,
    pub(crate) signature: Vec<u8>,
}

/// Takes a token apart; nothing for what is not a JWT.
pub(crate) fn parse(text: &str) -> Option<Jwt<'_>> {
    let (signed, signature) = text.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let object = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok().filter(Value::is_object)
    };
    Some(Jwt {
        header: object(header)?,
        claims: object(claims)?,
        signed,
        signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
    })
}

/// A token signed with HS256.
pub(crate) fn sign(claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(mac(secret, &signed).finalize().into_bytes());
    format!("{signed}.{signature}")
}

/// Whether a token is signed with HS256 and this secret.
pub(crate) fn is_signed_by(token: &Jwt<'_>, secret: &str) -> bool {
    token.header["alg"] == "HS256"
        && mac(secret, token.signed).verify_slice(&token.signature).is_ok()
}

fn mac(secret: &str, text: &str) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length of key will do");
    mac.update(text.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of jwt.io, which libraries of many languages agree on.
    const KNOWN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
                         eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.\
                         SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";

    #[test]
    fn checks_a_known_token() {
        let token = parse(KNOWN).expect("a JWT");
        assert_eq!(token.claims["name"], "John Doe");
        assert!(is_signed_by(&token, "your-256-bit-secret"));
        assert!(!is_signed_by(&token, "another-secret"));
        let other = KNOWN.replace("SflK", "SflL");
        assert!(!is_signed_by(&parse(&other).expect("a JWT"), "your-256-bit-secret"));
    }

    #[test]
    fn signs_what_it_checks() {
        let text = sign(&json!({"sub": "me"}), "secret");
        let token = parse(&text).expect("a JWT");
        assert!(is_signed_by(&token, "secret"));
        assert_eq!(token.claims["sub"], "me");
    }

    #[test]
    fn refuses_what_is_not_a_token() {
        for text in ["", "a.b", "a.b.c", "e30.e30", "W10.e30.AA", "e30.e30.=="] {
            assert!(parse(text).is_none(), "{text}");
        }
        let unsigned = parse("eyJhbGciOiJub25lIn0.e30.").expect("a JWT");
        assert!(!is_signed_by(&unsigned, ""), "alg none is not a signature");
    }
}
