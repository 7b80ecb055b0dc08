//! Keeps counted samples on the source's clock.

use std::time::Duration;

use crate::RATE;

/// Follows a source that says when each of its packets begins, while samples are only counted.
///
/// The difference between both, smoothed because sources write whole milliseconds or even the moment of sending, bends
/// the resampling ratio a little: 50 parts per million for each millisecond, at most 1000. A source whose sound card
/// runs 200 parts per million fast so settles 4 ms off. A difference above 100 ms is no drift but a gap, or a source
/// that changed its mind: see [`Correction::Gap`] and [`Correction::Surplus`].
#[derive(Clone, Debug, Default)]
pub struct SampleClock {
    /// Where the next sample lies, in samples since the source's zero; `None` before the first packet.
    next: Option<u64>,
    /// Smoothed difference in samples: positive when more were counted than time has passed.
    ahead: f64,
    /// Samples counted since the last bending.
    since_bend: u64,
}

/// What to do before the packet is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// Nothing.
    None,
    /// Make sound longer by so many samples per million (shorter when negative) until told otherwise.
    Bend(i32),
    /// The source left something out (or this is its first packet): what comes now begins a new piece of sound.
    Gap,
    /// The source sent so many samples too much: leave them out of what comes now.
    Surplus(u64),
}

impl SampleClock {
    /// A packet comes that begins at this time of the source.
    pub fn on_packet(&mut self, at: Duration) -> Correction {
        let due = samples(at);
        let Some(next) = self.next else {
            *self = Self { next: Some(due), ..Self::default() };
            return Correction::Gap;
        };
        let ahead = i128::from(next) - i128::from(due);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 after the check")]
        let ahead_now = if ahead.unsigned_abs() > u128::from(JUMP) { 0.0 } else { ahead as f64 };
        if ahead < -i128::from(JUMP) {
            *self = Self { next: Some(due), ..Self::default() };
            return Correction::Gap;
        }
        if ahead > i128::from(JUMP) {
            self.ahead = 0.0;
            return Correction::Surplus(u64::try_from(ahead).unwrap_or(u64::MAX));
        }
        self.ahead += (ahead_now - self.ahead) * SMOOTHING;
        if self.since_bend < BEND_EVERY {
            return Correction::None;
        }
        self.since_bend = 0;
        #[expect(clippy::cast_possible_truncation, reason = "clamped")]
        Correction::Bend((-self.ahead * PER_MILLION_PER_SAMPLE).clamp(-MAX_BEND, MAX_BEND) as i32)
    }

    /// So many samples came out.
    pub fn on_samples(&mut self, count: u64) {
        if let Some(next) = &mut self.next {
            *next += count;
        }
        self.since_bend += count;
    }

    /// So many came out and were left away, because there were too many.
    pub fn on_left_out(&mut self, count: u64) {
        self.since_bend += count;
    }

    /// Where the next sample lies, in samples since the source's zero.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next.unwrap_or(0)
    }
}

fn samples(time: Duration) -> u64 {
    let part = u64::from(time.subsec_nanos()) * u64::from(RATE) / 1_000_000_000;
    time.as_secs().saturating_mul(u64::from(RATE)).saturating_add(part)
}

/// 100 ms.
const JUMP: u64 = RATE as u64 / 10;
/// One second.
const BEND_EVERY: u64 = RATE as u64;
/// Of each new difference: with 47 packets a second, an average over about two seconds.
const SMOOTHING: f64 = 0.01;
/// 50 per millisecond.
const PER_MILLION_PER_SAMPLE: f64 = 50.0 / 48.0;
const MAX_BEND: f64 = 1_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_packet_and_jumps() {
        let ms = Duration::from_millis;
        let mut clock = SampleClock::default();
        assert_eq!(clock.on_packet(ms(1_000)), Correction::Gap);
        assert_eq!(clock.next(), 48_000);
        clock.on_samples(1_024);
        assert_eq!(clock.on_packet(ms(1_021)), Correction::None);
        // 100 ms off are still followed, a little more is not.
        assert_eq!(clock.on_packet(ms(1_121)), Correction::None);
        assert_eq!(clock.on_packet(ms(1_122)), Correction::Gap);
        assert_eq!(clock.next(), 1_122 * 48);
        assert_eq!(clock.on_packet(ms(1_022)), Correction::None);
        assert_eq!(clock.on_packet(ms(1_021)), Correction::Surplus(101 * 48));
        assert_eq!(clock.on_packet(ms(0)), Correction::Surplus(1_122 * 48));
        assert_eq!(clock.next(), 1_122 * 48, "time never goes back");
        assert_eq!(clock.on_packet(Duration::MAX / 4), Correction::Gap);
    }
}
