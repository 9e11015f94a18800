//! What stands in a file before and after.

use super::*;

fn wanted() -> Wanted {
    Wanted {
        alias: "demo".into(),
        server: "https://demo.example".into(),
        certificate_authority: "Q0E=".into(),
        command: "/usr/bin/eksd".into(),
        ..Wanted::default()
    }
}

fn fresh() -> String {
    edit(None, &wanted()).text.unwrap()
}

#[test]
fn a_new_file() {
    assert_eq!(
            fresh(),
            "\
apiVersion: v1
kind: Config
clusters:
- name: demo
  cluster:
    server: https://demo.example
    certificate-authority-data: Q0E=
users:
- name: demo
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: /usr/bin/eksd
      args:
      - token
      - --cluster
      - demo
      interactiveMode: Never
      provideClusterInfo: false
      installHint: eksd makes the tokens for this cluster; install it, or run `eksd agent start` to see what is wrong
contexts:
- name: demo
  context:
    cluster: demo
    user: demo
current-context: demo
"
        );
}

#[test]
fn editing_twice_changes_nothing() {
    assert_eq!(edit(Some(&fresh()), &wanted()).text, None);
}

#[test]
fn what_belongs_to_the_person_survives() {
    let mine = fresh()
        .replace("    user: demo\n", "    user: demo\n    namespace: team-a\n")
        .replace("    server:", "    proxy-url: http://proxy:3128\n    server:")
        + "preferences:\n  colors: true\n";
    assert_eq!(edit(Some(&mine), &wanted()).text, None);
    let moved = Wanted { server: "https://new.example".into(), ..wanted() };
    let edit = edit(Some(&mine), &moved);
    assert_eq!(edit.puts, [Put::Server]);
    let text = edit.text.unwrap();
    for kept in ["namespace: team-a", "proxy-url: http://proxy:3128", "colors: true"] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
    assert!(text.contains("https://new.example") && !text.contains("https://demo.example"));
}

#[test]
fn what_belongs_to_eksd_is_put_back() {
    let hijacked = fresh().replace("/usr/bin/eksd", "/tmp/evil");
    let edit_made = edit(Some(&hijacked), &wanted());
    assert_eq!(edit_made.puts, [Put::Plugin]);
    assert_eq!(edit_made.text.as_deref(), Some(fresh().as_str()));

    let open = fresh().replace("    server:", "    insecure-skip-tls-verify: true\n    server:");
    let edit_made = edit(Some(&open), &wanted());
    assert_eq!(edit_made.puts, [Put::Bypass]);

    let lost = fresh().replace("current-context: demo", "current-context: gone");
    assert_eq!(edit(Some(&lost), &wanted()).text.as_deref(), Some(fresh().as_str()));
}

#[test]
fn a_context_of_the_person_may_be_the_current_one() {
    let mine = fresh().replace(
        "current-context: demo",
        "- name: mine\n  context:\n    cluster: demo\n    user: demo\ncurrent-context: mine",
    );
    assert_eq!(edit(Some(&mine), &wanted()).text, None);
}

#[test]
fn nonsense_is_replaced_and_said_so() {
    for nonsense in ["", "- a\n- b\n", "{{{{", "clusters: 7\nusers: x\ncontexts: [1, [2]]\n"] {
        let edit = edit(Some(nonsense), &wanted());
        let tree = parse(&edit.text.unwrap()).unwrap();
        assert!(tree.contains_key("current-context"), "{nonsense}");
        assert!(!edit.puts.is_empty());
    }
    assert!(edit(Some("{{{{"), &wanted()).was_nonsense);
}

proptest::proptest! {
    /// Whatever text stood there, the result is a fixed point.
    #[test]
    fn edits_settle(text in "[a-z:{}\\[\\]\\-\\n #&*!']{0,80}") {
        let first = edit(Some(&text), &wanted());
        let text = first.text.unwrap_or(text);
        proptest::prop_assert_eq!(edit(Some(&text), &wanted()).text, None);
    }
}

