//! H.265 in RTP payloads (RFC 7798, without decoding order numbers), as far as a relay needs to look.

mod depacketise;
mod packetise;

use crate::bits::BitReader;

pub use depacketise::units;
pub use packetise::packetise;

/// What one payload shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// A video or sequence parameter set starts here.
    pub sequence_parameters: bool,
    /// A picture parameter set starts here.
    pub picture_parameters: bool,
    /// A picture at which a decoder can begin starts here (BLA, IDR or CRA).
    pub key_picture: bool,
    /// Something is in it that only comes at the beginning of an access unit.
    pub opens: bool,
    /// Of the sequence parameter set, if it is whole in this packet.
    pub sps: Option<Sps>,
}

/// What a sequence parameter set says that viewers and operators want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// `general_profile_idc`: 1 main, 2 main 10.
    pub profile: u8,
    /// `general_tier_flag`.
    pub high_tier: bool,
    /// `general_level_idc`: thirty times the level.
    pub level: u8,
    /// In pixels, after cropping.
    pub width: u32,
    /// In pixels, after cropping.
    pub height: u32,
}

const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const AUD: u8 = 35;
const PREFIX_SEI: u8 = 39;
const AGGREGATION: u8 = 48;
const FRAGMENT: u8 = 49;
/// Intra random access points; 22 and 23 are reserved for more of them.
const KEY_PICTURES: std::ops::RangeInclusive<u8> = 16..=23;
const HEADER: usize = 2;

/// Looks at a payload; `None` when it is no H.265.
#[must_use]
pub fn probe(payload: &[u8]) -> Option<Probe> {
    let mut seen = Probe::default();
    match unit_type(payload)? {
        AGGREGATION => {
            let mut rest = &payload[HEADER..];
            while !rest.is_empty() {
                let (&length, behind) = rest.split_first_chunk()?;
                let (unit, behind) = behind.split_at_checked(u16::from_be_bytes(length).into())?;
                let unit_type = unit_type(unit).filter(|unit_type| *unit_type < AGGREGATION)?;
                seen.note(unit_type, Some(unit));
                rest = behind;
            }
            (payload.len() > HEADER).then_some(seen)
        }
        FRAGMENT => {
            let &head = payload.get(HEADER)?;
            let (first, last, unit_type) = (head & 0x80 != 0, head & 0x40 != 0, head & 0x3f);
            if payload.len() == HEADER + 1 || (first && last) || unit_type >= AGGREGATION {
                return None;
            }
            if first {
                seen.note(unit_type, None);
            }
            Some(seen)
        }
        unit_type if unit_type < AGGREGATION => {
            seen.note(unit_type, Some(payload));
            Some(seen)
        }
        _ => None,
    }
}

/// The type in a NAL unit's header; `None` when there is no whole header, or somebody marked the unit as broken.
#[must_use]
pub fn unit_type(unit: &[u8]) -> Option<u8> {
    match unit {
        [first, _, ..] if first & 0x80 == 0 => Some(first >> 1 & 0x3f),
        _ => None,
    }
}

impl Probe {
    fn note(&mut self, unit_type: u8, whole: Option<&[u8]>) {
        self.sequence_parameters |= matches!(unit_type, VPS | SPS);
        self.picture_parameters |= unit_type == PPS;
        self.key_picture |= KEY_PICTURES.contains(&unit_type);
        self.opens |= matches!(unit_type, VPS | SPS | AUD | PREFIX_SEI);
        if unit_type == SPS
            && let Some(unit) = whole
        {
            self.sps = self.sps.or_else(|| parse_sps(&unit[HEADER..]));
        }
    }
}

impl Sps {
    /// Reads a sequence parameter set, a whole NAL unit; `None` when it is none.
    #[must_use]
    pub fn parse(unit: &[u8]) -> Option<Self> {
        (unit_type(unit)? == SPS).then(|| parse_sps(&unit[HEADER..])).flatten()
    }
}

