//! Pictures and sound out of RTMP's messages.

use std::time::Duration;

use bytes::Bytes;
use heliograph_media::{Codec, TimestampUnwrapper, av1};

use super::{
    flv::{
        Audio, AudioCodec, AvcConfiguration, FourCc, HvcConfiguration, TagError, Video, VideoCodec, nal_units,
    },
    protocol::{Tag, TagKind},
};

/// Follows one session's tags.
#[derive(Debug, Default)]
pub struct Feed {
    times: TimestampUnwrapper,
    /// The last time of each track, milliseconds.
    last: [Option<u64>; 2],
    /// How the pictures are coded, and the bytes of the length in front of each NAL unit.
    video: Option<(Codec, usize)>,
    aac: bool,
    broken: u64,
    /// Tracks besides the first that were named already, one bit each.
    others: [u64; 2],
}

/// Something in a tag. Times are of the session's media clock, which both tracks share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// How the pictures are coded that follow, and their parameter sets (for AV1 its sequence header).
    Configuration(Codec, Vec<Bytes>),
    /// One picture.
    Picture {
        /// When it is to be shown.
        show: Duration,
        /// A decoder can start here.
        key: bool,
        /// NAL units, or OBUs.
        units: Vec<&'a [u8]>,
    },
    /// AudioSpecificConfig of the AAC that follows.
    AacConfiguration(&'a [u8]),
    /// One AAC frame.
    Aac(Duration, &'a [u8]),
    /// One Opus packet.
    Opus(Duration, &'a [u8]),
    /// The clock of this track jumped: what follows has nothing to do with what came before.
    Jump(TagKind),
    /// A codec that does not reach viewers.
    Unsupported(Unsupported),
    /// There is another track of this kind, with this number; told once.
    OtherTrack(TagKind, u8),
}

/// What cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// Pictures in this codec.
    #[error("pictures must be H.264, H.265 or AV1, and this is {0}; choose an H.264 encoder")]
    Video(VideoCodec),
    /// Sound in this codec.
    #[error("sound must be AAC or Opus, and this is {0}")]
    Audio(AudioCodec),
}

impl Feed {
    /// What one tag holds; nothing when it is broken, which is counted.
    pub fn parts<'a>(&mut self, tag: &'a Tag) -> Vec<Part<'a>> {
        let millis = self.times.extend(tag.timestamp);
        let mut parts = Vec::new();
        let last = &mut self.last[tag.kind as usize];
        let jumped = last.is_some_and(|last| millis + BACK_MS < last || millis > last + FORTH_MS);
        *last = Some(millis);
        if jumped {
            parts.push(Part::Jump(tag.kind));
        }
        match tag.kind {
            TagKind::Video => self.video(millis, &tag.body, &mut parts),
            TagKind::Audio => self.audio(millis, &tag.body, &mut parts),
        }
        parts
    }

    /// Tags and pictures that could not be read.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.broken
    }

    fn video<'a>(&mut self, millis: u64, body: &'a [u8], parts: &mut Vec<Part<'a>>) {
        match Video::parse(body) {
            Ok(Video::Configuration(codec, record)) => match configuration(codec, record) {
                Some(Ok(Configuration { codec, length_size, sets })) => {
                    self.video = Some((codec, length_size));
                    parts.push(Part::Configuration(codec, sets));
                }
                Some(Err(_)) => self.broken += 1,
                None => parts.push(Part::Unsupported(Unsupported::Video(codec))),
            },
            Ok(Video::Picture { codec, key, composition, body }) => {
                let Some(carried) = carried(codec) else {
                    return parts.push(Part::Unsupported(Unsupported::Video(codec)));
                };
                let units =
                    self.video.filter(|(known, _)| *known == carried).and_then(|(_, size)| match carried {
                        Codec::Av1 => av1::obus(body),
                        _ => nal_units(body, size).ok(),
                    });
                let show = millis.checked_add_signed(composition.into());
                match (units, show) {
                    (Some(units), Some(show)) => {
                        parts.push(Part::Picture { show: Duration::from_millis(show), key, units });
                    }
                    _ => self.broken += 1,
                }
            }
            Ok(Video::OtherTrack(number)) => self.other(TagKind::Video, number, parts),
            Ok(Video::Nothing) => {}
            Err(_) => self.broken += 1,
        }
    }

    fn audio<'a>(&mut self, millis: u64, body: &'a [u8], parts: &mut Vec<Part<'a>>) {
        let at = Duration::from_millis(millis);
        match Audio::parse(body) {
            Ok(Audio::Configuration(AudioCodec::Aac, configuration)) => {
                self.aac = true;
                parts.push(Part::AacConfiguration(configuration));
            }
            Ok(Audio::Packet(AudioCodec::Aac, packet)) if self.aac => parts.push(Part::Aac(at, packet)),
            Ok(Audio::Packet(AudioCodec::Opus, packet)) => parts.push(Part::Opus(at, packet)),
            // Mono and stereo need no more than the packets say themselves.
            Ok(Audio::Configuration(AudioCodec::Opus, _) | Audio::Nothing) => {}
            Ok(Audio::Packet(AudioCodec::Aac, _)) | Err(_) => self.broken += 1,
            Ok(Audio::Configuration(codec, _) | Audio::Packet(codec, _)) => {
                parts.push(Part::Unsupported(Unsupported::Audio(codec)));
            }
            Ok(Audio::OtherTrack(number)) => self.other(TagKind::Audio, number, parts),
        }
    }

    fn other(&mut self, kind: TagKind, number: u8, parts: &mut Vec<Part<'_>>) {
        let bit = 1 << (number % 64);
        let told = &mut self.others[kind as usize];
        if *told & bit == 0 {
            *told |= bit;
            parts.push(Part::OtherTrack(kind, number));
        }
    }
}

