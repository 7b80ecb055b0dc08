//! How long a caller takes to answer: acknowledgements are numbered, and it acknowledges each
//! (draft-sharabayko-srt-01 section 4.10).
//!
//! The machine measures that too, but begins with 10 ms and comes to the truth over dozens of answers, so that the quickest it
//! has seen is never true on a long way.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::uplink::health::smoothed_round_trip;

/// Watches acknowledgements and their answers.
#[derive(Debug, Default)]
pub(super) struct RoundTrip {
    /// Numbers and when they were sent, oldest first.
    waiting: VecDeque<(u32, Instant)>,
    smoothed: Option<Duration>,
}

impl RoundTrip {
    /// An acknowledgement goes out. Its number is higher than those before.
    pub(super) fn asked(&mut self, now: Instant, number: u32) {
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((number, now));
    }

    /// The caller has acknowledged it.
    pub(super) fn answered(&mut self, now: Instant, number: u32) {
        let Ok(place) = self.waiting.binary_search_by_key(&number, |(asked, _)| *asked) else { return };
        let Some((_, asked)) = self.waiting.drain(..=place).next_back() else { return };
        let sample = now.saturating_duration_since(asked);
        self.smoothed = Some(smoothed_round_trip(self.smoothed, sample));
    }

    /// The last ones, smoothed; `None` before the first.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }
}

/// One is sent every 10 ms, and nobody broadcasts over a round trip of five seconds.
const MOST_WAITING: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_tells_and_later_ones_are_smoothed() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut trip = RoundTrip::default();
        trip.answered(at(0), 1);
        assert_eq!(trip.smoothed(), None);
        for number in 1..=20 {
            trip.asked(at(u64::from(number) * 10), number);
        }
        trip.answered(at(170), 1);
        assert_eq!(trip.smoothed(), Some(Duration::from_millis(160)));
        // The second answer was lost. One comes twice, and one that nobody waits for.
        trip.answered(at(230), 3);
        trip.answered(at(900), 3);
        trip.answered(at(900), 2);
        trip.answered(at(900), 77);
        assert_eq!(trip.smoothed(), Some(Duration::from_millis(170)));
    }

    #[test]
    fn a_silent_caller_takes_no_more_and_more_memory() {
        let mut trip = RoundTrip::default();
        let now = Instant::now();
        for number in 0..10_000 {
            trip.asked(now, number);
        }
        assert_eq!(trip.waiting.len(), MOST_WAITING);
        trip.answered(now + Duration::from_secs(1), 9_999);
        assert_eq!((trip.waiting.len(), trip.smoothed()), (0, Some(Duration::from_secs(1))));
    }
}
