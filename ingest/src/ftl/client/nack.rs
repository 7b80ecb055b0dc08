//! Generic NACK as the real client reads it: standalone, length checked, nothing else looked at.

use heliograph_media::{Ssrc, WireSeq};

/// A request to send packets again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Nack {
    pub(super) media: Ssrc,
    pub(super) lost: Vec<WireSeq>,
}

/// Reads a NACK (RFC 4585 section 6.2.1). A leading receiver report hides it, as it does from the real client.
pub(super) fn parse(datagram: &[u8]) -> Option<Nack> {
    let [first, 205, high, low, ..] = *datagram else { return None };
    let words = usize::from(u16::from_be_bytes([high, low]));
    if first & 0x1f != 1 || words < 3 || datagram.len() < (words + 1) * 4 {
        return None;
    }
    let media = Ssrc(u32::from_be_bytes(datagram[8..12].try_into().ok()?));
    let mut lost = Vec::new();
    for pair in datagram[12..(words + 1) * 4].chunks_exact(4) {
        let (pid, blp) = (u16::from_be_bytes([pair[0], pair[1]]), u16::from_be_bytes([pair[2], pair[3]]));
        lost.push(WireSeq(pid));
        lost.extend((0..16).filter(|bit| blp >> bit & 1 == 1).map(|bit| WireSeq(pid.wrapping_add(bit + 1))));
    }
    Some(Nack { media, lost })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_captured_example() {
        let nack = hex::decode("81cd0003000004d3000004d300640012").expect("hex");
        let expected = Nack { media: Ssrc(1235), lost: vec![WireSeq(100), WireSeq(102), WireSeq(105)] };
        assert_eq!(parse(&nack), Some(expected));
    }

    #[test]
    fn several_pairs_and_the_wrap() {
        let nack = hex::decode("81cd0004000004d3000004d3ffff000100100000").expect("hex");
        let lost = parse(&nack).expect("a NACK").lost;
        assert_eq!(lost, [WireSeq(65535), WireSeq(0), WireSeq(16)]);
    }

    #[test]
    fn what_the_client_ignores() {
        for other in [
            "",
            "81cd0003000004d3000004d30064",     // cut short
            "81c90007000004d3",                 // a receiver report first
            "8fcd0003000004d3000004d300640012", // transport-wide congestion control
            "81ce0002000004d3000004d3",         // PLI
            "81cd0002000004d3000004d3",         // no pair
        ] {
            assert_eq!(parse(&hex::decode(other).expect("hex")), None, "{other}");
        }
    }
}
