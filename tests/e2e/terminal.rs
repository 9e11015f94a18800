//! A real zsh or bash at a terminal, with the hook and the real program.

use std::process::Command;

use rexpect::session::{PtySession, spawn_command};
use vt100::Parser;

use crate::place::Place;
use crate::tools::{SOON, comes, tool};

/// How each prompt ends; nothing that is typed holds it.
const READY: &str = "READY> ";
const SIZE: (u16, u16) = (50, 160);

/// A shell at a terminal, and the screen that a person would see.
pub(crate) struct Terminal {
    session: PtySession,
    screen: Parser,
}

impl Terminal {
    /// Starts a shell with the hook as the README says to load it.
    pub(crate) fn start(place: &Place, shell: &str) -> Self {
        let hook = format!("eval \"$(eksd init {shell})\"");
        let rc = format!("PS1='{READY}'\nunset HISTFILE\n{hook}\n");
        place.write(&format!("home/.{shell}rc"), &rc);
        let sized = format!("stty echo cols {} rows {} && exec \"$@\"", SIZE.1, SIZE.0);
        let mut command: Command = place.command("sh");
        // The terminal's.
        command.stdin(std::process::Stdio::inherit());
        command.args(["-c", &sized, "sh"]).arg(tool(shell));
        if shell == "zsh" {
            command.args(["--no-globalrcs", "-i"]).env("ZDOTDIR", place.path("home"));
        } else {
            command.args(["--noprofile", "--rcfile"]).arg(place.path("home/.bashrc")).arg("-i");
        }
        let kubectl = tool("kubectl");
        let programs = place.program("eksd");
        let folders = [programs.parent().unwrap(), kubectl.parent().unwrap()];
        let folders = folders.map(|folder| folder.to_str().unwrap());
        command.env("PATH", format!("{}:/usr/bin:/bin", folders.join(":")));
        command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR");
        let mut session = spawn_command(command, Some(20_000)).unwrap();
        session.process_mut().set_kill_timeout(Some(100));
        let mut terminal = Self { session, screen: Parser::new(SIZE.0, SIZE.1, 0) };
        terminal.wait();
        terminal
    }

    /// Reads up to the next prompt and returns what came before it.
    #[track_caller]
    fn wait(&mut self) -> String {
        let read = match self.session.exp_string(READY) {
            Ok(read) => read,
            Err(error) => panic!("{error}\n{}", self.screen.screen().contents()),
        };
        // Bytes arrive as characters of the same number.
        let bytes: Vec<u8> = read.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect();
        self.screen.process(&bytes);
        self.screen.process(READY.as_bytes());
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Types a line and returns what came before the next prompt.
    #[track_caller]
    pub(crate) fn run(&mut self, line: &str) -> String {
        self.session.send_line(line).unwrap();
        self.wait()
    }

    /// Returns what the present prompt shows before its end.
    pub(crate) fn segment(&self) -> String {
        let screen = self.screen.screen();
        let (row, _) = screen.cursor_position();
        let text = screen.rows(0, SIZE.1).nth(row.into()).unwrap();
        text.split(READY.trim_end()).next().unwrap().trim().to_owned()
    }

    /// Presses return until the prompt shows this.
    #[track_caller]
    pub(crate) fn until_segment(&mut self, what: &str, is_so: impl Fn(&str) -> bool) {
        let came = comes(SOON, || {
            self.run("");
            is_so(&self.segment())
        });
        assert!(came, "{what}: the prompt is {:?}", self.segment());
    }

    /// Leaves the shell.
    pub(crate) fn end(mut self) {
        self.session.send_line("exit 0").unwrap();
        let _ended = self.session.exp_eof();
    }
}

/// Runs a test in both shells.
pub(crate) fn each_shell(test: impl Fn(&str)) {
    for shell in ["zsh", "bash"] {
        test(shell);
    }
}
