//! A home of its own for one test: prompt files, the hooks with a stand-in for the program, and
//! shells that see nothing else of the machine.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

/// The shells that have a hook here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shell {
    /// `shell/eksd.zsh`
    Zsh,
    /// `shell/eksd.bash`
    Bash,
}

/// Every test runs in both.
pub(crate) const SHELLS: [Shell; 2] = [Shell::Zsh, Shell::Bash];

impl Shell {
    /// Returns the word for `eksd init`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zsh => "zsh",
            Self::Bash => "bash",
        }
    }

    /// Returns one text for zsh or another for bash.
    pub(crate) fn pick<T>(self, zsh: T, bash: T) -> T {
        match self {
            Self::Zsh => zsh,
            Self::Bash => bash,
        }
    }
}

/// Finds a program, or says which package brings it.
pub(crate) fn tool(name: &str) -> PathBuf {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!("`{name}` is missing: install the package `{name}` (apt-get install {name})")
        })
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A line for a prompt file; instants are seconds from now, `None` is not known.
pub(crate) fn line(
    phase: &str,
    [expiring, until, trust]: [Option<i64>; 3],
    confidence: &str,
    label: &str,
) -> String {
    let at = |after: Option<i64>| after.map_or(0, |after| now() + after);
    let (expiring, until, trust) = (at(expiring), at(until), at(trust));
    format!("eksd1|{phase}|{expiring}|{until}|{trust}|{confidence}|{label}\n")
}

/// Good for two hours and fourteen minutes.
pub(crate) fn fresh(label: &str) -> String {
    line("fresh", [Some(6_300), Some(8_070), None], "exact", label)
}

/// Waits for something to be so, and says what did not come.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "still not: {what}");
        std::thread::yield_now();
    }
}

/// One test's files.
pub(crate) struct Place {
    root: TempDir,
}

impl Place {
    /// Makes the files; the folder's name is one that quoting must survive.
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("it's $HOME ").tempdir().unwrap();
        let place = Self { root };
        for dir in ["home/.kube/eksd", "run/prompt", "bin", "work"] {
            fs::create_dir_all(place.path(dir)).unwrap();
        }
        place.write("bin/eksd", PROGRAM);
        fs::set_permissions(place.path("bin/eksd"), fs::Permissions::from_mode(0o755)).unwrap();
        for shell in SHELLS {
            let name = format!("eksd.{}", shell.name());
            let hook = Path::new(env!("CARGO_MANIFEST_DIR")).join("shell").join(&name);
            let hook = fs::read_to_string(hook).unwrap();
            assert_eq!(hook.matches("@EKSD@").count(), 1, "{name}");
            let program = quoted(place.path("bin/eksd"));
            place.write(&name, &hook.replace("@EKSD@", &program));
        }
        place
    }

    /// Returns a path inside.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Replaces a prompt file as the agent does.
    pub(crate) fn prompt(&self, name: &str, text: &str) {
        self.write("run/prompt/new", text);
        fs::rename(self.path("run/prompt/new"), self.path(&format!("run/prompt/{name}"))).unwrap();
    }

    /// Returns the command that loads the hook.
    pub(crate) fn source(&self, shell: Shell) -> String {
        format!("source {}", quoted(self.path(&format!("eksd.{}", shell.name()))))
    }

    /// Returns what the stand-in was told, a line for each time.
    pub(crate) fn told(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("bin/told")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Returns whether a name was run as code.
    pub(crate) fn is_pwned(&self) -> bool {
        self.path("work/pwned").exists() || self.path("home/pwned").exists()
    }

    /// Returns a command with nothing of the caller's environment but PATH.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("ZDOTDIR", self.path("home"))
            .env("EKSD_RUNTIME_DIR", self.path("run"))
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .current_dir(self.path("work"));
        command
    }

    /// Runs a script without a terminal, with these flags for the shell and nothing of the user's.
    pub(crate) fn script(
        &self,
        shell: Shell,
        flags: &[&str],
        env: &[(&str, &str)],
        script: &str,
    ) -> Output {
        let mut command = self.command(tool(shell.name()));
        match shell {
            Shell::Zsh => command.arg("-f"),
            Shell::Bash => command.args(["--noprofile", "--norc"]),
        };
        command.args(flags).arg("-c").arg(script).envs(env.iter().copied());
        command.output().unwrap()
    }

    /// Runs a script as [`Place::script`] does, and returns what it printed; it must not complain.
    #[track_caller]
    pub(crate) fn says(&self, shell: Shell, env: &[(&str, &str)], script: &str) -> String {
        let output = self.script(shell, &[], env, script);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert_eq!(complaints, "", "{} {script}", shell.name());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// Returns a path quoted for a shell.
pub(crate) fn quoted(path: impl AsRef<Path>) -> String {
    format!("'{}'", path.as_ref().to_str().unwrap().replace('\'', r"'\''"))
}

/// Stands for the program: notes what it is told, and prints what `use --print` might.
const PROGRAM: &str = r#"#!/bin/sh
here=${0%/*}
case "$1 $2" in
'prompt --tell')
  shift 2
  echo "$*" >>"$here/told"
  ;;
'use --print')
  pid=$5
  shift 5
  case $1 in
  alpha | beta)
    echo "export AWS_PROFILE='$1' EKSD_USE='$1'"
    echo 'unset AWS_DEFAULT_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN'
    ;;
  mfa)
    echo "export AWS_PROFILE='mfa' AWS_CONFIG_FILE='/mirror/config' EKSD_USE='mfa'"
    echo "export AWS_SHARED_CREDENTIALS_FILE='/mirror/credentials' AWS_SDK_LOAD_CONFIG=1"
    echo "export EKSD_AWS_CONFIG_FILE='/own/config' EKSD_AWS_SHARED_CREDENTIALS_FILE='/own/keys'"
    echo 'unset AWS_DEFAULT_PROFILE AWS_ACCESS_KEY_ID AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_VAULT'
    ;;
  cluster)
    echo "export AWS_PROFILE='alpha' AWS_REGION='eu-west-1' EKSD_USE='cluster'"
    echo 'export KUBECONFIG="$HOME/.kube/eksd/cluster.yaml"'
    echo 'unset AWS_DEFAULT_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN'
    ;;
  cluster/*)
    echo "export AWS_PROFILE='alpha' AWS_REGION='eu-west-1' EKSD_USE='$1'"
    echo "export KUBECONFIG=\"/run/shell/$pid-1.yaml:\$HOME/.kube/eksd/cluster.yaml\""
    ;;
  *)
    echo "echo printed although it failed"
    echo "no profile or cluster '$1'" >&2
    exit 3
    ;;
  esac
  ;;
'completions '*)
  echo "completed=$2"
  ;;
*)
  printf 'ran:'
  printf ' <%s>' "$@"
  echo
  exit 7
  ;;
esac
"#;
