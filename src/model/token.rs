//! When a cluster token should be asked for again.

use std::time::Duration;

use jiff::Timestamp;

use super::session::span;

/// A cluster takes a token for 15 minutes from its signing (aws-iam-authenticator
/// `pkg/token/token.go`); both official clients say one less, so that none is refused on its way.
const LIFETIME: Duration = Duration::from_mins(14);

/// A token dies with the credentials that signed it; this much before that, a new one is due.
const MARGIN: Duration = Duration::from_mins(1);

/// Returns the `expirationTimestamp` for a token signed at `signed_at` with credentials that end at
/// `credentials_expire_at`: 14 minutes, or a minute before the credentials end, whichever comes first.
///
/// Credentials with less than two minutes left get half of what they have: an instant in the past
/// would make client-go run the plugin for each request.
pub fn ask_again_at(signed_at: Timestamp, credentials_expire_at: Option<Timestamp>) -> Timestamp {
    let left = credentials_expire_at.map_or(Duration::MAX, |end| span(signed_at, end));
    let margin = MARGIN.min(left / 2);
    let lifetime = LIFETIME.min(left.saturating_sub(margin));
    signed_at.checked_add(lifetime).unwrap_or(signed_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_end_counts() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        for (credentials_end, expected) in [
            (None, 840),
            (Some(3600), 840),
            (Some(901), 840),
            (Some(899), 839),
            (Some(600), 540),
            (Some(120), 60),
            (Some(60), 30),
            (Some(10), 5),
            (Some(0), 0),
            (Some(-5), 0),
        ] {
            let got = ask_again_at(at(0), credentials_end.map(at));
            assert_eq!(got, at(expected), "{credentials_end:?}");
        }
    }
}
