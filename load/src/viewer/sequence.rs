//! Which sequence numbers came, which came twice, and which never did.

use heliograph_media::{SeqNo, SeqUnwrapper, WireSeq};

/// Numbers remembered one by one; older ones that come are taken for repeated.
const REMEMBERED: u64 = 1024;
const WORDS: usize = (REMEMBERED / 64) as usize;

/// One track's numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sequence {
    unwrapper: SeqUnwrapper,
    first: Option<u64>,
    highest: u64,
    distinct: u64,
    repeated: u64,
    seen: [u64; WORDS],
}

impl Sequence {
    /// Counts a number; its extended form when it is a new one, none when it came before.
    #[inline]
    pub(crate) fn add(&mut self, seq: u16) -> Option<u64> {
        let SeqNo(number) = self.unwrapper.extend(WireSeq(seq));
        let Some(first) = self.first else {
            self.first = Some(number);
            self.highest = number;
            self.distinct = 1;
            self.mark(number);
            return Some(number);
        };
        if number > self.highest {
            // What was remembered in the places of the numbers up to this one is too old now.
            if number - self.highest >= REMEMBERED {
                self.seen.fill(0);
            } else {
                (self.highest + 1..number).for_each(|number| self.unmark(number));
                self.unmark(number);
            }
            self.highest = number;
        } else if self.highest - number >= REMEMBERED || self.is_marked(number) {
            self.repeated += 1;
            return None;
        }
        // What comes before the first one moves it, so that it does not count as one too many.
        self.first = Some(first.min(number));
        self.mark(number);
        self.distinct += 1;
        Some(number)
    }

    /// Distinct packets.
    #[cfg(test)]
    pub(crate) fn distinct(&self) -> u64 {
        self.distinct
    }

    /// Packets that came again.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Numbers between the first and the highest that never came.
    pub(crate) fn missing(&self) -> u64 {
        self.first.map_or(0, |first| (self.highest - first + 1).saturating_sub(self.distinct))
    }

    fn mark(&mut self, number: u64) {
        self.seen[word(number)] |= 1 << (number % 64);
    }

    fn unmark(&mut self, number: u64) {
        self.seen[word(number)] &= !(1 << (number % 64));
    }

    fn is_marked(&self, number: u64) -> bool {
        self.seen[word(number)] & (1 << (number % 64)) != 0
    }
}

fn word(number: u64) -> usize {
    (number % REMEMBERED / 64) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gaps_repeats_and_reordering() {
        let cases: [(&[u16], u64, u64, u64); 6] = [
            (&[], 0, 0, 0),
            (&[7], 1, 0, 0),
            (&[7, 8, 9], 3, 0, 0),
            (&[7, 9, 9, 8, 8], 3, 2, 0),
            (&[65_534, 65_535, 1, 3], 4, 0, 2),
            (&[10, 9, 12], 3, 0, 1),
        ];
        for (numbers, distinct, repeated, missing) in cases {
            let mut sequence = Sequence::default();
            numbers.iter().for_each(|&number| {
                sequence.add(number);
            });
            assert_eq!(
                (sequence.distinct(), sequence.repeated(), sequence.missing()),
                (distinct, repeated, missing),
                "{numbers:?}"
            );
        }
    }

    #[test]
    fn a_jump_larger_than_the_memory() {
        let mut sequence = Sequence::default();
        for number in [100, 101, 5000, 4999, 4998, 4998] {
            sequence.add(number);
        }
        assert_eq!((sequence.distinct(), sequence.repeated(), sequence.missing()), (5, 1, 4901 - 5));
    }

    proptest! {
        #[test]
        fn counts_like_a_set(start: u16, steps in proptest::collection::vec(-20_i32..40, 1..500)) {
            let mut sequence = Sequence::default();
            let mut set = BTreeSet::new();
            let mut at = i64::from(start) + 65_536;
            let mut repeated = 0;
            for step in steps {
                at += i64::from(step);
                // The first one may only be preceded by what the unwrapper can express.
                if at < i64::from(start) + 65_536 { at = i64::from(start) + 65_536; }
                let new = set.insert(at);
                repeated += u64::from(!new);
                prop_assert_eq!(sequence.add(at as u16).is_some(), new);
            }
            let span = (set.last().unwrap() - set.first().unwrap() + 1) as u64;
            prop_assert_eq!(sequence.distinct(), set.len() as u64);
            prop_assert_eq!(sequence.repeated(), repeated);
            prop_assert_eq!(sequence.missing(), span - set.len() as u64);
        }
    }
}
