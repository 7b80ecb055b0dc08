//! RTP packets of a source back into access units and Opus packets on one clock. No sockets, no clock.

use std::time::Duration;

use bytes::Bytes;
use heliograph_media::{
    ClockRate, SeqUnwrapper, TimestampUnwrapper,
    h264::{DEFAULT_MAX_NAL, Depacketiser},
    rtp::RtpHeader,
};

/// More NAL units than any sane picture has slices.
const MAX_NALS: usize = 512;

/// What a source hands to the uplink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// One access unit: decode time and NAL units without start codes.
    Video(Duration, Vec<Bytes>),
    /// One Opus packet and its time.
    Audio(Duration, Bytes),
}

/// RTP timestamps of one medium on the common clock.
#[derive(Debug)]
struct Timeline {
    rate: ClockRate,
    unwrapper: TimestampUnwrapper,
    /// The first timestamp, and where it stands on the common clock.
    start: Option<(u64, Duration)>,
}

impl Timeline {
    fn new(rate: ClockRate) -> Self {
        Self { rate, unwrapper: TimestampUnwrapper::new(), start: None }
    }

    fn time(&mut self, timestamp: u32, first_due: Duration) -> Duration {
        let ticks = self.unwrapper.extend(timestamp);
        let (first, due) = *self.start.get_or_insert((ticks, first_due));
        match ticks.checked_sub(first) {
            Some(later) => due + self.rate.duration(later),
            None => due.saturating_sub(self.rate.duration(first - ticks)),
        }
    }
}

/// H.264 packets to access units.
#[derive(Debug)]
pub(super) struct VideoFrames {
    timeline: Timeline,
    unwrapper: SeqUnwrapper,
    depacketiser: Depacketiser,
    nals: Vec<Bytes>,
    nals_time: Duration,
    parameters: Vec<Bytes>,
    malformed: u64,
    bare_keyframes: u64,
}

impl VideoFrames {
    /// `parameters` are put before keyframes until the stream brings its own.
    pub(super) fn new(parameters: Vec<Bytes>) -> Self {
        Self {
            timeline: Timeline::new(ClockRate::VIDEO),
            unwrapper: SeqUnwrapper::new(),
            depacketiser: Depacketiser::new(DEFAULT_MAX_NAL),
            nals: Vec::new(),
            nals_time: Duration::ZERO,
            parameters,
            malformed: 0,
            bare_keyframes: 0,
        }
    }

    /// Takes a packet; `first_due` is where the very first one stands on the common clock.
    pub(super) fn push(&mut self, packet: &[u8], first_due: Duration, out: &mut Vec<Frame>) {
        let Ok(header) = RtpHeader::parse(packet) else {
            self.malformed += 1;
            return;
        };
        let time = self.timeline.time(header.timestamp, first_due);
        if time != self.nals_time {
            // The marker of the picture before was lost, or its sender sets none.
            self.finish(out);
            self.nals_time = time;
        }
        let seq = self.unwrapper.extend(header.seq);
        let (nals, malformed) = (&mut self.nals, &mut self.malformed);
        let pushed = self.depacketiser.push(seq, &packet[header.payload.clone()], |nal| {
            if is_wanted(nal) && nals.len() < MAX_NALS {
                nals.push(Bytes::copy_from_slice(nal));
            }
        });
        *malformed += u64::from(pushed.is_err());
        if header.marker {
            self.finish(out);
        }
    }

    /// Packets and NAL units that could not be used.
    pub(super) fn broken(&self) -> u64 {
        self.malformed + self.depacketiser.dropped()
    }

    /// Keyframes before which no parameter sets were seen: nobody can decode them.
    pub(super) fn bare_keyframes(&self) -> u64 {
        self.bare_keyframes
    }

    fn finish(&mut self, out: &mut Vec<Frame>) {
        if self.nals.is_empty() {
            return;
        }
        let mut nals = std::mem::take(&mut self.nals);
        let is_parameter_set = |nal: &Bytes| matches!(kind(nal), SPS | PPS);
        if nals.iter().any(|nal| kind(nal) == SPS) {
            self.parameters = nals.iter().filter(|nal| is_parameter_set(nal)).cloned().collect();
        } else if nals.iter().any(|nal| kind(nal) == IDR) {
            // Every keyframe carries its parameter sets, as OBS does it: viewers join there.
            self.bare_keyframes += u64::from(self.parameters.is_empty());
            nals.splice(0..0, self.parameters.iter().cloned());
        }
        out.push(Frame::Video(self.nals_time, nals));
    }
}

const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;

fn kind(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |first| first & 0x1f)
}

/// SEI, access unit delimiters and filler are left out, as OBS leaves them out.
fn is_wanted(nal: &[u8]) -> bool {
    !nal.is_empty() && !matches!(kind(nal), 6 | 9 | 12)
}

/// Opus packets to Opus packets, timed.
#[derive(Debug)]
pub(super) struct AudioFrames {
    timeline: Timeline,
}

