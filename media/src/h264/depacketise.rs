use super::{
    H264Error,
    payload::{Part, parts},
};
use crate::SeqNo;

/// Bound for one NAL unit when the caller has no better one: several times the keyframe of a 50 Mbit/s stream.
pub const DEFAULT_MAX_NAL: usize = 4 * 1024 * 1024;

/// Puts NAL units together again from the RTP payloads of one stream, in order of their sequence numbers.
///
/// A unit with a hole is dropped as a whole, and so is one whose last fragment never came: FTL clients cut
/// units off like that when their send queue is full. Packets that come late or twice are ignored; sort them
/// before if the network reorders.
#[derive(Clone, Debug)]
pub struct Depacketiser {
    max_nal: usize,
    last: Option<SeqNo>,
    /// The unit in progress with its header byte; only meaningful while `in_progress`. Keeps its memory.
    unit: Vec<u8>,
    in_progress: bool,
    dropped: u64,
}

impl Depacketiser {
    /// Refuses units of more than `max_nal` bytes.
    #[must_use]
    pub const fn new(max_nal: usize) -> Self {
        Self { max_nal, last: None, unit: Vec::new(), in_progress: false, dropped: 0 }
    }

    /// Takes the payload of one packet and hands every NAL unit that is complete with it to `on_nal`.
    ///
    /// # Errors
    /// See [`H264Error`]. The units before the error have been handed over; a unit in progress is dropped.
    pub fn push(
        &mut self,
        seq: SeqNo,
        payload: &[u8],
        mut on_nal: impl FnMut(&[u8]),
    ) -> Result<(), H264Error> {
        if self.last.is_some_and(|last| seq <= last) {
            return Ok(());
        }
        if self.last.is_some_and(|last| seq != last.next()) {
            self.drop_unit();
        }
        self.last = Some(seq);
        for part in parts(payload) {
            match part.inspect_err(|_| self.drop_unit())? {
                Part::Whole(nal) => {
                    self.drop_unit();
                    on_nal(nal);
                }
                Part::Fragment { header, first, last, data } => {
                    if first {
                        self.drop_unit();
                        self.unit.clear();
                        self.unit.push(header);
                        self.in_progress = true;
                    } else if !self.in_progress {
                        continue; // its beginning is missing, and was counted when that was noticed
                    } else if self.unit[0] & 0x1f != header & 0x1f {
                        self.drop_unit();
                        continue;
                    }
                    if self.unit.len() + data.len() > self.max_nal {
                        self.drop_unit();
                        return Err(H264Error::TooLong { limit: self.max_nal });
                    }
                    self.unit.extend_from_slice(data);
                    if last {
                        self.in_progress = false;
                        on_nal(&self.unit);
                    }
                }
            }
        }
        Ok(())
    }

    /// How many units were begun and never finished.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    const fn drop_unit(&mut self) {
        if self.in_progress {
            self.in_progress = false;
            self.dropped += 1;
        }
    }
}

