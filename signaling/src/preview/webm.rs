//! A film of one picture in WebM (RFC 9559), for the codecs that every browser plays in it.

/// `codec`: Matroska's name for it. `size`: width and height in pixels.
pub(super) fn still(codec: &str, (width, height): (u32, u32), picture: &[u8]) -> Vec<u8> {
    let head = element(
        &[0x1a, 0x45, 0xdf, 0xa3],
        &[
            number(&[0x42, 0x86], 1), // EBMLVersion
            number(&[0x42, 0xf7], 1), // EBMLReadVersion
            number(&[0x42, 0xf2], 4), // EBMLMaxIDLength
            number(&[0x42, 0xf3], 8), // EBMLMaxSizeLength
            element(&[0x42, 0x82], &[b"webm"]),
            number(&[0x42, 0x87], 4), // DocTypeVersion
            number(&[0x42, 0x85], 2), // DocTypeReadVersion
        ],
    );
    let information = element(
        &[0x15, 0x49, 0xa9, 0x66],
        &[
            number(&[0x2a, 0xd7, 0xb1], 1_000_000), // TimestampScale: a millisecond
            element(&[0x44, 0x89], &[1_000_f32.to_be_bytes()]), // Duration
            element(&[0x4d, 0x80], &[b"Heliograph"]), // MuxingApp
            element(&[0x57, 0x41], &[b"Heliograph"]), // WritingApp
        ],
    );
    let shape = element(&[0xe0], &[number(&[0xb0], width), number(&[0xba], height)]);
    let entry = element(
        &[0xae],
        &[
            number(&[0xd7], 1),       // TrackNumber
            number(&[0x73, 0xc5], 1), // TrackUID
            number(&[0x83], 1),       // TrackType: video
            element(&[0x86], &[codec]),
            shape,
        ],
    );
    let tracks = element(&[0x16, 0x54, 0xae, 0x6b], &[entry]);
    // Of track 1, at the cluster's time, a keyframe.
    let block = element(&[0xa3], &[&[0x81, 0, 0, 0x80][..], picture]);
    let cluster = element(&[0x1f, 0x43, 0xb6, 0x75], &[number(&[0xe7], 0), block]);
    let segment = element(&[0x18, 0x53, 0x80, 0x67], &[information, tracks, cluster]);
    [head, segment].concat()
}

/// An element with its size in eight bytes, which is longer than it has to be and always enough.
fn element(id: &[u8], parts: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let size: usize = parts.iter().map(|part| part.as_ref().len()).sum();
    let mut whole = Vec::with_capacity(id.len() + 8 + size);
    whole.extend_from_slice(id);
    whole.extend_from_slice(&(1 << 56 | size as u64).to_be_bytes());
    for part in parts {
        whole.extend_from_slice(part.as_ref());
    }
    whole
}

fn number(id: &[u8], value: u32) -> Vec<u8> {
    element(id, &[value.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// The elements inside `bytes`, which must fill it exactly.
    fn elements(bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
        let mut found = Vec::new();
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            let (id, behind) = rest.split_at(first.leading_zeros() as usize + 1);
            let (size, behind) = behind.split_first_chunk::<8>().unwrap();
            let size = u64::from_be_bytes(*size) & !(1 << 56);
            let (body, behind) = behind.split_at(usize::try_from(size).unwrap());
            found.push((id, body));
            rest = behind;
        }
        found
    }

    #[test]
    fn every_element_fits_and_the_picture_is_in_the_only_block() {
        let film = still("V_VP8", (640, 360), &[7; 300]);
        let all = elements(&film);
        assert_eq!(all.len(), 2);
        let segment = elements(all[1].1);
        assert_eq!(segment.len(), 3);
        let entry = elements(elements(segment[1].1)[0].1);
        assert_eq!(entry[3], (&[0x86][..], &b"V_VP8"[..]));
        let shape: Vec<_> = elements(entry[4].1).iter().map(|(_, value)| value.to_vec()).collect();
        assert_eq!(shape, [640_u32.to_be_bytes(), 360_u32.to_be_bytes()]);
        let cluster = elements(segment[2].1);
        assert_eq!(cluster[1].1[..4], [0x81, 0, 0, 0x80]);
        assert_eq!(cluster[1].1[4..], [7; 300]);
    }
}
