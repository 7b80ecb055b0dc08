use super::{AGGREGATION, FRAGMENT, HEADER, unit_type};

/// Puts the payloads of one access unit together (RFC 7798 sections 4.4.1 to 4.4.3): its NAL units. `None` when one is cut, or
/// payloads come that do not belong together.
#[must_use]
pub fn units<'a>(payloads: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<Vec<u8>>> {
    let (mut units, mut open) = (Vec::new(), None::<Vec<u8>>);
    for payload in payloads {
        let unit_type = unit_type(payload)?;
        if unit_type != FRAGMENT && open.is_some() {
            return None;
        }
        match unit_type {
            AGGREGATION => {
                let mut rest = &payload[HEADER..];
                while !rest.is_empty() {
                    let (&length, behind) = rest.split_first_chunk()?;
                    let (unit, behind) = behind.split_at_checked(u16::from_be_bytes(length).into())?;
                    units.push(unit.to_vec());
                    rest = behind;
                }
            }
            FRAGMENT => {
                let (&head, body) = payload[HEADER..].split_first()?;
                if head & START != 0 {
                    // The unit's header is the payload's, with another type.
                    open = Some(vec![payload[0] & 0x81 | (head & 0x3f) << 1, payload[1]]);
                }
                open.as_mut()?.extend_from_slice(body);
                if head & END != 0 {
                    units.extend(open.take());
                }
            }
            unit_type if unit_type < AGGREGATION => units.push(payload.to_vec()),
            _ => return None,
        }
    }
    open.is_none().then_some(units)
}

const START: u8 = 0x80;
const END: u8 = 0x40;

#[cfg(test)]
mod tests {
    use super::{super::packetise, *};

    #[test]
    fn what_was_packetised_comes_together() {
        let expected: Vec<Vec<u8>> =
            [5, 40, 300].iter().map(|&length| [&[0x26, 1][..], &vec![7; length]].concat()).collect();
        let slices: Vec<&[u8]> = expected.iter().map(Vec::as_slice).collect();
        for max in 4..310 {
            let mut payloads = Vec::new();
            packetise(&slices, max, |front, body, _| payloads.push([front, body].concat()));
            assert_eq!(units(payloads.iter().map(Vec::as_slice)).as_ref(), Some(&expected), "{max}");
        }
    }

    #[test]
    fn odd_ones() {
        let together = |payloads: &[&[u8]]| units(payloads.iter().copied());
        let aggregate = [0x60, 1, 0, 3, 0x42, 1, 9, 0, 2, 0x44, 1];
        assert_eq!(together(&[&aggregate]).unwrap(), [&[0x42, 1, 9][..], &[0x44, 1]]);
        for bad in [
            &[&[][..]][..],
            &[&aggregate[..10]],
            &[&[0x62, 1, 0x13, 7]],
            &[&[0x62, 1, 0x93, 7]],
            &[&[0x62, 1, 0x93, 7], &[0x26, 1, 7]],
            &[&[0x62, 1]],
            &[&[0x64, 1, 0]],
        ] {
            assert_eq!(together(bad), None, "{bad:02x?}");
        }
    }
}
