//! One question to all video codecs: what does this payload show?

use thiserror::Error;

use crate::{
    Codec, av1,
    h264::{self, NalType},
    h265, vp8, vp9,
};

/// What a relay wants to know of one payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// A sequence parameter set starts here. Codecs without parameter sets have them inside the key picture.
    pub sequence_parameters: bool,
    /// A picture parameter set starts here.
    pub picture_parameters: bool,
    /// A picture at which a decoder can begin starts here.
    pub key_picture: bool,
    /// Something is in it that only comes at the beginning of an access unit.
    pub opens: bool,
    /// A slice that starts here is bidirectional. WebRTC players cannot reorder pictures smoothly.
    pub b_slice: bool,
}

impl Look {
    /// A decoder that knows nothing can begin here, or may a few packets on.
    #[must_use]
    pub const fn may_begin(self) -> bool {
        self.sequence_parameters || self.key_picture
    }

    /// Codecs whose key pictures carry everything a decoder needs.
    const fn key(frame_start: bool, keyframe_start: bool) -> Self {
        Self {
            sequence_parameters: keyframe_start,
            picture_parameters: keyframe_start,
            key_picture: keyframe_start,
            opens: frame_start,
            b_slice: false,
        }
    }
}

/// A payload that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("malformed {0} payload")]
pub struct BadPayload(pub Codec);

/// Looks at a payload of a video codec; of others it says nothing.
///
/// # Errors
/// Bytes that are no payload of this codec.
pub fn look(codec: Codec, payload: &[u8]) -> Result<Look, BadPayload> {
    let bad = BadPayload(codec);
    Ok(match codec {
        Codec::Opus => Look::default(),
        Codec::H264 => {
            let probe = h264::probe(payload).map_err(|_| bad)?;
            let opening = [NalType::SPS, NalType::AUD, NalType::SEI];
            Look {
                sequence_parameters: probe.nals.contains(NalType::SPS),
                picture_parameters: probe.nals.contains(NalType::PPS),
                key_picture: probe.starts_idr(),
                opens: opening.into_iter().any(|first| probe.nals.contains(first)),
                b_slice: probe.b_slice,
            }
        }
        Codec::H265 => {
            let probe = h265::probe(payload).ok_or(bad)?;
            Look {
                sequence_parameters: probe.sequence_parameters,
                picture_parameters: probe.picture_parameters,
                key_picture: probe.key_picture,
                opens: probe.opens,
                b_slice: false,
            }
        }
        Codec::Vp8 => {
            let probe = vp8::probe(payload).ok_or(bad)?;
            Look::key(probe.frame_start, probe.keyframe_start)
        }
        Codec::Vp9 => {
            let probe = vp9::probe(payload).ok_or(bad)?;
            Look::key(probe.frame_start, probe.keyframe_start)
        }
        Codec::Av1 => {
            let probe = av1::probe(payload).ok_or(bad)?;
            Look::key(probe.keyframe_start, probe.keyframe_start)
        }
    })
}

/// What a receiver must be able to decode, as descriptions of a stream name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoFormat {
    /// RFC 6184 section 8.1.
    H264 {
        /// Profile, constraints and level.
        profile_level_id: [u8; 3],
    },
    /// RFC 7798 section 7.1.
    H265 {
        /// 1 main, 2 main 10.
        profile: u8,
        /// Main or high.
        high_tier: bool,
        /// Thirty times the level.
        level: u8,
    },
    /// RFC 7741 section 6.1.
    Vp8,
    /// RFC 9628 section 6.
    Vp9 {
        /// 0 to 3.
        profile: u8,
    },
    /// RTP Payload Format for AV1, section 7.2.
    Av1 {
        /// 0 main, 1 high, 2 professional.
        profile: u8,
        /// `seq_level_idx`.
        level: u8,
        /// `seq_tier`.
        tier: u8,
    },
}

impl VideoFormat {
    /// What most encoders for real time send, for a stream that has not shown yet what it is; `None` for sound.
    #[must_use]
    pub const fn usual(codec: Codec) -> Option<Self> {
        Some(match codec {
            Codec::Opus => return None,
            Codec::H264 => Self::H264 { profile_level_id: [0x42, 0xe0, 0x1f] },
            Codec::H265 => Self::H265 { profile: 1, high_tier: false, level: 93 },
            Codec::Vp8 => Self::Vp8,
            Codec::Vp9 => Self::Vp9 { profile: 0 },
            Codec::Av1 => Self::Av1 { profile: 0, level: 5, tier: 0 },
        })
    }

