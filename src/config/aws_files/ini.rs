//! The line level of the AWS files, as the AWS CLI reads it.
//!
//! The rules are those of Python's `RawConfigParser` (`Lib/configparser.py` of 3.11,
//! `_read`), which botocore's `configloader.py` uses. Where Python gives the whole file up, this
//! reads on and leaves a [`Fault`]. Values are slices of the text, so that no secret is copied here.

use std::collections::{BTreeMap, HashMap, btree_map::Entry as Slot};

use super::AWS_CLI;

/// The section whose keys `RawConfigParser` copies into every other section (`DEFAULTSECT`).
const INHERITED: &str = "DEFAULT";

/// One line at fault.
pub(super) struct Fault {
    pub(super) line: u32,
    pub(super) what: String,
    pub(super) refused_by: Vec<&'static str>,
}

impl Fault {
    pub(super) fn new(line: u32, what: impl Into<String>) -> Self {
        Self { line, what: what.into(), refused_by: Vec::new() }
    }

    /// A fault for which the AWS CLI refuses the whole file.
    pub(super) fn fatal(line: u32, what: impl Into<String>) -> Self {
        Self { refused_by: vec![AWS_CLI], ..Self::new(line, what) }
    }
}

/// A section, its keys in lower case.
pub(super) struct Section<'a> {
    pub(super) header: &'a str,
    pub(super) line: u32,
    pub(super) keys: BTreeMap<String, Lines<'a>>,
}

/// A value: the rest of the key's line and the indented lines under it, trimmed.
#[derive(Clone)]
pub(super) struct Lines<'a> {
    pub(super) line: u32,
    pub(super) text: Vec<(u32, &'a str)>,
    /// Lines of the same key in the same section that this one displaced.
    pub(super) displaced: Vec<u32>,
}

impl Lines<'_> {
    /// Returns whether the value begins below its key, which makes it a block of `key = value` lines.
    pub(super) fn is_block(&self) -> bool {
        self.text.first().is_some_and(|(_, first)| first.is_empty())
            && self.text.iter().any(|(_, text)| !text.is_empty())
    }
}

/// What Python calls a space: Unicode's and the four ASCII separators.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Returns the lines with their numbers from 1. Any of LF, CR LF and CR ends one, as Python's
/// universal newlines do.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    text.split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
        .zip(1..)
        .map(|(line, number)| (number, line))
}

/// Splits a text into sections, in the order of their first headers.
pub(super) fn parse(text: &str) -> (Vec<Section<'_>>, Vec<Fault>) {
    let mut parser = Parser {
        sections: Vec::new(),
        by_header: HashMap::new(),
        place: Place::Start,
        target: Target::None,
        faults: Vec::new(),
    };
    let mut level = 0;
    for (number, line) in lines(text) {
        let content = line.trim_matches(is_blank);
        if content.starts_with(['#', ';']) {
            continue;
        }
        if content.is_empty() {
            parser.extend(number, content);
            continue;
        }
        let indent = line.chars().take_while(|c| is_blank(*c)).count();
        if parser.target != Target::None && level < indent {
            parser.extend(number, content);
            continue;
        }
        level = indent;
        if content.starts_with('[') {
            parser.header(number, content);
        } else {
            parser.key(number, content);
        }
    }
    inherit(&mut parser.sections);
    (parser.sections, parser.faults)
}

/// Where keys go.
#[derive(Clone, Copy)]
enum Place {
    /// Nowhere yet.
    Start,
    /// Nowhere: this was said already.
    Lost,
    /// Into this section.
    Section(usize),
}

/// Where indented lines go.
#[derive(PartialEq, Eq)]
enum Target {
    /// They stand for themselves.
    None,
    /// They share the fate of the unreadable line above.
    Lost,
    /// To this key of the section.
    Key(String),
}

struct Parser<'a> {
    sections: Vec<Section<'a>>,
    by_header: HashMap<&'a str, usize>,
    place: Place,
    target: Target,
    faults: Vec<Fault>,
}

impl<'a> Parser<'a> {
    fn extend(&mut self, number: u32, content: &'a str) {
        if let (Place::Section(at), Target::Key(key)) = (self.place, &self.target)
            && let Some(lines) = self.sections[at].keys.get_mut(key)
        {
            lines.text.push((number, content));
        }
    }

    fn header(&mut self, number: u32, content: &'a str) {
        // The pattern is `\[(?P<header>.+)\]`, greedy: the last bracket of the line closes it.
        let header = content
            .rfind(']')
            .and_then(|end| content.get(1..end))
            .filter(|header| !header.is_empty());
        let Some(header) = header else {
            let what = "the section header is not closed with `]`; the keys under it are lost";
            // Inside a section the CLI takes `[a = b` for a key; what follows would land in the
            // section above, so here it does not.
            let is_key = matches!(self.place, Place::Section(_)) && content.contains(['=', ':']);
            self.faults.push(if is_key {
                Fault::new(number, what)
            } else {
                Fault::fatal(number, what)
            });
            (self.place, self.target) = (Place::Lost, Target::Lost);
            return;
        };
        let at = *self.by_header.entry(header).or_insert(self.sections.len());
        if at == self.sections.len() {
            self.sections.push(Section { header, line: number, keys: BTreeMap::new() });
        } else if header != INHERITED {
            self.faults.push(Fault::fatal(
                number,
                format!(
                    "the section stands a second time, first in line {}; they are merged",
                    self.sections[at].line
                ),
            ));
        }
        (self.place, self.target) = (Place::Section(at), Target::None);
    }

    fn key(&mut self, number: u32, content: &'a str) {
        let section = match self.place {
            Place::Section(at) => &mut self.sections[at],
            Place::Lost => {
                self.target = Target::Lost;
                return;
            }
            Place::Start => {
                let what = "keys before the first section belong to nothing";
                self.faults.push(Fault::fatal(number, what));
                self.place = Place::Lost;
                return;
            }
        };
        self.target = Target::Lost;
        let Some((key, value)) = content.split_once(['=', ':']) else {
            self.faults.push(Fault::fatal(number, "the line has no `=`"));
            return;
        };
        let key = key.trim_end_matches(is_blank).to_lowercase();
        if key.is_empty() {
            self.faults.push(Fault::fatal(number, "there is no key before the `=`"));
            return;
        }
        let value = value.trim_start_matches(is_blank);
        let mut lines = Lines { line: number, text: vec![(number, value)], displaced: Vec::new() };
        match section.keys.entry(key.clone()) {
            Slot::Vacant(slot) => {
                slot.insert(lines);
            }
            Slot::Occupied(mut slot) => {
                let what = format!(
                    "the key stands a second time, first in line {}; the later value is taken",
                    slot.get().line
                );
                self.faults.push(Fault::fatal(number, what));
                lines.displaced = std::mem::take(&mut slot.get_mut().displaced);
                lines.displaced.push(slot.get().line);
                slot.insert(lines);
            }
        }
        self.target = Target::Key(key);
    }
}

fn inherit(sections: &mut Vec<Section<'_>>) {
    let Some(at) = sections.iter().position(|section| section.header == INHERITED) else { return };
    let inherited = sections.remove(at);
    for section in sections {
        for (key, lines) in &inherited.keys {
            match section.keys.entry(key.clone()) {
                Slot::Vacant(slot) => {
                    slot.insert(lines.clone());
                }
                Slot::Occupied(mut slot) => slot.get_mut().displaced.insert(0, lines.line),
            }
        }
    }
}
