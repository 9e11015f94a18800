//! `eksd use`: this shell changes, nothing is lost, and everything can be put back.

use crate::place::{Place, SHELLS, Shell, until};
use crate::pty::Pty;

const VARS: &str = "AWS_PROFILE AWS_DEFAULT_PROFILE AWS_REGION AWS_DEFAULT_REGION KUBECONFIG \
    AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_SECURITY_TOKEN \
    AWS_CREDENTIAL_EXPIRATION AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE AWS_CONFIG_FILE \
    AWS_SHARED_CREDENTIALS_FILE AWS_SESSION_EXPIRATION AWS_ACCESS_KEY AWS_SECRET_KEY \
    AWS_ROLE_SESSION_NAME AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_VAULT AWS_SDK_LOAD_CONFIG \
    EKSD_AWS_CONFIG_FILE EKSD_AWS_SHARED_CREDENTIALS_FILE EKSD_USE";

fn dump(shell: Shell) -> String {
    format!("{} -p {VARS} 2>/dev/null", shell.pick("typeset", "declare"))
}

#[test]
fn there_and_back() {
    let place = Place::new();
    for shell in SHELLS {
        let show = "echo \"$EKSD_USE $AWS_PROFILE ${AWS_REGION-none} ${KUBECONFIG##*/}\"";
        let script = format!(
            "{}; export AWS_REGION=mine
             eksd use alpha; {show}
             eksd use cluster; {show}
             eksd use beta; {show}
             eksd use -; {show}
             eksd use -; {show}
             eksd use --clear; echo \"${{EKSD_USE-none}} ${{AWS_PROFILE-none}} $AWS_REGION\"
             eksd use -; {show}
             eksd use --clear; eksd use --clear; echo $?",
            place.source(shell)
        );
        assert_eq!(
            place.says(shell, &[], &script),
            "alpha alpha mine \n\
             cluster alpha eu-west-1 cluster.yaml\n\
             beta beta mine \n\
             cluster alpha eu-west-1 cluster.yaml\n\
             beta beta mine \n\
             none none mine\n\
             beta beta mine \n\
             0\n",
            "{}",
            shell.name()
        );
    }
}

/// A subshell is one of its own: what it uses must not reach the shell around it.
#[test]
fn a_namespace_is_kept_for_the_process_that_asks() {
    let place = Place::new();
    for shell in SHELLS {
        let own = shell.pick("${sysparams[pid]}", "$BASHPID");
        let show = format!(
            "file=${{KUBECONFIG%%:*}}; file=${{file##*/}}; [[ $file == {own}-1.yaml ]] && \
             echo \"$EKSD_USE for itself\" || echo \"$EKSD_USE $file {own} $$\""
        );
        let script = format!(
            "{}; eksd use cluster/a; {show}
             ( eksd use cluster/b; {show} )
             {show}
             eksd use alpha; echo \"${{KUBECONFIG-none}}\"
             eksd use -; {show}; __eksd_precmd; echo \"$EKSD_SEGMENT\"",
            place.source(shell)
        );
        assert_eq!(
            place.says(shell, &[], &script),
            "cluster/a for itself\ncluster/b for itself\ncluster/a for itself\nnone\n\
             cluster/a for itself\n⎈ cluster ?\n",
            "{}",
            shell.name()
        );
    }
}

#[test]
fn the_mirror_comes_and_goes() {
    let place = Place::new();
    for shell in SHELLS {
        let show = "echo \"${AWS_PROFILE-none} ${AWS_CONFIG_FILE-none} \
            ${AWS_SHARED_CREDENTIALS_FILE-none} ${AWS_SDK_LOAD_CONFIG-none} \
            ${EKSD_AWS_CONFIG_FILE-none} ${AWS_VAULT-none}\"";
        let script = format!(
            "{}; export AWS_CONFIG_FILE='/own/config' AWS_VAULT=other
             eksd use mfa; {show}
             eksd use alpha; {show}
             eksd use cluster; {show}
             eksd use mfa; command env | command grep -c '^AWS_CONFIG_FILE=/mirror/config$'
             source {}
             eksd use beta; {show}
             eksd use -; eksd use --clear; {show}",
            place.source(shell),
            place.source(shell).trim_start_matches("source "),
        );
        assert_eq!(
            place.says(shell, &[], &script),
            "mfa /mirror/config /mirror/credentials 1 /own/config none\n\
             alpha /own/config none none none none\n\
             alpha /own/config none none none none\n\
             1\n\
             beta /own/config none none none none\n\
             none /own/config none none none other\n",
            "{}",
            shell.name()
        );
    }
}

