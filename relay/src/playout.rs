//! How long a viewer's browser may hold pictures back: what a channel tells, and what a viewer may ask for.
//!
//! The playout-delay header extension carries a lower and an upper bound in steps of 10 ms. Browsers obey it over
//! what a page asks of them, so whoever wants a smoother picture than the upper bound allows has to tell the server.

use std::time::Duration;

/// The unit of the extension.
const STEP: Duration = Duration::from_millis(10);
/// Twelve bits.
const MOST_STEPS: u16 = 0xfff;

/// Bounds for the playout delay, as the extension carries them; the lower is never above the upper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutDelay {
    min: u16,
    max: u16,
}

impl PlayoutDelay {
    /// The longest delay that can be told: 40.95 s.
    pub const MOST: Duration = Duration::from_millis(40_950);

    /// Rounded down to 10 ms; a lower bound above the upper one is lowered to it.
    #[must_use]
    pub fn new(min: Duration, max: Duration) -> Self {
        let steps = |time: Duration| (time.as_millis() / STEP.as_millis()).min(u128::from(MOST_STEPS)) as u16;
        let max = steps(max);
        Self { min: steps(min).min(max), max }
    }

    /// Lower bound.
    #[must_use]
    pub fn min(self) -> Duration {
        STEP * u32::from(self.min)
    }

    /// Upper bound.
    #[must_use]
    pub fn max(self) -> Duration {
        STEP * u32::from(self.max)
    }

    /// The data of the extension: twelve bits each.
    pub(crate) const fn wire(self) -> [u8; 3] {
        [(self.min >> 4) as u8, (self.min << 4) as u8 | (self.max >> 8) as u8, self.max as u8]
    }
}

/// What holds on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutSettings {
    /// Told to viewers who ask for nothing. Nobody gets less than its lower bound.
    pub usual: PlayoutDelay,
    /// The most that a viewer may ask for.
    pub limit: Duration,
}

impl Default for PlayoutSettings {
    /// 0 to 500 ms, and up to 4 s for who asks.
    fn default() -> Self {
        Self {
            usual: PlayoutDelay::new(Duration::ZERO, Duration::from_millis(500)),
            limit: Duration::from_secs(4),
        }
    }
}

impl PlayoutSettings {
    /// A wish moved into what the channel permits; no wish: what is usual.
    #[must_use]
    pub fn grant(&self, wish: Option<PlayoutDelay>) -> PlayoutDelay {
        let Some(wish) = wish else { return self.usual };
        let lowest = self.usual.min();
        let limit = self.limit.max(lowest);
        PlayoutDelay::new(wish.min().clamp(lowest, limit), wish.max().clamp(lowest, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(min: u64, max: u64) -> PlayoutDelay {
        PlayoutDelay::new(Duration::from_millis(min), Duration::from_millis(max))
    }

    #[test]
    fn twelve_bits_each() {
        for (delay, wire) in [
            (delay(0, 0), [0, 0, 0]),
            (delay(0, 500), [0, 0, 50]),
            (delay(0, 509), [0, 0, 50]),
            (delay(100, 4000), [0, 0xa1, 0x90]),
            (delay(40_950, 40_950), [0xff, 0xff, 0xff]),
            (delay(99_999, 99_999), [0xff, 0xff, 0xff]),
            (delay(900, 100), [0, 0xa0, 10]),
        ] {
            assert_eq!(delay.wire(), wire, "{delay:?}");
        }
    }

    #[test]
    fn wishes_are_moved_into_what_the_channel_permits() {
        let settings = PlayoutSettings { usual: delay(100, 500), limit: Duration::from_secs(2) };
        for (wish, granted) in [
            (None, delay(100, 500)),
            (Some(delay(0, 1000)), delay(100, 1000)),
            (Some(delay(0, 30_000)), delay(100, 2000)),
            (Some(delay(5_000, 30_000)), delay(2000, 2000)),
            (Some(delay(0, 0)), delay(100, 100)),
            (Some(delay(300, 400)), delay(300, 400)),
        ] {
            assert_eq!(settings.grant(wish), granted, "{wish:?}");
        }
        assert_eq!(PlayoutSettings::default().grant(Some(delay(0, 9_000))), delay(0, 4_000));
    }
}
