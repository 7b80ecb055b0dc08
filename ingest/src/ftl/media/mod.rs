//! The media of one publisher session as a machine without sockets and without a clock.
//!
//! Datagrams and moments go in, [`Transmit`]s come out. Between a hostile or merely unlucky network and the relay it
//! does this:
//!
//! - Only the address of the control connection counts, from one source port at a time.
//! - Pings go back byte for byte; the speed test's junk goes nowhere (see `speed_test`).
//! - Audio before the first video packet is the speed test too; video begins with a parameter set or a keyframe.
//! - Each track is put into order, gaps are asked for, and later packets are held for them a while (see `ingest/src/uplink`).
//! - What goes on to the relay is plain RTP with a fresh SSRC per track and session, and sender reports that tell how
//!   the two belong together (see `ingest/src/uplink`).

mod datagram;
mod health;
mod source;
mod speed_test;
mod track;

use std::{
    collections::VecDeque,
    fmt,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use heliograph_media::{
    ClockRate, MediaKind, NtpTime, Ssrc, WireSeq,
    h264::{self, Sps},
    opus,
    rtcp::{self, Rtcp, SenderInfo},
    rtp::RtpHeader,
};

pub use crate::uplink::TrackHealth;
pub use health::MediaHealth;

use super::control::Announcement;
use crate::uplink::{
    health::smoothed_round_trip,
    reorder::{Arrival, Patience},
    sync::SessionClock,
};
use datagram::Kind;
use source::{Proof, Source};
use speed_test::SpeedTest;
use track::Track;

/// The media of one publisher session.
pub struct MediaSession {
    hold: Duration,
    nack: bool,
    fresh_ssrc: FreshSsrc,
    source: Source,
    video: Option<Track>,
    audio: Option<Track>,
    /// Until the first video packet.
    speed_test: Option<SpeedTest>,
    clock: SessionClock,
    patience: Patience,
    out: VecDeque<Transmit>,
    lost: Vec<WireSeq>,
    last_heard: Instant,
    last_media: Instant,
    health: MediaHealth,
}

/// What a session needs to know at its beginning.
pub struct MediaParameters {
    /// What the publisher said it would send.
    pub announcement: Announcement,
    /// The far side of the control connection.
    pub control_ip: IpAddr,
    /// See [`FtlSettings::hold`](crate::ftl::FtlSettings::hold).
    pub hold: Duration,
    /// See [`FtlSettings::nack`](crate::ftl::FtlSettings::nack).
    pub nack: bool,
    /// A first guess, from the control connection.
    pub round_trip: Option<Duration>,
    /// The wall clock now.
    pub wall_clock: NtpTime,
    /// Where random SSRCs come from.
    pub fresh_ssrc: FreshSsrc,
}

/// Where random SSRCs come from.
pub type FreshSsrc = Box<dyn FnMut() -> Ssrc + Send>;

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// From the media port to the publisher.
    Publisher {
        /// Where it sends from.
        to: SocketAddr,
        /// A ping of its own or a NACK.
        datagram: Vec<u8>,
    },
    /// To the relay's port for this channel.
    Relay(Vec<u8>),
}

impl MediaSession {
    /// A session whose port was just opened.
    #[must_use]
    pub fn new(now: Instant, parameters: MediaParameters) -> Self {
        let MediaParameters { announcement, control_ip, hold, nack, round_trip, wall_clock, mut fresh_ssrc } =
            parameters;
        let video = announcement.video.map(|track| Track::new(track, fresh_ssrc(), ClockRate::VIDEO));
        let audio = announcement.audio.map(|track| Track::new(track, fresh_ssrc(), ClockRate::OPUS));
        Self {
            hold,
            nack,
            fresh_ssrc,
            source: Source::new(control_ip),
            speed_test: (video.is_some() && audio.is_some()).then(SpeedTest::default),
            video,
            audio,
            clock: SessionClock::new(now, wall_clock),
            patience: Patience::new(hold, round_trip),
            out: VecDeque::new(),
            lost: Vec::new(),
            last_heard: now,
            last_media: now,
            health: MediaHealth { round_trip, ..MediaHealth::default() },
        }
    }

