//! kubectl as a plugin's caller: how often it runs `eksd token`, what that costs, and what it says.
//!
//! The plugin is run by a script that counts and then becomes `eksd`, so that kubectl stays its parent.

use std::collections::{BTreeMap, BTreeSet};

use eksd_lab::{Call, Script};

use crate::home::DEVELOPER;
use crate::place::Place;
use crate::ran::Ran;
use crate::tools::{instant, tool, until};

/// A place where somebody has logged in and the cluster is registered, with keys held; nothing is being
/// asked of AWS.
fn place() -> Place {
    let place = Place::new();
    place.login();
    place.add_demo();
    until("whose login it is", || !place.row("dev")["root"]["person"].is_null());
    counted(&place, "kubeconfig", &place.read("home/.kube/eksd/demo.yaml"), "");
    place.lab().forget_calls();
    place
}

/// Writes a kubeconfig whose plugin is counted.
fn counted(place: &Place, name: &str, kubeconfig: &str, flags: &str) {
    let (log, eksd) = (place.path("runs.log"), place.program("eksd").display().to_string());
    let script =
        format!("#!/bin/sh\necho run >>'{}'\nexec '{eksd}' {flags} \"$@\"\n", log.display());
    place.script("bin/plugin", &script);
    let plugin = place.path("bin/plugin").display().to_string();
    assert!(kubeconfig.contains(&eksd), "{kubeconfig}");
    place.write(name, &kubeconfig.replace(&eksd, &plugin));
}

/// What one kubectl did.
struct Did {
    ran: Ran,
    /// How often it ran the plugin.
    runs: usize,
    /// What the plugin said, line by line.
    said: Vec<String>,
    /// What was asked of AWS meanwhile.
    aws: Vec<Call>,
    /// The tokens that the cluster was shown, each once, in order.
    tokens: Vec<String>,
}

fn kubectl(place: &Place, words: &str) -> Did {
    place.write("runs.log", "");
    place.lab().forget_calls();
    let config = place.path("kubeconfig");
    let ran = place.real(tool("kubectl"), &format!("--kubeconfig {} {words}", config.display()));
    let said = ran.err.lines().filter(|line| line.starts_with("eksd: ")).map(str::to_owned);
    let (kube, aws): (Vec<Call>, Vec<Call>) =
        place.lab().calls().into_iter().partition(|call| call.service == "kube");
    let mut tokens: Vec<String> = kube.into_iter().filter_map(|call| call.token).collect();
    tokens.dedup();
    let runs = place.read("runs.log").lines().count();
    Did { said: said.collect(), runs, aws, tokens, ran }
}

#[test]
fn every_answer_401_runs_the_plugin_six_times_and_costs_one_call() {
    let place = place();
    place.lab().map("demo", Some(BTreeMap::new()));
    let did = kubectl(&place, "get nodes");
    let err = did.ran.failed();
    assert!(err.contains("You must be logged in to the server"), "{err}");
    assert_eq!(did.runs, 6, "{err}");
    // The first cannot know; the third has AWS asked; from then on the cause has a name.
    assert_eq!(did.said.len(), 5, "{err}");
    for line in &did.said[..2] {
        assert!(line.contains("`demo` seems to have refused the last token"), "{line}");
        assert!(line.contains("eksd status demo"), "{line}");
    }
    for line in &did.said[2..] {
        assert!(line.contains("AWS accepts the token for `demo`"), "{line}");
        assert!(line.contains(DEVELOPER) && line.contains("create-access-entry"), "{line}");
    }
    let ops: Vec<_> = did.aws.iter().map(|call| (call.op.as_str(), call.presigned)).collect();
    assert_eq!(ops, [("GetCallerIdentity", true)]);
    let each = did.tokens.iter().collect::<BTreeSet<_>>().len();
    assert_eq!(each, did.tokens.len(), "no token is shown again after another: {:?}", did.tokens);
    assert!(2 <= each, "{:?}", did.tokens);
    assert_eq!(place.browsers(), 1, "the first login's only");

    let report = &place.status()["clusters"][0]["report"];
    assert_eq!(report["code"], "identity-refused", "{report}");
    let shown = place.eksd("status demo").ok();
    assert!(shown.contains("see below") && shown.contains(DEVELOPER), "{shown}");

    // Mapped, it works at once, and nothing is said.
    place.lab().map("demo", None);
    let did = kubectl(&place, "get nodes");
    assert_eq!((did.runs, did.said.len(), did.aws.len()), (1, 0, 0));
    assert!(did.ran.ok().contains("ip-10-0-0-1.demo.internal"));
    place.eksd("cluster sync demo").ok();
    assert!(place.status()["clusters"][0]["report"].is_null());
}

