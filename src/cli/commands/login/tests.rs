//! The person's side of a login, against an agent of canned lines.

use std::{
    cell::RefCell,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    thread::JoinHandle,
};

use super::*;
use crate::{config::Env, ipc::wire::Confidence};

const WELCOME: &str =
    r#"{"jsonrpc":"2.0","id":1,"result":{"protocol":1,"version":"0.1.0","pid":4711}}"#;
const DONE: &str = r#"{"jsonrpc":"2.0","id":2,"result":{"session":"corp","already":false,"good_until":null,"confidence":"unknown"}}"#;
const ASK: &str = r#"{"jsonrpc":"2.0","method":"login.ask","params":{"serial":"ann","profile":"dev","refused":null,"wait_seconds":0}}"#;
const ASK_AGAIN: &str = r#"{"jsonrpc":"2.0","method":"login.ask","params":{"serial":"ann","profile":"dev","refused":{"code":"needs-mfa","what":"AWS refused the code","fix":"type the next"},"wait_seconds":17}}"#;
const OPEN: &str = r#"{"jsonrpc":"2.0","method":"login.open","params":{"session":"corp","url":"https://x/","user_code":null,"expires_at":"2026-11-24T15:00:00Z"}}"#;

/// An agent that reads a number of lines before it says one. Returns the lines that it read.
fn agent(script: Vec<(usize, String)>) -> (tempfile::TempDir, Client, JoinHandle<Vec<String>>) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut read = Vec::new();
        for (lines, said) in script {
            for _ in 0..lines {
                let mut line = String::new();
                // The client may have hung up.
                if reader.read_line(&mut line).is_ok_and(|read| 0 < read) {
                    read.push(line);
                }
            }
            let _ = stream.write_all(format!("{said}\n").as_bytes());
        }
        while reader.read_line(&mut String::new()).is_ok_and(|read| 0 < read) {}
        read
    });
    (folder, Client::connect(&socket, Duration::from_secs(5)).unwrap(), thread)
}

thread_local! {
    /// What stands for `/dev/tty` in this test.
    static TERMINAL: RefCell<Option<UnixStream>> = const { RefCell::new(None) };
}

fn stand_in() -> Option<Terminal> {
    TERMINAL.take().map(|stream| Terminal::new(stream.into()))
}

/// What came of a login, what the agent read, and what the terminal showed.
struct Came {
    done: Result<Option<LoginDone>, Report>,
    read: Vec<String>,
    shown: String,
}

fn login(args: &LoginArgs, script: &[(usize, &str)], typed: Option<&str>) -> Came {
    let script = script.iter().map(|(lines, said)| (*lines, (*said).to_owned())).collect();
    let (_folder, mut client, thread) = agent(script);
    let mut person_end = typed.map(|typed| {
        let (mut person, ours) = UnixStream::pair().unwrap();
        person.write_all(typed.as_bytes()).unwrap();
        TERMINAL.set(Some(ours));
        person
    });
    let call = Call::new(&Env::from_map([("HOME", "/home/ann")]), false).unwrap();
    let settings = Settings::default();
    let place = Place::new(&call.env, false);
    let mut person = Person {
        call: &call,
        args,
        settings: &settings,
        place,
        flow: Flow::DeviceCode,
        open_terminal: stand_in,
        terminal: None,
        asked: None,
        refused: 0,
        browser: None,
    };
    let until = Instant::now() + Duration::from_secs(20);
    let params = LoginParams { mfa_code: args.mfa_code.clone(), ..LoginParams::default() };
    let (interrupt, ends) = (Interrupt::listen().unwrap(), Ends::listen().unwrap());
    let done = person.go_through(&mut client, params, until, &interrupt, ends);
    // One that was never opened closes, too.
    drop((client, person, TERMINAL.take()));
    let mut shown = String::new();
    if let Some(end) = &mut person_end {
        std::io::Read::read_to_string(end, &mut shown).unwrap();
    }
    Came { done, read: thread.join().unwrap(), shown }
}

