//! When the publisher is asked for a keyframe: soon after somebody wants one, not too often, and again if none comes.

use std::time::{Duration, Instant};

/// What is known about wishes for keyframes.
#[derive(Debug, Default)]
pub(super) struct KeyframeRequests {
    wanted: bool,
    /// Since the wish; a publisher that never answers is not asked for ever.
    asked: u8,
    last_asked: Option<Instant>,
    total: u64,
}

impl KeyframeRequests {
    /// A keyframe is wanted.
    pub(super) fn want(&mut self) {
        if !self.wanted {
            (self.wanted, self.asked) = (true, 0);
        }
    }

    /// One came.
    pub(super) fn came(&mut self) {
        self.wanted = false;
    }

    /// When to ask; `None` when nothing is wanted, or asking is in vain.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        (self.wanted && self.asked < MOST_TRIES)
            .then(|| self.last_asked.map_or(now, |last| (last + AGAIN_AFTER).max(now)))
    }

    /// Whether to ask now; counts as done.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let due = self.due(now).is_some_and(|at| at <= now);
        if due {
            self.last_asked = Some(now);
            self.asked += 1;
            self.total += 1;
            // In vain: the next wish begins anew.
            self.wanted = self.asked < MOST_TRIES;
        }
        due
    }

    /// How often it was asked.
    pub(super) fn total(&self) -> u64 {
        self.total
    }
}

/// A keyframe is several times as large as other pictures: viewers who ask one after the other get one together.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const MOST_TRIES: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_once_then_every_half_second_until_one_comes() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        assert_eq!(requests.due(start), None);
        requests.want();
        assert!(requests.take(start));
        assert!(!requests.take(start));
        requests.want();
        assert_eq!(requests.due(start), Some(start + AGAIN_AFTER));
        assert!(requests.take(start + AGAIN_AFTER));
        requests.came();
        assert_eq!(requests.due(start + AGAIN_AFTER), None);
        // The next wish waits its turn.
        requests.want();
        assert_eq!(requests.due(start + AGAIN_AFTER), Some(start + 2 * AGAIN_AFTER));
    }

    #[test]
    fn whoever_never_answers_is_left_alone() {
        let mut now = Instant::now();
        let mut requests = KeyframeRequests::default();
        requests.want();
        for _ in 0..100 {
            now += AGAIN_AFTER;
            requests.take(now);
        }
        assert_eq!(requests.total(), u64::from(MOST_TRIES));
        requests.want();
        assert!(requests.take(now + AGAIN_AFTER));
    }
}
