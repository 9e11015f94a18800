//! Clusters over profiles and regions.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use eksd_lab::{Account, Act, Cluster, Fault, Limit, Script, What};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::bench::{Bench, CONFIG, DEADLINE};
use crate::{
    agent::{discover::discover, event::Event},
    ipc::wire::{ClusterAddParams, ClusterDiscoverParams, DiscoverProgress, Discovered, Phase},
    report::{Code, Report},
};

const DEV: &str = "111122223333";

fn named(profiles: &[&str]) -> ClusterDiscoverParams {
    let profiles = profiles.iter().map(|it| (*it).to_owned()).collect();
    ClusterDiscoverParams { profiles, ..ClusterDiscoverParams::default() }
}

fn in_regions(params: ClusterDiscoverParams, regions: &[&str]) -> ClusterDiscoverParams {
    let regions = regions.iter().map(|it| (*it).to_owned()).collect();
    ClusterDiscoverParams { regions, ..params }
}

fn all() -> ClusterDiscoverParams {
    ClusterDiscoverParams { all: true, ..ClusterDiscoverParams::default() }
}

async fn look(bench: &Bench, params: ClusterDiscoverParams) -> Result<Discovered, Report> {
    let (news, _progress) = mpsc::unbounded_channel();
    look_with(bench, params, news, CancellationToken::new()).await
}

async fn look_with(
    bench: &Bench,
    params: ClusterDiscoverParams,
    news: mpsc::UnboundedSender<DiscoverProgress>,
    enough: CancellationToken,
) -> Result<Discovered, Report> {
    let search = discover(bench.world().clone(), bench.mailbox.clone(), params, news, enough);
    tokio::time::timeout(DEADLINE, search).await.expect("an end")
}

/// Returns each cluster as `name region signs/tells alias`.
fn lines(found: &Discovered) -> Vec<String> {
    let line = |it: &crate::ipc::wire::DiscoveredCluster| {
        format!("{} {} {}/{} {}", it.name, it.region, it.profile, it.described_by, it.alias)
    };
    found.clusters.iter().map(line).collect()
}

fn rows(found: &Discovered) -> Vec<(&str, Option<&str>, Code)> {
    let rows = found.refused.iter();
    rows.map(|row| (row.profile.as_str(), row.region.as_deref(), row.report.code)).collect()
}

fn cluster(name: &str, region: &str) -> Cluster {
    Cluster {
        name: name.to_owned(),
        account: DEV.to_owned(),
        region: Some(region.to_owned()),
        ..Cluster::default()
    }
}

fn denied() -> Fault {
    Fault::status("ListClusters", 403, "AccessDeniedException").times(-1)
}

#[tokio::test]
async fn a_profile_in_its_own_region_and_those_of_the_settings() {
    let mut script = Script::default();
    script.clusters.extend([cluster("demo", "us-east-1"), cluster("shop", "us-east-1")]);
    let settings = "[clusters]\nregions = [\"us-east-1\", \"eu-west-1\"]";
    let bench = Bench::start_with(CONFIG, settings, script).await;
    bench.login("corp").await;
    let found = look(&bench, named(&["dev"])).await.unwrap();
    assert_eq!(
        lines(&found),
        [
            "demo eu-west-1 dev/dev demo-eu-west-1",
            "demo us-east-1 dev/dev demo-us-east-1",
            "shop us-east-1 dev/dev shop",
        ]
    );
    assert_eq!(found.clusters[0].arn, format!("arn:aws:eks:eu-west-1:{DEV}:cluster/demo"));
    assert_eq!((found.listed, found.places, found.spared), (2, 2, 0));
    assert_eq!(bench.lab.count("DescribeCluster"), 0, "a list is enough");
    // The regions of the command line are in place of all others.
    let found = look(&bench, in_regions(named(&["dev"]), &["us-east-1"])).await.unwrap();
    assert_eq!(lines(&found), ["demo us-east-1 dev/dev demo", "shop us-east-1 dev/dev shop"]);
}

