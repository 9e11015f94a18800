//! Which sessions to refresh now, and when to look again.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    policy::Policy,
    session::{Activity, Session, SessionKey, Validity},
};

/// All sessions, by key.
pub type Sessions = BTreeMap<SessionKey, Session>;

/// What [`plan`] decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Sessions to refresh at once.
    pub due: Vec<SessionKey>,
    /// Root sessions that are over and that only a person can begin anew.
    pub ended: Vec<SessionKey>,
    /// The next instant at which something may be due.
    pub wake_at: Option<Timestamp>,
}

impl Plan {
    /// Brings `wake_at` forward to `at`.
    pub fn wake_by(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// Returns the instant at which what is held should be renewed: half of its life, ±10 %.
///
/// So an outage of 25 minutes costs nobody anything, and the last 15 minutes, in which the AWS CLI
/// and the SDKs start refreshing by themselves, are never reached.
pub fn refresh_at(held: Validity, jitter: f64) -> Timestamp {
    let wait = held.lifetime().mul_f64(0.5 * jitter.clamp(0.9, 1.1));
    held.issued_at.checked_add(wait).unwrap_or(held.expires_at)
}

/// Returns whether what is held may be handed out without trying for something better first.
///
/// The floor is 15 minutes, and for sessions too short for that, half of their life.
pub fn is_above_floor(held: Validity, policy: &Policy, now: Timestamp) -> bool {
    let left = super::session::span(now, held.expires_at);
    let floor = policy.floor.min(held.lifetime().mul_f64(0.45));
    !left.is_zero() && floor <= left
}

/// Decides which of `sessions` to refresh at `now`, and when to look again.
///
/// Only warm sessions are renewed ahead. A session whose parent is not good waits for the parent,
/// which is due itself if it can be renewed; the parent's outcome leads to a new plan.
pub fn plan(sessions: &Sessions, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    for session in sessions.values() {
        if has_ended(session) {
            match session.held {
                Some(held) if held.is_good(now) => plan.wake_by(held.expires_at),
                _ => plan.ended.push(session.spec.key.clone()),
            }
            continue;
        }
        let Some(due_at) = due_at(session, now).filter(|_| session.is_warm(now)) else { continue };
        if now < due_at {
            plan.wake_by(due_at);
        } else if parent_is_good(sessions, session, now) {
            plan.due.push(session.spec.key.clone());
        }
    }
    plan
}

/// Returns whether the session's parent, if it has one, holds something good.
pub fn parent_is_good(sessions: &Sessions, session: &Session, now: Timestamp) -> bool {
    session
        .spec
        .parent
        .as_ref()
        .is_none_or(|parent| sessions.get(parent).is_some_and(|parent| parent.is_good(now)))
}

/// A root session that nothing but a person can renew, and that nobody has declared ended yet.
fn has_ended(session: &Session) -> bool {
    session.is_root() && !session.renewable && session.activity == Activity::Idle
}

fn due_at(session: &Session, now: Timestamp) -> Option<Timestamp> {
    match (session.activity, session.held) {
        (Activity::Refreshing | Activity::WaitingForPerson | Activity::Refused { .. }, _) => None,
        (Activity::BackingOff { until, .. }, _) => Some(until),
        (Activity::Idle, Some(held)) => Some(refresh_at(held, session.jitter).min(held.expires_at)),
        (Activity::Idle, None) => Some(now),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{
        LoginKey, Reach, SsoLogin,
        session::{FailureClass, Outcome, Recipe, Spec, Trouble},
    };
    use crate::report::{Code, Report};

    fn at(clock: &str) -> Timestamp {
        format!("2026-01-01T{clock}:00Z").parse().unwrap()
    }

    fn held(issued: &str, expires: &str) -> Validity {
        Validity { issued_at: at(issued), expires_at: at(expires) }
    }

    fn login() -> Session {
        let key = LoginKey::Named("corp".into());
        let login = SsoLogin {
            key: key.clone(),
            start_url: String::new(),
            scopes: Vec::new(),
            reach: Reach::default(),
        };
        let key = SessionKey::Login(key);
        Session::new(Spec { key, parent: None, recipe: Recipe::Login(login) }, 1.0)
    }

    fn role() -> Session {
        let login = LoginKey::Named("corp".into());
        let parent = Some(SessionKey::Login(login.clone()));
        let key = SessionKey::SsoRole { login, account_id: "1".into(), role_name: "Dev".into() };
        Session::new(Spec { key, parent, recipe: Recipe::SsoRole { reach: Reach::default() } }, 1.0)
    }

    fn trouble(class: FailureClass) -> Trouble {
        Trouble { class, report: Report::new(Code::Unreachable, "x", "y") }
    }

    /// Plans a login and a role after `arrange`; compares what is due, ended and next.
    #[track_caller]
    fn check(
        now: &str,
        arrange: impl FnOnce(&mut Session, &mut Session),
        due: &[&str],
        ended: usize,
        wake_at: Option<&str>,
    ) {
        let (mut login, mut role) = (login(), role());
        login.warm_until = Some(at("23:00"));
        role.warm_until = Some(at("23:00"));
        arrange(&mut login, &mut role);
        let sessions: Sessions =
            [login, role].into_iter().map(|session| (session.spec.key.clone(), session)).collect();
        let plan = plan(&sessions, at(now));
        let names: Vec<_> = plan.due.iter().map(ToString::to_string).collect();
        assert_eq!(names, due, "due");
        assert_eq!(plan.ended.len(), ended, "ended");
        assert_eq!(plan.wake_at, wake_at.map(at), "wake_at");
    }

    fn hold(session: &mut Session, issued: &str, expires: &str) {
        let outcome = Outcome::Held { validity: held(issued, expires), renewable: true };
        session.apply(outcome, &Policy::default(), at(issued));
    }

    #[test]
    fn due_at_half_of_the_life() {
        for (issued, expires, jitter, expected) in [
            ("08:00", "09:00", 1.0, "08:30"),
            ("08:00", "09:00", 0.9, "08:27"),
            ("08:00", "09:00", 1.1, "08:33"),
            // A draw from elsewhere cannot push it out of its window.
            ("08:00", "09:00", 7.0, "08:33"),
            ("08:00", "20:00", 1.0, "14:00"),
        ] {
            assert_eq!(refresh_at(held(issued, expires), jitter), at(expected));
        }
        // Ends reversed: due at once, not in the past of the past.
        assert_eq!(refresh_at(held("09:00", "08:00"), 1.0), at("09:00"));
    }

    #[test]
    fn floor() {
        let policy = Policy::default();
        for (expires, now, expected) in [
            ("09:00", "08:44", true),
            ("09:00", "08:45", true),
            ("09:00", "08:46", false),
            ("09:00", "09:00", false),
            // Too short for fifteen minutes: just under half of its life.
            ("08:20", "08:10", true),
            ("08:20", "08:12", false),
        ] {
            let held = held("08:00", expires);
            assert_eq!(is_above_floor(held, &policy, at(now)), expected, "{expires} {now}");
        }
    }

    #[test]
    fn nothing_is_due_without_a_login() {
        check("08:00", |_, _| {}, &[], 0, None);
    }

    #[test]
    fn a_role_is_fetched_once_the_login_is_there() {
        let arrange = |login: &mut Session, _: &mut Session| hold(login, "08:00", "09:00");
        check("08:00", arrange, &["sso role 1/Dev"], 0, Some("08:30"));
    }

    #[test]
    fn both_are_renewed_at_half_of_their_lives() {
        let arrange = |login: &mut Session, role: &mut Session| {
            hold(login, "08:00", "09:00");
            hold(role, "08:10", "09:10");
        };
        check("08:29", arrange, &[], 0, Some("08:30"));
        check("08:30", arrange, &["login corp"], 0, Some("08:40"));
        check("08:40", arrange, &["login corp", "sso role 1/Dev"], 0, None);
    }

    #[test]
    fn a_role_waits_for_an_expired_token() {
        let arrange = |login: &mut Session, role: &mut Session| {
            hold(login, "08:00", "09:00");
            hold(role, "08:10", "09:10");
        };
        check("09:05", arrange, &["login corp"], 0, None);
    }

    #[test]
    fn what_is_not_used_is_left_alone() {
        let arrange = |login: &mut Session, role: &mut Session| {
            hold(login, "08:00", "09:00");
            hold(role, "08:00", "09:00");
            role.warm_until = Some(at("08:10"));
        };
        check("08:40", arrange, &["login corp"], 0, None);
    }

    #[test]
    fn in_flight_waiting_and_refused_are_not_due() {
        for activity in [
            Activity::Refreshing,
            Activity::WaitingForPerson,
            Activity::Refused { at: at("08:00") },
        ] {
            let arrange = |login: &mut Session, role: &mut Session| {
                hold(login, "08:00", "09:00");
                hold(role, "08:00", "09:00");
                role.activity = activity;
            };
            check("08:40", arrange, &["login corp"], 0, None);
        }
    }

    #[test]
    fn a_failure_that_may_pass_is_tried_again_and_costs_nothing_held() {
        let arrange = |login: &mut Session, role: &mut Session| {
            hold(login, "08:30", "09:30");
            hold(role, "08:00", "09:00");
            let retry_after = Some(Duration::from_mins(2));
            let trouble = trouble(FailureClass::MayPass { retry_after });
            role.apply(Outcome::Failed(trouble), &Policy::default(), at("08:30"));
            assert!(role.is_good(at("08:59")));
        };
        check("08:31", arrange, &[], 0, Some("08:32"));
        check("08:32", arrange, &["sso role 1/Dev"], 0, Some("09:00"));
    }

    #[test]
    fn a_token_that_cannot_be_renewed_ends() {
        let arrange = |login: &mut Session, _: &mut Session| {
            let outcome = Outcome::Held { validity: held("08:00", "16:00"), renewable: false };
            login.apply(outcome, &Policy::default(), at("08:00"));
        };
        check("12:30", arrange, &["sso role 1/Dev"], 0, Some("16:00"));
        check("16:00", arrange, &[], 1, None);
    }

    #[test]
    fn back_off_doubles_to_its_cap() {
        let policy = Policy::default();
        for (failures, retry_after, seconds) in
            [(1, None, 1), (2, None, 2), (5, None, 16), (40, None, 300), (1, Some(30), 30)]
        {
            let retry_after = retry_after.map(Duration::from_secs);
            let wait = policy.back_off(failures, 1.0, retry_after);
            assert_eq!(wait, Duration::from_secs(seconds), "{failures}");
        }
    }

    proptest::proptest! {
        /// Whatever the states: nothing is due twice, nothing wakes the loop in the past (it would
        /// spin), and beginning what is due leaves nothing due.
        #[test]
        fn a_plan_settles(
            now in 0_i64..20_000,
            states in proptest::collection::vec((0_i64..10_000, 1_i64..10_000, 0..6_u8, 0.9..1.1_f64), 2),
        ) {
            let instant = |s: i64| Timestamp::from_second(s).unwrap();
            let now = instant(now);
            let mut sessions = Sessions::new();
            for (mut session, (issued, life, state, jitter)) in [login(), role()].into_iter().zip(states) {
                session.jitter = jitter;
                session.warm_until = Some(instant(100_000));
                session.activity = match state {
                    0 => Activity::Refreshing,
                    1 => Activity::WaitingForPerson,
                    2 => Activity::BackingOff {
                        until: instant(issued + life),
                        ask_from: instant(issued),
                    },
                    3 => Activity::Refused { at: instant(issued) },
                    _ => Activity::Idle,
                };
                session.held = (state != 5)
                    .then(|| Validity { issued_at: instant(issued), expires_at: instant(issued + life) });
                session.renewable = state != 4;
                sessions.insert(session.spec.key.clone(), session);
            }
            let first = plan(&sessions, now);
            proptest::prop_assert!(first.wake_at.is_none_or(|at| now < at));
            for key in &first.due {
                sessions.get_mut(key).unwrap().begin();
            }
            for key in &first.ended {
                sessions.get_mut(key).unwrap().end(None);
            }
            let second = plan(&sessions, now);
            proptest::prop_assert!(second.due.is_empty() && second.ended.is_empty());
        }
    }
}
