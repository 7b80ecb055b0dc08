//! Pictures and sound out of RTMP's messages.

use std::time::Duration;

use bytes::Bytes;
use heliograph_media::{Codec, TimestampUnwrapper, av1};

use super::{
    flv::{
        Audio, AudioCodec, AvcConfiguration, FourCc, HvcConfiguration, TagError, Video, VideoCodec, nal_units,
    },
    protocol::{Tag, TagKind},
    tracks::{LeftOut, Named, Tracks},
};
use crate::Layer;

/// Follows one session's tags.
#[derive(Debug, Default)]
pub struct Feed {
    times: TimestampUnwrapper,
    pictures: Tracks,
    /// The time of the newest tag of sound, milliseconds.
    last_sound: Option<u64>,
    aac: bool,
    broken: u64,
    /// Tracks of pictures and of sound that do not go on.
    left_out: [Named; 2],
}

/// Something in a tag. Times are of the session's media clock, which all tracks share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// How the pictures of a layer are coded that follow.
    Configuration {
        /// Which one: [`Layer::FIRST`] when there is one track only. When the first one comes in another codec, all
        /// others are gone.
        layer: Layer,
        /// The number of its track.
        track: u8,
        /// All layers have the same one.
        codec: Codec,
        /// Parameter sets (for AV1 its sequence header).
        sets: Vec<Bytes>,
    },
    /// One picture of a layer.
    Picture {
        /// Which one.
        layer: Layer,
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
    /// The clock of this layer jumped: what follows has nothing to do with what came before.
    PicturesJumped(Layer),
    /// The same of the sound.
    SoundJumped,
    /// A codec that does not reach viewers.
    Unsupported(Unsupported),
    /// A track besides those that go on; each is named once.
    LeftOut(LeftOut),
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

    /// How many tracks of pictures and of sound do not go on.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out.iter().map(Named::len).sum()
    }

    fn video<'a>(&mut self, millis: u64, body: &'a [u8], parts: &mut Vec<Part<'a>>) {
        let Ok(tracks) = Video::parse(body) else { return self.broken += 1 };
        for (number, said) in tracks {
            match said {
                Ok(Video::Configuration(codec, record)) => {
                    self.configuration(millis, number, codec, record, parts);
                }
                Ok(Video::Picture { codec, key, composition, body }) => {
                    let show = millis.checked_add_signed(composition.into());
                    self.picture(millis, number, codec, parts, |carried, size| {
                        let units = match carried {
                            Codec::Av1 => av1::obus(body),
                            _ => nal_units(body, size).ok(),
                        };
                        Some((Duration::from_millis(show?), key, units?))
                    });
                }
                Ok(Video::Nothing) => {}
                Err(_) => self.broken += 1,
            }
        }
    }

    fn configuration(
        &mut self,
        millis: u64,
        number: u8,
        said: VideoCodec,
        record: &[u8],
        parts: &mut Vec<Part<'_>>,
    ) {
        let Configuration { codec, length_size, sets } = match configuration(said, record) {
            Some(Ok(read)) => read,
            Some(Err(_)) => return self.broken += 1,
            None => return self.unsupported(number, said, parts),
        };
        match self.pictures.configure(number, said, codec, length_size) {
            Ok(layer) => {
                self.time_of(number, millis, parts);
                parts.push(Part::Configuration { layer, track: number, codec, sets });
            }
            Err(why) => self.leave_out(TagKind::Video, number, why, parts),
        }
    }

    /// `read` takes the picture apart, given how its track is coded.
    fn picture<'a>(
        &mut self,
        millis: u64,
        number: u8,
        said: VideoCodec,
        parts: &mut Vec<Part<'a>>,
        read: impl FnOnce(Codec, usize) -> Option<(Duration, bool, Vec<&'a [u8]>)>,
    ) {
        let Some(carried) = carried(said) else { return self.unsupported(number, said, parts) };
        let Some((layer, track)) = self.pictures.find(number) else {
            if !self.left_out[TagKind::Video as usize].contains(&number) {
                self.broken += 1;
            }
            return;
        };
        let (codec, length_size) = (track.codec, track.length_size);
        self.time_of(number, millis, parts);
        match codec.filter(|codec| *codec == carried).and_then(|codec| read(codec, length_size)) {
            Some((show, key, units)) => parts.push(Part::Picture { layer, show, key, units }),
            None if codec.is_none() => {}
            None => self.broken += 1,
        }
    }

    /// A tag of the track had this time.
    fn time_of(&mut self, number: u8, millis: u64, parts: &mut Vec<Part<'_>>) {
        if let Some((layer, track)) = self.pictures.find(number)
            && jumped(&mut track.last, millis)
        {
            parts.push(Part::PicturesJumped(layer));
        }
    }

    fn unsupported(&mut self, number: u8, codec: VideoCodec, parts: &mut Vec<Part<'_>>) {
        if self.pictures.decides(number) {
            parts.push(Part::Unsupported(Unsupported::Video(codec)));
        } else {
            self.leave_out(TagKind::Video, number, LeftOut::Codec(number, codec), parts);
        }
    }

    fn audio<'a>(&mut self, millis: u64, body: &'a [u8], parts: &mut Vec<Part<'a>>) {
        if jumped(&mut self.last_sound, millis) {
            parts.push(Part::SoundJumped);
        }
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
            Ok(Audio::OtherTrack(number)) => {
                self.leave_out(TagKind::Audio, number, LeftOut::Audio(number), parts);
            }
        }
    }

    fn leave_out(&mut self, kind: TagKind, number: u8, why: LeftOut, parts: &mut Vec<Part<'_>>) {
        if self.left_out[kind as usize].insert(number) {
            parts.push(Part::LeftOut(why));
        }
    }
}