/// The codecs that reach viewers.
fn carried(codec: VideoCodec) -> Option<Codec> {
    match codec {
        VideoCodec::Avc => Some(Codec::H264),
        VideoCodec::FourCc(FourCc(letters)) if letters == *b"hvc1" => Some(Codec::H265),
        VideoCodec::FourCc(FourCc(letters)) if letters == *b"av01" => Some(Codec::Av1),
        _ => None,
    }
}

/// What a sequence header says.
struct Configuration {
    codec: Codec,
    /// Bytes of the length in front of each NAL unit.
    length_size: usize,
    sets: Vec<Bytes>,
}

/// `None` for what does not reach viewers.
fn configuration(codec: VideoCodec, record: &[u8]) -> Option<Result<Configuration, TagError>> {
    let codec = carried(codec)?;
    let with = |(length_size, sets)| Configuration { codec, length_size, sets };
    let read = match codec {
        Codec::H265 => HvcConfiguration::parse(record).map(|it| (it.length_size, it.parameter_sets)),
        // Four bytes that the sequence header says as well, then OBUs (AV1 in ISOBMFF section 2.3).
        Codec::Av1 => record
            .get(4..)
            .and_then(av1::obus)
            .ok_or(TagError::Truncated)
            .map(|obus| (0, obus.into_iter().map(Bytes::copy_from_slice).collect())),
        _ => AvcConfiguration::parse(record).map(|it| (it.length_size, it.parameter_sets)),
    };
    Some(read.map(with))
}

