//! What a profile comes to, as people read it: a pure function of the answer and the width.
//!
//! Each line has its place behind it, or below it where both do not fit. Words are never cut.

use unicode_width::UnicodeWidthStr;

use super::{table::Style, until_in_words};
use crate::{
    cli::output,
    ipc::wire::{Explanation, Step, ValueAt},
    model::text::{printable, printable_sentence},
};
use jiff::ZonedDateTime;

/// Narrower than this nothing is readable.
const NARROWEST: usize = 30;

/// How to show it.
#[derive(Clone, Debug)]
pub struct Page {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether colours are wanted.
    pub colour: bool,
    /// The time, in the person's time zone.
    pub now: ZonedDateTime,
}

/// Returns the text of an explanation, lines ended.
pub fn explanation(answer: &Explanation, page: &Page) -> String {
    let mut text = Text { out: String::new(), width: page.width.max(NARROWEST), page };
    let name = printable(&answer.profile);
    let title = match &answer.cluster {
        Some(cluster) => format!("cluster {}, profile {name}", printable(cluster)),
        None => format!("profile {name}"),
    };
    text.heading(&title);
    for (step, number) in answer.chain.iter().zip(1..) {
        text.step(step, number);
    }
    if let Some(limit) = &answer.limit {
        text.heading("limit");
        text.wrap("  ", "  ", &printable_sentence(limit));
    }
    text.clocks(answer);
    text.values(&answer.values);
    if !answer.notes.is_empty() {
        text.heading("notes");
        for note in &answer.notes {
            text.wrap("  - ", "    ", &printable_sentence(note));
        }
    }
    if let Some(report) = &answer.report {
        text.out.push_str(&format!("\n{}\n", output::full(report)));
    }
    text.out
}

struct Text<'a> {
    out: String,
    width: usize,
    page: &'a Page,
}

impl Text<'_> {
    fn heading(&mut self, title: &str) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        let start = self.out.len();
        self.wrap("", "  ", title);
        let title = self.out.split_off(start);
        self.out.push_str(&Style::Bold.paint(title.trim_end(), self.page.colour));
        self.out.push('\n');
    }

    fn step(&mut self, step: &Step, number: usize) {
        let first = format!("  {number}. ");
        let rest = " ".repeat(first.len());
        self.placed(&first, &rest, &printable_sentence(&step.what), &step.origin);
        if let Some(cap) = &step.cap {
            let more = format!("{rest}  ");
            self.wrap(&format!("{rest}- "), &more, &printable_sentence(cap));
        }
    }

    fn clocks(&mut self, answer: &Explanation) {
        if answer.clocks.is_empty() {
            return;
        }
        self.heading("ends");
        for clock in &answer.clocks {
            let until = until_in_words(clock.ends_at.as_deref(), clock.confidence, &self.page.now);
            let line = format!(
                "{}: {} ({})",
                printable(&clock.name),
                until.unwrap_or_else(|| "not known".to_owned()),
                printable_sentence(&clock.source)
            );
            self.wrap("  ", "    ", &line);
        }
    }

    fn values(&mut self, values: &[ValueAt]) {
        let mut section = None;
        for value in values {
            if section != Some(&value.section) {
                section = Some(&value.section);
                self.heading(&format!("[{}]", printable(&value.section)));
            }
            let shown = match &value.value {
                Some(text) => printable_sentence(text),
                None => "(not shown)".to_owned(),
            };
            let line = format!("{} = {shown}", printable(&value.key));
            self.placed("  ", "    ", &line, &value.origin);
            for place in &value.shadows {
                self.wrap(
                    "    - ",
                    "      ",
                    &format!("does not count: {}", printable_sentence(place)),
                );
            }
        }
    }

    /// A text with its place behind it.
    fn placed(&mut self, first: &str, rest: &str, text: &str, place: &str) {
        let place = format!("({})", printable_sentence(place));
        self.wrap(first, rest, text);
        let last = self.out.trim_end_matches('\n').rsplit('\n').next().unwrap_or_default();
        if last.width() + 1 + place.width() <= self.width {
            self.out.pop();
            self.out.push_str(&format!(" {place}\n"));
        } else {
            self.out.push_str(&format!("{rest}{place}\n"));
        }
    }

    /// Breaks a text between words. A word that is wider than the terminal stands alone.
    fn wrap(&mut self, first: &str, rest: &str, text: &str) {
        let mut line = first.to_owned();
        let mut is_empty = true;
        for word in text.split(' ') {
            if !is_empty && self.width < line.width() + 1 + word.width() {
                self.out.push_str(&line);
                self.out.push('\n');
                rest.clone_into(&mut line);
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line.push_str(word);
            is_empty = false;
        }
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(width: usize) -> Page {
        let now = "2026-11-24T14:26:00+01:00[Europe/Berlin]".parse().unwrap();
        Page { width, colour: false, now }
    }

    fn hostile() -> Explanation {
        let bad = || "a\u{1b}[2J\u{202e}b".to_owned();
        Explanation {
            profile: bad(),
            cluster: Some(bad()),
            chain: vec![Step { what: bad(), origin: bad(), cap: Some(bad()) }],
            limit: Some(bad()),
            clocks: vec![],
            values: vec![ValueAt {
                section: bad(),
                key: bad(),
                value: Some(bad()),
                origin: bad(),
                shadows: vec![bad()],
            }],
            notes: vec![bad()],
            report: None,
        }
    }

    #[test]
    fn nothing_can_draw_on_the_terminal() {
        insta::assert_snapshot!(explanation(&hostile(), &page(80)), @r"
        cluster a?[2J?b, profile a?[2J?b
          1. a?[2J?b (a?[2J?b)
             - a?[2J?b

        limit
          a?[2J?b

        [a?[2J?b]
          a?[2J?b = a?[2J?b (a?[2J?b)
            - does not count: a?[2J?b

        notes
          - a?[2J?b
        ");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_unless_a_word_is() {
        let words = "each of these words is short enough for the narrowest terminal ".repeat(3);
        let mut answer = hostile();
        answer.chain[0].what.clone_from(&words);
        answer.notes = vec![words];
        for width in 30..100 {
            let text = explanation(&answer, &page(width));
            assert!(text.lines().all(|line| line.width() <= width), "{width}\n{text}");
        }
    }
}
