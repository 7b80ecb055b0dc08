//! Transport streams, as SRT publishers send them. The first byte says how the rest is cut.
#![no_main]

use heliograph_media::mpegts::{Demuxer, Event};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&cut, stream)) = data.split_first() else { return };
    let mut whole = Demuxer::default();
    let events = whole.push(stream);
    let mut total = 0;
    for event in &events {
        total += match event {
            Event::Picture { data, .. } | Event::Aac(_, data) | Event::Opus(_, data) => data.len(),
            _ => 0,
        };
    }
    assert!(total <= stream.len());
    let mut cut_up = Demuxer::default();
    let pieces: Vec<Event> =
        stream.chunks(usize::from(cut) + 1).flat_map(|piece| cut_up.push(piece)).collect();
    assert_eq!(events, pieces);
    assert_eq!(whole.broken(), cut_up.broken());
});
