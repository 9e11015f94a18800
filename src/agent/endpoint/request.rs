//! Which requests are served: one method, one path, one `Host`, no sign of a browser or a proxy, and
//! a token. Pure: bytes in, a verdict out. Whether the token stands for anything is asked elsewhere.

use sha2::{Digest as _, Sha256};

/// The one path. What is served is said by the token: a profile or a role in the path could be
/// guessed by whoever got hold of any token.
pub(super) const PATH: &str = "/v1/credentials";

/// A request of an SDK has some ten headers.
const MOST_HEADERS: usize = 48;

/// The SHA-256 of a token.
///
/// The agent keeps this and not the token. Comparing digests tells nothing about the token, however
/// long it takes: who sends guesses cannot choose what they hash to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// Returns the digest of a token.
    pub(super) fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// Why a request is not served. For the log: the answer is the same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// Not HTTP, or longer than a request of an SDK.
    #[error("it is not a request of HTTP/1.1, or a long one")]
    Malformed,
    /// Something other than GET.
    #[error("its method is not GET")]
    Method,
    /// Another path, or a query, or an address in the way of a proxy.
    #[error("its path is not the one")]
    Path,
    /// No `Host`, several, or another: a page whose name was made to point here sends that name.
    #[error("its Host is not this address")]
    Host,
    /// A header that browsers add to a page's requests.
    #[error("it comes from a page in a browser")]
    Browser,
    /// A header that proxies add.
    #[error("it comes through a proxy")]
    Proxy,
    /// It has, or announces, a body.
    #[error("it has a body")]
    Body,
    /// No token, several, or one that stands for nothing.
    #[error("its token is not one of a program that runs")]
    Token,
}

/// Looks at the head of a request to `host` and returns the digest of the token in it.
pub(super) fn judge(head: &[u8], host: &str) -> Result<Digest, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = request.parse(head) else {
        return Err(Refusal::Malformed);
    };
    // SDKs speak 1.1 (httparse counts the minor version).
    if request.version != Some(1) {
        return Err(Refusal::Malformed);
    }
    if length != head.len() {
        return Err(Refusal::Body);
    }
    if request.method != Some("GET") {
        return Err(Refusal::Method);
    }
    if request.path != Some(PATH) {
        return Err(Refusal::Path);
    }
    for header in request.headers.iter() {
        check(header)?;
    }
    let one = |name: &str| {
        let mut found = request.headers.iter().filter(|it| it.name.eq_ignore_ascii_case(name));
        found.next().filter(|_| found.next().is_none()).map(|header| header.value)
    };
    if one("host") != Some(host.as_bytes()) {
        return Err(Refusal::Host);
    }
    one("authorization").map(Digest::of).ok_or(Refusal::Token)
}

