//! Which entries are registered, under which names, and which users are rewritten.

use super::*;
use crate::model::foreign::entries::Files;

fn known(alias: &str, name: &str, region: &str, profile: &str) -> Known {
    let (alias, name, region, profile) = (alias.into(), name.into(), region.into(), profile.into());
    Known { alias, name, region, profile, role_arn: None }
}

fn identity(name: &str, region: Option<&str>, profile: Option<&str>) -> Identity {
    let owned = |text: &str| text.to_owned();
    Identity {
        name: name.into(),
        region: region.map(owned),
        profile: profile.map(owned),
        role_arn: None,
        proxy_url: None,
    }
}

fn entry(context: &str, identity: Identity) -> (usize, Entry) {
    let says = Says::Cluster(Maker::AwsCli, identity);
    let user = format!("user of {context}");
    (0, Entry { context: context.into(), line: 1, user, user_at: Some((0, 0)), says })
}

fn fates(entries: Vec<(usize, Entry)>, known: &[Known]) -> Vec<Fate> {
    plan(entries, known, "own").into_iter().map(|row| row.fate).collect()
}

const ARN: &str = "arn:aws:eks:eu-west-1:111122223333:cluster/demo";

#[test]
fn names() {
    let eu = || identity("demo", Some("eu-west-1"), Some("dev"));
    let us = || identity("demo", Some("us-east-1"), Some("dev"));
    let other = || identity("demo", Some("eu-west-1"), Some("prod/x"));
    let register = |alias: &str| Fate::Register(alias.into());
    for (entries, expected) in [
        (vec![entry(ARN, eu())], vec![register("demo")]),
        (vec![entry("prod", eu())], vec![register("prod")]),
        (vec![entry("a/b", eu())], vec![register("demo")]),
        (vec![entry("me@demo.eu-west-1.eksctl.io", eu())], vec![register("demo")]),
        // One identity is one registration, whatever its contexts are called.
        (
            vec![entry(ARN, eu()), entry("mine", eu())],
            vec![register("demo"), Fate::Same("demo".into())],
        ),
        (
            vec![entry(ARN, eu()), entry("x:y", us())],
            vec![register("demo"), register("demo-us-east-1")],
        ),
        (
            vec![
                entry(ARN, eu()),
                entry("x:y", other()),
                entry("x:z", identity("demo", None, Some("z"))),
            ],
            vec![register("demo"), register("demo-eu-west-1"), register("demo-z")],
        ),
        (
            vec![entry("Demo", us()), entry(ARN, eu()), entry("x:y", other())],
            vec![register("Demo"), register("demo-eu-west-1"), register("demo-prod-x")],
        ),
        (vec![entry("x:y", identity("-ü", Some("r"), None))], vec![register("cluster")]),
    ] {
        assert_eq!(fates(entries.clone(), &[]), expected, "{entries:?}");
    }
}

#[test]
fn what_is_registered_is_not_registered_again() {
    let registered = [known("d", "demo", "eu-west-1", "dev"), known("demo", "other", "r", "dev")];
    let of = |region, profile| entry("demo", identity("demo", region, profile));
    for (entry, expected) in [
        (of(Some("eu-west-1"), Some("dev")), Fate::Known("d".into())),
        (of(None, Some("dev")), Fate::Known("d".into())),
        (of(Some("eu-west-1"), None), Fate::Register("demo-eu-west-1".into())),
        (of(Some("us-east-1"), Some("dev")), Fate::Register("demo-us-east-1".into())),
    ] {
        assert_eq!(fates(vec![entry], &registered), [expected]);
    }
    let asks = |alias: &str| {
        let says = Says::Registered(alias.into());
        (0, Entry { context: "x".into(), line: 1, user: "u".into(), user_at: None, says })
    };
    let expected =
        [Fate::Ours("d".into()), Fate::Left("it asks for `gone`, which is not registered".into())];
    assert_eq!(fates(vec![asks("d"), asks("gone")], &registered), expected);
}

#[test]
fn users_are_rewritten_once_and_only_where_contexts_agree() {
    let stanza = |cluster: &str| {
        format!("{{exec: {{command: aws, args: [eks, get-token, --cluster-name, {cluster}]}}}}")
    };
    let text = format!(
        "users:\n- name: a\n  user: {}\n- name: b\n  user: {}\n- name: c\n  user: {}\n\
         contexts:\n- {{name: a, context: {{cluster: x, user: a}}}}\n- {{name: a2, context: {{cluster: x, user: a}}}}\n\
         - {{name: b, context: {{cluster: 'arn:aws:eks:r1:1:cluster/b', user: b}}}}\n\
         - {{name: b2, context: {{cluster: 'arn:aws:eks:r2:1:cluster/b', user: b}}}}\n\
         - {{name: c, context: {{cluster: x, user: c}}}}\n",
        stanza("a"),
        stanza("b"),
        stanza("c"),
    );
    let documents = [&Document::read(&text).unwrap()];
    let entries = Files(&documents).entries(0).into_iter().map(|entry| (0, entry)).collect();
    let rows = plan(entries, &[], "own");
    let done = ["a".to_owned(), "b".to_owned(), "b2".to_owned()];
    let (taken, torn) = taken(&rows, documents[0], 0, &done);
    assert_eq!(taken.iter().map(|it| it.user.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(torn, ["b"], "it signs for two clusters; and `c` was not registered");
    let edited = rewrite(&text, &taken, "/usr/bin/eksd").unwrap();
    assert_eq!((edited.users, edited.text.matches("/usr/bin/eksd").count()), (1, 1), "{edited:?}");
    // Somebody else was faster: what the user says now was not what was decided on.
    let other = text.replace("--cluster-name, a]", "--cluster-name, z]");
    assert_eq!(rewrite(&other, &taken, "/usr/bin/eksd").unwrap().text, other);
    let once = rewrite(&edited.text, &taken, "/usr/bin/eksd").unwrap();
    assert_eq!((once.users, once.text), (0, edited.text));
}

#[test]
fn one_that_cannot_be_edited_does_not_stop_the_others() {
    let text = "x: &e {command: aws, args: [eks, get-token, --cluster-name, a, --region, r]}\n\
                users:\n- name: a\n  user:\n    exec: *e\n- name: b\n  user:\n    exec: {command: aws, args: [eks, get-token, --cluster-name, b]}\n\
                contexts:\n- {name: a, context: {cluster: x, user: a}}\n- {name: b, context: {cluster: x, user: b}}\n";
    let documents = [&Document::read(text).unwrap()];
    let entries = Files(&documents).entries(0).into_iter().map(|entry| (0, entry)).collect();
    let rows = plan(entries, &[], "own");
    let (taken, _) = taken(&rows, documents[0], 0, &["a".to_owned(), "b".to_owned()]);
    let edited = rewrite(text, &taken, "/usr/bin/eksd").unwrap();
    assert_eq!(edited.refused, [("a".to_owned(), Refusal::Shared { line: 5 })]);
    assert_eq!((edited.users, edited.text.matches("/usr/bin/eksd").count()), (1, 1));
}
