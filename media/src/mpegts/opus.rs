//! Opus in transport streams: each packet behind a control header, as ffmpeg writes it.

use std::time::Duration;

use super::{Event, Ticks};
use crate::opus;

/// Reads what one PES packet holds; returns how much was broken.
pub(super) fn read(time: Ticks, mut data: &[u8], events: &mut Vec<Event>) -> u64 {
    let mut passed = Duration::ZERO;
    while !data.is_empty() {
        let Some((packet, rest)) = next(data) else { return 1 };
        data = rest;
        let Some(duration) = opus::duration(packet) else { return 1 };
        let ticks = u64::try_from(passed.as_micros() * 9 / 100).unwrap_or(0);
        events.push(Event::Opus(Ticks(time.0 + ticks), packet.to_vec()));
        passed += duration;
    }
    0
}

fn next(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[first, second], mut rest) = data.split_first_chunk()?;
    if first != 0x7f || second & 0xe0 != 0xe0 {
        return None;
    }
    let mut size = 0;
    loop {
        let (&more, behind) = rest.split_first()?;
        rest = behind;
        size += usize::from(more);
        if more != 0xff {
            break;
        }
    }
    // Samples to leave out at either end: a live stream has none that matter.
    for trim in [0x10, 0x08] {
        if second & trim != 0 {
            rest = rest.get(2..)?;
        }
    }
    if second & 0x04 != 0 {
        let (&length, behind) = rest.split_first()?;
        rest = behind.get(usize::from(length)..)?;
    }
    rest.split_at_checked(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_headers() {
        let mut events = Vec::new();
        // 20 ms of CELT; 260 bytes behind a start trim; a broken rest.
        let mut data = vec![0x7f, 0xe0, 2, 0xfc, 1, 0x7f, 0xf0, 0xff, 5, 1, 2];
        let mut long = vec![0xfc];
        long.resize(260, 9);
        data.extend(&long);
        data.push(0x7f);
        assert_eq!(read(Ticks(100), &data, &mut events), 1);
        assert_eq!(events, [Event::Opus(Ticks(100), vec![0xfc, 1]), Event::Opus(Ticks(1_900), long)]);
    }
}
