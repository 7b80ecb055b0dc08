//! What RTMP's audio and video messages carry: the bodies of FLV tags (Adobe FLV 10.1 annex E), with the additions of
//! Enhanced RTMP v1 and v2 (Veovera).

mod audio;
mod avc;
mod hvc;
mod video;

pub use audio::{Audio, AudioCodec};
pub use avc::{AvcConfiguration, BadUnits, nal_units};
pub use hvc::HvcConfiguration;
pub use video::{OfTrack, Video, VideoCodec};

/// Four letters that name a codec.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FourCc(pub [u8; 4]);

impl std::fmt::Display for FourCc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl std::fmt::Debug for FourCc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FourCc({self})")
    }
}

/// Why a tag cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// Ends in the middle.
    #[error("an FLV tag ends in its middle")]
    Truncated,
    /// Of a kind that no version of the specification knows.
    #[error("an FLV tag of an unknown kind")]
    Unknown,
}

/// Reads big-endian numbers from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], TagError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(TagError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, TagError> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, TagError> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u24(&mut self) -> Result<u32, TagError> {
        let bytes = self.take(3)?;
        Ok(u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]))
    }

    /// Two's complement.
    fn i24(&mut self) -> Result<i32, TagError> {
        Ok((self.u24()? << 8).cast_signed() >> 8)
    }

    fn fourcc(&mut self) -> Result<FourCc, TagError> {
        let bytes = self.take(4)?;
        Ok(FourCc([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Skips the modifiers of Enhanced RTMP v2 (nanoseconds of the timestamp, so far); gives the packet type behind them.
    fn skip_modifiers(&mut self, mut packet_type: u8) -> Result<u8, TagError> {
        while packet_type == MODIFIER {
            let mut length = usize::from(self.u8()?) + 1;
            if length == 256 {
                length = usize::from(self.u16()?) + 1;
            }
            self.take(length)?;
            packet_type = self.u8()? & 0x0f;
        }
        Ok(packet_type)
    }
}

/// One track of a tag that has several.
struct Track<'a> {
    packet_type: u8,
    codec: FourCc,
    number: u8,
    body: &'a [u8],
}

/// The tracks of a multitrack tag (the packet type in front of it is read).
fn tracks<'a>(reader: &mut Reader<'a>) -> Result<Vec<Track<'a>>, TagError> {
    let first = reader.u8()?;
    let (arrangement, packet_type) = (first >> 4, first & 0x0f);
    if arrangement > MANY_CODECS {
        return Err(TagError::Unknown);
    }
    let mut codec = if arrangement == MANY_CODECS { None } else { Some(reader.fourcc()?) };
    let mut found = Vec::new();
    while !reader.0.is_empty() {
        if arrangement == MANY_CODECS {
            codec = Some(reader.fourcc()?);
        }
        let Some(codec) = codec else { return Err(TagError::Unknown) };
        let number = reader.u8()?;
        let length = if arrangement == ONE_TRACK { reader.0.len() } else { reader.u24()? as usize };
        found.push(Track { packet_type, codec, number, body: reader.take(length)? });
        if found.len() > MAX_TRACKS {
            return Err(TagError::Unknown);
        }
        if arrangement == ONE_TRACK {
            break;
        }
    }
    Ok(found)
}

const MODIFIER: u8 = 7;
const ONE_TRACK: u8 = 0;
const MANY_CODECS: u8 = 2;
/// OBS sends up to six.
const MAX_TRACKS: usize = 32;