#[tokio::test]
async fn what_one_profile_was_told_no_other_is_asked_for() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    let found = look(&bench, all()).await.unwrap();
    assert_eq!(
        lines(&found),
        ["demo eu-west-1 dev/dev demo", "prod eu-west-1 readonly/readonly prod"]
    );
    // The fewest roles first.
    assert_eq!(found.clusters[0].profiles, ["dev", "hop", "two-hops"]);
    assert_eq!((found.listed, found.places, found.spared), (2, 2, 2));
    assert_eq!(bench.lab.count("ListClusters"), 2);
    assert_eq!(bench.lab.count("AssumeRole"), 0, "nobody who is not asked needs keys");
    // As named: then roles are assumed, one from the other.
    let found = look(&bench, named(&["two-hops", "dev"])).await.unwrap();
    assert_eq!(lines(&found), ["demo eu-west-1 two-hops/two-hops demo"]);
    assert_eq!(bench.lab.count("AssumeRole"), 2);
}

#[tokio::test]
async fn a_look_is_no_use() {
    let mut bench = Bench::start().await;
    bench.login("corp").await;
    // Whoever has just logged in uses the session.
    bench.restart("").await;
    look(&bench, named(&["readonly"])).await.unwrap();
    assert!(bench.row("readonly").await.in_use, "for a moment");
    bench.pass(Duration::from_mins(3)).await;
    assert!(!bench.row("readonly").await.in_use);
    // Nobody is told that a session is over that nobody uses.
    bench.lab.revoke(What::RefreshTokens);
    bench.pass(Duration::from_mins(90)).await;
    let found = look(&bench, named(&["readonly"])).await.unwrap();
    assert_eq!(rows(&found), [("readonly", None, Code::NeedsLogin)]);
    bench.until_phase("readonly", Phase::NeedsLogin).await;
    assert_eq!(bench.notices(), Vec::<String>::new());
}

#[tokio::test]
async fn a_hundred_profiles_of_thirty_accounts_in_three_regions_are_ninety_lists() {
    let account = |n: usize| format!("{:012}", 100_000_000_000_u64 + n as u64);
    let roles: Vec<String> = (0..4).map(|n| format!("Role{n}")).collect();
    let accounts = (0..30).map(|n| Account {
        account_id: account(n),
        account_name: format!("account-{n}"),
        email_address: format!("account-{n}@example.com"),
        roles: roles.clone(),
    });
    let clusters = ["eu-west-1", "us-east-1"]
        .map(|region| Cluster { account: account(29), ..cluster("demo", region) });
    let limit = Limit { per_second: 20, burst: 20, retry_after: None };
    let mut script =
        Script { accounts: accounts.collect(), clusters: clusters.into(), ..Script::default() };
    script.limits.insert("eks".to_owned(), limit);
    let mut config = CONFIG.split("[profile").next().unwrap().to_owned();
    for n in 0..100 {
        write!(
            config,
            "[profile p{n}]\nsso_session = corp\nsso_account_id = {}\nsso_role_name = Role{}\n",
            account(n % 30),
            n / 30
        )
        .unwrap();
    }
    let bench = Bench::start_with(&config, "", script).await;
    bench.lab.unfreeze();
    bench.lab.set_offset(bench.world().clock.now().as_second() - now());
    bench.login("corp").await;
    bench.lab.forget_calls();
    let (news, mut progress) = mpsc::unbounded_channel();
    let regions = ["eu-west-1", "us-east-1", "ap-south-1"];
    let found = look_with(&bench, in_regions(all(), &regions), news, CancellationToken::new());
    let found = found.await.unwrap();
    assert_eq!(found.refused, []);
    assert_eq!((found.listed, found.places, found.spared), (90, 90, 210));
    assert_eq!(
        lines(&found),
        ["demo eu-west-1 p29/p29 demo-eu-west-1", "demo us-east-1 p29/p29 demo-us-east-1"]
    );
    assert_eq!(found.clusters[0].profiles, ["p29", "p59", "p89"]);
    assert_eq!(bench.lab.count("ListClusters"), 90);
    assert_eq!(bench.lab.count("GetRoleCredentials"), 30);
    assert_eq!(bench.lab.throttled("*"), 0);
    let mut last = DiscoverProgress::default();
    while let Ok(so_far) = progress.try_recv() {
        assert!(last.asked <= so_far.asked, "{so_far:?} after {last:?}");
        last = so_far;
    }
    assert_eq!(last, DiscoverProgress { asked: 90, of: 90, clusters: 2, refused: 0 });
}

