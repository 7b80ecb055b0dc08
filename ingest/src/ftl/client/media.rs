//! The media socket from the encoder's side: start gate, packets, pings, sender reports, answers to NACKs.
//! No sockets, no clock.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use heliograph_media::{
    Bitrate, ClockRate, NtpTime, PayloadType, Ssrc,
    h264::Packetiser,
    rtcp::{SenderInfo, write_sender_report},
};

use super::{
    nack,
    pacer::Pacer,
    ping::{self, PingForm},
    track::Track,
};

/// A ping goes out this often, from the moment the port is known.
const PING_EVERY: Duration = Duration::from_millis(25);
/// Sender reports go out this often.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Packets sent again that may wait for the socket.
const MAX_URGENT: usize = 4096;
/// NAL unit types the start gate looks at.
const SPS: u8 = 7;

/// Where RTP timestamps count from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimestampZero {
    /// Each medium from its own first packet, as the SDK does: an offset between the two is lost.
    PerMedium,
    /// Both media from the first video packet, so that the other side can synchronise exactly.
    #[default]
    Common,
}

/// How a [`MediaSender`] behaves.
#[derive(Debug, Clone)]
pub struct MediaSettings {
    /// Whether video will be sent; without it audio does not wait for a keyframe.
    pub video: bool,
    /// Whether audio will be sent; without it video does not wait for audio.
    pub audio: bool,
    /// Peak rate of video; `None` sends every packet at once. The SDK uses 1.2 times the encoder's bitrate.
    pub peak: Option<Bitrate>,
    /// Where RTP timestamps count from.
    pub zero: TimestampZero,
    /// Which build of the SDK the pings resemble.
    pub ping_form: PingForm,
    /// Leaves out the first transmission of every n-th media packet: a rehearsal of a lossy uplink.
    pub lose_every: Option<u32>,
}

impl Default for MediaSettings {
    fn default() -> Self {
        Self {
            video: true,
            audio: true,
            peak: None,
            zero: TimestampZero::default(),
            ping_form: PingForm::default(),
            lose_every: None,
        }
    }
}

/// Figures of one session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UplinkStats {
    /// Video packets sent once.
    pub video_packets: u64,
    /// Audio packets sent once.
    pub audio_packets: u64,
    /// Payload octets queued, both media.
    pub octets: u64,
    /// Sequence numbers the server asked for again.
    pub nacked: u64,
    /// Of those, packets that could be sent again.
    pub resent: u64,
    /// First transmissions left out on purpose.
    pub withheld: u64,
    /// Access units dropped because the send ring was full.
    pub dropped_frames: u64,
    /// Video packets that wait for the pacer.
    pub waiting: u64,
    /// Round trip of the newest echoed ping.
    pub round_trip: Option<Duration>,
}

/// Everything that leaves through, and comes in on, the UDP socket of one session.
#[derive(Debug)]
pub struct MediaSender {
    settings: MediaSettings,
    video: Track,
    audio: Track,
    /// The payload at hand; keeps its memory.
    payload: Vec<u8>,
    pacer: Pacer,
    urgent: VecDeque<Bytes>,
    gate: Gate,
    /// Source time of each medium's RTP 0.
    video_zero: Option<Duration>,
    audio_zero: Option<Duration>,
    /// Wall clock when the first medium started.
    wall_zero: Option<Duration>,
    /// Time since 1970 at `epoch`.
    wall_at_epoch: Duration,
    epoch: Instant,
    next_ping: Instant,
    next_report: Instant,
    until_loss: u32,
    stats: UplinkStats,
}

/// What holds video back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// Until an audio frame was offered.
    AwaitAudio,
    /// Until a sequence parameter set: at the start, and after the ring was full.
    AwaitSps,
    Open,
}

impl MediaSender {
    /// Begins once the server has told its port. `wall` is the time since 1970.
    pub fn begin(settings: MediaSettings, channel_id: u32, now: Instant, wall: Duration) -> Self {
        let payload_type = |value| PayloadType::new(value).expect("below 128");
        let peak = settings.peak.map(Bitrate::as_bps);
        Self {
            video: Track::new(Ssrc(channel_id.wrapping_add(1)), payload_type(96), ClockRate::VIDEO),
            audio: Track::new(Ssrc(channel_id), payload_type(97), ClockRate::OPUS),
            payload: Vec::new(),
            pacer: Pacer::new(peak, now),
            urgent: VecDeque::new(),
            gate: if settings.audio { Gate::AwaitAudio } else { Gate::AwaitSps },
            video_zero: None,
            audio_zero: None,
            wall_zero: None,
            wall_at_epoch: wall,
            epoch: now,
            next_ping: now,
            next_report: now + REPORT_EVERY,
            until_loss: settings.lose_every.unwrap_or(0),
            stats: UplinkStats::default(),
            settings,
        }
    }

