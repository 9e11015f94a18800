//! The container credentials endpoint, with the SDKs that take credentials from it: botocore and the one
//! for JS. The one for Rust is in `src/agent/endpoint/tests`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use eksd_lab::Fault;
use serde_json::{Value, json};

use crate::home::DEVELOPER;
use crate::place::Place;
use crate::tools::{Guarded, aws_v2, js_sdk, tool, until};

/// What a program is given: an address, and a file with a token.
struct Given {
    uri: String,
    file: String,
}

impl Given {
    #[track_caller]
    fn of(answer: &Value) -> Self {
        let text = |name: &str| {
            let text = answer["result"][name].as_str();
            text.unwrap_or_else(|| panic!("no `{name}`: {answer}")).to_owned()
        };
        Self { uri: text("uri"), file: text("token_file") }
    }

    /// Asks as an SDK does. Returns the whole answer; nothing where nobody listens.
    fn ask(&self, token: &str) -> String {
        let (host, path) = self.uri.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let Ok(mut stream) = TcpStream::connect(host) else { return String::new() };
        let request =
            format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn requests(profile: &str) -> String {
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "hello",
                       "params": {"protocol": 1, "client": "test"}});
    let open = json!({"jsonrpc": "2.0", "id": 2, "method": "endpoint.open",
                      "params": {"profile": profile}});
    format!("{hello}\n{open}\n")
}

/// Opens the endpoint for this process, as `eksd exec --server` does for the program it becomes.
fn open(place: &Place, profile: &str) -> Value {
    let mut socket = UnixStream::connect(place.socket()).unwrap();
    socket.write_all(requests(profile).as_bytes()).unwrap();
    let answer = BufReader::new(socket).lines().nth(1).unwrap().unwrap();
    serde_json::from_str(&answer).unwrap()
}

/// Starts a program as people do, and returns what it finds in its environment.
fn program(place: &Place, profile: &str) -> (Guarded, Given) {
    let script = "echo \"$AWS_CONTAINER_CREDENTIALS_FULL_URI\"\n\
                  echo \"$AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE\"\n\
                  exec sleep 60";
    let mut command = place.command(place.program("eksd"));
    command.args(["exec", profile, "--server", "--", "sh", "-c", script]);
    let mut child = Guarded(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.as_mut().unwrap()).lines();
    let mut line = || lines.next().expect("a line").unwrap();
    let given = Given { uri: line(), file: line() };
    (child, given)
}

/// A place where an agent runs and somebody has logged in.
fn place() -> Place {
    let mut place = Place::new();
    place.set("AWS_REGION", "eu-west-1");
    place.login();
    place
}

/// Points programs that are started from now on at the endpoint.
fn point(place: &mut Place, given: &Given) {
    place.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", &given.uri);
    place.set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &given.file);
}

#[test]
fn boto3_and_the_clis_take_credentials_from_it() {
    let mut place = place();
    let given = Given::of(&open(&place, "dev"));
    point(&mut place, &given);
    for (version, cli) in [(1, tool("aws")), (2, aws_v2())] {
        let who = place.real(&cli, "sts get-caller-identity --output json").json();
        assert_eq!(who["Arn"], DEVELOPER, "AWS CLI v{version}");
        let words = format!("exec dev --server -- {} sts get-caller-identity", cli.display());
        let who = place.real(place.program("eksd"), &words).json();
        assert_eq!(who["Arn"], DEVELOPER, "AWS CLI v{version} in eksd exec");
    }
    let script = "import boto3, json\n\
                  c = boto3.Session().get_credentials()\n\
                  f = c.get_frozen_credentials()\n\
                  who = boto3.client('sts').get_caller_identity()\n\
                  kind = type(c).__name__\n\
                  print(json.dumps([c.method, kind, f.access_key, who['Arn']]))\n";
    place.write("who.py", script);
    let said = place.real(tool("python3"), place.path("who.py").to_str().unwrap()).json();
    let key = &place.credentials("dev")["AccessKeyId"];
    assert_eq!(said, json!(["container-role", "RefreshableCredentials", key, DEVELOPER]));
    assert_eq!(place.lab().count("GetRoleCredentials"), 1, "one for all of them");
    assert!(place.log().contains("credentials were handed out at the endpoint"));
}

