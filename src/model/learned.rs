//! How long the sessions of a sign-in last, learned from those that ended.
//!
//! An administrator sets the length of Identity Center sessions, 15 minutes to 90 days, and no call of
//! AWS tells it (IAM Identity Center User Guide, "Configure the session duration"; aws/aws-cli #7341
//! asks for it). But a refresh that AWS grants proves that the session lives, and one that it refuses
//! proves that it is over: the length lies between the two.
//!
//! What is believed here is an estimate. A session may also end because an administrator revoked it,
//! so one end alone says nothing: two in a row that agree do.

use std::time::Duration;

/// How many ends are remembered.
const MOST: usize = 8;

/// The shortest and the longest session that can be configured, in seconds (the same guide).
const SHORTEST: u64 = 15 * MINUTE;
const LONGEST: u64 = 90 * DAY;

/// How much earlier than AWS eksd may see an end: a session begins when the person signs in, and eksd
/// hears of it when the browser has come back.
const SLACK: u64 = MINUTE;

/// An end is known well enough to count if it is known to two hours, and for long sessions to a tenth
/// of their length, but never worse than to the day. A refresh comes every half an hour while the
/// machine is awake; what is wider is a machine that slept.
const FAIR: u64 = 2 * HOUR;
const FAIR_PART: u64 = 10;

/// Whatever the width: a session that was not seen alive after the first third of its time may as well
/// have been revoked. Short sessions are refreshed once, at half of their time.
const EARLY_PART: u64 = 3;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What administrators choose, roundest first.
const ROUND: [u64; 5] = [DAY, HOUR, 30 * MINUTE, 15 * MINUTE, 5 * MINUTE];

/// A session that ended: it lasted longer than `alive`, and not longer than `dead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    alive: u64,
    dead: u64,
}

impl Observation {
    /// Returns the end of a session that was last proved alive `alive` after the login, and refused
    /// `dead` after it; `None` where that tells nothing about a setting: the times are reversed, too
    /// far apart, or shorter or longer than any setting.
    pub fn new(alive: Duration, dead: Duration) -> Option<Self> {
        // Rounded away from each other: the interval may grow, never shrink.
        let is_more = u64::from(dead.subsec_nanos() != 0);
        let (alive, dead) = (alive.as_secs(), dead.as_secs().saturating_add(is_more));
        let width = dead.checked_sub(alive).filter(|width| 0 < *width)?;
        let fair = (dead / FAIR_PART).clamp(FAIR, DAY);
        let is_fair = width <= fair && dead / EARLY_PART <= alive;
        let is_possible = SHORTEST - SLACK <= dead && alive < LONGEST;
        (is_fair && is_possible).then_some(Self { alive, dead })
    }

    /// Returns the last instant of the session at which it was proved alive, after its login.
    pub fn alive(self) -> Duration {
        Duration::from_secs(self.alive)
    }

    /// Returns when it was refused, after its login.
    pub fn dead(self) -> Duration {
        Duration::from_secs(self.dead)
    }

    /// Returns what both agree on, if they do.
    fn and(self, other: Self) -> Option<Self> {
        let both = Self { alive: self.alive.max(other.alive), dead: self.dead.min(other.dead) };
        (both.alive < both.dead + SLACK).then_some(both)
    }

    /// Returns the roundest length inside; of several the shortest, since a warning that comes early
    /// is put right by the next refresh, and one that comes late by nobody.
    fn roundest(self) -> Option<Duration> {
        let above = self.alive.max(SHORTEST - 1);
        let last = (self.dead + SLACK).min(LONGEST);
        let multiple = |unit: &u64| (above / unit + 1) * unit;
        let round = ROUND.iter().map(multiple).find(|length| *length <= last);
        let end = if above < self.dead { self.dead.min(LONGEST) } else { last };
        let length = round.unwrap_or(end);
        (above < length).then(|| Duration::from_secs(length))
    }
}

/// What the ends of a sign-in's sessions say about their length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// Oldest first, and none that a later session has disproved.
    observations: Vec<Observation>,
}

impl Learned {
    /// Returns what was learned before, oldest first.
    pub fn from_observations(observations: impl IntoIterator<Item = Observation>) -> Self {
        let mut learned = Self::default();
        for observation in observations {
            learned.push(observation);
        }
        learned
    }

