//! How far something is: one line that is written over on a terminal, a few plain ones elsewhere.

use std::io::IsTerminal;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::output;
use crate::config::Env;

/// Plain lines of one whole.
const STEPS: usize = 5;

/// How far something is, on stderr.
#[derive(Debug)]
pub(super) struct Progress {
    /// Whether the cursor can be moved there.
    is_screen: bool,
    is_shown: bool,
    /// Of [`STEPS`], how many were said.
    said: usize,
}

impl Progress {
    /// Looks at stderr.
    pub(super) fn new(env: &Env) -> Self {
        let is_screen =
            std::io::stderr().is_terminal() && env.term.as_deref().is_some_and(|it| it != "dumb");
        Self { is_screen, is_shown: false, said: 0 }
    }

    /// Says `line` where `done` of `of` is news.
    pub(super) fn say(&mut self, done: usize, of: usize, line: &str) {
        if self.is_screen {
            let width = output::talk_size().map_or(80, |(columns, _)| columns);
            // The last column is left alone: some terminals go to the next line there.
            output::control(&format!("\r{}\x1b[K", cut(line, width.saturating_sub(1))));
            self.is_shown = true;
            return;
        }
        let step = (STEPS * done).checked_div(of).unwrap_or(0);
        // The end is not said: what follows is the end.
        if self.said < step && done < of {
            self.said = step;
            output::talk(line);
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            output::control("\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn cut(line: &str, width: usize) -> String {
    if line.width() <= width {
        return line.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let wide = c.width().unwrap_or(0);
        let fits = wide <= left;
        left = left.saturating_sub(wide);
        fits
    };
    let mut short: String = line.chars().take_while(fits).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut() {
        for (line, width, expected) in [
            ("12 of 40", 8, "12 of 40"),
            ("12 of 40", 6, "12 of…"),
            ("日本語", 5, "日本…"),
            ("ab", 1, "…"),
        ] {
            assert_eq!(cut(line, width), expected);
        }
    }
}
