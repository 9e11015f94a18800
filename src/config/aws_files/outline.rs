//! The lines of a file, whole and in their order, with what each is: for writing a file that says
//! the same elsewhere.
//!
//! The sections and keys are those that [`super::parse`] finds; a test compares.

use super::ini::{self, Kind, Kinds};
use super::section_name::SectionName;
use crate::model::{
    FileKind, ProfileName,
    mirror::{Heading, Line, LineKind},
};

/// Returns every line of the text. A byte-order mark at the beginning is left out.
pub fn outline(kind: FileKind, text: &str) -> Vec<Line<'_>> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Vec::new();
    let mut kinds = Kinds::default();
    // Nothing before the first header, or under one that is not closed, belongs to a section.
    let mut is_outside = true;
    let mut is_lost = true;
    while !rest.is_empty() {
        let (text, after) = rest.split_at(end_of_line(rest));
        rest = after;
        let kind = match kinds.next(text) {
            Kind::Note => LineKind::Note,
            Kind::Blank => LineKind::Blank,
            Kind::More(_) if is_lost => LineKind::Lost,
            Kind::More(_) => LineKind::More,
            Kind::Header(header) => {
                is_outside = header.is_none();
                is_lost = is_outside;
                header.map_or(LineKind::Lost, |written| LineKind::Header {
                    written,
                    names: heading(kind, written),
                })
            }
            Kind::Key(content) => {
                let key = ini::key_and_value(content).ok().filter(|_| !is_outside);
                is_lost = key.is_none();
                key.map_or(LineKind::Lost, |(key, _)| LineKind::Key(key))
            }
        };
        lines.push(Line { text, kind });
    }
    lines
}

/// Returns where the next line begins: [`ini::lines`] with the ends.
fn end_of_line(text: &str) -> usize {
    match text.find(['\n', '\r']) {
        None => text.len(),
        Some(at) if text[at..].starts_with("\r\n") => at + 2,
        Some(at) => at + 1,
    }
}

fn heading(kind: FileKind, written: &str) -> Heading {
    if written == ini::INHERITED {
        return Heading::Inherited;
    }
    match SectionName::parse(kind, written).0 {
        SectionName::Profile(name) => Heading::Profile(ProfileName::new(name)),
        SectionName::SsoSession(_) | SectionName::Services(_) | SectionName::Other => {
            Heading::Other
        }
    }
}
