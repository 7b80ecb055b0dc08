//! The last seconds of one track: for live fan-out, for sending again, and for those who join late.
//!
//! Each reader owns its rings and fills them from the feed; the packets themselves are shared. So there is no
//! lock, and no reader races the writer.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use heliograph_media::{Bitrate, SeqNo};

use crate::{Packet, packet::StartParts, rate::RateMeter};

/// How much a ring keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingLimits {
    /// At least this long, for NACKs. More costs memory only.
    pub history: Duration,
    /// The run since the newest keyframe is kept as a whole up to this long. Whoever joins later than that
    /// after a keyframe waits for the next one.
    pub keyframe_run_max: Duration,
    /// Upper bound for everything kept, in bytes of memory; the oldest packets go first.
    pub keyframe_run_bytes: usize,
}

impl Default for RingLimits {
    fn default() -> Self {
        Self {
            history: Duration::from_secs(5),
            keyframe_run_max: Duration::from_secs(20),
            keyframe_run_bytes: 32 << 20,
        }
    }
}

/// What became of a packet given to [`TrackRing::push`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The newest so far.
    Newest,
    /// Put at its place behind newer ones.
    Late,
    /// Already there, or older than everything kept.
    Dropped,
}

/// One track's newest packets, by number.
#[derive(Clone, Debug)]
pub struct TrackRing {
    limits: RingLimits,
    /// Number of `slots[0]`.
    first: SeqNo,
    /// Neither the first nor the last is ever a hole.
    slots: VecDeque<Option<Arc<Packet>>>,
    /// Memory held, as counted by `cost`.
    bytes: usize,
    /// First packets of the keyframe access units without a hole, oldest first.
    keyframes: VecDeque<SeqNo>,
    /// The access unit that the newest packet belongs to.
    head: AccessUnit,
    rate: RateMeter,
}

/// The access unit at the end of the ring.
#[derive(Clone, Copy, Debug, Default)]
struct AccessUnit {
    first: SeqNo,
    timestamp: u64,
    parts: StartParts,
    /// Nothing missing so far, and it is known where it begins.
    whole: bool,
    marker: bool,
}

impl TrackRing {
    /// Further ahead than this the ring starts anew: it is not a hole but another story.
    const MAX_HOLE: u64 = 1 << 14;

    /// An empty ring.
    #[must_use]
    pub fn new(limits: RingLimits) -> Self {
        Self {
            limits,
            first: SeqNo(0),
            slots: VecDeque::new(),
            bytes: 0,
            keyframes: VecDeque::new(),
            head: AccessUnit::default(),
            rate: RateMeter::default(),
        }
    }

    /// Puts a packet at its place.
    pub fn push(&mut self, packet: Arc<Packet>) -> Pushed {
        let seq = packet.seq;
        match seq.since(self.next()) {
            None => return self.push_late(packet),
            Some(ahead) if ahead > Self::MAX_HOLE => self.clear(),
            Some(_) => {}
        }
        if self.slots.is_empty() {
            self.first = seq;
        }
        let follows = seq == self.next() && !self.slots.is_empty();
        self.follow_head(&packet, follows);
        while self.next() < seq {
            self.slots.push_back(None);
        }
        self.account(&packet);
        self.slots.push_back(Some(packet));
        self.bound_bytes();
        Pushed::Newest
    }

    /// The packet with this number, if it came and is still kept.
    #[must_use]
    pub fn get(&self, seq: SeqNo) -> Option<&Arc<Packet>> {
        let index = usize::try_from(seq.since(self.first)?).ok()?;
        self.slots.get(index)?.as_ref()
    }

    /// First packet of the newest keyframe access unit that has no hole, has its parameter sets inside, and
    /// is complete as far as it has come; `None` until the next keyframe when there is none.
    #[must_use]
    pub fn newest_keyframe(&self) -> Option<SeqNo> {
        self.keyframes.back().copied()
    }

