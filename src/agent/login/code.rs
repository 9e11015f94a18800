//! MFA codes: one prompt for all who wait, and no code twice.

use std::collections::BTreeMap;

use super::{Stage, Waiter};
use crate::{
    agent::{
        event::{CodeTried, Event, LoginNews},
        owner::Agent,
        refresh::Job,
    },
    ipc::wire::{LoginAsk, LoginParams, MfaCode},
    model::{
        Secret,
        session::{SessionKey, Spec},
        text::printable,
    },
    report::{Code, Report},
};
use jiff::Timestamp;

/// How long a device shows one code (RFC 6238 section 5.2, the default that AWS's devices use).
const STEP: i64 = 30;

/// A code that the device showed this long ago is taken by AWS no more, so one like it is a new
/// one: AWS takes a code of the step before and the step after, too.
const FORGOTTEN_AFTER: i64 = 3 * STEP;

/// A person who mistypes this often wants to look at the device first.
const MOST_REFUSALS: u32 = 3;

/// The last code given for each device.
#[derive(Debug, Default)]
pub(super) struct Codes(BTreeMap<String, Given>);

#[derive(Debug)]
struct Given {
    code: Secret,
    at: Timestamp,
    /// Whether AWS took it: then the device shows nothing new until its next step.
    is_taken: bool,
}

impl Codes {
    /// Returns the seconds until the device shows a code that can be new, where `code` was given
    /// already.
    fn used(&self, serial: &str, code: &str, now: Timestamp) -> Option<u64> {
        let last = self.0.get(serial)?;
        let age = now.as_second() - last.at.as_second();
        (last.code.expose() == code && age < FORGOTTEN_AFTER).then(|| to_next(now))
    }

    /// Returns the seconds to wait before a person needs to look: while the device still shows the
    /// code that was given.
    fn wait(&self, serial: &str, now: Timestamp) -> u64 {
        let step = |at: Timestamp| at.as_second().div_euclid(STEP);
        match self.0.get(serial) {
            Some(last) if last.is_taken && step(last.at) == step(now) => to_next(now),
            _ => 0,
        }
    }

    fn note(&mut self, serial: &str, code: &str, now: Timestamp) {
        let given = Given { code: Secret::new(code), at: now, is_taken: false };
        self.0.insert(serial.to_owned(), given);
    }

    fn taken(&mut self, serial: &str) {
        if let Some(given) = self.0.get_mut(serial) {
            given.is_taken = true;
        }
    }
}

fn to_next(now: Timestamp) -> u64 {
    u64::try_from(STEP - now.as_second().rem_euclid(STEP)).unwrap_or_default()
}

impl Agent {
    pub(super) fn begin_code_login(&mut self, params: &LoginParams, root: &Spec, waiter: Waiter) {
        if !self.world.is_daemon() {
            let what = "nothing keeps an MFA session when this command is over";
            let fix = "run it without `--no-agent` and with `EKSD_NO_AGENT` unset";
            let report = Report::new(Code::NeedsMfa, what, fix);
            let _hung_up = waiter.news.send(LoginNews::Over(Err(report)));
            return;
        }
        self.logins.begin(&root.key, Stage::Busy, waiter, params.name.clone());
        match &params.mfa_code {
            Some(code) => self.try_code(&root.key, code.expose()),
            None => self.ask_for_code(&root.key, None),
        }
    }

    /// Asks the one who came first.
    fn ask_for_code(&mut self, key: &SessionKey, refused: Option<Report>) {
        let Some(session) = self.sessions.get(key) else { return };
        let Some(device) = session.spec.device() else { return };
        // As the person named it; another profile of the device would only confuse them.
        let named = self.logins.flights.get(key).and_then(|flight| flight.name.clone());
        let named = named.filter(|name| self.known.profile(name).is_some());
        let ask = LoginAsk {
            serial: device.serial.clone(),
            profile: named.unwrap_or_else(|| session.spec.login_name()),
            refused,
            wait_seconds: self.logins.codes.wait(&device.serial, self.now()),
        };
        self.logins.go_on(key, Stage::Code(ask));
    }

