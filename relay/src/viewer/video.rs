//! The picture of one viewer: joining by a replay, then live, and sending again.

use std::time::{Duration, Instant};

use heliograph_edge::{sdp::NegotiatedTrack, srtp::RtpSealer};
use heliograph_media::{Bitrate, ClockRate, SeqNo, rtcp::TransportFeedback};

use super::{
    cursor::{OutSeq, Passage},
    fec::Fec,
    fec_choice::FecChoice,
    keyframe::Requests,
    layers::Layers,
    line::Line,
    pace::{self, Pacer},
    player::{StreamView, TURN_PACKETS, Turn},
    resend::{COPY_AFTER, Resends},
    squeeze::Squeeze,
    track::{Put, RtxSender, TrackSender},
};
use crate::{Packet, PlayoutDelay, StartParts, TrackRing, worker::outbox::Lane};

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
/// How fast timestamps that were stretched find back to their own, in percent of the stream's speed.
const AFTER_STRETCHING: u32 = 200;
/// For so long after it has caught up, a viewer gets whatever it asks for twice: nothing can be shown without it.
pub(super) const EAGER: Duration = Duration::from_millis(500);
/// Without a picture for this long, a stream stands still.
const STANDSTILL: Duration = Duration::from_secs(1);
/// Without a picture for this long, the present is where the last one was.
const PAUSE: Duration = Duration::from_millis(200);
/// A viewer that joined longer ago than this asks for a keyframe in a standstill only because nothing comes.
const JOINING: Duration = Duration::from_millis(2500);

/// How far the picture is.
#[derive(Debug)]
pub(super) enum Phase {
    /// No keyframe in the ring.
    AwaitingKeyframe,
    /// Catching up from the newest keyframe.
    Replaying(Pacer),
    Live,
}

/// One viewer's picture.
#[derive(Debug)]
pub(super) struct Video {
    pub(super) sender: TrackSender,
    pub(super) layers: Layers,
    pub(super) rtx: Option<RtxSender>,
    pub(super) phase: Phase,
    pub(super) resends: Resends,
    pub(super) requests: Requests,
    /// Last FIR number answered; repetitions of one request carry the same.
    pub(super) last_fir: Option<u8>,
    /// When this viewer first had everything there was.
    settled: Option<Instant>,
    /// Packets with nothing but parameter sets that begin the replay, until they went out twice.
    parameters: u8,
    /// When the replay began, until its beginning was sent again.
    began: Option<Instant>,
    /// How fast the last replay could be, if it began too fast.
    slowed_to: Option<Bitrate>,
    /// Of the header extension under which the viewer tells when packets came.
    transport_cc_ext: Option<u8>,
    /// What it tells, while that is of use.
    line: Option<Box<Line>>,
    /// Where the numbers of another line begin.
    next_number: u16,
    /// Where the viewer takes parity packets.
    pub(super) fec: Option<Box<(Fec, FecChoice)>>,
}

impl Video {
    /// All first numbers are random below 2^15.
    pub(super) fn new(
        track: &NegotiatedTrack,
        [first_seq, first_rtx_seq, first_fec_seq]: [u16; 3],
        playout: PlayoutDelay,
        layers: Layers,
    ) -> Self {
        Self {
            rtx: RtxSender::new(track, first_rtx_seq),
            sender: TrackSender::new(track, first_seq, playout, false),
            layers,
            phase: Phase::AwaitingKeyframe,
            resends: Resends::new(),
            requests: Requests::default(),
            last_fir: None,
            settled: None,
            parameters: 0,
            began: None,
            slowed_to: None,
            transport_cc_ext: track.transport_cc_ext,
            line: None,
            next_number: 0,
            fec: Fec::new(track, first_fec_seq).map(|fec| Box::new((fec, FecChoice::default()))),
        }
    }

