//! Tokens that clusters seem to refuse: what is suspected, when AWS is asked about it, and what it said.
//!
//! No client tells its plugin of a 401. All that is seen is that one asks again too early, which others may
//! do for reasons of their own: so it is a suspicion, and what AWS says is told beside it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use jiff::Timestamp;

use super::Subject;
use crate::{model::session::span, report::Report};

/// After so many within [`WHILE`] AWS is asked: one may be a cluster's bad moment.
const MANY: usize = 2;

/// How near together they are to be, and how often AWS is asked at most.
const WHILE: Duration = Duration::from_mins(1);

/// A cluster of whose refusals nothing was seen for so long takes tokens again.
const OVER: Duration = Duration::from_mins(15);

/// How many clusters are remembered; more are forgotten, those that were refused longest ago first.
const MOST: usize = 64;

/// What is known of one cluster's refusals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The access key whose tokens these are.
    pub access_key_id: String,
    /// Who asked again last, by name.
    pub client: String,
    /// How often.
    pub count: u32,
    /// The first time.
    pub first_at: Timestamp,
    /// The last.
    pub last_at: Timestamp,
    recent: VecDeque<Timestamp>,
    asked_at: Option<Timestamp>,
    is_asking: bool,
    verdict: Option<Report>,
}

/// What follows from a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is suspected, and no more.
    Suspect,
    /// AWS is to be asked now; what it said before, if it was.
    Ask(Option<Report>),
    /// AWS is being asked.
    Wait,
    /// AWS has said it.
    Known(Report),
}

/// What is known of all of them.
#[derive(Debug, Default)]
pub struct Refusals(BTreeMap<Subject, Refusal>);

impl Refusals {
    /// Notes that `client` asked again too early, and says what follows.
    pub fn note(
        &mut self,
        subject: &Subject,
        access_key_id: &str,
        client: &str,
        now: Timestamp,
    ) -> Next {
        let known = self.0.get(subject);
        if known.is_none_or(|it| it.access_key_id != access_key_id || it.is_over(now)) {
            self.make_room();
            self.0.insert(subject.clone(), Refusal::new(access_key_id, now));
        }
        let Some(refusal) = self.0.get_mut(subject) else { return Next::Suspect };
        client.clone_into(&mut refusal.client);
        refusal.another(now)
    }

    /// Notes what AWS said of a token signed with `access_key_id`.
    pub fn judge(&mut self, subject: &Subject, access_key_id: &str, verdict: Report) {
        let known = self.0.get_mut(subject).filter(|it| it.access_key_id == access_key_id);
        if let Some(refusal) = known {
            refusal.is_asking = false;
            refusal.verdict = Some(verdict);
        }
    }

    /// Returns what is known of a cluster's refusals, while there are any.
    pub fn of(&self, subject: &Subject, now: Timestamp) -> Option<&Refusal> {
        self.0.get(subject).filter(|refusal| !refusal.is_over(now))
    }

    /// Forgets what was seen of a cluster.
    pub fn forget(&mut self, subject: &Subject) {
        self.0.remove(subject);
    }

    /// Returns all of them.
    pub fn all(&self) -> impl Iterator<Item = (&Subject, &Refusal)> {
        self.0.iter()
    }

    /// Returns the first instant at which one is over.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.0.values().filter_map(|it| it.last_at.checked_add(OVER).ok()).min()
    }

    fn make_room(&mut self) {
        if MOST <= self.0.len() {
            let oldest = self.0.iter().min_by_key(|(_, refusal)| refusal.last_at);
            if let Some(oldest) = oldest.map(|(subject, _)| subject.clone()) {
                self.0.remove(&oldest);
            }
        }
    }
}

impl Refusal {
    fn new(access_key_id: &str, now: Timestamp) -> Self {
        Self {
            access_key_id: access_key_id.to_owned(),
            client: String::new(),
            count: 0,
            first_at: now,
            last_at: now,
            recent: VecDeque::new(),
            asked_at: None,
            is_asking: false,
            verdict: None,
        }
    }

    /// Returns what AWS said.
    pub fn verdict(&self) -> Option<&Report> {
        self.verdict.as_ref()
    }

