//! Questions for credentials: answered at once, or parked until a refresh is over.
//!
//! However many ask for the same thing, one refresh runs, and its end answers them all.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    event::{Ask, Patience, Reply},
    owner::{Agent, Held},
};
use crate::{
    model::{
        Chain, Credentials, Source, plan,
        session::{Activity, SessionKey, Spec, span},
        status,
    },
    report::{Code, Report},
};

/// Failures in a row after which a parked asker is told instead of waiting for another try.
const TRIES_WORTH_WAITING_FOR: u32 = 2;

/// What is done with an answer.
type Then = Box<dyn FnOnce(&mut Agent, Result<Credentials, Report>) + Send>;

/// An asker that waits.
pub(super) struct Parked {
    wanted: Wanted,
    patience: Patience,
    then: Then,
}

/// What somebody asks for.
struct Wanted {
    chain: Chain,
    specs: Vec<Spec>,
    /// How long it should last, where that is more than the floor and can be had.
    min_life: Duration,
    /// What was made since then cannot be had better.
    asked_at: Timestamp,
}

/// What can be said about credentials now.
enum Answer {
    Ready(Credentials),
    Wait,
    No(Report),
}

impl Agent {
    pub(super) fn ask_credentials(&mut self, ask: &Ask, reply: Reply<Credentials>) {
        let chain = match self.known.chain(&ask.profile) {
            Ok(chain) => chain.clone(),
            Err(report) => {
                let _hung_up = reply.send(Err(report));
                return;
            }
        };
        let then = move |_: &mut Self, result| {
            let _hung_up = reply.send(result);
        };
        self.ask(chain, ask, Box::new(then));
    }

    /// Gets the credentials of a chain, now or when a refresh is over.
    pub(super) fn ask(&mut self, chain: Chain, ask: &Ask, then: Then) {
        let specs = chain.specs();
        if ask.is_use {
            self.note_used(&chain.profile, &specs);
        } else {
            self.warm_for_a_look(&specs);
        }
        let wanted = Wanted { chain, specs, min_life: ask.min_life, asked_at: self.now() };
        let patience = ask.patience;
        match self.answer(&wanted, patience != Patience::None) {
            Answer::Ready(credentials) => then(self, Ok(credentials)),
            Answer::Wait if patience == Patience::None => {
                let best = self.best(&wanted);
                then(self, best);
            }
            Answer::No(report) if !self.may_yet_be(&wanted, patience) => then(self, Err(report)),
            Answer::Wait | Answer::No(_) => {
                self.is_news = true;
                self.parked.push(Parked { wanted, patience, then });
            }
        }
    }

    /// Answers those whose wait is over.
    pub(super) fn answer_parked(&mut self) {
        for parked in std::mem::take(&mut self.parked) {
            match self.answer(&parked.wanted, false) {
                Answer::Ready(credentials) => (parked.then)(self, Ok(credentials)),
                Answer::No(report) if !self.may_yet_be(&parked.wanted, parked.patience) => {
                    (parked.then)(self, Err(report));
                }
                Answer::Wait | Answer::No(_) => self.parked.push(parked),
            }
        }
    }

    /// Returns whether a login under way may change the answer, and the asker waits for that.
    fn may_yet_be(&self, wanted: &Wanted, patience: Patience) -> bool {
        patience == Patience::Login
            && wanted.specs.first().is_some_and(|root| self.logins.is_in_flight(&root.key))
    }

    fn answer(&mut self, wanted: &Wanted, begin: bool) -> Answer {
        let Wanted { chain, specs, min_life, asked_at } = wanted;
        let Some(leaf) = specs.last() else {
            return match &chain.source {
                Source::Keys(keys) => self.keys(chain, keys),
                _ => Answer::No(no_role(chain)),
            };
        };
        if matches!(chain.source, Source::SsoTokenOnly { .. }) && chain.hops.is_empty() {
            return Answer::No(no_role(chain));
        }
        let now = self.now();
        let held = self.held(&leaf.key);
        let is_enough =
            self.sessions.get(&leaf.key).and_then(|session| session.held).is_some_and(|held| {
                let lasts = *min_life <= span(now, held.expires_at) || *asked_at <= held.issued_at;
                lasts && plan::is_above_floor(held, &self.policy, now)
            });
        match held {
            Some(credentials) if is_enough => Answer::Ready(credentials),
            held => match (self.progress(&leaf.key, begin), held) {
                // Something better is on its way; but where refreshing fails, what is held is good.
                (Progress::UnderWay { failing: false }, _) | (Progress::UnderWay { .. }, None) => {
                    Answer::Wait
                }
                (_, Some(credentials)) => Answer::Ready(credentials),
                (Progress::Stuck(report), None) => Answer::No(Self::for_profile(chain, report)),
            },
        }
    }

