use std::time::Duration;

use super::ClockRate;

/// An NTP timestamp, 32.32 fixed point seconds since 1900 (RFC 3550 section 4). Wraps in 2036 like the wire
/// format: only differences are meaningful then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// Seconds from 1900 to 1970.
    const UNIX_EPOCH: u64 = 2_208_988_800;

    /// From the time since 1970.
    #[must_use]
    pub fn from_unix(since_epoch: Duration) -> Self {
        let seconds = since_epoch.as_secs().wrapping_add(Self::UNIX_EPOCH);
        let fraction = (u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000;
        // The shift drops the era, exactly what 32 bits of seconds do.
        Self(seconds << 32 | fraction)
    }

    /// The middle 32 bits, in units of 1/65536 s: what a report block gives back as "last SR".
    #[must_use]
    pub const fn middle32(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the middle of 64 bits")]
        let middle = (self.0 >> 16) as u32;
        middle
    }

    /// So many ticks of a track's clock later, or earlier when negative. Right across the wrap of 2036.
    #[must_use]
    pub fn plus(self, ticks: i64, rate: ClockRate) -> Self {
        let rate = i64::from(rate.get());
        let (seconds, rest) = (ticks.div_euclid(rate), ticks.rem_euclid(rate));
        // The shift drops the era, and the rest is less than one second.
        Self(self.0.wrapping_add_signed((seconds << 32) | ((rest << 32) / rate)))
    }

    /// How much later this is than `earlier`; `None` when it is earlier. Right across the wrap of 2036.
    #[must_use]
    pub fn since(self, earlier: Self) -> Option<Duration> {
        let difference = self.0.wrapping_sub(earlier.0);
        let fraction = ((difference & 0xffff_ffff) * 1_000_000_000) >> 32;
        (difference < 1 << 63)
            .then(|| Duration::new(difference >> 32, u32::try_from(fraction).expect("less than one second")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_ftl_notes() {
        let ntp = NtpTime::from_unix(Duration::from_micros(1_700_000_000_123_456));
        assert_eq!(ntp, NtpTime(0xe8fe_6f80_1f9a_cffa));
        assert_eq!(ntp.middle32(), 0x6f80_1f9a);
    }

    #[test]
    fn ticks_later_and_earlier() {
        let noon = NtpTime::from_unix(Duration::from_secs(1_700_000_000));
        let later = noon.plus(90_000 * 3_600 * 24 + 45_000, ClockRate::VIDEO);
        assert_eq!(later.since(noon), Some(Duration::from_millis(86_400_500)));
        assert_eq!(noon.plus(-12_000, ClockRate::OPUS).plus(12_000, ClockRate::OPUS), noon);
        let earlier = noon.plus(-135_000, ClockRate::VIDEO);
        assert_eq!(noon.since(earlier), Some(Duration::from_millis(1_500)));
        assert_eq!(NtpTime(u64::MAX).plus(90_000, ClockRate::VIDEO), NtpTime(0xffff_ffff));
        for ticks in [i64::MIN, i64::MAX] {
            assert_ne!(noon.plus(ticks, ClockRate::VIDEO), noon);
        }
    }

    #[test]
    fn differences_cross_the_era() {
        let before = NtpTime::from_unix(Duration::from_secs(2_085_978_495));
        let after = NtpTime::from_unix(Duration::from_millis(2_085_978_497_500));
        assert_eq!(before.0 >> 32, 0xffff_ffff);
        assert_eq!(after.0 >> 32, 1);
        assert_eq!(after.since(before), Some(Duration::from_millis(2_500)));
        assert_eq!(before.since(after), None);
    }
}
