//! A home of its own for one test, with the programs, a lab, and nothing else of the machine.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use eksd_lab::{Lab, Script};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::home::{CONFIG, CREDENTIALS, SETTINGS};
use crate::ran::Ran;
use crate::tools::{comes, instant, until};

/// A folder with a home, links to the programs, and a lab. Ends its agent when it goes, and fails
/// if that does not end.
pub(crate) struct Place {
    /// Beside the programs, so that they can be linked there.
    programs: TempDir,
    root: TempDir,
    lab: Option<Lab>,
    vars: Vec<(String, String)>,
}

/// Returns where a program of the workspace was built.
fn built(program: &str) -> PathBuf {
    // The runner may have put the programs elsewhere since.
    let eksd = std::env::var_os("CARGO_BIN_EXE_eksd").unwrap_or(env!("CARGO_BIN_EXE_eksd").into());
    let path = Path::new(&eksd).with_file_name(program);
    assert!(path.is_file(), "{program} is not built: cargo build --workspace --bins");
    path
}

fn folder(within: Option<&str>, mode: u32) -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("e").rand_bytes(5).permissions(fs::Permissions::from_mode(mode));
    match within {
        Some(within) => builder.tempdir_in(within).unwrap(),
        None => builder.tempdir().unwrap(),
    }
}

impl Place {
    /// A lab that plays its seed.
    pub(crate) fn new() -> Self {
        Self::with(Script::default())
    }

    /// A lab that plays this script.
    pub(crate) fn with(script: Script) -> Self {
        Self::at(Some(Lab::start(script)))
    }

    /// A lab of the caller's, or none: then AWS is where nobody listens.
    pub(crate) fn at(lab: Option<Lab>) -> Self {
        // Its own path in each agent's command line tells the agents of tests apart.
        let programs = folder(Some(env!("CARGO_TARGET_TMPDIR")), 0o755);
        for program in ["eksd", "eksd-agent", "eksd-kube-rs", "eksd-lab"] {
            fs::hard_link(built(program), programs.path().join(program)).unwrap();
        }
        let url = lab.as_ref().map_or("http://127.0.0.1:9".to_owned(), Lab::url);
        let root = folder(None, 0o700);
        let mut place = Self { programs, root, lab, vars: Vec::new() };
        for dir in ["home/.aws", "home/.config/eksd", "run", "tmp", "bin"] {
            fs::create_dir_all(place.path(dir)).unwrap();
        }
        fs::set_permissions(place.path("run"), fs::Permissions::from_mode(0o700)).unwrap();
        place.write("home/.aws/config", CONFIG);
        place.write("home/.aws/credentials", CREDENTIALS);
        place.write("home/.config/eksd/config.toml", SETTINGS);
        let browser = format!(
            "#!/bin/sh\necho \"$1\" >>'{}'\nexec '{}' open \"$1\"\n",
            place.path("browser.log").display(),
            place.program("eksd-lab").display()
        );
        place.script("bin/browser", &browser);
        let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
        let vars = [
            ("HOME", path("home")),
            ("TMPDIR", path("tmp")),
            ("XDG_RUNTIME_DIR", path("run")),
            ("BROWSER", path("bin/browser")),
            ("PATH", "/usr/bin:/bin".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("COLUMNS", "100".to_owned()),
            ("NO_COLOR", "1".to_owned()),
            ("AWS_ENDPOINT_URL", url),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        place.vars = vars.map(|(name, value)| (name.to_owned(), value)).into();
        place
    }

    /// Sets a variable for everything that is started from now on.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.unset(name);
        self.vars.push((name.to_owned(), value.into()));
    }

    /// Takes a variable away.
    pub(crate) fn unset(&mut self, name: &str) {
        self.vars.retain(|(other, _)| other != name);
    }

    /// The lab.
    pub(crate) fn lab(&self) -> &Lab {
        self.lab.as_ref().expect("this test has a lab")
    }

    /// Stops the lab: from now on nobody listens where AWS was.
    pub(crate) fn stop_lab(&mut self) {
        self.lab = None;
    }

    /// Returns a path inside.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Returns the path of one of the programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Adds to a file.
    pub(crate) fn append(&self, name: &str, text: &str) {
        let before = self.read(name);
        self.write(name, &(before + text));
    }

    /// Writes a program. Another process does: a file that this one holds open cannot be run.
    pub(crate) fn script(&self, name: &str, text: &str) {
        let write = r#"printf '%s' "$2" >"$1" && chmod 755 "$1""#;
        let mut command = Command::new("sh");
        let status = command.args(["-c", write, "sh"]).arg(self.path(name)).arg(text).status();
        assert!(status.unwrap().success());
    }

    /// Reads a file; nothing where there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Returns a command with this place's environment and no other.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let vars = self.vars.iter().map(|(name, value)| (name, value));
        command.env_clear().envs(vars).current_dir(self.path("home"));
        command.stdin(std::process::Stdio::null());
        command
    }

