//! How long a publisher's media takes at least until it goes on to the relay. The relay adds what it sees itself: how much
//! later than at its best the media comes now.

use std::time::{Duration, Instant};

/// Watches the round trips of one publisher.
#[derive(Debug, Default)]
pub(super) struct LeastDelay {
    /// The quickest round trip of this span and of the one before.
    quickest: [Option<Duration>; 2],
    span_began: Option<Instant>,
}

impl LeastDelay {
    /// `round_trip`: the newest. `held`: what we hold the quickest media back on purpose. `None` while no round trip is known.
    pub(super) fn now(
        &mut self,
        now: Instant,
        round_trip: Option<Duration>,
        held: Duration,
    ) -> Option<Duration> {
        if self.span_began.is_none_or(|began| now.saturating_duration_since(began) >= SPAN) {
            self.span_began = Some(now);
            self.quickest = [None, self.quickest[0]];
        }
        self.quickest[0] = self.quickest[0].into_iter().chain(round_trip).min();
        let quickest = self.quickest.into_iter().flatten().min()?;
        Some(quickest / 2 + held)
    }
}

/// A publisher on another network has another round trip; after one to two of these only that counts.
const SPAN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_quickest_round_trip_lately_and_what_is_held() {
        let (mut least, begin) = (LeastDelay::default(), Instant::now());
        let ms = Duration::from_millis;
        let mut at = |seconds: u64, trip: Option<u64>, held: u64| {
            least.now(begin + Duration::from_secs(seconds), trip.map(ms), ms(held))
        };
        assert_eq!(at(0, None, 0), None);
        assert_eq!(at(1, Some(100), 0), Some(ms(50)));
        assert_eq!(at(2, Some(40), 120), Some(ms(140)));
        assert_eq!(at(3, Some(400), 0), Some(ms(20)));
        assert_eq!(at(31, Some(400), 0), Some(ms(20)));
        assert_eq!(at(61, Some(400), 0), Some(ms(200)));
    }
}
