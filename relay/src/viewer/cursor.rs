//! Where one viewer stands on one track's ring, and how the viewer's own packet numbers map onto the ring's.
//!
//! A viewer's numbers run on without a gap whatever happens: joining, jumping to a newer keyframe, replaying.
//! Each jump opens a *segment*, inside which a viewer's number and the ring's differ by a constant. So a hole
//! that loss left in the ring stays a hole for the viewer (receivers judge by numbers alone whether a reference
//! picture is missing), and a NACK finds its packet again. So it is when a viewer is moved to another layer of the
//! picture: another ring, another segment.

use heliograph_media::{SeqNo, WireSeq, picture_ids::PictureShift};

use super::squeeze::Squeeze;
use crate::Track;

/// Segments remembered. A jump happens at most about every two seconds; a NACK for something older than the
/// newest keyframe is not answered anyway.
const SEGMENTS: usize = 6;

/// Receivers keep a window of 1024 numbers against replays (libsrtp in WebRTC); what comes later than that is
/// dropped there.
const REPLAY_WINDOW: u64 = 1000;

/// A viewer's packet number: rollover counter and sequence number in one, which is also the SRTP index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OutSeq(pub(crate) u64);

impl OutSeq {
    /// What goes into the packet.
    pub(crate) const fn wire(self) -> WireSeq {
        SeqNo(self.0).wire()
    }
}

/// How what a viewer gets differs from what lies in a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passage {
    /// Whose ring.
    pub(crate) track: Track,
    /// Added to timestamps, ticks: what the layers' clocks differ by.
    pub(crate) shift: i64,
    /// How timestamps move after that.
    pub(crate) squeeze: Squeeze,
    /// Added to the numbers inside the payloads.
    pub(crate) pictures: PictureShift,
}

impl Passage {
    /// As it is.
    pub(crate) const fn plain(track: Track) -> Self {
        Self { track, shift: 0, squeeze: Squeeze::NONE, pictures: PictureShift::NONE }
    }

    /// The viewer's timestamp for one of the ring.
    pub(crate) fn timestamp(&self, ring: u64) -> u64 {
        self.squeeze.apply(ring.saturating_add_signed(self.shift))
    }
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    /// First packet in the ring's numbering.
    ring: SeqNo,
    /// The same packet in the viewer's numbering.
    out: u64,
    passage: Passage,
}

/// The cursor.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// Next packet of the ring to send.
    next: SeqNo,
    /// Nothing is sent from it before the first jump.
    current: Segment,
    placed: bool,
    /// Oldest first.
    earlier: Vec<Segment>,
    /// The number that the first packet of the next segment gets.
    next_out: u64,
}

impl Cursor {
    /// A cursor that is nowhere yet. `first` is the number of the first packet: random below 2^15, because loss
    /// around a wrap among the very first packets would leave the receiver with another rollover counter.
    pub(crate) fn new(track: Track, first: u16) -> Self {
        debug_assert!(first < 1 << 15, "first sequence number too near the wrap");
        Self {
            next: SeqNo(0),
            current: Segment { ring: SeqNo(0), out: 0, passage: Passage::plain(track) },
            placed: false,
            earlier: Vec::new(),
            next_out: u64::from(first),
        }
    }

    /// Starts anywhere, so that tests need not send half a cycle of packets to come to a wrap.
    #[cfg(test)]
    pub(crate) fn begin_at(&mut self, out: u64) {
        assert!(!self.is_placed(), "numbers cannot change under way");
        self.next_out = out;
    }

    /// Goes on at `ring`, forwards or backwards, numbering on without a gap.
    pub(crate) fn jump(&mut self, ring: SeqNo, passage: Passage) {
        // Where nothing was sent from the last segment, it never existed.
        if self.placed && self.current.out != self.next_out {
            if self.earlier.len() == SEGMENTS - 1 {
                self.earlier.remove(0);
            }
            self.earlier.push(self.current);
        }
        self.current = Segment { ring, out: self.next_out, passage };
        self.placed = true;
        self.next = ring;
    }

    /// Whether [`Cursor::jump`] was ever called.
    pub(crate) const fn is_placed(&self) -> bool {
        self.placed
    }

    /// Next packet of the ring to send.
    pub(crate) const fn next(&self) -> SeqNo {
        self.next
    }

    /// First packet of the current segment, in the ring's numbering.
    pub(crate) fn segment_start(&self) -> Option<SeqNo> {
        self.placed.then_some(self.current.ring)
    }

