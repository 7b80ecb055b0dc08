//! The media of one WHIP publisher as a machine without sockets, without a clock and without cryptography.
//!
//! Plain RTP and RTCP of the publisher go in; plain RTP for the relay and plain RTCP for the publisher come out:
//!
//! - Each track is put into order; gaps are asked for, and answered as they were or as RTX (RFC 4588).
//! - The publisher hears how its packets arrive: receiver reports, and transport-wide feedback or a REMB.
//! - It is asked for a keyframe when the relay wants one or when packets of a picture are lost for good.
//! - The layers of a simulcast are tracks of their own, told apart by their names (`rid`) until their SSRCs are known.
//! - What goes on to the relay has a fresh SSRC per track and session and carries no header extensions; sender
//!   reports go along, moved to our clock, and with them how long ago was what they speak of.

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
    capture::CaptureClock,
    health::smoothed_round_trip,
    reorder::{Arrival, Patience, REORDER_TIME},
    sync::SessionClock,
};
use track::{Source, Track};
use transport_cc::TransportCc;

/// The media of one publisher.
pub(super) struct Reception {
    hold: Duration,
    ceiling: Bitrate,
    fresh_ssrc: FreshSsrc,
    /// Who our RTCP is from.
    ours: Ssrc,
    /// Pictures, one track for each layer, and then sound.
    tracks: Vec<Track>,
    clock: SessionClock,
    capture: CaptureClock,
    patience: Patience,
    transport_cc: TransportCc,
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
    /// Pictures, all layers together; `None` when not agreed.
    pub video: Option<TrackHealth>,
    /// Sound; `None` when not agreed.
    pub audio: Option<TrackHealth>,
    /// Between us and the publisher, from the handshake and from retransmissions, smoothed.
    pub round_trip: Option<Duration>,
    /// Keyframes that the relay asked for.
    pub keyframes_wanted: u64,
    /// Requests for a keyframe that the publisher was sent.
    pub keyframes_requested: u64,
    /// Broken packets, or of a payload type or SSRC that was not agreed.
    pub malformed: u64,
    /// Width and height of the largest picture in pixels, from the stream itself.
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

