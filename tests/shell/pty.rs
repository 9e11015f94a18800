//! A shell at a terminal, and the screen that a person would see.

use std::fs;

use rexpect::session::{PtySession, spawn_command};
use vt100::{Color, Parser};

use crate::place::{Place, Shell, tool};

/// How each prompt ends; nothing that is typed holds it, so it tells that the shell is waiting.
pub(crate) const READY: &str = "READY> ";

const ROWS: u16 = 50;
const COLUMNS: u16 = 200;

/// A shell that waits at its prompt.
pub(crate) struct Pty {
    session: PtySession,
    screen: Parser,
}

impl Pty {
    /// Starts a shell that loads the hook and runs `rc` before (with a prompt that is only
    /// [`READY`]) and `late` after it.
    pub(crate) fn start(
        place: &Place,
        shell: Shell,
        env: &[(&str, &str)],
        rc: &str,
        late: &str,
    ) -> Self {
        Self::start_under(&[], place, shell, env, rc, late)
    }

    /// Starts a shell as [`Pty::start`] does, as a child of another program.
    pub(crate) fn start_under(
        parent: &[&str],
        place: &Place,
        shell: Shell,
        env: &[(&str, &str)],
        rc: &str,
        late: &str,
    ) -> Self {
        let rc = format!("PS1='{READY}'\nunset HISTFILE\n{rc}\n{}\n{late}\n", place.source(shell));
        place.write(shell.pick("home/.zshrc", "home/.bashrc"), &rc);
        // A shell measures its terminal once, when it starts; readline shows what is typed only
        // where the terminal would.
        let sized = format!("stty echo cols {COLUMNS} rows {ROWS} && exec \"$@\"");
        let mut command = place.command(tool("sh"));
        command.args(["-c", &sized, "sh"]).args(parent).arg(tool(shell.name()));
        command.envs(env.iter().copied());
        match shell {
            Shell::Zsh => command.args(["--no-globalrcs", "-i"]),
            Shell::Bash => {
                command.args(["--noprofile", "--rcfile"]).arg(place.path("home/.bashrc")).arg("-i")
            }
        };
        let mut session = spawn_command(command, Some(20_000)).unwrap();
        // An interactive bash does not end on SIGTERM.
        session.process_mut().set_kill_timeout(Some(100));
        let mut pty = Self { session, screen: Parser::new(ROWS, COLUMNS, 0) };
        pty.wait(READY);
        pty
    }

    /// Reads until `text` has come, and returns what came before it.
    #[track_caller]
    pub(crate) fn wait(&mut self, text: &str) -> String {
        let read = match self.session.exp_string(text) {
            Ok(read) => read,
            Err(error) => panic!("waiting for {text:?}: {error}\n{}", self.contents()),
        };
        // Bytes arrive as characters of the same number.
        let bytes: Vec<u8> = read.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect();
        self.screen.process(&bytes);
        self.screen.process(text.as_bytes());
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Types a line.
    pub(crate) fn send(&mut self, text: &str) {
        self.session.send_line(text).unwrap();
    }

    /// Types without ending the line.
    pub(crate) fn type_in(&mut self, text: &str) {
        self.session.send(text).unwrap();
        self.session.flush().unwrap();
    }

    /// Types a control character.
    pub(crate) fn control(&mut self, key: char) {
        self.session.send_control(key).unwrap();
    }

    /// Types a line, waits for the next prompt, and returns everything up to it.
    #[track_caller]
    pub(crate) fn run(&mut self, text: &str) -> String {
        self.send(text);
        self.wait(READY)
    }

    /// Returns the whole screen.
    pub(crate) fn contents(&self) -> String {
        self.screen.screen().contents()
    }

    /// Returns what the present prompt shows before [`READY`], and the colour of its first letter.
    pub(crate) fn segment(&self) -> (String, Color) {
        let screen = self.screen.screen();
        let (row, _) = screen.cursor_position();
        let text = screen.rows(0, screen.size().1).nth(row.into()).unwrap();
        let shown = text.split(READY.trim_end()).next().unwrap().trim_end().to_owned();
        (shown, screen.cell(row, 0).unwrap().fgcolor())
    }

    /// Waits for the shell to end.
    pub(crate) fn end(mut self) {
        self.send("exit 0");
        let _ = self.session.exp_eof();
    }
}

/// Returns the lines of a `strace` file between the opening of two marker files that name a process
/// being made.
pub(crate) fn processes_between(log: &std::path::Path, from: &str, to: &str) -> Vec<String> {
    let log = fs::read_to_string(log).unwrap();
    let lines: Vec<_> = log.lines().collect();
    let at = |marker: &str| {
        lines
            .iter()
            .position(|line| line.contains(marker))
            .unwrap_or_else(|| panic!("no {marker} in:\n{log}"))
    };
    lines[at(from)..at(to)]
        .iter()
        .filter(|line| ["clone", "fork", "execve"].iter().any(|call| line.contains(call)))
        .map(|line| (*line).to_owned())
        .collect()
}
