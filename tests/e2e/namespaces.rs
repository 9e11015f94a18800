//! `eksd use CLUSTER/NAMESPACE` and `A+B`: what is kept for one shell stays there, whatever kubectl,
//! kubectx and kubens write, and every shell's clusters go on working.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::home::DEVELOPER;
use crate::place::Place;
use crate::ran::Ran;
use crate::terminal::{Terminal, each_shell};
use crate::tools::{tool, until};

/// A place with the clusters `demo` of profile `dev` and `prod` of profile `reader`.
fn place() -> Place {
    let place = Place::new();
    place.login();
    place.add_demo();
    place.eksd("cluster add prod --region eu-west-1 --profile reader").ok();
    place
}

/// Runs a script with the hook; it sees eksd, kubectl, kubectx and kubens.
fn script(place: &Place, shell: &str, text: &str) -> Ran {
    let folders = [place.program("eksd"), tool("kubectl"), tool("kubectx")];
    let folders = folders.map(|it| it.parent().unwrap().to_str().unwrap().to_owned());
    let mut command = place.command(tool(shell));
    command.env("PATH", format!("{}:/usr/bin:/bin", folders.join(":"))).env("LC_ALL", "C.UTF-8");
    command.args(if shell == "zsh" { &["-f"][..] } else { &["--noprofile", "--norc"] });
    command.arg("-c").arg(format!("eval \"$(eksd init {shell})\"\n{text}"));
    command.output().unwrap().into()
}

/// The files of the clusters, and the one that everybody shares: none may change.
struct Untouched(Vec<(PathBuf, Option<String>)>);

impl Untouched {
    fn new(place: &Place) -> Self {
        let names = ["home/.kube/eksd/demo.yaml", "home/.kube/eksd/prod.yaml", "home/.kube/config"];
        let paths = names.map(|name| place.path(name));
        Self(paths.map(|path| (path.clone(), fs::read_to_string(path).ok())).into())
    }

    #[track_caller]
    fn check(&self) {
        for (path, before) in &self.0 {
            assert_eq!(fs::read_to_string(path).ok(), *before, "{}", path.display());
        }
    }
}

