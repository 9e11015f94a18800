//! The AWS SDK for Rust, unchanged, at the endpoint. The SDKs for Python and JS are in `tests/e2e`.

use std::process::{Command, Output};

use aws_config::{ecs::EcsCredentialsProvider, provider_config::ProviderConfig};
use aws_credential_types::provider::ProvideCredentials as _;

use super::*;

const INNER: &str = "agent::endpoint::tests::rust_sdk::ask";

/// The SDK reads the environment of its process, so it has one of its own.
async fn ask_in_a_process(opened: &EndpointOpen) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", INNER, "--ignored", "--nocapture"])
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &opened.uri)
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &opened.token_file);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
#[ignore = "run by the tests below"]
async fn ask() {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = ProviderConfig::without_region().with_http_client(http);
    let provider = EcsCredentialsProvider::builder().configure(&config).build();
    let keys = provider.provide_credentials().await.unwrap();
    let end = keys.expiry().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    println!(
        "given: {} {} {} {}",
        keys.access_key_id(),
        keys.secret_access_key(),
        keys.session_token().unwrap(),
        end.as_secs()
    );
}

#[tokio::test]
async fn the_sdk_takes_what_it_is_given() {
    let home = tempfile::tempdir().unwrap();
    let bench = Bench::good(home.path());
    let opened = bench.endpoint.open(ProfileName::new("dev"), Some(own())).await.unwrap();
    let output = ask_in_a_process(&opened).await;
    let text = String::from_utf8_lossy(&output.stdout);
    // 2026-11-23T20:00:00Z.
    assert!(text.contains("given: ASIA-dev secret token 1795464000\n"), "{text}");
}

#[tokio::test]
async fn where_a_person_is_needed_the_sdk_asks_once() {
    let home = tempfile::tempdir().unwrap();
    let bench = Bench::start(home.path(), |_, _| {
        Some(Err(Report::new(Code::NeedsLogin, "it has ended", "run `eksd login dev`")))
    });
    let opened = bench.endpoint.open(ProfileName::new("dev"), Some(own())).await.unwrap();
    bench.asked.lock().unwrap().clear();
    let output = ask_in_a_process(&opened).await;
    assert!(!output.status.success());
    assert_eq!(bench.asked.lock().unwrap().len(), 1, "{output:?}");
}
