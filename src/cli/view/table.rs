//! The table: columns that make room for each other.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Look, time::Until};
use crate::ipc::wire::Phase;

/// Blanks between columns.
const GAP: usize = 2;

/// Names are not made shorter than this while anything else can give way.
const NAME_KEPT: usize = 24;

/// What is left of a command below this is no help.
const LEAST_ACTION: usize = 12;

/// A row, fit for a terminal but of any width.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) phase: Phase,
    pub(super) good: Until,
    pub(super) keys: Until,
    pub(super) action: String,
    pub(super) details: Vec<String>,
}

/// How text is set off.
#[derive(Clone, Copy)]
pub(super) enum Style {
    Plain,
    Bold,
    Dim,
    Green,
    Yellow,
    Red,
}

impl Style {
    pub(super) fn of(phase: Phase) -> Self {
        match phase {
            Phase::Fresh | Phase::Renewing => Self::Green,
            Phase::Expiring | Phase::Degraded => Self::Yellow,
            Phase::NeedsLogin | Phase::NeedsMfa | Phase::Expired | Phase::Misconfigured => {
                Self::Red
            }
            Phase::Idle => Self::Dim,
            Phase::Static => Self::Plain,
        }
    }

    pub(super) fn paint(self, text: &str, colour: bool) -> String {
        let code = match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Red => "31",
            Self::Plain => return text.to_owned(),
        };
        if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Draws the sections that have rows, all in the same columns.
pub(super) fn draw(sections: &[(&str, Vec<Row>)], look: &Look) -> String {
    let rows = || sections.iter().flat_map(|(_, rows)| rows);
    let columns = Columns::fitting(rows, look.width);
    let mut text = String::new();
    for (title, rows) in sections.iter().filter(|(_, rows)| !rows.is_empty()) {
        if !text.is_empty() {
            text.push('\n');
        }
        let header = [*title, "PHASE", "GOOD UNTIL", "KEYS UNTIL", "WHAT TO DO"];
        text.push_str(&Style::Bold.paint(&columns.line(header, None, look), look.colour));
        text.push('\n');
        for row in rows {
            let good = if columns.has_clock { &row.good.long } else { &row.good.short };
            let cells = [&row.name, row.phase.as_str(), good, &row.keys.short, &row.action];
            text.push_str(&columns.line(cells, Some(row.phase), look));
            text.push('\n');
            for detail in row.details.iter().filter(|_| look.verbose) {
                let line = fit(&format!("  {detail}"), look.width);
                text.push_str(&Style::Dim.paint(&line, look.colour));
                text.push('\n');
            }
        }
    }
    text
}

/// Widths; a column of width 0 is left out.
struct Columns {
    widths: [usize; 5],
    has_clock: bool,
}

const NAME: usize = 0;
const GOOD: usize = 2;
const KEYS: usize = 3;
const ACTION: usize = 4;

impl Columns {
    fn fitting<'a, I: Iterator<Item = &'a Row>>(rows: impl Fn() -> I, width: usize) -> Self {
        let widest = |cell: &dyn Fn(&Row) -> usize, title: &str| {
            rows().map(cell).max().unwrap_or(0).max(title.len())
        };
        let name = widest(&|row| row.name.width(), "CLUSTER");
        let phase = widest(&|row| row.phase.as_str().len(), "PHASE");
        let short = widest(&|row| row.good.short.width(), "GOOD UNTIL");
        let long = widest(&|row| row.good.long.width(), "GOOD UNTIL");
        let keys = widest(&|row| row.keys.short.width(), "KEYS UNTIL");
        let has_action = rows().any(|row| !row.action.is_empty());
        let action = if has_action { widest(&|row| row.action.width(), "WHAT TO DO") } else { 0 };
        let mut columns = Self { widths: [name, phase, long, keys, action], has_clock: true };
        columns.shrink(NAME, NAME_KEPT, width);
        if columns.excess(width) != 0 {
            columns.widths[NAME] = name;
            columns.widths[KEYS] = 0;
            columns.shrink(NAME, NAME_KEPT, width);
        }
        if columns.excess(width) != 0 {
            columns.widths[NAME] = name;
            columns.widths[GOOD] = short;
            columns.has_clock = false;
            columns.shrink(NAME, NAME_KEPT, width);
        }
        columns.shrink(NAME, NAME_KEPT * 2 / 3, width);
        columns.shrink(ACTION, LEAST_ACTION, width);
        if columns.excess(width) != 0 {
            columns.widths[ACTION] = 0;
            columns.widths[NAME] = name;
        }
        columns.shrink(NAME, 1, width);
        columns
    }

    /// Returns how much too wide a line would be.
    fn excess(&self, width: usize) -> usize {
        let used = self.widths.iter().filter(|width| **width != 0);
        let total: usize = used.map(|width| width + GAP).sum();
        total.saturating_sub(GAP).saturating_sub(width)
    }

    /// Takes what is too much from a column, down to `least`.
    fn shrink(&mut self, column: usize, least: usize, width: usize) {
        let spare = self.widths[column].saturating_sub(least);
        self.widths[column] -= spare.min(self.excess(width));
    }

    fn line(&self, cells: [&str; 5], phase: Option<Phase>, look: &Look) -> String {
        let mut line = String::new();
        let mut used = 0;
        let mut blanks = 0;
        for ((column, cell), width) in cells.into_iter().enumerate().zip(self.widths) {
            let left = look.width.saturating_sub(used + blanks);
            if width == 0 || left == 0 {
                continue;
            }
            let cell = fit(cell.trim_end(), width.min(left));
            // No blanks at the end of a line: they would wrap, and be copied.
            if !cell.is_empty() {
                line.push_str(&" ".repeat(blanks));
                used += blanks + cell.width();
                blanks = 0;
            }
            let style = phase.filter(|_| column == 1).map_or(Style::Plain, Style::of);
            line.push_str(&style.paint(&cell, look.colour && !cell.is_empty()));
            blanks += width - cell.width() + GAP;
        }
        line
    }
}

/// Returns `text` in at most `width` columns; what is cut ends in `…`.
pub(super) fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut fitted = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if width < used {
            break;
        }
        fitted.push(c);
    }
    if 0 < width {
        fitted.push('…');
    }
    fitted
}
