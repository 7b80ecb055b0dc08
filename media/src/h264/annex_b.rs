//! H.264 as encoders write it to files and pipes: NAL units between start codes (ITU-T H.264 annex B).

/// The NAL units of a byte stream, without start codes and without the zeros around them.
///
/// What stands before the first start code is skipped. The last unit reaches to the end of the data, so a
/// caller that reads a stream in pieces keeps the last one until it has seen the next start code.
pub fn nal_units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    NalUnits { rest: after_start_code(stream).unwrap_or_default() }.filter(|nal| !nal.is_empty())
}

struct NalUnits<'a> {
    /// Begins with a NAL unit; empty at the end.
    rest: &'a [u8],
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (nal, rest) = match find_start_code(self.rest) {
            Some(at) => (&self.rest[..at], &self.rest[at + START_CODE.len()..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        // A NAL unit never ends with a zero byte: those belong to the next start code or are filling.
        let end = nal.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        Some(&nal[..end])
    }
}

const START_CODE: [u8; 3] = [0, 0, 1];

fn find_start_code(stream: &[u8]) -> Option<usize> {
    stream.windows(START_CODE.len()).position(|window| window == START_CODE)
}

fn after_start_code(stream: &[u8]) -> Option<&[u8]> {
    find_start_code(stream).map(|at| &stream[at + START_CODE.len()..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn streams_of_all_sorts() {
        for (stream, expected) in [
            (&[][..], &[][..]),
            (&[1, 2, 3], &[]),
            (&[0, 0, 1], &[]),
            (&[0, 0, 1, 0x67], &[&[0x67][..]]),
            (&[0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68], &[&[0x67, 1], &[0x68]]),
            (&[9, 9, 0, 0, 1, 0x67, 0, 0, 1, 0x68, 0, 0], &[&[0x67], &[0x68]]),
            (&[0, 0, 1, 0, 0, 1, 0x65, 0, 0, 3, 1], &[&[0x65, 0, 0, 3, 1]]),
        ] {
            assert_eq!(nal_units(stream).collect::<Vec<_>>(), expected, "{stream:?}");
        }
    }

    proptest! {
        #[test]
        fn units_come_back(
            units in proptest::collection::vec(
                proptest::collection::vec(1..=255_u8, 1..20), 0..8),
            zeros in 0..3_usize,
        ) {
            let mut stream = Vec::new();
            for unit in &units {
                stream.resize(stream.len() + zeros, 0);
                stream.extend(START_CODE);
                stream.extend(unit);
            }
            prop_assert_eq!(nal_units(&stream).collect::<Vec<_>>(), units);
        }

        #[test]
        fn never_panics(stream in proptest::collection::vec(0..3_u8, 0..40)) {
            for unit in nal_units(&stream) {
                prop_assert!(!unit.is_empty() && find_start_code(unit).is_none());
            }
        }
    }
}
