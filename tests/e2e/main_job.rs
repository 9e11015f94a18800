//! The whole job: log in, see it, use it with kubectl, log out; and what each state exits with.

use std::fs;

use eksd_lab::{Approval, Fault, Script, What};
use rustix::process::Signal;

use crate::place::Place;
use crate::tools::{comes, instant, tool, until};

#[test]
fn from_a_config_to_nodes_and_out_again() {
    let place = Place::new();
    let before = place.eksd("status").ok();
    assert!(before.contains("needs-login") && before.contains("eksd login dev"), "{before}");

    // In by the browser: one page, and the answer comes back to this machine.
    let said = place.eksd("login dev").talk();
    assert!(said.contains("/authorize?"), "the address is printed: {said}");
    assert!(said.contains("logged in to `corp`"), "{said}");
    assert_eq!(place.browsers(), 1);
    let grants = place.lab().calls_of("CreateToken");
    assert_eq!(grants[0].grant.as_deref(), Some("authorization_code"));
    let again = place.eksd("login dev").talk();
    assert!(again.contains("still logged in"), "{again}");
    assert_eq!(place.browsers(), 1);

    // Credentials that the lab's STS accepts.
    let given = place.credentials("dev");
    assert_eq!(given["Version"], 1);
    assert_eq!(given["AccountId"], "111122223333");
    assert!(given["SessionToken"].is_string(), "{given}");
    let chained = place.credentials("chained");
    assert_ne!(chained["AccessKeyId"], given["AccessKeyId"]);
    let keys = place.credentials("keys");
    assert_eq!(keys["AccessKeyId"], "AKIALABALICE00000001");

    // The same in both forms of the status.
    let row = place.row("dev");
    assert_eq!(row["phase"], "fresh", "{row}");
    assert_eq!(row["credentials_expire_at"], given["Expiration"]);
    assert_eq!(row["in_use"], true);
    let table = place.eksd("status").ok();
    let line = table.lines().find(|line| line.trim_start().starts_with("dev"));
    assert!(line.is_some_and(|line| line.contains("fresh")), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    assert!(!table.contains('\u{1b}'), "no colour was wanted: {table:?}");

    // A cluster of one's own file.
    let said = place.eksd("cluster add demo --region eu-west-1 --profile dev").talk();
    assert!(said.contains("eksd use demo"), "{said}");
    let path = place.eksd("cluster path demo").ok();
    assert_eq!(path.trim_end(), place.path("home/.kube/eksd/demo.yaml").to_str().unwrap());
    let listed = place.eksd("cluster list").ok();
    assert!(listed.starts_with("demo\teu-west-1\tdev\tfresh\t"), "{listed}");
    assert_eq!(place.status()["clusters"][0]["cluster"], "demo");
    let nodes = place.real(tool("kubectl"), &format!("--kubeconfig {path} get nodes")).ok();
    assert!(nodes.contains("ip-10-0-0-2.demo.internal"), "{nodes}");

    // And out: AWS is told, the cache is empty, the cluster's file goes on request.
    let said = place.eksd("logout dev").talk();
    assert!(said.contains("corp"), "{said}");
    assert_eq!(place.lab().calls_of("Logout")[0].status, Some(200));
    assert_eq!(place.lab().state()["refresh_tokens"], 0);
    let refused = place.eksd("credential-process --profile dev").fails(1);
    assert!(refused.contains("eksd login dev"), "{refused}");
    let refused = place.real(tool("kubectl"), &format!("--kubeconfig {path} get nodes")).failed();
    assert!(refused.contains("eksd login dev"), "kubectl shows what to run: {refused}");
    place.eksd("cluster remove demo").ok();
    assert!(!place.path("home/.kube/eksd/demo.yaml").exists());
    assert_eq!(place.browsers(), 1, "nothing but the person's `login` opens a browser");
}

#[test]
fn a_code_where_there_is_no_browser() {
    let mut place = Place::with(Script { approval: Approval::Manual, ..Script::default() });
    place.write("home/.config/eksd/config.toml", "");
    place.unset("BROWSER");
    let child = place
        .eksd_command("login dev")
        .stderr(fs::File::create(place.path("said")).unwrap())
        .spawn();
    let mut child = child.unwrap();
    until("the code is shown", || place.read("said").contains("compare the code: "));
    let said = place.read("said");
    let code = said.split("compare the code: ").nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(said.contains(&format!("user_code={code}")), "{said}");
    assert!(place.lab().calls_of("CreateToken").iter().all(|call| call.status != Some(200)));
    assert_eq!(place.lab().approve_all(), 1);
    assert!(child.wait().unwrap().success(), "{}", place.read("said"));
    assert_eq!(place.row("dev")["phase"], "fresh");
    place.credentials("dev");
}

#[test]
fn a_login_that_is_denied_says_so_and_changes_nothing() {
    let place = Place::with(Script { approval: Approval::Deny, ..Script::default() });
    let said = place.eksd("login dev").fails(1);
    assert!(said.contains("error: ") && said.contains("fix: "), "{said}");
    assert!(
        !place.path("home/.aws/sso/cache").read_dir().unwrap().any(|file| {
            fs::read_to_string(file.unwrap().path()).unwrap().contains("accessToken")
        })
    );
    place.eksd("status dev --check").fails(11);
}

#[test]
fn a_login_that_is_given_up_leaves_the_agent_ready_for_the_next() {
    let place = Place::with(Script { approval: Approval::Manual, ..Script::default() });
    let child = place
        .eksd_command("login dev --device-code --no-browser")
        .stderr(fs::File::create(place.path("said")).unwrap())
        .spawn();
    let mut child = child.unwrap();
    until("the code is shown", || place.read("said").contains("compare the code: "));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{}", place.read("said"));
    place.lab().edit(|script| script.approval = Approval::Auto);
    place.eksd("login dev --device-code").ok();
}

/// `status --check` for each phase that can be reached.
#[test]
fn each_phase_has_its_exit_code() {
    let place = Place::new();
    let ended = "\n[ended]\naws_access_key_id = ASIA1\naws_secret_access_key = s\n\
                 aws_session_token = t\naws_expiration = 2020-01-01T00:00:00Z\n";
    place.append("home/.aws/credentials", ended);
    let more = "\n[profile broken]\nsource_profile = nobody\nrole_arn = arn:aws:iam::1:role/x\n\
                [profile mfa]\nsource_profile = keys\nmfa_serial = arn:aws:iam::1:mfa/a\n\
                role_arn = arn:aws:iam::1:role/x\n[profile ended]\n";
    place.append("home/.aws/config", more);
    for (profile, code) in [("dev", 11), ("keys", 0), ("broken", 14), ("mfa", 12), ("ended", 15)] {
        let ran = place.eksd(&format!("status {profile} --check"));
        assert_eq!(ran.code, Some(code), "{profile}: {}{}", ran.out, ran.err);
        assert_eq!(ran.out, "", "{profile}: --check says nothing");
    }
    place.eksd("status --check").fails(14);
    place.login();
    place.eksd("status dev --check").ok();
    place.credentials("dev");
    place.eksd("status --check").ok();

    // AWS cannot be reached: what is held is served, and the check says so.
    place.lab().queue(Fault::new("*", eksd_lab::Act::Drop).times(-1));
    let refused = place.eksd("credential-process --profile reader").fails(1);
    assert!(refused.contains("eksd: "), "{refused}");
    until("degraded", || place.eksd("status reader --check").code == Some(13));
    place.eksd("status dev --check").ok();
    place.lab().clear_faults();

    // The session is refused: a person is needed.
    place.lab().revoke(What::All);
    place.eksd("credential-process --profile reader").failed();
    until("needs-login", || place.eksd("status reader --check").code == Some(11));
}

#[test]
fn a_session_near_its_end_is_expiring() {
    let place = Place::new();
    let settings = "[login]\nflow = \"browser\"\n[sso-session.corp]\nlength = \"20m\"\n";
    place.write("home/.config/eksd/config.toml", settings);
    place.login();
    place.eksd("status dev --check").fails(10);
    let row = place.row("dev");
    assert_eq!((&row["phase"], &row["confidence"]), (&"expiring".into(), &"estimated".into()));
    let left = instant(&row["good_until"]) - place.lab().now();
    assert!((1140..=1200).contains(&left), "{left} s left: {row}");
}

#[test]
fn three_where_there_is_no_agent_to_ask() {
    let place = Place::new();
    // The client alone, as where half of an installation is missing.
    fs::remove_file(place.program("eksd-agent")).unwrap();
    let said = place.eksd("status --check").fails(3);
    assert!(said.contains("`eksd-agent` was found neither beside `eksd` nor in PATH"), "{said}");
    assert!(said.contains("fix: install `eksd-agent`"), "{said}");
    let said = place.eksd("credential-process --profile dev").fails(3);
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn the_agent_renews_before_what_is_held_ends() {
    let lifetimes = eksd_lab::Lifetimes { role_credentials: 6, ..Default::default() };
    let place = Place::with(Script { lifetimes, ..Script::default() });
    place.login();
    let first = place.credentials("dev");
    assert!(
        comes(std::time::Duration::from_secs(10), || {
            1 < place.lab().count("GetRoleCredentials")
        }),
        "nobody asked again, and it was not renewed\n{}",
        place.log()
    );
    until("the new ones are there", || place.credentials("dev") != first);
    assert_eq!(place.browsers(), 1);
}
