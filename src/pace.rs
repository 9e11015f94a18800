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

/// A token bucket, counted in instants: the generic cell rate algorithm (ITU-T I.371).
#[derive(Debug, Default)]
pub struct Pace {
    /// When the bucket will be full again.
    full_at: Mutex<Option<Instant>>,
}

impl Pace {
    /// Waits for its turn.
    pub async fn wait(&self) {
        let now = Instant::now();
        let turn = {
            let mut full_at = self.full_at.lock().await;
            let full = full_at.unwrap_or(now).max(now) + GAP;
            *full_at = Some(full);
            full.checked_sub(GAP * BURST).unwrap_or(now)
        };
        if now < turn {
            sleep_until(turn).await;
        }
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
}
