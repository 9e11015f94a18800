//! MFA sessions that the system's key store keeps over a restart. Nobody waits for the store: what it
//! says comes as an event, and until then, and without it, things go on.

use jiff::Timestamp;

use super::{
    event::{Event, Fresh},
    owner::{Agent, Held},
};
use crate::{
    model::{
        Credentials,
        keyring::{KeyringUse, MfaKey},
        session::{Activity, SessionKey},
    },
    report::{Code, Report},
    store::keyring::{Answer, Request},
};

/// The name of the report about it.
const SUBJECT: &str = "key store";

fn mfa_key(key: &SessionKey) -> Option<MfaKey> {
    match key {
        SessionKey::Mfa { access_key_id, serial } => {
            Some(MfaKey { access_key_id: access_key_id.clone(), serial: serial.clone() })
        }
        _ => None,
    }
}

impl Agent {
    /// Asks the store for the sessions that it has not been asked for yet.
    pub(super) fn look_for_kept(&mut self) {
        if !self.world.is_daemon() || self.world.settings.keyring == KeyringUse::Off {
            return;
        }
        let roots: Vec<SessionKey> = self.known.roots().map(|root| root.key.clone()).collect();
        for key in roots {
            if let Some(mfa) = mfa_key(&key)
                && self.looked_for.insert(key.clone())
            {
                let now = self.now();
                self.ask_store(Request::Read { key: mfa, now }, key);
            }
        }
    }

    /// Keeps a session that has just begun.
    pub(super) fn keep_session(&self, key: &SessionKey) {
        if let (Some(mfa), Some(Held::Keys(keys))) = (mfa_key(key), self.vault.get(key)) {
            self.ask_store(Request::Write { key: mfa, credentials: keys.clone() }, key.clone());
        }
    }

    /// Forgets a session that was logged out of.
    pub(super) fn forget_kept(&self, key: &SessionKey) {
        if let Some(mfa) = mfa_key(key) {
            // What the store still says about it is of before.
            self.ask_store(Request::Delete { key: mfa }, key.clone());
        }
    }

    fn ask_store(&self, request: Request, key: SessionKey) {
        if !self.world.is_daemon() || self.world.settings.keyring == KeyringUse::Off {
            return;
        }
        let mailbox = self.mailbox.clone();
        let reply = move |answer| mailbox.send(Event::StoreAnswered { key, answer });
        self.world.keyring.ask(request, Box::new(reply));
    }

    pub(super) fn store_answered(&mut self, key: &SessionKey, answer: Answer) {
        let Answer { found, status } = answer;
        if self.world.settings.keyring == KeyringUse::On && !status.answers {
            let report = Report::new(
                Code::WriteFailed,
                "the key store does not answer; MFA sessions end with the agent",
                "unlock it, or set `[mfa] keyring = \"off\"`",
            );
            let why = status.why.clone().unwrap_or_default();
            self.reports.insert(SUBJECT.to_owned(), report.because(why));
        } else {
            self.reports.remove(SUBJECT);
        }
        self.key_store = Some(status);
        if let Some(keys) = found {
            self.take_kept(key, keys);
        }
    }

    /// What was given meanwhile is better than what was kept.
    fn take_kept(&mut self, key: &SessionKey, keys: Credentials) {
        let is_waiting = self.sessions.get(key).is_some_and(|session| {
            session.held.is_none() && session.activity == Activity::WaitingForPerson
        }) && !self.rested.contains(key);
        if is_waiting && keys.expires_at.is_some_and(|end: Timestamp| self.now() < end) {
            tracing::info!(session = %key, "taken from the key store");
            self.hold(key, Fresh::Keys(keys));
            self.revive_under(key);
        }
    }
}
