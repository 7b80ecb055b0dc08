//! Asking the publisher for keyframes, and finding out whether it listens.

use std::time::{Duration, Instant};

/// Whether and when to send a picture loss indication.
///
/// FTL and plain RTP senders ignore it, WHIP ones answer. Nobody says beforehand, so one is sent as a trial when
/// the first wish comes; without a keyframe within [`KeyframeRequests::ANSWER`] the next trial is long after.
#[derive(Debug, Default)]
pub(super) struct KeyframeRequests {
    answers: Answers,
    in_flight: Option<Instant>,
    newest: Option<Instant>,
    interval: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Answers {
    #[default]
    Unknown,
    Yes,
    /// Next trial after this long, counted from the moment.
    No(Instant, Duration),
}

impl KeyframeRequests {
    /// A keyframe within this time is an answer.
    const ANSWER: Duration = Duration::from_millis(500);
    const FIRST_RETRIAL: Duration = Duration::from_secs(30);
    const LAST_RETRIAL: Duration = Duration::from_secs(600);

    /// A new publisher: nothing is known about it.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// A keyframe is wanted; `true` when a request should go out now.
    pub(super) fn wish(&mut self, now: Instant) -> bool {
        self.tick(now);
        if self.in_flight.is_some() || self.comes_by_itself(now) {
            return false;
        }
        let ask = match self.answers {
            Answers::Unknown | Answers::Yes => true,
            Answers::No(since, pause) => now.saturating_duration_since(since) >= pause,
        };
        if ask {
            self.in_flight = Some(now);
        }
        ask
    }

    /// The same for a publisher of several layers: such ones come over WebRTC and answer, be it late over a long line.
    pub(super) fn wish_of_layer(&mut self, now: Instant) -> bool {
        self.tick(now);
        let just_came = self.newest.is_some_and(|at| now.saturating_duration_since(at) < Self::ANSWER / 5);
        let ask = self.in_flight.is_none() && !just_came;
        if ask {
            self.in_flight = Some(now);
        }
        ask
    }

    /// A keyframe came.
    pub(super) fn keyframe(&mut self, now: Instant) {
        self.tick(now);
        if let Some(newest) = self.newest.replace(now) {
            self.interval = Some(now.saturating_duration_since(newest));
        }
        if self.in_flight.take().is_some() {
            self.answers = Answers::Yes;
        }
    }

    /// Time passes: an unanswered request counts against the publisher.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.in_flight.is_some_and(|sent| now.saturating_duration_since(sent) > Self::ANSWER) {
            self.in_flight = None;
            let pause = match self.answers {
                Answers::No(_, pause) => (pause * 2).min(Self::LAST_RETRIAL),
                Answers::Unknown | Answers::Yes => Self::FIRST_RETRIAL,
            };
            self.answers = Answers::No(now, pause);
        }
    }

    /// Whether requests are worth passing on.
    pub(super) fn answered(&self) -> bool {
        self.answers == Answers::Yes
    }

    /// The encoder's own rhythm brings one before a request could, or one has just come: asking would teach us
    /// nothing.
    fn comes_by_itself(&self, now: Instant) -> bool {
        let Some(newest) = self.newest else { return false };
        let age = now.saturating_duration_since(newest);
        let due = self.interval.is_some_and(|interval| {
            age <= interval + Self::ANSWER / 5 && interval.saturating_sub(age) <= Self::ANSWER
        });
        age < Self::ANSWER / 5 || due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_layer_is_asked_again_however_late_the_answer_is() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        assert!(requests.wish_of_layer(start));
        assert!(!requests.wish_of_layer(start + ms(400)));
        assert!(requests.wish_of_layer(start + ms(600)));
        requests.keyframe(start + ms(700));
        assert!(!requests.wish_of_layer(start + ms(750)), "it just came");
        assert!(requests.wish_of_layer(start + ms(900)));
    }

    #[test]
    fn a_publisher_that_answers() {
        let t = Instant::now();
        let mut requests = KeyframeRequests::default();
        assert!(requests.wish(t));
        assert!(!requests.wish(t + ms(10)), "one in flight");
        assert!(!requests.answered());
        requests.keyframe(t + ms(120));
        assert!(requests.answered());
        assert!(!requests.wish(t + ms(150)), "one has just come");
        assert!(requests.wish(t + ms(400)));
        assert!(!requests.wish(t + ms(800)));
        requests.tick(t + ms(1_000));
        assert!(!requests.answered(), "not answered in time");
        requests.forget();
        assert!(requests.wish(t + ms(1_001)));
    }

    #[test]
    fn a_publisher_that_does_not() {
        let t = Instant::now();
        let mut requests = KeyframeRequests::default();
        let sent: Vec<u64> = (0..3_600).filter(|second| requests.wish(t + ms(second * 1_000))).collect();
        assert_eq!(sent[..5], [0, 31, 92, 213, 454]);
        assert!(sent.len() < 12 && !requests.answered(), "{sent:?}");
    }

    #[test]
    fn a_steady_rhythm_is_not_an_answer() {
        let t = Instant::now();
        let mut requests = KeyframeRequests::default();
        for step in 0..300_u64 {
            let now = t + ms(step * 100);
            if step % 20 == 0 {
                requests.keyframe(now);
            } else if step > 40 {
                requests.wish(now);
            }
            assert!(!requests.answered(), "{step}");
        }
    }
}
