//! Clusters that are not as they were, files that somebody edits, and what is said about it.

use std::{path::PathBuf, time::Duration};

use eksd_lab::{Cluster, Fault, Lab, Script};

use super::{
    bench::{Bench, CONFIG, minutes},
    clusters::{add, server_of, wait_for_file},
};
use crate::{
    agent::{
        clusters::rows,
        event::{Event, Patience},
        tokens::{Handed, TokenAsk},
        watcher::Change,
    },
    ipc::wire::{ClusterAddParams, ClusterRenameParams, ClusterStatus, SyncedCluster, TokenParams},
    model::Secret,
    report::{Code, Report},
    store::atomic,
};

async fn begin() -> Bench {
    let bench = Bench::start().await;
    bench.login("corp").await;
    add(&bench, "demo", None).await.unwrap();
    assert_eq!(bench.notices(), [""; 0]);
    bench
}

async fn sync(bench: &Bench) -> SyncedCluster {
    sync_all(bench).await.remove(0)
}

async fn sync_all(bench: &Bench) -> Vec<SyncedCluster> {
    let errands = bench.mailbox.ask(|reply| Event::ClusterErrands { alias: None, reply });
    rows(errands.await.unwrap(), bench.world(), &bench.mailbox).await
}

async fn cluster(bench: &Bench) -> ClusterStatus {
    bench.status().await.clusters.remove(0)
}

fn file(bench: &Bench, alias: &str) -> PathBuf {
    bench.paths.kubeconfig_dir.join(format!("{alias}.yaml"))
}

fn text(bench: &Bench) -> String {
    std::fs::read_to_string(file(bench, "demo")).unwrap()
}

async fn token(bench: &Bench, alias: &str) -> Result<Handed, Report> {
    let params = TokenParams { cluster: Some(alias.into()), ..TokenParams::default() };
    let ask = TokenAsk { params, asker: None, patience: Patience::Some };
    bench.mailbox.ask(|reply| Event::Token { ask, reply }).await
}

/// Returns the token for a cluster of this id, whatever is registered. The same second, key and id make the
/// same token.
async fn token_of(bench: &Bench, id: &str) -> Secret {
    let params = TokenParams {
        cluster_id: Some(id.into()),
        region: Some("eu-west-1".into()),
        profile: Some("dev".into()),
        ..TokenParams::default()
    };
    let ask = TokenAsk { params, asker: None, patience: Patience::Some };
    bench.mailbox.ask(|reply| Event::Token { ask, reply }).await.unwrap().token
}

/// Writes as another program would, and lets the agent know as the file system does.
fn edit(bench: &Bench, text: &str) {
    atomic::write(&file(bench, "demo"), text.as_bytes()).unwrap();
    bench.mailbox.send(Event::Changed(Change::Kubeconfigs));
}

/// AWS knows no cluster any more, until the faults are cleared.
fn take_away(bench: &Bench) {
    bench.lab.queue(Fault::status("DescribeCluster", 404, "ResourceNotFoundException").times(-1));
}

#[tokio::test]
async fn deleted_and_there_again() {
    let mut bench = begin().await;
    let before = text(&bench);
    take_away(&bench);
    let row = sync(&bench).await;
    let report = row.report.unwrap();
    assert_eq!(report.code, Code::ClusterNotFound);
    assert!(report.what.starts_with("cluster `demo` was deleted"), "{report}");
    assert_eq!(report.fix, "eksd cluster remove demo");
    assert_eq!(text(&bench), before, "nobody's file is deleted");
    assert_eq!(bench.notices(), ["Cluster demo was deleted"]);
    assert_eq!(cluster(&bench).await.drifts[0].kind, "deleted");

    // A client hears the cause and not that some host is not found.
    let report = token(&bench, "demo").await.unwrap_err();
    assert!(
        report.what.contains("demo` was deleted: AWS knows it no longer since 2026-03-02 08:00")
    );

    // Told once, restart or not.
    sync(&bench).await;
    bench.restart("").await;
    sync(&bench).await;
    assert_eq!(bench.notices(), [""; 0]);
    assert_eq!(cluster(&bench).await.drifts[0].since, "2026-03-02T08:00:00Z");

    bench.lab.clear_faults();
    sync(&bench).await;
    assert_eq!(cluster(&bench).await.drift, None);
    assert_eq!(bench.notices(), ["withdrawn"]);
    token(&bench, "demo").await.unwrap();
}

