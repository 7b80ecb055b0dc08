use super::{FourCc, Reader, TagError, Track, tracks};

/// What one video tag says about one track. Bodies are parts of the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Video<'a> {
    /// How the decoder is to be set up.
    Configuration(VideoCodec, &'a [u8]),
    /// One coded picture.
    Picture {
        /// How.
        codec: VideoCodec,
        /// A decoder can start here.
        key: bool,
        /// From decoding to showing, milliseconds.
        composition: i32,
        /// NAL units with their lengths for H.264 and H.265.
        body: &'a [u8],
    },
    /// End of sequence, colours, seeking: nothing to show.
    Nothing,
}

/// How pictures are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// H.264.
    Avc,
    /// Something of Enhanced RTMP.
    FourCc(FourCc),
    /// Something of FLV's own list.
    Numbered(u8),
}

impl std::fmt::Display for VideoCodec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Avc => f.write_str("H.264"),
            Self::FourCc(FourCc(letters)) => match letters {
                b"hvc1" => f.write_str("H.265"),
                b"av01" => f.write_str("AV1"),
                b"vp09" => f.write_str("VP9"),
                b"vp08" => f.write_str("VP8"),
                _ => FourCc(*letters).fmt(f),
            },
            Self::Numbered(12) => f.write_str("H.265"),
            Self::Numbered(number) => write!(f, "FLV video codec {number}"),
        }
    }
}

/// A track's number, and what a tag says about it.
pub type OfTrack<'a> = (u8, Result<Video<'a>, TagError>);

impl<'a> Video<'a> {
    /// Reads the body of a video tag: what it says about each of its tracks. One that names none is about track 0.
    ///
    /// # Errors
    /// See [`TagError`]; of several tracks one may be broken by itself.
    pub fn parse(body: &'a [u8]) -> Result<Vec<OfTrack<'a>>, TagError> {
        let mut reader = Reader(body);
        let first = reader.u8()?;
        if first & ENHANCED != 0 {
            return enhanced(&mut reader, first >> 4 & 0x07, first & 0x0f);
        }
        Self::plain(&mut reader, first).map(|video| vec![(0, Ok(video))])
    }

    /// As in FLV before Enhanced RTMP.
    fn plain(reader: &mut Reader<'a>, first: u8) -> Result<Self, TagError> {
        let frame_type = first >> 4;
        let codec = match first & 0x0f {
            AVC_NUMBER => VideoCodec::Avc,
            number => VideoCodec::Numbered(number),
        };
        if frame_type == COMMAND {
            return Ok(Self::Nothing);
        }
        // H.265 before there was Enhanced RTMP has the same layout.
        if !matches!(codec, VideoCodec::Avc | VideoCodec::Numbered(OLD_HEVC)) {
            return Ok(Self::Picture { codec, key: frame_type == KEY, composition: 0, body: reader.0 });
        }
        let packet_type = reader.u8()?;
        let composition = reader.i24()?;
        match packet_type {
            0 => Ok(Self::Configuration(codec, reader.0)),
            1 => Ok(Self::Picture { codec, key: frame_type == KEY, composition, body: reader.0 }),
            2 => Ok(Self::Nothing),
            _ => Err(TagError::Unknown),
        }
    }
}

fn enhanced<'a>(
    reader: &mut Reader<'a>,
    frame_type: u8,
    packet_type: u8,
) -> Result<Vec<OfTrack<'a>>, TagError> {
    let packet_type = reader.skip_modifiers(packet_type)?;
    if frame_type == COMMAND && packet_type != METADATA {
        return Ok(Vec::new());
    }
    if packet_type != MULTITRACK {
        let codec = reader.fourcc()?;
        return coded(packet_type, codec, frame_type, reader.0).map(|video| vec![(0, Ok(video))]);
    }
    let of_track =
        |track: Track<'a>| (track.number, coded(track.packet_type, track.codec, frame_type, track.body));
    Ok(tracks(reader)?.into_iter().map(of_track).collect())
}

fn coded(packet_type: u8, codec: FourCc, frame_type: u8, body: &[u8]) -> Result<Video<'_>, TagError> {
    let timed = matches!(&codec.0, b"avc1" | b"hvc1" | b"vvc1");
    let codec = if codec.0 == *b"avc1" { VideoCodec::Avc } else { VideoCodec::FourCc(codec) };
    let mut reader = Reader(body);
    let key = frame_type == KEY;
    match packet_type {
        0 => Ok(Video::Configuration(codec, body)),
        1 => {
            let composition = if timed { reader.i24()? } else { 0 };
            Ok(Video::Picture { codec, key, composition, body: reader.0 })
        }
        3 => Ok(Video::Picture { codec, key, composition: 0, body }),
        2 | METADATA | 5 => Ok(Video::Nothing),
        _ => Err(TagError::Unknown),
    }
}

