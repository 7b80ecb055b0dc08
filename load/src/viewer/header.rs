//! The part of an RTP packet that is sent in clear (RFC 3711 encrypts the payload only), and what kind a datagram is.

/// Kinds of datagrams on one port (RFC 7983), as far as they matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// STUN, DTLS or RTCP: the peer connection's business.
    Control,
    /// A media packet.
    Media(MediaHeader),
    /// Nothing we know.
    Other,
}

/// The fixed header (RFC 3550 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MediaHeader {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) seq: u16,
    pub(crate) timestamp: u32,
}

impl Kind {
    #[inline]
    pub(crate) fn of(datagram: &[u8]) -> Kind {
        let Some(&[first, second, s0, s1, t0, t1, t2, t3]) = datagram.first_chunk() else {
            return if datagram.is_empty() { Kind::Other } else { Kind::Control };
        };
        match first {
            0..=3 | 20..=63 => Kind::Control,
            // RTCP packet types stand where marker and payload type do (RFC 5761 section 4).
            128..=191 if (192..=223).contains(&second) => Kind::Control,
            128..=191 => Kind::Media(MediaHeader {
                marker: second & 0x80 != 0,
                payload_type: second & 0x7f,
                seq: u16::from_be_bytes([s0, s1]),
                timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            }),
            _ => Kind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_datagrams() {
        let media = |marker, payload_type, seq, timestamp| {
            Kind::Media(MediaHeader { marker, payload_type, seq, timestamp })
        };
        for (first, second, kind) in [
            (0, 1, Kind::Control),
            (22, 0xfe, Kind::Control),
            (0x80, 200, Kind::Control),
            (0x81, 205, Kind::Control),
            (0x90, 0x60, media(false, 96, 0x0102, 0x0304_0506)),
            (0x90, 0xe0, media(true, 96, 0x0102, 0x0304_0506)),
            (0x80, 0x6f, media(false, 111, 0x0102, 0x0304_0506)),
            (0x40, 0, Kind::Other),
            (0xff, 0, Kind::Other),
        ] {
            let datagram = [first, second, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
            assert_eq!(Kind::of(&datagram), kind, "{first} {second}");
        }
        assert_eq!(Kind::of(&[]), Kind::Other);
        assert_eq!(Kind::of(&[0x80, 0x60]), Kind::Control);
    }
}
