/// Cuts the NAL units of one access unit into RTP payloads of at most `max_payload` bytes: whole when they fit, otherwise in
/// fragments (RFC 7798 sections 4.4.1 and 4.4.3). `each` gets what goes in front, the bytes, and whether it is the last payload.
/// Units without a whole header are left out.
pub fn packetise(units: &[&[u8]], max_payload: usize, mut each: impl FnMut(&[u8], &[u8], bool)) {
    let fragment = max_payload.saturating_sub(FRAGMENT_HEADERS).max(1);
    let mut units = units.iter().filter(|unit| unit.len() > HEADER).peekable();
    while let Some(unit) = units.next() {
        let last = units.peek().is_none();
        if unit.len() <= max_payload {
            each(&[], unit, last);
            continue;
        }
        let (&[first, second], body) = unit.split_first_chunk().unwrap_or((&[0, 0], &[]));
        let unit_type = first >> 1 & 0x3f;
        let count = body.len().div_ceil(fragment);
        for (at, piece) in body.chunks(fragment).enumerate() {
            let (starts, ends) = (at == 0, at + 1 == count);
            let position = if starts { START } else { 0 } | if ends { END } else { 0 };
            // The payload's header is the unit's, with another type.
            let prefix = [first & 0x81 | FRAGMENT << 1, second, position | unit_type];
            each(&prefix, piece, last && ends);
        }
    }
}

const HEADER: usize = 2;
const FRAGMENT_HEADERS: usize = HEADER + 1;
const FRAGMENT: u8 = 49;
const START: u8 = 0x80;
const END: u8 = 0x40;

#[cfg(test)]
mod tests {
    use super::{super::probe, *};

    fn payloads(lengths: &[usize], max: usize) -> Vec<(Vec<u8>, bool)> {
        // An IDR picture, in layer 0 and temporal layer 1.
        let units: Vec<Vec<u8>> =
            lengths.iter().map(|&length| [&[0x26, 1][..], &vec![7; length - 2]].concat()).collect();
        let units: Vec<&[u8]> = units.iter().map(Vec::as_slice).collect();
        let mut out = Vec::new();
        packetise(&units, max, |prefix, body, marker| out.push(([prefix, body].concat(), marker)));
        out
    }

    #[test]
    fn whole_and_in_fragments() {
        let seen = payloads(&[2, 10, 11, 24], 10);
        // Two bytes of header are no unit.
        let lengths: Vec<_> = seen.iter().map(|(payload, marker)| (payload.len(), *marker)).collect();
        let expected = [10, 10, 5, 10, 10, 10, 4].map(|length| (length, false));
        assert_eq!(lengths[..6], expected[..6]);
        assert_eq!(lengths[6], (4, true));
        let heads: Vec<_> = seen.iter().map(|(payload, _)| [payload[0], payload[1], payload[2]]).collect();
        assert_eq!(heads[..3], [[0x26, 1, 7], [0x62, 1, 0x93], [0x62, 1, 0x53]]);
        assert_eq!(heads[3..], [[0x62, 1, 0x93], [0x62, 1, 0x13], [0x62, 1, 0x13], [0x62, 1, 0x53]]);
        let keys = seen.iter().filter(|(payload, _)| probe(payload).unwrap().key_picture).count();
        assert_eq!(keys, 3, "each unit once");
    }

    #[test]
    fn a_tiny_payload_still_makes_progress() {
        assert_eq!(payloads(&[6], 0).len(), 4);
        assert!(payloads(&[], 10).is_empty());
    }
}