#[tokio::test]
async fn a_rotated_ca_is_followed_and_the_namespace_kept() {
    let bench = begin().await;
    let mine = text(&bench).replace("    user: demo\n", "    user: demo\n    namespace: mine\n");
    edit(&bench, &mine);
    bench.lab.edit(|script| script.clusters[0].ca = Some("another CA".into()));
    let row = sync(&bench).await;
    assert_eq!(row.changes, ["has another certificate authority"]);
    assert_eq!(bench.notices(), ["Cluster demo has another certificate authority"]);
    let now = text(&bench);
    assert_ne!(now, mine);
    assert!(now.contains("namespace: mine") && now.contains("YW5vdGhlciBDQQ=="), "{now}");

    // News for a day, said once.
    assert_eq!(sync(&bench).await.changes, [""; 0]);
    assert_eq!(cluster(&bench).await.drifts[0].kind, "changed");
    bench.advance(minutes(24 * 60));
    bench.status().await;
    bench.until(|status| status.clusters[0].drift.is_none()).await;
}

#[tokio::test]
async fn a_cluster_on_its_way_is_kept_as_it_was_and_looked_at_sooner() {
    let bench = begin().await;
    let before = text(&bench);
    bench.lab.edit(|script| script.clusters[0].status = "DELETING".into());
    let report = sync(&bench).await.report.unwrap();
    assert_eq!(report.code, Code::ClusterNotReady);
    assert_eq!(text(&bench), before);
    assert_eq!(bench.notices(), ["Cluster demo is being deleted"]);
    assert_eq!(cluster(&bench).await.status.as_deref(), Some("DELETING"));
    token(&bench, "demo").await.unwrap();

    take_away(&bench);
    let calls = bench.lab.count("DescribeCluster");
    bench.pass(minutes(16)).await;
    bench.until(|status| status.clusters[0].drifts[0].kind == "deleted").await;
    assert_eq!(bench.lab.count("DescribeCluster"), calls + 1);
    assert_eq!(bench.notices(), ["Cluster demo was deleted"]);
}

#[tokio::test]
async fn the_same_name_in_another_account_is_not_followed() {
    let bench = begin().await;
    let before = text(&bench);
    bench.lab.edit(|script| {
        script.clusters[0].account = "444455556666".into();
    });
    // The profile is another account's now, and there is a cluster of that name.
    bench.write_config(&CONFIG.replace(
        "111122223333\nsso_role_name = Developer",
        "444455556666\nsso_role_name = ReadOnly",
    ));
    bench.until(|status| status.profiles[0].account_id.as_deref() == Some("444455556666")).await;
    let report = sync(&bench).await.report.unwrap();
    assert!(report.what.contains("is in account 444455556666"), "{report}");
    assert_eq!(text(&bench), before);
    assert_eq!(bench.notices(), ["Cluster demo is in another account than its profile"]);
}

#[tokio::test]
async fn a_profile_that_is_gone_or_has_another_name() {
    let bench = begin().await;
    let renamed = CONFIG
        .replace("[profile dev]", "[profile developer]")
        .replace("source_profile = dev", "source_profile = developer");
    bench.write_config(&renamed);
    bench.until(|status| status.clusters[0].drift.is_some()).await;
    let drift = cluster(&bench).await.drifts.remove(0);
    assert_eq!(drift.kind, "profile-gone");
    assert_eq!(
        drift.what,
        "profile `dev` is no longer in the AWS config; `developer` comes to the same account and role"
    );
    let fix = "eksd cluster add demo --region eu-west-1 --alias demo --profile developer";
    assert_eq!(drift.fix.as_deref(), Some(fix));
    assert_eq!(bench.notices(), ["Profile dev is gone"]);
    let report = token(&bench, "demo").await.unwrap_err();
    assert_eq!((report.code, report.fix.as_str()), (Code::UnknownProfile, fix));

    bench.write_config(&(renamed.clone() + "\n# read again\n"));
    bench.write_config(CONFIG);
    bench.until(|status| status.clusters[0].drift.is_none()).await;
    assert_eq!(bench.notices(), ["withdrawn"]);
    token(&bench, "demo").await.unwrap();

    // And what the notice says to run.
    bench.write_config(&renamed);
    bench.until(|status| status.clusters[0].drift.is_some()).await;
    let params = ClusterAddParams {
        name: "demo".into(),
        region: Some("eu-west-1".into()),
        profile: "developer".into(),
        described_by: None,
        role_arn: None,
        proxy_url: None,
        alias: None,
    };
    let errand = bench.mailbox.ask(|reply| Event::ClusterAdd { params, reply }).await.unwrap();
    errand.run(bench.world(), &bench.mailbox).await.unwrap();
    assert_eq!(cluster(&bench).await.drift, None);
    token(&bench, "demo").await.unwrap();
}