#[test]
fn botocore_shows_what_to_do() {
    let mut place = Place::new();
    place.set("AWS_REGION", "eu-west-1");
    place.eksd("agent start").ok();
    let given = Given::of(&open(&place, "dev"));
    point(&mut place, &given);
    let said = place.real(tool("aws"), "sts get-caller-identity").failed();
    assert!(said.contains("run `eksd login dev`"), "{said}");
}

#[test]
fn the_sdk_for_js_takes_credentials_from_it_though_aws_is_slow() {
    let mut place = place();
    // The login brought the keys of `dev`. The SDK hangs up after a second, and asks four times, a
    // second apart.
    place.lab().queue(Fault::delay("GetRoleCredentials", 2500));
    let began = Instant::now();
    let given = Given::of(&open(&place, "reader"));
    point(&mut place, &given);
    let package = js_sdk().join("node_modules/@aws-sdk/credential-provider-http");
    let script = format!(
        "const {{ fromHttp }} = require({package:?});\n\
         fromHttp()().then((keys) => console.log(JSON.stringify(keys)));\n"
    );
    place.write("who.cjs", &script);
    let keys = place.real(tool("node"), place.path("who.cjs").to_str().unwrap()).json();
    assert!(Duration::from_millis(2500) <= began.elapsed(), "AWS was not slow");
    let own = place.credentials("reader");
    for (js, name) in [
        ("accessKeyId", "AccessKeyId"),
        ("secretAccessKey", "SecretAccessKey"),
        ("sessionToken", "SessionToken"),
    ] {
        assert_eq!(keys[js], own[name], "{name}");
    }
    assert_eq!(keys["expiration"], own["Expiration"].as_str().unwrap().replace('Z', ".000Z"));
}

#[test]
fn what_a_program_was_given_ends_with_it() {
    let place = place();
    let (mut program, given) = program(&place, "dev");
    let token = std::fs::read_to_string(&given.file).unwrap();
    until("there are keys", || given.ask(&token).starts_with("HTTP/1.1 200 "));
    let other = Given::of(&open(&place, "reader"));
    assert_eq!(other.uri, given.uri, "one port for all");
    program.0.kill().unwrap();
    until("its token is refused", || given.ask(&token).starts_with("HTTP/1.1 403 "));
    until("its file is gone", || !Path::new(&given.file).exists());
    program.0.wait().unwrap();

    let reader = std::fs::read_to_string(&other.file).unwrap();
    until("the other one goes on", || other.ask(&reader).starts_with("HTTP/1.1 200 "));
    place.end_agent();
    assert!(!Path::new(&other.file).exists(), "an agent that ends takes its tokens along");
    place.eksd("agent start").ok();
    assert_eq!(other.ask(&reader), "", "nobody listens until somebody asks");
    let again = Given::of(&open(&place, "reader"));
    assert_ne!(std::fs::read_to_string(&again.file).unwrap(), reader);
    assert!(again.ask(&reader).starts_with("HTTP/1.1 403 "));
}

#[test]
fn what_it_cannot_serve_is_said_when_it_is_opened() {
    let place = Place::new();
    place.eksd("agent start").ok();
    for (profile, code, fix) in [
        ("keys", "misconfigured", "run `eksd exec keys` without `--server`"),
        ("nobody", "unknown-profile", ""),
    ] {
        let report = &open(&place, profile)["error"]["data"];
        assert_eq!(report["code"], code, "{report}");
        assert!(report["fix"].as_str().unwrap().contains(fix), "{report}");
    }
    assert!(!place.path("run/eksd/endpoint").exists());
}