    /// As [`TrackRing::newest_keyframe`], but all of its packets have come.
    #[must_use]
    pub fn newest_complete_keyframe(&self) -> Option<SeqNo> {
        let still_coming = |first: SeqNo| first >= self.head.first && !self.head.marker;
        self.keyframes.iter().rev().copied().find(|&first| !still_coming(first))
    }

    /// The number after the newest one.
    #[must_use]
    pub fn next(&self) -> SeqNo {
        self.first + self.slots.len() as u64
    }

    /// The oldest number kept; equal to [`TrackRing::next`] when the ring is empty.
    #[must_use]
    pub fn oldest(&self) -> SeqNo {
        self.first
    }

    /// The newest packet.
    #[must_use]
    pub fn newest(&self) -> Option<&Arc<Packet>> {
        self.slots.back()?.as_ref()
    }

    /// The packets from `seq` on that came, in order of number.
    pub fn packets_from(&self, seq: SeqNo) -> impl Iterator<Item = &Arc<Packet>> {
        let skipped = usize::try_from(seq.since(self.first).unwrap_or(0)).unwrap_or(usize::MAX);
        self.slots.range(skipped.min(self.slots.len())..).flatten()
    }

    /// Nothing kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Memory held, in bytes, the packets' own bookkeeping included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bitrate of the payloads over the last second.
    #[must_use]
    pub fn bitrate(&self, now: Instant) -> Bitrate {
        self.rate.rate(now)
    }

    /// Lets go of what is neither recent nor part of the newest keyframe run.
    pub fn trim(&mut self, now: Instant) {
        while let Some(Some(oldest)) = self.slots.front() {
            let age = now.saturating_duration_since(oldest.arrival);
            let protected = self.protected_from().is_some_and(|keep| oldest.seq >= keep);
            if age <= self.limits.history || (protected && age <= self.limits.keyframe_run_max) {
                break;
            }
            self.drop_oldest();
        }
    }

    /// Everything goes; numbers go on with whatever comes next.
    pub fn clear(&mut self) {
        self.first = self.next();
        self.slots.clear();
        self.keyframes.clear();
        self.bytes = 0;
        self.head = AccessUnit::default();
    }

    /// Where the keyframe run to keep begins. While the newest keyframe is still coming in, the one before
    /// stays: should the new one get a hole, joiners fall back on it.
    fn protected_from(&self) -> Option<SeqNo> {
        let newest = *self.keyframes.back()?;
        if newest == self.head.first && self.keyframes.len() >= 2 {
            return self.keyframes.get(self.keyframes.len() - 2).copied();
        }
        Some(newest)
    }

    /// Keeps account of the access unit that `packet`, the newest, belongs to.
    fn follow_head(&mut self, packet: &Packet, follows: bool) {
        let same = !self.slots.is_empty() && packet.timestamp == self.head.timestamp;
        if !follows && !self.slots.is_empty() && (same || !self.head.marker) {
            // Packets are missing, and they belonged to the unit at the head, or may have.
            self.head.whole = false;
            if self.keyframes.back().is_some_and(|&keyframe| keyframe >= self.head.first) {
                self.keyframes.pop_back();
            }
        }
        if same {
            self.head.parts = self.head.parts.and(packet.parts);
        } else {
            self.head = AccessUnit {
                first: packet.seq,
                timestamp: packet.timestamp,
                parts: packet.parts,
                whole: follows || starts_unit(packet),
                marker: false,
            };
        }
        self.head.marker = packet.marker;
        // A unit so large or slow that its beginning is gone already is no place to start.
        let kept = self.head.first >= self.first;
        if kept
            && self.head.whole
            && self.head.parts.has(StartParts::ALL)
            && self.keyframes.back().is_none_or(|&keyframe| keyframe < self.head.first)
        {
            self.keyframes.push_back(self.head.first);
        }
    }

