//! Tokens: made of the right parts, given again while that is right, and made anew where they seem to be
//! refused.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use eksd_lab::{Fault, Script};
use jiff::Timestamp;

use super::{
    bench::{Bench, CONFIG, at, minutes},
    clusters::add,
};
use crate::{
    agent::{
        event::{Event, Patience},
        tokens::{Handed, News, TokenAsk},
    },
    ipc::wire::{Flow, ProfileStatus, TokenParams},
    model::token::{Asker, ProcessId},
    report::{Code, Report},
};

/// What a token says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    key: String,
    region: String,
    signed_at: Timestamp,
}

fn parts(handed: &Handed) -> Parts {
    let text = handed.token.expose().strip_prefix("k8s-aws-v1.").unwrap();
    let url = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    let value = |name: &str| {
        let (_, rest) = url.split_once(&format!("{name}=")).unwrap();
        rest.split('&').next().unwrap().replace("%2F", "/")
    };
    let date = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", value("X-Amz-Date")).unwrap();
    let credential = value("X-Amz-Credential");
    let mut scope = credential.split('/');
    Parts {
        key: scope.next().unwrap().to_owned(),
        region: scope.nth(1).unwrap().to_owned(),
        signed_at: jiff::tz::TimeZone::UTC.to_timestamp(date).unwrap(),
    }
}

fn named(profile: &str) -> TokenParams {
    TokenParams {
        cluster_name: Some("demo".into()),
        profile: Some(profile.into()),
        region: Some("eu-west-1".into()),
        ..TokenParams::default()
    }
}

fn registered(alias: &str) -> TokenParams {
    TokenParams { cluster: Some(alias.into()), ..TokenParams::default() }
}

fn kubectl(pid: i32) -> Asker {
    Asker { process: ProcessId { pid, began: 7 }, name: "kubectl".to_owned() }
}

async fn ask(bench: &Bench, params: &TokenParams, asker: Option<Asker>) -> Result<Handed, Report> {
    let ask = TokenAsk { params: params.clone(), asker, patience: Patience::Some };
    bench.mailbox.ask(|reply| Event::Token { ask, reply }).await
}

async fn token(bench: &Bench, params: &TokenParams) -> Handed {
    ask(bench, params, None).await.unwrap()
}

/// Asks as a client does that is refused; returns the report that came with the token.
async fn refused(bench: &Bench, params: &TokenParams) -> Option<Report> {
    match ask(bench, params, Some(kubectl(1))).await.unwrap().news {
        News::None => None,
        News::Report(report) => Some(report),
        News::Coming(verdict, _) => Some(verdict.await.unwrap()),
    }
}

/// Has a client refused until AWS has been asked, and returns what it said.
async fn verdict(bench: &Bench, params: &TokenParams) -> Report {
    for _ in 0..3 {
        refused(bench, params).await;
    }
    refused(bench, params).await.unwrap()
}

/// A bench with a login of which AWS has said whose it is: nothing more is asked because of it.
async fn logged_in() -> Bench {
    let bench = Bench::start().await;
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    let is_known = |row: &ProfileStatus| row.root.as_ref().is_some_and(|it| it.person.is_some());
    bench.until(|status| status.profiles.iter().any(is_known)).await;
    bench
}

fn replays(bench: &Bench) -> usize {
    bench.lab.calls_of("GetCallerIdentity").iter().filter(|call| call.presigned).count()
}

async fn report_of(bench: &Bench, alias: &str) -> Option<Report> {
    let clusters = bench.status().await.clusters;
    clusters.into_iter().find(|row| row.cluster == alias).expect("a row").report
}

