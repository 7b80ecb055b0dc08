//! Our last DTLS flight, until the viewer has shown that it has it.

use std::time::{Duration, Instant};

use heliograph_edge::dtls::LastFlight;

/// The flight, and when it went out.
pub(crate) struct SentFlight {
    flight: LastFlight,
    sent: Instant,
    /// What the viewer took to answer the flight before it: a round trip or more.
    round_trip: Duration,
    /// How often it may go out again.
    left: u8,
}

/// Nobody can tell a repetition from one that somebody else has copied, and each may bring a replay. A client that waits
/// for 50 ms, and then for twice as long each time, has repeated itself for six seconds by then.
const MOST_REPETITIONS: u8 = 8;

/// What a viewer that repeats its own last flight is sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Repeated<'a> {
    pub(crate) datagram: &'a [u8],
    /// Ours got lost, so the viewer cannot have opened anything since. Sooner than after a round trip it may only have
    /// been impatient.
    pub(crate) unheard: bool,
}

impl SentFlight {
    pub(crate) fn new(now: Instant, datagrams: &[Vec<u8>], round_trip: Duration) -> Self {
        Self { flight: LastFlight::new(datagrams), sent: now, round_trip, left: MOST_REPETITIONS }
    }

    /// The answer to a DTLS datagram of the viewer, if it wants one.
    pub(crate) fn answer(&mut self, now: Instant, datagram: &[u8]) -> Option<Repeated<'_>> {
        let answer = self.flight.answer(datagram)?;
        self.left = self.left.checked_sub(1)?;
        let unheard = now.saturating_duration_since(self.sent) >= self.round_trip;
        self.sent = now;
        Some(Repeated { datagram: answer, unheard })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_viewer_that_repeats_itself_a_round_trip_later_has_heard_nothing() {
        /// An encrypted handshake record.
        const FINISHED: &[u8] = &[22, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 7];
        let ms = Duration::from_millis;
        let start = Instant::now();
        let mut sent = SentFlight::new(start, &[b"ours".to_vec()], ms(40));
        assert_eq!(sent.answer(start + ms(100), b"something else"), None);
        for (at, unheard) in [(30, false), (60, false), (100, true), (139, false), (179, true)] {
            let expected = Repeated { datagram: b"ours", unheard };
            assert_eq!(sent.answer(start + ms(at), FINISHED).unwrap(), expected, "{at} ms");
        }
        let answers =
            (0..100).filter(|&at| sent.answer(start + ms(200 + 50 * at), FINISHED).is_some()).count();
        assert_eq!(answers, usize::from(MOST_REPETITIONS) - 5, "a flood is not answered for ever");
    }
}
