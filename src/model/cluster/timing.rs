//! When a cluster is compared with AWS.

use std::time::Duration;

use jiff::Timestamp;

/// What is overdue when the agent starts is spread over this time: three hundred clusters do not
/// come at once.
const SPREAD: Duration = Duration::from_mins(10);

/// Returns the instant in `length`, a tenth more or less. `dice` is 0.0 ..= 1.0.
pub fn about(length: Duration, now: Timestamp, dice: f64) -> Timestamp {
    let jitter = 0.9 + 0.2 * dice.clamp(0.0, 1.0);
    now.checked_add(length.mul_f64(jitter)).unwrap_or(Timestamp::MAX)
}

/// Returns when a cluster is compared that has no appointment: what was compared before keeps its
/// rhythm, what is overdue comes soon, and not all at once.
pub fn first_check(
    checked_at: Option<Timestamp>,
    every: Duration,
    now: Timestamp,
    dice: f64,
) -> Timestamp {
    let due = checked_at.map(|at| about(every, at, dice));
    due.filter(|at| now < *at).unwrap_or_else(|| {
        now.checked_add(SPREAD.mul_f64(dice.clamp(0.0, 1.0))).unwrap_or(Timestamp::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_hours(6);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn minutes(at: Timestamp) -> i64 {
        (at.as_second() - 1_800_000_000) / 60
    }

    #[test]
    fn a_tenth_more_or_less() {
        for (dice, expected) in [(0.0, 324), (0.5, 360), (1.0, 396)] {
            assert_eq!(minutes(about(EVERY, at(0), dice)), expected);
        }
    }

    #[test]
    fn first_ones() {
        for (checked, now, dice, expected) in [
            (Some(0), 100, 0.5, 360),
            (Some(0), 100, 1.0, 396),
            (Some(0), 361, 0.5, 366),
            (Some(0), 9_000, 0.0, 9_000),
            (Some(0), 9_000, 1.0, 9_010),
            (None, 50, 0.3, 53),
        ] {
            let first = first_check(checked.map(at), EVERY, at(now), dice);
            assert_eq!(minutes(first), expected, "{checked:?} {now} {dice}");
        }
    }

    /// Registered in one go, compared by one sync, and all overdue on Monday morning.
    #[test]
    fn three_hundred_do_not_come_at_once() {
        let dice = |n: i32| f64::from(n) / 299.0;
        for (now, window) in [(0, 72), (5_000, 10)] {
            let mut all: Vec<i64> = (0..300)
                .map(|n| minutes(first_check(Some(at(0)), EVERY, at(now), dice(n))))
                .collect();
            all.sort_unstable();
            let busiest =
                all.iter().map(|minute| all.iter().filter(|other| *other == minute).count()).max();
            assert!(busiest.unwrap() <= 300 / window + 2, "{now}: {busiest:?}");
            assert!(all[299] - all[0] <= i64::try_from(window).unwrap());
        }
    }
}
