//! Roles for somebody else's token.

use super::{
    super::{AwsError, Class, Kind, web_identity_token},
    *,
};
use crate::model::WebIdentity;
use crate::report::Code;
use server::{Server, Then};

const PASSES: Class = Class::MayPass { retry_after: None };

/// Long enough to look like nothing but a token.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.planted-claims.planted-signature";

fn identity() -> WebIdentity {
    WebIdentity {
        profile: ProfileName::new("ci"),
        role_arn: "arn:aws:iam::444455556666:role/ci".to_owned(),
        token_file: "/nowhere/token".into(),
        session_name: None,
        duration_seconds: Some(7200),
        reach: Reach::default(),
        origin: hop().origin,
    }
}

async fn exchange(then: Then) -> (Server, Result<Credentials, AwsError>) {
    let server = Server::start([then]);
    let token = Secret::new(TOKEN);
    let got = aws(&server.url).assume_role_with_web_identity(&identity(), &token, "eksd ci").await;
    (server, got)
}

fn answer(expiration: &str) -> Then {
    Then::ok(&format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><SubjectFromWebIdentityToken>s</SubjectFromWebIdentityToken>\
         <AssumedRoleUser><AssumedRoleId>AROA1:x</AssumedRoleId>\
         <Arn>arn:aws:sts::444455556666:assumed-role/ci/eksd-ci</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>ASIA2</AccessKeyId><SecretAccessKey>sk</SecretAccessKey>\
         <SessionToken>st</SessionToken><Expiration>{expiration}</Expiration></Credentials>\
         </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    ))
}

fn refusal(status: u16, code: &str, message: &str) -> Then {
    Then::status(
        status,
        &format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>\
             <Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>req-1</RequestId></ErrorResponse>"
        ),
    )
}

#[tokio::test]
async fn the_token_is_sent_and_nothing_is_signed() {
    let (server, got) = exchange(answer("2026-01-02T05:04:05Z")).await;
    let got = got.unwrap();
    assert_eq!(got.access_key_id, "ASIA2");
    assert_eq!(got.expires_at, Some("2026-01-02T05:04:05Z".parse().unwrap()));
    assert_eq!(got.account_id.as_deref(), Some("444455556666"));
    let asked = server.asked();
    assert_eq!(
        asked.body,
        format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15\
             &RoleArn=arn%3Aaws%3Aiam%3A%3A444455556666%3Arole%2Fci&RoleSessionName=eksd-ci\
             &WebIdentityToken={TOKEN}&DurationSeconds=7200"
        )
    );
    for header in ["authorization", "x-amz-security-token", "x-amz-date"] {
        assert_eq!(asked.header(header), None, "{header}");
    }
}

#[tokio::test]
async fn refusals() {
    for (code, status, class, kind, fix) in [
        ("ExpiredTokenException", 400, PASSES, Kind::CredentialsExpired, "have a new token put"),
        ("InvalidIdentityToken", 400, Class::NeverWorks, Kind::AccessDenied, "check that the role"),
        ("IDPRejectedClaim", 403, Class::NeverWorks, Kind::AccessDenied, "check that the role"),
        ("AccessDenied", 403, Class::NeverWorks, Kind::AccessDenied, "check that the role"),
        ("IDPCommunicationError", 400, PASSES, Kind::ServerFault, "wait"),
        ("ValidationError", 400, Class::NeverWorks, Kind::BadRequest, "check the profile"),
    ] {
        let (_, got) = exchange(refusal(status, code, &format!("no: {TOKEN}"))).await;
        let error = got.unwrap_err();
        assert_eq!((error.class, error.kind), (class, kind), "{code}");
        let report = error.report("ci");
        assert!(report.fix.starts_with(fix), "{report}");
        assert!(!format!("{report} {error:?}").contains("planted"), "{report}");
        if matches!(kind, Kind::AccessDenied | Kind::CredentialsExpired) {
            let note =
                "asked for arn:aws:iam::444455556666:role/ci with the token in `/nowhere/token`";
            assert_eq!(report.why[1], note);
        }
    }
    let (_, got) = exchange(refusal(400, "ExpiredTokenException", "Token expired")).await;
    let report = got.unwrap_err().report("ci");
    assert_eq!(report.code, Code::Expired);
    assert_eq!(report.what, "the web identity token of `ci` has ended");
}

#[tokio::test]
async fn answers_that_make_no_sense() {
    for then in [
        answer("2026-01-02T03:04:05Z"),
        answer("2026-01-09T03:04:05Z"),
        answer("tomorrow"),
        Then::ok("<AssumeRoleWithWebIdentityResponse/>"),
        Then::ok(&"x".repeat(1024 * 1024 + 1)),
        Then::Raw("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n<Ass".to_owned()),
    ] {
        let shown = format!("{then:?}");
        let error = exchange(then).await.1.unwrap_err();
        assert_eq!((error.class, error.kind), (PASSES, Kind::Malformed), "{shown:.300}");
    }
    let error = exchange(Then::ok("<html>Welcome</html>")).await.1.unwrap_err();
    assert_eq!((error.class, error.kind), (PASSES, Kind::Page));
}

#[test]
fn the_tokens_file_is_read_anew() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let identity = WebIdentity { token_file: file.clone(), ..identity() };
    let missing = web_identity_token(&identity).unwrap_err();
    assert_eq!((missing.class, missing.kind), (PASSES, Kind::Local));
    assert!(missing.message().contains("token` cannot be read"), "{missing}");
    for (text, expected) in [("one\n", Ok("one")), ("two", Ok("two")), (" \n", Err(PASSES))] {
        std::fs::write(&file, text).unwrap();
        let found = web_identity_token(&identity);
        let found = found.as_ref().map(Secret::expose).map_err(|error| error.class);
        assert_eq!(found, expected);
    }
    for bytes in [vec![0xff], vec![b'x'; 20_001]] {
        std::fs::write(&file, bytes).unwrap();
        let error = web_identity_token(&identity).unwrap_err();
        assert_eq!((error.class, error.kind), (Class::NeverWorks, Kind::Local), "{error}");
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert_eq!(web_identity_token(&identity).unwrap_err().class, Class::NeverWorks);
}
