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
        if let Some(ahead) = seq.since(self.next()).filter(|_| !self.slots.is_empty()) {
            if ahead > Self::MAX_HOLE {
                self.clear();
            }
        } else if !self.slots.is_empty() {
            return self.push_late(packet);
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
            if self.keyframes.back() == Some(&self.head.first) {
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
        if self.head.whole
            && self.head.parts.has(StartParts::ALL)
            && self.keyframes.back() != Some(&self.head.first)
        {
            self.keyframes.push_back(self.head.first);
        }
    }

    fn push_late(&mut self, packet: Arc<Packet>) -> Pushed {
        let seq = packet.seq;
        let Some(index) = seq.since(self.first).and_then(|index| usize::try_from(index).ok()) else {
            return Pushed::Dropped;
        };
        if self.slots[index].is_some() {
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
        let ends_here = is_head || closing.marker || self.slots[end].is_some();
        let (first, marker) = (opening.seq, closing.marker);
        if is_head {
            self.head = AccessUnit { first, timestamp, parts, whole: begins_here, marker };
        }
        let place = self.keyframes.partition_point(|&keyframe| keyframe < first);
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
