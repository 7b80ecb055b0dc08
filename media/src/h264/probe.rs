use super::{
    H264Error, NalSet, NalType,
    payload::{Part, parts},
    slice::SliceStart,
};

/// What can be seen of the stream's structure in one RTP payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Types of the NAL units that start in this packet.
    pub nals: NalSet,
    /// Type of the NAL unit that this packet carries a fragment of; `None` when it carries whole ones.
    pub fragment: Option<NalType>,
    /// The packet goes on with a NAL unit that an earlier one started: without that one it is useless.
    pub continues: bool,
    /// The last NAL unit in this packet is complete with it.
    pub ends: bool,
    /// A slice that starts here begins at the first macroblock: a new picture starts here at the latest.
    pub first_mb_zero: bool,
    /// A slice that starts here is bidirectional. WebRTC players cannot reorder pictures smoothly.
    pub b_slice: bool,
}

impl Probe {
    /// A keyframe's coded data starts here.
    #[must_use]
    pub const fn starts_idr(&self) -> bool {
        self.nals.contains(NalType::IDR)
    }

    /// Holds coded data of a keyframe, from the start or not.
    #[must_use]
    pub fn carries_idr(&self) -> bool {
        self.starts_idr() || self.fragment == Some(NalType::IDR)
    }

    /// A parameter set starts here.
    #[must_use]
    pub const fn has_parameter_set(&self) -> bool {
        self.nals.contains(NalType::SPS) || self.nals.contains(NalType::PPS)
    }

    /// Coded picture data starts here, of a keyframe or not.
    #[must_use]
    pub fn starts_slice(&self) -> bool {
        self.nals.iter().any(NalType::is_slice)
    }
}

/// Looks inside a single NAL unit, a STAP-A or an FU-A.
///
/// # Errors
/// See [`H264Error`]; an aggregation with one broken unit is refused as a whole.
pub fn probe(payload: &[u8]) -> Result<Probe, H264Error> {
    let mut seen = Probe::default();
    for part in parts(payload) {
        match part? {
            Part::Whole(nal) => {
                seen.ends = true;
                seen.note_start(nal[0], &nal[1..]);
            }
            Part::Fragment { header, first, last, data } => {
                seen.fragment = Some(NalType::of_header(header));
                seen.continues = !first;
                seen.ends = last;
                if first {
                    seen.note_start(header, data);
                }
            }
        }
    }
    Ok(seen)
}

impl Probe {
    fn note_start(&mut self, header: u8, data: &[u8]) {
        let nal_type = NalType::of_header(header);
        self.nals.insert(nal_type);
        if nal_type.is_slice()
            && let Some(slice) = SliceStart::parse(data)
        {
            self.first_mb_zero |= slice.first_of_picture;
            self.b_slice |= slice.bidirectional;
        }
    }
}

/// The first sequence parameter set that is whole in this packet, with its header byte.
#[must_use]
pub fn sps_in(payload: &[u8]) -> Option<&[u8]> {
    whole_in(payload, NalType::SPS)
}

/// The first picture parameter set that is whole in this packet, with its header byte.
#[must_use]
pub fn pps_in(payload: &[u8]) -> Option<&[u8]> {
    whole_in(payload, NalType::PPS)
}

fn whole_in(payload: &[u8], wanted: NalType) -> Option<&[u8]> {
    parts(payload).find_map(|part| match part {
        Ok(Part::Whole(nal)) if NalType::of_header(nal[0]) == wanted => Some(nal),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::hex;

    fn set(types: &[NalType]) -> NalSet {
        types.iter().copied().collect()
    }

    #[test]
    fn payloads_of_an_ftl_session() {
        let whole = Probe { ends: true, ..Probe::default() };
        let idr = Probe { fragment: Some(NalType::IDR), ..Probe::default() };
        for (payload, expected) in [
            ("674d401f", Probe { nals: set(&[NalType::SPS]), ..whole }),
            ("68ee3c80", Probe { nals: set(&[NalType::PPS]), ..whole }),
            ("7c85 8884", Probe { nals: set(&[NalType::IDR]), first_mb_zero: true, ..idr }),
            ("7c05 8884", Probe { continues: true, ..idr }),
            ("7c45 8884", Probe { continues: true, ends: true, ..idr }),
            ("419a 24", Probe { nals: set(&[NalType::SLICE]), first_mb_zero: true, ..whole }),
            ("019c 24", Probe { nals: set(&[NalType::SLICE]), first_mb_zero: true, b_slice: true, ..whole }),
            // Second slice of a picture: first_mb 1.
            ("4150", Probe { nals: set(&[NalType::SLICE]), ..whole }),
            (
                "78 0004 674d401f 0002 68ee 0002 6588",
                Probe {
                    nals: set(&[NalType::SPS, NalType::PPS, NalType::IDR]),
                    first_mb_zero: true,
                    ..whole
                },
            ),
            // A slice too short for its own header still starts.
            ("65", Probe { nals: set(&[NalType::IDR]), ..whole }),
        ] {
            assert_eq!(probe(&hex(payload)), Ok(expected), "{payload}");
        }
    }

    #[test]
    fn questions_about_keyframes() {
        let first = probe(&hex("7c85 8884")).unwrap();
        assert!(
            first.starts_idr() && first.carries_idr() && first.starts_slice() && !first.has_parameter_set()
        );
        let middle = probe(&hex("7c05 8884")).unwrap();
        assert!(!middle.starts_idr() && middle.carries_idr() && !middle.starts_slice());
        let delta = probe(&hex("419a24")).unwrap();
        assert!(!delta.carries_idr() && delta.starts_slice());
    }

    #[test]
    fn parameter_sets_in_packets() {
        assert_eq!(sps_in(&hex("674d401f")), Some(&hex("674d401f")[..]));
        assert_eq!(pps_in(&hex("674d401f")), None);
        let aggregate = hex("78 0004 674d401f 0002 68ee");
        assert_eq!(sps_in(&aggregate), Some(&hex("674d401f")[..]));
        assert_eq!(pps_in(&aggregate), Some(&hex("68ee")[..]));
        assert_eq!(sps_in(&hex("7c87 4d401f")), None);
        assert_eq!(sps_in(&[]), None);
    }

    proptest! {
        #[test]
        fn never_panics(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let seen = probe(&payload);
            if sps_in(&payload).is_some() && let Ok(seen) = seen {
                prop_assert!(seen.nals.contains(NalType::SPS));
            }
        }
    }
}
