//! A connected viewer: what it is sent, and what it asks for. Joining, live fan-out, sending again, reports.

use std::time::{Duration, Instant};

use heliograph_edge::{
    sdp::NegotiatedTrack,
    srtp::{RtcpOpener, RtcpSealer, RtpSealer, SrtpError, SrtpKeys},
};
use heliograph_media::{
    Bitrate, ClockRate, Codec, NtpTime, SeqNo, Ssrc,
    rtcp::{self, Rtcp, SenderInfo},
};
use rand::{Rng, RngExt};

use super::{
    cursor::Passage,
    keyframe::{Answer, Requests},
    layer_choice::ViewerReport,
    layers::Layers,
    pace::{self, Pacer},
    resend::{COPY_AFTER, Resend, Resends},
    squeeze::Squeeze,
    track::{Put, RtxSender, TrackSender},
};
use crate::{
    Packet, PlayoutDelay, StartParts, Track, TrackClock, TrackRing,
    worker::{outbox::Lane, stream::LatePackets},
};

/// Packets of one track in one turn: a keyframe to many viewers goes out in several rounds, so that the last
/// viewer does not wait for all of the first one's.
const TURN_PACKETS: usize = 50;
/// More packets missing at once than this: asking for each would only make it worse.
const FALLEN_BEHIND: usize = 100;
/// A live viewer that is so many packets behind (its worker is overloaded) is taken to the newest keyframe, if
/// that lies ahead: late pictures help nobody.
const BACKLOG: u64 = 600;
/// The first packet of a replay goes once more after this time: a receiver cannot miss what comes before the
/// first packet it gets.
const FIRST_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// Packets with parameter sets at the beginning of a replay that go out twice at once. libwebrtc throws slices away as
/// long as it has no parameter sets, and takes them for received: it never asks for those again.
const MOST_PARAMETERS: u8 = 4;
/// Packets in which something begins that a decoder needs to start; more are not sent again unasked.
const MOST_BEGINNINGS: usize = 16;
/// A request for a keyframe that comes sooner after the beginning of a replay means that its beginning got lost.
const BEGINNING_LOST_WITHIN: Duration = Duration::from_millis(500);
/// For so long after it has caught up, a viewer gets whatever it asks for twice: nothing can be shown without it.
const EAGER: Duration = Duration::from_millis(500);
/// Until a report tells.
const ROUND_TRIP_GUESS: Duration = Duration::from_millis(80);
/// Bounds for what a report may claim.
const ROUND_TRIP: std::ops::RangeInclusive<Duration> = Duration::from_millis(5)..=Duration::from_secs(1);
/// Reported loss above which a replay slows down, in 1/256.
const REPLAY_LOSS: u8 = 5;
/// Without a picture for this long, a stream stands still.
const STANDSTILL: Duration = Duration::from_secs(1);
/// Without a picture for this long, the present is where the last one was.
const PAUSE: Duration = Duration::from_millis(200);
/// A viewer that joined longer ago than this asks for a keyframe in a standstill only because nothing comes.
const JOINING: Duration = Duration::from_millis(2500);

/// A viewer may measure the round trip so often; some ask with every report.
const MEASURE_EVERY: Duration = Duration::from_millis(500);
/// So long after a keyframe, packets from before it are still sent again: the viewer has not shown them yet.
const SHOWN_AFTER: Duration = Duration::from_millis(500);

/// The part of a stream that players look at.
pub(crate) struct StreamView<'a> {
    pub(crate) rings: &'a [TrackRing; Track::COUNT],
    pub(crate) clocks: &'a [Option<TrackClock>; Track::COUNT],
    pub(crate) late: &'a LatePackets,
    /// Of the picture: those that flow, best first.
    pub(crate) layers: &'a [Track],
    /// How often that changed.
    pub(crate) layer_changes: u32,
    /// What the rings have of the picture is from before the present publisher session.
    pub(crate) picture_to_come: bool,
}