/// The lab's own clock, in Unix seconds.
#[expect(clippy::disallowed_methods, reason = "the lab follows the system's clock")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[tokio::test]
async fn at_most_eight_questions_at_a_time() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    bench.lab.queue(Fault::delay("ListClusters", 300).times(-1));
    let regions: Vec<String> = (0..20).map(|n| format!("region-{n}")).collect();
    let search = look(&bench, ClusterDiscoverParams { regions, ..named(&["dev"]) });
    let watch = async {
        let mut most = 0;
        for n in 1..=20 {
            bench.lab.called("ListClusters", n).await;
            let lists = bench.lab.calls_of("ListClusters");
            most = most.max(lists.iter().filter(|call| call.status.is_none()).count());
        }
        most
    };
    let (found, most) = tokio::join!(search, watch);
    assert_eq!(found.unwrap().listed, 20);
    assert!((2..=8).contains(&most), "{most} at once");
}

#[tokio::test]
async fn who_is_denied_is_a_row_and_the_next_one_is_asked() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.lab.queue(denied().caller("Developer"));
    let found = look(&bench, named(&["dev", "hop"])).await.unwrap();
    // Who was refused signs last.
    assert_eq!(lines(&found), ["demo eu-west-1 hop/hop demo"]);
    assert_eq!(found.clusters[0].profiles, ["hop", "dev"]);
    assert_eq!(rows(&found), [("dev", Some("eu-west-1"), Code::AccessDenied)]);
    assert!(found.refused[0].report.fix.contains("eks:ListClusters"), "{:?}", found.refused);
    assert_eq!((found.listed, found.spared), (1, 0));
    // Who describes and who signs are two things.
    let params = ClusterDiscoverParams {
        authenticate_with: Some("dev".to_owned()),
        ..named(&["dev", "hop"])
    };
    assert_eq!(lines(&look(&bench, params).await.unwrap()), ["demo eu-west-1 dev/hop demo"]);
}

#[tokio::test]
async fn what_fails_for_all_is_asked_once() {
    let mut script = Script::default();
    script.clusters.push(cluster("demo", "us-east-1"));
    let bench = Bench::start_with(CONFIG, "", script).await;
    bench.login("corp").await;
    let unknown = Fault::status("ListClusters", 403, "UnrecognizedClientException").times(-1);
    bench.lab.queue(unknown.region("ap-east-1"));
    bench.lab.queue(Fault::new("ListClusters", Act::Drop).times(-1).region("eu-west-1"));
    let regions = ["us-east-1", "eu-west-1", "ap-east-1"];
    let found = look(&bench, in_regions(named(&["dev", "hop"]), &regions)).await.unwrap();
    assert_eq!(lines(&found), ["demo us-east-1 dev/dev demo"]);
    let mut rows = rows(&found);
    rows.sort_by_key(|(profile, region, _)| (*region, *profile));
    assert_eq!(
        rows,
        [
            // In a region that is not enabled nobody is known.
            ("dev", Some("ap-east-1"), Code::AwsRefused),
            ("hop", Some("ap-east-1"), Code::AwsRefused),
            ("dev", Some("eu-west-1"), Code::Unreachable),
        ]
    );
    let fixes: BTreeSet<&str> = found.refused.iter().map(|row| row.report.fix.as_str()).collect();
    assert!(fixes.iter().any(|fix| fix.contains("enable ap-east-1")), "{fixes:?}");
    assert_eq!((found.listed, found.places), (1, 3));
}

