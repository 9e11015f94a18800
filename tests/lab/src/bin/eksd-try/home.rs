//! A home for one run: a folder with everything in it, and the environment that leads there.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::programs::Programs;

/// What is taken over from the person's environment; the rest stays outside, AWS keys and a
/// KUBECONFIG first of all.
const KEPT: [&str; 10] = [
    "TERM",
    "COLORTERM",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "USER",
    "LOGNAME",
    "SHELL",
    "NO_COLOR",
];

/// A socket's path has about a hundred bytes, and a folder in a long one would use them up.
const LONGEST_TEMP: usize = 40;

/// The folder. Dropping it ends the agent that runs there, and removes it.
#[derive(Debug)]
pub(crate) struct Home {
    folder: PathBuf,
    env: BTreeMap<OsString, OsString>,
}

impl Home {
    /// Makes the folder, with the programs in it.
    pub(crate) fn new(programs: &Programs, lab_url: &str) -> io::Result<Self> {
        let folder = private_folder()?;
        let mut home = Self { folder, env: BTreeMap::new() };
        let bin = home.folder.join("bin");
        fs::create_dir(&bin)?;
        for program in [&programs.eksd, &programs.agent, &programs.lab] {
            let name = program.file_name().unwrap_or_default();
            // Linked, so that a build meanwhile does not change what runs here.
            if fs::hard_link(program, bin.join(name)).is_err() {
                fs::copy(program, bin.join(name))?;
            }
        }
        for name in KEPT {
            if let Some(value) = std::env::var_os(name) {
                home.set(name, value);
            }
        }
        let outside = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(bin).chain(std::env::split_paths(&outside));
        home.set("PATH", std::env::join_paths(path).map_err(io::Error::other)?);
        home.set("HOME", home.folder.clone());
        home.set("AWS_ENDPOINT_URL", lab_url);
        // Nothing on this machine may be taken for a role of it.
        home.set("AWS_EC2_METADATA_DISABLED", "true");
        home.set("EKSD_LAB_URL", lab_url);
        home.set("BROWSER", "eksd-lab open %s");
        Ok(home)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sets a variable for everything that runs here.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.env.insert(name.into(), value.into());
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.folder.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)
    }

    /// A command in this home.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.env).current_dir(&self.folder);
        command
    }

    /// Runs a command that nobody sees; its stdout, if it went well.
    pub(crate) fn ask(&self, program: &str, words: &[&str]) -> Option<String> {
        let mut command = self.command(self.find(program)?);
        let output =
            command.args(words).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        String::from_utf8(output.stdout).ok().filter(|_| output.status.success())
    }

    /// Where a program is, if it is installed.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        let path = self.env.get(OsStr::new("PATH"))?;
        let mut places = std::env::split_paths(path).map(|folder| folder.join(program));
        places.find(|place| place.is_file())
    }

    /// The AWS config: two profiles that share a sign-in.
    pub(crate) fn write_aws_config(&self) -> io::Result<()> {
        self.write(
            ".aws/config",
            "[sso-session corp]\n\
             sso_start_url = https://corp.awsapps.com/start\n\
             sso_region = eu-west-1\n\
             sso_registration_scopes = sso:account:access\n\
             \n\
             [profile dev]\n\
             sso_session = corp\n\
             sso_account_id = 111122223333\n\
             sso_role_name = Developer\n\
             region = eu-west-1\n\
             \n\
             [profile prod]\n\
             sso_session = corp\n\
             sso_account_id = 444455556666\n\
             sso_role_name = ReadOnly\n\
             region = eu-west-1\n",
        )
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(eksd) = self.find("eksd") {
            let mut stop = self.command(eksd);
            // A second Ctrl-C is not for it.
            stop.args(["agent", "stop"]).process_group(0);
            let _ = stop.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        // The agent's last files may still come while the folder goes.
        for _ in 0..5 {
            match fs::remove_dir_all(&self.folder) {
                Ok(()) => return,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return,
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(50)),
            }
        }
    }
}

/// A folder that nobody else can look into, and whose name nobody could guess.
fn private_folder() -> io::Result<PathBuf> {
    let temp = std::env::temp_dir();
    let temp = if temp.as_os_str().len() <= LONGEST_TEMP { temp } else { PathBuf::from("/tmp") };
    let number = getrandom::u32().map_err(|error| io::Error::other(error.to_string()))?;
    let folder = temp.join(format!("eksd-try-{number:08x}"));
    DirBuilder::new().mode(0o700).create(&folder)?;
    // Programs compare paths, and on some systems this one leads through a link.
    fs::canonicalize(folder)
}
