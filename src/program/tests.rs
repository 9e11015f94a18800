//! Helpers that behave and helpers that do not, in the real shell.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use super::{error::Stream, *};
use crate::{
    model::{FileKind, Origin, session::FailureClass},
    report::{Code, Report},
};

const PASSES: FailureClass = FailureClass::MayPass { retry_after: None };

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn environment() -> Environment {
    Environment::default().with("PATH", "/usr/local/bin:/usr/bin:/bin")
}

async fn helper(command: &str) -> Result<String, ProgramError> {
    let printed = run(command, &environment(), PATIENCE).await?;
    Ok(printed.expose().to_owned())
}

fn report(error: &ProgramError) -> Report {
    let origin = Origin { kind: FileKind::Config, file: "~/.aws/config".into(), line: 7 };
    error.report("credential_process", "dev", &origin)
}

/// Processes whose ids stand in a file; they end with the test, however that ends.
struct Left(std::path::PathBuf);

impl Drop for Left {
    fn drop(&mut self) {
        for pid in pids(&self.0) {
            let pid = pid.parse().ok().and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                let _ended = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

/// Waits for a condition.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let begun = Instant::now();
    let place = std::panic::Location::caller();
    async move {
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE, "{what} ({place})");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Returns the state letter of a process (proc(5), `stat`); `None` where there is none.
fn state(pid: &str) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

fn pids(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_it_prints_is_returned() {
    for (command, expected) in [
        ("printf '%s' no-newline", "no-newline"),
        ("echo line", "line\n"),
        ("true", ""),
        ("printf 'é⎈'", "é⎈"),
        ("echo complaint >&2; echo answer", "answer\n"),
        ("cat", ""),
        // What comes after the stream was closed by the helper itself is its end.
        ("printf early; exec >&-; true", "early"),
        // A shell: quotes, variables and pipes.
        ("V='a  b'; printf '%s' \"$V\" | tr a c", "c  b"),
        // As much as may be.
        ("head -c 65536 /dev/zero | tr '\\0' x | wc -c", "65536\n"),
    ] {
        let printed = helper(command).await.unwrap();
        assert_eq!(printed.trim_start_matches(' '), expected, "{command}");
    }
    let most = helper("head -c 65536 /dev/zero | tr '\\0' x").await.unwrap();
    assert_eq!(most.len(), 65536);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hanging_helper_is_killed_with_its_children_and_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pids");
    let command =
        format!("sleep 600 & echo $! $$ > '{0}.new'; mv '{0}.new' '{0}'; wait", file.display());
    // The deadline has to leave time for the two ids to be written: another look where it did not.
    let _left = Left(file.clone());
    let mut deadline = Duration::from_millis(50);
    while !file.exists() {
        assert!(deadline < PATIENCE);
        let begun = Instant::now();
        let error = run(&command, &environment(), deadline).await.unwrap_err();
        assert!(
            matches!(error, ProgramError::Deadline { after } if after == deadline),
            "{error:?}"
        );
        assert!(begun.elapsed() < PATIENCE);
        assert_eq!(error.class(), PASSES);
        deadline *= 2;
    }
    let found = pids(&file);
    // A grandchild is the first process's to wait for, whoever that is here.
    until("child is dead", || state(&found[0]).is_none_or(|state| state == 'Z')).await;
    until("helper is waited for", || state(&found[1]).is_none()).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_helper_for_which_nobody_waits_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pids");
    let command =
        format!("sleep 600 & echo $! $$ > '{0}.new'; mv '{0}.new' '{0}'; wait", file.display());
    let _left = Left(file.clone());
    let task = tokio::spawn(async move { run(&command, &environment(), PATIENCE).await.is_ok() });
    until("helper runs", || file.exists()).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let found = pids(&file);
    until("child is dead", || state(&found[0]).is_none_or(|state| state == 'Z')).await;
    until("helper is waited for", || state(&found[1]).is_none()).await;
}

#[tokio::test]
async fn floods_are_stopped() {
    for (command, stream, most) in
        [("yes", Stream::Stdout, 64 * 1024), ("yes >&2", Stream::Stderr, 1024 * 1024)]
    {
        let error = helper(command).await.unwrap_err();
        let is_it = matches!(
            error,
            ProgramError::TooMuch { stream: found, most: limit } if found == stream && limit == most
        );
        assert!(is_it, "{error:?}");
        assert_eq!(error.class(), FailureClass::NeverWorks);
    }
    // One byte too many, at the very end.
    let error = helper("head -c 65537 /dev/zero").await.unwrap_err();
    assert!(matches!(error, ProgramError::TooMuch { stream: Stream::Stdout, .. }), "{error:?}");
    // Many complaints that end are no flood.
    let printed = helper("head -c 900000 /dev/zero >&2; printf fine").await.unwrap();
    assert_eq!(printed, "fine");
}

#[tokio::test]
async fn what_is_left_in_the_background_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    // It holds both pipes, by a parent that is gone.
    let command = format!("(sleep 600 & echo $! > '{}'); printf done", file.display());
    let _left = Left(file.clone());
    let begun = Instant::now();
    assert_eq!(helper(&command).await.unwrap(), "done");
    assert!(begun.elapsed() < PATIENCE);
    let left = pids(&file)[0].parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(left, rustix::process::Signal::KILL).expect("it lives");
    // Nor does one that goes on writing keep it; that ends when nobody reads it.
    let error = helper("(yes &); printf done").await;
    assert!(matches!(error, Ok(_) | Err(ProgramError::TooMuch { .. })), "{error:?}");
}

/// Of a helper that failed or flooded nothing stays, though it has ended itself.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_a_failed_helper_left_is_killed() {
    for end in ["exit 3", "kill -TERM $$", "head -c 70000 /dev/zero; exit 0"] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let left = Left(file.clone());
        // It holds no pipe.
        let command = format!("sleep 600 >/dev/null 2>&1 & echo $! > '{}'; {end}", file.display());
        helper(&command).await.unwrap_err();
        let found = pids(&file);
        until("child is dead", || state(&found[0]).is_none_or(|state| state == 'Z')).await;
        drop(left);
    }
}

#[tokio::test]
async fn the_last_complaints_are_shown_and_no_part_of_a_word() {
    // The cut goes through a word.
    let command = "for i in 1 2 3 4; do head -c 29999 /dev/zero | tr '\\0' x >&2; printf ' ' >&2; \
                   done; echo the cause >&2; exit 1";
    let error = helper(command).await.unwrap_err();
    let ProgramError::Failed { words, .. } = &error else { panic!("{error:?}") };
    assert!(words.ends_with(" the cause"), "{words}");
    let command = "head -c 70000 /dev/zero | tr '\\0' z >&2; echo ' the cause' >&2; exit 1";
    let error = helper(command).await.unwrap_err();
    let ProgramError::Failed { words, .. } = &error else { panic!("{error:?}") };
    assert_eq!(words, "the cause");
}

#[tokio::test]
async fn a_helper_that_waits_for_itself_is_not_run() {
    let env = crate::config::Env::from_map([("HOME", "/h"), ("EKSD_PROFILE_CHAIN", "dev\nother")]);
    let made = environment().for_one_call(&env).for_profile("dev", None);
    let error = run("echo planted", &made, PATIENCE).await.unwrap_err();
    assert_eq!(error.class(), FailureClass::NeverWorks);
    let report = report(&error);
    assert_eq!(
        report.why,
        ["the program of profile `dev` asks for its own keys, by way of another profile"]
    );
    assert_eq!(report.fix, "give the program at ~/.aws/config:7 another profile to ask for");
}

#[tokio::test]
async fn failures_say_why_without_secrets() {
    let error = helper(
        "echo 'no item \"aws\": token=planted-token, key AKIAIOSFODNN7EXAMPLE' >&2; \
         echo planted-stdout; exit 3",
    )
    .await
    .unwrap_err();
    assert_eq!(error.class(), PASSES);
    let report = report(&error);
    assert_eq!(report.code, Code::ProgramFailed);
    assert_eq!(
        report.to_string(),
        "error: the `credential_process` of `dev` brought nothing\n  \
         because: it ended with exit status 3\n  \
         because: no item \"aws\": token=*** key ***\n  \
         fix: run the command at ~/.aws/config:7 yourself, without a terminal for it: \
         `sh -c '…' < /dev/null`"
    );
    assert!(!format!("{error:?} {report:?}").contains("planted"));
    let silent = self::report(&helper("exit 1").await.unwrap_err());
    assert_eq!(silent.why, ["it ended with exit status 1"]);
}

#[tokio::test]
async fn other_bad_ends() {
    let killed = helper("kill -TERM $$").await.unwrap_err();
    assert_eq!(killed.to_string(), "it ended with signal 15");
    assert_eq!(killed.class(), PASSES);
    for command in ["/no/such/helper", "no-such-helper --with args", "/etc/passwd"] {
        let error = helper(command).await.unwrap_err();
        assert_eq!(error.class(), FailureClass::NeverWorks, "{error:?}");
        assert!(report(&error).fix.contains("by its full path"), "{command}");
    }
    let binary = helper("printf 'planted\\377'").await.unwrap_err();
    assert!(matches!(binary, ProgramError::NotText), "{binary:?}");
    let nul = helper("a\0b").await.unwrap_err();
    assert!(matches!(nul, ProgramError::NotStarted { .. }), "{nul:?}");
}

#[tokio::test]
async fn it_sees_what_was_made_for_it() {
    let made = environment().with("LANG", "C.UTF-8").for_profile("dev", Some("eu-west-1"));
    let printed = run("env | cut -d= -f1 | sort | tr '\\n' ' '; pwd", &made, PATIENCE).await;
    let printed = printed.unwrap();
    let names: Vec<_> = printed
        .expose()
        .split_whitespace()
        // Of the shell's own making.
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name))
        .collect();
    let expected = [
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "EKSD_PROFILE_CHAIN",
        "LANG",
        "PATH",
        "_AWS_CLI_PROFILE_CHAIN",
    ];
    let mut sorted = names[..names.len() - 1].to_vec();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    assert_eq!(names.last(), Some(&"/"), "the folder");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn it_has_a_session_of_its_own_and_no_descriptor_of_ours() {
    let ids = helper("echo $$ $(cut -d' ' -f5,6 /proc/$$/stat)").await.unwrap();
    let ids: Vec<_> = ids.split_whitespace().collect();
    assert!(ids[0] == ids[1] && ids[0] == ids[2], "id, group, session: {ids:?}");
    // Without CLOEXEC, as a careless parent leaves them.
    let flags = rustix::fs::OFlags::RDONLY;
    let _open = rustix::fs::open("/etc/passwd", flags, rustix::fs::Mode::empty()).unwrap();
    let open = helper("ls -l /proc/$$/fd").await.unwrap();
    assert!(open.contains("/dev/null") && !open.contains("/etc/passwd"), "{open}");
}

#[tokio::test]
async fn many_at_once() {
    let all = (0..40).map(|number| {
        tokio::spawn(async move { helper(&format!("sleep 0.05; printf {number}")).await.unwrap() })
    });
    for (number, task) in all.enumerate().collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap(), number.to_string());
    }
}
