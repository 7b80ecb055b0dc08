//! The burst of junk that OBS sends before its media.
//!
//! It looks like audio: same payload type and SSRC, numbers from 0. Nothing of it goes anywhere, but what is missing
//! from it is asked for, once each: requests are how the client learns about loss, and without them its estimate is
//! its own sending rate. It does not send such packets again, and the requests do not count as dropped frames.

use std::collections::BTreeSet;

use heliograph_media::{SeqNo, SeqUnwrapper, WireSeq};

/// Watches the numbers of one burst.
#[derive(Debug, Default)]
pub(super) struct SpeedTest {
    unwrapper: SeqUnwrapper,
    missing: BTreeSet<SeqNo>,
    asked: u64,
}

impl SpeedTest {
    /// Takes a junk packet in; appends the numbers that are missing by now.
    pub(super) fn on_packet(&mut self, seq: WireSeq, out: &mut Vec<WireSeq>) {
        let before = self.unwrapper.highest();
        let number = self.unwrapper.extend(seq);
        match before {
            Some(highest) if number > highest => {
                let from = highest.next().0.max(number.0.saturating_sub(MAX_MISSING));
                self.missing.extend((from..number.0).map(SeqNo));
            }
            Some(_) => drop(self.missing.remove(&number)),
            None => {}
        }
        let highest = self.unwrapper.highest().unwrap_or(number);
        while let Some(first) = self.missing.first().copied() {
            if highest.since(first).unwrap_or(0) < REORDER_PACKETS {
                break;
            }
            self.missing.pop_first();
            self.asked += 1;
            out.push(first.wire());
        }
    }

    /// Numbers asked for.
    pub(super) fn asked(&self) -> u64 {
        self.asked
    }
}

const REORDER_PACKETS: u64 = 16;
const MAX_MISSING: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seqs: impl IntoIterator<Item = u16>) -> Vec<u16> {
        let mut test = SpeedTest::default();
        let mut out = Vec::new();
        for seq in seqs {
            test.on_packet(WireSeq(seq), &mut out);
        }
        assert_eq!(test.asked(), out.len() as u64);
        out.iter().map(|seq| seq.0).collect()
    }

    #[test]
    fn each_missing_one_is_asked_for_once() {
        assert!(run(0..1337).is_empty());
        assert_eq!(run((0..1337).filter(|seq| ![5, 6, 700].contains(seq))), [5, 6, 700]);
        assert!(run([0, 2, 1, 3, 5, 4, 6]).is_empty());
    }

    #[test]
    fn wild_numbers_are_bounded() {
        assert!(run([0, 30_000, 60_000, 90]).len() <= 3 * usize::try_from(MAX_MISSING).expect("small"));
    }
}
