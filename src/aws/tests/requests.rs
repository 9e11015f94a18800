//! What each call sends, and what it makes of a good answer.

use serde_json::{Value, json};

use super::{
    super::{CallerIdentity, Grant, Kind, TokenRequest},
    *,
};
use crate::model::{ClusterFacts, cluster::EndpointAccess};
use server::{Server, Then};

const REGISTERED: &str = r#"{"clientId":"c","clientSecret":"s","clientIdIssuedAt":1767323045,
    "clientSecretExpiresAt":1775099045,"authorizationEndpoint":null,"tokenEndpoint":null}"#;

#[tokio::test]
async fn register_client_for_the_browser() {
    let server = Server::start([Then::ok(REGISTERED)]);
    let made = aws(&server.url).register_client(&login(), Grant::Browser).await.unwrap();
    assert_eq!(made.client_id, "c");
    assert_eq!(made.client_secret.expose(), "s");
    assert_eq!(made.expires_at, "2026-04-02T03:04:05Z".parse().unwrap());
    assert_eq!(made.scopes, ["sso:account:access"]);
    let asked = server.asked();
    assert_eq!(asked.line, "POST /client/register HTTP/1.1");
    assert_eq!(
        asked.json(),
        json!({
            "clientName": "eksd", "clientType": "public", "scopes": ["sso:account:access"],
            "redirectUris": ["http://127.0.0.1/oauth/callback"],
            "grantTypes": ["authorization_code", "refresh_token"],
            "issuerUrl": "https://corp.awsapps.com/start",
        })
    );
    assert_eq!(asked.header("authorization"), None, "not signed");
}

#[tokio::test]
async fn register_client_for_a_device() {
    let server = Server::start([Then::ok(REGISTERED)]);
    let aws = aws(&server.url);
    let mut legacy = login();
    legacy.key = LoginKey::StartUrl(legacy.start_url.clone());
    let mut configured = legacy.clone();
    configured.scopes = vec!["a:b".to_owned(), "c:d".to_owned()];
    for login in [login(), legacy, configured] {
        aws.register_client(&login, Grant::Device).await.unwrap();
    }
    let sent: Vec<Value> = server.all_asked().iter().map(server::Asked::json).collect();
    let public =
        |scopes: Value| json!({"clientName": "eksd", "clientType": "public", "scopes": scopes});
    assert_eq!(sent[0], public(json!(["sso:account:access"])));
    assert_eq!(sent[1], json!({"clientName": "eksd", "clientType": "public"}));
    assert_eq!(sent[2], public(json!(["a:b", "c:d"])));
}

#[tokio::test]
async fn start_device_authorization() {
    let server = Server::start([
        Then::ok(
            r#"{"deviceCode":"d","userCode":"ABCD-EFGH","verificationUri":"https://device.sso.eu-west-1.amazonaws.com/",
            "verificationUriComplete":"https://device.sso.eu-west-1.amazonaws.com/?user_code=ABCD-EFGH","expiresIn":600}"#,
        ),
        Then::ok(
            r#"{"deviceCode":"d","userCode":"A","verificationUri":"file:///etc/passwd","expiresIn":600}"#,
        ),
    ]);
    let aws = aws(&server.url);
    let started = aws.start_device_authorization(&login(), &registration()).await.unwrap();
    assert_eq!(started.device_code.expose(), "d");
    assert_eq!(started.user_code, "ABCD-EFGH");
    assert_eq!(started.interval, Duration::from_secs(5), "where AWS does not say");
    assert_eq!(started.expires_at, "2026-01-02T03:14:05Z".parse().unwrap());
    let asked = server.asked();
    assert_eq!(asked.line, "POST /device_authorization HTTP/1.1");
    assert_eq!(
        asked.json(),
        json!({
            "clientId": "client-1", "clientSecret": "planted-client-secret",
            "startUrl": "https://corp.awsapps.com/start",
        })
    );
    let error = aws.start_device_authorization(&login(), &registration()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Malformed, "only web pages are opened");
}

