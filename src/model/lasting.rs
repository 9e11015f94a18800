//! Whether credentials will last: before a long run begins, not in the middle of it.

use jiff::Timestamp;

use super::status::{Confidence, RootEnd};

/// When the keys that are held end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysEnd {
    /// Long-lived keys.
    Never,
    /// AWS said so.
    At(Timestamp),
    /// Temporary keys of which nobody wrote down when they end.
    Unknown,
    /// Nothing good is held.
    NotHeld,
}

/// The ends that decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Of the keys.
    pub keys: KeysEnd,
    /// Of what the keys can be renewed from.
    pub source: SourceEnd,
}

/// When the keys can no longer be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceEnd {
    /// They cannot be renewed at all.
    Now,
    /// When a person will be needed.
    Root(RootEnd),
    /// Nobody is ever needed.
    Never,
}

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lasting {
    /// Whether credentials can be had until then.
    pub lasts: bool,
    /// Until when they can be had, where that is known.
    pub until: Option<Timestamp>,
    /// How sure that is.
    pub confidence: Confidence,
}

/// Decides whether credentials can be had until `target`.
///
/// Keys made just before the end of what they come from outlive it; nobody can count on the moment,
/// so that is left out. Where nobody knows when a person will be needed, only the keys count.
pub fn lasting(ends: Ends, target: Timestamp) -> Lasting {
    let verdict = |lasts, until, confidence| Lasting { lasts, until, confidence };
    let keys = match ends.keys {
        KeysEnd::Never => return verdict(true, None, Confidence::Exact),
        KeysEnd::NotHeld => return verdict(false, None, Confidence::Unknown),
        KeysEnd::At(at) if target <= at => return verdict(true, Some(at), Confidence::Exact),
        KeysEnd::At(at) => Some(at),
        KeysEnd::Unknown => None,
    };
    match ends.source {
        SourceEnd::Never => verdict(true, None, Confidence::Unknown),
        SourceEnd::Root(RootEnd { ends_at: Some(end), confidence }) if keys < Some(end) => {
            verdict(target <= end, Some(end), confidence)
        }
        SourceEnd::Root(_) | SourceEnd::Now => {
            let confidence = if keys.is_some() { Confidence::Exact } else { Confidence::Unknown };
            verdict(false, keys, confidence)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(clock: &str) -> Timestamp {
        format!("2026-01-01T{clock}:00Z").parse().unwrap()
    }

    #[test]
    fn what_lasts_until_ten() {
        use Confidence::{Estimated, Exact, Unknown};
        let root = |end: Option<&str>, confidence| {
            SourceEnd::Root(RootEnd { ends_at: end.map(at), confidence })
        };
        let keys = |clock| KeysEnd::At(at(clock));
        for (keys, source, expected) in [
            (KeysEnd::Never, SourceEnd::Now, (true, None, Exact)),
            (KeysEnd::NotHeld, SourceEnd::Never, (false, None, Unknown)),
            // The keys alone suffice, whatever the session does.
            (keys("10:00"), root(None, Unknown), (true, Some("10:00"), Exact)),
            (keys("09:30"), root(Some("18:00"), Estimated), (true, Some("18:00"), Estimated)),
            (keys("09:30"), root(Some("09:45"), Exact), (false, Some("09:45"), Exact)),
            // Nobody knows when a person will be needed: that is no promise.
            (keys("09:30"), root(None, Unknown), (false, Some("09:30"), Exact)),
            // The keys outlive their session.
            (keys("09:30"), root(Some("09:00"), Exact), (false, Some("09:30"), Exact)),
            (keys("09:30"), SourceEnd::Never, (true, None, Unknown)),
            (keys("09:30"), SourceEnd::Now, (false, Some("09:30"), Exact)),
            (KeysEnd::Unknown, SourceEnd::Now, (false, None, Unknown)),
        ] {
            let got = lasting(Ends { keys, source }, at("10:00"));
            let (lasts, until, confidence) = expected;
            let expected = Lasting { lasts, until: until.map(at), confidence };
            assert_eq!(got, expected, "{keys:?} {source:?}");
        }
    }
}
