//! `eksd exec` and `eksd env` as programs: what the command is given, and that it is alone.

#![expect(clippy::disallowed_methods, reason = "a test makes files and environments of its own")]

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

const CONFIG: &str = "[profile dev]\nregion = eu-west-1\n\n[profile sso]\nsso_session = corp\n\
    sso_account_id = 111122223333\nsso_role_name = Developer\n\n[sso-session corp]\n\
    sso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n";

const KEYS: &str = "[dev]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = it's/secret\n";

/// A home with one profile of keys, which needs no AWS, and one that nobody has logged in to.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.write(".aws/config", CONFIG);
        home.write(".aws/credentials", KEYS);
        home.write(".config/eksd/config.toml", "[aws]\ndelivery = \"profile\"\n");
        home
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eksd"));
        command
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.0.path())
            .env("EKSD_NO_AGENT", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs a shell's script below `eksd exec dev`.
    fn script(&self, script: &str) -> Command {
        self.command(&["exec", "dev", "--", "sh", "-c", script])
    }
}

#[track_caller]
fn out(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_command_is_this_process_and_has_no_others() {
    let home = Home::new();
    let script =
        "echo $$; cat /proc/$$/task/$$/children; echo; grep SigIgn /proc/$$/status; exit 7";
    let child = home.script(script).stdout(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], pid.to_string());
    // `cat` reads the list in which it stands itself; nothing else may.
    assert_eq!(lines[1].split_whitespace().count(), 1, "{text}");
    // Rust's programs ignore SIGPIPE, which is number 13; others rely on it.
    let ignored = lines[2].split_whitespace().last().unwrap();
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() >> 12 & 1, 0, "{text}");
}

/// A process that ends with the test, however that ends.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A shell that becomes this program leaves it children that end when they like.
#[test]
fn children_of_somebody_else_are_not_waited_for() {
    let home = Home::new();
    let mut command = Command::new("sh");
    // What stays in the background ends with its input, which is the test's.
    let script = format!(
        "exec 3<&0; cat <&3 >/dev/null 2>&1 & exec '{}' --no-agent exec dev -- true",
        env!("CARGO_BIN_EXE_eksd")
    );
    let like = home.command(&[]);
    command.args(["-c", &script]).env_clear();
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = Guarded(command.stdin(Stdio::piped()).spawn().unwrap());
    let until = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = child.0.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < until, "it waits for the other child");
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(status.success(), "{status}");
}

#[test]
fn a_signal_ends_it_as_it_would_alone() {
    let output = Home::new().script("kill -TERM $$").output().unwrap();
    assert_eq!(output.status.signal(), Some(15));
}

#[test]
fn what_would_win_is_gone_and_the_profile_is_there() {
    let home = Home::new();
    let mut command = home.command(&["exec", "dev", "env"]);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_VAULT", "AWS_DEFAULT_PROFILE"] {
        command.env(name, "old");
    }
    command.env("AWS_REGION", "us-east-1").env("MINE", "stays").env("EKSD_EXEC", "");
    let text = out(&command.output().unwrap());
    let mut lines: Vec<&str> = text
        .lines()
        .filter(|line| ["AWS", "EKSD", "MINE"].iter().any(|start| line.starts_with(start)))
        .collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "AWS_DEFAULT_REGION=eu-west-1",
            "AWS_PROFILE=dev",
            "AWS_REGION=eu-west-1",
            "EKSD_EXEC=dev",
            "EKSD_NO_AGENT=1",
            "EKSD_USE=dev",
            "MINE=stays",
        ]
    );
}

#[test]
fn what_cannot_be_run_is_said_with_the_codes_of_shells() {
    let home = Home::new();
    home.write("plain", "x");
    let plain = home.0.path().join("plain");
    for (words, code, said) in [
        (&["exec", "dev", "--", "no-such-program"][..], 127, "`no-such-program` was not found"),
        (&["exec", "dev", "--", path(&plain)], 126, "cannot be run"),
        (&["exec", "nobody", "--", "true"], 2, "there is no profile or cluster `nobody`"),
        (&["exec", "sso", "--", "true"], 11, "fix: run `eksd login sso`"),
        (&["env", "sso"], 11, "fix: run `eksd login sso`"),
        (&["exec", "sso", "--no-check", "--", "true"], 0, ""),
        (&["exec", "dev", "--server", "--", "true"], 2, "leave `--no-agent` out"),
    ] {
        let output = home.command(words).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {complaint}");
        assert!(complaint.contains(said), "{words:?}: {complaint}");
    }
}

#[test]
fn one_inside_the_other() {
    let home = Home::new();
    let eksd = env!("CARGO_BIN_EXE_eksd");
    let output = home.script(&format!("'{eksd}' exec sso -- true")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("this runs in `eksd exec dev` already"), "{complaint}");
    let script = format!("'{eksd}' exec dev --nested -- printenv EKSD_EXEC");
    assert_eq!(out(&home.script(&script).output().unwrap()), "dev\n");
}

#[test]
fn keys_for_a_shell() {
    let home = Home::new();
    let eksd = env!("CARGO_BIN_EXE_eksd");
    let script = format!(
        "eval \"$('{eksd}' env dev)\"; echo \"$AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_REGION \
         ${{AWS_PROFILE-none}} ${{AWS_SESSION_TOKEN-none}} ${{AWS_CREDENTIAL_EXPIRATION-none}}\""
    );
    let mut command = home.script(&script);
    assert_eq!(
        out(&command.output().unwrap()),
        "AKIAEXAMPLE it's/secret eu-west-1 none none none\n"
    );
}

#[test]
fn a_program_that_prints_keys_does_not_ask_for_its_own() {
    let home = Home::new();
    let mut command = home.command(&["credential-process", "--profile", "dev"]);
    let output = command.env("EKSD_PROFILE_CHAIN", "base\ndev").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "eksd: profile `dev` asks for its own keys (eksd runs this program to get them); give the \
         program in `credential_process` or `mfa_process` another profile\n"
    );
    assert!(output.stdout.is_empty());
}

/// Two programs, each of which asks for the other's profile, and no agent that would know.
#[test]
fn programs_that_ask_for_each_other_end() {
    let home = Home::new();
    let script = |asked: &str| {
        format!(
            "#!/bin/sh\nexec '{}' credential-process --profile {asked}\n",
            env!("CARGO_BIN_EXE_eksd")
        )
    };
    home.write("a", &script("b"));
    home.write("b", &script("a"));
    home.write("c", &script("role"));
    let file = |name: &str| home.0.path().join(name);
    home.write(
        ".aws/config",
        &format!(
            "[profile a]\ncredential_process = sh '{}'\n[profile b]\ncredential_process = sh '{}'\n\
             [profile c]\ncredential_process = sh '{}'\n\
             [profile role]\nrole_arn = arn:aws:iam::111122223333:role/r\nsource_profile = c\n",
            path(&file("a")),
            path(&file("b")),
            path(&file("c"))
        ),
    );
    for (profile, named) in [("a", "profile `a`"), ("c", "profile `c`")] {
        let began = Instant::now();
        let mut command = home.command(&["--no-agent", "credential-process", "--profile", profile]);
        let output = command.env_remove("EKSD_NO_AGENT").output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{complaint}");
        assert!(complaint.contains("asks for its own keys"), "{complaint}");
        assert!(complaint.contains(named), "{complaint}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert!(!home.0.path().join(".local/state/eksd/run/agent.lock").exists(), "no agent");
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
