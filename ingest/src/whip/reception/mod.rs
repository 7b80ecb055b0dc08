//! The media of one WHIP publisher as a machine without sockets, without a clock and without cryptography.
//!
//! Plain RTP and RTCP of the publisher go in; plain RTP for the relay and plain RTCP for the publisher come out:
//!
//! - Each track is put into order; gaps are asked for, and answered as they were or as RTX (RFC 4588).
//! - The publisher hears how its packets arrive: receiver reports, and transport-wide feedback or a REMB.
//! - It is asked for a keyframe when the relay wants one or when packets of a picture are lost for good.
//! - What goes on to the relay has a fresh SSRC per track and session and carries no header extensions; sender
//!   reports go along, moved to our clock.

mod keyframes;
mod numbering;
#[cfg(test)]
mod tests;
mod track;
mod transport_cc;

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use heliograph_edge::sdp::{Incoming, IncomingTrack};
use heliograph_media::{
    Bitrate, MediaKind, NtpTime, Ssrc, WireSeq,
    rtcp::{self, Rtcp, SenderInfo},
    rtp::{self, RtpHeader},
    video,
};

use crate::uplink::{
    TrackHealth,
    reorder::{Arrival, Patience, REORDER_TIME},
    sync::SessionClock,
};
use keyframes::KeyframeRequests;
use track::{Source, Track};
use transport_cc::TransportCc;

/// The media of one publisher.
pub(super) struct Reception {
    hold: Duration,
    ceiling: Bitrate,
    fresh_ssrc: FreshSsrc,
    /// Who our RTCP is from.
    ours: Ssrc,
    video: Option<Track>,
    audio: Option<Track>,
    clock: SessionClock,
    patience: Patience,
    transport_cc: TransportCc,
    keyframes: KeyframeRequests,
    full_intra_requests: u8,
    next_report: Instant,
    out: VecDeque<Transmit>,
    lost: Vec<WireSeq>,
    last_media: Instant,
    health: WhipHealth,
}

/// What a session needs to know at its beginning.
pub(super) struct ReceptionParameters {
    /// What was agreed with the publisher.
    pub(super) video: Option<IncomingTrack>,
    pub(super) audio: Option<IncomingTrack>,
    /// Most time that a gap is waited for.
    pub(super) hold: Duration,
    /// The most that the channel may send; publishers that listen to a REMB are told.
    pub(super) ceiling: Option<Bitrate>,
    /// The wall clock now.
    pub(super) wall_clock: NtpTime,
    /// Where random SSRCs come from.
    pub(super) fresh_ssrc: FreshSsrc,
}

impl ReceptionParameters {
    pub(super) fn new(
        incoming: &Incoming,
        hold: Duration,
        ceiling: Option<Bitrate>,
        wall_clock: NtpTime,
        fresh_ssrc: FreshSsrc,
    ) -> Self {
        let (video, audio) = (incoming.video.clone(), incoming.audio.clone());
        Self { video, audio, hold, ceiling, wall_clock, fresh_ssrc }
    }
}

/// Where random SSRCs come from.
pub(super) type FreshSsrc = Box<dyn FnMut() -> Ssrc + Send>;

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Transmit {
    /// RTCP to the publisher, still to be sealed.
    Publisher(Vec<u8>),
    /// To the relay's port for this channel.
    Relay(Vec<u8>),
}

/// How a WHIP publisher's media is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct WhipHealth {
    /// Pictures; `None` when not agreed.
    pub video: Option<TrackHealth>,
    /// Sound; `None` when not agreed.
    pub audio: Option<TrackHealth>,
    /// Between us and the publisher, from retransmissions, smoothed.
    pub round_trip: Option<Duration>,
    /// Keyframes that the relay asked for.
    pub keyframes_wanted: u64,
    /// Requests for a keyframe that the publisher was sent.
    pub keyframes_requested: u64,
    /// Broken packets, or of a payload type or SSRC that was not agreed.
    pub malformed: u64,
    /// Width and height of the picture in pixels, from the stream itself.
    pub picture: Option<(u32, u32)>,
}

impl WhipHealth {
    /// Media bytes received, headers included.
    #[must_use]
    pub(super) fn bytes(&self) -> u64 {
        self.tracks().map(|track| track.bytes).sum()
    }

    /// Media packets received, without duplicates.
    #[must_use]
    pub(super) fn packets(&self) -> u64 {
        self.tracks().map(|track| track.packets).sum()
    }