#[tokio::test]
async fn a_token_is_made_of_the_right_parts() {
    let bench = logged_in().await;
    add(&bench, "demo", Some("prod-eu")).await.unwrap();
    let held = bench.credentials("dev").await.unwrap();
    let given = token(&bench, &registered("prod-eu")).await;
    let expected =
        Parts { key: held.access_key_id, region: "eu-west-1".into(), signed_at: at("08:00:00") };
    assert_eq!(parts(&given), expected);
    assert_eq!(given.expires_at, at("08:14:00"));

    let by_role = TokenParams {
        region: Some("us-east-1".into()),
        role_arn: Some("arn:aws:iam::111122223333:role/dev".into()),
        role_session_name: Some("ann@example.com".into()),
        external_id: Some("x:1".into()),
        ..named("dev")
    };
    let given = parts(&token(&bench, &by_role).await);
    assert_eq!(given.region, "us-east-1");
    assert_ne!(given.key, expected.key);
    let hops = bench.lab.calls_of("AssumeRole");
    let hop = hops.first().unwrap();
    assert_eq!(hop.session_name.as_deref(), Some("ann@example.com"));
    assert_eq!(hop.external_id.as_deref(), Some("x:1"));

    for (params, code) in [
        (registered("prod-ue"), Code::UnknownCluster),
        (TokenParams::default(), Code::Usage),
        (TokenParams { role_session_name: Some("a b".into()), ..by_role.clone() }, Code::Usage),
        (TokenParams { external_id: Some("é".into()), ..by_role }, Code::Usage),
    ] {
        assert_eq!(ask(&bench, &params, None).await.unwrap_err().code, code, "{params:?}");
    }
}

#[tokio::test]
async fn the_same_token_is_given_while_it_lasts() {
    let bench = logged_in().await;
    let first = token(&bench, &named("dev")).await;
    bench.advance(minutes(12));
    let again = token(&bench, &named("dev")).await;
    assert_eq!(again.token, first.token);
    assert_eq!(again.expires_at, first.expires_at, "the end is the token's own");
    bench.advance(Duration::from_secs(1));
    let next = token(&bench, &named("dev")).await;
    assert_ne!(next.token, first.token);
    assert_eq!(parts(&next).signed_at, at("08:12:01"));
}

#[tokio::test]
async fn other_keys_make_another_token() {
    let bench = logged_in().await;
    let first = token(&bench, &named("dev")).await;

    // Renewed.
    bench.pass(minutes(31)).await;
    let held = bench.credentials("dev").await.unwrap();
    let renewed = token(&bench, &named("dev")).await;
    assert_ne!(parts(&renewed).key, parts(&first).key);
    assert_eq!(parts(&renewed).key, held.access_key_id);

    // Another role.
    bench.write_config(&CONFIG.replace("sso_role_name = Developer", "sso_role_name = ReadOnly"));
    bench
        .until(|status| status.profiles.iter().any(|row| row.role.as_deref() == Some("ReadOnly")))
        .await;
    bench.until(|status| status.profiles[0].role.as_deref() == Some("ReadOnly")).await;
    let edited = token(&bench, &named("dev")).await;
    assert_ne!(parts(&edited).key, parts(&renewed).key);

    // Nobody.
    bench.logout("corp").await;
    assert_eq!(ask(&bench, &named("dev"), None).await.unwrap_err().code, Code::NeedsLogin);

    // Another person.
    bench.lab.edit(|script| script.person = "bob@example.com".into());
    bench.login("corp").await;
    let anothers = token(&bench, &named("dev")).await;
    assert_ne!(parts(&anothers).key, parts(&edited).key);
    let held = bench.credentials("dev").await.unwrap();
    assert_eq!(parts(&anothers).key, held.access_key_id);
}

#[tokio::test]
async fn another_person_who_logs_in_over_the_first_gets_tokens_of_their_own() {
    let bench = logged_in().await;
    let first = token(&bench, &named("dev")).await;
    bench.lab.edit(|script| script.person = "bob@example.com".into());
    let mut news = bench.begin_login("corp", Flow::DeviceCode, true);
    while news.recv().await.is_some() {}
    let is_bobs = |row: &ProfileStatus| {
        row.root.as_ref().and_then(|root| root.person.as_deref()) == Some("bob@example.com")
    };
    bench.until(|status| is_bobs(&status.profiles[0])).await;
    let second = token(&bench, &named("dev")).await;
    assert_ne!(parts(&second).key, parts(&first).key);
}

#[tokio::test]
async fn a_secret_that_was_mended_makes_another_token_under_the_same_key() {
    let config = |secret: &str| {
        format!(
            "[profile keys]\nregion = eu-west-1\naws_access_key_id = AKIALABALICE00000001\n\
             aws_secret_access_key = {secret}\n"
        )
    };
    let bench = Bench::start_with(&config("wrong"), "", Script::default()).await;
    let wrong = token(&bench, &named("keys")).await;
    bench.write_config(&config("alice-long-term-secret"));
    while token(&bench, &named("keys")).await.token == wrong.token {
        tokio::task::yield_now().await;
    }
    let right = token(&bench, &named("keys")).await;
    assert_eq!(parts(&right), parts(&wrong), "all but the signature is the same");
}

