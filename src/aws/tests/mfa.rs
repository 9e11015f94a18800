//! MFA codes: what is sent with them, and what a refusal tells people.

use eksd_lab::{Lab, Script, totp};

use super::{
    super::{AwsError, Class, Kind},
    *,
};
use crate::model::MfaDevice;
use crate::report::Code;
use server::{Server, Then};

const SERIAL: &str = "arn:aws:iam::111122223333:mfa/alice";
const USED: &str = "MultiFactorAuthentication failed with invalid MFA one time pass code. ";
const NOT_YOURS: &str = "MultiFactorAuthentication failed, unable to validate MFA code.  Please \
                         verify your MFA serial number is valid and associated with this user.";

fn alice() -> Credentials {
    Credentials {
        access_key_id: "AKIALABALICE00000001".to_owned(),
        secret_access_key: Secret::new("alice-long-term-secret"),
        session_token: None,
        expires_at: None,
        account_id: Some("111122223333".to_owned()),
    }
}

fn denied(message: &str) -> Then {
    Then::status(
        403,
        &format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>\
             <Type>Sender</Type><Code>AccessDenied</Code><Message>{message}</Message></Error>\
             <RequestId>req-1</RequestId></ErrorResponse>"
        ),
    )
    .with("content-type", "text/xml")
}

fn answer(operation: &str, expiration: &str) -> Then {
    Then::ok(&format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <{operation}Result><Credentials><AccessKeyId>ASIA2</AccessKeyId>\
         <SecretAccessKey>sk</SecretAccessKey><SessionToken>st</SessionToken>\
         <Expiration>{expiration}</Expiration></Credentials></{operation}Result>\
         </{operation}Response>"
    ))
}

async fn session(aws: &Aws, serial: &str, code: &str, hours: u64) -> Result<Credentials, AwsError> {
    let (keys, code) = (alice(), Secret::new(code));
    aws.session_token(&reach("eu-west-1"), &keys, serial, &code, Duration::from_hours(hours)).await
}

#[tokio::test]
async fn a_session_token_is_asked_for_within_what_aws_takes() {
    let server = Server::start([answer("GetSessionToken", "2026-01-02T15:04:05Z")]);
    let aws = aws(&server.url);
    let got = session(&aws, SERIAL, " 123456\n", 12).await.unwrap();
    assert_eq!(got.access_key_id, "ASIA2");
    assert_eq!(got.expires_at, Some("2026-01-02T15:04:05Z".parse().unwrap()));
    assert_eq!(got.account_id.as_deref(), Some("111122223333"));
    assert!(got.are_temporary());
    for hours in [0, 999, u64::MAX / 3600] {
        session(&aws, SERIAL, "123456", hours).await.unwrap();
    }
    let asked = server.all_asked();
    let body = |seconds: u32| {
        format!(
            "Action=GetSessionToken&Version=2011-06-15&DurationSeconds={seconds}\
             &SerialNumber=arn%3Aaws%3Aiam%3A%3A111122223333%3Amfa%2Falice&TokenCode=123456"
        )
    };
    for (asked, seconds) in asked.iter().zip([43_200, 900, 129_600, 129_600]) {
        assert_eq!(asked.body, body(seconds));
    }
}

#[tokio::test]
async fn a_role_is_asked_for_with_all_its_terms() {
    let server = Server::start([answer("AssumeRole", "2026-01-02T04:04:05Z")]);
    let mut hop = hop();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    hop.terms.source_identity = Some("jane".to_owned());
    hop.terms.tags = vec![pair("team", "a b"), pair("empty", "")];
    hop.terms.transitive_tags = vec!["team".to_owned()];
    let code = Secret::new("654321");
    let got = aws(&server.url)
        .assume_role(&alice(), &hop, "eksd-jane", Some((SERIAL, &code)))
        .await
        .unwrap();
    assert_eq!(got.account_id.as_deref(), Some("444455556666"), "from the role's ARN");
    assert_eq!(
        server.asked().body,
        "Action=AssumeRole&Version=2011-06-15\
         &RoleArn=arn%3Aaws%3Aiam%3A%3A444455556666%3Arole%2Fadmin&RoleSessionName=eksd-jane\
         &DurationSeconds=7200\
         &Tags.member.1.Key=team&Tags.member.1.Value=a%20b\
         &Tags.member.2.Key=empty&Tags.member.2.Value=\
         &TransitiveTagKeys.member.1=team&ExternalId=planted-external-id\
         &SerialNumber=arn%3Aaws%3Aiam%3A%3A111122223333%3Amfa%2Falice&TokenCode=654321\
         &SourceIdentity=jane"
    );
}

#[tokio::test]
async fn a_refused_code_says_what_to_do() {
    for (message, class, code, fix) in [
        (USED, Class::NeedsPerson, Code::NeedsMfa, "wait for the next code"),
        (NOT_YOURS, Class::NeverWorks, Code::Misconfigured, "mend `mfa_serial` of `dev`"),
    ] {
        let server = Server::start([denied(message)]);
        let aws = aws(&server.url);
        let given = Secret::new("123456");
        let role = aws.assume_role(&alice(), &hop(), "x", Some((SERIAL, &given))).await;
        let by_session = session(&aws, SERIAL, "123456", 1).await;
        for error in [role.unwrap_err(), by_session.unwrap_err()] {
            assert_eq!((error.class, error.kind), (class, Kind::MfaRefused));
            let report = error.report("dev");
            assert_eq!(report.code, code, "{report}");
            assert!(report.fix.starts_with(fix), "{report}");
        }
    }
}

