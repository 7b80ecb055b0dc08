//! A film of one picture (ISO/IEC 14496-12, 14496-15): the least that every browser plays.

use heliograph_media::{av1, h264, h265};

/// Ticks of the only picture and of the film, in thousandths of a second.
const DURATION: u32 = 1_000;
const TIMESCALE: u32 = 1_000;
/// Rows of the matrix that leaves a picture as it is.
const UNITY: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// Appends a NAL unit as MP4 has it: its length in four bytes, then itself.
pub(super) fn push_sized(sample: &mut Vec<u8>, nal: &[u8]) {
    sample.extend_from_slice(&length(nal.len()));
    sample.extend_from_slice(nal);
}

/// How a picture is coded, as its sample entry says it.
pub(super) struct Coding {
    /// Of the sample entry.
    name: [u8; 4],
    /// In pixels.
    width: u16,
    /// In pixels.
    height: u16,
    /// The box with what a decoder has to know.
    configuration: Vec<u8>,
}

impl Coding {
    /// `None` when the sequence parameter set cannot be read. ISO/IEC 14496-15 section 5.3.3.
    pub(super) fn h264(sps: &[u8], pps: &[u8]) -> Option<Self> {
        let shape = h264::Sps::parse(sps).ok()?;
        let configuration = [
            &[1, sps[1], sps[2], sps[3], 0xff, 0xe1][..],
            &u16::try_from(sps.len()).ok()?.to_be_bytes(),
            sps,
            &[1],
            &u16::try_from(pps.len()).ok()?.to_be_bytes(),
            pps,
        ];
        Self::new(*b"avc1", (shape.width, shape.height), boxed(*b"avcC", &configuration))
    }

    /// `None` when the sequence parameter set cannot be read. ISO/IEC 14496-15 section 8.3.3.
    pub(super) fn h265(vps: &[u8], sps: &[u8], pps: &[u8]) -> Option<Self> {
        const MAIN_10: u8 = 2;
        let shape = h265::Sps::parse(sps)?;
        // The profile, tier and level stand behind the header and one byte, as they are written here.
        let plain = unescaped(sps);
        let profile = plain.get(3..15)?;
        let depth = if shape.profile == MAIN_10 { 0xfa } else { 0xf8 };
        let mut configuration =
            [&[1][..], profile, &[0xf0, 0, 0xfc, 0xfd, depth, depth, 0, 0, 0x0f, 3]].concat();
        for unit in [vps, sps, pps] {
            configuration.extend([0x80 | h265::unit_type(unit)?, 0, 1]);
            configuration.extend(u16::try_from(unit.len()).ok()?.to_be_bytes());
            configuration.extend_from_slice(unit);
        }
        Self::new(*b"hvc1", (shape.width, shape.height), boxed(*b"hvcC", &[&configuration]))
    }

    /// `header`: the sequence header, an OBU with its size; `None` when it cannot be read. AV1 in ISOBMFF section 2.3.
    pub(super) fn av1(header: &[u8]) -> Option<Self> {
        // Looks at RTP payloads, of which this is the only element then, in a new sequence.
        let shape = av1::probe(&[&[0x18], header].concat())?.sequence?;
        let sampling = if shape.profile == 1 { 0 } else { 0x0c };
        let configuration =
            [&[0x81, shape.profile << 5 | shape.level, shape.tier << 7 | sampling, 0][..], header];
        Self::new(*b"av01", (shape.width, shape.height), boxed(*b"av1C", &configuration))
    }

    fn new(name: [u8; 4], (width, height): (u32, u32), configuration: Vec<u8>) -> Option<Self> {
        Some(Self { name, width: width.try_into().ok()?, height: height.try_into().ok()?, configuration })
    }
}

