//! Below HTTP: connections, TLS, proxies, deadlines.

use std::{io::Write as _, net::TcpListener, time::Instant};

use eksd_lab::{Lab, Script};

use super::{
    super::{AwsError, Class, Kind},
    *,
};
use server::{Server, Then, proxy_to};

async fn ask(aws: &Aws) -> Result<String, AwsError> {
    let reach = reach("eu-west-1");
    let key = Credentials {
        access_key_id: "AKIALABALICE00000001".to_owned(),
        secret_access_key: Secret::new("alice-long-term-secret"),
        session_token: None,
        expires_at: None,
        account_id: None,
    };
    aws.caller_identity(&reach, &key).await.map(|who| who.arn)
}

/// The lab speaks TLS at the real time.
fn around_tls(endpoint: Option<String>) -> Surroundings {
    let mut around = Surroundings::new(Timestamp::now);
    around.endpoints.all = endpoint;
    around
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    for error in [
        ask(&aws(&url)).await.unwrap_err(),
        aws(&url).clusters_page(&reach("eu-west-1"), &credentials(), None).await.unwrap_err(),
    ] {
        assert_eq!(error.class, Class::MayPass { retry_after: None });
        assert_eq!(error.kind, Kind::Connect);
        assert_eq!(error.host(), Some(format!("127.0.0.1:{port}").as_str()));
        assert!(error.message().contains("refused"), "{error}");
    }
}

#[tokio::test]
async fn no_such_name() {
    let error = ask(&aws("http://sts.eksd.invalid")).await.unwrap_err();
    assert_eq!(error.kind, Kind::Dns, "{error:?}");
}

