//! The real program in a real zsh and bash at a terminal.

use std::path::Path;
use std::process::Command;

use eksd_lab::What;
use rexpect::session::{PtySession, spawn_command};
use vt100::Parser;

use crate::place::Place;
use crate::tools::{SOON, comes, tool};

/// How each prompt ends; nothing that is typed holds it.
const READY: &str = "READY> ";
const SIZE: (u16, u16) = (50, 160);

/// A shell at a terminal, and the screen that a person would see.
struct Terminal {
    session: PtySession,
    screen: Parser,
}

impl Terminal {
    /// Starts a shell with the hook as the README says to load it.
    fn start(place: &Place, shell: &str) -> Self {
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
    fn run(&mut self, line: &str) -> String {
        self.session.send_line(line).unwrap();
        self.wait()
    }

    /// Returns what the present prompt shows before its end.
    fn segment(&self) -> String {
        let screen = self.screen.screen();
        let (row, _) = screen.cursor_position();
        let text = screen.rows(0, SIZE.1).nth(row.into()).unwrap();
        text.split(READY.trim_end()).next().unwrap().trim().to_owned()
    }

    /// Presses return until the prompt shows this.
    #[track_caller]
    fn until_segment(&mut self, what: &str, is_so: impl Fn(&str) -> bool) {
        let came = comes(SOON, || {
            self.run("");
            is_so(&self.segment())
        });
        assert!(came, "{what}: the prompt is {:?}", self.segment());
    }

    fn end(mut self) {
        self.session.send_line("exit 0").unwrap();
        let _ended = self.session.exp_eof();
    }
}

fn each_shell(test: impl Fn(&str)) {
    for shell in ["zsh", "bash"] {
        test(shell);
    }
}

#[test]
fn a_shell_uses_what_it_was_told_and_no_other_does() {
    each_shell(|shell| {
        let place = Place::new();
        place.login();
        place.add_demo();
        let mut here = Terminal::start(&place, shell);
        let mut there = Terminal::start(&place, shell);
        assert_eq!(here.segment(), "", "{shell}: nothing is used yet");
        let said = here.run("kubectl get nodes 2>&1 | head -3");
        assert!(!said.contains("demo.internal"), "{shell}: {said}");

        here.run("eksd use dev");
        here.until_segment("the profile", |segment| segment.contains("dev"));
        assert!(here.run("echo [$AWS_PROFILE]").contains("[dev]"));
        let use_demo = here.run("eksd use demo");
        assert!(!use_demo.contains("error"), "{shell}: {use_demo}");
        here.until_segment("the cluster", |segment| segment.contains("demo"));
        let nodes = here.run("kubectl get nodes");
        assert!(nodes.contains("ip-10-0-0-2.demo.internal"), "{shell}: {nodes}");

        let said = there.run("echo [$AWS_PROFILE$KUBECONFIG]");
        assert!(said.contains("[]"), "{shell}: the other shell has changed: {said}");
        assert_eq!(there.segment(), "", "{shell}");

        here.run("eksd use -");
        here.until_segment("back to the profile", |it| it.contains("dev") && !it.contains("demo"));
        here.run("eksd use --clear");
        here.until_segment("nothing again", str::is_empty);
        let said = here.run("echo [${AWS_PROFILE-none}${KUBECONFIG-none}]");
        assert!(said.contains("[nonenone]"), "{shell}: {said}");

        let said = here.run("eksd use dve; echo \"code $?\"");
        assert!(said.contains("did you mean") && said.contains("code 2"), "{shell}: {said}");
        here.end();
        there.end();
    });
}

#[test]
fn the_segment_tells_when_a_person_is_needed() {
    each_shell(|shell| {
        let lifetimes = eksd_lab::Lifetimes {
            access_token: 4,
            role_credentials: 4,
            ..eksd_lab::Lifetimes::default()
        };
        let script = eksd_lab::Script { lifetimes, ..eksd_lab::Script::default() };
        let place = Place::with(script);
        place.login();
        place.credentials("dev");
        let mut terminal = Terminal::start(&place, shell);
        terminal.run("eksd use dev");
        terminal.until_segment("good", |it| it.contains("dev") && !it.contains("login"));
        for what in [What::AccessTokens, What::RefreshTokens, What::Sessions] {
            place.lab().revoke(what);
        }
        terminal.until_segment("a login is needed", |segment| segment.contains("login"));
        terminal.run("eksd login");
        terminal.until_segment("good again", |it| it.contains("dev") && !it.contains("login"));
        // The agent dies: the prompt says what is still true, and prints no error.
        place.signal(rustix::process::Signal::KILL);
        let said = terminal.run("");
        assert!(!said.contains("eksd") && !said.contains("error"), "{shell}: {said}");
        terminal.end();
    });
}

#[test]
fn completions_know_the_profiles_verbs() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, "bash");
    let said = terminal.run("complete -p eksd");
    assert!(said.contains("-F"), "{said}");
    for shell in ["bash", "zsh", "fish"] {
        let script = place.eksd(&format!("completions {shell}")).ok();
        assert!(script.contains("credential-process"), "{shell}");
    }
    assert!(Path::new(tool("bash").as_os_str()).exists());
    terminal.end();
}