    /// Media packets that never came.
    #[must_use]
    pub(super) fn lost(&self) -> u64 {
        self.tracks().map(|track| track.lost).sum()
    }

    /// Requests for lost packets.
    #[must_use]
    pub(super) fn nacks(&self) -> u64 {
        self.tracks().map(|track| track.nacks).sum()
    }

    /// Of both media, lately.
    #[must_use]
    pub(super) fn bitrate(&self) -> Bitrate {
        Bitrate::bps(self.tracks().map(|track| track.bitrate.as_bps()).sum())
    }

    fn tracks(&self) -> impl Iterator<Item = &TrackHealth> {
        self.video.iter().chain(&self.audio)
    }
}

impl Reception {
    pub(super) fn new(now: Instant, parameters: ReceptionParameters) -> Self {
        let ReceptionParameters { video, audio, hold, ceiling, wall_clock, mut fresh_ssrc } = parameters;
        Self {
            hold,
            ceiling: ceiling.unwrap_or(REMB_CEILING),
            ours: fresh_ssrc(),
            video: video.map(|agreed| Track::new(now, agreed, fresh_ssrc())),
            audio: audio.map(|agreed| Track::new(now, agreed, fresh_ssrc())),
            fresh_ssrc,
            clock: SessionClock::new(now, wall_clock),
            patience: Patience::new(hold, None),
            transport_cc: TransportCc::new(now),
            keyframes: KeyframeRequests::default(),
            full_intra_requests: 0,
            next_report: now + REPORT_EVERY,
            out: VecDeque::new(),
            lost: Vec::new(),
            last_media: now,
            health: WhipHealth::default(),
        }
    }

    /// An authentic RTP packet of the publisher.
    pub(super) fn on_rtp(&mut self, now: Instant, packet: &[u8]) {
        let Ok(header) = RtpHeader::parse(packet) else { return self.health.malformed += 1 };
        let Some((kind, retransmission)) = self.kind_of(header.payload_type) else {
            return self.health.malformed += 1;
        };
        let Some(track) = track_of(&mut self.video, &mut self.audio, kind) else { return };
        if let Some(seq) = track.agreed.transport_cc_ext.and_then(|id| rtp::extension(packet, id))
            && let Ok(seq) = seq.try_into()
        {
            self.transport_cc.on_packet(now, WireSeq(u16::from_be_bytes(seq)));
        }
        let patience = patience_for(track, self.patience);
        let arrival = if retransmission {
            track.on_retransmission(now, &header, packet, patience)
        } else {
            match track.source(now, header.ssrc) {
                Source::Same => {}
                Source::New => track.begin(header.ssrc, (self.fresh_ssrc)()),
                Source::Foreign => return self.health.malformed += 1,
            }
            track.on_packet(now, &header, packet, patience)
        };
        match arrival {
            Arrival::Taken { answered_after } => {
                self.last_media = now;
                if let Some(sample) = answered_after {
                    self.on_round_trip(sample);
                }
            }
            Arrival::Restarted => {
                self.last_media = now;
                let ssrc = (self.fresh_ssrc)();
                if let Some(track) = track_of(&mut self.video, &mut self.audio, kind) {
                    track.begin_anew(ssrc);
                }
            }
            Arrival::Duplicate | Arrival::Strange => {}
        }
        self.work(now, kind);
    }

    /// An authentic RTCP datagram of the publisher.
    pub(super) fn on_rtcp(&mut self, now: Instant, datagram: &[u8]) {
        let Ok(packets) = rtcp::parse_compound(datagram) else { return self.health.malformed += 1 };
        for packet in packets {
            let Rtcp::SenderReport { ssrc, ntp, rtp_timestamp, packets, octets, .. } = packet else {
                continue;
            };
            let tracks = [&mut self.video, &mut self.audio].into_iter().flatten();
            let Some(track) = tracks.into_iter().find(|track| track.wire_ssrc == Some(ssrc)) else {
                continue;
            };
            if let Some(counts) = &mut track.counts {
                counts.sender_report(now, ntp);
            }
            if let Some(ntp) = self.clock.translate(now, &mut track.clock, ntp, rtp_timestamp) {
                let info = SenderInfo { ssrc: track.ssrc, ntp, rtp_timestamp, packets, octets };
                let mut datagram = Vec::with_capacity(28);
                rtcp::write_sender_report(&mut datagram, &info, &[]);
                self.out.push_back(Transmit::Relay(datagram));
            }
        }
    }

