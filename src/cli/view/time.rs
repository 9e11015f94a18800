//! Instants as people read them: how long still, and when on the clock.

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};

use crate::{
    ipc::wire::{Confidence, Phase},
    model::text::printable,
};

/// A cell that says until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Until {
    /// `2h14m (16:40)`.
    pub(super) long: String,
    /// `2h14m`.
    pub(super) short: String,
}

impl Until {
    /// Returns the empty cell.
    pub(super) fn none() -> Self {
        Self::only("-")
    }

    fn only(text: &str) -> Self {
        Self { long: text.to_owned(), short: text.to_owned() }
    }

    /// Says until when something in this phase is good.
    pub(super) fn new(
        at: Option<&str>,
        sure: Confidence,
        phase: Phase,
        now: &ZonedDateTime,
    ) -> Self {
        let Some(text) = at.filter(|_| sure != Confidence::Unknown) else {
            return match phase {
                Phase::Static => Self::only("no end"),
                Phase::Misconfigured | Phase::NeedsMfa => Self::none(),
                Phase::NeedsLogin | Phase::Expired => Self::only("ended"),
                _ => Self::only("unknown"),
            };
        };
        let Ok(at) = text.parse::<Timestamp>() else { return Self::only(&printable(text)) };
        let seconds = seconds_until(at, now);
        let about = if sure == Confidence::Estimated { "~" } else { "" };
        let short = if seconds <= 0 {
            format!("ended {about}{} ago", span(seconds.saturating_neg()))
        } else {
            format!("{about}{}", span(seconds))
        };
        Self { long: format!("{short} ({})", clock(at, now)), short }
    }
}

/// Returns an instant for a sentence: `16:40 (in 2h14m)`; `None` where it is not known.
pub fn until_in_words(at: Option<&str>, sure: Confidence, now: &ZonedDateTime) -> Option<String> {
    let at: Timestamp = at.filter(|_| sure != Confidence::Unknown)?.parse().ok()?;
    let left = seconds_until(at, now).max(0);
    let about = if sure == Confidence::Estimated { "about " } else { "" };
    Some(format!("{about}{} (in {})", clock(at, now), span(left)))
}

/// Returns the whole seconds until `at`, a begun one counted, as the prompt counts: in the last
/// second nothing has ended yet.
fn seconds_until(at: Timestamp, now: &ZonedDateTime) -> i64 {
    let left = at.duration_since(now.timestamp());
    left.as_secs() + i64::from(0 < left.subsec_nanos())
}

/// Returns a length in its two largest units; near the end the seconds count.
pub fn span(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    if 0 < days {
        format!("{days}d{hours}h")
    } else if 0 < hours {
        format!("{hours}h{minutes:02}m")
    } else if 10 <= minutes {
        format!("{minutes}m")
    } else if 0 < minutes {
        format!("{minutes}m{:02}s", seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

/// Returns the time of day, with the weekday or the date where today is not meant.
fn clock(at: Timestamp, now: &ZonedDateTime) -> String {
    let zone: &TimeZone = now.time_zone();
    let at = at.to_zoned_datetime(zone.clone());
    let days = (at.date() - now.date()).get_days();
    let form = match days {
        0 => "%H:%M",
        -6..=6 => "%a %H:%M",
        _ => "%Y-%m-%d",
    };
    at.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m00s"),
            (599, "9m59s"),
            (600, "10m"),
            (3_599, "59m"),
            (3_600, "1h00m"),
            (8_040, "2h14m"),
            (86_399, "23h59m"),
            (86_400, "1d0h"),
            (90 * 86_400, "90d0h"),
        ] {
            assert_eq!(span(seconds), expected);
        }
    }

    #[test]
    fn a_begun_second_counts() {
        let at: Timestamp = "2026-11-24T14:26:10Z".parse().unwrap();
        for (now, expected) in [
            ("2026-11-24T14:26:00Z[UTC]", 10),
            ("2026-11-24T14:26:00.001Z[UTC]", 10),
            ("2026-11-24T14:26:09.999Z[UTC]", 1),
            ("2026-11-24T14:26:10Z[UTC]", 0),
            ("2026-11-24T14:26:10.5Z[UTC]", 0),
            ("2026-11-24T14:26:11.5Z[UTC]", -1),
        ] {
            assert_eq!(seconds_until(at, &now.parse().unwrap()), expected, "{now}");
        }
    }

    #[test]
    fn cells() {
        use Confidence::*;
        let now: ZonedDateTime = "2026-11-24T14:26:00+01:00[Europe/Berlin]".parse().unwrap();
        for (at, sure, phase, long, short) in [
            (Some("2026-11-24T15:40:00Z"), Exact, Phase::Fresh, "2h14m (16:40)", "2h14m"),
            (Some("2026-11-24T15:40:00Z"), Estimated, Phase::Fresh, "~2h14m (16:40)", "~2h14m"),
            (Some("2026-11-25T08:00:00Z"), Exact, Phase::Fresh, "18h34m (Wed 09:00)", "18h34m"),
            (Some("2027-01-01T08:00:00Z"), Exact, Phase::Fresh, "37d18h (2027-01-01)", "37d18h"),
            (
                Some("2026-11-24T13:14:00Z"),
                Exact,
                Phase::NeedsLogin,
                "ended 12m ago (14:14)",
                "ended 12m ago",
            ),
            (Some("2026-11-24T15:40:00Z"), Unknown, Phase::Fresh, "unknown", "unknown"),
            (None, Exact, Phase::Idle, "unknown", "unknown"),
            (None, Unknown, Phase::NeedsLogin, "ended", "ended"),
            (None, Exact, Phase::Static, "no end", "no end"),
            (None, Unknown, Phase::Misconfigured, "-", "-"),
            (Some("soon\u{1b}"), Exact, Phase::Fresh, "soon?", "soon?"),
        ] {
            let until = Until::new(at, sure, phase, &now);
            assert_eq!((until.long.as_str(), until.short.as_str()), (long, short));
        }
    }
}
