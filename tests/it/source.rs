//! Rust source as a list of tokens: enough to see who names what, without a parser.
//!
//! Comments, strings and character literals are gone; what is left of them is one `"` token for each
//! string. Paths are found with their `use` trees taken apart.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A source file.
pub(crate) struct Source {
    /// Its path from the top of the repository.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
    tokens: Vec<Token>,
}

struct Token {
    text: String,
    line: usize,
}

/// A path such as `crate::model::Chain` where it is named.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its segments; `super` and `self` are resolved, so that it begins with `crate` or with what it
    /// begins with in the file.
    pub(crate) segments: Vec<String>,
    /// From 1.
    pub(crate) line: usize,
    /// Whether it stands in test code.
    pub(crate) in_tests: bool,
}

/// Returns the top of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the text of a file of the repository.
///
/// # Panics
/// The file is not there: all of them belong to the repository.
#[track_caller]
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("`{path}`: {error}"))
}

/// Returns every Rust file below `folder`, in order.
pub(crate) fn rust_files(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    paths.iter().map(|path| Source::read(path)).collect()
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

impl Source {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let path = path.strip_prefix(root()).unwrap().display().to_string();
        Self::new(path, text)
    }

    fn new(path: String, text: String) -> Self {
        let tokens = tokens(&text);
        Self { path, text, tokens }
    }

    /// Returns the module that the file is, below `crate`: `src/aws/sts.rs` is `aws`, `sts`. The two
    /// programs are rooms of their own: what they may name is what everybody may.
    pub(crate) fn module(&self) -> Vec<String> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
            module.pop();
        }
        module
    }

    /// Returns whether the file holds nothing but tests.
    pub(crate) fn is_test_file(&self) -> bool {
        self.module()
            .iter()
            .any(|part| part == "tests" || part == "test" || part.ends_with("_tests"))
    }

    /// Returns the lines on which the tokens `wanted` follow each other outside of test code.
    pub(crate) fn lines_with(&self, wanted: &[&str]) -> Vec<usize> {
        let tests = self.test_spans();
        (0..self.tokens.len())
            .filter(|at| !self.is_test_file() && !tests.iter().any(|span| span.contains(at)))
            .filter(|at| self.is_at(*at, wanted))
            .map(|at| self.tokens[at].line)
            .collect()
    }

    /// Like [`Source::lines_with`], in test code too.
    pub(crate) fn all_lines_with(&self, wanted: &[&str]) -> Vec<usize> {
        (0..self.tokens.len())
            .filter(|at| self.is_at(*at, wanted))
            .map(|at| self.tokens[at].line)
            .collect()
    }

    fn is_at(&self, at: usize, wanted: &[&str]) -> bool {
        let tokens = self.tokens[at..].iter().map(|token| token.text.as_str());
        tokens.take(wanted.len()).eq(wanted.iter().copied())
    }

    /// Returns the token ranges of `#[cfg(test)] mod … { … }`.
    fn test_spans(&self) -> Vec<std::ops::Range<usize>> {
        let mut spans = Vec::new();
        for at in 0..self.tokens.len() {
            if !self.is_at(at, &["#", "[", "cfg", "(", "test", ")", "]"]) {
                continue;
            }
            // Up to the end of the item: its braces, or a `;` before any.
            let mut depth = 0_usize;
            let mut end = at + 7;
            while let Some(token) = self.tokens.get(end) {
                match token.text.as_str() {
                    "{" => depth += 1,
                    "}" if depth == 1 => break,
                    "}" => depth -= 1,
                    ";" if depth == 0 => break,
                    _ => {}
                }
                end += 1;
            }
            spans.push(at..end + 1);
        }
        spans
    }

    /// Returns every path that the file names, in `use` trees and elsewhere.
    pub(crate) fn paths(&self) -> Vec<Named> {
        let tests = self.test_spans();
        let mut found = Vec::new();
        let mut inner: Vec<(String, usize)> = Vec::new();
        let mut depth = 0_usize;
        let mut at = 0;
        while at < self.tokens.len() {
            let text = self.tokens[at].text.as_str();
            match text {
                "{" => {
                    if let Some(name) = self.module_opened_at(at) {
                        inner.push((name, depth));
                    }
                    depth += 1;
                }
                "}" => {
                    depth = depth.saturating_sub(1);
                    inner.pop_if(|(_, opened)| *opened == depth);
                }
                _ if is_word(text) => {
                    let first = found.len();
                    let next = self.take_path(at, &[], &mut found);
                    let home: Vec<String> = self
                        .module()
                        .into_iter()
                        .chain(inner.iter().map(|(name, _)| name.clone()))
                        .collect();
                    for named in &mut found[first..] {
                        named.in_tests =
                            self.is_test_file() || tests.iter().any(|span| span.contains(&at));
                        resolve(&mut named.segments, &home);
                    }
                    at = next;
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        found.retain(|named| 1 < named.segments.len());
        found
    }

    fn module_opened_at(&self, brace: usize) -> Option<String> {
        let name = &self.tokens[brace.checked_sub(1)?].text;
        let keyword = &self.tokens[brace.checked_sub(2)?].text;
        (keyword == "mod").then(|| name.clone())
    }

    /// Takes the path that begins at `at`, with its tree if it has one; returns where it ends.
    fn take_path(&self, mut at: usize, prefix: &[String], found: &mut Vec<Named>) -> usize {
        let mut segments = prefix.to_vec();
        let line = self.tokens[at].line;
        loop {
            segments.push(self.tokens[at].text.clone());
            at += 1;
            if !self.is_at(at, &["::"]) {
                break;
            }
            at += 1;
            match self.tokens.get(at).map(|token| token.text.as_str()) {
                Some("{") => return self.take_tree(at + 1, &segments, found),
                Some(text) if is_word(text) => {}
                // `::*`, `::<T>`.
                _ => break,
            }
        }
        found.push(Named { segments, line, in_tests: false });
        at
    }

    fn take_tree(&self, mut at: usize, prefix: &[String], found: &mut Vec<Named>) -> usize {
        while let Some(token) = self.tokens.get(at) {
            match token.text.as_str() {
                "}" => return at + 1,
                "as" => at += 2,
                text if is_word(text) => at = self.take_path(at, prefix, found),
                _ => at += 1,
            }
        }
        at
    }
}

/// Turns a path that begins with `self` or `super` into one that begins with `crate`.
fn resolve(segments: &mut Vec<String>, home: &[String]) {
    let ups = segments.iter().take_while(|segment| *segment == "super").count();
    let skipped = usize::from(segments[0] == "self");
    if ups + skipped == 0 {
        return;
    }
    let base = &home[..home.len().saturating_sub(ups)];
    let rest = segments.split_off(ups + skipped);
    *segments =
        std::iter::once("crate".to_owned()).chain(base.iter().cloned()).chain(rest).collect();
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    let mut line = 1;
    while at < chars.len() {
        let start = at;
        let rest = &chars[at..];
        let token = match rest {
            ['/', '/', ..] => {
                at += rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
                None
            }
            ['/', '*', ..] => {
                at += comment_length(rest);
                None
            }
            ['b' | 'c', '"', ..] => {
                at += 1 + string_length(&rest[1..]);
                Some("\"".to_owned())
            }
            ['"', ..] => {
                at += string_length(rest);
                Some("\"".to_owned())
            }
            ['r', '"' | '#', ..] | ['b' | 'c', 'r', '"' | '#', ..]
                if raw_string_length(rest).is_some() =>
            {
                at += raw_string_length(rest).unwrap_or(1);
                Some("\"".to_owned())
            }
            ['\'', '\\', ..] => {
                at += 3 + rest[3..].iter().position(|c| *c == '\'').unwrap_or(0) + 1;
                None
            }
            ['\'', _, '\'', ..] => {
                at += 3;
                None
            }
            [':', ':', ..] => {
                at += 2;
                Some("::".to_owned())
            }
            [c, ..] if c.is_alphanumeric() || *c == '_' => {
                let word: String =
                    rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').collect();
                at += word.chars().count();
                Some(word)
            }
            [c, ..] => {
                at += 1;
                (!c.is_whitespace()).then(|| c.to_string())
            }
            [] => break,
        };
        if let Some(text) = token {
            found.push(Token { text, line });
        }
        line += chars[start..at].iter().filter(|c| **c == '\n').count();
    }
    found
}

/// Block comments nest.
fn comment_length(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => {
                depth += 1;
                at += 2;
            }
            ['*', '/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn string_length(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn raw_string_length(rest: &[char]) -> Option<usize> {
    let start = rest.iter().position(|c| *c == 'r')? + 1;
    let hashes = rest[start..].iter().take_while(|c| **c == '#').count();
    if rest.get(start + hashes) != Some(&'"') {
        return None;
    }
    let closing: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = start + hashes + 1;
    let end = rest[body..].windows(closing.len()).position(|window| window == closing)?;
    Some(body + end + closing.len())
}

#[test]
fn paths_are_found_and_resolved() {
    let text = r##"
        //! crate::in_a_comment::X
        use std::{fs, io::{self, Read as _}};
        use crate::{model::{Chain, text}, report::Report};
        use super::Env;
        fn f() -> super::super::report::Code { crate::clock::now("crate::in_a::string", '"') }
        const RAW: &str = r#"crate::raw::string " "#;
        #[cfg(test)]
        mod tests {
            use super::*;
            use super::super::super::store::atomic;
        }
        fn g() { tokio::spawn(Vec::<u8>::new) }
    "##;
    let source = Source::new("src/config/paths.rs".to_owned(), text.to_owned());
    let found: Vec<String> = source
        .paths()
        .iter()
        .map(|named| {
            let mark = if named.in_tests { " in tests" } else { "" };
            format!("{}:{}{mark}", named.line, named.segments.join("::"))
        })
        .collect();
    assert_eq!(
        found,
        [
            "3:std::fs",
            "3:std::io::self",
            "3:std::io::Read",
            "4:crate::model::Chain",
            "4:crate::model::text",
            "4:crate::report::Report",
            "5:crate::config::Env",
            "6:crate::report::Code",
            "6:crate::clock::now",
            "10:crate::config::paths in tests",
            "11:crate::store::atomic in tests",
            "13:tokio::spawn",
        ]
    );
    assert_eq!(source.lines_with(&["fn", "g"]), [13]);
}
