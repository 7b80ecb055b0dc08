//! Which units of a picture viewers get, and parameter sets for each keyframe: a viewer starts at any of them, and
//! Chromium wants them within the picture.

use bytes::Bytes;
use heliograph_media::{
    Codec, av1,
    h264::{NalType, Sps},
    h265,
};

/// The parameter sets that are in force.
#[derive(Debug)]
pub(crate) struct ParameterSets {
    codec: Codec,
    sequence: Vec<Bytes>,
    picture: Vec<Bytes>,
}

impl Default for ParameterSets {
    fn default() -> Self {
        Self { codec: Codec::H264, sequence: Vec::new(), picture: Vec::new() }
    }
}

impl ParameterSets {
    /// The container says what is in force now.
    pub(crate) fn replace(&mut self, codec: Codec, sets: Vec<Bytes>) {
        self.codec = codec;
        (self.sequence, self.picture) = (Vec::new(), Vec::new());
        for set in sets {
            match role(codec, &set) {
                Role::Sequence => self.sequence.push(set),
                Role::Picture => self.picture.push(set),
                Role::Coded { .. } | Role::Other => {}
            }
        }
    }

    /// All that are in force.
    pub(crate) fn all(&self) -> Vec<Bytes> {
        self.sequence.iter().chain(&self.picture).cloned().collect()
    }

    /// How the pictures are coded.
    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// The units to send. Delimiters, filler and supplemental information are left out: browsers read none of it, and
    /// each would be a packet of its own for every viewer.
    pub(crate) fn complete<'a>(&'a mut self, units: &[&'a [u8]], key: bool) -> Vec<&'a [u8]> {
        let codec = self.codec;
        let role = |unit: &[u8]| role(codec, unit);
        let key = key || units.iter().any(|unit| role(unit) == Role::Coded { key: true });
        self.learn(units);
        let mut out = Vec::with_capacity(units.len() + 3);
        let has_coded = units.iter().any(|unit| matches!(role(unit), Role::Coded { .. }));
        if key && has_coded {
            out.extend(self.sequence.iter().chain(&self.picture).map(|set| &set[..]));
        }
        out.extend(units.iter().copied().filter(|unit| match role(unit) {
            Role::Sequence | Role::Picture => !(key && has_coded),
            Role::Coded { .. } => true,
            Role::Other => false,
        }));
        out
    }

    /// Sets within a picture replace those of the same kind.
    fn learn(&mut self, units: &[&[u8]]) {
        for (wanted, known) in [(Role::Sequence, &mut self.sequence), (Role::Picture, &mut self.picture)] {
            let mut new = units.iter().filter(|unit| role(self.codec, unit) == wanted).peekable();
            if new.peek().is_some() {
                *known = new.take(MAX_SETS).map(|unit| Bytes::copy_from_slice(unit)).collect();
            }
        }
    }

    pub(crate) fn picture_size(&self) -> Option<(u32, u32)> {
        match self.codec {
            Codec::H264 => Sps::parse(self.sequence.first()?).ok().map(|sps| (sps.width, sps.height)),
            Codec::H265 => {
                let sps = self.sequence.iter().find_map(|set| h265::probe(set)?.sps)?;
                Some((sps.width, sps.height))
            }
            _ => None,
        }
    }
}

/// What a unit is there for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Needed from the beginning: sequence parameter sets, for H.265 the video parameter set as well, a sequence header.
    Sequence,
    /// Picture parameter sets.
    Picture,
    /// A picture or a part of one.
    Coded {
        /// A decoder can start at it, as far as the unit itself says so.
        key: bool,
    },
    Other,
}

fn role(codec: Codec, unit: &[u8]) -> Role {
    match codec {
        Codec::H265 => match h265::unit_type(unit) {
            Some(32 | 33) => Role::Sequence,
            Some(34) => Role::Picture,
            Some(slice @ 0..=31) => Role::Coded { key: (16..=23).contains(&slice) },
            _ => Role::Other,
        },
        Codec::Av1 => match av1::obu_type(unit) {
            1 => Role::Sequence,
            // Frame header, tile group, metadata, frame, frame header again.
            3..=7 => Role::Coded { key: false },
            _ => Role::Other,
        },
        _ => match NalType::of_header(unit.first().copied().unwrap_or(0)) {
            NalType::SPS => Role::Sequence,
            NalType::PPS => Role::Picture,
            // Slices whole or in partitions.
            nal_type if (1..=5).contains(&nal_type.get()) => Role::Coded { key: nal_type == NalType::IDR },
            _ => Role::Other,
        },
    }
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
        let known = [[0x68, 1], [0x67, 1]].iter().map(|set| Bytes::copy_from_slice(set)).collect();
        sets.replace(Codec::H264, known);
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
