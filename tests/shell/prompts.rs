//! The segment on the screen of a person: beside themes, with every way of expanding prompts, and
//! with names that try to be code.

use vt100::Color;

use crate::place::{Place, SHELLS, Shell, fresh, line};
use crate::pty::{Pty, READY};

const RED: Color = Color::Idx(1);
const GREEN: Color = Color::Idx(2);
const YELLOW: Color = Color::Idx(3);

#[track_caller]
fn shows(pty: &Pty, text: &str, colour: Color) {
    assert_eq!(pty.segment(), (text.to_owned(), colour), "\n{}", pty.contents());
}

#[test]
fn it_is_there_and_counts_down() {
    for shell in SHELLS {
        let place = Place::new();
        place.prompt("p.x", &fresh("x"));
        let mut pty = Pty::start(&place, shell, &[("AWS_PROFILE", "x")], "", "");
        shows(&pty, "☁ x 2h14m", GREEN);
        place.prompt("p.x", &line("fresh", [Some(-1), Some(570), None], "exact", "x"));
        pty.run("");
        shows(&pty, "☁ x 9m!", YELLOW);
        place.prompt("p.x", &line("fresh", [Some(-9), Some(-1), None], "exact", "x"));
        pty.run("");
        shows(&pty, "☁ x login", RED);
        place.prompt("p.x", &line("fresh", [None, None, Some(-1)], "exact", "x"));
        pty.run("");
        shows(&pty, "☁ x ?", YELLOW);
        place.prompt("p.x", "garbage");
        pty.run("");
        shows(&pty, "", Color::Default);
        std::fs::remove_file(place.path("run/prompt/p.x")).unwrap();
        pty.run("");
        shows(&pty, "☁ x ?", YELLOW);
        pty.run("unset AWS_PROFILE");
        shows(&pty, "", Color::Default);
        pty.run("export KUBECONFIG=~/.kube/eksd/prod.yaml");
        shows(&pty, "⎈ prod ?", YELLOW);
        pty.run("export NO_COLOR=1");
        shows(&pty, "⎈ prod ?", Color::Default);
        pty.run("EKSD_PROMPT=off");
        shows(&pty, "", Color::Default);
        pty.run("EKSD_PROMPT=left NO_COLOR=");
        shows(&pty, "⎈ prod ?", YELLOW);
        pty.end();
    }
}

#[test]
fn statuses_are_kept() {
    for shell in SHELLS {
        let place = Place::new();
        place.prompt("p.x", &fresh("x"));
        let mut pty = Pty::start(&place, shell, &[("AWS_PROFILE", "x")], "", "");
        pty.run("false");
        assert!(pty.run("echo status=$?").contains("status=1"), "{}", pty.contents());
        pty.run("(exit 42)");
        assert!(pty.run("echo status=$?").contains("status=42"), "{}", pty.contents());
        pty.run("false | true | (exit 5)");
        let parts =
            shell.pick("echo \"parts=${pipestatus[*]}\"", "echo \"parts=${PIPESTATUS[*]}\"");
        assert!(pty.run(parts).contains("parts=1 0 5"), "{}", pty.contents());
        pty.run("sleep 0 & wait; first=$!");
        assert!(pty.run("echo same=$(( first == $! ))").contains("same=1"), "{}", pty.contents());

        pty.send("sh -c 'echo started$((1)); exec cat'");
        pty.wait("started1");
        pty.control('c');
        pty.wait(READY);
        assert!(pty.run("echo status=$?").contains("status=130"), "{}", pty.contents());
        pty.control('c');
        pty.wait(READY);
        shows(&pty, "☁ x 2h14m", GREEN);
        assert!(pty.run("jobs; echo jobs=$((0))").contains("jobs=0"), "{}", pty.contents());
        pty.end();
    }
}

/// Everything that some prompt, in some mode, would run, expand or swallow.
const HOSTILE: &str =
    r"a$(touch pwned)`touch pwned`${HOME}%n%{x%}%F{red}\w\u\[\]\$(touch pwned)!1&%%|end";

#[test]
fn names_are_never_code() {
    for shell in SHELLS {
        let modes: &[&str] = match shell {
            Shell::Zsh => &["", "setopt prompt_subst", "setopt prompt_subst prompt_bang"],
            Shell::Bash => &["", "shopt -u promptvars", "set -o posix", "set +o emacs"],
        };
        for mode in modes {
            for has_file in [true, false] {
                let place = Place::new();
                let env =
                    [("AWS_PROFILE", if has_file { "x" } else { HOSTILE }), ("EKSD_WIDTH", "99")];
                if has_file {
                    place.prompt("p.x", &fresh(HOSTILE));
                }
                let mut pty = Pty::start(&place, shell, &env, mode, "");
                let time = if has_file { "2h14m" } else { "?" };
                let mut expected = format!("☁ {HOSTILE} {time}");
                if *mode == "shopt -u promptvars" {
                    expected = expected.replace(['$', '`', '\\'], "?");
                }
                pty.run("");
                assert_eq!(pty.segment().0.replace('\n', ""), expected, "{} {mode}", shell.name());
                // What was put into PS1 stays harmless where it is expanded again.
                if shell == Shell::Bash {
                    pty.run("PROMPT_COMMAND= PS4=; shopt -s promptvars; set +o posix");
                    pty.run("");
                } else {
                    pty.run("precmd_functions=(); setopt prompt_subst");
                    pty.run("");
                }
                assert!(!place.is_pwned(), "{} {mode}", shell.name());
                pty.end();
            }
        }
    }
}

