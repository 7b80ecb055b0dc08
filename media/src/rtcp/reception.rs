//! How well a source is received, for receiver reports (RFC 3550 sections 6.4.1, A.3 and A.8).

use std::time::{Duration, Instant};

use super::ReportBlock;
use crate::{ClockRate, NtpTime, SeqNo, Ssrc};

/// Counts of one source, for the reports of whoever receives it.
#[derive(Debug)]
pub struct Reception {
    ssrc: Ssrc,
    rate: ClockRate,
    first: SeqNo,
    highest: SeqNo,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// Arrival minus timestamp of the newest packet, in ticks; wraps.
    transit: Option<u32>,
    /// Sixteen times the jitter, as in the RFC's integer form.
    jitter: u32,
    began: Instant,
    report: Option<(NtpTime, Instant)>,
}

impl Reception {
    /// Starts with a first packet, which is still to be counted; extended numbers start a cycle up
    /// ([`SeqUnwrapper`](crate::SeqUnwrapper)).
    #[must_use]
    pub fn new(now: Instant, ssrc: Ssrc, rate: ClockRate, first: SeqNo) -> Self {
        Self {
            ssrc,
            rate,
            first,
            highest: first,
            received: 0,
            expected_before: 0,
            received_before: 0,
            transit: None,
            jitter: 0,
            began: now,
            report: None,
        }
    }

    /// A packet came, duplicates included.
    pub fn packet(&mut self, now: Instant, seq: SeqNo, timestamp: u32) {
        self.received += 1;
        self.highest = self.highest.max(seq);
        #[expect(clippy::cast_possible_truncation, reason = "the RFC computes modulo 2^32")]
        let arrival = self.rate.ticks(now.saturating_duration_since(self.began)) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            // A jump of the timestamps is no jitter.
            if difference < self.rate.get() * 5 {
                self.jitter = (self.jitter + difference).saturating_sub((self.jitter + 8) >> 4);
            }
        }
    }

    /// Its sender report came.
    pub fn sender_report(&mut self, now: Instant, ntp: NtpTime) {
        self.report = Some((ntp, now));
    }

    /// The block for the next receiver report.
    pub fn block(&mut self, now: Instant) -> ReportBlock {
        let expected = self.highest.since(self.first).map_or(0, |count| count + 1);
        let lost = expected.cast_signed() - self.received.cast_signed();
        let expected_now = expected - self.expected_before;
        let received_now = self.received - self.received_before;
        (self.expected_before, self.received_before) = (expected, self.received);
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (lost_now << 8).checked_div(expected_now).unwrap_or(0);
        let (last_sr, delay) = self
            .report
            .map_or((0, Duration::ZERO), |(ntp, at)| (ntp.middle32(), now.saturating_duration_since(at)));
        #[expect(
            clippy::cast_possible_truncation,
            reason = "cycles in the high half, as the RFC counts them"
        )]
        let highest_seq = (self.highest.0 - (1 << 16)) as u32;
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            cumulative_lost: i32::try_from(lost).unwrap_or(0).clamp(-(1 << 23), (1 << 23) - 1),
            highest_seq,
            jitter: self.jitter >> 4,
            last_sr,
            delay_since_last_sr: u32::try_from((delay.as_nanos() << 16) / 1_000_000_000).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_and_order() {
        let t = Instant::now();
        let mut reception = Reception::new(t, Ssrc(7), ClockRate::VIDEO, SeqNo(65_536 + 65_000));
        for packet in (0..100_u64).filter(|n| n % 4 != 3) {
            reception.packet(t, SeqNo(65_536 + 65_000 + packet), 0);
        }
        let block = reception.block(t);
        assert_eq!((block.ssrc, block.cumulative_lost), (Ssrc(7), 24));
        assert_eq!(block.highest_seq, 65_098);
        assert_eq!(block.fraction_lost, (24 * 256 / 99) as u8);
        // Nothing lost since, and the wrap counts as a cycle.
        for packet in 99..1_000_u64 {
            reception.packet(t, SeqNo(65_536 + 65_000 + packet), 0);
        }
        let block = reception.block(t);
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 24));
        assert_eq!(block.highest_seq, (1 << 16) + 463);
        assert_eq!((block.last_sr, block.delay_since_last_sr), (0, 0));
    }

    #[test]
    fn jitter_and_sender_reports() {
        let t = Instant::now();
        let mut reception = Reception::new(t, Ssrc(7), ClockRate::OPUS, SeqNo(65_536));
        for packet in 0..200_u32 {
            let wobble = Duration::from_millis(u64::from(packet % 2) * 10);
            let at = t + Duration::from_millis(20) * packet + wobble;
            reception.packet(at, SeqNo(65_536) + u64::from(packet), 960 * packet);
        }
        reception.sender_report(t, NtpTime(0x1234_5678_9abc_def0));
        let block = reception.block(t + Duration::from_millis(1_500));
        assert!((450..=490).contains(&block.jitter), "{}", block.jitter);
        assert_eq!((block.last_sr, block.delay_since_last_sr), (0x5678_9abc, 0x1_8000));
    }
}
