use std::{fmt, ops::Add};

/// A sequence number as it stands in a packet: 16 bits, wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct WireSeq(pub u16);

impl WireSeq {
    /// The number after this one, wrapping.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// The extended number with these low 16 bits that lies nearest to `reference`; exactly half a cycle
    /// away counts as earlier. `None` when that would be below zero.
    #[must_use]
    pub fn nearest_to(self, reference: SeqNo) -> Option<SeqNo> {
        let distance = self.0.wrapping_sub(reference.wire().0).cast_signed();
        reference.0.checked_add_signed(i64::from(distance)).map(SeqNo)
    }
}

impl fmt::Display for WireSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A sequence number that never wraps: the low 16 bits are the wire number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeqNo(pub u64);

impl SeqNo {
    /// What goes into the packet.
    #[must_use]
    pub const fn wire(self) -> WireSeq {
        #[expect(clippy::cast_possible_truncation, reason = "the wire number is the low 16 bits")]
        WireSeq(self.0 as u16)
    }

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// How many numbers lie between `earlier` and this one; `None` when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }
}

impl Add<u64> for SeqNo {
    type Output = Self;

    fn add(self, packets: u64) -> Self {
        Self(self.0 + packets)
    }
}

impl fmt::Display for SeqNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Turns wire numbers of one packet stream into extended ones.
///
/// The first number `v` becomes `v + 65536`, so that stragglers from before it have a number too. Every
/// other one becomes the candidate nearest to the highest number so far.
#[derive(Clone, Debug, Default)]
pub struct SeqUnwrapper {
    highest: Option<SeqNo>,
}

impl SeqUnwrapper {
    const FIRST_CYCLE: u64 = 1 << 16;

    /// An unwrapper that has seen nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { highest: None }
    }

    /// The extended number of `wire`; moves the reference forward when it is a new highest.
    pub fn extend(&mut self, wire: WireSeq) -> SeqNo {
        let Some(highest) = self.highest else {
            let first = SeqNo(u64::from(wire.0) + Self::FIRST_CYCLE);
            self.highest = Some(first);
            return first;
        };
        let seq =
            wire.nearest_to(highest).expect("the highest is at least a whole cycle, the step at most half");
        self.highest = Some(highest.max(seq));
        seq
    }

    /// The highest number so far.
    #[must_use]
    pub const fn highest(&self) -> Option<SeqNo> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CYCLE: u64 = 1 << 16;

    /// Feeds wire numbers and compares the distance of each result to the first result.
    fn check(wire: &[u16], steps: &[i64]) {
        let mut unwrapper = SeqUnwrapper::new();
        let first = unwrapper.extend(WireSeq(wire[0]));
        assert_eq!(first, SeqNo(u64::from(wire[0]) + CYCLE));
        for (&value, &step) in wire.iter().zip(steps).skip(1) {
            let seq = unwrapper.extend(WireSeq(value));
            assert_eq!(seq.wire(), WireSeq(value));
            assert_eq!(seq.0, first.0.checked_add_signed(step).unwrap(), "{wire:?} at {value}");
        }
    }

    #[test]
    fn same_story_from_every_start() {
        for start in [0, 1, 2, 100, 32_767, 32_768, 32_769, 65_533, 65_534, 65_535_u16] {
            let offsets: [i64; 9] = [0, 1, 3, 2, -1, 5, -2, 1_000, 999];
            let wire = offsets.map(|offset| start.wrapping_add_signed(i16::try_from(offset).unwrap()));
            check(&wire, &offsets);
        }
    }

    #[test]
    fn half_a_cycle_decides() {
        check(&[0, 32_767], &[0, 32_767]);
        check(&[0, 32_768], &[0, -32_768]);
        check(&[0, 32_769], &[0, -32_767]);
        check(&[65_535, 0, 65_534], &[0, 1, -1]);
    }

    #[test]
    fn many_cycles_up() {
        let mut unwrapper = SeqUnwrapper::new();
        for expected in CYCLE..CYCLE * 4 {
            assert_eq!(unwrapper.extend(SeqNo(expected).wire()), SeqNo(expected));
        }
        assert_eq!(unwrapper.highest(), Some(SeqNo(CYCLE * 4 - 1)));
    }

    #[test]
    fn a_straggler_does_not_move_the_reference() {
        check(&[30_000, 0, 60_000], &[0, -30_000, 30_000]);
    }

    #[test]
    fn nearest_never_goes_below_zero() {
        assert_eq!(WireSeq(65_535).nearest_to(SeqNo(3)), None);
        assert_eq!(WireSeq(65_535).nearest_to(SeqNo(CYCLE + 3)), Some(SeqNo(65_535)));
        assert_eq!(WireSeq(2).nearest_to(SeqNo(65_530)), Some(SeqNo(CYCLE + 2)));
    }
}