/// ITU-T H.265 section 7.3.2.2, up to the cropping.
fn parse_sps(data: &[u8]) -> Option<Sps> {
    let mut bits = BitReader::new(data);
    bits.skip(4)?; // video parameter set
    let sub_layers = bits.bits(3)?;
    bits.skip(1)?;
    bits.skip(2)?; // general_profile_space
    let high_tier = bits.flag()?;
    let profile = u8::try_from(bits.bits(5)?).ok()?;
    bits.skip(32 + 4 + 43 + 1)?; // compatibility, sources, constraints
    let level = u8::try_from(bits.bits(8)?).ok()?;
    if sub_layers > 0 {
        let mut present = Vec::with_capacity(8);
        for _ in 0..sub_layers {
            present.push((bits.flag()?, bits.flag()?));
        }
        bits.skip(2 * (8 - sub_layers))?;
        for (with_profile, with_level) in present {
            bits.skip(if with_profile { 88 } else { 0 })?;
            bits.skip(if with_level { 8 } else { 0 })?;
        }
    }
    bits.ue()?; // id
    let chroma = bits.ue()?;
    if chroma == 3 {
        bits.skip(1)?;
    }
    let (width, height) = (bits.ue()?, bits.ue()?);
    let mut crop = [0; 4];
    if bits.flag()? {
        for side in &mut crop {
            *side = bits.ue()?;
        }
    }
    let [left, right, top, bottom] = crop;
    let (unit_width, unit_height) = match chroma {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let cropped = |side: u32, one: u32, other: u32, unit: u32| {
        let off = one.checked_add(other)?.checked_mul(unit)?;
        side.checked_sub(off).filter(|side| (1..=16_384).contains(side))
    };
    Some(Sps {
        profile,
        high_tier,
        level,
        width: cropped(width, left, right, unit_width)?,
        height: cropped(height, top, bottom, unit_height)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    /// 1280x720, main profile, level 3.1, as x265 writes it (ffmpeg 5.1).
    const X265_SPS: &str = "42 01 01 01 60 00 00 03 00 90 00 00 03 00 00 03 00 5d a0 02 80 80 2d 16 59 59 a4 93 2b c0 5a \
                            02 00 00 03 00 02 00 00 03 00 3c 10";

    #[test]
    fn a_parameter_set_of_x265() {
        let seen = probe(&hex(X265_SPS)).unwrap();
        assert!(seen.sequence_parameters && seen.opens && !seen.key_picture && !seen.picture_parameters);
        let expected = Sps { profile: 1, high_tier: false, level: 93, width: 1280, height: 720 };
        assert_eq!(seen.sps, Some(expected));
    }

    #[test]
    fn payloads() {
        let none = Probe::default();
        let key = Probe { key_picture: true, ..none };
        for (payload, expected) in [
            ("26 01 af", Some(key)),  // IDR
            ("2a 01 af", Some(key)),  // CRA
            ("02 01 d0", Some(none)), // a slice
            ("44 01 c0", Some(Probe { picture_parameters: true, ..none })),
            ("46 01 50", Some(Probe { opens: true, ..none })), // AUD
            ("40 01 0c", Some(Probe { sequence_parameters: true, opens: true, ..none })),
            // Fragments: begin, go on, end.
            ("62 01 93 af", Some(key)),
            ("62 01 13 af", Some(none)),
            ("62 01 53 af", Some(none)),
            // PPS and the picture together.
            ("60 01 0003 4401c0 0003 2601af", Some(Probe { picture_parameters: true, ..key })),
            // Broken: forbidden bit, cut, begin and end at once, aggregation within, an unknown packet.
            ("a6 01 af", None),
            ("26", None),
            ("62 01 d3 af", None),
            ("62 01 93", None),
            ("60 01", None),
            ("60 01 0004 4401c0", None),
            ("60 01 0003 6001c0", None),
            ("60 01 0001 44", None),
            ("64 01 00", None),
            ("", None),
        ] {
            assert_eq!(probe(&hex(payload)), expected, "{payload}");
        }
    }
}
