//! Renewed ahead, shared by all who ask, served through outages.

use eksd_lab::{Act, Fault, What};

use super::bench::{Bench, at, minutes};
use crate::{ipc::wire::Phase, report::Code};

#[tokio::test]
async fn two_hundred_askers_cost_one_call() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    let asked = (0..200).map(|_| bench.credentials("dev"));
    let answers = futures_join(asked).await;
    let keys: std::collections::BTreeSet<String> =
        answers.into_iter().map(|answer| answer.unwrap().access_key_id).collect();
    assert_eq!(keys.len(), 1);
    assert_eq!(bench.lab.count("GetRoleCredentials"), 1);
}

async fn futures_join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(|future| (Some(Box::pin(future)), None)).collect();
    std::future::poll_fn(move |context| {
        let mut all_done = true;
        for (future, output) in &mut pending {
            if let Some(running) = future {
                match running.as_mut().poll(context) {
                    std::task::Poll::Ready(done) => {
                        *output = Some(done);
                        *future = None;
                    }
                    std::task::Poll::Pending => all_done = false,
                }
            }
        }
        if all_done {
            let outputs = pending.iter_mut().filter_map(|(_, output)| output.take());
            return std::task::Poll::Ready(outputs.collect());
        }
        std::task::Poll::Pending
    })
    .await
}

#[tokio::test]
async fn role_and_token_are_renewed_at_half_of_their_lives() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    let first = bench.credentials("dev").await.unwrap();
    assert_eq!(first.expires_at, Some(at("09:00:00")));

    bench.advance(minutes(29));
    assert_eq!(bench.credentials("dev").await.unwrap(), first);
    assert_eq!(bench.row("dev").await.phase, Phase::Fresh);

    bench.advance(minutes(1));
    bench.lab.called("GetRoleCredentials", 2).await;
    let row = bench
        .until(|status| {
            let row = &status.profiles[0];
            row.credentials_expire_at.as_deref() == Some("2026-03-02T09:30:00Z")
                && row.root.as_ref().unwrap().access_token_expires_at.as_deref()
                    == Some("2026-03-02T09:30:00Z")
        })
        .await;
    assert_eq!(row.profiles[0].phase, Phase::Fresh);
    assert_eq!(bench.lab.calls_of("CreateToken").len(), 2);
    assert_ne!(bench.credentials("dev").await.unwrap(), first);
    // The AWS tools see the new token, too.
    assert_eq!(bench.token_json()["expiresAt"], "2026-03-02T09:30:00Z");
}

#[tokio::test]
async fn a_day_of_work_never_meets_a_dead_key_and_costs_two_calls_an_hour() {
    let script = eksd_lab::Script {
        lifetimes: eksd_lab::Lifetimes { session: 36 * 3600, ..Default::default() },
        ..Default::default()
    };
    let bench = Bench::start_with(super::bench::CONFIG, "", script).await;
    bench.login("corp").await;
    for _ in 0..(24 * 6) {
        let keys = bench.credentials("dev").await.unwrap();
        let left = keys.expires_at.unwrap().duration_since(crate::clock::Clock::now(&bench.clock));
        assert!(minutes(15) <= std::time::Duration::try_from(left).unwrap(), "{left}");
        bench.pass(minutes(10)).await;
    }
    let calls = bench.lab.count("GetRoleCredentials");
    assert!((47..=49).contains(&calls), "{calls}");
}

#[tokio::test]
async fn what_is_not_used_costs_nothing() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    bench.advance(minutes(30));
    bench.until_phase("dev", Phase::Fresh).await;
    assert_eq!(bench.row("readonly").await.phase, Phase::Idle);
    assert!(
        bench
            .lab
            .calls_of("GetRoleCredentials")
            .iter()
            .all(|call| { call.role.as_deref() == Some("Developer") })
    );
}

#[tokio::test]
async fn an_outage_is_served_through_to_the_true_end() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    let keys = bench.credentials("dev").await.unwrap();
    bench.lab.queue(Fault::status("*", 503, "ServiceUnavailable").times(-1));

    bench.advance(minutes(31));
    let row = bench.until_phase("dev", Phase::Degraded).await;
    assert_eq!(row.report.unwrap().code, Code::Unreachable);
    bench.pass(minutes(28)).await;
    assert_eq!(bench.credentials("dev").await.unwrap(), keys);

    // Past their end they are not handed out any more.
    bench.pass(minutes(1)).await;
    let report = bench.credentials_at_once("dev").await.unwrap_err();
    assert_eq!(report.code, Code::Unreachable);

    bench.pass(minutes(6)).await;
    bench.lab.clear_faults();
    bench.pass(minutes(6)).await;
    bench.until_phase("dev", Phase::Fresh).await;
    assert!(bench.credentials("dev").await.is_ok());
}

