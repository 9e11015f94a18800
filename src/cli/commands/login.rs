//! `eksd login`: a person's act, by browser, by code, or by both.

mod browser;
mod clipboard;
mod code;
mod console;
mod place;
mod qr;

use std::{
    io::IsTerminal,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use self::{
    browser::{Browser, Shown},
    code::{MOST_CODES, Terminal, Typed},
    place::{Place, decide},
};
use crate::{
    cli::{
        args::LoginArgs,
        door::{self, Call, Wish},
        exit::{Done, of_phases, stop},
        interrupt::{Ends, Interrupt},
        now,
        output::{self, Stop},
        view::until_in_words,
    },
    config::Settings,
    ipc::{
        client::{Client, Heard, is_readable, silent},
        wire::{
            Flow, LoginAsk, LoginCodeParams, LoginDone, LoginOpen, LoginParams, MfaCode,
            Notification, Request, StatusAnswer, StatusParams,
        },
    },
    model::text::{printable, printable_sentence},
    report::{Code, Report},
};

/// How long a person may take. AWS ends a device authorization after ten minutes, and the agent
/// then says so; this is for an agent that does not.
const LOGIN_LIMIT: Duration = Duration::from_mins(16);

/// After how long without news the wait is explained.
const QUIET_LIMIT: Duration = Duration::from_secs(3);

/// How long an agent may take to read an answer.
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// Runs `eksd login`.
pub fn run(call: &Call, args: &LoginArgs) -> Done {
    match log_in(call, args) {
        Err(Stop::Failed(report)) => Ok(stop(&report)),
        done => done,
    }
}

/// Logs in for another command; says what comes of it. Stops where it does not end well.
pub(super) fn again(call: &Call, name: &str, force: bool) -> Result<(), Stop> {
    let args = LoginArgs { name: Some(name.to_owned()), force, ..LoginArgs::default() };
    match log_in(call, &args)? {
        0 => Ok(()),
        _ => Err(given_up().into()),
    }
}

fn log_in(call: &Call, args: &LoginArgs) -> Done {
    let mut door = door::open(call, Wish::Started)?;
    if args.no_input && !needs_nobody(&mut door, args)? {
        output::talk("still good; nothing to do");
        return Ok(0);
    }
    let place = Place::around(&call.env);
    let settings = Settings::load(&call.paths).map_err(Report::from)?;
    let flow = decide(args, settings.login_flow, place);
    let mut person = Person {
        call,
        args,
        settings: &settings,
        place,
        flow,
        open_terminal: Terminal::open,
        terminal: None,
        asked: None,
        refused: 0,
        browser: None,
    };
    let interrupt = Interrupt::listen()?;
    let ends = Ends::listen()?;
    let until = Instant::now() + door.limit(LOGIN_LIMIT);
    let params = LoginParams {
        name: args.name.clone(),
        flow,
        force: args.force,
        mfa_code: args.mfa_code.clone(),
    };
    let Some(done) = person.go_through(door.client(), params, until, &interrupt, ends)? else {
        output::talk("login given up");
        return Ok(1);
    };
    output::talk(success(&done));
    Ok(0)
}

fn given_up() -> Report {
    Report::new(Code::LoginFailed, "the login was given up", "run the command again")
}

/// `--no-input`: refuses where a person would be needed. Returns whether there is something to do that
/// needs none: a code that was given along.
fn needs_nobody(door: &mut door::Door, args: &LoginArgs) -> Result<bool, Report> {
    let names: Vec<String> = args.name.iter().cloned().collect();
    let status: StatusAnswer =
        door.ask(Request::Status(StatusParams { names }), door::ANSWER_LIMIT)?;
    let code = of_phases(super::status::phases(&status, args.name.is_some()));
    if code == 0 && !args.force {
        return Ok(false);
    }
    // A person would not help either; the agent says why.
    if code == 14 {
        return Ok(true);
    }
    if args.mfa_code.is_some() {
        return Ok(true);
    }
    Err(no_input(if code == 12 { Code::NeedsMfa } else { Code::NeedsLogin }, args))
}

/// `--no-input`, and a person is needed.
fn no_input(code: Code, args: &LoginArgs) -> Report {
    let command = args
        .name
        .as_ref()
        .map_or("eksd login".to_owned(), |name| format!("eksd login {}", printable(name)));
    let what = if code == Code::NeedsMfa {
        "an MFA code is needed, and `--no-input` was given"
    } else {
        "a person is needed to log in, and `--no-input` was given"
    };
    Report::new(code, what, format!("run `{command}` in a terminal"))
}

/// The person's side of one login.
struct Person<'a> {
    call: &'a Call,
    args: &'a LoginArgs,
    settings: &'a Settings,
    place: Place,
    flow: Flow,
    /// The real one is `/dev/tty`.
    open_terminal: fn() -> Option<Terminal>,
    terminal: Option<Terminal>,
    /// What is being asked at the terminal.
    asked: Option<LoginAsk>,
    /// How many codes were refused.
    refused: u32,
    browser: Option<Browser>,
}

