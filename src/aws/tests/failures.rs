//! What each failure becomes, from bodies as AWS and others send them.

use super::{
    super::{AwsError, Class, Grant, Kind, TokenRequest, eks_token},
    *,
};
use server::{Server, Then};

const PASSES: Class = Class::MayPass { retry_after: None };

async fn portal(then: Then) -> AwsError {
    let server = Server::start([then]);
    let token = Secret::new("planted-access-token");
    aws(&server.url)
        .role_credentials(&reach("eu-west-1"), &token, "111122223333", "Dev")
        .await
        .unwrap_err()
}

async fn oidc(then: Then) -> AwsError {
    let server = Server::start([then]);
    let request = TokenRequest::Refresh { token: Secret::new("planted-refresh-token") };
    aws(&server.url).create_token(&reach("eu-west-1"), &registration(), &request).await.unwrap_err()
}

async fn sts(then: Then) -> AwsError {
    let server = Server::start([then]);
    aws(&server.url).assume_role(&credentials(), &hop(), "x", None).await.unwrap_err()
}

async fn eks(then: Then) -> AwsError {
    let server = Server::start([then]);
    aws(&server.url)
        .describe_cluster(&reach("eu-west-1"), &credentials(), "demo")
        .await
        .unwrap_err()
}

fn sts_error(status: u16, code: &str, message: &str) -> Then {
    Then::status(
        status,
        &format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    \
             <Type>Sender</Type>\n    <Code>{code}</Code>\n    <Message>{message}</Message>\n  \
             </Error>\n  <RequestId>req-1</RequestId>\n</ErrorResponse>\n"
        ),
    )
    .with("content-type", "text/xml")
}