/// Refuses what no SDK sends.
fn check(header: &httparse::Header<'_>) -> Result<(), Refusal> {
    match header.name.to_ascii_lowercase().as_str() {
        "origin" | "referer" => Err(Refusal::Browser),
        // Sec-Fetch-*, Sec-CH-*, Sec-WebSocket-*: pages cannot set or take away any of them
        // (Fetch standard, "forbidden request-header").
        name if name.starts_with("sec-") => Err(Refusal::Browser),
        // As AWS's own metadata service does (EC2 User Guide, "How Instance Metadata Service
        // Version 2 works").
        "forwarded" | "via" => Err(Refusal::Proxy),
        name if name.starts_with("x-forwarded-") => Err(Refusal::Proxy),
        "transfer-encoding" => Err(Refusal::Body),
        "content-length" if header.value != b"0" => Err(Refusal::Body),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample};

    use super::*;

    const HOST: &str = "127.0.0.1:4711";
    const TOKEN: &str = "dGhlLXRva2VuLW9mLW9uZS1wcm9ncmFtLXRoYXQtcnVucw";

    fn head(request: &str, headers: &[(&str, &str)]) -> String {
        let mut text = format!("{request}\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text + "\r\n"
    }

    /// What the SDKs send, as seen from botocore 1.43, JS 3.972 and Rust 1.13, with a header more.
    fn good(more: &[(&str, &str)]) -> String {
        let mut headers = vec![("Host", HOST), ("Authorization", TOKEN), ("Accept", "*/*")];
        headers.extend(more);
        head("GET /v1/credentials HTTP/1.1", &headers)
    }

    #[test]
    fn what_an_sdk_sends_is_taken() {
        let digest = Digest::of(TOKEN.as_bytes());
        for head in [
            good(&[("User-Agent", "Boto3/1.44"), ("Connection", "keep-alive")]),
            good(&[("Content-Length", "0"), ("Accept-Encoding", "identity")]),
            head(
                "GET /v1/credentials HTTP/1.1",
                &[("authorization", TOKEN), ("accept", "application/json"), ("host", HOST)],
            ),
        ] {
            assert_eq!(judge(head.as_bytes(), HOST), Ok(digest), "{head}");
        }
        assert_ne!(Digest::of(b"a"), Digest::of(b"b"));
    }

    #[test]
    fn another_request_line_is_refused() {
        for (line, refusal) in [
            ("POST /v1/credentials HTTP/1.1", Refusal::Method),
            ("HEAD /v1/credentials HTTP/1.1", Refusal::Method),
            ("OPTIONS /v1/credentials HTTP/1.1", Refusal::Method),
            ("get /v1/credentials HTTP/1.1", Refusal::Method),
            ("GET / HTTP/1.1", Refusal::Path),
            ("GET /v1/credentials/ HTTP/1.1", Refusal::Path),
            ("GET /v1/credentials?profile=prod HTTP/1.1", Refusal::Path),
            ("GET /v1/credentials/prod HTTP/1.1", Refusal::Path),
            ("GET //v1/credentials HTTP/1.1", Refusal::Path),
            ("GET /v1/../v1/credentials HTTP/1.1", Refusal::Path),
            ("GET /v1/%63redentials HTTP/1.1", Refusal::Path),
            ("GET /V1/credentials HTTP/1.1", Refusal::Path),
            ("GET http://127.0.0.1:4711/v1/credentials HTTP/1.1", Refusal::Path),
            ("GET http://evil.example/v1/credentials HTTP/1.1", Refusal::Path),
            ("CONNECT 127.0.0.1:4711 HTTP/1.1", Refusal::Method),
            ("GET /v1/credentials HTTP/1.0", Refusal::Malformed),
            ("GET /v1/credentials HTTP/2.0", Refusal::Malformed),
            ("GET /v1/credentials", Refusal::Malformed),
            ("PRI * HTTP/2.0", Refusal::Malformed),
            ("", Refusal::Malformed),
        ] {
            let head = head(line, &[("Host", HOST), ("Authorization", TOKEN)]);
            assert_eq!(judge(head.as_bytes(), HOST), Err(refusal), "{line}");
        }
    }

    #[test]
    fn another_host_is_refused() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:4712",
            "127.0.0.1:47110",
            "127.0.0.1:04711",
            "127.0.0.1.evil.example:4711",
            "127.0.0.1.evil.example",
            "evil.example:4711",
            "evil.example",
            "localhost:4711",
            "0.0.0.0:4711",
            "[::1]:4711",
            "127.1:4711",
            "2130706433:4711",
            "127.0.0.1:4711@evil.example",
            "ann@127.0.0.1:4711",
            "127.0.0.1:4711, evil.example",
            "127.0.0.1:4711.",
            "",
        ] {
            let head =
                head("GET /v1/credentials HTTP/1.1", &[("Host", host), ("Authorization", TOKEN)]);
            assert_eq!(judge(head.as_bytes(), HOST), Err(Refusal::Host), "{host}");
        }
        let none = head("GET /v1/credentials HTTP/1.1", &[("Authorization", TOKEN)]);
        assert_eq!(judge(none.as_bytes(), HOST), Err(Refusal::Host));
        for second in [HOST, "evil.example"] {
            let two = good(&[("host", second)]);
            assert_eq!(judge(two.as_bytes(), HOST), Err(Refusal::Host));
        }
    }

    #[test]
    fn headers_of_browsers_proxies_and_bodies_are_refused() {
        for (name, value, refusal) in [
            ("Origin", "https://evil.example", Refusal::Browser),
            ("origin", "null", Refusal::Browser),
            ("ORIGIN", "http://127.0.0.1:4711", Refusal::Browser),
            ("Origin", "", Refusal::Browser),
            ("Referer", "https://evil.example/", Refusal::Browser),
            ("Sec-Fetch-Site", "none", Refusal::Browser),
            ("sec-fetch-mode", "no-cors", Refusal::Browser),
            ("Sec-Fetch-Dest", "image", Refusal::Browser),
            ("Sec-CH-UA", "\"Chromium\"", Refusal::Browser),
            ("Sec-WebSocket-Key", "x", Refusal::Browser),
            ("Forwarded", "for=192.0.2.1", Refusal::Proxy),
            ("Via", "1.1 proxy", Refusal::Proxy),
            ("X-Forwarded-For", "192.0.2.1", Refusal::Proxy),
            ("x-forwarded-host", HOST, Refusal::Proxy),
            ("Transfer-Encoding", "chunked", Refusal::Body),
            ("Content-Length", "1", Refusal::Body),
            ("Content-Length", "00", Refusal::Body),
            ("Content-Length", "-1", Refusal::Body),
            ("Authorization", TOKEN, Refusal::Token),
            ("authorization", "x", Refusal::Token),
        ] {
            let head = good(&[(name, value)]);
            assert_eq!(judge(head.as_bytes(), HOST), Err(refusal), "{name}: {value}");
        }
        let none = head("GET /v1/credentials HTTP/1.1", &[("Host", HOST)]);
        assert_eq!(judge(none.as_bytes(), HOST), Err(Refusal::Token));
        let more = good(&[]) + "GET /v1/credentials HTTP/1.1\r\n\r\n";
        assert_eq!(judge(more.as_bytes(), HOST), Err(Refusal::Body));
        let many = good(&[("X", "y"); MOST_HEADERS]);
        assert_eq!(judge(many.as_bytes(), HOST), Err(Refusal::Malformed));
    }

    /// Says by other means whether a head has what it must have, and nothing of what it must not.
    fn is_right(head: &[u8]) -> bool {
        // Empty lines before a request mean nothing (RFC 9112 section 2.2).
        let begin = head.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or_default();
        let Some(lines) = head[begin..].strip_prefix(b"GET /v1/credentials HTTP/1.1") else {
            return false;
        };
        let text = String::from_utf8_lossy(lines).to_ascii_lowercase();
        let fields: Vec<(&str, &str)> =
            text.lines().filter_map(|line| line.split_once(':')).collect();
        let of = |name: &str| -> Vec<&str> {
            fields.iter().filter(|it| it.0 == name).map(|it| it.1.trim()).collect()
        };
        of("host") == [HOST]
            && of("authorization").len() == 1
            && of("content-length").iter().all(|length| *length == "0")
            && !fields
                .iter()
                .any(|(name, _)| ["origin", "referer", "sec-fetch-site"].contains(name))
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 20_000,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Bytes changed, dropped, doubled or put in anywhere: nothing is taken for the program with
        /// the token that does not say all it must.
        #[test]
        fn damaged_requests_are_refused(
            more in sample::subsequence(
                vec![
                    ("Origin", "null"),
                    ("Referer", "http://a"),
                    ("Sec-Fetch-Site", "none"),
                    ("Content-Length", "7"),
                ],
                0..=2,
            ),
            edits in prop::collection::vec(
                (any::<sample::Index>(), 0_u8..4, prop_oneof![any::<u8>(), sample::select(&b"\r\n :,.0"[..])]),
                0..4,
            ),
        ) {
            let mut head = good(&more).into_bytes();
            for (place, how, byte) in edits {
                let at = place.index(head.len());
                match how {
                    0 => head[at] = byte,
                    1 => { head.remove(at); }
                    2 => head.insert(at, head[at]),
                    _ => head.insert(at, byte),
                }
            }
            if let Ok(digest) = judge(&head, HOST) {
                prop_assert!(is_right(&head), "{}", String::from_utf8_lossy(&head));
                let has_token = head.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes());
                prop_assert!(has_token || digest != Digest::of(TOKEN.as_bytes()));
            }
        }
    }
}
