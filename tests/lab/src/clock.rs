//! The lab's own clock, and the spellings of time that its protocols use.

use std::time::{SystemTime, UNIX_EPOCH};

/// Time as the lab sees it: the system's clock plus an offset, or frozen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Clock {
    pub(crate) offset_ms: i64,
    pub(crate) frozen_ms: Option<i64>,
}

impl Clock {
    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.frozen_ms.unwrap_or_else(|| system_ms() + self.offset_ms)
    }

    /// Moves the clock on; a frozen clock stays frozen at the later moment.
    pub(crate) fn advance(&mut self, seconds: i64) {
        match &mut self.frozen_ms {
            Some(at) => *at += seconds * 1000,
            None => self.offset_ms += seconds * 1000,
        }
    }
}

fn system_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    weekday: usize,
}

/// Days to a date, after Howard Hinnant's `civil_from_days`.
fn parts(unix: i64) -> Parts {
    let (days, rest) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    Parts {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day: of_year - (153 * shifted_month + 2) / 5 + 1,
        hour: rest / 3600,
        minute: rest / 60 % 60,
        second: rest % 60,
        weekday: usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0),
    }
}

/// `2026-11-24T02:03:04Z`.
pub(crate) fn iso(unix: i64) -> String {
    let p = parts(unix);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        p.year, p.month, p.day, p.hour, p.minute, p.second
    )
}

/// `20261124T020304Z`, as signatures write it.
pub(crate) fn basic(unix: i64) -> String {
    let p = parts(unix);
    format!("{:04}{:02}{:02}T{:02}{:02}{:02}Z", p.year, p.month, p.day, p.hour, p.minute, p.second)
}

/// `Tue, 24 Nov 2026 02:03:04 GMT`, as the `Date` header writes it.
pub(crate) fn http_date(unix: i64) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let p = parts(unix);
    let month = usize::try_from(p.month - 1).unwrap_or(0);
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        DAYS[p.weekday], p.day, MONTHS[month], p.year, p.hour, p.minute, p.second
    )
}

/// Reads `20261124T020304Z`; nothing for any other spelling.
pub(crate) fn parse_basic(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    if b.len() != 16 || b[8] != b'T' || b[15] != b'Z' {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|c| c.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 {
        return None;
    }
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    let days = era * 146_097 + of_era - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_a_moment_three_ways() {
        let at = 1_795_485_784;
        assert_eq!(iso(at), "2026-11-24T02:03:04Z");
        assert_eq!(basic(at), "20261124T020304Z");
        assert_eq!(http_date(at), "Tue, 24 Nov 2026 02:03:04 GMT");
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn reads_back_what_it_writes() {
        for at in [0, 951_782_400, 1_835_481_570, 4_102_444_799] {
            assert_eq!(parse_basic(&basic(at)), Some(at));
        }
        assert_eq!(parse_basic("2026-11-24T02:03:04Z"), None);
        assert_eq!(parse_basic("20261324T020304Z"), None);
    }

    #[test]
    fn a_frozen_clock_moves_only_when_told() {
        let mut clock = Clock { offset_ms: 0, frozen_ms: Some(5_000) };
        assert_eq!(clock.now_ms(), 5_000);
        clock.advance(7);
        assert_eq!(clock.now_ms(), 12_000);
    }
}
