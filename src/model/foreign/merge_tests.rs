//! Entries put into files of all kinds.

use super::*;

fn wanted() -> Wanted {
    Wanted {
        alias: "demo".into(),
        user: "demo".into(),
        server: "https://demo.example".into(),
        certificate_authority: Some("Q0E=".into()),
        proxy_url: None,
        command: "/usr/bin/eksd".into(),
    }
}

const NEW: &str = "\
apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://demo.example
  name: demo
contexts:
- context:
    cluster: demo
    user: demo
  name: demo
current-context: demo
users:
- name: demo
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      args:
      - token
      - --cluster
      - demo
      command: /usr/bin/eksd
      installHint: \"eksd makes the tokens for this cluster: install it\"
      interactiveMode: Never
";

#[test]
fn a_new_file() {
    for nothing in [None, Some(""), Some("\n")] {
        let merged = merge(nothing, &wanted()).unwrap();
        assert_eq!(merged.text.trim_start(), NEW);
        assert!(merged.is_made_current && !merged.had_context);
    }
    let commented = merge(Some("# mine"), &wanted()).unwrap();
    assert_eq!(commented.text, format!("# mine\n{NEW}"));
}

#[test]
fn twice_changes_nothing() {
    let again = merge(Some(NEW), &wanted()).unwrap();
    assert_eq!(again.text, NEW);
    assert!(!again.is_made_current && again.had_context);
    // kubectl quotes in another way.
    let quoted = NEW.replace(
        "\"eksd makes the tokens for this cluster: install it\"",
        "'eksd makes the tokens for this cluster: install it'",
    );
    assert_ne!(quoted, NEW);
    assert_eq!(merge(Some(&quoted), &wanted()).unwrap().text, quoted);
}

/// What kubectl and the AWS CLI write where there is nothing.
#[test]
fn lists_that_are_empty_or_missing() {
    let judged = |text: &str| serde_yaml_ng::from_str::<serde_yaml_ng::Value>(text).unwrap();
    for text in [
        "apiVersion: v1\nclusters: []\ncontexts: null\ncurrent-context: ''\nkind: Config\npreferences: {}\nusers:\n",
        "apiVersion: v1\nkind: Config\npreferences: {}",
        "{\"apiVersion\": \"v1\", \"kind\": \"Config\", \"users\": [], \"contexts\": null}",
        "{\n  \"kind\": \"Config\",\n  \"clusters\": [\n    {\"name\": \"x\", \"cluster\": {}}\n  ]\n}\n",
        "kind: Config\nusers:\n- {name: x, user: {}}\nclusters:\n  # mine\n  - name: x\n    cluster: {server: s}\ncontexts: [{name: x, context: {cluster: x, user: x}}]",
    ] {
        let merged = merge(Some(text), &wanted()).unwrap();
        let (before, after) = (judged(text), judged(&merged.text));
        for list in ["clusters", "contexts", "users"] {
            let mine = before[list].as_sequence().cloned().unwrap_or_default();
            let all = after[list].as_sequence().unwrap();
            assert_eq!(all[..all.len() - 1], mine, "{list} in {}", merged.text);
            assert_eq!(all[all.len() - 1], judged(NEW)[list][0], "{}", merged.text);
        }
        assert_eq!(after["current-context"], "demo");
        assert!(merged.is_made_current);
        assert_eq!(merge(Some(&merged.text), &wanted()).unwrap().text, merged.text);
    }
}

#[test]
fn what_is_the_persons_stays() {
    let mine = NEW
        .replace("    user: demo\n", "    user: demo\n    namespace: team-a # ours\n")
        .replace(
            "    server: https://demo.example\n",
            "    insecure-skip-tls-verify: true\n    server: https://old\n    tls-server-name: x\n",
        )
        .replace("    certificate-authority-data: Q0E=\n", "")
        .replace("current-context: demo", "current-context: other");
    let merged = merge(Some(&mine), &wanted()).unwrap();
    for kept in ["namespace: team-a # ours", "tls-server-name: x", "current-context: other"] {
        assert!(merged.text.contains(kept), "{kept}: {}", merged.text);
    }
    assert!(!merged.text.contains("insecure") && !merged.text.contains("https://old"));
    assert!(merged.text.contains("certificate-authority-data: Q0E="));
    assert!(!merged.is_made_current && merged.had_context);
}

#[test]
fn an_entry_of_the_name_is_made_eksds() {
    let empty = "users:\n- name: demo\n  user: {}\ncontexts:\n- name: demo\n";
    let merged = merge(Some(empty), &wanted()).unwrap().text;
    assert!(merged.contains("/usr/bin/eksd"), "{merged}");
    let aws = NEW
        .replace("command: /usr/bin/eksd", "command: aws")
        .replace("    exec:", "    token: x\n    exec:");
    assert_eq!(merge(Some(&aws), &wanted()).unwrap().text, NEW);
    let proxied = Wanted { proxy_url: Some("http://p:1".into()), user: "me".into(), ..wanted() };
    let merged = merge(Some(NEW), &proxied).unwrap().text;
    assert!(merged.contains("    proxy-url: http://p:1\n") && merged.contains("    user: me\n"));
    assert_eq!(merged.matches("- token\n").count(), 2, "{merged}");
}

#[test]
fn a_user_of_somebody_elses_is_not_taken_over() {
    for user in
        ["token: x", "client-key-data: eA==", "exec: {command: /opt/gke-gcloud-auth-plugin}"]
    {
        let text = format!("users:\n- name: demo\n  user:\n    {user}\n");
        assert_eq!(merge(Some(&text), &wanted()), Err(Refusal::Taken { line: 2 }), "{user}");
    }
    let theirs =
        "users:\n- name: demo\n  user:\n    exec: {command: /usr/local/bin/aws, args: []}\n";
    assert!(merge(Some(theirs), &wanted()).is_ok());
}

#[test]
fn odd_files_are_refused() {
    for text in ["{}", "---\n", "a: 1\n---\nb: 2\n", "clusters: &c []\n", "clusters: 7\n"] {
        assert!(merge(Some(text), &wanted()).is_err(), "{text}");
    }
}
