//! What the segment says for each line, and which file is read.

use crate::place::{Place, SHELLS, fresh, line};

/// Runs the hook as a prompt would and prints the text.
const SHOW: &str = "__eksd_precmd; printf '%s' \"$EKSD_SEGMENT\"";

#[track_caller]
fn check(place: &Place, env: &[(&str, &str)], expected: &str) {
    for shell in SHELLS {
        let script = format!("{}; {SHOW}", place.source(shell));
        assert_eq!(place.says(shell, env, &script), expected, "{} {env:?}", shell.name());
    }
}

#[test]
fn the_phases() {
    let place = Place::new();
    let later = Some(8_070);
    for (phase, instants, confidence, expected) in [
        ("fresh", [Some(6_270), later, None], "exact", "☁ x 2h14m"),
        ("fresh", [Some(6_270), later, Some(60)], "exact", "☁ x 2h14m"),
        ("fresh", [None, Some(3_630), None], "exact", "☁ x 1h00m"),
        ("fresh", [None, Some(3_570), None], "exact", "☁ x 59m"),
        ("fresh", [None, Some(172_770), None], "exact", "☁ x 47h59m"),
        ("fresh", [None, Some(172_860), None], "exact", "☁ x 2d"),
        ("fresh", [None, later, None], "estimated", "☁ x ~2h14m"),
        ("fresh", [None, later, None], "unknown", "☁ x 2h14m"),
        ("fresh", [Some(-1), Some(570), None], "exact", "☁ x 9m!"),
        ("fresh", [Some(-1), Some(570), None], "estimated", "☁ x ~9m!"),
        ("fresh", [Some(-9), Some(-1), None], "exact", "☁ x login"),
        ("fresh", [None, None, None], "unknown", "☁ x"),
        ("fresh", [None, None, Some(-1)], "unknown", "☁ x ?"),
        ("fresh", [Some(-9), Some(-9), Some(-1)], "exact", "☁ x ?"),
        ("renewing", [Some(6_270), later, None], "exact", "☁ x 2h14m"),
        ("renewing", [None, None, None], "unknown", "☁ x"),
        ("idle", [None, None, None], "unknown", "☁ x"),
        ("static", [None, None, None], "exact", "☁ x"),
        ("expiring", [Some(6_270), later, None], "exact", "☁ x 2h14m!"),
        ("degraded", [Some(6_270), later, None], "exact", "☁ x 2h14m!"),
        ("degraded", [None, None, None], "unknown", "☁ x !"),
        ("needs-login", [None, None, None], "exact", "☁ x login"),
        ("needs-login", [None, None, Some(-1)], "exact", "☁ x login"),
        ("needs-mfa", [None, later, None], "exact", "☁ x mfa"),
        ("expired", [None, None, None], "exact", "☁ x expired"),
        ("misconfigured", [None, None, None], "unknown", "☁ x config"),
        ("one-day-perhaps", [None, later, None], "exact", "☁ x ?"),
    ] {
        place.prompt("p.x", &line(phase, instants, confidence, "x"));
        check(&place, &[("AWS_PROFILE", "x")], expected);
    }
}

#[test]
fn the_last_minute() {
    let place = Place::new();
    for shell in SHELLS {
        place.prompt("p.x", &line("fresh", [Some(-1), Some(45), None], "exact", "x"));
        let script = format!("{}; {SHOW}", place.source(shell));
        let shown = place.says(shell, &[("AWS_PROFILE", "x")], &script);
        let left = shown.strip_prefix("☁ x ").and_then(|rest| rest.strip_suffix("s!"));
        let left: u32 = left.unwrap_or_else(|| panic!("{shown}")).parse().unwrap();
        assert!((30..=45).contains(&left), "{shown}");
    }
}

#[test]
fn what_is_no_line_shows_nothing() {
    let place = Place::new();
    for garbage in [
        "",
        "\n",
        "garbage",
        "eksd1",
        "eksd2|fresh|0|0|0|exact|x\n",
        "eksd1|fresh|0|0|0|exact|\n",
        "eksd1|fresh|0|0|0|exact\n",
        "eksd1|fresh|a[$(touch pwned)]|0|0|exact|x\n",
        "eksd1|fresh|1+1|0|0|exact|x\n",
        "eksd1|fresh|-1|0|0|exact|x\n",
        "eksd1|fresh||0|0|exact|x\n",
        "eksd1|fresh|99999999999999999999999|0|0|exact|x\n",
        "\0\0\u{1}|||||||\u{7f}",
    ] {
        place.prompt("p.x", garbage);
        check(&place, &[("AWS_PROFILE", "x")], "");
    }
    // Numbers are decimal, and what follows the first line is not read.
    place.prompt("p.x", "eksd1|fresh|0|009999999999|08|exact|x\nmore\n");
    check(&place, &[("AWS_PROFILE", "x")], "☁ x ?");
    assert!(!place.is_pwned());
}

