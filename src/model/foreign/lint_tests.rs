//! Each thing that can be wrong, where it is.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::*;

const ARN: &str = "arn:aws:eks:eu-west-1:1:cluster/demo";

fn authority(body: &str) -> String {
    let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
    BASE64_STANDARD.encode(pem)
}

fn good() -> String {
    format!(
        "clusters:\n- name: {ARN}\n  cluster:\n    certificate-authority-data: {}\n    server: https://x.eks.example\n\
         users:\n- name: {ARN}\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n\
         \u{20}     args: [--region, eu-west-1, eks, get-token, --cluster-name, demo]\n      command: aws\n\
         \u{20}     env:\n      - {{name: AWS_PROFILE, value: dev}}\n\
         contexts:\n- name: {ARN}\n  context:\n    cluster: {ARN}\n    user: {ARN}\ncurrent-context: {ARN}\n",
        authority("MAAA")
    )
}

fn seen() -> Seen {
    Seen { word: "config".into(), mode: 0o600, trouble: None, lock: None }
}

fn around<'a>(registered: &'a [Registered], profiles: &'a [String]) -> Around<'a> {
    Around {
        program: &|_, name| ["aws", "/usr/bin/eksd"].contains(&name).then(|| name.to_owned()),
        profiles: Some(profiles),
        registered: Some(registered),
        word: &|name| format!("'{name}'"),
        own_profile: None,
    }
}

fn registered() -> Registered {
    let known = Known {
        alias: "d".into(),
        name: "demo".into(),
        region: "eu-west-1".into(),
        profile: "dev".into(),
        role_arn: None,
    };
    let server = Some("https://x.eks.example/".to_owned());
    Registered { known, server, certificate_authority: Some(authority("MAAA")) }
}

/// `file:line code` of each finding.
fn found_with(texts: &[&str], seen: &[Seen], around: &Around<'_>) -> Vec<String> {
    let documents: Vec<Document> = texts.iter().map(|text| Document::read(text).unwrap()).collect();
    let documents: Vec<&Document> = documents.iter().collect();
    let findings = lint(Files(&documents), seen, around);
    let place = |finding: &Finding| match (finding.file, finding.line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (file, line) => format!("{file:?}:{line:?}"),
    };
    let level = |finding: &Finding| if finding.level == Level::Error { "" } else { " (warning)" };
    findings.iter().map(|it| format!("{} {}{}", place(it), it.code, level(it))).collect()
}

fn found(text: &str) -> Vec<String> {
    found_with(&[text], &[seen()], &around(&[registered()], &["dev".to_owned()]))
}

#[test]
fn nothing_is_wrong() {
    assert_eq!(found(&good()), [""; 0]);
    assert_eq!(found(""), [""; 0]);
}

#[test]
fn each_thing_that_can_be_wrong_is_found_where_it_is() {
    let v1 = |rest: &str| ("v1beta1\n", format!("v1\n{rest}"));
    let cases: [(&str, String, &str); 16] = [
        ("v1beta1", "v1alpha1".into(), "0:10 v1alpha1"),
        ("v1beta1", "v7".into(), "0:10 exec-version"),
        (v1("").0, v1("").1, "0:10 exec-version"),
        ("command: aws", "command: /gone/aws".into(), "0:12 no-plugin"),
        ("command: aws", "command: aws-iam-authenticator".into(), "0:12 no-plugin"),
        ("value: dev", "value: gone".into(), "0:14 unknown-profile"),
        ("[--region, eu-west-1", "[--region, us-east-1".into(), "0:10 region (warning)"),
        ("    exec:", "    token: x\n    exec:".into(), "0:9 token-beside-plugin"),
        ("https://x.eks.example", "https://y.eks.example".into(), "0:5 other-server"),
        (&authority("MAAA"), authority("MAAB"), "0:4 other-ca"),
        (&authority("MAAA"), "Q0E=".into(), "0:4 bad-ca"),
        ("    server:", "    insecure-skip-tls-verify: true\n    server:".into(), "0:4 insecure"),
        ("    cluster: arn", "    cluster: no-arn".into(), "0:18 dangling"),
        (
            "current-context: arn",
            "current-context: no-arn".into(),
            "0:20 no-current-context (warning)",
        ),
        (
            "contexts:\n",
            "contexts:\n- {name: x, context: {}}\n- {name: x, context: {}}\n".into(),
            "0:17 duplicate-name",
        ),
        ("contexts:\n", "contexts:\n- {context: {}}\n".into(), "0:16 no-name"),
    ];
    for (from, to, expected) in cases {
        let text = good().replace(from, &to);
        assert_ne!(text, good(), "{from}");
        assert_eq!(found(&text), [expected], "{from} -> {to}");
    }
    let named = good().replace("v1beta1\n", "v1\n      interactiveMode: Never\n");
    assert_eq!(found(&named), [""; 0]);
}

