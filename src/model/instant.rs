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