#[test]
fn a_code_is_asked_for_and_sent() {
    let script =
        [(2, WELCOME), (0, ASK), (1, r#"{"jsonrpc":"2.0","id":3,"result":{}}"#), (0, DONE)];
    let came = login(&LoginArgs::default(), &script, Some("12345\n 123 456 \n"));
    assert_eq!(came.done.unwrap().unwrap().session, "corp");
    assert!(came.read[2].contains(r#""method":"login.code","params":{"code":"123456"}"#));
    assert_eq!(
        came.shown,
        "MFA code for ann (profile dev): A code has six digits.\nMFA code for ann (profile dev): "
    );
}

#[test]
fn a_refused_code_is_asked_for_again_and_the_third_is_the_last() {
    let script = [(2, WELCOME), (0, ASK), (1, ASK_AGAIN), (1, DONE)];
    let came = login(&LoginArgs::default(), &script, Some("111111\n222222\n"));
    assert!(came.done.unwrap().is_some());
    assert!(came.shown.contains("error: AWS refused the code\n"), "{}", came.shown);
    assert!(came.shown.contains("the next one comes in 17 s."), "{}", came.shown);

    let script = [(2, WELCOME), (0, ASK), (1, ASK_AGAIN), (1, ASK_AGAIN), (1, ASK_AGAIN)];
    let came = login(&LoginArgs::default(), &script, Some("111111\n222222\n333333\n444444\n"));
    let report = came.done.unwrap_err();
    assert_eq!((report.code, report.what.as_str()), (Code::NeedsMfa, "AWS refused the code"));
    assert_eq!(report.why, ["3 codes were refused"]);
    assert_eq!(came.read.len(), 5, "no fourth code was sent");
}

#[test]
fn where_nobody_can_be_asked() {
    let given = LoginArgs { mfa_code: Some(MfaCode::new("111111")), ..LoginArgs::default() };
    let silent = LoginArgs { no_input: true, ..given.clone() };
    for (args, notice, typed, code, why) in [
        (&LoginArgs::default(), ASK, None, Code::NeedsMfa, "there is no terminal to ask at"),
        (&silent, ASK_AGAIN, Some(""), Code::NeedsMfa, "`--no-input` was given"),
        (&given, ASK_AGAIN, None, Code::NeedsMfa, "there is no terminal to ask at"),
        (&silent, OPEN, None, Code::NeedsLogin, ""),
    ] {
        let came = login(args, &[(2, WELCOME), (0, notice)], typed);
        let report = came.done.unwrap_err();
        assert_eq!(report.code, code, "{report}");
        assert_eq!(report.why.first().map_or("", String::as_str), why, "{report}");
        assert!(came.shown.is_empty(), "{}", came.shown);
        let was_refused = report.why.iter().any(|why| why == "AWS refused the code");
        assert_eq!(was_refused, notice == ASK_AGAIN);
    }
}

#[test]
fn the_end_of_the_terminal_gives_up() {
    let (person, ours) = UnixStream::pair().unwrap();
    drop(person);
    let mut terminal = Terminal::new(ours.into());
    terminal.say("nobody reads this");
    assert_eq!(terminal.take(), Typed::End);
}

#[test]
fn somebody_else_may_finish_it() {
    let came = login(&LoginArgs::default(), &[(2, WELCOME), (0, ASK), (0, DONE)], Some(""));
    assert!(came.done.unwrap().is_some());
    assert_eq!(came.shown, "MFA code for ann (profile dev): \n");
}

#[test]
fn a_server_cannot_start_just_anything() {
    let odd = Some("the address holds signs that no address has");
    let other = Some("the address is not that of a web page");
    for (url, expected) in [
        ("https://x.example/start?user_code=ABCD-EFGH&a=%20#/", None),
        ("http://127.0.0.1:1234/cb", None),
        ("https://[::1]/", None),
        ("file:///etc/passwd", other),
        ("--new-window=https://x", other),
        ("", other),
        ("https://x/ --help", odd),
        ("https://x/\n", odd),
        ("https://x/\"&calc&\"", odd),
        ("https://x/\u{202e}", odd),
        ("https://x/a\\b", odd),
        ("https://x/`id`|^<>{}", odd),
    ] {
        assert_eq!(why_not_a_page(url), expected, "{url:?}");
    }
}

#[test]
fn only_codes_are_copied() {
    for (text, expected) in [
        ("ABCD-EFGH", true),
        ("a", true),
        ("", false),
        ("ABCD EFGH", false),
        ("$(id)", false),
        ("AB\n", false),
        ("é", false),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZ123456", true),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZ1234567", false),
    ] {
        assert_eq!(is_code(text), expected, "{text:?}");
    }
}

#[test]
fn addresses_stay_whole() {
    let long = format!("https://x/{}", "a".repeat(2000));
    assert_eq!(printable_whole(&long), long);
    assert_eq!(printable_whole("https://x/\u{1b}[2Jé"), "https://x/?[2J?");
}

#[test]
fn what_is_said_in_the_end() {
    let done = LoginDone {
        session: "corp".into(),
        already: false,
        good_until: None,
        confidence: Confidence::Unknown,
        person: None,
        was_person: None,
    };
    assert_eq!(success(&done), "logged in to `corp`; how long it lasts is not known yet");
    let done = LoginDone { person: Some("ann\u{1b}".into()), ..done };
    assert_eq!(success(&done), "logged in to `corp` as ann?; how long it lasts is not known yet");
    let done = LoginDone { was_person: Some("bob".into()), already: true, ..done };
    insta::assert_snapshot!(success(&done), @r"
    still logged in to `corp` as ann?; how long it lasts is not known yet

    WARNING: ANOTHER PERSON. `corp` was bob until now; every profile of it acts as ann? from now on.
    If that is not meant: log out in the browser, then run `eksd login --force`.
    ");
}
