//! Kubeconfig files that stand before the clusters' own: what stays in one shell, or in one command.
//!
//! They lie in the runtime folder, one for each process that was given one, named by its number and
//! its start: no later process of the same number is the same. kubectl leaves a file out that is gone.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, test_kill_process};

use super::{
    StoreError,
    atomic::{self, Options, ensure_private_dir},
};

/// What was started in a shell may outlive it (tmux, an editor), and a namespace that silently is
/// another one is worse than a small file. A command's goes with the command.
const KEPT_AFTER_SHELL: Duration = Duration::from_hours(7 * 24);

/// How the files of commands begin.
const COMMAND: &str = "exec-";

/// Whom a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A shell, by its number.
    Shell(u32),
    /// A command, by its number.
    Command(u32),
}

impl Owner {
    fn pid(self) -> u32 {
        match self {
            Self::Shell(pid) | Self::Command(pid) => pid,
        }
    }
}

/// Writes the file of a process, in place of the one that it had before, and sweeps the folder.
/// `None`: there is no such process.
pub fn make(folder: &Path, owner: Owner, text: &str) -> Result<Option<PathBuf>, StoreError> {
    let pid = owner.pid();
    let Some(start) = start_of(pid) else { return Ok(None) };
    ensure_private_dir(folder)?;
    sweep(folder)?;
    let prefix = if matches!(owner, Owner::Command(_)) { COMMAND } else { "" };
    let path = folder.join(format!("{prefix}{pid}-{start}.yaml"));
    // Lost with the machine's power, as the process is that it is for.
    atomic::write_with(&path, text.as_bytes(), Options { volatile: true, follow: false })?;
    Ok(Some(path))
}

/// Removes the files whose process is gone, and what kubectl left beside them. Returns how many.
pub fn sweep(folder: &Path) -> Result<usize, StoreError> {
    let failed = |source| StoreError::Read { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed(error)),
    };
    let mut swept = atomic::sweep_temps(folder)?;
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some((is_command, pid, start)) = name.to_str().and_then(taken_apart) else { continue };
        // The file's own clock is asked, the one that stamped it.
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        let is_over = start_of(pid).as_deref() != Some(start)
            && (is_command || age().is_some_and(|age| KEPT_AFTER_SHELL < age));
        if is_over && atomic::remove(&entry.path())? {
            swept += 1;
        }
    }
    Ok(swept)
}

/// Returns whom a file is for: whether that is a command, its number and its start.
fn taken_apart(name: &str) -> Option<(bool, u32, &str)> {
    let (stem, _) = name.split_once(".yaml")?;
    let (is_command, stem) = match stem.strip_prefix(COMMAND) {
        Some(stem) => (true, stem),
        None => (false, stem),
    };
    let (pid, start) = stem.split_once('-')?;
    Some((is_command, pid.parse().ok()?, start))
}

/// Returns what tells a process from later ones of its number; `None` where there is none.
///
/// On Linux the ticks from boot to its start (`proc_pid_stat(5)`, field 22). Elsewhere nothing does,
/// and a file may stay for as long as some process has the number.
fn start_of(pid: u32) -> Option<String> {
    let process = Pid::from_raw(i32::try_from(pid).ok()?)?;
    if cfg!(target_os = "linux") {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The program's name is in parentheses and may hold some itself.
        let behind_name = stat.rsplit(|byte| *byte == b')').next()?;
        let behind_name = String::from_utf8_lossy(behind_name);
        // Field 3 is the first behind it.
        return behind_name.split_ascii_whitespace().nth(19).map(str::to_owned);
    }
    test_kill_process(process).ok().map(|()| "0".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::PermissionsExt as _,
        process::{Child, Command},
    };

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").spawn().unwrap()
    }

    fn end(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn age(path: &Path, by: Duration) {
        let file = fs::File::options().write(true).open(path).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_modified(modified - by).unwrap();
    }

    #[test]
    fn one_private_file_for_a_process() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("run/shell");
        let (one, other) = (sleeper(), sleeper());
        let path = make(&folder, Owner::Shell(one.id()), "a").unwrap().unwrap();
        assert_eq!(make(&folder, Owner::Shell(one.id()), "b").unwrap().as_ref(), Some(&path));
        assert_eq!(fs::read_to_string(&path).unwrap(), "b");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&folder)), (0o600, 0o700));
        assert_ne!(make(&folder, Owner::Shell(other.id()), "c").unwrap().as_ref(), Some(&path));
        assert_ne!(make(&folder, Owner::Command(one.id()), "d").unwrap().as_ref(), Some(&path));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
        end(one);
        end(other);
    }

    #[test]
    fn nobody_has_no_file() {
        let home = tempfile::tempdir().unwrap();
        let mut gone = sleeper();
        gone.kill().unwrap();
        gone.wait().unwrap();
        for pid in [0, gone.id(), u32::MAX] {
            assert_eq!(make(home.path(), Owner::Shell(pid), "x").unwrap(), None, "{pid}");
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_nobody_uses_is_swept() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path();
        assert_eq!(sweep(&folder.join("missing")).unwrap(), 0);
        let (shell, command, live) = (sleeper(), sleeper(), sleeper());
        let of_shell = make(folder, Owner::Shell(shell.id()), "a").unwrap().unwrap();
        let of_command = make(folder, Owner::Command(command.id()), "b").unwrap().unwrap();
        let of_live = make(folder, Owner::Shell(live.id()), "c").unwrap().unwrap();
        let week = KEPT_AFTER_SHELL + Duration::from_mins(1);
        age(&of_live, week);
        // One of the same number that began at another time.
        let earlier = folder.join(format!("{}-1.yaml", live.id()));
        let lock = folder.join(format!("{}-1.yaml.lock", live.id()));
        for path in [&earlier, &lock] {
            atomic::write(path, b"").unwrap();
            age(path, week);
        }
        for name in ["notes.yaml", "notes", "1-1", "x-1.yaml"] {
            atomic::write(&folder.join(name), b"").unwrap();
        }
        assert_eq!(sweep(folder).unwrap(), 2);
        assert!(!earlier.exists() && !lock.exists());
        end(shell);
        end(command);
        assert_eq!(sweep(folder).unwrap(), 1, "what a shell started may live on");
        assert!(!of_command.exists() && of_shell.exists());
        age(&of_shell, week);
        assert_eq!(sweep(folder).unwrap(), 1);
        assert!(!of_shell.exists() && of_live.exists());
        assert_eq!(fs::read_dir(folder).unwrap().count(), 5, "what is not ours stays");
        end(live);
    }
}
