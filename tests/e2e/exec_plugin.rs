//! `eksd token` as kubectl's credential plugin.

use serde_json::Value;

use crate::home::DEVELOPER;
use crate::place::Place;
use crate::tools::{aws_v2, instant, tool};

const V1: &str = "client.authentication.k8s.io/v1";
const V1BETA1: &str = "client.authentication.k8s.io/v1beta1";

fn place() -> Place {
    let place = Place::new();
    place.login();
    place
}

fn kubectl(place: &Place, words: &str) -> crate::ran::Ran {
    let config = place.path("kubeconfig");
    place.real(tool("kubectl"), &format!("--kubeconfig {} {words}", config.display()))
}

/// A kubeconfig as `aws eks update-kubeconfig` writes it.
fn written_by_the_cli(place: &Place) -> String {
    let words = format!(
        "eks update-kubeconfig --name demo --region eu-west-1 --profile dev --kubeconfig {}",
        place.path("kubeconfig").display()
    );
    place.real(aws_v2(), &words).ok();
    place.read("kubeconfig")
}

/// `command: aws` becomes `command: /path/to/eksd`, and not a word else.
#[test]
fn only_the_command_changes_in_what_update_kubeconfig_wrote() {
    let place = place();
    let eksd = place.program("eksd").display().to_string();
    for more in ["", " --role-arn arn:aws:iam::111122223333:role/second"] {
        let words = format!(
            "eks update-kubeconfig --name demo --region eu-west-1 --profile dev --kubeconfig {}{more}",
            place.path("kubeconfig").display()
        );
        place.real(aws_v2(), &words).ok();
        let before = place.read("kubeconfig");
        let after = before.replace("command: aws\n", &format!("command: {eksd}\n"));
        assert_ne!(after, before);
        place.write("kubeconfig", &after);
        place.lab().forget_calls();
        let nodes = kubectl(&place, "get nodes").ok();
        assert!(nodes.contains("ip-10-0-0-2.demo.internal"), "{nodes}");
        let who = kubectl(&place, "auth whoami").ok();
        let expected = if more.is_empty() { DEVELOPER } else { "assumed-role/second/" };
        assert!(who.contains(expected), "{who}");
    }
}

/// As eksctl writes it (`pkg/utils/kubeconfig/kubeconfig.go`) where aws-iam-authenticator is installed.
#[test]
fn only_the_command_changes_in_what_eksctl_wrote() {
    let place = place();
    let eksd = place.program("eksd").display().to_string();
    for (more, expected) in [
        ("", DEVELOPER),
        (
            "      - -r\n      - arn:aws:iam::111122223333:role/second\n      - -s\n      - ann\n",
            "assumed-role/second/ann",
        ),
    ] {
        place.write("ca.pem", &place.lab().kube_ca_pem("demo"));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: ann@demo.eu-west-1.eksctl.io\n\
             clusters:\n- name: demo.eu-west-1.eksctl.io\n  cluster:\n    server: {server}\n    \
             certificate-authority: {ca}\ncontexts:\n- name: ann@demo.eu-west-1.eksctl.io\n  \
             context:\n    cluster: demo.eu-west-1.eksctl.io\n    \
             user: ann@demo.eu-west-1.eksctl.io\nusers:\n- name: ann@demo.eu-west-1.eksctl.io\n  \
             user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n      \
             command: aws-iam-authenticator\n      args:\n      - token\n      - -i\n      - demo\n\
             {more}      env:\n      - name: AWS_STS_REGIONAL_ENDPOINTS\n        value: regional\n      \
             - name: AWS_DEFAULT_REGION\n        value: eu-west-1\n      \
             - name: AWS_PROFILE\n        value: dev\n",
            server = place.lab().kube_url("demo"),
            ca = place.path("ca.pem").display(),
        );
        place.write("kubeconfig", &text.replace("aws-iam-authenticator", &eksd));
        let who = kubectl(&place, "auth whoami").ok();
        assert!(who.contains(expected), "{who}");
    }
}

#[test]
fn the_words_in_the_order_of_eksd_work_too() {
    let place = place();
    let before = written_by_the_cli(&place);
    assert!(before.contains("command: aws") && before.contains("- get-token"), "{before}");
    let eksd = place.program("eksd").display().to_string();
    // `aws --region R eks get-token …` becomes `eksd token --region R …`: the flags stay.
    let after = before
        .replace("command: aws", &format!("command: {eksd}"))
        .replace("      args:\n", "      args:\n      - token\n")
        .replace("      - eks\n", "")
        .replace("      - get-token\n", "");
    for (version, text) in [("v1beta1", after.clone()), ("v1", after.replace("v1beta1", "v1"))] {
        let text = if version == "v1" {
            text.replace("      env:", "      interactiveMode: Never\n      env:")
        } else {
            text
        };
        place.write("kubeconfig", &text);
        let nodes = kubectl(&place, "get nodes").ok();
        assert!(nodes.contains("ip-10-0-0-2.demo.internal"), "{version}: {nodes}");
        let who = kubectl(&place, "auth whoami").ok();
        assert!(who.contains(DEVELOPER), "{version}: {who}");
    }
    let agents: Vec<String> =
        place.lab().calls_of("DescribeCluster").into_iter().map(|call| call.user_agent).collect();
    assert!(agents.iter().all(|agent| agent.contains("aws-cli")), "{agents:?}");
}

