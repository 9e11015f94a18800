//! What `eksd cluster lint` calls an error, kubectl refuses; what kubectl takes is none.

use crate::adoption::{CONFIG, install, place, run};
use crate::place::Place;
use crate::tools::{aws_v2, tool};

fn with_aws() -> (Place, String) {
    let place = place();
    install(&place, &aws_v2());
    let path = std::env::var("PATH").unwrap_or_default();
    let mut place = place;
    place.set("PATH", format!("{}:{path}", place.path("bin").display()));
    run(&place, aws_v2(), "eks update-kubeconfig --name demo --region eu-west-1 --profile dev")
        .ok();
    place.add_demo();
    let text = place.read(CONFIG);
    (place, text)
}

#[test]
fn errors_are_what_kubectl_refuses() {
    let (place, good) = with_aws();
    let clean = place.eksd("cluster lint");
    assert_eq!((clean.code, clean.out.as_str()), (Some(0), ""), "{clean:?}");
    run(&place, tool("kubectl"), "get nodes").ok();
    let twice = good
        .replace("contexts:\n", "contexts:\n- {name: x, context: {}}\n- {name: x, context: {}}\n");
    let certificate = good.split("certificate-authority-data: ").nth(1).unwrap();
    let certificate = certificate.split_whitespace().next().unwrap();
    for (text, code) in [
        (good.replace("v1beta1", "v1alpha1"), "v1alpha1"),
        (good.replace("v1beta1", "v1"), "exec-version"),
        (twice, "duplicate-name"),
        (good.replace("command: aws", "command: aws-gone"), "no-plugin"),
        (good.replace("command: aws", "command: ./bin/aws"), "no-plugin"),
        (good.replace("value: dev", "value: gone"), "unknown-profile"),
        (good.replace(certificate, "Q0E="), "bad-ca"),
        (good.replace("server: https://127.0.0.1", "server: https://127.0.0.2"), "other-server"),
        (good.replace("    user: arn", "    user: gone-arn"), "dangling"),
        (format!("{good}\t- {{"), "unreadable"),
    ] {
        place.write(CONFIG, &text);
        assert_ne!(text, good, "{code}");
        let found = place.eksd("cluster lint");
        assert_eq!(found.code, Some(1), "{code}: {found:?}");
        assert!(found.out.contains(&format!("[{code}]\n")), "{code}: {}", found.out);
        run(&place, tool("kubectl"), "--request-timeout 5s get nodes").failed();
    }
    // A warning is no failure, and kubectl works.
    place.write(
        CONFIG,
        &good.replace("- --region\n      - eu-west-1", "- --region\n      - us-east-1"),
    );
    let found = place.eksd("cluster lint");
    assert!(found.code == Some(0) && found.out.contains("warning: "), "{found:?}");
    run(&place, tool("kubectl"), "get nodes").ok();
}

#[test]
fn the_json_says_the_same() {
    let (place, good) = with_aws();
    place.write(CONFIG, &good.replace("v1beta1", "v1alpha1"));
    let ran = place.eksd("cluster lint --json");
    assert_eq!(ran.code, Some(1));
    let found: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let finding = &found["findings"][0];
    assert_eq!((&finding["level"], &finding["code"]), (&"error".into(), &"v1alpha1".into()));
    assert_eq!(finding["file"], place.path(CONFIG).to_str().unwrap());
    let line = usize::try_from(finding["line"].as_u64().unwrap()).unwrap();
    let text = place.read(CONFIG);
    assert!(text.lines().nth(line - 1).unwrap().contains("v1alpha1"), "line {line}: {text}");
    place.eksd("cluster lint /no/such/file").fails(2);
}

/// kubectl 1.35 and later read `~/.kube/kuberc`. The printed entry is what makes it run the plugin.
#[test]
fn the_printed_entry_lets_kubectl_run_the_plugin() {
    let (place, _) = with_aws();
    place.eksd("cluster adopt --rewrite --yes").ok();
    let head = "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n";
    for policy in [
        "credentialPluginPolicy: DenyAll\n",
        "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- command: other\n",
        "credentialPluginPolicy: Allowlist\n",
    ] {
        place.write("home/.kube/kuberc", &format!("{head}{policy}"));
        run(&place, tool("kubectl"), "get nodes").failed();
        let found = place.eksd("cluster lint");
        assert_eq!(found.code, Some(1), "{found:?}");
        let entry = found.out.split("`command`):\n").nth(1).unwrap();
        let entry: Vec<&str> = entry.lines().take(3).map(str::trim).collect();
        place.write("home/.kube/kuberc", &format!("{head}{}\n", entry.join("\n")));
        run(&place, tool("kubectl"), "get nodes").ok();
        let clean = place.eksd("cluster lint");
        assert_eq!((clean.code, clean.out.as_str()), (Some(0), ""), "{clean:?}");
    }
}