    /// RTCP from the relay: its viewers want a keyframe.
    pub(super) fn on_relay_datagram(&mut self, now: Instant, datagram: &[u8]) {
        for packet in rtcp::parse_compound(datagram).unwrap_or_default() {
            if matches!(packet, Rtcp::Pli { .. } | Rtcp::Fir { .. }) {
                self.health.keyframes_wanted += 1;
                self.keyframes.want();
            }
        }
        self.request_keyframe(now);
    }

    /// The moment of [`Self::deadline`] has come.
    pub(super) fn on_deadline(&mut self, now: Instant) {
        self.work(now, MediaKind::Video);
        self.work(now, MediaKind::Audio);
        self.feedback(now);
        if now >= self.next_report {
            self.next_report = now + REPORT_EVERY;
            self.report(now);
        }
    }

    /// When to call [`Self::on_deadline`].
    pub(super) fn deadline(&self, now: Instant) -> Instant {
        let tracks = [&self.video, &self.audio].into_iter().flatten();
        let tracks = tracks.filter_map(|track| track.reorder.deadline());
        let keyframes = self.keyframe_request().and(self.keyframes.due(now));
        tracks.chain(self.transport_cc.due()).chain(keyframes).fold(self.next_report, Instant::min)
    }

    /// The next datagram to send. Call until there is none.
    pub(super) fn next_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// The session is over: tells the relay, so that it need not wait for silence.
    pub(super) fn finish(&mut self) {
        let begun = [&self.video, &self.audio].into_iter().flatten().filter(|track| track.begun);
        let ssrcs: Vec<Ssrc> = begun.map(|track| track.ssrc).collect();
        if !ssrcs.is_empty() {
            let mut datagram = Vec::new();
            rtcp::write_bye(&mut datagram, &ssrcs);
            self.out.push_back(Transmit::Relay(datagram));
        }
    }

    /// The last time media came.
    pub(super) fn last_media(&self) -> Instant {
        self.last_media
    }

    /// How it goes.
    pub(super) fn health(&self, now: Instant) -> WhipHealth {
        WhipHealth {
            video: self.video.as_ref().map(|track| track.health(now)),
            audio: self.audio.as_ref().map(|track| track.health(now)),
            keyframes_requested: self.keyframes.total(),
            ..self.health.clone()
        }
    }

    /// Which medium a payload type belongs to, and whether it carries retransmissions.
    fn kind_of(&self, payload_type: heliograph_media::PayloadType) -> Option<(MediaKind, bool)> {
        let tracks = [(MediaKind::Video, &self.video), (MediaKind::Audio, &self.audio)];
        tracks.into_iter().find_map(|(kind, track)| {
            let agreed = &track.as_ref()?.agreed;
            let retransmission = agreed.rtx_payload_type == Some(payload_type);
            (retransmission || agreed.payload_type == payload_type).then_some((kind, retransmission))
        })
    }

    fn on_round_trip(&mut self, sample: Duration) {
        let smoothed = self.health.round_trip.map_or(sample, |before| (before * 3 + sample) / 4);
        self.health.round_trip = Some(smoothed);
        self.patience = Patience::new(self.hold, Some(smoothed));
    }

    /// Asks for what is missing from a track and passes on what is due.
    fn work(&mut self, now: Instant, kind: MediaKind) {
        let Some(track) = track_of(&mut self.video, &mut self.audio, kind) else { return };
        track.reorder.ask(now, self.patience, &mut self.lost);
        if let Some(media) = track.wire_ssrc.filter(|_| track.agreed.nack) {
            request_lost(&mut self.out, self.ours, media, &self.lost);
        }
        self.lost.clear();
        let lost_before = track.reorder.counts().lost;
        while let Some((seq, packet)) = track.reorder.release(now) {
            if packet.payload.is_empty() {
                track.numbering.leave_out(seq);
                continue;
            }
            if kind == MediaKind::Video {
                let codec = track.agreed.codec;
                let look = video::look(codec, &packet.payload).unwrap_or_default();
                if look.key_picture {
                    self.keyframes.came();
                }
                if !track.begun && !look.may_begin() {
                    self.keyframes.want();
                    continue;
                }
                if look.may_begin()
                    && let Some(picture) = video::picture(codec, &packet.payload)
                {
                    self.health.picture = Some((picture.width, picture.height));
                }
            }
            if track.begun {
                track.clock.on_packet(packet.timestamp);
            } else {
                track.begun = true;
                self.clock.on_first_packet(now, &mut track.clock, packet.timestamp);
            }
            let datagram = track.datagram(track.numbering.number(seq), &packet);
            self.out.push_back(Transmit::Relay(datagram));
        }
        if kind == MediaKind::Video {
            // Whoever decodes this has a broken picture until the next keyframe.
            if track.begun && track.reorder.counts().lost > lost_before {
                self.keyframes.want();
            }
            self.request_keyframe(now);
        }
    }

