//! Credentials from the endpoints next to this machine.

use super::{
    super::{Authorization, AwsError, Class, ContainerSource, Kind},
    *,
};
use crate::report::Code;
use server::{Server, Then, proxy_to};

const PASSES: Class = Class::MayPass { retry_after: None };

const KEYS: &str = r#"{"Code":"Success","AccessKeyId":"ASIA7","SecretAccessKey":"planted-secret",
    "Token":"planted-session","Expiration":"2026-01-02T09:04:05Z","AccountId":"111122223333"}"#;

fn source(server: &Server, authorization: Option<Authorization>) -> ContainerSource {
    let uri = Secret::new(format!("{}/v2/planted-path?a=b", server.url));
    ContainerSource { uri, authorization }
}

fn text(token: &str) -> Authorization {
    Authorization::Text(Secret::new(token))
}

async fn container(then: Then) -> Result<Credentials, AwsError> {
    let server = Server::start([then]);
    let source = source(&server, Some(text("planted-authorization")));
    aws(&server.url).container_credentials(&source).await
}

fn of_instance(server: &Server) -> Aws {
    let mut around = around(&server.url);
    around.instance.endpoint = Some(format!("{}/", server.url));
    Aws::new(around).unwrap()
}

async fn instance(script: impl IntoIterator<Item = Then>) -> Result<Credentials, AwsError> {
    let server = Server::start(script);
    of_instance(&server).instance_credentials().await
}

#[tokio::test]
async fn a_container_asks_once_with_its_token() {
    let dated = Then::ok(KEYS).with("date", "Fri, 02 Jan 2026 02:04:05 GMT");
    let server = Server::start([dated]);
    let aws = aws(&server.url);
    let got = aws.container_credentials(&source(&server, Some(text("Bearer x y")))).await.unwrap();
    assert_eq!(got.access_key_id, "ASIA7");
    assert_eq!(got.secret_access_key.expose(), "planted-secret");
    assert_eq!(got.session_token.as_ref().unwrap().expose(), "planted-session");
    assert_eq!(got.expires_at, Some("2026-01-02T09:04:05Z".parse().unwrap()));
    assert_eq!(got.account_id.as_deref(), Some("111122223333"));
    let asked = server.asked();
    assert_eq!(asked.line, "GET /v2/planted-path?a=b HTTP/1.1");
    assert_eq!(asked.header("authorization"), Some("Bearer x y"));
    assert_eq!(asked.header("accept"), Some("application/json"));
    assert_eq!(aws.ahead(), None, "its clock is not that of AWS");
    aws.container_credentials(&source(&server, None)).await.unwrap();
    assert_eq!(server.all_asked()[1].header("authorization"), None);
}

#[tokio::test]
async fn a_token_file_is_read_each_time() {
    let server = Server::start([Then::ok(KEYS)]);
    let aws = aws(&server.url);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let source = source(&server, Some(Authorization::File(file.clone())));
    let ask = || aws.container_credentials(&source);
    let error = ask().await.unwrap_err();
    assert_eq!((error.class, error.kind), (PASSES, Kind::Local), "{error}");
    for token in ["planted-one", "planted-two"] {
        std::fs::write(&file, token).unwrap();
        ask().await.unwrap();
    }
    for (token, part) in [
        ("planted\n", "ends in a line feed, which the AWS SDKs refuse as well"),
        ("planted\r\n", "ends in a line feed"),
        ("planted\r\nx: y", "holds a line feed"),
        ("planted\nx: y\n", "holds a line feed"),
        ("plant\u{e9}d", "holds a line feed or another character"),
    ] {
        std::fs::write(&file, token).unwrap();
        let error = ask().await.unwrap_err();
        assert_eq!((error.class, error.kind), (Class::NeverWorks, Kind::Local));
        let report = error.report("dev").to_string();
        assert!(report.contains(part) && !report.contains("plant"), "{report}");
    }
    let sent: Vec<_> = server.all_asked();
    let sent: Vec<_> = sent.iter().map(|asked| asked.header("authorization").unwrap()).collect();
    assert_eq!(sent, ["planted-one", "planted-two"]);
}

