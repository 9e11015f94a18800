//! What the AWS SDK for Rust refuses a whole file for: the rules of aws-runtime's
//! `env_config/parse.rs` (1.10) line by line, without keeping anything.
//!
//! Terraform providers, and other tools built on it, share its opinion.

use super::ini;

/// Returns each line the SDK would stop at, as if it had read on after the line before.
pub(super) fn refused_lines(text: &str) -> Vec<(u32, &'static str)> {
    let mut state = State::Start;
    let mut refused = Vec::new();
    for (number, line) in ini::lines(text) {
        if line.trim_matches(BLANKS).is_empty() || line.starts_with(COMMENTS) {
            continue;
        }
        let outcome = if line.starts_with('[') {
            header(&mut state, line)
        } else if line.starts_with(BLANKS) {
            continuation(&mut state, line)
        } else {
            property(&mut state, line)
        };
        if let Err(what) = outcome {
            refused.push((number, what));
        }
    }
    refused
}

/// Returns whether the SDK keeps a profile or key of this name (`normalize.rs`,
/// `validate_identifier`).
pub(super) fn is_identifier(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "_-/.%@:+".contains(c))
}

const BLANKS: &[char] = &[' ', '\t'];
const COMMENTS: &[char] = &['#', ';'];

enum State {
    Start,
    /// After a header that could not be read.
    Lost,
    /// In a section, before its first key.
    Section,
    /// After a key.
    Property {
        is_block: bool,
    },
}

fn header(state: &mut State, line: &str) -> Result<(), &'static str> {
    if prepare(line, false).ends_with(']') {
        *state = State::Section;
        Ok(())
    } else {
        *state = State::Lost;
        Err("the section header does not end with `]`")
    }
}

fn continuation(state: &mut State, line: &str) -> Result<(), &'static str> {
    match state {
        State::Property { is_block: true } => parse_property(line)
            .map(|_| ())
            .map_err(|_| "a line in an indented block is not `key = value`"),
        State::Property { is_block: false } | State::Lost => Ok(()),
        State::Start => lost(state),
        State::Section => {
            // Said once for the lines that follow.
            *state = State::Property { is_block: false };
            Err("an indented line belongs to no key")
        }
    }
}

fn property(state: &mut State, line: &str) -> Result<(), &'static str> {
    match state {
        State::Start => return lost(state),
        State::Lost => return Ok(()),
        State::Section | State::Property { .. } => (),
    }
    let value = parse_property(line)?;
    *state = State::Property { is_block: value.is_empty() };
    Ok(())
}

fn lost(state: &mut State) -> Result<(), &'static str> {
    *state = State::Lost;
    Err("keys before the first section belong to nothing")
}

/// Returns the value.
fn parse_property(line: &str) -> Result<&str, &'static str> {
    let (key, value) = prepare(line, true).split_once('=').ok_or("the line has no `=`")?;
    if key.trim_matches(BLANKS).is_empty() {
        return Err("there is no key before the `=`");
    }
    Ok(value.trim_matches(BLANKS))
}

/// Cuts the comment off; in a header it needs no blank before it.
fn prepare(line: &str, needs_blank: bool) -> &str {
    let line = line.trim_matches(BLANKS);
    let mut after_blank = false;
    let comment = line.char_indices().find(|(_, c)| {
        let is_comment = COMMENTS.contains(c) && (after_blank || !needs_blank);
        after_blank = c.is_whitespace();
        is_comment
    });
    comment.map_or(line, |(at, _)| &line[..at]).trim_matches(BLANKS)
}