impl StreamView<'_> {
    pub(crate) fn ring(&self, track: Track) -> &TrackRing {
        &self.rings[track.index()]
    }

    pub(crate) fn clock(&self, track: Track) -> Option<&TrackClock> {
        self.clocks[track.index()].as_ref()
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

#[derive(Debug)]
enum Phase {
    /// No keyframe in the ring.
    AwaitingKeyframe,
    /// Catching up from the newest keyframe.
    Replaying(Pacer),
    Live,
}

#[derive(Debug)]
pub(super) struct Video {
    pub(super) sender: TrackSender,
    pub(super) layers: Layers,
    rtx: Option<RtxSender>,
    phase: Phase,
    resends: Resends,
    pub(super) requests: Requests,
    /// Last FIR number answered; repetitions of one request carry the same.
    last_fir: Option<u8>,
    /// When this viewer first had everything there was.
    settled: Option<Instant>,
    /// Packets with nothing but parameter sets that begin the replay, until they went out twice.
    parameters: u8,
    /// When the replay began, until its beginning was sent again.
    began: Option<Instant>,
    /// How fast the last replay could be, if it began too fast.
    slowed_to: Option<Bitrate>,
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
            video: media.video.map(|track| Video {
                rtx: RtxSender::new(&track, first_seq()),
                sender: TrackSender::new(&track, first_seq(), playout, false),
                layers: Layers::new(media.video_codec, media.layer),
                phase: Phase::AwaitingKeyframe,
                resends: Resends::new(),
                requests: Requests::default(),
                last_fir: None,
                settled: None,
                parameters: 0,
                began: None,
                slowed_to: None,
            }),
            audio: media.audio.map(|track| TrackSender::new(&track, first_seq(), playout, true)),
            cname: media.cname,
            round_trip: None,
            late_seen: 0,
            reported: None,
            reference_answered: None,
        })
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
            if !ring.is_empty() && (!audio.cursor().is_placed() || audio.cursor().next() < ring.oldest()) {
                audio.jump(ring.oldest());
            }
            for (sent, packet) in ring.packets_from(audio.cursor().next()).enumerate() {
                if sent == TURN_PACKETS {
                    return Turn::More;
                }
                if audio.send(packet, &self.sealer, lane) == Put::Full {
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
    pub(crate) fn wants_reports(&self, now: Instant) -> bool {
        let replaying = self.video.as_ref().is_some_and(|video| matches!(video.phase, Phase::Replaying(_)));
        !replaying
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
                    }
                }
                Rtcp::Pli { media } => self.on_keyframe_request(now, media, None, stream, &ask, lane),
                Rtcp::Fir { media } => {
                    for (media, number) in media {
                        self.on_keyframe_request(now, media, Some(number), stream, &ask, lane);
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
        if self.reference_answered.is_some_and(answered_lately) {
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

impl Video {
    /// Goes to the newest keyframe and sends what followed, faster than live. False when there is none in the present
    /// publisher session: who joins as that begins would see the last pictures of another one, and a leap.
    fn replay(&mut self, now: Instant, stream: &StreamView<'_>) -> bool {
        if matches!(self.phase, Phase::AwaitingKeyframe) {
            self.layers.begin(stream);
        }
        let ring = stream.ring(self.layers.current());
        let Some(keyframe) = ring.newest_keyframe().filter(|_| !stream.picture_to_come) else {
            // A viewer whose numbers have a place goes on as it is; a joiner waits.
            if !self.sender.cursor().is_placed() {
                self.phase = Phase::AwaitingKeyframe;
            }
            return false;
        };
        let pacer = Pacer::new(now, ring.bitrate(now)).at_most(self.slowed_to);
        let passage = self.layers.passage(now, self.sender.cursor().passage(), stream);
        let squeeze = squeeze(&self.sender, &passage, &pacer, now, ring, keyframe, pace::AT_ONCE);
        self.sender.go(keyframe, Passage { squeeze, ..passage });
        self.resends.schedule(now + FIRST_AGAIN_AFTER, self.sender.cursor().next_out());
        let parameters = ring.packets_from(keyframe).take_while(|packet| is_merely_parameters(packet));
        self.parameters = parameters.take(usize::from(MOST_PARAMETERS)).count() as u8;
        self.began = Some(now);
        self.phase = Phase::Replaying(pacer);
        true
    }

    /// The viewer asks for a keyframe although one is on its way: it threw away what came before the parameter sets.
    /// Everything that it may have thrown away goes again, in order.
    fn begin_again(&mut self, now: Instant, ring: &TrackRing) {
        let Some(keyframe) = self.sender.cursor().segment_start() else { return };
        if self.began.take().is_none_or(|at| now.saturating_duration_since(at) >= BEGINNING_LOST_WITHIN) {
            return;
        }
        let timestamp = ring.get(keyframe).map(|packet| packet.timestamp);
        let beginnings = ring
            .packets_from(keyframe)
            .take_while(|packet| Some(packet.timestamp) == timestamp)
            .filter(|packet| !packet.parts.is_empty());
        for packet in beginnings.take(MOST_BEGINNINGS) {
            let Some(out) = self.sender.cursor().late(packet.seq) else { return };
            self.resends.schedule(now, out);
            self.resends.schedule(now + COPY_AFTER, out);
        }
    }

    /// Whether the viewer is still joining.
    fn is_eager(&self, now: Instant) -> bool {
        self.settled.is_none_or(|at| now.saturating_duration_since(at) < EAGER)
    }

    /// The same for one who is in trouble, at most every two seconds. Joining does not count: a keyframe that was
    /// lost then is wanted at once.
    fn replay_on_demand(&mut self, now: Instant, stream: &StreamView<'_>) -> bool {
        let replayed = self.requests.may_replay(now) && self.replay(now, stream);
        if replayed {
            self.requests.on_replay(now);
        }
        replayed
    }

    /// Whether a request for a keyframe only says that no pictures come, as when the publisher is away: libwebrtc
    /// asks every three seconds then. There is nothing newer to send. Old pictures, seconds late, would teach
    /// the receiver to expect such delays: it would hold back half a second when the stream goes on.
    fn is_merely_waiting(&self, now: Instant, ring: &TrackRing) -> bool {
        let longer_ago = |at: Instant, than| now.saturating_duration_since(at) >= than;
        self.settled.is_some_and(|at| longer_ago(at, JOINING))
            && ring.newest().is_none_or(|newest| longer_ago(newest.arrival, STANDSTILL))
    }

    /// The ring has moved on past the cursor: it was cleared, or a very slow replay was overtaken.
    fn start_anew(&mut self, now: Instant, stream: &StreamView<'_>, lane: &mut Lane<'_>) {
        lane.counters.fell_behind += 1;
        if !self.replay(now, stream) {
            self.phase = Phase::AwaitingKeyframe;
        }
    }

    /// Sends as much of the past as is due; live begins when nothing is left of it.
    fn continue_replay(
        &mut self,
        now: Instant,
        stream: &StreamView<'_>,
        sealer: &RtpSealer,
        lane: &mut Lane<'_>,
    ) {
        let ring = stream.ring(self.layers.current());
        let Phase::Replaying(pacer) = &mut self.phase else { return };
        pacer.refill(now);
        if self.sender.cursor().next() < ring.oldest() {
            self.start_anew(now, stream, lane);
            return;
        }
        let mut from = self.sender.cursor().next();
        let mut earned = 0;
        let keyframe = self.sender.cursor().segment_start().unwrap_or(from);
        let mut boundary_before =
            ring.get(SeqNo(from.0.saturating_sub(1))).is_some_and(|packet| packet.marker);
        loop {
            let mut jumped = false;
            for packet in ring.packets_from(from) {
                let boundary = packet.frame_start || boundary_before;
                if boundary
                    && let Some(keyframe) = ring.newest_keyframe()
                    && keyframe > packet.seq
                    && self.sender.cursor().segment_start().is_none_or(|start| keyframe > start)
                {
                    self.parameters = 0;
                    let passage = *self.sender.cursor().passage();
                    let squeeze = squeeze(&self.sender, &passage, pacer, now, ring, keyframe, 0);
                    self.sender.go(keyframe, Passage { squeeze, ..passage });
                    from = keyframe;
                    jumped = true;
                    break;
                }
                if !pacer.allows() {
                    self.resends.earn(earned);
                    return;
                }
                match self.sender.send(packet, sealer, lane) {
                    Put::Full => {
                        self.resends.earn(earned);
                        return;
                    }
                    Put::Never => {}
                    Put::Sent(bytes) => {
                        pacer.spend(bytes);
                        earned += 1;
                    }
                }
                boundary_before = packet.marker;
                if self.parameters > 0 && packet.seq.next().since(keyframe) == Some(self.parameters.into()) {
                    self.parameters = 0;
                    for packet in ring.packets_from(keyframe).take_while(|again| again.seq <= packet.seq) {
                        if let (Some(rtx), Some(out)) = (&mut self.rtx, self.sender.cursor().late(packet.seq))
                            && matches!(rtx.send(packet, out, &self.sender, sealer, lane), Put::Sent(_))
                        {
                            lane.counters.resent += 1;
                        }
                    }
                }
            }
            if !jumped {
                break;
            }
        }
        self.resends.earn(earned);
        self.slowed_to = pacer.slowed_to();
        self.phase = Phase::Live;
        self.settled.get_or_insert(now);
        self.requests.on_served(now);
    }

    fn live_turn(
        &mut self,
        now: Instant,
        stream: &StreamView<'_>,
        sealer: &RtpSealer,
        lane: &mut Lane<'_>,
    ) -> Turn {
        let ring = stream.ring(self.layers.current());
        if self.sender.cursor().next() < ring.oldest() {
            self.start_anew(now, stream, lane);
            return Turn::Done;
        }
        if ring.next().since(self.sender.cursor().next()).is_some_and(|backlog| backlog > BACKLOG)
            && let Some(keyframe) = ring.newest_keyframe()
            && keyframe > self.sender.cursor().next()
        {
            lane.counters.fell_behind += 1;
            self.sender.jump(keyframe);
        }
        let mut sent = 0;
        let mut turn = Turn::Done;
        for packet in ring.packets_from(self.sender.cursor().next()) {
            if sent == TURN_PACKETS {
                turn = Turn::More;
                break;
            }
            if self.sender.send(packet, sealer, lane) == Put::Full {
                turn = Turn::Full;
                break;
            }
            sent += 1;
            if packet.keyframe_start {
                self.requests.on_served(now);
            }
        }
        self.resends.earn(sent as u32);
        turn
    }

    /// Sends one packet again: as RTX, or the same packet to a viewer that cannot take RTX.
    fn send_again(
        &mut self,
        out: super::cursor::OutSeq,
        stream: &StreamView<'_>,
        sealer: &RtpSealer,
        lane: &mut Lane<'_>,
    ) {
        let Some((seq, out)) = self.sender.cursor().sent(out.wire()) else { return };
        let track = self.sender.cursor().passage_of(out).track;
        if track != self.layers.current() {
            return;
        }
        let Some(packet) = stream.ring(track).get(seq) else { return };
        let put = match &mut self.rtx {
            Some(rtx) => rtx.send(packet, out, &self.sender, sealer, lane),
            None => self.sender.send_again(packet, out, sealer, lane),
        };
        if matches!(put, Put::Sent(_)) {
            lane.counters.resent += 1;
        }
    }
}

fn is_merely_parameters(packet: &Packet) -> bool {
    !packet.parts.is_empty() && !packet.parts.has(StartParts::KEY_PICTURE)
}

/// For a replay from `keyframe` to the present, of which `at_once` bytes are not paced.
fn squeeze(
    sender: &TrackSender,
    passage: &Passage,
    pacer: &Pacer,
    now: Instant,
    ring: &TrackRing,
    keyframe: SeqNo,
    at_once: u64,
) -> Squeeze {
    let (Some(from), Some(newest)) = (ring.get(keyframe), ring.newest()) else { return Squeeze::NONE };
    let mut left = at_once;
    let head = ring.packets_from(keyframe).find(|packet| {
        let fits = packet.payload.len() as u64 <= left;
        left = left.saturating_sub(packet.payload.len() as u64);
        !fits
    });
    let age = now.saturating_duration_since(newest.arrival);
    let since = if age < PAUSE { ClockRate::VIDEO.ticks(age) } else { 0 };
    let moved = |packet: &Packet| packet.timestamp.saturating_add_signed(passage.shift);
    let present = (moved(newest) + since).max(sender.last_timestamp());
    let head = moved(head.unwrap_or(newest));
    Squeeze::new(moved(from), head, present, pacer.times(ring.bitrate(now)))
}

#[cfg(test)]
#[path = "player_tests.rs"]
mod tests;
