//! VP9 in RTP payloads (RFC 9628), as far as a relay needs to look.

use crate::bits::BitReader;

/// What one payload shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// A picture starts here, with its lowest spatial layer.
    pub frame_start: bool,
    /// A picture that refers to no other starts here.
    pub keyframe_start: bool,
    /// Of a keyframe: profile 0 to 3.
    pub profile: Option<u8>,
    /// Of a keyframe: width and height in pixels.
    pub size: Option<(u32, u32)>,
}

/// The payload descriptor (section 4.2), as far as it matters here.
struct Descriptor {
    /// A frame of a spatial layer starts here.
    begins: bool,
    predicted: bool,
    /// It belongs to the lowest spatial layer.
    lowest: bool,
    /// Of the highest spatial layer.
    largest: Option<Size>,
}

/// What a payload adds to the lowest spatial layer of its picture, which is a picture by itself: all of it but the descriptor, and
/// nothing if it belongs to another layer. `None` when it is no VP9.
#[must_use]
pub fn lowest_layer(payload: &[u8]) -> Option<&[u8]> {
    let (descriptor, body) = descriptor(payload)?;
    Some(if descriptor.lowest { body } else { &[] })
}

fn descriptor(payload: &[u8]) -> Option<(Descriptor, &[u8])> {
    let (&first, mut rest) = payload.split_first()?;
    let flag = |mask: u8| first & mask != 0;
    let (id, predicted, layers, flexible) = (flag(0x80), flag(0x40), flag(0x20), flag(0x10));
    let (begins, structure) = (flag(0x08), flag(0x02));
    if id {
        let long = rest.first()? & 0x80 != 0;
        rest = rest.get(1 + usize::from(long)..)?;
    }
    let mut lowest = true;
    if layers {
        let (&indices, behind) = rest.split_first()?;
        lowest = indices & 0x0e == 0;
        rest = behind.get(usize::from(!flexible)..)?;
    }
    if flexible && predicted {
        // At most three references; the lowest bit says that another follows.
        for last in [false, false, true] {
            let (&reference, behind) = rest.split_first()?;
            rest = behind;
            match reference & 1 {
                0 => break,
                _ if last => return None,
                _ => {}
            }
        }
    }
    let mut largest = None;
    if structure {
        (largest, rest) = scalability(rest)?;
    }
    (!rest.is_empty()).then_some((Descriptor { begins, predicted, lowest, largest }, rest))
}

/// Looks at a payload; `None` when it is no VP9.
#[must_use]
pub fn probe(payload: &[u8]) -> Option<Probe> {
    let (Descriptor { begins, predicted, lowest, largest }, rest) = descriptor(payload)?;
    let frame_start = begins && lowest;
    if !frame_start || predicted {
        return Some(Probe { frame_start, ..Probe::default() });
    }
    // Not predicted from another picture: a keyframe, or a picture that resets less; only its own header knows.
    match key_header(rest) {
        Some((profile, size)) => Some(Probe {
            frame_start,
            keyframe_start: true,
            profile: Some(profile),
            size: Some(largest.unwrap_or(size)),
        }),
        None => Some(Probe { frame_start, ..Probe::default() }),
    }
}

/// Width and height in pixels.
type Size = (u32, u32);

/// The scalability structure (section 4.2.1): the size of the highest spatial layer, if it is given, and what follows.
fn scalability(data: &[u8]) -> Option<(Option<Size>, &[u8])> {
    let (&head, mut rest) = data.split_first()?;
    let layers = usize::from(head >> 5) + 1;
    let mut size = None;
    if head & 0x10 != 0 {
        for _ in 0..layers {
            let (&[w0, w1, h0, h1], behind) = rest.split_first_chunk()?;
            size = Some((u16::from_be_bytes([w0, w1]).into(), u16::from_be_bytes([h0, h1]).into()));
            rest = behind;
        }
    }
    if head & 0x08 != 0 {
        let (&pictures, behind) = rest.split_first()?;
        rest = behind;
        for _ in 0..pictures {
            let (&picture, behind) = rest.split_first()?;
            rest = behind.get(usize::from(picture >> 2 & 3)..)?;
        }
    }
    Some((size.filter(|(w, h)| *w > 0 && *h > 0), rest))
}

/// Profile and size out of a keyframe's uncompressed header (VP9 bitstream section 6.2); `None` for other pictures.
fn key_header(data: &[u8]) -> Option<(u8, (u32, u32))> {
    const FRAME_MARKER: u32 = 2;
    const SYNC_CODE: u32 = 0x49_8342;
    const SRGB: u32 = 7;
    let mut bits = BitReader::plain(data);
    if bits.bits(2)? != FRAME_MARKER {
        return None;
    }
    let profile = u8::from(bits.flag()?) | u8::from(bits.flag()?) << 1;
    if profile == 3 {
        bits.skip(1)?;
    }
    let (shown_again, no_key) = (bits.flag()?, bits.flag()?);
    if shown_again || no_key {
        return None;
    }
    bits.skip(2)?; // show_frame, error_resilient_mode
    if bits.bits(24)? != SYNC_CODE {
        return None;
    }
    if profile >= 2 {
        bits.skip(1)?; // ten or twelve bits
    }
    if bits.bits(3)? == SRGB {
        bits.skip(if profile & 1 == 1 { 1 } else { 0 })?;
    } else {
        bits.skip(if profile & 1 == 1 { 4 } else { 1 })?;
    }
    let (width, height) = (bits.bits(16)? + 1, bits.bits(16)? + 1);
    Some((profile, (width, height)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    #[test]
    fn payloads() {
        let key =
            Probe { frame_start: true, keyframe_start: true, profile: Some(0), size: Some((1280, 720)) };
        let start = Probe { frame_start: true, ..Probe::default() };
        // Frame marker, profile 0, keyframe, shown; sync code; colour; 1279 and 719.
        let frame = "82 49 83 42 00 4f f0 2c f0";
        for (payload, expected) in [
            (format!("8c 9234 {frame}"), Some(key)),
            (format!("88 12 {frame}"), Some(key)),
            (format!("08 {frame}"), Some(key)),
            // With layer indices, non-flexible: TL0PICIDX follows; upper spatial layers start no picture.
            (format!("a8 9234 00 07 {frame}"), Some(key)),
            (format!("a8 9234 02 07 {frame}"), Some(Probe::default())),
            // With the scalability structure of one layer: size, and a group of one picture with one reference.
            (format!("8a 9234 18 0500 02d0 01 04 01 {frame}"), Some(key)),
            // Flexible, predicted from two.
            ("d8 9234 03 02 86 00".to_owned(), Some(start)),
            ("d8 9234 03 03 03 86 00".to_owned(), None),
            ("c8 9234 86 00".to_owned(), Some(start)),
            ("80 9234 86 00".to_owned(), Some(Probe::default())),
            // Not predicted, and yet no keyframe (intra only): its own header says so.
            ("88 12 86 00 49 83 42".to_owned(), Some(start)),
            (format!("8a 9234 f8 0500 {frame}"), None),
            ("8a".to_owned(), None),
            ("88 12".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(probe(&hex(&payload)), expected, "{payload}");
        }
        for (payload, layer) in [
            ("8c 9234 82 49", Some(&[0x82, 0x49][..])),
            ("a8 9234 00 07 82", Some(&[0x82])),
            ("a8 9234 02 07 82", Some(&[])),
            ("88 12", None),
        ] {
            assert_eq!(lowest_layer(&hex(payload)), layer, "{payload}");
        }
    }
}
