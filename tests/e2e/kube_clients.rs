//! Clients of Kubernetes other than kubectl, with the file that eksd wrote: the one for Python and
//! kube-rs. They are started with nothing of a shell's environment, as a desktop starts programs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use eksd_lab::{Lifetimes, Script};

use crate::place::Place;
use crate::ran::Ran;
use crate::tools::{instant, tool, until};

const DEMO: &str = "ip-10-0-0-1.demo.internal ip-10-0-0-2.demo.internal default kube-system";

/// A client that lists on demand, for as long as it runs.
struct Client {
    process: Child,
    asks: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Client {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let asks = process.stdin.take().unwrap();
        let says = BufReader::new(process.stdout.take().unwrap());
        Self { process, asks, says }
    }

    fn list(&mut self) -> String {
        writeln!(self.asks).unwrap();
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn end(self) {
        let Self { mut process, asks, says } = self;
        drop((asks, says));
        assert!(process.wait().unwrap().success());
    }
}

/// Returns the clients, each with no PATH and no more than a desktop session has.
fn clients(place: &Place, kubeconfig: &str) -> [(&'static str, Command); 2] {
    let mut python = Command::new(tool("python3"));
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/kube/list.py"));
    let rust = Command::new(place.program("eksd-kube-rs"));
    [("Python", python), ("kube-rs", rust)].map(|(name, mut command)| {
        command.env_clear().current_dir("/").env("KUBECONFIG", kubeconfig);
        command.env("HOME", place.path("home")).env("XDG_RUNTIME_DIR", place.path("run"));
        (name, command)
    })
}

fn file_of(place: &Place, alias: &str) -> String {
    place.path(&format!("home/.kube/eksd/{alias}.yaml")).display().to_string()
}

#[test]
fn they_need_the_file_and_nothing_else() {
    let place = Place::new();
    place.login();
    place.add_demo();
    for (name, command) in clients(&place, &file_of(&place, "demo")) {
        let mut client = Client::start(command);
        assert_eq!(client.list(), DEMO, "{name}");
        client.end();
    }
    assert_eq!(place.agents().len(), 1, "the one that runs already");
}

#[test]
fn they_outlive_a_token() {
    let lifetimes = Lifetimes { role_credentials: 6, ..Lifetimes::default() };
    let place = Place::with(Script { lifetimes, ..Script::default() });
    place.login();
    place.add_demo();
    let mut running = clients(&place, &file_of(&place, "demo"))
        .map(|(name, command)| (name, Client::start(command)));
    for (name, client) in &mut running {
        assert_eq!(client.list(), DEMO, "{name}");
    }
    // The keys that signed what they hold end, and the tokens with them.
    let ends = instant(&place.credentials("dev")["Expiration"]);
    until("the first token has ended", || ends < place.lab().now());
    for (name, client) in &mut running {
        assert_eq!(client.list(), DEMO, "{name}");
    }
    for (_, client) in running {
        client.end();
    }
    let calls = place.lab().calls();
    let asked: Vec<_> = calls.iter().filter(|call| call.op.starts_with("GET /api")).collect();
    assert!(asked.iter().all(|call| call.status == Some(200)), "{asked:?}");
}

/// What the plugin says on stderr is one line, and they show it.
#[test]
fn they_say_what_to_do() {
    let place = Place::new();
    place.login();
    place.add_demo();
    place.eksd("logout --all").ok();
    for (name, mut command) in clients(&place, &file_of(&place, "demo")) {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        process.stdin.take().unwrap().write_all(b"\n").unwrap();
        let ran = Ran::from(process.wait_with_output().unwrap());
        // The one for Python goes on without a token, and logs why.
        let said = ran.out + &ran.err;
        assert!(said.contains("eksd login dev"), "{name}: {said}");
        assert_eq!(said.matches("eksd: ").count(), 1, "{name}: {said}");
    }
    assert_eq!(place.browsers(), 1, "nobody is asked for anything");
}

/// They do not agree on which of several files names the current context.
#[test]
fn of_several_clusters_they_take_the_one_that_kubectl_takes() {
    let place = Place::new();
    place.login();
    place.add_demo();
    place.eksd("cluster add prod --region eu-west-1 --profile reader").ok();
    for (named, expected) in
        [("demo/kube-system", "demo"), ("demo+prod", "demo"), ("prod/default+demo", "prod")]
    {
        let mut shell = Command::new("sleep").arg("60").spawn().unwrap();
        let code = place.eksd(&format!("use --print bash --shell {} {named}", shell.id())).ok();
        let list = code.lines().find_map(|line| line.strip_prefix("export KUBECONFIG='")).unwrap();
        for (name, command) in clients(&place, list.trim_end_matches('\'')) {
            let mut client = Client::start(command);
            assert!(client.list().contains(&format!("ip-10-0-0-1.{expected}.internal")), "{name}");
            client.end();
        }
        shell.kill().unwrap();
        shell.wait().unwrap();
    }
}
