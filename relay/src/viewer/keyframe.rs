//! What happens when a viewer asks for a keyframe.
//!
//! libwebrtc asks every 200 ms until its first keyframe is complete, and again whenever it cannot go on. Most
//! publishers (FTL among them) cannot be asked; then the newest keyframe of the ring is sent again, with new
//! numbers and its original timestamps.

use std::time::{Duration, Instant};

/// A publisher that answers requests has this long to do so.
const ANSWERS_WITHIN: Duration = Duration::from_millis(500);
/// A request is ignored this long after a keyframe went to the viewer, or a round trip if that is longer:
/// it was sent before the keyframe was seen.
const GRACE: Duration = Duration::from_millis(100);
/// One viewer gets a replay at most this often.
const REPLAY_EVERY: Duration = Duration::from_secs(2);

/// One viewer's requests.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// When a keyframe last went to this viewer, live or replayed.
    served: Option<Instant>,
    replayed: Option<Instant>,
    /// When the publisher was asked, and has not sent a keyframe since.
    asked: Option<Instant>,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing: a keyframe is on its way, or a replay just was.
    Wait,
    /// Send the newest keyframe again, and what followed.
    Replay,
}

impl Requests {
    /// A keyframe went out, or the last packet of a replay.
    pub(crate) const fn on_served(&mut self, now: Instant) {
        self.served = Some(now);
        self.asked = None;
    }

    /// A replay to this viewer began.
    pub(crate) const fn on_replay(&mut self, now: Instant) {
        self.replayed = Some(now);
        self.asked = None;
    }

    /// Whether a replay may begin: at most one in two seconds.
    pub(crate) fn may_replay(&self, now: Instant) -> bool {
        self.replayed.is_none_or(|at| now.saturating_duration_since(at) >= REPLAY_EVERY)
    }

    /// Decides about a PLI or FIR. `ask` passes the wish on to the publisher and says whether that one is known
    /// to answer; it is not called for requests that are ignored.
    pub(crate) fn on_request(
        &mut self,
        now: Instant,
        replaying: bool,
        round_trip: Duration,
        ask: impl FnOnce() -> bool,
    ) -> Answer {
        let grace = GRACE.max(round_trip);
        if replaying || self.served.is_some_and(|at| now.saturating_duration_since(at) < grace) {
            return Answer::Wait;
        }
        let answers = ask();
        let asked = *self.asked.get_or_insert(now);
        if answers && now.saturating_duration_since(asked) < ANSWERS_WITHIN {
            return Answer::Wait;
        }
        if self.may_replay(now) { Answer::Replay } else { Answer::Wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(30);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn unasked() -> bool {
        panic!("an ignored request must not reach the publisher")
    }

    #[test]
    fn ignored_while_replaying_and_a_moment_after() {
        let start = Instant::now();
        let mut requests = Requests::default();
        assert_eq!(requests.on_request(start, true, RTT, unasked), Answer::Wait);
        requests.on_served(start);
        assert_eq!(requests.on_request(start + ms(99), false, RTT, unasked), Answer::Wait);
        assert_eq!(requests.on_request(start + ms(199), false, ms(200), unasked), Answer::Wait);
        assert_eq!(requests.on_request(start + ms(100), false, RTT, || false), Answer::Replay);
    }

    #[test]
    fn a_publisher_that_does_not_answer_is_replaced_by_replays_every_two_seconds() {
        let start = Instant::now();
        let mut requests = Requests::default();
        let mut replays = Vec::new();
        for at in (0..6000).step_by(200) {
            if requests.on_request(start + ms(at), false, RTT, || false) == Answer::Replay {
                requests.on_replay(start + ms(at));
                requests.on_served(start + ms(at + 20));
                replays.push(at);
            }
        }
        assert_eq!(replays, [0, 2000, 4000]);
    }

    #[test]
    fn a_publisher_that_answers_has_half_a_second() {
        let start = Instant::now();
        let mut requests = Requests::default();
        assert_eq!(requests.on_request(start, false, RTT, || true), Answer::Wait);
        assert_eq!(requests.on_request(start + ms(400), false, RTT, || true), Answer::Wait);
        assert_eq!(requests.on_request(start + ms(600), false, RTT, || true), Answer::Replay);

        let mut requests = Requests::default();
        assert_eq!(requests.on_request(start, false, RTT, || true), Answer::Wait);
        requests.on_served(start + ms(120));
        assert_eq!(
            requests.on_request(start + ms(700), false, RTT, || true),
            Answer::Wait,
            "a new half second"
        );
    }
}
