//! The running numbers inside VP8 and VP9 payloads: whoever is moved from one encoding of a picture to another must not
//! see them jump.
//!
//! Both codecs may say which picture a packet belongs to (7 or 15 bits) and how many pictures of the lowest temporal
//! layer came before (8 bits). Receivers find missing references by them.

use crate::Codec;

/// Longest part of a payload in which the numbers lie, in bytes.
pub const MAX_PREFIX: usize = 5;

/// The numbers of one payload, and where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureIds {
    /// Picture ID, 7 or 15 bits.
    pub picture_id: u16,
    /// It has 15 bits.
    pub long: bool,
    /// Running index of pictures in the lowest temporal layer (TL0PICIDX).
    pub tl0: Option<u8>,
    id_at: u8,
    tl0_at: u8,
}

/// What is added to the numbers of one encoding so that they go on from those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureShift {
    codec: Codec,
    picture_id: u16,
    tl0: u8,
}

impl PictureIds {
    /// Finds them; `None` for other codecs, without a picture ID, and in what is cut.
    #[must_use]
    pub fn find(codec: Codec, payload: &[u8]) -> Option<Self> {
        let &first = payload.first()?;
        // RFC 7741 section 4.2; RFC 9628 section 4.2.
        let (id_at, tl0_offset) = match codec {
            Codec::Vp8 => {
                let &extension = payload.get(1).filter(|_| first & 0x80 != 0)?;
                (2, (extension & 0x80 != 0).then_some((extension & 0x40 != 0).then_some(0))?)
            }
            Codec::Vp9 => {
                // Behind the layer indices, and only in the non-flexible mode.
                let (layers, flexible) = (first & 0x20 != 0, first & 0x10 != 0);
                (1, (first & 0x80 != 0).then_some((layers && !flexible).then_some(1))?)
            }
            _ => return None,
        };
        let &high = payload.get(id_at)?;
        let long = high & 0x80 != 0;
        let picture_id =
            if long { u16::from_be_bytes([high & 0x7f, *payload.get(id_at + 1)?]) } else { u16::from(high) };
        let tl0_at = tl0_offset.map(|offset: usize| id_at + 1 + usize::from(long) + offset);
        let tl0 = match tl0_at {
            Some(at) => Some(*payload.get(at)?),
            None => None,
        };
        let place = |at: usize| u8::try_from(at).ok();
        Some(Self { picture_id, long, tl0, id_at: place(id_at)?, tl0_at: place(tl0_at.unwrap_or(0))? })
    }

    /// With `shift` added.
    #[must_use]
    pub fn shifted(self, shift: PictureShift) -> Self {
        let mask = if self.long { 0x7fff } else { 0x7f };
        Self {
            picture_id: self.picture_id.wrapping_add(shift.picture_id) & mask,
            tl0: self.tl0.map(|tl0| tl0.wrapping_add(shift.tl0)),
            ..self
        }
    }
}

impl PictureShift {
    /// Nothing is added.
    pub const NONE: Self = Self { codec: Codec::H264, picture_id: 0, tl0: 0 };

    /// So that `next`, the first picture of another encoding, follows `last`, as the receiver has it.
    #[must_use]
    pub fn between(codec: Codec, last: PictureIds, next: PictureIds) -> Self {
        let picture_id = last.picture_id.wrapping_add(1).wrapping_sub(next.picture_id);
        let tl0 = match (last.tl0, next.tl0) {
            (Some(last), Some(next)) => last.wrapping_add(1).wrapping_sub(next),
            _ => 0,
        };
        Self { codec, picture_id, tl0 }
    }