#[test]
fn promptvars_may_change() {
    let place = Place::new();
    place.prompt("p.x", &fresh("x"));
    let mut pty = Pty::start(&place, Shell::Bash, &[("AWS_PROFILE", "x")], "", "");
    for change in ["shopt -u promptvars", "shopt -s promptvars", "shopt -u promptvars"] {
        pty.run(change);
        shows(&pty, "☁ x 2h14m", GREEN);
        place.prompt("p.x", &line("needs-login", [None; 3], "exact", "x"));
        pty.run("");
        shows(&pty, "☁ x login", RED);
        place.prompt("p.x", &fresh("x"));
        pty.run("");
        shows(&pty, "☁ x 2h14m", GREEN);
    }
    pty.run("EKSD_PROMPT=off");
    shows(&pty, "", Color::Default);
    assert!(pty.run("echo length=${#PS1}").contains(&format!("length={}", READY.len())));
}

#[test]
fn themes_that_build_the_prompt_each_time() {
    for shell in SHELLS {
        let theme = format!(
            "theme() {{ seen=\"$? {}\"; PS1='theme {READY}'; }}",
            shell.pick("${pipestatus[*]}", "${PIPESTATUS[*]}",)
        );
        let ways: &[&str] = match shell {
            Shell::Zsh => &["precmd_functions+=(theme)", "precmd() { theme }"],
            Shell::Bash => &[
                "PROMPT_COMMAND=theme",
                "PROMPT_COMMAND=\"${PROMPT_COMMAND:+$PROMPT_COMMAND;}theme\"",
                "PROMPT_COMMAND=\"theme${PROMPT_COMMAND:+;$PROMPT_COMMAND}\"",
                "PROMPT_COMMAND+=(theme)",
                "PROMPT_COMMAND=(theme true)",
            ],
        };
        for way in ways {
            for is_late in [false, true] {
                let place = Place::new();
                place.prompt("p.x", &fresh("x"));
                let theme = format!("{theme}; {way}");
                let (rc, late) = if is_late { ("", &*theme) } else { (&*theme, "") };
                let mut pty = Pty::start(&place, shell, &[("AWS_PROFILE", "x")], rc, late);
                if is_late && shell == Shell::Bash && !way.contains("${") && !way.contains('+') {
                    // It threw every other command away, ours too.
                    continue;
                }
                for _ in 0..2 {
                    pty.run("");
                    shows(&pty, "☁ x 2h14m theme", GREEN);
                }
                pty.run("true | (exit 9)");
                assert!(
                    pty.run("echo \"seen=$seen\"").contains("seen=9 0 9"),
                    "{way}:\n{}",
                    pty.contents()
                );
                pty.end();
            }
        }
    }
}

#[test]
fn beside_other_prompt_text() {
    let place = Place::new();
    place.prompt("p.x", &fresh("x"));
    for shell in SHELLS {
        let rc = shell.pick("PS1=$'\\n'\"$PS1\"", "PS1=\"\\n$PS1\"");
        let mut pty = Pty::start(&place, shell, &[("AWS_PROFILE", "x")], rc, "");
        pty.run("");
        shows(&pty, "☁ x 2h14m", GREEN);
        pty.end();
    }
    let rc = "RPROMPT='END'";
    let env = [("AWS_PROFILE", "x"), ("EKSD_PROMPT", "right")];
    let mut pty = Pty::start(&place, Shell::Zsh, &env, rc, "");
    pty.send("");
    pty.wait("END");
    assert!(pty.contents().contains("☁ x 2h14m END"), "{}", pty.contents());
    pty.send("EKSD_PROMPT=off");
    pty.wait("END");
    pty.wait("END");
    pty.run("");
    shows(&pty, "", Color::Default);
}

#[test]
fn readline_counts_the_columns() {
    // A line that wraps and is edited at its start: colours counted as columns would tear it.
    for shell in SHELLS {
        let place = Place::new();
        place.prompt("p.x", &fresh("x"));
        let mut pty =
            Pty::start(&place, shell, &[("AWS_PROFILE", "x")], "bindkey -e 2>/dev/null", "");
        let text = "0123456789".repeat(19);
        pty.type_in(&format!(": {text}; echo wrapped$((1))"));
        pty.wait("$((1))");
        pty.control('a');
        pty.control('e');
        pty.send("");
        pty.wait("wrapped1");
        let screen = pty.contents();
        assert!(screen.replace('\n', "").contains(&format!("2h14m {READY}: {text}")), "{screen}");
    }
}
