//! The agent's beginning and its end: one of them, whoever starts it, whatever the last one left.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use eksd_lab::{Act, Fault};
use rustix::process::Signal;

use crate::place::Place;
use crate::ran::Ran;
use crate::tools::until;

#[test]
fn twenty_first_callers_start_one_agent() {
    for _ in 0..5 {
        let place = Place::new();
        let children: Vec<Child> = (0..20)
            .map(|_| {
                let mut command = place.eksd_command("status --json");
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let mut pids = std::collections::BTreeSet::new();
        for child in children {
            let status = Ran::from(child.wait_with_output().unwrap()).json();
            pids.insert(status["agent"]["pid"].as_i64().unwrap());
        }
        assert_eq!(pids.len(), 1, "{pids:?}");
        let agent = i64::from(place.agent().as_raw_nonzero().get());
        assert!(pids.contains(&agent), "{agent} {pids:?}");
    }
}

#[test]
fn what_a_dead_agent_left_is_no_obstacle() {
    let place = Place::new();
    place.login();
    place.signal(Signal::KILL);
    until("it is gone", || place.agents().is_empty());
    assert!(place.socket().exists(), "a killed agent leaves its socket");
    assert!(place.path("run/eksd/agent.lock").exists());
    place.credentials("dev");
    let first = place.agent();
    place.end_agent();
    assert!(!place.socket().exists(), "an agent that ends takes its socket along");

    // A socket and a lock from another life.
    drop(std::os::unix::net::UnixListener::bind(place.socket()).unwrap());
    place.write("run/eksd/agent.lock", "99999\n");
    place.credentials("dev");
    assert_ne!(place.agent(), first);
}

#[test]
fn sigterm_ends_it_within_two_seconds_whatever_is_under_way() {
    let place = Place::new();
    place.login();
    // Everything that can hang: a call to AWS, a login, a subscriber, a peer that says nothing.
    place.lab().queue(Fault::new("GetRoleCredentials", Act::Stall).times(-1));
    place.lab().queue(Fault::new("RegisterClient", Act::Stall).times(-1));
    place.lab().queue(Fault::new("StartDeviceAuthorization", Act::Stall).times(-1));
    let waiting: Vec<Child> = [
        "credential-process --profile dev",
        "login dev --force --device-code",
        "status --watch --json",
    ]
    .iter()
    .map(|words| {
        let mut command = place.eksd_command(words);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    })
    .collect();
    let mute = std::os::unix::net::UnixStream::connect(place.socket()).unwrap();
    let deadline = Duration::from_secs(10);
    assert!(place.lab().wait_for_calls("GetRoleCredentials", 1, deadline));
    let agent = place.agent();
    let began = Instant::now();
    place.signal(Signal::TERM);
    // A client that is late starts another one.
    until("it ends", || !place.agents().contains(&agent));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}\n{}", place.log());
    drop(mute);
    place.lab().clear_faults();
    for mut child in waiting {
        let pid = rustix::process::Pid::from_child(&child);
        let _ended = rustix::process::kill_process(pid, Signal::INT);
        child.wait().unwrap();
    }
}

#[test]
fn start_stop_restart_and_logs() {
    let place = Place::new();
    let said = place.eksd("agent status").fails(3);
    assert!(said.contains("no agent runs"), "{said}");
    let said = place.eksd("agent start").talk();
    let first = place.agent();
    assert!(said.contains(&first.as_raw_nonzero().to_string()), "{said}");
    place.eksd("agent start").ok();
    assert_eq!(place.agent(), first, "one that runs is fine");
    place.eksd("agent restart").ok();
    assert_ne!(place.agent(), first);
    let logs = place.eksd("agent logs").ok();
    assert!(logs.contains("the agent runs"), "{logs}");
    let said = place.eksd("agent stop").talk();
    assert!(said.contains("has ended"), "{said}");
    assert!(place.agents().is_empty());
    place.eksd("agent stop").ok();
}

/// In the foreground a second one says that there is one.
#[test]
fn a_second_agent_in_the_foreground_is_told() {
    let place = Place::new();
    place.eksd("agent start").ok();
    let said = place.eksd("agent run").fails(3);
    assert!(said.contains("another agent is running already"), "{said}");
    assert_eq!(place.agents().len(), 1);
}

/// `eksd agent stop` while clients keep asking: each is answered, by the old agent or the next.
#[test]
fn callers_notice_no_restart() {
    let place = Place::new();
    place.login();
    place.credentials("dev");
    for _ in 0..6 {
        let mut children = Vec::new();
        for turn in 0..12 {
            let mut command = place.eksd_command("credential-process --profile dev");
            children.push(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
            if turn == 6 {
                place.eksd("agent restart").ok();
            }
        }
        for child in children {
            Ran::from(child.wait_with_output().unwrap()).json();
        }
    }
}

#[test]
fn its_files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.login();
    place.add_demo();
    place.credentials("dev");
    place.end_agent();
    let mut seen = 0;
    let mut folders = vec![place.path("run/eksd"), place.path("home/.local/state/eksd")];
    folders.push(place.path("home/.kube/eksd"));
    folders.push(place.path("home/.aws/sso/cache"));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let metadata = entry.metadata().unwrap();
            let open_to = metadata.permissions().mode() & 0o077;
            assert_eq!(open_to, 0, "{} is open to others", entry.path().display());
            seen += 1;
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    assert!(8 < seen, "{seen}");
}
