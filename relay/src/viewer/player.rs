//! A connected viewer: what it is sent, and what it asks for. Joining, live fan-out, sending again, reports.

use std::time::{Duration, Instant};

use heliograph_edge::{
    sdp::NegotiatedTrack,
    srtp::{RtcpOpener, RtcpSealer, RtpSealer, SrtpError, SrtpKeys},
};
use heliograph_media::{
    Codec, NtpTime, SeqNo, Ssrc,
    rtcp::{self, Rtcp, SenderInfo},
};
use rand::{Rng, RngExt};

use super::{
    capture_time::CaptureLine,
    keyframe::Answer,
    layer_choice::ViewerReport,
    layers::Layers,
    pace,
    resend::Resend,
    track::{Put, RtxSender, TrackSender},
    video::{Phase, Video},
};
use crate::{
    PlayoutDelay, Track, TrackClock, TrackRing,
    worker::{outbox::Lane, stream::LatePackets},
};

/// Packets of one track in one turn: a keyframe to many viewers goes out in several rounds, so that the last
/// viewer does not wait for all of the first one's.
pub(super) const TURN_PACKETS: usize = 50;
/// More packets missing at once than this: asking for each would only make it worse.
const FALLEN_BEHIND: usize = 100;
/// Until a report tells.
const ROUND_TRIP_GUESS: Duration = Duration::from_millis(80);
/// Bounds for what a report may claim.
const ROUND_TRIP: std::ops::RangeInclusive<Duration> = Duration::from_millis(5)..=Duration::from_secs(1);
/// Reported loss above which a replay slows down, in 1/256.
const REPLAY_LOSS: u8 = 5;

/// A viewer may measure the round trip so often; some ask with every report.
const MEASURE_EVERY: Duration = Duration::from_millis(500);
/// So long after a keyframe, packets from before it are still sent again: the viewer has not shown them yet.
const SHOWN_AFTER: Duration = Duration::from_millis(500);

/// The part of a stream that players look at.
pub(crate) struct StreamView<'a> {
    pub(crate) rings: &'a [TrackRing; Track::COUNT],
    pub(crate) clocks: &'a [Option<TrackClock>; Track::COUNT],
    /// Viewers may be told of the clocks; see [`FeedItem::Clock`](crate::FeedItem::Clock).
    pub(crate) settled: bool,
    /// When what is on them was captured, where that is known.
    pub(crate) captures: &'a [Option<CaptureLine>; Track::COUNT],
    pub(crate) late: &'a LatePackets,
    /// Of the picture: those that flow, best first.
    pub(crate) layers: &'a [Track],
    /// How often that changed.
    pub(crate) layer_changes: u32,
    /// What the rings have of the picture is from before the present publisher session.
    pub(crate) picture_to_come: bool,
    /// The newest sound has been waiting before it came here: viewers get none yet.
    pub(crate) sound_catches_up: bool,
}

impl StreamView<'_> {
    pub(crate) fn ring(&self, track: Track) -> &TrackRing {
        &self.rings[track.index()]
    }

    pub(crate) fn clock(&self, track: Track) -> Option<&TrackClock> {
        self.clocks[track.index()].as_ref()
    }

    pub(crate) fn captured(&self, track: Track) -> Option<&CaptureLine> {
        self.captures[track.index()].as_ref()
    }
}

/// What a turn left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The viewer has everything there is (or is paced by a timer).
    Done,
    /// There is more for the next round.
    More,
    /// The outbox is full.
    Full,
}

/// Buffers that are used again and again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    plain: Vec<u8>,
    pub(crate) sealed: Vec<u8>,
}

impl Scratch {
    /// Seals the RTCP that `write` writes and puts it into the outbox. Whether it could be sealed.
    fn send(
        &mut self,
        sealer: &mut RtcpSealer,
        lane: &mut Lane<'_>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        self.plain.clear();
        self.sealed.clear();
        write(&mut self.plain);
        if sealer.seal(&self.plain, &mut self.sealed).is_err() {
            return false;
        }
        lane.outbox.push(&lane.target, &self.sealed);
        true
    }
}

/// What the viewer agreed to.
pub(crate) struct PlayerMedia {
    pub(crate) video: Option<NegotiatedTrack>,
    pub(crate) audio: Option<NegotiatedTrack>,
    pub(crate) cname: Box<str>,
    pub(crate) playout: PlayoutDelay,
    /// How the picture is coded.
    pub(crate) video_codec: Codec,
    /// The layer that the viewer asked for.
    pub(crate) layer: Option<Track>,
}

