//! Every call, one after the other, against the lab, which checks signatures, PKCE, one-time
//! tokens and the rules for EKS tokens.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use eksd_lab::{Act, Fault, Lab, Script};

use super::{
    super::{Class, Grant, Kind, TokenRequest, eks_token, pkce},
    *,
};
use crate::model::ConsoleToken;

fn aws_of(lab: &Lab) -> Aws {
    let mut around = around(&lab.url());
    around.now = std::sync::Arc::new(Timestamp::now);
    Aws::new(around).unwrap()
}

/// Opens the page as a browser does; returns the code of the redirection.
fn approve(lab: &Lab, url: &str, state: &str) -> Secret {
    let path = url.strip_prefix(&lab.url()).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", lab.port())).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let location = answer
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase().starts_with("location:").then(|| line[9..].trim())
        })
        .unwrap_or_else(|| panic!("{answer}"));
    let (_, query) = location.split_once('?').unwrap();
    let value = |name: &str| {
        query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap().to_owned()
    };
    assert_eq!(value("state"), state);
    Secret::new(value("code"))
}

#[tokio::test]
async fn the_whole_way_from_login_to_token() {
    let lab = Lab::start(Script::default());
    let aws = aws_of(&lab);
    let login = login();

    // Browser.
    let client = aws.register_client(&login, Grant::Browser).await.unwrap();
    let verifier = pkce::verifier().unwrap();
    let redirect_uri = "http://127.0.0.1:43210/oauth/callback";
    let challenge = pkce::challenge(&verifier);
    let url = aws.authorize_url(&login, &client, redirect_uri, "state-1", &challenge).unwrap();
    let code = approve(&lab, &url, "state-1");
    let request =
        TokenRequest::AuthorizationCode { code, redirect_uri: redirect_uri.to_owned(), verifier };
    let token = aws.create_token(&login.reach, &client, &request).await.unwrap();
    let reused = aws.create_token(&login.reach, &client, &request).await.unwrap_err();
    assert_eq!((reused.class, reused.kind), (Class::NeedsPerson, Kind::GrantRefused));

    // Device.
    let device = aws.register_client(&login, Grant::Device).await.unwrap();
    let started = aws.start_device_authorization(&login, &device).await.unwrap();
    let request = TokenRequest::DeviceCode { device_code: started.device_code };
    let by_device = aws.create_token(&login.reach, &device, &request).await.unwrap();
    assert!(by_device.refresh_token.is_some());

    // Renewal, which works once.
    let request = TokenRequest::Refresh { token: token.refresh_token.clone().unwrap() };
    let renewed = aws.create_token(&login.reach, &client, &request).await.unwrap();
    assert_ne!(renewed.refresh_token, token.refresh_token);

    // Roles.
    let keys = aws
        .role_credentials(&login.reach, &renewed.access_token, "111122223333", "Developer")
        .await
        .unwrap();
    let who = aws.caller_identity(&login.reach, &keys).await.unwrap();
    assert_eq!(who.account, "111122223333");
    let none = aws
        .role_credentials(&login.reach, &renewed.access_token, "444455556666", "Developer")
        .await
        .unwrap_err();
    assert_eq!((none.class, none.kind), (Class::NeverWorks, Kind::NotAssigned), "{none}");
    let mut hop = hop();
    hop.terms.role_arn = "arn:aws:iam::111122223333:role/second".to_owned();
    hop.reach = login.reach.clone();
    let second = aws.assume_role(&keys, &hop, "eksd-alice", None).await.unwrap();
    let who = aws.caller_identity(&login.reach, &second).await.unwrap();
    assert_eq!(who.arn, "arn:aws:sts::111122223333:assumed-role/second/eksd-alice");

    // Clusters.
    assert!(
        aws.clusters_page(&login.reach, &keys, None)
            .await
            .unwrap()
            .names
            .contains(&"demo".to_owned())
    );
    let facts = aws.describe_cluster(&login.reach, &keys, "demo").await.unwrap();
    assert_eq!(facts.arn, "arn:aws:eks:eu-west-1:111122223333:cluster/demo");
    let none = aws.describe_cluster(&login.reach, &keys, "nope").await.unwrap_err();
    assert_eq!(none.kind, Kind::ClusterNotFound);

    // The token, as the cluster replays it.
    let sts = aws.sts_endpoint(&login.reach).unwrap();
    let minted = eks_token::mint(&second, facts.token_id(), &sts, Timestamp::now()).unwrap();
    assert_eq!(replay(&lab, &minted.token, "demo"), 200);
    assert_eq!(replay(&lab, &minted.token, "prod"), 403);
    let who = aws.replay(&login.reach, &second, &minted.token, "demo").await.unwrap();
    assert_eq!(who.arn, "arn:aws:sts::111122223333:assumed-role/second/eksd-alice");
    let wrong = aws.replay(&login.reach, &second, &minted.token, "prod").await.unwrap_err();
    assert_eq!((wrong.kind, wrong.code()), (Kind::KeyRefused, Some("SignatureDoesNotMatch")));

    assert!(aws.ahead().unwrap().abs() < jiff::SignedDuration::from_secs(3));
    aws.logout(&login.reach, &renewed.access_token).await.unwrap();
    let out = aws
        .role_credentials(&login.reach, &renewed.access_token, "111122223333", "Developer")
        .await
        .unwrap_err();
    assert_eq!((out.class, out.kind), (Class::NeedsPerson, Kind::TokenRefused));
}