    /// A datagram that arrived at the media port.
    pub fn on_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        if !self.source.is_publisher(from) {
            self.health.foreign += 1;
            return;
        }
        match datagram::kind(datagram) {
            Kind::Ping => self.on_ping(now, from, datagram),
            Kind::Rtcp => self.on_publisher_rtcp(now, from, datagram),
            Kind::Media(payload_type) => self.on_media(now, from, payload_type, datagram),
            Kind::Unknown => self.health.malformed += 1,
        }
    }

    /// RTCP from the relay. Nothing of it can be passed on: an FTL encoder reads NACKs only, and those are ours.
    pub fn on_relay_datagram(&mut self, datagram: &[u8]) {
        for packet in rtcp::parse_compound(datagram).unwrap_or_default() {
            if matches!(packet, Rtcp::Pli { .. } | Rtcp::Fir { .. }) {
                self.health.keyframes_wanted += 1;
            }
        }
    }

    /// The moment of [`Self::deadline`] has come.
    pub fn on_deadline(&mut self, now: Instant) {
        self.work(now, MediaKind::Video);
        self.work(now, MediaKind::Audio);
    }

    /// When to call [`Self::on_deadline`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        [&self.video, &self.audio].into_iter().flatten().filter_map(|track| track.reorder.deadline()).min()
    }

    /// The next datagram to send. Call until there is none.
    pub fn next_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// The session is over: tells the relay, so that it need not wait for silence.
    pub fn finish(&mut self) {
        let begun = [&self.video, &self.audio].into_iter().flatten().filter(|track| track.begun);
        let ssrcs: Vec<Ssrc> = begun.map(|track| track.ssrc).collect();
        if !ssrcs.is_empty() {
            let mut datagram = Vec::new();
            rtcp::write_bye(&mut datagram, &ssrcs);
            self.out.push_back(Transmit::Relay(datagram));
        }
    }

    /// The last time anything valid came, pings too.
    #[must_use]
    pub fn last_heard(&self) -> Instant {
        self.last_heard
    }

    /// The last time media came that counts.
    #[must_use]
    pub fn last_media(&self) -> Instant {
        self.last_media
    }

    /// How it goes.
    #[must_use]
    pub fn health(&self, now: Instant) -> MediaHealth {
        MediaHealth {
            video: self.video.as_ref().map(|track| track.health(now)),
            audio: self.audio.as_ref().map(|track| track.health(now)),
            source: self.source.addr(),
            speed_test_lost: self.speed_test.as_ref().map_or(self.health.speed_test_lost, SpeedTest::asked),
            ..self.health.clone()
        }
    }

    fn accept(&mut self, now: Instant, from: SocketAddr, proof: Proof) -> bool {
        let accepted = self.source.accept(now, from, proof);
        if accepted {
            self.last_heard = now;
        } else {
            self.health.foreign += 1;
        }
        accepted
    }

    fn on_ping(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        if self.accept(now, from, Proof::Shape) {
            self.health.pings += 1;
            self.out.push_back(Transmit::Publisher { to: from, datagram: datagram.to_vec() });
        }
    }

    fn on_publisher_rtcp(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let Ok(packets) = rtcp::parse_compound(datagram) else {
            self.health.malformed += 1;
            return;
        };
        for packet in packets {
            let Rtcp::SenderReport { ssrc, ntp, rtp_timestamp, packets, octets, .. } = packet else {
                continue;
            };
            let Some(kind) = self.kind_of_ssrc(ssrc) else {
                self.health.malformed += 1;
                continue;
            };
            if !self.accept(now, from, Proof::Identity) {
                return;
            }
            let (Some(track), clock) = (track_of(&mut self.video, &mut self.audio, kind), &mut self.clock)
            else {
                continue;
            };
            if let Some(ntp) = clock.translate(now, &mut track.clock, ntp, rtp_timestamp) {
                let info = SenderInfo { ssrc: track.ssrc, ntp, rtp_timestamp, packets, octets };
                self.out.push_back(sender_report(&info));
            }
        }
    }

    fn kind_of_ssrc(&self, ssrc: Ssrc) -> Option<MediaKind> {
        let is = |track: &Option<Track>| track.as_ref().is_some_and(|track| track.wire_ssrc == Some(ssrc));
        if is(&self.video) { Some(MediaKind::Video) } else { is(&self.audio).then_some(MediaKind::Audio) }
    }

    fn on_media(&mut self, now: Instant, from: SocketAddr, payload_type: u8, datagram: &[u8]) {
        let announced = |track: &Option<Track>| {
            track.as_ref().is_some_and(|track| track.announced.payload_type.get() == payload_type)
        };
        let kind = match (announced(&self.video), announced(&self.audio)) {
            (true, _) => MediaKind::Video,
            (_, true) => MediaKind::Audio,
            _ => return self.health.malformed += 1,
        };
        let header = match RtpHeader::parse(datagram) {
            Ok(header) if !header.payload.is_empty() => header,
            _ => return self.health.malformed += 1,
        };
        let Some(track) = track_of(&mut self.video, &mut self.audio, kind) else { return };
        if track.wire_ssrc.is_some_and(|ssrc| ssrc != header.ssrc) {
            return self.health.malformed += 1;
        }
        track.wire_ssrc = Some(header.ssrc);
        if !self.accept(now, from, Proof::Identity) {
            return;
        }
        match kind {
            MediaKind::Video => {
                if let Some(speed_test) = self.speed_test.take() {
                    self.health.speed_test_lost = speed_test.asked();
                }
            }
            MediaKind::Audio if self.is_junk(&header) => return,
            MediaKind::Audio => {}
        }
        self.last_media = now;
        let Some(track) = track_of(&mut self.video, &mut self.audio, kind) else { return };
        let arrival = track.on_packet(now, &header, datagram, self.patience);
        match arrival {
            Arrival::Taken { answered_after: Some(sample) } => self.on_round_trip(sample),
            Arrival::Restarted => {
                let ssrc = (self.fresh_ssrc)();
                if let Some(track) = track_of(&mut self.video, &mut self.audio, kind) {
                    track.begin_anew(ssrc);
                }
            }
            _ => {}
        }
        self.work(now, kind);
    }

    /// The speed test, and what is left of it when it overtakes or follows the first video packet.
    fn is_junk(&mut self, header: &RtpHeader) -> bool {
        if let Some(speed_test) = &mut self.speed_test {
            self.health.speed_test_packets += 1;
            speed_test.on_packet(header.seq, &mut self.lost);
            self.request_lost(header.ssrc);
            return true;
        }
        let junk = header.payload.len() > opus::MAX_PAYLOAD;
        self.health.speed_test_packets += u64::from(junk);
        junk
    }

    fn on_round_trip(&mut self, sample: Duration) {
        let smoothed = smoothed_round_trip(self.health.round_trip, sample);
        self.health.round_trip = Some(smoothed);
        self.patience = Patience::new(self.hold, Some(smoothed));
    }

    /// Asks for what is missing from a track and passes on what is due.
    fn work(&mut self, now: Instant, kind: MediaKind) {
        let Some(track) = track_of(&mut self.video, &mut self.audio, kind) else { return };
        track.reorder.ask(now, self.patience, &mut self.lost);
        if let Some(ssrc) = track.wire_ssrc {
            self.request_lost(ssrc);
        }
        let Some(track) = track_of(&mut self.video, &mut self.audio, kind) else { return };
        while let Some((_, mut packet)) = track.reorder.release(now) {
            if kind == MediaKind::Video {
                if !track.may_begin(packet.payload()) {
                    continue;
                }
                if let Some(sps) = h264::sps_in(packet.payload()).and_then(|nal| Sps::parse(nal).ok()) {
                    self.health.picture = Some((sps.width, sps.height));
                }
            }
            if track.begun {
                track.clock.on_packet(packet.timestamp);
            } else {
                track.begun = true;
                if let Some(ntp) = self.clock.on_first_packet(now, &mut track.clock, packet.timestamp) {
                    let info = SenderInfo {
                        ssrc: track.ssrc,
                        ntp,
                        rtp_timestamp: packet.timestamp,
                        packets: 0,
                        octets: 0,
                    };
                    self.out.push_back(sender_report(&info));
                }
            }
            packet.set_ssrc(track.ssrc);
            self.out.push_back(Transmit::Relay(packet.datagram));
        }
    }

    /// Sends NACKs for what is in `lost`, each alone in its datagram: clients do not look behind the first packet.
    fn request_lost(&mut self, media: Ssrc) {
        let mut lost = self.lost.as_slice();
        while let Some(to) = self.source.addr().filter(|_| self.nack && !lost.is_empty()) {
            let mut datagram = Vec::new();
            let (these, rest) = lost.split_at(lost.len().min(MAX_LOST_PER_NACK));
            let covered = rtcp::write_nack(&mut datagram, media, media, these);
            lost = if covered < these.len() { &lost[covered..] } else { rest };
            self.out.push_back(Transmit::Publisher { to, datagram });
        }
        self.lost.clear();
    }
}

impl fmt::Debug for MediaSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaSession").field("health", &self.health).finish_non_exhaustive()
    }
}

/// A function and not a method, so that the other fields stay usable beside it.
fn track_of<'a>(
    video: &'a mut Option<Track>,
    audio: &'a mut Option<Track>,
    kind: MediaKind,
) -> Option<&'a mut Track> {
    match kind {
        MediaKind::Video => video.as_mut(),
        MediaKind::Audio => audio.as_mut(),
    }
}

fn sender_report(info: &SenderInfo) -> Transmit {
    let mut datagram = Vec::with_capacity(28);
    rtcp::write_sender_report(&mut datagram, info, &[]);
    Transmit::Relay(datagram)
}

/// Worst case of one pair each: a datagram of 412 bytes.
const MAX_LOST_PER_NACK: usize = 100;

#[cfg(test)]
mod tests;
