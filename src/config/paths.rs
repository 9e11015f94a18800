//! Where everything is. Nothing is created here, and building it costs a few system calls at most,
//! because each prompt and each `kubectl` call does.

use std::{
    ffi::OsStr,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use super::Env;
use crate::report::{Code, Report};

/// What fits into `sun_path` beside the final NUL: 108 bytes on Linux (unix(7)), 104 on macOS
/// (`sys/un.h`).
const LONGEST_SOCKET: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Every path eksd uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The person's home.
    pub home: PathBuf,
    /// eksd's settings.
    pub settings: PathBuf,
    /// Lock and prompt files, and the socket unless its path would be too long. Private.
    pub runtime_dir: PathBuf,
    /// The agent's socket.
    pub socket: PathBuf,
    /// Held by the agent while it lives.
    pub lock: PathBuf,
    /// The prompt files. Private.
    pub prompt_dir: PathBuf,
    /// What survives a restart, without secrets. Private.
    pub state_dir: PathBuf,
    /// Locks for files of other tools, named by a hash of the file. Private.
    pub file_locks_dir: PathBuf,
    /// The agent's log.
    pub log: PathBuf,
    /// The registered clusters.
    pub clusters: PathBuf,
    /// What the agent learned.
    pub state: PathBuf,
    /// eksd's kubeconfigs, one per cluster.
    pub kubeconfig_dir: PathBuf,
    /// The generated AWS config. Private.
    pub mirror_dir: PathBuf,
    /// The AWS config file.
    pub aws_config: PathBuf,
    /// The AWS credentials file.
    pub aws_credentials: PathBuf,
    /// The AWS CLI's tokens and registrations; no variable moves it.
    pub sso_cache_dir: PathBuf,
    /// The AWS CLI's console sign-ins.
    pub login_cache_dir: PathBuf,
    /// The AWS CLI's role credentials; no variable moves it.
    pub cli_cache_dir: PathBuf,
}

impl Paths {
    /// Builds all paths.
    ///
    /// # Errors
    /// Says what to set when there is no home, when a folder of eksd's own is given by a relative path
    /// (agent and client work in different folders), and when no path for the socket is short enough.
    pub fn new(env: &Env) -> Result<Self, Report> {
        let home = env.home.clone().filter(|home| home.is_absolute()).ok_or_else(|| {
            Report::new(
                Code::Usage,
                "`HOME` is not set to an absolute path",
                "set `HOME` to your home folder",
            )
        })?;
        let own = |name, path: &Option<PathBuf>| own_path(&home, name, path.as_deref());
        let xdg = |base: &Option<PathBuf>, kind| {
            // The XDG specification has relative paths ignored.
            let base = base.as_ref().filter(|base| base.is_absolute());
            base.map_or_else(|| platform_dir(&home, kind), |base| base.join("eksd"))
        };

        let state_dir = own("EKSD_STATE_DIR", &env.eksd_state_dir)?
            .unwrap_or_else(|| xdg(&env.xdg_state_home, Kind::State));
        let session_dir = env.xdg_runtime_dir.as_deref().filter(|dir| is_own_dir(dir));
        let runtime_dir = own("EKSD_RUNTIME_DIR", &env.eksd_runtime_dir)?
            .or_else(|| session_dir.map(|dir| dir.join("eksd")))
            .unwrap_or_else(|| state_dir.join("run"));
        let settings = own("EKSD_CONFIG", &env.eksd_config)?
            .unwrap_or_else(|| xdg(&env.xdg_config_home, Kind::Config).join("config.toml"));
        let mirror_dir = xdg(&env.xdg_data_home, Kind::Data).join("aws");
        // A shell that said `eksd use` points the AWS tools at the mirror, and remembers where they
        // looked before; reading the mirror back would make eksd its own source.
        let absolute = |path: &PathBuf| std::path::absolute(expand(&home, path)).ok();
        let is_mirrored = |path: &PathBuf| path.starts_with(&mirror_dir);
        let aws_file = |file: &Option<PathBuf>, before: &Option<PathBuf>, default: &str| {
            let before = || before.as_ref().and_then(absolute).filter(|path| !is_mirrored(path));
            match file.as_ref().and_then(absolute) {
                Some(path) if is_mirrored(&path) => before(),
                path => path,
            }
            .unwrap_or_else(|| home.join(".aws").join(default))
        };

        Ok(Self {
            socket: socket(&runtime_dir, session_dir, &home)?,
            lock: runtime_dir.join("agent.lock"),
            prompt_dir: runtime_dir.join("prompt"),
            file_locks_dir: state_dir.join("locks"),
            log: state_dir.join("agent.log"),
            clusters: state_dir.join("clusters.json"),
            state: state_dir.join("state.json"),
            kubeconfig_dir: home.join(".kube/eksd"),
            aws_config: aws_file(&env.aws_config_file, &env.eksd_aws_config_file, "config"),
            aws_credentials: aws_file(
                &env.aws_shared_credentials_file,
                &env.eksd_aws_shared_credentials_file,
                "credentials",
            ),
            sso_cache_dir: home.join(".aws/sso/cache"),
            login_cache_dir: env
                .aws_login_cache_directory
                .as_ref()
                .and_then(absolute)
                .unwrap_or_else(|| home.join(".aws/login/cache")),
            cli_cache_dir: home.join(".aws/cli/cache"),
            settings,
            runtime_dir,
            state_dir,
            mirror_dir,
            home,
        })
    }

