//! What others do to a root session: a token in the shared cache that is newer, or gone.

use super::{
    event::Fresh,
    owner::{Agent, Held},
};
use crate::{
    model::{
        LoginKey,
        session::{Activity, SessionKey, Trouble},
    },
    store::sso_cache::Cached,
};

impl Agent {
    /// A shared token file was read, at the start or because it changed.
    pub(super) fn cache_read(&mut self, login: &LoginKey, found: Option<Cached>) {
        let now = self.now();
        let key = SessionKey::Login(login.clone());
        let says = found.as_ref().map(|cached| cached.token.access_token.clone());
        let said = self.files_say.insert(login.clone(), says.clone());
        let is_first_look = said.is_none();
        let Some(session) = self.sessions.get(&key) else { return };
        if said == Some(says) {
            return;
        }
        let Some(cached) = found else {
            if session.held.is_some() {
                tracing::info!(session = %key, "the token file is gone: somebody logged out");
                self.memory.forget_session(login);
                self.forget_root(&key, None);
            }
            return;
        };
        let ours = match self.vault.get(&key) {
            Some(Held::Token(token)) => Some(token),
            _ => None,
        };
        let is_new = ours.is_none_or(|ours| {
            ours.access_token != cached.token.access_token
                || ours.refresh_token != cached.token.refresh_token
        });
        let is_useful = now < cached.token.expires_at || cached.token.is_refreshable(now);
        let was_waiting = session.activity == Activity::WaitingForPerson;
        // The token that was refused is not tried again because somebody touched its file.
        let is_dead = was_waiting && self.logins.was_refused(login, &cached.token);
        if !is_new || !is_useful || is_dead || self.logins.is_in_flight(&key) {
            return;
        }
        tracing::info!(session = %key, "token adopted from the shared cache");
        // At the first look every session waits, and what is remembered is better than a file's age.
        let is_login = was_waiting && !is_first_look;
        if is_login || !self.memory.logged_in_at.contains_key(login) {
            self.person_unknown(login);
            if is_login {
                self.memory.saw_login(login, cached.modified_at);
            } else {
                self.memory.found_login(login, cached.modified_at);
            }
        } else {
            // Another tool renewed it: the session lives.
            self.memory.proved_alive(login, cached.modified_at);
        }
        self.scribe.keep_state(&self.memory);
        self.forget_flight(&key);
        let issued_at = Some(cached.modified_at);
        self.hold(&key, Fresh::Token { token: cached.token, issued_at, not_kept: None });
        self.revive_under(&key);
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
    }
}
