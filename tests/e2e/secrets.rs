//! No secret where none belongs: each command is driven with the most talkative log, and everything
//! it leaves behind is searched for the secrets that the lab has handed out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use eksd_lab::{Act, Fault, What};
use serde_json::Value;

use crate::place::Place;
use crate::tools::until;

/// Every secret seen so far.
#[derive(Default)]
struct Secrets(BTreeSet<String>);

impl Secrets {
    fn add(&mut self, value: &Value) {
        let text = value.as_str().expect("a secret is text");
        assert!(16 <= text.len(), "too short to be looked for: {text}");
        self.0.insert(text.to_owned());
    }

    /// Takes what the shared cache holds now.
    fn read_cache(&mut self, place: &Place) {
        for entry in fs::read_dir(place.path("home/.aws/sso/cache")).unwrap().flatten() {
            let Ok(text) = fs::read_to_string(entry.path()) else { continue };
            let Ok(file) = serde_json::from_str::<Value>(&text) else { continue };
            for name in ["accessToken", "refreshToken", "clientSecret"] {
                if !file[name].is_null() {
                    self.add(&file[name]);
                }
            }
        }
    }

    /// Takes what an SDK was given.
    fn read_keys(&mut self, place: &Place, profile: &str) {
        let given = place.credentials(profile);
        for name in ["SecretAccessKey", "SessionToken"] {
            if !given[name].is_null() {
                self.add(&given[name]);
            }
        }
    }

    #[track_caller]
    fn are_not_in(&self, text: &[u8], what: &str) {
        for secret in &self.0 {
            // A part that was cut off would do harm as well.
            let secret = &secret[..secret.len().min(24)];
            let found = text.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "`{secret}…` is in {what}");
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn secrets_are_only_where_they_belong() {
    let mut place = Place::new();
    place.set("EKSD_LOG", "trace");
    let mut secrets = Secrets::default();
    let mut said = Vec::new();
    let mut run = |words: &str| {
        let ran = place.eksd(words);
        said.push((words.to_owned(), format!("{}{}", ran.out, ran.err)));
    };
    run("login dev");
    secrets.read_cache(&place);
    for profile in ["dev", "reader", "chained", "keys"] {
        secrets.read_keys(&place, profile);
    }
    for words in [
        "cluster add demo --profile dev",
        "status",
        "status --verbose --all",
        "status --json",
        "status dev --check",
        "cluster list",
        "cluster list --json",
        "cluster path demo",
        "cluster sync",
        "login dev",
        "login dev --no-input",
        "use --print bash demo",
        "init zsh",
        "init bash",
        "prompt demo",
        "prompt dev --format json",
        "config check",
        "config path",
        "agent status",
        "agent logs -n 10000",
        "completions zsh",
        "credential-process --profile nobody",
        "token --cluster nobody",
        "nonsense",
    ] {
        run(words);
    }
    let token = place.eksd("token --cluster demo").json();
    secrets.add(&token["status"]["token"]);
    // Everything that can go wrong, and is told about with its causes.
    for act in [Act::Html, Act::Half, Act::DropAfter, Act::Drop] {
        // Not the person's page: its loss is nothing that eksd could see.
        for op in ["CreateToken", "GetRoleCredentials", "Logout", "DescribeCluster"] {
            place.lab().queue(Fault::new(op, act.clone()).times(2));
        }
        run("cluster sync demo");
        run("login dev --force");
        place.lab().clear_faults();
        secrets.read_cache(&place);
    }
    for (op, status, code) in [
        ("CreateToken", 400, "InvalidGrantException"),
        ("GetRoleCredentials", 403, "ForbiddenException"),
        ("AssumeRole", 403, "AccessDenied"),
        ("DescribeCluster", 404, "ResourceNotFoundException"),
    ] {
        place.lab().queue(Fault::status(op, status, code).times(2));
        run("login dev --force");
        run("cluster sync demo");
        place.lab().clear_faults();
        secrets.read_cache(&place);
    }
    run("login dev --force");
    secrets.read_cache(&place);
    secrets.read_keys(&place, "dev");
    place.lab().revoke(What::All);
    run("credential-process --profile nobody");
    run("status --json");
    run("logout --all");
    run("agent logs -n 10000");
    assert!(12 <= secrets.0.len(), "only {} secrets were planted", secrets.0.len());

    for (words, text) in &said {
        secrets.are_not_in(text.as_bytes(), &format!("the output of `eksd {words}`"));
    }
    let agent = place.agent().as_raw_nonzero();
    for name in ["cmdline", "environ", "comm"] {
        let path = format!("/proc/{agent}/{name}");
        secrets.are_not_in(&fs::read(&path).unwrap_or_default(), &path);
    }
    assert!(place.log().contains("login"), "the log is on");
    place.end_agent();
    let cache = place.path("home/.aws/sso/cache");
    let mut searched = 0;
    for path in files(&place.path("")) {
        // The person's own keys are in their own file.
        if path.ends_with(".aws/credentials") || path.starts_with(&cache) {
            continue;
        }
        secrets.are_not_in(&fs::read(&path).unwrap(), &path.display().to_string());
        searched += 1;
    }
    assert!(8 <= searched, "{searched} files");
    // Nothing was left in the cache by the logout.
    for path in files(&cache) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("accessToken"), "{}", path.display());
    }
}

/// An agent that dies leaves no picture of its memory, and nobody of the same user can read it.
#[test]
fn the_agent_keeps_its_memory_to_itself() {
    let place = Place::new();
    place.login();
    place.credentials("dev");
    let agent = place.agent().as_raw_nonzero();
    let limits = fs::read_to_string(format!("/proc/{agent}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    // What cannot be dumped belongs to root in /proc, whoever runs it.
    until("it is not dumpable", || {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(format!("/proc/{agent}/mem")).unwrap().uid() == 0
    });
}
