//! A JSON object whose fields keep their order, and are wiped when dropped.

use std::{fmt, path::Path};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, error::Category};
use zeroize::{Zeroize, Zeroizing};

use crate::store::{StoreError, Tear};

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

    /// Returns these fields with the known ones put in: in their old place, else at the end; those that
    /// have no value any more are left out.
    pub(super) fn merged<'a>(
        &'a self,
        known: &[(&'a str, Option<&'a str>)],
    ) -> Vec<(&'a str, Part<'a>)> {
        let mut parts: Vec<_> = self
            .0
            .iter()
            .filter_map(|(name, value)| {
                let part = match known.iter().find(|(known, _)| known == name) {
                    Some((_, text)) => Part::Text((*text)?),
                    None => Part::Other(value),
                };
                Some((name.as_str(), part))
            })
            .collect();
        for (name, text) in known {
            if let Some(text) = text
                && self.get(name).is_none()
            {
                parts.push((name, Part::Text(text)));
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
    Other(&'a Value),
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Other(value) => value.serialize(serializer),
        }
    }
}

/// Writes fields as one line of JSON.
pub(super) fn to_json(parts: &[(&str, Part<'_>)]) -> Zeroizing<Vec<u8>> {
    struct Object<'a>(&'a [(&'a str, Part<'a>)]);

    impl Serialize for Object<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|(name, part)| (name, part)))
        }
    }

    // Room for all of it: growing would leave copies of secrets behind. Escapes are rare in tokens.
    let size = |part: &Part<'_>| match part {
        Part::Text(text) => 2 * text.len(),
        Part::Other(_) => 256,
    };
    let room = parts.iter().map(|(name, part)| name.len() + size(part) + 8).sum::<usize>() + 8;
    let mut json = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *json, &Object(parts))
        .expect("texts and values that came from JSON have a JSON form, and memory takes them");
    json
}