#[test]
fn an_entry_of_eksds_is_compared_by_its_alias() {
    let own = |alias: &str, server: &str| {
        format!(
            "clusters:\n- name: d\n  cluster: {{server: '{server}'}}\nusers:\n- name: d\n  user:\n    exec:\n\
             \u{20}     {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: /usr/bin/eksd, args: [token, --cluster, {alias}]}}\n\
             contexts:\n- {{name: d, context: {{cluster: d, user: d}}}}\n- {{name: e, context: {{cluster: d, user: d}}}}\n"
        )
    };
    assert_eq!(found(&own("d", "https://x.eks.example")), [""; 0]);
    assert_eq!(found(&own("d", "https://other")), ["0:3 other-server"]);
    assert_eq!(found(&own("gone", "https://other")), ["0:8 unknown-alias"]);
    // Without an agent nothing is known of clusters, and nothing is said about them.
    let around = Around { registered: None, ..around(&[], &[]) };
    let gone = own("gone", "https://other");
    assert_eq!(found_with(&[&gone], &[seen()], &around), [""; 0]);
}

#[test]
fn a_profile_that_shadows_the_shells() {
    let profiles = ["dev".to_owned()];
    let own = Around { own_profile: Some("prod"), ..around(&[], &profiles) };
    assert_eq!(found_with(&[&good()], &[seen()], &own), ["0:14 profile-baked-in (warning)"]);
    let same = Around { own_profile: Some("dev"), ..around(&[], &profiles) };
    assert_eq!(found_with(&[&good()], &[seen()], &same), [""; 0]);
}

#[test]
fn the_first_file_wins() {
    let profiles = ["dev".to_owned()];
    let warnings = [
        "1:2 shadowed-name (warning)",
        "1:7 shadowed-name (warning)",
        "1:16 shadowed-name (warning)",
    ];
    let text = good();
    let found = found_with(&[&text, &text], &[seen(), seen()], &around(&[], &profiles));
    assert_eq!(found, warnings);
}

#[test]
fn the_file_itself() {
    let profiles = ["dev".to_owned()];
    let around = around(&[], &profiles);
    let open = Seen { mode: 0o644, ..seen() };
    assert_eq!(found_with(&[&good()], &[open], &around), ["Some(0):None open-file (warning)"]);
    let secret = "users: [{name: a, user: {token: t}}]\n";
    let open = Seen { mode: 0o640, ..seen() };
    assert_eq!(found_with(&[secret], &[open], &around), ["Some(0):None open-file"]);
    let locked = |age| Seen { lock: Some((Duration::from_secs(age), false)), ..seen() };
    assert_eq!(found_with(&[""], &[locked(60)], &around), ["Some(0):None stale-lock"]);
    assert_eq!(found_with(&[""], &[locked(1)], &around), [""; 0]);
    let trouble = Document::read("{{").unwrap_err();
    let torn = Seen { trouble: Some(trouble), ..seen() };
    assert_eq!(found_with(&[""], &[torn], &around), ["0:1 unreadable"]);
}

#[test]
fn regions_of_addresses() {
    for (server, expected) in [
        ("https://ABC.gr7.eu-west-1.eks.amazonaws.com", Some("eu-west-1")),
        ("https://ABC.yl4.cn-north-1.eks.amazonaws.com.cn:443/x", Some("cn-north-1")),
        ("https://abc.eks-cluster.eu-west-1.api.aws", Some("eu-west-1")),
        ("https://127.0.0.1:6443", None),
    ] {
        assert_eq!(region_of_server(server), expected, "{server}");
    }
}

#[test]
fn names_in_commands_are_words_of_a_shell() {
    let text = "users:\n- name: u\n  user: {exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: /usr/bin/eksd, args: [token, --cluster, $(b)]}}\n\
                contexts:\n- {name: $(a), context: {cluster: gone, user: u}}\n";
    let document = Document::read(text).unwrap();
    let findings = lint(Files(&[&document]), &[seen()], &around(&[], &[]));
    let fixes: Vec<&str> = findings.iter().map(|finding| finding.fix.as_str()).collect();
    assert_eq!(
        fixes,
        [
            "eksd cluster add NAME --region R --profile P --alias '$(b)'",
            "kubectl config delete-context '$(a)'",
        ]
    );
}
