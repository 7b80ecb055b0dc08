//! Reads the headers of video codecs bit by bit.

/// Reads bits from the most significant down. `None` at the end of the data.
pub(crate) struct BitReader<'a> {
    rest: &'a [u8],
    /// Skip the bytes that H.264 and H.265 insert against false start codes: the 3 in 0 0 3 (ITU-T H.264 section
    /// 7.4.1, H.265 section 7.4.2).
    escaped: bool,
    /// Zero bytes in a row before `rest`.
    zeros: u8,
    current: u8,
    /// How many low bits of `current` are still unread.
    left: u8,
}

impl<'a> BitReader<'a> {
    /// For NAL units; `data` starts after the header.
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self { rest: data, escaped: true, zeros: 0, current: 0, left: 0 }
    }

    /// For codecs that write their bits as they are.
    pub(crate) const fn plain(data: &'a [u8]) -> Self {
        Self { rest: data, escaped: false, zeros: 0, current: 0, left: 0 }
    }

    /// One bit: u(1).
    pub(crate) fn flag(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.current = self.next_byte()?;
            self.left = 8;
        }
        self.left -= 1;
        Some(self.current >> self.left & 1 == 1)
    }

    /// `count` bits, at most 32: u(n).
    pub(crate) fn bits(&mut self, count: u32) -> Option<u32> {
        debug_assert!(count <= 32, "the result has 32 bits");
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// Skips `count` bits.
    pub(crate) fn skip(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.flag().map(drop))
    }

    /// Exponential Golomb code, 0 to 2^32 - 2: ue(v). `None` also when it is longer than that.
    pub(crate) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some(((1_u32 << zeros) - 1) + self.bits(zeros)?)
    }

    /// The same with a sign: se(v).
    pub(crate) fn se(&mut self) -> Option<i32> {
        let code = self.ue()?;
        // 2^32 - 2 halves to 2^31 - 1, so both signs fit.
        let magnitude = i32::try_from(code.div_ceil(2)).ok()?;
        Some(if code % 2 == 1 { magnitude } else { -magnitude })
    }

    fn next_byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        if self.escaped && self.zeros >= 2 && byte == 3 {
            self.zeros = 0;
            return self.next_byte();
        }
        self.zeros = if byte == 0 { self.zeros.saturating_add(1) } else { 0 };
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golomb_codes() {
        // 1 010 011 00100 00101 00110 00111, then zeros.
        let mut bits = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1001_1000, 0b1110_0000]);
        for expected in 0..7 {
            assert_eq!(bits.ue(), Some(expected));
        }
        assert_eq!(bits.ue(), None);

        let mut bits = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        for expected in [0, 1, -1, 2, -2] {
            assert_eq!(bits.se(), Some(expected));
        }
    }

    #[test]
    fn longest_codes() {
        // 31 zeros, a one, 31 ones.
        let mut bits = BitReader::new(&[0, 0, 3, 0, 1, 0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(bits.ue(), Some(u32::MAX - 1));
        let mut bits = BitReader::new(&[0, 0, 3, 0, 1, 0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(bits.se(), Some(-i32::MAX));
        let mut bits = BitReader::new(&[0, 0, 3, 0, 0, 3, 0xff, 0xff]);
        assert_eq!(bits.ue(), None);
    }

    #[test]
    fn inserted_bytes_are_skipped() {
        for (data, expected) in [
            (&[1_u8, 0, 0, 3, 1][..], &[1_u8, 0, 0, 1][..]),
            (&[0, 0, 3, 0, 0, 3, 3], &[0, 0, 0, 0, 3]),
            (&[0, 3, 0, 3], &[0, 3, 0, 3]),
            (&[0, 0, 3], &[0, 0]),
        ] {
            let mut bits = BitReader::new(data);
            let read: Vec<u32> = std::iter::from_fn(|| bits.bits(8)).collect();
            assert_eq!(read, expected.iter().map(|&byte| u32::from(byte)).collect::<Vec<_>>(), "{data:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(data in proptest::collection::vec(0..4_u8, 0..40), steps in proptest::collection::vec(0..36_u32, 0..60)) {
            let mut bits = BitReader::new(&data);
            for step in steps {
                let _ = match step {
                    33 => bits.ue().map(drop),
                    34 => bits.se().map(drop),
                    35 => bits.skip(7),
                    count => bits.bits(count).map(drop),
                };
            }
        }
    }
}
