//! What others do to a root session: a token in a shared file that is newer, or gone.

use jiff::SignedDuration;

use super::{
    owner::{Agent, Held},
    shared::{self, Shared},
    watcher,
};
use crate::model::{
    LoginKey,
    session::{Activity, SessionKey, Trouble, Validity},
};

/// A file that was written this close to eksd's last renewal is the one that it wrote.
const OWN_WRITE: SignedDuration = SignedDuration::from_secs(60);

impl Agent {
    /// Reads every shared token file at once: nobody is served yet.
    pub(super) fn begin_with_caches(&mut self) {
        for key in self.known.shared() {
            match shared::read(&self.world, &key) {
                Ok(found) => self.cache_read(&key, found),
                // Somebody is writing it.
                Err(_) => watcher::read_caches(self, std::slice::from_ref(&key)),
            }
        }
    }

    /// A shared token file was read, at the start or because it changed.
    pub(super) fn cache_read(&mut self, key: &SessionKey, found: Option<Shared>) {
        let now = self.now();
        // What is being done about the session writes the file itself; it is read again at its end.
        if self.flights.contains_key(key) || self.logins.is_ours(key) {
            self.unread.insert(key.clone());
            return;
        }
        let says = found.as_ref().map(|found| found.marks().mark.clone());
        let said = self.files_say.insert(key.clone(), says.clone());
        let is_first_look = said.is_none();
        let Some(session) = self.sessions.get(key) else { return };
        if said == Some(says) {
            return;
        }
        let Some(found) = found else {
            if session.held.is_some() {
                tracing::info!(session = %key, "the token file is gone: somebody logged out");
                if let SessionKey::Login(login) = key {
                    self.memory.forget_session(login);
                }
                self.forget_root(key, None);
            }
            return;
        };
        if session.spec.sso_login().is_some_and(|login| !found.is_of(login)) {
            tracing::info!(session = %key, "the token file is of another start URL or region");
            return;
        }
        let ours = self.vault.get(key).and_then(Held::marks);
        let is_new = ours.is_none_or(|ours| found.marks().is_other_than(ours));
        let was_waiting = session.activity == Activity::WaitingForPerson;
        // The token that was refused is not tried again because somebody touched its file.
        let is_dead = was_waiting && self.logins.was_refused(key, found.marks().mark);
        if !is_new || !found.is_useful(now) || is_dead {
            return;
        }
        tracing::info!(session = %key, "token adopted from the shared cache");
        if let SessionKey::Login(login) = key {
            // At the first look every session waits, and what is remembered is better than a file's
            // age.
            self.remember_adopted(login, &found, was_waiting && !is_first_look, is_first_look);
        }
        self.hold(key, found.into_fresh());
        self.revive_under(key);
        if self.logins.is_in_flight(key) {
            self.login_overtaken(key);
        }
        self.resume_logins(key);
    }

    /// Reads a shared file that changed while something was being done about its session.
    pub(super) fn read_again(&mut self, key: &SessionKey) {
        if self.unread.remove(key) {
            watcher::read_caches(self, std::slice::from_ref(key));
        }
    }

    fn remember_adopted(
        &mut self,
        login: &LoginKey,
        found: &Shared,
        is_login: bool,
        is_first_look: bool,
    ) {
        let modified_at = found.modified_at();
        if is_login || !self.memory.logged_in_at.contains_key(login) {
            self.owner_unknown(login);
            if is_login {
                self.memory.saw_login(login, modified_at);
            } else {
                self.memory.found_login(login, modified_at);
            }
        } else {
            // Another tool renewed it, or somebody else logged in: nothing tells which. So it is asked
            // whose it is now, and the session teaches nothing about lengths.
            let wrote_it = self
                .memory
                .alive_at
                .get(login)
                .is_some_and(|at| modified_at.duration_since(*at).abs() < OWN_WRITE);
            if !(is_first_look && wrote_it) {
                self.owner_unknown(login);
                self.memory.forget_session(login);
            }
        }
        self.scribe.keep_state(&self.memory);
    }

    /// The token is another tool's, and perhaps another person's: then what was had with the one before
    /// is not theirs.
    pub(super) fn owner_unknown(&mut self, login: &LoginKey) {
        self.person_unknown(login);
        self.forget_keys(login, |_| true);
    }

    /// Drops the keys of roles under a sign-in, those of which `is_meant` says so.
    pub(super) fn forget_keys(&mut self, login: &LoginKey, is_meant: impl Fn(Validity) -> bool) {
        let root = SessionKey::Login(login.clone());
        let under: Vec<SessionKey> =
            self.sessions.keys().filter(|key| self.root_of(key) == Some(&root)).cloned().collect();
        for key in under.iter().filter(|key| **key != root) {
            if let Some(session) = self.sessions.get_mut(key)
                && session.held.is_some_and(&is_meant)
            {
                session.held = None;
                self.vault.remove(key);
            }
        }
    }

    /// The root session is over here: what it held and what hangs on it is dropped.
    pub(super) fn forget_root(&mut self, root: &SessionKey, trouble: Option<Trouble>) {
        let under: Vec<SessionKey> =
            self.sessions.keys().filter(|key| self.root_of(key) == Some(root)).cloned().collect();
        for key in under {
            self.vault.remove(&key);
            self.forget_flight(&key);
            if let Some(session) = self.sessions.get_mut(&key) {
                session.held = None;
                session.revive();
                session.activity = Activity::Idle;
            }
        }
        if let Some(session) = self.sessions.get_mut(root)
            && session.spec.wants_person()
        {
            session.end(trouble);
        }
        self.resume_logins(root);
    }
}
