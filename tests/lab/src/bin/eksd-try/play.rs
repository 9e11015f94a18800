//! `--shell`: all of it set up, and the person left in a shell to play with it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use eksd_lab::{Lab, Script};

use crate::home::Home;
use crate::hook::Hook;
use crate::interrupt::Interrupt;
use crate::programs::Programs;
use crate::run::Runner;
use crate::say::Say;
use crate::{Done, failed};

/// How often the shell and the signals are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Sets everything up, runs the shell, and returns when it ends.
pub(crate) fn play(programs: &Programs, say: &Say, interrupt: &Interrupt) -> Done {
    let lab = Lab::start(Script::default());
    let mut home = Home::new(programs, &lab.url())?;
    if let Some(address) = desktop() {
        home.set("DBUS_SESSION_BUS_ADDRESS", address);
    }
    home.write_aws_config()?;
    home.write(".config/eksd/config.toml", &settings("8h", "30m"))?;
    write_short_session(&home)?;
    write_rc_files(&home)?;

    say.heading("Setting up");
    let run = Runner::new(&home, say, interrupt);
    for line in ["eksd login dev", "eksd cluster add demo --region eu-west-1 --profile dev"] {
        if run.typed(line)?.code != 0 {
            return failed(format!("`{line}` did not work"));
        }
    }

    say.heading("Your turn");
    let shell = std::env::var_os("SHELL").map_or_else(|| PathBuf::from("sh"), PathBuf::from);
    let hook = Hook::of_person(&home);
    say.line(&things_to_try(&home, hook));
    run_shell(&home, &shell, hook, interrupt)?;
    say.line("The agent ends and the folder goes; nothing is left behind.");
    Ok(())
}

/// The person's own desktop: here its notices are meant for them.
fn desktop() -> Option<String> {
    let named = std::env::var("DBUS_SESSION_BUS_ADDRESS").ok().filter(|it| !it.is_empty());
    named.or_else(|| {
        let socket = Path::new(&std::env::var_os("XDG_RUNTIME_DIR")?).join("bus");
        socket.exists().then(|| format!("unix:path={}", socket.display()))
    })
}

/// eksd's settings, for sessions of this length.
fn settings(length: &str, warning: &str) -> String {
    format!(
        "[login]\nflow = \"browser\"\n\n[sso-session.corp]\nlength = \"{length}\"\n\n\
         [notices]\nbefore = [\"{warning}\"]\n"
    )
}

/// A command of this shell alone: the lab and eksd's settings change to short sessions.
fn write_short_session(home: &Home) -> Done {
    let file = "bin/short-session";
    let lifetimes =
        r#"{"lifetimes": {"session": 180, "access_token": 60, "role_credentials": 60}}"#;
    let settings = settings("3m", "1m");
    home.write(
        file,
        &format!(
            "#!/bin/sh\neksd-lab ctl state '{lifetimes}' >/dev/null\n\
             cat >~/.config/eksd/config.toml <<'END'\n{settings}END\n\
             eksd agent restart && eksd login dev --force\n"
        ),
    )?;
    Ok(fs::set_permissions(home.folder().join(file), Permissions::from_mode(0o700))?)
}

fn write_rc_files(home: &Home) -> Done {
    for (hook, file, prompt) in [
        (Hook::Zsh, ".zshrc", "PROMPT='%1~ %# '\nautoload -Uz compinit && compinit"),
        (Hook::Bash, ".bashrc", "PS1='\\W \\$ '"),
    ] {
        let name = hook.name();
        home.write(file, &format!("{prompt}\neval \"$(eksd init {name})\"\neksd use demo\n"))?;
    }
    Ok(())
}

fn things_to_try(home: &Home, hook: Option<Hook>) -> String {
    let mut text = format!(
        "HOME is {}; the lab stands in for AWS and for the cluster `demo`.\n\n\
         eksd:\n  \
         eksd status                    what is good, and until when\n",
        home.folder().display()
    );
    if hook.is_some() {
        text.push_str("  eksd use prod                  this shell uses another profile; `eksd use -` goes back\n");
    } else {
        text.push_str("  eksd prompt dev                what a prompt shows (there is no hook for your shell yet)\n");
        text.push_str("  export KUBECONFIG=$(eksd cluster path demo)\n");
    }
    let tools = [
        ("kubectl", "kubectl get nodes              through the kubeconfig file that eksd wrote"),
        ("aws", "aws sts get-caller-identity --profile dev"),
    ];
    for (tool, line) in tools {
        if home.find(tool).is_some() {
            text.push_str(&format!("  {line}\n"));
        }
    }
    if home.find("kubectl").is_none() {
        text.push_str(
            "  eksd-lab kube get nodes        in place of kubectl, which is not installed\n",
        );
    }
    text.push_str(
        "  eksd logout dev                ends the session, at the lab and here\n  \
         eksd login dev                 begins the next one\n\
         \n\
         The lab:\n  \
         short-session                  from now on sessions last 3 min: watch the prompt to the end\n  \
         eksd-lab ctl faults '{\"op\": \"*\", \"act\": \"drop\", \"times\": -1}'\n                                 \
         AWS cannot be reached: nothing that is held is lost\n  \
         eksd-lab ctl faults '{\"clear\": true}'\n                                 \
         it can again\n  \
         eksd-lab ctl clusters '{\"name\": \"demo\", \"recreate\": true}'; eksd cluster sync\n                                 \
         another cluster under the old name\n  \
         eksd-lab ctl 'count?op=GetRoleCredentials'\n                                 \
         how often AWS was asked for keys\n\
         \n\
         `exit` ends it and removes everything.\n",
    );
    text
}

fn run_shell(home: &Home, shell: &Path, hook: Option<Hook>, interrupt: &Interrupt) -> Done {
    let mut command = home.command(shell);
    match hook {
        Some(Hook::Bash) => drop(command.arg("--rcfile").arg(home.folder().join(".bashrc"))),
        Some(Hook::Zsh) => drop(command.env("ZDOTDIR", home.folder())),
        None => drop(command.env("AWS_PROFILE", "dev")),
    }
    let mut child = command.stdin(Stdio::inherit()).spawn()?;
    // Ctrl-C is the shell's affair, and how it ends is the person's.
    while child.try_wait()?.is_none() {
        if interrupt.has_ended() {
            let _ = child.kill();
            let _ = child.wait();
        } else {
            std::thread::sleep(LOOK);
        }
    }
    Ok(())
}
