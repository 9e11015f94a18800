//! Edits of a kubeconfig's text, each proven before anybody sees it.
//!
//! A change names a place in the tree and what is to stand there. It becomes splices of the text; the rest
//! of the text is not touched. Then the new text is read, and must say what the old one said but for
//! the changes. Where a layout is too odd for the splices the proof fails, and the file stays as it is.

use std::rc::Rc;

use super::{
    proof::Value,
    tree::{Document, Kind, Node, Style, Unreadable, own},
    write::Want,
};

/// One step from a value into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the value of a key.
    Key(&'static str),
    /// To the value at an index, from 0.
    At(usize),
}

/// The way to a value, from the top.
pub type Place = Vec<Step>;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A key of a map says this from now on.
    Set {
        /// The map.
        map: Place,
        /// The key.
        key: &'static str,
        /// What it says.
        to: Want,
        /// Before which key it is put where it is new; else before the first one.
        before: Option<&'static str>,
    },
    /// A key of a map goes.
    Remove {
        /// The map.
        map: Place,
        /// The key.
        key: &'static str,
    },
    /// Items of the list under a key go; others stay.
    Drop {
        /// The map with the key.
        map: Place,
        /// The key.
        key: &'static str,
        /// The items, from 0.
        items: Vec<usize>,
    },
    /// An item comes to the end of the list under a key, which is made where there is none.
    Append {
        /// The map with the key.
        map: Place,
        /// The key.
        key: &'static str,
        /// The item.
        item: Want,
    },
}

/// Why a text is not edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// An anchor, alias, merge key or tag: the same text counts elsewhere too.
    #[error("line {line} uses a YAML anchor, alias, merge key or tag")]
    Shared {
        /// From 1.
        line: usize,
    },
    /// A way of writing that is valid and not understood.
    #[error("line {line} is laid out in a way that eksd does not edit")]
    Layout {
        /// From 1.
        line: usize,
    },
    /// A user of that name logs in another way: it is somebody else's.
    #[error("line {line} has a user of that name who logs in another way")]
    Taken {
        /// From 1.
        line: usize,
    },
    /// The edit was made and did not come out as it was meant.
    #[error("the edited text would say something else")]
    Unproven,
}

/// Makes all changes, of which none may concern what another one writes.
pub fn apply(text: &str, changes: &[Change]) -> Result<String, Refusal> {
    let document = Document::read(text)?;
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let writer = Writer { text, newline };
    let mut expected = Value::of(&document);
    let mut splices = Vec::new();
    for change in changes {
        splices.push(writer.splice(&document, change)?);
        expected.change(change).ok_or(Refusal::Unproven)?;
    }
    let edited = spliced(text, splices)?;
    let found = Document::read(&edited).map_err(|_| Refusal::Unproven)?;
    if expected.is_said_by(&Value::of(&found)) { Ok(edited) } else { Err(Refusal::Unproven) }
}

/// What stands at `start` up to `end` is replaced.
struct Splice {
    start: usize,
    end: usize,
    text: String,
}

fn spliced(text: &str, mut splices: Vec<Splice>) -> Result<String, Refusal> {
    splices.sort_by_key(|splice| (splice.start, splice.end));
    let mut edited = String::with_capacity(text.len() + 256);
    let mut done = 0;
    for splice in &splices {
        edited.push_str(text.get(done..splice.start).ok_or(Refusal::Unproven)?);
        edited.push_str(&splice.text);
        done = splice.end;
    }
    edited.push_str(text.get(done..).ok_or(Refusal::Unproven)?);
    Ok(edited)
}

type Entries = [(Rc<Node>, Rc<Node>)];

struct Writer<'a> {
    text: &'a str,
    newline: &'static str,
}

