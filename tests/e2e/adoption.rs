//! Kubeconfig files that the AWS CLIs, kubectl and people wrote: adopted, rewritten, added to.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_yaml_ng::Value;

use crate::place::Place;
use crate::ran::Ran;
use crate::tools::{aws_v2, tool};

const ARN: &str = "arn:aws:eks:eu-west-1:111122223333:cluster/demo";
pub(crate) const CONFIG: &str = "home/.kube/config";

pub(crate) fn place() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("home/.kube")).unwrap();
    place.login();
    place
}

/// Puts one of the CLIs where kubectl finds it as `aws`.
pub(crate) fn install(place: &Place, cli: &Path) {
    place.script("bin/aws", &format!("#!/bin/sh\nexec '{}' \"$@\"\n", cli.display()));
}

fn clis() -> [(&'static str, PathBuf); 2] {
    [("v1", tool("aws")), ("v2", aws_v2())]
}

/// A program with `aws` and all of the tests' programs on its PATH.
pub(crate) fn real(place: &Place, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = place.command(program);
    command.env("PATH", format!("{}:{path}", place.path("bin").display())).env("AWS_PAGER", "");
    command
}

pub(crate) fn run(place: &Place, program: impl AsRef<std::ffi::OsStr>, words: &str) -> Ran {
    real(place, program).args(words.split_whitespace()).output().unwrap().into()
}

#[track_caller]
fn nodes(place: &Place, context: &str) {
    let nodes = run(place, tool("kubectl"), &format!("--context {context} get nodes")).ok();
    assert!(nodes.contains(".demo.internal"), "{context}: {nodes}");
}

pub(crate) fn yaml(place: &Place, file: &str) -> Value {
    let text = place.read(file);
    serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn names(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.path("home/.kube")).unwrap().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.retain(|name| !["cache", "eksd"].contains(&name.as_str()));
    names.sort();
    names
}

#[test]
fn what_both_clis_write_is_adopted_and_kubectl_works_before_and_after() {
    for (version, cli) in clis() {
        let place = place();
        install(&place, &cli);
        let update = "eks update-kubeconfig --name demo --region eu-west-1";
        let role = "arn:aws:iam::111122223333:role/second";
        run(&place, &cli, &format!("{update} --profile dev")).ok();
        let second =
            format!("{update} --profile dev --alias second --user-alias me --role-arn {role}");
        run(&place, &cli, &second).ok();
        // From the environment, and none at all.
        let mut named = real(&place, &cli);
        named.args(format!("{update} --alias keys --user-alias keys").split_whitespace());
        assert!(named.env("AWS_PROFILE", "keys").status().unwrap().success());
        run(&place, tool("kubectl"), &format!("config set-context {ARN} --namespace team-a")).ok();
        run(&place, tool("kubectl"), "config use-context second").ok();
        place.append(CONFIG, "# the end\n");
        for context in [ARN, "second", "keys"] {
            nodes(&place, context);
        }
        let before = place.read(CONFIG);

        let shown = place.eksd("cluster adopt --dry-run");
        assert_eq!(shown.code, Some(0), "{version}: {shown:?}");
        assert!(shown.out.contains("+      command: "), "{version}: {}", shown.out);
        assert_eq!(
            (place.read(CONFIG), place.eksd("cluster list").ok()),
            (before.clone(), String::new())
        );

        let adopted = place.eksd("cluster adopt");
        assert_eq!(adopted.code, Some(0), "{version}: {adopted:?}");
        assert_eq!(place.read(CONFIG), before, "not without --rewrite");
        let listed = place.eksd("cluster list").ok();
        let aliases: Vec<&str> =
            listed.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(aliases, ["demo", "keys", "second"], "{version}");
        let refused = place.eksd("cluster adopt --rewrite").fails(2);
        assert!(refused.contains("--yes"), "nobody can be asked: {refused}");

        let said = place.eksd("cluster adopt --rewrite --yes").talk();
        let after = place.read(CONFIG);
        for context in [ARN, "second", "keys"] {
            nodes(&place, context);
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (old, new): (Value, Value) =
            (serde_yaml_ng::from_str(&before).unwrap(), yaml(&place, CONFIG));
        for key in ["clusters", "contexts", "current-context", "preferences", "kind"] {
            assert_eq!(old[key], new[key], "{version}: {key}");
        }
        assert_eq!(text(&new["current-context"]), "second");
        assert!(after.contains("namespace: team-a") && after.ends_with("# the end\n"), "{after}");
        for user in new["users"].as_sequence().unwrap() {
            let exec = &user["user"]["exec"];
            assert_eq!(text(&exec["command"]), place.program("eksd").to_str().unwrap());
            assert_eq!(text(&exec["apiVersion"]), "client.authentication.k8s.io/v1");
            assert_eq!(text(&exec["interactiveMode"]), "Never");
            assert!(exec.get("env").is_none(), "{after}");
        }
        // The plugin was eksd: the CLI is not needed any more.
        std::fs::remove_file(place.path("bin/aws")).unwrap();
        let clean = place.eksd("cluster lint");
        assert_eq!((clean.code, clean.out.as_str()), (Some(0), ""), "{version}: {clean:?}");

        let undo = said.lines().find_map(|line| line.strip_prefix("to undo: ")).unwrap();
        assert!(place.command("sh").args(["-c", undo]).status().unwrap().success());
        assert_eq!(place.read(CONFIG), before, "{version}: {undo}");
        let backup =
            names(&place).into_iter().find(|name| name.starts_with("config.eksd-")).unwrap();
        let mode = place.path("home/.kube").join(backup).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = place.eksd("cluster adopt --rewrite --yes").ok();
        assert!(again.contains("registered as `demo`"), "{again}");
        assert_eq!(place.read(CONFIG), after);
        let last = place.eksd("cluster adopt --rewrite --yes").ok();
        assert!(last.contains("asks eksd for `demo`"), "{last}");
    }
}

#[test]
fn old_entries_and_those_of_other_tools_are_adopted() {
    let place = place();
    let described: Value = {
        let words =
            "eks describe-cluster --name demo --region eu-west-1 --profile dev --output json";
        serde_yaml_ng::from_str(&place.real(aws_v2(), words).ok()).unwrap()
    };
    let server = described["cluster"]["endpoint"].as_str().unwrap();
    let authority = described["cluster"]["certificateAuthority"]["data"].as_str().unwrap();
    let cluster =
        format!("cluster: {{server: '{server}', certificate-authority-data: {authority}}}");
    place.write(
        CONFIG,
        &format!(
            "apiVersion: v1\nkind: Config\nclusters:\n\
             - name: demo.eu-west-1.eksctl.io\n  {cluster}\n- name: old\n  {cluster}\n- name: kind\n  cluster: {{server: 'https://127.0.0.1:1'}}\n\
             users:\n- name: me@demo.eu-west-1.eksctl.io\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n\
             \u{20}     # by eksctl\n      args:\n      - token\n      - -i\n      - demo\n      command: aws-iam-authenticator\n      env:\n\
             \u{20}     - name: AWS_STS_REGIONAL_ENDPOINTS\n        value: regional\n      - name: AWS_DEFAULT_REGION\n        value: eu-west-1\n\
             \u{20}     - name: AWS_PROFILE\n        value: dev\n      - name: HTTPS_PROXY\n        value: ''\n      provideClusterInfo: false\n\
             - name: old\n  user: {{exec: {{apiVersion: client.authentication.k8s.io/v1alpha1, command: heptio-authenticator-aws, args: [token, -i, demo], env: [{{name: AWS_PROFILE, value: keys}}]}}}}\n\
             - name: kind\n  user: {{token: s3cret}}\n\
             contexts:\n- name: me@demo.eu-west-1.eksctl.io\n  context: {{cluster: demo.eu-west-1.eksctl.io, user: me@demo.eu-west-1.eksctl.io}}\n\
             - name: old\n  context: {{cluster: old, user: old}}\n- name: kind\n  context: {{cluster: kind, user: kind}}\ncurrent-context: kind\n"
        ),
    );
    std::fs::set_permissions(place.path(CONFIG), PermissionsExt::from_mode(0o640)).unwrap();
    let found = place.eksd("cluster lint").fails(1);
    assert!(found.contains("errors"), "{found}");
    let said = place.eksd("cluster adopt --rewrite --yes");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("eksctl") && said.out.contains("aws-iam-authenticator"), "{said:?}");
    assert!(!said.out.contains("s3cret"), "{}", said.out);
    nodes(&place, "me@demo.eu-west-1.eksctl.io");
    nodes(&place, "old");
    let after = place.read(CONFIG);
    for kept in [
        "# by eksctl",
        "name: HTTPS_PROXY",
        "provideClusterInfo: false",
        "token: s3cret",
        "current-context: kind",
    ] {
        assert!(after.contains(kept), "{kept}: {after}");
    }
    assert!(!after.contains("AWS_"), "{after}");
    let mode = place.path(CONFIG).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let listed = place.eksd("cluster list").ok();
    assert!(
        listed.contains("demo\teu-west-1\tdev\t") && listed.contains("old\teu-west-1\tkeys\t"),
        "{listed}"
    );
}

#[test]
fn one_cluster_that_cannot_be_registered_does_not_stop_the_others() {
    let place = place();
    install(&place, &aws_v2());
    run(&place, aws_v2(), "eks update-kubeconfig --name demo --region eu-west-1 --profile dev")
        .ok();
    let gone = place.read(CONFIG);
    let entry = "- name: gone\n  user:\n    exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: aws, args: [--region, eu-west-1, eks, get-token, --cluster-name, gone], env: [{name: AWS_PROFILE, value: dev}]}\n";
    let context = format!("- {{name: gone, context: {{cluster: '{ARN}', user: gone}}}}\n");
    let both = gone
        .replace("users:\n", &format!("users:\n{entry}"))
        .replace("contexts:\n", &format!("contexts:\n{context}"));
    place.write(CONFIG, &both);
    let said = place.eksd("cluster adopt --rewrite --yes");
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains("not registered: `gone`") && said.err.contains("registered `demo`"),
        "{}",
        said.err
    );
    let after = place.read(CONFIG);
    assert!(after.contains(entry), "{after}");
    nodes(&place, ARN);
    assert_eq!(after.matches("interactiveMode: Never").count(), 1);
}