#[tokio::test]
async fn an_edit_is_put_back_and_told_once() {
    let bench = begin().await;
    let good = text(&bench);
    let evil = good.replace("/usr/bin/eksd", "/tmp/evil");
    edit(&bench, &evil);
    wait_for_file(&file(&bench, "demo"), |text| text == good).await;
    bench.until(|status| status.clusters[0].drift.is_some()).await;
    assert_eq!(
        cluster(&bench).await.drifts[0].what,
        "~/.kube/eksd/demo.yaml was edited by somebody on 2026-03-02 08:00 UTC: the credential plugin put back; what is yours in it stays"
    );
    assert_eq!(bench.notices(), ["The file of cluster demo was put right"]);

    // Another program that insists: five times a minute, and then it is left alone.
    for _ in 0..4 {
        edit(&bench, &evil);
        wait_for_file(&file(&bench, "demo"), |text| text == good).await;
    }
    edit(&bench, &evil);
    bench.until(|status| status.clusters[0].drifts[0].kind == "contested").await;
    assert_eq!(text(&bench), evil);
    assert_eq!(bench.notices(), ["~/.kube/eksd/demo.yaml is being edited by another program"]);
    edit(&bench, &evil.replace("/tmp/evil", "/tmp/other"));
    bench.advance(minutes(2));
    bench.mailbox.send(Event::Changed(Change::Kubeconfigs));
    bench.status().await;
    assert_eq!(bench.notices(), [""; 0]);

    // The next comparison begins anew.
    let row = sync(&bench).await;
    assert_eq!(row.changes, ["the credential plugin was put right"]);
    assert_eq!(text(&bench), good);
    assert_eq!(cluster(&bench).await.drifts[0].kind, "put-back");
}

#[tokio::test]
async fn what_is_the_person_s_is_no_edit() {
    let bench = begin().await;
    let mine = text(&bench).replace("    user: demo\n", "    user: demo\n    namespace: mine\n");
    edit(&bench, &mine);
    assert_eq!(sync(&bench).await.changes, [""; 0]);
    assert_eq!(text(&bench), mine);
    assert_eq!(bench.notices(), [""; 0]);
}

#[tokio::test]
async fn nonsense_is_kept_and_the_notice_says_where() {
    let bench = begin().await;
    let good = text(&bench);
    edit(&bench, "{{{ what was I doing");
    bench.until(|status| status.clusters[0].drift.is_some()).await;
    assert_eq!(text(&bench), good);
    let what = cluster(&bench).await.drift.unwrap();
    assert!(what.contains("what stood there is kept in ~/.kube/eksd/demo.yaml.bad-1"), "{what}");
    let kept = std::fs::read_to_string(bench.paths.kubeconfig_dir.join("demo.yaml.bad-1"));
    assert_eq!(kept.unwrap(), "{{{ what was I doing");
    assert_eq!(bench.notices(), ["The file of cluster demo was put right"]);
}

#[tokio::test]
async fn a_link_out_of_the_folder_is_reported_and_not_written_through() {
    let bench = begin().await;
    let good = text(&bench);
    let outside = bench.paths.aws_config.with_file_name("precious");
    atomic::write(&outside, b"precious: true\n").unwrap();
    std::fs::remove_file(file(&bench, "demo")).unwrap();
    std::os::unix::fs::symlink(&outside, file(&bench, "demo")).unwrap();
    bench.mailbox.send(Event::Changed(Change::Kubeconfigs));
    bench.until(|status| status.clusters[0].drift.is_some()).await;
    let drift = cluster(&bench).await.drifts.remove(0);
    assert_eq!(drift.kind, "not-written");
    assert!(drift.what.contains("demo.yaml` is a link out of its folder"), "{}", drift.what);
    assert_eq!(bench.notices(), ["~/.kube/eksd/demo.yaml cannot be put right"]);
    assert_eq!(sync(&bench).await.report.unwrap().code, Code::UnsafePath);
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "precious: true\n");

    std::fs::remove_file(file(&bench, "demo")).unwrap();
    sync(&bench).await;
    assert_eq!(text(&bench), good);
    // That it was not there is an edit, too.
    assert_eq!(cluster(&bench).await.drifts[0].kind, "put-back");
}

