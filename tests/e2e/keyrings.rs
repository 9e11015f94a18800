//! The key store: a real bus with a real GNOME Keyring on it, and what there may be in its place. A
//! monitor on the bus sees each call.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use eksd::model::Credentials;
use eksd::model::keyring::{KeyringStatus, KeyringUse, MfaKey};
use eksd::store::keyring::{Answer, Keyring, Limits, Request};
use tempfile::TempDir;

use crate::fake_keyring::{Habit, serve};
use crate::tools::{SOON, tool, until};

/// What the tests take for now.
const NOW: &str = "2026-11-24T08:00:00Z";

/// A bus of its own, and what runs on it; all of it ends with the test.
struct Bus {
    dir: TempDir,
    children: Vec<Child>,
}

impl Drop for Bus {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}

impl Bus {
    /// Starts a bus on which everything is allowed but what `policy` says, and which can start the
    /// services in `services`.
    fn new(policy: &str) -> Self {
        let mut bus = Self { dir: tempfile::tempdir().unwrap(), children: Vec::new() };
        for folder in ["home", "run", "services"] {
            fs::create_dir(bus.path(folder)).unwrap();
        }
        let mut config = String::from("<busconfig><type>session</type>");
        write!(config, "<listen>{}</listen>", bus.address()).unwrap();
        write!(config, "<servicedir>{}</servicedir>", bus.path("services").display()).unwrap();
        config.push_str(
            "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>",
        );
        config.push_str("<allow eavesdrop=\"true\"/><allow own=\"*\"/>");
        write!(config, "{policy}</policy></busconfig>").unwrap();
        fs::write(bus.path("config"), config).unwrap();
        let config = format!("--config-file={}", bus.path("config").display());
        let mut command = bus.command("dbus-daemon");
        command.args([&config, "--nofork", "--nopidfile"]);
        bus.run(&mut command);
        until("the bus is there", || bus.path("bus").exists());
        let log = fs::File::create(bus.path("monitor")).unwrap();
        let mut command = bus.command("dbus-monitor");
        command.arg("--session").stdout(log);
        bus.run(&mut command);
        until("the monitor listens", || bus.monitor().contains("NameAcquired"));
        bus
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.path("bus").display())
    }

    fn monitor(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("monitor")).unwrap()).into_owned()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(tool(program));
        let path = std::env::var_os("PATH").unwrap();
        command.env_clear().env("PATH", path).env("DBUS_SESSION_BUS_ADDRESS", self.address());
        command.env("HOME", self.path("home")).env("XDG_RUNTIME_DIR", self.path("run"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn run(&mut self, command: &mut Command) {
        self.children.push(command.spawn().unwrap());
    }

    /// Starts GNOME Keyring and unlocks it, which makes its default collection.
    fn gnome_keyring(&mut self) {
        let mut command = self.command("gnome-keyring-daemon");
        command.args(["--unlock", "--foreground", "--components=secrets"]).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"a password").unwrap();
        self.children.push(child);
        until("the key store is open", || self.read_alias().contains("collection/"));
    }

    fn secrets(&self, words: &str) -> Output {
        let mut command = self.command("dbus-send");
        command.args(["--session", "--print-reply", "--dest=org.freedesktop.secrets"]);
        command.args(words.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.output().unwrap()
    }

    fn read_alias(&self) -> String {
        let service = "/org/freedesktop/secrets org.freedesktop.Secret.Service.ReadAlias";
        let output = self.secrets(&format!("{service} string:default"));
        String::from_utf8(output.stdout).unwrap()
    }

    fn lock(&self) {
        let alias = self.read_alias();
        let collection = alias.split('"').nth(1).unwrap();
        let service = "/org/freedesktop/secrets org.freedesktop.Secret.Service.Lock";
        let output = self.secrets(&format!("{service} array:objpath:{collection}"));
        assert!(output.status.success(), "{output:?}");
    }

    fn secret_tool(&self, words: &str) -> Output {
        let mut command = self.command("secret-tool");
        command.args(words.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.output().unwrap()
    }

    /// Puts something else where an entry is.
    fn put(&self, value: &str) {
        let mut command = self.command("secret-tool");
        let name = key().to_string();
        command.args(["store", "--label=x", "service", "eksd", "key", &name]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(value.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    fn keyring(&self, wanted: KeyringUse) -> Keyring {
        Keyring::start(wanted, Some(self.address()), Limits::default()).unwrap()
    }

    /// Returns what the monitor saw of dialogs.
    fn dialogs(&self) -> Vec<String> {
        let words = ["member=Unlock", "member=Prompt\n", "SystemPrompter", "PrivatePrompter"];
        let log = self.monitor();
        let lines = log.split_inclusive('\n');
        lines
            .filter(|line| words.iter().any(|word| line.contains(word)))
            .map(str::to_owned)
            .collect()
    }
}

fn key() -> MfaKey {
    MfaKey {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        serial: "arn:aws:iam::111122223333:mfa/jane".to_owned(),
    }
}

fn session(expires_at: &str) -> Credentials {
    Credentials {
        access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI".to_owned().into(),
        session_token: Some("IQoJb3JpZ2lu".repeat(100).into()),
        expires_at: Some(expires_at.parse().unwrap()),
        account_id: Some("111122223333".to_owned()),
    }
}

fn read() -> Request {
    Request::Read { key: key(), now: NOW.parse().unwrap() }
}

fn write(expires_at: &str) -> Request {
    Request::Write { key: key(), credentials: session(expires_at) }
}

fn delete() -> Request {
    Request::Delete { key: key() }
}

#[track_caller]
fn ask(keyring: &Keyring, request: Request) -> Answer {
    let (sender, answers) = channel();
    keyring.ask(request, Box::new(move |answer| sender.send(answer).unwrap()));
    answers.recv_timeout(SOON).unwrap()
}

/// Asks for something that the store is to do.
#[track_caller]
fn done(keyring: &Keyring, request: Request) -> Option<Credentials> {
    let answer = ask(keyring, request);
    assert_eq!(answer.status, answers());
    answer.found
}

/// Asks for everything, and hears each time that the store does not answer, and why.
#[track_caller]
fn refused(keyring: &Keyring, why: &str) {
    for request in [Request::Check, read(), write("2026-11-24T20:00:00Z"), delete()] {
        let shown = format!("{request:?}");
        let answer = ask(keyring, request);
        let status = KeyringStatus { answers: false, why: Some(why.to_owned()), ..answers() };
        assert_eq!(answer, Answer { found: None, status }, "{shown}");
    }
}

fn answers() -> KeyringStatus {
    KeyringStatus { store: "Secret Service".to_owned(), answers: true, why: None }
}

#[test]
fn what_is_kept_is_there_after_a_restart() {
    let mut bus = Bus::new("");
    bus.gnome_keyring();
    for wanted in [KeyringUse::On, KeyringUse::Auto] {
        let keyring = bus.keyring(wanted);
        assert_eq!(done(&keyring, Request::Check), None);
        assert_eq!(done(&keyring, read()), None, "nothing yet");
        assert_eq!(done(&keyring, delete()), None, "nothing to delete");
        done(&keyring, write("2026-11-24T19:00:00Z"));
        done(&keyring, write("2026-11-24T20:00:00Z"));
        drop(keyring);

        let keyring = bus.keyring(wanted);
        assert_eq!(done(&keyring, read()), Some(session("2026-11-24T20:00:00Z")), "the last one");
        let other = MfaKey { serial: "GAHT12345678".to_owned(), ..key() };
        let now = NOW.parse().unwrap();
        assert_eq!(done(&keyring, Request::Read { key: other, now }), None, "another device");
        // The one entry, as other tools see it.
        let found = bus.secret_tool(&format!("search --all service eksd key {}", key()));
        let (found, about) = (String::from_utf8(found.stdout).unwrap(), found.stderr);
        assert_eq!(found.matches("secret = {\"version\":1,").count(), 1, "{found}");
        assert!(found.contains("label = eksd: MFA session of AKIAIOSFODNN7EXAMPLE"), "{found}");
        let about = String::from_utf8(about).unwrap();
        assert!(about.contains(&format!("attribute.key = {}", key())), "{about}");

        done(&keyring, delete());
        assert_eq!(done(&keyring, read()), None, "deleted");
    }
    assert_eq!(bus.dialogs(), Vec::<String>::new());
}

#[test]
fn what_is_over_or_makes_no_sense_is_deleted() {
    let mut bus = Bus::new("");
    bus.gnome_keyring();
    let keyring = bus.keyring(KeyringUse::On);
    let lookup = format!("lookup service eksd key {}", key());
    for expires_at in ["2026-11-24T08:00:00Z", "2027-11-24T08:00:00Z"] {
        done(&keyring, write(expires_at));
        assert!(bus.secret_tool(&lookup).status.success(), "there");
        assert_eq!(done(&keyring, read()), None);
        assert!(!bus.secret_tool(&lookup).status.success(), "gone");
    }
    for value in ["hunter2", "{}", r#"{"version":2}"#] {
        bus.put(value);
        assert_eq!(done(&keyring, read()), None, "{value}");
        assert!(!bus.secret_tool(&lookup).status.success(), "{value}");
    }
    // Wiped behind eksd's back.
    done(&keyring, write("2026-11-24T20:00:00Z"));
    assert!(bus.secret_tool(&format!("clear service eksd key {}", key())).status.success());
    assert_eq!(done(&keyring, read()), None);
    // Long-lived keys do not belong there.
    let credentials = Credentials { session_token: None, ..session("2026-11-24T20:00:00Z") };
    let status = ask(&keyring, Request::Write { key: key(), credentials }).status;
    assert_eq!(status.why.as_deref(), Some("this is no session to keep"));
    assert_eq!(done(&keyring, read()), None);
}

#[test]
fn a_locked_store_stays_locked() {
    let mut bus = Bus::new("");
    bus.gnome_keyring();
    let keyring = bus.keyring(KeyringUse::Auto);
    done(&keyring, write("2026-11-24T20:00:00Z"));
    bus.lock();
    for wanted in [KeyringUse::On, KeyringUse::Auto] {
        refused(&bus.keyring(wanted), "it is locked");
    }
    refused(&keyring, "it is locked");
    assert_eq!(bus.dialogs(), Vec::<String>::new());
    // A tool that asks: what the monitor would have seen.
    bus.secret_tool(&format!("lookup service eksd key {}", key()));
    assert!(bus.dialogs().iter().any(|line| line.contains("member=Unlock")), "{}", bus.monitor());
}

/// As on a desktop where nobody ever kept a secret: a default collection is not made either, which would
/// ask for its password.
#[test]
fn a_store_without_a_collection() {
    let mut bus = Bus::new("");
    let mut command = bus.command("gnome-keyring-daemon");
    command.args(["--foreground", "--components=secrets"]);
    bus.run(&mut command);
    until("it is there", || bus.read_alias().contains("object path \"/\""));
    for wanted in [KeyringUse::On, KeyringUse::Auto] {
        refused(&bus.keyring(wanted), "it has no default collection");
    }
    assert_eq!(bus.dialogs(), Vec::<String>::new());
}

#[test]
fn a_store_that_is_not_there() {
    let bus = Bus::new("");
    for wanted in [KeyringUse::On, KeyringUse::Auto] {
        let began = Instant::now();
        refused(&bus.keyring(wanted), "no key store is running");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}

/// A service that could be started is started only for those who wrote that they want it.
#[test]
fn only_who_wants_a_store_starts_one() {
    let bus = Bus::new("");
    let (script, started) = (bus.path("script"), bus.path("started"));
    fs::write(&script, format!("echo > {}; exit 1", started.display())).unwrap();
    let exec = format!("{} {}", tool("sh").display(), script.display());
    let service = format!("[D-BUS Service]\nName=org.freedesktop.secrets\nExec={exec}\n");
    fs::write(bus.path("services/secrets.service"), service).unwrap();
    let reload = "/org/freedesktop/DBus org.freedesktop.DBus.ReloadConfig";
    let mut command = bus.command("dbus-send");
    command.args(["--session", "--print-reply", "--dest=org.freedesktop.DBus"]);
    assert!(command.args(reload.split(' ')).status().unwrap().success());
    let auto = bus.keyring(KeyringUse::Auto);
    assert_eq!(ask(&auto, read()).status.why.as_deref(), Some("no key store is running"));
    assert!(!started.exists());
    let on = bus.keyring(KeyringUse::On);
    assert_eq!(ask(&on, read()).status.why.as_deref(), Some("no key store is running"));
    assert!(started.exists());
}

#[test]
fn a_store_that_may_not_be_used() {
    let deny = "<deny send_destination=\"org.freedesktop.secrets\" send_interface=\"org.freedesktop.Secret.Service\"/>";
    let mut bus = Bus::new(deny);
    // The daemon itself is there; nobody may ask it.
    let mut command = bus.command("gnome-keyring-daemon");
    command.args(["--foreground", "--components=secrets"]);
    bus.run(&mut command);
    let keyring = bus.keyring(KeyringUse::Auto);
    until("it is there", || {
        ask(&keyring, Request::Check).status.why.as_deref() != Some("no key store is running")
    });
    refused(&keyring, "it may not be used");
}

/// A key store that hangs costs one deadline, and then nothing for a while.
#[test]
fn a_store_that_hangs() {
    let bus = Bus::new("");
    let hung = zbus::connection::Builder::address(bus.address().as_str());
    // It has the name, and answers no call.
    let hung = zbus::block_on(hung.name("org.freedesktop.secrets").build()).unwrap();
    let deadline = Duration::from_millis(500);
    let limits = Limits { deadline, rest: Duration::from_mins(1) };
    for wanted in [KeyringUse::On, KeyringUse::Auto] {
        let keyring = Keyring::start(wanted, Some(bus.address()), limits).unwrap();
        let began = Instant::now();
        refused(&keyring, "it did not answer in time");
        let took = began.elapsed();
        assert!(
            deadline <= took && took < 3 * deadline,
            "one deadline for four requests: {took:?}"
        );
    }
    let asked = |bus: &Bus| bus.monitor().matches("member=ReadAlias").count();
    until("it was asked", || asked(&bus) == 2);

    // Dropped in the middle of a request: nobody waits, and whoever asked still hears.
    let keyring = Keyring::start(KeyringUse::On, Some(bus.address()), limits).unwrap();
    let (sender, answers) = channel();
    keyring.ask(read(), Box::new(move |answer| sender.send(answer).unwrap()));
    let began = Instant::now();
    drop(keyring);
    assert!(began.elapsed() < deadline / 2, "{:?}", began.elapsed());
    let status = answers.recv_timeout(SOON).unwrap().status;
    assert_eq!(status.why.as_deref(), Some("it did not answer in time"));

    // It is asked again after its rest.
    let limits = Limits { deadline, rest: Duration::ZERO };
    let keyring = Keyring::start(KeyringUse::On, Some(bus.address()), limits).unwrap();
    let before = asked(&bus);
    ask(&keyring, read());
    ask(&keyring, read());
    until("it was asked twice", || asked(&bus) == before + 2);
    drop(hung);
}

/// What would ask a person is let be, and what was prepared for asking is taken back.
#[test]
fn nobody_is_asked() {
    let asks = Some("it would have asked for a password");
    for (habit, request, why) in [
        (Habit::LocksItems, read(), Some("it is locked")),
        // What is no session cannot be deleted, and is none still.
        (Habit::AsksFirst, read(), None),
        (Habit::AsksFirst, write("2026-11-24T20:00:00Z"), asks),
        (Habit::AsksFirst, delete(), asks),
        (Habit::Babbles, Request::Check, Some("it broke off or made no sense")),
    ] {
        let bus = Bus::new("");
        let calls = serve(bus.address(), habit);
        let answer = ask(&bus.keyring(KeyringUse::Auto), request);
        let called: Vec<String> = calls.try_iter().collect();
        assert_eq!(answer.status.why.as_deref(), why, "{called:?}");
        assert_eq!(answer.found, None);
        let is_taken_back = called.last().is_some_and(|call| call == "Dismiss");
        assert_eq!(is_taken_back, matches!(habit, Habit::AsksFirst), "{called:?}");
        assert_eq!(bus.dialogs(), Vec::<String>::new());
    }
}

/// One code, an agent that dies, and no second code.
#[test]
fn an_mfa_session_outlives_the_agent() {
    let mut bus = Bus::new("");
    bus.gnome_keyring();
    let mut place = crate::place::Place::new();
    place.set("DBUS_SESSION_BUS_ADDRESS", bus.address());
    place.append("home/.config/eksd/config.toml", "[mfa]\nkeyring = \"on\"\n");
    place.append(
        "home/.aws/config",
        "[profile guarded]\nrole_arn = arn:aws:iam::444455556666:role/prod-admin\n\
         source_profile = keys\nmfa_serial = arn:aws:iam::111122223333:mfa/alice\nregion = eu-west-1\n",
    );
    let code = place.lab().totp("alice");
    place.eksd(&format!("login guarded --mfa-code {code}")).talk();
    let before = place.credentials("guarded");
    crate::tools::until("the store answers", || {
        place.status()["key_store"]["answers"] == serde_json::Value::Bool(true)
    });
    crate::tools::until("the session is kept", || {
        !bus.secret_tool("search --all service eksd").stdout.is_empty()
    });
    place.signal(rustix::process::Signal::KILL);
    crate::tools::until("the agent is gone", || place.agents().is_empty());
    // The socket of one that is being killed may still take a connection.
    crate::tools::until("another runs", || place.eksd("agent start").code == Some(0));
    place.until_phase("guarded", "fresh");
    let after = place.credentials("guarded");
    assert_ne!(before["AccessKeyId"], after["AccessKeyId"], "role keys are not kept");
    assert_eq!(place.lab().count("GetSessionToken"), 1);
    // A logout takes it out of the store, too.
    place.eksd("logout guarded").talk();
    crate::tools::until("the session is gone from the store", || {
        bus.secret_tool("search --all service eksd").stdout.is_empty()
    });
    // Nobody was asked for anything by the store.
    assert_eq!(bus.dialogs(), Vec::<String>::new());
}
