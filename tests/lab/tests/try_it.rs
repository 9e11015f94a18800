//! `eksd-try` as a program: the tour ends well, in time, and shows what it promises; and it leaves
//! nothing behind, however it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The tour may take as long after the build.
const LIMIT: Duration = Duration::from_secs(90);

/// Where cargo puts the programs.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_eksd-try")).parent().expect("a folder").to_owned()
}

/// The tour in a folder for temporary files of its own. Under `cargo test --workspace` eksd's
/// programs have been built beside it; else it builds them.
fn eksd_try(temp: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eksd-try"));
    let programs = programs();
    if ["eksd", "eksd-agent"].iter().all(|name| programs.join(name).is_file()) {
        command.arg("--programs").arg(programs);
    }
    // What must not be looked at.
    command
        .env("TMPDIR", temp)
        .env("AWS_PROFILE", "of-the-person")
        .env("AWS_ACCESS_KEY_ID", "AKIAOFTHEPERSON")
        .env("KUBECONFIG", "/of/the/person")
        .env("EKSD_NO_AGENT", "1")
        .env("XDG_CONFIG_HOME", "/of/the/person")
        .stdin(Stdio::null());
    command
}

/// Short, so that it is taken.
fn temp() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("try").tempdir_in("/tmp").expect("a folder")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[track_caller]
fn is_empty(folder: &Path) {
    let left: Vec<_> = folder.read_dir().expect("the folder").flatten().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn the_tour_shows_it_all() {
    let temp = temp();
    let began = Instant::now();
    let output = eksd_try(temp.path()).output().expect("it starts");
    let (took, text) = (began.elapsed(), text(&output));
    assert!(output.status.success(), "{text}");
    let mut rest = text.as_str();
    for expected in [
        "$ cat ~/.aws/config",
        "sso_session = corp",
        "$ eksd login dev",
        "logged in to `corp`",
        "$ eksd status\n",
        "dev ~3",
        "CreateToken refresh_token",
        "$ eksd cluster add demo --region eu-west-1 --profile dev",
        "get nodes\n",
        "ip-10-0-0-1",
        "SSO session corp ends in about ",
        "exit code 10",
        "s! $",
        "demo login $",
        "SSO session corp has ended",
        "needs-login",
        "exit code 11",
        "$ eksd credential-process --profile dev",
        "run `eksd login dev`",
        "get nodes\n",
        "run `eksd login dev`",
        "$ eksd login dev",
        "logged in to `corp`",
        "ip-10-0-0-1",
        "exit code 0",
        "$ eksd agent stop",
        "All of it worked",
    ] {
        let Some((_, after)) = rest.split_once(expected) else {
            panic!("{expected:?} is missing, or not where it should be:\n{text}");
        };
        rest = after;
    }
    assert!(!text.contains("of-the-person") && !text.contains('\u{1b}'), "{text}");
    assert!(took < LIMIT, "it took {took:?}");
    is_empty(temp.path());
}

#[test]
fn a_signal_ends_it_and_it_cleans_up() {
    let temp = temp();
    let mut child = eksd_try(temp.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut lines =
        std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("a pipe")));
    lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("logged in")));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill").success());
    lines.for_each(drop);
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    is_empty(temp.path());
}

#[test]
fn a_shell_to_play_in() {
    let temp = temp();
    let script = "[ \"$HOME\" = \"$PWD\" ] && short-session && eksd status dev --check && \
                  eksd-lab ctl 'count?op=Authorize'";
    let shell = temp.path().join("shell");
    std::fs::write(&shell, format!("#!/bin/sh\n{script}\necho \"rc $?\"\n")).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&shell, mode).expect("set");
    let output =
        eksd_try(temp.path()).args(["--shell"]).env("SHELL", &shell).output().expect("it starts");
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    for expected in ["eksd-lab ctl", "{\"count\":2}", "rc 0"] {
        assert!(text.contains(expected), "{expected:?} is missing:\n{text}");
    }
    std::fs::remove_file(&shell).expect("removed");
    is_empty(temp.path());
}
