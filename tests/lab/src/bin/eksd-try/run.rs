//! Commands, run as typed, with what they print passed on.

use std::io::{self, BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::say::Say;
use crate::{Done, failed};

/// No command of the tour takes nearly as long.
const LIMIT: Duration = Duration::from_secs(30);

/// How often signals are looked for while a command runs.
const LOOK: Duration = Duration::from_millis(100);

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code; -1 after a signal.
    pub(crate) code: i32,
    /// What it printed, on stdout and stderr.
    pub(crate) text: String,
}

/// Runs commands in a home.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    home: &'a Home,
    say: &'a Say,
    interrupt: &'a Interrupt,
}

impl<'a> Runner<'a> {
    /// In this home.
    pub(crate) fn new(home: &'a Home, say: &'a Say, interrupt: &'a Interrupt) -> Self {
        Self { home, say, interrupt }
    }

    /// Shows a command and runs it, in the words in which it is shown.
    pub(crate) fn typed(&self, line: &str) -> Done<Ran> {
        self.say.command(line);
        self.read(self.shell(line))
    }

    /// The same, on the terminal itself where there is one: for what is nicer in colour. The text
    /// is then not known.
    pub(crate) fn typed_in_colour(&self, line: &str) -> Done<Ran> {
        self.say.command(line);
        let mut command = self.shell(line);
        if !self.say.is_terminal() {
            return self.read(command);
        }
        let mut child = command.stdin(Stdio::null()).spawn()?;
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Ran { code: code(status), text: String::new() });
            }
            self.mind(&mut child, until)?;
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = self.home.command("sh");
        command.args(["-c", line]);
        command
    }

    /// Runs a command, passes its lines on as they come, and keeps them.
    pub(crate) fn read(&self, mut command: Command) -> Done<Ran> {
        let (reader, writer) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn()?;
        // It holds the other end of the pipe.
        drop(command);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| 0 < read) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        });
        let until = Instant::now() + LIMIT;
        let mut text = String::new();
        loop {
            match lines.recv_timeout(LOOK) {
                Ok(line) => {
                    self.say.put(&line);
                    text.push_str(&line);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.mind(&mut child, until)?;
        }
        Ok(Ran { code: code(child.wait()?), text })
    }

    /// Ends the command when there was a signal, or when it takes too long.
    fn mind(&self, child: &mut Child, until: Instant) -> Done {
        let told = self.interrupt.check();
        if told.is_err() || until <= Instant::now() {
            let _ = child.kill();
            let _ = child.wait();
            told?;
            return failed(format!("it was not done after {} s", LIMIT.as_secs()));
        }
        Ok(())
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}