#[tokio::test]
async fn what_cannot_work_is_not_sent() {
    let server = Server::start([Then::status(500, "")]);
    let aws = aws(&server.url);
    let key = "arn:aws:iam::111122223333:u2f/user/alice/yubi-ABCDEF";
    let error = session(&aws, key, "123456", 1).await.unwrap_err();
    assert_eq!((error.class, error.kind), (Class::NeverWorks, Kind::MfaRefused));
    let report = error.report("dev").to_string();
    assert!(report.contains("(FIDO)") && report.contains("fix: set `mfa_serial`"), "{report}");
    for code in ["", "12345", "1234567", "12345x", "１２３４５６"] {
        let error = session(&aws, SERIAL, code, 1).await.unwrap_err();
        assert_eq!((error.class, error.kind), (Class::NeedsPerson, Kind::MfaRefused), "{code}");
        assert!(code.is_empty() || !error.report("dev").to_string().contains(code));
    }
    let temporary = credentials();
    let code = Secret::new("123456");
    let error = aws
        .session_token(&reach("eu-west-1"), &temporary, SERIAL, &code, Duration::from_hours(1))
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Local);
    assert!(server.all_asked().is_empty());
}

#[tokio::test]
async fn a_denied_role_says_what_was_asked_for() {
    let words = "User: arn:aws:iam::1:user/a is not authorized to perform: sts:AssumeRole";
    let server = Server::start([denied(words)]);
    let aws = aws(&server.url);
    let mut plain = hop();
    plain.terms.external_id = None;
    let code = Secret::new("123456");
    let bare = aws.assume_role(&credentials(), &plain, "x", None).await.unwrap_err();
    let full = aws.assume_role(&alice(), &hop(), "x", Some((SERIAL, &code))).await.unwrap_err();
    for (error, expected) in [
        (
            bare,
            "asked for arn:aws:iam::444455556666:role/admin by the temporary key ASIAEXAMPLE, \
             without an MFA code, without an external id",
        ),
        (
            full,
            "asked for arn:aws:iam::444455556666:role/admin by the long-lived key \
             AKIALABALICE00000001, with an MFA code, with an external id",
        ),
    ] {
        let report = error.report("dev");
        assert_eq!(report.code, Code::AccessDenied);
        assert!(report.why[0].contains(words), "the caller: {report}");
        assert_eq!(report.why[1], expected);
        assert!(report.fix.contains("`mfa_serial`"), "{report}");
        assert!(!report.to_string().contains("planted"), "{report}");
    }
}

#[tokio::test]
async fn sessions_that_make_no_sense_are_not_kept() {
    // Ended, ended just now, beyond 36 h, beyond the calendar, not a time.
    for expiration in [
        "2026-01-02T03:04:04Z",
        "2026-01-02T03:04:05Z",
        "2026-01-03T15:04:06Z",
        "9999-12-31T23:59:59Z",
        "soon",
        "2026-01-02T04:04:05",
    ] {
        let server = Server::start([answer("GetSessionToken", expiration)]);
        let error = session(&aws(&server.url), SERIAL, "123456", 1).await.unwrap_err();
        assert_eq!(error.kind, Kind::Malformed, "{expiration}");
        assert_eq!(error.class, Class::MayPass { retry_after: None });
    }
    let huge = "x".repeat(1024 * 1024 + 1);
    for (then, kind) in [
        (Then::ok("<html>Welcome</html>"), Kind::Page),
        (Then::ok(&huge), Kind::Malformed),
        (
            Then::Raw("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n<Get".to_owned()),
            Kind::Malformed,
        ),
    ] {
        let server = Server::start([then]);
        let error = session(&aws(&server.url), SERIAL, "123456", 1).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error:?}");
    }
}

/// The lab takes a code once in its 30 seconds, from the device's own seed.
#[tokio::test]
async fn against_the_lab() {
    let lab = Lab::start(Script::default());
    let mut around = around(&lab.url());
    around.now = std::sync::Arc::new(Timestamp::now);
    let aws = Aws::new(around).unwrap();
    let seed = Script::default().users["AKIALABALICE00000001"].mfa.clone().unwrap().seed;
    // The codes of this window and of the next one, whichever of the two it is by now.
    let begun = Timestamp::now().as_second();
    let code = |step: i64| Secret::new(totp(&seed, begun + 30 * step).unwrap());

    let mut role = hop();
    role.terms.role_arn = "arn:aws:iam::444455556666:role/prod-admin".to_owned();
    role.terms.external_id = None;
    role.mfa =
        Some(MfaDevice { serial: SERIAL.to_owned(), process: None, origin: role.origin.clone() });
    let without = aws.assume_role(&alice(), &role, "eksd", None).await.unwrap_err();
    assert_eq!(without.kind, Kind::AccessDenied);

    let region = reach("eu-west-1");
    let hours = Duration::from_hours(12);
    let mfa = aws.session_token(&region, &alice(), SERIAL, &code(0), hours).await.unwrap();
    let again = aws.session_token(&region, &alice(), SERIAL, &code(0), hours).await.unwrap_err();
    assert_eq!((again.class, again.kind), (Class::NeedsPerson, Kind::MfaRefused), "{again}");
    aws.assume_role(&mfa, &role, "eksd", None).await.unwrap();
    let direct = aws.assume_role(&alice(), &role, "eksd", Some((SERIAL, &code(1)))).await.unwrap();
    let left = direct.expires_at.unwrap().duration_since(Timestamp::now());
    assert!(jiff::SignedDuration::from_mins(110) < left, "two hours from long-lived keys");
}