/// Whatever stands beside what eksd owns.
#[test]
fn every_part_of_the_person_s_survives_a_move() {
    let mine = "\
apiVersion: v1
kind: Config
preferences:
  colors: true
extensions:
- name: mine
  extension: {a: 1}
clusters:
- name: demo
  cluster:
    server: https://demo.example
    certificate-authority-data: Q0E=
    proxy-url: socks5://127.0.0.1:1080
    tls-server-name: inside.example
    disable-compression: true
    extensions:
    - name: lens
      extension: {b: [2, 3]}
- name: tunnel
  cluster:
    server: https://127.0.0.1:8443
    tls-server-name: demo.example
users:
- name: demo
  user:
    as: ann
    as-groups: [viewers]
contexts:
- name: demo
  context:
    cluster: demo
    user: demo
    namespace: team-a
    extensions:
    - name: minikube
      extension: {c: d}
- name: through-the-tunnel
  context:
    cluster: tunnel
    user: demo
    namespace: team-b
current-context: through-the-tunnel
";
    let moved = Wanted { server: "https://new.example".into(), ..wanted() };
    let made = edit(Some(mine), &moved);
    assert_eq!(made.puts, [Put::Server, Put::Plugin]);
    let tree: Value = serde_yaml_ng::from_str(&made.text.unwrap()).unwrap();
    let mut expected: Value = serde_yaml_ng::from_str(mine).unwrap();
    expected["clusters"][0]["cluster"]["server"] = "https://new.example".into();
    expected["users"][0]["user"]["exec"] = exec_stanza(&wanted(), "/usr/bin/eksd");
    assert_eq!(tree, expected);
}

#[test]
fn a_proxy_belongs_to_who_named_it() {
    let with =
        |url: &str| fresh().replace("    server:", &format!("    proxy-url: {url}\n    server:"));
    let named = Wanted { proxy_url: Some("http://proxy:3128".into()), ..wanted() };
    let text = edit(None, &named).text.unwrap();
    assert!(text.contains("proxy-url: http://proxy:3128"), "{text}");
    assert_eq!(edit(Some(&text), &named).text, None);
    assert_eq!(edit(Some(&with("http://other:1")), &named).puts, [Put::Proxy]);
    assert_eq!(edit(Some(&with("http://other:1")), &wanted()).text, None);
    // Registered anew without one: the old one goes, another one is the person's.
    let former = Wanted { former_proxy_url: Some("http://proxy:3128".into()), ..wanted() };
    let made = edit(Some(&text), &former);
    assert_eq!((made.puts, made.text), (vec![Put::Proxy], Some(fresh())));
    assert_eq!(edit(Some(&with("http://other:1")), &former).text, None);
}

#[test]
fn addresses_of_every_kind_are_written_right() {
    for server in [
        "https://ABCD.gr7.eu-west-1.eks.amazonaws.com",
        "https://ABCD.gr7.eu-west-1.eks.api.aws",
        "https://[::1]:6443",
        "https://[2600:1f14::1]",
    ] {
        let wanted = Wanted { server: server.into(), ..wanted() };
        let text = edit(None, &wanted).text.unwrap();
        let tree = parse(&text).unwrap();
        assert_eq!(tree["clusters"][0]["cluster"]["server"], Value::from(server));
        assert_eq!(edit(Some(&text), &wanted).text, None, "{text}");
    }
}

/// As kubectl 1.32 writes the file after any `kubectl config`.
#[test]
fn kubectl_s_way_of_writing_is_no_edit() {
    let rewritten =
        fresh().replace("      interactiveMode", "      env: null\n      interactiveMode");
    assert_eq!(edit(Some(&rewritten), &wanted()).text, None);
    let evil = rewritten.replace("env: null", "env: [{name: AWS_PROFILE, value: other}]");
    assert_eq!(edit(Some(&evil), &wanted()).puts, [Put::Plugin]);
}

#[test]
fn eksd_that_moved_is_no_edit_of_somebody_s() {
    let moved = Wanted { command: "/opt/eksd/bin/eksd".into(), ..wanted() };
    assert_eq!(edit(Some(&fresh()), &moved).puts, [Put::EksdMoved]);
    let evil = fresh().replace("/usr/bin/eksd", "/tmp/evil");
    assert_eq!(edit(Some(&evil), &moved).puts, [Put::Plugin]);
}

