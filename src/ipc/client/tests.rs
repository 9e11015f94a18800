//! The client against an agent of canned lines, on a real socket.

use std::{
    io::{BufRead, BufReader},
    os::unix::net::UnixListener,
    path::PathBuf,
    thread::JoinHandle,
};

use super::*;
use crate::ipc::wire::{AgentLine, Empty, StatusParams};

const WELCOME: &str =
    r#"{"jsonrpc":"2.0","id":1,"result":{"protocol":1,"version":"0.1.0","pid":4711}}"#;
const SOON: Duration = Duration::from_millis(50);
const LATE: Duration = Duration::from_secs(20);

/// An agent that says what it was given to say to its first caller, whatever it is asked.
struct FakeAgent {
    _folder: tempfile::TempDir,
    socket: PathBuf,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl FakeAgent {
    /// `lines` are said after two lines were read; then the agent reads on until its caller hangs
    /// up, or hangs up itself.
    fn saying(lines: impl Into<Vec<u8>>, stays: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let lines = lines.into();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut asked = Vec::new();
            for _ in 0..2 {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                asked.push(line);
            }
            // The client may have hung up on a line that is too long.
            let _ = stream.write_all(&lines);
            while stays && reader.read_line(&mut String::new()).is_ok_and(|read| 0 < read) {}
            asked
        });
        Self { _folder: folder, socket, thread: Some(thread) }
    }

    fn client(&self) -> Client {
        Client::connect(&self.socket, SOON).unwrap()
    }

    fn asked(mut self) -> Vec<String> {
        self.thread.take().unwrap().join().unwrap()
    }
}

fn ask(agent: &FakeAgent, deadline: Duration) -> Result<Empty, Report> {
    agent.client().ask(Request::Stop(Empty {}), deadline)
}

#[test]
fn hello_goes_first_and_the_answer_comes_back() {
    let agent = FakeAgent::saying(format!("{WELCOME}\n{{\"id\":2,\"result\":{{}}}}\n"), true);
    assert_eq!(ask(&agent, LATE), Ok(Empty {}));
    let asked = agent.asked();
    assert!(asked[0].contains(r#""id":1,"method":"hello","params":{"protocol":1"#), "{asked:?}");
    assert!(asked[1].contains(r#""id":2,"method":"agent.stop""#), "{asked:?}");
}

/// An agent that cannot begin says so to the first request, and goes before it has read it.
#[test]
fn what_an_agent_said_before_it_hung_up_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut client = Client::connect(&socket, SOON).unwrap();
    let report = Report::new(Code::ConfigBroken, "no such setting", "mend it");
    let data = serde_json::to_string(&report).unwrap();
    let line = format!(
        r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32000,"message":"x","data":{data}}}}}"#
    );
    writeln!(listener.accept().unwrap().0, "{line}").unwrap();
    let heard: Result<Empty, Report> = client.ask(Request::Stop(Empty {}), LATE);
    assert_eq!(heard, Err(report));
}

#[test]
fn a_silent_agent_costs_the_deadline() {
    let agent = FakeAgent::saying("", true);
    let report = ask(&agent, SOON).unwrap_err();
    assert_eq!(report.code, Code::AgentSilent);
    assert_eq!(report.what, "the agent gave no answer in 50ms");
}

#[test]
fn half_an_answer_is_silence_too() {
    let agent = FakeAgent::saying(format!("{WELCOME}\n{{\"id\":2,\"res"), true);
    assert_eq!(ask(&agent, SOON).unwrap_err().code, Code::AgentSilent);
}

#[test]
fn an_agent_that_hangs_up() {
    let agent = FakeAgent::saying(format!("{WELCOME}\n"), false);
    let report = ask(&agent, LATE).unwrap_err();
    assert_eq!(report.code, Code::AgentUnavailable);
    assert_eq!(report.what, "the agent hung up before it answered");
}

#[test]
fn garbage_is_not_quoted() {
    let agent = FakeAgent::saying(format!("{WELCOME}\n\"ASIASECRET\"\n"), true);
    let report = ask(&agent, LATE).unwrap_err();
    assert_eq!(report.code, Code::ProtocolMismatch);
    assert!(!report.to_string().contains("SECRET"), "{report}");
}

#[test]
fn a_line_has_a_longest_length() {
    let mut lines = format!("{WELCOME}\n").into_bytes();
    lines.resize(lines.len() + LONGEST_ANSWER + 1, b'x');
    let agent = FakeAgent::saying(lines, true);
    let report = ask(&agent, LATE).unwrap_err();
    assert_eq!(report.what, "the agent's answer is longer than 16777216 bytes");
}

#[test]
fn another_protocol_names_the_restart() {
    for answer in [
        r#"{"jsonrpc":"2.0","id":1,"result":{"protocol":2,"version":"9.0.0","pid":1}}"#,
        r#"{"id":1,"error":{"code":-32000,"message":"m","data":{"code":"protocol-mismatch","what":"w","fix":"f"}}}"#,
    ] {
        let agent = FakeAgent::saying(format!("{answer}\n"), true);
        let report = ask(&agent, LATE).unwrap_err();
        assert_eq!(report.code, Code::ProtocolMismatch);
        assert_eq!(report.fix, "run `eksd agent restart`");
    }
}

