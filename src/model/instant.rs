//! Instants as the AWS tools, and programs that stand in for them, write them.

use jiff::Timestamp;

/// Parses every form that botocore accepts, as long as it names a zone: `Z`, a fraction, an offset, a
/// blank for the `T`, and the `UTC` of early CLI versions. Without a zone nobody agrees what is meant.
pub fn parse_instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    match text.strip_suffix("UTC") {
        Some(text) => format!("{}Z", text.trim_end()).parse().ok(),
        None => text.parse().ok(),
    }
}

/// Expiry keys that other tools write beside temporary keys: saml2aws, aws-mfa and gimme-aws-creds
/// among them (their sources; there is no standard).
const EXPIRY_KEYS: [&str; 4] =
    ["x_security_token_expires", "aws_expiration", "expiration", "aws_session_expiration"];

/// Returns when temporary keys in a file end, as far as the tool that wrote them says so.
pub(super) fn expiry<'a>(value: impl Fn(&'static str) -> Option<&'a str>) -> Option<Timestamp> {
    EXPIRY_KEYS.into_iter().find_map(|key| {
        let text = value(key)?;
        // aws-mfa writes UTC and does not say so: `2026-11-14 04:05:45`.
        let zoneless = || (key == "expiration").then(|| format!("{}Z", text.trim()));
        parse_instant(text).or_else(|| parse_instant(&zoneless()?))
    })
}

/// Formats as `YYYY-MM-DDTHH:MM:SSZ`, the only form that all tools accept; a fraction is dropped, so
/// that nothing is said to last longer than it does.
pub fn format_instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_botocore_accepts_with_a_zone() {
        let vectors = include_str!("../../tests/data/aws/timestamps.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let rows = vectors["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 9);
        for row in rows {
            let text = row["text"].as_str().unwrap();
            let found = parse_instant(text).map(format_instant);
            match row["botocore"].as_i64() {
                Some(1) => assert_eq!(found.as_deref(), Some("2026-11-14T04:05:45Z"), "{text}"),
                Some(_) => assert_eq!(found, None, "{text}"),
                // No zone, or not known what botocore makes of it.
                None => assert!(found.is_none_or(|at| at == "2026-11-14T04:05:45Z"), "{text}"),
            }
        }
        assert_eq!(parse_instant("2026-11-14T04:05:45"), None, "no zone");
    }

    #[test]
    fn what_is_written_is_a_form_that_all_accept() {
        let vectors = include_str!("../../tests/data/aws/timestamps.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let rows = vectors["rows"].as_array().unwrap();
        for row in rows {
            let Some(at) = parse_instant(row["text"].as_str().unwrap()) else { continue };
            let written = format_instant(at);
            let accepted = rows.iter().find(|row| row["text"] == written).unwrap();
            let mut readers = accepted.as_object().unwrap().iter().filter(|(it, _)| *it != "text");
            assert!(readers.all(|(_, verdict)| *verdict == 1), "{written}");
        }
    }

    #[test]
    fn what_tools_write_beside_keys() {
        for (key, text, is_expiry) in [
            ("x_security_token_expires", "2026-11-14T05:05:45+01:00", true),
            ("aws_expiration", "2026-11-14T04:05:45Z", true),
            ("aws_session_expiration", "2026-11-14T04:05:45.000Z", true),
            ("expiration", "2026-11-14 04:05:45", true),
            ("expiration", "2026-11-14 04:05:45+00:00", true),
            ("expiration", "2026-11-14 04:05:45 UTC", true),
            ("aws_expiration", "2026-11-14 04:05:45", false),
            ("expiration", "tomorrow", false),
            ("expires", "2026-11-14T04:05:45Z", false),
        ] {
            let found = expiry(|asked| (asked == key).then_some(text)).map(format_instant);
            assert_eq!(found.is_some(), is_expiry, "{key} = {text}: {found:?}");
            assert!(found.is_none_or(|at| at == "2026-11-14T04:05:45Z"), "{key} = {text}");
        }
    }

    #[test]
    fn odd_texts() {
        for (text, expected) in [
            ("", None),
            ("UTC", None),
            ("never", None),
            ("2026-13-14T04:05:45Z", None),
            ("99999-01-01T00:00:00Z", None),
            (" 2026-11-14T04:05:45 UTC ", Some("2026-11-14T04:05:45Z")),
            ("2026-11-14T05:05:45.999+01:00", Some("2026-11-14T04:05:45Z")),
            // A leap second is the last moment of the minute.
            ("2016-12-31T23:59:60Z", Some("2016-12-31T23:59:59Z")),
            ("9999-12-30T22:00:00Z", Some("9999-12-30T22:00:00Z")),
        ] {
            assert_eq!(parse_instant(text).map(format_instant).as_deref(), expected, "{text}");
        }
    }
}
