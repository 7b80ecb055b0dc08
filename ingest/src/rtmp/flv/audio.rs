use super::{FourCc, Reader, TagError, tracks};

/// What one audio tag says. Bodies are parts of the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audio<'a> {
    /// How the decoder is to be set up: AudioSpecificConfig, or `OpusHead`.
    Configuration(AudioCodec, &'a [u8]),
    /// One packet.
    Packet(AudioCodec, &'a [u8]),
    /// Another track than the first, which nobody hears.
    OtherTrack(u8),
    /// End of sequence, channel layouts.
    Nothing,
}

/// How sound is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// AAC of any profile.
    Aac,
    /// Opus.
    Opus,
    /// Something else of Enhanced RTMP.
    FourCc(FourCc),
    /// Something of FLV's own list.
    Numbered(u8),
}

impl std::fmt::Display for AudioCodec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Aac => f.write_str("AAC"),
            Self::Opus => f.write_str("Opus"),
            Self::FourCc(fourcc) => fourcc.fmt(f),
            Self::Numbered(2 | 14) => f.write_str("MP3"),
            Self::Numbered(11) => f.write_str("Speex"),
            Self::Numbered(number) => write!(f, "FLV audio codec {number}"),
        }
    }
}

impl<'a> Audio<'a> {
    /// Reads the body of an audio tag.
    ///
    /// # Errors
    /// See [`TagError`].
    pub fn parse(body: &'a [u8]) -> Result<Self, TagError> {
        let mut reader = Reader(body);
        let first = reader.u8()?;
        match first >> 4 {
            AAC => match reader.u8()? {
                0 => Ok(Self::Configuration(AudioCodec::Aac, reader.0)),
                1 => Ok(Self::Packet(AudioCodec::Aac, reader.0)),
                _ => Err(TagError::Unknown),
            },
            ENHANCED => enhanced(&mut reader, first & 0x0f),
            number => Ok(Self::Packet(AudioCodec::Numbered(number), reader.0)),
        }
    }
}

fn enhanced<'a>(reader: &mut Reader<'a>, packet_type: u8) -> Result<Audio<'a>, TagError> {
    let packet_type = reader.skip_modifiers(packet_type)?;
    if packet_type != MULTITRACK {
        let codec = reader.fourcc()?;
        return coded(packet_type, codec, reader.0);
    }
    let tracks = tracks(reader)?;
    match tracks.iter().find(|track| track.number == 0) {
        Some(track) => coded(track.packet_type, track.codec, track.body),
        None => Ok(tracks.first().map_or(Audio::Nothing, |track| Audio::OtherTrack(track.number))),
    }
}

fn coded(packet_type: u8, codec: FourCc, body: &[u8]) -> Result<Audio<'_>, TagError> {
    let codec = match &codec.0 {
        b"mp4a" => AudioCodec::Aac,
        b"Opus" => AudioCodec::Opus,
        _ => AudioCodec::FourCc(codec),
    };
    match packet_type {
        0 => Ok(Audio::Configuration(codec, body)),
        1 => Ok(Audio::Packet(codec, body)),
        2 | 4 => Ok(Audio::Nothing),
        _ => Err(TagError::Unknown),
    }
}

const AAC: u8 = 10;
const ENHANCED: u8 = 9;
const MULTITRACK: u8 = 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_of_all_sorts() {
        for (text, expected) in [
            ("af 00 1190", Ok(Audio::Configuration(AudioCodec::Aac, &[0x11, 0x90]))),
            ("af 01 aa", Ok(Audio::Packet(AudioCodec::Aac, &[0xaa]))),
            ("2f aa", Ok(Audio::Packet(AudioCodec::Numbered(2), &[0xaa]))),
            ("90 4f707573 4f", Ok(Audio::Configuration(AudioCodec::Opus, &[0x4f]))),
            ("91 4f707573 fc", Ok(Audio::Packet(AudioCodec::Opus, &[0xfc]))),
            ("91 6d703461 aa", Ok(Audio::Packet(AudioCodec::Aac, &[0xaa]))),
            ("91 61632d33 aa", Ok(Audio::Packet(AudioCodec::FourCc(FourCc(*b"ac-3")), &[0xaa]))),
            ("94 4f707573 00", Ok(Audio::Nothing)),
            ("95 01 4f707573 00 fc", Ok(Audio::Packet(AudioCodec::Opus, &[0xfc]))),
            ("95 01 4f707573 03 fc", Ok(Audio::OtherTrack(3))),
            ("97 00 00 01 4f707573 fc", Ok(Audio::Packet(AudioCodec::Opus, &[0xfc]))),
            ("", Err(TagError::Truncated)),
            ("af", Err(TagError::Truncated)),
            ("af 02", Err(TagError::Unknown)),
            ("9f 4f707573", Err(TagError::Unknown)),
        ] {
            let bytes = hex::decode(text.replace(' ', "")).unwrap();
            assert_eq!(Audio::parse(&bytes), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _any = Audio::parse(&bytes);
        }
    }
}
