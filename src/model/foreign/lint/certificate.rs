//! What can be said of a CA without checking a signature.

use base64::{Engine, prelude::BASE64_STANDARD};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Returns why this is no CA as kubectl wants it: PEM, in base64.
pub(super) fn trouble(authority: &str) -> Option<&'static str> {
    let Some(text) = decoded(authority) else { return Some("it is not base64") };
    let Ok(text) = String::from_utf8(text) else { return Some("what is in the base64 is not PEM") };
    let is_der = |body: &str| {
        let body: String = body.split_whitespace().collect();
        // A certificate is a sequence: X.690, 8.9.
        BASE64_STANDARD.decode(body).is_ok_and(|der| der.first() == Some(&0x30))
    };
    let mut bodies = text.split(BEGIN).skip(1).map(|rest| rest.split_once(END));
    match bodies.next() {
        None => Some("what is in the base64 is not PEM"),
        Some(first) if std::iter::once(first).chain(bodies).any(|body| body.is_none()) => {
            Some("a certificate in it has no end")
        }
        Some(Some((first, _))) if !is_der(first) => Some("the certificate in it cannot be read"),
        Some(_) => None,
    }
}

/// Returns whether both are the same certificates, however they are folded.
pub(super) fn are_same(one: &str, other: &str) -> bool {
    let words = |authority: &str| {
        let text = decoded(authority)?;
        let text = String::from_utf8(text).ok()?;
        Some(text.split_whitespace().collect::<String>())
    };
    match (words(one), words(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.trim() == other.trim(),
    }
}

fn decoded(authority: &str) -> Option<Vec<u8>> {
    let text: String = authority.split_whitespace().collect();
    BASE64_STANDARD.decode(text).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates() {
        let pem = |body: &str| format!("{BEGIN}\n{body}\n{END}\n");
        let encoded = |text: &str| BASE64_STANDARD.encode(text);
        for (authority, expected) in [
            (encoded(&pem("MAAA")), None),
            (encoded(&format!("{}{}", pem("MAAA"), pem("MAAA"))), None),
            (String::new(), Some("it is not base64")),
            ("%%%".to_owned(), Some("it is not base64")),
            (encoded("hello"), Some("what is in the base64 is not PEM")),
            (BASE64_STANDARD.encode([0xff, 0xfe]), Some("what is in the base64 is not PEM")),
            (encoded(BEGIN), Some("a certificate in it has no end")),
            (encoded(&pem("hello!")), Some("the certificate in it cannot be read")),
        ] {
            assert_eq!(trouble(&authority), expected, "{authority}");
        }
        let folded = encoded(&pem("MAAA").replace('\n', "\r\n"));
        assert!(are_same(&encoded(&pem("MAAA")), &folded));
        assert!(!are_same(&encoded(&pem("MAAA")), &encoded(&pem("MAAB"))));
    }
}
