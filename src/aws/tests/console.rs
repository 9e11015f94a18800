//! The renewal of console sign-ins.

use serde_json::{Value, json};

use super::{
    super::{
        AwsError, Class, Kind,
        dpop::tests::{pem, vector, verified},
    },
    *,
};
use crate::model::ConsoleToken;
use crate::report::Code;
use server::{Server, Then};

const PASSES: Class = Class::MayPass { retry_after: None };

fn token() -> ConsoleToken {
    ConsoleToken {
        keys: Credentials { account_id: Some("111122223333".to_owned()), ..credentials() },
        client_id: "arn:aws:signin:::devtools/same-device".to_owned(),
        refresh_token: Secret::new("planted-refresh"),
        id_token: Some(Secret::new("planted-id")),
        dpop_key: pem(),
    }
}

fn answer() -> Value {
    json!({
        "accessToken": {
            "accessKeyId": "ASIA3", "secretAccessKey": "sk", "sessionToken": "st",
        },
        "tokenType": "aws_sigv4", "expiresIn": 900, "refreshToken": "r2", "idToken": null,
    })
}

async fn refresh(then: Then) -> Result<ConsoleToken, AwsError> {
    let server = Server::start([then]);
    aws(&server.url).refresh_console(&reach("eu-west-1"), &token()).await
}

#[tokio::test]
async fn what_is_sent_and_what_stays() {
    let server = Server::start([Then::ok(&answer().to_string())]);
    let mut around = around("http://127.0.0.1:1");
    around.endpoints.signin = Some(format!("{}/", server.url));
    let aws = Aws::new(around).unwrap();
    let got = aws.refresh_console(&reach("eu-west-1"), &token()).await.unwrap();
    assert_eq!(got.keys.access_key_id, "ASIA3");
    assert_eq!(got.keys.secret_access_key.expose(), "sk");
    assert_eq!(got.keys.session_token.as_ref().unwrap().expose(), "st");
    assert_eq!(got.keys.expires_at, Some("2026-01-02T03:19:05Z".parse().unwrap()));
    assert_eq!(got.refresh_token.expose(), "r2");
    let old = token();
    assert_eq!(got.keys.account_id, old.keys.account_id);
    assert_eq!(
        (got.id_token, got.client_id, got.dpop_key),
        (old.id_token, old.client_id, old.dpop_key)
    );

    let asked = server.asked();
    assert_eq!(asked.line, "POST /v1/token HTTP/1.1");
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("authorization"), None, "not signed");
    assert_eq!(
        asked.json(),
        json!({
            "clientId": "arn:aws:signin:::devtools/same-device", "grantType": "refresh_token",
            "refreshToken": "planted-refresh",
        })
    );
    let (header, payload) = verified(asked.header("dpop").unwrap());
    let expected: Value = serde_json::from_str(vector()["header_json"].as_str().unwrap()).unwrap();
    assert_eq!(header, expected);
    assert_eq!(payload["htu"], format!("{}/v1/token", server.url));
    assert_eq!(payload["htm"], "POST");
    assert_eq!(payload["iat"], now().as_second());
    assert!(payload["jti"].is_string());
    assert_eq!(payload.as_object().unwrap().len(), 4);
}

#[tokio::test]
async fn a_clock_that_is_off_is_corrected_in_the_proof() {
    let late = Then::status(500, "").with("date", "Fri, 02 Jan 2026 03:10:05 GMT");
    let server = Server::start([late, Then::ok(&answer().to_string())]);
    let aws = aws(&server.url);
    let error = aws.refresh_console(&reach("eu-west-1"), &token()).await.unwrap_err();
    assert_eq!((error.class, error.kind), (PASSES, Kind::ServerFault));
    let got = aws.refresh_console(&reach("eu-west-1"), &token()).await.unwrap();
    let asked = server.all_asked();
    let proofs: Vec<_> = asked.iter().map(|it| verified(it.header("dpop").unwrap()).1).collect();
    assert_eq!(proofs[0]["iat"], now().as_second());
    assert_eq!(proofs[1]["iat"], now().as_second() + 360);
    assert_ne!(proofs[0]["jti"], proofs[1]["jti"]);
    let end = "2026-01-02T03:19:05Z".parse().unwrap();
    assert_eq!(got.keys.expires_at, Some(end), "by the clock that it is compared with");
}

