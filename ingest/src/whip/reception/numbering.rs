//! Packets without payload (padding) do not go on to the relay, and must not look lost there: what follows is numbered
//! as if they had not been.

use std::collections::VecDeque;

use heliograph_media::{SeqNo, WireSeq};

/// Which numbers were left out.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    /// All of them.
    dropped: u64,
    /// The last ones, ascending.
    recent: VecDeque<SeqNo>,
}

impl Numbering {
    /// The packet with this number is left out. Numbers may come late, but are remembered only if they come in order.
    pub(super) fn leave_out(&mut self, seq: SeqNo) {
        if self.recent.back().is_some_and(|last| seq <= *last) {
            return;
        }
        self.dropped += 1;
        self.recent.push_back(seq);
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
    }

    /// The number that a packet gets.
    pub(super) fn number(&self, seq: SeqNo) -> WireSeq {
        let later = self.recent.iter().rev().take_while(|left_out| **left_out > seq).count() as u64;
        SeqNo(seq.0 - (self.dropped - later)).wire()
    }
}

/// More than can be on the way at once.
const REMEMBERED: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_leaves_no_hole() {
        let mut numbering = Numbering::default();
        let at = |n: u64| SeqNo(65_536 + n);
        assert_eq!(numbering.number(at(10)), WireSeq(10));
        numbering.leave_out(at(11));
        numbering.leave_out(at(12));
        assert_eq!(numbering.number(at(13)), WireSeq(11));
        numbering.leave_out(at(14));
        assert_eq!(numbering.number(at(15)), WireSeq(12));
        // Late ones keep the numbers that were kept free for them.
        assert_eq!(numbering.number(at(13)), WireSeq(11));
        assert_eq!(numbering.number(at(9)), WireSeq(9));
    }
}
