//! How fast AWS is called: one token bucket for everything that goes out.
//!
//! AWS gives Identity Center's calls 20 a second for a whole account; tools that fetch hundreds of
//! roles at once run into it. Half of that leaves room for the person's other tools.

use std::time::Duration;

use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

/// Calls that may go out at once after a quiet time.
const BURST: u32 = 10;

/// The time between two calls after a burst: ten a second.
const GAP: Duration = Duration::from_millis(100);

/// However often AWS asks to slow down, one call in this time may go out.
const LONGEST_GAP: Duration = Duration::from_millis(1600);

/// Complaints within this time are about the same calls.
const ONE_INCIDENT: Duration = Duration::from_secs(2);

/// Without another such answer the pace doubles again after this time.
const EASED_FOR: Duration = Duration::from_mins(1);

/// A token bucket, counted in instants: the generic cell rate algorithm (ITU-T I.371).
#[derive(Debug, Default)]
pub struct Pace {
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// When it will be full again.
    full_at: Option<Instant>,
    /// The time between two calls now.
    gap: Duration,
    /// When the gap was changed last.
    changed_at: Option<Instant>,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { full_at: None, gap: GAP, changed_at: None }
    }
}

impl Bucket {
    fn recover(&mut self, now: Instant) {
        while let Some(at) = self.changed_at.filter(|at| *at + EASED_FOR <= now) {
            self.gap = (self.gap / 2).max(GAP);
            self.changed_at = (GAP < self.gap).then(|| at + EASED_FOR);
        }
    }
}

impl Pace {
    /// Waits for its turn.
    pub async fn wait(&self) {
        let now = Instant::now();
        let turn = {
            let mut bucket = self.bucket.lock().await;
            bucket.recover(now);
            let gap = bucket.gap;
            let full = bucket.full_at.unwrap_or(now).max(now) + gap;
            bucket.full_at = Some(full);
            full.checked_sub(gap * BURST).unwrap_or(now)
        };
        if now < turn {
            sleep_until(turn).await;
        }
    }

    /// AWS asked to slow down: from now on half as many calls go out, for a while.
    pub async fn ease(&self) {
        let now = Instant::now();
        let mut bucket = self.bucket.lock().await;
        bucket.recover(now);
        // Of calls that went out together, one complaint is enough.
        if bucket.changed_at.is_some_and(|at| now < at + ONE_INCIDENT) {
            return;
        }
        bucket.gap = (bucket.gap * 2).min(LONGEST_GAP);
        bucket.changed_at = Some(now);
        // No burst either.
        let full = now + bucket.gap * BURST;
        bucket.full_at = Some(bucket.full_at.map_or(full, |at| at.max(full)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_ten_a_second() {
        let pace = Pace::default();
        let start = Instant::now();
        for _ in 0..10 {
            pace.wait().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..20 {
            pace.wait().await;
        }
        let took = start.elapsed();
        assert!((1990..=2010).contains(&took.as_millis()), "{took:?}");
        tokio::time::sleep(Duration::from_secs(5)).await;
        let rested = Instant::now();
        for _ in 0..10 {
            pace.wait().await;
        }
        assert_eq!(rested.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn half_as_fast_after_each_complaint_and_fast_again_in_the_end() {
        let pace = Pace::default();
        let took = async |calls: u32| {
            let start = Instant::now();
            for _ in 0..calls {
                pace.wait().await;
            }
            start.elapsed().as_millis()
        };
        pace.ease().await;
        assert!((1990..=2210).contains(&took(10).await));
        for _ in 0..3 {
            pace.ease().await;
            pace.ease().await;
            tokio::time::sleep(ONE_INCIDENT).await;
        }
        assert_eq!(pace.bucket.lock().await.gap, LONGEST_GAP);
        // Four halvings, a minute each.
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!(took(10).await, 0);
        assert!((1990..=2010).contains(&took(20).await));
    }
}
