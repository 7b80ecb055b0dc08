//! What a client says about its stream between `CONNECT` and `.`.

use heliograph_media::{Codec, PayloadType, Ssrc};

use super::command::parse_u32_however_signed;

/// The metadata lines collected so far. Unknown keys are left alone; the picture size is, too: every client sends the
/// same constant there.
#[derive(Clone, Debug, Default)]
pub(super) struct Metadata {
    lines: usize,
    vendor_name: String,
    vendor_version: String,
    video: MediumLines,
    audio: MediumLines,
}

/// The lines of one medium; `None` when a line did not come.
#[derive(Clone, Debug, Default)]
struct MediumLines {
    enabled: Option<bool>,
    codec: Option<String>,
    payload_type: Option<u32>,
    ssrc: Option<u32>,
}

impl Metadata {
    /// Takes a line in.
    pub(super) fn take(&mut self, key: &str, value: &str) -> Result<(), BadMetadata> {
        self.lines += 1;
        if self.lines > MAX_LINES {
            return Err(BadMetadata::TooManyLines);
        }
        let flag = |key| match value.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(BadMetadata::Value(key)),
        };
        let number = |key| parse_u32_however_signed(value).map(Some).ok_or(BadMetadata::Value(key));
        match key.to_ascii_lowercase().as_str() {
            "vendorname" => self.vendor_name = shorten(value),
            "vendorversion" => self.vendor_version = shorten(value),
            "video" => self.video.enabled = flag("Video")?,
            "videocodec" => self.video.codec = Some(shorten(value)),
            "videopayloadtype" => self.video.payload_type = number("VideoPayloadType")?,
            "videoingestssrc" => self.video.ssrc = number("VideoIngestSSRC")?,
            "audio" => self.audio.enabled = flag("Audio")?,
            "audiocodec" => self.audio.codec = Some(shorten(value)),
            "audiopayloadtype" => self.audio.payload_type = number("AudioPayloadType")?,
            "audioingestssrc" => self.audio.ssrc = number("AudioIngestSSRC")?,
            _ => {}
        }
        Ok(())
    }

    /// At `.`: what the stream will be.
    pub(super) fn finish(self) -> Result<Announcement, BadMetadata> {
        // Very simple clients say nothing about a medium; then it is what every client sends.
        let video = self.video.track(Codec::H264, !self.audio.mentioned())?;
        let audio = self.audio.track(Codec::Opus, !self.video.mentioned())?;
        match (&video, &audio) {
            (None, None) => return Err(BadMetadata::NoMedium),
            (Some(video), Some(audio)) if video.payload_type == audio.payload_type => {
                return Err(BadMetadata::SamePayloadType);
            }
            _ => {}
        }
        Ok(Announcement { vendor_name: self.vendor_name, vendor_version: self.vendor_version, video, audio })
    }
}

impl MediumLines {
    fn mentioned(&self) -> bool {
        self.enabled.is_some() || self.codec.is_some() || self.payload_type.is_some() || self.ssrc.is_some()
    }

    fn track(&self, codec: Codec, by_default: bool) -> Result<Option<AnnouncedTrack>, BadMetadata> {
        let named = self.codec.as_deref();
        if !self.enabled.unwrap_or(by_default || self.mentioned()) || named == Some("") {
            return Ok(None);
        }
        if named.is_some_and(|name| {
            !name.eq_ignore_ascii_case(match codec {
                Codec::H264 => "H264",
                Codec::Opus => "OPUS",
                // No other has a name in FTL.
                _ => "",
            })
        }) {
            return Err(BadMetadata::Codec(codec));
        }
        let usual = if codec == Codec::H264 { PayloadType::H264 } else { PayloadType::OPUS };
        let payload_type = match self.payload_type {
            None => usual,
            Some(number) => u8::try_from(number)
                .ok()
                .and_then(PayloadType::new)
                .filter(|payload_type| usable(*payload_type))
                .ok_or(BadMetadata::PayloadType)?,
        };
        Ok(Some(AnnouncedTrack { codec, payload_type, ssrc: self.ssrc.map(Ssrc) }))
    }
}

/// What a publisher will send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// `OBS Studio` and the like; may be empty.
    pub vendor_name: String,
    /// Of that program; may be empty.
    pub vendor_version: String,
    /// Pictures, if any. At least one of the two media is there.
    pub video: Option<AnnouncedTrack>,
    /// Sound, if any.
    pub audio: Option<AnnouncedTrack>,
}

/// One medium of an [`Announcement`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnouncedTrack {
    /// How it is coded.
    pub codec: Codec,
    /// In each of its packets.
    pub payload_type: PayloadType,
    /// In each of its packets, when the client said so.
    pub ssrc: Option<Ssrc>,
}

/// Why the metadata cannot be used; the publisher sees this text behind a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadMetadata {
    #[error("too many metadata lines")]
    TooManyLines,
    #[error("unusable value for {0}")]
    Value(&'static str),
    #[error("neither video nor audio")]
    NoMedium,
    #[error("video and audio have the same payload type")]
    SamePayloadType,
    #[error("this payload type cannot be used")]
    PayloadType,
    #[error("only {0} can be taken here")]
    Codec(Codec),
}

