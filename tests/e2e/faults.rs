//! What people get wrong and what breaks: one clear report each, and nothing lost.

use std::fs;

use eksd_lab::{Lifetimes, Script, What};

use crate::home::{CONFIG, SETTINGS};
use crate::place::Place;
use crate::tools::{SOON, comes, until};

#[test]
fn a_profile_that_is_not_there() {
    let place = Place::new();
    for words in
        ["credential-process --profile dve", "login dve", "status dve", "use --print bash dve"]
    {
        let said = place.eksd(words).fails(2);
        assert!(said.contains("did you mean `dev`?"), "{words}: {said}");
    }
    let said = place.eksd("token --cluster demo").fails(2);
    assert!(said.contains("eksd: ") && said.contains("demo"), "{said}");
    let said = place.eksd("cluster path demo").fails(2);
    assert!(said.contains("eksd cluster add"), "{said}");
}

#[test]
fn a_broken_line_is_named_and_hurts_nobody_else() {
    let place = Place::new();
    place.login();
    let broken = format!("[profile broken\nregion = x\n{CONFIG}");
    place.write("home/.aws/config", &broken);
    until("the line is reported", || {
        place.eksd("status --json").json()["reports"].as_array().is_some_and(|it| !it.is_empty())
    });
    let shown = place.eksd("status");
    let shown = format!("{}{}", shown.out, shown.err);
    assert!(shown.contains("~/.aws/config:1"), "{shown}");
    let said = place.eksd("config check").failed();
    assert!(said.contains("~/.aws/config:1"), "{said}");
    place.credentials("dev");
    place.write("home/.aws/config", CONFIG);
    until("it is mended", || place.status()["reports"].as_array().is_some_and(Vec::is_empty));
}

/// The file is gone for a moment, as when an editor saves it, or for good.
#[test]
fn a_config_that_goes_and_comes_back() {
    let place = Place::new();
    place.login();
    fs::remove_file(place.path("home/.aws/config")).unwrap();
    until("it is gone", || place.status()["profiles"].as_array().is_some_and(|all| all.len() < 3));
    place.write("home/.aws/new", CONFIG);
    fs::rename(place.path("home/.aws/new"), place.path("home/.aws/config")).unwrap();
    let mut said = String::new();
    let is_back = comes(SOON, || {
        let ran = place.eksd("credential-process --profile dev");
        said = ran.err;
        ran.code == Some(0)
    });
    assert!(is_back, "{said}\n{}\n{}", place.status(), place.log());
    assert_eq!(place.browsers(), 1, "the login was not lost");
}

#[test]
fn aws_cannot_be_reached() {
    let mut place = Place::new();
    place.login();
    let held = place.credentials("dev");
    place.stop_lab();
    let said = place.eksd("credential-process --profile reader").fails(1);
    assert!(said.contains("could not be reached") || said.contains("cannot be reached"), "{said}");
    let given = place.eksd("credential-process --profile dev").json();
    assert_eq!(given, held, "what is held is served");
    let row = place.row("dev");
    assert_ne!(row["phase"], "needs-login", "{row}");
    // A proxy that is not there says which one it was.
    place.end_agent();
    place.set("HTTP_PROXY", "http://127.0.0.1:9");
    place.set("AWS_ENDPOINT_URL", "http://aws.example:80");
    let said = place.eksd("credential-process --profile reader").fails(1);
    assert!(said.contains("eksd: "), "{said}");
    place.eksd("status dev --check").failed();
    assert!(place.read("home/.aws/sso/cache").is_empty());
    let kept = fs::read_dir(place.path("home/.aws/sso/cache")).unwrap().count();
    assert!(1 <= kept, "the login is kept");
}

#[test]
fn a_refused_refresh_needs_a_login_and_says_which() {
    let lifetimes = Lifetimes { access_token: 4, role_credentials: 4, ..Lifetimes::default() };
    let place = Place::with(Script { lifetimes, ..Script::default() });
    place.login();
    place.credentials("dev");
    for what in [What::AccessTokens, What::RefreshTokens, What::Sessions] {
        place.lab().revoke(what);
    }
    place.until_phase("dev", "needs-login");
    let row = place.row("dev");
    assert_eq!(row["action"], "eksd login dev", "{row}");
    let refreshes = || {
        let calls = place.lab().calls_of("CreateToken");
        calls.iter().filter(|call| call.grant.as_deref() == Some("refresh_token")).count()
    };
    let asked = refreshes();
    for _ in 0..5 {
        let said = place.eksd("credential-process --profile dev").fails(1);
        assert!(said.contains("run `eksd login dev`"), "{said}");
    }
    assert_eq!(refreshes(), asked, "a refused session is not asked again");
    place.login();
    place.credentials("dev");
}

/// AWS forgets clients, too. The page in the browser would say so, and nobody would tell eksd.
#[test]
fn a_client_that_aws_forgot_is_registered_anew() {
    let lifetimes = Lifetimes { access_token: 4, role_credentials: 4, ..Lifetimes::default() };
    let place = Place::with(Script { lifetimes, ..Script::default() });
    place.login();
    place.credentials("dev");
    place.lab().revoke(What::All);
    place.until_phase("dev", "needs-login");
    assert_eq!(place.lab().count("RegisterClient"), 1);
    place.login();
    assert_eq!(place.lab().count("RegisterClient"), 2);
    place.credentials("dev");
    // Without a refresh in between that told: by code it is found out on the way.
    place.lab().revoke(What::Clients);
    place.eksd("login dev --force --device-code").ok();
    place.credentials("dev");
}

