//! Registered clusters and their files.

use eksd_lab::{Cluster, Fault, Script};

use super::bench::{Bench, CONFIG, minutes};
use crate::{
    agent::event::Event,
    ipc::wire::{ClusterAddParams, ClusterStatus},
    report::{Code, Report},
    store::atomic,
};

pub(super) async fn add(
    bench: &Bench,
    name: &str,
    alias: Option<&str>,
) -> Result<ClusterStatus, Report> {
    let params = ClusterAddParams {
        name: name.to_owned(),
        region: Some("eu-west-1".to_owned()),
        profile: "dev".to_owned(),
        described_by: None,
        role_arn: None,
        proxy_url: None,
        alias: alias.map(str::to_owned),
    };
    let errand = bench.mailbox.ask(|reply| Event::ClusterAdd { params, reply }).await?;
    errand.run(bench.world(), &bench.mailbox).await.map(|(status, _)| status)
}

pub(super) fn server_of(bench: &Bench, alias: &str) -> String {
    let path = bench.paths.kubeconfig_dir.join(format!("{alias}.yaml"));
    let text = std::fs::read_to_string(path).unwrap();
    let tree: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
    tree["clusters"][0]["cluster"]["server"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn added_listed_and_removed() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    let status = add(&bench, "demo", Some("prod-eu")).await.unwrap();
    assert_eq!(status.arn, "arn:aws:eks:eu-west-1:111122223333:cluster/demo");
    assert_eq!(server_of(&bench, "prod-eu"), bench.lab.kube_url("demo"));
    assert_eq!(bench.status().await.clusters[0].cluster, "prod-eu");
    let alias = "prod-eu".to_owned();
    bench.mailbox.ask(|reply| Event::ClusterRemove { alias, reply }).await.unwrap();
    assert_eq!(bench.status().await.clusters, []);
    bench.until(|_| !bench.paths.kubeconfig_dir.join("prod-eu.yaml").exists()).await;
}

#[tokio::test]
async fn a_cluster_that_is_not_there_names_the_region() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    let report = add(&bench, "nope", None).await.unwrap_err();
    assert_eq!(report.code, Code::ClusterNotFound);
    assert!(report.what.contains("eu-west-1"), "{}", report.what);
    assert_eq!(bench.status().await.clusters, []);
    assert!(!bench.paths.kubeconfig_dir.join("nope.yaml").exists());
}

#[tokio::test]
async fn hostile_aliases_are_refused() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    for alias in ["../../etc/passwd", "a/b", "", ".x", "-x", "a b", "$(x)", "a\nb"] {
        assert_eq!(add(&bench, "demo", Some(alias)).await.unwrap_err().code, Code::Usage);
    }
}

#[tokio::test]
async fn an_edited_file_is_put_right_without_asking_aws() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    add(&bench, "demo", None).await.unwrap();
    let path = bench.paths.kubeconfig_dir.join("demo.yaml");
    let good = std::fs::read_to_string(&path).unwrap();
    let calls = bench.lab.count("*");
    atomic::write(&path, good.replace("/usr/bin/eksd", "/tmp/evil").as_bytes()).unwrap();
    bench.mailbox.send(Event::Changed(crate::agent::watcher::Change::Kubeconfigs));
    wait_for_file(&path, |text| text == good).await;
    assert_eq!(bench.lab.count("*"), calls);
}

/// The agent's workers write files without an event; the file system tells when.
pub(super) async fn wait_for_file(path: &std::path::Path, wanted: impl Fn(&str) -> bool) {
    use notify::Watcher as _;
    let (tell, mut changes) = tokio::sync::mpsc::unbounded_channel();
    let mut watcher = notify::recommended_watcher(move |_| {
        let _over = tell.send(());
    })
    .unwrap();
    watcher.watch(path.parent().unwrap(), notify::RecursiveMode::NonRecursive).unwrap();
    while !wanted(&std::fs::read_to_string(path).unwrap_or_default()) {
        changes.recv().await.unwrap();
    }
}