#[test]
fn no_file_that_can_be_read() {
    let place = Place::new();
    check(&place, &[("AWS_PROFILE", "x")], "☁ x ?");
    std::fs::create_dir(place.path("run/prompt/p.x")).unwrap();
    check(&place, &[("AWS_PROFILE", "x")], "☁ x ?");
    // Reading a pipe would wait for ever.
    let pipe = place.path("run/prompt/p.pipe");
    assert!(place.command("mkfifo").arg(&pipe).status().unwrap().success());
    check(&place, &[("AWS_PROFILE", "pipe")], "☁ pipe ?");
    let file = place.path("eksd.zsh");
    check(&place, &[("AWS_PROFILE", "x"), ("EKSD_RUNTIME_DIR", file.to_str().unwrap())], "☁ x ?");
    check(&place, &[("AWS_PROFILE", "x"), ("EKSD_RUNTIME_DIR", "/nowhere")], "☁ x ?");
}

#[test]
fn which_thing() {
    let place = Place::new();
    for name in ["p.x", "p.y", "c.prod"] {
        place.prompt(name, &fresh(&name[2..]));
    }
    let kube = place.path("home/.kube/eksd");
    let kube = kube.to_str().unwrap();
    let file = |name: &str| format!("{kube}/{name}");
    for (kubeconfig, profile, default, expected) in [
        ("", "", "", ""),
        ("", "x", "", "☁ x 2h14m"),
        ("", "x", "y", "☁ x 2h14m"),
        ("", "", "y", "☁ y 2h14m"),
        (&*file("prod.yaml"), "x", "", "⎈ prod 2h14m"),
        (&file("prod.yaml"), "", "", "⎈ prod 2h14m"),
        // Of several the first counts, as for kubectl; what is kept for one shell stands before them.
        (&file("prod.yaml:/other"), "x", "", "⎈ prod 2h14m"),
        (&format!("/other:{}", file("prod.yaml")), "x", "", "☁ x 2h14m"),
        (&format!("/run/eksd/shell/12-34.yaml:{}", file("prod.yaml")), "x", "", "⎈ prod 2h14m"),
        (
            &format!("/run/eksd/shell/12-34.yaml:{}:{kube}/y.yaml", file("prod.yaml")),
            "x",
            "",
            "⎈ prod 2h14m",
        ),
        (
            &format!("/run/eksd/shell/exec-12-34.yaml:{}", file("prod.yaml")),
            "x",
            "",
            "⎈ prod 2h14m",
        ),
        ("/run/eksd/shell/12-34.yaml", "x", "", "☁ x 2h14m"),
        (&format!("/run/eksd/shell/my.yaml:{}", file("prod.yaml")), "x", "", "☁ x 2h14m"),
        (&file("deep/prod.yaml"), "x", "", "☁ x 2h14m"),
        (&file("prod.yml"), "x", "", "☁ x 2h14m"),
        (&file(".yaml"), "x", "", "☁ x 2h14m"),
        ("/elsewhere/prod.yaml", "x", "", "☁ x 2h14m"),
    ] {
        let env = [
            ("KUBECONFIG", kubeconfig),
            ("AWS_PROFILE", profile),
            ("AWS_DEFAULT_PROFILE", default),
        ];
        check(&place, &env, expected);
    }
    let elsewhere = [("KUBECONFIG", "/k/prod.yaml"), ("EKSD_KUBE_DIR", "/k/")];
    check(&place, &elsewhere, "⎈ prod 2h14m");
}