#[test]
fn the_answer_is_in_the_version_that_was_asked_for() {
    let place = place();
    let words = "token --cluster-name demo --region eu-west-1 --profile dev";
    for (asked, expected) in [(None, V1BETA1), (Some(V1), V1), (Some(V1BETA1), V1BETA1)] {
        let info = asked.map(|version| {
            format!(
                "{{\"kind\":\"ExecCredential\",\"apiVersion\":\"{version}\",\
                 \"spec\":{{\"interactive\":false}}}}\n"
            )
        });
        let vars: Vec<_> =
            info.iter().map(|info| ("KUBERNETES_EXEC_INFO", info.as_str())).collect();
        let given = place.eksd_with(&vars, words).json();
        assert_eq!(given["apiVersion"], expected, "{asked:?}");
        assert_eq!(given["kind"], "ExecCredential");
        assert!(given["status"]["token"].as_str().unwrap().starts_with("k8s-aws-v1."));
        let left = instant(&given["status"]["expirationTimestamp"]) - place.lab().now();
        assert!((600..=900).contains(&left), "asked again after {left} s: {given}");
    }
}

#[test]
fn the_flags_of_the_aws_cli() {
    let place = place();
    place.add_demo();
    let token = |words: &str| -> Value { place.eksd(&format!("token {words}")).json() };
    for words in [
        "--cluster demo",
        "--cluster-name demo --region eu-west-1 --profile dev",
        "--cluster-name=demo --region=eu-west-1 --profile=dev --output json",
        "--cluster-name demo --region eu-west-1 --profile dev \
         --role-arn arn:aws:iam::111122223333:role/second",
        "--cluster-id demo --region eu-west-1 --profile dev",
    ] {
        let given = token(words);
        assert!(given["status"]["token"].is_string(), "{words}: {given}");
        let nodes = place.command(tool("kubectl"));
        let mut nodes = nodes;
        nodes.args(["--server", &place.lab().kube_url("demo"), "--insecure-skip-tls-verify"]);
        nodes.args(["--token", given["status"]["token"].as_str().unwrap(), "get", "nodes"]);
        let nodes = crate::ran::Ran::from(nodes.output().unwrap()).ok();
        assert!(nodes.contains("ip-10-0-0-1.demo.internal"), "{words}");
    }
    let hops = place.lab().calls_of("AssumeRole");
    assert_eq!(hops.len(), 1, "{hops:?}");
    let alone = place.eksd("token -i demo --region eu-west-1 --profile dev --token-only").ok();
    assert!(alone.starts_with("k8s-aws-v1.") && alone.lines().count() == 1, "{alone}");
    for (words, expected) in [
        ("", "which cluster?"),
        ("-i demo -r arn --forward-session-name", "--session-name NAME"),
        ("-i demo --config f", "--cluster-id ID"),
        ("--cluster-name demo --cluster demo", "exclude each other"),
        ("--cluster-nam demo", "--cluster-name"),
    ] {
        let said = place.eksd(&format!("token {words}")).fails(2);
        assert!(said.contains(expected), "{words}: {said}");
    }
}

#[test]
fn kubectl_asks_for_no_person() {
    let place = place();
    place.add_demo();
    place.eksd("logout --all").ok();
    place.write("kubeconfig", &place.read("home/.kube/eksd/demo.yaml"));
    let said = kubectl(&place, "get nodes").failed();
    assert!(said.contains("eksd login"), "{said}");
    assert_eq!(place.browsers(), 1, "the first login's only");
}

#[test]
fn twenty_kubectls_at_once_make_one_call() {
    let place = place();
    place.add_demo();
    place.end_agent();
    place.lab().forget_calls();
    let config = place.path("home/.kube/eksd/demo.yaml");
    let children: Vec<_> = (0..20)
        .map(|_| {
            let mut command = place.command(tool("kubectl"));
            command.arg("--kubeconfig").arg(&config).args(["get", "nodes"]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in children {
        let nodes = crate::ran::Ran::from(child.wait_with_output().unwrap()).ok();
        assert!(nodes.contains("ip-10-0-0-1.demo.internal"), "{nodes}");
    }
    assert_eq!(place.lab().count("GetRoleCredentials"), 1);
    assert_eq!(place.lab().count("CreateToken"), 0);
}
