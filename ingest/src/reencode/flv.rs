//! FLV as a file, as far as H.264 on a pipe needs it (Adobe FLV 10.1 annex E).

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::rtmp::flv::Video;

/// Goes before the first tag: there are pictures and nothing else.
pub(super) const HEADER: &[u8] = b"FLV\x01\x01\0\0\0\x09\0\0\0\0";

/// The tag that says how the pictures are coded. `None` when the sets cannot be right.
pub(super) fn configuration(at: u32, sps: &[u8], pps: &[u8]) -> Option<Bytes> {
    let length = |set: &[u8]| u16::try_from(set.len()).ok();
    let mut record = BytesMut::new();
    record.put_u8(1);
    record.put_slice(sps.get(1..4)?);
    // Four bytes of length in front of each NAL unit; one set of each kind.
    record.put_slice(&[0xff, 0xe1]);
    record.put_u16(length(sps)?);
    record.put_slice(sps);
    record.put_u8(1);
    record.put_u16(length(pps)?);
    record.put_slice(pps);
    tag(at, [0x17, 0, 0, 0, 0], &[&record])
}

/// The tag of one picture. `None` when it is too large for one.
pub(super) fn picture(decode: u32, show: u32, key: bool, units: &[&[u8]]) -> Option<Bytes> {
    let [_, composition @ ..] = show.wrapping_sub(decode).to_be_bytes();
    let mut parts = Vec::with_capacity(units.len() * 2);
    let lengths: Vec<_> = units.iter().map(|unit| (unit.len() as u32).to_be_bytes()).collect();
    for (length, unit) in lengths.iter().zip(units) {
        parts.push(&length[..]);
        parts.push(unit);
    }
    let [a, b, c] = composition;
    tag(decode, [if key { 0x17 } else { 0x27 }, 1, a, b, c], &parts)
}

fn tag(at: u32, head: [u8; 5], parts: &[&[u8]]) -> Option<Bytes> {
    let size = head.len() + parts.iter().map(|part| part.len()).sum::<usize>();
    let size = u32::try_from(size).ok().filter(|size| *size < 1 << 24)?;
    let mut tag = BytesMut::with_capacity(size as usize + 15);
    tag.put_u8(VIDEO);
    tag.put_uint(size.into(), 3);
    tag.put_uint((at & 0xff_ffff).into(), 3);
    tag.put_uint((at >> 24).into(), 1);
    tag.put_uint(0, 3);
    tag.put_slice(&head);
    for part in parts {
        tag.put_slice(part);
    }
    tag.put_u32(11 + size);
    Some(tag.freeze())
}

/// The next tag of pictures: its time in milliseconds, and its body. `None` at the end.
pub(super) async fn next(pipe: &mut (impl AsyncRead + Unpin)) -> Option<(u32, Bytes)> {
    loop {
        let mut head = [0; 11];
        pipe.read_exact(&mut head).await.ok()?;
        let [kind, s0, s1, s2, t0, t1, t2, t3, ..] = head;
        let size = u32::from_be_bytes([0, s0, s1, s2]) as usize;
        let mut body = vec![0; size + 4];
        pipe.read_exact(&mut body).await.ok()?;
        body.truncate(size);
        if kind == VIDEO {
            return Some((u32::from_be_bytes([t3, t0, t1, t2]), body.into()));
        }
    }
}

/// What a tag's body says: there is one track only.
pub(super) fn read(body: &[u8]) -> Option<Video<'_>> {
    Video::parse(body).ok()?.into_iter().next()?.1.ok()
}

const VIDEO: u8 = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::flv::{AvcConfiguration, VideoCodec, nal_units};

    #[tokio::test]
    async fn what_is_written_can_be_read() {
        let tags = [
            configuration(7, &[0x67, 77, 0, 31], &[0x68, 1]).unwrap(),
            Bytes::from_static(&[18, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 12]),
            picture(0x0102_0304, 0x0102_0350, true, &[&[0x65, 1], &[0x65, 2, 3]]).unwrap(),
        ];
        let all = tags.concat();
        let mut pipe = &all[..];
        let (at, body) = next(&mut pipe).await.unwrap();
        let Some(Video::Configuration(VideoCodec::Avc, record)) = read(&body) else { panic!() };
        let record = AvcConfiguration::parse(record).unwrap();
        assert_eq!((at, record.length_size, record.parameter_sets.len()), (7, 4, 2));
        let (at, body) = next(&mut pipe).await.unwrap();
        let Some(Video::Picture { key, composition, body, .. }) = read(&body) else { panic!() };
        assert_eq!((at, key, composition), (0x0102_0304, true, 0x4c));
        assert_eq!(nal_units(body, 4), Ok(vec![&[0x65, 1][..], &[0x65, 2, 3]]));
        assert_eq!(next(&mut pipe).await, None);
        assert_eq!(picture(0, 0, true, &[&vec![0; 1 << 24]]), None);
    }
}
