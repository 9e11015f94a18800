//! A kubeconfig is put right while something goes wrong: `kill -9` at any instant and at every call of the
//! file system, a full disk, one that cannot be written, links, folders of others. Nothing is torn, and no
//! edit of the person is lost.
//!
//! The writers are this test program itself, started anew for one test of its own.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::{OpenOptionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_yaml_ng::Value;

use super::kubeconfigs::put_right;

use crate::{model::kubeconfig::Wanted, report::Code};

/// Where the writers write.
const PLACE: &str = "EKSD_TEST_KILLS";

/// As many as `reference` promises for each merge; the seed is printed with a failure.
const KILLS: usize = 2000;

/// Agents that put the same file right at the same time.
const WRITERS: usize = 3;

/// What a writer says after each writing.
const WRITES: &str = "it writes";

fn wanted(turn: usize) -> Wanted {
    Wanted {
        alias: "demo".to_owned(),
        server: format!("https://demo-{turn}.example"),
        certificate_authority: "Q0E=".repeat(400),
        command: "/usr/bin/eksd".to_owned(),
        ..Wanted::default()
    }
}

fn file(place: &Path) -> PathBuf {
    place.join("eksd/demo.yaml")
}

fn place() -> PathBuf {
    PathBuf::from(std::env::var_os(PLACE).unwrap())
}

fn put(place: &Path, turn: usize) {
    put_right(&file(place), &wanted(turn), None).unwrap();
}

