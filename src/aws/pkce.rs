//! Proof Key for Code Exchange (RFC 7636), method `S256`.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::{AwsError, Class, Kind};
use crate::model::Secret;

/// 48 bytes are 64 characters in base64url: the length that the AWS CLI uses; RFC 7636 section
/// 4.1 asks for 43 to 128.
const VERIFIER_BYTES: usize = 48;

/// Makes a code verifier of 64 characters.
///
/// # Errors
/// Fails where the system gives no random bytes.
pub fn verifier() -> Result<Secret, AwsError> {
    let mut bytes = [0_u8; VERIFIER_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        AwsError::new("Login", Class::NeverWorks, Kind::Local)
            .with_message(&format!("the system gave no random bytes: {error}"))
    })?;
    Ok(Secret::new(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}

/// Returns the challenge of a verifier: base64url of its SHA-256 (RFC 7636 section 4.2).
pub fn challenge(verifier: &Secret) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenge_of_rfc_7636_appendix_b() {
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn verifiers_are_long_unreserved_and_never_the_same() {
        let (one, other) = (verifier().unwrap(), verifier().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), 64);
        assert!(one.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
    }
}
