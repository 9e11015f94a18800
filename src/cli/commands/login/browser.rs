//! Opening a page, without ever waiting for what shows it.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::place::Place;
use crate::config::{Env, Settings};

/// A program that fails this soon has shown nothing; later it may have been closed.
const SOON: Duration = Duration::from_secs(5);

/// The ways to show one page, best first, and the one that was taken.
#[derive(Debug)]
pub(super) struct Browser {
    left: VecDeque<Vec<String>>,
    running: Option<(Child, Instant)>,
}

/// What came of the way that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing is known to be wrong.
    Maybe,
    /// It failed at once, and so did every other.
    Failed,
}

impl Browser {
    /// Collects the ways: that of the sign-in, `BROWSER`, the desktop's.
    pub(super) fn new(
        session: &str,
        url: &str,
        settings: &Settings,
        env: &Env,
        place: Place,
    ) -> Self {
        let own = settings.browser(session).map(|words| with_address(words, url));
        let chosen = env.browser.as_deref().map(|list| browsers(list, url)).unwrap_or_default();
        Self {
            left: own.into_iter().chain(chosen).chain(usual(url, place)).collect(),
            running: None,
        }
    }

    #[cfg(test)]
    pub(super) fn of(ways: impl IntoIterator<Item = Vec<String>>) -> Self {
        Self { left: ways.into_iter().collect(), running: None }
    }

    /// Takes the next way that can be started.
    pub(super) fn open(&mut self) -> Shown {
        while let Some(words) = self.left.pop_front() {
            if let Ok(child) = start(&words) {
                self.running = Some((child, Instant::now()));
                return Shown::Maybe;
            }
        }
        Shown::Failed
    }

    /// Looks how the program does, when one has ended; where it failed at once the next is taken.
    pub(super) fn look(&mut self) -> Shown {
        let Some((child, since)) = &mut self.running else { return Shown::Maybe };
        match child.try_wait() {
            Ok(Some(status)) if !status.success() && since.elapsed() < SOON => {
                self.running = None;
                self.open()
            }
            Ok(Some(_)) => {
                self.running = None;
                Shown::Maybe
            }
            _ => Shown::Maybe,
        }
    }
}

/// Starts a program that has nothing of this terminal: Ctrl-C here must not close it.
fn start(words: &[String]) -> std::io::Result<Child> {
    let (program, rest) = words.split_first().ok_or(std::io::ErrorKind::NotFound)?;
    Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

fn usual(url: &str, place: Place) -> Vec<Vec<String>> {
    let ways: &[&[&str]] = if cfg!(target_os = "macos") {
        &[&["open"]]
    } else if place.is_wsl {
        // `explorer.exe` stumbles over `&` in an address.
        &[&["wslview"], &["rundll32.exe", "url.dll,FileProtocolHandler"], &["xdg-open"]]
    } else {
        &[&["xdg-open"]]
    };
    let words = |way: &&[&str]| way.iter().chain([&url]).map(|word| (*word).to_owned()).collect();
    ways.iter().map(words).collect()
}

/// Puts the address in the place of `%s`, or last.
fn with_address(words: &[String], url: &str) -> Vec<String> {
    let mut filled: Vec<String> = words.iter().map(|word| word.replace("%s", url)).collect();
    if filled == words {
        filled.push(url.to_owned());
    }
    filled
}

/// Splits `BROWSER`: commands between colons, `%s` stands for the address, which else comes last.
/// There is no shell, so the address is a word whatever it holds.
fn browsers(list: &OsStr, url: &str) -> Vec<Vec<String>> {
    let Some(list) = list.to_str() else { return Vec::new() };
    let commands = list
        .split(':')
        .map(|command| command.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let commands = commands.filter(|words| !words.is_empty());
    commands.map(|words| with_address(&words, url)).collect()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::{cli::interrupt::Ends, ipc::client::is_readable};

    fn words(line: &str) -> Vec<String> {
        shlex::split(line).unwrap()
    }

    #[test]
    fn browser_lists() {
        let url = "https://x/?a=1&b=$(c)";
        for (list, expected) in [
            ("firefox", vec![vec!["firefox", url]]),
            ("a -n %s:b", vec![vec!["a", "-n", url], vec!["b", url]]),
            ("a --u=%s", vec![vec!["a", "--u=https://x/?a=1&b=$(c)"]]),
            (" : ", vec![]),
        ] {
            assert_eq!(browsers(OsStr::new(list), url), expected, "{list}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_order_of_the_ways() {
        let text = "[sso-session.corp]\nbrowser = \"firefox -P work\"";
        let settings = Settings::parse(text, "c").unwrap();
        let ways = |session: &str, pairs: &[(&str, &str)]| {
            let env = Env::from_map(pairs.iter().copied());
            let place = Place::new(&env, false);
            let browser = Browser::new(session, "U", &settings, &env, place);
            browser.left.iter().map(|words| words.join(" ")).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(ways("corp", &[("BROWSER", "b")]), "firefox -P work U; b U; xdg-open U");
        assert_eq!(ways("other", &[]), "xdg-open U");
        assert_eq!(
            ways("other", &[("WSL_INTEROP", "1")]),
            "wslview U; rundll32.exe url.dll,FileProtocolHandler U; xdg-open U"
        );
    }

    /// Each wait is for the end of a child, with a deadline.
    #[test]
    fn what_fails_at_once_gives_way_and_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let mut ends = Ends::listen().unwrap();
        let mut browser = Browser::of([
            words("/nowhere/browser"),
            words("false"),
            words(&format!("sh -c 'touch \"$0\"; exit 3' '{}'", mark.display())),
        ]);
        assert_eq!(browser.open(), Shown::Maybe);
        let until = Instant::now() + Duration::from_secs(20);
        let mut looks = 0;
        while browser.look() == Shown::Maybe {
            assert!(is_readable(ends.as_fd(), until).unwrap(), "no end was noticed");
            ends.forget();
            looks += 1;
        }
        assert!(mark.exists(), "the last way was tried");
        assert!(looks <= 3, "{looks}: woken up for nothing");

        // One that stays is not waited for, and keeps nothing of this terminal.
        let mut browser = Browser::of([words("sleep 60")]);
        assert_eq!((browser.open(), browser.look()), (Shown::Maybe, Shown::Maybe));
        let (mut child, _) = browser.running.unwrap();
        let group = rustix::process::getpgid(Some(rustix::process::Pid::from_child(&child)));
        assert_ne!(group.unwrap(), rustix::process::getpgrp());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
