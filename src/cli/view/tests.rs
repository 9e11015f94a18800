//! What people see, as text.

use unicode_width::UnicodeWidthStr;

use super::*;
use crate::{
    ipc::wire::{AgentStatus, DriftStatus},
    report::Code,
};

fn look(width: usize) -> Look {
    Look {
        width,
        colour: false,
        now: "2026-11-24T14:26:00+01:00[Europe/Berlin]".parse().unwrap(),
        all: false,
        verbose: false,
        sources: "~/.aws/config and ~/.aws/credentials".into(),
    }
}

fn profile(name: &str, phase: Phase) -> ProfileStatus {
    ProfileStatus {
        profile: name.into(),
        phase,
        good_until: Some("2026-11-24T15:40:00Z".into()),
        confidence: Confidence::Exact,
        credentials_expire_at: Some("2026-11-24T14:09:00Z".into()),
        cap: None,
        clocks: vec![],
        root: None,
        account_id: None,
        role: None,
        in_use: true,
        action: None,
        report: None,
    }
}

fn needing_login(name: &str) -> ProfileStatus {
    ProfileStatus {
        good_until: Some("2026-11-24T13:14:00Z".into()),
        credentials_expire_at: None,
        action: Some(format!("eksd login {name}")),
        report: Some(
            Report::new(Code::NeedsLogin, "the session `corp` has ended", "run `eksd login`")
                .because("AWS refused the refresh token"),
        ),
        ..profile(name, Phase::NeedsLogin)
    }
}

fn cluster(alias: &str, profile: &str) -> ClusterStatus {
    ClusterStatus {
        cluster: alias.into(),
        arn: format!("arn:aws:eks:eu-west-1:111122223333:cluster/{alias}"),
        name: alias.into(),
        described_by: None,
        role_arn: None,
        version: Some("1.34".into()),
        region: "eu-west-1".into(),
        profile: profile.into(),
        phase: Phase::Fresh,
        good_until: Some("2026-11-24T15:40:00Z".into()),
        confidence: Confidence::Exact,
        kubeconfig: format!("/home/ann/.kube/eksd/{alias}.yaml"),
        checked_at: None,
        drift: None,
        drifts: Vec::new(),
        status: None,
        created_at: None,
        id: None,
        endpoint_access: None,
        public_cidrs: Vec::new(),
        proxy_url: None,
        report: None,
    }
}

fn answer(profiles: Vec<ProfileStatus>, clusters: Vec<ClusterStatus>) -> StatusAnswer {
    StatusAnswer {
        version: 1,
        agent: AgentStatus {
            version: "0.1.0".into(),
            pid: 1,
            started_at: String::new(),
            refreshing: 0,
        },
        profiles,
        clusters,
        reports: vec![],
        key_store: None,
    }
}

fn usual() -> StatusAnswer {
    let estimated = ProfileStatus {
        confidence: Confidence::Estimated,
        ..profile("a-profile-with-quite-a-long-name", Phase::Expiring)
    };
    let unknown = ProfileStatus {
        confidence: Confidence::Unknown,
        credentials_expire_at: None,
        ..profile("other", Phase::Idle)
    };
    answer(
        vec![profile("dev", Phase::Fresh), estimated, needing_login("prod"), unknown],
        vec![cluster("demo", "dev")],
    )
}

#[track_caller]
fn is_within(text: &str, width: usize) {
    for line in text.lines().take_while(|line| !line.starts_with("error:")) {
        assert!(line.width() <= width, "{} > {width}: {line}", line.width());
        assert!(!line.ends_with(' '), "{line:?}");
    }
}