#[tokio::test]
async fn refusals_of_the_portal() {
    let error = portal(Then::error(
        401,
        "UnauthorizedException",
        r#"{"message":"Session token not found or invalid","__type":"com.amazonaws.switchboard.portal#UnauthorizedException"}"#,
    ).with("x-amzn-requestid", "abc-1").with("date", "Fri, 02 Jan 2026 03:04:05 GMT"))
    .await;
    assert_eq!((error.class, error.kind), (Class::NeedsPerson, Kind::TokenRefused));
    assert_eq!(error.code(), Some("UnauthorizedException"));
    assert_eq!(error.request_id(), Some("abc-1"));
    assert_eq!(error.server_date(), Some(now()));
    assert_eq!(
        error.report("dev").to_string(),
        "error: the login behind `dev` has ended\n  \
         because: GetRoleCredentials: UnauthorizedException: Session token not found or invalid (request abc-1)\n  \
         fix: run `eksd login dev`"
    );
    let error = portal(Then::error(403, "ForbiddenException", r#"{"message":"No access"}"#)).await;
    assert_eq!((error.class, error.kind), (Class::NeverWorks, Kind::NotAssigned));
}

#[tokio::test]
async fn refusals_of_oidc() {
    let body = r#"{"error":"invalid_grant","error_description":"Invalid refresh token provided"}"#;
    for then in [Then::error(400, "InvalidGrantException", body), Then::status(400, body)] {
        let error = oidc(then).await;
        assert_eq!((error.class, error.kind), (Class::NeedsPerson, Kind::GrantRefused));
        assert_eq!(error.message(), "Invalid refresh token provided");
    }
    let body = r#"{"error":"authorization_pending","error_description":null}"#;
    let error = oidc(Then::error(400, "AuthorizationPendingException", body)).await;
    assert_eq!((error.class, error.kind), (PASSES, Kind::LoginPending));
}

#[tokio::test]
async fn refusals_of_sts() {
    let error = sts(sts_error(
        403,
        "AccessDenied",
        "User: a is not authorized to perform: sts:AssumeRole on resource: b",
    ))
    .await;
    assert_eq!((error.class, error.kind), (Class::NeverWorks, Kind::AccessDenied));
    assert_eq!(error.request_id(), Some("req-1"));
    let error = sts(sts_error(
        403,
        "ExpiredToken",
        "The security token included in the request is expired",
    ))
    .await;
    assert_eq!((error.class, error.kind), (PASSES, Kind::CredentialsExpired));
}

#[tokio::test]
async fn refusals_of_eks() {
    let body = r#"{"message":"No cluster found for name: demo."}"#;
    let error = eks(Then::error(404, "ResourceNotFoundException", body)).await;
    assert_eq!((error.class, error.kind), (Class::NeverWorks, Kind::ClusterNotFound));
    let report = error.report("demo");
    assert_eq!(report.code, crate::report::Code::ClusterNotFound);
    assert_eq!(report.fix, "check name, region and profile: `aws eks list-clusters`");
}

#[tokio::test]
async fn a_wrong_clock_is_measured() {
    let words = "Signature expired: 20260102T030405Z is now earlier than 20260102T033405Z (20260102T034905Z - 15 min.)";
    let error = sts(sts_error(403, "SignatureDoesNotMatch", words)).await;
    assert_eq!(error.kind, Kind::ClockSkew { ahead: -2700 }, "from AWS's words");
    assert!(error.report("dev").what.contains("2700 s behind"), "{error}");

    let then = Then::error(403, "InvalidSignatureException", r#"{"message":"no match"}"#)
        .with("date", "Fri, 02 Jan 2026 02:54:05 GMT");
    let error = eks(then).await;
    assert_eq!(error.kind, Kind::ClockSkew { ahead: 600 }, "from the Date header");

    let then = Then::error(403, "InvalidSignatureException", r#"{"message":"no match"}"#)
        .with("date", "Fri, 02 Jan 2026 03:04:00 GMT");
    assert_eq!(eks(then).await.kind, Kind::KeyRefused, "the clock is right");
}

#[tokio::test]
async fn throttling_says_how_long() {
    let wait = |seconds| Class::MayPass { retry_after: Some(Duration::from_secs(seconds)) };
    let slow = Then::error(429, "TooManyRequestsException", r#"{"message":"slow down"}"#);
    let error = portal(slow.clone().with("retry-after", "17")).await;
    assert_eq!((error.class, error.kind), (wait(17), Kind::Throttled));
    let error = portal(slow.with("retry-after", "Fri, 02 Jan 2026 03:05:05 GMT")).await;
    assert_eq!(error.class, wait(60));
    let error = portal(Then::status(429, "<html>busy</html>")).await;
    assert_eq!((error.class, error.kind), (PASSES, Kind::Throttled));
    assert_eq!(sts(sts_error(400, "Throttling", "Rate exceeded")).await.kind, Kind::Throttled);
}

#[tokio::test]
async fn what_is_not_from_aws_never_ends_a_session() {
    let page = "<!DOCTYPE html><html><title>Hotel WiFi</title></html>";
    for (then, kind) in [
        (Then::ok(page), Kind::Page),
        (Then::status(401, page), Kind::Page),
        (Then::status(403, page), Kind::Page),
        (Then::ok("<p>hello").with("content-type", "text/html"), Kind::Page),
        (Then::status(302, "").with("location", "https://portal.example/"), Kind::Page),
        (Then::status(401, ""), Kind::Malformed),
        (Then::status(403, r#"{"detail":"blocked by policy"}"#), Kind::Malformed),
        (Then::status(407, page), Kind::Proxy),
        (Then::status(502, page), Kind::ServerFault),
        (Then::status(503, ""), Kind::ServerFault),
        (Then::ok(""), Kind::Malformed),
        (Then::ok("{}"), Kind::Malformed),
        (Then::ok("nonsense"), Kind::Malformed),
        (Then::ok("[1,2"), Kind::Malformed),
    ] {
        for error in [
            portal(then.clone()).await,
            oidc(then.clone()).await,
            sts(then.clone()).await,
            eks(then.clone()).await,
        ] {
            assert_eq!((error.class, error.kind), (PASSES, kind), "{then:?}: {error:?}");
            assert!(kind.is_unreachable());
            assert_eq!(error.report("dev").code, crate::report::Code::Unreachable);
        }
    }
}

#[tokio::test]
async fn cut_and_endless_bodies() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"accessToken\":\"a";
    let error = oidc(Then::Raw(cut.to_owned())).await;
    assert_eq!((error.class, error.kind), (PASSES, Kind::Malformed));
    assert_eq!(error.message(), "the answer was cut off");
    let error = eks(Then::ok(&" ".repeat(1024 * 1024 + 1))).await;
    assert_eq!((error.class, error.kind), (PASSES, Kind::Malformed));
    let error = sts(Then::Raw(String::new())).await;
    assert_eq!((error.class, error.kind), (PASSES, Kind::Connect), "closed without a word");
}

#[tokio::test]
async fn answers_that_make_no_sense() {
    let at = |ms: i64| {
        Then::ok(&format!(
            r#"{{"roleCredentials":{{"accessKeyId":"A","secretAccessKey":"s","sessionToken":"t","expiration":{ms}}}}}"#
        ))
    };
    // Ended, ended long ago, beyond 36 h, beyond the calendar.
    for expiration in [1_767_323_045_000, 0, 1_767_323_045_000 + 37 * 3_600_000, i64::MAX] {
        let error = portal(at(expiration)).await;
        assert_eq!((error.class, error.kind), (PASSES, Kind::Malformed), "{expiration}");
    }
    for body in [
        r#"{"accessToken":"a"}"#,
        r#"{"accessToken":"a","expiresIn":-5}"#,
        r#"{"accessToken":"","expiresIn":5}"#,
        r#"{"expiresIn":5}"#,
    ] {
        assert_eq!(oidc(Then::ok(body)).await.kind, Kind::Malformed, "{body}");
    }
    for body in [
        r#"{"cluster":{"name":"other","arn":"a","status":"ACTIVE"}}"#,
        r#"{"cluster":{"name":"demo","arn":"a","status":"ACTIVE","endpoint":"http://x"}}"#,
        r#"{"cluster":{"name":"demo","arn":"a","status":"ACTIVE","certificateAuthority":{"data":"-"}}}"#,
        r#"{"cluster":{"name":"demo","arn":"a","status":7}}"#,
        r#"{"cluster":null}"#,
    ] {
        assert_eq!(eks(Then::ok(body)).await.kind, Kind::Malformed, "{body}");
    }
}

fn minted(aws: &Aws) -> Secret {
    let sts = aws.sts_endpoint(&reach("eu-west-1")).unwrap();
    eks_token::mint(&credentials(), "demo", &sts, now()).unwrap().token
}

#[tokio::test]
async fn what_a_token_is_answered_with() {
    let identity = r#"{"GetCallerIdentityResponse":{"GetCallerIdentityResult":
        {"Account":"111122223333","Arn":"arn:aws:iam::111122223333:user/ann","UserId":"AIDA1"},
        "ResponseMetadata":{"RequestId":"req-1"}}}"#;
    let error = |code: &str| {
        format!(
            r#"{{"Error":{{"Code":"{code}","Message":"no","Type":"Sender"}},"RequestId":"req-1"}}"#
        )
    };
    let replay = async |then: Then| {
        let server = Server::start([then]);
        let aws = aws(&server.url);
        let said = aws.replay(&reach("eu-west-1"), &credentials(), &minted(&aws), "demo").await;
        (said, server.asked())
    };
    let (said, asked) = replay(Then::ok(identity)).await;
    assert_eq!(said.unwrap().arn, "arn:aws:iam::111122223333:user/ann");
    assert!(asked.line.starts_with("GET /?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-"));
    assert_eq!(asked.header("x-k8s-aws-id"), Some("demo"));
    assert_eq!(asked.header("accept"), Some("application/json"));
    assert_eq!(asked.header("authorization"), None);
    for (status, code, kind) in [
        (403, "ExpiredToken", Kind::CredentialsExpired),
        (403, "InvalidClientTokenId", Kind::KeyRefused),
        (403, "SignatureDoesNotMatch", Kind::KeyRefused),
        (403, "RegionDisabledException", Kind::RegionDisabled),
        (400, "Throttling", Kind::Throttled),
        (414, "Whatever", Kind::Refused),
    ] {
        let then = Then::status(status, &error(code)).with("content-type", "application/json");
        let refused = replay(then).await.0.unwrap_err();
        assert_eq!((refused.kind, refused.code()), (kind, Some(code)));
        assert_eq!(refused.request_id(), Some("req-1"));
    }
    for then in [Then::ok("{}"), Then::ok(""), Then::status(302, "")] {
        assert!(replay(then).await.0.unwrap_err().kind.is_unreachable());
    }
}

#[tokio::test]
async fn no_secret_in_any_text() {
    let echo = PLANTED.join(" and ");
    let grant = TokenRequest::AuthorizationCode {
        code: Secret::new("planted-code"),
        redirect_uri: "http://127.0.0.1:1/oauth/callback".to_owned(),
        verifier: Secret::new("planted-verifier"),
    };
    let device = TokenRequest::DeviceCode { device_code: Secret::new("planted-device-code") };
    assert!(!format!("{grant:?} {device:?}").contains("planted"));
    let json =
        format!(r#"{{"error":"invalid_grant","error_description":"{echo}","message":"{echo}"}}"#);
    let mut texts = Vec::new();
    for then in [
        Then::error(400, "InvalidGrantException", &json),
        Then::error(400, &echo, &json),
        Then::error(400, "planted-refresh-token", "{}"),
        Then::status(400, r#"{"error":"planted-client-secret"}"#),
        sts_error(403, "planted-secret-key", "no"),
        Then::error(500, "InternalServerException", &json).with("x-amzn-requestid", &echo),
        sts_error(403, "SignatureDoesNotMatch", &echo),
        Then::ok(&echo),
        Then::ok(&json),
    ] {
        let server = Server::start([then]);
        let aws = aws(&server.url);
        let region = reach("eu-west-1");
        let token = Secret::new("planted-access-token");
        let client = registration();
        let refresh = TokenRequest::Refresh { token: Secret::new("planted-refresh-token") };
        let keys = credentials();
        for (error, sent) in [
            (aws.create_token(&region, &client, &grant).await.unwrap_err(), vec![2, 6, 7]),
            (aws.create_token(&region, &client, &device).await.unwrap_err(), vec![2, 5]),
            (aws.create_token(&region, &client, &refresh).await.unwrap_err(), vec![2, 4]),
            (aws.start_device_authorization(&login(), &client).await.unwrap_err(), vec![2]),
            (aws.role_credentials(&region, &token, "1", "r").await.unwrap_err(), vec![3]),
            (aws.assume_role(&keys, &hop(), "x", None).await.unwrap_err(), vec![0, 1, 8]),
            (aws.caller_identity(&region, &keys).await.unwrap_err(), vec![0, 1]),
            (aws.describe_cluster(&region, &keys, "demo").await.unwrap_err(), vec![0, 1]),
            (aws.clusters_page(&region, &keys, None).await.unwrap_err(), vec![0, 1]),
            (aws.replay(&region, &keys, &minted(&aws), "demo").await.unwrap_err(), vec![0, 1]),
        ] {
            let report = serde_json::to_string(&error.report("dev")).unwrap();
            texts.push((format!("{error} {error:?} {report}"), sent));
        }
        let error = aws.register_client(&login(), Grant::Browser).await.map(|_| ());
        texts.push((format!("{error:?}"), vec![]));
    }
    for (text, sent) in texts {
        for planted in sent.into_iter().map(|index: usize| PLANTED[index]) {
            assert!(!text.contains(planted), "{planted} in {text}");
        }
    }
}
