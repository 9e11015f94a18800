//! The only place that prints: data on stdout, talk on stderr.

use std::{
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
};

use crate::{
    config::Env,
    model::text,
    report::{Code, Report},
};

/// Width where none can be found out.
const USUAL_WIDTH: usize = 80;

/// Rows where none can be found out.
const USUAL_HEIGHT: usize = 24;

/// Why a command stops early.
#[derive(Debug)]
pub enum Stop {
    /// Something is wrong.
    Failed(Report),
    /// Nobody reads the output any more. That is not a failure: `eksd status | head -1`.
    HungUp,
}

impl From<Report> for Stop {
    fn from(report: Report) -> Self {
        Self::Failed(report)
    }
}

/// Prints data.
pub fn data(text: impl AsRef<[u8]>) -> Result<(), Stop> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()).map_err(|error| {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Stop::HungUp;
        }
        let report = Report::new(
            Code::WriteFailed,
            "the output cannot be written",
            "see to it that what stdout goes to can be written to",
        );
        Stop::Failed(report.because(error.to_string()))
    })
}

/// Prints talk: a line for people. A terminal that is gone is no reason to stop.
pub fn talk(line: impl AsRef<str>) {
    let mut text = line.as_ref().to_owned();
    text.push('\n');
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

/// Sends a control sequence to the terminal that shows talk. Whoever calls has looked that it is one.
pub fn control(sequence: &str) {
    drop(io::stderr().lock().write_all(sequence.as_bytes()));
}

/// Prints a report for people.
pub fn report(report: &Report) {
    talk(full(report));
}

/// Prints a report in one line, for callers that show one: the AWS tools, kubectl.
pub fn report_in_one_line(report: &Report) {
    talk(one_line(report));
}

/// Returns the report in lines, fit for a terminal.
pub fn full(report: &Report) -> String {
    let report = Report {
        code: report.code,
        what: text::printable_sentence(&report.what),
        why: report.why.iter().map(|why| text::printable_sentence(why)).collect(),
        fix: text::printable_sentence(&report.fix),
    };
    report.to_string()
}

/// Returns the report in one line that ends in what to do.
pub fn one_line(report: &Report) -> String {
    let mut line = format!("eksd: {}", text::printable_sentence(&report.what));
    if !report.why.is_empty() {
        line.push_str(&format!(" ({})", text::printable_sentence(&report.why.join("; "))));
    }
    // Last and uncut: the command is what the line is for.
    line.push_str(&format!("; {}", text::printable_sentence(&report.fix)));
    line
}

/// What can be shown where the output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canvas {
    /// Columns.
    pub width: usize,
    /// Whether colours are wanted.
    pub colour: bool,
    /// Whether it is a terminal.
    pub is_terminal: bool,
    /// Whether it is a terminal whose cursor can be moved.
    pub is_screen: bool,
}

/// Looks at stdout.
pub fn canvas(env: &Env) -> Canvas {
    let is_terminal = io::stdout().is_terminal();
    let is_dumb = env.term.as_deref() == Some("dumb");
    Canvas {
        width: width(env, is_terminal),
        colour: is_terminal && !is_dumb && env.no_color.is_none(),
        is_terminal,
        is_screen: is_terminal && !is_dumb,
    }
}

/// The terminal knows best; `COLUMNS` is for pipes, and is stale after a resize.
fn width(env: &Env, is_terminal: bool) -> usize {
    let stdout = io::stdout();
    let asked = is_terminal.then(|| rustix::termios::tcgetwinsize(stdout.as_fd()).ok()).flatten();
    let asked = asked.map(|size| usize::from(size.ws_col)).filter(|columns| 0 < *columns);
    let told = || env.columns.as_deref()?.parse().ok().filter(|columns| 0 < *columns);
    asked.or_else(told).unwrap_or(USUAL_WIDTH)
}

/// Returns columns and rows of the terminal that shows talk, where it is one.
pub fn talk_size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stderr().as_fd()).ok()?;
    let (columns, rows) = (usize::from(size.ws_col), usize::from(size.ws_row));
    Some((
        if columns == 0 { USUAL_WIDTH } else { columns },
        if rows == 0 { USUAL_HEIGHT } else { rows },
    ))
}

/// Returns the rows of the terminal that stdout is.
pub fn height() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout().as_fd());
    let rows = size.map_or(0, |size| usize::from(size.ws_row));
    if rows == 0 { USUAL_HEIGHT } else { rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_ends_in_the_command() {
        let report = Report::new(Code::NeedsLogin, "`corp` has ended", "run `eksd login dev`");
        assert_eq!(one_line(&report), "eksd: `corp` has ended; run `eksd login dev`");
        assert_eq!(
            one_line(&report.because("AWS refused\u{1b}[2J\nit").because("b")),
            "eksd: `corp` has ended (AWS refused?[2J?it; b); run `eksd login dev`"
        );
    }

    #[test]
    fn a_report_cannot_draw_on_the_terminal() {
        let report = Report::new(Code::Internal, "a\u{1b}]0;x\u{7}", "b\u{202e}").because("c\r\nd");
        assert_eq!(full(&report), "error: a?]0;x?\n  because: c??d\n  fix: b?");
    }

    #[test]
    fn width_of_a_pipe() {
        for (columns, expected) in [("100", 100), ("0", 80), ("wide", 80), ("", 80)] {
            assert_eq!(width(&Env::from_map([("COLUMNS", columns)]), false), expected);
        }
    }
}
