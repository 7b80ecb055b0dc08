//! Where a track's timestamps lie on the relay's own clock.

use std::time::{Duration, Instant};

use heliograph_media::ClockRate;

/// One straight line between the relay's clock and a track's timestamps.
///
/// Both tracks of a stream move by the same amount when the line is corrected for drift, so lip sync never
/// swings: sender reports to viewers are made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackClock {
    /// A moment.
    pub at: Instant,
    /// The timestamp of what was captured then (in fact: would have arrived then over the fastest path seen).
    pub timestamp: u64,
    /// Ticks per second.
    pub rate: ClockRate,
}

impl TrackClock {
    /// The timestamp that belongs to `when`; zero for moments before the stream's timeline begins.
    #[must_use]
    pub fn timestamp_at(&self, when: Instant) -> u64 {
        match when.checked_duration_since(self.at) {
            Some(later) => self.timestamp.saturating_add(self.rate.ticks(later)),
            None => self.timestamp.saturating_sub(self.rate.ticks(self.at - when)),
        }
    }

    /// The moment that belongs to `timestamp`; `None` when the clock of this machine cannot express it.
    #[must_use]
    pub fn instant_of(&self, timestamp: u64) -> Option<Instant> {
        match timestamp.checked_sub(self.timestamp) {
            Some(later) => self.at.checked_add(self.rate.duration(later)),
            None => self.at.checked_sub(self.rate.duration(self.timestamp - timestamp)),
        }
    }

    /// How much later than `other` this line says a timestamp is due, as `(later, earlier)`: one of the two
    /// is zero.
    #[must_use]
    pub fn shift_from(&self, other: &Self) -> (Duration, Duration) {
        match other.instant_of(self.timestamp) {
            Some(there) => {
                (self.at.saturating_duration_since(there), there.saturating_duration_since(self.at))
            }
            None => (Duration::ZERO, Duration::ZERO),
        }
    }
}