/// Sends the URL in the token with this cluster's name, as the authenticator does.
fn replay(lab: &Lab, token: &Secret, cluster: &str) -> u16 {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let url =
        BASE64_URL_SAFE_NO_PAD.decode(token.expose().strip_prefix("k8s-aws-v1.").unwrap()).unwrap();
    let url = String::from_utf8(url).unwrap();
    let path = url.strip_prefix(&lab.url()).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", lab.port())).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nx-k8s-aws-id: {cluster}\r\nconnection: close\r\n\r\n",
        lab.port()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer[9..12].parse().unwrap()
}

#[tokio::test]
async fn faults_of_the_lab() {
    let lab = Lab::start(Script::default());
    let aws = aws_of(&lab);
    let login = login();
    let op = "RegisterClient";
    let throttled = Fault::status(op, 429, "TooManyRequestsException").retry_after(3);
    for (fault, kind) in [
        (throttled, Kind::Throttled),
        (Fault::status(op, 500, "InternalServerException"), Kind::ServerFault),
        (Fault::new(op, Act::Html), Kind::Page),
        (Fault::new(op, Act::Half), Kind::Malformed),
        (Fault::new(op, Act::Drop), Kind::Connect),
    ] {
        lab.queue(fault);
        let error = aws.register_client(&login, Grant::Device).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error:?}");
    }
    aws.register_client(&login, Grant::Device).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_and_if_near_corrected() {
    let lab = Lab::start(Script::default());
    let alice = Credentials {
        access_key_id: "AKIALABALICE00000001".to_owned(),
        secret_access_key: Secret::new("alice-long-term-secret"),
        session_token: None,
        ..credentials()
    };
    for (offset, is_corrected) in [(600, true), (-600, true), (3600, false)] {
        lab.set_offset(offset);
        let aws = aws_of(&lab);
        for call in 0..2 {
            let who = aws.caller_identity(&reach("eu-west-1"), &alice).await;
            if 0 < call && is_corrected {
                who.unwrap();
                aws.clusters_page(&reach("eu-west-1"), &alice, None).await.unwrap();
                continue;
            }
            let error = who.unwrap_err();
            assert_eq!(error.class, Class::MayPass { retry_after: None });
            let Kind::ClockSkew { ahead } = error.kind else { panic!("{error:?}") };
            assert!((ahead + offset).abs() < 5, "{ahead}");
        }
        assert!((aws.ahead().unwrap().as_secs() + offset).abs() < 5);
    }
}

/// Reads a sign-in that the lab made, as `aws login` would leave it.
fn console(lab: &Lab) -> ConsoleToken {
    let content = lab.console_login(None).content;
    let text = |pointer: &str| content.pointer(pointer).unwrap().as_str().unwrap();
    ConsoleToken {
        keys: Credentials {
            access_key_id: text("/accessToken/accessKeyId").to_owned(),
            secret_access_key: Secret::new(text("/accessToken/secretAccessKey")),
            session_token: Some(Secret::new(text("/accessToken/sessionToken"))),
            ..credentials()
        },
        client_id: text("/clientId").to_owned(),
        refresh_token: Secret::new(text("/refreshToken")),
        id_token: None,
        dpop_key: Secret::new(text("/dpopKey")),
    }
}

#[tokio::test]
async fn a_console_sign_in_is_renewed_with_its_own_key_and_once() {
    let lab = Lab::start(Script::default());
    let aws = aws_of(&lab);
    let reach = reach("eu-west-1");
    let first = console(&lab);
    let next = aws.refresh_console(&reach, &first).await.unwrap();
    assert_ne!(next.mark(), first.mark());
    let who = aws.caller_identity(&reach, &next.keys).await.unwrap();
    assert_eq!(who.arn, "arn:aws:iam::111122223333:user/alice");
    let again = aws.refresh_console(&reach, &next).await.unwrap();
    let used = aws.refresh_console(&reach, &next).await.unwrap_err();
    assert_eq!((used.class, used.kind), (Class::NeedsPerson, Kind::GrantRefused));
    let other = ConsoleToken { dpop_key: console(&lab).dpop_key, ..again };
    let stolen = aws.refresh_console(&reach, &other).await.unwrap_err();
    assert_eq!((stolen.class, stolen.kind), (Class::NeverWorks, Kind::BadRequest), "{stolen}");
}

#[tokio::test]
async fn a_proof_is_made_at_the_time_of_aws() {
    let lab = Lab::start(Script::default());
    for offset in [600, -600] {
        lab.set_offset(offset);
        let (aws, token) = (aws_of(&lab), console(&lab));
        let error = aws.refresh_console(&reach("eu-west-1"), &token).await.unwrap_err();
        assert_eq!(error.class, Class::MayPass { retry_after: None }, "{error}");
        assert!(matches!(error.kind, Kind::ClockSkew { .. }), "{error:?}");
        aws.refresh_console(&reach("eu-west-1"), &token).await.unwrap();
    }
}