#[tokio::test]
async fn another_alias_takes_everything_along() {
    let mut bench = begin().await;
    add(&bench, "demo", Some("other")).await.unwrap();
    let mine = text(&bench).replace("    user: demo\n", "    user: demo\n    namespace: mine\n");
    edit(&bench, &mine);
    let rename = |alias: &str, to: &str| {
        let params = ClusterRenameParams { alias: alias.into(), to: to.into() };
        bench.mailbox.ask(|reply| Event::ClusterRename { params, reply })
    };
    for (alias, to, code) in [
        ("demo", "other", Code::Usage),
        ("demo", "../x", Code::Usage),
        ("nope", "new", Code::UnknownCluster),
    ] {
        assert_eq!(rename(alias, to).await.unwrap_err().code, code, "{alias} {to}");
    }
    rename("demo", "new").await.unwrap();
    assert!(!file(&bench, "demo").exists());
    let moved = std::fs::read_to_string(file(&bench, "new")).unwrap();
    assert!(moved.contains("namespace: mine") && moved.contains("current-context: new"), "{moved}");
    token(&bench, "new").await.unwrap();
    assert_eq!(token(&bench, "demo").await.unwrap_err().code, Code::UnknownCluster);
    bench.until(|_| bench.paths.prompt_dir.join("c.new").exists()).await;
    bench.until(|_| !bench.paths.prompt_dir.join("c.demo").exists()).await;
    bench.restart("").await;
    let aliases: Vec<String> =
        bench.status().await.clusters.into_iter().map(|it| it.cluster).collect();
    assert_eq!(aliases, ["new", "other"]);
    assert_eq!(bench.notices(), [""; 0]);
}

/// What a client is refused brings the next comparison forward, once in a while.
#[tokio::test]
async fn a_suspect_cluster_is_compared_soon() {
    let bench = begin().await;
    take_away(&bench);
    sync(&bench).await;
    bench.lab.clear_faults();
    let calls = bench.lab.count("DescribeCluster");
    for _ in 0..10 {
        token(&bench, "demo").await.unwrap_err();
    }
    bench.pass(Duration::from_secs(29)).await;
    assert_eq!(bench.lab.count("DescribeCluster"), calls);
    bench.pass(Duration::from_secs(2)).await;
    bench.until(|status| status.clusters[0].drift.is_none()).await;
    token(&bench, "demo").await.unwrap();
    assert_eq!(bench.lab.count("DescribeCluster"), calls + 1);

    // Within five minutes nothing is suspect again.
    take_away(&bench);
    sync(&bench).await;
    token(&bench, "demo").await.unwrap_err();
    bench.pass(minutes(2)).await;
    assert_eq!(bench.lab.count("DescribeCluster"), calls + 2);
    bench.pass(minutes(3)).await;
    token(&bench, "demo").await.unwrap_err();
    bench.pass(minutes(1)).await;
    bench.lab.called("DescribeCluster", calls + 3).await;
}

#[tokio::test]
async fn a_sync_of_many_goes_side_by_side() {
    let mut script = Script::default();
    let demo = script.clusters[0].clone();
    script.clusters = (0..12)
        .map(|n| Cluster {
            name: format!("c{n:02}"),
            endpoint: Some("https://c".into()),
            ..demo.clone()
        })
        .collect();
    let bench = Bench::start_with(CONFIG, "", script).await;
    bench.login("corp").await;
    for n in 0..12 {
        add(&bench, &format!("c{n:02}"), None).await.unwrap();
    }
    let synced = sync_all(&bench).await;
    let aliases: Vec<&str> = synced.iter().map(|row| row.alias.as_str()).collect();
    assert_eq!(aliases, (0..12).map(|n| format!("c{n:02}")).collect::<Vec<_>>());

    // Eight are under way before the first is answered, and no ninth.
    bench.lab.forget_calls();
    bench.lab.queue(Fault::delay("DescribeCluster", 5_000).times(-1));
    let nine = async {
        bench.lab.called("DescribeCluster", 8).await;
        let answered = |lab: &Lab| {
            lab.calls_of("DescribeCluster").iter().filter(|call| call.status.is_some()).count()
        };
        assert_eq!(answered(&bench.lab), 0);
        bench.lab.called("DescribeCluster", 9).await;
        assert_ne!(answered(&bench.lab), 0);
    };
    tokio::select! {
        _ = sync_all(&bench) => panic!("all at once"),
        () = nine => {}
    }
}

