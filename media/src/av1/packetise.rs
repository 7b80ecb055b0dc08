use super::{SEQUENCE_HEADER, leb128};

/// The OBUs of a temporal unit as files and FLV have it (AV1 specification section 5.2), each with its header; `None` when one
/// reaches beyond the end or there are too many.
#[must_use]
pub fn obus(mut unit: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    while let Some(&header) = unit.first() {
        let fixed = 1 + usize::from(header & EXTENSION != 0);
        let length = if header & HAS_SIZE == 0 {
            unit.len()
        } else {
            let sized = unit.get(fixed..)?;
            let (size, behind) = leb128(sized)?;
            (fixed + sized.len() - behind.len()).checked_add(size)?
        };
        let (obu, behind) = unit.split_at_checked(length)?;
        if header & FORBIDDEN != 0 || obu.len() < fixed || found.len() == MAX_OBUS {
            return None;
        }
        found.push(obu);
        unit = behind;
    }
    Some(found)
}

/// The type of an OBU; 0, which is reserved, for nothing.
#[must_use]
pub fn obu_type(obu: &[u8]) -> u8 {
    obu.first().map_or(0, |header| header >> 3 & 15)
}

/// Puts the OBUs of one temporal unit into RTP payloads of at most `max_payload` bytes (RTP Payload Format for AV1, sections 4.4
/// and 4.5); at least 16 are taken. When the first OBU is a sequence header, a new coded video sequence begins there. `each` gets
/// a payload, and whether it is the last one. An OBU of nothing but its first byte is left out.
///
/// Every payload but the first goes on with an OBU of the one before: libwebrtc takes a payload that does not for the beginning of
/// a picture.
pub fn packetise(obus: &[&[u8]], max_payload: usize, mut each: impl FnMut(&[u8], bool)) {
    let max_payload = max_payload.max(SMALLEST_PAYLOAD);
    let mut obus = obus.iter().filter(|obu| obu.len() > 1).peekable();
    let begins = obus.peek().is_some_and(|obu| obu_type(obu) == SEQUENCE_HEADER);
    let mut payload = vec![if begins { NEW_SEQUENCE } else { 0 }];
    while let Some(obu) = obus.next() {
        let mut rest = *obu;
        loop {
            let room = max_payload.saturating_sub(payload.len() + LENGTH);
            let (now, later) = match rest.split_at_checked(room) {
                Some((now, later)) if !later.is_empty() => (now, later),
                // It ends here, unless the next one would then have to begin a payload.
                _ if obus.peek().is_none() || room - rest.len() >= LENGTH + 2 => (rest, &[][..]),
                _ => rest.split_at(rest.len() - 1),
            };
            element(&mut payload, now);
            rest = later;
            if rest.is_empty() {
                break;
            }
            payload[0] |= GOES_ON;
            each(&payload, false);
            payload.clear();
            payload.push(CONTINUES);
        }
    }
    if payload.len() > 1 {
        each(&payload, true);
    }
}

/// One element behind its length (leb128), which is below 2^14.
fn element(payload: &mut Vec<u8>, bytes: &[u8]) {
    let [low, high] = [bytes.len() & 0x7f, bytes.len() >> 7 & 0x7f];
    #[expect(clippy::cast_possible_truncation, reason = "seven bits each")]
    payload.extend([low as u8 | 0x80, high as u8]);
    payload.extend_from_slice(bytes);
}

const FORBIDDEN: u8 = 0x80;
const EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;
/// Encoders send a handful.
const MAX_OBUS: usize = 256;

// The aggregation header.
const CONTINUES: u8 = 0x80;
const GOES_ON: u8 = 0x40;
const NEW_SEQUENCE: u8 = 0x08;
/// Bytes of the length in front of each element: leb128 may be longer than it has to be.
const LENGTH: usize = 2;
const SMALLEST_PAYLOAD: usize = 16;

#[cfg(test)]
mod tests {
    use super::{super::probe, *};

    #[test]
    fn a_temporal_unit_comes_apart() {
        // Delimiter, sequence header, frame with an extension, one without a size.
        let unit = [0x12, 0, 0x0a, 2, 7, 8, 0x36, 0, 1, 9, 0x30, 5, 6];
        let expected: [&[u8]; 4] = [&[0x12, 0], &[0x0a, 2, 7, 8], &[0x36, 0, 1, 9], &[0x30, 5, 6]];
        assert_eq!(obus(&unit).unwrap(), expected);
        assert_eq!(expected.map(obu_type), [2, 1, 6, 6]);
        for bad in [&[0x0a, 3, 7, 8][..], &[0x0a], &[0x92, 0], &[0x34], &[0x32, 0x80]] {
            assert_eq!(obus(bad), None, "{bad:02x?}");
        }
        assert_eq!(obus(&[]).unwrap(), [&[]; 0]);
        assert_eq!(obus(&[0x12, 0].repeat(MAX_OBUS + 1)), None);
    }

    /// Puts elements together again: the OBUs.
    fn together(payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut obus: Vec<Vec<u8>> = Vec::new();
        for payload in payloads {
            let mut continues = payload[0] & CONTINUES != 0;
            let mut rest = &payload[1..];
            while !rest.is_empty() {
                let (length, behind) = leb128(rest).unwrap();
                let (bytes, behind) = behind.split_at(length);
                if !std::mem::take(&mut continues) {
                    obus.push(Vec::new());
                }
                obus.last_mut().unwrap().extend(bytes);
                rest = behind;
            }
        }
        obus
    }

    #[test]
    fn payloads() {
        let frame = |length: usize| [&[0x32][..], &vec![7; length - 1]].concat();
        let sequence = vec![0x0a, 2, 7, 8];
        for lengths in [vec![5], vec![2], vec![30], vec![13], vec![7, 9], vec![3, 40, 2, 100], vec![4; 20]] {
            let mut units = vec![sequence.clone()];
            units.extend(lengths.iter().map(|&length| frame(length)));
            let slices: Vec<&[u8]> = units.iter().map(Vec::as_slice).collect();
            for max in 0..60 {
                let mut seen = Vec::new();
                packetise(&slices, max, |payload, last| seen.push((payload.to_vec(), last)));
                let marked = seen.iter().filter(|(_, last)| *last).count();
                assert!(marked == 1 && seen.last().unwrap().1, "{lengths:?} {max}");
                let seen: Vec<Vec<u8>> = seen.into_iter().map(|(payload, _)| payload).collect();
                assert!(seen.iter().all(|payload| payload.len() <= max.max(SMALLEST_PAYLOAD)));
                assert_eq!(together(&seen), units, "{lengths:?} {max}");
                let begins = |payload: &Vec<u8>| probe(payload).unwrap().keyframe_start;
                assert!(begins(&seen[0]) && !seen[1..].iter().any(begins));
                // One goes on with what the one before says goes on.
                for pair in seen.windows(2) {
                    assert_eq!(pair[0][0] & GOES_ON != 0, pair[1][0] & CONTINUES != 0);
                    assert!(pair[1][0] & CONTINUES != 0, "{lengths:?} {max}");
                }
            }
        }
        let mut none = 0;
        packetise(&[&[], &[0x32]], 100, |_, _| none += 1);
        assert_eq!(none, 0);
    }
}
