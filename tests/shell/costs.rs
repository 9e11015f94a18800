//! A prompt starts no process, whatever there is to show.

use crate::place::{Place, SHELLS, fresh, tool};
use crate::pty::{Pty, processes_between};

#[test]
fn a_steady_prompt_starts_nothing() {
    let strace = tool("strace");
    for shell in SHELLS {
        for (profile, kubeconfig) in [
            ("x", ""),
            ("no-file", ""),
            ("", ""),
            ("x", "/run/eksd/shell/12-34.yaml:/k/c.yaml:/k/d.yaml"),
        ] {
            let place = Place::new();
            place.prompt("p.x", &fresh("x"));
            place.prompt("c.c", &fresh("c"));
            let log = place.path("strace");
            let parent = [
                strace.to_str().unwrap(),
                "-f",
                "-e",
                "trace=clone,clone3,fork,vfork,execve,openat",
                "-o",
                log.to_str().unwrap(),
            ];
            let env =
                [("AWS_PROFILE", profile), ("KUBECONFIG", kubeconfig), ("EKSD_KUBE_DIR", "/k")];
            let mut pty = Pty::start_under(&parent, &place, shell, &env, "", "");
            pty.run(": >marker-begin");
            for _ in 0..20 {
                pty.run("");
            }
            pty.run(": >marker-end");
            pty.end();
            let processes = processes_between(&log, "marker-begin", "marker-end");
            assert_eq!(processes, Vec::<String>::new(), "{} {profile} {kubeconfig}", shell.name());
        }
    }
}
