//! Which programme there is, and what it is made of (ISO/IEC 13818-1 sections 2.4.4.3 and 2.4.4.8).

use std::fmt;

use super::{Kind, section::is_sound};

/// PID of the table of programmes.
pub(super) const ASSOCIATION_PID: u16 = 0;

/// The first programme of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Association {
    pub(super) number: u16,
    pub(super) map_pid: u16,
}

/// What the programme is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Map {
    pub(super) clock_pid: u16,
    pub(super) video: Option<(u16, Coding)>,
    pub(super) audio: Option<(u16, Coding)>,
    /// The first of each kind that cannot be taken.
    refused: [Option<Unsupported>; 2],
}

/// A table that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MapError;

/// How a track is coded that can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// ITU-T H.264, byte stream.
    H264,
    /// ITU-T H.265, byte stream.
    H265,
    /// AAC with ADTS headers.
    Aac,
    /// Opus with control headers.
    Opus,
}

/// A coding that cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Pictures or sound.
    pub kind: Kind,
    /// As people call it.
    pub name: &'static str,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        match self.kind {
            Kind::Video => {
                write!(f, "pictures must be H.264 or H.265, and this is {name}; choose an H.264 encoder")
            }
            Kind::Audio => write!(f, "sound must be AAC (ADTS) or Opus, and this is {name}"),
        }
    }
}

impl Association {
    /// `None` when it is not in force yet, or there is no programme.
    pub(super) fn parse(section: &[u8]) -> Result<Option<Self>, MapError> {
        let Some((_, body)) = table(section, 0)? else { return Ok(None) };
        let programmes = body.as_chunks::<4>().0.iter().map(|&[a, b, c, d]| Self {
            number: u16::from_be_bytes([a, b]),
            map_pid: u16::from_be_bytes([c & 0x1f, d]),
        });
        // Number 0 is the network's own table.
        Ok(programmes
            .into_iter()
            .find(|programme| programme.number != 0 && programme.map_pid > ASSOCIATION_PID))
    }
}

impl Map {
    /// `None` when it is another programme's, or not in force yet.
    pub(super) fn parse(section: &[u8], programme: u16) -> Result<Option<Self>, MapError> {
        let Some((number, body)) = table(section, 2)? else { return Ok(None) };
        if number != programme {
            return Ok(None);
        }
        let (&[a, b, c, d], body) = body.split_first_chunk().ok_or(MapError)?;
        let (_, mut streams) =
            body.split_at_checked((u16::from_be_bytes([c, d]) & 0x0fff).into()).ok_or(MapError)?;
        let mut map = Self {
            clock_pid: u16::from_be_bytes([a & 0x1f, b]),
            video: None,
            audio: None,
            refused: [None; 2],
        };
        while !streams.is_empty() {
            let (&[stream_type, a, b, c, d], behind) = streams.split_first_chunk().ok_or(MapError)?;
            let (descriptors, behind) =
                behind.split_at_checked((u16::from_be_bytes([c, d]) & 0x0fff).into()).ok_or(MapError)?;
            streams = behind;
            let pid = u16::from_be_bytes([a & 0x1f, b]);
            match stream(stream_type, descriptors) {
                Stream::Taken(coding @ (Coding::H264 | Coding::H265)) => {
                    map.video = map.video.or(Some((pid, coding)));
                }
                Stream::Taken(coding) => map.audio = map.audio.or(Some((pid, coding))),
                Stream::Refused(kind, name) => {
                    let refused = &mut map.refused[kind as usize];
                    *refused = refused.or(Some(Unsupported { kind, name }));
                }
                Stream::Other => {}
            }
        }
        Ok(Some(map))
    }

    /// Kinds of which nothing can be taken though something is there.
    pub(super) fn unsupported(&self) -> impl Iterator<Item = Unsupported> {
        let taken = [self.video.is_some(), self.audio.is_some()];
        self.refused.into_iter().zip(taken).filter(|(_, taken)| !taken).filter_map(|(refused, _)| refused)
    }
}

/// The number and the body of a table with this id; `None` for other ids and for one that will be in force later.
fn table(section: &[u8], id: u8) -> Result<Option<(u16, &[u8])>, MapError> {
    if section.first() != Some(&id) {
        return Ok(None);
    }
    if !is_sound(section) {
        return Err(MapError);
    }
    let (&[_, _, _, a, b, flags, _, _], behind) = section.split_first_chunk().ok_or(MapError)?;
    let body = behind.get(..behind.len().saturating_sub(4)).ok_or(MapError)?;
    Ok((flags & 1 == 1).then_some((u16::from_be_bytes([a, b]), body)))
}

enum Stream {
    Taken(Coding),
    Refused(Kind, &'static str),
    /// Subtitles, data.
    Other,
}

/// Table 2-34, and what registered itself under private data.
fn stream(stream_type: u8, descriptors: &[u8]) -> Stream {
    use Kind::{Audio, Video};
    match stream_type {
        0x1b => Stream::Taken(Coding::H264),
        0x0f => Stream::Taken(Coding::Aac),
        0x01 | 0x02 => Stream::Refused(Video, "MPEG-2 video"),
        0x10 => Stream::Refused(Video, "MPEG-4 part 2"),
        0x21 => Stream::Refused(Video, "JPEG 2000"),
        0x24 => Stream::Taken(Coding::H265),
        0x33 => Stream::Refused(Video, "H.266"),
        0xea => Stream::Refused(Video, "VC-1"),
        0x03 | 0x04 => Stream::Refused(Audio, "MPEG audio (MP2, MP3)"),
        0x11 => Stream::Refused(Audio, "AAC in LATM; choose ADTS"),
        0x80 | 0x83 => Stream::Refused(Audio, "PCM"),
        0x81 => Stream::Refused(Audio, "AC-3"),
        0x82 | 0x85 | 0x86 if registration(descriptors) == Some(*b"DTS1") => Stream::Refused(Audio, "DTS"),
        0x84 | 0x87 => Stream::Refused(Audio, "E-AC-3"),
        0x06 => match registration(descriptors).as_ref() {
            Some(b"Opus") => Stream::Taken(Coding::Opus),
            Some(b"HEVC") => Stream::Taken(Coding::H265),
            Some(b"AV01") => Stream::Refused(Video, "AV1"),
            Some(b"VP09") => Stream::Refused(Video, "VP9"),
            Some(b"AC-3") => Stream::Refused(Audio, "AC-3"),
            Some(b"EAC3") => Stream::Refused(Audio, "E-AC-3"),
            Some(b"BSSD") => Stream::Refused(Audio, "PCM"),
            _ => Stream::Other,
        },
        _ => Stream::Other,
    }
}

/// The registration descriptor (section 2.6.8).
fn registration(mut descriptors: &[u8]) -> Option<[u8; 4]> {
    while let Some((&[tag, length], behind)) = descriptors.split_first_chunk() {
        let (body, behind) = behind.split_at_checked(length.into())?;
        if tag == 5 {
            return body.first_chunk().copied();
        }
        descriptors = behind;
    }
    None
}