    /// Returns a command for `eksd` with these words.
    pub(crate) fn eksd_command(&self, words: &str) -> Command {
        let mut command = self.command(self.program("eksd"));
        command.args(words.split_whitespace());
        command
    }

    /// Runs `eksd`.
    pub(crate) fn eksd(&self, words: &str) -> Ran {
        self.eksd_command(words).output().unwrap().into()
    }

    /// Runs `eksd` with more in its environment.
    pub(crate) fn eksd_with(&self, vars: &[(&str, &str)], words: &str) -> Ran {
        self.eksd_command(words).envs(vars.iter().copied()).output().unwrap().into()
    }

    /// Runs a real program with these words; it sees the whole PATH of the tests.
    pub(crate) fn real(&self, program: impl AsRef<OsStr>, words: &str) -> Ran {
        let mut command = self.command(program);
        command.args(words.split_whitespace());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("AWS_PAGER", "").env("AWS_MAX_ATTEMPTS", "1");
        command.output().unwrap().into()
    }

    /// Logs in by the browser.
    #[track_caller]
    pub(crate) fn login(&self) {
        let said = self.eksd("login dev").talk();
        assert!(said.contains("logged in to `corp`"), "{said}");
    }

    /// Registers the lab's cluster `demo` with profile `dev`.
    #[track_caller]
    pub(crate) fn add_demo(&self) {
        self.eksd("cluster add demo --region eu-west-1 --profile dev").ok();
    }

    /// Returns the status as JSON.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.eksd("status --json").json()
    }

    /// Returns a profile's row of the status.
    #[track_caller]
    pub(crate) fn row(&self, profile: &str) -> Value {
        let status = self.eksd(&format!("status {profile} --json")).json();
        let rows = status["profiles"].as_array().unwrap();
        let row = rows.iter().find(|row| row["profile"] == profile);
        row.unwrap_or_else(|| panic!("no `{profile}` in {status}")).clone()
    }

    /// Waits for a profile's phase.
    #[track_caller]
    pub(crate) fn until_phase(&self, profile: &str, phase: &str) {
        let mut last = Value::Null;
        let came = comes(crate::tools::SOON, || {
            last = self.row(profile);
            last["phase"] == phase
        });
        assert!(came, "`{profile}` is not {phase}: {last}\n{}", self.log());
    }

    /// Asks for credentials as an SDK does; they must be good by the lab's clock.
    #[track_caller]
    pub(crate) fn credentials(&self, profile: &str) -> Value {
        let given = self.eksd(&format!("credential-process --profile {profile}")).json();
        if !given["Expiration"].is_null() {
            let (ends, now) = (instant(&given["Expiration"]), self.lab().now());
            assert!(now < ends, "ended {} s ago: {given}", now - ends);
        }
        given
    }

    /// Returns how often a browser was opened.
    pub(crate) fn browsers(&self) -> usize {
        self.read("browser.log").lines().count()
    }

    /// Returns the agent's log.
    pub(crate) fn log(&self) -> String {
        self.read("home/.local/state/eksd/agent.log")
    }

    /// Returns the agent's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("run/eksd/agent.sock")
    }

    /// Returns the processes of this place's background agents.
    pub(crate) fn agents(&self) -> Vec<Pid> {
        self.processes(|arguments| arguments.first().is_some_and(|word| word == "run"))
    }

    /// Returns the processes that run this place's agent program with arguments like these; those that
    /// serve one call end by themselves, a moment after it.
    fn processes(&self, is_meant: impl Fn(&[String]) -> bool) -> Vec<Pid> {
        let program = self.program("eksd-agent");
        let program = program.to_str().unwrap().as_bytes();
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0);
            let is_program = words.next() == Some(program);
            let rest = words.map(|word| String::from_utf8_lossy(word).into_owned());
            is_program && is_meant(&rest.collect::<Vec<_>>())
        })
        .filter_map(Pid::from_raw)
        .collect()
    }

    /// Returns the one agent.
    #[track_caller]
    pub(crate) fn agent(&self) -> Pid {
        match self.agents().as_slice() {
            [agent] => *agent,
            other => panic!("{} agents run\n{}", other.len(), self.log()),
        }
    }

    /// Sends the agent a signal.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.agent(), signal).unwrap();
    }

    /// Ends the agent as the system does, and waits.
    #[track_caller]
    pub(crate) fn end_agent(&self) {
        self.signal(Signal::TERM);
        until("the agent ends", || self.agents().is_empty());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let all = || self.processes(|_| true);
        for agent in all() {
            // One that was stopped cannot hear.
            for signal in [Signal::TERM, Signal::CONT] {
                let _gone = kill_process(agent, signal);
            }
        }
        if comes(Duration::from_secs(5), || all().is_empty()) {
            return;
        }
        for agent in all() {
            let _gone = kill_process(agent, Signal::KILL);
        }
        // A test that fails already has more to say.
        assert!(std::thread::panicking(), "an agent did not end on SIGTERM\n{}", self.log());
    }
}
