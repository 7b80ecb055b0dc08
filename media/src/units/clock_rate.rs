use std::{fmt, num::NonZeroU32, time::Duration};

/// Ticks per second of an RTP timestamp; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClockRate(pub NonZeroU32);

impl ClockRate {
    /// Every video format: 90 kHz (RFC 3551 section 5).
    pub const VIDEO: Self = Self(NonZeroU32::new(90_000).expect("not zero"));
    /// Opus always counts at 48 kHz (RFC 7587 section 4.1).
    pub const OPUS: Self = Self(NonZeroU32::new(48_000).expect("not zero"));

    /// `None` for zero.
    #[must_use]
    pub const fn new(hertz: u32) -> Option<Self> {
        match NonZeroU32::new(hertz) {
            Some(rate) => Some(Self(rate)),
            None => None,
        }
    }

    /// The rate in hertz.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// How many ticks fit into `time`, rounded to the nearest; saturates.
    #[must_use]
    pub fn ticks(self, time: Duration) -> u64 {
        let scaled = time.as_nanos() * u128::from(self.get());
        u64::try_from((scaled + NANOS / 2) / NANOS).unwrap_or(u64::MAX)
    }

    /// How long `ticks` last, rounded down to the nanosecond; `ticks(duration(n)) == n`.
    #[must_use]
    pub fn duration(self, ticks: u64) -> Duration {
        let rate = u64::from(self.get());
        let nanos = u128::from(ticks % rate) * NANOS / u128::from(rate);
        Duration::new(ticks / rate, u32::try_from(nanos).expect("less than one second"))
    }
}

impl fmt::Display for ClockRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz", self.0)
    }
}

const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_and_back() {
        for rate in
            [ClockRate::VIDEO, ClockRate::OPUS, ClockRate::new(1).unwrap(), ClockRate::new(44_100).unwrap()]
        {
            for ticks in [0, 1, 2, 959, 960, 3_003, 89_999, 90_000, u64::from(u32::MAX) * 7, u64::MAX / 3] {
                assert_eq!(rate.ticks(rate.duration(ticks)), ticks, "{rate} {ticks}");
            }
        }
    }

    #[test]
    fn known_lengths() {
        assert_eq!(ClockRate::OPUS.duration(960), Duration::from_millis(20));
        assert_eq!(ClockRate::VIDEO.ticks(Duration::from_millis(100)), 9_000);
        assert_eq!(ClockRate::VIDEO.ticks(Duration::MAX), u64::MAX);
    }
}