#[tokio::test]
async fn a_silent_server_is_left_at_the_deadline() {
    let server = Server::start([Then::Stall]);
    let mut around = around(&server.url);
    around.deadlines.attempt = Duration::from_millis(200);
    let aws = Aws::new(around).unwrap();
    let began = Instant::now();
    assert_eq!(ask(&aws).await.unwrap_err().kind, Kind::Timeout);
    let region = reach("eu-west-1");
    let error = aws.clusters_page(&region, &credentials(), None).await.unwrap_err();
    assert_eq!(error.kind, Kind::Timeout);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn only_the_bundle_is_trusted() {
    let lab = Lab::start_tls(Script::default());
    let ca = file(lab.ca_pem());
    let other = {
        let key = rcgen::KeyPair::generate().unwrap();
        file(&rcgen::CertificateParams::default().self_signed(&key).unwrap().pem())
    };
    let aws = |ca_bundle: Option<&tempfile::NamedTempFile>,
               ssl_cert_file: Option<&tempfile::NamedTempFile>| {
        let mut around = around_tls(lab.tls_url());
        around.ca_bundle = ca_bundle.map(|file| file.path().to_owned());
        around.ssl_cert_file = ssl_cert_file.map(|file| file.path().to_owned());
        Aws::new(around).unwrap()
    };
    ask(&aws(Some(&ca), None)).await.unwrap();
    ask(&aws(None, Some(&ca))).await.unwrap();
    ask(&aws(Some(&ca), Some(&other))).await.unwrap();
    let error = ask(&aws(Some(&other), Some(&ca))).await.unwrap_err();
    assert_eq!(error.kind, Kind::Tls { untrusted: true }, "{error:?}");
    let report = error.report("dev").to_string();
    assert!(
        report.contains("a proxy may intercept") && report.contains("AWS_CA_BUNDLE"),
        "{report}"
    );

    // A profile's `ca_bundle`, and a file that is replaced while the agent runs.
    let aws = aws(None, None);
    let mut reach = reach("eu-west-1");
    let path = other.path().to_str().unwrap().to_owned();
    reach.ca_bundle = Some(path.clone());
    let keys = credentials();
    let error = aws.caller_identity(&reach, &keys).await.unwrap_err();
    assert_eq!(error.kind, Kind::Tls { untrusted: true });
    std::fs::write(&path, lab.ca_pem()).unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(5);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
    let error = aws.caller_identity(&reach, &keys).await.unwrap_err();
    assert_eq!(error.kind, Kind::KeyRefused, "reached: {error:?}");
    reach.ca_bundle = Some("/nowhere.pem".to_owned());
    let error = aws.caller_identity(&reach, &keys).await.unwrap_err();
    assert_eq!(error.kind, Kind::Local);
    assert!(error.report("dev").why[0].contains("`/nowhere.pem` cannot be read"), "{error}");
}

#[tokio::test]
async fn https_goes_through_the_proxy_under_its_real_name() {
    let lab = Lab::start_tls(Script::default());
    let ca = file(lab.ca_pem());
    let (proxy, asked) = proxy_to(lab.tls_port().unwrap());
    let mut around = around_tls(None);
    around.ca_bundle = Some(ca.path().to_owned());
    around.https_proxy = Some(proxy);
    assert!(!format!("{around:?}").contains("hunter2"));
    let aws = Aws::new(around).unwrap();
    assert_eq!(ask(&aws).await.unwrap(), "arn:aws:iam::111122223333:user/alice");
    let asked = asked.lock().unwrap();
    assert_eq!(asked[0].line, "CONNECT sts.eu-west-1.amazonaws.com:443 HTTP/1.1");
    assert_eq!(asked[0].header("proxy-authorization"), Some("Basic dXNlcjpodW50ZXIy"));
}

#[tokio::test]
async fn a_proxy_is_not_asked_for_what_it_is_not_for() {
    let lab = Lab::start_tls(Script::default());
    let ca = file(lab.ca_pem());
    let (proxy, asked) = proxy_to(1);
    // Loopback, over http and https, with either variable.
    for url in [lab.url(), lab.tls_url().unwrap()] {
        let mut around = around_tls(Some(url));
        around.ca_bundle = Some(ca.path().to_owned());
        around.https_proxy = Some(proxy.clone());
        around.http_proxy = Some(proxy.clone());
        ask(&Aws::new(around).unwrap()).await.unwrap();
    }
    // A host of NO_PROXY; it does not exist.
    let mut around = around_tls(Some("https://sts.eksd.invalid".to_owned()));
    around.https_proxy = Some(proxy.clone());
    around.no_proxy = Some("example.com,.invalid".to_owned());
    around.ca_bundle = Some(ca.path().to_owned());
    assert_eq!(ask(&Aws::new(around).unwrap()).await.unwrap_err().kind, Kind::Dns);
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_proxy_that_refuses() {
    let refusing = Server::start([Then::status(403, "no"), Then::status(407, "who?")]);
    for _ in 0..2 {
        let mut around = around_tls(None);
        around.https_proxy = Some(format!("127.0.0.1:{}", refusing.port));
        around.ca_bundle = None;
        let lab_ca = file(Lab::start_tls(Script::default()).ca_pem());
        around.ssl_cert_file = Some(lab_ca.path().to_owned());
        let error = ask(&Aws::new(around).unwrap()).await.unwrap_err();
        assert_eq!(error.kind, Kind::Proxy, "{error:?}");
    }
}

#[test]
fn what_is_not_a_url_is_said_at_the_start() {
    let mut bad = around("not a url");
    assert!(Aws::new(bad.clone()).unwrap_err().message().contains("AWS_ENDPOINT_URL"));
    bad.endpoints.all = Some(String::new());
    bad.https_proxy = Some("http://user:hunter2@ bad".to_owned());
    let error = Aws::new(bad).unwrap_err();
    assert_eq!(error.message(), "HTTPS_PROXY is not the URL of a proxy");
}

#[tokio::test]
async fn a_region_from_a_file_leads_nowhere_else() {
    let aws = aws("http://127.0.0.1:1");
    for region in ["evil.example/#", "EU", ""] {
        let error = aws.clusters_page(&reach(region), &credentials(), None).await.unwrap_err();
        assert_eq!(error.kind, Kind::Local, "{region}");
    }
    let error = aws.clusters_page(&Reach::default(), &credentials(), None).await.unwrap_err();
    assert_eq!(error.message(), "no `region` is set");
}
