//! Two clocks: this machine's, and AWS's as its answers tell it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use aws_smithy_async::time::TimeSource;
use jiff::{SignedDuration, Timestamp};

/// The time, as the agent has it.
pub(crate) type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Less is the second of a `Date` header and the way of the answer.
const LEAST: SignedDuration = SignedDuration::from_secs(30);

/// A clock that is further off needs a person, not a correction: expiries are wrong as well.
const MOST: SignedDuration = SignedDuration::from_mins(15);

/// If the machine's clock went otherwise than time did since AWS answered, it was set, or the
/// machine slept: what was seen before says nothing any more.
const DRIFT: SignedDuration = SignedDuration::from_secs(5);

pub(crate) struct Clocks {
    now: Now,
    seen: Mutex<Option<Sighting>>,
}

#[derive(Clone, Copy)]
struct Sighting {
    ahead: SignedDuration,
    here: Timestamp,
    at: Instant,
}

impl Clocks {
    pub(crate) fn new(now: Now) -> Self {
        Self { now, seen: Mutex::default() }
    }

    /// This machine's clock.
    pub(crate) fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Takes note of the `Date` of an answer that has just come.
    pub(crate) fn saw(&self, server: Timestamp) {
        let here = self.now();
        let ahead = here.duration_since(server);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Sighting { ahead, here, at: Instant::now() });
    }

    /// By how much this machine's clock is ahead, as far as AWS's last answer still tells.
    pub(crate) fn ahead(&self) -> Option<SignedDuration> {
        let seen = (*self.seen.lock().unwrap_or_else(PoisonError::into_inner))?;
        let wall = self.now().duration_since(seen.here);
        let elapsed = SignedDuration::try_from(seen.at.elapsed()).ok()?;
        ((wall - elapsed).abs() < DRIFT).then_some(seen.ahead)
    }

    /// The time to sign with.
    pub(crate) fn signing_time(&self) -> Timestamp {
        let now = self.now();
        match self.ahead() {
            Some(ahead) if LEAST < ahead.abs() && ahead.abs() <= MOST => {
                now.checked_sub(ahead).unwrap_or(now)
            }
            _ => now,
        }
    }
}

impl fmt::Debug for Clocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clocks").field("ahead", &self.ahead()).finish_non_exhaustive()
    }
}

/// The SDK's view of the clocks.
#[derive(Debug)]
pub(crate) struct SdkClock(pub(crate) Arc<Clocks>);

impl TimeSource for SdkClock {
    fn now(&self) -> SystemTime {
        system_time(self.0.signing_time())
    }
}

/// Returns the instant in the type of the SDK. What lies before 1970 signs nothing anyway.
pub(crate) fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::try_from(at).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[test]
    fn signs_at_the_time_of_aws_where_that_is_near() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        for (here, server, signs) in [
            (10_000, 10_000, 10_000),
            (10_000, 10_010, 10_000),
            (10_000, 10_600, 10_600),
            (10_000, 9_100, 9_100),
            // More than 15 minutes: a person has to set the clock.
            (10_000, 10_901, 10_000),
        ] {
            let clocks = Clocks::new(Arc::new(move || at(here)));
            clocks.saw(at(server));
            assert_eq!(clocks.signing_time(), at(signs), "{here} {server}");
            assert_eq!(clocks.ahead(), Some(SignedDuration::from_secs(here - server)));
        }
    }

    #[test]
    fn a_clock_that_was_set_is_not_corrected() {
        let second = Arc::new(AtomicI64::new(10_000));
        let wall = Arc::clone(&second);
        let clocks = Clocks::new(Arc::new(move || {
            Timestamp::from_second(wall.load(Ordering::SeqCst)).unwrap()
        }));
        clocks.saw(Timestamp::from_second(10_600).unwrap());
        second.store(10_600, Ordering::SeqCst);
        assert_eq!(clocks.ahead(), None);
        assert_eq!(clocks.signing_time().as_second(), 10_600);
    }
}
