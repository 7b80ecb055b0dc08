use super::{MAX_ELEMENTS, leb128, obu_type};

/// Puts the payloads of one temporal unit together (RTP Payload Format for AV1, section 4.4): its OBUs with their sizes, as files
/// have them (AV1 specification section 5.2), without those that only stand between (delimiters, padding). `None` when an element
/// is cut, or one goes on that never began.
#[must_use]
pub fn temporal_unit<'a>(payloads: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let (mut unit, mut open) = (Vec::new(), None::<Vec<u8>>);
    for payload in payloads {
        let (&aggregation, mut rest) = payload.split_first()?;
        let (continues, goes_on) = (aggregation & CONTINUES != 0, aggregation & GOES_ON != 0);
        let count = usize::from(aggregation >> 4 & 3);
        if continues != open.is_some() {
            return None;
        }
        let mut index = 0;
        while !rest.is_empty() {
            if index == MAX_ELEMENTS || (count != 0 && index == count) {
                return None;
            }
            index += 1;
            let element = if index == count {
                std::mem::take(&mut rest)
            } else {
                let (length, behind) = leb128(rest)?;
                let (element, behind) = behind.split_at_checked(length)?;
                rest = behind;
                element
            };
            let mut obu = open.take().unwrap_or_default();
            obu.extend_from_slice(element);
            if rest.is_empty() && goes_on {
                open = Some(obu);
            } else {
                push_sized(&mut unit, &obu)?;
            }
        }
    }
    open.is_none().then_some(unit)
}

/// Appends an OBU with its size, whether or not it came with one.
fn push_sized(unit: &mut Vec<u8>, obu: &[u8]) -> Option<()> {
    let Some(&header) = obu.first() else { return Some(()) };
    if matches!(obu_type(obu), TEMPORAL_DELIMITER | TILE_LIST | PADDING) {
        return Some(());
    }
    let fixed = 1 + usize::from(header & EXTENSION != 0);
    let (front, mut body) = obu.split_at_checked(fixed)?;
    if header & HAS_SIZE != 0 {
        let (size, behind) = leb128(body)?;
        body = behind.get(..size)?;
    }
    unit.push(header | HAS_SIZE);
    unit.extend_from_slice(&front[1..]);
    let mut size = body.len();
    loop {
        let low = u8::try_from(size & 0x7f).unwrap_or_default();
        size >>= 7;
        unit.push(if size > 0 { low | 0x80 } else { low });
        if size == 0 {
            break;
        }
    }
    unit.extend_from_slice(body);
    Some(())
}

const TEMPORAL_DELIMITER: u8 = 2;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;
const EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;
// The aggregation header.
const CONTINUES: u8 = 0x80;
const GOES_ON: u8 = 0x40;

#[cfg(test)]
mod tests {
    use super::{super::packetise, *};

    #[test]
    fn what_was_packetised_comes_together() {
        // As RTP has them, without sizes: a sequence header, and a frame longer than 127 bytes.
        let frame = [&[0x30][..], &[7; 299]].concat();
        let expected = [&[0x0a, 2, 7, 8][..], &[0x32, 0xab, 0x02], &[7; 299]].concat();
        for max in 16..400 {
            let mut payloads = Vec::new();
            packetise(&[&[0x08, 7, 8], &frame], max, |payload, _| payloads.push(payload.to_vec()));
            assert_eq!(temporal_unit(payloads.iter().map(Vec::as_slice)).as_ref(), Some(&expected), "{max}");
        }
    }

    #[test]
    fn odd_ones() {
        let unit = |payloads: &[&[u8]]| temporal_unit(payloads.iter().copied());
        // A delimiter, and an OBU with an extension and a size of its own.
        assert_eq!(unit(&[&[0x20, 2, 0x12, 0, 0x36, 8, 1, 9]]).unwrap(), [0x36, 8, 1, 9]);
        assert_eq!(unit(&[]).unwrap(), []);
        for bad in [
            &[&[][..]][..],
            &[&[0x80, 1, 7]],
            &[&[0x40, 1, 0x30]],
            &[&[0x40, 1, 0x30], &[0x10, 0x30]],
            &[&[0, 5, 0x30]],
            &[&[0x10, 0x34]],
            &[&[0x10, 0x32, 5, 1]],
        ] {
            assert_eq!(unit(bad), None, "{bad:02x?}");
        }
    }
}
