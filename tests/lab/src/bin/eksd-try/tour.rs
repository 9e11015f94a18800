//! The tour: eksd's main job from the first login to the end of the session and the next login, at
//! the speed of the lab.

use std::cell::Cell;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use eksd_lab::{Call, Lab, Lifetimes, Script};
use serde_json::Value;

use crate::desk::{Bubble, Desk};
use crate::home::Home;
use crate::hook::Hook;
use crate::interrupt::Interrupt;
use crate::programs::Programs;
use crate::run::Runner;
use crate::say::Say;
use crate::{Done, Trouble, failed};

/// Seconds that an access token lives; an hour at AWS.
const ACCESS_TOKEN: i64 = 16;

/// Seconds that a role's keys live; an hour at AWS.
const ROLE_KEYS: i64 = 12;

/// Seconds that the sign-in lives; eight hours at AWS, or what the administrator set.
const SESSION: i64 = 36;

/// Seconds before its end at which a person is warned.
const WARNING: i64 = 12;

/// Nothing that the tour waits for takes longer, save on a machine that does not work.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long between two looks at signals and clock.
const LOOK: Duration = Duration::from_millis(200);

/// Takes the person round.
pub(crate) fn tour(programs: &Programs, say: &Say, interrupt: &Interrupt) -> Done {
    let began = Instant::now();
    let lab = Lab::start(Script {
        lifetimes: Lifetimes {
            access_token: ACCESS_TOKEN,
            role_credentials: ROLE_KEYS,
            session: SESSION,
            ..Lifetimes::default()
        },
        ..Script::default()
    });
    let mut home = Home::new(programs, &lab.url())?;
    if !say.colour() {
        home.set("NO_COLOR", "1");
    }
    let desk = Desk::open(&home)?;
    // Without one there is none: not the person's own, whose place would be found without this.
    let address = desk.as_ref().map_or("unix:path=/nonexistent", |desk| desk.address()).to_owned();
    home.set("DBUS_SESSION_BUS_ADDRESS", address);

    let tour = Tour {
        lab: &lab,
        home: &home,
        desk,
        say,
        interrupt,
        run: Runner::new(&home, say, interrupt),
        hook: Hook::of_person(&home).or_else(|| Hook::any(&home)),
        nodes: if home.ask("kubectl", &["version", "--client"]).is_some() {
            "kubectl get nodes"
        } else {
            "eksd-lab kube get nodes"
        },
        logged_in: Cell::new(lab.now()),
    };
    tour.all()?;
    say.success(&format!(
        "All of it worked, in {} s. To play with it yourself: cargo try --shell",
        began.elapsed().as_secs()
    ));
    Ok(())
}

struct Tour<'a> {
    lab: &'a Lab,
    home: &'a Home,
    desk: Option<Desk>,
    say: &'a Say,
    interrupt: &'a Interrupt,
    run: Runner<'a>,
    hook: Option<Hook>,
    /// How to ask the cluster for its nodes.
    nodes: &'static str,
    /// When the person logged in, by the lab's clock.
    logged_in: Cell<i64>,
}

/// A part of the tour, under a heading of its own.
type Step<'a> = fn(&Tour<'a>) -> Done;