#[tokio::test]
async fn who_comes_back_early_gets_another_token_and_then_the_cause() {
    let bench = logged_in().await;
    add(&bench, "demo", None).await.unwrap();
    bench.lab.forget_calls();
    let mut tokens = Vec::new();
    let mut news = Vec::new();
    for _ in 0..6 {
        let handed = ask(&bench, &registered("demo"), Some(kubectl(1))).await.unwrap();
        assert!(at("08:13:54") <= handed.expires_at, "{}", handed.expires_at);
        tokens.push(handed.token);
        news.push(match handed.news {
            News::None => None,
            News::Report(report) => Some(report),
            News::Coming(verdict, suspicion) => {
                assert_eq!(suspicion.code, Code::TokenRefused);
                Some(verdict.await.unwrap())
            }
        });
    }
    let differ: std::collections::BTreeSet<&str> =
        tokens.iter().map(crate::model::Secret::expose).collect();
    assert_eq!(differ.len(), 6, "all were made in the same second");
    let codes: Vec<_> = news.iter().map(|news| news.as_ref().map(|it| it.code)).collect();
    let (suspected, named) = (Some(Code::TokenRefused), Some(Code::IdentityRefused));
    assert_eq!(codes, [None, suspected, suspected, named, named, named]);
    assert_eq!((replays(&bench), bench.lab.count("*")), (1, 1), "one call in all");

    let last = news.pop().flatten().unwrap();
    let arn = "assumed-role/AWSReservedSSO_Developer_0123456789abcdef/alice@example.com";
    assert!(last.what.contains("`demo`") && last.what.contains(arn), "{}", last.what);
    assert!(last.fix.contains("create-access-entry --cluster-name demo"), "{}", last.fix);
    assert!(last.fix.contains("role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_"));
    assert_eq!(last.why[0], "GetCallerIdentity: 200");
    let seen = "since 2026-03-02T08:00:00Z kubectl came back 5 times";
    assert!(last.why[1].starts_with(seen), "{:?}", last.why);
    assert_eq!(report_of(&bench, "demo").await, Some(last));

    // Others are told nothing, and get the last token.
    let other = ask(&bench, &registered("demo"), Some(kubectl(2))).await.unwrap();
    assert!(matches!(other.news, News::None));
    assert_eq!(Some(&other.token), tokens.last());
    assert_eq!(replays(&bench), 1);
}

#[tokio::test]
async fn a_cluster_that_is_not_registered_is_judged_too() {
    let bench = logged_in().await;
    let report = verdict(&bench, &named("dev")).await;
    assert_eq!(report.code, Code::IdentityRefused);
    assert_eq!(replays(&bench), 1);
    // Another profile's tokens for it are another matter.
    assert_eq!(refused(&bench, &named("readonly")).await, None);
    let first = refused(&bench, &named("readonly")).await.unwrap();
    assert_eq!(first.code, Code::TokenRefused);
    assert!(first.fix.contains("run the command again"), "{}", first.fix);
}

#[tokio::test]
async fn aws_is_asked_once_a_minute_at_most() {
    let bench = logged_in().await;
    verdict(&bench, &named("dev")).await;
    for _ in 0..20 {
        refused(&bench, &named("dev")).await;
    }
    assert_eq!(replays(&bench), 1);
    bench.advance(minutes(1));
    for _ in 0..5 {
        refused(&bench, &named("dev")).await;
    }
    assert_eq!(replays(&bench), 2);
}

/// What STS may answer, and what is made of it. Its own code is always beside.
#[tokio::test]
async fn what_aws_says_of_a_token() {
    let late = "Signature expired: 20260302T074400Z is now earlier than 20260302T074500Z \
                (20260302T080000Z - 15 min.)";
    for (status, code, message, expected, what, why) in [
        (403, "ExpiredToken", "over", Code::TokenRefused, "have ended", "ExpiredToken: over"),
        (
            403,
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
            Code::TokenRefused,
            "does not know the temporary key ASIA",
            "InvalidClientTokenId: The security token",
        ),
        (403, "SignatureDoesNotMatch", "no", Code::TokenRefused, "signature", "DoesNotMatch: no"),
        (403, "SignatureDoesNotMatch", late, Code::TokenRefused, "clock", "Signature expired"),
        (
            403,
            "RegionDisabledException",
            "off",
            Code::TokenRefused,
            "switched off in eu-west-1",
            "RegionDisabledException",
        ),
        (400, "Throttling", "Rate exceeded", Code::Throttled, "cannot be verified", "Throttling"),
        (503, "ServiceUnavailable", "", Code::Unreachable, "cannot be verified", "Unavailable"),
        (414, "UriTooLong", "", Code::TokenRefused, "UriTooLong", "UriTooLong"),
    ] {
        let bench = logged_in().await;
        bench.lab.queue(Fault::status("GetCallerIdentity", status, code).message(message));
        let report = verdict(&bench, &named("dev")).await;
        assert_eq!(report.code, expected, "{code}: {report}");
        assert!(report.what.contains(what), "{code}: {report}");
        assert!(report.why[0].contains(why), "{code}: {report}");
        assert!(!report.fix.is_empty());
    }
}

