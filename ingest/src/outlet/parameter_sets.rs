//! Which NAL units of a picture viewers get, and parameter sets for each keyframe: a viewer starts at any of them, and
//! Chromium wants both sets within the picture.

use bytes::Bytes;
use heliograph_media::h264::{NalType, Sps};

/// The parameter sets that are in force.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    sequence: Vec<Bytes>,
    picture: Vec<Bytes>,
}

impl ParameterSets {
    /// The container says what is in force now.
    pub(super) fn replace(&mut self, sets: Vec<Bytes>) {
        (self.sequence, self.picture) =
            sets.into_iter().filter(|set| !set.is_empty()).partition(|set| kind(set) == NalType::SPS);
    }

    /// The units to send. Delimiters, filler and supplemental information are left out: browsers read none of it, and
    /// each would be a packet of its own for every viewer.
    pub(super) fn complete<'a>(&'a mut self, units: &[&'a [u8]], key: bool) -> Vec<&'a [u8]> {
        let key = key || units.iter().any(|unit| kind(unit) == NalType::IDR);
        self.learn(units);
        let mut out = Vec::with_capacity(units.len() + 2);
        let has_slice = units.iter().any(|unit| kind(unit).is_slice());
        if key && has_slice {
            out.extend(self.sequence.iter().chain(&self.picture).map(|set| &set[..]));
        }
        out.extend(units.iter().copied().filter(|unit| match kind(unit) {
            NalType::SPS | NalType::PPS => !(key && has_slice),
            // Slices whole or in partitions.
            nal_type => (1..=5).contains(&nal_type.get()),
        }));
        out
    }

    /// Sets within a picture replace those of the same kind.
    fn learn(&mut self, units: &[&[u8]]) {
        for (nal_type, known) in [(NalType::SPS, &mut self.sequence), (NalType::PPS, &mut self.picture)] {
            let mut new = units.iter().filter(|unit| kind(unit) == nal_type).peekable();
            if new.peek().is_some() {
                *known = new.take(MAX_SETS).map(|unit| Bytes::copy_from_slice(unit)).collect();
            }
        }
    }

    pub(super) fn picture_size(&self) -> Option<(u32, u32)> {
        let sps = Sps::parse(self.sequence.first()?).ok()?;
        Some((sps.width, sps.height))
    }
}

fn kind(unit: &[u8]) -> NalType {
    NalType::of_header(unit.first().copied().unwrap_or(0))
}

/// Encoders have one of each, or two.
const MAX_SETS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn types(sets: &mut ParameterSets, units: &[&[u8]], key: bool) -> Vec<(u8, u8)> {
        sets.complete(units, key).iter().map(|unit| (unit[0] & 0x1f, unit[1])).collect()
    }

    #[test]
    fn what_is_sent() {
        let mut sets = ParameterSets::default();
        let idr: &[u8] = &[0x65, 1];
        let slice: &[u8] = &[0x41, 1];
        assert_eq!(types(&mut sets, &[idr], true), [(5, 1)], "nothing is known yet");
        sets.replace([[0x68, 1], [0x67, 1]].iter().map(|set| Bytes::copy_from_slice(set)).collect());
        assert_eq!(types(&mut sets, &[idr], true), [(7, 1), (8, 1), (5, 1)]);
        assert_eq!(types(&mut sets, &[slice], false), [(1, 1)]);
        assert_eq!(types(&mut sets, &[slice], true), [(7, 1), (8, 1), (1, 1)], "the container knows better");
        // Within the picture: once, and remembered.
        assert_eq!(types(&mut sets, &[&[0x67, 2], &[0x68, 2], idr], true), [(7, 2), (8, 2), (5, 1)]);
        assert_eq!(types(&mut sets, &[idr], false), [(7, 2), (8, 2), (5, 1)]);
        assert_eq!(types(&mut sets, &[&[0x68, 3], slice], false), [(8, 3), (1, 1)]);
        assert_eq!(types(&mut sets, &[idr], true), [(7, 2), (8, 3), (5, 1)]);
        assert_eq!(types(&mut sets, &[&[9, 1], &[6, 1], &[12, 1]], false), []);
    }
}