#[tokio::test]
async fn what_a_container_endpoint_may_answer() {
    let denied = r#"{"code":"AccessDenied","message":"no role for planted-authorization"}"#;
    let wait = Class::MayPass { retry_after: Some(Duration::from_secs(7)) };
    for (then, class, kind, message) in [
        (
            Then::status(403, denied),
            Class::NeverWorks,
            Kind::AccessDenied,
            "status 403: no role for ***",
        ),
        (
            Then::status(400, "no such\ntask"),
            Class::NeverWorks,
            Kind::BadRequest,
            "status 400: no such task",
        ),
        (Then::status(404, ""), Class::NeverWorks, Kind::BadRequest, "status 404"),
        (Then::status(500, denied), PASSES, Kind::ServerFault, "status 500: no role for ***"),
        (Then::status(429, "").with("retry-after", "7"), wait, Kind::Throttled, "status 429"),
        (Then::status(302, ""), PASSES, Kind::Malformed, "status 302"),
        (Then::status(403, "<html>no</html>"), Class::NeverWorks, Kind::AccessDenied, "status 403"),
        (Then::ok("<html>hi</html>"), PASSES, Kind::Page, "status 200 with an HTML page"),
        (Then::ok("[]"), PASSES, Kind::Malformed, "the answer is not a JSON object"),
        (
            Then::ok(&"x".repeat(1024 * 1024 + 1)),
            PASSES,
            Kind::Malformed,
            "the answer is longer than 1048576 bytes",
        ),
        (
            Then::Raw("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".into()),
            PASSES,
            Kind::Malformed,
            "the answer was cut off",
        ),
    ] {
        let error = container(then).await.unwrap_err();
        assert_eq!((error.class, error.kind, error.message()), (class, kind, message));
        let report = error.report("dev").to_string();
        assert!(!format!("{report} {error:?}").contains("planted"), "{report}");
        assert!(report.contains("the container credentials endpoint"), "{report}");
    }
    let mut fields: serde_json::Value = serde_json::from_str(KEYS).unwrap();
    for (field, value, message) in [
        ("AccessKeyId", "", "no `AccessKeyId`"),
        ("AccessKeyId", "A\r\nb", "no `AccessKeyId`"),
        ("SecretAccessKey", "", "no `SecretAccessKey`"),
        ("Token", "", "no `Token`"),
        ("Expiration", "", "no `Expiration`"),
        ("Expiration", "2026-01-02T03:04:05Z", "the credentials have ended already"),
        ("Expiration", "2026-01-09T03:04:05Z", "the credentials would end later than AWS grants"),
        ("Expiration", "2026-01-02T09:04:05", "the end of the credentials is not a time"),
        ("Expiration", "9999-12-31T23:59:59Z", "the end of the credentials is not a time"),
    ] {
        let old = std::mem::replace(&mut fields[field], value.into());
        let error = container(Then::ok(&fields.to_string())).await.unwrap_err();
        assert_eq!((error.class, error.kind, error.message()), (PASSES, Kind::Malformed, message));
        fields[field] = old;
    }
    assert!(container(Then::ok(&fields.to_string())).await.is_ok());
}

#[tokio::test]
async fn where_nobody_answers() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let aws = aws("http://127.0.0.1:1");
    let source = |uri: &str| ContainerSource { uri: Secret::new(uri), authorization: None };
    let error =
        aws.container_credentials(&source(&format!("http://{nobody}/x"))).await.unwrap_err();
    assert_eq!((error.class, error.kind), (PASSES, Kind::Connect));
    let report = error.report("dev");
    assert_eq!(report.code, Code::Unreachable);
    assert!(report.fix.contains("runs in the container"), "{report}");
    let error = aws.container_credentials(&source("http://10.0.0.1/planted")).await.unwrap_err();
    assert_eq!((error.class, error.kind), (Class::NeverWorks, Kind::Local));
    assert!(!error.report("dev").to_string().contains("planted"));
    // Silence costs two seconds of one attempt.
    let silent = Server::start([Then::Stall]);
    let begun = std::time::Instant::now();
    let error = aws.container_credentials(&source(&silent.url)).await.unwrap_err();
    assert_eq!((error.class, error.kind), (PASSES, Kind::Timeout));
    assert!(begun.elapsed() < Duration::from_secs(4), "not the 5 s of other calls");
    silent.asked();
}