#[tokio::test]
async fn an_outage_is_not_hammered() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    bench.lab.queue(Fault::status("*", 503, "ServiceUnavailable").times(-1));
    let before = bench.lab.count("*");
    bench.advance(minutes(31));
    bench.until_phase("dev", Phase::Degraded).await;
    for _ in 0..(4 * 60) {
        bench.pass(minutes(2)).await;
    }
    let calls = bench.lab.count("*") - before;
    // Two sessions, five minutes apart at the most: 2 × 96, and the first steps.
    assert!(calls <= 220, "{calls}");
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    let fault = Fault::status("GetRoleCredentials", 429, "TooManyRequestsException");
    bench.lab.queue(fault.retry_after(120));
    let asked = bench.credentials("dev");
    tokio::pin!(asked);
    tokio::select! {
        _ = &mut asked => panic!("there was nothing to answer with"),
        _ = bench.until_phase("dev", Phase::Degraded) => {}
    }
    bench.advance(minutes(1));
    bench.status().await;
    assert_eq!(bench.lab.count("GetRoleCredentials"), 1);
    bench.advance(minutes(1));
    assert!(asked.await.is_ok());
    assert_eq!(bench.lab.count("GetRoleCredentials"), 2);
}

#[tokio::test]
async fn a_revoked_token_is_renewed_once_and_the_caller_sees_nothing() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.lab.revoke(What::AccessTokens);
    assert!(bench.credentials("dev").await.is_ok());
    assert_eq!(bench.lab.count("GetRoleCredentials"), 2);
    assert_eq!(bench.lab.count("CreateToken"), 2);
}

#[tokio::test]
async fn a_portal_that_refuses_every_token_is_believed_after_one_renewal() {
    let bench = Bench::start().await;
    bench.login("corp").await;
    let fault = Fault::status("GetRoleCredentials", 401, "UnauthorizedException");
    bench.lab.queue(fault.times(-1));
    let report = bench.credentials("dev").await.unwrap_err();
    assert_eq!(report.code, Code::NeedsLogin);
    assert_eq!(bench.lab.count("GetRoleCredentials"), 2);
    assert_eq!(bench.lab.count("CreateToken"), 2);
}

#[tokio::test]
async fn a_role_that_is_not_assigned_asks_nobody_to_log_in() {
    let config = super::bench::CONFIG.replace("Developer", "Nobody");
    let bench = Bench::start_with(&config, "", eksd_lab::Script::default()).await;
    bench.login("corp").await;
    let report = bench.credentials("dev").await.unwrap_err();
    assert_eq!(report.code, Code::AccessDenied);
    for _ in 0..20 {
        assert_eq!(bench.credentials("dev").await.unwrap_err(), report);
    }
    assert_eq!(bench.lab.count("GetRoleCredentials"), 1);
    assert_eq!(bench.row("dev").await.phase, Phase::Misconfigured);
    // Somebody may have assigned it since: a later question is asked again.
    bench.advance(minutes(1));
    assert_eq!(bench.credentials("dev").await.unwrap_err().code, Code::AccessDenied);
    assert_eq!(bench.lab.count("GetRoleCredentials"), 2);
}

#[tokio::test]
async fn nonsense_from_the_network_is_no_refusal() {
    for act in [Act::Html, Act::Half, Act::Drop] {
        let bench = Bench::start().await;
        bench.login("corp").await;
        bench.lab.queue(Fault::new("GetRoleCredentials", act.clone()).times(-1));
        let asked = bench.credentials("dev");
        tokio::pin!(asked);
        tokio::select! {
            _ = &mut asked => {}
            row = bench.until_phase("dev", Phase::Degraded) => {
                assert_eq!(row.report.unwrap().code, Code::Unreachable, "{act:?}");
            }
        }
        bench.pass(minutes(6)).await;
        bench.lab.clear_faults();
        bench.pass(minutes(6)).await;
        bench.until_phase("dev", Phase::Fresh).await;
    }
}

#[tokio::test]
async fn other_tools_never_find_a_token_that_they_would_renew() {
    // The AWS CLI, botocore and the SDKs renew a token with less than fifteen minutes left: while eksd
    // is earlier, no two programs use one refresh token.
    let bench = Bench::start().await;
    bench.login("corp").await;
    for _ in 0..80 {
        bench.credentials("dev").await.unwrap();
        bench.pass(minutes(5)).await;
        let ends: jiff::Timestamp =
            bench.token_json()["expiresAt"].as_str().unwrap().parse().unwrap();
        let left = ends.duration_since(bench.world().clock.now());
        assert!(jiff::SignedDuration::from_mins(15) < left, "{left:?} left");
    }
}