#[tokio::test]
async fn a_verdict_is_dropped_when_it_is_not_true_any_more() {
    let bench = logged_in().await;
    add(&bench, "demo", None).await.unwrap();
    let demo = registered("demo");

    // Not refused for a quarter of an hour.
    verdict(&bench, &demo).await;
    assert!(report_of(&bench, "demo").await.is_some());
    bench.pass(minutes(14)).await;
    assert!(report_of(&bench, "demo").await.is_some());
    bench.pass(minutes(1)).await;
    assert_eq!(report_of(&bench, "demo").await, None);

    // Somebody mends the file.
    verdict(&bench, &demo).await;
    let alias = Some("demo".to_owned());
    bench.mailbox.ask(|reply| Event::ClusterErrands { alias, reply }).await.unwrap();
    assert_eq!(report_of(&bench, "demo").await, None);

    // Other keys.
    verdict(&bench, &demo).await;
    bench.logout("corp").await;
    assert_eq!(report_of(&bench, "demo").await, None);
    bench.login("corp").await;
    assert_eq!(refused(&bench, &demo).await, None, "it begins anew");
}

#[tokio::test]
async fn tokens_are_signed_by_the_clock_of_aws() {
    let bench = Bench::start().await;
    bench.lab.advance(-600);
    bench.login("corp").await;
    bench.credentials("dev").await.unwrap();
    let given = token(&bench, &named("dev")).await;
    assert_eq!(parts(&given).signed_at, at("07:50:00"));
    assert_eq!(given.expires_at, at("08:14:00"), "by the clock of whoever compares it");

    // Half an hour off, and a person has to set the clock.
    let bench = Bench::start().await;
    bench.lab.advance(-1800);
    bench.login("corp").await;
    let report = ask(&bench, &named("dev"), None).await.unwrap_err();
    assert!(report.what.contains("1800 s ahead of AWS's"), "{report}");
}

#[tokio::test]
async fn the_end_is_declared_before_that_of_the_credentials() {
    let mut script = Script::default();
    script.lifetimes.role_credentials = 600;
    let bench = Bench::start_with(CONFIG, "", script).await;
    bench.login("corp").await;
    let given = token(&bench, &named("dev")).await;
    assert_eq!(given.expires_at, at("08:09:00"));
}

#[tokio::test]
async fn a_token_that_no_cluster_reads_is_reported_with_the_fix() {
    let script = Script { session_token_bytes: 2400, ..Script::default() };
    let bench = Bench::start_with(CONFIG, "", script).await;
    bench.login("corp").await;
    let report = ask(&bench, &named("dev"), Some(kubectl(1))).await.unwrap_err();
    assert!(report.what.contains("longer than clusters accept"), "{report}");
    assert!(report.fix.contains("fewer or shorter session tags"), "{report}");
    // Nothing was given, so nothing was refused.
    let again = ask(&bench, &named("dev"), Some(kubectl(1))).await.unwrap_err();
    assert_eq!(again, report);
    assert_eq!(replays(&bench), 0);
}

#[tokio::test]
async fn whoever_hung_up_was_given_nothing() {
    let bench = logged_in().await;
    bench.credentials("dev").await.unwrap();
    let (reply, answer) = tokio::sync::oneshot::channel();
    drop(answer);
    let params = named("dev");
    let ask =
        TokenAsk { params: params.clone(), asker: Some(kubectl(1)), patience: Patience::Some };
    bench.mailbox.send(Event::Token { ask, reply });
    assert_eq!(refused(&bench, &params).await, None, "it is the first that it gets");
}