/// Dotfile managers keep the file elsewhere; eksd's own files are not the person's.
#[test]
fn a_link_is_followed_and_said_so() {
    let mut place = place();
    install(&place, &aws_v2());
    std::fs::create_dir(place.path("dotfiles")).unwrap();
    run(&place, aws_v2(), "eks update-kubeconfig --name demo --region eu-west-1 --profile dev")
        .ok();
    std::fs::rename(place.path(CONFIG), place.path("dotfiles/kube")).unwrap();
    symlink(place.path("dotfiles/kube"), place.path(CONFIG)).unwrap();
    place.add_demo();
    place.set("KUBECONFIG", place.path("home/.kube/eksd/demo.yaml").to_str().unwrap());
    let said = place.eksd("cluster adopt --rewrite --yes");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("is a link: the file is"), "{}", said.err);
    assert!(place.path(CONFIG).is_symlink());
    assert!(
        place.read("dotfiles/kube").contains("- --cluster\n"),
        "{}",
        place.read("dotfiles/kube")
    );
}

#[test]
fn the_lock_is_kubectls() {
    let place = place();
    install(&place, &aws_v2());
    run(&place, aws_v2(), "eks update-kubeconfig --name demo --region eu-west-1 --profile dev")
        .ok();
    place.add_demo();
    let before = place.read(CONFIG);
    let lock = place.path("home/.kube/config.lock");
    let kubectl = || run(&place, tool("kubectl"), "config set-context mine --user x");
    // As eksd makes it: kubectl knows it.
    place.write("home/.kube/config.lock", "eksd 1\n");
    let refused = kubectl().failed();
    assert!(refused.contains("config.lock"), "{refused}");
    std::fs::remove_file(&lock).unwrap();
    // As kubectl makes it.
    place.write("home/.kube/config.lock", "");
    let refused = place.eksd("cluster adopt --rewrite --yes").fails(1);
    assert!(
        refused.contains("config.lock` has been there for") && refused.contains("rm -f"),
        "{refused}"
    );
    assert!(lock.exists() && place.read(CONFIG) == before);
    std::fs::remove_file(&lock).unwrap();
    place.eksd("cluster adopt --rewrite --yes").ok();
    assert!(!lock.exists());
    kubectl().ok();
}