    /// What the packets of the current segment go through.
    pub(crate) const fn passage(&self) -> &Passage {
        &self.current.passage
    }

    /// What the packet with this number goes through: the same each time it is sent.
    pub(crate) fn passage_of(&self, out: OutSeq) -> &Passage {
        let oldest = self.earlier.first().unwrap_or(&self.current);
        &self.segment_of(out.0).unwrap_or(oldest).passage
    }

    /// The number that the next packet gets when it follows the last one without a hole.
    pub(crate) const fn next_out(&self) -> OutSeq {
        OutSeq(self.next_out)
    }

    /// The number that the packet `ring`, at or after [`Cursor::next`], has.
    pub(crate) fn peek(&self, ring: SeqNo) -> OutSeq {
        debug_assert!(ring >= self.next, "packet behind the cursor");
        debug_assert!(self.placed, "a cursor is placed before packets are taken");
        OutSeq(self.current.out + (ring.0 - self.current.ring.0))
    }

    /// Takes the packet `ring`, at or after [`Cursor::next`], and returns its number; the cursor then stands
    /// behind it. Numbers of packets that were skipped stay unused, as holes.
    pub(crate) fn take(&mut self, ring: SeqNo) -> OutSeq {
        let out = self.peek(ring);
        self.next = ring.next();
        self.next_out = out.0 + 1;
        out
    }

    /// The number of a packet behind the cursor that came late. None when it belongs before the current
    /// segment: then the viewer has been told of a newer keyframe and has no use for it. None too when it is so
    /// late that the viewer would take it for a replayed packet.
    pub(crate) fn late(&self, ring: SeqNo) -> Option<OutSeq> {
        if !self.placed || ring >= self.next {
            return None;
        }
        let out = self.current.out + ring.since(self.current.ring)?;
        (self.next_out - out < REPLAY_WINDOW).then_some(OutSeq(out))
    }

    /// Which packet of the ring went out under the number `wire`, and the whole number; the most recent one if
    /// it went around. None for numbers not used yet or no longer remembered.
    pub(crate) fn sent(&self, wire: WireSeq) -> Option<(SeqNo, OutSeq)> {
        let behind = u64::from(WireSeq(self.next_out as u16).0.wrapping_sub(wire.0));
        if behind == 0 || behind > 1 << 15 {
            return None;
        }
        let out = self.next_out.checked_sub(behind)?;
        let segment = self.segment_of(out)?;
        Some((segment.ring + (out - segment.out), OutSeq(out)))
    }

