//! A new session's video waits here for its first keyframe.

use std::time::Instant;

use bytes::Bytes;
use heliograph_media::SeqNo;

use crate::StartParts;

/// A packet that was checked but has no place in the ring yet.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// The publisher's own number, extended.
    pub(super) source_seq: SeqNo,
    /// Ring timestamp.
    pub(super) timestamp: u64,
    pub(super) marker: bool,
    pub(super) parts: StartParts,
    /// Something is in it that only comes at the beginning of an access unit.
    pub(super) opens: bool,
    pub(super) arrival: Instant,
    pub(super) payload: Bytes,
}

/// Holds the packets of one access unit until it shows that it is a keyframe with its parameter sets.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// One access unit, by number.
    unit: Vec<Pending>,
    discarded: u64,
}

impl Gate {
    /// Parameter sets, delimiters and messages before the coded picture: a unit with more is not what we wait for.
    const MAX_WAITING: usize = 64;

    /// Takes a packet; returns everything from the parameter sets on once the picture itself begins. An empty
    /// list means that the gate stays closed.
    pub(super) fn offer(&mut self, packet: Pending) -> Vec<Pending> {
        if self.unit.first().is_some_and(|first| first.timestamp != packet.timestamp) {
            if packet.source_seq < self.unit[0].source_seq {
                return self.discard();
            }
            self.discarded += self.unit.len() as u64;
            self.unit.clear();
        }
        if self.unit.len() >= Self::MAX_WAITING {
            // Still of the same unit, and far behind its beginning.
            return self.discard();
        }
        let place = self.unit.partition_point(|held| held.source_seq < packet.source_seq);
        if self.unit.get(place).is_some_and(|held| held.source_seq == packet.source_seq) {
            return self.discard();
        }
        self.unit.insert(place, packet);
        let Some(start) = self.decodable_from() else { return Vec::new() };
        self.discarded += start as u64;
        self.unit.split_off(start)
    }

    /// How many packets were let go since the last call.
    pub(super) fn take_discarded(&mut self) -> u64 {
        std::mem::take(&mut self.discarded)
    }

    fn discard(&mut self) -> Vec<Pending> {
        self.discarded += 1;
        Vec::new()
    }

    /// Where a run without a hole starts that holds both parameter sets and the beginning of a keyframe.
    fn decodable_from(&self) -> Option<usize> {
        let mut start = None;
        let mut parts = StartParts::NONE;
        for (index, packet) in self.unit.iter().enumerate() {
            let follows = index > 0 && self.unit[index - 1].source_seq.next() == packet.source_seq;
            if !follows {
                (start, parts) = (None, StartParts::NONE);
            }
            if start.is_none() && (packet.opens || packet.parts.has(StartParts::SEQUENCE_PARAMETERS)) {
                start = Some(index);
            }
            if start.is_some() {
                parts = parts.and(packet.parts);
                if parts.has(StartParts::ALL) {
                    return start;
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: StartParts = StartParts::SEQUENCE_PARAMETERS;
    const PPS: StartParts = StartParts::PICTURE_PARAMETERS;
    const IDR: StartParts = StartParts::KEY_PICTURE;
    const NONE: StartParts = StartParts::NONE;

    /// Offers (number, timestamp, parts) and says which numbers come out at last.
    fn check(offered: &[(u64, u64, StartParts)]) -> Vec<u64> {
        let mut gate = Gate::default();
        let mut out = Vec::new();
        for &(seq, timestamp, parts) in offered {
            assert!(out.is_empty(), "opened before {seq}");
            out = gate.offer(Pending {
                source_seq: SeqNo(seq),
                timestamp,
                marker: false,
                parts,
                opens: false,
                arrival: Instant::now(),
                payload: Bytes::new(),
            });
        }
        out.iter().map(|packet| packet.source_seq.0).collect()
    }

    #[test]
    fn opens_at_a_keyframe_with_its_parameter_sets() {
        assert_eq!(check(&[(1, 9, SPS), (2, 9, PPS), (3, 9, IDR)]), [1, 2, 3]);
        assert_eq!(check(&[(1, 9, SPS.and(PPS).and(IDR))]), [1]);
        assert_eq!(
            check(&[(1, 9, SPS), (2, 9, PPS), (3, 9, SPS), (4, 9, PPS), (5, 9, IDR)]),
            [1, 2, 3, 4, 5]
        );
        assert_eq!(check(&[(7, 8, NONE), (8, 9, SPS), (9, 9, PPS), (10, 9, IDR)]), [8, 9, 10]);
    }

    #[test]
    fn order_of_arrival_does_not_matter_within_the_unit() {
        assert_eq!(check(&[(3, 9, IDR), (1, 9, SPS), (1, 9, SPS), (2, 9, PPS)]), [1, 2, 3]);
    }

    #[test]
    fn stays_closed() {
        for story in [
            &[(1, 9, NONE), (2, 9, IDR)][..],
            &[(1, 9, SPS), (2, 9, PPS), (3, 10, IDR)],
            &[(1, 9, SPS), (2, 9, PPS), (4, 9, IDR)],
            &[(1, 9, SPS), (2, 9, PPS), (3, 9, NONE)],
            &[(2, 9, SPS), (3, 9, PPS), (1, 8, IDR)],
        ] {
            assert_eq!(check(story), [0; 0], "{story:?}");
        }
    }

    #[test]
    fn is_bounded() {
        let mut story: Vec<_> = (0..1_000).map(|seq| (seq, 9, NONE)).collect();
        story.push((1_000, 9, SPS.and(PPS).and(IDR)));
        assert_eq!(check(&story), [0; 0]);
        story.push((1_001, 10, SPS.and(PPS).and(IDR)));
        assert_eq!(check(&story), [1_001]);
    }
}