impl Default for Depacketiser {
    /// With [`DEFAULT_MAX_NAL`].
    fn default() -> Self {
        Self::new(DEFAULT_MAX_NAL)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{h264::Packetiser, testing::hex};

    /// Feeds numbered payloads; returns the units and how many were dropped.
    fn units(packets: &[(u64, &str)]) -> (Vec<Vec<u8>>, u64) {
        let mut depacketiser = Depacketiser::default();
        let mut units = Vec::new();
        for (seq, payload) in packets {
            depacketiser.push(SeqNo(*seq), &hex(payload), |nal| units.push(nal.to_vec())).unwrap();
        }
        (units, depacketiser.dropped())
    }

    #[test]
    fn holes_repetitions_and_cut_off_units() {
        let sps = hex("674d401f");
        let idr = hex("6588aabb");
        for (packets, expected, dropped) in [
            (&[(1, "674d401f"), (2, "7c8588"), (3, "7c05aa"), (4, "7c45bb")][..], &[&sps, &idr][..], 0),
            // A hole in the unit, at its beginning, and before a whole one.
            (&[(2, "7c8588"), (4, "7c45bb")], &[], 1),
            (&[(3, "7c05aa"), (4, "7c45bb"), (5, "674d401f")], &[&sps], 0),
            (&[(1, "674d401f"), (9, "674d401f")], &[&sps, &sps], 0),
            // Twice, and late.
            (&[(2, "7c8588"), (3, "7c05aa"), (3, "7c05aa"), (2, "7c8588"), (4, "7c45bb")], &[&idr], 0),
            // Never finished: by a whole unit, by another start, by another type.
            (&[(2, "7c8588"), (3, "674d401f"), (4, "7c45bb")], &[&sps], 1),
            (&[(2, "7c8500"), (3, "7c8588"), (4, "7c05aa"), (5, "7c45bb")], &[&idr], 1),
            (&[(2, "7c8588"), (3, "7c01aa"), (4, "7c45bb")], &[], 1),
            // Aggregated, and a fragment that is first and last.
            (&[(1, "78 0004 674d401f 0004 6588aabb")], &[&sps, &idr], 0),
            (&[(1, "7cc588aabb")], &[&idr], 0),
        ] {
            let expected: Vec<Vec<u8>> = expected.iter().map(|&unit| unit.clone()).collect();
            assert_eq!(units(packets), (expected, dropped), "{packets:?}");
        }
    }

    #[test]
    fn a_unit_cannot_grow_without_bound() {
        let mut depacketiser = Depacketiser::new(5);
        let mut count = 0;
        let mut push = |seq, payload: &str| depacketiser.push(SeqNo(seq), &hex(payload), |_| count += 1);
        assert_eq!(push(1, "7c8588"), Ok(()));
        assert_eq!(push(2, "7c05aabbcc"), Ok(()));
        assert_eq!(push(3, "7c05dd"), Err(H264Error::TooLong { limit: 5 }));
        assert_eq!(push(4, "7c45ee"), Ok(()));
        assert_eq!((count, depacketiser.dropped()), (0, 1));
    }

    #[test]
    fn an_error_drops_the_unit_in_progress() {
        let mut depacketiser = Depacketiser::default();
        depacketiser.push(SeqNo(1), &hex("7c8588"), |_| {}).unwrap();
        assert_eq!(depacketiser.push(SeqNo(2), &[], |_| {}), Err(H264Error::Empty));
        depacketiser.push(SeqNo(3), &hex("7c45bb"), |_| panic!("the middle is missing")).unwrap();
        assert_eq!(depacketiser.dropped(), 1);
    }

    proptest! {
        #[test]
        fn what_is_packetised_comes_back(
            units in proptest::collection::vec((1..24_u8, 0..4_u8, proptest::collection::vec(any::<u8>(), 0..60)), 1..6),
            max_payload in 0..40_usize,
            first_seq in prop_oneof![Just(65_530_u64), 0..200_000_u64],
        ) {
            let units: Vec<Vec<u8>> = units
                .into_iter()
                .map(|(nal_type, importance, data)| [&[importance << 5 | nal_type], data.as_slice()].concat())
                .collect();
            let mut depacketiser = Depacketiser::default();
            let mut read = Vec::new();
            let pieces: Vec<_> = Packetiser::new(max_payload).packets(units.iter().map(Vec::as_slice)).collect();
            for (piece, seq) in pieces.iter().zip(first_seq..) {
                let mut payload = Vec::new();
                piece.write_to(&mut payload);
                prop_assert!(payload.len() <= max_payload.max(3));
                depacketiser.push(SeqNo(seq), &payload, |nal| read.push(nal.to_vec())).unwrap();
            }
            prop_assert_eq!(&read, &units);
            prop_assert_eq!(pieces.iter().filter(|piece| piece.marker).count(), 1);
            prop_assert!(pieces.last().is_some_and(|piece| piece.marker));
        }

        #[test]
        fn noise_never_panics(
            packets in proptest::collection::vec((0..30_u64, proptest::collection::vec(any::<u8>(), 0..12)), 0..30),
        ) {
            let mut depacketiser = Depacketiser::new(20);
            for (seq, mut payload) in packets {
                if let Some(first) = payload.first_mut() {
                    *first = *first & 0x03 | 0x7c; // mostly aggregates and fragments
                }
                let mut longest = 0;
                let _ = depacketiser.push(SeqNo(seq), &payload, |nal| longest = longest.max(nal.len()));
                prop_assert!(longest <= 20);
            }
        }
    }
}