    /// Returns whether it is so long ago that it says nothing any more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        OVER <= span(self.last_at, now)
    }

    fn another(&mut self, now: Timestamp) -> Next {
        self.count = self.count.saturating_add(1);
        self.last_at = now;
        self.recent.retain(|at| span(*at, now) < WHILE && *at <= now);
        if MANY <= self.recent.len() {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        let may_ask = self.asked_at.is_none_or(|at| WHILE <= span(at, now) || now < at);
        // One that is asked for longer than that was lost.
        if self.is_asking && !may_ask {
            return Next::Wait;
        }
        if MANY <= self.recent.len() && may_ask {
            (self.asked_at, self.is_asking) = (Some(now), true);
            return Next::Ask(self.verdict.clone());
        }
        self.verdict.clone().map_or(Next::Suspect, Next::Known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::ProfileName, report::Code};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn subject(cluster_id: &str) -> Subject {
        Subject {
            profile: ProfileName::new("dev"),
            role: None,
            region: "eu-west-1".to_owned(),
            cluster_id: cluster_id.to_owned(),
        }
    }

    fn verdict(what: &str) -> Report {
        Report::new(Code::IdentityRefused, what, "fix")
    }

    #[test]
    fn aws_is_asked_after_the_second_within_a_minute_and_once_a_minute() {
        let (mut all, demo) = (Refusals::default(), subject("demo"));
        let mut note = |seconds: i64| all.note(&demo, "A", "kubectl", at(seconds));
        assert_eq!(note(0), Next::Suspect);
        assert_eq!(note(60), Next::Suspect, "too far apart");
        assert_eq!(note(61), Next::Ask(None));
        assert_eq!((note(61), note(62)), (Next::Wait, Next::Wait));
        all.judge(&demo, "A", verdict("no"));
        let mut note = |seconds: i64| all.note(&demo, "A", "k9s", at(seconds));
        assert_eq!(note(63), Next::Known(verdict("no")));
        assert_eq!(note(120), Next::Known(verdict("no")));
        assert_eq!(note(121), Next::Ask(Some(verdict("no"))));
        assert_eq!(note(122), Next::Wait);
        assert_eq!(note(181), Next::Ask(Some(verdict("no"))), "the answer was lost");
        let seen = all.of(&demo, at(200)).unwrap();
        assert_eq!((seen.count, seen.client.as_str()), (10, "k9s"));
        assert_eq!((seen.first_at, seen.last_at), (at(0), at(181)));
    }

    #[test]
    fn clusters_are_told_apart() {
        let mut all = Refusals::default();
        let other = Subject { profile: ProfileName::new("prod"), ..subject("demo") };
        let by_role = Subject { role: Some(crate::model::RoleTerms::default()), ..subject("demo") };
        for subject in [subject("demo"), subject("prod"), other, by_role] {
            assert_eq!(all.note(&subject, "A", "kubectl", at(0)), Next::Suspect);
        }
    }

    #[test]
    fn other_keys_begin_anew() {
        let (mut all, demo) = (Refusals::default(), subject("demo"));
        all.note(&demo, "A", "kubectl", at(0));
        all.note(&demo, "A", "kubectl", at(0));
        assert_eq!(all.note(&demo, "B", "kubectl", at(1)), Next::Suspect);
        all.judge(&demo, "A", verdict("of the keys before"));
        assert_eq!(all.of(&demo, at(1)).unwrap().verdict(), None);
    }

    #[test]
    fn it_is_over_when_nothing_is_seen_for_a_quarter_of_an_hour() {
        let (mut all, demo) = (Refusals::default(), subject("demo"));
        all.note(&demo, "A", "kubectl", at(0));
        all.note(&demo, "A", "kubectl", at(10));
        all.judge(&demo, "A", verdict("no"));
        assert_eq!(all.wake_at(), Some(at(910)));
        assert!(all.of(&demo, at(909)).is_some());
        assert!(all.of(&demo, at(910)).is_none());
        assert_eq!(all.note(&demo, "A", "kubectl", at(910)), Next::Suspect);
        assert_eq!(all.of(&demo, at(910)).unwrap().count, 1);
    }

    #[test]
    fn little_is_kept() {
        let mut all = Refusals::default();
        for n in 0..3 * MOST {
            let seconds = i64::try_from(n).unwrap();
            all.note(&subject(&n.to_string()), "A", "kubectl", at(seconds));
        }
        assert_eq!(all.0.len(), MOST);
        assert!(!all.0.contains_key(&subject("0")));
        for _ in 0..100 {
            all.note(&subject("x"), "A", "kubectl", at(0));
        }
        assert_eq!(all.0[&subject("x")].recent.len(), MANY);
    }
}