/// Whether a track's clock jumped with this tag.
fn jumped(last: &mut Option<u64>, millis: u64) -> bool {
    let before = last.replace(millis);
    before.is_some_and(|before| millis + BACK_MS < before || millis > before + FORTH_MS)
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

    fn layer_of(index: usize) -> Layer {
        Layer::all().nth(index).unwrap()
    }

    fn configured(layer: usize, track: u8, codec: Codec, sets: Vec<Bytes>) -> Part<'static> {
        Part::Configuration { layer: layer_of(layer), track, codec, sets }
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
        assert_eq!(feed.parts(&video(0, CONFIGURATION)), [configured(0, 0, Codec::H264, sets)]);
        let epoch = 1 << 32;
        let units = vec![&[0x65, 0x88][..]];
        assert_eq!(
            feed.parts(&video(10, picture)),
            [Part::Picture {
                layer: Layer::FIRST,
                show: Duration::from_millis(epoch + 43),
                key: true,
                units
            }]
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
            [Part::SoundJumped, Part::Aac(at, _)] => (true, at.as_millis() as i64 - (1 << 32)),
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
        assert_eq!(feed.parts(&video(0, &record)), [configured(0, 0, Codec::H265, sets)]);
        let picture = b"\x91hvc1\0\0\x21\0\0\0\x03\x26\x01\x07";
        let show = Duration::from_millis((1 << 32) + 43);
        let units = vec![&[0x26, 1, 7][..]];
        assert_eq!(
            feed.parts(&video(10, picture)),
            [Part::Picture { layer: Layer::FIRST, show, key: true, units }]
        );
        let sequence = b"\x0a\x02\x07\x08";
        let picture = [&b"\xa1av01\x12\0"[..], &[0x32, 1, 9]].concat();
        assert_eq!(feed.parts(&video(20, &picture)), [], "of another codec than was said");
        assert_eq!(feed.broken(), 1);
        let record = [&b"\x90av01\x81\x05\x0c\0"[..], sequence].concat();
        let sets = vec![Bytes::from_static(sequence)];
        assert_eq!(feed.parts(&video(20, &record)), [configured(0, 0, Codec::Av1, sets)]);
        let units = vec![&[0x12, 0][..], &[0x32, 1, 9]];
        let show = Duration::from_millis((1 << 32) + 20);
        assert_eq!(
            feed.parts(&video(20, &picture)),
            [Part::Picture { layer: Layer::FIRST, show, key: false, units }]
        );
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
        let other = audio(0, b"\x95\x01Opus\x02\xaa");
        assert_eq!(feed.parts(&other), [Part::LeftOut(LeftOut::Audio(2))]);
        assert_eq!(feed.parts(&other), [], "once");
        assert_eq!((feed.broken(), feed.left_out()), (0, 1));
    }

    /// AVCDecoderConfigurationRecord with one byte in each set that tells it from others.
    fn record(set: u8) -> Vec<u8> {
        let mut record = CONFIGURATION[5..].to_vec();
        record[9] = set;
        record
    }

    fn sets(set: u8) -> Vec<Bytes> {
        vec![Bytes::copy_from_slice(&[0x67, set]), Bytes::from_static(&[0x68, 2])]
    }

    fn picture_of(layer: usize, millis: u64, units: Vec<&[u8]>) -> Part<'_> {
        let show = Duration::from_millis((1 << 32) + millis);
        Part::Picture { layer: layer_of(layer), show, key: true, units }
    }

    #[test]
    fn tracks_in_all_arrangements_become_layers() {
        let mut feed = Feed::default();
        // As OBS and FFmpeg have it: the first one as if there were no others.
        assert_eq!(feed.parts(&video(0, CONFIGURATION)), [configured(0, 0, Codec::H264, sets(1))]);
        let second = [&b"\x96\x00avc1\x01"[..], &record(7)].concat();
        assert_eq!(feed.parts(&video(0, &second)), [configured(1, 1, Codec::H264, sets(7))]);
        let unit: &[u8] = &[0x65, 0x88];
        let coded = [0, 0, 0, 2, 0x65, 0x88];
        let plain = [&[0x17, 1, 0, 0, 33][..], &coded].concat();
        assert_eq!(feed.parts(&video(10, &plain)), [picture_of(0, 43, vec![unit])]);
        // With composition time, then without.
        let one = [&b"\x96\x01avc1\x01\0\0\x21"[..], &coded].concat();
        assert_eq!(feed.parts(&video(10, &one)), [picture_of(1, 43, vec![unit])]);
        let one = [&b"\x96\x03avc1\x01"[..], &coded].concat();
        assert_eq!(feed.parts(&video(20, &one)), [picture_of(1, 20, vec![unit])]);
        // A third one begins later and says so together with another configuration of the second.
        let records = [(1, record(8)), (4, record(9))].map(|(number, record)| {
            [&[number, 0, 0, u8::try_from(record.len()).unwrap()][..], &record].concat()
        });
        let many = [&b"\x96\x10avc1"[..], &records.concat()].concat();
        assert_eq!(
            feed.parts(&video(30, &many)),
            [configured(1, 1, Codec::H264, sets(8)), configured(2, 4, Codec::H264, sets(9))]
        );
        // All of them in one tag, each with its own codec; one of them is cut off, which does not hurt the others.
        let each = [0_u8, 1, 4].map(|number| {
            let coded = if number == 1 { &coded[..5] } else { &coded };
            [&b"avc1"[..], &[number, 0, 0, u8::try_from(coded.len()).unwrap()], coded].concat()
        });
        let many = [&b"\x96\x23"[..], &each.concat()].concat();
        assert_eq!(
            feed.parts(&video(40, &many)),
            [picture_of(0, 40, vec![unit]), picture_of(2, 40, vec![unit])]
        );
        assert_eq!((feed.broken(), feed.left_out()), (1, 0));
    }

    #[test]
    fn a_track_that_cannot_be_a_layer_is_named_once_and_disturbs_nobody() {
        let mut feed = Feed::default();
        feed.parts(&video(0, CONFIGURATION));
        let vp9 = VideoCodec::FourCc(FourCc(*b"vp09"));
        let other = video(0, b"\x96\x00vp09\x01\xaa");
        assert_eq!(feed.parts(&other), [Part::LeftOut(LeftOut::Codec(1, vp9))]);
        assert_eq!(feed.parts(&other), []);
        assert_eq!(feed.parts(&video(0, b"\x96\x03vp09\x01\xaa")), []);
        for number in 2..=255_u8 {
            let body = [&b"\x96\x00avc1"[..], &[number], &record(1)].concat();
            let tag = video(0, &body);
            match feed.parts(&tag)[..] {
                [Part::Configuration { track, .. }] if number < 5 => assert_eq!(track, number),
                [Part::LeftOut(LeftOut::TooMany(track))] => assert_eq!(track, number),
                ref other => panic!("{other:?}"),
            }
        }
        // Their pictures are no fault.
        assert_eq!(feed.parts(&video(10, b"\x96\x03avc1\x09\0\0\0\x02\x65\x88")), []);
        assert_eq!((feed.broken(), feed.left_out()), (0, 252));
    }

    #[test]
    fn each_track_has_jumps_of_its_own() {
        let mut feed = Feed::default();
        feed.parts(&video(0, CONFIGURATION));
        feed.parts(&video(0, &[&b"\x96\x00avc1\x01"[..], &record(7)].concat()));
        let mut jumps = |timestamp, multitrack: bool| {
            let front: &[u8] = if multitrack { b"\x96\x03avc1\x01" } else { &[0x17, 1, 0, 0, 0] };
            let tag = video(timestamp, &[front, &[0, 0, 0, 2, 0x65, 0x88]].concat());
            let parts = feed.parts(&tag);
            parts
                .iter()
                .filter_map(|part| match part {
                    Part::PicturesJumped(layer) => Some(layer.index()),
                    _ => None,
                })
                .collect::<Vec<_>>()
        };
        for (timestamp, multitrack, jumped) in [
            (5_000, false, None),
            (5_000, true, None),
            (60_000, false, Some(0)),
            // Still from before.
            (5_040, true, None),
            (60_000, true, Some(1)),
            (60_040, false, None),
        ] {
            assert_eq!(jumps(timestamp, multitrack), Vec::from_iter(jumped), "{timestamp}");
        }
    }
}