const ENHANCED: u8 = 0x80;
const AVC_NUMBER: u8 = 7;
const OLD_HEVC: u8 = 12;
const KEY: u8 = 1;
const COMMAND: u8 = 5;
const METADATA: u8 = 4;
const MULTITRACK: u8 = 6;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picture(codec: VideoCodec, key: bool, composition: i32, body: &[u8]) -> Video<'_> {
        Video::Picture { codec, key, composition, body }
    }

    fn check(text: &str, expected: &Result<Vec<OfTrack<'_>>, TagError>) {
        let bytes = hex::decode(text.replace(' ', "")).unwrap();
        assert_eq!(&Video::parse(&bytes), expected, "{text}");
    }

    const AVC: VideoCodec = VideoCodec::Avc;

    fn fourcc(letters: &[u8; 4]) -> VideoCodec {
        VideoCodec::FourCc(FourCc(*letters))
    }

    #[test]
    fn tags_of_one_track() {
        for (text, expected) in [
            ("17 00 000000 0164", Ok(Video::Configuration(AVC, &[1, 0x64]))),
            ("17 01 000021 aa", Ok(picture(AVC, true, 33, &[0xaa]))),
            ("27 01 ffffdf aa", Ok(picture(AVC, false, -33, &[0xaa]))),
            ("17 02 000000", Ok(Video::Nothing)),
            ("57 00", Ok(Video::Nothing)),
            ("12 aa", Ok(picture(VideoCodec::Numbered(2), true, 0, &[0xaa]))),
            ("1c 01 000000 aa", Ok(picture(VideoCodec::Numbered(12), true, 0, &[0xaa]))),
            // Enhanced: sequence start, coded frames with and without composition time, metadata.
            ("90 68766331 01", Ok(Video::Configuration(fourcc(b"hvc1"), &[1]))),
            ("91 68766331 000021 aa", Ok(picture(fourcc(b"hvc1"), true, 33, &[0xaa]))),
            ("a3 61766331 aa", Ok(picture(AVC, false, 0, &[0xaa]))),
            ("91 61766331 000001 aa", Ok(picture(AVC, true, 1, &[0xaa]))),
            ("91 61763031 aa", Ok(picture(fourcc(b"av01"), true, 0, &[0xaa]))),
            ("94 61763031 aa", Ok(Video::Nothing)),
            // Modifiers in front: 3 bytes, and 256 by the longer form.
            ("97 02 000000 03 61766331 aa", Ok(picture(AVC, true, 0, &[0xaa]))),
            ("", Err(TagError::Truncated)),
            ("17 01 0000", Err(TagError::Truncated)),
            ("17 09 000000", Err(TagError::Unknown)),
            ("91 6176", Err(TagError::Truncated)),
            ("9f 61766331", Err(TagError::Unknown)),
            ("97 ff", Err(TagError::Truncated)),
        ] {
            check(text, &expected.map(|video| vec![(0, Ok(video))]));
        }
        check("d1 00", &Ok(vec![]));
    }

    #[test]
    fn tags_of_several_tracks() {
        let (first, second) = (picture(AVC, true, 0, &[0xaa]), picture(AVC, true, 0, &[0xbb]));
        for (text, expected) in [
            // One track: without and with composition time, and how it is coded.
            ("96 03 61766331 00 aa", Ok(vec![(0, Ok(first))])),
            ("96 03 61766331 02 aa", Ok(vec![(2, Ok(first))])),
            ("a6 01 61766331 01 000021 aa", Ok(vec![(1, Ok(picture(AVC, false, 33, &[0xaa])))])),
            ("96 00 61766331 01 0164", Ok(vec![(1, Ok(Video::Configuration(AVC, &[1, 0x64])))])),
            // Many tracks in one codec, and in one codec each; with a modifier in front.
            ("96 13 61766331 01 000001 bb 00 000001 aa", Ok(vec![(1, Ok(second)), (0, Ok(first))])),
            (
                "97 02 000000 06 23 61766331 01 000001 bb 68766331 00 000001 aa",
                Ok(vec![(1, Ok(second)), (0, Ok(picture(fourcc(b"hvc1"), true, 0, &[0xaa])))]),
            ),
            // One too short for its composition time does the others no harm.
            (
                "96 11 61766331 01 000002 bbbb 00 000004 000000 aa",
                Ok(vec![(1, Err(TagError::Truncated)), (0, Ok(first))]),
            ),
            ("96 13 61766331", Ok(vec![])),
            ("96", Err(TagError::Truncated)),
            ("96 03 617663", Err(TagError::Truncated)),
            ("96 03 61766331", Ok(vec![])),
            ("96 13 61766331 00", Err(TagError::Truncated)),
            ("96 13 61766331 00 ffffff aa", Err(TagError::Truncated)),
            ("96 23 61766331 00 000001 aa 6876", Err(TagError::Truncated)),
            ("96 f3 61766331 00", Err(TagError::Unknown)),
            // Within the tracks of a tag there are no others.
            ("96 06 61766331 00 aa", Ok(vec![(0, Err(TagError::Unknown))])),
        ] {
            check(text, &expected);
        }
        let tag = |tracks: usize| [&b"\x96\x13avc1"[..], &[7, 0, 0, 1, 0xaa].repeat(tracks)].concat();
        assert_eq!(Video::parse(&tag(32)).map(|tracks| tracks.len()), Ok(32));
        assert_eq!(Video::parse(&tag(33)), Err(TagError::Unknown));
    }

    proptest! {
        #[test]
        fn never_panics(
            multitrack in any::<bool>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let front: &[u8] = if multitrack { b"\x96" } else { b"" };
            let _any = Video::parse(&[front, &bytes].concat());
        }
    }
}
