//! `eksd login`: a person's act, by browser or by code.

use std::{
    ffi::OsStr,
    os::fd::AsFd,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    cli::{
        args::LoginArgs,
        door::{self, Call, Wish},
        exit::Done,
        interrupt::Interrupt,
        now, output,
        view::until_in_words,
    },
    config::{Env, LoginFlow, Settings},
    ipc::{
        client::{Heard, silent},
        wire::{
            Flow, LoginDone, LoginOpen, LoginParams, Notification, Request, StatusAnswer,
            StatusParams,
        },
    },
    model::text::{printable, printable_sentence},
    report::{Code, Report},
};

/// How long a person may take. AWS ends a device authorization after ten minutes, and the agent
/// then says so; this is for an agent that does not.
const LOGIN_LIMIT: Duration = Duration::from_mins(16);

/// Runs `eksd login`.
pub fn run(call: &Call, args: &LoginArgs) -> Done {
    let mut door = door::open(call, Wish::Started)?;
    if args.no_input {
        return without_person(&mut door, args);
    }
    let place = Place::around(&call.env);
    let setting = Settings::load(&call.paths).map_err(Report::from)?.login_flow;
    let flow = decide(args, setting, place);
    let interrupt = Interrupt::listen()?;
    let params = LoginParams { name: args.name.clone(), flow, force: args.force, mfa_code: None };
    let until = Instant::now() + door.limit(LOGIN_LIMIT);
    let client = door.client();
    let id = client.send(Request::LoginStart(params), until)?;
    loop {
        match client.hear::<LoginDone>(id, Some(until), Some(interrupt.as_fd()))? {
            Heard::Answer(done) => {
                output::talk(success(&done));
                return Ok(0);
            }
            Heard::Notification(Notification::LoginOpen(open)) => {
                invite(call, &open, !args.no_browser && place.has_browser());
            }
            Heard::Notification(
                Notification::Changed(_)
                | Notification::LoginAsk(_)
                | Notification::LoginConsole(_),
            ) => (),
            Heard::Late => return Err(silent(LOGIN_LIMIT).into()),
            Heard::Other => {
                output::talk("login given up");
                return Ok(1);
            }
        }
    }
}

/// `--no-input`: says whether a person would be needed, and asks none.
fn without_person(door: &mut door::Door, args: &LoginArgs) -> Done {
    let names: Vec<String> = args.name.iter().cloned().collect();
    let command = args
        .name
        .as_ref()
        .map_or("eksd login".to_owned(), |name| format!("eksd login {}", printable(name)));
    let status: StatusAnswer =
        door.ask(Request::Status(StatusParams { names }), door::ANSWER_LIMIT)?;
    let phases = super::status::phases(&status, args.name.is_some());
    if !args.force && crate::cli::exit::of_phases(phases) == 0 {
        output::talk("still good; nothing to do");
        return Ok(0);
    }
    let what = "a person is needed to log in, and `--no-input` was given";
    Err(Report::new(Code::NeedsLogin, what, format!("run `{command}` in a terminal")).into())
}

/// What there is to show a page with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Place {
    /// Logged in from elsewhere: a browser here would open on the wrong machine.
    is_remote: bool,
    in_container: bool,
    has_display: bool,
    /// The person says which program shows pages.
    has_chosen_browser: bool,
}

impl Place {
    fn around(env: &Env) -> Self {
        let in_container =
            ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists());
        Self::new(env, in_container)
    }

    fn new(env: &Env, in_container: bool) -> Self {
        let has_display = cfg!(target_os = "macos")
            || env.display.is_some()
            || env.wayland_display.is_some()
            || env.wsl_interop.is_some();
        Self {
            is_remote: env.ssh_connection.is_some() || env.ssh_tty.is_some(),
            in_container,
            has_display,
            has_chosen_browser: env.browser.is_some(),
        }
    }

    fn has_browser(self) -> bool {
        // A development container sets BROWSER to a program that opens the page outside.
        self.has_chosen_browser || (!self.is_remote && !self.in_container && self.has_display)
    }
}

/// Decides the way: flags, then settings, then the surroundings.
fn decide(args: &LoginArgs, setting: LoginFlow, place: Place) -> Flow {
    if args.device_code {
        return Flow::DeviceCode;
    }
    match setting {
        LoginFlow::Browser => Flow::Browser,
        // The page sends the browser back to this machine: over SSH or into a container it would
        // not arrive, even where BROWSER can show it.
        LoginFlow::Auto if !place.is_remote && !place.in_container && place.has_browser() => {
            Flow::Browser
        }
        LoginFlow::Auto | LoginFlow::DeviceCode => Flow::DeviceCode,
    }
}

/// Says where to go, always; and goes there, where there is a browser.
fn invite(call: &Call, open: &LoginOpen, with_browser: bool) {
    let url = printable_whole(&open.url);
    output::talk(format!("To log in to `{}`, open:\n\n  {url}\n", printable(&open.session)));
    if let Some(code) = &open.user_code {
        output::talk(format!("and compare the code: {}\n", printable(code)));
    }
    if !with_browser {
        return;
    }
    // Only a page: what else a URL can start is nobody's business here.
    let is_page = open.url.starts_with("https://") || open.url.starts_with("http://");
    if !is_page || !show_page(&call.env, &open.url) {
        output::talk("(no browser could be opened)");
    }
}

