//! Tells apart what shares the media port. Only the second byte can: a ping is no valid RTP, and the shorter form of
//! it is too short for an RTP parser to look at.

/// What a datagram claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// To be sent back byte for byte.
    Ping,
    /// An RTCP sender report, or another RTCP packet.
    Rtcp,
    /// RTP with this payload type.
    Media(u8),
    /// None of these.
    Unknown,
}

pub(super) fn kind(datagram: &[u8]) -> Kind {
    let [first, second, ..] = *datagram else { return Kind::Unknown };
    match second {
        // Clients look for 1 in the low five bits of their own ping; the length they give counts bytes.
        250 if first & 0x1f == 1 && PING_BYTES.contains(&datagram.len()) => Kind::Ping,
        250 => Kind::Unknown,
        _ if heliograph_media::rtcp::is_rtcp(datagram) => Kind::Rtcp,
        _ if first >> 6 == 2 => Kind::Media(second & 0x7f),
        _ => Kind::Unknown,
    }
}

/// 12 from Windows, 24 from 64-bit Linux and macOS; other builds lie between.
const PING_BYTES: std::ops::RangeInclusive<usize> = 12..=24;

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        hex::decode(text.replace(' ', "")).expect("hex")
    }

    #[test]
    fn what_clients_send() {
        for (bytes, expected) in [
            ("81fa0018 00000000 00f1536500000000 40e2010000000000", Kind::Ping),
            ("81fa000c 00f15365 40e20100", Kind::Ping),
            ("80c80006 000004d3 e8fe6f80 1f9acffa 00015f90 00000258 000aae60", Kind::Rtcp),
            ("8060 0000 00000000 000004d3 674d401f", Kind::Media(96)),
            ("80e0 0014 00000000 000004d3 7c45", Kind::Media(96)),
            ("8061 0001 000003c0 000004d2 fc", Kind::Media(97)),
            ("81fa", Kind::Unknown),
            ("80fa000c 00f15365 40e20100", Kind::Unknown),
            ("0001", Kind::Unknown),
            ("80", Kind::Unknown),
            ("", Kind::Unknown),
        ] {
            assert_eq!(kind(&hex(bytes)), expected, "{bytes}");
        }
        let mut long = hex("81fa0018 00000000");
        long.resize(25, 0);
        assert_eq!(kind(&long), Kind::Unknown, "nothing large is echoed");
    }
}
