//! Rows of words in columns that are as wide as their widest word.

use unicode_width::UnicodeWidthStr;

use super::table::{Style, fit};

/// Blanks between columns.
const GAP: usize = 2;

/// No column is made narrower than this.
const LEAST: usize = 12;

/// Draws rows below their titles; a column in which nothing stands is left out. Where a line is longer than
/// `width` the widest columns but the last give way; what is too long even so is cut at its end.
pub fn draw(titles: &[&str], rows: &[Vec<String>], width: usize, colour: bool) -> String {
    let cell = |row: &[String], at: usize| row.get(at).map_or(0, |text| text.width());
    let mut widths: Vec<usize> = titles
        .iter()
        .enumerate()
        .map(|(at, title)| match rows.iter().map(|row| cell(row, at)).max().unwrap_or(0) {
            0 => 0,
            widest => widest.max(title.width()),
        })
        .collect();
    give_way(&mut widths, width);
    let line = |cells: &[String]| {
        let mut line = String::new();
        for (text, width) in cells.iter().zip(&widths).filter(|(_, width)| **width != 0) {
            let text = fit(text, *width);
            line.push_str(&text);
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

/// Takes from the widest columns but the last until a line is as long as it may be.
fn give_way(widths: &mut [usize], width: usize) {
    let shown = widths.iter().filter(|width| **width != 0).count();
    let whole = widths.iter().sum::<usize>() + GAP * shown.saturating_sub(1);
    let Some((_, others)) = widths.split_last_mut() else { return };
    for _ in width..whole {
        match others.iter_mut().max() {
            Some(widest) if LEAST < *widest => *widest -= 1,
            _ => return,
        }
    }
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

    #[test]
    fn the_widest_gives_way_so_that_the_last_can_be_read() {
        let arn = "arn:aws:eks:eu-west-1:111122223333:cluster/demo".to_owned();
        let rows = [
            vec![arn, "eu-west-1".to_owned(), "register as `demo`".to_owned()],
            vec!["demo".to_owned(), "eu-west-1".to_owned(), "the same as `demo`".to_owned()],
        ];
        let titles = ["CONTEXT", "REGION", "WHAT"];
        let expected = "\
CONTEXT                REGION     WHAT
arn:aws:eks:eu-west-…  eu-west-1  register as `demo`
demo                   eu-west-1  the same as `demo`
";
        assert_eq!(draw(&titles, &rows, 52, false), expected);
        let narrow = draw(&titles, &rows, 30, false);
        assert!(
            narrow.starts_with("CONTEXT       REGION     WHAT\narn:aws:eks…  eu-west-1  regi…\n"),
            "{narrow}"
        );
    }
}