/// What kind of cluster it is decides whether it is taken, and what its tokens name.
#[tokio::test]
async fn clusters_of_every_kind() {
    let mut script = Script::default();
    let demo = script.clusters[0].clone();
    let like = |name: &str| Cluster { name: name.into(), ..demo.clone() };
    script.clusters = vec![
        Cluster { local_id: Some("0a1b-2c3d".into()), ..like("local") },
        Cluster { connector: Some("GKE".into()), ..like("elsewhere") },
        Cluster { public: false, private: true, ..like("inside") },
        Cluster { public_cidrs: vec!["203.0.113.0/24".into()], ..like("limited") },
        Cluster { ip_family: "ipv6".into(), ..like("six") },
    ];
    let bench = Bench::start_with(CONFIG, "", script).await;
    bench.login("corp").await;

    let local = add(&bench, "local", None).await.unwrap();
    assert_eq!(local.id.as_deref(), Some("0a1b-2c3d"));
    assert_eq!(token(&bench, "local").await.unwrap().token, token_of(&bench, "0a1b-2c3d").await);

    let report = add(&bench, "elsewhere", None).await.unwrap_err();
    assert_eq!(report.code, Code::ClusterNotReady);
    assert_eq!(report.what, "cluster `elsewhere` runs at GKE and is only registered with EKS");
    assert!(!file(&bench, "elsewhere").exists());

    let inside = add(&bench, "inside", None).await.unwrap();
    assert_eq!(inside.endpoint_access.as_deref(), Some("private"));
    let limited = add(&bench, "limited", None).await.unwrap();
    assert_eq!(limited.public_cidrs, ["203.0.113.0/24"]);

    add(&bench, "six", None).await.unwrap();
    let server = server_of(&bench, "six");
    assert!(server.starts_with("https://[::1]:"), "{server}");
    assert_eq!(token(&bench, "six").await.unwrap().token, token_of(&bench, "six").await);
}

/// What happened to files while no agent ran; that eksd itself moved is nobody's edit.
#[tokio::test]
async fn files_are_put_right_at_the_start() {
    let mut bench = begin().await;
    let good = text(&bench);
    for (broken, is_told) in [
        (good.replace("/usr/bin/eksd", "/opt/old/eksd"), false),
        (good.replace("server: https://", "server: https://evil."), true),
    ] {
        bench.stop().await;
        atomic::write(&file(&bench, "demo"), broken.as_bytes()).unwrap();
        bench.start_again("").await;
        wait_for_file(&file(&bench, "demo"), |text| text == good).await;
        sync(&bench).await;
        assert_eq!(cluster(&bench).await.drift.is_some(), is_told);
    }
    assert_eq!(bench.notices(), ["The file of cluster demo was put right"]);
}

/// Another agent on the same home folder, with a registry of its own, may have asked AWS later.
#[tokio::test]
async fn who_writes_another_address_may_know_better() {
    let bench = begin().await;
    let old = server_of(&bench, "demo");
    let good = text(&bench);
    bench.lab.recreate("demo");
    let new = bench.lab.kube_url("demo");
    assert_ne!(old, new);
    let calls = bench.lab.count("DescribeCluster");
    for _ in 0..6 {
        edit(&bench, &good.replace(&old, &new));
        bench.until(|status| status.clusters[0].drift.is_some()).await;
    }
    bench.pass(Duration::from_secs(31)).await;
    bench
        .until(|status| status.clusters[0].drift.as_ref().is_some_and(|it| it.contains("anew")))
        .await;
    wait_for_file(&file(&bench, "demo"), |text| text.contains(&new)).await;
    assert_eq!(bench.lab.count("DescribeCluster"), calls + 1);
}

/// A night without credentials: in the morning not all clusters are compared at once.
#[tokio::test]
async fn a_missed_comparison_is_made_up_for_in_its_turn() {
    let bench = begin().await;
    let calls = bench.lab.count("DescribeCluster");
    bench.advance(minutes(7 * 60));
    bench.credentials("dev").await.unwrap();
    bench.until(|status| status.agent.refreshing == 0).await;
    // What was begun by then has come to AWS when this has.
    bench.credentials("readonly").await.unwrap();
    assert_eq!(bench.lab.count("DescribeCluster"), calls);
    bench.pass(minutes(6)).await;
    bench.lab.called("DescribeCluster", calls + 1).await;
}