/// Tracks may lie a little apart, and some encoders correct themselves.
const BACK_MS: u64 = 1_000;
/// A picture that stands still for so long is a new one.
const FORTH_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURATION: &[u8] =
        &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 2, 0x67, 1, 1, 0, 2, 0x68, 2];

    fn tag(kind: TagKind, timestamp: u32, body: &[u8]) -> Tag {
        Tag { kind, timestamp, body: Bytes::copy_from_slice(body) }
    }

    fn video(timestamp: u32, body: &[u8]) -> Tag {
        tag(TagKind::Video, timestamp, body)
    }

    fn audio(timestamp: u32, body: &[u8]) -> Tag {
        tag(TagKind::Audio, timestamp, body)
    }

    #[test]
    fn a_stream_from_its_beginning() {
        let mut feed = Feed::default();
        let picture = &[0x17, 1, 0, 0, 33, 0, 0, 0, 2, 0x65, 0x88];
        assert_eq!(feed.parts(&video(0, picture)), [], "nothing can be read before the configuration");
        assert_eq!(feed.broken(), 1);
        let sets = vec![Bytes::from_static(&[0x67, 1]), Bytes::from_static(&[0x68, 2])];
        assert_eq!(feed.parts(&video(0, CONFIGURATION)), [Part::Configuration(Codec::H264, sets)]);
        let epoch = 1 << 32;
        let units = vec![&[0x65, 0x88][..]];
        assert_eq!(
            feed.parts(&video(10, picture)),
            [Part::Picture { show: Duration::from_millis(epoch + 43), key: true, units }]
        );
        assert_eq!(feed.parts(&audio(0, &[0xaf, 1, 7])), [], "not before its configuration, either");
        assert_eq!(feed.parts(&audio(0, &[0xaf, 0, 0x11])), [Part::AacConfiguration(&[0x11])]);
        assert_eq!(
            feed.parts(&audio(21, &[0xaf, 1, 7])),
            [Part::Aac(Duration::from_millis(epoch + 21), &[7])]
        );
    }

    #[test]
    fn clocks_wrap_and_jump() {
        let mut feed = Feed::default();
        feed.parts(&audio(0, &[0xaf, 0]));
        let mut at = |timestamp| match feed.parts(&audio(timestamp, &[0xaf, 1, 7]))[..] {
            [Part::Aac(at, _)] => (false, at.as_millis() as i64 - (1 << 32)),
            [Part::Jump(TagKind::Audio), Part::Aac(at, _)] => (true, at.as_millis() as i64 - (1 << 32)),
            ref other => panic!("{other:?}"),
        };
        assert_eq!(at(0), (false, 0));
        assert_eq!(at(10_000), (false, 10_000));
        assert_eq!(at(9_000), (false, 9_000));
        assert_eq!(at(7_999), (true, 7_999));
        assert_eq!(at(1 << 31), (true, 1 << 31));
        assert_eq!(at(u32::MAX), (true, i64::from(u32::MAX)));
        assert_eq!(at(5), (false, (1 << 32) + 5));
    }

    #[test]
    fn enhanced_codecs() {
        let mut feed = Feed::default();
        let record = [&b"\x90hvc1\x01"[..], &[0; 20], &[3, 1, 0xa1, 0, 1, 0, 2, 0x42, 1]].concat();
        let sets = vec![Bytes::from_static(&[0x42, 1])];
        assert_eq!(feed.parts(&video(0, &record)), [Part::Configuration(Codec::H265, sets)]);
        let picture = b"\x91hvc1\0\0\x21\0\0\0\x03\x26\x01\x07";
        let show = Duration::from_millis((1 << 32) + 43);
        let units = vec![&[0x26, 1, 7][..]];
        assert_eq!(feed.parts(&video(10, picture)), [Part::Picture { show, key: true, units }]);
        let sequence = b"\x0a\x02\x07\x08";
        let picture = [&b"\xa1av01\x12\0"[..], &[0x32, 1, 9]].concat();
        assert_eq!(feed.parts(&video(20, &picture)), [], "of another codec than was said");
        assert_eq!(feed.broken(), 1);
        let record = [&b"\x90av01\x81\x05\x0c\0"[..], sequence].concat();
        let sets = vec![Bytes::from_static(sequence)];
        assert_eq!(feed.parts(&video(20, &record)), [Part::Configuration(Codec::Av1, sets)]);
        let units = vec![&[0x12, 0][..], &[0x32, 1, 9]];
        let show = Duration::from_millis((1 << 32) + 20);
        assert_eq!(feed.parts(&video(20, &picture)), [Part::Picture { show, key: false, units }]);
    }

    #[test]
    fn what_does_not_reach_viewers_is_named() {
        let mut feed = Feed::default();
        let words = |parts: Vec<Part<'_>>| match &parts[..] {
            [Part::Unsupported(what)] => what.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(words(feed.parts(&video(0, b"\x90vp09\x01"))).contains("VP9"));
        assert!(words(feed.parts(&video(0, b"\x91vp08\x01"))).contains("VP8"));
        assert!(words(feed.parts(&video(0, &[0x12, 0]))).contains("FLV video codec 2"));
        assert!(words(feed.parts(&audio(0, &[0x2f, 0]))).contains("MP3"));
        let other = video(0, b"\x96\x03avc1\x02\xaa");
        assert_eq!(feed.parts(&other), [Part::OtherTrack(TagKind::Video, 2)]);
        assert_eq!(feed.parts(&other), [], "once");
    }
}
