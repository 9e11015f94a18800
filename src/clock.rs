//! Time: what the wall says, and sleeping until it says something else.
//!
//! AWS's expiries are wall-clock instants, and a runtime's timers stand still while a laptop
//! sleeps. So a nap ends at a wall-clock deadline, when the clock is set, or after a while at the
//! latest, and whoever napped looks at [`Clock::now`] again.

use std::{future::Future, pin::Pin, time::Duration};

use jiff::Timestamp;

/// The longest nap where the system wakes us when the clock is set or the machine resumes. Only a
/// net under the timer.
const LONGEST_NAP: Duration = Duration::from_mins(10);

/// The longest nap without such a timer.
#[cfg(not(target_os = "linux"))]
const LONGEST_BLIND_NAP: Duration = Duration::from_secs(30);

/// The time, for everything that decides; tests own it.
pub trait Clock: Send + Sync + 'static {
    /// Returns the wall-clock time.
    fn now(&self) -> Timestamp;

    /// Waits until `deadline`, or less.
    fn nap(&self, deadline: Option<Timestamp>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        system_now()
    }

    fn nap(&self, deadline: Option<Timestamp>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let latest = self.now().checked_add(LONGEST_NAP).unwrap_or(Timestamp::MAX);
        let until = deadline.map_or(latest, |deadline| deadline.min(latest));
        Box::pin(nap_until(until))
    }
}

/// Returns the wall-clock time of the machine; the one place that asks for it.
#[expect(clippy::disallowed_methods, reason = "the clock itself")]
pub fn system_now() -> Timestamp {
    Timestamp::now()
}

/// Sleeps on a `timerfd` of the wall clock: it fires when a resumed machine finds the deadline
/// past, and is cancelled when somebody sets the clock (`timerfd_create(2)`, `TFD_TIMER_CANCEL_ON_SET`).
#[cfg(target_os = "linux")]
async fn nap_until(until: Timestamp) {
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    let armed = || -> std::io::Result<_> {
        let timer = timerfd_create(
            TimerfdClockId::Realtime,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec {
            tv_sec: until.as_second(),
            tv_nsec: until.subsec_nanosecond().max(1).into(),
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(&timer, flags, &Itimerspec { it_interval: zero, it_value: value })?;
        crate::platform::register(timer)
    };
    match armed() {
        Ok(timer) => drop(timer.readable().await),
        // Out of descriptors: an ordinary timer, and a short one, since it may be wrong.
        Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
    }
}

#[cfg(not(target_os = "linux"))]
async fn nap_until(until: Timestamp) {
    let left = Duration::try_from(until.duration_since(system_now())).unwrap_or_default();
    tokio::time::sleep(left.min(LONGEST_BLIND_NAP)).await;
}

#[cfg(test)]
pub(crate) use fake::FakeClock;

#[cfg(test)]
mod fake {
    use tokio::sync::watch;

    use super::{Clock, Duration, Future, Pin, Timestamp};

    /// A clock that stands still until a test moves it.
    #[derive(Clone, Debug)]
    pub(crate) struct FakeClock {
        now: watch::Sender<Timestamp>,
    }

    impl FakeClock {
        /// Returns a clock that shows `now`.
        pub(crate) fn new(now: Timestamp) -> Self {
            Self { now: watch::Sender::new(now) }
        }

        /// Moves the hands.
        pub(crate) fn advance(&self, by: Duration) {
            self.now.send_modify(|now| *now = now.checked_add(by).unwrap());
        }
    }

    impl Clock for FakeClock {
        fn now(&self) -> Timestamp {
            *self.now.borrow()
        }

        fn nap(
            &self,
            deadline: Option<Timestamp>,
        ) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            // Subscribed here and not at the first poll: no advance in between can be missed.
            let mut now = self.now.subscribe();
            Box::pin(async move {
                let deadline = deadline.unwrap_or(Timestamp::MAX);
                let _gone = now.wait_for(|now| deadline <= *now).await;
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_nap_ends_at_its_deadline() {
        let clock = SystemClock;
        for ahead in [-5_i64, 0, 20] {
            let deadline =
                clock.now().checked_add(jiff::SignedDuration::from_millis(ahead)).unwrap();
            clock.nap(Some(deadline)).await;
            assert!(deadline <= clock.now(), "{ahead}");
        }
    }
}