impl AudioFrames {
    pub(super) fn new() -> Self {
        Self { timeline: Timeline::new(ClockRate::OPUS) }
    }

    /// Takes a packet; `first_due` is where the very first one stands on the common clock.
    pub(super) fn push(&mut self, packet: &[u8], first_due: Duration, out: &mut Vec<Frame>) {
        let Ok(header) = RtpHeader::parse(packet) else { return };
        let payload = &packet[header.payload.clone()];
        if !payload.is_empty() && payload.len() <= heliograph_media::opus::MAX_PAYLOAD {
            let time = self.timeline.time(header.timestamp, first_due);
            out.push(Frame::Audio(time, Bytes::copy_from_slice(payload)));
        }
    }
}

#[cfg(test)]
mod tests {
    use heliograph_media::{PayloadType, Ssrc, WireSeq, h264::Packetiser, rtp::write_rtp_header};

    use super::*;

    const DUE: Duration = Duration::from_secs(10);

    /// Packetises pictures from the given sequence number and timestamp on, 3000 ticks apart.
    fn packets(pictures: &[Vec<Vec<u8>>], first_seq: u16, first_timestamp: u32) -> Vec<Vec<u8>> {
        let mut seq = WireSeq(first_seq);
        let mut packets = Vec::new();
        for (index, nals) in pictures.iter().enumerate() {
            let timestamp = first_timestamp.wrapping_add(3000 * u32::try_from(index).expect("few"));
            for piece in Packetiser::FTL.packets(nals.iter().map(Vec::as_slice)) {
                let mut header = [0; 12];
                let payload_type = PayloadType::new(96).expect("7 bits");
                write_rtp_header(&mut header, piece.marker, payload_type, seq, timestamp, Ssrc(5));
                let mut packet = header.to_vec();
                piece.write_to(&mut packet);
                packets.push(packet);
                seq = seq.next();
            }
        }
        packets
    }

    fn frames(packets: &[Vec<u8>]) -> Vec<(Duration, Vec<u8>)> {
        let mut video = VideoFrames::new(Vec::new());
        let mut out = Vec::new();
        for packet in packets {
            video.push(packet, DUE, &mut out);
        }
        out.into_iter()
            .map(|frame| match frame {
                Frame::Video(time, nals) => (time, nals.iter().map(|nal| kind(nal)).collect()),
                Frame::Audio(..) => panic!("no audio was sent"),
            })
            .collect()
    }

    fn nal(kind: u8, len: usize) -> Vec<u8> {
        let mut nal = vec![0xaa; len];
        nal[0] = 0x60 | kind;
        nal
    }

    #[test]
    fn keyframes_always_carry_their_parameter_sets() {
        let pictures = [
            vec![nal(9, 2), nal(7, 9), nal(8, 4), nal(6, 30), nal(5, 5000)],
            vec![nal(1, 2000)],
            vec![nal(5, 100), nal(5, 100)],
        ];
        let expected = [(0, vec![7, 8, 5]), (1, vec![1]), (2, vec![7, 8, 5, 5])]
            .map(|(index, kinds)| (DUE + ClockRate::VIDEO.duration(3000 * index), kinds));
        for (seq, timestamp) in [(0, 0), (65_533, u32::MAX - 3000), (40_000, 0x7fff_ffff)] {
            assert_eq!(frames(&packets(&pictures, seq, timestamp)), expected, "{seq} {timestamp}");
        }
    }

    #[test]
    fn a_lost_marker_ends_a_picture_late_and_a_lost_fragment_drops_its_unit() {
        let pictures = [vec![nal(7, 9), nal(8, 4), nal(5, 50)], vec![nal(1, 4000)], vec![nal(1, 50)]];
        let mut sent = packets(&pictures, 0, 0);
        sent.remove(4);
        let kinds: Vec<_> = frames(&sent).into_iter().map(|(_, kinds)| kinds).collect();
        assert_eq!(kinds, [vec![7, 8, 5], vec![1]]);
        let mut sent = packets(&pictures, 0, 0);
        for packet in &mut sent {
            packet[1] &= 0x7f;
        }
        assert_eq!(frames(&sent).len(), 2, "the last picture still waits for its end");
    }

    #[test]
    fn audio_is_timed_and_junk_is_not_audio() {
        let mut audio = AudioFrames::new();
        let mut out = Vec::new();
        for (timestamp, len) in [(500_u32, 100), (1460, 1392), (2420, 3)] {
            let mut packet = vec![0x80, 97, 0, 1];
            packet.extend_from_slice(&timestamp.to_be_bytes());
            packet.extend_from_slice(&[0, 0, 0, 9]);
            packet.resize(12 + len, 0xfc);
            audio.push(&packet, DUE, &mut out);
        }
        let times: Vec<_> = out
            .iter()
            .map(|frame| if let Frame::Audio(time, _) = frame { *time - DUE } else { DUE })
            .collect();
        assert_eq!(times, [Duration::ZERO, Duration::from_millis(40)]);
    }
}
