//! What an edit changes, as `diff -u` shows it.

use similar::{ChangeTag, TextDiff};

use super::table::Style;
use crate::model::text::printable;

/// Lines around a change.
const CONTEXT: usize = 3;

/// Returns the difference of two texts. Lines are made fit for a terminal: nobody is to apply this.
pub fn unified(name: &str, before: &str, after: &str, colour: bool) -> String {
    let diff = TextDiff::from_lines(before, after);
    let mut text = String::new();
    let mut line = |style: Style, line: &str| {
        text.push_str(&style.paint(&printable(line), colour));
        text.push('\n');
    };
    line(Style::Bold, &format!("--- {name}"));
    line(Style::Bold, &format!("+++ {name}, with eksd"));
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        line(Style::Dim, &hunk.header().to_string());
        for change in hunk.iter_changes() {
            let (style, sign) = match change.tag() {
                ChangeTag::Delete => (Style::Red, '-'),
                ChangeTag::Insert => (Style::Green, '+'),
                ChangeTag::Equal => (Style::Plain, ' '),
            };
            line(style, &format!("{sign}{}", change.value().trim_end_matches(['\n', '\r'])));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff() {
        let before = "a\nb\nc\nd\ne\nf\u{1b}[2J\n";
        let after = "a\nb\nc\nd\nE\nf\u{1b}[2J\n";
        assert_eq!(
            unified("x", before, after, false),
            "--- x\n+++ x, with eksd\n@@ -2,5 +2,5 @@\n b\n c\n d\n-e\n+E\n f?[2J\n"
        );
        let coloured = unified("x", "a\r\n", "b\r\n", true);
        assert!(
            coloured.contains("\u{1b}[31m-a\u{1b}[0m\n\u{1b}[32m+b\u{1b}[0m\n"),
            "{coloured:?}"
        );
    }
}