impl Writer<'_> {
    fn splice(&self, document: &Document, change: &Change) -> Result<Splice, Refusal> {
        match change {
            Change::Set { map, key, to, before } => {
                let map = find(document, map)?;
                let (entries, is_flow) = entries_of(map)?;
                match own_once(entries, key, map)? {
                    Some(value) => self.replace(map, value, key, to),
                    None => self.insert(entries, is_flow, key, to, *before, map),
                }
            }
            Change::Remove { map, key } => self.remove(find(document, map)?, key),
            Change::Drop { map, key, items } => {
                let map = find(document, map)?;
                let (entries, _) = entries_of(map)?;
                let list = own_once(entries, key, map)?.ok_or(layout(map))?;
                self.drop_items(list, items)
            }
            Change::Append { map, key, item } => self.append(find(document, map)?, key, item),
        }
    }

    fn replace(&self, map: &Node, value: &Node, key: &str, to: &Want) -> Result<Splice, Refusal> {
        is_unshared(value)?;
        if Value::wanted(to).is_said_by(&Value::of_node(value)) {
            // In its own words.
            return Ok(Splice { start: value.start, end: value.start, text: String::new() });
        }
        let (_, map_is_flow) = entries_of(map)?;
        if value.is_null() && !map_is_flow {
            let column = map.column;
            let start = if value.start == value.end {
                self.after_colon(map, key)?
            } else {
                self.without_blanks_before(value.start)
            };
            let text = to.after_key(column, self.newline);
            return Ok(Splice { start, end: value.end.max(start), text });
        }
        if value.is_null() && value.start == value.end {
            return Err(layout(value));
        }
        let text = match (&value.kind, to) {
            _ if map_is_flow => to.flow(),
            (Kind::Scalar { style: Style::Block, .. }, _) => return Err(layout(value)),
            (Kind::Scalar { style, .. }, Want::Text(text)) => match style {
                Style::Quoted if self.text[value.start..].starts_with('"') => to.flow(),
                _ => super::write::scalar(text),
            },
            (Kind::Map { is_flow: true, .. } | Kind::List { is_flow: true, .. }, _) => to.flow(),
            (Kind::List { items, .. }, Want::List(_)) => {
                let dash = self.dash_of(items.first().ok_or(layout(value))?)?;
                let column = dash - self.line_start(dash);
                let text = to.block(column, self.newline);
                return Ok(Splice { start: dash, end: self.end_of(value), text });
            }
            (Kind::Map { .. }, Want::Map(_)) => to.block(value.column, self.newline),
            _ => return Err(layout(value)),
        };
        Ok(Splice { start: value.start, end: self.end_of(value), text })
    }

    fn insert(
        &self,
        entries: &Entries,
        is_flow: bool,
        key: &str,
        to: &Want,
        before: Option<&'static str>,
        map: &Node,
    ) -> Result<Splice, Refusal> {
        let first = entries.first().ok_or(layout(map))?;
        let is_meant = |entry: &&(Rc<Node>, Rc<Node>)| matches!((&entry.0.kind, before), (Kind::Scalar { text, .. }, Some(before)) if text == before);
        let (next, _) = entries.iter().find(is_meant).unwrap_or(first);
        is_unshared(next)?;
        let start = next.start;
        let margin = " ".repeat(next.column);
        let text = if is_flow {
            let gap = if self.text[map.start..start].contains('\n') {
                format!("{}{margin}", self.newline)
            } else {
                " ".to_owned()
            };
            format!("{}: {},{gap}", Want::from(key).flow(), to.flow())
        } else {
            self.only_dashes_before(start, next)?;
            let value = to.after_key(next.column, self.newline);
            format!("{key}:{value}{}{margin}", self.newline)
        };
        Ok(Splice { start, end: start, text })
    }

    fn remove(&self, map: &Node, key: &str) -> Result<Splice, Refusal> {
        let (entries, is_flow) = entries_of(map)?;
        let is_meant = |(name, _): &(Rc<Node>, Rc<Node>)| is_key(name, key);
        own_once(entries, key, map)?;
        let index = entries.iter().position(is_meant).ok_or(layout(map))?;
        let (name, value) = &entries[index];
        is_unshared(value)?;
        if entries.len() == 1 {
            return Err(layout(name));
        }
        let (start, end) = match (is_flow, index) {
            (true, 0) => (name.start, entries[1].0.start),
            (true, _) => (entries[index - 1].1.end, value.end),
            (false, _) => self.lines(name, value)?,
        };
        Ok(Splice { start, end, text: String::new() })
    }

    /// Returns the lines from a key to the end of its value.
    fn lines(&self, name: &Node, value: &Node) -> Result<(usize, usize), Refusal> {
        let start = self.line_start(name.start);
        if !self.text[start..name.start].chars().all(|c| c == ' ') {
            return Err(layout(name));
        }
        Ok((start, self.next_line(self.end_of(value))))
    }

    fn drop_items(&self, list: &Node, dropped: &[usize]) -> Result<Splice, Refusal> {
        is_unshared(list)?;
        let Kind::List { items, is_flow } = &list.kind else { return Err(layout(list)) };
        let kept = items.iter().enumerate().filter(|(index, _)| !dropped.contains(index));
        let kept: Vec<(usize, &Rc<Node>)> = kept.collect();
        if kept.is_empty() || kept.len() == items.len() {
            return Err(layout(list));
        }
        if *is_flow {
            let kept: Vec<&str> =
                kept.iter().map(|(_, item)| &self.text[item.start..item.end]).collect();
            let text = format!("[{}]", kept.join(", "));
            return Ok(Splice { start: list.start, end: list.end, text });
        }
        let mut text = String::new();
        let (mut start, mut end) = (usize::MAX, 0);
        for (index, item) in items.iter().enumerate() {
            let dash = self.dash_of(item)?;
            let line = self.line_start(dash);
            let next = match items.get(index + 1) {
                Some(next) => self.line_start(self.dash_of(next)?),
                None => self.next_line(self.end_of(item)),
            };
            (start, end) = (start.min(line), next);
            let is_dropped = dropped.contains(&index);
            // What stands between this item and the next one is about the next one.
            let after = self.next_line(self.end_of(item)).min(next);
            text.push_str(&self.text[if is_dropped { after } else { line }..next]);
        }
        Ok(Splice { start, end, text })
    }

    fn append(&self, map: &Node, key: &'static str, item: &Want) -> Result<Splice, Refusal> {
        let list = Want::List(vec![item.clone()]);
        if map.is_null() || matches!(&map.kind, Kind::Map { entries, .. } if entries.is_empty()) {
            return Err(layout(map));
        }
        let (entries, map_is_flow) = entries_of(map)?;
        let Some(value) = own_once(entries, key, map)? else {
            let (_, end) = entries.last().ok_or(layout(map))?;
            let entry = format!("{key}:{}", list.after_key(map.column, self.newline));
            return if map_is_flow {
                let gap = self.flow_gap(map, &entries[0].0);
                let text = format!(",{gap}{}: {}", Want::from(key).flow(), list.flow());
                Ok(Splice { start: end.end, end: end.end, text })
            } else {
                Ok(self.new_lines(self.end_of(end), &entry, map.column))
            };
        };
        is_unshared(value)?;
        match &value.kind {
            Kind::List { items, is_flow: false } if !items.is_empty() => {
                let dash = self.dash_of(&items[0])?;
                let column = dash - self.line_start(dash);
                let end = self.end_of(value);
                Ok(self.new_lines(end, &list.block(column, self.newline), column))
            }
            Kind::List { items, is_flow: true } if !items.is_empty() => {
                let gap = self.flow_gap(value, &items[0]);
                let end = items[items.len() - 1].end;
                Ok(Splice { start: end, end, text: format!(",{gap}{}", item.flow()) })
            }
            Kind::List { .. } if !map_is_flow => {
                let start = self.without_blanks_before(value.start);
                let text = list.after_key(map.column, self.newline);
                Ok(Splice { start, end: value.end, text })
            }
            _ if value.is_null() || matches!(value.kind, Kind::List { .. }) => {
                self.replace(map, value, key, &list)
            }
            _ => Err(layout(value)),
        }
    }

    /// Lines after the one on which something ends.
    fn new_lines(&self, after: usize, lines: &str, column: usize) -> Splice {
        let start = self.next_line(after);
        let margin = " ".repeat(column);
        let is_whole = self.text[..start].ends_with('\n') || start == 0;
        let break_before = if is_whole { "" } else { self.newline };
        let text = format!("{break_before}{margin}{lines}{}", self.newline);
        Splice { start, end: start, text }
    }

    /// What stands between two items of a flow collection, as between its start and its first item.
    fn flow_gap(&self, outer: &Node, first: &Node) -> String {
        if self.text[outer.start..first.start].contains('\n') {
            format!("{}{}", self.newline, " ".repeat(first.column))
        } else {
            " ".to_owned()
        }
    }

    /// Returns where a value ends, without the line breaks that a block scalar takes along.
    fn end_of(&self, value: &Node) -> usize {
        self.text[..value.end].trim_end_matches(['\n', '\r', ' ']).len().max(value.start)
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    fn next_line(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline + 1)
    }

    fn without_blanks_before(&self, at: usize) -> usize {
        self.text[..at].trim_end_matches(' ').len()
    }

    fn after_colon(&self, map: &Node, key: &str) -> Result<usize, Refusal> {
        let (entries, _) = entries_of(map)?;
        let name = entries.iter().map(|(name, _)| name).find(|name| is_key(name, key));
        let name = name.ok_or(layout(map))?;
        let rest = &self.text[name.end..];
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        if rest[blanks..].starts_with(':') { Ok(name.end + blanks + 1) } else { Err(layout(name)) }
    }

    /// Returns where the dash of an item stands that begins on the dash's line.
    fn dash_of(&self, item: &Node) -> Result<usize, Refusal> {
        let start = self.line_start(item.start);
        let before = &self.text[start..item.start];
        let indent = before.len() - before.trim_start_matches(' ').len();
        if before.trim() == "-" { Ok(start + indent) } else { Err(layout(item)) }
    }

    fn only_dashes_before(&self, at: usize, node: &Node) -> Result<(), Refusal> {
        let before = &self.text[self.line_start(at)..at];
        if before.chars().all(|c| c == ' ' || c == '-') { Ok(()) } else { Err(layout(node)) }
    }
}

