//! Who logged in: asked of AWS once for each login, so that another person on the same start URL is
//! never taken for the one before without a word.

use std::{sync::Arc, time::Duration};

use super::{
    event::{Event, Fresh},
    owner::{Agent, Held},
};
use crate::{
    model::{
        Credentials, LoginKey, Reach, Secret, SsoLogin,
        session::{Recipe, SessionKey, Spec},
        text::printable,
    },
    report::{Code, Report},
    world::World,
};

/// A login is over when this is: who it was is worth a moment, not more.
const PATIENCE: Duration = Duration::from_secs(5);

/// What AWS said about a login.
#[derive(Debug)]
pub(super) struct Identified {
    /// Which.
    login: LoginKey,
    /// Who, where AWS could be asked.
    person: Option<String>,
    /// Role credentials that were fetched on the way, and whose.
    role: Option<(Spec, Credentials)>,
}

impl Agent {
    /// Asks who just logged in, with the role of `name` or of a profile in use. Returns whether there
    /// is a role to ask with; the login then ends with [`Event::Identified`].
    pub(super) fn identify(&mut self, login: &SsoLogin, name: Option<&str>) -> bool {
        let root = SessionKey::Login(login.key.clone());
        let Some(Held::Token(token)) = self.vault.get(&root) else { return false };
        let Some(role) = self.role_under(&root, name) else { return false };
        let errand =
            Errand { login: login.clone(), access_token: token.access_token.clone(), role };
        let (world, mailbox) = (self.world.clone(), self.mailbox.clone());
        self.workers.spawn(async move {
            let key = errand.login.key.clone();
            let found = tokio::time::timeout(PATIENCE, errand.run(&world)).await;
            let nobody = Identified { login: key, person: None, role: None };
            mailbox.send(Event::Identified(Box::new(found.unwrap_or(nobody))));
        });
        true
    }

    fn role_under(&self, root: &SessionKey, name: Option<&str>) -> Option<Spec> {
        let is_role = |spec: &&Spec| matches!(spec.key, SessionKey::SsoRole { .. });
        let is_under = |spec: &&Spec| spec.parent.as_ref() == Some(root);
        let named = name.and_then(|name| self.resolve(name).ok()).and_then(|resolved| {
            self.known.profile(&resolved.profile)?.specs.iter().filter(is_role).find(is_under)
        });
        let now = self.now();
        let warm = || {
            let warm = self.sessions.values().filter(|session| session.is_warm(now));
            warm.map(|session| &session.spec).filter(is_role).find(is_under)
        };
        named.or_else(warm).cloned()
    }

    /// The first role credentials of a login that somebody else made tell who it was.
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
            mailbox.send(Event::Identified(Box::new(Identified { login, person, role: None })));
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
        let Identified { login, person, role } = identified;
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
                }
                _ => {
                    self.reports.remove(&what);
                    self.earlier_person.remove(&login);
                }
            }
        }
        if let Some((spec, keys)) = role
            && self.session(&spec).held.is_none()
        {
            self.hold(&spec.key, Fresh::Keys(keys));
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

/// One question.
struct Errand {
    login: SsoLogin,
    access_token: Secret,
    role: Spec,
}

impl Errand {
    async fn run(self, world: &Arc<World>) -> Identified {
        let mut found = Identified { login: self.login.key.clone(), person: None, role: None };
        let SessionKey::SsoRole { account_id, role_name, .. } = &self.role.key else {
            return found;
        };
        let reach = &self.login.reach;
        world.pace.wait().await;
        let keys =
            world.aws.role_credentials(reach, &self.access_token, account_id, role_name).await;
        // Whoever needs the role hears why it cannot be had.
        let Ok(keys) = keys else { return found };
        found.person = who(world, reach, &keys).await;
        found.role = Some((self.role, keys));
        found
    }
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

/// Returns the sign-in of a root session.
pub(super) fn sso_login(root: &Spec) -> Option<&SsoLogin> {
    match &root.recipe {
        Recipe::Login(login) => Some(login),
        _ => None,
    }
}
