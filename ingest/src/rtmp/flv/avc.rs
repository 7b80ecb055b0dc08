//! H.264 as MP4 and FLV have it: parameter sets apart, each NAL unit behind its length (ISO/IEC 14496-15 section 5).

use bytes::Bytes;

use super::{Reader, TagError};

/// An AVCDecoderConfigurationRecord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvcConfiguration {
    /// Bytes of the length in front of each NAL unit: 1, 2 or 4.
    pub length_size: usize,
    /// Sequence and picture parameter sets, in this order.
    pub parameter_sets: Vec<Bytes>,
}

impl AvcConfiguration {
    /// Reads one.
    ///
    /// # Errors
    /// See [`TagError`].
    pub fn parse(record: &[u8]) -> Result<Self, TagError> {
        let mut reader = Reader(record);
        if reader.u8()? != 1 {
            return Err(TagError::Unknown);
        }
        reader.take(3)?; // profile and level, which the parameter sets say as well
        let length_size = usize::from(reader.u8()? & 0x03) + 1;
        let mut parameter_sets = Vec::new();
        for mask in [0x1f, 0xff] {
            let count = reader.u8()? & mask;
            for _ in 0..count {
                let length = usize::from(reader.u16()?);
                let set = reader.take(length)?;
                if !set.is_empty() {
                    parameter_sets.push(Bytes::copy_from_slice(set));
                }
            }
        }
        Ok(Self { length_size, parameter_sets })
    }
}

/// A length that reaches beyond the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("NAL units that are longer than their picture")]
pub struct BadUnits;

/// The NAL units of one picture.
///
/// # Errors
/// See [`BadUnits`]. A picture with one bad length is refused as a whole: decoders do worse with a part than with none.
pub fn nal_units(picture: &[u8], length_size: usize) -> Result<Vec<&[u8]>, BadUnits> {
    let mut units = Vec::new();
    let mut rest = picture;
    while !rest.is_empty() {
        let (length, after) = rest.split_at_checked(length_size.max(1)).ok_or(BadUnits)?;
        let length = length.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
        let (unit, after) = after.split_at_checked(length).ok_or(BadUnits)?;
        if !unit.is_empty() {
            units.push(unit);
        }
        rest = after;
    }
    Ok(units)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        hex::decode(text.replace(' ', "")).unwrap()
    }

    #[test]
    fn configurations() {
        let parse = |text: &str| AvcConfiguration::parse(&hex(text));
        let sets = |sets: &[&str]| sets.iter().map(|set| hex(set).into()).collect::<Vec<Bytes>>();
        assert_eq!(
            parse("01 64001f ff e1 0003 67aabb 01 0002 68cc"),
            Ok(AvcConfiguration { length_size: 4, parameter_sets: sets(&["67aabb", "68cc"]) })
        );
        // High profiles have more behind it; an empty set is none.
        assert_eq!(
            parse("01 64001f fc e1 0001 67 02 0000 0001 68 fd f8 f8 00"),
            Ok(AvcConfiguration { length_size: 1, parameter_sets: sets(&["67", "68"]) })
        );
        assert_eq!(parse("00 64001f ff e1"), Err(TagError::Unknown));
        assert_eq!(parse("01 64001f ff e1 0003 67"), Err(TagError::Truncated));
        assert_eq!(parse(""), Err(TagError::Truncated));
    }

    #[test]
    fn units() {
        let (picture, short) = (hex("00000002 65aa 00000000 00000001 41"), hex("02 65aa 01 41"));
        assert_eq!(nal_units(&picture, 4), Ok(vec![&[0x65, 0xaa][..], &[0x41]]));
        assert_eq!(nal_units(&short, 1), Ok(vec![&[0x65, 0xaa][..], &[0x41]]));
        assert_eq!(nal_units(&[], 4), Ok(vec![]));
        for bad in ["00000003 65aa", "0000", "ffffffff 65"] {
            assert_eq!(nal_units(&hex(bad), 4), Err(BadUnits), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60), size in 0..5_usize) {
            let _any = nal_units(&bytes, size);
            let _any = AvcConfiguration::parse(&bytes);
        }
    }
}