#[tokio::test]
async fn refusals_by_the_bodys_error() {
    use Class::{NeedsPerson, NeverWorks};
    let login = "run `eksd login dev`";
    for (status, error, class, kind, code, fix) in [
        (401, "TOKEN_EXPIRED", NeedsPerson, Kind::GrantRefused, Code::NeedsLogin, login),
        (401, "AUTHCODE_EXPIRED", NeedsPerson, Kind::GrantRefused, Code::NeedsLogin, login),
        (403, "USER_CREDENTIALS_CHANGED", NeedsPerson, Kind::GrantRefused, Code::NeedsLogin, login),
        (
            403,
            "INSUFFICIENT_PERMISSIONS",
            NeverWorks,
            Kind::AccessDenied,
            Code::AccessDenied,
            "ask an administrator for the permission `signin:CreateOAuth2Token`",
        ),
    ] {
        let body = json!({"error": error, "message": "no planted-refresh, planted-id"}).to_string();
        // One exception for all of them.
        for then in
            [Then::error(status, "AccessDeniedException", &body), Then::status(status, &body)]
        {
            let found = refresh(then).await.unwrap_err();
            assert_eq!((found.class, found.kind), (class, kind), "{error}");
            assert_eq!((found.code(), found.message()), (Some(error), "no ***, ***"));
            let report = found.report("dev");
            assert_eq!((report.code, report.fix.as_str()), (code, fix));
        }
    }
    let slow = Then::error(429, "TooManyRequestsError", "{}").with("retry-after", "9");
    let wait = Class::MayPass { retry_after: Some(Duration::from_secs(9)) };
    for (then, class, kind) in [
        (slow, wait, Kind::Throttled),
        (Then::error(400, "ValidationException", "{}"), NeverWorks, Kind::BadRequest),
        (Then::error(500, "InternalServerException", "{}"), PASSES, Kind::ServerFault),
        (Then::status(403, "no"), PASSES, Kind::Malformed),
        (Then::status(403, r#"{"error":"planted-refresh"}"#), PASSES, Kind::Malformed),
        (Then::status(403, "<html>Login to WiFi</html>"), PASSES, Kind::Page),
    ] {
        let found = refresh(then).await.unwrap_err();
        assert_eq!((found.class, found.kind), (class, kind), "{found:?}");
        assert!(!format!("{found:?}").contains("planted"));
    }
}

#[tokio::test]
async fn answers_that_make_no_sense() {
    let with = |pointer: &str, value: Value| {
        let mut answer = answer();
        *answer.pointer_mut(pointer).unwrap() = value;
        Then::ok(&answer.to_string())
    };
    for then in [
        with("/expiresIn", json!(0)),
        with("/expiresIn", json!(-900)),
        with("/expiresIn", json!(36 * 3600 + 1)),
        with("/expiresIn", json!(i64::MAX)),
        with("/expiresIn", json!("900")),
        with("/accessToken", json!("planted")),
        with("/accessToken/accessKeyId", json!("")),
        with("/accessToken/secretAccessKey", json!(null)),
        with("/accessToken/sessionToken", json!("")),
        Then::ok("{}"),
        Then::ok(&"x".repeat(1024 * 1024 + 1)),
        Then::Raw("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_owned()),
    ] {
        let shown = format!("{then:?}");
        let error = refresh(then).await.unwrap_err();
        assert_eq!((error.class, error.kind), (PASSES, Kind::Malformed), "{shown:.300}");
        assert!(!format!("{error:?}").contains("planted"));
    }
    assert_eq!(refresh(Then::ok("<html>hi</html>")).await.unwrap_err().kind, Kind::Page);
    let kept = refresh(with("/refreshToken", json!(null))).await.unwrap();
    assert_eq!(kept.refresh_token, token().refresh_token, "the old one where none comes");
}

#[tokio::test]
async fn what_cannot_work_is_not_sent() {
    let server = Server::start([Then::status(500, "")]);
    let aws = aws(&server.url);
    let broken = ConsoleToken { dpop_key: Secret::new("planted-key"), ..token() };
    let error = aws.refresh_console(&reach("eu-west-1"), &broken).await.unwrap_err();
    assert_eq!((error.class, error.kind), (Class::NeedsPerson, Kind::GrantRefused));
    assert!(!format!("{error:?}").contains("planted"));
    let error = aws.refresh_console(&Reach::default(), &token()).await.unwrap_err();
    assert_eq!((error.kind, error.message()), (Kind::Local, "no `region` is set"));
    assert!(server.all_asked().is_empty());
}