impl Person<'_> {
    /// Does what the agent asks for until the login has ended; `None`: the person gave it up.
    fn go_through(
        &mut self,
        client: &mut Client,
        params: LoginParams,
        until: Instant,
        interrupt: &Interrupt,
        mut ends: Ends,
    ) -> Result<Option<LoginDone>, Report> {
        let id = client.send(Request::LoginStart(params), until)?;
        let mut quiet_until = Some(until.min(Instant::now() + QUIET_LIMIT));
        loop {
            if self.asked.is_some() && self.terminal.as_ref().is_some_and(Terminal::has_line) {
                if !self.hear(client)? {
                    return Ok(None);
                }
                continue;
            }
            let mut others: Vec<BorrowedFd<'_>> = vec![interrupt.as_fd(), ends.as_fd()];
            if self.asked.is_some() {
                others.extend(self.terminal.as_ref().map(AsFd::as_fd));
            }
            let heard = client.hear::<LoginDone>(id, quiet_until.or(Some(until)), &others)?;
            if matches!(heard, Heard::Late) && quiet_until.take().is_some_and(|it| it < until) {
                output::talk(
                    "waiting for AWS, or for the same login in another terminal (Ctrl-C to leave)",
                );
                continue;
            }
            if matches!(heard, Heard::Notification(_)) {
                quiet_until = None;
            }
            match heard {
                Heard::Answer(done) => {
                    self.leave_prompt();
                    return Ok(Some(done));
                }
                Heard::Notification(Notification::LoginOpen(open)) => self.invite(&open)?,
                Heard::Notification(Notification::LoginAsk(ask)) => self.ask(ask)?,
                Heard::Notification(Notification::LoginConsole(console)) => {
                    if let Err(report) = self.console(&console.profile) {
                        // Ctrl-C was for both.
                        if !is_readable(interrupt.as_fd(), Instant::now())? {
                            return Err(report);
                        }
                    }
                }
                Heard::Notification(
                    Notification::Changed(_) | Notification::DiscoverProgress(_),
                ) => (),
                Heard::Late => return Err(silent(LOGIN_LIMIT)),
                Heard::Other(0) => {
                    self.leave_prompt();
                    return Ok(None);
                }
                Heard::Other(1) => {
                    ends.forget();
                    self.look_at_browser();
                }
                Heard::Other(_) => {
                    if !self.hear(client)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn look_at_browser(&mut self) {
        if self.browser.as_mut().map(Browser::look) == Some(Shown::Failed) {
            self.browser = None;
            let line_end = if self.asked.is_some() { "\n" } else { "" };
            output::talk(format!("{line_end}(no browser could be opened)"));
            // The question stands above the news now.
            if let (Some(terminal), Some(ask)) = (&mut self.terminal, &self.asked) {
                terminal.say(&code::prompt(ask));
            }
        }
    }

    /// Says where to go, always; and goes there, where there is a browser.
    fn invite(&mut self, open: &LoginOpen) -> Result<(), Report> {
        if self.args.no_input {
            return Err(no_input(Code::NeedsLogin, self.args));
        }
        let url = printable_whole(&open.url);
        output::talk(format!("To log in to `{}`, open:\n\n  {url}\n", printable(&open.session)));
        if let Some(code) = &open.user_code {
            output::talk(format!("and compare the code: {}\n", printable(code)));
        }
        if self.args.qr {
            self.show_qr(&url);
        }
        let wants_page = !self.args.no_browser && self.place.has_browser();
        let why_not = why_not_a_page(&open.url);
        let mut is_open = false;
        if wants_page && why_not.is_none() {
            let mut browser =
                Browser::new(&open.session, &open.url, self.settings, &self.call.env, self.place);
            is_open = browser.open() == Shown::Maybe;
            self.browser = Some(browser);
        }
        if let (true, Some(why)) = (wants_page, why_not) {
            output::talk(format!("(no browser is opened: {why})"));
        } else if wants_page && !is_open {
            output::talk("(no browser could be opened)");
        }
        match (is_open, &open.user_code) {
            // What is wrong with it may be meant for a place where it is pasted.
            (false, _) if why_not.is_some() => (),
            (false, _) => self.copy("address", &url),
            (true, Some(code)) if is_code(code) => self.copy("code", code),
            (true, _) => (),
        }
        Ok(())
    }

    fn show_qr(&self, url: &str) {
        let picture = output::talk_size().and_then(|(columns, rows)| {
            qr::draw(url, columns, rows, self.call.env.no_color.is_none())
        });
        output::talk(picture.unwrap_or_else(|| {
            "(no QR code: there is no terminal, or it is too small for one)".to_owned()
        }));
    }

    /// Puts what the person needs next into the clipboard.
    fn copy(&self, what: &str, text: &str) {
        let is_terminal = std::io::stderr().is_terminal() && self.settings.login_copy;
        if let Some(sequence) = clipboard::copy(&self.call.env, is_terminal, text) {
            output::control(&sequence);
            output::talk(format!("(the {what} is in the clipboard, if the terminal allows that)"));
        }
    }

    /// Asks for an MFA code, or says why nobody can be asked.
    fn ask(&mut self, ask: LoginAsk) -> Result<(), Report> {
        if self.args.no_input {
            return Err(code::nobody(&ask, "`--no-input` was given"));
        }
        if let Some(refused) = &ask.refused {
            self.refused += 1;
            if MOST_CODES <= self.refused {
                let report = Report { code: Code::NeedsMfa, ..refused.clone() };
                return Err(report.because(format!("{MOST_CODES} codes were refused")));
            }
        }
        if self.terminal.is_none() {
            self.terminal = (self.open_terminal)();
        }
        let Some(terminal) = &mut self.terminal else {
            return Err(code::nobody(&ask, "there is no terminal to ask at"));
        };
        terminal.say(&code::question(&ask));
        self.asked = Some(ask);
        Ok(())
    }

    /// Hears what is typed. Returns whether the login goes on.
    fn hear(&mut self, client: &mut Client) -> Result<bool, Report> {
        let (Some(terminal), Some(ask)) = (&mut self.terminal, &self.asked) else {
            return Ok(true);
        };
        match terminal.take() {
            Typed::Nothing => (),
            Typed::Code(code) => {
                self.asked = None;
                send(client, code)?;
            }
            Typed::Nonsense => {
                terminal.say(&format!("A code has six digits.\n{}", code::prompt(ask)));
            }
            Typed::End => {
                self.leave_prompt();
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is said next begins on a line of its own.
    fn leave_prompt(&mut self) {
        if let (Some(terminal), Some(_)) = (&mut self.terminal, self.asked.take()) {
            terminal.say("\n");
        }
    }

    fn console(&self, profile: &str) -> Result<(), Report> {
        if self.args.no_input {
            return Err(no_input(Code::NeedsLogin, self.args));
        }
        let has_browser = self.flow == Flow::Browser && !self.args.no_browser;
        console::log_in(self.call, profile, has_browser)
    }
}

fn send(client: &mut Client, code: MfaCode) -> Result<(), Report> {
    let request = Request::LoginCode(LoginCodeParams { code });
    client.send(request, Instant::now() + SEND_LIMIT).map(drop)
}

/// Returns why a server's address is not given to a browser, which may hand it to programs that take more
/// than a page for an address, and read signs in it in ways of their own.
fn why_not_a_page(url: &str) -> Option<&'static str> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Some("the address is not that of a web page");
    }
    // RFC 3986, section 2: what is reserved, what is not, and `%`.
    let is_url = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
    (!url.bytes().all(is_url)).then_some("the address holds signs that no address has")
}

/// Returns whether a server's text is a code that people compare, and nothing that a shell would run.
fn is_code(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// An address must stay whole; what could steer a terminal never belongs in one.
fn printable_whole(url: &str) -> String {
    url.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

fn success(done: &LoginDone) -> String {
    let session = printable_sentence(&done.session);
    let verb = if done.already { "still logged in to" } else { "logged in to" };
    let person = done.person.as_deref().map(printable);
    let who = person.as_ref().map_or(String::new(), |person| format!(" as {person}"));
    let mut text = match until_in_words(done.good_until.as_deref(), done.confidence, &now()) {
        Some(until) => format!("{verb} `{session}`{who}; good until {until}"),
        None => format!("{verb} `{session}`{who}; how long it lasts is not known yet"),
    };
    if let (Some(was), Some(is)) = (&done.was_person, &person) {
        text.push_str(&format!(
            "\n\nWARNING: ANOTHER PERSON. `{session}` was {} until now; every profile of it acts as \
             {is} from now on.\nIf that is not meant: log out in the browser, then run `eksd login \
             --force`.",
            printable(was)
        ));
    }
    text
}

#[cfg(test)]
mod tests;
