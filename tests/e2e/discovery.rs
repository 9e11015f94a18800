//! `eksd cluster discover`: at a pipe, at a terminal, and what kubectl then makes of it.

use std::process::Command;

use eksd_lab::{Act, Cluster, Fault, Script};
use rexpect::session::{PtySession, spawn_command};
use rustix::process::Signal;

use crate::place::Place;
use crate::tools::tool;

fn cluster(name: &str, account: &str, region: &str) -> Cluster {
    Cluster {
        name: name.into(),
        account: account.into(),
        region: Some(region.into()),
        ..Cluster::default()
    }
}

/// The seed's clusters, another `demo` in another region, and one that only the first account has.
fn place() -> Place {
    let mut script = Script::default();
    script.clusters.extend([
        cluster("demo", "111122223333", "us-east-1"),
        cluster("shop", "111122223333", "us-east-1"),
    ]);
    Place::with(script)
}

const LOOK: &str = "cluster discover --all --region eu-west-1,us-east-1";

#[test]
fn what_is_found_can_be_added_by_paste_and_used_with_kubectl() {
    let place = place();
    place.login();
    let ran = place.eksd(LOOK);
    assert_eq!(
        ran.out,
        "\
CLUSTER  REGION     ACCOUNT       PROFILE  OR             ALIAS
demo     eu-west-1  111122223333  dev      keys, chained  demo-eu-west-1
demo     us-east-1  111122223333  dev      keys, chained  demo-us-east-1
shop     us-east-1  111122223333  dev      keys, chained  shop
prod     eu-west-1  444455556666  reader                  prod
",
        "{}",
        ran.err
    );
    let said = ran.talk();
    assert!(said.contains("4 clusters, 4 not registered; 4 of 4 regions"), "{said}");
    assert!(said.contains("4 calls spared"), "{said}");
    assert_eq!(place.lab().count("ListClusters"), 4);
    assert_eq!(place.lab().count("DescribeCluster"), 0);
    assert!(!said.contains('\u{1b}') && !said.contains('\r'), "no terminal: {said:?}");

    // The printed commands, as they are.
    let commands: Vec<&str> =
        said.lines().map(str::trim).filter(|line| line.starts_with("eksd cluster add")).collect();
    assert_eq!(commands.len(), 4, "{said}");
    let programs = place.program("eksd");
    let path = format!("{}:/usr/bin:/bin", programs.parent().unwrap().display());
    let mut shell: Command = place.command("sh");
    let ran = shell.env("PATH", path).args(["-ec", &commands.join("\n")]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    for (alias, node) in [("demo-us-east-1", "demo.internal"), ("shop", "shop.internal")] {
        let file = place.eksd(&format!("cluster path {alias}")).ok();
        let nodes = place.real(tool("kubectl"), &format!("--kubeconfig {file} get nodes")).ok();
        assert!(nodes.contains(node), "{nodes}");
    }
    let again = place.eksd(LOOK);
    assert!(again.out.contains("demo-us-east-1 (registered)"), "{}", again.out);
    let said = again.talk();
    assert!(said.contains("4 clusters, 0 not registered"), "{said}");
    assert!(!said.contains("eksd cluster add"), "{said}");
}

#[test]
fn adding_twice_is_adding_once_and_what_cannot_be_added_is_a_row() {
    let place = place();
    place.login();
    place.lab().edit(|script| {
        for cluster in &mut script.clusters {
            if cluster.name == "shop" {
                cluster.status = "CREATING".into();
            }
        }
    });
    let said = place.eksd(&format!("{LOOK} --add")).fails(1);
    assert!(said.contains("`demo-eu-west-1` is registered: "), "{said}");
    assert!(
        said.contains("`shop` is not registered:\nerror: cluster `shop` is CREATING"),
        "{said}"
    );
    assert!(said.contains("use one in this shell: eksd use demo-eu-west-1"), "{said}");
    let file = place.eksd("cluster path demo-us-east-1").ok();
    let nodes = place.real(tool("kubectl"), &format!("--kubeconfig {file} get nodes")).ok();
    assert!(nodes.contains("demo.internal"), "{nodes}");
    let token = &place.lab().calls_of("Kube")[0];
    assert!(token.arn.as_ref().is_some_and(|arn| arn.contains("Developer")), "{token:?}");

    place
        .lab()
        .edit(|script| script.clusters.iter_mut().for_each(|it| it.status = "ACTIVE".into()));
    let before = place.eksd("cluster list").ok();
    let found = place.eksd(&format!("{LOOK} --add --json")).json();
    assert_eq!(found["version"], 1);
    assert_eq!(found["added"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["added"][0]["alias"], "shop");
    assert_eq!(found["clusters"][0]["registered_as"], "demo-eu-west-1");
    assert_eq!(found["clusters"][0]["profiles"][0], "dev");
    let after = place.eksd("cluster list").ok();
    assert_eq!(after.lines().count(), before.lines().count() + 1, "{after}");
    let said = place.eksd(&format!("{LOOK} --add")).talk();
    assert!(said.contains("`shop` is registered already"), "{said}");
    assert_eq!(place.eksd("cluster list").ok(), after);
}

#[test]
fn what_was_denied_is_said_and_only_all_of_it_is_a_failure() {
    let place = place();
    // Nobody is logged in: only the keys can ask.
    let ran = place.eksd(LOOK);
    assert!(ran.out.contains("shop") && !ran.out.contains("prod"), "{}", ran.out);
    let said = ran.talk();
    assert!(said.contains("  dev: profile `dev` needs a login"), "{said}");
    assert!(said.contains("    fix: run `eksd login dev`"), "{said}");
    assert_eq!(place.browsers(), 0);
    let said = place.eksd("cluster discover --profile dev").fails(1);
    assert!(said.contains("eksd login dev"), "{said}");
    let said = place.eksd("cluster discover").fails(2);
    assert!(said.contains("--all"), "{said}");
    let denied = Fault::status("ListClusters", 403, "AccessDeniedException").times(-1);
    place.lab().queue(denied.region("us-east-1"));
    let ran = place.eksd(&format!("{LOOK} --profile keys").replace("--all ", ""));
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);
    assert!(ran.talk().contains("keys in us-east-1: AWS denied ListClusters for `keys`"));
    // Of the shell's own profile, and without an agent.
    let ran = place.eksd_with(&[("AWS_PROFILE", "keys")], "--no-agent cluster discover");
    assert!(ran.ok().contains("demo     eu-west-1"));
}

/// `eksd` at a terminal of 60 columns.
fn at_terminal(place: &Place, words: &str) -> PtySession {
    let program = place.program("eksd");
    let line =
        format!("exec </dev/tty; stty cols 60 rows 30; exec '{}' {words}", program.display());
    let mut command = place.command("sh");
    command.args(["-c", &line]).env("TERM", "xterm");
    spawn_command(command, Some(20_000)).unwrap()
}

/// What a person sees at the end.
fn screen(read: &str) -> String {
    let mut parser = vt100::Parser::new(30, 60, 0);
    // Bytes arrive as characters of the same number.
    let bytes: Vec<u8> = read.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect();
    parser.process(&bytes);
    parser.screen().contents()
}

#[test]
fn a_terminal_shows_how_far_it_is_and_asks_who_signs() {
    let place = place();
    place.login();
    let mut session = at_terminal(&place, &format!("{LOOK} --add"));
    let mut read = session.exp_string("number [1]: ").unwrap();
    assert!(read.contains("\r0 of 4"), "{read:?}");
    assert!(read.contains("4 of 4") && read.contains("4 clusters\u{1b}[K"), "{read:?}");
    let shown = screen(&read);
    assert!(!shown.contains("of 4 ·"), "the line is taken away: {shown}");
    assert!(shown.contains("account 111122223333 (demo, demo, shop): who signs?"), "{shown}");
    assert!(shown.contains("1 dev\n  2 keys\n  3 chained"), "{shown}");
    session.send_line("7").unwrap();
    session.exp_string("a number from 1 to 3 [1]: ").unwrap();
    session.send_line("2").unwrap();
    read = session.exp_eof().unwrap();
    assert!(read.contains("`shop` is registered: "), "{read}");
    let clusters = place.status()["clusters"].as_array().unwrap().clone();
    let row = |name: &str| clusters.iter().find(|row| row["cluster"] == name).unwrap();
    assert_eq!(row("shop")["profile"], "keys");
    assert_eq!(row("shop")["described_by"], "dev", "who was told describes");
    assert_eq!(row("prod")["profile"], "reader", "no choice, no question");
    let file = place.eksd("cluster path shop").ok();
    place.real(tool("kubectl"), &format!("--kubeconfig {file} get nodes")).ok();
    let token = place.lab().calls_of("Kube").pop().unwrap();
    assert!(token.arn.as_ref().is_some_and(|arn| arn.ends_with("user/alice")), "{token:?}");
}

#[test]
fn ctrl_c_shows_what_was_found_so_far_and_registers_nothing() {
    let place = place();
    place.login();
    place.lab().queue(Fault::new("ListClusters", Act::Stall).times(-1).region("us-east-1"));
    let mut session = at_terminal(&place, &format!("{LOOK} --add"));
    session.exp_string("2 of 4").unwrap();
    session.send_control('c').unwrap();
    let read = session.exp_eof().unwrap();
    let shown = screen(&read);
    assert!(shown.contains("demo     eu-west-1") && shown.contains("prod"), "{shown}");
    assert!(shown.contains("stopped before the end"), "{shown}");
    let status = session.process().wait().unwrap();
    assert!(
        format!("{status:?}").contains("Exited") && format!("{status:?}").contains(", 1)"),
        "{status:?}"
    );
    assert_eq!(place.eksd("cluster list").ok(), "");

    // At the question, too.
    place.lab().clear_faults();
    let mut session = at_terminal(&place, &format!("{LOOK} --add"));
    session.exp_string("number [1]: ").unwrap();
    session.send_control('c').unwrap();
    let read = session.exp_eof().unwrap();
    assert!(read.contains("nothing was registered"), "{read}");
    assert_eq!(place.eksd("cluster list").ok(), "");
}

#[test]
fn a_client_that_is_killed_ends_its_search() {
    let place = place();
    place.login();
    place.lab().queue(Fault::new("ListClusters", Act::Stall).times(1));
    let mut child = place.eksd_command("cluster discover --profile dev").spawn().unwrap();
    assert!(place.lab().wait_for_calls("ListClusters", 1, std::time::Duration::from_secs(20)));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    // Whoever comes next is not kept waiting by it.
    assert!(place.eksd("cluster discover --profile dev").ok().contains("demo"));
}
