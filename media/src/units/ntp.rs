use std::time::Duration;

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
    fn differences_cross_the_era() {
        let before = NtpTime::from_unix(Duration::from_secs(2_085_978_495));
        let after = NtpTime::from_unix(Duration::from_millis(2_085_978_497_500));
        assert_eq!(before.0 >> 32, 0xffff_ffff);
        assert_eq!(after.0 >> 32, 1);
        assert_eq!(after.since(before), Some(Duration::from_millis(2_500)));
        assert_eq!(before.since(after), None);
    }
}
