//! What came and what did not, by ring number.

use std::{
    collections::VecDeque,
    ops::Range,
    time::{Duration, Instant},
};

use heliograph_media::SeqNo;

/// Timestamps of the newest packets: duplicates are recognised here, and where pictures begin.
#[derive(Debug)]
pub(super) struct Arrivals {
    next: SeqNo,
    /// By number modulo the length; zero where nothing came.
    timestamps: Box<[u64]>,
}

impl Arrivals {
    /// How far back a packet can still come late.
    pub(super) const REACH: u64 = 2_048;

    pub(super) fn new(next: SeqNo) -> Self {
        Self { next, timestamps: vec![0; Self::slot_count()].into_boxed_slice() }
    }

    const fn slot_count() -> usize {
        Self::REACH as usize
    }

    /// The number after the newest.
    pub(super) fn next(&self) -> SeqNo {
        self.next
    }

    /// The timestamp of the packet with this number, if it came and is within reach.
    pub(super) fn get(&self, seq: SeqNo) -> Option<u64> {
        if !self.reaches(seq) {
            return None;
        }
        Some(self.timestamps[Self::slot(seq)]).filter(|&timestamp| timestamp != 0)
    }

    /// Not newer than the newest and not too old.
    pub(super) fn reaches(&self, seq: SeqNo) -> bool {
        self.next.since(seq).is_some_and(|age| (1..=Self::REACH).contains(&age))
    }

    /// A packet came; it must be new, or within reach.
    pub(super) fn put(&mut self, seq: SeqNo, timestamp: u64) {
        if let Some(ahead) = seq.since(self.next) {
            if ahead >= Self::REACH {
                self.timestamps.fill(0);
            } else {
                for missed in 0..ahead {
                    self.timestamps[Self::slot(self.next + missed)] = 0;
                }
            }
            self.next = seq.next();
        }
        self.timestamps[Self::slot(seq)] = timestamp.max(1);
    }

    fn slot(seq: SeqNo) -> usize {
        usize::try_from(seq.0 % Self::REACH).expect("less than the length")
    }
}

/// Holes that may still be filled, and when to give them up.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    open: VecDeque<Gap>,
}

#[derive(Clone, Debug)]
struct Gap {
    missing: Range<u64>,
    since: Instant,
}

impl Gaps {
    /// So long a missing packet is waited for: ingest asks OBS for it again, which takes a few round trips.
    const PATIENCE: Duration = Duration::from_secs(1);
    /// More holes than this at once: the oldest is given up early.
    const MAX_OPEN: usize = 256;

    /// Numbers were jumped over; returns the hole that has to be given up for want of room.
    pub(super) fn open(&mut self, now: Instant, missing: Range<u64>) -> Option<Range<u64>> {
        self.open.push_back(Gap { missing, since: now });
        if self.open.len() > Self::MAX_OPEN { self.open.pop_front().map(|gap| gap.missing) } else { None }
    }

    /// A packet came late; `false` when it had been given up.
    pub(super) fn fill(&mut self, seq: SeqNo) -> bool {
        let Some(index) = self.open.iter().position(|gap| gap.missing.contains(&seq.0)) else { return false };
        let Gap { missing, since } = self.open[index].clone();
        let (before, after) = (missing.start..seq.0, seq.0 + 1..missing.end);
        match (before.is_empty(), after.is_empty()) {
            (true, true) => drop(self.open.remove(index)),
            (false, true) => self.open[index].missing = before,
            (true, false) => self.open[index].missing = after,
            (false, false) => {
                self.open[index].missing = before;
                self.open.insert(index + 1, Gap { missing: after, since });
            }
        }
        true
    }

    /// The next hole that was waited for long enough.
    pub(super) fn give_up(&mut self, now: Instant) -> Option<Range<u64>> {
        let oldest = self.open.front()?;
        (now.saturating_duration_since(oldest.since) >= Self::PATIENCE).then(|| self.close_oldest()).flatten()
    }

    /// The oldest hole, given up whatever its age.
    pub(super) fn close_oldest(&mut self) -> Option<Range<u64>> {
        self.open.pop_front().map(|gap| gap.missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_remember_and_forget() {
        let mut arrivals = Arrivals::new(SeqNo(65_536));
        assert!(!arrivals.reaches(SeqNo(65_536)));
        arrivals.put(SeqNo(65_536), 7);
        arrivals.put(SeqNo(65_539), 9);
        assert_eq!(
            [65_536, 65_537, 65_538, 65_539, 65_540].map(|n| arrivals.get(SeqNo(n))),
            [Some(7), None, None, Some(9), None]
        );
        arrivals.put(SeqNo(65_538), 8);
        assert_eq!(arrivals.get(SeqNo(65_538)), Some(8));
        assert_eq!(arrivals.next(), SeqNo(65_540));
        arrivals.put(SeqNo(65_539 + Arrivals::REACH), 10);
        assert_eq!(arrivals.get(SeqNo(65_539)), None);
        assert!(arrivals.reaches(SeqNo(65_540)) && !arrivals.reaches(SeqNo(65_539)));
        assert_eq!(arrivals.get(SeqNo(65_540)), None);
        arrivals.put(SeqNo(1 << 40), 11);
        assert_eq!(arrivals.get(SeqNo(1 << 40)), Some(11));
        assert_eq!(arrivals.get(SeqNo((1 << 40) - 2)), None);
    }

    #[test]
    fn gaps_are_filled_split_and_given_up() {
        let t = Instant::now();
        let mut gaps = Gaps::default();
        assert_eq!(gaps.open(t, 10..15), None);
        assert_eq!(gaps.open(t + Duration::from_millis(500), 20..21), None);
        assert_eq!([12, 10, 14, 20, 99].map(|seq| gaps.fill(SeqNo(seq))), [true, true, true, true, false]);
        assert_eq!(gaps.give_up(t + Duration::from_millis(999)), None);
        assert_eq!(gaps.give_up(t + Duration::from_secs(1)), Some(11..12));
        assert_eq!(gaps.give_up(t + Duration::from_secs(1)), Some(13..14));
        assert_eq!(gaps.give_up(t + Duration::from_secs(9)), None);
    }

    #[test]
    fn holes_are_bounded() {
        let t = Instant::now();
        let mut gaps = Gaps::default();
        let given_up = (0..1_000).filter(|n| gaps.open(t, n * 2..n * 2 + 1).is_some()).count();
        assert_eq!(given_up, 1_000 - Gaps::MAX_OPEN);
    }
}
