//! A keyframe's packets as a film of one picture, in the container in which browsers play its codec.

use bytes::Bytes;
use heliograph_media::{
    Codec,
    av1::{self, temporal_unit},
    h264::{DEFAULT_MAX_NAL, Depacketiser, NalType},
    h265, vp8, vp9,
};
use heliograph_relay::Packet;

use super::{
    mp4::{self, Coding, push_sized},
    webm,
};

/// A film of one picture.
#[derive(Clone, Debug)]
pub(crate) struct Film {
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Bytes,
}

/// The film of a whole access unit; `None` when that turns out to be no keyframe, or is damaged.
pub(super) fn film(codec: Codec, packets: &[impl AsRef<Packet>]) -> Option<Film> {
    let payloads = || packets.iter().map(|packet| &packet.as_ref().payload[..]);
    let (content_type, bytes) = match codec {
        Codec::Opus => return None,
        Codec::H264 => ("video/mp4", h264_film(packets)?),
        Codec::H265 => ("video/mp4", h265_film(h265::units(payloads())?)?),
        Codec::Av1 => ("video/mp4", av1_film(&temporal_unit(payloads())?)?),
        Codec::Vp8 => {
            let size = vp8::probe(payloads().next()?)?.size?;
            ("video/webm", webm::still("V_VP8", size, &joined(payloads().map(vp8::body))?))
        }
        Codec::Vp9 => {
            let size = vp9::probe(payloads().next()?)?.size?;
            ("video/webm", webm::still("V_VP9", size, &joined(payloads().map(vp9::lowest_layer))?))
        }
    };
    Some(Film { content_type, bytes: bytes.into() })
}

fn joined<'a>(pieces: impl Iterator<Item = Option<&'a [u8]>>) -> Option<Vec<u8>> {
    pieces.collect::<Option<Vec<_>>>().map(|pieces| pieces.concat())
}

fn h264_film(packets: &[impl AsRef<Packet>]) -> Option<Vec<u8>> {
    let mut depacketiser = Depacketiser::new(DEFAULT_MAX_NAL);
    let (mut sps, mut pps, mut picture) = (None, None, Vec::new());
    let mut key = false;
    for packet in packets {
        let packet = packet.as_ref();
        depacketiser
            .push(packet.seq, &packet.payload, |nal| match NalType::of_header(nal[0]) {
                NalType::SPS => sps = Some(nal.to_vec()),
                NalType::PPS => pps = Some(nal.to_vec()),
                kind => {
                    key |= kind == NalType::IDR;
                    push_sized(&mut picture, nal);
                }
            })
            .ok()?;
    }
    let coding = Coding::h264(&sps?, &pps?)?;
    key.then(|| mp4::still(&coding, &picture)).flatten()
}

fn h265_film(units: Vec<Vec<u8>>) -> Option<Vec<u8>> {
    const VPS: u8 = 32;
    const SPS: u8 = 33;
    const PPS: u8 = 34;
    const KEY_PICTURES: std::ops::RangeInclusive<u8> = 16..=23;
    let (mut vps, mut sps, mut pps, mut picture) = (None, None, None, Vec::new());
    let mut key = false;
    for unit in units {
        match h265::unit_type(&unit)? {
            VPS => vps = Some(unit),
            SPS => sps = Some(unit),
            PPS => pps = Some(unit),
            kind => {
                key |= KEY_PICTURES.contains(&kind);
                push_sized(&mut picture, &unit);
            }
        }
    }
    let coding = Coding::h265(&vps?, &sps?, &pps?)?;
    key.then(|| mp4::still(&coding, &picture)).flatten()
}

fn av1_film(unit: &[u8]) -> Option<Vec<u8>> {
    const SEQUENCE_HEADER: u8 = 1;
    let header = av1::obus(unit)?.into_iter().find(|obu| av1::obu_type(obu) == SEQUENCE_HEADER)?;
    mp4::still(&Coding::av1(header)?, unit)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::{sync::Arc, time::Instant};

    use heliograph_media::SeqNo;
    use heliograph_relay::StartParts;

    use super::*;

    /// A keyframe's packets with these payloads.
    fn packets(payloads: &[&[u8]]) -> Vec<Arc<Packet>> {
        (0..)
            .zip(payloads)
            .map(|(at, payload)| {
                Arc::new(Packet {
                    seq: SeqNo(at),
                    timestamp: 0,
                    marker: at + 1 == payloads.len() as u64,
                    frame_start: at == 0,
                    keyframe_start: at == 0,
                    parts: StartParts::NONE,
                    arrival: Instant::now(),
                    payload: Bytes::copy_from_slice(payload),
                })
            })
            .collect()
    }

    const VP8: &[u8] = &[0x10, 0x10, 2, 0, 0x9d, 1, 0x2a, 0, 5, 0xd0, 2];
    const VP9: &[u8] = &[0x0c, 0x82, 0x49, 0x83, 0x42, 0, 0x4f, 0xf0, 0x2c, 0xf0];
    /// A parameter set of 640 by 360, with the bytes that are inserted against start codes.
    const H265_SPS: &[u8] = &[
        0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3f, 0xa0, 5, 2, 1, 0x69, 0x65, 0x95,
        0x9a, 0x49, 0x32, 0xbc, 4, 4, 0, 0, 3, 0, 4, 0, 0, 3, 0, 0x64, 0x20,
    ];

    fn has(film: &Film, name: &[u8]) -> bool {
        film.bytes.windows(name.len()).any(|part| part == name)
    }

    #[test]
    fn the_picture_goes_into_what_browsers_play_its_codec_in() {
        for (codec, payloads, content_type, name, picture) in [
            (Codec::Vp8, &[VP8, &[0, 7, 7]][..], "video/webm", &b"V_VP8"[..], &[5, 0xd0, 2, 7, 7][..]),
            // What belongs to the upper spatial layer stays away.
            (Codec::Vp9, &[VP9, &[0x20, 2, 7, 8, 8], &[0x04, 9]], "video/webm", b"V_VP9", &[0x2c, 0xf0, 9]),
            (
                Codec::H265,
                &[&[0x40, 1, 1], H265_SPS, &[0x44, 1, 2], &[0x62, 1, 0x93, 7], &[0x62, 1, 0x53, 8]],
                "video/mp4",
                b"hvcC",
                &[0, 0, 0, 4, 0x26, 1, 7, 8],
            ),
        ] {
            let film = film(codec, &packets(payloads)).unwrap();
            assert_eq!(film.content_type, content_type);
            assert!(has(&film, name), "{codec}");
            assert!(film.bytes.ends_with(picture), "{codec}: {:02x?}", film.bytes);
        }
    }

    #[test]
    fn what_is_no_whole_keyframe_makes_no_film() {
        for (codec, payloads) in [
            (Codec::Vp8, &[&[0x10, 0x11, 2, 0][..]][..]),
            (Codec::Vp8, &[VP8, &[0x90]]),
            (Codec::Vp9, &[&[0x88, 0x12, 0x86, 0]]),
            (Codec::H265, &[H265_SPS, &[0x26, 1, 7]]),
            (Codec::H265, &[&[0x40, 1, 1], H265_SPS, &[0x44, 1, 2], &[2, 1, 7]]),
            (Codec::Av1, &[&[0x10, 0x30, 7]]),
            (Codec::Opus, &[&[0xfc]]),
            (Codec::Vp8, &[]),
        ] {
            assert!(film(codec, &packets(payloads)).is_none(), "{codec} {payloads:02x?}");
        }
    }
}
