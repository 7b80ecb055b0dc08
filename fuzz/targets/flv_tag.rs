//! Bodies of FLV tags, one after the other: kind, time and length in front of each.
#![no_main]

use heliograph_ingest::rtmp::{
    Feed, Part,
    protocol::{Tag, TagKind},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut feed = Feed::default();
    let mut rest = data;
    while let [kind, a, b, c, d, length, behind @ ..] = rest {
        let (body, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        rest = behind;
        let kind = if kind % 2 == 0 { TagKind::Video } else { TagKind::Audio };
        let tag = Tag { kind, timestamp: u32::from_be_bytes([*a, *b, *c, *d]), body: body.to_vec().into() };
        let parts = feed.parts(&tag);
        // A tag has at most so many tracks, and each of them can have jumped.
        assert!(parts.len() <= 2 * 32 && feed.left_out() <= 2 * 256);
        for part in parts {
            match part {
                Part::Picture { units, .. } => {
                    let total: usize = units.iter().map(|unit| unit.len()).sum();
                    assert!(total <= body.len() && units.iter().all(|unit| !unit.is_empty()));
                }
                Part::Configuration { sets, .. } => assert!(sets.iter().all(|set| !set.is_empty())),
                Part::Aac(_, bytes) | Part::Opus(_, bytes) => assert!(bytes.len() < body.len()),
                _ => {}
            }
        }
    }
});