fn overlays(place: &Place) -> Vec<PathBuf> {
    let entries = fs::read_dir(place.path("run/eksd/shell")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

const NAMESPACE: &str =
    "kubectl config view --minify -o jsonpath='[{.current-context}/{..namespace}]'";

#[test]
fn two_shells_on_one_cluster_keep_their_namespaces() {
    each_shell(|shell| {
        let place = place();
        let untouched = Untouched::new(&place);
        let mut here = Terminal::start(&place, shell);
        let mut there = Terminal::start(&place, shell);
        let mut plain = Terminal::start(&place, shell);
        here.run("eksd use demo/kube-system");
        there.run("eksd use demo/default");
        plain.run("eksd use demo");
        here.until_segment("the cluster", |it| it.contains("demo") && !it.contains('?'));
        assert_eq!(overlays(&place).len(), 2, "{shell}");
        for overlay in overlays(&place) {
            let mode = overlay.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", overlay.display());
        }
        let said = here.run("kubectl get configmaps");
        assert!(said.contains("aws-auth"), "{shell}: {said}");
        let said = here.run("kubectl get pods");
        assert!(said.contains("kube-system"), "{shell}: no pods in there: {said}");
        let said = there.run("kubectl get pods");
        assert!(said.contains("web-0"), "{shell}: {said}");

        // What one of them changes with kubectl, the others do not see.
        here.run("kubectl config set-context --current --namespace=default");
        assert!(here.run("kubectl get pods").contains("web-0"), "{shell}");
        there.run("kubectl config set-context --current --namespace=kube-system");
        assert!(here.run(NAMESPACE).contains("[demo/default]"), "{shell}");
        assert!(there.run(NAMESPACE).contains("[demo/kube-system]"), "{shell}");
        assert!(plain.run(NAMESPACE).contains("[demo/]"), "{shell}");
        untouched.check();

        // Said again, it is what was said.
        here.run("eksd use demo/kube-system");
        assert!(here.run(NAMESPACE).contains("[demo/kube-system]"), "{shell}");
        here.run("eksd use demo");
        assert!(here.run(NAMESPACE).contains("[demo/]"), "{shell}");
        here.run("eksd use -");
        assert!(here.run(NAMESPACE).contains("[demo/kube-system]"), "{shell}");
        here.run("eksd use --clear");
        assert!(here.run("echo [${KUBECONFIG-none}]").contains("[none]"), "{shell}");
        assert_eq!(overlays(&place).len(), 2, "one for each shell, whatever it used");
        untouched.check();
        for terminal in [here, there, plain] {
            terminal.end();
        }
    });
}

#[test]
fn several_clusters_in_one_shell() {
    let place = place();
    let untouched = Untouched::new(&place);
    for shell in ["zsh", "bash"] {
        let text = format!(
            "eksd use demo+prod/kube-system
             echo \"$AWS_PROFILE $AWS_REGION\"; {NAMESPACE}; echo
             kubectl get nodes -o name
             kubectl --context prod get nodes -o name
             kubectl --context prod get configmaps -o name
             kubectl config use-context prod; {NAMESPACE}; echo
             kubectl get nodes -o name
             kubectl config use-context demo; {NAMESPACE}; echo
             kubectl auth whoami -o jsonpath='{{.status.userInfo.username}}'; echo
             kubectl --context prod auth whoami -o jsonpath='{{.status.userInfo.username}}'; echo
             eksd use demo; {NAMESPACE}"
        );
        let said = script(&place, shell, &text).ok();
        let reader =
            DEVELOPER.replace("111122223333", "444455556666").replace("Developer", "ReadOnly");
        let expected = format!(
            "dev eu-west-1
[demo/]
node/ip-10-0-0-1.demo.internal
node/ip-10-0-0-2.demo.internal
node/ip-10-0-0-1.prod.internal
node/ip-10-0-0-2.prod.internal
configmap/aws-auth
Switched to context \"prod\".
[prod/kube-system]
node/ip-10-0-0-1.prod.internal
node/ip-10-0-0-2.prod.internal
Switched to context \"demo\".
[demo/]
{DEVELOPER}
{reader}
[demo/]"
        );
        assert_eq!(said, expected, "{shell}");
        untouched.check();
    }
}

/// The shell scripts of that name, which call kubectl.
#[test]
fn kubectx_and_kubens_stay_in_the_shell() {
    let place = place();
    let untouched = Untouched::new(&place);
    let text = format!(
        "eksd use demo/default+prod/default
         kubectx | command cat; kubens kube-system 2>&1; kubens -c; {NAMESPACE}; echo
         kubectx prod 2>&1; kubectx -c; kubens -c; kubectx - 2>&1; {NAMESPACE}; echo
         kubens - 2>&1; {NAMESPACE}"
    );
    let said = script(&place, "bash", &text).ok();
    for part in ["demo\nprod\n", "kube-system\n[demo/kube-system]\n", "[demo/default]"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains("prod\ndefault\n"), "the other one's namespace: {said}");
    untouched.check();
    // In a shell with one cluster and no namespace they write to that cluster's own file.
    let said = script(&place, "bash", "eksd use demo; kubens kube-system 2>&1").ok();
    let file = place.read("home/.kube/eksd/demo.yaml");
    assert!(file.contains("namespace: kube-system"), "{said}\n{file}\n{}", place.log());
    assert!(!place.path("home/.kube/config").exists());
}

#[test]
fn it_needs_no_agent_and_survives_the_runtime_folder() {
    let place = place();
    place.end_agent();
    let text = format!(
        "export EKSD_NO_AGENT=1; eksd use demo/kube-system && {NAMESPACE}; echo
         kubectl get configmaps -o name
         rm -r \"$XDG_RUNTIME_DIR/eksd/shell\"
         {NAMESPACE}; echo; kubectl get nodes -o name
         kubectl config set-context --current --namespace=default"
    );
    let said = script(&place, "bash", &text).ok();
    assert_eq!(
        said,
        "[demo/kube-system]\nconfigmap/aws-auth\n[demo/]\nnode/ip-10-0-0-1.demo.internal\n\
         node/ip-10-0-0-2.demo.internal\nContext \"demo\" modified.\n"
    );
    assert!(place.agents().is_empty());
    assert!(!place.path("home/.kube/config").exists());
}

#[test]
fn a_command_has_its_own_and_leaves_nothing() {
    let place = place();
    let untouched = Untouched::new(&place);
    let kubectl = tool("kubectl").display().to_string();
    let exec = |name: &str, words: &str| place.eksd(&format!("exec {name} -- {kubectl} {words}"));
    let said = exec("demo/kube-system", "get configmaps -o name").ok();
    assert_eq!(said, "configmap/aws-auth\n");
    let said = exec("demo+prod", "--context prod get nodes -o name").ok();
    assert!(said.starts_with("node/ip-10-0-0-1.prod.internal"), "{said}");
    exec("demo/default", "config set-context --current --namespace=kube-system").ok();
    until("the last one's file is swept", || {
        script(&place, "bash", "eksd use demo/default").ok();
        overlays(&place).iter().all(|path| !path.to_str().unwrap().contains("exec-"))
    });
    untouched.check();
    let said = place.eksd("env demo/default").failed();
    assert!(said.contains("kept for one shell or one command"), "{said}");
    assert!(said.contains("eksd exec"), "{said}");
    place.eksd("env demo").ok();
}

#[test]
fn what_means_nothing_changes_nothing() {
    let place = place();
    for (name, expected) in [
        ("demo/", "no namespace stands behind `demo/`"),
        ("demo/Kube_System", "no namespace can be called `Kube_System`"),
        ("demo/../../x", "no namespace can be called `../../x`"),
        ("demo+dmo", "there is no profile or cluster `dmo`"),
        ("demo+dev", "`dev` is a profile"),
        ("demo/a+demo/b", "cluster `demo` is named twice"),
    ] {
        let text = format!("eksd use demo/default\neksd use {name}; echo \"$? $EKSD_USE\"");
        let ran = script(&place, "bash", &text);
        assert!(ran.err.contains(expected), "{name}: {}", ran.err);
        assert_eq!(ran.out, "2 demo/default\n", "{name}");
    }
    let said = place.eksd("use --print bash demo/default").fails(2);
    assert!(said.contains("eksd init"), "nobody's shell: {said}");
}
