//! Whether credentials will last, and who they say one is.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{
    answers::rfc3339,
    event::{Ask, Event, Mailbox, Patience},
    owner::{Agent, Held},
    server::with_patience,
};
use crate::{
    ipc::wire::{EnsureAnswer, EnsureParams, Ensured, Phase, Whoami},
    model::{
        Reach, Source,
        lasting::{self, KeysEnd, Lasting, SourceEnd, lasting},
        session::Spec,
        status::{self, Confidence},
        text::printable,
    },
    report::{Code, Report},
    world::World,
};

/// When a profile's credentials end, and what they come from.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    /// The profile.
    pub(super) profile: String,
    phase: Phase,
    of: lasting::Ends,
    report: Option<Report>,
    /// The way out of the profile.
    pub(super) reach: Reach,
}

impl Agent {
    /// Returns the ends of a profile's or a cluster's credentials.
    pub(super) fn ends(&self, name: &str) -> Result<Ends, Report> {
        let profile = self.resolve(name)?.resolved.profile;
        let chain = self.known.chain(&profile)?;
        let specs = chain.specs();
        let view = self.view(&profile);
        let keys = match (&chain.source, specs.last()) {
            (Source::Keys(keys), None) => match (keys.are_temporary(), keys.expires_at) {
                (false, _) => KeysEnd::Never,
                (true, Some(at)) if at <= self.now() => KeysEnd::NotHeld,
                (true, Some(at)) => KeysEnd::At(at),
                (true, None) => KeysEnd::Unknown,
            },
            (_, leaf) => self.keys_end(leaf),
        };
        let root = specs.first().filter(|spec| spec.wants_person());
        let source = match (root, &chain.source, specs.is_empty()) {
            (_, _, true) => SourceEnd::Now,
            (Some(root), _, _) => SourceEnd::Root(match self.sessions.get(&root.key) {
                Some(session) => status::end_of(session, self, self.now()),
                None => status::RootEnd::UNKNOWN,
            }),
            (None, Source::Keys(keys), _) => match (keys.are_temporary(), keys.expires_at) {
                (true, Some(at)) => SourceEnd::Root(status::RootEnd {
                    ends_at: Some(at),
                    confidence: Confidence::Exact,
                }),
                (true, None) => SourceEnd::Root(status::RootEnd::UNKNOWN),
                (false, _) => SourceEnd::Never,
            },
            (None, _, _) => SourceEnd::Never,
        };
        Ok(Ends {
            profile,
            phase: view.phase.into(),
            of: lasting::Ends { keys, source },
            report: view.report,
            reach: chain.reach.clone(),
        })
    }

    fn keys_end(&self, leaf: Option<&Spec>) -> KeysEnd {
        let session = leaf.and_then(|leaf| self.sessions.get(&leaf.key));
        let held = session.and_then(|session| session.held).filter(|held| held.is_good(self.now()));
        let keys = leaf.and_then(|leaf| self.vault.get(&leaf.key)).and_then(Held::keys);
        match (held, keys) {
            (Some(_), Some(keys)) if !keys.are_temporary() => KeysEnd::Never,
            (Some(_), Some(keys)) => keys.expires_at.map_or(KeysEnd::Unknown, KeysEnd::At),
            _ => KeysEnd::NotHeld,
        }
    }
}

/// Answers `ensure`: asks for credentials that last, and looks at what came.
pub(super) async fn ensure(
    mailbox: &Mailbox,
    world: &Arc<World>,
    params: EnsureParams,
) -> Result<EnsureAnswer, Report> {
    let span = Duration::from_secs(params.seconds);
    let target = SignedDuration::try_from(span)
        .ok()
        .and_then(|span| world.clock.now().checked_add(span).ok())
        .ok_or_else(|| Report::new(Code::Usage, "that is too long", "give a shorter time"))?;
    let mut rows = Vec::new();
    for name in params.names {
        rows.push(ensure_one(mailbox, name, span, target).await?);
    }
    Ok(EnsureAnswer { rows })
}

async fn ensure_one(
    mailbox: &Mailbox,
    name: String,
    span: Duration,
    target: Timestamp,
) -> Result<Ensured, Report> {
    let asked = name.clone();
    let before = mailbox.ask(|reply| Event::Ends { name: asked, reply }).await?;
    let got = with_patience(mailbox, |patience, reply| Event::Credentials {
        ask: Ask { min_life: span, ..Ask::new(&before.profile, patience) },
        reply,
    })
    .await;
    let asked = name.clone();
    let after = mailbox.ask(|reply| Event::Ends { name: asked, reply }).await?;
    let Lasting { lasts, until, confidence } = lasting(after.of, target);
    let lasts = lasts && got.is_ok();
    Ok(Ensured {
        report: (!lasts).then(|| {
            got.err().or(after.report).unwrap_or_else(|| too_short(&name, until, after.of.source))
        }),
        name,
        profile: after.profile,
        phase: after.phase,
        lasts,
        until: until.map(rfc3339),
        confidence: confidence.into(),
    })
}

fn too_short(name: &str, until: Option<Timestamp>, source: SourceEnd) -> Report {
    let name = printable(name);
    let what = match until {
        Some(until) => {
            format!("credentials of `{name}` are sure to last until {} only", rfc3339(until))
        }
        None => format!("nobody knows how long the credentials of `{name}` last"),
    };
    let fix = match source {
        SourceEnd::Root(end) if end.confidence == Confidence::Unknown => format!(
            "tell eksd how long sessions last, `[sso-session.NAME] length` in its settings; \
             `eksd login {name} --force` begins a new one"
        ),
        SourceEnd::Root(_) => format!("`eksd login {name} --force` begins a new session"),
        SourceEnd::Now | SourceEnd::Never => {
            "run the tool that wrote the keys again, just before".to_owned()
        }
    };
    Report::new(Code::Expired, what, fix)
}

/// Answers `whoami`.
pub(super) async fn whoami(
    mailbox: &Mailbox,
    world: &Arc<World>,
    name: String,
) -> Result<Whoami, Report> {
    let ends = mailbox.ask(|reply| Event::Ends { name, reply }).await?;
    let credentials = with_patience(mailbox, |patience: Patience, reply| Event::Credentials {
        ask: Ask::new(&ends.profile, patience),
        reply,
    })
    .await?;
    let identity = world.aws.caller_identity(&ends.reach, &credentials).await;
    let identity = identity.map_err(|error| error.report(&ends.profile))?;
    Ok(Whoami {
        profile: ends.profile,
        account: identity.account,
        arn: identity.arn,
        user_id: identity.user_id,
    })
}
