//! H.265 as MP4 and FLV have it (ISO/IEC 14496-15 section 8); its NAL units stand behind their lengths as those of H.264 do.

use bytes::Bytes;

use super::{Reader, TagError};

/// An HEVCDecoderConfigurationRecord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HvcConfiguration {
    /// Bytes of the length in front of each NAL unit: 1, 2 or 4.
    pub length_size: usize,
    /// Video, sequence and picture parameter sets, in the order of the record.
    pub parameter_sets: Vec<Bytes>,
}

impl HvcConfiguration {
    /// Reads one.
    ///
    /// # Errors
    /// See [`TagError`].
    pub fn parse(record: &[u8]) -> Result<Self, TagError> {
        let mut reader = Reader(record);
        if reader.u8()? != 1 {
            return Err(TagError::Unknown);
        }
        reader.take(20)?; // what the parameter sets say as well
        let length_size = usize::from(reader.u8()? & 0x03) + 1;
        let mut parameter_sets = Vec::new();
        for _ in 0..reader.u8()? {
            let kind = reader.u8()? & 0x3f;
            for _ in 0..reader.u16()? {
                let length = usize::from(reader.u16()?);
                let set = reader.take(length)?;
                if PARAMETER_SETS.contains(&kind) && !set.is_empty() {
                    parameter_sets.push(Bytes::copy_from_slice(set));
                }
            }
        }
        Ok(Self { length_size, parameter_sets })
    }
}

/// Supplemental information may stand there, too.
const PARAMETER_SETS: std::ops::RangeInclusive<u8> = 32..=34;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(arrays: &str) -> Vec<u8> {
        hex::decode(format!("01{}{arrays}", "00".repeat(20)).replace(' ', "")).unwrap()
    }

    #[test]
    fn configurations() {
        let sets =
            |sets: &[&str]| sets.iter().map(|set| hex::decode(set).unwrap().into()).collect::<Vec<Bytes>>();
        assert_eq!(
            HvcConfiguration::parse(&record(
                "0f 04 a0 0001 0003 40010c a1 0001 0002 4201 27 0001 0002 4e01 a2 0001 0002 4401"
            )),
            Ok(HvcConfiguration { length_size: 4, parameter_sets: sets(&["40010c", "4201", "4401"]) })
        );
        assert_eq!(HvcConfiguration::parse(&record("0f 01 a0 0001 0003 4001")), Err(TagError::Truncated));
        assert_eq!(HvcConfiguration::parse(&[0; 23]), Err(TagError::Unknown));
        assert_eq!(HvcConfiguration::parse(&[]), Err(TagError::Truncated));
    }

    proptest! {
        #[test]
        fn never_panics(arrays in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _any = HvcConfiguration::parse(&[record("").as_slice(), &arrays].concat());
        }
    }
}
