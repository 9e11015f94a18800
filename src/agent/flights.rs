//! Refreshes under way: begun, given up, and what their results lead to.

use std::time::Duration;

use jiff::Timestamp;
use tokio::task::AbortHandle;

use super::{
    event::{Event, Fresh, Mailbox},
    owner::{Agent, Held, bug},
    refresh,
};
use crate::{
    model::{
        LoginKey, Secret,
        session::{Activity, FailureClass, Outcome, SessionKey, Trouble, Validity},
    },
    report::Report,
};

/// Keys whose source names no end are asked for anew in this time. The SDKs never ask again, and
/// then serve keys that ended long ago; too often would be hard on helpers that are slow.
const ASSUMED_LIFE: Duration = Duration::from_hours(1);

/// A refresh under way.
pub(super) struct Flight {
    number: u64,
    task: AbortHandle,
}

/// Tells the agent if its worker dies without a word, so that nobody waits for ever.
struct LastWord {
    mailbox: Mailbox,
    key: SessionKey,
    flight: u64,
    is_said: bool,
}

impl LastWord {
    fn say(mut self, result: Result<Fresh, Trouble>) {
        self.is_said = true;
        let (key, flight) = (self.key.clone(), self.flight);
        self.mailbox.send(Event::Refreshed { key, flight, result });
    }
}

impl Drop for LastWord {
    fn drop(&mut self) {
        if !self.is_said {
            let (key, flight) = (self.key.clone(), self.flight);
            let result = Err(bug("a refresh died without a word"));
            self.mailbox.send(Event::Refreshed { key, flight, result });
        }
    }
}

impl Agent {
    /// Starts the refresh of a session, unless one is in flight.
    /// Returns whether one is under way now.
    pub(super) fn begin_refresh(&mut self, key: &SessionKey) -> bool {
        let Some(session) = self.sessions.get(key) else { return false };
        if session.activity == Activity::Refreshing {
            return true;
        }
        let Some(job) = refresh::Job::new(session, &self.vault) else {
            tracing::debug!(session = %key, "nothing to refresh from");
            return false;
        };
        self.is_news = true;
        self.last_flight += 1;
        let flight = self.last_flight;
        if let Some(session) = self.sessions.get_mut(key) {
            session.begin();
        }
        tracing::debug!(session = %key, flight, "refresh begins");
        let (world, mailbox) = (self.world.clone(), self.mailbox.clone());
        let last_word = LastWord { mailbox, key: key.clone(), flight, is_said: false };
        let task = self.workers.spawn(async move {
            let result = job.run(&world).await;
            last_word.say(result);
        });
        self.flights.insert(key.clone(), Flight { number: flight, task });
        true
    }

    /// Returns how many refreshes are under way.
    pub(super) fn refreshing(&self) -> usize {
        self.flights.len()
    }

    /// Gives a refresh in flight up.
    pub(super) fn forget_flight(&mut self, key: &SessionKey) {
        if let Some(flight) = self.flights.remove(key) {
            flight.task.abort();
            self.witness_failed(key);
        }
    }

    pub(super) fn refreshed(
        &mut self,
        key: &SessionKey,
        flight: u64,
        result: Result<Fresh, Trouble>,
    ) {
        if self.flights.get(key).is_none_or(|known| known.number != flight) {
            tracing::debug!(session = %key, flight, "result of a forgotten refresh ignored");
            return;
        }
        self.flights.remove(key);
        let is_found = matches!(&result, Ok(Fresh::Token { issued_at: Some(_), .. }));
        if let SessionKey::Login(login) = key {
            if is_found {
                // Another tool was faster, or somebody else logged in: nothing tells which.
                self.owner_unknown(login);
                self.memory.forget_session(login);
                self.scribe.keep_state(&self.memory);
            } else {
                self.learn(login, result.as_ref().err().map(|trouble| trouble.class));
            }
        }
        match result {
            Ok(fresh) => {
                self.hold(key, fresh);
                if is_found {
                    self.revive_under(key);
                }
            }
            Err(trouble) => {
                self.refresh_failed(key, trouble);
                self.witness_failed(key);
            }
        }
        self.resume_logins(key);
        self.read_again(key);
    }

    /// What AWS said about the renewal of a token tells how long sessions last.
    fn learn(&mut self, login: &LoginKey, failed: Option<FailureClass>) {
        let now = self.now();
        match failed {
            None => self.memory.proved_alive(login, now),
            Some(FailureClass::Ended) => self.memory.refused(login, now),
            Some(_) => return,
        }
        self.scribe.keep_state(&self.memory);
    }