/// Without the bytes that H.265 inserts against false start codes (section 7.4.2).
fn unescaped(unit: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for &byte in unit {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    plain
}

/// The film of a keyframe. `picture`: as MP4 has it, without what the coding says already. `None`: too long.
pub(super) fn still(coding: &Coding, picture: &[u8]) -> Option<Vec<u8>> {
    let Coding { name, width, height, ref configuration } = *coding;
    let mut film = Vec::with_capacity(picture.len() + 1_024);
    film.extend(boxed(*b"ftyp", &[b"isom", &0x200_u32.to_be_bytes()[..], b"isom", &name]));
    // Where the picture begins is known once its place in here is: everything before it has a fixed length.
    let moov = |offset: u32| {
        let entry = [
            &[0; 6][..],
            &1_u16.to_be_bytes(),
            &[0; 16],
            &width.to_be_bytes(),
            &height.to_be_bytes(),
            // 72 dpi each way, one picture a sample, no name, no colour table.
            &0x48_0000_u32.to_be_bytes(),
            &0x48_0000_u32.to_be_bytes(),
            &[0; 4],
            &1_u16.to_be_bytes(),
            &[0; 32],
            &0x18_u16.to_be_bytes(),
            &[0xff, 0xff],
            configuration,
        ];
        let table = boxed(
            *b"stbl",
            &[
                &full(*b"stsd", 0, &[&words(&[1]), &boxed(name, &entry)]),
                &full(*b"stts", 0, &[&words(&[1, 1, DURATION])]),
                &full(*b"stsc", 0, &[&words(&[1, 1, 1, 1])]),
                &full(*b"stsz", 0, &[&words(&[0, 1]), &length(picture.len())]),
                &full(*b"stco", 0, &[&words(&[1, offset])]),
            ],
        );
        let reference = boxed(*b"dinf", &[&full(*b"dref", 0, &[&words(&[1]), &full(*b"url ", 1, &[])])]);
        let information = boxed(*b"minf", &[&full(*b"vmhd", 1, &[&words(&[0, 0])]), &reference, &table]);
        let media = boxed(
            *b"mdia",
            &[
                // 0x55c4 is "und": no language.
                &full(*b"mdhd", 0, &[&words(&[0, 0, TIMESCALE, DURATION, 0x55c4_0000])]),
                &full(*b"hdlr", 0, &[&words(&[0]), b"vide", &words(&[0, 0, 0]), &[0]]),
                &information,
            ],
        );
        let track_header = full(
            *b"tkhd",
            3,
            &[
                &words(&[0, 0, 1, 0, DURATION, 0, 0, 0, 0]),
                &words(&UNITY),
                &words(&[u32::from(width) << 16, u32::from(height) << 16]),
            ],
        );
        let movie_header = full(
            *b"mvhd",
            0,
            &[
                &words(&[0, 0, TIMESCALE, DURATION, 0x1_0000, 0x100_0000, 0, 0]),
                &words(&UNITY),
                &words(&[0, 0, 0, 0, 0, 0, 2]),
            ],
        );
        boxed(*b"moov", &[&movie_header, &boxed(*b"trak", &[&track_header, &media])])
    };
    let offset = u32::try_from(film.len() + moov(0).len() + 8).ok()?;
    film.extend(moov(offset));
    film.extend(boxed(*b"mdat", &[picture]));
    Some(film)
}

fn boxed(kind: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let inside: usize = parts.iter().map(|part| part.len()).sum();
    let mut whole = Vec::with_capacity(inside + 8);
    whole.extend(length(inside + 8));
    whole.extend(kind);
    for part in parts {
        whole.extend_from_slice(part);
    }
    whole
}

/// A box with version 0 and flags.
fn full(kind: [u8; 4], flags: u32, parts: &[&[u8]]) -> Vec<u8> {
    let flags = flags.to_be_bytes();
    let mut all = vec![&flags[..]];
    all.extend_from_slice(parts);
    boxed(kind, &all)
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    use crate::preview::testing::SPS;

    /// The boxes inside `bytes`, which must fill it exactly.
    fn boxes(bytes: &[u8]) -> Vec<(String, &[u8])> {
        let mut found = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            found.push((String::from_utf8(rest[4..8].to_vec()).unwrap(), &rest[8..size]));
            rest = &rest[size..];
        }
        found
    }

    fn inside<'a>(bytes: &'a [u8], path: &[&str]) -> &'a [u8] {
        path.iter().fold(bytes, |bytes, name| {
            boxes(bytes).into_iter().find(|(kind, _)| kind == name).unwrap_or_else(|| panic!("no {name}")).1
        })
    }

    #[test]
    fn every_box_fits_and_the_picture_lies_where_the_table_says() {
        let sps = SPS;
        let mut picture = Vec::new();
        push_sized(&mut picture, &[0x65, 1, 2, 3]);
        push_sized(&mut picture, &[0x65, 4]);
        assert_eq!(picture, [0, 0, 0, 4, 0x65, 1, 2, 3, 0, 0, 0, 2, 0x65, 4]);
        let film = still(&Coding::h264(sps, &[0x68, 0xce]).unwrap(), &picture).unwrap();
        let kinds: Vec<_> = boxes(&film).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["ftyp", "moov", "mdat"]);
        let table = inside(&film, &["moov", "trak", "mdia", "minf", "stbl"]);
        let kinds: Vec<_> = boxes(table).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["stsd", "stts", "stsc", "stsz", "stco"]);
        let offset = inside(table, &["stco"]);
        let offset = u32::from_be_bytes(offset[8..12].try_into().unwrap()) as usize;
        assert_eq!(&film[offset..], &picture[..]);
        // The sample entry: 8 bytes of counts, its own header, 78 bytes of fixed fields.
        let entry = &inside(table, &["stsd"])[8..];
        let (kind, entry) = boxes(entry).remove(0);
        assert_eq!(kind, "avc1");
        let shape = h264::Sps::parse(sps).unwrap();
        assert_eq!(u32::from(u16::from_be_bytes(entry[24..26].try_into().unwrap())), shape.width);
        assert_eq!(u32::from(u16::from_be_bytes(entry[26..28].try_into().unwrap())), shape.height);
        assert_eq!(inside(&entry[78..], &["avcC"])[..4], [1, 0x42, 0xc0, 0x0a]);
        assert_eq!(inside(&film, &["moov", "trak", "tkhd"]).len(), 84);
        assert_eq!(inside(&film, &["moov", "mvhd"]).len(), 100);
    }

    #[test]
    fn without_parameters_there_is_no_film() {
        assert!(Coding::h264(&[0x67], &[0x68]).is_none());
        assert!(Coding::h264(&[0x68, 0, 0, 0], &[0x68]).is_none());
        assert!(Coding::h265(&[0x40, 1], &[0x42, 1], &[0x44, 1]).is_none());
        assert!(Coding::av1(&[0x0a, 0]).is_none());
    }

    #[test]
    fn inserted_bytes_are_no_part_of_the_profile() {
        assert_eq!(unescaped(&[1, 0, 0, 3, 0, 0, 3, 3, 0, 3]), [1, 0, 0, 0, 0, 3, 0, 3]);
    }
}