/// A connected viewer.
pub(crate) struct Player {
    sealer: RtpSealer,
    rtcp_sealer: RtcpSealer,
    rtcp_opener: RtcpOpener,
    video: Option<Video>,
    audio: Option<TrackSender>,
    cname: Box<str>,
    round_trip: Option<Duration>,
    /// Late packets up to here were seen.
    late_seen: u32,
    reported: Option<Instant>,
    /// When the viewer last got an answer that lets it measure the round trip.
    reference_answered: Option<Instant>,
}

impl Player {
    /// # Errors
    /// Never for keys that came out of a handshake.
    pub(crate) fn new(media: PlayerMedia, keys: &SrtpKeys, rng: &mut impl Rng) -> Result<Self, SrtpError> {
        let playout = media.playout;
        let mut first_seq = || rng.random_range(0..1 << 15);
        Ok(Self {
            sealer: RtpSealer::new(&keys.local)?,
            rtcp_sealer: RtcpSealer::new(&keys.local)?,
            rtcp_opener: RtcpOpener::new(&keys.remote)?,
            video: media.video.map(|track| {
                let layers = Layers::new(media.video_codec, media.layer);
                let rtx_seq = first_seq();
                Video::new(&track, [first_seq(), rtx_seq, first_seq()], playout, layers)
            }),
            audio: media.audio.map(|track| TrackSender::new(&track, first_seq(), playout, true)),
            cname: media.cname,
            round_trip: None,
            late_seen: 0,
            reported: None,
            reference_answered: None,
        })
    }

    /// The handshake showed that the way there and back takes so long, or less.
    pub(crate) fn set_way(&mut self, trip: Duration) {
        if let Some((_, choice)) = self.video.as_mut().and_then(|video| video.fec.as_deref_mut()) {
            choice.on_way(trip.clamp(*ROUND_TRIP.start(), *ROUND_TRIP.end()));
        }
    }

    /// The viewer is connected: video from the newest keyframe, audio from now.
    pub(crate) fn start(&mut self, now: Instant, stream: &StreamView<'_>) {
        self.late_seen = stream.late.next();
        if let Some(audio) = &mut self.audio {
            let ring = stream.ring(Track::Audio);
            if !ring.is_empty() {
                audio.jump(ring.next());
            }
        }
        if let Some(video) = &mut self.video {
            video.layers.choose(now, stream);
            video.replay(now, stream);
        }
    }

    /// Nothing of what was sent so far can have been opened.
    pub(crate) fn start_again(&mut self, now: Instant, stream: &StreamView<'_>) {
        if let Some(video) = &mut self.video {
            video.replay(now, stream);
        }
    }

    /// Which layer of the picture; `None`: as the network permits. It is switched when a keyframe of it is there.
    pub(crate) fn pick_layer(&mut self, layer: Option<Track>) {
        if let Some(video) = &mut self.video {
            video.layers.pick(layer);
        }
    }

    /// The layer that the viewer gets.
    pub(crate) fn layer(&self) -> Track {
        self.video.as_ref().map_or(Track::Video, |video| video.layers.current())
    }

    /// The layer of which a keyframe is missing to switch to it, now and then while that is so.
    pub(crate) fn take_keyframe_wish(&mut self, now: Instant) -> Option<Track> {
        self.video.as_mut()?.layers.take_keyframe_wish(now)
    }

    /// Time passes: whether another layer should be tried.
    pub(crate) fn on_slow(&mut self, now: Instant, stream: &StreamView<'_>) {
        if let Some(video) = &mut self.video {
            video.layers.choose(now, stream);
            if matches!(video.phase, Phase::Live) {
                video.keep_line(now, stream);
            }
        }
    }

    /// Another playout delay, from the next frame on.
    pub(crate) fn set_playout(&mut self, playout: PlayoutDelay) {
        if let Some(video) = &mut self.video {
            video.sender.set_playout(playout);
        }
        if let Some(audio) = &mut self.audio {
            audio.set_playout(playout);
        }
    }