    fn keys(&self, chain: &Chain, keys: &Credentials) -> Answer {
        match keys.expires_at {
            Some(at) if at <= self.now() => Answer::No(
                Report::new(
                    Code::Expired,
                    format!("the temporary keys of profile `{}` have ended", chain.profile),
                    "run the tool that wrote them again",
                )
                .because(format!("they expired at {at}")),
            ),
            _ => Answer::Ready(keys.clone()),
        }
    }

    /// Returns the credentials held, if they are good.
    fn held(&self, key: &SessionKey) -> Option<Credentials> {
        let session = self.sessions.get(key)?;
        let keys = self.vault.get(key).and_then(Held::keys);
        keys.filter(|_| session.is_good(self.now())).cloned()
    }

    /// The answer for those who cannot wait any longer.
    fn best(&self, wanted: &Wanted) -> Result<Credentials, Report> {
        let Wanted { chain, specs, .. } = wanted;
        let leaf = specs.last().map(|spec| &spec.key);
        leaf.and_then(|leaf| self.held(leaf)).ok_or_else(|| {
            let trouble = specs.iter().find_map(|spec| {
                self.sessions.get(&spec.key)?.trouble.as_ref().map(|it| it.report.clone())
            });
            trouble.unwrap_or_else(|| {
                Report::new(
                    Code::Unreachable,
                    format!("AWS has not answered for profile `{}` yet", chain.profile),
                    "try again in a moment; `eksd status` shows how it goes",
                )
            })
        })
    }

    /// Finds out whether something is being done about a session, and, with `begin`, does it.
    fn progress(&mut self, key: &SessionKey, begin: bool) -> Progress {
        let now = self.now();
        let Some(session) = self.sessions.get(key) else { return Progress::lost() };
        let parent_is_good = plan::parent_is_good(&self.sessions, session, now);
        match (session.activity, session.spec.parent.clone()) {
            (Activity::Refreshing, _) => Progress::UnderWay { failing: 0 < session.failures },
            // It is not tried again before that: not when its own time has come, either.
            (_, Some(parent)) if !parent_is_good => self.progress(&parent, begin),
            (Activity::BackingOff { .. }, _) if session.failures < TRIES_WORTH_WAITING_FOR => {
                Progress::UnderWay { failing: true }
            }
            // Only a person could bring something better.
            (Activity::Idle, _) if session.held.is_some() && !session.renewable => {
                Progress::Stuck(status::needs_person(&key.to_string(), &session.spec, false))
            }
            _ if begin && session.may_ask(&self.policy, now) => {
                let failing = 0 < session.failures;
                if self.begin_refresh(key) {
                    Progress::UnderWay { failing }
                } else {
                    Progress::lost()
                }
            }
            // The plan begins what is idle and warm in the same turn of the loop.
            (Activity::Idle, _) => Progress::UnderWay { failing: false },
            (Activity::WaitingForPerson, _) => {
                let report = session.trouble.as_ref().map(|trouble| trouble.report.clone());
                Progress::Stuck(report.unwrap_or_else(|| {
                    status::needs_person(&key.to_string(), &session.spec, false)
                }))
            }
            (Activity::BackingOff { .. } | Activity::Refused { .. }, _) => {
                let report = session.trouble.as_ref().map(|trouble| trouble.report.clone());
                Progress::Stuck(report.unwrap_or_else(Progress::lost_report))
            }
        }
    }

    /// A sign-in's report names the session; the asker knows the profile.
    fn for_profile(chain: &Chain, report: Report) -> Report {
        match report.code {
            Code::NeedsLogin | Code::NeedsMfa => {
                let Some(root) = chain.specs().into_iter().next() else { return report };
                // A refusal is evidence that there was a session; without one there may not have been.
                let has_ended = !report.why.is_empty();
                let named = status::needs_person(chain.profile.as_str(), &root, has_ended);
                Report { why: report.why, ..named }
            }
            _ => report,
        }
    }
}

/// What is being done about a session.
enum Progress {
    /// A refresh is in flight, or will be within the turn.
    UnderWay {
        /// Whether earlier tries have failed.
        failing: bool,
    },
    /// Nothing is; why.
    Stuck(Report),
}

impl Progress {
    fn lost() -> Self {
        Self::Stuck(Self::lost_report())
    }

    fn lost_report() -> Report {
        Report::new(
            Code::Misconfigured,
            "the profile was changed while its credentials were being fetched",
            "run the command again",
        )
    }
}

fn no_role(chain: &Chain) -> Report {
    Report::new(
        Code::Misconfigured,
        format!("profile `{}` names an SSO session but no account and role", chain.profile),
        "add `sso_account_id` and `sso_role_name` to the profile",
    )
}
