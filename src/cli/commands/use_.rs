//! `eksd use`: shell code that makes one shell use a profile or cluster.

use std::time::Duration;

use crate::{
    cli::{
        args::{EnvFormat, UseArgs},
        asks,
        commands::env::render,
        door::{self, Call},
        exit::Done,
        output,
        variables::{Change, Way},
    },
    config::{Delivery, Settings},
    ipc::wire::{Empty, Owner, Request, Resolved, UseParams},
    report::{Code, Report},
};

/// Telling the agent is a courtesy; the shell waits for it.
const TELL_LIMIT: Duration = Duration::from_millis(500);

/// Runs `eksd use`.
pub fn run(call: &Call, args: &UseArgs) -> Done {
    if args.print.is_none() {
        let what = "a program cannot change the shell that runs it";
        let fix = "put `eval \"$(eksd init zsh)\"` into ~/.zshrc (or `eksd init bash` into ~/.bashrc), then open a new shell";
        return Err(Report::new(Code::Usage, what, fix).into());
    }
    let Some(name) = &args.name else {
        let what = "which profile or cluster? a name is missing";
        return Err(Report::new(Code::Usage, what, "`eksd status --all` lists them").into());
    };
    let resolved = asks::resolve(call, name, args.shell.map(Owner::Shell))?;
    let change = change(call, name, &resolved)?;
    let uses =
        UseParams { profile: Some(resolved.profile.clone()), cluster: resolved.cluster.clone() };
    // The shell can use it all the same.
    if !call.no_agent
        && let Ok(mut agent) = door::running(call, TELL_LIMIT)
    {
        drop(agent.ask::<Empty>(Request::Use(uses), TELL_LIMIT));
    }
    output::data(render(&change, EnvFormat::Sh)?.as_bytes())?;
    Ok(0)
}

/// Returns what changes. What an earlier `eksd use` set and this one does not, the hooks put back.
fn change(call: &Call, name: &str, resolved: &Resolved) -> Result<Change, Report> {
    let is_mirrored =
        resolved.needs_mirror && Settings::load(&call.paths)?.delivery == Delivery::Mirror;
    Ok(if is_mirrored {
        let mirror = asks::mirror(call)?;
        Change::to_use(name, resolved, Way::Mirror(&mirror), &call.paths)
    } else {
        Change::to_use(name, resolved, Way::Profile, &call.paths)
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::{
        config::{Env, Paths},
        ipc::wire::Mirror,
    };

    fn paths() -> Paths {
        Paths::new(&Env::from_map([("HOME", "/home/ann")])).unwrap()
    }

    fn code(name: &str, resolved: &Resolved) -> String {
        let change = Change::to_use(name, resolved, Way::Profile, &paths());
        render(&change, EnvFormat::Sh).unwrap().to_string()
    }

    fn profile() -> Resolved {
        Resolved {
            profile: "it's $(dev)".into(),
            cluster: None,
            region: Some("us-east-1".into()),
            kubeconfig: None,
            needs_mirror: false,
        }
    }

    fn cluster() -> Resolved {
        Resolved {
            profile: "dev".into(),
            cluster: Some("demo".into()),
            region: Some("eu-west-1".into()),
            kubeconfig: Some("/home/ann/.kube/eksd/demo.yaml".into()),
            needs_mirror: false,
        }
    }

    /// Runs the code in a real shell and returns the variables that matter, `-` for unset ones.
    fn variables(shell: &str, code: &str) -> String {
        let script = format!(
            "set -eu\nAWS_ACCESS_KEY_ID=old\nKUBECONFIG=own\n{code}\n\
             for name in AWS_PROFILE KUBECONFIG AWS_REGION AWS_DEFAULT_REGION EKSD_USE AWS_ACCESS_KEY_ID; do\n\
             eval \"printf '%s|' \\\"\\${{$name--}}\\\"\"\ndone"
        );
        let output = Command::new(shell).args(["-c", &script]).env_clear().output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{shell}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn shells_end_up_with_the_variables() {
        let in_profile = code("it's $(dev)", &profile());
        let in_cluster = code("demo", &cluster());
        for shell in ["bash", "zsh", "sh"] {
            for (code, expected) in [
                (&in_profile, "it's $(dev)|own|-|-|it's $(dev)|-|"),
                (&in_cluster, "dev|/home/ann/.kube/eksd/demo.yaml|eu-west-1|eu-west-1|demo|-|"),
            ] {
                assert_eq!(variables(shell, code), expected, "{shell}");
            }
        }
    }

    /// What a hook does not save it cannot put back.
    #[test]
    fn the_hooks_know_every_variable() {
        let mirror = Mirror { config: "/m/c".into(), credentials: "/m/k".into() };
        let change = Change::to_use("demo", &cluster(), Way::Mirror(&mirror), &paths());
        let hooks =
            [include_str!("../../../shell/eksd.zsh"), include_str!("../../../shell/eksd.bash")];
        for hook in hooks {
            let (_, list) = hook.split_once("__eksd_vars=(").unwrap();
            let (list, _) = list.split_once(')').unwrap();
            let known: Vec<&str> = list.split_whitespace().chain(["EKSD_USE"]).collect();
            let touched = change.gone().chain(change.come().map(|(name, _)| name));
            let unknown: Vec<_> = touched.filter(|name| !known.contains(name)).collect();
            assert!(unknown.is_empty(), "{unknown:?}");
            // What only some of them set is put back before the next one.
            let restored = "__eksd_restore $__eksd_passing";
            let restored_in_bash = "__eksd_restore \"${__eksd_passing[@]}\"";
            assert!(hook.contains(restored) || hook.contains(restored_in_bash));
            let (_, list) = hook.split_once("__eksd_passing=(").unwrap();
            let (list, _) = list.split_once(')').unwrap();
            let passing: Vec<&str> = list.split_whitespace().collect();
            let always = ["AWS_PROFILE", "EKSD_USE"];
            let forgotten: Vec<_> = change
                .come()
                .map(|(name, _)| name)
                .filter(|name| !always.contains(name) && !passing.contains(name))
                .collect();
            assert!(forgotten.is_empty(), "{forgotten:?}");
        }
    }
}
