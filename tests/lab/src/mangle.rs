//! Answers that are not what they should be.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::Answer;

/// A moment that no answer should give as the end of something.
///
/// Where a protocol counts (`expiresIn` in seconds, the portal's `expiration` in milliseconds),
/// the spellings of text (`NoZone`, `Offset`) change nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// An hour before the answer.
    Past,
    /// 1970.
    Zero,
    /// The last second that four digits can tell.
    Year9999,
    /// Beyond what most programs can count: a year of five digits, or the largest number.
    FarFuture,
    /// The right moment, without its `Z`.
    NoZone,
    /// The right moment, with `+00:00` for `Z`, as some tools write it.
    Offset,
    /// A word.
    Garbage,
    /// `null`, or an empty element.
    Null,
    /// Not there.
    Missing,
}

/// Fields that hold an end, and how they count.
const FIELDS: [(&str, Unit); 6] = [
    ("Expiration", Unit::Text),
    ("expiration", Unit::Milliseconds),
    ("expiresAt", Unit::Text),
    ("expiresIn", Unit::FromNow),
    ("clientSecretExpiresAt", Unit::Seconds),
    ("expirationTimestamp", Unit::Text),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Text,
    Seconds,
    Milliseconds,
    FromNow,
}

/// 9999-12-31T23:59:59Z.
const YEAR_9999: i64 = 253_402_300_799;

impl Expiry {
    /// What takes the place of a value; nothing removes it.
    fn of(self, old: &Value, unit: Unit, now: i64) -> Option<Value> {
        let count = |at: i64| match unit {
            Unit::Text => Value::from(crate::clock::iso(at)),
            Unit::Seconds => at.into(),
            Unit::Milliseconds => at.saturating_mul(1000).into(),
            Unit::FromNow => at.saturating_sub(now).into(),
        };
        let spell = |end: &str| {
            let text = old.as_str().and_then(|text| text.strip_suffix('Z'));
            text.map_or_else(|| old.clone(), |text| format!("{text}{end}").into())
        };
        Some(match self {
            Self::Past => count(now - 3600),
            Self::Zero => count(0),
            Self::Year9999 => count(YEAR_9999),
            Self::FarFuture if unit == Unit::Text => "99999-12-31T23:59:59Z".into(),
            Self::FarFuture => i64::MAX.into(),
            Self::NoZone => spell(""),
            Self::Offset => spell("+00:00"),
            Self::Garbage => "soon".into(),
            Self::Null => Value::Null,
            Self::Missing => return None,
        })
    }
}

/// Puts another end into every place of an answer that tells one: JSON or STS's XML.
pub(crate) fn expiry(answer: &mut Answer, expiry: Expiry, now: i64) {
    if let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) {
        change(&mut body, expiry, now);
        answer.body = body.to_string().into_bytes();
        return;
    }
    let text = String::from_utf8_lossy(&answer.body);
    let (open, close) = ("<Expiration>", "</Expiration>");
    if let Some((head, rest)) = text.split_once(open)
        && let Some((old, tail)) = rest.split_once(close)
    {
        let new = match expiry.of(&old.into(), Unit::Text, now) {
            None => String::new(),
            Some(Value::String(text)) => format!("{open}{text}{close}"),
            Some(_) => format!("{open}{close}"),
        };
        answer.body = format!("{head}{new}{tail}").into_bytes();
    }
}

fn change(value: &mut Value, expiry: Expiry, now: i64) {
    match value {
        Value::Object(fields) => {
            for (name, unit) in FIELDS {
                let Some(old) = fields.get(name) else { continue };
                match expiry.of(old, unit, now) {
                    Some(new) => drop(fields.insert(name.into(), new)),
                    None => drop(fields.remove(name)),
                }
            }
            fields.values_mut().for_each(|inner| change(inner, expiry, now));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| change(inner, expiry, now)),
        _ => {}
    }
}

/// Cuts an answer in the middle, as if that were all of it.
pub(crate) fn cut(answer: &mut Answer) {
    answer.body.truncate(answer.body.len() / 2);
}

/// Makes an answer as long as this; blanks leave JSON and XML what they are.
pub(crate) fn pad(answer: &mut Answer, bytes: usize) {
    let length = answer.body.len().max(bytes);
    answer.body.resize(length, b' ');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_795_485_784;

    fn json_with(expiry: Expiry) -> Value {
        let body = json!({
            "roleCredentials": {"expiration": 5, "secretAccessKey": "s"},
            "list": [{"Expiration": "2026-11-24T03:03:04Z"}], "expiresIn": 900,
            "clientSecretExpiresAt": 5,
        });
        let mut answer = Answer::json(200, &body);
        super::expiry(&mut answer, expiry, NOW);
        serde_json::from_slice(&answer.body).expect("still JSON")
    }

    #[test]
    fn every_end_in_json_by_its_own_count() {
        let past = json_with(Expiry::Past);
        assert_eq!(past["roleCredentials"]["expiration"], (NOW - 3600) * 1000);
        assert_eq!(past["list"][0]["Expiration"], "2026-11-24T01:03:04Z");
        assert_eq!(past["expiresIn"], -3600);
        assert_eq!(past["clientSecretExpiresAt"], NOW - 3600);
        assert_eq!(past["roleCredentials"]["secretAccessKey"], "s", "all else stays");
        let far = json_with(Expiry::Year9999);
        assert_eq!(far["list"][0]["Expiration"], "9999-12-31T23:59:59Z");
        assert_eq!(far["roleCredentials"]["expiration"], 253_402_300_799_000_i64);
        assert_eq!(json_with(Expiry::FarFuture)["expiresIn"], i64::MAX);
        assert_eq!(json_with(Expiry::NoZone)["list"][0]["Expiration"], "2026-11-24T03:03:04");
        assert_eq!(json_with(Expiry::NoZone)["expiresIn"], 900);
        let offset = json_with(Expiry::Offset);
        assert_eq!(offset["list"][0]["Expiration"], "2026-11-24T03:03:04+00:00");
        assert_eq!(json_with(Expiry::Missing).get("expiresIn"), None);
        assert!(json_with(Expiry::Null)["expiresIn"].is_null());
    }

    #[test]
    fn the_end_in_xml() {
        let with = |expiry| {
            let text = "<C><Expiration>2026-11-24T03:03:04Z</Expiration><A>a</A></C>";
            let mut answer = Answer::new(200, "text/xml", text);
            super::expiry(&mut answer, expiry, NOW);
            String::from_utf8(answer.body).expect("text")
        };
        let zero = "<C><Expiration>1970-01-01T00:00:00Z</Expiration><A>a</A></C>";
        assert_eq!(with(Expiry::Zero), zero);
        assert_eq!(with(Expiry::Missing), "<C><A>a</A></C>");
        assert_eq!(with(Expiry::Null), "<C><Expiration></Expiration><A>a</A></C>");
        assert!(with(Expiry::FarFuture).contains("99999-12-31"));
    }
}