    /// Somebody typed a code.
    pub(in crate::agent) fn try_code(&mut self, key: &SessionKey, code: &str) {
        let now = self.now();
        let Some(session) = self.sessions.get(key) else { return };
        let Some(flight) = self.logins.flights.get(key) else { return };
        // Of two codes at once, the first.
        if flight.task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let Some(device) = session.spec.device().cloned() else { return };
        if !MfaCode::new(code).is_well_formed() {
            let what = "an MFA code has six digits";
            let report = Report::new(Code::NeedsMfa, what, "type the digits that the device shows");
            return self.code_refused(key, report);
        }
        if let Some(seconds) = self.logins.codes.used(&device.serial, code, now) {
            let what = format!(
                "the code was given already, and each code of `{}` works once",
                printable(&device.serial)
            );
            let fix = if self.logins.codes.wait(&device.serial, now) == 0 {
                "type the code that the device shows now".to_owned()
            } else {
                format!("wait {seconds} s for the next code")
            };
            return self.code_refused(key, Report::new(Code::NeedsMfa, what, fix));
        }
        let Some(job) = Job::with_code(&session.spec, Secret::new(code)) else { return };
        self.logins.codes.note(&device.serial, code, now);
        let (world, mailbox, number) = (self.world.clone(), self.mailbox.clone(), flight.number);
        let tried = key.clone();
        let task = self.workers.spawn(async move {
            let result = job.run(&world).await;
            mailbox.send(Event::CodeTried(Box::new(CodeTried { key: tried, number, result })));
        });
        if let Some(flight) = self.logins.flights.get_mut(key) {
            flight.stage = Stage::Busy;
            flight.task = Some(task);
        }
    }

    pub(in crate::agent) fn code_tried(&mut self, tried: CodeTried) {
        let CodeTried { key, number, result } = tried;
        if !self.logins.is_current(&key, number) {
            tracing::debug!(login = %key, "a code for a login given up");
            return;
        }
        match result {
            Ok(fresh) => {
                let spec = self.sessions.get(&key).map(|session| &session.spec);
                if let Some(device) = spec.and_then(Spec::device) {
                    self.logins.codes.taken(&device.serial);
                }
                self.end_login(&key, Ok(fresh));
            }
            Err(trouble) if trouble.report.code == Code::NeedsMfa => {
                if let Some(flight) = self.logins.flights.get_mut(&key) {
                    flight.task = None;
                }
                self.code_refused(&key, trouble.report);
            }
            Err(trouble) => self.end_login(&key, Err(trouble.report)),
        }
    }

    /// Asks again, or gives up.
    fn code_refused(&mut self, key: &SessionKey, report: Report) {
        let Some(flight) = self.logins.flights.get_mut(key) else { return };
        flight.refusals += 1;
        // Who gave a code on the command line is not there to be asked for another one.
        let (gave, asked): (Vec<_>, Vec<_>) =
            std::mem::take(&mut flight.waiters).into_iter().partition(|waiter| waiter.gave_code);
        flight.waiters = asked;
        for waiter in gave {
            let _hung_up = waiter.news.send(LoginNews::Over(Err(report.clone())));
        }
        if flight.waiters.is_empty() || MOST_REFUSALS <= flight.refusals {
            self.end_login(key, Err(report));
        } else {
            self.ask_for_code(key, Some(report));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_code_works_once() {
        let mut codes = Codes::default();
        assert_eq!(codes.used("m", "123456", at(0)), None);
        assert_eq!(codes.wait("m", at(0)), 0);
        codes.note("m", "123456", at(5));
        assert_eq!(codes.used("m", "123456", at(10)), Some(20));
        assert_eq!(codes.used("m", "654321", at(10)), None);
        assert_eq!(codes.used("other", "123456", at(10)), None);
        // A wrong one: the device still shows a good one.
        assert_eq!(codes.wait("m", at(10)), 0);
        codes.taken("m");
        assert_eq!(codes.wait("m", at(10)), 20);
        // The device shows another one; the old one is still old.
        assert_eq!(codes.wait("m", at(30)), 0);
        assert_eq!(codes.used("m", "123456", at(31)), Some(29));
        // The same digits, long after: chance.
        assert_eq!(codes.used("m", "123456", at(95)), None);
    }
}