#[test]
fn where_the_files_are() {
    let place = Place::new();
    let root = place.path("");
    let at = |name: &str| root.join(name).to_str().unwrap().to_owned();
    for (dir, name) in [
        ("session/eksd", "session"),
        ("state/run", "state"),
        ("xdg/eksd/run", "xdg"),
        ("home/.local/state/eksd/run", "home"),
        ("work", "work"),
    ] {
        std::fs::create_dir_all(place.path(dir).join("prompt")).unwrap();
        place.write(&format!("{dir}/prompt/p.x"), &fresh(name));
    }
    let (session, state, xdg) = (at("session"), at("state"), at("xdg"));
    let cases: [(&str, &str, &str, &str, &str); 8] = [
        ("", &session, &state, &xdg, "☁ session 2h14m"),
        ("", "", &state, &xdg, "☁ state 2h14m"),
        ("", "", "", &xdg, "☁ xdg 2h14m"),
        ("", "", "", "", "☁ home 2h14m"),
        ("~/.local/state/eksd/run", "", "", "", "☁ home 2h14m"),
        // Gone after a logout; relative.
        ("", "/gone", "", "", "☁ home 2h14m"),
        ("", "work", "", "work", "☁ home 2h14m"),
        // Nothing is read from the working folder.
        (".", "", "", "", ""),
    ];
    for (runtime, session, state, xdg, expected) in cases {
        let env = [
            ("AWS_PROFILE", "x"),
            ("EKSD_RUNTIME_DIR", runtime),
            ("XDG_RUNTIME_DIR", session),
            ("EKSD_STATE_DIR", state),
            ("XDG_STATE_HOME", xdg),
        ];
        check(&place, &env, expected);
    }
}

#[test]
fn names_of_files() {
    let place = Place::new();
    let long = "x".repeat(200);
    let longer = "x".repeat(201);
    let wide = "é".repeat(34);
    for (name, file) in [
        ("Az09._@+-", "p.Az09._@+-"),
        ("a b/c", "p.a%20b%2Fc"),
        ("é", "p.%C3%A9"),
        ("日本", "p.%E6%97%A5%E6%9C%AC"),
        ("%:\\*?[]'\"", "p.%25%3A%5C%2A%3F%5B%5D%27%22"),
        ("../x", "p...%2Fx"),
        ("a\tb\nc", "p.a%09b%0Ac"),
        (&long, &format!("p.{long}")),
    ] {
        place.prompt(file, &fresh("found"));
        for locale in ["C.UTF-8", "C", "en_XX.UTF-8"] {
            let env = [("AWS_PROFILE", name), ("LC_ALL", locale)];
            for shell in SHELLS {
                let script = format!("{} 2>/dev/null; {SHOW}", place.source(shell));
                let output = place.script(shell, &[], &env, &script);
                let shown = String::from_utf8_lossy(&output.stdout);
                assert!(
                    shown.ends_with("found 2h14m"),
                    "{} {name} {locale}: {shown}",
                    shell.name()
                );
            }
        }
    }
    check(&place, &[("AWS_PROFILE", &longer)], "");
    check(&place, &[("AWS_PROFILE", &wide)], "");
}

#[test]
fn marks_and_widths() {
    let place = Place::new();
    place.prompt("p.x", &fresh("é-a-rather-long-name-for-a-profile-in-a-prompt"));
    let x = ("AWS_PROFILE", "x");
    check(&place, &[x], "☁ é-a-rather-long-name-for-a-profile-in-a… 2h14m");
    check(&place, &[x, ("EKSD_WIDTH", "8")], "☁ é-a-rat… 2h14m");
    check(&place, &[x, ("EKSD_WIDTH", "1x")], "☁ é-a-rather-long-name-for-a-profile-in-a… 2h14m");
    check(
        &place,
        &[x, ("EKSD_WIDTH", "100")],
        "☁ é-a-rather-long-name-for-a-profile-in-a-prompt 2h14m",
    );
    for plain in [("EKSD_ASCII", "1"), ("TERM", "dumb"), ("TERM", "linux")] {
        check(&place, &[x, plain, ("EKSD_WIDTH", "8")], "aws:?-a-r... 2h14m");
    }
    check(&place, &[x, ("LC_ALL", "C"), ("EKSD_WIDTH", "8")], "aws:??-a-... 2h14m");
    check(
        &place,
        &[("KUBECONFIG", "/k/a.yaml"), ("EKSD_KUBE_DIR", "/k"), ("EKSD_ASCII", "1")],
        "k8s:a ?",
    );
}

#[test]
fn names_are_made_harmless() {
    let place = Place::new();
    for (name, shown) in [
        ("a\u{1b}[31mb\u{7}\r\n\u{7f}", "a?[31mb????"),
        ("a\u{9b}b", "a?b"),
        ("a\u{202e}b\u{200b}\u{2066}\u{feff}", "a?b???"),
        ("é日", "é日"),
    ] {
        check(&place, &[("AWS_PROFILE", name)], &format!("☁ {shown} ?"));
        place.prompt("p.file", &fresh(name.trim_end_matches(['\n', '\u{7f}', '\r'])));
        for shell in SHELLS {
            let script = format!("{}; {SHOW}", place.source(shell));
            let shown = place.says(shell, &[("AWS_PROFILE", "file")], &script);
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
        }
    }
}
