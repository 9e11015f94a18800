//! The endpoint over real connections, with a mailbox that the test answers.

mod rust_sdk;

use std::{
    path::Path,
    process::{Child, Command},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::process::Pid;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{Endpoint, MOST_LEASES, MOST_VISITS, PATIENCE, visit::HEAD_DEADLINE};
use crate::{
    agent::event::{Ask, Event, Mailbox, Patience},
    ipc::wire::EndpointOpen,
    model::{Credentials, ProfileName, Secret},
    report::{Code, Report},
    store::atomic,
};

/// What the agent knows of a profile; `None`: it does not answer.
type Known = Option<Result<Credentials, Report>>;

/// An endpoint under test.
struct Bench {
    endpoint: Endpoint,
    shutdown: CancellationToken,
    desk: JoinHandle<()>,
    /// How patiently it was asked, and for what.
    asked: Arc<Mutex<Vec<(String, Patience)>>>,
}

impl Bench {
    fn start(folder: &Path, known: impl Fn(&str, Patience) -> Known + Send + 'static) -> Self {
        let (mailbox, mut inbox) = Mailbox::new();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        tokio::spawn(async move {
            let mut parked = Vec::new();
            while let Some(event) = inbox.recv().await {
                let Event::Credentials { ask: Ask { profile, patience, is_use, .. }, reply } =
                    event
                else {
                    panic!("{event:?}")
                };
                assert!(is_use, "what a program asks for is renewed ahead");
                let answer = known(&profile, patience);
                seen.lock().unwrap().push((profile, patience));
                match answer {
                    Some(answer) => drop(reply.send(answer)),
                    None => parked.push(reply),
                }
            }
        });
        let (endpoint, desk) = Endpoint::new(mailbox, folder.join("endpoint"));
        let shutdown = CancellationToken::new();
        let desk = tokio::spawn(desk.run(shutdown.clone()));
        Self { endpoint, shutdown, desk, asked }
    }

    /// Starts one whose agent holds keys for all profiles.
    fn good(folder: &Path) -> Self {
        Self::start(folder, |profile, _| Some(Ok(keys(profile))))
    }

    async fn open(&self, profile: &str, pid: Pid) -> Given {
        let opened = self.endpoint.open(ProfileName::new(profile), Some(pid)).await.unwrap();
        Given::of(&opened)
    }
}

/// What a program was given.
struct Given {
    host: String,
    token: String,
    file: std::path::PathBuf,
}

impl Given {
    fn of(opened: &EndpointOpen) -> Self {
        let host =
            opened.uri.strip_prefix("http://").and_then(|it| it.strip_suffix("/v1/credentials"));
        Self {
            host: host.unwrap_or_else(|| panic!("{opened:?}")).to_owned(),
            token: std::fs::read_to_string(&opened.token_file).unwrap(),
            file: opened.token_file.clone().into(),
        }
    }

    fn request(&self) -> String {
        format!(
            "GET /v1/credentials HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n\r\n",
            self.host, self.token
        )
    }

    async fn ask(&self) -> (u16, String) {
        let answer = exchange(&self.host, self.request().as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

/// Sends bytes and returns everything that comes back.
async fn exchange(host: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(host).await.unwrap();
    // It may have answered and hung up already.
    let _reset = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn keys(profile: &str) -> Credentials {
    Credentials {
        access_key_id: format!("ASIA-{profile}"),
        secret_access_key: Secret::new("secret"),
        session_token: Some(Secret::new("token")),
        expires_at: Some("2026-11-23T20:00:00Z".parse().unwrap()),
        account_id: None,
    }
}

fn own() -> Pid {
    rustix::process::getpid()
}

/// A program that runs until it is ended.
struct Program(Child);

impl Program {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so().await {
        assert!(Instant::now() < deadline, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("endpoint")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn each_token_stands_for_its_profile() {
    let home = tempfile::tempdir().unwrap();
    let bench = Bench::good(home.path());
    assert!(!home.path().join("endpoint").exists(), "nothing until somebody asks");
    let (dev, prod) = (bench.open("dev", own()).await, bench.open("prod", own()).await);
    assert_eq!(dev.host, prod.host);
    assert_ne!(dev.token, prod.token);
    for (given, key) in [(&dev, "ASIA-dev"), (&prod, "ASIA-prod"), (&dev, "ASIA-dev")] {
        let (status, body) = given.ask().await;
        assert_eq!(status, 200, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["AccessKeyId"], key);
        assert_eq!(body["Expiration"], "2026-11-23T20:00:00Z");
    }
    // The same process may open it again; each opening has a token of its own.
    assert_ne!(bench.open("dev", own()).await.token, dev.token);
    let (_, port) = dev.host.split_once(':').unwrap();
    assert!(TcpStream::connect(format!("127.0.0.2:{port}")).await.is_err(), "one address only");
}

#[tokio::test]
async fn the_end_of_a_process_ends_what_it_was_given() {
    let home = tempfile::tempdir().unwrap();
    let bench = Bench::good(home.path());
    let (first, second) = (Program::start(), Program::start());
    let dev = bench.open("dev", first.pid()).await;
    let prod = bench.open("prod", second.pid()).await;
    assert_eq!((dev.ask().await.0, prod.ask().await.0), (200, 200));
    drop(first);
    until("the token is refused", async || dev.ask().await.0 == 403).await;
    until("its file is gone", async || !dev.file.exists()).await;
    assert_eq!(prod.ask().await.0, 200, "the other program goes on");
    drop(second);
    until("the port is closed", async || TcpStream::connect(&prod.host).await.is_err()).await;
    until("no file is left", async || files(home.path()) == 0).await;
    let again = bench.open("dev", own()).await;
    assert_ne!(again.token, dev.token);
    assert_eq!(again.ask().await.0, 200);
    let old = Given { token: dev.token, ..again };
    assert_eq!(old.ask().await.0, 403);
}

#[tokio::test]
async fn the_end_of_the_agent_leaves_nothing_and_a_start_sweeps() {
    let home = tempfile::tempdir().unwrap();
    let bench = Bench::good(home.path());
    let given = bench.open("dev", own()).await;
    bench.shutdown.cancel();
    bench.desk.await.unwrap();
    assert!(TcpStream::connect(&given.host).await.is_err());
    assert_eq!(files(home.path()), 0);
    let ended = bench.endpoint.open(ProfileName::new("dev"), Some(own())).await.unwrap_err();
    assert_eq!(ended.code, Code::AgentUnavailable);
    assert_eq!(files(home.path()), 0);

    atomic::write(&given.file, given.token.as_bytes()).unwrap();
    let next = Bench::good(home.path());
    assert_eq!(files(home.path()), 0, "what a killed agent left");
    let new = next.open("dev", own()).await;
    let old = Given { host: new.host.clone(), ..given };
    assert_eq!((new.ask().await.0, old.ask().await.0), (200, 403));
}

#[tokio::test]
async fn all_who_are_refused_hear_the_same() {
    let home = tempfile::tempdir().unwrap();
    let bench = Bench::good(home.path());
    let given = bench.open("dev", own()).await;
    let request = given.request();
    assert!(exchange(&given.host, request.as_bytes()).await.starts_with("HTTP/1.1 200 OK\r\n"));
    let without_end = request.strip_suffix("\r\n").unwrap();
    let with = |header: &str| format!("{without_end}{header}\r\n\r\n");
    let forged = [
        request.replace(&given.token, ""),
        request.replace(&given.token, "x"),
        request.replace(&given.token, &given.token[1..]),
        request.replace(&given.token, &format!("{}A", given.token)),
        request.replace(&given.token, &format!("Bearer {}", given.token)),
        request.replace(&given.token, &given.token.to_lowercase()),
        request.replace("Authorization", "X-Authorization"),
        request.replace(&given.host, "127.0.0.1.evil.example"),
        request.replace(&given.host, "localhost"),
        request.replace("GET", "POST"),
        request.replace("GET", "HEAD"),
        request.replace("GET", "OPTIONS"),
        request.replace("/v1/credentials", "/"),
        request.replace("/v1/credentials", "/role-arn/arn:aws:iam::111122223333:role/admin"),
        request.replace("HTTP/1.1", "HTTP/1.0"),
        with("Origin: https://evil.example"),
        with("Referer: https://evil.example/"),
        with("Sec-Fetch-Site: same-origin"),
        with("X-Forwarded-For: 192.0.2.1"),
        with("Transfer-Encoding: chunked"),
        with("Content-Length: 5"),
        with(&format!("Authorization: {}", given.token)),
        with(&format!("X: {}", "y".repeat(9000))),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1} a TLS greeting\r\n\r\n".to_owned(),
    ];
    let first = exchange(&given.host, forged[0].as_bytes()).await;
    assert!(first.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{first}");
    let (head, body) = first.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_ascii_lowercase().contains("access-control"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(body["code"].is_string() && body["message"].is_string(), "{body}");
    for request in &forged {
        assert_eq!(exchange(&given.host, request.as_bytes()).await, first, "{request}");
    }
    assert_eq!(given.ask().await.0, 200, "nothing of that harmed the program");
}

/// A number below `end`, from a seed (xorshift64, Marsaglia).
fn below(seed: &mut u64, end: usize) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    usize::try_from(*seed % end as u64).unwrap()
}

#[tokio::test]
async fn no_forged_request_is_accepted() {
    let home = tempfile::tempdir().unwrap();
    let bench = Bench::good(home.path());
    let given = bench.open("dev", own()).await;
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let other = "g".repeat(given.token.len());
    let headers = [
        "Origin: null",
        "Referer: http://a",
        "Sec-Fetch-Mode: cors",
        "Host: evil.example",
        "Content-Length: 3",
        "Transfer-Encoding: identity",
        "Authorization: x",
        "Via: 1.1 a",
    ];
    for turn in 0..3000 {
        let mut request = given.request();
        for _ in 0..=below(&mut seed, 2) {
            // Each of these makes it a request that must not be served, whatever the others did.
            match below(&mut seed, 6) {
                0 => {
                    let at = below(&mut seed, given.token.len());
                    let mut token = given.token.clone().into_bytes();
                    token[at] = if token[at] == b'A' { b'B' } else { b'A' };
                    let token = String::from_utf8(token).unwrap();
                    request = request.replace(&given.token, &token);
                }
                1 => {
                    let cut = below(&mut seed, given.token.len());
                    request = request.replace(&given.token, &given.token[..cut]);
                }
                2 => request = request.replace(&given.token, &other),
                3 => request = request.replacen("Host: 1", "Host: 2", 1),
                4 => request = request.replacen("GET /v1", "GET /v2", 1),
                _ => {
                    let header = headers[below(&mut seed, headers.len())];
                    request = request.replacen("\r\n", &format!("\r\n{header}\r\n"), 1);
                }
            }
        }
        let answer = exchange(&given.host, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{turn}: {request}\n{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_ask_is_ended() {
    let home = tempfile::tempdir().unwrap();
    let bench = Bench::good(home.path());
    let given = bench.open("dev", own()).await;
    for said in ["", "GET", "GET /v1/credentials HTTP/1.1\r\nHost: x\r\n"] {
        let began = Instant::now();
        assert_eq!(exchange(&given.host, said.as_bytes()).await, "", "{said}");
        let took = began.elapsed();
        assert!(HEAD_DEADLINE <= took && took < 2 * HEAD_DEADLINE, "{took:?}");
    }
    // A byte a second does not help.
    let began = Instant::now();
    let mut slow = TcpStream::connect(&given.host).await.unwrap();
    for byte in given.request().bytes() {
        if slow.write_all(&[byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(began.elapsed() < 2 * HEAD_DEADLINE, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn many_that_only_connect_keep_nobody_out() {
    let home = tempfile::tempdir().unwrap();
    let bench = Bench::good(home.path());
    let given = bench.open("dev", own()).await;
    let began = Instant::now();
    let mut mute = Vec::new();
    for _ in 0..2 * MOST_VISITS {
        mute.push(TcpStream::connect(&given.host).await.unwrap());
    }
    assert_eq!(given.ask().await.0, 200);
    // The oldest had to go, long before its time.
    assert_eq!(mute[0].read(&mut [0]).await.unwrap_or(0), 0);
    assert!(began.elapsed() < HEAD_DEADLINE, "{:?}", began.elapsed());
    let last = mute.last_mut().unwrap();
    last.write_all(given.request().as_bytes()).await.unwrap();
    let mut answer = String::new();
    last.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn an_answer_comes_within_a_second() {
    let home = tempfile::tempdir().unwrap();
    let late = || Report::new(Code::Unreachable, "AWS has not answered yet", "try again");
    let bench = Bench::start(home.path(), move |_, patience| match patience {
        Patience::Some => None,
        Patience::None | Patience::Login => Some(Err(late())),
    });
    let given = bench.open("dev", own()).await;
    tokio::time::pause();
    let began = Instant::now();
    let (status, body) = given.ask().await;
    let took = began.elapsed();
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("AWS has not answered yet: try again"), "{body}");
    assert!(PATIENCE <= took && took < Duration::from_secs(1), "{took:?}");
    let asked = bench.asked.lock().unwrap().clone();
    let patience: Vec<Patience> = asked.iter().map(|(_, patience)| *patience).collect();
    let expected = [Patience::None, Patience::Some, Patience::None];
    assert_eq!(patience, expected, "the refresh is begun, and then the best there is taken");
}

#[tokio::test]
async fn what_can_never_be_served_is_not_opened() {
    let home = tempfile::tempdir().unwrap();
    let bench = Bench::start(home.path(), |profile, _| {
        let report = |code| Err(Report::new(code, "it is so", "run `eksd login dev`"));
        Some(match profile {
            "keys" => Ok(Credentials { session_token: None, expires_at: None, ..keys("keys") }),
            "endless" => Ok(Credentials { expires_at: None, ..keys("endless") }),
            "unknown" => report(Code::UnknownProfile),
            "broken" => report(Code::Misconfigured),
            _ => report(Code::NeedsLogin),
        })
    });
    let open = async |profile: &str, pid| {
        bench.endpoint.open(ProfileName::new(profile), pid).await.map_err(|report| report.code)
    };
    for (profile, code) in [
        ("keys", Code::Misconfigured),
        ("endless", Code::Misconfigured),
        ("unknown", Code::UnknownProfile),
        ("broken", Code::Misconfigured),
    ] {
        assert_eq!(open(profile, Some(own())).await, Err(code), "{profile}");
    }
    assert_eq!(open("dev", None).await, Err(Code::AgentUnavailable));
    let program = Program::start();
    let pid = program.pid();
    drop(program);
    assert_eq!(open("dev", Some(pid)).await, Err(Code::AgentUnavailable));
    assert_eq!(files(home.path()), 0);
    // A program may be started before the person has logged in; then it is told the command.
    let given = Given::of(&open("dev", Some(own())).await.unwrap());
    let (status, body) = given.ask().await;
    assert_eq!((status, body.contains("run `eksd login dev`")), (409, true), "{body}");
}

#[tokio::test]
async fn the_number_of_tokens_has_an_end() {
    let home = tempfile::tempdir().unwrap();
    let bench = Bench::good(home.path());
    for _ in 0..MOST_LEASES {
        bench.open("dev", own()).await;
    }
    let one_more = bench.endpoint.open(ProfileName::new("dev"), Some(own())).await.unwrap_err();
    assert!(one_more.what.contains("too many programs"), "{one_more}");
    assert_eq!(files(home.path()), MOST_LEASES, "its file is not left behind");
}
