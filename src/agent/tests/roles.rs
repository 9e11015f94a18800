//! Assumed roles: from a sign-in, from keys, one hop and two.

use eksd_lab::{Fault, Script, What};

use super::bench::{Bench, minutes};
use crate::{ipc::wire::Phase, report::Code};

const KEYS: &str = "\
[profile alice]
aws_access_key_id = AKIALABALICE00000001
aws_secret_access_key = SECRET
region = eu-west-1

[profile direct]
role_arn = arn:aws:iam::111122223333:role/second
source_profile = alice
duration_seconds = 7200
region = eu-west-1

[profile guarded]
role_arn = arn:aws:iam::444455556666:role/prod-admin
source_profile = alice
mfa_serial = arn:aws:iam::111122223333:mfa/alice
region = eu-west-1
";

async fn with_keys() -> Bench {
    let script = Script::default();
    let secret = script.users["AKIALABALICE00000001"].secret.clone();
    Bench::start_with(&KEYS.replace("SECRET", &secret), "", script).await
}

#[tokio::test]
async fn from_a_sign_in_one_hop_and_two() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    for (profile, role, calls) in [("hop", "dev", 1), ("two-hops", "second", 2)] {
        let keys = bench.credentials(profile).await.unwrap();
        assert_eq!(keys.account_id.as_deref(), Some("111122223333"));
        assert_eq!(bench.lab.count("AssumeRole"), calls);
        let row = bench.row(profile).await;
        assert_eq!(row.cap.as_deref(), Some("chained, 1 h cap"));
        assert_eq!(row.role.as_deref(), Some(role));
    }
    // One permission set and one role serve both profiles.
    assert_eq!(bench.lab.count("GetRoleCredentials"), 1);
    bench.advance(minutes(30));
    bench.lab.called("AssumeRole", 4).await;
    bench.until_phase("two-hops", Phase::Fresh).await;
}

#[tokio::test]
async fn from_long_lived_keys() {
    let bench = with_keys().await;
    assert_eq!(bench.row("alice").await.phase, Phase::Static);
    assert_eq!(bench.credentials("alice").await.unwrap().expires_at, None);
    assert_eq!(bench.lab.count("*"), 0);
    assert_eq!(bench.row("direct").await.cap, None);
    let keys = bench.credentials("direct").await.unwrap();
    assert_eq!(keys.expires_at, Some(super::bench::at("10:00:00")));
    bench.advance(minutes(60));
    bench.lab.called("AssumeRole", 2).await;
}

#[tokio::test]
async fn what_needs_a_code_says_so() {
    let bench = with_keys().await;
    let row = bench.row("guarded").await;
    assert_eq!(row.phase, Phase::NeedsMfa);
    assert_eq!(row.action.as_deref(), Some("eksd login guarded"));
    let report = row.report.unwrap();
    assert_eq!((report.code, report.fix.as_str()), (Code::NeedsMfa, "run `eksd login guarded`"));
    assert_eq!(bench.credentials("guarded").await.unwrap_err().code, Code::NeedsMfa);
    assert_eq!(bench.lab.count("*"), 0);
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_says_so() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.lab.edit(|script| {
        script.roles.remove("arn:aws:iam::111122223333:role/dev");
    });
    let report = bench.credentials("hop").await.unwrap_err();
    assert_eq!(report.code, Code::AccessDenied);
    // The profile it comes from is none the worse for it.
    assert!(bench.credentials("dev").await.is_ok());
}

#[tokio::test]
async fn a_source_that_died_early_is_renewed_first() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("hop").await.unwrap();
    bench.lab.revoke(What::Sessions);
    bench.advance(minutes(29));
    // The next assumption meets dead source keys: those are fetched anew, once.
    bench.advance(minutes(1));
    bench.until_phase("hop", Phase::Fresh).await;
    assert!(bench.credentials("hop").await.is_ok());
}

#[tokio::test]
async fn throttling_is_waited_out() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.lab.queue(Fault::status("AssumeRole", 400, "Throttling"));
    let asked = bench.credentials("hop");
    tokio::pin!(asked);
    tokio::select! {
        _ = &mut asked => panic!("there was nothing to answer with"),
        _ = bench.until_phase("hop", Phase::Degraded) => {}
    }
    bench.advance(minutes(1));
    assert!(asked.await.is_ok());
}
