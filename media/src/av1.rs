//! AV1 in RTP payloads (RTP Payload Format for AV1, version 1.0), as far as a relay needs to look.

mod depacketise;
mod packetise;

use crate::bits::BitReader;

pub use depacketise::temporal_unit;
pub use packetise::{obu_type, obus, packetise};

/// What one payload shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// A sequence header starts a new coded video sequence here: a decoder can begin.
    pub keyframe_start: bool,
    /// Of the sequence header, if it is whole in this packet.
    pub sequence: Option<Sequence>,
}

/// What a sequence header says that viewers and operators want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// 0 main, 1 high, 2 professional.
    pub profile: u8,
    /// `seq_level_idx` of the first operating point.
    pub level: u8,
    /// `seq_tier` of the first operating point.
    pub tier: u8,
    /// Pixels, at most.
    pub width: u32,
    /// Pixels, at most.
    pub height: u32,
}

const SEQUENCE_HEADER: u8 = 1;
/// An aggregation without counts has as many elements as fit; this many are looked at.
const MAX_ELEMENTS: usize = 64;

/// Looks at a payload; `None` when it is no AV1.
#[must_use]
pub fn probe(payload: &[u8]) -> Option<Probe> {
    let (&aggregation, mut rest) = payload.split_first()?;
    let continues = aggregation & 0x80 != 0;
    let count = usize::from(aggregation >> 4 & 3);
    let new_sequence = aggregation & 0x08 != 0;
    if rest.is_empty() || (new_sequence && continues) {
        return None;
    }
    let mut probe = Probe::default();
    for index in 0..MAX_ELEMENTS {
        if rest.is_empty() {
            // Fewer elements than were announced.
            if count != 0 && index < count {
                return None;
            }
            break;
        }
        let element = if count != 0 && index + 1 == count {
            std::mem::take(&mut rest)
        } else {
            let (length, behind) = leb128(rest)?;
            let (element, behind) = behind.split_at_checked(length)?;
            rest = behind;
            element
        };
        // The first may go on from the packet before.
        if index == 0 && continues {
            continue;
        }
        let Some((&header, mut body)) = element.split_first() else { continue };
        if header & 0x80 != 0 {
            return None;
        }
        if header >> 3 & 15 == SEQUENCE_HEADER {
            body = body.get(usize::from(header & 4 != 0)..).unwrap_or_default();
            if header & 2 != 0 {
                body = leb128(body).map_or(&[][..], |(_, behind)| behind);
            }
            probe.sequence = sequence(body);
            probe.keyframe_start |= new_sequence;
        }
    }
    Some(probe)
}

/// At most 8 bytes of 7 bits, lowest first; nothing in a packet is longer than 2^32.
fn leb128(data: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in data.iter().enumerate().take(8) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &data[index + 1..]));
        }
    }
    None
}

/// AV1 bitstream section 5.5.
fn sequence(data: &[u8]) -> Option<Sequence> {
    let mut bits = BitReader::plain(data);
    let profile = u8::try_from(bits.bits(3)?).ok()?;
    bits.skip(1)?; // still_picture
    let (mut level, mut tier) = (0, 0);
    if bits.flag()? {
        // reduced_still_picture_header
        level = bits.bits(5)?;
    } else {
        let mut delay_bits = None;
        if bits.flag()? {
            bits.skip(64)?; // timing_info
            if bits.flag()? {
                bits.ue()?; // num_ticks_per_picture_minus_1: uvlc is ue by another name
            }
            if bits.flag()? {
                delay_bits = Some(bits.bits(5)? + 1);
                bits.skip(32 + 5 + 5)?; // the rest of decoder_model_info
            }
        }
        let initial_display_delay = bits.flag()?;
        let points = bits.bits(5)? + 1;
        for point in 0..points {
            bits.skip(12)?; // operating_point_idc
            let this_level = bits.bits(5)?;
            let this_tier = if this_level > 7 { u32::from(bits.flag()?) } else { 0 };
            if point == 0 {
                (level, tier) = (this_level, this_tier);
            }
            if let Some(delay_bits) = delay_bits
                && bits.flag()?
            {
                bits.skip(2 * delay_bits + 1)?;
            }
            if initial_display_delay && bits.flag()? {
                bits.skip(4)?;
            }
        }
    }
    let (width_bits, height_bits) = (bits.bits(4)? + 1, bits.bits(4)? + 1);
    let (width, height) = (bits.bits(width_bits)? + 1, bits.bits(height_bits)? + 1);
    Some(Sequence {
        profile,
        level: u8::try_from(level).ok()?,
        tier: u8::try_from(tier).ok()?,
        width,
        height,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence_bits() -> Vec<u8> {
        let mut bits = String::new();
        let mut put = |value: u32, count: usize| bits.push_str(&format!("{value:0count$b}"));
        put(0, 3); // profile
        put(0, 1);
        put(0, 1);
        put(0, 1); // no timing
        put(0, 1); // no display delay
        put(0, 5); // one operating point
        put(0, 12);
        put(5, 5);
        put(10, 4);
        put(9, 4);
        put(1279, 11);
        put(719, 10);
        put(0, 8);
        let padded = bits.len().next_multiple_of(8);
        bits = format!("{bits:0<padded$}");
        bits.as_bytes()
            .chunks(8)
            .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
            .collect()
    }

    #[test]
    fn aggregations() {
        let body = sequence_bits();
        let sequence = Sequence { profile: 0, level: 5, tier: 0, width: 1280, height: 720 };
        let element = [&[SEQUENCE_HEADER << 3][..], &body].concat();
        let length = [u8::try_from(element.len()).unwrap()];
        let with_size = [&[SEQUENCE_HEADER << 3 | 2, u8::try_from(body.len()).unwrap()][..], &body].concat();
        let with_size_length = [u8::try_from(with_size.len()).unwrap()];
        let frame = [0x30, 1, 2, 3];
        let key = Probe { keyframe_start: true, sequence: Some(sequence) };
        for (payload, expected) in [
            // Two elements; the last has no length.
            ([&[0x28][..], &length, &element, &frame].concat(), Some(key)),
            ([&[0x28][..], &with_size_length, &with_size, &frame].concat(), Some(key)),
            // Any number of elements, each with its length.
            ([&[0x08][..], &length, &element, &[4], &frame].concat(), Some(key)),
            ([&[0x18][..], &element].concat(), Some(key)),
            // Again in the middle of a sequence: nobody knows whether a keyframe follows.
            ([&[0x20][..], &length, &element, &frame].concat(), Some(Probe { keyframe_start: false, ..key })),
            // Pictures, and what goes on from the packet before.
            ([&[0x10][..], &frame].concat(), Some(Probe::default())),
            ([&[0x90][..], &element].concat(), Some(Probe::default())),
            // A new sequence cannot begin in the middle of something.
            ([&[0x98][..], &element].concat(), None),
            // Fewer elements than announced, and lengths past the end.
            ([&[0x38][..], &length, &element].concat(), None),
            (vec![0x08, 0x7f, 1, 2], None),
            (vec![0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0], None),
            (vec![0x10], None),
            (vec![], None),
            (vec![0x10, 0x80], None),
        ] {
            assert_eq!(probe(&payload), expected, "{payload:02x?}");
        }
    }
}
