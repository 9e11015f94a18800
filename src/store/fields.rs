//! A JSON object whose fields keep their order, and are wiped when dropped.

use std::{fmt, path::Path};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, error::Category};
use zeroize::{Zeroize, Zeroizing};

use super::{StoreError, Tear, atomic};

/// The fields of a file, in their order. Any may hold a secret: `Debug` prints names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, Value)>);

impl Fields {
    /// Parses a whole file.
    pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Self, StoreError> {
        let torn = |how| StoreError::Torn { path: path.to_owned(), how };
        // After a power loss some file systems show zeros where data was to be.
        if bytes.iter().all(|byte| matches!(byte, 0 | b' ' | b'\t' | b'\r' | b'\n')) {
            return Err(torn(Tear::Empty));
        }
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let fields = Self::deserialize(&mut json).map_err(|error| match error.classify() {
            Category::Eof => torn(Tear::Short),
            Category::Syntax | Category::Io => torn(Tear::NotJson),
            Category::Data => {
                StoreError::Unusable { path: path.to_owned(), why: "it is not a JSON object" }
            }
        })?;
        json.end().map_err(|_| torn(Tear::TrailingGarbage))?;
        Ok(fields)
    }

    /// Reads a file, and when it was written; `None` where there is none.
    pub(super) fn read(path: &Path) -> Result<Option<(Self, Timestamp)>, StoreError> {
        let Some(content) = atomic::read(path)? else { return Ok(None) };
        Ok(Some((Self::parse(&content.bytes, path)?, content.modified_at)))
    }

    /// Reads a file that is about to be replaced: what cannot be read is not worth more than what is
    /// new.
    pub(super) fn read_to_replace(path: &Path) -> Result<Self, StoreError> {
        match Self::read(path) {
            Ok(found) => Ok(found.map(|(fields, _)| fields).unwrap_or_default()),
            Err(StoreError::Torn { .. } | StoreError::Unusable { .. }) => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Returns the names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Returns a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// Returns a field that is a text with something in it.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// Takes a text out, so that no copy of it stays.
    pub(super) fn take_text(&mut self, name: &str) -> Option<String> {
        self.text(name)?;
        let at = self.0.iter().position(|(own, _)| own == name)?;
        match self.0.remove(at).1 {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Takes an object out, likewise.
    pub(super) fn take_object(&mut self, name: &str) -> Option<Self> {
        self.get(name)?.as_object()?;
        let at = self.0.iter().position(|(own, _)| own == name)?;
        match self.0.remove(at).1 {
            Value::Object(fields) => Some(Self(fields.into_iter().collect())),
            _ => None,
        }
    }

    /// Returns these fields with the known ones put in: in their old place, else at the end; those that
    /// have no value any more are left out.
    pub(super) fn merged<'a>(
        &'a self,
        known: &[(&'a str, Option<Part<'a>>)],
    ) -> Vec<(&'a str, Part<'a>)> {
        let mut parts: Vec<_> = self
            .0
            .iter()
            .filter_map(|(name, value)| {
                let part = match known.iter().find(|(known, _)| known == name) {
                    Some((_, part)) => (*part)?,
                    None => Part::Other(value),
                };
                Some((name.as_str(), part))
            })
            .collect();
        for (name, part) in known {
            if let Some(part) = part
                && self.get(name).is_none()
            {
                parts.push((name, *part));
            }
        }
        parts
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        for (_, value) in &mut self.0 {
            wipe(value);
        }
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    // Of two with one name the later counts, as in Python.
                    match fields.0.iter_mut().find(|(own, _)| *own == name) {
                        Some((_, earlier)) => *earlier = value,
                        None => fields.0.push((name, value)),
                    }
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// A field to write, borrowed from where it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    Text(&'a str),
    Object(&'a [(&'a str, Part<'a>)]),
    Other(&'a Value),
}

impl<'a> Part<'a> {
    /// Returns a text that may be absent.
    pub(super) fn text(text: Option<&'a str>) -> Option<Self> {
        text.map(Self::Text)
    }

    /// Returns at least how many bytes it takes, where it may hold a secret. Escapes are rare in tokens.
    fn room(&self) -> usize {
        match self {
            Self::Text(text) => 2 * text.len(),
            Self::Object(parts) => room(parts),
            Self::Other(_) => 256,
        }
    }
}

fn room(parts: &[(&str, Part<'_>)]) -> usize {
    parts.iter().map(|(name, part)| name.len() + part.room() + 8).sum::<usize>() + 8
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Object(parts) => {
                serializer.collect_map(parts.iter().map(|(name, part)| (name, part)))
            }
            Self::Other(value) => value.serialize(serializer),
        }
    }
}

/// Writes fields as one line of JSON.
pub(super) fn to_json(parts: &[(&str, Part<'_>)]) -> Zeroizing<Vec<u8>> {
    // Room for all of it: growing would leave copies of secrets behind.
    let mut json = Zeroizing::new(Vec::with_capacity(room(parts)));
    serde_json::to_writer(&mut *json, &Part::Object(parts))
        .expect("texts and values that came from JSON have a JSON form, and memory takes them");
    json
}
