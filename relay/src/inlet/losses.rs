//! What share of the packets was lost lately.

use std::time::{Duration, Instant};

/// A few losses in a moment are no weather: this is what counts as lately.
const WINDOW: Duration = Duration::from_secs(10);
/// Fewer packets say nothing.
const ENOUGH: u64 = 300;

/// Looks at counters that only grow, or nearly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Losses {
    since: Instant,
    packets: u64,
    lost: u64,
    per_mille: u32,
}

impl Losses {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, packets: 0, lost: 0, per_mille: 0 }
    }

    /// The counters at this moment: packets that came, packets that are missing for good.
    pub(super) fn look(&mut self, now: Instant, packets: u64, lost: u64) {
        if now.saturating_duration_since(self.since) < WINDOW {
            return;
        }
        // A late packet takes a loss back.
        let (came, missing) = (packets.saturating_sub(self.packets), lost.saturating_sub(self.lost));
        let all = came + missing;
        let share = if all < ENOUGH { 0 } else { missing * 1000 / all };
        *self = Self { since: now, packets, lost, per_mille: u32::try_from(share).unwrap_or(1000) };
    }

    /// Of a thousand packets, in the last full window.
    pub(super) fn per_mille(&self) -> u32 {
        self.per_mille
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_at_a_time() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut losses = Losses::new(begin);
        losses.look(at(5), 1_000, 100);
        assert_eq!(losses.per_mille(), 0, "too early");
        losses.look(at(10), 3_960, 40);
        assert_eq!(losses.per_mille(), 10);
        losses.look(at(20), 7_960, 39);
        assert_eq!(losses.per_mille(), 0, "one came late after all");
        losses.look(at(30), 7_970, 49);
        assert_eq!(losses.per_mille(), 0, "too few to tell");
        losses.look(at(40), 8_970, 1_049);
        assert_eq!(losses.per_mille(), 500);
    }
}
