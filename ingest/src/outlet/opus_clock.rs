//! Opus that publishers send themselves (Enhanced RTMP, SRT): packets are counted, the source's clock only keeps the count
//! in place.

use std::time::Duration;

use heliograph_media::{ClockRate, opus};

/// Where the packets of one track lie, in samples at 48 kHz.
#[derive(Debug, Default)]
pub(crate) struct OpusClock {
    next: Option<u64>,
}

impl OpusClock {
    /// Where this packet lies; `None` when it is no Opus, or one too many.
    pub(crate) fn place(&mut self, at: Duration, packet: &[u8]) -> Option<u64> {
        let length = ClockRate::OPUS.ticks(opus::duration(packet)?);
        let due = ClockRate::OPUS.ticks(at);
        let place = match self.next {
            // The source's sound card is slow, or something was left out.
            Some(next) if due > next + APART => due,
            // It is fast: one packet less is less of a nuisance than sound that comes late.
            Some(next) if due + APART < next => return None,
            Some(next) => next,
            None => due,
        };
        self.next = Some(place + length);
        Some(place)
    }
}

/// 30 ms: more than a packet and the rounding to milliseconds, less than an eye notices.
const APART: u64 = 30 * 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_and_kept_in_place() {
        let packet = &[0xfc, 0][..]; // CELT, 20 ms
        let ms = Duration::from_millis;
        let mut clock = OpusClock::default();
        for (at, expected) in [
            (0, Some(0)),
            (20, Some(960)),
            (39, Some(1_920)),
            (90, Some(2_880)),
            (111, Some(111 * 48)),
            (101, Some(131 * 48)),
            (120, None),
            (130, Some(151 * 48)),
        ] {
            assert_eq!(clock.place(ms(at), packet), expected, "{at}");
        }
        assert_eq!(clock.place(ms(200), &[]), None);
    }
}
