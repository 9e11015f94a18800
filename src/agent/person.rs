//! Who logged in: asked of AWS once for each login, so that another person on the same start URL is
//! never taken for the one before without a word.

use std::sync::Arc;

use super::{event::Event, owner::Agent};
use crate::{
    model::{
        Credentials, LoginKey, Reach,
        session::{SessionKey, Spec},
        text::printable,
    },
    report::{Code, Report},
    world::World,
};

/// What AWS said about a login.
#[derive(Debug)]
pub(super) struct Identified {
    /// Which.
    login: LoginKey,
    /// Who, where AWS could be asked.
    person: Option<String>,
}

impl Agent {
    /// Finds out who just logged in, by the role of `name` or of a profile in use. Returns the role, if
    /// there is one: its keys tell.
    pub(super) fn identify(&mut self, root: &SessionKey, name: Option<&str>) -> Option<SessionKey> {
        let role = self.role_under(root, name)?;
        self.session(&role);
        self.begin_refresh(&role.key).then_some(role.key)
    }

    fn role_under(&self, root: &SessionKey, name: Option<&str>) -> Option<Spec> {
        let is_role = |spec: &&Spec| matches!(spec.key, SessionKey::SsoRole { .. });
        let is_under = |spec: &&Spec| spec.parent.as_ref() == Some(root);
        let named = name.and_then(|name| self.resolve(name).ok()).and_then(|meant| {
            self.known.profile(&meant.resolved.profile)?.specs.iter().filter(is_role).find(is_under)
        });
        let now = self.now();
        let warm = || {
            let warm = self.sessions.values().filter(|session| session.is_warm(now));
            warm.map(|session| &session.spec).filter(is_role).find(is_under)
        };
        named.or_else(warm).cloned()
    }

    /// The first role credentials of a login tell who it was.
    pub(super) fn identify_by(&mut self, key: &SessionKey, keys: &Credentials) {
        let SessionKey::SsoRole { login, .. } = key else { return };
        if self.memory.person.contains_key(login) || !self.unidentified.remove(login) {
            return;
        }
        let Some(sso) = self.known.logins().get(login) else { return };
        let (reach, login, keys) = (sso.reach.clone(), login.clone(), keys.clone());
        let (world, mailbox) = (self.world.clone(), self.mailbox.clone());
        self.workers.spawn(async move {
            let person = who(&world, &reach, &keys).await;
            mailbox.send(Event::Identified(Identified { login, person }));
        });
    }

    /// A login is known to be new: whose it is, is not.
    pub(super) fn person_unknown(&mut self, login: &LoginKey) {
        if let Some(person) = self.memory.person.remove(login) {
            self.earlier_person.insert(login.clone(), person);
        }
        self.unidentified.insert(login.clone());
    }

    pub(super) fn identified(&mut self, identified: Identified) {
        let Identified { login, person } = identified;
        let root = SessionKey::Login(login.clone());
        let earlier = self.earlier_person.get(&login).cloned();
        let what = format!("person {login}");
        if let Some(person) = &person {
            self.unidentified.remove(&login);
            self.memory.person.insert(login.clone(), person.clone());
            self.scribe.keep_state(&self.memory);
            match &earlier {
                Some(earlier) if earlier != person => {
                    let report = another(&login, earlier, person);
                    tracing::warn!(what = report.what, "another person logged in");
                    self.reports.insert(what, report);
                    // What was had before the login is not theirs.
                    let since = self.memory.logged_in_at.get(&login).copied();
                    self.forget_keys(&login, |held| since.is_some_and(|at| held.issued_at < at));
                }
                _ => {
                    self.reports.remove(&what);
                    self.earlier_person.remove(&login);
                }
            }
        }
        self.login_identified(&root, person, earlier);
    }
}

fn another(login: &LoginKey, earlier: &str, person: &str) -> Report {
    let (login, earlier, person) =
        (printable(login.cache_text()), printable(earlier), printable(person));
    Report::new(
        Code::AnotherPerson,
        format!(
            "the SSO session `{login}` is now that of `{person}`; before, it was that of `{earlier}`"
        ),
        format!(
            "if that is not meant: `eksd logout {login}`, then `eksd login {login}` as `{earlier}`"
        ),
    )
}

/// Returns who AWS says the keys belong to: the name of the role's session, which Identity Center
/// sets to the user's name (IAM Identity Center User Guide, "Understanding sign-in events").
async fn who(world: &Arc<World>, reach: &Reach, keys: &Credentials) -> Option<String> {
    world.pace.wait().await;
    match world.aws.caller_identity(reach, keys).await {
        Ok(identity) => identity.arn.rsplit('/').next().map(str::to_owned),
        Err(error) => {
            tracing::debug!(%error, "who logged in is not known");
            None
        }
    }
}