    /// Returns the ends that are remembered, oldest first.
    pub fn observations(&self) -> &[Observation] {
        &self.observations
    }

    /// AWS refused to renew a session `dead` after its login; it was last proved alive `alive` after
    /// it. Not for a session that somebody logged out of.
    pub fn ended(&mut self, alive: Duration, dead: Duration) {
        self.outlived(alive);
        if let Some(observation) = Observation::new(alive, dead) {
            self.push(observation);
        }
    }

    /// A session is alive `alive` after its login. Earlier ones that ended sooner were revoked, or the
    /// setting was changed since. Returns whether that was news.
    pub fn outlived(&mut self, alive: Duration) -> bool {
        let alive = alive.as_secs();
        let before = self.observations.clone();
        self.observations.retain_mut(|observation| {
            observation.alive = observation.alive.max(alive);
            observation.alive < observation.dead + SLACK
        });
        self.observations != before
    }

    /// Returns the length that is believed: what the last two ends in a row that agree have in common,
    /// and the ones before them as far as they agree too. A single later end that does not agree
    /// changes nothing: the session may have been revoked.
    pub fn length(&self) -> Option<Duration> {
        let run_to = |last: usize| {
            let (newest, earlier) = self.observations[..=last].split_last()?;
            let mut agreed = None;
            for observation in earlier.iter().rev() {
                match agreed.unwrap_or(*newest).and(*observation) {
                    Some(both) => agreed = Some(both),
                    None => break,
                }
            }
            agreed
        };
        (0..self.observations.len()).rev().find_map(run_to)?.roundest()
    }

