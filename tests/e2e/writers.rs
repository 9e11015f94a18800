//! Many programs write a cluster's kubeconfig at once: two agents, and eight `kubectl config`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_yaml_ng::Value;

use crate::place::Place;
use crate::tools::{tool, until};

const FILE: &str = "home/.kube/eksd/demo.yaml";

/// What each writer does so often.
const ROUNDS: usize = 5;

const WRITERS: usize = 8;

/// Reads the file when it is whole: kubectl truncates it and writes it in place.
fn whole(place: &Place) -> Value {
    let mut found = None;
    until("the file is whole", || {
        let tree = serde_yaml_ng::from_str::<Value>(&place.read(FILE)).ok();
        found = tree.filter(|tree| {
            tree["current-context"].is_string() && tree["clusters"][0]["cluster"].is_mapping()
        });
        found.is_some()
    });
    found.unwrap()
}

fn namespace(tree: &Value, context: &str) -> Option<String> {
    let contexts = tree["contexts"].as_sequence()?;
    let found = contexts.iter().find(|it| it["name"].as_str() == Some(context))?;
    found["context"]["namespace"].as_str().map(str::to_owned)
}

/// Sets the namespace of a context of one's own with kubectl, which gives up at once where the file is
/// locked.
fn set(place: &Place, context: &str, round: usize) {
    let words = format!(
        "--kubeconfig {} config set-context {context} --cluster=demo --user=demo --namespace=n{round}",
        place.path(FILE).display()
    );
    until("kubectl gets the lock", || {
        let ran = place.real(tool("kubectl"), &words);
        let is_locked = ran.err.contains("file exists");
        assert!(ran.code == Some(0) || is_locked, "{}", ran.err);
        !is_locked
    });
}

/// Compares with AWS again and again, with both agents, while something else goes on; each time there is
/// something to write. Returns how often.
fn beside(place: &Place, others: &[(&str, &str)], work: impl Fn(usize) + Sync) -> usize {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (done, work) = (&done, &work);
        let syncing = scope.spawn(move || {
            let mut syncs = 0;
            while !done.load(Ordering::Relaxed) {
                place.lab().recreate("demo");
                place.eksd_with(others, "cluster sync demo").talk();
                place.eksd("cluster sync demo").talk();
                syncs += 1;
            }
            syncs
        });
        let working: Vec<_> =
            (0..WRITERS).map(|number| scope.spawn(move || work(number))).collect();
        let results: Vec<_> =
            working.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        for result in results {
            result.unwrap();
        }
        syncing.join().unwrap()
    })
}

#[test]
fn two_agents_and_eight_kubectls_lose_nothing() {
    let place = Place::new();
    place.login();
    place.add_demo();
    let (run, state) = (place.path("other/run"), place.path("other/state"));
    std::fs::create_dir_all(&run).unwrap();
    let others =
        [("EKSD_RUNTIME_DIR", run.to_str().unwrap()), ("EKSD_STATE_DIR", state.to_str().unwrap())];
    place.eksd_with(&others, "cluster add demo --region eu-west-1 --profile dev").ok();
    assert_eq!(place.agents().len(), 2);

    // All at once: `kubectl config` reads before it locks (client-go `ModifyConfig`), so of eight one may
    // undo what another did. Nobody is locked out for long, and the file is whole.
    let syncs = beside(&place, &others, |number| {
        for round in 0..ROUNDS {
            set(&place, &format!("mine-{number}"), round);
            whole(&place);
        }
    });
    assert!(3 < syncs, "{syncs} comparisons with AWS meanwhile");

    // One kubectl at a time: what it wrote stays.
    let turn = Mutex::new(());
    let syncs = beside(&place, &others, |number| {
        let context = format!("mine-{number}");
        for round in 0..ROUNDS {
            let _mine = turn.lock().unwrap();
            set(&place, &context, round);
            let found = namespace(&whole(&place), &context);
            assert_eq!(found, Some(format!("n{round}")), "{context}: an edit was lost");
        }
    });
    assert!(3 < syncs, "{syncs} comparisons with AWS meanwhile");

    place.eksd("cluster sync demo").talk();
    let tree = whole(&place);
    for number in 0..WRITERS {
        let last = format!("n{}", ROUNDS - 1);
        assert_eq!(namespace(&tree, &format!("mine-{number}")), Some(last));
    }
    let server = tree["clusters"][0]["cluster"]["server"].as_str();
    assert_eq!(server, Some(&*place.lab().kube_url("demo")));
    let left: Vec<_> = std::fs::read_dir(place.path("home/.kube/eksd")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let words = format!("--kubeconfig {} get nodes", place.path(FILE).display());
    let nodes = place.real(tool("kubectl"), &words).ok();
    assert!(nodes.contains("ip-10-0-0-1.demo.internal"), "{nodes}");
}
