//! RTP packets as they arrive and leave (RFC 3550 section 5.1).

use std::ops::Range;

use rtc_shared::marshal::Unmarshal;
use thiserror::Error;

use crate::{PayloadType, Ssrc, WireSeq};

/// Length of the header that [`write_rtp_header`] writes, in bytes: no CSRC, no extension.
pub const HEADER_LEN: usize = 12;

/// What one RTP packet says about itself, and where its payload lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// Last packet of a picture for video, start of a talk spurt for audio.
    pub marker: bool,
    /// Which format the payload has.
    pub payload_type: PayloadType,
    /// Counts packets.
    pub seq: WireSeq,
    /// Counts ticks of the track's clock.
    pub timestamp: u32,
    /// Which stream this packet belongs to.
    pub ssrc: Ssrc,
    /// Where the payload lies in the packet; contributing sources, extensions and padding are outside.
    pub payload: Range<usize>,
}

/// Why some bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RtpError {
    /// The packet ends before its header does.
    #[error("{len} bytes are too short for this RTP header")]
    TooShort {
        /// Length of the packet in bytes.
        len: usize,
    },
    /// RTP has been version 2 since 1996.
    #[error("RTP version {0} instead of 2")]
    Version(u8),
    /// The header extension is longer than the packet, or its elements are longer than it is.
    #[error("malformed RTP header extension")]
    Extension,
    /// The padding is empty or longer than what follows the header.
    #[error("malformed RTP padding")]
    Padding,
}

impl RtpHeader {
    /// Reads one packet.
    ///
    /// Contributing sources, extension and padding are checked against the packet's length. An empty payload
    /// is allowed: such packets keep NAT bindings open.
    ///
    /// # Errors
    /// See [`RtpError`].
    pub fn parse(packet: &[u8]) -> Result<Self, RtpError> {
        let too_short = RtpError::TooShort { len: packet.len() };
        let &first = packet.first().ok_or(too_short)?;
        if first >> 6 != 2 {
            return Err(RtpError::Version(first >> 6));
        }
        let header_end = header_len(packet)?;
        // The library reads extension elements up to the end of what it is given, also past the end of the
        // extension block: it only gets the header.
        let header = rtp::Header::unmarshal(&mut packet.get(..header_end).ok_or(too_short)?)
            .map_err(|_| if header_end < HEADER_LEN { too_short } else { RtpError::Extension })?;
        let padding = if header.padding { packet.last().copied().map_or(0, usize::from) } else { 0 };
        let payload_end = packet.len() - padding.min(packet.len());
        if header.padding && (padding == 0 || payload_end < header_end) {
            return Err(RtpError::Padding);
        }
        Ok(Self {
            marker: header.marker,
            payload_type: PayloadType::new(header.payload_type).expect("seven bits of a byte"),
            seq: WireSeq(header.sequence_number),
            timestamp: header.timestamp,
            ssrc: Ssrc(header.ssrc),
            payload: header_end..payload_end,
        })
    }
}

/// The data of the header extension element `id` (RFC 8285, one-byte and two-byte form); `None` when there is none, or
/// what is there is malformed. Looks at the header only, without checking the rest.
#[must_use]
pub fn extension(packet: &[u8], id: u8) -> Option<&[u8]> {
    const ONE_BYTE: u16 = 0xbede;
    const TWO_BYTES: u16 = 0x1000;
    let &first = packet.first()?;
    if first & 0x10 == 0 {
        return None;
    }
    let start = HEADER_LEN + usize::from(first & 0x0f) * 4;
    let profile = packet.get(start..start + 2)?;
    let profile = u16::from_be_bytes([profile[0], profile[1]]);
    let mut rest = packet.get(start + 4..header_len(packet).ok()?)?;
    while let [head, behind @ ..] = rest {
        if *head == 0 {
            rest = behind;
            continue;
        }
        let (element, len, behind) = if profile == ONE_BYTE {
            // 15 ends the list.
            if head >> 4 == 15 {
                return None;
            }
            (head >> 4, usize::from(head & 0x0f) + 1, behind)
        } else if profile & 0xfff0 == TWO_BYTES {
            let (&len, behind) = behind.split_first()?;
            (*head, usize::from(len), behind)
        } else {
            return None;
        };
        let (data, behind) = behind.split_at_checked(len)?;
        if element == id {
            return Some(data);
        }
        rest = behind;
    }
    None
}

