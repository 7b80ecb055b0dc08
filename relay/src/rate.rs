//! Bitrate over the last second, without a queue of samples.

use std::time::{Duration, Instant};

use heliograph_media::Bitrate;

const SLOTS: usize = 9;
const SLOT: Duration = Duration::from_millis(125);

/// Counts bytes in slots of an eighth of a second; the rate is that of the last eight whole ones.
#[derive(Clone, Debug, Default)]
pub struct RateMeter {
    /// Start of the newest slot.
    newest: Option<Instant>,
    /// When counting began: right after it the rate is that of the time that has passed.
    began: Option<Instant>,
    slots: [u64; SLOTS],
    at: usize,
}

impl RateMeter {
    /// Counts `bytes` that came at `now`.
    pub fn add(&mut self, now: Instant, bytes: usize) {
        self.advance(now);
        self.slots[self.at] += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// The rate over the last second, zero when nothing came.
    #[must_use]
    pub fn rate(&self, now: Instant) -> Bitrate {
        let mut moved = self.clone();
        moved.advance(now);
        let (Some(newest), Some(began)) = (moved.newest, moved.began) else { return Bitrate::bps(0) };
        let whole: u64 = moved
            .slots
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != moved.at)
            .map(|(_, bytes)| bytes)
            .sum();
        let window = SLOT * (SLOTS as u32 - 1);
        match newest.saturating_duration_since(began) {
            Duration::ZERO => Bitrate::measured(moved.slots[moved.at], SLOT),
            passed => Bitrate::measured(whole, passed.min(window)),
        }
    }

    fn advance(&mut self, now: Instant) {
        let Some(mut newest) = self.newest else {
            self.newest = Some(now);
            self.began = Some(now);
            return;
        };
        let behind = now.saturating_duration_since(newest);
        if behind >= SLOT * SLOTS as u32 * 2 {
            // A pause: start again rather than average over silence.
            *self = Self { newest: Some(now), began: Some(now), ..Self::default() };
            return;
        }
        while now.saturating_duration_since(newest) >= SLOT {
            newest += SLOT;
            self.at = (self.at + 1) % SLOTS;
            self.slots[self.at] = 0;
        }
        self.newest = Some(newest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_stream_pause_and_return() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        for packet in 0..300_u32 {
            meter.add(start + Duration::from_millis(10) * packet, 1_250);
        }
        let rate = meter.rate(start + Duration::from_millis(3_000)).as_kbps();
        assert!((970..=1_030).contains(&rate), "{rate}");
        assert_eq!(meter.rate(start + Duration::from_secs(60)), Bitrate::bps(0));
        meter.add(start + Duration::from_secs(60), 125);
        assert_eq!(meter.rate(start + Duration::from_secs(60)).as_kbps(), 8);
    }
}