impl<'a> Tour<'a> {
    fn all(&self) -> Done {
        let steps: [(&str, Step<'a>); 9] = [
            ("A home for the tour", Self::settle),
            ("Log in, once", Self::first_login),
            ("What is good, and until when", Self::status),
            ("The prompt counts down", Self::prompt),
            ("What can be renewed is renewed ahead", Self::renewal),
            ("A cluster, and kubectl", Self::cluster),
            ("Told before the end", Self::warning),
            ("The session ends", Self::end),
            ("Log in again, and all is well", Self::again),
        ];
        for (heading, step) in steps {
            self.interrupt.check()?;
            self.say.heading(heading);
            step(self).map_err(|trouble| match trouble {
                Trouble::Failed(what) => Trouble::Failed(format!("at “{heading}”: {what}")),
                Trouble::Interrupted => trouble,
            })?;
        }
        self.say.remark(&self.balance());
        let ran = self.run.typed("eksd agent stop")?;
        expect(ran.code == 0, "the agent did not stop")
    }

    fn settle(&self) -> Done {
        self.home.write_aws_config()?;
        self.home.write(
            ".config/eksd/config.toml",
            &format!(
                "[login]\nflow = \"browser\"\n\n\
                 [sso-session.corp]\nlength = \"{SESSION}s\"\n\n\
                 [notices]\nbefore = [\"{WARNING}s\"]\n"
            ),
        )?;
        self.say.line(&format!(
            "Everything happens in {}, which goes away at the end.\n\
             The lab, a program on loopback, stands in for AWS and for an EKS cluster. Time runs fast\n\
             there: access tokens live {ACCESS_TOKEN} s and role keys {ROLE_KEYS} s (an hour at AWS); the session ends\n\
             after {SESSION} s (at AWS after what your administrator set, often 8 h).",
            self.home.folder().display()
        ));
        self.run.typed("cat ~/.aws/config")?;
        self.say.remark("an AWS config as people have it; eksd reads it and does not change it");
        self.run.typed("cat ~/.config/eksd/config.toml")?;
        self.say.remark("eksd's own settings, needed here for the lab's short times only");
        Ok(())
    }

    fn first_login(&self) -> Done {
        self.log_in()?;
        self.say.remark(
            "eksd started its agent and opened the browser; the lab plays browser and person",
        );
        Ok(())
    }

    fn log_in(&self) -> Done {
        let before = self.lab.count("Authorize");
        let ran = self.run.typed("eksd login dev")?;
        expect(ran.code == 0, "the login did not work")?;
        expect(self.lab.count("Authorize") == before + 1, "no browser came to the lab's page")?;
        self.logged_in.set(self.lab.now());
        Ok(())
    }

    fn status(&self) -> Done {
        // Told as the hook of a shell tells it: from here on `dev` is in use, and kept warm.
        self.home.ask("eksd", &["prompt", "--tell", "--profile", "dev"]);
        self.arrives("the keys of `dev`", |calls| {
            calls.iter().any(|call| call.op == "GetRoleCredentials" && call.status == Some(200))
        })?;
        let ran = self.run.typed_in_colour("eksd status")?;
        expect(ran.code == 0, "no status")?;
        self.expect_phase(&["fresh", "renewing"])?;
        self.say.remark("`good until`: when a person will be needed; `keys` renew by themselves");
        Ok(())
    }

    fn prompt(&self) -> Done {
        let Some(hook) = self.hook else {
            self.say.remark(
                "neither zsh nor bash 4.4 is installed here, so there is no prompt to show",
            );
            return Ok(());
        };
        self.say.command(&format!("eval \"$(eksd init {})\"; export AWS_PROFILE=dev", hook.name()));
        let mut shell = hook.prompts(self.home, 4, "login");
        shell.env("AWS_PROFILE", "dev");
        let ran = self.run.read(shell)?;
        let left: Vec<u32> = ran.text.lines().filter_map(seconds).collect();
        let falls = left.windows(2).all(|pair| pair[1] <= pair[0]);
        expect(2 <= left.len() && falls && left.first() != left.last(), "it did not count down")?;
        self.say.remark(&format!(
            "a real {}, asked for its prompt once a second; it reads one small file and starts nothing",
            hook.name()
        ));
        Ok(())
    }

    fn renewal(&self) -> Done {
        let is_renewal = |call: &&Call| {
            call.status == Some(200)
                && (call.grant.as_deref() == Some("refresh_token")
                    || call.op == "GetRoleCredentials")
        };
        self.arrives("token and keys are renewed at about half of their lives", |calls| {
            let done: Vec<&Call> = calls.iter().filter(is_renewal).collect();
            done.iter().any(|call| call.op == "CreateToken")
                && 1 < done.iter().filter(|call| call.op == "GetRoleCredentials").count()
        })?;
        self.say.line("What the lab saw, in seconds after the login:");
        for call in self.lab.calls().iter().filter(is_renewal) {
            self.record(call);
        }
        self.say.remark(&format!(
            "an access token lives {ACCESS_TOKEN} s and role keys {ROLE_KEYS} s: both were replaced long before that"
        ));
        Ok(())
    }

    fn cluster(&self) -> Done {
        let ran = self.run.typed("eksd cluster add demo --region eu-west-1 --profile dev")?;
        expect(ran.code == 0, "the cluster was not added")?;
        self.nodes(true)?;
        self.say
            .remark("a kubeconfig file of its own for the cluster; its token comes from the agent");
        Ok(())
    }

    fn warning(&self) -> Done {
        let end = self.logged_in.get() + SESSION;
        let left = end - self.lab.now();
        self.say.line(&format!(
            "The session has {left} s left; eksd warns {WARNING} s before its end."
        ));
        if self.notice("the warning", end - WARNING, &format!("{WARNING} s before the end"))? {
            self.say.remark("what the desktop was asked to show, while there is still time");
        } else {
            self.becomes("the warning", 10)?;
            self.say.remark("no dbus-daemon is installed here, so there is no notice to show");
        }
        let ran = self.run.typed("eksd status dev --check; echo \"exit code $?\"")?;
        expect(ran.text.trim() == "exit code 10", "it is not told as expiring")?;
        self.say.remark("for scripts: ask before you start something long");
        Ok(())
    }

    fn end(&self) -> Done {
        if let Some(hook) = self.hook {
            self.say.command("export KUBECONFIG=$(eksd cluster path demo)");
            let kubeconfig = self.home.ask("eksd", &["cluster", "path", "demo"]);
            let mut shell = hook.prompts(self.home, 20, "login");
            shell.env("KUBECONFIG", kubeconfig.unwrap_or_default().trim_end());
            let ran = self.run.read(shell)?;
            let last = ran.text.lines().last().unwrap_or_default();
            expect(last.contains("login"), "the prompt does not ask for a login")?;
        }
        self.arrives("AWS refuses to renew", |calls| {
            calls.iter().any(|call| call.error.as_deref() == Some("InvalidGrantException"))
        })?;
        if self.notice("the end", self.lab.now(), "the session has ended")? {
            self.say.remark("AWS refused to renew; eksd says so, and does not ask again and again");
        }
        self.becomes("needs-login", 11)?;
        self.run.typed_in_colour("eksd status")?;
        self.expect_phase(&["needs-login"])?;
        let ran = self.run.typed("eksd status dev --check; echo \"exit code $?\"")?;
        expect(ran.text.trim() == "exit code 11", "it is not told as needing a login")?;

        let keys = self.lab.calls_of("GetRoleCredentials").last().map_or(0, |call| call.time_ms);
        let end = keys.div_euclid(1000) + ROLE_KEYS;
        if self.lab.now() < end {
            self.say.remark(&format!(
                "the last keys are good for another {} s, and are served until then",
                end - self.lab.now()
            ));
            self.until("they end", end)?;
        }
        let ran = self.run.typed("eksd credential-process --profile dev; echo \"exit code $?\"")?;
        expect(ran.text.contains("`eksd login dev`"), "it does not say what to do")?;
        expect(ran.text.lines().count() == 2, "it says more than one line")?;
        expect(!ran.text.contains("exit code 0"), "it says that all is well")?;
        self.nodes(false)?;
        self.say.remark("nothing hangs and nothing asks: one line that names the command to run");
        Ok(())
    }

    fn again(&self) -> Done {
        self.log_in()?;
        if self.desk.is_some() {
            self.closed()?;
            self.say.remark("one login for both profiles, the cluster and every shell; the notice was taken back");
        }
        self.nodes(true)?;
        self.run.typed_in_colour("eksd status")?;
        self.expect_phase(&["fresh", "renewing"])?;
        let ran = self.run.typed("eksd status --check; echo \"exit code $?\"")?;
        expect(ran.text.trim() == "exit code 0", "not all is well")
    }

    /// Asks the cluster for its nodes, through the generated file.
    fn nodes(&self, is_well: bool) -> Done {
        let line = format!("KUBECONFIG=$(eksd cluster path demo) {}", self.nodes);
        let ran = self.run.typed(&line)?;
        if is_well {
            return expect(
                ran.code == 0 && ran.text.contains("ip-"),
                "the cluster showed no nodes",
            );
        }
        expect(ran.code != 0, "the cluster let somebody in without a session")?;
        expect(ran.text.contains("`eksd login dev`"), "it does not say what to do")
    }

    /// Prints a call as the lab recorded it.
    fn record(&self, call: &Call) {
        let tenths = (call.time_ms - self.logged_in.get() * 1000).max(0) / 100;
        let what = call.grant.as_deref().or(call.role.as_deref()).unwrap_or_default();
        let status = call.status.unwrap_or_default();
        self.say.line(&format!(
            "  {:>4}.{} s  {status}  {} {what}",
            tenths / 10,
            tenths % 10,
            call.op
        ));
    }

    /// What the tour cost, from the lab's record.
    fn balance(&self) -> String {
        let calls = self.lab.calls();
        let renewals = calls.iter().filter(|call| {
            call.op == "GetRoleCredentials" || call.grant.as_deref() == Some("refresh_token")
        });
        format!(
            "a person logged in twice; the agent asked AWS {} times for tokens and keys, by itself",
            renewals.count()
        )
    }

    /// Waits until the lab's record shows something.
    fn arrives(&self, what: &str, mut done: impl FnMut(&[Call]) -> bool) -> Done {
        let until = Instant::now() + PATIENCE;
        let began = Instant::now();
        while !self.lab.wait_until(LOOK, &mut done) {
            self.interrupt.check()?;
            self.say.passing(&format!("  {} s … {what}", began.elapsed().as_secs()));
            if until <= Instant::now() {
                self.say.passed();
                return failed(format!("waited in vain until {what}"));
            }
        }
        self.say.passed();
        Ok(())
    }

    /// Waits until a moment of the lab's clock, counting down.
    fn until(&self, what: &str, end: i64) -> Done {
        while self.lab.now() < end {
            self.interrupt.check()?;
            self.say.passing(&format!("  until {what}: {} s", end - self.lab.now()));
            std::thread::sleep(LOOK);
        }
        self.say.passed();
        Ok(())
    }

    /// Waits until `eksd status --check` ends with this code.
    fn becomes(&self, what: &str, code: i32) -> Done {
        let began = Instant::now();
        let eksd = self.home.find("eksd").unwrap_or_default();
        while began.elapsed() < PATIENCE {
            let status = self.home.command(&eksd).args(["status", "dev", "--check"]).status()?;
            if status.code() == Some(code) {
                self.say.passed();
                return Ok(());
            }
            self.interrupt.check()?;
            self.say.passing(&format!("  {} s … {what}", began.elapsed().as_secs()));
            std::thread::sleep(LOOK);
        }
        self.say.passed();
        failed(format!("waited in vain for {what}"))
    }

    /// Waits for a notice and draws it; false where there is no desktop to ask.
    fn notice(&self, what: &str, due: i64, when: &str) -> Done<bool> {
        let Some(desk) = &self.desk else { return Ok(false) };
        let Bubble::Shown { title, body } = self.bubble(desk, what, due)? else {
            return failed(format!("{what}: a notice was taken back instead"));
        };
        self.say.notice(&title, &body);
        expect(title.contains("corp") && body.contains("eksd login"), format!("not {when}"))?;
        Ok(true)
    }

    /// Waits until the notice is taken back.
    fn closed(&self) -> Done {
        let Some(desk) = &self.desk else { return Ok(()) };
        let bubble = self.bubble(desk, "the notice's end", self.lab.now())?;
        expect(bubble == Bubble::Closed, "another notice came instead of the old one's end")
    }

    /// The next thing on the desktop, expected at a moment of the lab's clock.
    fn bubble(&self, desk: &Desk, what: &str, due: i64) -> Done<Bubble> {
        let began = Instant::now();
        loop {
            match desk.next(LOOK) {
                Ok(bubble) => {
                    self.say.passed();
                    return Ok(bubble);
                }
                Err(RecvTimeoutError::Timeout) if began.elapsed() < PATIENCE => {
                    self.interrupt.check()?;
                    let left = (due - self.lab.now()).max(0);
                    self.say.passing(&format!("  until {what}: {left} s"));
                }
                Err(_) => {
                    self.say.passed();
                    return failed(format!("waited in vain for {what}"));
                }
            }
        }
    }

    /// Checks the phase of `dev`, in the JSON that programs read.
    fn expect_phase(&self, phases: &[&str]) -> Done {
        let text = self.home.ask("eksd", &["status", "dev", "--json"]).unwrap_or_default();
        let status: Value = serde_json::from_str(&text).unwrap_or_default();
        let phase = status["profiles"][0]["phase"].as_str().unwrap_or("unknown");
        expect(
            phases.contains(&phase),
            format!("`dev` is {phase} and should be {}", phases.join(" or ")),
        )
    }
}

fn expect(is_so: bool, what: impl Into<String>) -> Done {
    if is_so { Ok(()) } else { failed(what) }
}

/// The seconds left that a prompt shows, such as the 31 of `dev ~31s`.
fn seconds(prompt: &str) -> Option<u32> {
    prompt.split([' ', '~', '\u{1b}']).find_map(|word| {
        word.trim_end_matches('!').strip_suffix('s').and_then(|number| number.parse().ok())
    })
}