#[tokio::test]
async fn a_cluster_that_was_made_anew_is_followed() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    add(&bench, "demo", None).await.unwrap();
    let before = server_of(&bench, "demo");
    bench.lab.recreate("demo");
    // The timer: six hours, spread over the renewals in between.
    for _ in 0..13 {
        bench.pass(minutes(30)).await;
    }
    // Steps as long as these miss an appointment; it is made anew then.
    bench.pass(minutes(6)).await;
    let status = bench.until(|status| status.clusters[0].drift.is_some()).await;
    assert!(status.clusters[0].drift.as_ref().unwrap().contains("anew"));
    let path = bench.paths.kubeconfig_dir.join("demo.yaml");
    wait_for_file(&path, |text| text.contains(&bench.lab.kube_url("demo"))).await;
    assert_ne!(server_of(&bench, "demo"), before);
}

#[tokio::test]
async fn registered_clusters_survive_a_restart() {
    let mut bench = Bench::start().await;
    bench.login("corp").await;
    add(&bench, "demo", None).await.unwrap();
    bench.until(|_| bench.paths.clusters.exists()).await;
    bench.restart("").await;
    assert_eq!(bench.status().await.clusters[0].cluster, "demo");
    assert_eq!(bench.lab.count("DescribeCluster"), 1);
}

#[tokio::test]
async fn a_cluster_being_made_has_no_file() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.lab.edit(|script| {
        for cluster in &mut script.clusters {
            cluster.status = "CREATING".into();
        }
    });
    assert_eq!(add(&bench, "demo", None).await.unwrap_err().code, Code::ClusterNotReady);
    bench.lab.queue(Fault::status("DescribeCluster", 403, "AccessDeniedException"));
    assert_eq!(add(&bench, "demo", None).await.unwrap_err().code, Code::AccessDenied);
}

/// A name is one account's own: the cluster of that name in another one is not registered over it.
#[tokio::test]
async fn an_alias_is_not_taken_from_the_same_name_in_another_account() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    add(&bench, "demo", None).await.unwrap();
    let path = bench.paths.kubeconfig_dir.join("demo.yaml");
    let before = std::fs::read_to_string(&path).unwrap();
    bench.lab.edit(|script| script.clusters[0].account = "444455556666".into());
    bench.write_config(&CONFIG.replace(
        "111122223333\nsso_role_name = Developer",
        "444455556666\nsso_role_name = ReadOnly",
    ));
    bench.until(|status| status.profiles[0].account_id.as_deref() == Some("444455556666")).await;
    let report = add(&bench, "demo", None).await.unwrap_err();
    assert_eq!(report.code, Code::Usage);
    let what = "`demo` is taken by cluster `demo` in eu-west-1 of account 111122223333";
    assert_eq!(report.what, what);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    let arn = &bench.status().await.clusters[0].arn;
    assert_eq!(arn, "arn:aws:eks:eu-west-1:111122223333:cluster/demo");
}

/// Both find the name free; the one that comes second hears that it is not.
#[tokio::test]
async fn two_clusters_that_want_one_alias_at_once() {
    let mut script = Script::default();
    let demo = script.clusters[0].clone();
    script.clusters.push(Cluster { name: "other".into(), ..demo });
    let bench = Bench::start_with(CONFIG, "", script).await;
    bench.login("corp").await;
    let (one, two) =
        tokio::join!(add(&bench, "demo", Some("mine")), add(&bench, "other", Some("mine")));
    let (won, lost) = if one.is_ok() { ("demo", two) } else { ("other", one) };
    assert_eq!(lost.unwrap_err().code, Code::Usage);
    assert_eq!(bench.status().await.clusters[0].name, won);
    assert_eq!(server_of(&bench, "mine"), bench.lab.kube_url(won));
}