#[tokio::test]
async fn create_token_with_each_grant() {
    let full = r#"{"accessToken":"a","tokenType":"Bearer","expiresIn":3600,"refreshToken":"r2"}"#;
    let server = Server::start([
        Then::ok(full),
        Then::ok(full),
        Then::ok(r#"{"accessToken":"a","expiresIn":60}"#),
    ]);
    let aws = aws(&server.url);
    let secret = |text: &str| Secret::new(text);
    let requests = [
        TokenRequest::DeviceCode { device_code: secret("d") },
        TokenRequest::AuthorizationCode {
            code: secret("c"),
            redirect_uri: "http://127.0.0.1:43210/oauth/callback".to_owned(),
            verifier: secret("v"),
        },
        TokenRequest::Refresh { token: secret("r1") },
    ];
    let mut tokens = Vec::new();
    for request in &requests {
        tokens.push(aws.create_token(&reach("eu-west-1"), &registration(), request).await.unwrap());
    }
    assert_eq!(tokens[0].access_token.expose(), "a");
    assert_eq!(tokens[0].expires_at, "2026-01-02T04:04:05Z".parse().unwrap());
    assert_eq!(tokens[0].registration, Some(registration()));
    assert_eq!(tokens[1].refresh_token, Some(secret("r2")));
    assert_eq!(tokens[2].refresh_token, Some(secret("r1")), "the old one where none comes");

    let sent = server.all_asked();
    assert!(sent.iter().all(|asked| asked.line == "POST /token HTTP/1.1"));
    let with = |rest: Value| {
        let mut all = json!({"clientId": "client-1", "clientSecret": "planted-client-secret"});
        all.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        all
    };
    assert_eq!(
        sent[0].json(),
        with(json!({
            "grantType": "urn:ietf:params:oauth:grant-type:device_code", "deviceCode": "d",
        }))
    );
    assert_eq!(
        sent[1].json(),
        with(json!({
            "grantType": "authorization_code", "code": "c", "codeVerifier": "v",
            "redirectUri": "http://127.0.0.1:43210/oauth/callback",
        }))
    );
    assert_eq!(sent[2].json(), with(json!({"grantType": "refresh_token", "refreshToken": "r1"})));
}

/// URLs of the AWS CLI 2.36.7, byte for byte.
#[test]
fn authorize_urls_are_those_of_the_aws_cli() {
    let text = include_str!("../../../tests/data/aws/oauth.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    let vectors = vectors["sso_authorize"].as_array().unwrap();
    assert_eq!(vectors.len(), 4);
    let real = Aws::new(Surroundings::new(now)).unwrap();
    let stand_in = aws("http://127.0.0.1:4566/");
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let mut login = login();
        login.reach = reach(text("sso_region"));
        login.scopes = serde_json::from_value::<Option<Vec<String>>>(vector["scopes"].clone())
            .unwrap()
            .unwrap_or_default();
        let mut client = registration();
        client.client_id = text("client_id").to_owned();
        let verifier = Secret::new(text("code_verifier"));
        let challenge = super::super::pkce::challenge(&verifier);
        assert_eq!(challenge, text("code_challenge"));
        let url = |aws: &Aws| {
            aws.authorize_url(&login, &client, text("redirect_uri"), text("state"), &challenge)
                .unwrap()
        };
        let expected = text("authorize_url");
        assert_eq!(url(&real), expected);
        let (_, query) = expected.split_once("/authorize").unwrap();
        assert_eq!(url(&stand_in), format!("http://127.0.0.1:4566/authorize{query}"));
    }
}

#[tokio::test]
async fn role_credentials() {
    let server = Server::start([Then::ok(
        r#"{"roleCredentials":{"accessKeyId":"ASIA1","secretAccessKey":"sk","sessionToken":"st","expiration":1767326645000}}"#,
    )]);
    let token = Secret::new("planted-access-token");
    let got = aws(&server.url)
        .role_credentials(&reach("eu-west-1"), &token, "111122223333", "Read Only")
        .await
        .unwrap();
    assert_eq!(got.access_key_id, "ASIA1");
    assert_eq!(got.session_token.unwrap().expose(), "st");
    assert_eq!(got.expires_at, Some("2026-01-02T04:04:05Z".parse().unwrap()));
    assert_eq!(got.account_id.as_deref(), Some("111122223333"));
    let asked = server.asked();
    assert_eq!(
        asked.line,
        "GET /federation/credentials?role_name=Read%20Only&account_id=111122223333 HTTP/1.1"
    );
    assert_eq!(asked.header("x-amz-sso_bearer_token"), Some("planted-access-token"));
    assert_eq!(asked.header("authorization"), None, "not signed");
}

#[tokio::test]
async fn logout() {
    let server = Server::start([Then::ok("")]);
    let token = Secret::new("planted-access-token");
    aws(&server.url).logout(&reach("eu-west-1"), &token).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked.line, "POST /logout HTTP/1.1");
    assert_eq!(asked.header("x-amz-sso_bearer_token"), Some("planted-access-token"));
}