    /// Returns the folder of the socket: the runtime folder, or the one that stands in for it.
    pub fn socket_dir(&self) -> &Path {
        self.socket.parent().unwrap_or(&self.runtime_dir)
    }

    /// Returns the folders that must be private before the agent begins, parents first.
    pub fn private_dirs(&self) -> [&Path; 5] {
        [
            &self.state_dir,
            &self.file_locks_dir,
            &self.runtime_dir,
            self.socket_dir(),
            &self.prompt_dir,
        ]
    }

    /// Returns the folder of the tokens that programs show at the agent's own container endpoint.
    pub fn endpoint_dir(&self) -> PathBuf {
        self.runtime_dir.join("endpoint")
    }

    /// Returns the folder of the kubeconfig files that are for one shell or one command.
    pub fn overlay_dir(&self) -> PathBuf {
        self.runtime_dir.join("shell")
    }

    /// Returns the path as people write it, with `~` for the home folder.
    pub fn shown(&self, path: &Path) -> String {
        match path.strip_prefix(&self.home) {
            Ok(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
            Ok(rest) => format!("~/{}", rest.display()),
            Err(_) => path.display().to_string(),
        }
    }
}

/// Expands `~` and `~/…`, as every AWS tool does; `~name` is left alone.
fn expand(home: &Path, path: &Path) -> PathBuf {
    match path.strip_prefix("~") {
        Ok(rest) => home.join(rest),
        Err(_) => path.to_owned(),
    }
}

fn own_path(home: &Path, name: &str, path: Option<&Path>) -> Result<Option<PathBuf>, Report> {
    let Some(path) = path.map(|path| expand(home, path)) else { return Ok(None) };
    if path.is_absolute() {
        return Ok(Some(path));
    }
    Err(Report::new(
        Code::Usage,
        format!("`{name}` is a relative path: {}", path.display()),
        format!("set `{name}` to an absolute path"),
    ))
}

/// Returns whether the session's folder is there and ours: after `su` or `sudo` the variable may
/// still name another user's, and after a logout the folder is gone.
fn is_own_dir(dir: &Path) -> bool {
    dir.is_absolute()
        && dir.metadata().is_ok_and(|metadata| {
            metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw()
        })
}

#[derive(Clone, Copy)]
enum Kind {
    Config,
    Data,
    State,
}

/// Returns the platform's own folder for eksd: XDG's default on Linux and BSD, elsewhere what
/// `directories` knows, moved under the given home so that the process's own does not matter.
fn platform_dir(home: &Path, kind: Kind) -> PathBuf {
    let xdg = home.join(match kind {
        Kind::Config => ".config/eksd",
        Kind::Data => ".local/share/eksd",
        Kind::State => ".local/state/eksd",
    });
    if !cfg!(any(target_os = "macos", windows)) {
        return xdg;
    }
    let native = directories::BaseDirs::new().zip(directories::ProjectDirs::from("", "", "eksd"));
    let rebased = native.and_then(|(base, project)| {
        let dir = match kind {
            Kind::Config => project.config_dir(),
            Kind::Data => project.data_dir(),
            // There is no state folder on these platforms.
            Kind::State => project.state_dir().unwrap_or(project.data_local_dir()),
        };
        Some(home.join(dir.strip_prefix(base.home_dir()).ok()?))
    });
    rebased.unwrap_or(xdg)
}

/// Returns the socket's path: in the runtime folder, else, where that is too long, in a folder named
/// by a hash of it beside the session's sockets or in the home. Never in `/tmp`, where others could
/// be first.
fn socket(runtime_dir: &Path, session_dir: Option<&Path>, home: &Path) -> Result<PathBuf, Report> {
    let wanted = runtime_dir.join("agent.sock");
    let hash = fnv1a(runtime_dir.as_os_str());
    let short = [
        session_dir.map(|dir| dir.join(format!("eksd-{hash:016x}"))),
        Some(home.join(format!(".eksd-{hash:016x}"))),
    ];
    let candidates = std::iter::once(wanted)
        .chain(short.into_iter().flatten().map(|dir| dir.join("agent.sock")));
    candidates.into_iter().find(|path| path.as_os_str().len() <= LONGEST_SOCKET).ok_or_else(|| {
        Report::new(
            Code::UnsafePath,
            "every path for the agent's socket is too long",
            "set `EKSD_RUNTIME_DIR` to a folder with a shorter path",
        )
        .because(format!(
            "a socket's path may have {LONGEST_SOCKET} bytes; `{}` has more",
            runtime_dir.join("agent.sock").display()
        ))
    })
}

/// FNV-1a, 64 bits: agent and client of any build must agree on the name, nobody must be kept from
/// guessing it.
fn fnv1a(text: &OsStr) -> u64 {
    text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(pairs: &[(&str, &str)]) -> Paths {
        let home = [("HOME", "/home/ann")];
        Paths::new(&Env::from_map(home.iter().chain(pairs).copied())).unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn defaults() {
        let paths = paths(&[]);
        for (path, expected) in [
            (&paths.settings, "/home/ann/.config/eksd/config.toml"),
            (&paths.state_dir, "/home/ann/.local/state/eksd"),
            (&paths.runtime_dir, "/home/ann/.local/state/eksd/run"),
            (&paths.socket, "/home/ann/.local/state/eksd/run/agent.sock"),
            (&paths.lock, "/home/ann/.local/state/eksd/run/agent.lock"),
            (&paths.prompt_dir, "/home/ann/.local/state/eksd/run/prompt"),
            (&paths.log, "/home/ann/.local/state/eksd/agent.log"),
            (&paths.clusters, "/home/ann/.local/state/eksd/clusters.json"),
            (&paths.state, "/home/ann/.local/state/eksd/state.json"),
            (&paths.kubeconfig_dir, "/home/ann/.kube/eksd"),
            (&paths.mirror_dir, "/home/ann/.local/share/eksd/aws"),
            (&paths.aws_config, "/home/ann/.aws/config"),
            (&paths.aws_credentials, "/home/ann/.aws/credentials"),
            (&paths.sso_cache_dir, "/home/ann/.aws/sso/cache"),
            (&paths.login_cache_dir, "/home/ann/.aws/login/cache"),
            (&paths.cli_cache_dir, "/home/ann/.aws/cli/cache"),
        ] {
            assert_eq!(path, Path::new(expected));
        }
    }

    #[test]
    fn variables_move_them() {
        let run = tempfile::tempdir().unwrap();
        let run = run.path().to_str().unwrap();
        let paths = paths(&[
            ("XDG_RUNTIME_DIR", run),
            ("XDG_CONFIG_HOME", "/c"),
            ("XDG_STATE_HOME", "/s"),
            ("XDG_DATA_HOME", "relative/is/ignored"),
            ("AWS_CONFIG_FILE", "~/dots/aws"),
            ("AWS_SHARED_CREDENTIALS_FILE", "~ann/x"),
            ("AWS_LOGIN_CACHE_DIRECTORY", "~/logins"),
        ]);
        assert_eq!(paths.login_cache_dir, Path::new("/home/ann/logins"));
        assert_eq!(paths.runtime_dir, Path::new(run).join("eksd"));
        assert_eq!(paths.settings, Path::new("/c/eksd/config.toml"));
        assert_eq!(paths.state_dir, Path::new("/s/eksd"));
        assert!(paths.mirror_dir.starts_with("/home/ann"));
        assert_eq!(paths.aws_config, Path::new("/home/ann/dots/aws"));
        assert!(paths.aws_credentials.ends_with("~ann/x") && paths.aws_credentials.is_absolute());
    }

    #[test]
    fn own_variables_win() {
        let paths = paths(&[
            ("XDG_STATE_HOME", "/s"),
            ("EKSD_STATE_DIR", "/e/state"),
            ("EKSD_RUNTIME_DIR", "/e/run"),
            ("EKSD_CONFIG", "~/e.toml"),
        ]);
        assert_eq!(paths.state, Path::new("/e/state/state.json"));
        assert_eq!(paths.socket, Path::new("/e/run/agent.sock"));
        assert_eq!(paths.settings, Path::new("/home/ann/e.toml"));
    }

    #[test]
    fn a_session_folder_that_is_gone_or_not_ours_is_not_used() {
        for dir in ["/nowhere/1000", "relative"] {
            let paths = paths(&[("XDG_RUNTIME_DIR", dir)]);
            assert!(paths.runtime_dir.starts_with("/home/ann"), "{dir}");
        }
    }

    #[test]
    fn the_mirror_is_not_its_own_source() {
        let data = [("XDG_DATA_HOME", "/d")];
        let mirror = paths(&data).mirror_dir.join("config");
        let env = [("XDG_DATA_HOME", "/d"), ("AWS_CONFIG_FILE", mirror.to_str().unwrap())];
        assert_eq!(paths(&env).aws_config, Path::new("/home/ann/.aws/config"));
        let credentials = paths(&data).mirror_dir.join("credentials");
        let env = [
            ("XDG_DATA_HOME", "/d"),
            ("AWS_CONFIG_FILE", mirror.to_str().unwrap()),
            ("EKSD_AWS_CONFIG_FILE", "/mine/config"),
            ("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap()),
            ("EKSD_AWS_SHARED_CREDENTIALS_FILE", "/mine/credentials"),
        ];
        assert_eq!(paths(&env).aws_config, Path::new("/mine/config"));
        assert_eq!(paths(&env).aws_credentials, Path::new("/mine/credentials"));
        // Where the mirror is not used, what was there before it does not count.
        let env = [("AWS_CONFIG_FILE", "/new"), ("EKSD_AWS_CONFIG_FILE", "/old")];
        assert_eq!(paths(&env).aws_config, Path::new("/new"));
        let env = [("EKSD_AWS_CONFIG_FILE", "/old")];
        assert_eq!(paths(&env).aws_config, Path::new("/home/ann/.aws/config"));
    }

    #[test]
    fn a_socket_path_that_is_too_long_gets_a_short_stand_in() {
        let long = format!("/x/{}", "y".repeat(100));
        let found = paths(&[("EKSD_RUNTIME_DIR", &long)]);
        assert_eq!(found.socket, Path::new("/home/ann/.eksd-213952a16be5f03b/agent.sock"));
        assert_ne!(
            found.socket,
            paths(&[("EKSD_RUNTIME_DIR", &format!("{long}z"))]).socket,
            "two runtime folders never share a socket"
        );
        // One byte less than too long stays.
        let fits = format!("/{}", "y".repeat(LONGEST_SOCKET - "//agent.sock".len()));
        assert_eq!(
            paths(&[("EKSD_RUNTIME_DIR", &fits)]).socket,
            Path::new(&fits).join("agent.sock")
        );
    }

    #[test]
    fn reports() {
        let long_home = format!("/{}", "h".repeat(120));
        for (pairs, expected) in [
            (vec![], "`HOME` is not set"),
            (vec![("HOME", "here")], "`HOME` is not set"),
            (vec![("HOME", "/h"), ("EKSD_STATE_DIR", "x")], "`EKSD_STATE_DIR` is a relative path"),
            (vec![("HOME", "/h"), ("EKSD_CONFIG", "x")], "`EKSD_CONFIG` is a relative path"),
            (vec![("HOME", long_home.as_str())], "every path for the agent's socket is too long"),
        ] {
            let report = Paths::new(&Env::from_map(pairs)).unwrap_err();
            assert!(report.what.starts_with(expected), "{report}");
        }
    }

    #[test]
    fn shown_has_a_tilde() {
        let paths = paths(&[]);
        for (path, expected) in [
            ("/home/ann/.aws/config", "~/.aws/config"),
            ("/home/ann", "~"),
            ("/home/annette/x", "/home/annette/x"),
        ] {
            assert_eq!(paths.shown(Path::new(path)), expected);
        }
    }
}
