//! `eksd use`: shell code that makes one shell use a profile or cluster.

use std::time::Duration;

use crate::{
    cli::{
        args::UseArgs,
        door::{self, ANSWER_LIMIT, Call, Wish},
        exit::Done,
        output,
        quote::shell_word,
    },
    ipc::wire::{Empty, Request, ResolveParams, Resolved, UseParams},
    report::{Code, Report},
};

/// Telling the agent is a courtesy; the shell waits for it.
const TELL_LIMIT: Duration = Duration::from_millis(500);

/// What would shadow the profile: every SDK looks at these first.
const SHADOWING: &str = "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN \
     AWS_SECURITY_TOKEN AWS_CREDENTIAL_EXPIRATION AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE \
     AWS_DEFAULT_PROFILE";

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
    let request = Request::Resolve(ResolveParams { name: name.clone() });
    let resolved: Resolved = door::ask(call, Wish::Served, &request, ANSWER_LIMIT)?;
    let uses =
        UseParams { profile: Some(resolved.profile.clone()), cluster: resolved.cluster.clone() };
    // The shell can use it all the same.
    if !call.no_agent
        && let Ok(mut agent) = door::running(call, TELL_LIMIT)
    {
        drop(agent.ask::<Empty>(Request::Use(uses), TELL_LIMIT));
    }
    output::data(code(name, &resolved))?;
    Ok(0)
}

/// Returns code for zsh and bash alike; it works under `set -eu`. What an earlier `eksd use` set and
/// this one does not, the hooks put back.
fn code(name: &str, resolved: &Resolved) -> String {
    let mut code = format!("unset {SHADOWING}\n");
    let mut export = |variable: &str, value: &str| {
        code.push_str(&format!("export {variable}={}\n", shell_word(value)));
    };
    export("AWS_PROFILE", &resolved.profile);
    if resolved.cluster.is_some() {
        if let Some(file) = &resolved.kubeconfig {
            export("KUBECONFIG", file);
        }
        if let Some(region) = &resolved.region {
            export("AWS_REGION", region);
            export("AWS_DEFAULT_REGION", region);
        }
    }
    export("EKSD_USE", name);
    code
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

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
}