#[test]
fn wide() {
    insta::assert_snapshot!(render(&usual(), &look(120)), @r#"
    CLUSTER                           PHASE        GOOD UNTIL             KEYS UNTIL  WHAT TO DO
    demo                              fresh        2h14m (16:40)          43m

    PROFILE                           PHASE        GOOD UNTIL             KEYS UNTIL  WHAT TO DO
    dev                               fresh        2h14m (16:40)          43m
    a-profile-with-quite-a-long-name  expiring     ~2h14m (16:40)         43m
    prod                              needs-login  ended 12m ago (14:14)  -           eksd login prod
    other                             idle         unknown                -

    error: the session `corp` has ended
      because: AWS refused the refresh token
      fix: run `eksd login`
    "#);
}

#[test]
fn usual_width() {
    insta::assert_snapshot!(render(&usual(), &look(80)), @r#"
    CLUSTER                      PHASE        GOOD UNTIL             WHAT TO DO
    demo                         fresh        2h14m (16:40)

    PROFILE                      PHASE        GOOD UNTIL             WHAT TO DO
    dev                          fresh        2h14m (16:40)
    a-profile-with-quite-a-lon…  expiring     ~2h14m (16:40)
    prod                         needs-login  ended 12m ago (14:14)  eksd login prod
    other                        idle         unknown

    error: the session `corp` has ended
      because: AWS refused the refresh token
      fix: run `eksd login`
    "#);
}

#[test]
fn narrow() {
    insta::assert_snapshot!(render(&usual(), &look(40)), @r#"
    CLUSTER       PHASE        GOOD UNTIL
    demo          fresh        2h14m

    PROFILE       PHASE        GOOD UNTIL
    dev           fresh        2h14m
    a-profile-w…  expiring     ~2h14m
    prod          needs-login  ended 12m ago
    other         idle         unknown

    error: the session `corp` has ended
      because: AWS refused the refresh token
      fix: run `eksd login`
    "#);
}

#[test]
fn verbose() {
    let root = crate::ipc::wire::RootStatus {
        kind: "sso".into(),
        name: "corp".into(),
        person: None,
        ends_at: Some("2026-11-24T15:40:00Z".into()),
        access_token_expires_at: None,
        registration_expires_at: None,
    };
    let dev = ProfileStatus {
        role: Some("Developer".into()),
        account_id: Some("111122223333".into()),
        cap: Some("chained, 1 h cap".into()),
        root: Some(root),
        ..profile("dev", Phase::Fresh)
    };
    let drifted = ClusterStatus {
        drift: Some("the CA in the file is not the cluster's".into()),
        ..cluster("demo", "dev")
    };
    let look = Look { verbose: true, ..look(80) };
    insta::assert_snapshot!(render(&answer(vec![dev], vec![drifted]), &look), @r#"
    CLUSTER  PHASE  GOOD UNTIL     KEYS UNTIL  WHAT TO DO
    demo     fresh  2h14m (16:40)  43m         eksd cluster sync demo
      profile dev
      arn:aws:eks:eu-west-1:111122223333:cluster/demo
      /home/ann/.kube/eksd/demo.yaml
      the CA in the file is not the cluster's

    PROFILE  PHASE  GOOD UNTIL     KEYS UNTIL  WHAT TO DO
    dev      fresh  2h14m (16:40)  43m
      role Developer
      account 111122223333
      keys chained, 1 h cap
      root sso corp
      root ends 2026-11-24T15:40:00Z
    "#);
}

#[test]
fn every_clock_and_the_key_store() {
    let clock = |name: &str, ends_at: Option<&str>, confidence, source: &str| ClockStatus {
        name: name.into(),
        ends_at: ends_at.map(str::to_owned),
        confidence,
        source: source.into(),
    };
    let dev = ProfileStatus {
        clocks: vec![
            clock("role keys", Some("2026-11-24T14:09:00Z"), Confidence::Exact, "AWS"),
            clock(
                "session",
                Some("2026-11-24T22:00:00Z"),
                Confidence::Estimated,
                "`length` in ~/.config/eksd/config.toml",
            ),
            clock("client registration", None, Confidence::Unknown, "no file\u{1b}[2J"),
        ],
        root: Some(crate::ipc::wire::RootStatus {
            kind: "sso".into(),
            name: "corp".into(),
            person: Some("ann".into()),
            ends_at: Some("2026-11-24T22:00:00Z".into()),
            access_token_expires_at: None,
            registration_expires_at: None,
        }),
        ..profile("dev", Phase::Fresh)
    };
    let mut answer = answer(vec![dev], vec![]);
    answer.key_store = Some(crate::ipc::wire::KeyStore {
        store: "Secret Service".into(),
        answers: false,
        why: Some("no answer in 2 s".into()),
    });
    let verbose = Look { verbose: true, ..look(80) };
    insta::assert_snapshot!(render(&answer, &verbose), @r"
    PROFILE  PHASE  GOOD UNTIL     KEYS UNTIL
    dev      fresh  2h14m (16:40)  43m
      root sso corp
      person ann
      role keys until 15:09 (in 43m): AWS
      session until about 23:00 (in 8h34m): `length` in ~/.config/eksd/config.toml
      client registration until nobody knows when: no file?[2J

    Key store: Secret Service does not answer: no answer in 2 s
    ");
    assert!(!render(&answer, &look(80)).contains("Key store"));
    answer.key_store.as_mut().unwrap().answers = true;
    assert!(render(&answer, &verbose).ends_with("\nKey store: Secret Service\n"));
}

#[test]
fn nobody() {
    insta::assert_snapshot!(render(&answer(vec![], vec![]), &look(80)), @r#"
    No profiles in ~/.aws/config and ~/.aws/credentials.
    To begin: `aws configure sso`, or copy a config file there.
    "#);
}

#[test]
fn a_thousand() {
    let mut profiles: Vec<_> = (0..1000)
        .map(|n| ProfileStatus {
            in_use: false,
            confidence: Confidence::Unknown,
            credentials_expire_at: None,
            ..profile(&format!("account-{n}"), Phase::Idle)
        })
        .collect();
    profiles[7] = profile("account-7", Phase::Fresh);
    profiles[9] = ProfileStatus { in_use: false, ..needing_login("account-9") };
    let mut answer = answer(profiles, vec![]);
    insta::assert_snapshot!(render(&answer, &look(80)), @r#"
    PROFILE    PHASE        GOOD UNTIL             KEYS UNTIL  WHAT TO DO
    account-7  fresh        2h14m (16:40)          43m
    account-9  needs-login  ended 12m ago (14:14)  -           eksd login account-9
    … and 998 more idle profiles: eksd status --all

    error: the session `corp` has ended
      because: AWS refused the refresh token
      fix: run `eksd login`
    "#);
    let all = render(&answer, &Look { all: true, ..look(80) });
    assert_eq!(all.lines().filter(|line| line.starts_with("account-")).count(), 1000);

    // One session that has ended takes many profiles with it.
    for profile in &mut answer.profiles {
        *profile = ProfileStatus { in_use: false, ..needing_login(&profile.profile) };
    }
    let text = render(&answer, &look(80));
    assert_eq!(text.lines().filter(|line| line.starts_with("account-")).count(), 20);
    assert!(text.contains("\n… and 980 more profiles: eksd status --all\n"), "{text}");
    assert_eq!(text.matches("error: ").count(), 1, "{text}");
}

#[test]
fn hostile_and_wide_names_stay_in_their_column() {
    let names = [
        "日本語のプロファイル名は幅が二倍です日本語のプロファイル名は幅が二倍です",
        "a\u{1b}[2J\u{1b}]52;c;x\u{7}\r\nb",
        "\u{202e}drawkcab",
        &"x".repeat(500),
        "👩‍👩‍👧‍👦",
        "",
    ];
    let profiles: Vec<_> = names.iter().map(|name| needing_login(name)).collect();
    let clusters = names.iter().map(|name| cluster(name, name)).collect();
    let answer = answer(profiles, clusters);
    for width in [1, 5, 20, 40, 79, 80, 120, 300] {
        let text = render(&answer, &look(width));
        is_within(&text, width);
        assert!(!text.contains(['\u{1b}', '\u{7}', '\r', '\u{202e}']), "{text}");
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    let plain = render(&usual(), &look(80));
    let coloured = render(&usual(), &Look { colour: true, ..look(80) });
    let mut terminal = vt100::Parser::new(40, 80, 0);
    terminal.process(coloured.replace('\n', "\r\n").as_bytes());
    assert_eq!(terminal.screen().contents(), plain.trim_end());
    assert!(coloured.contains("\u{1b}[31mneeds-login\u{1b}[0m"), "{coloured:?}");
}

#[test]
fn each_report_once() {
    let mut answer = answer(vec![needing_login("a"), needing_login("b")], vec![]);
    answer.reports =
        (0..12).map(|n| Report::new(Code::ConfigBroken, format!("line {n}"), "mend it")).collect();
    let text = render(&answer, &look(80));
    assert_eq!(text.matches("error: ").count(), 10);
    assert!(text.ends_with("\n… and 3 more: eksd status --verbose\n"), "{text}");
    let verbose = render(&answer, &Look { verbose: true, ..look(80) });
    assert_eq!(verbose.matches("error: ").count(), 13);
    assert_eq!(verbose.matches("the session `corp` has ended").count(), 1);
}

#[test]
fn what_to_do_about_drift() {
    let with = |fix: Option<&str>, is_news: bool| {
        let drift = DriftStatus {
            kind: "x".into(),
            since: String::new(),
            what: "x".into(),
            fix: fix.map(str::to_owned),
            is_news,
        };
        ClusterStatus { drift: Some("x".into()), drifts: vec![drift], ..cluster("demo", "dev") }
    };
    let older = ClusterStatus { drifts: Vec::new(), ..with(None, false) };
    for (cluster, expected) in [
        (cluster("demo", "dev"), None),
        (older, Some("eksd cluster sync demo")),
        (with(None, true), None),
        (with(None, false), Some("eksd cluster sync demo")),
        (with(Some("eksd cluster remove demo"), false), Some("eksd cluster remove demo")),
        (with(Some("mend the profile"), false), Some("eksd cluster list")),
    ] {
        assert_eq!(what_to_do(&cluster).as_deref(), expected, "{cluster:?}");
    }
}