#[test]
fn where_a_login_is_needed_each_run_says_so_and_asks_nobody() {
    let place = place();
    place.eksd("logout dev").ok();
    let did = kubectl(&place, "get nodes");
    let err = did.ran.failed();
    // One less than where the plugin works: kubectl 1.32.
    assert!((5..=6).contains(&did.runs), "{err}");
    assert_eq!(did.said.len(), did.runs, "{err}");
    assert!(did.said.iter().all(|line| line.ends_with("run `eksd login dev`")), "{err}");
    assert_eq!(did.aws, [], "{err}");
    assert_eq!(place.browsers(), 1, "the first login's only");
}

#[test]
fn one_401_makes_another_token() {
    let place = place();
    place.lab().reject("demo", 1, 401);
    let did = kubectl(&place, "get nodes");
    assert_eq!(did.runs, 2, "{}", did.ran.err);
    assert_eq!(did.tokens.len(), 2, "the second differs: {:?}", did.tokens);
    assert_eq!(did.said.len(), 1, "{:?}", did.said);
    assert!(did.said[0].contains("seems to have refused"), "{:?}", did.said);
    assert_eq!(did.aws, [], "one may be a bad moment");
    // The next kubectl takes the last one, and one run.
    let next = kubectl(&place, "get nodes");
    assert_eq!((next.runs, next.said.len()), (1, 0), "{}", next.ran.err);
    assert_eq!(next.tokens.last(), did.tokens.last());
    assert!(next.ran.ok().contains("ip-10-0-0-1.demo.internal"));
}

#[test]
fn where_all_is_well_there_is_one_run_and_one_token() {
    let place = place();
    let cold = kubectl(&place, "get nodes");
    assert_eq!((cold.runs, cold.tokens.len(), cold.aws.len()), (1, 1, 0), "{}", cold.ran.err);
    for _ in 0..3 {
        let warm = kubectl(&place, "get nodes");
        assert_eq!((warm.runs, warm.said.len(), warm.aws.len()), (1, 0, 0), "{}", warm.ran.err);
        assert_eq!(warm.tokens, cold.tokens, "the cluster knows it already");
        assert_eq!(warm.ran.err, "");
    }
}

/// A denied request is no refused token.
#[test]
fn a_403_runs_it_once() {
    let place = place();
    let nobody = eksd_lab::Mapped { username: "ann".into(), groups: Vec::new() };
    let role = "arn:aws:iam::111122223333:role/AWSReservedSSO_Developer_0123456789abcdef";
    place.lab().map("demo", Some(BTreeMap::from([(role.to_owned(), nobody)])));
    let did = kubectl(&place, "get nodes");
    assert!(did.ran.err.contains("forbidden"), "{}", did.ran.err);
    assert_eq!((did.runs, did.said.len(), did.aws.len()), (1, 0, 0));
}

/// A process for one request remembers nothing, and is refused as often as any other plugin.
#[test]
fn without_an_agent_nothing_is_remembered() {
    let place = place();
    counted(&place, "kubeconfig", &place.read("home/.kube/eksd/demo.yaml"), "--no-agent");
    place.lab().map("demo", Some(BTreeMap::new()));
    let did = kubectl(&place, "get nodes");
    assert_eq!((did.runs, did.said.len()), (6, 0), "{}", did.ran.err);
    assert!(did.aws.iter().all(|call| !call.presigned), "{:?}", did.aws);
}

/// A shell keeps no token: that it asks again says nothing.
#[test]
fn a_script_that_asks_again_gets_the_same_token() {
    let place = place();
    let eksd = place.program("eksd");
    let script =
        format!("for n in 1 2 3; do '{}' token --cluster demo --token-only; done", eksd.display());
    place.script("bin/again", &format!("#!/bin/sh\n{script}\n"));
    let ran = place.real(place.path("bin/again"), "");
    assert_eq!(ran.err, "");
    let out = ran.ok();
    let tokens: Vec<&str> = out.lines().collect();
    assert_eq!(tokens.len(), 3, "{out}");
    assert!(tokens[0].starts_with("k8s-aws-v1.") && tokens.iter().all(|it| *it == tokens[0]));
}

#[test]
fn a_token_that_no_cluster_reads_is_said_before_kubectl_is_refused() {
    let place = Place::with(Script { session_token_bytes: 2400, ..Script::default() });
    place.login();
    place.add_demo();
    let said = place.eksd("token --cluster demo").fails(1);
    assert!(said.contains("longer than clusters accept"), "{said}");
    assert!(said.contains("fewer or shorter session tags"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn the_clock_may_be_off() {
    for (offset, by) in [(600, 600), (-600, -600)] {
        let place = Place::new();
        place.lab().set_offset(offset);
        place.login();
        place.add_demo();
        let given = place.eksd("token --cluster demo").json();
        // Declared by this machine's clock, whatever AWS's says.
        let left = instant(&given["status"]["expirationTimestamp"]) - place.lab().now() + by;
        assert!((780..=845).contains(&left), "{offset}: asked again after {left} s");
        counted(&place, "kubeconfig", &place.read("home/.kube/eksd/demo.yaml"), "");
        let did = kubectl(&place, "get nodes");
        assert!(did.ran.ok().contains("ip-10-0-0-1.demo.internal"), "{offset}");
    }
}