    fn push(&mut self, observation: Observation) {
        self.observations.push(observation);
        let surplus = self.observations.len().saturating_sub(MOST);
        self.observations.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads `7h31`, `45m`, `7d`, `7h59m40s`-like texts: digits and units, `h`, `m`, `s`, `d`.
    fn span(text: &str) -> Duration {
        let (mut seconds, mut number) = (0, 0);
        for c in text.chars() {
            let unit = match c {
                'd' => DAY,
                'h' => HOUR,
                'm' => MINUTE,
                's' => 1,
                digit => {
                    number = number * 10 + u64::from(digit.to_digit(10).unwrap());
                    continue;
                }
            };
            seconds += number * unit;
            number = 0;
        }
        Duration::from_secs(seconds)
    }

    /// Reads `7h30m+` as a session that was seen alive, `7h31m-8h1m` as one that ended.
    fn after(story: &str) -> Learned {
        let mut learned = Learned::default();
        for event in story.split_whitespace() {
            match event.split_once('-') {
                Some((alive, dead)) => learned.ended(span(alive), span(dead)),
                None => {
                    learned.outlived(span(event.strip_suffix('+').unwrap()));
                }
            }
        }
        learned
    }

    #[track_caller]
    fn check(rows: &[(&str, Option<&str>)]) {
        for (story, expected) in rows {
            assert_eq!(after(story).length(), expected.map(span), "{story}");
        }
    }

    #[test]
    fn two_ends_that_agree_are_believed() {
        check(&[
            ("", None),
            ("7h31m-8h1m", None),
            ("7h31m-8h1m 7h31m-8h1m", Some("8h")),
            ("7h31m-8h1m 7h59m-8h29m", Some("8h")),
            // Nothing in common.
            ("7h31m-8h1m 9h31m-10h1m", None),
            // Seen a little too early: the browser took its time.
            ("7h31m-8h1m 7h30m-7h59m30s", Some("8h")),
            ("8h5m-8h20m 7h45m-8h4m30s", Some("8h5m30s")),
            ("8h5m-8h20m 7h45m-8h4m", None),
            // The third one knows better.
            ("9h31m-10h20m 9h10m-10h1m 9h50m-10h21m", Some("10h")),
            ("8h40m-9h20m 8h45m-9h30m 8h35m-8h58m", Some("8h50m")),
        ]);
    }

    #[test]
    fn the_roundest_length() {
        check(&[
            ("6d20h-7d3h 6d20h-7d3h", Some("7d")),
            ("23h40m-24h10m 23h40m-24h10m", Some("24h")),
            ("11h20m-12h1m 11h20m-12h1m", Some("12h")),
            ("8h5m-8h35m 8h5m-8h35m", Some("8h30m")),
            ("8h5m-8h25m 8h5m-8h25m", Some("8h15m")),
            ("8h1m-8h12m 8h1m-8h12m", Some("8h5m")),
            ("8h1m-8h3m 8h1m-8h3m", Some("8h3m")),
            // Two whole hours: the earlier one.
            ("7h30m-9h10m 7h30m-9h10m", Some("8h")),
            // Exactly at the end, and just after it.
            ("7h30m-8h 7h30m-8h", Some("8h")),
            ("8h-8h10m 8h-8h10m", Some("8h5m")),
            ("8m-15m 8m-15m", Some("15m")),
            ("8m-16m 8m-16m", Some("15m")),
            ("8m-14m30s 8m-14m30s", Some("15m")),
            ("89d12h-90d6h 89d12h-90d6h", Some("90d")),
        ]);
    }

    #[test]
    fn what_cannot_be_a_setting() {
        check(&[
            ("5m-10m 5m-10m", None),
            ("7h31m-8h1m 7h31m-8h1m 5m-10m 5m-10m", Some("8h")),
            ("90d-90d1h 90d-90d1h", None),
            ("400d-400d1h 400d-400d1h", None),
            // The clock was set back.
            ("8h-7h 8h-7h", None),
            ("8h-8h 8h-8h", None),
        ]);
        let longest = Duration::MAX;
        assert_eq!(Observation::new(longest, longest), None);
        assert_eq!(Observation::new(Duration::ZERO, longest), None);
    }

    #[test]
    fn one_revocation_is_not_believed() {
        check(&[
            ("1h-1h20m 7h31m-8h1m", None),
            ("7h31m-8h1m 1h-1h20m", None),
            ("7h31m-8h1m 1h-1h20m 7h31m-8h1m", Some("8h")),
            ("1h-1h20m 7h31m-8h1m 7h31m-8h1m", Some("8h")),
            // Once believed, one end changes nothing, two do.
            ("7h31m-8h1m 7h31m-8h1m 1h-1h20m", Some("8h")),
            ("7h31m-8h1m 7h31m-8h1m 3h40m-4h10m 3h45m-4h15m", Some("4h")),
            ("7h31m-8h1m 7h31m-8h1m 3h40m-4h10m 1h-1h20m", Some("8h")),
        ]);
    }

    #[test]
    fn a_session_that_lives_on_disproves() {
        check(&[
            ("3h40m-4h10m 3h45m-4h15m 4h+", Some("4h5m")),
            ("3h40m-4h10m 3h45m-4h15m 4h12m+", None),
            ("3h40m-4h10m 3h45m-4h15m 4h20m+", None),
            ("3h40m-4h10m 3h45m-4h15m 4h20m+ 7h31m-8h1m 7h31m-8h1m", Some("8h")),
            // So does one that ended while the machine slept.
            ("3h40m-4h10m 3h45m-4h15m 5h-20h", None),
            // A revocation is forgotten by the next session.
            ("7h31m-8h1m 1h-1h20m 2h+ 7h31m-8h1m", Some("8h")),
        ]);
        let mut learned = after("3h40m-4h10m");
        assert!(!learned.outlived(span("3h40m")), "known");
        assert!(learned.outlived(span("3h50m")), "closer");
        assert!(!learned.outlived(span("3h50m")), "known");
        assert!(learned.outlived(span("5h")), "disproved");
        assert!(!learned.outlived(span("6h")), "nothing left");
    }

    #[test]
    fn a_machine_that_slept_knows_little() {
        check(&[
            ("1h-16h 1h-16h", None),
            ("5h59m-8h 5h59m-8h", None),
            ("6h-8h 6h-8h", Some("7h")),
            ("7h31m-8h1m 1h-16h", None),
            ("7h31m-8h1m 1h-16h 7h31m-8h1m", Some("8h")),
            // Over night in a week and in a quarter.
            ("6d12h-7d3h 6d12h-7d3h", Some("7d")),
            ("6d8h-7d3h 6d8h-7d3h", None),
            ("29d12h-30d12h 29d12h-30d12h", Some("30d")),
            ("29d12h-30d13h 29d12h-30d13h", None),
            // Never seen alive after its beginning.
            ("0m-20m 0m-20m", None),
            ("5m-20m 5m-20m", None),
        ]);
    }

    #[test]
    fn the_memory_is_short() {
        let learned = after(&"7h31m-8h1m ".repeat(20));
        assert_eq!(learned.observations().len(), 8);
        let again = Learned::from_observations(learned.observations().iter().copied());
        assert_eq!(again, learned);
        // What was believed goes in time, if nothing like it comes again.
        let story = "7h-8h 7h-8h 6h40m-6h50m 6h-6h10m 5h-5h10m 4h-4h10m 3h-3h10m 2h-2h10m 1h-1h10m";
        check(&[(story, None)]);
        check(&[(story.strip_suffix(" 1h-1h10m").unwrap(), Some("8h"))]);
    }

    #[test]
    fn parts_of_seconds_widen() {
        let (alive, dead) = (Duration::from_millis(27_061_900), Duration::from_millis(28_861_100));
        let observation = Observation::new(alive, dead).unwrap();
        assert_eq!(observation.alive(), Duration::from_secs(27_061));
        assert_eq!(observation.dead(), Duration::from_secs(28_862));
    }

    /// A session as the agent sees it: the refreshes that AWS granted, and the one that it did not.
    struct Lived {
        alive: Vec<u64>,
        dead: u64,
    }

    /// Cuts `length` into refreshes that are `steps` apart.
    fn live(length: u64, steps: &[u64]) -> Lived {
        let mut at = 0;
        let mut alive = vec![0];
        for step in steps.iter().cycle() {
            at += step;
            if length <= at {
                break;
            }
            alive.push(at);
        }
        Lived { alive, dead: at }
    }

    impl Lived {
        fn tell(&self, learned: &mut Learned) {
            for alive in &self.alive {
                learned.outlived(Duration::from_secs(*alive));
            }
            let last = *self.alive.last().unwrap();
            learned.ended(Duration::from_secs(last), Duration::from_secs(self.dead));
        }
    }

    proptest! {
        /// Whatever the refreshes: longer than any session was seen to live since the first end that is
        /// remembered, and no longer than the shortest that counts.
        #[test]
        fn a_constant_length(
            length in SHORTEST..=LONGEST,
            parts in prop::collection::vec(prop::collection::vec(1_u64..1000, 1..6), 1..MOST),
        ) {
            let mut learned = Learned::default();
            let (mut longest, mut shortest) = (0, u64::MAX);
            for parts in parts {
                let steps: Vec<u64> = parts.iter().map(|part| (length * part / 1000).max(1)).collect();
                let lived = live(length, &steps);
                if learned.observations().is_empty() {
                    longest = 0;
                }
                longest = longest.max(*lived.alive.last().unwrap());
                lived.tell(&mut learned);
                if let Some(last) = learned.observations().last() {
                    shortest = shortest.min(last.dead);
                }
                if let Some(believed) = learned.length() {
                    prop_assert!(longest < believed.as_secs(), "{learned:?} {believed:?}");
                    prop_assert!(believed.as_secs() <= shortest + SLACK, "{learned:?} {believed:?}");
                    prop_assert!((SHORTEST..=LONGEST).contains(&believed.as_secs()));
                }
            }
        }

        /// Sessions that are refreshed regularly are understood after the second one, and a
        /// revocation among them is never taken for their length.
        #[test]
        fn one_revocation_among_them(
            length in HOUR..=LONGEST,
            parts in prop::collection::vec(prop::collection::vec(10_u64..95, 1..6), 4..10),
            revoked_after in 0.0..0.85,
            place in any::<prop::sample::Index>(),
        ) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a part of it")]
            let revoked_at = (length as f64 * revoked_after) as u64;
            let place = place.index(parts.len());
            let mut learned = Learned::default();
            for (number, parts) in parts.iter().enumerate() {
                let step = |part: &u64| (length * part / 1000).clamp(1, DAY * 9 / 10);
                let steps: Vec<u64> = parts.iter().map(step).collect();
                if number == place {
                    live(revoked_at, &steps).tell(&mut learned);
                } else {
                    live(length, &steps).tell(&mut learned);
                }
                if let Some(believed) = learned.length() {
                    prop_assert!(length * 9 / 10 <= believed.as_secs(), "{learned:?} {believed:?}");
                }
            }
            prop_assert!(learned.length().is_some(), "{learned:?}");
        }
    }
}
