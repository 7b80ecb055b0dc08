use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bitrate(u64);

impl Bitrate {
    /// From bits per second.
    #[must_use]
    pub const fn bps(bits_per_second: u64) -> Self {
        Self(bits_per_second)
    }

    /// From kilobits (1000 bits) per second.
    #[must_use]
    pub const fn kbps(kilobits_per_second: u64) -> Self {
        Self(kilobits_per_second.saturating_mul(1_000))
    }

    /// What was measured: so many bytes in so much time. Zero when no time has passed.
    #[must_use]
    pub fn measured(bytes: u64, over: Duration) -> Self {
        match (u128::from(bytes) * 8 * NANOS).checked_div(over.as_nanos()) {
            Some(bits) => Self(u64::try_from(bits).unwrap_or(u64::MAX)),
            None => Self(0),
        }
    }

    /// Bits per second.
    #[must_use]
    pub const fn as_bps(self) -> u64 {
        self.0
    }

    /// Whole kilobits per second, rounded down.
    #[must_use]
    pub const fn as_kbps(self) -> u64 {
        self.0 / 1_000
    }

    /// How many bytes go through in `time`, rounded down; saturates.
    #[must_use]
    pub fn bytes_in(self, time: Duration) -> u64 {
        let bits = u128::from(self.0).saturating_mul(time.as_nanos()) / NANOS;
        u64::try_from(bits / 8).unwrap_or(u64::MAX)
    }

    /// How long `bytes` take; `Duration::MAX` at a rate of zero.
    #[must_use]
    pub fn time_for(self, bytes: u64) -> Duration {
        let Some(nanos) = (u128::from(bytes) * 8 * NANOS).checked_div(u128::from(self.0)) else {
            return Duration::MAX;
        };
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// `factor` times this rate; saturates.
    #[must_use]
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kbit/s", self.as_kbps())
    }
}

const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        let rate = Bitrate::kbps(2_500);
        assert_eq!(rate.as_bps(), 2_500_000);
        assert_eq!(rate.bytes_in(Duration::from_secs(2)), 625_000);
        assert_eq!(rate.time_for(625_000), Duration::from_secs(2));
        assert_eq!(rate.to_string(), "2500 kbit/s");
        assert_eq!(Bitrate::measured(625_000, Duration::from_secs(2)), rate);
    }

    #[test]
    fn extremes_do_not_overflow() {
        assert_eq!(Bitrate::bps(0).time_for(1), Duration::MAX);
        assert_eq!(Bitrate::bps(u64::MAX).bytes_in(Duration::MAX), u64::MAX);
        assert_eq!(Bitrate::measured(u64::MAX, Duration::from_nanos(1)), Bitrate::bps(u64::MAX));
        assert_eq!(Bitrate::measured(1, Duration::ZERO), Bitrate::bps(0));
        assert_eq!(Bitrate::kbps(u64::MAX).times(3), Bitrate::bps(u64::MAX));
    }
}
