//! Time-based one-time passwords (RFC 6238, SHA-1, six digits, 30 seconds).

use hmac::{Hmac, Mac as _};
use sha1::Sha1;

/// The six digits that an authenticator app shows for `seed` (base32) at a moment (Unix seconds).
///
/// Nothing when the seed is not base32.
pub fn totp(seed: &str, unix_seconds: i64) -> Option<String> {
    code(&base32(seed)?, step(unix_seconds))
}

/// The number of the 30-second window that a moment is in.
pub(crate) fn step(unix_seconds: i64) -> i64 {
    unix_seconds.div_euclid(30)
}

fn code(key: &[u8], step: i64) -> Option<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).ok()?;
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 15);
    let word = u32::from_be_bytes(digest[at..at + 4].try_into().ok()?) & 0x7fff_ffff;
    Some(format!("{:06}", word % 1_000_000))
}

fn base32(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held, mut out) = (0_u32, 0_u32, Vec::new());
    for c in text.trim_end_matches('=').bytes().filter(|c| !c.is_ascii_whitespace()) {
        let value = match c.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5) | u32::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    (!out.is_empty()).then_some(out)
}

/// Unpadded base32, for made-up key ids.
pub(crate) fn to_base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut bits, mut held, mut out) = (0_u32, 0_u32, String::new());
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            out.push(char::from(ALPHABET[(bits >> held) as usize & 31]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, the SHA-1 rows, last six of the eight digits.
    #[test]
    fn agrees_with_rfc_6238() {
        let seed = to_base32(b"12345678901234567890");
        for (at, want) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(totp(&seed, at).as_deref(), Some(want), "at {at}");
        }
    }

    #[test]
    fn refuses_what_is_not_base32() {
        assert_eq!(totp("0189", 0), None);
        assert_eq!(totp("", 0), None);
        assert_eq!(totp("jbsw y3dp", 30), totp("JBSWY3DP", 30));
    }
}
