//! Reading what came back: error bodies of the three shapes AWS uses, dates, and text that has to
//! be cleared of secrets before anybody may see it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};
use serde_json::Value;

/// An answer with its body, read to the end.
#[derive(Clone, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) headers: Headers<'a>,
    pub(crate) body: &'a [u8],
}

/// The headers that are looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Headers<'a> {
    pub(crate) error_type: Option<&'a str>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) retry_after: Option<&'a str>,
    pub(crate) date: Option<&'a str>,
    pub(crate) content_type: Option<&'a str>,
}

impl<'a> Headers<'a> {
    pub(crate) fn of(headers: &'a aws_smithy_runtime_api::http::Headers) -> Self {
        Self {
            error_type: headers.get("x-amzn-errortype"),
            request_id: headers.get("x-amzn-requestid").or_else(|| headers.get("x-amz-request-id")),
            retry_after: headers.get("retry-after"),
            date: headers.get("date"),
            content_type: headers.get("content-type"),
        }
    }

    /// Returns whether `body` is a page for a browser, as captive portals and proxies send.
    pub(crate) fn is_page(self, body: &[u8]) -> bool {
        is_page(self.content_type, body)
    }
}

/// What a service says about a failure, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) request_id: Option<String>,
}

impl Answer<'_> {
    /// Returns code and message of an error answer, wherever the service puts them: rest-json has
    /// the code in `x-amzn-errortype` (cut at `:`; a `#` ends a namespace), or in `__type` or
    /// `code` (Smithy, "AWS restJson1", "Operation error serialization"); SSO OIDC also in
    /// `error`, in `OAuth`'s spelling; STS answers XML (Smithy, "AWS query"),
    /// or the same as JSON where that was asked for.
    pub(crate) fn words(&self) -> Words {
        let mut words = match self.body.iter().find(|b| !b.is_ascii_whitespace()) {
            Some(b'<') => xml_words(self.body),
            _ => json_words(self.body),
        };
        if let Some(code) = self.headers.error_type.map(bare_code).filter(|code| is_code(code)) {
            words.code = Some(code.to_owned());
        }
        if let Some(id) = self.headers.request_id {
            words.request_id = Some(id.to_owned());
        }
        words
    }

    /// Returns the `error` of a body of JSON as it stands there.
    pub(crate) fn error_field(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(self.body).ok()?;
        body.get("error")?.as_str().filter(|code| is_code(code)).map(str::to_owned)
    }

    /// Returns whether this is a page for a browser, as captive portals and proxies send.
    pub(crate) fn is_page(&self) -> bool {
        is_page(self.headers.content_type, self.body)
    }

    /// Returns the instant in the `Date` header.
    pub(crate) fn date(&self) -> Option<Timestamp> {
        self.headers.date.and_then(http_date)
    }
}

/// Returns whether a body is HTML, by its type or by its first bytes.
pub(crate) fn is_page(content_type: Option<&str>, body: &[u8]) -> bool {
    let head = body.trim_ascii_start();
    let begins = |with: &str| {
        head.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with.as_bytes()))
    };
    content_type.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
        || begins("<!doctype html")
        || begins("<html")
}

fn json_words(body: &[u8]) -> Words {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice::<Value>(body) else {
        return Words::default();
    };
    // STS, where it was asked for JSON: as its XML, an `Error` within (aws-iam-authenticator
    // `pkg/token/token.go` quotes one).
    if let Some(Value::Object(inner)) = fields.remove("Error") {
        let request_id = fields.remove("RequestId");
        fields = inner;
        fields.extend(request_id.map(|id| ("RequestId".to_owned(), id)));
    }
    let text = |names: &[&str]| {
        names.iter().find_map(|name| fields.get(*name)?.as_str()).filter(|text| !text.is_empty())
    };
    let code = text(&["__type", "code", "Code"])
        .map(bare_code)
        .or_else(|| text(&["error"]).map(|error| oauth_code(error).unwrap_or(error)))
        .filter(|code| is_code(code));
    let message = text(&["message", "Message", "error_description"]).map(str::to_owned);
    // `reason` names a KMS trouble of the instance (SSO OIDC API, CreateToken, "Errors").
    let message = match (message, text(&["reason"])) {
        (Some(message), Some(reason)) => Some(format!("{message} ({reason})")),
        (None, Some(reason)) => Some(reason.to_owned()),
        (message, None) => message,
    };
    let request_id = text(&["RequestId"]).map(str::to_owned);
    Words { code: code.map(str::to_owned), message, request_id }
}