#[tokio::test]
async fn assume_role() {
    let server = Server::start([Then::ok(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><AssumedRoleId>AROA1:x</AssumedRoleId>\
         <Arn>arn:aws:sts::444455556666:assumed-role/admin/x</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>ASIA2</AccessKeyId><SecretAccessKey>sk</SecretAccessKey>\
         <SessionToken>st</SessionToken><Expiration>2026-01-02T04:04:05Z</Expiration></Credentials>\
         </AssumeRoleResult></AssumeRoleResponse>",
    )]);
    let got =
        aws(&server.url).assume_role(&credentials(), &hop(), "eksd-jane doe", None).await.unwrap();
    assert_eq!(got.access_key_id, "ASIA2");
    assert_eq!(got.expires_at, Some("2026-01-02T04:04:05Z".parse().unwrap()));
    assert_eq!(got.account_id.as_deref(), Some("444455556666"));
    let asked = server.asked();
    assert_eq!(asked.line, "POST / HTTP/1.1");
    assert_eq!(
        asked.body,
        "Action=AssumeRole&Version=2011-06-15\
         &RoleArn=arn%3Aaws%3Aiam%3A%3A444455556666%3Arole%2Fadmin\
         &RoleSessionName=eksd-jane-doe&DurationSeconds=3600&ExternalId=planted-external-id"
    );
    assert_signed(&asked, "us-east-1/sts");
    assert_eq!(asked.header("x-amz-security-token"), Some("planted-session-token"));
}

#[track_caller]
fn assert_signed(asked: &server::Asked, scope: &str) {
    let signature = asked.header("authorization").unwrap();
    let begin = format!(
        "AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/20260102/{scope}/aws4_request, SignedHeaders="
    );
    assert!(signature.starts_with(&begin), "{signature}");
    assert_eq!(asked.header("x-amz-date"), Some("20260102T030405Z"), "the clock passed in");
}

#[tokio::test]
async fn sts_is_called_in_the_hops_region_else_the_environments() {
    let server = Server::start([Then::status(500, "")]);
    let mut around = around(&server.url);
    around.region = Some("ap-south-1".to_owned());
    let aws = Aws::new(around).unwrap();
    aws.assume_role(&credentials(), &hop(), "x", None).await.unwrap_err();
    let mut regional = hop();
    regional.reach = reach("eu-north-1");
    aws.assume_role(&credentials(), &regional, "x", None).await.unwrap_err();
    let asked = server.all_asked();
    assert_signed(&asked[0], "ap-south-1/sts");
    assert_signed(&asked[1], "eu-north-1/sts");
    assert_eq!(asked.len(), 2, "one attempt for each call");
}

#[tokio::test]
async fn caller_identity() {
    let server = Server::start([Then::ok(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <GetCallerIdentityResult><Arn>arn:aws:iam::1:user/a</Arn><UserId>AIDA</UserId>\
         <Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
    )]);
    let who = aws(&server.url).caller_identity(&reach("eu-west-1"), &credentials()).await.unwrap();
    assert_eq!(
        who,
        CallerIdentity {
            account: "1".to_owned(),
            arn: "arn:aws:iam::1:user/a".to_owned(),
            user_id: "AIDA".to_owned(),
        }
    );
    assert_signed(&server.asked(), "eu-west-1/sts");
}

const CLUSTER: &str = r#"{"cluster":{"name":"demo","arn":"arn:aws:eks:eu-west-1:111122223333:cluster/demo",
    "createdAt":1735689600.25,"version":"1.34","endpoint":"https://ABC.gr7.eu-west-1.eks.amazonaws.com",
    "roleArn":"arn:aws:iam::111122223333:role/x","status":"ACTIVE","certificateAuthority":{"data":"UEVN"},
    "platformVersion":"eks.12","accessConfig":{"authenticationMode":"API"},"tags":{},
    "resourcesVpcConfig":{"endpointPublicAccess":false,"endpointPrivateAccess":true,"subnetIds":[]},"id":null}}"#;

#[tokio::test]
async fn describe_cluster() {
    let creating = r#"{"cluster":{"name":"demo","arn":"arn","status":"CREATING","createdAt":1}}"#;
    let server = Server::start([Then::ok(CLUSTER), Then::ok(creating)]);
    let aws = aws(&server.url);
    let facts = aws.describe_cluster(&reach("eu-west-1"), &credentials(), "demo").await.unwrap();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        facts,
        ClusterFacts {
            name: "demo".to_owned(),
            arn: "arn:aws:eks:eu-west-1:111122223333:cluster/demo".to_owned(),
            endpoint: text("https://ABC.gr7.eu-west-1.eks.amazonaws.com"),
            certificate_authority: text("UEVN"),
            status: "ACTIVE".to_owned(),
            version: text("1.34"),
            created_at: Some("2025-01-01T00:00:00.25Z".parse().unwrap()),
            id: None,
            platform_version: text("eks.12"),
            authentication_mode: text("API"),
            access: Some(EndpointAccess {
                is_public: false,
                is_private: true,
                public_cidrs: Vec::new(),
            }),
            connector: None,
        }
    );
    assert!(facts.is_usable());
    let asked = server.asked();
    assert_eq!(asked.line, "GET /clusters/demo HTTP/1.1");
    assert_signed(&asked, "eu-west-1/eks");
    assert_eq!(asked.header("x-amz-security-token"), Some("planted-session-token"));
    let facts = aws.describe_cluster(&reach("eu-west-1"), &credentials(), "demo").await.unwrap();
    assert!(!facts.is_usable());
}