    /// Offers one access unit: its NAL units without start codes, and its decode time on the source's clock
    /// (any zero, the same for both media).
    pub fn video<N: AsRef<[u8]>>(&mut self, now: Instant, decode_time: Duration, nals: &[N]) {
        let mut nals = nals;
        if self.gate == Gate::AwaitAudio {
            return;
        }
        if self.gate == Gate::AwaitSps {
            let Some(first) = nals.iter().position(|nal| nal_type(nal.as_ref()) == Some(SPS)) else { return };
            nals = &nals[first..];
            self.gate = Gate::Open;
        }
        let zero = *self.video_zero.get_or_insert(decode_time);
        let media_time = decode_time.saturating_sub(zero);
        self.start_wall(now, media_time);
        for piece in Packetiser::FTL.packets(nals.iter().map(AsRef::as_ref)) {
            if self.video.is_full() {
                // As the SDK: sequence numbers stay contiguous, the cut NAL has no end.
                self.gate = Gate::AwaitSps;
                self.stats.dropped_frames += 1;
                return;
            }
            self.payload.clear();
            piece.write_to(&mut self.payload);
            self.video.queue(media_time, piece.marker, &self.payload);
        }
    }

    /// Offers one Opus packet and its time on the source's clock.
    pub fn audio(&mut self, now: Instant, time: Duration, packet: &[u8]) {
        if self.gate == Gate::AwaitAudio {
            self.gate = Gate::AwaitSps;
        }
        let common = self.settings.video && self.settings.zero == TimestampZero::Common;
        if self.settings.video && self.video_zero.is_none() {
            return;
        }
        let zero = match (self.audio_zero, self.video_zero) {
            (Some(zero), _) => zero,
            (None, Some(video_zero)) if common => video_zero,
            _ => time,
        };
        // Audio from before the first picture cannot be expressed on the common clock.
        let Some(media_time) = time.checked_sub(zero) else { return };
        self.audio_zero = Some(zero);
        self.start_wall(now, media_time);
        if !self.audio.is_full() {
            self.audio.queue(media_time, false, packet);
        }
    }

    /// A datagram from the server's address.
    pub fn on_datagram(&mut self, now: Instant, datagram: &[u8]) {
        if let Some(sent_at) = ping::echoed_time(datagram) {
            self.stats.round_trip = Some(self.wall(now).saturating_sub(sent_at));
            return;
        }
        let Some(nack) = nack::parse(datagram) else { return };
        let track = match nack.media {
            ssrc if ssrc == self.video.ssrc => &self.video,
            ssrc if ssrc == self.audio.ssrc => &self.audio,
            _ => return,
        };
        for seq in nack.lost {
            self.stats.nacked += 1;
            if let Some(packet) = track.again(seq)
                && self.urgent.len() < MAX_URGENT
            {
                self.stats.resent += 1;
                self.urgent.push_back(packet);
            }
        }
    }

    /// Tells the sender that time has passed.
    pub fn on_deadline(&mut self, now: Instant) {
        if now >= self.next_ping {
            // Missed pings are not made up for.
            self.next_ping = (self.next_ping + PING_EVERY).max(now);
            let wall = self.wall(now);
            self.urgent.push_back(ping::ping(self.settings.ping_form, wall));
        }
        if now >= self.next_report {
            self.next_report = (self.next_report + REPORT_EVERY).max(now);
            self.report();
        }
    }

    /// The next datagram; `Err` says when there may be one.
    pub fn poll_send(&mut self, now: Instant) -> Result<Bytes, Instant> {
        if let Some(packet) = self.urgent.pop_front() {
            return Ok(packet);
        }
        while let Some(packet) = self.audio.take() {
            if !self.withhold() {
                return Ok(packet);
            }
        }
        let deadline = self.next_ping.min(self.next_report);
        while let Some(len) = self.video.next_len() {
            self.pacer.spend(now, len).map_err(|later| later.min(deadline))?;
            if let Some(packet) = self.video.take()
                && !self.withhold()
            {
                return Ok(packet);
            }
        }
        Err(deadline)
    }

    /// Figures so far.
    pub fn stats(&self) -> UplinkStats {
        UplinkStats {
            video_packets: self.video.sent(),
            audio_packets: self.audio.sent(),
            octets: self.video.octets() + self.audio.octets(),
            waiting: self.video.packets() - self.video.sent(),
            ..self.stats
        }
    }

    fn withhold(&mut self) -> bool {
        let Some(every) = self.settings.lose_every else { return false };
        self.until_loss = self.until_loss.saturating_sub(1);
        if self.until_loss > 0 {
            return false;
        }
        self.until_loss = every;
        self.stats.withheld += 1;
        true
    }

    /// The wall clock at media time 0, decided by whichever medium comes first.
    fn start_wall(&mut self, now: Instant, media_time: Duration) {
        let wall = self.wall(now);
        self.wall_zero.get_or_insert(wall.saturating_sub(media_time));
    }

    fn wall(&self, now: Instant) -> Duration {
        self.wall_at_epoch + now.saturating_duration_since(self.epoch)
    }

    fn report(&mut self) {
        let Some(wall_zero) = self.wall_zero else { return };
        for track in [&self.video, &self.audio] {
            if track.packets() == 0 {
                continue;
            }
            let (rtp_timestamp, media_time) = track.newest();
            let sender = SenderInfo {
                ssrc: track.ssrc,
                ntp: NtpTime::from_unix(wall_zero + media_time),
                rtp_timestamp,
                packets: track.sent() as u32,
                octets: track.octets() as u32,
            };
            let mut report = Vec::with_capacity(28);
            write_sender_report(&mut report, &sender, &[]);
            self.urgent.push_back(Bytes::from(report));
        }
    }
}

fn nal_type(nal: &[u8]) -> Option<u8> {
    nal.first().map(|first| first & 0x1f)
}

#[cfg(test)]
mod tests;