    /// The codec.
    #[must_use]
    pub const fn codec(self) -> Codec {
        match self {
            Self::H264 { .. } => Codec::H264,
            Self::H265 { .. } => Codec::H265,
            Self::Vp8 => Codec::Vp8,
            Self::Vp9 { .. } => Codec::Vp9,
            Self::Av1 { .. } => Codec::Av1,
        }
    }
}

/// What is in the picture, where a payload tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// What it takes to decode it.
    pub format: VideoFormat,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// Reads parameter sets and key pictures; `None` for all other payloads.
#[must_use]
pub fn picture(codec: Codec, payload: &[u8]) -> Option<Picture> {
    let (format, (width, height)) = match codec {
        Codec::Opus => return None,
        Codec::H264 => {
            // What stands before the damage in a damaged aggregate counts no more than the rest of it.
            h264::probe(payload).ok()?;
            let sps = h264::Sps::parse(h264::sps_in(payload)?).ok()?;
            (VideoFormat::H264 { profile_level_id: sps.profile_level_id() }, (sps.width, sps.height))
        }
        Codec::H265 => {
            let h265::Sps { profile, high_tier, level, width, height } = h265::probe(payload)?.sps?;
            (VideoFormat::H265 { profile, high_tier, level }, (width, height))
        }
        Codec::Vp8 => (VideoFormat::Vp8, vp8::probe(payload)?.size?),
        Codec::Vp9 => {
            let seen = vp9::probe(payload)?;
            (VideoFormat::Vp9 { profile: seen.profile? }, seen.size?)
        }
        Codec::Av1 => {
            let av1::Sequence { profile, level, tier, width, height } = av1::probe(payload)?.sequence?;
            (VideoFormat::Av1 { profile, level, tier }, (width, height))
        }
    };
    Some(Picture { format, width, height })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::hex;

    const ALL: [Codec; 5] = [Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1];

    #[test]
    fn key_pictures_say_what_they_are() {
        let picture = |format, width, height| Some(Picture { format, width, height });
        for (codec, payload, may_begin, expected) in [
            (Codec::Vp8, "10 10 02 00 9d 01 2a 0005 d002", true, picture(VideoFormat::Vp8, 1280, 720)),
            (Codec::Vp8, "10 11 02 00", false, None),
            (
                Codec::Vp9,
                "8c 9234 82 49 83 42 00 4f f0 2c f0",
                true,
                picture(VideoFormat::Vp9 { profile: 0 }, 1280, 720),
            ),
            (Codec::H265, "26 01 af", true, None),
            (Codec::H265, "02 01 af", false, None),
            (Codec::H264, "65 88 80 01", true, None),
            (Codec::H264, "61 9a 80 01", false, None),
            (Codec::Opus, "fc", false, None),
        ] {
            let payload = hex(payload);
            assert_eq!(look(codec, &payload).map(Look::may_begin), Ok(may_begin), "{codec} {payload:02x?}");
            assert_eq!(super::picture(codec, &payload), expected, "{codec} {payload:02x?}");
        }
        for codec in ALL {
            assert_eq!(look(codec, &[]), Err(BadPayload(codec)));
            assert_eq!(VideoFormat::usual(codec).map(VideoFormat::codec), Some(codec));
        }
    }

    #[test]
    fn a_damaged_aggregate_shows_nothing() {
        // STAP-A: a parameter set, and the length of a unit that is not there.
        let sps = "6764001fac2ca40140 16e9a8080801";
        let length = hex(sps).len();
        let whole = hex(&format!("58 {length:04x} {sps}"));
        let expected = picture(Codec::H264, &hex(sps));
        assert!(expected.is_some());
        assert_eq!(picture(Codec::H264, &whole), expected);
        let damaged = [&whole[..], &[0, 9, 0x68]].concat();
        assert!(look(Codec::H264, &damaged).is_err());
        assert_eq!(picture(Codec::H264, &damaged), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_judged_alike(
            head in proptest::collection::vec(prop_oneof![Just(0x10_u8), Just(0x08), Just(0x0a), any::<u8>()], 0..4),
            tail in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let data = [head, tail].concat();
            for codec in ALL {
                let look = look(codec, &data);
                if let Some(picture) = picture(codec, &data) {
                    prop_assert!(picture.width > 0 && picture.height > 0);
                    prop_assert_eq!(picture.format.codec(), codec);
                    prop_assert!(look.is_ok());
                }
                if let (Ok(look), Codec::Vp8 | Codec::Vp9 | Codec::Av1) = (look, codec) {
                    prop_assert_eq!(look.sequence_parameters, look.key_picture);
                    prop_assert_eq!(look.picture_parameters, look.key_picture);
                    prop_assert!(look.opens || !look.key_picture);
                }
            }
        }
    }
}