#[test]
#[ignore = "run by the tests below, in a process of its own"]
fn writes_until_it_is_killed() {
    let place = place();
    for turn in std::process::id() as usize.. {
        put(&place, turn);
        println!("{WRITES}");
        // Nobody writes without a break; kubectl, which does not wait for the lock, gets its turn.
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
#[ignore = "run by the tests below, in a process of its own"]
fn writes_once() {
    put(&place(), 2);
}

fn writer(test: &str, place: &Path, before: &[&str]) -> Command {
    let own = std::env::current_exe().unwrap();
    let name = format!("store::kubeconfig_faults::{test}");
    let mut words: Vec<&str> = before.to_vec();
    let own = own.to_str().unwrap();
    words.extend([own, "--exact", &name, "--ignored", "--test-threads=1", "--nocapture"]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env(PLACE, place);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn parse(text: &str) -> Option<Value> {
    let tree: Value = serde_yaml_ng::from_str(text).ok()?;
    let server = tree["clusters"][0]["cluster"]["server"].as_str()?;
    let is_whole = server.starts_with("https://demo-")
        && tree["users"][0]["user"]["exec"]["command"].as_str() == Some("/usr/bin/eksd")
        && tree["current-context"].as_str() == Some("demo");
    is_whole.then_some(tree)
}

fn namespace(tree: &Value) -> Option<usize> {
    tree["contexts"][0]["context"]["namespace"].as_str()?.strip_prefix("ns-")?.parse().ok()
}

/// Sets the namespace as `kubectl config set-context` does: the lock file of client-go, which is refused
/// at once where it is there, and the file written over in place
/// (`client-go/tools/clientcmd/config.go`, `loader.go`).
fn edits(path: &Path, value: usize) -> bool {
    let lock = path.with_extension("yaml.lock");
    if OpenOptions::new().write(true).create_new(true).mode(0o0).open(&lock).is_err() {
        return false;
    }
    let mut tree = parse(&fs::read_to_string(path).unwrap()).expect("a locked file is whole");
    tree["contexts"][0]["context"]["namespace"] = format!("ns-{value}").into();
    let text = serde_yaml_ng::to_string(&tree).unwrap();
    let mut file = OpenOptions::new().write(true).truncate(true).open(path).unwrap();
    // In two parts: who reads without the lock may see a half.
    let (first, second) = text.split_at(text.len() / 2);
    file.write_all(first.as_bytes()).unwrap();
    file.write_all(second.as_bytes()).unwrap();
    drop(file);
    fs::remove_file(&lock).unwrap();
    true
}

/// Waits until `is_so`, for half a minute.
fn until(mut is_so: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !is_so() {
        if Duration::from_secs(30) < began.elapsed() {
            return false;
        }
        thread::sleep(Duration::from_micros(300));
    }
    true
}

#[test]
fn two_thousand_kills() {
    // In memory, where there is such a place: what a dying process leaves is the same, and nobody waits
    // for a disk.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory } else { &std::env::temp_dir() };
    let dir = tempfile::tempdir_in(folder).unwrap();
    let place = dir.path();
    put(place, 1);
    let path = file(place);
    let seed = std::env::var("EKSD_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()));
    let mut dice = fastrand(seed);
    let (stop, edited, kills) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let mut servers = BTreeSet::new();
    thread::scope(|scope| {
        let person = scope.spawn(|| {
            let mut value = 0;
            while !stop.load(Ordering::Relaxed) {
                value += 1;
                assert!(until(|| edits(&path, value)), "seed {seed}: the lock was left behind");
                edited.store(value, Ordering::Release);
                // Ours is the only hand that sets it: it stays what it was set to.
                for _ in 0..20 {
                    let text = fs::read_to_string(&path).unwrap();
                    let tree = parse(&text);
                    let tree = tree.unwrap_or_else(|| panic!("seed {seed}: torn: {text:?}"));
                    assert_eq!(namespace(&tree), Some(value), "seed {seed}: an edit was lost");
                    let server = tree["clusters"][0]["cluster"]["server"].as_str();
                    servers.extend(server.map(str::to_owned));
                }
            }
        });
        let mut writers: Vec<Child> = Vec::new();
        while kills.load(Ordering::Relaxed) < KILLS && !person.is_finished() {
            while writers.len() < WRITERS {
                let mut writer = writer("writes_until_it_is_killed", place, &[]);
                writers.push(writer.stdout(Stdio::piped()).spawn().unwrap());
            }
            let mut killed = writers.swap_remove(usize::from(dice().is_multiple_of(2)));
            let said = BufReader::new(killed.stdout.take().unwrap()).lines();
            assert!(said.map_while(Result::ok).any(|line| line == WRITES), "it did not write");
            thread::sleep(Duration::from_micros(dice() % 5_000));
            killed.kill().unwrap();
            killed.wait().unwrap();
            kills.fetch_add(1, Ordering::Relaxed);
        }
        stop.store(true, Ordering::Relaxed);
        for mut writer in writers {
            writer.kill().unwrap();
            writer.wait().unwrap();
        }
        person.join().unwrap();
    });
    let edited = edited.load(Ordering::Acquire);
    assert!(50 < edited && 50 < servers.len(), "{edited} edits, {} writes seen", servers.len());
    let tree = parse(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(namespace(&tree), Some(edited));
    put(place, 3);
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().flatten().collect();
    let not_ours = left.iter().filter(|entry| !super::atomic::is_temp(&entry.file_name()));
    assert_eq!(not_ours.count(), 1, "{left:?}");
}

/// Numbers of Knuth's MMIX, good enough to choose instants.
fn fastrand(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

/// The system calls that change files, or may.
const CALLS: &str = "openat,write,fsync,fdatasync,rename,renameat,renameat2,fchmod,unlink,unlinkat,mkdir,flock,close,link,linkat";

/// Returns how often each call is made by one writing.
fn counted(place: &Path) -> Vec<(String, usize)> {
    let log = place.join("calls");
    let words = ["strace", "-f", "-qq", "-o", log.to_str().unwrap(), "-e"];
    let trace = format!("trace={CALLS}");
    let mut before: Vec<&str> = words.to_vec();
    before.push(&trace);
    assert!(writer("writes_once", place, &before).status().unwrap().success());
    let text = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    let mut counts: Vec<(String, usize)> = Vec::new();
    for line in text.lines() {
        let Some(call) = line.split_whitespace().nth(1).and_then(|word| word.split_once('('))
        else {
            continue;
        };
        match counts.iter_mut().find(|(name, _)| name == call.0) {
            Some((_, count)) => *count += 1,
            None => counts.push((call.0.to_owned(), 1)),
        }
    }
    counts
}

#[test]
fn a_kill_at_every_call_of_the_file_system() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    put(place, 1);
    assert!(edits(&file(place), 7));
    let before = fs::read(file(place)).unwrap();
    let counts = counted(place);
    let after = fs::read(file(place)).unwrap();
    assert_ne!(before, after);
    let called: Vec<&str> = counts.iter().map(|(name, _)| name.as_str()).collect();
    for needed in ["openat", "write", "fsync"] {
        assert!(called.contains(&needed), "{called:?}");
    }
    let mut seen = [0; 2];
    for (call, count) in counts {
        for turn in 1..=count {
            fs::write(file(place), &before).unwrap();
            let inject = format!("inject={call}:signal=SIGKILL:when={turn}");
            let trace = format!("trace={call}");
            let words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
            writer("writes_once", place, &words).status().unwrap();
            let now = fs::read(file(place)).unwrap();
            let is_new = now == after;
            assert!(is_new || now == before, "{call} {turn}: {}", String::from_utf8_lossy(&now));
            seen[usize::from(is_new)] += 1;
            // Whoever comes next is not held up.
            put(place, 2);
            assert_eq!(fs::read(file(place)).unwrap(), after, "{call} {turn}");
            assert!(edits(&file(place), 7), "{call} {turn}: a lock was left behind");
        }
    }
    assert!(seen.iter().all(|count| 3 < *count), "{seen:?}: no kill came in between");
}

/// Runs one writing in a mount namespace of its own, after `prepare`, and a shell's `after` behind it; returns
/// whether the writing succeeded, and what both said.
fn surrounded(place: &Path, prepare: &str, after: &str) -> (bool, String) {
    let script = format!("cd {place:?} && {prepare} && {{ \"$@\"; rc=$?; {after}; exit $rc; }}");
    let before = ["unshare", "--map-root-user", "--mount", "sh", "-c", &script, "sh"];
    let mut command = writer("writes_once", place, &before);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

#[test]
fn disks_that_take_nothing() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1);
    let before = fs::read_to_string(file(dir.path())).unwrap();
    let read_only = "mount --bind eksd eksd && mount -o remount,ro,bind eksd";
    // A little is left: enough for the lock, not for the file.
    let full = "cp eksd/demo.yaml . && mount -t tmpfs -o size=16k,mode=700 none eksd && cp -p demo.yaml eksd && \
        (dd if=/dev/zero of=eksd/rest bs=4k; truncate -s -4k eksd/rest) 2>/dev/null";
    for (prepare, why, fix) in [
        (read_only, "Read-only file system", "writable for you"),
        (full, "No space left on device", "free some space where"),
    ] {
        let after = "echo; ls -A eksd | tr '\\n' ' '; cat eksd/demo.yaml";
        let (is_written, said) = surrounded(dir.path(), prepare, after);
        assert!(!is_written && said.contains(why) && said.contains(fix), "{prepare}: {said}");
        let files = if prepare == full { "demo.yaml rest " } else { "demo.yaml " };
        assert!(said.contains(&format!("\n{files}{before}")), "{prepare}: {said}");
    }
    assert_eq!(fs::read_to_string(file(dir.path())).unwrap(), before);
}

#[test]
fn links_and_folders_of_others() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (path, target) = (file(dir.path()), elsewhere.path().join("precious"));
    put(dir.path(), 1);
    let before = fs::read(&path).unwrap();
    let refused = |what: &str| {
        let report = put_right(&path, &wanted(2), None).unwrap_err();
        assert_eq!(report.code, Code::UnsafePath, "{report:?}");
        assert!(report.what.contains(what), "{report:?}");
    };
    fs::rename(&path, &target).unwrap();
    symlink(&target, &path).unwrap();
    refused("is a link out of its folder");
    assert_eq!(fs::read(&target).unwrap(), before);

    // A link to a file that is not there yet is none the better.
    fs::remove_file(&target).unwrap();
    refused("is a link out of its folder");
    assert!(!target.exists());
    fs::remove_file(&path).unwrap();

    let folder = path.parent().unwrap();
    fs::remove_dir(folder).unwrap();
    symlink(elsewhere.path(), folder).unwrap();
    refused("is a link");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    fs::remove_file(folder).unwrap();

    fs::create_dir(folder).unwrap();
    if std::os::unix::fs::chown(folder, Some(65_534), None).is_ok() {
        refused("belongs to another user");
    }
}
