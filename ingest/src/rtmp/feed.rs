//! Pictures and sound out of RTMP's messages.

use std::time::Duration;

use bytes::Bytes;
use heliograph_media::TimestampUnwrapper;

use super::{
    flv::{Audio, AudioCodec, AvcConfiguration, Video, VideoCodec, nal_units},
    protocol::{Tag, TagKind},
};

/// Follows one session's tags.
#[derive(Debug, Default)]
pub struct Feed {
    times: TimestampUnwrapper,
    /// The last time of each track, milliseconds.
    last: [Option<u64>; 2],
    length_size: Option<usize>,
    aac: bool,
    broken: u64,
    /// Tracks besides the first that were named already, one bit each.
    others: [u64; 2],
}

/// Something in a tag. Times are of the session's media clock, which both tracks share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Parameter sets of the H.264 pictures that follow.
    ParameterSets(Vec<Bytes>),
    /// One H.264 picture.
    Picture {
        /// When it is to be shown.
        show: Duration,
        /// A decoder can start here.
        key: bool,
        /// NAL units.
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
    #[error("viewers get H.264 only, and this is {0}; choose an H.264 encoder")]
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
            Ok(Video::Configuration(VideoCodec::Avc, record)) => match AvcConfiguration::parse(record) {
                Ok(configuration) => {
                    self.length_size = Some(configuration.length_size);
                    parts.push(Part::ParameterSets(configuration.parameter_sets));
                }
                Err(_) => self.broken += 1,
            },
            Ok(Video::Picture { codec: VideoCodec::Avc, key, composition, body }) => {
                let units = self.length_size.and_then(|size| nal_units(body, size).ok());
                let show = millis.checked_add_signed(composition.into());
                match (units, show) {
                    (Some(units), Some(show)) => {
                        parts.push(Part::Picture { show: Duration::from_millis(show), key, units });
                    }
                    _ => self.broken += 1,
                }
            }
            Ok(Video::Configuration(codec, _) | Video::Picture { codec, .. }) => {
                parts.push(Part::Unsupported(Unsupported::Video(codec)));
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
        assert_eq!(feed.parts(&video(0, CONFIGURATION)), [Part::ParameterSets(sets)]);
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
    fn what_does_not_reach_viewers_is_named() {
        let mut feed = Feed::default();
        let words = |parts: Vec<Part<'_>>| match &parts[..] {
            [Part::Unsupported(what)] => what.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(words(feed.parts(&video(0, b"\x90hvc1\x01"))).contains("H.265"));
        assert!(words(feed.parts(&video(0, b"\x91av01\x01"))).contains("AV1"));
        assert!(words(feed.parts(&video(0, &[0x12, 0]))).contains("FLV video codec 2"));
        assert!(words(feed.parts(&audio(0, &[0x2f, 0]))).contains("MP3"));
        let other = video(0, b"\x96\x03avc1\x02\xaa");
        assert_eq!(feed.parts(&other), [Part::OtherTrack(TagKind::Video, 2)]);
        assert_eq!(feed.parts(&other), [], "once");
    }
}