#[tokio::test]
async fn who_needs_a_person_is_a_row_and_no_login_begins() {
    let config = format!(
        "{CONFIG}\n[profile broken]\nrole_arn = arn:aws:iam::{DEV}:role/dev\n\
         source_profile = nobody\n[profile settings]\noutput = json\n\
         [profile nowhere]\nrole_arn = arn:aws:iam::{DEV}:role/dev\nsource_profile = keys\n\
         [profile keys]\naws_access_key_id = AKIALABALICE00000001\n\
         aws_secret_access_key = alice-long-term-secret\nregion = eu-west-1\n"
    );
    let bench = Bench::start_with(&config, "", Script::default()).await;
    bench.until_phase("dev", Phase::NeedsLogin).await;
    let found = look(&bench, all()).await.unwrap();
    assert_eq!(lines(&found), ["demo eu-west-1 keys/keys demo"]);
    let mut rows = rows(&found);
    rows.sort_by_key(|(profile, ..)| *profile);
    assert_eq!(
        rows,
        [
            ("broken", None, Code::Misconfigured),
            ("dev", None, Code::NeedsLogin),
            ("hop", None, Code::NeedsLogin),
            ("nowhere", None, Code::Usage),
            ("readonly", None, Code::NeedsLogin),
            ("two-hops", None, Code::NeedsLogin),
        ]
    );
    let dev = found.refused.iter().find(|row| row.profile == "dev").unwrap();
    assert_eq!(dev.report.fix, "run `eksd login dev`");
    assert_eq!(bench.lab.count("GetCallerIdentity"), 1, "of the keys, whose account nothing says");
    for begun in ["RegisterClient", "StartDeviceAuthorization", "Authorize"] {
        assert_eq!(bench.lab.count(begun), 0);
    }
    assert_eq!(bench.notices(), Vec::<String>::new());
}

#[tokio::test]
async fn credentials_that_cannot_be_had_are_one_row() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.lab.queue(Fault::status("GetRoleCredentials", 403, "ForbiddenException").times(-1));
    let regions = ["eu-west-1", "us-east-1"];
    let found = look(&bench, in_regions(named(&["dev"]), &regions)).await.unwrap();
    assert_eq!(rows(&found), [("dev", None, Code::AccessDenied)]);
    assert_eq!((found.listed, found.places), (0, 2));
    assert_eq!(bench.lab.count("GetRoleCredentials"), 1);
}

#[tokio::test]
async fn a_throttled_list_is_asked_for_again_more_slowly() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.lab.queue(Fault::status("ListClusters", 429, "ThrottlingException").times(2));
    let found = look(&bench, named(&["dev"])).await.unwrap();
    assert_eq!(lines(&found), ["demo eu-west-1 dev/dev demo"]);
    assert_eq!(bench.lab.count("ListClusters"), 3);
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let mut script = Script { page_size: 2, ..Script::default() };
    script.clusters.extend(["a", "b", "c", "d"].map(|name| cluster(name, "eu-west-1")));
    let bench = Bench::start_with(CONFIG, "", script).await;
    bench.login("corp").await;
    let found = look(&bench, named(&["dev"])).await.unwrap();
    let names: Vec<&str> = found.clusters.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d", "demo"]);
    assert_eq!(bench.lab.count("ListClusters"), 3);
}

#[tokio::test]
async fn enough_is_answered_with_what_was_found() {
    let mut script = Script::default();
    script.clusters.push(cluster("demo", "us-east-1"));
    let bench = Bench::start_with(CONFIG, "", script).await;
    bench.login("corp").await;
    bench.lab.queue(Fault::new("ListClusters", Act::Stall).times(-1).region("eu-west-1"));
    let (news, mut progress) = mpsc::unbounded_channel();
    let enough = CancellationToken::new();
    let params = in_regions(named(&["dev"]), &["us-east-1", "eu-west-1"]);
    let search = look_with(&bench, params, news, enough.clone());
    let person = async {
        while progress.recv().await.expect("news").asked == 0 {}
        bench.lab.called("ListClusters", 2).await;
        enough.cancel();
    };
    let (found, ()) = tokio::join!(search, person);
    let found = found.unwrap();
    assert_eq!(lines(&found), ["demo us-east-1 dev/dev demo"]);
    assert_eq!((found.listed, found.places, found.stopped), (1, 2, true));
}

