//! The line level of the AWS files, as the AWS CLI reads it.
//!
//! The rules are those of Python's `RawConfigParser` (`Lib/configparser.py` of 3.11,
//! `_read`), which botocore's `configloader.py` uses. Where Python gives the whole file up, this
//! reads on and leaves a [`Fault`]. Values are slices of the text, so that no secret is copied here.

use std::collections::{BTreeMap, HashMap, btree_map::Entry as Slot};

use super::AWS_CLI;

/// The section whose keys `RawConfigParser` copies into every other section (`DEFAULTSECT`).
pub(super) const INHERITED: &str = "DEFAULT";

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

/// What a line is.
pub(super) enum Kind<'a> {
    /// A comment.
    Note,
    /// Nothing but blanks.
    Blank,
    /// More of what stands above, trimmed.
    More(&'a str),
    /// The header of a section; `None` where it is not closed.
    Header(Option<&'a str>),
    /// A key with its value, or what should be one, trimmed.
    Key(&'a str),
}

/// Tells what lines are, in their order: indentation counts from line to line.
#[derive(Default)]
pub(super) struct Kinds {
    level: usize,
    /// Whether deeper lines belong to what stands above.
    takes_more: bool,
    has_begun: bool,
}

impl Kinds {
    pub(super) fn next<'a>(&mut self, line: &'a str) -> Kind<'a> {
        let content = line.trim_matches(is_blank);
        if content.starts_with(['#', ';']) {
            return Kind::Note;
        }
        if content.is_empty() {
            return Kind::Blank;
        }
        let indent = line.chars().take_while(|c| is_blank(*c)).count();
        if self.takes_more && self.level < indent {
            return Kind::More(content);
        }
        self.level = indent;
        let had_begun = std::mem::replace(&mut self.has_begun, true);
        if content.starts_with('[') {
            let header = header_of(content);
            // Lines under one that is not closed share its fate.
            self.takes_more = header.is_none();
            Kind::Header(header)
        } else {
            // A key before all sections is none, so nothing belongs to it.
            self.takes_more = had_begun;
            Kind::Key(content)
        }
    }
}

/// Returns what stands in the brackets: the pattern is `\[(?P<header>.+)\]`, greedy, so that the last
/// bracket of the line closes it.
fn header_of(content: &str) -> Option<&str> {
    let header = content.rfind(']').and_then(|end| content.get(1..end));
    header.filter(|header| !header.is_empty())
}

/// Splits a line into its key, in lower case, and the value, or says what is wrong with it.
pub(super) fn key_and_value(content: &str) -> Result<(String, &str), &'static str> {
    let (key, value) = content.split_once(['=', ':']).ok_or("the line has no `=`")?;
    let key = key.trim_end_matches(is_blank).to_lowercase();
    if key.is_empty() {
        return Err("there is no key before the `=`");
    }
    Ok((key, value.trim_start_matches(is_blank)))
}

/// Splits a text into sections, in the order of their first headers.
pub(super) fn parse(text: &str) -> (Vec<Section<'_>>, Vec<Fault>) {
    let mut parser = Parser {
        sections: Vec::new(),
        by_header: HashMap::new(),
        place: Place::Start,
        target: None,
        faults: Vec::new(),
    };
    let mut kinds = Kinds::default();
    for (number, line) in lines(text) {
        match kinds.next(line) {
            Kind::Note => (),
            Kind::Blank => parser.extend(number, ""),
            Kind::More(content) => parser.extend(number, content),
            Kind::Header(Some(header)) => parser.header(number, header),
            Kind::Header(None) => parser.unclosed(number, line),
            Kind::Key(content) => parser.key(number, content),
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

struct Parser<'a> {
    sections: Vec<Section<'a>>,
    by_header: HashMap<&'a str, usize>,
    place: Place,
    /// The key of the section to which deeper lines go.
    target: Option<String>,
    faults: Vec<Fault>,
}

impl<'a> Parser<'a> {
    fn extend(&mut self, number: u32, content: &'a str) {
        if let (Place::Section(at), Some(key)) = (self.place, &self.target)
            && let Some(lines) = self.sections[at].keys.get_mut(key)
        {
            lines.text.push((number, content));
        }
    }

    fn unclosed(&mut self, number: u32, line: &str) {
        let what = "the section header is not closed with `]`; the keys under it are lost";
        // Inside a section the CLI takes `[a = b` for a key; what follows would land in the
        // section above, so here it does not.
        let is_key = matches!(self.place, Place::Section(_)) && line.contains(['=', ':']);
        self.faults.push(if is_key {
            Fault::new(number, what)
        } else {
            Fault::fatal(number, what)
        });
        (self.place, self.target) = (Place::Lost, None);
    }

    fn header(&mut self, number: u32, header: &'a str) {
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
        (self.place, self.target) = (Place::Section(at), None);
    }

    fn key(&mut self, number: u32, content: &'a str) {
        self.target = None;
        let section = match self.place {
            Place::Section(at) => &mut self.sections[at],
            Place::Lost => return,
            Place::Start => {
                let what = "keys before the first section belong to nothing";
                self.faults.push(Fault::fatal(number, what));
                self.place = Place::Lost;
                return;
            }
        };
        let (key, value) = match key_and_value(content) {
            Ok(split) => split,
            Err(what) => {
                self.faults.push(Fault::fatal(number, what));
                return;
            }
        };
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
        self.target = Some(key);
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
