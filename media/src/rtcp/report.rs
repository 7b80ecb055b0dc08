use std::time::Duration;

use crate::{NtpTime, Ssrc};

/// What a sender says about itself once a second (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// The stream that is described.
    pub ssrc: Ssrc,
    /// The instant of the report on a clock that all tracks share.
    pub ntp: NtpTime,
    /// The same instant as an RTP timestamp of this track.
    pub rtp_timestamp: u32,
    /// Packets sent so far; wraps.
    pub packets: u32,
    /// Payload bytes sent so far; wraps.
    pub octets: u32,
}

/// What a receiver says about one stream (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream that is judged.
    pub ssrc: Ssrc,
    /// Packets lost since the last report, in 1/256 of those expected.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, 24 bits; negative when duplicates outnumber losses.
    pub cumulative_lost: i32,
    /// Highest sequence number received: cycles in the high half, wire number in the low half.
    pub highest_seq: u32,
    /// Variation of the transit time, in ticks.
    pub jitter: u32,
    /// [`NtpTime::middle32`] of the last sender report that arrived; 0 when none did.
    pub last_sr: u32,
    /// Time since that report arrived, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    /// The round trip that this report, arriving at `now`, measured. `now` is on the clock that wrote the
    /// sender reports. `None` before the receiver had one, or when the figures contradict each other.
    #[must_use]
    pub fn round_trip(&self, now: NtpTime) -> Option<Duration> {
        if self.last_sr == 0 {
            return None;
        }
        let away = now.middle32().wrapping_sub(self.last_sr);
        let trip = away.wrapping_sub(self.delay_since_last_sr);
        // A difference in the upper half of the range is a negative one.
        (trip < 1 << 31).then(|| Duration::from_nanos((u64::from(trip) * 1_000_000_000) >> 16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_of_the_rfc() {
        // The worked example of RFC 3550 section 6.4.1: 6.125 s.
        let block =
            ReportBlock { last_sr: 0xb705_2000, delay_since_last_sr: 0x0005_4000, ..ReportBlock::default() };
        let now = NtpTime(0xb710_8000 << 16);
        assert_eq!(block.round_trip(now), Some(Duration::from_millis(6_125)));
    }

    #[test]
    fn round_trip_needs_a_report_and_sense() {
        let now = NtpTime(0x0001_0000 << 16);
        assert_eq!(ReportBlock::default().round_trip(now), None);
        let later = ReportBlock { last_sr: 0x0002_0000, ..ReportBlock::default() };
        assert_eq!(later.round_trip(now), None);
        // Across the wrap of the middle bits.
        let before =
            ReportBlock { last_sr: 0xffff_0000, delay_since_last_sr: 0x8000, ..ReportBlock::default() };
        assert_eq!(before.round_trip(now), Some(Duration::from_millis(1_500)));
    }
}
