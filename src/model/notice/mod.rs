//! What is worth a desktop notice: a root session that will end, and one that has ended; a cluster
//! that is not as it was.
//!
//! One bubble a root session, whatever number of profiles hang on it, and one a cluster: each later
//! notice replaces the earlier one, and a session or cluster that is good again withdraws it. What
//! renews by itself is never mentioned, and nothing is said twice.

mod clusters;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{
    cluster::Drift,
    session::{SessionKey, span},
    status::{Confidence, RootEnd},
};

/// How far a root session has come on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing to say.
    Good,
    /// It will end within this threshold (the smallest that applies).
    Soon(
        /// Larger thresholds come first, so that stages only grow.
        std::cmp::Reverse<Duration>,
    ),
    /// A person is needed.
    Ended,
}

/// A root session, as far as notices care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Which.
    pub key: SessionKey,
    /// What `eksd login` takes to begin it anew.
    pub login_name: String,
    /// Whether a person is needed now.
    pub has_ended: bool,
    /// When it will end.
    pub end: RootEnd,
    /// Whether anything in use hangs on it; if not, nobody is disturbed.
    pub in_use: bool,
}

/// Whom a bubble is about; each has one at most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A root session.
    Session(SessionKey),
    /// A registered cluster, by alias.
    Cluster(String),
    /// A profile that clusters need.
    Profile(String),
}

/// What to do on the desktop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Shows a bubble, or replaces the one that is there.
    Show {
        /// Whose.
        about: Subject,
        /// One line.
        title: String,
        /// What it means and what to do.
        body: String,
        /// Whether it should stay until it is looked at.
        is_urgent: bool,
    },
    /// Takes the bubble away.
    Withdraw {
        /// Whose.
        about: Subject,
    },
}

/// What has been said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    roots: BTreeMap<SessionKey, Stage>,
    /// The drifts that each bubble about a cluster or its profile told.
    drifts: BTreeMap<Subject, Vec<Drift>>,
}

impl Said {
    /// Compares what is with what was said, and returns what to say now.
    ///
    /// A session that is first seen when it is over already was over before anybody could be
    /// warned; whoever started the agent sees it in the answer to their command.
    pub fn update(&mut self, roots: &[Root], before: &[Duration], now: Timestamp) -> Vec<Notice> {
        let mut notices = Vec::new();
        for root in roots {
            // Its expected end has come, and AWS has not said yet whether it was the true one.
            if !root.has_ended && root.end.ends_at.is_some_and(|end| end <= now) {
                continue;
            }
            let stage = stage_of(root, before, now);
            let first_seen = !self.roots.contains_key(&root.key);
            let last = self.roots.insert(root.key.clone(), stage).unwrap_or(Stage::Good);
            match stage {
                Stage::Good if last != Stage::Good => {
                    notices.push(Notice::Withdraw { about: Subject::Session(root.key.clone()) });
                }
                Stage::Ended if first_seen => {}
                stage if last < stage => notices.push(notice(root, stage, now)),
                _ => {}
            }
        }
        self.roots.retain(|key, _| roots.iter().any(|root| root.key == *key));
        notices
    }
}

fn stage_of(root: &Root, before: &[Duration], now: Timestamp) -> Stage {
    if !root.in_use {
        return Stage::Good;
    }
    match root.end.ends_at {
        _ if root.has_ended => Stage::Ended,
        Some(ends_at) => {
            let left = span(now, ends_at);
            let reached = before.iter().copied().filter(|threshold| left <= *threshold).min();
            reached.map_or(Stage::Good, |threshold| Stage::Soon(std::cmp::Reverse(threshold)))
        }
        None => Stage::Good,
    }
}

/// Returns the next instant at which [`Said::update`] may have something to say, or at which an
/// expected end comes.
pub fn wake_at(roots: &[Root], before: &[Duration], now: Timestamp) -> Option<Timestamp> {
    roots
        .iter()
        .filter(|root| root.in_use && !root.has_ended)
        .filter_map(|root| root.end.ends_at)
        .flat_map(|end| {
            let ahead = before.iter().filter_map(move |early| end.checked_sub(*early).ok());
            ahead.chain([end])
        })
        .filter(|at| now < *at)
        .min()
}

