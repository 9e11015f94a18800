//! Drift: how a cluster or its file differs from what a person would expect, and since when.
//!
//! Some of it is trouble, which stays until it is over; some is news of what was mended, which
//! stays for a day so that `eksd cluster list` can tell.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::model::session::span;

/// How long news is shown.
pub const NEWS_STAYS: Duration = Duration::from_hours(24);

/// The same edit within this time is the same news.
const QUIET: Duration = Duration::from_mins(10);

/// What a drift is of; a cluster has one of each at most, and they are shown in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Of the profile that signs or describes.
    Profile,
    /// Of the cluster at AWS.
    Cluster,
    /// Of the kubeconfig file.
    File,
}

/// What AWS changed about a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was deleted and made again under the same name.
    CreatedAnew {
        /// When, by AWS's word.
        at: Option<Timestamp>,
    },
    /// Its API server has another address.
    Endpoint,
    /// Its certificate authority is another one.
    Authority,
    /// Its API server can no longer be reached from the internet.
    MadePrivate,
    /// It runs another Kubernetes version.
    Version {
        /// Which.
        to: String,
    },
}

/// A kind of drift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A profile that it needs is no longer in the AWS config.
    ProfileGone {
        /// Which.
        profile: String,
        /// A profile that comes to the same account and role: perhaps only the name changed.
        like: Option<String>,
    },
    /// The profile's account is no longer the one that the cluster is in.
    AnotherAccount {
        /// The account it is in now.
        account: String,
    },
    /// AWS no longer knows it.
    Deleted,
    /// It exists and cannot be used.
    NotUsable {
        /// Its status at AWS.
        status: String,
    },
    /// News: it was made again; the file follows.
    CreatedAnew {
        /// When, by AWS's word.
        at: Option<Timestamp>,
    },
    /// News: AWS changed these; the file follows.
    Changed(
        /// Never empty.
        Vec<Change>,
    ),
    /// Its file cannot be put right.
    NotWritten {
        /// Why not.
        why: String,
        /// What to do about that.
        fix: String,
    },
    /// Another program keeps editing its file.
    Contested,
    /// News: somebody edited its file; what is eksd's was put back.
    PutBack {
        /// What was put back, in words.
        what: Vec<String>,
        /// Where a file that held no kubeconfig is kept.
        aside: Option<String>,
    },
}

impl Kind {
    /// Returns its name, as in JSON and in the registry.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ProfileGone { .. } => "profile-gone",
            Self::AnotherAccount { .. } => "another-account",
            Self::Deleted => "deleted",
            Self::NotUsable { .. } => "not-usable",
            Self::CreatedAnew { .. } => "created-anew",
            Self::Changed(_) => "changed",
            Self::NotWritten { .. } => "not-written",
            Self::Contested => "contested",
            Self::PutBack { .. } => "put-back",
        }
    }

    /// Returns what it is of.
    pub fn part(&self) -> Part {
        match self {
            Self::ProfileGone { .. } => Part::Profile,
            Self::AnotherAccount { .. }
            | Self::Deleted
            | Self::NotUsable { .. }
            | Self::CreatedAnew { .. }
            | Self::Changed(_) => Part::Cluster,
            Self::NotWritten { .. } | Self::Contested | Self::PutBack { .. } => Part::File,
        }
    }

    /// Returns whether it is over already: told, and nothing to be done.
    pub fn is_news(&self) -> bool {
        matches!(self, Self::CreatedAnew { .. } | Self::Changed(_) | Self::PutBack { .. })
    }
}

/// A drift and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// What.
    pub kind: Kind,
    /// When eksd saw it first.
    pub since: Timestamp,
}

/// A cluster's drifts, one a part at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drifts(BTreeMap<Part, Drift>);

impl Drifts {
    /// Takes over drifts seen before.
    pub fn new(drifts: impl IntoIterator<Item = Drift>) -> Self {
        Self(drifts.into_iter().map(|drift| (drift.kind.part(), drift)).collect())
    }

