//! A client that signs, for tests against the lab.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod person;
pub(crate) mod proof;

use std::io::{Read, Write};
use std::net::TcpStream;

use eksd_lab::Lab;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub(crate) const ALICE: &str = "AKIALABALICE00000001";

/// An answer, or what there was of it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The text of the first XML element of this name.
    pub(crate) fn xml(&self, tag: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(text, _)| text)
    }
}

/// Sends a request; nothing when the connection is closed without an answer.
pub(crate) fn send(
    port: u16,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Reply> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the lab listens");
    let mut text = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        text.push_str(&format!("host: 127.0.0.1:{port}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(text.as_bytes()).expect("the lab reads");
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Reply { status, head: head.into(), body: body.into() })
}

pub(crate) fn post(lab: &Lab, path: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json")];
    send(lab.port(), "POST", path, &headers, &body.to_string()).expect("an answer")
}

pub(crate) fn get(lab: &Lab, target: &str) -> Reply {
    send(lab.port(), "GET", target, &[], "").expect("an answer")
}

/// An access key, its secret and its session token.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

pub(crate) fn alice() -> Keys {
    Keys { id: ALICE.into(), secret: "alice-long-term-secret".into(), token: None }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The headers of a signed request, made at `date` (basic format).
pub(crate) fn sign(
    keys: &Keys,
    service: &str,
    (method, path, query): (&str, &str, &str),
    host: &str,
    date: &str,
    body: &str,
) -> Vec<(String, String)> {
    let mut headers = vec![("host".to_owned(), host.to_owned())];
    headers.push(("x-amz-date".into(), date.into()));
    if let Some(token) = &keys.token {
        headers.push(("x-amz-security-token".into(), token.clone()));
    }
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines = headers.iter().fold(String::new(), |text, (k, v)| text + &format!("{k}:{v}\n"));
    let payload = hex(&Sha256::digest(body));
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}");
    let scope = format!("{}/eu-west-1/{service}/aws4_request", &date[..8]);
    let digest = hex(&Sha256::digest(canonical));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}");
    let first = format!("AWS4{}", keys.secret).into_bytes();
    let key = [&date[..8], "eu-west-1", service, "aws4_request"]
        .iter()
        .fold(first, |key, part| hmac(&key, part));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
        keys.id,
        hex(&hmac(&key, &text))
    );
    headers.push(("authorization".into(), authorization));
    headers
}

/// A call of STS, signed at the moment that the lab's frozen clock should show.
pub(crate) fn sts(lab: &Lab, keys: &Keys, date: &str, form: &str) -> Reply {
    let host = format!("127.0.0.1:{}", lab.port());
    let mut headers = sign(keys, "sts", ("POST", "/", ""), &host, date, form);
    headers.push(("content-type".into(), "application/x-www-form-urlencoded".into()));
    let headers: Vec<(&str, &str)> = headers.iter().map(|(k, v)| (&**k, &**v)).collect();
    send(lab.port(), "POST", "/", &headers, form).expect("an answer")
}

/// A signed GET of EKS.
pub(crate) fn eks(lab: &Lab, keys: &Keys, date: &str, path: &str) -> Reply {
    let host = format!("127.0.0.1:{}", lab.port());
    let headers = sign(keys, "eks", ("GET", path, ""), &host, date, "");
    let headers: Vec<(&str, &str)> = headers.iter().map(|(k, v)| (&**k, &**v)).collect();
    send(lab.port(), "GET", path, &headers, "").expect("an answer")
}

/// The credentials in an answer of STS.
pub(crate) fn keys_of(reply: &Reply) -> Keys {
    let text = |tag| reply.xml(tag).expect("credentials").to_owned();
    Keys {
        id: text("AccessKeyId"),
        secret: text("SecretAccessKey"),
        token: Some(text("SessionToken")),
    }
}

/// Registers a client for all grants.
pub(crate) fn register(lab: &Lab) -> Value {
    let reply = post(
        lab,
        "/client/register",
        &json!({
            "clientName": "test", "clientType": "public", "scopes": ["sso:account:access"],
            "grantTypes": [DEVICE, "authorization_code", "refresh_token"],
            "redirectUris": ["http://127.0.0.1/oauth/callback"], "issuerUrl": "https://x/start",
        }),
    );
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

/// CreateToken for a client with these further fields.
pub(crate) fn token(lab: &Lab, client: &Value, more: &Value) -> Reply {
    let mut body = json!({"clientId": client["clientId"], "clientSecret": client["clientSecret"]});
    for (key, value) in more.as_object().expect("fields") {
        body[key] = value.clone();
    }
    post(lab, "/token", &body)
}

pub(crate) fn start_device(lab: &Lab, client: &Value) -> Value {
    let body = json!({
        "clientId": client["clientId"], "clientSecret": client["clientSecret"],
        "startUrl": "https://d-0123456789.awsapps.com/start",
    });
    let reply = post(lab, "/device_authorization", &body);
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

/// Signs in by device code; the client and the token answer.
pub(crate) fn sign_in(lab: &Lab) -> (Value, Value) {
    let client = register(lab);
    let device = start_device(lab, &client);
    let more = json!({"grantType": DEVICE, "deviceCode": device["deviceCode"]});
    let reply = token(lab, &client, &more);
    assert_eq!(reply.status, 200, "{}", reply.body);
    (client, reply.json())
}

pub(crate) fn refresh(lab: &Lab, client: &Value, refresh_token: &Value) -> Reply {
    token(lab, client, &json!({"grantType": "refresh_token", "refreshToken": refresh_token}))
}

/// A call of the portal with an access token.
pub(crate) fn portal(lab: &Lab, access_token: &Value, method: &str, target: &str) -> Reply {
    let bearer = access_token.as_str().expect("a token");
    let headers = [("x-amz-sso_bearer_token", bearer)];
    send(lab.port(), method, target, &headers, "").expect("an answer")
}
