//! An address as a QR code, for a phone.

use qrcodegen::{QrCode, QrCodeEcc};

/// Light modules around the code (ISO/IEC 18004, "quiet zone").
const QUIET: i32 = 4;

/// Returns the code in lines of half-block characters, light on dark so that it is dark on light for
/// whoever looks; `None` where it is too large for a terminal of this size, in which half a code
/// would be none.
pub(super) fn draw(text: &str, columns: usize, rows: usize, colour: bool) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let side = usize::try_from(code.size() + 2 * QUIET).ok()?;
    if columns < side || rows <= side.div_ceil(2) {
        return None;
    }
    let (from, to) = (-QUIET, code.size() + QUIET);
    let mut picture = String::new();
    for y in (from..to).step_by(2) {
        // White on black, whatever the terminal's own colours are.
        picture.push_str(if colour { "\x1b[97;40m" } else { "" });
        for x in from..to {
            // What is outside is light; below the last line there is nothing.
            let is_light = |y: i32| y < to && !code.get_module(x, y);
            picture.push(match (is_light(y), is_light(y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        picture.push_str(if colour { "\x1b[0m\n" } else { "\n" });
    }
    Some(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://corp.awsapps.com/start/#/device?user_code=ABCD-EFGH";

    /// Reads the modules back from the characters.
    fn modules(picture: &str) -> Vec<Vec<bool>> {
        let mut rows = Vec::new();
        for line in picture.lines() {
            let halves = |upper: bool| {
                line.chars().map(|c| c == '█' || c == if upper { '▀' } else { '▄' }).collect()
            };
            rows.push(halves(true));
            rows.push(halves(false));
        }
        rows
    }

    #[test]
    fn every_module_is_drawn() {
        let code = QrCode::encode_text(URL, QrCodeEcc::Low).unwrap();
        let picture = draw(URL, 200, 100, false).unwrap();
        let rows = modules(&picture);
        let side = code.size() + 2 * QUIET;
        for y in 0..side {
            for x in 0..side {
                let is_light = rows[usize::try_from(y).unwrap()][usize::try_from(x).unwrap()];
                assert_eq!(is_light, !code.get_module(x - QUIET, y - QUIET), "{x} {y}");
            }
        }
    }

    #[test]
    fn only_where_it_fits_whole() {
        let picture = draw(URL, 200, 100, false).unwrap();
        let (columns, rows) =
            (picture.lines().next().unwrap().chars().count(), picture.lines().count());
        assert!(draw(URL, columns, rows + 1, false).is_some());
        assert!(draw(URL, columns - 1, rows + 1, false).is_none());
        assert!(draw(URL, columns, rows, false).is_none());
        assert!(columns <= 80 && rows < 24, "{columns}×{rows}: fits a usual terminal");
        assert!(draw(&"x".repeat(5_000), 500, 500, false).is_none());
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let plain = draw(URL, 200, 100, false).unwrap();
        let coloured = draw(URL, 200, 100, true).unwrap();
        assert_eq!(coloured.replace("\x1b[97;40m", "").replace("\x1b[0m", ""), plain);
    }
}