#[tokio::test]
async fn registered_clusters_are_known() {
    let mut script = Script::default();
    script.clusters.push(cluster("demo", "us-east-1"));
    let bench = Bench::start_with(CONFIG, "", script).await;
    bench.login("corp").await;
    let params = ClusterAddParams {
        name: "demo".to_owned(),
        region: Some("eu-west-1".to_owned()),
        profile: "hop".to_owned(),
        described_by: None,
        role_arn: None,
        proxy_url: None,
        alias: Some("Demo".to_owned()),
    };
    let errand = bench.mailbox.ask(|reply| Event::ClusterAdd { params, reply }).await.unwrap();
    errand.run(bench.world(), &bench.mailbox).await.unwrap();
    let params = in_regions(named(&["dev", "hop"]), &["eu-west-1", "us-east-1"]);
    let found = look(&bench, params).await.unwrap();
    assert_eq!(
        lines(&found),
        // Whoever signs already goes first, and the alias that is taken is taken.
        ["demo eu-west-1 hop/dev Demo", "demo us-east-1 dev/dev demo-us-east-1"]
    );
    // Who is registered stays, whoever shall sign for the rest.
    let params = in_regions(named(&["dev"]), &["eu-west-1", "us-east-1"]);
    let params = ClusterDiscoverParams { authenticate_with: Some("two-hops".into()), ..params };
    assert_eq!(
        lines(&look(&bench, params).await.unwrap()),
        ["demo eu-west-1 hop/dev Demo", "demo us-east-1 two-hops/dev demo-us-east-1"]
    );
    assert_eq!(found.clusters[0].registered_as.as_deref(), Some("Demo"));
    assert_eq!(found.clusters[1].registered_as, None);
}

#[tokio::test]
async fn accounts_are_called_what_iam_says() {
    let settings = "[clusters]\nalias = \"{account_alias}-{name}\"";
    let bench = Bench::start_with(CONFIG, settings, Script::default()).await;
    bench.login("corp").await;
    let found = look(&bench, in_regions(all(), &["eu-west-1", "us-east-1"])).await.unwrap();
    let aliases: Vec<&str> = found.clusters.iter().map(|it| it.alias.as_str()).collect();
    assert_eq!(aliases, ["corp-dev-demo", "444455556666-prod"]);
    assert_eq!(found.clusters[0].account_alias.as_deref(), Some("corp-dev"));
    assert_eq!(bench.lab.count("ListAccountAliases"), 2, "once an account");
    // Whoever may not ask calls it by its number.
    bench.lab.queue(Fault::status("ListAccountAliases", 403, "AccessDenied").times(-1));
    let found = look(&bench, named(&["dev"])).await.unwrap();
    assert_eq!(found.clusters[0].alias, format!("{DEV}-demo"));
    assert_eq!(found.refused, []);
}

#[tokio::test]
async fn what_makes_no_sense_is_said_at_once() {
    let bench = Bench::start().await;
    for (params, code, says) in [
        (named(&["dve"]), Code::UnknownProfile, "did you mean `dev`?"),
        (named(&[]), Code::Usage, "--all"),
        (in_regions(named(&["dev"]), &["Ireland"]), Code::Usage, "--region eu-west-1"),
        (
            ClusterDiscoverParams { authenticate_with: Some("dve".into()), ..named(&["dev"]) },
            Code::UnknownProfile,
            "did you mean `dev`?",
        ),
    ] {
        let report = look(&bench, params).await.unwrap_err();
        assert_eq!(report.code, code, "{report}");
        assert!(report.fix.contains(says), "{report}");
    }
}
