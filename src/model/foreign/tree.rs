//! A person's kubeconfig as a tree that knows where in the text everything stands.
//!
//! kubectl reads YAML by way of `sigs.k8s.io/yaml`: anchors, aliases and merge keys count there, and of
//! several documents only the first one. A text with several is refused here: whoever wrote the rest
//! meant something.

use std::{collections::HashMap, rc::Rc};

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, Tag};

/// No kubeconfig is nested like this; whoever walks the tree may recurse.
const DEEPEST: usize = 64;

/// A merge key may name a map with a merge key.
const MOST_MERGES: usize = 8;

/// Why a text cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not YAML.
    #[error("line {line} is not YAML: {why}")]
    NotYaml {
        /// From 1.
        line: usize,
        /// What the parser says.
        why: String,
    },
    /// A second document.
    #[error("a second YAML document begins at line {line}, which kubectl does not read")]
    SecondDocument {
        /// From 1.
        line: usize,
    },
    /// Something else than a map at the top.
    #[error("it holds no map")]
    NotAMap,
}

/// A text that was read.
#[derive(Debug)]
pub struct Document {
    /// The top; an empty map where the text says nothing.
    pub root: Rc<Node>,
    anchors: HashMap<usize, Rc<Node>>,
}

/// A value, and where it stands.
#[derive(Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// The first byte.
    pub start: usize,
    /// After the last byte; of a block, after its last value.
    pub end: usize,
    /// From 1.
    pub line: usize,
    /// Characters before it on its line.
    pub column: usize,
    /// The number of its anchor; 0: none.
    pub anchor: usize,
    /// Its tag, if any.
    pub tag: Option<String>,
}

/// What a value is.
#[derive(Debug)]
pub enum Kind {
    /// A text, number, truth value or nothing.
    Scalar {
        /// Without quotes.
        text: String,
        /// How it is written.
        style: Style,
    },
    /// Keys and values.
    Map {
        /// In their order.
        entries: Vec<(Rc<Node>, Rc<Node>)>,
        /// In braces.
        is_flow: bool,
    },
    /// Values.
    List {
        /// In their order.
        items: Vec<Rc<Node>>,
        /// In brackets.
        is_flow: bool,
    },
    /// What bears the anchor of this number.
    Alias(usize),
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: may be a number, a truth value or nothing.
    Plain,
    /// In quotes.
    Quoted,
    /// Over lines, after `|` or `>`.
    Block,
}

impl Node {
    /// Returns whether nothing is written there, or the word for it.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, style: Style::Plain }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

impl Document {
    /// Reads a text.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let mut options = granit_parser::Options::default();
        options.flow_nesting_limit = DEEPEST;
        options.block_nesting_limit = DEEPEST;
        options.set_emit_comments(false);
        let mut builder = Builder::default();
        for next in Parser::new_from_str_with_options(text, options) {
            let (event, span) = next.map_err(|error| Unreadable::NotYaml {
                line: error.marker().line(),
                why: error.info().clone(),
            })?;
            builder.take(event, span)?;
        }
        let root = builder.root.unwrap_or_else(|| {
            let kind = Kind::Map { entries: Vec::new(), is_flow: false };
            let end = text.len();
            Rc::new(Node { kind, start: end, end, line: 1, column: 0, anchor: 0, tag: None })
        });
        if !matches!(root.kind, Kind::Map { .. }) && !root.is_null() {
            return Err(Unreadable::NotAMap);
        }
        Ok(Self { root, anchors: builder.anchors })
    }

    /// Returns what a value stands for: itself, or what an alias names.
    pub fn meant<'a>(&'a self, node: &'a Node) -> &'a Node {
        match node.kind {
            Kind::Alias(anchor) => self.anchors.get(&anchor).map_or(node, |named| &**named),
            _ => node,
        }
    }

    /// Returns the value of a key, merged ones too.
    pub fn get<'a>(&'a self, map: &'a Node, key: &str) -> Option<&'a Node> {
        self.get_merged(map, key, 0)
    }

    fn get_merged<'a>(&'a self, map: &'a Node, key: &str, depth: usize) -> Option<&'a Node> {
        let Kind::Map { entries, .. } = &self.meant(map).kind else { return None };
        if let Some(value) = own(entries, key) {
            return Some(self.meant(value));
        }
        let merged = self.meant(own(entries, "<<").filter(|_| depth < MOST_MERGES)?);
        match &merged.kind {
            Kind::List { items, .. } => {
                items.iter().find_map(|item| self.get_merged(item, key, depth + 1))
            }
            _ => self.get_merged(merged, key, depth + 1),
        }
    }

    /// Returns the value of a key that is a text.
    pub fn text<'a>(&'a self, map: &'a Node, key: &str) -> Option<&'a str> {
        self.as_text(self.get(map, key)?)
    }

    /// Returns a value as a text.
    pub fn as_text<'a>(&'a self, node: &'a Node) -> Option<&'a str> {
        let node = self.meant(node);
        match &node.kind {
            Kind::Scalar { text, .. } if !node.is_null() => Some(text),
            _ => None,
        }
    }

    /// Returns the values of the list under a key.
    pub fn items<'a>(&'a self, map: &'a Node, key: &str) -> &'a [Rc<Node>] {
        match self.get(map, key).map(|node| &node.kind) {
            Some(Kind::List { items, .. }) => items,
            _ => &[],
        }
    }
}

