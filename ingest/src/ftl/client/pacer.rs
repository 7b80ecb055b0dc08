//! The token bucket that spreads a keyframe over time.

use std::time::{Duration, Instant};

/// The bucket holds this much time's worth of the peak rate.
const DEPTH: Duration = Duration::from_millis(100);
/// And begins with this much.
const HEAD_START: Duration = Duration::from_millis(5);

/// Spends bytes at a peak rate. Without a rate everything may go at once.
#[derive(Debug)]
pub(super) struct Pacer {
    peak_bps: Option<u64>,
    saved: Duration,
    counted_at: Instant,
}

impl Pacer {
    /// A bucket for `peak_bps` bits per second; `None` or 0 paces nothing.
    pub(super) fn new(peak_bps: Option<u64>, now: Instant) -> Self {
        Self { peak_bps: peak_bps.filter(|bps| *bps > 0), saved: HEAD_START, counted_at: now }
    }

    /// Spends `bytes`, or says when that will be possible.
    pub(super) fn spend(&mut self, now: Instant, bytes: usize) -> Result<(), Instant> {
        let Some(bps) = self.peak_bps else { return Ok(()) };
        self.saved = (self.saved + now.saturating_duration_since(self.counted_at)).min(DEPTH);
        self.counted_at = now;
        // A packet that costs more than the bucket holds would wait for ever at absurdly low rates.
        let cost = Duration::from_nanos((bytes as u64 * 8).saturating_mul(1_000_000_000) / bps).min(DEPTH);
        match self.saved.checked_sub(cost) {
            Some(left) => {
                self.saved = left;
                Ok(())
            }
            None => Err(now + (cost - self.saved)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time needed for a run of packets, as the sender would wait.
    fn time_for(peak_bps: u64, idle: Duration, bytes: usize) -> Duration {
        let begun = Instant::now();
        let mut pacer = Pacer::new(Some(peak_bps), begun);
        let start = begun + idle;
        let mut now = start;
        for _ in 0..bytes.div_ceil(1392) {
            while let Err(later) = pacer.spend(now, 1392) {
                now = later;
            }
        }
        now - start
    }

    #[test]
    fn a_first_keyframe_is_spread_and_a_later_one_is_not() {
        // 23 kB took the real client 28 ms at 6000 kbit/s and 59 ms at 3000.
        let fast = time_for(6_000_000, Duration::ZERO, 23_000);
        let slow = time_for(3_000_000, Duration::ZERO, 23_000);
        assert!((20..35).contains(&fast.as_millis()), "{fast:?}");
        assert!((50..65).contains(&slow.as_millis()), "{slow:?}");
        assert_eq!(time_for(6_000_000, Duration::from_secs(1), 23_000), Duration::ZERO);
    }

    #[test]
    fn no_rate_means_no_waiting() {
        let now = Instant::now();
        let mut pacer = Pacer::new(Some(0), now);
        for _ in 0..10_000 {
            assert_eq!(pacer.spend(now, 1500), Ok(()));
        }
    }
}