    /// Sends what is new, at most a run per track.
    pub(crate) fn turn(&mut self, now: Instant, stream: &StreamView<'_>, lane: &mut Lane<'_>) -> Turn {
        if self.late_seen != stream.late.next() && !self.send_late(stream, lane) {
            return Turn::Full;
        }
        let mut turn = Turn::Done;
        if let Some(video) = &mut self.video {
            if video.layers.are_news(stream) {
                video.layers.choose(now, stream);
            }
            if matches!(video.phase, Phase::AwaitingKeyframe) {
                video.replay(now, stream);
            }
            if matches!(video.phase, Phase::Replaying(_)) {
                let switches = video.layers.is_switching() && video.switch_layer(now, stream);
                lane.counters.layer_switches += u64::from(switches);
            }
            if matches!(video.phase, Phase::Live) {
                if video.layers.is_switching() && video.switch_layer(now, stream) {
                    lane.counters.layer_switches += 1;
                }
                turn = video.live_turn(now, stream, &self.sealer, lane);
            }
        }
        if turn == Turn::Full {
            return turn;
        }
        if let Some(audio) = &mut self.audio {
            let ring = stream.ring(Track::Audio);
            if ring.is_empty() {
                return turn;
            }
            if stream.sound_catches_up {
                audio.jump(ring.next());
            } else if !audio.cursor().is_placed() || audio.cursor().next() < ring.oldest() {
                audio.jump(ring.oldest());
            }
            for (sent, packet) in ring.packets_from(audio.cursor().next()).enumerate() {
                if sent == TURN_PACKETS {
                    return Turn::More;
                }
                let captured = stream.captured(Track::Audio);
                if audio.send(packet, None, captured, &self.sealer, lane) == Put::Full {
                    return Turn::Full;
                }
            }
        }
        turn
    }

    /// Whether the replay's timer has to run, and from when.
    pub(crate) fn next_fast(&self, now: Instant) -> Option<Instant> {
        let video = self.video.as_ref()?;
        let pace = matches!(video.phase, Phase::Replaying(_)).then(|| now + pace::INTERVAL);
        [pace, video.resends.next_due()].into_iter().flatten().min()
    }

    /// Continues a replay and sends second copies.
    pub(crate) fn on_fast(&mut self, now: Instant, stream: &StreamView<'_>, lane: &mut Lane<'_>) {
        let Some(video) = &mut self.video else { return };
        while let Some(out) = video.resends.due(now) {
            video.send_again(out, stream, &self.sealer, lane);
        }
        video.continue_replay(now, stream, &self.sealer, lane);
    }

    /// Whether sender reports are due: once a second from the start of live.
    pub(crate) fn wants_reports(&self, now: Instant, stream: &StreamView<'_>) -> bool {
        let replaying = self.video.as_ref().is_some_and(|video| matches!(video.phase, Phase::Replaying(_)));
        // Before that the viewer has nothing that a report could be about.
        let begins = replaying && self.reported.is_none();
        !begins
            && stream.settled
            && self.reported.is_none_or(|at| now.saturating_duration_since(at) >= Duration::from_millis(950))
    }

    /// Sender reports with the canonical name, for each track that has been sent, from the stream's own clock:
    /// where the packets belong, whenever they were sent.
    pub(crate) fn send_reports(
        &mut self,
        now: Instant,
        ntp: NtpTime,
        stream: &StreamView<'_>,
        lane: &mut Lane<'_>,
        scratch: &mut Scratch,
    ) {
        let senders = [self.video.as_ref().map(|video| &video.sender), self.audio.as_ref()];
        for sender in senders.into_iter().flatten() {
            let passage = sender.cursor().passage();
            let Some(clock) = stream.clock(passage.track) else { continue };
            if sender.packets() == 0 {
                continue;
            }
            let info = SenderInfo {
                ssrc: sender.ssrc(),
                ntp,
                rtp_timestamp: clock.timestamp_at(now).saturating_add_signed(passage.shift) as u32,
                packets: sender.packets(),
                octets: sender.octets(),
            };
            let sent = scratch.send(&mut self.rtcp_sealer, lane, |plain| {
                rtcp::write_sender_report(plain, &info, &[]);
                rtcp::write_sdes_cname(plain, info.ssrc, &self.cname);
            });
            if sent {
                self.reported = Some(now);
            }
        }
    }