/// Returns the value of a key that stands in the map itself.
pub fn own<'a>(entries: &'a [(Rc<Node>, Rc<Node>)], key: &str) -> Option<&'a Rc<Node>> {
    let is_named = |node: &Node| matches!(&node.kind, Kind::Scalar { text, .. } if text == key);
    entries.iter().find(|(name, _)| is_named(name)).map(|(_, value)| value)
}

/// A map or list whose end has not come.
struct Open {
    node: Node,
    /// The key whose value comes next.
    key: Option<Rc<Node>>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Rc<Node>>,
    documents: usize,
    anchors: HashMap<usize, Rc<Node>>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Unreadable> {
        let node = |kind, anchor, tag: Option<std::borrow::Cow<'_, Tag>>| Node {
            kind,
            start: span.start.byte_offset().unwrap_or_default(),
            end: span.end.byte_offset().unwrap_or_default(),
            line: span.start.line(),
            column: span.start.col(),
            anchor,
            tag: tag.map(|tag| tag.to_string()),
        };
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if 1 < self.documents {
                    return Err(Unreadable::SecondDocument { line: span.start.line() });
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let kind = Kind::Scalar { text: text.into_owned(), style };
                self.put(node(kind, anchor, tag));
            }
            Event::Alias(anchor) => self.put(node(Kind::Alias(anchor), 0, None)),
            Event::MappingStart(style, anchor, tag) => {
                let is_flow = style == StructureStyle::Flow;
                let kind = Kind::Map { entries: Vec::new(), is_flow };
                self.open.push(Open { node: node(kind, anchor, tag), key: None });
            }
            Event::SequenceStart(style, anchor, tag) => {
                let is_flow = style == StructureStyle::Flow;
                let kind = Kind::List { items: Vec::new(), is_flow };
                self.open.push(Open { node: node(kind, anchor, tag), key: None });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                let Some(Open { node: mut ended, .. }) = self.open.pop() else { return Ok(()) };
                let last = match &ended.kind {
                    Kind::Map { entries, is_flow: false } => entries.last().map(|(_, it)| it.end),
                    Kind::List { items, is_flow: false } => items.last().map(|it| it.end),
                    _ => span.end.byte_offset(),
                };
                ended.end = last.unwrap_or(ended.end);
                self.put(ended);
            }
            _ => (),
        }
        Ok(())
    }

    fn put(&mut self, node: Node) {
        let node = Rc::new(node);
        if node.anchor != 0 {
            self.anchors.insert(node.anchor, Rc::clone(&node));
        }
        let Some(Open { node: parent, key }) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut parent.kind {
            Kind::List { items, .. } => items.push(node),
            Kind::Map { entries, .. } => match key.take() {
                Some(key) => entries.push((key, node)),
                None => *key = Some(node),
            },
            Kind::Scalar { .. } | Kind::Alias(_) => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_everything_stands() {
        let text = "\u{feff}apiVersion: v1\r\nusers:\r\n- name: \"é\" # c\r\n  user:\r\n    exec:\r\n      args:\r\n      - a\r\n      -   b\r\n      env:\r\n";
        let document = Document::read(text).unwrap();
        let users = document.items(&document.root, "users");
        assert_eq!(document.text(&users[0], "name"), Some("é"));
        let exec = document.get(document.get(&users[0], "user").unwrap(), "exec").unwrap();
        assert_eq!((exec.line, exec.column), (6, 6));
        let args = document.get(exec, "args").unwrap();
        assert_eq!(&text[args.start..args.end], "a\r\n      -   b");
        assert!(document.get(exec, "env").unwrap().is_null());
        assert_eq!(document.text(exec, "env"), None);
        assert_eq!(document.text(exec, "command"), None);
    }

    #[test]
    fn aliases_and_merges_are_read_as_kubectl_reads_them() {
        let text = "base: &base {command: aws, args: &args [a]}\nmore: &more\n  <<: *base\n  env: []\n\
                    users:\n- name: x\n  user:\n    exec:\n      <<: [*more]\n      args: *args\n";
        let document = Document::read(text).unwrap();
        let user = document.get(&document.items(&document.root, "users")[0], "user").unwrap();
        let exec = document.get(user, "exec").unwrap();
        assert_eq!(document.text(exec, "command"), Some("aws"));
        assert_eq!(document.items(exec, "args").len(), 1);
        // A map that merges itself has an end.
        let looped = Document::read("a: &a\n  <<: *a\n").unwrap();
        assert!(looped.get(looped.get(&looped.root, "a").unwrap(), "x").is_none());
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        for (text, expected) in [
            ("a: 1\n---\nb: 2\n", "second YAML document begins at line 2"),
            ("a:\n\t- b\n", "line 2 is not YAML"),
            ("{{{{", "line 1 is not YAML"),
            ("- a\n", "it holds no map"),
            ("a: *b\n", "line 1 is not YAML"),
        ] {
            let error = Document::read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        for nothing in ["", "# only a comment\n", "---\n", "~\n"] {
            assert!(Document::read(nothing).is_ok(), "{nothing:?}");
        }
        let deep = "[".repeat(5000);
        assert!(Document::read(&deep).is_err());
    }
}
