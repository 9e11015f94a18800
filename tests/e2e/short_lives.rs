//! A profile left alone for half an hour, in a minute: sessions so short that everything is renewed
//! many times over, and callers that never meet an end.

use std::time::{Duration, Instant};

use eksd_lab::{Lifetimes, Script};
use serde_json::Value;

use crate::place::Place;
use crate::ran::Ran;
use crate::tools::{instant, tool};

/// A minute less what a slow machine needs to start and end.
const LENGTH: Duration = Duration::from_secs(45);

/// Shows credentials to the lab's STS by a real client.
fn who(place: &Place, given: &Value) -> Ran {
    let text = |name: &str| given[name].as_str().unwrap().to_owned();
    let mut command = place.command(tool("aws"));
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("AWS_ACCESS_KEY_ID", text("AccessKeyId"));
    command.env("AWS_SECRET_ACCESS_KEY", text("SecretAccessKey"));
    command.env("AWS_SESSION_TOKEN", text("SessionToken")).env("AWS_REGION", "eu-west-1");
    command.args(["sts", "get-caller-identity"]).output().unwrap().into()
}

#[test]
fn nobody_meets_an_end() {
    // Half an hour of sessions of four and five minutes.
    let lifetimes =
        Lifetimes { role_credentials: 8, access_token: 10, session: 3600, ..Lifetimes::default() };
    let place = Place::with(Script { lifetimes, ..Script::default() });
    place.login();
    place.add_demo();
    let kubeconfig = place.path("home/.kube/eksd/demo.yaml");
    let began = Instant::now();
    let (mut asked, mut shortest, mut kubectls, mut shown) = (0, i64::MAX, 0, 0);
    let mut different = std::collections::BTreeSet::new();
    while began.elapsed() < LENGTH {
        let turn = Instant::now();
        asked += 1;
        let given = place.credentials("dev");
        let left = instant(&given["Expiration"]) - place.lab().now();
        shortest = shortest.min(left);
        different.insert(given["AccessKeyId"].as_str().unwrap().to_owned());
        let token = place.eksd("token --cluster demo").json();
        let ends = instant(&token["status"]["expirationTimestamp"]);
        assert!(place.lab().now() < ends, "a token that has ended already: {token}");
        if asked % 8 == 1 {
            let mut kubectl = place.command(tool("kubectl"));
            kubectl.arg("--kubeconfig").arg(&kubeconfig).args(["get", "nodes"]);
            let nodes = Ran::from(kubectl.output().unwrap()).ok();
            assert!(nodes.contains("ip-10-0-0-1.demo.internal"), "{nodes}");
            kubectls += 1;
        }
        if asked % 16 == 1 {
            // A client that takes its time: what it was given must outlive that.
            let given = place.credentials("dev");
            who(&place, &given).ok();
            shown += 1;
        }
        // The pace is part of what is played: asking twice a second, as tools of a busy person do.
        std::thread::sleep(Duration::from_millis(500).saturating_sub(turn.elapsed()));
    }
    let refused: Vec<_> = place
        .lab()
        .calls()
        .into_iter()
        .filter(|call| call.status != Some(200) && call.op != "Authorize")
        .collect();
    assert!(refused.is_empty(), "{refused:?}\n{}", place.log());
    assert!(40 < asked && 5 < different.len(), "asked {asked}, {} keys", different.len());
    assert!(5 <= kubectls && 2 <= shown, "{kubectls} {shown}");
    // Half of eight seconds, less the second that is rounded away and the one a call may take.
    assert!(2 <= shortest, "the shortest life handed out was {shortest} s");
    assert_eq!(place.browsers(), 1);
    let calls = place.lab().count("GetRoleCredentials");
    assert!(calls <= 16, "{calls} calls for sessions of eight seconds in {LENGTH:?}");
}

/// Everything ends while nobody asks and the agent is not there; the next caller pays for a refresh,
/// and gets no error.
#[test]
fn after_a_pause_without_an_agent_the_first_answer_is_good() {
    let lifetimes = Lifetimes { role_credentials: 4, access_token: 4, ..Lifetimes::default() };
    let place = Place::with(Script { lifetimes, ..Script::default() });
    place.login();
    let first = place.credentials("dev");
    place.end_agent();
    let ends = instant(&first["Expiration"]);
    crate::tools::until("all has ended", || ends + 2 < place.lab().now());
    let next = place.credentials("dev");
    assert_ne!(first["AccessKeyId"], next["AccessKeyId"]);
    assert_eq!(place.browsers(), 1);
}
