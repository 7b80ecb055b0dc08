use super::{H264Error, NalType};

const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// What one RTP payload holds of one NAL unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// A whole NAL unit with its header byte.
    Whole(&'a [u8]),
    /// A part of one (FU-A).
    Fragment {
        /// The header byte of the NAL unit, put together from indicator and fragment header.
        header: u8,
        /// The first fragment.
        first: bool,
        /// The last fragment. RFC 6184 forbids that a fragment is both; some encoders do it all the same, and
        /// it does no harm.
        last: bool,
        /// The bytes after the header byte that are in this packet.
        data: &'a [u8],
    },
}

/// Takes an RTP payload apart; stops after the first error.
pub(super) fn parts(payload: &[u8]) -> Parts<'_> {
    Parts(match payload {
        [] => State::Broken(H264Error::Empty),
        [header, ..] if header & 0x80 != 0 => State::Broken(H264Error::Forbidden),
        [header, rest @ ..] => match header & 0x1f {
            1..=23 => State::One(Part::Whole(payload)),
            STAP_A if rest.is_empty() => State::Broken(H264Error::Empty),
            STAP_A => State::Aggregate(rest),
            FU_A => match fragment(*header, rest) {
                Ok(part) => State::One(part),
                Err(error) => State::Broken(error),
            },
            other => State::Broken(H264Error::Unsupported(other)),
        },
    })
}

/// Iterator over the [`Part`]s of one payload.
pub(super) struct Parts<'a>(State<'a>);

enum State<'a> {
    One(Part<'a>),
    Aggregate(&'a [u8]),
    Broken(H264Error),
    Done,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, H264Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match std::mem::replace(&mut self.0, State::Done) {
            State::One(part) => Some(Ok(part)),
            State::Broken(error) => Some(Err(error)),
            State::Done | State::Aggregate([]) => None,
            State::Aggregate(units) => Some(split_first_unit(units).map(|(unit, rest)| {
                self.0 = State::Aggregate(rest);
                Part::Whole(unit)
            })),
        }
    }
}

/// The first NAL unit of an aggregation: two bytes of length, then the unit (RFC 6184 section 5.7.1).
fn split_first_unit(units: &[u8]) -> Result<(&[u8], &[u8]), H264Error> {
    let (len, units) = units.split_first_chunk().ok_or(H264Error::Truncated)?;
    let (unit, rest) =
        units.split_at_checked(usize::from(u16::from_be_bytes(*len))).ok_or(H264Error::Truncated)?;
    check_header(*unit.first().ok_or(H264Error::Empty)?)?;
    Ok((unit, rest))
}

/// A fragment: the fragment header has the start and end bits and the type (RFC 6184 section 5.8).
fn fragment(indicator: u8, rest: &[u8]) -> Result<Part<'_>, H264Error> {
    let (&fragment_header, data) = rest.split_first().ok_or(H264Error::Truncated)?;
    let header = indicator & 0xe0 | fragment_header & 0x1f;
    check_header(header)?;
    Ok(Part::Fragment { header, first: fragment_header & 0x80 != 0, last: fragment_header & 0x40 != 0, data })
}

/// Packets do not nest: what is inside must be a plain NAL unit.
fn check_header(header: u8) -> Result<(), H264Error> {
    match NalType::of_header(header).get() {
        _ if header & 0x80 != 0 => Err(H264Error::Forbidden),
        1..=23 => Ok(()),
        other => Err(H264Error::Unsupported(other)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::hex;

    #[test]
    fn malformed() {
        for (payload, error) in [
            ("", H264Error::Empty),
            ("e7", H264Error::Forbidden),
            ("60", H264Error::Unsupported(0)),
            ("79", H264Error::Unsupported(25)),
            ("7a", H264Error::Unsupported(26)),
            ("7d 85", H264Error::Unsupported(29)),
            ("7f", H264Error::Unsupported(31)),
            ("78", H264Error::Empty),
            ("78 00", H264Error::Truncated),
            ("78 0000", H264Error::Empty),
            ("78 0002 67", H264Error::Truncated),
            ("78 0001 67 00", H264Error::Truncated),
            ("78 0001 78", H264Error::Unsupported(24)),
            ("78 0001 e7", H264Error::Forbidden),
            ("7c", H264Error::Truncated),
            ("7c 9c", H264Error::Unsupported(28)),
            ("7c 80", H264Error::Unsupported(0)),
        ] {
            let payload = hex(payload);
            assert_eq!(parts(&payload).collect::<Result<Vec<_>, _>>(), Err(error), "{payload:02x?}");
        }
    }

    #[test]
    fn three_shapes() {
        assert_eq!(parts(&[0x67, 1, 2]).collect::<Vec<_>>(), [Ok(Part::Whole(&[0x67, 1, 2]))]);
        let aggregate = hex("78 0002 6701 0001 68");
        assert_eq!(
            parts(&aggregate).collect::<Vec<_>>(),
            [Ok(Part::Whole(&[0x67, 1])), Ok(Part::Whole(&[0x68]))]
        );
        for (payload, first, last) in [
            ("7c85aa", true, false),
            ("7c05aa", false, false),
            ("7c45aa", false, true),
            ("7cc5aa", true, true),
        ] {
            let expected = Part::Fragment { header: 0x65, first, last, data: &[0xaa] };
            assert_eq!(parts(&hex(payload)).collect::<Vec<_>>(), [Ok(expected)]);
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_ends(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(parts(&payload).count() <= payload.len().max(1));
        }
    }
}