    /// Says goodbye for all sources.
    pub(crate) fn send_bye(&mut self, lane: &mut Lane<'_>, scratch: &mut Scratch) {
        let mut ssrcs: Vec<Ssrc> = Vec::with_capacity(3);
        ssrcs.extend(self.video.as_ref().map(|video| video.sender.ssrc()));
        ssrcs.extend(self.video.as_ref().and_then(|video| video.rtx.as_ref()).map(RtxSender::ssrc));
        ssrcs.extend(self.audio.as_ref().map(TrackSender::ssrc));
        let Some(&first) = ssrcs.first() else { return };
        scratch.send(&mut self.rtcp_sealer, lane, |plain| {
            rtcp::write_receiver_report(plain, first, &[]);
            rtcp::write_bye(plain, &ssrcs);
        });
    }

    /// Takes a sealed RTCP packet and answers it. `ask` passes a keyframe request for a layer on to the publisher and
    /// says whether that one answers such requests.
    ///
    /// # Errors
    /// When it is not authentic.
    pub(crate) fn on_rtcp(
        &mut self,
        now: Instant,
        ntp: NtpTime,
        packet: &mut [u8],
        stream: &StreamView<'_>,
        ask: impl Fn(Track) -> bool,
        lane: &mut Lane<'_>,
    ) -> Result<(), SrtpError> {
        let plain = self.rtcp_opener.open(packet)?;
        let Ok(feedback) = rtcp::parse_compound(plain) else {
            lane.counters.received_rejected += 1;
            return Ok(());
        };
        for item in feedback {
            match item {
                Rtcp::ReceiverReport { reports, .. } | Rtcp::SenderReport { reports, .. } => {
                    for report in reports {
                        self.on_report(now, ntp, &report, stream);
                    }
                }
                Rtcp::Nack { media, lost, .. } => {
                    let round_trip = self.round_trip();
                    if let Some(video) = self.video.as_mut().filter(|video| video.sender.ssrc() == media) {
                        if lost.len() > FALLEN_BEHIND {
                            lane.counters.fell_behind += u64::from(video.replay_on_demand(now, stream));
                            continue;
                        }
                        if let Phase::Replaying(pacer) = &mut video.phase {
                            pacer.on_loss(now);
                        }
                        if let Some((fec, choice)) = video.fec.as_deref_mut() {
                            choice.on_request(now, &lost);
                            if choice.percent().is_none() {
                                fec.set(None, video.sender.cursor().next_out());
                            }
                        }
                        for wire in lost {
                            let Some((seq, out)) = video.sender.cursor().sent(wire) else {
                                lane.counters.resend_gone += 1;
                                continue;
                            };
                            let track = video.sender.cursor().passage_of(out).track;
                            // What came before another layer's keyframe is of no use to whoever has that, and a
                            // viewer that was moved down has no room for it.
                            if track != video.layers.current() || !still_wanted(now, stream.ring(track), seq)
                            {
                                lane.counters.resend_gone += 1;
                                continue;
                            }
                            let eager = video.is_eager(now);
                            match video.resends.ask(now, out, round_trip, eager) {
                                Resend::Now => {
                                    video.send_again(out, stream, &self.sealer, lane);
                                }
                                Resend::Duplicate => lane.counters.resend_duplicate += 1,
                                Resend::OverBudget => lane.counters.resend_over_budget += 1,
                            }
                        }
                        video.choose_fec_early(now);
                    }
                }
                Rtcp::Pli { media } => self.on_keyframe_request(now, media, None, stream, &ask, lane),
                Rtcp::Fir { media } => {
                    for (media, number) in media {
                        self.on_keyframe_request(now, media, Some(number), stream, &ask, lane);
                    }
                }
                Rtcp::TransportFeedback(feedback) => {
                    if let Some(video) = &mut self.video {
                        video.on_feedback(now, &feedback, stream);
                    }
                }
                Rtcp::ReceiverReferenceTime { ssrc, ntp } => {
                    self.answer_reference_time(now, ssrc, ntp, lane);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Lets a viewer that has lost something measure the round trip (RFC 3611 section 4.5): libwebrtc then asks again
    /// after that time instead of 100 ms, and holds pictures back long enough for one answer.
    fn answer_reference_time(&mut self, now: Instant, receiver: Ssrc, ntp: NtpTime, lane: &mut Lane<'_>) {
        let answered_lately = |at| now.saturating_duration_since(at) < MEASURE_EVERY;
        let Some(video) = self.video.as_ref().filter(|video| video.resends.has_lost()) else { return };
        if self.reference_answered.is_some_and(answered_lately) || video.spares_round_trips(now) {
            return;
        }
        self.reference_answered = Some(now);
        let sender = video.sender.ssrc();
        // Too rare for buffers that are kept.
        Scratch::default().send(&mut self.rtcp_sealer, lane, |plain| {
            rtcp::write_receiver_report(plain, sender, &[]);
            // Answered at once.
            rtcp::write_delay_since_reference_time(plain, sender, receiver, ntp, 0);
        });
    }

    fn round_trip(&self) -> Duration {
        self.round_trip.unwrap_or(ROUND_TRIP_GUESS)
    }

    fn on_report(&mut self, now: Instant, ntp: NtpTime, report: &rtcp::ReportBlock, stream: &StreamView<'_>) {
        let mut ours = false;
        if let Some(video) = self.video.as_mut().filter(|video| video.sender.ssrc() == report.ssrc) {
            ours = true;
            video.sender.on_heard_of();
            video.resends.set_fraction_lost(report.fraction_lost);
            video.choose_fec(now, report.round_trip(ntp));
            if let Phase::Replaying(pacer) = &mut video.phase
                && report.fraction_lost > REPLAY_LOSS
            {
                pacer.on_loss(now);
            }
            if matches!(video.phase, Phase::Live) {
                let fraction_lost = report.fraction_lost;
                let report = ViewerReport { fraction_lost, round_trip: report.round_trip(ntp) };
                video.layers.on_report(now, report, stream);
            }
        }
        if let Some(audio) = self.audio.as_mut().filter(|audio| audio.ssrc() == report.ssrc) {
            ours = true;
            audio.on_heard_of();
        }
        if let Some(trip) = report.round_trip(ntp).filter(|_| ours) {
            self.round_trip = Some(trip.clamp(*ROUND_TRIP.start(), *ROUND_TRIP.end()));
        }
    }

    fn on_keyframe_request(
        &mut self,
        now: Instant,
        media: Ssrc,
        fir: Option<u8>,
        stream: &StreamView<'_>,
        ask: impl FnOnce(Track) -> bool,
        lane: &mut Lane<'_>,
    ) {
        let round_trip = self.round_trip();
        let Some(video) = self.video.as_mut().filter(|video| video.sender.ssrc() == media) else { return };
        if fir.is_some() {
            if video.last_fir == fir {
                return;
            }
            video.last_fir = fir;
        }
        let layer = video.layers.current();
        if video.is_merely_waiting(now, stream.ring(layer)) {
            return;
        }
        let replaying = !matches!(video.phase, Phase::Live);
        match video.requests.on_request(now, replaying, round_trip, || ask(layer)) {
            Answer::Replay => lane.counters.replays += u64::from(video.replay_on_demand(now, stream)),
            Answer::Wait => video.begin_again(now, stream.ring(layer)),
        }
    }

    /// Sends packets that came late and belong where this viewer has been. False when the outbox is full.
    fn send_late(&mut self, stream: &StreamView<'_>, lane: &mut Lane<'_>) -> bool {
        for (number, track, seq) in stream.late.since(self.late_seen) {
            let sender = match track {
                Track::Audio => self.audio.as_mut(),
                layer => self
                    .video
                    .as_mut()
                    .map(|video| &mut video.sender)
                    .filter(|sender| sender.cursor().passage().track == layer),
            };
            if let (Some(sender), Some(packet)) = (sender, stream.ring(track).get(seq))
                && sender.send_late(packet, &self.sealer, lane) == Put::Full
            {
                return false;
            }
            self.late_seen = number.wrapping_add(1);
        }
        self.late_seen = stream.late.next();
        true
    }
}

/// Whether a packet that is asked for is there, and still of use: a viewer that has shown a newer keyframe has none for
/// it.
fn still_wanted(now: Instant, ring: &TrackRing, seq: SeqNo) -> bool {
    let is_over = |keyframe| {
        let keyframe = ring.get(keyframe)?;
        Some(seq < keyframe.seq && now.saturating_duration_since(keyframe.arrival) >= SHOWN_AFTER)
    };
    ring.get(seq).is_some() && ring.newest_keyframe().and_then(is_over) != Some(true)
}

#[cfg(test)]
#[path = "player_tests.rs"]
mod tests;