    fn segment_of(&self, out: u64) -> Option<&Segment> {
        let holds = |segment: &&Segment| segment.out <= out;
        Some(&self.current)
            .filter(|current| self.placed && holds(current))
            .or_else(|| self.earlier.iter().rev().find(holds))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const PLAIN: Passage = Passage::plain(Track::Video);

    fn take(cursor: &mut Cursor, ring: impl IntoIterator<Item = u64>) -> Vec<u64> {
        ring.into_iter().map(|seq| cursor.take(SeqNo(seq)).0).collect()
    }

    #[test]
    fn numbers_run_on_over_jumps_in_both_directions() {
        for first in [0, 1, 700, (1 << 15) - 1] {
            let mut cursor = Cursor::new(Track::Video, first);
            let first = u64::from(first);
            cursor.jump(SeqNo(100_000), PLAIN);
            assert_eq!(take(&mut cursor, 100_000..100_003), [first, first + 1, first + 2]);
            cursor.jump(SeqNo(200_000), PLAIN);
            assert_eq!(take(&mut cursor, [200_000, 200_001]), [first + 3, first + 4]);
            cursor.jump(SeqNo(99_990), PLAIN);
            assert_eq!(take(&mut cursor, [99_990]), [first + 5]);
            for (out, ring) in [(0, 100_000), (2, 100_002), (3, 200_000), (4, 200_001), (5, 99_990)] {
                let out = OutSeq(first + out);
                assert_eq!(cursor.sent(out.wire()), Some((SeqNo(ring), out)));
            }
            assert_eq!(cursor.sent(OutSeq(first + 6).wire()), None, "not sent yet");
        }
    }

    #[test]
    fn a_hole_stays_a_hole_and_a_late_packet_fits_into_it() {
        let mut cursor = Cursor::new(Track::Video, 10);
        cursor.jump(SeqNo(500), PLAIN);
        assert_eq!(take(&mut cursor, [500, 501, 504]), [10, 11, 14]);
        assert_eq!(cursor.late(SeqNo(502)), Some(OutSeq(12)));
        assert_eq!(cursor.late(SeqNo(499)), None, "before the segment");
        assert_eq!(cursor.late(SeqNo(505)), None, "not late");
        assert_eq!(cursor.sent(WireSeq(13)), Some((SeqNo(503), OutSeq(13))));
        take(&mut cursor, [1600]);
        assert_eq!(cursor.late(SeqNo(502)), None, "too late");
        assert_eq!(cursor.late(SeqNo(602)), Some(OutSeq(112)));
        cursor.jump(SeqNo(1700), PLAIN);
        assert_eq!(cursor.late(SeqNo(602)), None, "of an older segment");
        assert_eq!(take(&mut cursor, [1700]), [1111]);
    }

    #[test]
    fn the_wrap_is_crossed() {
        let mut cursor = Cursor::new(Track::Video, (1 << 15) - 1);
        cursor.jump(SeqNo(0), PLAIN);
        let sent = take(&mut cursor, 0..100_000);
        assert_eq!(sent.last(), Some(&(99_999 + (1 << 15) - 1)));
        for back in [1, 2, 1000, 1 << 15] {
            let out = OutSeq(100_000 + (1 << 15) - 1 - back);
            assert_eq!(cursor.sent(out.wire()), Some((SeqNo(100_000 - back), out)));
        }
        assert_eq!(cursor.sent(WireSeq(cursor.next_out().wire().0.wrapping_sub(40_000))), None, "too old");
    }

    #[test]
    fn jumps_without_packets_between_them_leave_no_trace() {
        let mut cursor = Cursor::new(Track::Video, 3);
        assert!(!cursor.is_placed());
        for target in 0..20 {
            cursor.jump(SeqNo(target * 100), PLAIN);
        }
        assert_eq!(take(&mut cursor, [1900]), [3]);
        assert_eq!(cursor.sent(WireSeq(3)), Some((SeqNo(1900), OutSeq(3))));
    }

    #[test]
    fn only_the_newest_segments_are_remembered() {
        let mut cursor = Cursor::new(Track::Video, 0);
        for target in 0..10 {
            cursor.jump(SeqNo(1000 * target), PLAIN);
            take(&mut cursor, [1000 * target]);
        }
        assert_eq!(cursor.sent(WireSeq(9)), Some((SeqNo(9000), OutSeq(9))));
        assert_eq!(cursor.sent(WireSeq(4)), Some((SeqNo(4000), OutSeq(4))));
        assert_eq!(cursor.sent(WireSeq(3)), None);
    }

    #[test]
    fn numbers_below_the_first_were_never_sent() {
        let mut cursor = Cursor::new(Track::Video, 5);
        cursor.jump(SeqNo(50), PLAIN);
        take(&mut cursor, [50]);
        assert_eq!(cursor.sent(WireSeq(4)), None);
        assert_eq!(cursor.sent(WireSeq(65_535)), None);
    }

    #[test]
    fn a_packet_keeps_the_passage_of_its_segment() {
        let squeezed = |present| Passage { squeeze: Squeeze::new(0, 0, present, 1_000), ..PLAIN };
        let (first, second) = (squeezed(90_000), squeezed(180_000));
        let mut cursor = Cursor::new(Track::Video, 3);
        assert_eq!(*cursor.passage(), PLAIN);
        cursor.jump(SeqNo(100), first);
        take(&mut cursor, 100..110);
        cursor.jump(SeqNo(100), second);
        take(&mut cursor, 100..110);
        assert_eq!(*cursor.passage(), second);
        for (out, expected) in [(3, first), (12, first), (13, second), (22, second), (23, second)] {
            assert_eq!(*cursor.passage_of(OutSeq(out)), expected, "{out}");
        }
    }

    #[test]
    fn another_layer_is_another_segment() {
        let layer = Passage { track: Track::SecondLayer, shift: -90, ..PLAIN };
        let mut cursor = Cursor::new(Track::Video, 3);
        cursor.jump(SeqNo(100), PLAIN);
        take(&mut cursor, 100..103);
        cursor.jump(SeqNo(7_000), layer);
        assert_eq!(take(&mut cursor, [7_000, 7_001]), [6, 7]);
        let found = |wire| {
            let (seq, out) = cursor.sent(WireSeq(wire)).unwrap();
            (cursor.passage_of(out).track, seq.0)
        };
        assert_eq!(found(5), (Track::Video, 102));
        assert_eq!(found(6), (Track::SecondLayer, 7_000));
        assert_eq!((PLAIN.timestamp(1_000), layer.timestamp(1_000)), (1_000, 910));
    }
}