/// The exception of each `error` in a body of SSO OIDC (its API reference, "`CreateToken`"): used
/// where the answer lacks the header that names the exception.
fn oauth_code(error: &str) -> Option<&'static str> {
    Some(match error {
        "authorization_pending" => "AuthorizationPendingException",
        "slow_down" => "SlowDownException",
        "expired_token" => "ExpiredTokenException",
        "access_denied" => "AccessDeniedException",
        "invalid_grant" => "InvalidGrantException",
        "invalid_client" => "InvalidClientException",
        "unauthorized_client" => "UnauthorizedClientException",
        "invalid_request" => "InvalidRequestException",
        "invalid_scope" => "InvalidScopeException",
        "unsupported_grant_type" => "UnsupportedGrantTypeException",
        "invalid_redirect_uri" => "InvalidRedirectUriException",
        "invalid_client_metadata" => "InvalidClientMetadataException",
        "server_error" => "InternalServerException",
        _ => return None,
    })
}

fn xml_words(body: &[u8]) -> Words {
    let text = String::from_utf8_lossy(body);
    if !text.contains("<Error") {
        return Words::default();
    }
    Words {
        code: element(&text, "Code").filter(|code| is_code(code)),
        message: element(&text, "Message"),
        request_id: element(&text, "RequestId"),
    }
}

/// Returns the text of the first `<name>`, its five predefined entities resolved.
pub(super) fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = inner
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&");
    Some(plain.trim().to_owned()).filter(|text| !text.is_empty())
}

fn bare_code(text: &str) -> &str {
    let text = text.split(':').next().unwrap_or(text);
    text.rsplit('#').next().unwrap_or(text).trim()
}

/// Codes are names. What is not one came from somebody else, and is not repeated.
fn is_code(text: &str) -> bool {
    (1..=80).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Longer waits are nonsense of a proxy, not advice.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// Returns how long `Retry-After` asks to wait: seconds, or a date (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(text: Option<&str>, now: Timestamp) -> Option<Duration> {
    let text = text?.trim();
    let wait = match text.parse::<u32>() {
        Ok(seconds) => SignedDuration::from_secs(seconds.into()),
        Err(_) => http_date(text)?.duration_since(now),
    };
    Some(wait.clamp(SignedDuration::ZERO, LONGEST_WAIT).unsigned_abs())
}

fn http_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

/// AWS's own sentence is cut here: no known one is longer, and what is long repeats the request.
const LONGEST_MESSAGE: usize = 400;

/// Unbroken text of this length is a token, not a word; ARNs break at their colons.
const LONGEST_WORD: usize = 80;

/// Returns a message fit to be shown: without the secrets of the call, without anything that
/// looks like one, without the copy of the request that signature errors bring along, on one line.
pub(crate) fn cleared(message: &str, secrets: &[&str]) -> String {
    // "The Canonical String for this request should have been …" repeats the session token.
    let end = message.find("The Canonical String").unwrap_or(message.len());
    let mut text = message.get(..end).unwrap_or(message).to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= 6) {
        text = text.replace(secret, "***");
    }
    let mut clear = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c| !is_token_char(c)) {
        if piece.chars().filter(|c| is_token_char(*c)).count() >= LONGEST_WORD {
            clear.push_str("***");
            clear.extend(piece.chars().last().filter(|c| !is_token_char(*c)));
        } else {
            clear.push_str(piece);
        }
    }
    let line = clear.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-' | '.' | '%' | '~')
}

