//! What follows from the AWS files: which sessions there are, and which are over.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{owner::Agent, watcher};
use crate::{
    config::add_ambient,
    model::{
        AwsFiles,
        session::{Activity, RoleSource, SessionKey, Spec},
    },
    report::Report,
};

impl Agent {
    pub(super) fn files_read(&mut self, files: AwsFiles, unread: Vec<Report>) {
        self.take_files(files, unread);
        watcher::read_caches(self, &self.known.shared());
    }

    /// Makes the agent's sessions those of the files, which were read just now.
    pub(super) fn take_files(&mut self, mut files: AwsFiles, unread: Vec<Report>) {
        if let Some(section) = &self.world.ambient {
            add_ambient(&mut files, section);
        }
        let leaves = self.leaves();
        self.known.update(files, unread, &self.world.settings);
        self.follow_profiles(&leaves);
        self.follow_with_mirror();
        self.follow_console_logins();
        let wanted = self.known.specs();
        // A role that somebody asked for by its ARN hangs on a session that stays.
        let is_kept = |key: &SessionKey| match key {
            SessionKey::Role { source: RoleSource::Session(parent), .. } => {
                wanted.contains_key(key) || wanted.contains_key(parent.as_ref())
            }
            key => wanted.contains_key(key),
        };
        // Another start URL under the same name is another sign-in, with everything below it.
        let moved = |key: &SessionKey| {
            let now = wanted.get(key).and_then(|spec| spec.sso_login());
            let before = self.sessions.get(key).and_then(|session| session.spec.sso_login());
            before.zip(now).is_some_and(|(before, now)| {
                before.start_url != now.start_url || before.reach.region != now.reach.region
            })
        };
        let gone: Vec<SessionKey> = self
            .sessions
            .keys()
            .filter(|key| !is_kept(key) || self.root_of(key).is_some_and(moved))
            .cloned()
            .collect();
        let is_known: BTreeSet<SessionKey> =
            gone.iter().filter(|key| wanted.contains_key(key)).cloned().collect();
        for key in gone {
            if let SessionKey::Login(login) = &key
                && is_known.contains(&key)
            {
                // Who somebody is there has nothing to do with who they were.
                self.memory.forget_session(login);
                self.earlier_person.remove(login);
                self.scribe.keep_state(&self.memory);
            }
            self.drop_session(&key);
        }
        for (key, spec) in self.known.specs() {
            if let Some(session) = self.sessions.get_mut(key)
                && session.spec != *spec
            {
                if session.spec.wants_person() != spec.wants_person() {
                    session.begins_otherwise(spec.wants_person());
                }
                session.spec = spec.clone();
                if matches!(session.activity, Activity::Refused { .. }) {
                    session.revive();
                }
            }
        }
        self.restore_warmth();
        // Whether a person is needed is known, and said, before anybody asks.
        let roots: Vec<Spec> =
            self.known.specs().into_values().filter(|spec| spec.is_root()).cloned().collect();
        for spec in &roots {
            self.session(spec);
        }
        self.look_for_kept();
    }

    /// Profiles used shortly before the agent started are warm from the start.
    fn restore_warmth(&mut self) {
        if !self.world.is_daemon() {
            // One request: only what it asks for is its business.
            return;
        }
        let now = self.now();
        let keep = self.policy.keep_warm;
        let warm: Vec<(Vec<Spec>, Timestamp)> = self
            .memory
            .last_used_at
            .iter()
            .filter_map(|(profile, at)| {
                let until = at.checked_add(keep).ok().filter(|until| now < *until)?;
                let specs = self.known.profile(profile.as_str())?.specs.clone();
                let rests = specs.last().is_some_and(|leaf| self.rested.contains(&leaf.key));
                (!rests).then_some((specs, until))
            })
            .collect();
        for (specs, until) in warm {
            self.warm(&specs, until);
        }
    }

    /// Drops a session with its secrets.
    pub(super) fn drop_session(&mut self, key: &SessionKey) {
        self.sessions.remove(key);
        self.vault.remove(key);
        self.forget_flight(key);
        self.login_gone(key);
        self.looked_for.remove(key);
        // Should it come back, its file is looked at with fresh eyes.
        self.files_say.remove(key);
    }
}
