//! The real program in a real zsh and bash at a terminal.

use std::path::Path;

use eksd_lab::What;

use crate::place::Place;
use crate::terminal::{Terminal, each_shell};
use crate::tools::tool;

#[test]
fn a_shell_uses_what_it_was_told_and_no_other_does() {
    each_shell(|shell| {
        let place = Place::new();
        place.login();
        place.add_demo();
        let mut here = Terminal::start(&place, shell);
        let mut there = Terminal::start(&place, shell);
        assert_eq!(here.segment(), "", "{shell}: nothing is used yet");
        let said = here.run("kubectl get nodes 2>&1 | head -3");
        assert!(!said.contains("demo.internal"), "{shell}: {said}");

        here.run("eksd use dev");
        here.until_segment("the profile", |segment| segment.contains("dev"));
        assert!(here.run("echo [$AWS_PROFILE]").contains("[dev]"));
        let use_demo = here.run("eksd use demo");
        assert!(!use_demo.contains("error"), "{shell}: {use_demo}");
        here.until_segment("the cluster", |segment| segment.contains("demo"));
        let nodes = here.run("kubectl get nodes");
        assert!(nodes.contains("ip-10-0-0-2.demo.internal"), "{shell}: {nodes}");

        let said = there.run("echo [$AWS_PROFILE$KUBECONFIG]");
        assert!(said.contains("[]"), "{shell}: the other shell has changed: {said}");
        assert_eq!(there.segment(), "", "{shell}");

        here.run("eksd use -");
        here.until_segment("back to the profile", |it| it.contains("dev") && !it.contains("demo"));
        here.run("eksd use --clear");
        here.until_segment("nothing again", str::is_empty);
        let said = here.run("echo [${AWS_PROFILE-none}${KUBECONFIG-none}]");
        assert!(said.contains("[nonenone]"), "{shell}: {said}");

        let said = here.run("eksd use dve; echo \"code $?\"");
        assert!(said.contains("did you mean") && said.contains("code 2"), "{shell}: {said}");
        here.end();
        there.end();
    });
}

#[test]
fn the_segment_tells_when_a_person_is_needed() {
    each_shell(|shell| {
        let lifetimes = eksd_lab::Lifetimes {
            access_token: 4,
            role_credentials: 4,
            ..eksd_lab::Lifetimes::default()
        };
        let script = eksd_lab::Script { lifetimes, ..eksd_lab::Script::default() };
        let place = Place::with(script);
        place.login();
        place.credentials("dev");
        let mut terminal = Terminal::start(&place, shell);
        terminal.run("eksd use dev");
        terminal.until_segment("good", |it| it.contains("dev") && !it.contains("login"));
        for what in [What::AccessTokens, What::RefreshTokens, What::Sessions] {
            place.lab().revoke(what);
        }
        terminal.until_segment("a login is needed", |segment| segment.contains("login"));
        terminal.run("eksd login");
        terminal.until_segment("good again", |it| it.contains("dev") && !it.contains("login"));
        // The agent dies: the prompt says what is still true, and prints no error.
        place.signal(rustix::process::Signal::KILL);
        let said = terminal.run("");
        assert!(!said.contains("eksd") && !said.contains("error"), "{shell}: {said}");
        terminal.end();
    });
}

#[test]
fn completions_know_the_profiles_verbs() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, "bash");
    let said = terminal.run("complete -p eksd");
    assert!(said.contains("-F"), "{said}");
    for shell in ["bash", "zsh", "fish"] {
        let script = place.eksd(&format!("completions {shell}")).ok();
        assert!(script.contains("credential-process"), "{shell}");
    }
    assert!(Path::new(tool("bash").as_os_str()).exists());
    terminal.end();
}
