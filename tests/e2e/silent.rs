//! An agent that hangs, and no agent at all.

use std::time::{Duration, Instant};

use eksd_lab::{Act, Fault};
use rustix::process::Signal;

use crate::place::Place;
use crate::tools::{tool, until};

#[test]
fn a_stopped_agent_costs_a_deadline_and_says_so() {
    let place = Place::new();
    place.login();
    place.credentials("dev");
    until("a prompt knows it", || place.eksd("prompt dev").out.contains("dev"));
    place.signal(Signal::STOP);
    for (words, limit) in [
        ("credential-process --profile dev", 6),
        ("token --cluster-name demo --region eu-west-1 --profile dev", 12),
    ] {
        let began = Instant::now();
        let said = place.eksd(words).fails(3);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(limit), "{words}: {took:?}");
        assert!(said.contains("gave no answer") && said.contains("eksd agent restart"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    // A prompt asks nobody.
    let began = Instant::now();
    let shown = place.eksd("prompt dev").ok();
    let told = place.eksd("prompt --tell --profile dev");
    assert_eq!((told.code, told.out.as_str(), told.err.as_str()), (Some(0), "", ""));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(shown.contains("dev"), "{shown}");
    // The command that was named helps.
    place.eksd("agent restart").failed();
    place.signal(Signal::CONT);
    place.eksd("agent restart").ok();
    place.credentials("dev");
}

#[test]
fn without_an_agent_everything_that_programs_call_works() {
    let place = Place::new();
    place.eksd("login dev --no-agent").ok();
    assert!(place.agents().is_empty(), "none was started");
    let token = "token --cluster-name demo --region eu-west-1 --profile dev --no-agent";
    assert!(place.eksd(token).json()["status"]["token"].is_string());
    let given = place.eksd("credential-process --no-agent --profile dev").json();
    assert!(given["SessionToken"].is_string());
    let row = place.eksd_with(&[("EKSD_NO_AGENT", "1")], "status dev --json").json();
    assert_eq!(row["profiles"][0]["phase"], "idle", "{row}");
    place.eksd("status --check --no-agent dev").ok();
    assert!(place.agents().is_empty(), "none was started");

    place.eksd("cluster add demo --profile dev --no-agent").ok();
    let mut kubectl = place.command(tool("kubectl"));
    kubectl.arg("--kubeconfig").arg(place.path("home/.kube/eksd/demo.yaml"));
    kubectl.args(["get", "nodes"]).env("EKSD_NO_AGENT", "1");
    let nodes = crate::ran::Ran::from(kubectl.output().unwrap()).ok();
    assert!(nodes.contains("ip-10-0-0-1.demo.internal"), "{nodes}");
    place.eksd("logout dev --no-agent").ok();
    place.eksd("status --check --no-agent dev").fails(11);
    assert!(place.agents().is_empty(), "none was started");
}

/// AWS takes a connection and says nothing: callers are answered in time, and what is held is served.
#[test]
fn a_silent_aws_keeps_nobody_waiting_for_ever() {
    let place = Place::new();
    place.login();
    let held = place.credentials("dev");
    place.lab().queue(Fault::new("*", Act::Stall).times(-1));
    let began = Instant::now();
    let said = place.eksd("credential-process --profile reader").fails(1);
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert!(said.contains("AWS has not answered"), "{said}");
    let began = Instant::now();
    assert_eq!(place.credentials("dev"), held);
    place.eksd("status").ok();
    assert!(began.elapsed() < Duration::from_secs(1), "others wait: {:?}", began.elapsed());
    place.lab().clear_faults();
}