/// With the marker bit, 64 to 95 look like RTCP (RFC 5761 section 4) and 122 like an FTL ping.
fn usable(payload_type: PayloadType) -> bool {
    !(64..96).contains(&payload_type.get()) && payload_type.get() != 122
}

/// The SDK has 50 bytes for a name; control characters would only upset logs.
fn shorten(value: &str) -> String {
    value.chars().filter(|c| !c.is_control()).take(MAX_VALUE_CHARS).collect()
}

/// Clients send 13.
const MAX_LINES: usize = 128;
const MAX_VALUE_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn announce(lines: &[(&str, &str)]) -> Result<Announcement, BadMetadata> {
        let mut metadata = Metadata::default();
        for (key, value) in lines {
            metadata.take(key, value)?;
        }
        metadata.finish()
    }

    fn track(codec: Codec, payload_type: u8, ssrc: Option<u32>) -> Option<AnnouncedTrack> {
        Some(AnnouncedTrack {
            codec,
            payload_type: PayloadType::new(payload_type).unwrap(),
            ssrc: ssrc.map(Ssrc),
        })
    }

    #[test]
    fn what_obs_sends() {
        let announcement = announce(&[
            ("ProtocolVersion", "0.9"),
            ("VendorName", "OBS Studio"),
            ("VendorVersion", "29.0.2"),
            ("Video", "true"),
            ("VideoCodec", "H264"),
            ("VideoHeight", "720"),
            ("VideoWidth", "1280"),
            ("VideoPayloadType", "96"),
            ("VideoIngestSSRC", "-1294967295"),
            ("Audio", "true"),
            ("AudioCodec", "OPUS"),
            ("AudioPayloadType", "97"),
            ("AudioIngestSSRC", "-1294967296"),
        ])
        .unwrap();
        assert_eq!(announcement.vendor_name, "OBS Studio");
        assert_eq!(announcement.vendor_version, "29.0.2");
        assert_eq!(announcement.video, track(Codec::H264, 96, Some(3_000_000_001)));
        assert_eq!(announcement.audio, track(Codec::Opus, 97, Some(3_000_000_000)));
    }

    #[test]
    fn bug_k_announced_payload_types_count() {
        let announcement = announce(&[("VideoPayloadType", "100"), ("AudioPayloadType", "111")]).unwrap();
        assert_eq!(announcement.video, track(Codec::H264, 100, None));
        assert_eq!(announcement.audio, track(Codec::Opus, 111, None));
    }

    #[test]
    fn media_left_out() {
        assert_eq!(announce(&[]).unwrap().video, track(Codec::H264, 96, None));
        assert_eq!(announce(&[]).unwrap().audio, track(Codec::Opus, 97, None));
        let only_audio = announce(&[("Audio", "true"), ("AudioIngestSSRC", "5")]).unwrap();
        assert_eq!((only_audio.video, only_audio.audio), (None, track(Codec::Opus, 97, Some(5))));
        let only_video = announce(&[("Video", "true"), ("Audio", "false")]).unwrap();
        assert_eq!((only_video.video, only_video.audio), (track(Codec::H264, 96, None), None));
        let empty_codec = announce(&[("Video", "true"), ("VideoCodec", ""), ("Audio", "true")]).unwrap();
        assert_eq!(empty_codec.video, None);
        assert_eq!(announce(&[("Video", "false"), ("Audio", "false")]).unwrap_err(), BadMetadata::NoMedium);
    }

    #[test]
    fn itg_fault_15_invalid_values_are_answered() {
        for (key, value, why) in [
            ("Video", "maybe", BadMetadata::Value("Video")),
            ("Audio", "", BadMetadata::Value("Audio")),
            ("VideoIngestSSRC", "x", BadMetadata::Value("VideoIngestSSRC")),
            ("VideoPayloadType", "-", BadMetadata::Value("VideoPayloadType")),
            ("VideoPayloadType", "72", BadMetadata::PayloadType),
            ("VideoPayloadType", "95", BadMetadata::PayloadType),
            ("VideoPayloadType", "122", BadMetadata::PayloadType),
            ("VideoPayloadType", "128", BadMetadata::PayloadType),
            ("VideoPayloadType", "97", BadMetadata::SamePayloadType),
            ("VideoCodec", "VP8", BadMetadata::Codec(Codec::H264)),
            ("AudioCodec", "AAC", BadMetadata::Codec(Codec::Opus)),
        ] {
            let lines = [("Video", "true"), ("Audio", "true"), (key, value)];
            assert_eq!(announce(&lines).unwrap_err(), why, "{key}: {value}");
        }
        assert!(announce(&[("VideoCodec", "h264"), ("AudioCodec", "opus")]).is_ok());
    }

    #[test]
    fn bounded() {
        let mut metadata = Metadata::default();
        for _ in 0..MAX_LINES {
            metadata.take("Anything", "else").unwrap();
        }
        assert_eq!(metadata.take("Anything", "else"), Err(BadMetadata::TooManyLines));
        let announcement = announce(&[("VendorName", &"x".repeat(1000))]).unwrap();
        assert_eq!(announcement.vendor_name.len(), MAX_VALUE_CHARS);
    }
}