    /// Goes to the newest keyframe and sends what followed, faster than live. False when there is none in the present
    /// publisher session: who joins as that begins would see the last pictures of another one, and a leap.
    pub(super) fn replay(&mut self, now: Instant, stream: &StreamView<'_>) -> bool {
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
        let bitrate = ring.bitrate(now);
        let mut pacer = Pacer::new(now, bitrate).at_most(self.slowed_to);
        if let Some(id) = self.transport_cc_ext {
            let line = self.line(now, id);
            let age = ring.get(keyframe).map(|first| now.saturating_duration_since(first.arrival));
            line.open(now, bitrate, bitrate.bytes_in(age.unwrap_or_default()));
            // What the line is known to carry holds for another replay, too.
            line.last()
                .filter(|_| line.is_narrow() && !line.is_silent(now))
                .inspect(|heard| pacer.on_heard(heard));
        }
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

    /// The viewer tells when packets came.
    pub(super) fn on_feedback(
        &mut self,
        now: Instant,
        feedback: &TransportFeedback,
        stream: &StreamView<'_>,
    ) {
        let Some(heard) = self.line.as_mut().and_then(|line| line.on_feedback(now, feedback)) else { return };
        if let Phase::Replaying(pacer) = &mut self.phase {
            pacer.on_heard(&heard);
        }
        if let Some((fec, choice)) = self.fec.as_deref_mut()
            && self.line.as_ref().is_some_and(|line| line.is_narrow())
        {
            choice.on_queue(now);
            fec.set(None, self.sender.cursor().next_out());
        }
        let begins = self.settled.is_none();
        self.layers.on_heard(now, &heard, begins, stream);
    }

    /// In live, arrival times are of use only where a layer is to be chosen by them.
    pub(super) fn keep_line(&mut self, now: Instant, stream: &StreamView<'_>) {
        match self.transport_cc_ext.filter(|_| self.layers.depend_on_line(stream)) {
            Some(id) => {
                self.line(now, id);
            }
            None => {
                if let Some(line) = self.line.take() {
                    self.next_number = line.next_number();
                }
            }
        }
    }

    /// The line that is there, or one whose numbers follow those of the one before it.
    fn line(&mut self, now: Instant, id: u8) -> &mut Line {
        self.line.get_or_insert_with(|| Box::new(Line::new(now, id, self.next_number)))
    }

    /// The viewer asks for a keyframe although one is on its way: it threw away what came before the parameter sets.
    /// Everything that it may have thrown away goes again, in order.
    pub(super) fn begin_again(&mut self, now: Instant, ring: &TrackRing) {
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
    pub(super) fn is_eager(&self, now: Instant) -> bool {
        self.settled.is_none_or(|at| now.saturating_duration_since(at) < EAGER)
    }

    /// The same for one who is in trouble, at most every two seconds. Joining does not count: a keyframe that was
    /// lost then is wanted at once.
    pub(super) fn replay_on_demand(&mut self, now: Instant, stream: &StreamView<'_>) -> bool {
        let replayed = self.requests.may_replay(now) && self.replay(now, stream);
        if replayed {
            self.requests.on_replay(now);
        }
        replayed
    }

    /// Whether a request for a keyframe only says that no pictures come, as when the publisher is away: libwebrtc
    /// asks every three seconds then. There is nothing newer to send. Old pictures, seconds late, would teach
    /// the receiver to expect such delays: it would hold back half a second when the stream goes on.
    pub(super) fn is_merely_waiting(&self, now: Instant, ring: &TrackRing) -> bool {
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
    pub(super) fn continue_replay(
        &mut self,
        now: Instant,
        stream: &StreamView<'_>,
        sealer: &RtpSealer,
        lane: &mut Lane<'_>,
    ) {
        let ring = stream.ring(self.layers.current());
        let captured = stream.captured(self.layers.current());
        let Phase::Replaying(pacer) = &mut self.phase else { return };
        if self.line.as_ref().is_some_and(|line| line.is_silent(now)) {
            pacer.on_silence();
        }
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
                if boundary
                    && is_other_speed(self.sender.cursor().passage(), pacer.percent(ring.bitrate(now)))
                {
                    // The line turned out to be narrower, or wider. Timestamps that ran ahead of what can come, or behind,
                    // would teach the receiver to wait.
                    let passage = *self.sender.cursor().passage();
                    let squeeze = squeeze(&self.sender, &passage, pacer, now, ring, packet.seq, 0);
                    self.sender.go(packet.seq, Passage { squeeze, ..passage });
                }
                if !pacer.allows() || self.line.as_ref().is_some_and(|line| !line.has_room(now)) {
                    self.resends.earn(earned);
                    return;
                }
                let number = self.line.as_ref().map(|line| line.number());
                match self.sender.send(packet, number, captured, sealer, lane) {
                    Put::Full => {
                        self.resends.earn(earned);
                        return;
                    }
                    Put::Never => {}
                    Put::Sent(bytes) => {
                        pacer.spend(bytes);
                        earned += 1;
                        if let Some(line) = &mut self.line {
                            line.sent(now, bytes);
                        }
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
        let passage = *self.sender.cursor().passage();
        if passage.squeeze.percent() < 100
            && let Some(newest) = ring.newest()
        {
            // Stretched timestamps have run ahead; what comes now finds back to its own.
            let newest = newest.timestamp.saturating_add_signed(passage.shift);
            let present = newest.max(self.sender.last_timestamp());
            let squeeze = Squeeze::new(newest + 1, newest + 1, present, AFTER_STRETCHING);
            self.sender.go(self.sender.cursor().next(), Passage { squeeze, ..passage });
        }
        self.keep_line(now, stream);
        if let Some((fec, _)) = self.fec.as_deref_mut() {
            fec.skip(self.sender.cursor().next_out());
        }
        self.phase = Phase::Live;
        self.settled.get_or_insert(now);
        self.requests.on_served(now);
    }

    pub(super) fn live_turn(
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
        let captured = stream.captured(self.layers.current());
        let mut sent = 0;
        let mut turn = Turn::Done;
        for packet in ring.packets_from(self.sender.cursor().next()) {
            if sent == TURN_PACKETS {
                turn = Turn::More;
                break;
            }
            let number = self.line.as_ref().filter(|line| line.is_due(now)).map(|line| line.number());
            match (self.sender.send(packet, number, captured, sealer, lane), &mut self.line) {
                (Put::Full, _) => {
                    turn = Turn::Full;
                    break;
                }
                (Put::Sent(bytes), Some(line)) if number.is_some() => line.sent(now, bytes),
                (_, Some(line)) => line.skip(),
                (_, None) => {}
            }
            sent += 1;
            if let Some((fec, _)) = self.fec.as_deref_mut().filter(|(fec, _)| fec.is_on()) {
                fec.on_sent(packet.marker, &self.sender, stream, sealer, lane);
            }
            if packet.keyframe_start {
                self.requests.on_served(now);
            }
        }
        self.resends.earn(sent as u32);
        turn
    }

    /// The viewer reports: whether it gets parity packets from now on.
    pub(super) fn choose_fec(&mut self, now: Instant, round_trip: Option<Duration>) {
        let Some((_, choice)) = self.fec.as_deref_mut() else { return };
        choice.on_report(now, self.resends.loss(), round_trip);
        self.set_fec();
    }

    /// The viewer has asked for something again: the same, before there is a report.
    pub(super) fn choose_fec_early(&mut self, now: Instant) {
        let live = matches!(self.phase, Phase::Live);
        let Some((_, choice)) = self.fec.as_deref_mut().filter(|_| live) else { return };
        choice.on_early_loss(now, self.resends.loss());
        self.set_fec();
    }

    fn set_fec(&mut self) {
        let Some((fec, choice)) = self.fec.as_deref_mut() else { return };
        // With layers, a viewer that loses something is moved to a smaller one.
        let may = matches!(self.phase, Phase::Live) && self.line.is_none();
        fec.set(choice.percent().filter(|_| may), self.sender.cursor().next_out());
    }

    /// Whether the viewer need not know the round trip, for which it would hold pictures back.
    pub(super) fn spares_round_trips(&self, now: Instant) -> bool {
        // With layers there are no parity packets, and only they tell of their line in live.
        let has_layers = self.line.is_some() && matches!(self.phase, Phase::Live);
        !has_layers && self.fec.as_deref().is_some_and(|(_, choice)| choice.spares_round_trips(now))
    }

    /// Sends one packet again: as RTX, or the same packet to a viewer that cannot take RTX.
    pub(super) fn send_again(
        &mut self,
        out: OutSeq,
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

/// Whether timestamps of `passage` are for a line of another speed than `percent` of the stream's.
fn is_other_speed(passage: &Passage, percent: u32) -> bool {
    let expected = passage.squeeze.percent();
    let narrower = u64::from(expected) * 2 > u64::from(percent) * 3;
    // Those that are ahead of their own need not run faster.
    let wider = expected < 100 && u64::from(percent) * 2 > u64::from(expected) * 3;
    (narrower && expected != 100) || wider
}

fn is_merely_parameters(packet: &Packet) -> bool {
    !packet.parts.is_empty() && !packet.parts.has(StartParts::KEY_PICTURE)
}

/// For a replay from `keyframe` to the present, of which `at_once` bytes are not paced.
pub(super) fn squeeze(
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
    Squeeze::new(moved(from), head, present, pacer.percent(ring.bitrate(now)))
}