    fn request_keyframe(&mut self, now: Instant) {
        let Some((media, request)) = self.keyframe_request() else { return };
        if !self.keyframes.take(now) {
            return;
        }
        let mut datagram = Vec::new();
        match request {
            KeyframeRequest::Pli => rtcp::write_pli(&mut datagram, self.ours, media),
            KeyframeRequest::Fir => {
                self.full_intra_requests = self.full_intra_requests.wrapping_add(1);
                rtcp::write_fir(&mut datagram, self.ours, media, self.full_intra_requests);
            }
        }
        self.out.push_back(Transmit::Publisher(datagram));
    }

    /// Whom to ask for a keyframe, and how; `None` when the publisher does not listen.
    fn keyframe_request(&self) -> Option<(Ssrc, KeyframeRequest)> {
        let track = self.video.as_ref()?;
        let request = match (track.agreed.pli, track.agreed.fir) {
            (true, _) => KeyframeRequest::Pli,
            (false, true) => KeyframeRequest::Fir,
            (false, false) => return None,
        };
        Some((track.wire_ssrc?, request))
    }

    /// What a bandwidth estimate lives on.
    fn feedback(&mut self, now: Instant) {
        let Some(media) = self.tracks().find_map(|track| track.wire_ssrc) else { return };
        let mut datagrams = Vec::new();
        self.transport_cc.write(now, self.ours, media, &mut datagrams);
        self.out.extend(datagrams.into_iter().map(Transmit::Publisher));
    }

    fn report(&mut self, now: Instant) {
        let tracks = [&mut self.video, &mut self.audio].into_iter().flatten();
        let blocks: Vec<_> = tracks.filter_map(|track| Some(track.counts.as_mut()?.block(now))).collect();
        if blocks.is_empty() {
            return;
        }
        let mut datagram = Vec::new();
        rtcp::write_receiver_report(&mut datagram, self.ours, &blocks);
        rtcp::write_sdes_cname(&mut datagram, self.ours, CNAME);
        // Without transport-wide feedback a sender's own estimate goes by losses; the ceiling lets it.
        let remb = self.tracks().filter(|track| track.agreed.remb && track.agreed.transport_cc_ext.is_none());
        let media: Vec<Ssrc> = remb.filter_map(|track| track.wire_ssrc).collect();
        if !media.is_empty() {
            rtcp::write_remb(&mut datagram, self.ours, self.ceiling.as_bps(), &media);
        }
        self.out.push_back(Transmit::Publisher(datagram));
    }

    fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.video.iter().chain(&self.audio)
    }
}

impl fmt::Debug for Reception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reception").field("health", &self.health).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug)]
enum KeyframeRequest {
    Pli,
    Fir,
}

/// Where nothing can be asked again, packets are only put into order.
fn patience_for(track: &Track, patience: Patience) -> Patience {
    if track.agreed.nack { patience } else { Patience { hold: REORDER_TIME, ..patience } }
}

/// Sends NACKs for what is in `lost`.
fn request_lost(out: &mut VecDeque<Transmit>, ours: Ssrc, media: Ssrc, lost: &[WireSeq]) {
    let mut lost = lost;
    while !lost.is_empty() {
        let mut datagram = Vec::new();
        let covered = rtcp::write_nack(&mut datagram, ours, media, lost);
        lost = &lost[covered..];
        out.push_back(Transmit::Publisher(datagram));
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

/// Between receiver reports. A sender measures its round trip by them.
const REPORT_EVERY: Duration = Duration::from_millis(500);
/// More than any publisher sends.
const REMB_CEILING: Bitrate = Bitrate::bps(50_000_000);
const CNAME: &str = "heliograph";