    /// Takes something good into the vault and makes it the session's.
    pub(super) fn hold(&mut self, key: &SessionKey, fresh: Fresh) {
        let now = self.now();
        let Some(session) = self.sessions.get_mut(key) else { return };
        let (held, validity, renewable) = match fresh {
            Fresh::Token { token, issued_at, not_kept } => {
                self.note_kept(key, &token.access_token, not_kept);
                let issued_at = issued_at.unwrap_or(now).min(now);
                let validity = Validity { issued_at, expires_at: token.expires_at };
                let renewable = token.is_refreshable(now);
                (Held::Token(token), validity, renewable)
            }
            Fresh::Console { token, issued_at, not_kept } => {
                self.note_kept(key, token.mark(), not_kept);
                let issued_at = issued_at.unwrap_or(now).min(now);
                let expires_at = token.keys.expires_at.unwrap_or(now);
                (Held::Console(token), Validity { issued_at, expires_at }, true)
            }
            Fresh::Keys(keys) => {
                session.has_end = keys.expires_at.is_some();
                let assumed = || now.checked_add(ASSUMED_LIFE).unwrap_or(Timestamp::MAX);
                let expires_at = keys.expires_at.unwrap_or_else(assumed);
                let renewable = !session.spec.wants_person();
                (Held::Keys(keys), Validity { issued_at: now, expires_at }, renewable)
            }
        };
        tracing::info!(session = %key, expires_at = %validity.expires_at, "refreshed");
        if let Held::Keys(keys) = &held {
            let keys = keys.clone();
            self.identify_by(key, &keys);
        }
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.apply(Outcome::Held { validity, renewable }, &self.policy, now);
        self.rested.remove(key);
        self.vault.insert(key.clone(), held);
    }

    /// Whether a shared file holds what was just made: then it is no news.
    fn note_kept(&mut self, key: &SessionKey, mark: &Secret, not_kept: Option<Report>) {
        let subject = match key {
            SessionKey::Console(_) => "login cache",
            _ => "sso cache",
        };
        if let Some(report) = not_kept {
            self.reports.insert(subject.to_owned(), report);
        } else {
            self.reports.remove(subject);
            self.files_say.insert(key.clone(), Some(mark.clone()));
        }
    }

    fn refresh_failed(&mut self, key: &SessionKey, trouble: Trouble) {
        let now = self.now();
        tracing::warn!(session = %key, class = ?trouble.class, what = trouble.report.what, "refresh failed");
        let Some(session) = self.sessions.get(key) else { return };
        let parent = session.spec.parent.clone();
        match (trouble.class, parent) {
            // What it was made from was refused. The parent may have been revoked before its end:
            // renew it once, and believe a second refusal.
            (FailureClass::NeedsPerson, Some(parent)) => {
                let retried = session.parent_retried;
                self.parent_refused(key, &parent, retried, trouble);
            }
            (class, _) => {
                let Some(session) = self.sessions.get_mut(key) else { return };
                if session.spec.device().is_some() && session.spec.wants_person() {
                    // The device's command is gone meanwhile: there is nothing to try again with.
                    session.end(None);
                    return;
                }
                // Keys in a file are renewed by whoever wrote them, not by a login.
                let class = match class {
                    FailureClass::NeedsPerson if !session.is_root() => FailureClass::NeverWorks,
                    class => class,
                };
                session.apply(Outcome::Failed(Trouble { class, ..trouble }), &self.policy, now);
            }
        }
    }

    fn parent_refused(
        &mut self,
        key: &SessionKey,
        parent_key: &SessionKey,
        retried: bool,
        trouble: Trouble,
    ) {
        let now = self.now();
        let Some(parent) = self.sessions.get_mut(parent_key) else { return };
        let (is_root, can_renew) = (parent.is_root(), parent.renewable && !retried);
        // A parent that is being renewed already answers the question; the child asks again soon.
        let is_renewing = parent.activity == Activity::Refreshing;
        if can_renew && !is_renewing {
            parent.held = None;
        } else if is_root && !is_renewing {
            parent.held = None;
            parent.end(Some(trouble.clone()));
            if let Some(held) = self.vault.remove(parent_key)
                && let Some(marks) = held.marks()
            {
                self.logins.note_refused(parent_key, marks.mark);
            }
        }
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.activity = Activity::Idle;
        if is_renewing {
            let class = FailureClass::MayPass { retry_after: None };
            session.apply(Outcome::Failed(Trouble { class, ..trouble }), &self.policy, now);
        } else if can_renew {
            session.parent_retried = true;
        } else if !is_root {
            let class = FailureClass::NeverWorks;
            session.apply(Outcome::Failed(Trouble { class, ..trouble }), &self.policy, now);
        }
    }

    /// Lets every session under a root session try again: it is good again.
    pub(super) fn revive_under(&mut self, root: &SessionKey) {
        let keys: Vec<SessionKey> =
            self.sessions.keys().filter(|key| self.root_of(key) == Some(root)).cloned().collect();
        for key in keys.iter().filter(|key| *key != root) {
            // What is under way was begun with what is over now.
            if self.flights.contains_key(key) {
                self.forget_flight(key);
                if let Some(session) = self.sessions.get_mut(key) {
                    session.activity = Activity::Idle;
                }
            }
            if let Some(session) = self.sessions.get_mut(key) {
                session.revive();
            }
        }
    }

    /// Returns the session at the root of a session's chain.
    pub(super) fn root_of<'a>(&'a self, key: &'a SessionKey) -> Option<&'a SessionKey> {
        let mut at = key;
        while let Some(parent) = self.sessions.get(at)?.spec.parent.as_ref() {
            at = parent;
        }
        Some(at)
    }
}