fn layout(node: &Node) -> Refusal {
    Refusal::Layout { line: node.line }
}

fn is_key(node: &Node, key: &str) -> bool {
    matches!(&node.kind, Kind::Scalar { text, .. } if text == key)
}

fn entries_of(map: &Node) -> Result<(&Entries, bool), Refusal> {
    match &map.kind {
        Kind::Map { entries, is_flow } => Ok((entries, *is_flow)),
        _ => Err(layout(map)),
    }
}

/// Returns the value of a key that stands in a map once. A merged one would have to be put there first.
fn own_once<'a>(
    entries: &'a Entries,
    key: &str,
    map: &Node,
) -> Result<Option<&'a Rc<Node>>, Refusal> {
    if own(entries, "<<").is_some() {
        return Err(Refusal::Shared { line: map.line });
    }
    let twice = entries.iter().filter(|(name, _)| is_key(name, key)).nth(1);
    match twice {
        Some((name, _)) => Err(layout(name)),
        None => Ok(own(entries, key)),
    }
}

/// Walks to a map through nothing that counts elsewhere too.
fn find<'a>(document: &'a Document, place: &Place) -> Result<&'a Node, Refusal> {
    let mut node = &document.root;
    bears_nothing(node)?;
    for step in place {
        node = match (step, &node.kind) {
            (Step::Key(key), Kind::Map { entries, .. }) => {
                own_once(entries, key, node)?.ok_or(layout(node))?
            }
            (Step::At(index), Kind::List { items, .. }) => items.get(*index).ok_or(layout(node))?,
            _ => return Err(layout(node)),
        };
        bears_nothing(node)?;
    }
    Ok(node)
}

fn bears_nothing(node: &Node) -> Result<(), Refusal> {
    let is_alias = matches!(node.kind, Kind::Alias(_));
    if is_alias || node.anchor != 0 || node.tag.is_some() {
        return Err(Refusal::Shared { line: node.line });
    }
    Ok(())
}

/// Looks at a value and all that is in it.
fn is_unshared(node: &Node) -> Result<(), Refusal> {
    bears_nothing(node)?;
    match &node.kind {
        Kind::Map { entries, .. } => entries.iter().try_for_each(|(key, value)| {
            is_unshared(key)?;
            is_unshared(value)
        }),
        Kind::List { items, .. } => items.iter().try_for_each(|item| is_unshared(item)),
        Kind::Scalar { .. } | Kind::Alias(_) => Ok(()),
    }
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