    /// Whether payloads stay as they are.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.picture_id == 0 && self.tl0 == 0
    }

    /// The payload with other numbers: its beginning is written into `prefix`. Returns how many bytes of it count, and
    /// what follows them.
    #[must_use]
    pub fn apply<'p>(self, payload: &'p [u8], prefix: &mut [u8; MAX_PREFIX]) -> (usize, &'p [u8]) {
        if self.is_none() {
            return (0, payload);
        }
        let Some(ids) = PictureIds::find(self.codec, payload) else { return (0, payload) };
        let ids = ids.shifted(self);
        let length = payload.len().min(MAX_PREFIX);
        prefix[..length].copy_from_slice(&payload[..length]);
        let at = usize::from(ids.id_at);
        let [high, low] = ids.picture_id.to_be_bytes();
        if ids.long {
            prefix[at] = 0x80 | high;
            prefix[at + 1] = low;
        } else {
            prefix[at] = low;
        }
        if let Some(tl0) = ids.tl0 {
            prefix[usize::from(ids.tl0_at)] = tl0;
        }
        (length, &payload[length..])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;
    use crate::testing::hex;

    fn applied(shift: PictureShift, payload: &[u8]) -> Vec<u8> {
        let mut prefix = [0; MAX_PREFIX];
        let (length, rest) = shift.apply(payload, &mut prefix);
        [&prefix[..length], rest].concat()
    }

    #[test]
    fn where_the_numbers_lie() {
        for (codec, payload, expected) in [
            (Codec::Vp8, "90 80 9234 10", Some((0x1234, true, None))),
            (Codec::Vp8, "90 80 12 10", Some((0x12, false, None))),
            (Codec::Vp8, "90 e0 9234 07 20 10", Some((0x1234, true, Some(7)))),
            (Codec::Vp8, "90 c0 12 07 10", Some((0x12, false, Some(7)))),
            (Codec::Vp8, "90 40 07 10", None),
            (Codec::Vp8, "10 10 02 00", None),
            (Codec::Vp9, "8c 9234 82", Some((0x1234, true, None))),
            (Codec::Vp9, "a8 9234 00 07 82", Some((0x1234, true, Some(7)))),
            (Codec::Vp9, "a8 12 00 07 82", Some((0x12, false, Some(7)))),
            (Codec::Vp9, "b8 9234 00 82", Some((0x1234, true, None))),
            (Codec::Vp9, "08 82", None),
            (Codec::H264, "90 80 9234 10", None),
            // Cut.
            (Codec::Vp8, "90 c0 92 34", None),
            (Codec::Vp8, "90 80 92", None),
            (Codec::Vp9, "a8 9234 00", None),
            (Codec::Vp9, "", None),
        ] {
            let found = PictureIds::find(codec, &hex(payload));
            assert_eq!(found.map(|ids| (ids.picture_id, ids.long, ids.tl0)), expected, "{codec} {payload}");
        }
    }

    #[test]
    fn another_encoding_goes_on_where_the_last_one_was_left() {
        for (codec, last, next, expected, later, expected_later) in [
            // Across both wraps.
            (Codec::Vp8, "90c0ffffff10", "90c080102010", "90c080000010", "80c080122133", "80c080020133"),
            (Codec::Vp9, "a880050001", "a892340007", "a880060002", "a09235000882", "a08007000382"),
            // Seven bits on both sides, or on one.
            (Codec::Vp8, "90807f10", "90800510", "90800010", "90800610", "90800110"),
            (Codec::Vp8, "908081ff10", "90800510", "90800010", "90800610", "90800110"),
        ] {
            let ids = |payload| PictureIds::find(codec, &hex(payload)).unwrap();
            let shift = PictureShift::between(codec, ids(last), ids(next));
            assert_eq!(applied(shift, &hex(next)), hex(expected), "{last} {next}");
            assert_eq!(applied(shift, &hex(later)), hex(expected_later), "{last} {later}");
        }
    }

    proptest! {
        #[test]
        fn only_the_numbers_change(
            bytes in proptest::collection::vec(any::<u8>(), 0..12), by in any::<u16>(), tl0 in any::<u8>(), vp9 in any::<bool>(),
        ) {
            let codec = if vp9 { Codec::Vp9 } else { Codec::Vp8 };
            let shift = PictureShift { codec, picture_id: by, tl0 };
            let moved = applied(shift, &bytes);
            prop_assert_eq!(moved.len(), bytes.len());
            match PictureIds::find(codec, &bytes) {
                Some(ids) => prop_assert_eq!(PictureIds::find(codec, &moved), Some(ids.shifted(shift))),
                None => prop_assert_eq!(&moved, &bytes),
            }
            let back = PictureShift { codec, picture_id: by.wrapping_neg(), tl0: tl0.wrapping_neg() };
            prop_assert_eq!(applied(back, &moved), bytes);
        }
    }
}
