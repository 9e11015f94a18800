//! What the person reads: headings, commands, remarks. Colours and moving lines only on a terminal.

use std::cell::{Cell, RefCell};
use std::io::{self, IsTerminal as _, Write as _};

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const HEADING: &str = "1;36";

/// The voice of the program.
#[derive(Debug)]
pub(crate) struct Say {
    out: io::Stdout,
    is_terminal: bool,
    colour: bool,
    steps: Cell<u32>,
    /// The passing line that stands there now.
    passing: RefCell<String>,
}

impl Say {
    /// Looks at where stdout goes.
    pub(crate) fn new() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            out: io::stdout(),
            is_terminal: is_terminal && !is_dumb,
            colour: is_terminal && !is_dumb && !no_colour,
            steps: Cell::new(0),
            passing: RefCell::default(),
        }
    }

    /// Whether a person may be looking, at lines that can be drawn over.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Whether colours are wanted.
    pub(crate) fn colour(&self) -> bool {
        self.colour
    }

    /// A line as it is.
    pub(crate) fn line(&self, text: &str) {
        self.put(&format!("{text}\n"));
    }

    /// The heading of the next step.
    pub(crate) fn heading(&self, text: &str) {
        let step = self.steps.get() + 1;
        self.steps.set(step);
        self.line(&format!("\n{}", self.paint(HEADING, &format!("━━ {step}. {text}"))));
    }

    /// A command as a person would type it.
    pub(crate) fn command(&self, text: &str) {
        self.line(&self.paint(BOLD, &format!("$ {text}")));
    }

    /// What just happened, in a line.
    pub(crate) fn remark(&self, text: &str) {
        self.line(&self.paint(DIM, &format!("→ {text}")));
    }

    /// The last line of a run in which everything was as it should be.
    pub(crate) fn success(&self, text: &str) {
        self.line(&format!("\n{}", self.paint(GREEN, text)));
    }

    /// What went wrong.
    pub(crate) fn failure(&self, text: &str) {
        self.passed();
        let line = format!("cargo try: {text}");
        let line = if io::stderr().is_terminal() { self.paint(RED, &line) } else { line };
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// A desktop notice, drawn.
    pub(crate) fn notice(&self, title: &str, body: &str) {
        let lines: Vec<&str> = std::iter::once(title).chain(body.lines()).collect();
        let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
        let edge = "─".repeat(width + 2);
        self.line(&format!("    ╭{edge}╮"));
        for (at, line) in lines.iter().enumerate() {
            let pad = " ".repeat(width - line.chars().count());
            let text = if at == 0 { self.paint(BOLD, line) } else { (*line).to_owned() };
            self.line(&format!("    │ {text}{pad} │"));
        }
        self.line(&format!("    ╰{edge}╯"));
    }

    /// A line that the next one replaces; nothing where lines cannot be replaced.
    pub(crate) fn passing(&self, text: &str) {
        if self.is_terminal && *self.passing.borrow() != text {
            text.clone_into(&mut self.passing.borrow_mut());
            self.put(&format!("\r\u{1b}[K{}", self.paint(DIM, text)));
        }
    }

    /// Takes the passing line away.
    pub(crate) fn passed(&self) {
        if !self.passing.take().is_empty() {
            self.put("\r\u{1b}[K");
        }
    }

    /// Text as it is.
    pub(crate) fn put(&self, text: &str) {
        let mut out = self.out.lock();
        // Whoever stopped reading does not stop the clean-up.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
