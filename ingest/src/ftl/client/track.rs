//! One medium on the uplink: numbering, the ring packets are sent and re-sent from, counters.

use std::time::Duration;

use bytes::Bytes;
use heliograph_media::{ClockRate, PayloadType, Ssrc, WireSeq, rtp::write_rtp_header};

/// Packets kept for sending and sending again, as in the SDK.
const RING: u64 = 2048;

/// Sequence, timestamps and ring of one medium.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) ssrc: Ssrc,
    payload_type: PayloadType,
    rate: ClockRate,
    ring: Vec<Bytes>,
    queued: u64,
    sent: u64,
    octets: u64,
    last_timestamp: u32,
    last_media_time: Duration,
}

impl Track {
    pub(super) fn new(ssrc: Ssrc, payload_type: PayloadType, rate: ClockRate) -> Self {
        Self {
            ssrc,
            payload_type,
            rate,
            ring: vec![Bytes::new(); usize::try_from(RING).expect("fits")],
            queued: 0,
            sent: 0,
            octets: 0,
            last_timestamp: 0,
            last_media_time: Duration::ZERO,
        }
    }

    /// Whether another packet would overwrite one that was not sent yet.
    pub(super) fn is_full(&self) -> bool {
        self.queued - self.sent >= RING
    }

    /// Numbers a payload and puts it into the ring. `media_time` counts from this medium's RTP 0.
    pub(super) fn queue(&mut self, media_time: Duration, marker: bool, payload: &[u8]) {
        debug_assert!(!self.is_full(), "the caller looks first");
        // The wire carries the low 32 bits.
        let timestamp = self.rate.ticks(media_time) as u32;
        let mut header = [0; 12];
        let seq = WireSeq(self.queued as u16);
        write_rtp_header(&mut header, marker, self.payload_type, seq, timestamp, self.ssrc);
        let mut packet = Vec::with_capacity(12 + payload.len());
        packet.extend_from_slice(&header);
        packet.extend_from_slice(payload);
        let slot = self.slot(self.queued);
        self.ring[slot] = Bytes::from(packet);
        self.queued += 1;
        self.octets += payload.len() as u64;
        self.last_timestamp = timestamp;
        self.last_media_time = media_time;
    }

    /// Size of the next packet to send.
    pub(super) fn next_len(&self) -> Option<usize> {
        (self.sent < self.queued).then(|| self.ring[self.slot(self.sent)].len())
    }

    /// Takes the next packet; it stays in the ring.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        (self.sent < self.queued).then(|| {
            let packet = self.ring[self.slot(self.sent)].clone();
            self.sent += 1;
            packet
        })
    }

    /// A packet sent before and still in the ring, byte for byte.
    pub(super) fn again(&self, seq: WireSeq) -> Option<Bytes> {
        let behind = u64::from((self.sent.wrapping_sub(1) as u16).wrapping_sub(seq.0));
        let index = self.sent.checked_sub(behind + 1)?;
        (index + RING >= self.queued).then(|| self.ring[self.slot(index)].clone())
    }

    /// Packets queued so far, and so the number of distinct sequence numbers used.
    pub(super) fn packets(&self) -> u64 {
        self.queued
    }

    /// RTP packets sent, without the repeated ones.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Payload octets queued so far.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// RTP timestamp of the newest packet, and its media time.
    pub(super) fn newest(&self) -> (u32, Duration) {
        (self.last_timestamp, self.last_media_time)
    }

    fn slot(&self, index: u64) -> usize {
        (index % RING) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video() -> Track {
        Track::new(Ssrc(1235), PayloadType::new(96).expect("7 bits"), ClockRate::VIDEO)
    }

    #[test]
    fn the_first_packet_is_the_documented_one() {
        let mut track = video();
        track.queue(Duration::ZERO, false, &[0x67, 0x4d, 0x40, 0x1f]);
        let packet = track.take().expect("queued");
        assert_eq!(hex::encode(&packet), "8060000000000000000004d3674d401f");
        assert_eq!(track.take(), None);
    }

    #[test]
    fn timestamps_are_rounded() {
        let mut track = video();
        for (micros, ticks) in [(33_333, 3000), (66_667, 6000), (100_000, 9000)] {
            track.queue(Duration::from_micros(micros), true, &[1]);
            assert_eq!(track.newest().0, ticks);
        }
    }

    #[test]
    fn the_ring_keeps_the_last_2048() {
        let mut track = video();
        for index in 0_u32..70_000 {
            track.queue(Duration::from_millis(u64::from(index)), false, &index.to_be_bytes());
            track.take();
            let here = WireSeq(index as u16);
            assert_eq!(
                track.again(here).map(|packet| packet[12..].to_vec()),
                Some(index.to_be_bytes().to_vec())
            );
            assert_eq!(track.again(WireSeq((index + 1) as u16)), None, "not sent yet");
            let oldest = track.again(WireSeq(index.wrapping_sub(2047) as u16));
            assert_eq!(oldest.is_some(), index >= 2047);
            assert_eq!(track.again(WireSeq(index.wrapping_sub(2048) as u16)), None, "overwritten");
        }
    }

    #[test]
    fn full_means_unsent() {
        let mut track = video();
        for _ in 0..RING {
            assert!(!track.is_full());
            track.queue(Duration::ZERO, false, &[1]);
        }
        assert!(track.is_full());
        track.take();
        assert!(!track.is_full());
    }
}
