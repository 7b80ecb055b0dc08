//! Whether a publisher of H.264 sends B-frames, as early as that can be known.

use std::time::Duration;

use heliograph_media::h264::{NalType, Sps, probe};

/// Follows one publisher's pictures. Sans-IO.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Pictures looked into while the parameter sets leave it open.
    looked: usize,
    /// The parameter sets said that none will come, or none came for so long that none will.
    settled: bool,
    found: bool,
    latest: Duration,
}

impl Watch {
    /// Takes the next picture. At a keyframe, `units` must have the parameter sets.
    pub(super) fn look(&mut self, show: Duration, key: bool, units: &[&[u8]]) {
        self.found |= show < self.latest;
        self.latest = self.latest.max(show);
        if key {
            let is_sps =
                |unit: &&&[u8]| unit.first().is_some_and(|&it| NalType::of_header(it) == NalType::SPS);
            match units.iter().find(is_sps).and_then(|set| Sps::parse(set).ok()?.max_reorder_frames) {
                Some(0) => self.settled = true,
                Some(_) => self.found = true,
                None => {}
            }
        }
        if self.is_open() {
            self.found |= units.iter().any(|unit| probe(unit).is_ok_and(|seen| seen.b_slice));
            self.looked += 1;
            self.settled |= self.looked >= LOOK_INTO;
        }
    }

    /// They come.
    pub(super) fn found(&self) -> bool {
        self.found
    }

    /// They may still come: whatever was shown since the keyframe is worth keeping.
    pub(super) fn is_open(&self) -> bool {
        !self.found && !self.settled
    }
}

/// Encoders that use B-frames at all do it within the first second.
const LOOK_INTO: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const IDR: &[u8] = &[0x65, 0x88];
    const P: &[u8] = &[0x41, 0x9a];
    const B: &[u8] = &[0x01, 0x9c];
    const MS: Duration = Duration::from_millis(1);

    /// Main; with this many pictures that may be reordered, if it says.
    fn sps(reorder: Option<u8>) -> Vec<u8> {
        hex::decode(match reorder {
            None => "674d401ff405017c80",
            Some(0) => "6764001facb200a00b77fe0006000820000003002000000781e30649",
            Some(_) => "674d402aeca03c0113f2e022000003000200000300f01e30632c",
        })
        .unwrap()
    }

    #[test]
    fn the_parameter_sets_say_it_at_the_first_picture() {
        let reorder = |set: &[u8]| Sps::parse(set).unwrap().max_reorder_frames;
        let (with, without) = (sps(Some(2)), sps(Some(0)));
        assert_eq!((reorder(&with), reorder(&without), reorder(&sps(None))), (Some(2), Some(0), None));
        let mut watch = Watch::default();
        watch.look(MS, true, &[&with, IDR]);
        assert!(watch.found());
        let mut watch = Watch::default();
        watch.look(MS, true, &[&without, IDR]);
        assert!(!watch.found() && !watch.is_open());
        // Whatever was said, what comes counts.
        watch.look(80 * MS, false, &[P]);
        watch.look(40 * MS, false, &[B]);
        assert!(watch.found());
    }

    #[test]
    fn otherwise_slices_do_and_only_for_a_while() {
        let set = sps(None);
        for (at, b_frames) in [(2, true), (40, false)] {
            let mut watch = Watch::default();
            watch.look(MS, true, &[&set, IDR]);
            assert!(watch.is_open());
            for number in 1..50 {
                let unit = if number == at { B } else { P };
                watch.look(number * 40 * MS, false, &[unit]);
            }
            assert_eq!((watch.found(), watch.is_open()), (b_frames, false), "{at}");
        }
    }
}