fn notice(root: &Root, stage: Stage, now: Timestamp) -> Notice {
    let session = super::text::printable(&root.key.title());
    let about = if root.end.confidence == Confidence::Exact { "" } else { "about " };
    let (title, body) = match (stage, root.end.ends_at) {
        (Stage::Soon(_), Some(ends_at)) => (
            format!("{session} ends in {about}{}", rough(span(now, ends_at))),
            "Log in ahead to work on without a break.".to_owned(),
        ),
        _ => (
            format!("{session} has ended"),
            "Credentials and cluster tokens can no longer be renewed.".to_owned(),
        ),
    };
    let command = format!("eksd login {}", super::text::printable(&root.login_name));
    Notice::Show {
        about: Subject::Session(root.key.clone()),
        title,
        body: format!("{body}\nRun: {command}"),
        is_urgent: stage == Stage::Ended,
    }
}

/// Returns a span in its coarsest useful unit, rounded up: nobody is told less than they have.
fn rough(left: Duration) -> String {
    let seconds = left.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7200 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LoginKey;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn root(ends_minute: i64) -> Root {
        Root {
            key: SessionKey::Login(LoginKey::Named("corp".into())),
            login_name: "corp".to_owned(),
            has_ended: false,
            end: RootEnd { ends_at: Some(at(ends_minute)), confidence: Confidence::Exact },
            in_use: true,
        }
    }

    fn minutes(values: &[u64]) -> Vec<Duration> {
        values.iter().map(|value| Duration::from_secs(value * 60)).collect()
    }

    fn titles(notices: &[Notice]) -> Vec<&str> {
        notices
            .iter()
            .map(|notice| match notice {
                Notice::Show { title, .. } => title.as_str(),
                Notice::Withdraw { .. } => "withdraw",
            })
            .collect()
    }

    #[test]
    fn a_session_on_its_way_to_the_end() {
        let before = minutes(&[30, 10, 2]);
        let mut said = Said::default();
        let mut steps = Vec::new();
        for minute in [0, 29, 30, 31, 50, 55, 58, 59] {
            let notices = said.update(&[root(60)], &before, at(minute));
            steps.push((minute, titles(&notices).join(",")));
        }
        let ended = Root { has_ended: true, ..root(60) };
        for minute in [60, 61] {
            let notices = said.update(std::slice::from_ref(&ended), &before, at(minute));
            steps.push((minute, titles(&notices).join(",")));
        }
        steps.push((62, titles(&said.update(&[root(600)], &before, at(62))).join(",")));
        steps.push((63, titles(&said.update(&[root(600)], &before, at(63))).join(",")));
        let expected = [
            (0, ""),
            (29, ""),
            (30, "SSO session corp ends in 30 min"),
            (31, ""),
            (50, "SSO session corp ends in 10 min"),
            (55, ""),
            (58, "SSO session corp ends in 2 min"),
            (59, ""),
            (60, "SSO session corp has ended"),
            (61, ""),
            (62, "withdraw"),
            (63, ""),
        ];
        assert_eq!(steps, expected.map(|(minute, title)| (minute, title.to_owned())));
    }

    #[test]
    fn nobody_is_disturbed_for_what_nobody_uses() {
        let unused = Root { in_use: false, has_ended: true, ..root(60) };
        let mut said = Said::default();
        assert_eq!(said.update(&[unused], &minutes(&[30]), at(40)), []);
    }

    #[test]
    fn a_session_found_dead_is_no_news() {
        let mut said = Said::default();
        let dead = Root { has_ended: true, ..root(0) };
        assert_eq!(said.update(&[dead], &minutes(&[30]), at(40)), []);
    }

    #[test]
    fn a_jump_over_thresholds_says_one_thing() {
        let mut said = Said::default();
        let before = minutes(&[30, 10, 2]);
        said.update(&[root(60)], &before, at(0));
        let notices = said.update(&[root(60)], &before, at(59));
        assert_eq!(titles(&notices), ["SSO session corp ends in 1 min"]);
    }

    #[test]
    fn wakes_for_the_next_threshold() {
        let before = minutes(&[30, 10]);
        assert_eq!(wake_at(&[root(60)], &before, at(0)), Some(at(30)));
        assert_eq!(wake_at(&[root(60)], &before, at(30)), Some(at(50)));
        assert_eq!(wake_at(&[root(60)], &before, at(50)), Some(at(60)));
        assert_eq!(wake_at(&[root(60)], &before, at(60)), None);
    }
}
