//! Asking for an MFA code at the terminal.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use crate::{
    ipc::wire::{LoginAsk, MfaCode},
    model::text::printable,
    report::{Code, Report},
};

/// Codes that are refused before the person is left alone with it: the device's clock is off, or it
/// is another device.
pub(super) const MOST_CODES: u32 = 3;

/// A line longer than this is none that a person typed.
const LONGEST_LINE: usize = 1024;

/// The terminal, to ask and to hear. Not stdin: that may be a script's.
#[derive(Debug)]
pub(super) struct Terminal {
    file: File,
    typed: Vec<u8>,
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// Not yet a line.
    Nothing,
    /// A code.
    Code(MfaCode),
    /// A line that is none.
    Nonsense,
    /// Nothing more will come.
    End,
}

impl Terminal {
    /// Opens the terminal of this process, where it has one.
    pub(super) fn open() -> Option<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
        Some(Self::new(file.into()))
    }

    /// Takes something that is both read and written.
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self { file: fd.into(), typed: Vec::new() }
    }

    /// Says something. A terminal that is gone is found out when it is read.
    pub(super) fn say(&mut self, text: &str) {
        drop(self.file.write_all(text.as_bytes()));
    }

    /// Returns whether a line was typed ahead, and read with the one before.
    pub(super) fn has_line(&self) -> bool {
        self.typed.contains(&b'\n')
    }

    /// Takes a line: one that was typed ahead, else from the terminal, once there is something to read.
    pub(super) fn take(&mut self) -> Typed {
        if !self.has_line() {
            let mut chunk = [0; 256];
            match self.file.read(&mut chunk) {
                Ok(0) => return Typed::End,
                Ok(read) => self.typed.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => return Typed::Nothing,
                Err(_) => return Typed::End,
            }
        }
        let Some(end) = self.typed.iter().position(|byte| *byte == b'\n') else {
            return if LONGEST_LINE < self.typed.len() { Typed::End } else { Typed::Nothing };
        };
        let line: Vec<u8> = self.typed.drain(..=end).collect();
        let code = MfaCode::new(&String::from_utf8_lossy(&line));
        if code.is_well_formed() { Typed::Code(code) } else { Typed::Nonsense }
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Returns the question; what was wrong with the code before goes first.
pub(super) fn question(ask: &LoginAsk) -> String {
    let mut text = String::new();
    if let Some(refused) = &ask.refused {
        text.push_str(&crate::cli::output::full(refused));
        text.push('\n');
    }
    if 0 < ask.wait_seconds {
        text.push_str(&format!(
            "The code that the device shows now has been used; the next one comes in {} s.\n",
            ask.wait_seconds
        ));
    }
    text.push_str(&prompt(ask));
    text
}

/// Returns the last line of the question.
pub(super) fn prompt(ask: &LoginAsk) -> String {
    format!("MFA code for {} (profile {}): ", printable(&ask.serial), printable(&ask.profile))
}

/// Nobody can be asked.
pub(super) fn nobody(ask: &LoginAsk, why: &str) -> Report {
    let what = format!("an MFA code of `{}` is needed", printable(&ask.serial));
    let profile = printable(&ask.profile);
    let fix = format!("run `eksd login {profile}` in a terminal, or add `--mfa-code CODE`");
    let report = Report::new(Code::NeedsMfa, what, fix).because(why);
    // Where a code was given and refused, that is why.
    match &ask.refused {
        Some(refused) => report.because(refused.what.clone()),
        None => report,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn ask(refused: Option<Report>, wait_seconds: u64) -> LoginAsk {
        let serial = "arn:aws:iam::111122223333:mfa/ann".into();
        LoginAsk { serial, profile: "dev\u{1b}".into(), refused, wait_seconds }
    }

    #[test]
    fn questions() {
        insta::assert_snapshot!(question(&ask(None, 0)), @"MFA code for arn:aws:iam::111122223333:mfa/ann (profile dev?): ");
        let refused = Report::new(Code::NeedsMfa, "AWS refused the code", "type the next one");
        insta::assert_snapshot!(question(&ask(Some(refused), 17)), @r"
        error: AWS refused the code
          fix: type the next one
        The code that the device shows now has been used; the next one comes in 17 s.
        MFA code for arn:aws:iam::111122223333:mfa/ann (profile dev?):
        ");
    }

    #[test]
    fn lines_and_what_they_are() {
        let (mut person, ours) = UnixStream::pair().unwrap();
        let mut terminal = Terminal::new(ours.into());
        let mut typed = |text: &str| {
            person.write_all(text.as_bytes()).unwrap();
            terminal.take()
        };
        assert_eq!(typed("123 "), Typed::Nothing);
        assert_eq!(typed("456\r\n"), Typed::Code(MfaCode::new("123456")));
        for line in ["\n", "12345\n", "1234567\n", "12345x\n", "１２３４５６\n"] {
            assert_eq!(typed(line), Typed::Nonsense, "{line:?}");
        }
        assert_eq!(typed(&"1".repeat(200)), Typed::Nothing);
        drop(person);
        assert_eq!(terminal.take(), Typed::End);
    }
}