#[test]
fn an_error_is_its_report() {
    let error = r#"{"id":2,"error":{"code":-32000,"message":"w","data":{"code":"needs-login","what":"w","why":["y"],"fix":"f"}}}"#;
    let agent = FakeAgent::saying(format!("{WELCOME}\n{error}\n"), true);
    let report = ask(&agent, LATE).unwrap_err();
    assert_eq!(report, Report::new(Code::NeedsLogin, "w", "f").because("y"));
}

#[test]
fn notifications_come_before_the_answer() {
    let lines = [
        WELCOME,
        r#"{"jsonrpc":"2.0","method":"changed","params":{}}"#,
        r#"{"jsonrpc":"2.0","method":"from.the.future","params":{"a":1}}"#,
        r#"{"jsonrpc":"2.0","id":2,"result":{}}"#,
    ];
    let agent = FakeAgent::saying(lines.join("\n") + "\n", true);
    let mut client = agent.client();
    let until = Instant::now() + LATE;
    let id = client.send(Request::Subscribe(StatusParams::default()), until).unwrap();
    let first: Heard<Empty> = client.hear(id, Some(until), &[]).unwrap();
    assert!(matches!(first, Heard::Notification(Notification::Changed(_))), "{first:?}");
    let second: Heard<Empty> = client.hear(id, Some(until), &[]).unwrap();
    assert!(matches!(second, Heard::Answer(Empty {})), "{second:?}");
    assert_eq!(client.welcome().unwrap().pid, 4711);
}

#[test]
fn another_descriptor_ends_the_wait() {
    let agent = FakeAgent::saying(format!("{WELCOME}\n"), true);
    let (quiet, _end) = UnixStream::pair().unwrap();
    let (other, mut end) = UnixStream::pair().unwrap();
    end.write_all(b"x").unwrap();
    let mut client = agent.client();
    let id = client.send(Request::Stop(Empty {}), Instant::now() + LATE).unwrap();
    let heard: Heard<Empty> = loop {
        let others = [quiet.as_fd(), other.as_fd()];
        match client.hear(id, Some(Instant::now() + LATE), &others).unwrap() {
            // Both were ready, and the agent goes first.
            Heard::Notification(_) => (),
            heard => break heard,
        }
    };
    assert!(matches!(heard, Heard::Other(1)), "{heard:?}");
}

#[test]
fn absent_and_stale_sockets_are_no_agent() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    assert!(matches!(Client::connect(&socket, SOON), Err(Refusal::NoAgent)));
    drop(UnixListener::bind(&socket).unwrap());
    assert!(matches!(Client::connect(&socket, SOON), Err(Refusal::NoAgent)));
    let nowhere = folder.path().join("nowhere").join("agent.sock");
    assert!(matches!(Client::connect(&nowhere, SOON), Err(Refusal::NoAgent)));
}

#[test]
fn a_full_backlog_is_waited_for_and_then_silence() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let address = SocketAddrUnix::new(&socket).unwrap();
    let listener = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _first = Client::connect(&socket, SOON).unwrap();
    let refused = Client::connect(&socket, SOON).unwrap_err();
    assert!(
        matches!(&refused, Refusal::Failed(report) if report.code == Code::AgentSilent),
        "{refused:?}"
    );
}

#[test]
fn owners() {
    let path = Path::new("/run/user/1000/eksd");
    assert_eq!(check_owner(path, 1000, 0, 1000), Ok(()));
    for (owner, open_to, why) in [
        (0, 0, "it belongs to user 0, you are user 1000"),
        (1001, 0, "it belongs to user 1001, you are user 1000"),
        (1000, 0o002, "others can write to it"),
    ] {
        let report = check_owner(path, owner, open_to, 1000).unwrap_err();
        assert_eq!((report.code, report.why), (Code::UnsafePath, vec![why.to_owned()]));
    }
    assert_eq!(check_peer(path, Some(1000), 1000), Ok(()));
    for peer in [Some(0), Some(1001), None] {
        assert_eq!(check_peer(path, peer, 1000).unwrap_err().code, Code::UnsafePath);
    }
}

#[test]
fn a_folder_that_others_can_write_to() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let socket = folder.path().join("agent.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let refused = Client::connect(&socket, SOON).unwrap_err();
    assert!(
        matches!(&refused, Refusal::Failed(report) if report.code == Code::UnsafePath),
        "{refused:?}"
    );
}

#[test]
fn the_flat_line_reads_what_the_wire_type_writes() {
    let lines: [AgentLine<Empty>; 2] = [
        AgentLine::Answer { jsonrpc: "2.0".into(), id: 3, result: Empty {} },
        AgentLine::Notification {
            jsonrpc: "2.0".into(),
            notification: Notification::Changed(Empty {}),
        },
    ];
    let heard: Vec<_> = lines
        .iter()
        .map(|line| understand::<Empty>(&serde_json::to_vec(line).unwrap(), 3).unwrap())
        .collect();
    assert!(matches!(heard[0], Some(Heard::Answer(Empty {}))));
    assert!(matches!(heard[1], Some(Heard::Notification(Notification::Changed(_)))));
    let failure: AgentLine<Empty> = AgentLine::Failure {
        jsonrpc: "2.0".into(),
        id: None,
        error: RpcError {
            code: -32700,
            message: "w".into(),
            data: Report::new(Code::BadRequest, "w", "f"),
        },
    };
    let report = understand::<Empty>(&serde_json::to_vec(&failure).unwrap(), 3).unwrap_err();
    assert_eq!(report.code, Code::BadRequest);
}