    fn push_late(&mut self, packet: Arc<Packet>) -> Pushed {
        let seq = packet.seq;
        let Some(index) = seq.since(self.first).and_then(|index| usize::try_from(index).ok()) else {
            return Pushed::Dropped;
        };
        if self.slots.get(index).is_none_or(Option::is_some) {
            return Pushed::Dropped;
        }
        self.account(&packet);
        self.slots[index] = Some(packet);
        self.look_again(index);
        self.bound_bytes();
        Pushed::Late
    }

    /// A hole was filled: the access units on both sides may be whole now.
    fn look_again(&mut self, index: usize) {
        self.judge_unit(index);
        // The packet that came last may also prove that its neighbours' units end and begin where they seem to.
        if index > 0 && self.slots[index - 1].is_some() {
            self.judge_unit(index - 1);
        }
        if index + 1 < self.slots.len() && self.slots[index + 1].is_some() {
            self.judge_unit(index + 1);
        }
    }

    /// Walks over the access unit around `index` and notes whether one can start there.
    fn judge_unit(&mut self, index: usize) {
        let Some(Some(here)) = self.slots.get(index) else { return };
        let timestamp = here.timestamp;
        let belongs =
            |slot: &Option<Arc<Packet>>| slot.as_ref().is_some_and(|packet| packet.timestamp == timestamp);
        let begin = index - self.slots.range(..index).rev().take_while(|slot| belongs(slot)).count();
        let end = index + self.slots.range(index..).take_while(|slot| belongs(slot)).count();
        let parts = self
            .slots
            .range(begin..end)
            .flatten()
            .fold(StartParts::NONE, |all, packet| all.and(packet.parts));
        let (Some(Some(opening)), Some(Some(closing))) = (self.slots.get(begin), self.slots.get(end - 1))
        else {
            return;
        };
        let begins_here =
            starts_unit(opening) || begin.checked_sub(1).is_some_and(|before| self.slots[before].is_some());
        let is_head = end == self.slots.len();
        let ends_here = match self.slots.range(end..).flatten().next() {
            None => is_head,
            Some(next) => next.timestamp != timestamp && (closing.marker || self.slots[end].is_some()),
        };
        let (first, marker) = (opening.seq, closing.marker);
        if is_head {
            self.head = AccessUnit { first, timestamp, parts, whole: begins_here, marker };
        }
        let mut place = self.keyframes.partition_point(|&keyframe| keyframe < first);
        if let Some(before) = place.checked_sub(1)
            && self.get(self.keyframes[before]).is_some_and(|packet| packet.timestamp == timestamp)
        {
            // The same unit began there, and a hole lies between.
            self.keyframes.remove(before);
            place = before;
        }
        let known = self.keyframes.get(place) == Some(&first);
        let good = begins_here && ends_here && parts.has(StartParts::ALL);
        if good && !known {
            self.keyframes.insert(place, first);
            // A start inside the same unit, noted while its beginning was missing, is none any more.
            let last = self.first + end as u64;
            self.keyframes.retain(|&keyframe| keyframe <= first || keyframe >= last);
        } else if known && !good {
            self.keyframes.remove(place);
        }
    }

    fn account(&mut self, packet: &Packet) {
        self.bytes += cost(packet);
        self.rate.add(packet.arrival, packet.payload.len());
    }

    fn bound_bytes(&mut self) {
        while self.bytes > self.limits.keyframe_run_bytes && self.slots.len() > 1 {
            self.drop_oldest();
        }
    }

    /// Drops the oldest packet and the holes behind it.
    fn drop_oldest(&mut self) {
        if let Some(Some(packet)) = self.slots.pop_front() {
            self.bytes -= cost(&packet);
            self.first = self.first.next();
        }
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.first = self.first.next();
        }
        while self.keyframes.front().is_some_and(|&keyframe| keyframe < self.first) {
            self.keyframes.pop_front();
        }
    }
}

/// Whether an access unit surely begins with this packet, whatever came before it.
fn starts_unit(packet: &Packet) -> bool {
    packet.frame_start || packet.parts.has(StartParts::SEQUENCE_PARAMETERS)
}

