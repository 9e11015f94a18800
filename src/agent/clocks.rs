//! The several ends of a profile: of its keys, of what they come from, and of what only a person can
//! renew; each with who says so.

use super::{
    answers::rfc3339,
    owner::{Agent, Held},
};
use crate::{
    ipc::wire::{ClockStatus, Confidence},
    model::{
        Chain, Source,
        session::{Recipe, Session, SessionKey},
        status::{self, RootEnd},
        text::printable,
    },
};

impl Agent {
    /// Returns every end that plays a part in a chain, from its keys to its root.
    pub(super) fn clocks(&self, chain: &Chain) -> Vec<ClockStatus> {
        let specs = chain.specs();
        let mut clocks: Vec<ClockStatus> = specs
            .iter()
            .rev()
            .filter_map(|spec| self.sessions.get(&spec.key))
            .flat_map(|session| self.clocks_of(session))
            .collect();
        if let (Source::Keys(keys), true) =
            (&chain.source, specs.is_empty() || chain.mfa().is_none())
            && keys.are_temporary()
        {
            clocks.push(match keys.expires_at {
                Some(at) => {
                    clock("keys in the file", RootEnd::exact(at), "the tool that wrote them")
                }
                None => unknown("keys in the file", "nobody wrote down when they end"),
            });
        }
        clocks
    }

    fn clocks_of(&self, session: &Session) -> Vec<ClockStatus> {
        let now = self.now();
        let held = session.held.filter(|held| held.is_good(now) && session.has_end);
        let keys = |name: &str| {
            held.map(|held| clock(name, RootEnd::exact(held.expires_at), "AWS, with the keys"))
        };
        let found = match (&session.spec.recipe, &session.spec.key) {
            (Recipe::Login(_), SessionKey::Login(login)) => {
                return self.clocks_of_login(session, login);
            }
            (Recipe::Console(_), _) => {
                let session = unknown("console login", "no AWS call tells; twelve hours at most");
                return keys("console keys").into_iter().chain([session]).collect();
            }
            (Recipe::Mfa(_), _) => keys("MFA session"),
            (Recipe::Process(process), _) => match held {
                Some(held) => {
                    let end = RootEnd::exact(held.expires_at);
                    Some(clock(
                        "keys of the process",
                        end,
                        &format!("the process at {}", process.origin),
                    ))
                }
                None if session.is_good(now) => {
                    Some(unknown("keys of the process", "the process names no end"))
                }
                None => None,
            },
            (Recipe::AssumeRole { hop, .. }, _) => {
                keys(&format!("role {}", short(&hop.terms.role_arn)))
            }
            (Recipe::SsoRole { .. }, SessionKey::SsoRole { role_name, .. }) => {
                keys(&format!("role {}", printable(role_name)))
            }
            (Recipe::WebIdentity(identity), _) => {
                keys(&format!("role {}", short(&identity.role_arn)))
            }
            (Recipe::Machine { kind }, _) => keys(&format!("keys of the {}", kind.as_str())),
            _ => None,
        };
        found.into_iter().collect()
    }

    fn clocks_of_login(
        &self,
        session: &Session,
        login: &crate::model::LoginKey,
    ) -> Vec<ClockStatus> {
        let facts = self.login_facts(login);
        let mut clocks = Vec::new();
        if let Some(Held::Token(token)) = self.vault.get(&session.spec.key) {
            let end = RootEnd::exact(token.expires_at);
            clocks.push(clock("access token", end, "AWS, with the token"));
        }
        if let Some(at) = facts.registration_expires_at {
            clocks.push(clock(
                "client registration",
                RootEnd::exact(at),
                "AWS, at the registration",
            ));
        }
        let end = status::end_of(session, self, self.now());
        let source = match end.confidence {
            status::Confidence::Exact => "AWS, with a token that cannot be renewed".to_owned(),
            status::Confidence::Estimated => self.length_source(login).to_owned(),
            status::Confidence::Unknown => {
                format!(
                    "no AWS call tells; `[sso-session.{}] length` in the settings can",
                    printable(login.cache_text())
                )
            }
        };
        clocks.push(clock("SSO session", end, &source));
        clocks
    }
}

fn clock(name: &str, end: RootEnd, source: &str) -> ClockStatus {
    ClockStatus {
        name: name.to_owned(),
        ends_at: end.ends_at.map(rfc3339),
        confidence: end.confidence.into(),
        source: source.to_owned(),
    }
}

fn unknown(name: &str, source: &str) -> ClockStatus {
    ClockStatus {
        name: name.to_owned(),
        ends_at: None,
        confidence: Confidence::Unknown,
        source: source.to_owned(),
    }
}

/// The last part of a role's ARN.
fn short(arn: &str) -> String {
    printable(arn.rsplit('/').next().unwrap_or(arn))
}
