//! `kill -9` at any instant: no file torn, no login lost, and the next command works.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use eksd_lab::{Lifetimes, Script};
use rustix::process::{Signal, kill_process};

use crate::place::Place;
use crate::tools::{Dice, comes, now};

const KILLS: usize = 100;

/// Files that must be whole at all times, with how each is read.
fn torn(path: &Path) -> Option<String> {
    let Ok(text) = fs::read_to_string(path) else { return None };
    let name = path.file_name()?.to_str()?;
    let whole = if path.extension().is_some_and(|end| end == "json") {
        serde_json::from_str::<serde_json::Value>(&text).map(drop).map_err(|it| it.to_string())
    } else if path.extension().is_some_and(|end| end == "yaml") {
        match serde_yaml_ng::from_str::<serde_yaml_ng::Value>(&text) {
            Ok(value) if value["clusters"][0]["cluster"]["server"].is_string() => Ok(()),
            Ok(_) => Err("no server in it".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    } else if name.starts_with("p.") || name.starts_with("c.") {
        let is_whole = text.starts_with("eksd1|") && text.ends_with('\n');
        is_whole.then_some(()).ok_or_else(|| "not a prompt line".to_owned())
    } else {
        Ok(())
    };
    whole.err().map(|error| format!("{}: {error}: {text:?}", path.display()))
}

/// Reads every file under these folders again and again until told to stop.
fn watch(folders: &[PathBuf], stop: &AtomicBool) -> (usize, Vec<String>) {
    let (mut reads, mut found) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        for folder in folders {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                // What is being written has a name that nobody reads.
                let is_hidden = entry.file_name().to_str().is_none_or(|name| name.starts_with('.'));
                if !is_hidden {
                    reads += 1;
                    found.extend(torn(&entry.path()));
                }
            }
        }
    }
    (reads, found)
}

/// Tells the reader to stop, also where the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn client(place: &Place, words: &str) -> Child {
    let mut command = place.eksd_command(words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_killed_agent_tears_nothing_and_loses_no_login() {
    let seed = std::env::var("EKSD_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or(now().unsigned_abs());
    let mut dice = Dice::new(seed);
    // Renewals all the time; the lab forgives a refresh token that is used twice, as one that was
    // answered to a process that then died must be.
    let lifetimes = Lifetimes { role_credentials: 4, access_token: 3, ..Lifetimes::default() };
    let script = Script {
        lifetimes,
        rotate_refresh_tokens: false,
        reuse_revokes_family: false,
        ..Script::default()
    };
    let place = Place::with(script);
    let more = "\n[sso-session elsewhere]\nsso_region = eu-west-1\n\
                sso_start_url = https://elsewhere.awsapps.com/start\n\
                sso_registration_scopes = sso:account:access\n";
    place.append("home/.aws/config", more);
    place.login();
    place.add_demo();
    let folders: Vec<PathBuf> =
        ["home/.aws/sso/cache", "home/.kube/eksd", "home/.local/state/eksd", "run/eksd/prompt"]
            .map(|name| place.path(name))
            .into();
    let stop = AtomicBool::new(false);
    let began = Instant::now();
    let mut kills = 0;
    let (reads, found) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&folders, &stop));
        let stops = Stop(&stop);
        while kills < KILLS && began.elapsed() < Duration::from_secs(40) {
            let mut clients = vec![
                client(&place, "credential-process --profile dev"),
                client(&place, "token --cluster demo"),
                client(&place, "cluster sync demo"),
            ];
            if kills % 5 == 0 {
                // Of another session: who forces a login ends the old one first.
                clients.push(client(&place, "login elsewhere --force"));
            }
            if kills % 7 == 0 {
                clients.push(client(&place, "cluster add demo --profile dev --alias other"));
            }
            let wait = Duration::from_micros(dice.below(60_000));
            let at = Instant::now() + wait;
            comes(wait + Duration::from_millis(1), || at <= Instant::now());
            for agent in place.agents() {
                kills += usize::from(kill_process(agent, Signal::KILL).is_ok());
            }
            for client in clients {
                // They may fail: their agent died. They must end.
                drop(client.wait_with_output().unwrap());
            }
            let given = place.eksd("credential-process --profile dev");
            assert_eq!(given.code, Some(0), "seed {seed}, kill {kills}: {}", given.err);
            let row = place.row("dev");
            assert_ne!(row["phase"], "needs-login", "seed {seed}, kill {kills}: {row}");
        }
        drop(stops);
        watcher.join().unwrap()
    });
    assert!(found.is_empty(), "seed {seed}: {found:#?}");
    assert!(KILLS / 2 <= kills && 1000 < reads, "{kills} kills, {reads} reads");
    let nodes = place.eksd("cluster list").ok();
    assert!(nodes.contains("demo"), "{nodes}");
    // What the dead left half written is swept away, once nobody can be writing it any more.
    place.end_agent();
    let old = std::time::SystemTime::now() - Duration::from_secs(90);
    for left in half_written(&folders) {
        fs::File::options().write(true).open(left).unwrap().set_modified(old).unwrap();
    }
    place.eksd("status").ok();
    assert_eq!(half_written(&folders), Vec::<PathBuf>::new());
}

/// Returns the files that were never finished.
fn half_written(folders: &[PathBuf]) -> Vec<PathBuf> {
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap().flatten());
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.to_str().unwrap().contains("/.eksd-tmp-")).collect()
}

/// A cluster that the command said was registered is registered, whatever dies right after.
#[test]
fn what_a_command_said_is_done_survives_a_kill() {
    let place = Place::new();
    place.login();
    for turn in 0..8 {
        place.eksd(&format!("cluster add demo --profile dev --alias demo{turn}")).ok();
        place.signal(Signal::KILL);
        crate::tools::until("the agent is gone", || place.agents().is_empty());
        let listed = place.eksd("cluster list").ok();
        assert!(listed.contains(&format!("demo{turn}\t")), "{listed}");
    }
    for turn in 0..8 {
        place.eksd(&format!("cluster remove demo{turn}")).ok();
        place.signal(Signal::KILL);
        crate::tools::until("the agent is gone", || place.agents().is_empty());
        let listed = place.eksd("cluster list").ok();
        assert!(!listed.contains(&format!("demo{turn}\t")), "{listed}");
        assert!(!place.path(&format!("home/.kube/eksd/demo{turn}.yaml")).exists());
    }
}