    /// How unevenly packets come, see [`TrackHealth::jitter_of`].
    #[must_use]
    pub(super) fn jitter(&self) -> Option<Duration> {
        TrackHealth::jitter_of(self.video, self.audio)
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
        let ours = fresh_ssrc();
        let agreed = [video, audio].into_iter().flatten();
        let tracks = agreed.flat_map(|agreed| Track::all(now, &agreed, &mut fresh_ssrc)).collect();
        Self {
            hold,
            ceiling: ceiling.unwrap_or(REMB_CEILING),
            ours,
            tracks,
            fresh_ssrc,
            clock: SessionClock::new(now, wall_clock),
            capture: CaptureClock::default(),
            patience: Patience::new(hold, None),
            transport_cc: TransportCc::new(now),
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
        let Some((index, retransmission)) = self.track_of(&header, packet) else {
            return self.health.malformed += 1;
        };
        let track = &mut self.tracks[index];
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
                track.begin_anew((self.fresh_ssrc)());
            }
            Arrival::Duplicate | Arrival::Strange => {}
        }
        self.work(now, index);
    }

    /// An authentic RTCP datagram of the publisher.
    pub(super) fn on_rtcp(&mut self, now: Instant, datagram: &[u8]) {
        let Ok(packets) = rtcp::parse_compound(datagram) else { return self.health.malformed += 1 };
        for packet in packets {
            let Rtcp::SenderReport { ssrc, ntp, rtp_timestamp, packets, octets, .. } = packet else {
                continue;
            };
            let Some(track) = self.tracks.iter_mut().find(|track| track.wire_ssrc == Some(ssrc)) else {
                continue;
            };
            if let Some(counts) = &mut track.counts {
                counts.sender_report(now, ntp);
            }
            let step = track.clock.step(ntp, rtp_timestamp);
            if let Some(step) = step.filter(|_| track.kind() == MediaKind::Video) {
                self.capture.on_step(step);
            }
            let ago = self.capture.on_report(now, ntp);
            if let Some(ntp) = self.clock.translate(now, &mut track.clock, ntp, rtp_timestamp) {
                let info = SenderInfo { ssrc: track.ssrc, ntp, rtp_timestamp, packets, octets };
                let mut datagram = Vec::with_capacity(48);
                rtcp::write_sender_report(&mut datagram, &info, &[]);
                if let Some(ago) = ago {
                    rtcp::write_captured(&mut datagram, track.ssrc, rtp_timestamp, ago);
                }
                self.out.push_back(Transmit::Relay(datagram));
            }
        }
    }

    /// RTCP from the relay: its viewers want a keyframe.
    pub(super) fn on_relay_datagram(&mut self, now: Instant, datagram: &[u8]) {
        for packet in rtcp::parse_compound(datagram).unwrap_or_default() {
            let wanted = match packet {
                Rtcp::Pli { media } => vec![media],
                Rtcp::Fir { media } => media.into_iter().map(|(media, _)| media).collect(),
                _ => continue,
            };
            self.health.keyframes_wanted += 1;
            for track in self.tracks.iter_mut().filter(|track| track.kind() == MediaKind::Video) {
                // Whoever names nothing that we know means the picture as such.
                if track.rid.is_none() || wanted.contains(&track.ssrc) {
                    track.keyframes.want();
                }
            }
        }
        for index in 0..self.tracks.len() {
            self.request_keyframe(now, index);
        }
    }

    /// The moment of [`Self::deadline`] has come.
    pub(super) fn on_deadline(&mut self, now: Instant) {
        for index in 0..self.tracks.len() {
            self.work(now, index);
        }
        self.feedback(now);
        if now >= self.next_report {
            self.next_report = now + REPORT_EVERY;
            self.report(now);
        }
    }

    /// When to call [`Self::on_deadline`].
    pub(super) fn deadline(&self, now: Instant) -> Instant {
        let gaps = self.tracks.iter().filter_map(|track| track.reorder.deadline());
        let keyframes =
            self.tracks.iter().filter_map(|track| keyframe_request(track).and(track.keyframes.due(now)));
        gaps.chain(self.transport_cc.due()).chain(keyframes).fold(self.next_report, Instant::min)
    }

    /// The next datagram to send. Call until there is none.
    pub(super) fn next_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// The session is over: tells the relay, so that it need not wait for silence.
    pub(super) fn finish(&mut self) {
        let begun = self.tracks.iter().filter(|track| track.begun);
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
        let of = |kind| {
            let tracks = self.tracks.iter().filter(move |track| track.kind() == kind);
            tracks.map(|track| track.health(now)).reduce(together)
        };
        let pictures = self.tracks.iter().filter_map(|track| track.picture);
        WhipHealth {
            video: of(MediaKind::Video),
            audio: of(MediaKind::Audio),
            keyframes_requested: self.tracks.iter().map(|track| track.keyframes.total()).sum(),
            picture: pictures.max_by_key(|(width, height)| u64::from(*width) * u64::from(*height)),
            ..self.health.clone()
        }
    }

    /// Which track a packet belongs to, and whether it is a retransmission. A layer's SSRC is that under which its name
    /// came last.
    fn track_of(&mut self, header: &RtpHeader, packet: &[u8]) -> Option<(usize, bool)> {
        let kinds = self.tracks.iter().enumerate();
        let mut candidates = kinds.filter_map(|(index, track)| {
            let retransmission = track.agreed.rtx_payload_type == Some(header.payload_type);
            (retransmission || track.agreed.payload_type == header.payload_type)
                .then_some((index, retransmission))
        });
        let (first, retransmission) = candidates.next()?;
        let Some(simulcast) = &self.tracks[first].agreed.simulcast else {
            return Some((first, retransmission));
        };
        let extension = if retransmission { simulcast.repaired_rid_ext } else { Some(simulcast.rid_ext) };
        if let Some(rid) = extension.and_then(|id| rtp::extension(packet, id)) {
            let named = |track: &Track| track.rid.as_deref().is_some_and(|known| known.as_bytes() == rid);
            let index = self.tracks.iter().position(named)?;
            if retransmission {
                self.tracks[index].rtx_ssrc = Some(header.ssrc);
            }
            return Some((index, retransmission));
        }
        let known = |track: &Track| if retransmission { track.rtx_ssrc } else { track.wire_ssrc };
        let index = self.tracks.iter().position(|track| known(track) == Some(header.ssrc))?;
        Some((index, retransmission))
    }

    /// A first guess at the round trip, from the handshake.
    pub(super) fn on_handshake(&mut self, round_trip: Duration) {
        self.on_round_trip(round_trip);
    }

    fn on_round_trip(&mut self, sample: Duration) {
        self.capture.on_round_trip(sample);
        let smoothed = smoothed_round_trip(self.health.round_trip, sample);
        self.health.round_trip = Some(smoothed);
        self.patience = Patience::new(self.hold, Some(smoothed));
    }

    /// Asks for what is missing from a track and passes on what is due.
    fn work(&mut self, now: Instant, index: usize) {
        let track = &mut self.tracks[index];
        let kind = track.kind();
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
                    track.keyframes.came();
                }
                if !track.begun && !look.may_begin() {
                    track.keyframes.want();
                    continue;
                }
                if look.may_begin()
                    && let Some(picture) = video::picture(codec, &packet.payload)
                {
                    track.picture = Some((picture.width, picture.height));
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
                track.keyframes.want();
            }
            self.request_keyframe(now, index);
        }
    }

    fn request_keyframe(&mut self, now: Instant, index: usize) {
        let track = &mut self.tracks[index];
        let Some((media, request)) = keyframe_request(track) else { return };
        if !track.keyframes.take(now) {
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

    /// What a bandwidth estimate lives on.
    fn feedback(&mut self, now: Instant) {
        let Some(media) = self.tracks.iter().find_map(|track| track.wire_ssrc) else { return };
        let mut datagrams = Vec::new();
        self.transport_cc.write(now, self.ours, media, &mut datagrams);
        self.out.extend(datagrams.into_iter().map(Transmit::Publisher));
    }

    fn report(&mut self, now: Instant) {
        let tracks = self.tracks.iter_mut();
        let blocks: Vec<_> = tracks.filter_map(|track| Some(track.counts.as_mut()?.block(now))).collect();
        if blocks.is_empty() {
            return;
        }
        let mut datagram = Vec::new();
        rtcp::write_receiver_report(&mut datagram, self.ours, &blocks);
        rtcp::write_sdes_cname(&mut datagram, self.ours, CNAME);
        // Without transport-wide feedback a sender's own estimate goes by losses; the ceiling lets it.
        let listens = |track: &&Track| track.agreed.remb && track.agreed.transport_cc_ext.is_none();
        let remb = self.tracks.iter().filter(listens);
        let media: Vec<Ssrc> = remb.filter_map(|track| track.wire_ssrc).collect();
        if !media.is_empty() {
            rtcp::write_remb(&mut datagram, self.ours, self.ceiling.as_bps(), &media);
        }
        self.out.push_back(Transmit::Publisher(datagram));
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

/// Whom to ask for a keyframe, and how; `None` when the publisher does not listen.
fn keyframe_request(track: &Track) -> Option<(Ssrc, KeyframeRequest)> {
    let request = match (track.agreed.pli, track.agreed.fir) {
        (true, _) => KeyframeRequest::Pli,
        (false, true) => KeyframeRequest::Fir,
        (false, false) => return None,
    };
    Some((track.wire_ssrc?, request))
}

/// Two layers as one medium.
fn together(a: TrackHealth, b: TrackHealth) -> TrackHealth {
    TrackHealth {
        packets: a.packets + b.packets,
        bytes: a.bytes + b.bytes,
        lost: a.lost + b.lost,
        recovered: a.recovered + b.recovered,
        late: a.late + b.late,
        duplicates: a.duplicates + b.duplicates,
        nacks: a.nacks + b.nacks,
        jitter: a.jitter.max(b.jitter),
        bitrate: Bitrate::bps(a.bitrate.as_bps() + b.bitrate.as_bps()),
    }
}

/// Between receiver reports. A sender measures its round trip by them.
const REPORT_EVERY: Duration = Duration::from_millis(500);
/// More than any publisher sends.
const REMB_CEILING: Bitrate = Bitrate::bps(50_000_000);
const CNAME: &str = "heliograph";
