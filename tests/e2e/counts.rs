//! What a warm call and an idle agent cost, counted and not timed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::home::CONFIG;
use crate::place::Place;
use crate::ran::Ran;
use crate::tools::{comes, tool};

/// Runs a warm client under strace and returns the lines of its calls.
fn traced(place: &Place, words: &str) -> Vec<String> {
    place.eksd(words).ok();
    let log = place.path("trace");
    let mut command = place.command(tool("strace"));
    command.args(["-f", "-o"]).arg(&log).arg(place.program("eksd")).args(words.split(' '));
    Ran::from(command.output().unwrap()).ok();
    place.read("trace").lines().map(str::to_owned).collect()
}

fn of<'a>(lines: &'a [String], call: &str) -> Vec<&'a String> {
    lines.iter().filter(|line| line.contains(&format!(" {call}("))).collect()
}

#[test]
fn a_warm_call_is_one_process_that_talks_to_the_agent_only() {
    let place = Place::new();
    place.login();
    place.add_demo();
    let calls = place.lab().count("*");
    for words in ["token --cluster demo", "credential-process --profile dev"] {
        let lines = traced(&place, words);
        for call in ["clone", "clone3", "fork", "vfork"] {
            assert!(of(&lines, call).is_empty(), "{words}: {:?}", of(&lines, call));
        }
        assert_eq!(of(&lines, "execve").len(), 1, "{words}");
        let connects = of(&lines, "connect");
        assert_eq!(connects.len(), 1, "{words}: {connects:?}");
        assert!(connects[0].contains("AF_UNIX") && connects[0].contains("agent.sock"));
        // From the program's own first call; a dynamic build loads four libraries before.
        let all = lines.len();
        let loading = lines.iter().rposition(|line| line.contains(".so")).unwrap_or(0);
        assert!(all - loading <= 90, "{words}: {all} calls, {} after loading", all - loading);
    }
    assert_eq!(place.lab().count("*"), calls, "warm: AWS is not asked");
}

/// Registers more clusters: what the registry and the file say of one they say of all.
fn multiply(place: &Place, number: usize) {
    place.end_agent();
    let name = "home/.local/state/eksd/clusters.json";
    let mut registry: Value = serde_json::from_str(&place.read(name)).unwrap();
    let file = place.read("home/.kube/eksd/demo.yaml");
    let clusters = registry["clusters"].as_array_mut().unwrap();
    let first = clusters[0].clone();
    for more in 1..number {
        let alias = format!("demo-{more}");
        place.write(&format!("home/.kube/eksd/{alias}.yaml"), &file.replace("demo", &alias));
        let mut another = first.clone();
        another["alias"] = alias.into();
        clusters.push(another);
    }
    place.write(name, &registry.to_string());
    place.eksd("agent start").ok();
}

/// Of a program and what it starts, what is done how often: each system call, and the programs.
fn counted(place: &Place, program: &Path, words: &[&str]) -> (usize, BTreeMap<String, usize>) {
    let log = place.path("trace");
    let mut command = place.command(tool("strace"));
    command.args(["-f", "-o"]).arg(&log).arg(program).args(words);
    Ran::from(command.output().unwrap()).ok();
    let text = place.read("trace");
    let mut calls = BTreeMap::new();
    for line in text.lines().filter(|line| !line.contains(" resumed>")) {
        let call = line.split_once(' ').and_then(|(_, rest)| rest.trim_start().split_once('('));
        // In how many pieces an answer comes is nobody's choice.
        if let Some((call, _)) = call.filter(|(call, _)| !["ppoll", "recvfrom"].contains(call)) {
            *calls.entry(call.to_owned()).or_default() += 1;
        }
    }
    (text.matches(" execve(").count(), calls)
}

/// Each cluster has a file of its own: kubectl and the plugin read one, however many there are.
#[test]
fn three_hundred_clusters_are_as_one() {
    let place = Place::new();
    place.login();
    place.add_demo();
    let eksd = place.program("eksd");
    let mint = || {
        place.eksd("token --cluster demo").ok();
        counted(&place, &eksd, &["token", "--cluster", "demo"])
    };
    let with_one = mint();
    multiply(&place, 300);
    let with_many = mint();
    assert_eq!(with_one.0, 1, "the plugin is one process");
    assert_eq!(with_one, with_many);
    // Of the folder with 300 files kubectl opens one.
    let file = place.path("home/.kube/eksd/demo.yaml");
    let words = ["--kubeconfig", file.to_str().unwrap(), "get", "nodes"];
    let (programs, _) = counted(&place, &tool("kubectl"), &words);
    assert_eq!(programs, 2, "kubectl and its plugin");
    let trace = place.read("trace");
    let opened = trace.lines().filter(|line| line.contains("openat(") && line.contains(".yaml"));
    let others: Vec<_> = opened.filter(|line| !line.contains("/demo.yaml")).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn a_prompt_asks_nobody() {
    let place = Place::new();
    place.login();
    place.credentials("dev");
    assert!(comes(Duration::from_secs(5), || place.eksd("prompt dev").out.contains("dev")));
    let lines = traced(&place, "prompt dev");
    for call in ["clone", "clone3", "fork", "vfork", "socket", "connect"] {
        assert!(of(&lines, call).is_empty(), "{:?}", of(&lines, call));
    }
    let zones: Vec<_> = lines.iter().filter(|line| line.contains("zoneinfo")).collect();
    assert!(zones.is_empty(), "a span needs no time zone: {} calls", zones.len());
}

/// How often a process was woken up, all its threads together.
fn wakes(pid: i32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    tasks
        .map(|task| {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
        })
        .sum()
}

#[test]
fn an_idle_agent_with_a_thousand_profiles_sleeps() {
    let place = Place::new();
    let mut config = CONFIG.to_owned();
    for number in 0..1000 {
        writeln!(
            config,
            "\n[profile p{number}]\nsso_session = corp\nsso_account_id = 111122223333\n\
             sso_role_name = Developer\nregion = eu-west-1"
        )
        .unwrap();
    }
    place.write("home/.aws/config", &config);
    place.login();
    place.credentials("dev");
    place.credentials("p7");
    assert_eq!(
        place.lab().count("GetRoleCredentials"),
        1,
        "one role, whatever its profiles' names"
    );
    let pid = place.agent().as_raw_nonzero().get();
    // Threads that did something end after a while; then a stretch of twenty seconds is counted.
    let mut began = (Instant::now(), wakes(pid));
    let quiet = comes(Duration::from_secs(50), || {
        let now = wakes(pid);
        if now < began.1 || 2 < now - began.1 {
            began = (Instant::now(), now);
        }
        Duration::from_secs(20) <= began.0.elapsed()
    });
    assert!(quiet, "{} wake-ups in the last {:?}", wakes(pid) - began.1, began.0.elapsed());
    assert_eq!(place.lab().count("GetRoleCredentials"), 1, "a thousand profiles cost nothing");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    let resident: u64 = resident.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(resident < 40 * 1024, "{resident} KiB");
}