/// Where it runs decides what its tokens name, and whether there is anything to connect to.
#[tokio::test]
async fn clusters_that_run_elsewhere() {
    let cluster = |more: &str| {
        Then::ok(&format!(
            r#"{{"cluster":{{"name":"demo","arn":"arn","status":"ACTIVE","id":"0ab-cd",{more}}}}}"#
        ))
    };
    let server = Server::start([
        cluster(r#""outpostConfig":{"controlPlaneInstanceType":"m5.large"}"#),
        cluster(r#""outpostConfig":{"etcdInstanceType":"m5.large"}"#),
        cluster(r#""outpostConfig":null"#),
        cluster(r#""connectorConfig":{"provider":"GKE"}"#),
        cluster(r#""endpoint":"https://[2600:1f14::1]:443""#),
    ]);
    let aws = aws(&server.url);
    let mut found = Vec::new();
    for _ in 0..5 {
        let facts = aws.describe_cluster(&reach("eu-west-1"), &credentials(), "demo").await;
        let facts = facts.unwrap();
        found.push((facts.token_id().to_owned(), facts.connector, facts.endpoint));
    }
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        found,
        [
            ("0ab-cd".to_owned(), None, None),
            ("demo".to_owned(), None, None),
            ("demo".to_owned(), None, None),
            ("demo".to_owned(), text("GKE"), None),
            ("demo".to_owned(), None, text("https://[2600:1f14::1]:443")),
        ]
    );
}

#[tokio::test]
async fn clusters_come_in_pages() {
    let server = Server::start([
        Then::ok(r#"{"clusters":["a","b"],"nextToken":"x/+="}"#),
        Then::ok(r#"{"clusters":["c"],"nextToken":null}"#),
    ]);
    let (aws, region, keys) = (aws(&server.url), reach("eu-west-1"), credentials());
    let first = aws.clusters_page(&region, &keys, None).await.unwrap();
    assert_eq!(first.names, ["a", "b"]);
    let second = aws.clusters_page(&region, &keys, first.next.as_deref()).await.unwrap();
    assert_eq!((second.names, second.next), (vec!["c".to_owned()], None));
    let asked = server.all_asked();
    assert_eq!(asked[0].line, "GET /clusters?maxResults=100 HTTP/1.1");
    assert_eq!(asked[1].line, "GET /clusters?maxResults=100&nextToken=x%2F%2B%3D HTTP/1.1");
}

#[tokio::test]
async fn account_alias_is_signed_for_the_home_of_iam() {
    let answer = |aliases: &str| {
        Then::ok(&format!(
            "<ListAccountAliasesResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
             <ListAccountAliasesResult><IsTruncated>false</IsTruncated>{aliases}\
             </ListAccountAliasesResult><ResponseMetadata><RequestId>1-2</RequestId>\
             </ResponseMetadata></ListAccountAliasesResponse>"
        ))
    };
    let server = Server::start([
        answer("<AccountAliases><member>foocorporation</member></AccountAliases>"),
        answer("<AccountAliases/>"),
        Then::ok("<html>Welcome</html>"),
    ]);
    let (aws, keys) = (aws(&server.url), credentials());
    let alias = aws.account_alias(&reach("eu-central-2"), &keys).await.unwrap();
    assert_eq!(alias.as_deref(), Some("foocorporation"));
    let asked = server.asked();
    assert_eq!(asked.line, "GET /?Action=ListAccountAliases&Version=2010-05-08 HTTP/1.1");
    assert_signed(&asked, "us-east-1/iam");
    assert_eq!(aws.account_alias(&reach("us-gov-east-1"), &keys).await.unwrap(), None);
    assert_signed(&server.all_asked()[1], "us-gov-west-1/iam");
    let error = aws.account_alias(&reach("eu-central-2"), &keys).await.unwrap_err();
    assert!(error.kind.is_unreachable(), "{error:?}");
}
