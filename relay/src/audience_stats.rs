//! Figures about viewer sessions for operators: how they came in, how long joining took, how they ended. Counted
//! once per session, never per packet.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{CloseReason, audience::Refused};

/// Upper bounds of the histogram of joining times, in milliseconds.
const BOUNDS_MS: [u64; 11] = [10, 25, 50, 100, 150, 250, 500, 1_000, 2_500, 5_000, 10_000];
const CAUSES: [&str; 3] = ["full", "overloaded", "too_many_pending"];

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct AudienceStats {
    joins: [AtomicU64; BOUNDS_MS.len()],
    join_count: AtomicU64,
    join_us: AtomicU64,
    refused: [AtomicU64; CAUSES.len()],
    ended: [AtomicU64; CloseReason::CODES.len()],
}

/// Viewer sessions at one moment; counters since the start.
#[derive(Clone, Debug, Default)]
pub struct AudienceSnapshot {
    /// Sessions, connected or not.
    pub sessions: u32,
    /// How long joining took.
    pub joins: JoinTimes,
    /// Viewers that were not let in, by cause.
    pub refused: Vec<(&'static str, u64)>,
    /// Sessions that ended, by [`CloseReason::code`].
    pub ended: Vec<(&'static str, u64)>,
}

/// From the wish to watch to an encrypted connection.
#[derive(Clone, Debug, Default)]
pub struct JoinTimes {
    /// Upper bound, and how many took at most so long; ascending.
    pub buckets: Vec<(Duration, u64)>,
    /// All of them.
    pub count: u64,
    /// All times together.
    pub sum: Duration,
}

impl AudienceStats {
    pub(crate) fn joined(&self, took: Duration) {
        let took_ms = took.as_millis();
        if let Some(index) = BOUNDS_MS.iter().position(|&bound| took_ms <= u128::from(bound)) {
            self.joins[index].fetch_add(1, Ordering::Relaxed);
        }
        self.join_count.fetch_add(1, Ordering::Relaxed);
        self.join_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, cause: Refused) {
        let index = match cause {
            Refused::Full => 0,
            Refused::Overloaded => 1,
            Refused::TooManyWaiting => 2,
        };
        self.refused[index].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn ended(&self, reason: &CloseReason) {
        let code = reason.code();
        if let Some(index) = CloseReason::CODES.iter().position(|&known| known == code) {
            self.ended[index].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn snapshot(&self, sessions: u32) -> AudienceSnapshot {
        let mut below = 0;
        let mut buckets = Vec::with_capacity(BOUNDS_MS.len());
        for (&bound, count) in BOUNDS_MS.iter().zip(&self.joins) {
            below += count.load(Ordering::Relaxed);
            buckets.push((Duration::from_millis(bound), below));
        }
        let counted = |names: &[&'static str], counts: &[AtomicU64]| {
            names.iter().zip(counts).map(|(&name, count)| (name, count.load(Ordering::Relaxed))).collect()
        };
        AudienceSnapshot {
            sessions,
            joins: JoinTimes {
                buckets,
                // Never less than the last bucket, whoever counts meanwhile.
                count: self.join_count.load(Ordering::Relaxed).max(below),
                sum: Duration::from_micros(self.join_us.load(Ordering::Relaxed)),
            },
            refused: counted(&CAUSES, &self.refused),
            ended: counted(&CloseReason::CODES, &self.ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_session_is_counted_once_under_its_cause() {
        let stats = AudienceStats::default();
        for milliseconds in [0, 10, 11, 99, 9_999, 60_000] {
            stats.joined(Duration::from_millis(milliseconds));
        }
        stats.refused(Refused::Overloaded);
        stats.ended(&CloseReason::Internal("x".to_owned()));
        stats.ended(&CloseReason::ViewerLeft);
        stats.ended(&CloseReason::ViewerLeft);
        let snapshot = stats.snapshot(4);
        let counts: Vec<u64> = snapshot.joins.buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 3, 3, 4, 4, 4, 4, 4, 4, 4, 5]);
        assert_eq!((snapshot.joins.count, snapshot.joins.sum), (6, Duration::from_millis(70_119)));
        assert_eq!(snapshot.refused, [("full", 0), ("overloaded", 1), ("too_many_pending", 0)]);
        let ended: u64 = snapshot.ended.iter().map(|(_, count)| count).sum();
        assert_eq!((ended, snapshot.sessions), (3, 4));
        assert!(snapshot.ended.contains(&("viewer_left", 2)));
    }

    #[test]
    fn every_reason_has_a_counter() {
        use CloseReason as R;
        let text = String::new;
        let all = [
            R::StreamEnded,
            R::PublisherGone,
            R::ConsentLost,
            R::HandshakeFailed(text()),
            R::HandshakeTimeout,
            R::ViewerLeft,
            R::ServerShutdown,
            R::Replaced,
            R::Kicked,
            R::Internal(text()),
        ];
        assert_eq!(all.map(|reason| reason.code()), R::CODES);
    }
}