#[test]
fn clusters_that_cannot_be_added() {
    let place = Place::new();
    let said = place.eksd("cluster add demo --profile dev").failed();
    assert!(said.contains("eksd login dev"), "{said}");
    place.login();
    for (words, expected) in [
        ("demo --profile dev --region us-east-1", "us-east-1"),
        ("dmeo --profile dev", "dmeo"),
        ("demo --profile dve", "did you mean `dev`?"),
        ("demo --profile dev --alias ../../evil", "alias"),
        ("demo --profile dev --region evil.example/", "region"),
    ] {
        let said = place.eksd(&format!("cluster add {words}")).failed();
        assert!(said.contains(expected) && said.contains("fix: "), "{words}: {said}");
    }
    assert_eq!(fs::read_dir(place.path("home/.kube/eksd")).unwrap().count(), 0);
    assert_eq!(place.eksd("cluster list").ok(), "");
}

#[test]
fn a_setting_that_nobody_knows() {
    let place = Place::new();
    place.write("home/.config/eksd/config.toml", &format!("{SETTINGS}[notices]\nenable = true\n"));
    let said = place.eksd("config check").fails(2);
    assert!(said.contains("~/.config/eksd/config.toml:4"), "{said}");
    assert!(said.contains("did you mean `enabled`?"), "{said}");
    let said = place.eksd("agent start").fails(2);
    assert!(said.contains("did you mean `enabled`?"), "{said}");
    assert!(place.agents().is_empty());
    // Programs get one line, and the same.
    let said = place.eksd("credential-process --profile keys").fails(2);
    assert!(said.contains("did you mean `enabled`?") && said.lines().count() == 1, "{said}");
    place.write("home/.config/eksd/config.toml", SETTINGS);
    place.credentials("keys");
}

/// A file in the cache that another tool has half written is not a logout.
#[test]
fn a_torn_token_file_is_no_logout() {
    let place = Place::new();
    place.login();
    place.credentials("dev");
    let files = fs::read_dir(place.path("home/.aws/sso/cache")).unwrap().flatten();
    let token = files
        .map(|entry| entry.path())
        .find(|path| fs::read_to_string(path).unwrap().contains("accessToken"))
        .unwrap();
    let whole = fs::read_to_string(&token).unwrap();
    fs::write(&token, &whole[..whole.len() / 2]).unwrap();
    for _ in 0..5 {
        place.credentials("dev");
        assert_ne!(place.row("dev")["phase"], "needs-login");
    }
    fs::write(&token, &whole).unwrap();
    place.eksd("credential-process --profile reader").ok();
    assert_eq!(place.browsers(), 1);
}

/// A kubeconfig of eksd's that somebody edited or deleted is put right, the person's part kept.
#[test]
fn an_edited_kubeconfig_is_put_right() {
    let place = Place::new();
    place.login();
    place.add_demo();
    let file = "home/.kube/eksd/demo.yaml";
    let before = place.read(file);
    let edited = before.replace("    user: ", "    namespace: team-a\n    user: ");
    let edited = edited.replace("127.0.0.1", "127.0.0.9");
    assert_ne!(edited, before);
    place.write(file, &edited);
    until("put right", || !place.read(file).contains("127.0.0.9"));
    assert!(place.read(file).contains("namespace: team-a"), "{}", place.read(file));
    fs::remove_file(place.path(file)).unwrap();
    until("put back", || place.path(file).exists());
}

/// Roles that go in a circle are found without asking for them, and at the line that closes it.
#[test]
fn a_circle_is_found_by_a_check() {
    let place = Place::new();
    assert_eq!(place.eksd("config check").ok(), "");
    let line = CONFIG.lines().count() + 2;
    place.append(
        "home/.aws/config",
        "[profile ring]\ncredential_process = eksd credential-process --profile other\n\
         [profile other]\nrole_arn = arn:aws:iam::111122223333:role/other\n\
         source_profile = ring\n",
    );
    let said = place.eksd("config check").fails(2);
    assert!(said.contains("ring → other → ring"), "{said}");
    let fix = format!("fix: mend `credential_process` at ~/.aws/config:{line}");
    assert!(said.contains(&fix), "{fix}: {said}");
    // Nobody's login would help.
    let said = place.eksd("login ring --no-input").fails(14);
    assert!(said.contains("→ ring") && !said.contains("run `eksd login"), "{said}");
}

/// An agent that runs is not given up for settings with which none would start.
#[test]
fn a_restart_with_broken_settings_keeps_the_agent() {
    let place = Place::new();
    place.eksd("agent start").talk();
    let before = place.agent();
    place.write("home/.config/eksd/config.toml", "[login]\nflo = \"browser\"\n");
    let said = place.eksd("agent restart").fails(2);
    assert!(said.contains("did you mean `flow`?"), "{said}");
    assert_eq!(place.agent(), before);
    place.write("home/.config/eksd/config.toml", SETTINGS);
    place.eksd("agent restart").talk();
    assert_ne!(place.agent(), before);
}