#[test]
fn a_dry_run_shows_the_file_that_would_be_written() {
    let place = place();
    place.write(CONFIG, "apiVersion: v1\nkind: Config\nusers:\n- name: me\n  user: {token: t0k}\n");
    let flags = "--name demo --region eu-west-1 --profile dev";
    let dry = place.eksd(&format!("cluster add {flags} --dry-run"));
    assert!(dry.err.contains("~/.kube/eksd/demo.yaml would be"), "{}", dry.err);
    let dry: Value = serde_yaml_ng::from_str(&dry.ok()).unwrap();
    assert!(!place.path("home/.kube/eksd/demo.yaml").exists());
    place.eksd(&format!("cluster add {flags}")).talk();
    assert_eq!(yaml(&place, "home/.kube/eksd/demo.yaml"), dry);

    let said = place.eksd("cluster add demo --alias other").failed();
    assert!(said.contains("fix: name a profile with `--profile`; for `default`: add "), "{said}");
}

#[test]
fn add_takes_the_flags_of_update_kubeconfig() {
    let place = place();
    install(&place, &aws_v2());
    let flags = format!(
        "--name demo --region eu-west-1 --profile dev --alias mine --user-alias me --role-arn arn:aws:iam::111122223333:role/second --kubeconfig {}",
        place.path("merged").display()
    );
    let dry: Value = {
        let shown = place.eksd(&format!("cluster add {flags} --dry-run")).ok();
        serde_yaml_ng::from_str(&shown).unwrap()
    };
    assert!(!place.path("merged").exists() && place.eksd("cluster list").ok().is_empty());
    let theirs: Value = {
        let shown = run(&place, aws_v2(), &format!("eks update-kubeconfig {flags} --dry-run")).ok();
        serde_yaml_ng::from_str(&shown).unwrap()
    };
    assert_eq!(dry["clusters"][0]["cluster"], theirs["clusters"][0]["cluster"]);
    assert_eq!(dry["current-context"], theirs["current-context"]);
    assert_eq!(dry["contexts"][0]["context"]["user"], "me");

    let said = place.eksd(&format!("cluster add {flags} --verbose")).talk();
    assert!(said.contains("added context `mine`") && said.contains("user me: "), "{said}");
    assert_eq!(yaml(&place, "merged"), dry);
    let mode = place.path("merged").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let merged = place.path("merged");
    let kubectl = |words: &str| {
        run(&place, tool("kubectl"), &format!("--kubeconfig {} {words}", merged.display()))
    };
    assert!(kubectl("get nodes").ok().contains(".demo.internal"));

    // A second time: the namespace and what is current stay.
    kubectl("config set-context mine --namespace team-a").ok();
    kubectl("config set-context other --cluster mine --user me").ok();
    kubectl("config use-context other").ok();
    let before = place.read("merged");
    let again = place.eksd(&format!("cluster add {flags}")).talk();
    assert!(again.contains("has the context `mine` already"), "{again}");
    assert_eq!(place.read("merged"), before);
    let spoilt = before.replace("command: ", "command: /gone");
    place.write("merged", &spoilt);
    let again = place.eksd(&format!("cluster add {flags}")).talk();
    assert!(
        again.contains("updated context `mine`") && again.contains("current one stays"),
        "{again}"
    );
    assert_eq!(place.read("merged"), before);
    assert!(kubectl("--context mine get nodes").ok().contains(".demo.internal"));
}
