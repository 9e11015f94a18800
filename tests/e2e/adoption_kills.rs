//! `kill -9` at each file system call of `eksd cluster adopt --rewrite`, and others who write meanwhile.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::adoption::{CONFIG, install, place, real, run, yaml};
use crate::place::Place;
use crate::tools::{aws_v2, tool};

/// What a file can be touched with.
const CALLS: &str = "open openat creat read write pwrite64 writev ftruncate fsync fdatasync rename renameat \
                     renameat2 link linkat symlink symlinkat unlink unlinkat mkdir mkdirat chmod fchmod fchmodat \
                     flock close statx newfstatat fstat readlink readlinkat getdents64";

const REWRITE: &str = "cluster adopt --rewrite --yes";

/// Everything beside the file that is about it.
fn beside(place: &Place) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(place.path("home/.kube")).unwrap().flatten();
    let of_file = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("config.") || name.starts_with(".eksd-tmp-")
    };
    entries.map(|entry| entry.path()).filter(of_file).collect()
}

#[test]
fn a_kill_at_each_call_leaves_the_old_file_or_the_new_one() {
    let place = place();
    run(&place, aws_v2(), "eks update-kubeconfig --name demo --region eu-west-1 --profile dev")
        .ok();
    place.eksd("cluster adopt").ok();
    let old = place.read(CONFIG);
    place.eksd(REWRITE).ok();
    let new = place.read(CONFIG);
    assert_ne!(old, new);
    let (mut kills, mut locks, mut news) = (0, 0, 0);
    for call in CALLS.split_whitespace() {
        for at in 1.. {
            for left in beside(&place) {
                std::fs::remove_file(left).unwrap();
            }
            place.write(CONFIG, &old);
            let mut command = place.command(tool("strace"));
            let inject = format!("inject={call}:signal=SIGKILL:when={at}");
            command.args([
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                &format!("trace={call}"),
                "-e",
                &inject,
            ]);
            let program = place.program("eksd");
            let ran = command.arg(program).args(REWRITE.split_whitespace()).output().unwrap();
            let said = String::from_utf8_lossy(&ran.stderr).into_owned();
            if said.contains("invalid system call") {
                break;
            }
            // strace ends as what it ran.
            if ran.status.success() {
                assert_eq!(place.read(CONFIG), new);
                break;
            }
            assert_eq!(ran.status.signal(), Some(9), "{call} {at}: {said}");
            kills += 1;
            let found = place.read(CONFIG);
            assert!(found == old || found == new, "{call} {at}: {found:?}");
            news += usize::from(found == new);
            for left in beside(&place) {
                let name = left.file_name().unwrap().to_str().unwrap();
                if name.starts_with("config.eksd-") {
                    let kept = std::fs::read_to_string(&left).unwrap();
                    assert_eq!(kept, old, "{call} {at}: a backup is whole or not there");
                }
            }
            locks += usize::from(place.path("home/.kube/config.lock").exists());
            // The next one goes on, and clears away the lock.
            let next = place.eksd(REWRITE);
            assert_eq!(next.code, Some(0), "{call} {at}: {next:?}");
            assert_eq!(place.read(CONFIG), new, "{call} {at}");
            assert!(!place.path("home/.kube/config.lock").exists(), "{call} {at}");
        }
    }
    assert!(
        50 < kills && 5 < locks && 0 < news,
        "{kills} kills, {locks} with a lock, {news} after the renaming"
    );
}

/// kubectl respects the lock, and gives up at once where it is held. Whatever it said was done is there.
#[test]
fn no_edit_of_kubectls_is_lost_beside_rewriting() {
    const EDITS: usize = 25;
    let place = place();
    run(&place, aws_v2(), "eks update-kubeconfig --name demo --region eu-west-1 --profile dev")
        .ok();
    place.eksd("cluster adopt").ok();
    let theirs = place.read(CONFIG);
    let exec = theirs.split("    exec:").nth(1).unwrap().to_owned();
    let stop = AtomicBool::new(false);
    let (rewritings, done) = std::thread::scope(|scope| {
        let rewriter = scope.spawn(|| {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let ran = place.eksd(REWRITE);
                assert!(ran.code == Some(0) || ran.err.contains("config"), "{ran:?}");
                count += usize::from(ran.err.contains("asks eksd from now on"));
                // A tool that keeps to the lock puts the old stanza back: there is work again.
                let lock = place.path("home/.kube/config.lock");
                if std::fs::File::create_new(&lock).is_ok() {
                    let text = place.read(CONFIG);
                    if let Some((before, _)) = text.split_once("    exec:") {
                        // By rename: kubectl reads before it locks, and an empty file would make it
                        // drop whatever it did not see.
                        place.write("beside", &format!("{before}    exec:{exec}"));
                        std::fs::rename(place.path("beside"), place.path(CONFIG)).unwrap();
                    }
                    std::fs::remove_file(&lock).unwrap();
                }
            }
            count
        });
        let mut done = BTreeSet::new();
        for at in 0..EDITS {
            let name = format!("edit-{at}");
            let edit = || {
                run(
                    &place,
                    tool("kubectl"),
                    &format!("config set-context {name} --cluster c --user u"),
                )
            };
            while edit().code != Some(0) {}
            done.insert(name);
        }
        stop.store(true, Ordering::Relaxed);
        (rewriter.join().unwrap(), done)
    });
    let found = yaml(&place, CONFIG);
    let contexts = found["contexts"].as_sequence().unwrap();
    let names: BTreeSet<String> =
        contexts.iter().map(|context| context["name"].as_str().unwrap().to_owned()).collect();
    let lost: Vec<&String> = done.difference(&names).collect();
    assert!(lost.is_empty(), "{lost:?} after {rewritings} rewritings");
    assert!(3 < rewritings, "{rewritings} rewritings");
}

/// The AWS CLI takes no lock. The file is a kubeconfig in the end all the same.
#[test]
fn the_file_is_a_kubeconfig_whoever_writes_beside() {
    const ROUNDS: usize = 6;
    let place = place();
    install(&place, &tool("aws"));
    run(&place, tool("aws"), "eks update-kubeconfig --name demo --region eu-west-1 --profile dev")
        .ok();
    place.eksd("cluster adopt").ok();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let rewriter = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let ran = place.eksd(REWRITE);
                // Torn by somebody else, or busy: said, and left alone.
                assert!(matches!(ran.code, Some(0..=2)), "{ran:?}");
            }
        });
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let place = &place;
                scope.spawn(move || {
                    for at in 0..ROUNDS {
                        let alias = format!("w{writer}-{at}");
                        let (program, words) = if writer == 0 {
                            let words = "eks update-kubeconfig --name demo --region eu-west-1 --profile dev --alias";
                            (tool("aws"), format!("{words} {alias}"))
                        } else {
                            (tool("kubectl"), format!("config set-context {alias} --cluster c --user u"))
                        };
                        drop(real(place, program).args(words.split_whitespace()).output().unwrap());
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        rewriter.join().unwrap();
    });
    let found = yaml(&place, CONFIG);
    assert!(found["contexts"].is_sequence() && found["users"].is_sequence(), "{found:?}");
    run(&place, tool("kubectl"), "config view").ok();
    place.eksd(REWRITE).ok();
    let after = yaml(&place, CONFIG);
    assert_eq!(after["users"][0]["user"]["exec"]["interactiveMode"], "Never");
}