/// Memory that a packet holds: small packets cost more than their payload.
fn cost(packet: &Packet) -> usize {
    packet.payload.len() + size_of::<Packet>() + 32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    const SPS: StartParts = StartParts::SEQUENCE_PARAMETERS;
    const PPS: StartParts = StartParts::PICTURE_PARAMETERS;
    const IDR: StartParts = StartParts::KEY_PICTURE;
    const NONE: StartParts = StartParts::NONE;

    /// A story of packets, in the order in which they come: number, picture, parts, marker.
    type Story<'a> = &'a [(u64, u64, StartParts, bool)];

    fn packet(
        start: Instant,
        seq: u64,
        picture: u64,
        parts: StartParts,
        marker: bool,
        len: usize,
    ) -> Arc<Packet> {
        Arc::new(Packet {
            seq: SeqNo(seq),
            timestamp: picture * 3_600,
            marker,
            frame_start: false,
            keyframe_start: false,
            parts,
            arrival: start + Duration::from_millis(40) * u32::try_from(picture).unwrap(),
            payload: Bytes::from(vec![0; len]),
        })
    }

    fn ring_after(story: Story<'_>) -> TrackRing {
        let start = Instant::now();
        let mut ring = TrackRing::new(RingLimits::default());
        for &(seq, picture, parts, marker) in story {
            ring.push(packet(start, seq, picture, parts, marker, 10));
        }
        ring
    }

    #[test]
    fn the_newest_keyframe_without_a_hole() {
        let old: Story<'_> =
            &[(9, 0, NONE, true), (10, 1, SPS, false), (11, 1, PPS, false), (12, 1, IDR, true)];
        let check = |more: Story<'_>, expected: Option<u64>| {
            let ring = ring_after(&[old, more].concat());
            assert_eq!(ring.newest_keyframe(), expected.map(SeqNo), "{more:?}");
        };
        check(&[], Some(10));
        check(&[(13, 2, NONE, true)], Some(10));
        let complete = |more: Story<'_>| ring_after(&[old, more].concat()).newest_complete_keyframe();
        assert_eq!(complete(&[(13, 2, SPS.and(PPS).and(IDR), false)]), Some(SeqNo(10)));
        assert_eq!(complete(&[(13, 2, SPS.and(PPS).and(IDR), false), (14, 2, NONE, true)]), Some(SeqNo(13)));
        // Not one yet, then one, complete as far as it has come.
        check(&[(13, 2, SPS, false), (14, 2, PPS, false)], Some(10));
        check(&[(13, 2, SPS, false), (14, 2, PPS, false), (15, 2, IDR, false)], Some(13));
        check(&[(13, 2, SPS.and(PPS).and(IDR), false), (14, 2, NONE, true), (15, 3, NONE, true)], Some(13));
        // Without its parameter sets it is none.
        check(&[(13, 2, IDR, true)], Some(10));
        // The delimiter comes along.
        check(
            &[(13, 2, NONE, false), (14, 2, SPS, false), (15, 2, PPS, false), (16, 2, IDR, true)],
            Some(13),
        );
        // A hole in it, inside and at its end.
        let begun = &[(13, 2, SPS, false), (14, 2, PPS, false), (15, 2, IDR, false)];
        check(&[begun, &[(17, 2, NONE, true)][..]].concat(), Some(10));
        check(&[begun, &[(17, 3, NONE, true)][..]].concat(), Some(10));
        check(&[begun, &[(16, 2, NONE, true), (18, 3, NONE, true)][..]].concat(), Some(13));
        // Filled after all.
        check(&[begun, &[(17, 2, NONE, true), (16, 2, NONE, false)][..]].concat(), Some(13));
        check(&[begun, &[(17, 3, NONE, true), (16, 2, NONE, true)][..]].concat(), Some(13));
        // The beginning came last.
        let backwards = &[(16, 2, NONE, true), (15, 2, IDR, false), (14, 2, PPS, false), (13, 2, SPS, false)];
        check(backwards, Some(13));
        check(&backwards[..3], Some(10));
        // A hole before it does no harm: it says itself where it begins.
        check(&[(14, 3, SPS, false), (15, 3, PPS, false), (16, 3, IDR, true)], Some(14));
        check(
            &[(14, 3, NONE, false), (15, 3, SPS, false), (16, 3, PPS, false), (17, 3, IDR, true)],
            Some(10),
        );
    }

    #[test]
    fn an_old_keyframe_that_fills_up_late_is_not_the_newest() {
        let ring = ring_after(&[
            (1, 0, SPS, false),
            (3, 0, IDR, true),
            (4, 1, SPS, false),
            (5, 1, PPS, false),
            (6, 1, IDR, true),
            (2, 0, PPS, false),
        ]);
        assert_eq!(ring.newest_keyframe(), Some(SeqNo(4)));
        assert_eq!(ring.keyframes, [SeqNo(1), SeqNo(4)]);
    }

    #[test]
    fn lookups_and_holes() {
        let mut ring = ring_after(&[(70_000, 0, NONE, true), (70_003, 1, NONE, true)]);
        let found = |ring: &TrackRing, seq| ring.get(SeqNo(seq)).map(|packet| packet.seq.0);
        assert_eq!(
            [69_999, 70_000, 70_001, 70_003, 70_004].map(|seq| found(&ring, seq)),
            [None, Some(70_000), None, Some(70_003), None]
        );
        assert_eq!((ring.oldest(), ring.next()), (SeqNo(70_000), SeqNo(70_004)));
        let start = Instant::now();
        for (seq, pushed) in [
            (70_001, Pushed::Late),
            (70_001, Pushed::Dropped),
            (69_999, Pushed::Dropped),
            (70_004, Pushed::Newest),
            (70_004 + TrackRing::MAX_HOLE + 2, Pushed::Newest),
        ] {
            assert_eq!(ring.push(packet(start, seq, 2, NONE, true, 1)), pushed, "{seq}");
        }
        assert_eq!(ring.slots.len(), 1, "another story");
        let numbers: Vec<_> = ring.packets_from(SeqNo(0)).map(|packet| packet.seq).collect();
        assert_eq!(numbers, [ring.oldest()]);
        assert_eq!(ring.packets_from(SeqNo(u64::MAX)).count(), 0);
        ring.clear();
        assert!(ring.is_empty() && ring.bytes() == 0);
    }

    /// 25 pictures a second, each of one packet, and a keyframe every `interval` pictures.
    fn play(ring: &mut TrackRing, start: Instant, pictures: std::ops::Range<u64>, interval: u64, len: usize) {
        for picture in pictures {
            let parts = if picture % interval == 0 { StartParts::ALL } else { NONE };
            let packet = packet(start, 65_536 + picture, picture, parts, true, len);
            let now = packet.arrival;
            ring.push(packet);
            ring.trim(now);
        }
    }

    #[test]
    fn history_and_the_newest_run_are_kept() {
        let start = Instant::now();
        let mut ring = TrackRing::new(RingLimits::default());
        // Short runs: five seconds for those who ask again.
        play(&mut ring, start, 0..1_000, 50, 100);
        assert_eq!(ring.slots.len(), 5 * 25 + 1);
        assert_eq!(ring.newest_keyframe(), Some(SeqNo(65_536 + 950)));
        // Long ones: the whole run.
        play(&mut ring, start, 1_000..1_450, 1_000, 100);
        assert_eq!(ring.slots.len(), 450);
        assert_eq!(ring.newest_keyframe(), Some(SeqNo(65_536 + 1_000)));
        // Longer than anyone should be made to watch.
        play(&mut ring, start, 1_450..1_501, 1_000, 100);
        assert_eq!(ring.newest_keyframe(), Some(SeqNo(65_536 + 1_000)));
        play(&mut ring, start, 1_501..1_502, 1_000, 100);
        assert_eq!(ring.newest_keyframe(), None);
        assert_eq!(ring.slots.len(), 5 * 25 + 1);
        play(&mut ring, start, 1_502..2_001, 1_000, 100);
        assert_eq!(ring.newest_keyframe(), Some(SeqNo(65_536 + 2_000)));
    }

    #[test]
    fn the_last_keyframe_stays_until_the_next_one_is_whole() {
        let start = Instant::now();
        let mut ring = TrackRing::new(RingLimits::default());
        play(&mut ring, start, 0..400, 1_000, 100);
        ring.push(packet(start, 65_536 + 400, 400, StartParts::ALL, false, 100));
        ring.trim(start + Duration::from_secs(16));
        assert_eq!(ring.newest_keyframe(), Some(SeqNo(65_536 + 400)));
        // The rest of it is lost.
        ring.push(packet(start, 65_536 + 402, 401, NONE, true, 100));
        ring.trim(start + Duration::from_secs(16));
        assert_eq!(ring.newest_keyframe(), Some(SeqNo(65_536)));
    }

    #[test]
    fn memory_is_bounded_whatever_the_bitrate() {
        let start = Instant::now();
        let limits = RingLimits { keyframe_run_bytes: 100_000, ..RingLimits::default() };
        let mut ring = TrackRing::new(limits);
        play(&mut ring, start, 0..100, 1_000, 1_200);
        assert!(ring.bytes() <= 100_000);
        assert_eq!(ring.newest_keyframe(), None);
        assert!((60..90).contains(&ring.slots.len()), "{}", ring.slots.len());
    }

    #[test]
    fn late_fillers_cost_what_they_cost() {
        // Eight thousand packets of one picture, backwards: still instant.
        let start = Instant::now();
        let mut ring = TrackRing::new(RingLimits::default());
        ring.push(packet(start, 0, 0, NONE, true, 1));
        for seq in (1..8_000).rev() {
            ring.push(packet(start, seq, 1, if seq == 1 { StartParts::ALL } else { NONE }, seq == 7_999, 1));
        }
        assert_eq!(ring.newest_keyframe(), Some(SeqNo(1)));
    }

    proptest! {
        #[test]
        fn invariants(packets in proptest::collection::vec(
            (0..60_u64, 0..6_u64, 0..8_u8, any::<bool>(), any::<bool>(), 0..3_u32), 0..200,
        )) {
            let start = Instant::now();
            let limits = RingLimits {
                history: Duration::from_millis(100),
                keyframe_run_max: Duration::from_millis(200),
                keyframe_run_bytes: 20_000,
            };
            let mut ring = TrackRing::new(limits);
            let mut now = start;
            for (seq, picture, parts, marker, frame_start, wait) in packets {
                now += Duration::from_millis(20) * wait;
                let parts = [SPS, PPS, IDR]
                    .into_iter()
                    .enumerate()
                    .filter(|(bit, _)| parts >> bit & 1 == 1)
                    .fold(NONE, |all, (_, part)| all.and(part));
                let packet = Packet { arrival: now, frame_start, ..(*packet(start, seq, picture, parts, marker, 100)).clone() };
                ring.push(Arc::new(packet));
                ring.trim(now);
                let held: usize = ring.slots.iter().flatten().map(|packet| cost(packet)).sum();
                prop_assert_eq!(held, ring.bytes());
                prop_assert!(ring.slots.front().is_none_or(Option::is_some));
                prop_assert!(ring.slots.back().is_none_or(Option::is_some));
                prop_assert!(ring.keyframes.iter().is_sorted_by(|a, b| a < b));
                for &first in &ring.keyframes {
                    let opening = ring.get(first).unwrap();
                    let unit: Vec<_> = ring.packets_from(first).take_while(|packet| packet.timestamp == opening.timestamp).collect();
                    let parts = unit.iter().fold(NONE, |all, packet| all.and(packet.parts));
                    prop_assert!(parts.has(StartParts::ALL));
                    prop_assert!(unit.windows(2).all(|pair| pair[0].seq.next() == pair[1].seq));
                }
            }
        }
    }
}
