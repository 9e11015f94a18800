//! Which program a plugin runs for: the parent of the process that connected, by the kernel's word.

use rustix::process::Pid;

use crate::model::token::Asker;

/// Returns the parent of `pid`, which still waits for its answer; `None` where it is gone, or nobody tells.
pub(super) fn parent_of(pid: Pid) -> Option<Asker> {
    system::parent_of(pid)
}

/// Two small files of `/proc` are read, and one link: seven system calls in all.
#[cfg(target_os = "linux")]
mod system {
    use std::{fs, io::Read as _};

    use rustix::process::Pid;

    use crate::model::token::{Asker, ProcessId};

    pub(super) fn parent_of(pid: Pid) -> Option<Asker> {
        let own = Stat::read(pid.as_raw_nonzero().get())?;
        // Whoever has the first process for a parent has lost its own.
        let parent = Some(own.parent).filter(|pid| 1 < *pid)?;
        let stat = Stat::read(parent)?;
        // A later process with the number of one that has ended is nobody's parent.
        let is_parent = stat.began <= own.began;
        let process = ProcessId { pid: parent, began: stat.began };
        is_parent.then(|| Asker { process, name: program_of(parent).unwrap_or(stat.name) })
    }

    /// Returns the name of the program's file. That in `stat` is a script's where one is run, and says
    /// nothing of what runs it.
    fn program_of(pid: i32) -> Option<String> {
        let file = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        let name = file.file_name()?.to_string_lossy().into_owned();
        // So it ends where the program was replaced meanwhile (`proc_pid_exe(5)`).
        Some(name.strip_suffix(" (deleted)").map_or(name.clone(), str::to_owned))
    }

    /// A line of `/proc/PID/stat` (`proc_pid_stat(5)`).
    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct Stat {
        pub(super) name: String,
        pub(super) parent: i32,
        /// In ticks since the machine started.
        pub(super) began: u64,
    }

    impl Stat {
        fn read(pid: i32) -> Option<Self> {
            // One read: the kernel gives the line whole, and the name is short.
            let mut line = [0; 512];
            let mut file = fs::File::open(format!("/proc/{pid}/stat")).ok()?;
            let length = file.read(&mut line).ok()?;
            Self::parse(line.get(..length)?)
        }

        /// The name stands in parentheses and may hold some itself.
        pub(super) fn parse(line: &[u8]) -> Option<Self> {
            let line = String::from_utf8_lossy(line);
            let (head, rest) = line.rsplit_once(')')?;
            let (_, name) = head.split_once('(')?;
            let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
            // Fields 4 and 22; the first after the name is the third.
            let parent = fields.get(1)?.parse().ok()?;
            let began = fields.get(19)?.parse().ok()?;
            Some(Self { name: name.to_owned(), parent, began })
        }
    }
}

/// Elsewhere no safe interface tells: every question is then a first one.
#[cfg(not(target_os = "linux"))]
mod system {
    use rustix::process::Pid;

    use crate::model::token::Asker;

    pub(super) fn parent_of(_: Pid) -> Option<Asker> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        process::{Command, Stdio},
    };

    use super::{system::Stat, *};

    #[test]
    fn a_child_knows_its_parent() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let asker = parent_of(Pid::from_child(&child));
        child.kill().unwrap();
        child.wait().unwrap();
        let asker = asker.unwrap();
        assert_eq!(u32::try_from(asker.process.pid).unwrap(), std::process::id());
        let own = std::env::current_exe().unwrap();
        assert_eq!(asker.name, own.file_name().unwrap().to_str().unwrap());
        assert_eq!(parent_of(Pid::from_child(&child)), None, "it is gone");
    }

    #[test]
    fn a_script_is_known_by_what_runs_it() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("deploy.py");
        let write = r#"printf '#!/bin/sh\nsleep 60 & echo $!; wait\n' >"$1" && chmod 755 "$1""#;
        Command::new("sh").args(["-c", write, "sh"]).arg(&script).status().unwrap();
        let mut child = Command::new(&script).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let sleeper = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        let asker = parent_of(sleeper).unwrap();
        rustix::process::kill_process(sleeper, rustix::process::Signal::KILL).unwrap();
        child.wait().unwrap();
        assert!(!asker.keeps_tokens() && asker.name != "deploy.py", "{asker:?}");
    }

    #[test]
    fn lines_of_stat() {
        let rest = "S 41 7 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 98765 4096 1";
        for (line, expected) in [
            (format!("42 (kubectl) {rest}"), Some("kubectl")),
            (format!("42 (a) b (c) {rest}"), Some("a) b (c")),
            (format!("42 (tmux: server) {rest}\n"), Some("tmux: server")),
            (format!("42 () {rest}"), Some("")),
            ("42 (kubectl) S 41 7".to_owned(), None),
            (String::new(), None),
        ] {
            let stat = Stat::parse(line.as_bytes());
            let expected =
                expected.map(|name| Stat { name: name.to_owned(), parent: 41, began: 98765 });
            assert_eq!(stat, expected, "{line}");
        }
    }
}
