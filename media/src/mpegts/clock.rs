//! The programme's clock: 33 bits at 90 kHz that wrap every 26.5 hours, and sometimes begin anew.

use std::time::Duration;

use super::{Kind, packet::Packet};

/// Ticks of 90 kHz, since some time long before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks(pub u64);

impl Ticks {
    /// The same as a time.
    #[must_use]
    pub fn duration(self) -> Duration {
        let nanos = (self.0 % RATE) * 1_000_000_000 / RATE;
        Duration::from_secs(self.0 / RATE) + Duration::from_nanos(nanos)
    }
}

#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The last time that was unwrapped, of any track.
    near: Option<u64>,
    /// The last decoding time of each track.
    last: [Option<Ticks>; 2],
    reference: Option<u64>,
}

impl Clock {
    /// The time nearest to the last one.
    pub(super) fn unwrap(&mut self, wire: u64) -> Ticks {
        let Some(near) = self.near else {
            let first = WRAP + wire;
            self.near = Some(first);
            return Ticks(first);
        };
        let ahead = wire.wrapping_sub(near) % WRAP;
        let extended = if ahead < WRAP / 2 { near + ahead } else { (near + ahead).saturating_sub(WRAP) };
        // Always at least one wrap from zero, so that the nearest time is never before it.
        let extended = if extended < WRAP { extended + WRAP } else { extended };
        self.near = Some(extended);
        Ticks(extended)
    }

    /// Takes a clock reference: true when the clock began anew.
    pub(super) fn reference(&mut self, packet: &Packet<'_>) -> bool {
        let Some(now) = packet.clock else { return false };
        let jumped = self.reference.is_some_and(|last| {
            let ahead = now.wrapping_sub(last) % WRAP;
            packet.discontinuity || (FORTH..WRAP - BACK).contains(&ahead)
        });
        self.reference = Some(now);
        jumped
    }

    /// Whether this decoding time has nothing to do with the track's last one.
    pub(super) fn jumped(&mut self, kind: Kind, now: Ticks, new_clock: bool) -> bool {
        let last = self.last[kind as usize].replace(now);
        last.is_some_and(|last| new_clock || now.0 + BACK < last.0 || now.0 > last.0 + FORTH)
    }
}

const RATE: u64 = 90_000;
const WRAP: u64 = 1 << 33;
/// Encoders correct themselves a little.
const BACK: u64 = RATE;
/// A picture that stands still for so long is a new one.
const FORTH: u64 = 10 * RATE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_and_jumps() {
        let mut clock = Clock::default();
        let start = WRAP - 1_000;
        let first = clock.unwrap(start);
        assert!(!clock.jumped(Kind::Video, first, false));
        for step in [900, 1_800, 1_500, 4_000, 90_000] {
            let at = clock.unwrap((start + step) % WRAP);
            assert_eq!(at.0 - first.0, step);
            assert!(!clock.jumped(Kind::Video, at, false));
        }
        let back = clock.unwrap(start);
        assert_eq!(back, first);
        assert!(!clock.jumped(Kind::Video, back, false), "one second");
        let before = clock.unwrap(start - 90_001);
        assert!(clock.jumped(Kind::Video, before, false));
        let after = clock.unwrap(start + 10 * 90_000);
        assert!(clock.jumped(Kind::Video, after, false));
        assert!(!clock.jumped(Kind::Audio, after, false), "the first of its kind");
        assert!(clock.jumped(Kind::Audio, after, true), "the reference says so");
        assert_eq!(Ticks(90_000 * 3 + 45).duration(), Duration::from_micros(3_000_500));
    }

    #[test]
    fn long_way_back() {
        let mut clock = Clock::default();
        clock.unwrap(10);
        for wire in [WRAP - 10, WRAP / 2 + 5, 3, WRAP - 1, WRAP / 2, 0] {
            assert_eq!(clock.unwrap(wire).0 % WRAP, wire);
        }
    }
}
