//! Desktop notices: a real bus, a real notification daemon on a real (if unseen) display, and a
//! monitor on the bus that sees each call.

use std::process::{Child, Stdio};
use std::time::Duration;

use eksd_lab::{Lifetimes, Script};
use serde_json::Value;

use crate::place::Place;
use crate::ran::Ran;
use crate::tools::{SOON, comes, tool, until};

/// Sessions of a quarter of a minute, which the person takes for a little longer, and warnings eight
/// and four seconds before that end.
fn short_sessions() -> Place {
    let lifetimes =
        Lifetimes { session: 14, access_token: 5, role_credentials: 5, ..Lifetimes::default() };
    let place = Place::with(Script { lifetimes, ..Script::default() });
    let settings = "[login]\nflow = \"browser\"\n[notices]\nbefore = [\"8s\", \"4s\"]\n\
                    [sso-session.corp]\nlength = \"16s\"\n";
    place.write("home/.config/eksd/config.toml", settings);
    place
}

/// Programs that are ended with the test.
pub(crate) struct Desktop(Vec<Child>);

impl Drop for Desktop {
    fn drop(&mut self) {
        for child in self.0.iter_mut().rev() {
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}

impl Desktop {
    pub(crate) fn bus(place: &mut Place) -> Self {
        let socket = place.path("bus");
        let address = format!("unix:path={}", socket.display());
        let mut command = place.command(tool("dbus-daemon"));
        command.args(["--session", "--nofork", "--nopidfile", "--address", &address]);
        let daemon = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("the bus is there", || socket.exists());
        place.set("DBUS_SESSION_BUS_ADDRESS", address);
        let mut desktop = Self(vec![daemon]);
        let log = std::fs::File::create(place.path("monitor")).unwrap();
        let mut command = place.command(tool("dbus-monitor"));
        command.args(["--session", "interface='org.freedesktop.Notifications'"]);
        command.args(["type='method_return'", "type='error'"]).stdout(log);
        desktop.0.push(command.stderr(Stdio::null()).spawn().unwrap());
        until("the monitor listens", || place.read("monitor").contains("NameAcquired"));
        desktop
    }

    pub(crate) fn dunst(&mut self, place: &mut Place) {
        let number = std::fs::File::create(place.path("display")).unwrap();
        let mut command = place.command(tool("Xvfb"));
        command.args(["-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"]);
        self.0.push(command.stdout(number).stderr(Stdio::null()).spawn().unwrap());
        until("the display is there", || place.read("display").ends_with('\n'));
        place.set("DISPLAY", format!(":{}", place.read("display").trim()));
        place.write("dunstrc", "[global]\nshow_age_threshold = -1\nhistory_length = 50\n");
        let mut command = place.command(tool("dunst"));
        command.arg("-conf").arg(place.path("dunstrc"));
        self.0.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        until("dunst is there", || dunstctl(place, "is-paused").code == Some(0));
    }
}

fn dunstctl(place: &Place, words: &str) -> Ran {
    let mut command = place.command(tool("dunstctl"));
    command.args(words.split(' ')).output().unwrap().into()
}

fn shown(place: &Place) -> String {
    dunstctl(place, "count displayed").ok().trim().to_owned()
}

/// A call of `Notify` as the monitor saw it.
#[derive(Debug)]
pub(crate) struct Notify {
    replaces: u32,
    /// What the daemon answered.
    id: u32,
    pub(crate) title: String,
    pub(crate) body: String,
}

fn uint(line: &str) -> u32 {
    line.trim().strip_prefix("uint32 ").and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Returns what eksd asked the daemon to show, in order. The monitor may be writing: what is not whole
/// yet is left out.
pub(crate) fn notifies(monitor: &str) -> Vec<Notify> {
    let lines: Vec<&str> = monitor.lines().collect();
    let calls = lines.iter().enumerate().filter(|(at, line)| {
        line.contains("member=Notify")
            && lines.get(at + 1).is_some_and(|it| it.contains("\"eksd\""))
            && at + 7 < lines.len()
    });
    calls
        .map(|(at, line)| {
            let serial = line.split(" serial=").nth(1).unwrap().split(' ').next().unwrap();
            let reply = format!("reply_serial={serial}");
            let sender = line.split("sender=").nth(1).unwrap().split(' ').next().unwrap();
            let answer = lines.iter().position(|line| {
                line.starts_with("method return")
                    && line.contains(&format!("destination={sender} "))
                    && line.ends_with(&reply)
            });
            Notify {
                replaces: uint(lines[at + 2]),
                id: answer.and_then(|answer| lines.get(answer + 1)).map_or(0, |line| uint(line)),
                title: lines[at + 4].trim().to_owned(),
                body: lines[at + 5..at + 7].join("\n"),
            }
        })
        .collect()
}

#[test]
fn a_person_is_told_before_the_end_and_at_the_end() {
    let mut place = short_sessions();
    let mut desktop = Desktop::bus(&mut place);
    desktop.dunst(&mut place);
    place.login();
    // Three profiles of one session: one bubble.
    for profile in ["dev", "reader", "chained"] {
        place.credentials(profile);
    }
    assert_eq!(shown(&place), "0", "nothing to say yet");
    until("the first warning", || shown(&place) == "1");
    let wait = Duration::from_secs(40);
    let ended = || notifies(&place.read("monitor")).iter().any(|it| it.title.contains("has ended"));
    assert!(comes(wait, ended), "no notice of the end\n{}", place.log());
    let told = notifies(&place.read("monitor"));
    let titles: Vec<&str> = told.iter().map(|notify| notify.title.as_str()).collect();
    assert_eq!(told.len(), 3, "two warnings and the end: {titles:?}");
    assert!(titles[0].contains("SSO session corp ends in "), "{titles:?}");
    assert!(titles[1].contains("SSO session corp ends in "), "{titles:?}");
    assert!(titles[2].contains("SSO session corp has ended"), "{titles:?}");
    assert!(told.iter().all(|notify| notify.body.contains("eksd login corp")), "{told:?}");
    assert_eq!(told[0].replaces, 0, "{told:?}");
    assert_ne!(told[0].id, 0, "{told:?}");
    assert!(told.iter().skip(1).all(|notify| notify.replaces == told[0].id), "{told:?}");
    assert!(told.iter().all(|notify| notify.id == told[0].id), "{told:?}");
    assert_eq!(shown(&place), "1", "one bubble");

    // Logged in: the bubble goes.
    place.lab().edit(|script| script.lifetimes.session = 3600);
    place.login();
    until("withdrawn", || shown(&place) == "0");
    assert!(place.read("monitor").contains("member=CloseNotification"));
    let history: Value = dunstctl(&place, "history").json();
    let last = &history["data"][0][0]["summary"]["data"];
    assert_eq!(last, "SSO session corp has ended", "{history}");
    assert_eq!(place.browsers(), 2, "a notice opens nothing");
}

/// No bus, a bus without a daemon, a bus that is gone: nothing is late, nothing is said.
#[test]
fn silent_where_there_is_nobody_to_tell() {
    for kind in ["no bus", "no daemon", "a dead bus"] {
        let mut place = short_sessions();
        let desktop = match kind {
            "no bus" => None,
            _ => Some(Desktop::bus(&mut place)),
        };
        if kind == "a dead bus" {
            drop(desktop);
        }
        let settings = place.read("home/.config/eksd/config.toml");
        // A warning at once.
        let settings = settings.replace("\"8s\", \"4s\"", "\"15s\", \"12s\"");
        place.write("home/.config/eksd/config.toml", &settings);
        place.login();
        place.credentials("dev");
        let expiring = comes(SOON, || place.row("dev")["phase"] == "expiring");
        assert!(expiring, "{kind}: {}", place.row("dev"));
        let began = std::time::Instant::now();
        let ran = place.eksd("credential-process --profile dev");
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{kind}");
        assert!(began.elapsed() < Duration::from_secs(2), "{kind}: {:?}", began.elapsed());
        let log = place.log();
        assert!(!log.contains("WARN") && !log.contains("ERROR"), "{kind}: {log}");
        place.end_agent();
    }
}

#[test]
fn a_person_who_wants_no_notices_gets_none() {
    let mut place = short_sessions();
    let mut desktop = Desktop::bus(&mut place);
    desktop.dunst(&mut place);
    let settings = place.read("home/.config/eksd/config.toml");
    let settings = settings.replace("[notices]", "[notices]\nenabled = false");
    place.write("home/.config/eksd/config.toml", &settings);
    place.login();
    place.credentials("dev");
    until("the end is near", || place.row("dev")["phase"] == "expiring");
    place.until_phase("dev", "needs-login");
    assert!(!place.read("monitor").contains("member=Notify"));
}