/// An address must stay whole; what could steer a terminal never belongs in one.
fn printable_whole(url: &str) -> String {
    url.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

fn show_page(env: &Env, url: &str) -> bool {
    let usual = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let chosen = env.browser.as_deref().map(|list| browsers(list, url)).unwrap_or_default();
    let usual = vec![usual.to_owned(), url.to_owned()];
    chosen.into_iter().chain([usual]).any(|words| {
        let Some((program, rest)) = words.split_first() else { return false };
        // Never waited for: some browsers stay as long as their window.
        Command::new(program)
            .args(rest)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group_of_its_own()
            .spawn()
            .is_ok()
    })
}

/// Ctrl-C in this terminal must not close the browser.
trait OwnGroup {
    fn process_group_of_its_own(&mut self) -> &mut Self;
}

impl OwnGroup for Command {
    fn process_group_of_its_own(&mut self) -> &mut Self {
        std::os::unix::process::CommandExt::process_group(self, 0)
    }
}

/// Splits `BROWSER`: commands between colons, `%s` stands for the address, which else comes last.
/// There is no shell, so the address is a word whatever it holds.
fn browsers(list: &OsStr, url: &str) -> Vec<Vec<String>> {
    let Some(list) = list.to_str() else { return Vec::new() };
    let commands = list.split(':').map(|command| {
        let mut words: Vec<String> =
            command.split_whitespace().map(|word| word.replace("%s", url)).collect();
        if !words.is_empty() && !command.contains("%s") {
            words.push(url.to_owned());
        }
        words
    });
    commands.filter(|words| !words.is_empty()).collect()
}

fn success(done: &LoginDone) -> String {
    let session = printable_sentence(&done.session);
    let verb = if done.already { "still logged in to" } else { "logged in to" };
    match until_in_words(done.good_until.as_deref(), done.confidence, &now()) {
        Some(until) => format!("{verb} `{session}`; good until {until}"),
        None => format!("{verb} `{session}`; how long it lasts is not known yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::wire::Confidence;

    fn flow(pairs: &[(&str, &str)], in_container: bool) -> (Flow, bool) {
        let env = Env::from_map(pairs.iter().copied());
        let place = Place::new(&env, in_container);
        (decide(&args(), LoginFlow::Auto, place), place.has_browser())
    }

    fn args() -> LoginArgs {
        LoginArgs {
            name: None,
            force: false,
            device_code: false,
            no_browser: false,
            no_input: false,
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_way_follows_from_the_surroundings() {
        for (pairs, in_container, expected) in [
            (&[("DISPLAY", ":0")][..], false, (Flow::Browser, true)),
            (&[("WAYLAND_DISPLAY", "w")], false, (Flow::Browser, true)),
            (&[("BROWSER", "lynx")], false, (Flow::Browser, true)),
            (&[], false, (Flow::DeviceCode, false)),
            (&[("DISPLAY", ":10"), ("SSH_CONNECTION", "a")], false, (Flow::DeviceCode, false)),
            (&[("SSH_TTY", "/dev/pts/1"), ("BROWSER", "b")], false, (Flow::DeviceCode, true)),
            (&[("DISPLAY", ":0")], true, (Flow::DeviceCode, false)),
            (&[("BROWSER", "code --open")], true, (Flow::DeviceCode, true)),
        ] {
            assert_eq!(flow(pairs, in_container), expected, "{pairs:?} {in_container}");
        }
    }

    #[test]
    fn flags_and_settings_go_first() {
        let desk = Place::new(&Env::from_map([("DISPLAY", ":0")]), false);
        let bare = Place::new(&Env::default(), true);
        assert_eq!(decide(&args(), LoginFlow::DeviceCode, desk), Flow::DeviceCode);
        assert_eq!(decide(&args(), LoginFlow::Browser, bare), Flow::Browser);
        let by_code = LoginArgs { device_code: true, ..args() };
        assert_eq!(decide(&by_code, LoginFlow::Browser, desk), Flow::DeviceCode);
    }

    #[test]
    fn browser_lists() {
        let url = "https://x/?a=1&b=$(c)";
        for (list, expected) in [
            ("firefox", vec![vec!["firefox", url]]),
            ("a -n %s:b", vec![vec!["a", "-n", url], vec!["b", url]]),
            ("a --u=%s", vec![vec!["a", "--u=https://x/?a=1&b=$(c)"]]),
            (" : ", vec![]),
        ] {
            assert_eq!(browsers(OsStr::new(list), url), expected, "{list}");
        }
    }

    #[test]
    fn addresses_stay_whole() {
        let long = format!("https://x/{}", "a".repeat(2000));
        assert_eq!(printable_whole(&long), long);
        assert_eq!(printable_whole("https://x/\u{1b}[2Jé"), "https://x/?[2J?");
    }

    #[test]
    fn an_unknown_end_is_said_to_be_unknown() {
        let done = LoginDone {
            session: "corp".into(),
            already: false,
            good_until: None,
            confidence: Confidence::Unknown,
            person: None,
            was_person: None,
        };
        assert_eq!(success(&done), "logged in to `corp`; how long it lasts is not known yet");
    }
}