#[test]
fn names_that_stand_there_twice() {
    let doubled = fresh().replace(
        "users:\n",
        "- name: demo\n  cluster:\n    server: https://evil.example\nusers:\n",
    );
    let made = edit(Some(&doubled), &wanted());
    assert_eq!((made.puts, made.text), (vec![Put::Duplicate], Some(fresh())));
}

#[test]
fn an_entry_with_a_tag_is_no_entry() {
    let tagged = fresh().replace("- name: demo\n  cluster:", "- !x\n  name: demo\n  cluster:");
    assert!(edit(Some(&tagged), &wanted()).text.is_some());
}

#[test]
fn an_emptied_file_is_not_worth_keeping() {
    for text in ["", " \n\n"] {
        let made = edit(Some(text), &wanted());
        assert_eq!((made.puts, made.was_nonsense), (vec![Put::Whole], false));
    }
}

/// A small text that means gigabytes, one that nests deep, and one that is only long.
#[test]
fn bombs_do_not_go_off() {
    let mut laughs = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in "bcdefghij".chars().zip("abcdefghi".chars()) {
        laughs += &format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 10].join(", "));
    }
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), "*a, ".repeat(100_000));
    let few = format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), "*a, ".repeat(8));
    let deep = "[".repeat(1 << 20);
    let maps = "{a: ".repeat(1 << 18);
    let dashes = "- ".repeat(1 << 19);
    let questions = "? ".repeat(1 << 19);
    let wide = format!("a: [{}]\n", "1, ".repeat(300_000));
    for bomb in [laughs, long, deep, maps, dashes, questions] {
        let begun = std::time::Instant::now();
        let made = edit(Some(&bomb), &wanted());
        assert!(made.was_nonsense, "{}", &bomb[..40]);
        assert_eq!(made.text, Some(fresh()));
        assert!(begun.elapsed().as_secs() < 5, "{}", &bomb[..40]);
    }
    for odd in [few, wide] {
        let begun = std::time::Instant::now();
        let made = edit(Some(&odd), &wanted());
        assert!(!made.was_nonsense);
        assert!(made.text.is_some_and(|text| text.len() < 8_000_000), "{}", &odd[..40]);
        assert!(begun.elapsed().as_secs() < 20, "{}", &odd[..40]);
    }
}

#[test]
fn what_may_be_an_alias() {
    for (text, expected) in [
        ("a: *b\n", 1),
        ("[*a,*b, *c]", 3),
        ("- *a\n-\n  *b\n", 2),
        ("<<: *base", 1),
        ("note: 2*3, a*b and a * b", 0),
        ("&a {x: 1}", 0),
    ] {
        assert_eq!(aliases(text), expected, "{text}");
    }
    let merged = "x: &x {namespace: team-a}\n".to_owned()
        + &fresh().replace("    user: demo\n", "    user: demo\n    extra: *x\n");
    assert_eq!(edit(Some(&merged), &wanted()).text, None, "a few are the person's own");
}

#[test]
fn a_renamed_file_keeps_what_is_the_person_s() {
    let mine =
        fresh().replace("    user: demo\n", "    user: demo\n    namespace: team-a\n").replace(
            "current-context: demo",
            "- name: mine\n  context:\n    cluster: demo\n    user: demo\ncurrent-context: mine",
        );
    let text = renamed(&mine, "demo", "prod").unwrap().unwrap();
    let wanted = Wanted { alias: "prod".into(), ..wanted() };
    let made = edit(Some(&text), &wanted);
    // Only the alias among the plugin's arguments is left to do.
    assert_eq!(made.puts, [Put::Plugin]);
    let text = made.text.unwrap();
    assert_eq!(
        text,
        mine.replace("name: demo", "name: prod")
            .replace("cluster: demo", "cluster: prod")
            .replace("user: demo", "user: prod")
            .replace("- demo\n", "- prod\n")
    );
    assert_eq!(renamed(&mine, "demo", "mine"), Err(NameTaken));
    assert_eq!(renamed("- a", "demo", "prod"), Ok(None));
}