#[tokio::test]
async fn no_proxy_is_asked() {
    let (proxy, asked) = proxy_to(1);
    let mut around = around("http://127.0.0.1:1");
    around.http_proxy = Some(proxy.clone());
    around.https_proxy = Some(proxy);
    around.instance.endpoint = Some("http://metadata.eksd.invalid".to_owned());
    let aws = Aws::new(around).unwrap();
    assert_eq!(aws.instance_credentials().await.unwrap_err().kind, Kind::Dns);
    let uri = Secret::new("https://container.eksd.invalid/x");
    let source = ContainerSource { uri, authorization: None };
    assert_eq!(aws.container_credentials(&source).await.unwrap_err().kind, Kind::Dns);
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_instance_speaks_version_2() {
    let server =
        Server::start([Then::ok("planted-imds"), Then::ok("web+role@x\nother"), Then::ok(KEYS)]);
    let got = of_instance(&server).instance_credentials().await.unwrap();
    assert_eq!(got.access_key_id, "ASIA7");
    assert_eq!(got.expires_at, Some("2026-01-02T09:04:05Z".parse().unwrap()));
    let asked = server.all_asked();
    let lines: Vec<_> = asked.iter().map(|asked| asked.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "PUT /latest/api/token HTTP/1.1",
            "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1",
            "GET /latest/meta-data/iam/security-credentials/web+role@x HTTP/1.1",
        ]
    );
    assert_eq!(asked[0].header("x-aws-ec2-metadata-token-ttl-seconds"), Some("21600"));
    assert_eq!(asked[0].header("x-aws-ec2-metadata-token"), None);
    for asked in &asked[1..] {
        assert_eq!(asked.header("x-aws-ec2-metadata-token"), Some("planted-imds"));
    }
}

#[tokio::test]
async fn what_the_metadata_service_may_answer() {
    let token = || Then::ok("planted-imds");
    let role = || Then::ok("web");
    let page = Then::status(404, "<?xml version=\"1.0\"?><html>404</html>")
        .with("content-type", "text/html");
    let untrusted = r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot assume web"}"#;
    for (script, class, kind, message) in [
        (vec![Then::status(403, "")], Class::NeverWorks, Kind::AccessDenied, "status 403"),
        (vec![Then::ok("")], PASSES, Kind::Malformed, "the answer is not a line of text"),
        (vec![Then::ok("a b")], PASSES, Kind::Malformed, "the answer is not a line of text"),
        (vec![Then::ok("<html>hi</html>")], PASSES, Kind::Page, "status 200 with an HTML page"),
        (
            vec![token(), page],
            Class::NeverWorks,
            Kind::NotAssigned,
            "the metadata service knows no role (status 404)",
        ),
        (vec![token(), Then::status(503, "")], PASSES, Kind::ServerFault, "status 503"),
        (vec![token(), Then::ok("../../x")], PASSES, Kind::Malformed, "the role's name is none"),
        (
            vec![token(), role(), Then::ok(untrusted)],
            Class::NeverWorks,
            Kind::AccessDenied,
            "status 200: EC2 cannot assume web",
        ),
        (vec![token(), role(), Then::ok("{}")], PASSES, Kind::Malformed, "no `Code`"),
        (
            vec![token(), role(), Then::status(401, "planted-imds")],
            Class::NeverWorks,
            Kind::AccessDenied,
            "status 401: ***",
        ),
        (
            vec![token(), role(), Then::ok(&KEYS.replace("2026-01-02T09", "2026-01-02T02"))],
            PASSES,
            Kind::Malformed,
            "the credentials have ended already",
        ),
    ] {
        let error = instance(script).await.unwrap_err();
        assert_eq!((error.class, error.kind, error.message()), (class, kind, message));
        let report = error.report("dev").to_string();
        assert!(!format!("{report} {error:?}").contains("planted"), "{report}");
        assert!(report.contains("the instance metadata service"), "{report}");
    }
}

#[tokio::test]
async fn a_metadata_service_that_is_switched_off_is_not_asked() {
    let server = Server::start([Then::ok("t")]);
    let mut around = around(&server.url);
    around.instance.endpoint = Some(server.url.clone());
    around.instance.is_disabled = true;
    let error = Aws::new(around).unwrap().instance_credentials().await.unwrap_err();
    assert_eq!((error.class, error.kind), (Class::NeverWorks, Kind::Local));
    let report = error.report("dev").to_string();
    assert!(report.contains("AWS_EC2_METADATA_DISABLED is `true`"), "{report}");
    assert!(server.all_asked().is_empty());
}

#[test]
fn an_endpoint_that_is_no_url_is_said_at_the_start() {
    let mut bad = around("http://127.0.0.1:1");
    bad.instance.endpoint = Some("169.254.169.254".to_owned());
    let error = Aws::new(bad).unwrap_err();
    assert!(error.message().starts_with("AWS_EC2_METADATA_SERVICE_ENDPOINT"), "{error}");
}
