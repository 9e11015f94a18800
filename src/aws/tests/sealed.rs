//! Nothing of the process's environment or files reaches a call.

use std::process::Command;

use super::{super::Kind, *};
use server::{Server, Then};

const INNER: &str = "aws::tests::sealed::call_in_a_hostile_environment";

/// Runs the test below in a process whose environment and files point elsewhere.
#[test]
fn environment_and_files_are_not_read() {
    let trap = Server::start([Then::status(500, "")]);
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let config = format!(
        "[default]\nregion = eu-south-1\nendpoint_url = {0}\nuse_fips_endpoint = true\n\
         services = trap\n[services trap]\nsts =\n  endpoint_url = {0}\n",
        trap.url
    );
    let path = home.path().join(".aws/config");
    std::fs::write(&path, config).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", INNER, "--ignored"])
        .env("HOME", home.path())
        .env("AWS_CONFIG_FILE", &path)
        .env("AWS_PROFILE", "no-such-profile")
        .env("AWS_ENDPOINT_URL", &trap.url)
        .env("AWS_ENDPOINT_URL_STS", &trap.url)
        .env("AWS_ENDPOINT_URL_SSO", &trap.url)
        .env("AWS_ACCESS_KEY_ID", "AKIATRAP")
        .env("AWS_SECRET_ACCESS_KEY", "trap")
        .env("AWS_REGION", "eu-south-1")
        .env("AWS_USE_FIPS_ENDPOINT", "true")
        .env("AWS_SDK_UA_APP_ID", "trapped")
        .env("AWS_MAX_ATTEMPTS", "5")
        .env("HTTP_PROXY", &trap.url)
        .env("http_proxy", &trap.url)
        .env("ALL_PROXY", &trap.url)
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &trap.url)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    assert!(trap.all_asked().is_empty(), "{:?}", trap.all_asked());
}

#[tokio::test]
#[ignore = "run by the test above"]
async fn call_in_a_hostile_environment() {
    let server = Server::start([Then::status(500, "")]);
    let mut around = around(&server.url);
    around.endpoints.all = None;
    around.endpoints.sts = Some(server.url.clone());
    let aws = Aws::new(around).unwrap();
    let who = aws.caller_identity(&reach("eu-west-1"), &credentials()).await;
    assert_eq!(who.unwrap_err().kind, Kind::ServerFault);
    let asked = server.asked();
    assert!(asked.header("authorization").unwrap().contains("ASIAEXAMPLE/20260102/eu-west-1/sts"));
    assert!(!asked.header("user-agent").unwrap().contains("trapped"));
    // SSO has no endpoint of its own here: the real name is asked for, and has no address.
    let mut nowhere = Surroundings::new(now);
    nowhere.endpoints.sso = Some("http://portal.eksd.invalid".to_owned());
    let aws = Aws::new(nowhere).unwrap();
    let token = Secret::new("planted-access-token");
    let got = aws.role_credentials(&reach("eu-west-1"), &token, "1", "r").await;
    assert_eq!(got.unwrap_err().kind, Kind::Dns);
}
