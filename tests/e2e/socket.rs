//! The background agent's socket as `docs/protocol.md` describes it, and peers that break the rules.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::place::Place;

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md");
    std::fs::read_to_string(path).unwrap()
}

fn block(document: &str, kind: &str) -> String {
    let (_, rest) = document.split_once(&format!("\n```{kind}\n")).unwrap();
    rest.split("\n```").next().unwrap().to_owned()
}

fn connect(place: &Place) -> UnixStream {
    let stream = UnixStream::connect(place.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Returns whether `actual` is what the document says; `<any>` stands for anything but nothing.
fn fits(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::String(any), actual) if any == "<any>" => !actual.is_null(),
        (Value::Object(left), Value::Object(right)) => {
            right.keys().all(|key| left.contains_key(key))
                && left
                    .iter()
                    .all(|(key, value)| fits(value, right.get(key).unwrap_or(&Value::Null)))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| fits(a, b))
        }
        (left, right) => left == right,
    }
}

#[test]
fn the_worked_exchange_is_true_of_the_background_agent() {
    let place = Place::new();
    let document = document();
    place.write("home/.aws/config", &block(&document, "ini"));
    place.write("home/.aws/credentials", "");
    place.eksd("agent start").ok();
    let mut writer = connect(&place);
    let mut reader = BufReader::new(writer.try_clone().unwrap());
    let mut answers = 0;
    for line in block(&document, "text").lines() {
        if let Some(request) = line.strip_prefix("→ ") {
            writeln!(writer, "{request}").unwrap();
        } else if let Some(expected) = line.strip_prefix("← ") {
            let mut answer = String::new();
            reader.read_line(&mut answer).unwrap();
            let expected: Value = serde_json::from_str(expected).unwrap();
            let actual: Value = serde_json::from_str(&answer).unwrap();
            assert!(fits(&expected, &actual), "\nexpected {expected}\n     got {actual}");
            answers += 1;
        }
    }
    assert!(5 <= answers, "{answers}");
}

/// Says hello and returns what reads the answers.
fn greeted(place: &Place) -> (UnixStream, BufReader<UnixStream>) {
    let mut writer = connect(place);
    let mut reader = BufReader::new(writer.try_clone().unwrap());
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "hello",
                       "params": {"protocol": 1, "client": "test"}});
    writeln!(writer, "{hello}").unwrap();
    reader.read_line(&mut String::new()).unwrap();
    (writer, reader)
}

#[test]
fn peers_that_break_the_rules_are_hung_up_on_and_disturb_nobody() {
    let place = Place::new();
    place.login();
    place.credentials("dev");
    // More than may talk at once, saying nothing, or half a line, or never reading.
    let mute: Vec<UnixStream> = (0..100).map(|_| connect(&place)).collect();
    let halves: Vec<UnixStream> = (0..100)
        .map(|_| {
            let mut peer = connect(&place);
            peer.write_all(b"{\"jsonrpc\":").unwrap();
            peer
        })
        .collect();
    let deaf: Vec<UnixStream> = (0..20)
        .map(|_| {
            let (mut peer, _) = greeted(&place);
            let ask = json!({"jsonrpc": "2.0", "id": 2, "method": "status", "params": {}});
            for _ in 0..20 {
                writeln!(peer, "{ask}").unwrap();
            }
            peer
        })
        .collect();
    let began = Instant::now();
    place.credentials("dev");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());

    let mut long = connect(&place);
    let sent = long.write_all(&vec![b'x'; 200 * 1024]);
    let mut said = String::new();
    let _reset = long.read_to_string(&mut said);
    assert!(sent.is_err() || said.is_empty() || said.contains("64 KiB"), "{said}");

    let mut wrong = connect(&place);
    writeln!(wrong, "GET / HTTP/1.1").unwrap();
    let mut said = String::new();
    wrong.read_to_string(&mut said).unwrap();
    assert!(said.contains("-32700"), "{said}");

    // Five seconds for a hello: then the mute are gone by themselves.
    let began = Instant::now();
    for mut peer in mute.into_iter().chain(halves) {
        assert_eq!(peer.read(&mut [0; 16]).unwrap_or(0), 0);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(deaf);
    place.credentials("dev");
}

#[test]
fn another_protocol_is_refused_with_what_to_do() {
    let place = Place::new();
    place.eksd("agent start").ok();
    let mut peer = connect(&place);
    let hello = json!({"jsonrpc": "2.0", "id": 7, "method": "hello",
                       "params": {"protocol": 99, "client": "future"}});
    writeln!(peer, "{hello}").unwrap();
    let mut said = String::new();
    peer.read_to_string(&mut said).unwrap();
    let answer: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(answer["error"]["data"]["code"], "protocol-mismatch", "{answer}");
    assert_eq!(answer["error"]["data"]["fix"], "run `eksd agent restart`");
    assert_eq!(answer["id"], 7);
}
