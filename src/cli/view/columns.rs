//! Rows of words in columns that are as wide as their widest word.

use unicode_width::UnicodeWidthStr;

use super::table::{Style, fit};

/// Blanks between columns.
const GAP: usize = 2;

/// Draws rows below their titles; a column in which nothing stands is left out. Lines are cut at `width`,
/// so what may go comes last.
pub fn draw(titles: &[&str], rows: &[Vec<String>], width: usize, colour: bool) -> String {
    let cell = |row: &[String], at: usize| row.get(at).map_or(0, |text| text.width());
    let widths: Vec<usize> = titles
        .iter()
        .enumerate()
        .map(|(at, title)| match rows.iter().map(|row| cell(row, at)).max().unwrap_or(0) {
            0 => 0,
            widest => widest.max(title.width()),
        })
        .collect();
    let line = |cells: &[String]| {
        let mut line = String::new();
        for (text, width) in cells.iter().zip(&widths).filter(|(_, width)| **width != 0) {
            line.push_str(text);
            line.push_str(&" ".repeat(width - text.width() + GAP));
        }
        fit(line.trim_end(), width)
    };
    let titles: Vec<String> = titles.iter().map(|&title| title.to_owned()).collect();
    let mut text = Style::Bold.paint(&line(&titles), colour) + "\n";
    for row in rows {
        text.push_str(&line(row));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        let rows = [vec!["a".to_owned(), String::new(), "long words".to_owned()]];
        let titles = ["NAME", "ROLE", "WHAT"];
        assert_eq!(draw(&titles, &rows, 80, false), "NAME  WHAT\na     long words\n");
        assert_eq!(draw(&titles, &rows, 10, false), "NAME  WHAT\na     lon…\n");
    }
}
