//! The figures that decide when: windows, back-off, floors.

use std::time::Duration;

/// When to refresh and how long to wait. All of it is settings or a constant with a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long after its last use a profile is kept warm.
    pub keep_warm: Duration,
    /// When to warn before a person is needed, longest first.
    pub notice_before: Vec<Duration>,
    /// What is handed out has at least this much life left, where it can be had.
    pub floor: Duration,
    /// First wait after a failure that may pass; doubles up to `longest_back_off`.
    pub first_back_off: Duration,
    /// Longest wait between tries.
    pub longest_back_off: Duration,
    /// How long a definite refusal is repeated to callers before AWS is asked again.
    pub refusal_holds: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            keep_warm: Duration::from_hours(12),
            notice_before: vec![
                Duration::from_mins(30),
                Duration::from_mins(10),
                Duration::from_mins(2),
            ],
            // AWS CLI and SDKs refresh on every use from 15 minutes before the end
            // (botocore `credentials.py`, `_advisory_refresh_timeout`).
            floor: Duration::from_mins(15),
            first_back_off: Duration::from_secs(1),
            longest_back_off: Duration::from_mins(5),
            refusal_holds: Duration::from_secs(5),
        }
    }
}

impl Policy {
    /// Returns the wait after `failures` failures in a row (1 is the first), `jitter` (0.9 ..= 1.1)
    /// applied. A server's `Retry-After` is a lower bound.
    pub fn back_off(&self, failures: u32, jitter: f64, retry_after: Option<Duration>) -> Duration {
        let doubled = self.first_back_off.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let wait = doubled.min(self.longest_back_off).mul_f64(jitter);
        wait.max(retry_after.unwrap_or_default())
    }

    /// Returns how early the first notice comes.
    pub fn first_notice(&self) -> Duration {
        self.notice_before.iter().copied().max().unwrap_or_default()
    }
}
