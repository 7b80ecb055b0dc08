//! VP8 in RTP payloads (RFC 7741), as far as a relay needs to look.

/// What one payload shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// A picture starts here.
    pub frame_start: bool,
    /// A picture that refers to no other starts here.
    pub keyframe_start: bool,
    /// Of a keyframe: width and height in pixels.
    pub size: Option<(u32, u32)>,
}

const EXTENDED: u8 = 0x80;
const START: u8 = 0x10;
const PARTITION: u8 = 0x07;

/// What a payload adds to its picture: all of it but the descriptor (section 4.2). `None` when it is no VP8.
#[must_use]
pub fn body(payload: &[u8]) -> Option<&[u8]> {
    let (&first, mut rest) = payload.split_first()?;
    if first & EXTENDED != 0 {
        let (&extension, behind) = rest.split_first()?;
        let (id, tl0, tid_or_key) = (extension & 0x80 != 0, extension & 0x40 != 0, extension & 0x30 != 0);
        rest = behind;
        if id {
            let long = rest.first()? & 0x80 != 0;
            rest = rest.get(1 + usize::from(long)..)?;
        }
        rest = rest.get(usize::from(tl0) + usize::from(tid_or_key)..)?;
    }
    (!rest.is_empty()).then_some(rest)
}

/// Looks at a payload; `None` when it is no VP8.
#[must_use]
pub fn probe(payload: &[u8]) -> Option<Probe> {
    let rest = body(payload)?;
    let &first = payload.first()?;
    let &header = rest.first()?;
    if first & START == 0 || first & PARTITION != 0 {
        return Some(Probe::default());
    }
    // Section 9.1 of RFC 6386: the lowest bit is 0 for a keyframe.
    if header & 1 != 0 {
        return Some(Probe { frame_start: true, ..Probe::default() });
    }
    let size = match rest {
        [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] => {
            let side = |low: &u8, high: &u8| u32::from(u16::from_le_bytes([*low, *high]) & 0x3fff);
            Some((side(w0, w1), side(h0, h1)))
        }
        // Without its start code it is no keyframe that anybody could decode.
        _ => return None,
    };
    Some(Probe { frame_start: true, keyframe_start: true, size: size.filter(|(w, h)| *w > 0 && *h > 0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    #[test]
    fn descriptors() {
        let start = Probe { frame_start: true, ..Probe::default() };
        let key = Probe { frame_start: true, keyframe_start: true, size: Some((1280, 720)) };
        for (payload, expected) in [
            // As libwebrtc writes it: 15-bit picture id, and the frame's first bytes.
            ("90 80 9234 10 02 00 9d 01 2a 0005 d002 00", Some(key)),
            ("90 80 12 10 02 00 9d 01 2a 0005 d002 00", Some(key)),
            ("90 f0 9234 07 20 10 02 00 9d 01 2a 0005 d002", Some(key)),
            ("10 10 02 00 9d 01 2a 0045 d042", Some(key)),
            ("10 11 02 00 12", Some(start)),
            ("90 80 9234 b1 02 00", Some(start)),
            // Goes on with a picture, or with another partition.
            ("80 80 9234 10 02 00", Some(Probe::default())),
            ("11 10 02 00", Some(Probe::default())),
            // A keyframe without its start code, and what is cut.
            ("10 10 02 00 9d 01 2b 0005 d002", None),
            ("10 10 02 00 9d 01", None),
            ("90 80 92", None),
            ("90 f0 9234 07", None),
            ("90", None),
            ("10", None),
            ("", None),
        ] {
            assert_eq!(probe(&hex(payload)), expected, "{payload}");
        }
        assert_eq!(body(&hex("90 f0 9234 07 20 10 02")), Some(&[0x10, 2][..]));
        assert_eq!(body(&hex("00 b1")), Some(&[0xb1][..]));
    }
}
