//! The alternate screen: drawn over again and again, and gone when it is left.

use super::output::{self, Stop};

const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The alternate screen, for as long as this lives.
#[derive(Debug)]
pub(super) struct Screen {
    /// What is there now: what has not changed is not written again.
    shown: String,
}

impl Screen {
    /// Enters it and hides the cursor.
    pub(super) fn enter() -> Result<Self, Stop> {
        output::data(ENTER)?;
        Ok(Self { shown: String::new() })
    }

    /// Draws `text` in place of what is there; lines that do not fit below are left out.
    pub(super) fn draw(&mut self, text: &str, height: usize) -> Result<(), Stop> {
        let frame = frame(text, height);
        if frame == self.shown {
            return Ok(());
        }
        output::data(&frame)?;
        self.shown = frame;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There may be no terminal any more.
        drop(output::data(LEAVE));
    }
}

/// One write: a screen that is cleared first flickers.
fn frame(text: &str, height: usize) -> String {
    let mut frame = String::from("\x1b[H");
    let lines: Vec<&str> = text.lines().collect();
    let fitting = if height < lines.len() { height.saturating_sub(1) } else { lines.len() };
    for (at, line) in lines[..fitting].iter().enumerate() {
        frame.push_str(if at == 0 { "" } else { "\r\n" });
        frame.push_str(line);
        frame.push_str("\x1b[K");
    }
    if fitting < lines.len() {
        frame.push_str(&format!("\r\n… {} more lines\x1b[K", lines.len() - fitting));
    }
    frame.push_str("\x1b[J");
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_replaces_the_one_before() {
        let mut terminal = vt100::Parser::new(4, 20, 0);
        terminal.process(ENTER.as_bytes());
        terminal.process(frame("one\ntwo is longer\nthree\n", 4).as_bytes());
        terminal.process(frame("1\n2\n", 4).as_bytes());
        assert_eq!(terminal.screen().contents(), "1\n2");
        terminal.process(frame("1\n2\n3\n4\n5\n6\n", 4).as_bytes());
        assert_eq!(terminal.screen().contents(), "1\n2\n3\n… 3 more lines");
        assert!(terminal.screen().hide_cursor() && terminal.screen().alternate_screen());
        terminal.process(LEAVE.as_bytes());
        assert!(!terminal.screen().hide_cursor() && !terminal.screen().alternate_screen());
    }
}