/// Where the payload begins: after the fixed header, the contributing sources and the extension block.
fn header_len(packet: &[u8]) -> Result<usize, RtpError> {
    let too_short = RtpError::TooShort { len: packet.len() };
    let &first = packet.first().ok_or(too_short)?;
    let with_sources = HEADER_LEN + usize::from(first & 0x0f) * 4;
    if packet.len() < with_sources {
        return Err(too_short);
    }
    if first & 0x10 == 0 {
        return Ok(with_sources);
    }
    let length_at = with_sources + 2;
    let &[high, low] = packet.get(length_at..length_at + 2).ok_or(RtpError::Extension)? else {
        return Err(RtpError::Extension);
    };
    let end = length_at + 2 + usize::from(u16::from_be_bytes([high, low])) * 4;
    if packet.len() < end { Err(RtpError::Extension) } else { Ok(end) }
}

/// Writes a header without contributing sources, extension or padding.
pub fn write_rtp_header(
    out: &mut [u8; HEADER_LEN],
    marker: bool,
    payload_type: PayloadType,
    seq: WireSeq,
    timestamp: u32,
    ssrc: Ssrc,
) {
    out[0] = 0x80;
    out[1] = u8::from(marker) << 7 | payload_type.get();
    out[2..4].copy_from_slice(&seq.0.to_be_bytes());
    out[4..8].copy_from_slice(&timestamp.to_be_bytes());
    out[8..12].copy_from_slice(&ssrc.0.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(hex: &str) -> Result<RtpHeader, RtpError> {
        RtpHeader::parse(&crate::testing::hex(hex))
    }

    fn header(marker: bool, pt: u8, seq: u16, timestamp: u32, ssrc: u32, payload: Range<usize>) -> RtpHeader {
        let payload_type = PayloadType::new(pt).unwrap();
        RtpHeader { marker, payload_type, seq: WireSeq(seq), timestamp, ssrc: Ssrc(ssrc), payload }
    }

    #[test]
    fn packets_of_an_ftl_session() {
        for (packet, expected) in [
            ("80600000 00000000 000004d3 674d401f", header(false, 96, 0, 0, 1235, 12..16)),
            ("80600002 00000000 000004d3 7c85", header(false, 96, 2, 0, 1235, 12..14)),
            ("80e00014 00000000 000004d3 7c45", header(true, 96, 20, 0, 1235, 12..14)),
            ("80610001 000003c0 000004d2 fc", header(false, 97, 1, 960, 1234, 12..13)),
        ] {
            assert_eq!(parse(packet), Ok(expected), "{packet}");
        }
    }

    #[test]
    fn extension_elements() {
        for (packet, id, expected) in [
            ("90600001 00000002 00000003 bede0002 31 abcd 10 aa 00 00 00 ff", 3, Some(&[0xab, 0xcd][..])),
            ("90600001 00000002 00000003 bede0002 31 abcd 10 aa 00 00 00 ff", 1, Some(&[0xaa])),
            ("90600001 00000002 00000003 bede0002 31 abcd 10 aa 00 00 00 ff", 2, None),
            ("90600001 00000002 00000003 bede0001 00 f0 31 ab", 3, None),
            ("90600001 00000002 00000003 bede0001 00 00 33 ab", 3, None),
            ("91600001 00000002 00000003 11111111 10000001 0302abcd ff", 3, Some(&[0xab, 0xcd])),
            ("90600001 00000002 00000003 10000001 03000401 ff", 3, Some(&[])),
            ("90600001 00000002 00000003 10000001 0300ffff ff", 4, None),
            ("90600001 00000002 00000003 12340001 31abcd00 ff", 3, None),
            ("90600001 00000002 00000003 bede0002 31abcd00", 3, None),
            ("80600001 00000002 00000003 31abcd00", 3, None),
            ("", 3, None),
        ] {
            assert_eq!(extension(&crate::testing::hex(packet), id), expected, "{packet} {id}");
        }
    }

    #[test]
    fn everything_optional_is_taken_off() {
        for (packet, payload) in [
            ("80600001 00000002 00000003", 12..12),
            ("82600001 00000002 00000003 11111111 22222222 aabb", 20..22),
            ("90600001 00000002 00000003 bede0001 10aa0000 aabb", 20..22),
            ("90600001 00000002 00000003 10000001 0102aabb aabb", 20..22),
            ("90600001 00000002 00000003 12340000 aabb", 16..18),
            ("a0600001 00000002 00000003 aa000003", 12..13),
            ("a0600001 00000002 00000003 01", 12..12),
            ("b1600001 00000002 00000003 11111111 bede0001 10aa0000 aabb0002", 24..26),
        ] {
            assert_eq!(parse(packet).map(|header| header.payload), Ok(payload), "{packet}");
        }
    }

    #[test]
    fn malformed() {
        for (packet, error) in [
            ("", RtpError::TooShort { len: 0 }),
            ("80", RtpError::TooShort { len: 1 }),
            ("80600000 00000000 000004", RtpError::TooShort { len: 11 }),
            ("81600000 00000000 000004d3 1111", RtpError::TooShort { len: 14 }),
            ("40600000 00000000 000004d3", RtpError::Version(1)),
            ("c0600000 00000000 000004d3", RtpError::Version(3)),
            // FTL ping of a Windows client: the second byte has to be looked at before this parser.
            ("81fa000c 00f15365 40e20100", RtpError::TooShort { len: 12 }),
            ("90600001 00000002 00000003", RtpError::Extension),
            ("90600001 00000002 00000003 bede0001 10aa00", RtpError::Extension),
            ("90600001 00000002 00000003 bedeffff 10aa0000", RtpError::Extension),
            // An element that would reach into the payload.
            ("90600001 00000002 00000003 bede0001 15aa0000 01020304 05060708", RtpError::Extension),
            ("a0600001 00000002 00000003", RtpError::Padding),
            ("a0600001 00000002 00000003 aa00", RtpError::Padding),
            ("a0600001 00000002 00000003 aa03", RtpError::Padding),
        ] {
            assert_eq!(parse(packet), Err(error), "{packet}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_stays_inside(packet in proptest::collection::vec(any::<u8>(), 0..96)) {
            if let Ok(header) = RtpHeader::parse(&packet) {
                prop_assert!(packet.get(header.payload).is_some());
            }
        }

        #[test]
        fn any_extension_block_stays_inside(
            cc in 0..16_u8,
            profile in prop_oneof![Just(0xbede_u16), Just(0x1000), any::<u16>()],
            words in 0..6_u16,
            rest in proptest::collection::vec(any::<u8>(), 0..120),
        ) {
            let mut packet = vec![0x90 | cc, 0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            packet.resize(packet.len() + usize::from(cc) * 4, 7);
            packet.extend(profile.to_be_bytes());
            packet.extend(words.to_be_bytes());
            packet.extend(rest);
            if let Ok(header) = RtpHeader::parse(&packet) {
                prop_assert_eq!(header.payload.start, 16 + usize::from(cc) * 4 + usize::from(words) * 4);
                prop_assert_eq!(header.payload.end, packet.len());
            }
        }

        #[test]
        fn what_we_write_we_read(
            marker: bool, pt in 0..128_u8, seq: u16, timestamp: u32, ssrc: u32,
            payload in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = [0; HEADER_LEN];
            let payload_type = PayloadType::new(pt).unwrap();
            write_rtp_header(&mut bytes, marker, payload_type, WireSeq(seq), timestamp, Ssrc(ssrc));
            let packet = [bytes.as_slice(), &payload].concat();
            let expected = header(marker, pt, seq, timestamp, ssrc, HEADER_LEN..packet.len());
            prop_assert_eq!(RtpHeader::parse(&packet), Ok(expected));
        }
    }
}