/// How far this machine's clock is from AWS's, by a signature error's own words: "Signature
/// expired: T1 is now earlier than T2 (T3 - 15 min.)" and "Signature not yet current: T1 is still
/// later than T2 (T3 + 5 min.)", where T3 is AWS's time.
pub(crate) fn server_time_of(message: &str) -> Option<Timestamp> {
    let text = message.split_once('(')?.1.split_whitespace().next()?;
    let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(error_type: Option<&str>, body: &str) -> Words {
        let headers = Headers { error_type, ..Headers::default() };
        Answer { status: 400, headers, body: body.as_bytes() }.words()
    }

    #[test]
    fn codes_and_messages_of_every_shape() {
        for (header, body, code, message) in [
            (
                Some("UnauthorizedException"),
                r#"{"message":"Session token not found or invalid"}"#,
                Some("UnauthorizedException"),
                Some("Session token not found or invalid"),
            ),
            (
                Some("ResourceNotFoundException:http://internal.amazon.com/"),
                r#"{"message":null}"#,
                Some("ResourceNotFoundException"),
                None,
            ),
            (
                None,
                r#"{"__type":"com.amazonaws.sso#ForbiddenException","message":"No access"}"#,
                Some("ForbiddenException"),
                Some("No access"),
            ),
            (
                None,
                r#"{"error":"invalid_grant","error_description":"gone"}"#,
                Some("InvalidGrantException"),
                Some("gone"),
            ),
            (
                Some("InvalidRequestException"),
                r#"{"error":"invalid_request","error_description":"no","reason":"KMS_AccessDeniedException"}"#,
                Some("InvalidRequestException"),
                Some("no (KMS_AccessDeniedException)"),
            ),
            (
                None,
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>\
                <Type>Sender</Type><Code>AccessDenied</Code><Message>User &quot;x&quot; &amp; co</Message>\
                </Error><RequestId>1-2</RequestId></ErrorResponse>",
                Some("AccessDenied"),
                Some("User \"x\" & co"),
            ),
            (
                None,
                r#"{"Error":{"Code":"Throttling","Message":"Rate exceeded","Type":"Sender"},"RequestId":"1-2"}"#,
                Some("Throttling"),
                Some("Rate exceeded"),
            ),
            (None, "<html><h1>Welcome to Hotel WiFi</h1></html>", None, None),
            (None, "plain words", None, None),
            (None, "", None, None),
            (Some("not a code, surely"), "{}", None, None),
        ] {
            let found = words(header, body);
            assert_eq!(
                (found.code.as_deref(), found.message.as_deref()),
                (code, message),
                "{body}"
            );
        }
    }

    #[test]
    fn retry_after_takes_seconds_and_dates() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        for (text, seconds) in [
            (Some("7"), Some(7)),
            (Some("0"), Some(0)),
            (Some("99999999"), Some(3600)),
            (Some("Fri, 02 Jan 2026 03:04:35 GMT"), Some(30)),
            (Some("Fri, 02 Jan 2026 03:00:00 GMT"), Some(0)),
            (Some("soon"), None),
            (Some("-1"), None),
            (None, None),
        ] {
            assert_eq!(retry_after(text, now), seconds.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn nothing_that_looks_like_a_secret_stays() {
        let token = "FwoGZXIvYXdzE".repeat(9);
        assert_eq!(cleared(&format!("bad token {token}, sorry"), &[]), "bad token ***, sorry");
        assert_eq!(cleared("code hunter2!", &["hunter2!"]), "code ***");
        assert_eq!(
            cleared("we calculated\nno match. The Canonical String for this was 'GET\n/'", &[]),
            "we calculated no match."
        );
        let arn = "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Administrator_0123456789abcdef/someone@example.com";
        assert_eq!(cleared(arn, &[]), arn);
        assert!(cleared(&"word ".repeat(500), &[]).chars().count() <= 401);
    }

    #[test]
    fn server_time_in_a_signature_error() {
        let text = "Signature expired: 20260102T030405Z is now earlier than 20260102T031905Z (20260102T033405Z - 15 min.)";
        assert_eq!(server_time_of(text), Some("2026-01-02T03:34:05Z".parse().unwrap()));
        assert_eq!(server_time_of("Signature expired"), None);
    }

    #[test]
    fn pages_are_known_by_type_or_look() {
        assert!(is_page(Some("text/html; charset=utf-8"), b"{}"));
        assert!(is_page(None, b"\n <!DOCTYPE HTML><p>"));
        assert!(!is_page(Some("text/xml"), b"<ErrorResponse>"));
        assert!(!is_page(None, b""));
    }
}
