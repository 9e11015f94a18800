//! What becomes of a session when something happens to it.

use jiff::Timestamp;

use super::{
    policy::Policy,
    session::{Activity, FailureClass, Outcome, Session, Trouble},
};

impl Session {
    /// A refresh has begun.
    pub fn begin(&mut self) {
        self.activity = Activity::Refreshing;
    }

    /// A refresh has ended, or something good was found elsewhere.
    ///
    /// What was held stays held through every failure: it is good until its own end.
    pub fn apply(&mut self, outcome: Outcome, policy: &Policy, now: Timestamp) {
        match outcome {
            Outcome::Held { validity, renewable } => {
                self.held = Some(validity);
                self.renewable = renewable;
                self.activity = Activity::Idle;
                self.failures = 0;
                self.trouble = None;
                self.parent_retried = false;
            }
            Outcome::Failed(trouble) => self.fail(trouble, policy, now),
        }
    }

    fn fail(&mut self, trouble: Trouble, policy: &Policy, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.activity = match trouble.class {
            FailureClass::MayPass { retry_after } => {
                let wait = policy.back_off(self.failures, self.jitter, retry_after);
                let shortest = wait.min(policy.refusal_holds).max(retry_after.unwrap_or_default());
                Activity::BackingOff {
                    until: now.checked_add(wait).unwrap_or(Timestamp::MAX),
                    ask_from: now.checked_add(shortest).unwrap_or(Timestamp::MAX),
                }
            }
            FailureClass::NeedsPerson | FailureClass::Ended => Activity::WaitingForPerson,
            FailureClass::NeverWorks => Activity::Refused { at: now },
        };
        self.trouble = Some(trouble);
    }

    /// The root session is over: a person must log in.
    pub fn end(&mut self, trouble: Option<Trouble>) {
        self.activity = Activity::WaitingForPerson;
        self.trouble = trouble;
    }

    /// Something changed that may make a refused or waiting session work again (a new login, a
    /// changed file): the plan may try it at once.
    pub fn revive(&mut self) {
        if !matches!(self.activity, Activity::Refreshing) {
            self.activity = Activity::Idle;
        }
        self.failures = 0;
        self.trouble = None;
        self.parent_retried = false;
    }

    /// Returns whether a caller's question may ask AWS at `now`: nothing is in flight, no
    /// back-off runs, and no refusal is so fresh that the answer would be the same.
    pub fn may_ask(&self, policy: &Policy, now: Timestamp) -> bool {
        match self.activity {
            Activity::Idle => true,
            Activity::Refreshing | Activity::WaitingForPerson => false,
            Activity::BackingOff { ask_from, .. } => ask_from <= now,
            Activity::Refused { at } => {
                at.checked_add(policy.refusal_holds).is_ok_and(|until| until <= now)
            }
        }
    }
}
