use crate::bits::BitReader;

/// The two numbers at the beginning of a slice (ITU-T H.264 section 7.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SliceStart {
    /// The slice begins with the first macroblock: a new picture.
    pub(super) first_of_picture: bool,
    /// May refer to pictures shown later, so that decoding order is not display order.
    pub(super) bidirectional: bool,
}

impl SliceStart {
    /// `data` starts after the header byte of the NAL unit. `None` when even this much is not there.
    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(data);
        let first_macroblock = bits.ue()?;
        let slice_type = bits.ue()?;
        (slice_type <= 9).then_some(Self {
            first_of_picture: first_macroblock == 0,
            // 0 to 4 are P, B, I, SP, SI; 5 to 9 say the same of the whole picture.
            bidirectional: slice_type % 5 == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slice_starts() {
        for (data, expected) in [
            // first_mb 0 = "1", slice_type 7 (I) = "0001000".
            (&[0b1000_1000][..], Some((true, false))),
            // slice_type 5 (P) = "00110".
            (&[0b1001_1000], Some((true, false))),
            // slice_type 6 (B) = "00111", 1 (B) = "010".
            (&[0b1001_1100], Some((true, true))),
            (&[0b1010_0000], Some((true, true))),
            // first_mb 1 = "010".
            (&[0b0101_0000], Some((false, false))),
            // slice_type 10 = "0001011".
            (&[0b1000_1011], None),
            (&[0b1000_0000], None),
            (&[], None),
        ] {
            let expected = expected
                .map(|(first_of_picture, bidirectional)| SliceStart { first_of_picture, bidirectional });
            assert_eq!(SliceStart::parse(data), expected, "{data:02x?}");
        }
    }
}