    /// Returns them in the order in which they are shown.
    pub fn all(&self) -> impl Iterator<Item = &Drift> {
        self.0.values()
    }

    /// Returns the drift of a part.
    pub fn of(&self, part: Part) -> Option<&Kind> {
        self.0.get(&part).map(|drift| &drift.kind)
    }

    /// Notes a drift. What was seen before keeps its time, so that it is told once.
    pub fn note(&mut self, kind: Kind, now: Timestamp) {
        let part = kind.part();
        if let Some(seen) = self.0.get(&part)
            && seen.kind == kind
            && (!kind.is_news() || span(seen.since, now) < QUIET)
        {
            return;
        }
        self.0.insert(part, Drift { kind, since: now });
    }

    /// Notes that a part is as it should be. News stays.
    pub fn clear(&mut self, part: Part) {
        if self.of(part).is_some_and(|kind| !kind.is_news()) {
            self.0.remove(&part);
        }
    }

    /// Drops news that has been shown for long enough. Returns whether there was some.
    pub fn forget_old_news(&mut self, now: Timestamp) -> bool {
        let before = self.0.len();
        self.0.retain(|_, drift| !drift.kind.is_news() || span(drift.since, now) < NEWS_STAYS);
        self.0.len() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn put_back(what: &str) -> Kind {
        Kind::PutBack { what: vec![what.to_owned()], aside: None }
    }

    fn seen(drifts: &Drifts) -> Vec<(Part, i64)> {
        let minute = |drift: &Drift| (drift.since.as_second() - 1_800_000_000) / 60;
        drifts.all().map(|drift| (drift.kind.part(), minute(drift))).collect()
    }

    #[test]
    fn what_goes_on_keeps_its_time() {
        let mut drifts = Drifts::default();
        drifts.note(Kind::Deleted, at(0));
        drifts.note(Kind::Deleted, at(600));
        assert_eq!(seen(&drifts), [(Part::Cluster, 0)]);
        drifts.clear(Part::File);
        assert_eq!(seen(&drifts), [(Part::Cluster, 0)]);
        drifts.clear(Part::Cluster);
        assert_eq!(seen(&drifts), []);
        drifts.note(Kind::Deleted, at(900));
        assert_eq!(seen(&drifts), [(Part::Cluster, 900)]);
    }

    #[test]
    fn parts_do_not_hide_each_other() {
        let mut drifts = Drifts::default();
        drifts.note(Kind::Contested, at(2));
        drifts.note(Kind::Deleted, at(1));
        drifts.note(Kind::ProfileGone { profile: "dev".into(), like: None }, at(3));
        assert_eq!(seen(&drifts), [(Part::Profile, 3), (Part::Cluster, 1), (Part::File, 2)]);
    }

    #[test]
    fn news_stays_for_a_day_whatever_is_well() {
        let mut drifts = Drifts::default();
        drifts.note(Kind::CreatedAnew { at: None }, at(0));
        drifts.clear(Part::Cluster);
        assert!(!drifts.forget_old_news(at(1439)));
        assert_eq!(seen(&drifts), [(Part::Cluster, 0)]);
        assert!(drifts.forget_old_news(at(1440)));
        assert_eq!(seen(&drifts), []);
    }

    #[test]
    fn the_same_edit_is_the_same_news_for_a_while() {
        let mut drifts = Drifts::default();
        drifts.note(put_back("the CA"), at(0));
        drifts.note(put_back("the CA"), at(9));
        assert_eq!(seen(&drifts), [(Part::File, 0)]);
        drifts.note(put_back("the server address"), at(9));
        assert_eq!(seen(&drifts), [(Part::File, 9)]);
        drifts.note(put_back("the server address"), at(19));
        assert_eq!(seen(&drifts), [(Part::File, 19)]);
    }
}
