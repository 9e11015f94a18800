//! The proof of an edit: what a text must say after it, as a value, compared with what it says.

use super::{
    edit::{Change, Place, Step},
    tree::{Document, Kind, Node, Style},
    write::{Want, is_plain},
};

/// What a text says, without where.
#[derive(Clone, Debug)]
pub struct Value {
    what: What,
    anchor: usize,
    tag: Option<String>,
}

#[derive(Clone, Debug)]
enum What {
    Scalar {
        text: String,
        is_plain: bool,
    },
    /// Written by eksd: in quotes, or plain where that is the same.
    Text(String),
    Map(Vec<(Value, Value)>),
    List(Vec<Value>),
    Alias(usize),
}

impl Value {
    /// Returns what a document says.
    pub fn of(document: &Document) -> Self {
        Self::of_node(&document.root)
    }

    /// Returns what a value says.
    pub fn of_node(node: &Node) -> Self {
        let what = match &node.kind {
            Kind::Scalar { text, style } => {
                What::Scalar { text: text.clone(), is_plain: *style == Style::Plain }
            }
            Kind::Map { entries, .. } => What::Map(
                entries
                    .iter()
                    .map(|(key, value)| (Self::of_node(key), Self::of_node(value)))
                    .collect(),
            ),
            Kind::List { items, .. } => {
                What::List(items.iter().map(|item| Self::of_node(item)).collect())
            }
            Kind::Alias(anchor) => What::Alias(*anchor),
        };
        Self { what, anchor: node.anchor, tag: node.tag.clone() }
    }

    /// Returns what a new value is to say.
    pub fn wanted(want: &Want) -> Self {
        let what = match want {
            Want::Text(text) => What::Text(text.clone()),
            Want::List(items) => What::List(items.iter().map(Self::wanted).collect()),
            Want::Map(entries) => What::Map(
                entries
                    .iter()
                    .map(|(key, value)| (Self::wanted(&(*key).into()), Self::wanted(value)))
                    .collect(),
            ),
        };
        Self { what, anchor: 0, tag: None }
    }

    fn is_text(&self, wanted: &str) -> bool {
        match &self.what {
            What::Scalar { text, .. } | What::Text(text) => text == wanted,
            _ => false,
        }
    }

    /// Returns whether `found` says this.
    pub fn is_said_by(&self, found: &Self) -> bool {
        let is_same = match (&self.what, &found.what) {
            (What::Text(wanted), What::Scalar { text, is_plain: plain }) => {
                wanted == text && (!plain || is_plain(text))
            }
            (
                What::Scalar { text, is_plain },
                What::Scalar { text: other, is_plain: other_is_plain },
            ) => text == other && is_plain == other_is_plain,
            (What::Map(entries), What::Map(others)) => {
                entries.len() == others.len()
                    && entries.iter().zip(others).all(|((key, value), (other, found))| {
                        key.is_said_by(other) && value.is_said_by(found)
                    })
            }
            (What::List(items), What::List(others)) => {
                items.len() == others.len()
                    && items.iter().zip(others).all(|(item, other)| item.is_said_by(other))
            }
            (What::Alias(anchor), What::Alias(other)) => anchor == other,
            _ => false,
        };
        is_same && self.anchor == found.anchor && self.tag == found.tag
    }

    fn at(&mut self, place: &Place) -> Option<&mut Self> {
        let mut value = self;
        for step in place {
            value = match (step, &mut value.what) {
                (Step::Key(key), What::Map(entries)) => {
                    &mut entries.iter_mut().find(|(name, _)| name.is_text(key))?.1
                }
                (Step::At(index), What::List(items)) => items.get_mut(*index)?,
                _ => return None,
            };
        }
        Some(value)
    }

    /// Carries out a change; `None` where there is nothing of the kind.
    pub fn change(&mut self, change: &Change) -> Option<()> {
        match change {
            Change::Set { map, key, to, before } => {
                let What::Map(entries) = &mut self.at(map)?.what else { return None };
                let to = Self::wanted(to);
                let slot = entries.iter_mut().find(|(name, _)| name.is_text(key));
                if let Some((_, value)) = slot {
                    *value = to;
                    return Some(());
                }
                let is_next = |name: &Self| before.is_some_and(|before| name.is_text(before));
                let at = entries.iter().position(|(name, _)| is_next(name)).unwrap_or_default();
                entries.insert(at, (Self::wanted(&(*key).into()), to));
            }
            Change::Remove { map, key } => {
                let What::Map(entries) = &mut self.at(map)?.what else { return None };
                entries.retain(|(name, _)| !name.is_text(key));
            }
            Change::Drop { map, key, items: dropped } => {
                let What::Map(entries) = &mut self.at(map)?.what else { return None };
                let (_, list) = entries.iter_mut().find(|(name, _)| name.is_text(key))?;
                let What::List(items) = &mut list.what else { return None };
                let mut index = 0;
                items.retain(|_| {
                    index += 1;
                    !dropped.contains(&(index - 1))
                });
            }
            Change::Append { map, key, item } => {
                let at = self.at(map)?;
                if !matches!(at.what, What::Map(_)) {
                    // An empty text.
                    at.what = What::Map(Vec::new());
                }
                let What::Map(entries) = &mut at.what else { return None };
                let item = Self::wanted(item);
                match entries.iter_mut().find(|(name, _)| name.is_text(key)) {
                    Some((_, Self { what: What::List(items), .. })) => items.push(item),
                    Some((_, value)) => value.what = What::List(vec![item]),
                    None => {
                        let list = Self { what: What::List(vec![item]), anchor: 0, tag: None };
                        entries.push((Self::wanted(&(*key).into()), list));
                    }
                }
            }
        }
        Some(())
    }
}