#[test]
fn what_was_there_comes_back_exactly() {
    let place = Place::new();
    for shell in SHELLS {
        for flags in ["", "set -eu", "set -a", "exec 2>trace; set -x", "IFS=AW_=x"] {
            let dump = dump(shell);
            let script = format!(
                "export AWS_PROFILE=\"it's \\\"mine\\\" \\$(x) \\\\ *\"
                 AWS_DEFAULT_PROFILE='not
exported
'
                 export AWS_SECRET_ACCESS_KEY=s3cr3t-key AWS_ACCESS_KEY_ID='' AWS_REGION=' r '
                 AWS_SESSION_TOKEN=s3cr3t-token KUBECONFIG=' a  b:c ' AWS_CONFIG_FILE='my
file' AWS_SECRET_KEY=s3cr3t-old
                 before=\"$({dump} || :)\"
                 {flags}
                 {}
                 eksd use cluster
                 command env | command grep -c s3cr3t || :
                 eksd use beta; eksd use mfa; eksd use alpha; source {}; eksd use -
                 command env | command grep -c s3cr3t || :
                 eksd use --clear; set +x
                 after=\"$({dump} || :)\"
                 [[ \"$before\" == \"$after\" ]] && echo same || printf '%s\\n' \"$before\" \"$after\"
                 echo \"${{{}-gone}}\"",
                place.source(shell),
                place.source(shell).trim_start_matches("source "),
                shell.pick("__eksd_saved", "__eksd_saved[*]"),
            );
            let shown = place.says(shell, &[], &script);
            assert_eq!(shown, "0\n0\nsame\ngone\n", "{} {flags}", shell.name());
            let trace = std::fs::read_to_string(place.path("work/trace")).unwrap_or_default();
            assert!(!trace.contains("s3cr3t-"), "{trace}");
        }
    }
}

#[test]
fn refusals() {
    let place = Place::new();
    for shell in SHELLS {
        let script = format!(
            "{}; export AWS_PROFILE=mine
             eksd use nothing; echo \"$? $AWS_PROFILE ${{EKSD_USE-none}}\"
             eksd use -; echo $?
             eksd use; echo $?",
            place.source(shell)
        );
        let output = place.script(shell, &[], &[], &script);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "3 mine none\n1\nThis shell uses what it was started with.\n\
             To change it: eksd use NAME (a profile or a cluster), eksd use - (the one before), \
             eksd use --clear (as it was).\n0\n"
        );
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "no profile or cluster 'nothing'\n\
             eksd: this shell has used nothing else before; name a profile or a cluster: \
             eksd use NAME\n"
        );
        let script =
            format!("{}; eksd use --clear; echo $?; eksd use | head -1", place.source(shell));
        let output = place.script(shell, &[], &[("EKSD_USE", "a\u{1b}b")], &script);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "1\nThis shell uses a?b.\n");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("eksd: it was chosen in"));
    }
}

#[test]
fn everything_else_is_the_programs() {
    let place = Place::new();
    for shell in SHELLS {
        let script = format!(
            "{}; eksd 'a  b' '*' '' -- \"x'y\"; echo $?; eksd; echo $?; eksd use --help; echo $?
             eksd use alpha -h; echo $? ${{EKSD_USE-none}}",
            place.source(shell)
        );
        assert_eq!(
            place.says(shell, &[], &script),
            "ran: <a  b> <*> <> <--> <x'y>\n7\nran: <>\n7\nran: <use> <--help>\n7\n\
             ran: <use> <alpha> <-h>\n7 none\n"
        );
    }
}

#[test]
fn the_agent_is_told_once_for_each_change() {
    for shell in SHELLS {
        let place = Place::new();
        let mut pty = Pty::start(&place, shell, &[], "", "");
        pty.run("");
        let mut expected = Vec::new();
        for (typed, told) in [
            ("export AWS_PROFILE=x", "--profile x"),
            ("export AWS_PROFILE='y z'", "--profile y z"),
            ("export KUBECONFIG=~/.kube/eksd/prod.yaml", "--cluster prod"),
            ("unset KUBECONFIG", "--profile y z"),
            ("eksd use alpha", "--profile alpha"),
            // An hour later, and after the clock was set back.
            ("__eksd_told_till=$(( __eksd_told_till - 3600 ))", "--profile alpha"),
            ("__eksd_told_from=$(( __eksd_told_from + 3600 ))", "--profile alpha"),
        ] {
            pty.run(typed);
            expected.push(told.to_owned());
            until(typed, || place.told().len() == expected.len());
            for _ in 0..3 {
                pty.run("");
            }
            pty.run(&place.source(shell));
        }
        pty.run("unset AWS_PROFILE");
        pty.run("");
        assert_eq!(place.told(), expected, "{}", shell.name());
        assert!(!pty.contents().contains('['), "{}", pty.contents());
        pty.end();
        assert_eq!(place.told(), expected, "{}", shell.name());
    }
}

#[test]
fn completion_is_loaded_when_it_is_wanted() {
    let place = Place::new();
    let script = format!(
        "{}; complete -p eksd; __eksd_complete; echo $? $completed",
        place.source(Shell::Bash)
    );
    let shown = place.says(Shell::Bash, &[], &script);
    assert_eq!(shown, "complete -F __eksd_complete eksd\n124 bash\n");
    let script = format!(
        "compdef() {{ echo compdef \"$@\" }}; {}; __eksd_precmd; __eksd_precmd
         __eksd_complete; echo $completed",
        place.source(Shell::Zsh)
    );
    let shown = place.says(Shell::Zsh, &[], &script);
    assert_eq!(shown, "compdef __eksd_complete eksd\nzsh\n");
}
