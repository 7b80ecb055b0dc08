//! One track of a stream: from the publisher's packets to the stream's own numbering.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use heliograph_media::{
    Codec, PayloadType, SeqNo, Ssrc,
    h264::{self, Sps},
    opus,
    rtcp::Reception,
    rtp::RtpHeader,
    video,
};

use super::{
    arrivals::{Arrivals, Gaps},
    counters::{Counters, Refused},
    gate::{Gate, Pending},
    output::Output,
    rhythm::Rhythm,
    timeline::Timeline,
};
use crate::{
    CodecParameters, FeedItem, H264Parameters, Packet, RateMeter, StartParts, Track, TrackDescription,
};

/// A number so far ahead of the highest is another story, not a loss.
const MAX_AHEAD: u64 = 8_000;
/// After so much silence a number that is not ahead is a restart, not a straggler.
const SILENCE: Duration = Duration::from_millis(1_500);
/// A timestamp may go back so far from one packet to the next: B-frames do that.
const MAX_BACK: i64 = 1_000_000_000;
/// A timestamp may run so far ahead of the time that has passed.
const MAX_LEAP: i64 = 3_000_000_000;
/// A late packet's timestamp lies at most so far back.
const MAX_LATE: i64 = 15_000_000_000;
/// The second packet of an implied restart comes at most so much after the first.
const CONFIRMATION: Duration = Duration::from_secs(2);
/// Packets of an ended session are refused until none came for so long.
const RETIREMENT: Duration = Duration::from_secs(5);

/// State of one track.
#[derive(Debug)]
pub(super) struct TrackInlet {
    track: Track,
    codec: Codec,
    /// `None`: the present allocation does not have this track.
    payload_type: Option<PayloadType>,
    rid: Option<String>,
    run: Option<Run>,
    retired: VecDeque<(Ssrc, Instant)>,
    suspect: Option<(RtpHeader, Bytes, Content, Instant)>,
    arrivals: Arrivals,
    gaps: Gaps,
    sps: Bytes,
    parameters: Option<CodecParameters>,
    pub(super) counters: Counters,
    pub(super) rate: RateMeter,
    pub(super) packets: u64,
    pub(super) lost: u64,
    /// Access units begun, for the picture rate.
    pub(super) frames: u64,
    /// Newest valid packet, held back or not.
    pub(super) heard: Option<Instant>,
    pub(super) keyframe: Option<Instant>,
    pub(super) run_bytes: usize,
    pub(super) b_frames: bool,
    pub(super) rhythm: Rhythm,
}

/// What an allocation says about one track.
#[derive(Clone, Debug)]
pub(super) struct Described {
    codec: Codec,
    payload_type: u8,
    rid: Option<String>,
}

impl Described {
    /// What the descriptions say about `track`; a layer is coded as the picture is.
    pub(super) fn find(track: Track, descriptions: &[TrackDescription]) -> Option<Self> {
        let description = descriptions.iter().find(|description| description.kind == track.kind())?;
        let (codec, rid) = (description.codec, description.rid.clone());
        let layer = match Track::LAYERS.iter().position(|layer| *layer == track) {
            None | Some(0) => return Some(Self { codec, payload_type: description.payload_type, rid }),
            Some(further) => description.layers.get(further - 1)?,
        };
        Some(Self { codec, payload_type: layer.payload_type, rid: Some(layer.rid.clone()) })
    }
}

/// A publisher session on this track.
#[derive(Debug)]
struct Run {
    ssrc: Ssrc,
    highest: SeqNo,
    newest_at: Instant,
    /// Where the session begins: the publisher's number and ours.
    base: Option<(SeqNo, SeqNo)>,
    gate: Option<(Gate, Instant)>,
    reception: Reception,
}

/// What a look into a payload says.
#[derive(Clone, Copy, Debug, Default)]
struct Content {
    parts: StartParts,
    opens: bool,
    b_slice: bool,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was refused.
    No,
    /// It waits for others.
    Held {
        /// And something before it waited in vain: no keyframe began here.
        in_vain: bool,
    },
    /// Readers got it, and perhaps others with it.
    Delivered {
        /// A keyframe was among them.
        keyframe: bool,
    },
}

impl TrackInlet {
    /// Numbers begin here, so that a straggler before the first packet has a number too.
    const FIRST: SeqNo = SeqNo(1 << 16);

    pub(super) fn new(track: Track, described: &Described) -> Self {
        Self {
            track,
            codec: described.codec,
            payload_type: PayloadType::new(described.payload_type),
            rid: described.rid.clone(),
            run: None,
            retired: VecDeque::new(),
            suspect: None,
            arrivals: Arrivals::new(Self::FIRST),
            gaps: Gaps::default(),
            sps: Bytes::new(),
            parameters: None,
            counters: Counters::default(),
            rate: RateMeter::default(),
            packets: 0,
            lost: 0,
            frames: 0,
            heard: None,
            keyframe: None,
            run_bytes: 0,
            b_frames: false,
            rhythm: Rhythm::default(),
        }
    }

    /// Another allocation: the same track with another payload type, or no such track.
    pub(super) fn describe(&mut self, described: Option<&Described>) {
        self.payload_type = described.and_then(|described| PayloadType::new(described.payload_type));
        self.rid = described.and_then(|described| described.rid.clone());
    }

    /// The layer's name.
    pub(super) fn rid(&self) -> Option<&str> {
        self.rid.as_deref()
    }

    pub(super) fn payload_type(&self) -> Option<PayloadType> {
        self.payload_type
    }

    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    pub(super) fn parameters(&self) -> Option<&CodecParameters> {
        self.parameters.as_ref()
    }

    /// The SSRC of the present session.
    pub(super) fn ssrc(&self) -> Option<Ssrc> {
        self.run.as_ref().map(|run| run.ssrc)
    }

    /// Since when video waits for its first keyframe.
    pub(super) fn held_since(&self) -> Option<Instant> {
        self.run.as_ref()?.gate.as_ref().map(|(_, since)| *since)
    }

    /// For sender reports in and receiver reports out.
    pub(super) fn reception(&mut self) -> Option<&mut Reception> {
        self.run.as_mut().map(|run| &mut run.reception)
    }

    /// Looks at a packet's payload without changing anything.
    fn inspect(&self, payload: &[u8]) -> Result<Content, Refused> {
        if payload.is_empty() {
            return Err(Refused::Empty);
        }
        match self.codec {
            Codec::Opus if payload.len() > opus::MAX_PAYLOAD => Err(Refused::OpusTooLong),
            Codec::Opus => Ok(Content::default()),
            codec => {
                let look = video::look(codec, payload).map_err(|_| Refused::bad_video(codec))?;
                let part = |present: bool, part| if present { part } else { StartParts::NONE };
                Ok(Content {
                    parts: part(look.sequence_parameters, StartParts::SEQUENCE_PARAMETERS)
                        .and(part(look.picture_parameters, StartParts::PICTURE_PARAMETERS))
                        .and(part(look.key_picture, StartParts::KEY_PICTURE)),
                    opens: look.opens,
                    b_slice: look.b_slice,
                })
            }
        }
    }

    /// Takes a packet of this track's payload type.
    pub(super) fn on_packet(
        &mut self,
        now: Instant,
        header: &RtpHeader,
        payload: Bytes,
        timeline: &mut Timeline,
        out: &mut Output,
    ) -> Taken {
        let content = match self.inspect(&payload) {
            Ok(content) => content,
            Err(cause) => return self.refuse(cause),
        };
        if let Some(run) = self.run.as_ref().filter(|run| run.ssrc == header.ssrc) {
            if !is_plausible(run, now, header, self.track, timeline) {
                return self.on_suspect(now, header, payload, content, timeline, out);
            }
        } else if self.is_retired(now, header.ssrc) {
            return self.refuse(Refused::OldSession);
        } else {
            self.begin(now, header, timeline, out);
        }
        self.accept(now, header, payload, content, timeline, out)
    }

    /// Time passes.
    pub(super) fn tick(&mut self, now: Instant, out: &mut Output) {
        while let Some(missing) = self.gaps.give_up(now) {
            self.lose(missing, out);
        }
    }

    fn refuse(&mut self, cause: Refused) -> Taken {
        self.counters.add(cause);
        Taken::No
    }

    fn is_retired(&mut self, now: Instant, ssrc: Ssrc) -> bool {
        self.retired.retain(|(_, heard)| now.saturating_duration_since(*heard) < RETIREMENT);
        match self.retired.iter_mut().find(|(retired, _)| *retired == ssrc) {
            Some((_, heard)) => {
                *heard = now;
                true
            }
            None => false,
        }
    }

    /// Number or timestamp does not fit the session. If a second packet fits the first such one, a new session
    /// has begun under the old SSRC.
    fn on_suspect(
        &mut self,
        now: Instant,
        header: &RtpHeader,
        payload: Bytes,
        content: Content,
        timeline: &mut Timeline,
        out: &mut Output,
    ) -> Taken {
        let near = |first: &RtpHeader| {
            let distance = header.timestamp.wrapping_sub(first.timestamp).cast_signed().unsigned_abs();
            first.seq.next() == header.seq && distance <= self.codec.clock_rate().get()
        };
        match self.suspect.take() {
            Some((first, first_payload, first_content, at))
                if near(&first) && now.saturating_duration_since(at) <= CONFIRMATION =>
            {
                self.begin(at, &first, timeline, out);
                let before = self.accept(at, &first, first_payload, first_content, timeline, out);
                let taken = self.accept(now, header, payload, content, timeline, out);
                if matches!(taken, Taken::Delivered { .. }) { taken } else { before }
            }
            _ => {
                self.suspect = Some((header.clone(), payload, content, now));
                self.refuse(Refused::Jump)
            }
        }
    }

    /// A session begins with this packet.
    fn begin(&mut self, now: Instant, header: &RtpHeader, timeline: &mut Timeline, out: &mut Output) {
        const RETIRED_MAX: usize = 4;
        if let Some(old) = self.run.take()
            && old.ssrc != header.ssrc
        {
            if self.retired.len() >= RETIRED_MAX {
                self.retired.pop_front();
            }
            self.retired.push_back((old.ssrc, now));
        }
        while let Some(missing) = self.gaps.close_oldest() {
            self.lose(missing, out);
        }
        self.suspect = None;
        timeline.begin(self.track, now, header.ssrc, header.timestamp);
        let first = SeqNo(u64::from(header.seq.0) + (1 << 16));
        self.run = Some(Run {
            ssrc: header.ssrc,
            highest: first,
            newest_at: now,
            base: None,
            gate: (self.track.is_video()).then(|| (Gate::default(), now)),
            reception: Reception::new(now, header.ssrc, self.codec.clock_rate(), first),
        });
        // What was known about the old encoder says nothing about the new one.
        self.b_frames = false;
        self.rhythm = Rhythm::default();
        self.keyframe = None;
        self.run_bytes = 0;
    }

    /// A packet that belongs to the present session.
    fn accept(
        &mut self,
        now: Instant,
        header: &RtpHeader,
        payload: Bytes,
        content: Content,
        timeline: &mut Timeline,
        out: &mut Output,
    ) -> Taken {
        let Some(run) = &mut self.run else { return Taken::No };
        let Some(source_seq) = header.seq.nearest_to(run.highest) else { return Taken::No };
        let newest = source_seq >= run.highest;
        run.highest = run.highest.max(source_seq);
        if newest {
            run.newest_at = now;
        }
        run.reception.packet(now, source_seq, header.timestamp);
        self.heard = Some(now);
        self.b_frames |= content.b_slice;
        let pending = Pending {
            source_seq,
            timestamp: timeline.place(self.track, now, header.timestamp, newest),
            marker: header.marker,
            parts: content.parts,
            opens: content.opens,
            arrival: now,
            payload,
        };
        let Some((gate, _)) = &mut run.gate else { return self.deliver(pending, timeline, out) };
        let released = gate.offer(pending);
        let discarded = gate.take_discarded();
        self.counters.add_many(Refused::BeforeKeyframe, discarded);
        let mut taken = Taken::Held { in_vain: discarded > 0 };
        if released.is_empty() {
            return taken;
        }
        run.gate = None;
        for packet in released {
            let now_taken = self.deliver(packet, timeline, out);
            if now_taken != Taken::No {
                taken = if taken == (Taken::Delivered { keyframe: true }) { taken } else { now_taken };
            }
        }
        taken
    }

    /// Gives a packet its number and hands it out.
    fn deliver(&mut self, pending: Pending, timeline: &mut Timeline, out: &mut Output) -> Taken {
        let Some(run) = &mut self.run else { return Taken::No };
        let next = self.arrivals.next();
        let (source_base, base) = *run.base.get_or_insert_with(|| {
            out.push(FeedItem::Epoch { track: self.track, first: next });
            (pending.source_seq, next)
        });
        let Some(into) = pending.source_seq.since(source_base) else {
            return self.refuse(Refused::OldSession);
        };
        let seq = base + into;
        if seq < next {
            if !self.arrivals.reaches(seq) {
                return self.refuse(Refused::TooLate);
            }
            if self.arrivals.get(seq).is_some() {
                return self.refuse(Refused::Duplicate);
            }
            if !self.gaps.fill(seq) {
                self.lost = self.lost.saturating_sub(1);
            }
        } else if seq > next
            && let Some(missing) = self.gaps.open(pending.arrival, next.0..seq.0)
        {
            self.lose(missing, out);
        }
        let frame_start = self.starts_frame(seq, base, &pending);
        self.arrivals.put(seq, pending.timestamp);
        timeline.delivered(self.track, pending.timestamp, pending.arrival);
        self.read_parameters(&pending, out);
        let keyframe = pending.parts.has(StartParts::KEY_PICTURE);
        if keyframe {
            self.rhythm.keyframe(self.codec.clock_rate().duration(pending.timestamp));
            self.keyframe = Some(pending.arrival);
            self.run_bytes = 0;
        }
        self.packets += 1;
        if frame_start {
            self.frames += 1;
            if self.track.is_video() {
                let time = self.codec.clock_rate().duration(pending.timestamp);
                self.rhythm.picture(time, pending.arrival);
            }
        }
        self.run_bytes = self.run_bytes.saturating_add(pending.payload.len());
        self.rate.add(pending.arrival, pending.payload.len());
        let packet = Packet {
            seq,
            timestamp: pending.timestamp,
            marker: pending.marker,
            frame_start,
            keyframe_start: frame_start && pending.parts.has(StartParts::SEQUENCE_PARAMETERS),
            parts: pending.parts,
            arrival: pending.arrival,
            payload: pending.payload,
        };
        out.packet(self.track, Arc::new(packet));
        Taken::Delivered { keyframe }
    }

    /// The first packet of its access unit, as far as what came says.
    fn starts_frame(&self, seq: SeqNo, session_begins: SeqNo, pending: &Pending) -> bool {
        if self.track == Track::Audio || seq == session_begins {
            return true;
        }
        match self.arrivals.get(SeqNo(seq.0 - 1)) {
            Some(before) => before != pending.timestamp,
            // The packet before is missing: only what can stand nowhere else tells.
            None => pending.opens,
        }
    }

    fn read_parameters(&mut self, pending: &Pending, out: &mut Output) {
        let known = self.parameters.is_some();
        if self.track.is_video() && !pending.parts.has(StartParts::SEQUENCE_PARAMETERS) {
            return;
        }
        let parameters = match self.codec {
            Codec::Opus if known => return,
            Codec::Opus => CodecParameters::Opus,
            Codec::H264 => {
                let Some(bytes) = h264::sps_in(&pending.payload) else { return };
                if known && bytes == self.sps {
                    return;
                }
                let Ok(sps) = Sps::parse(bytes) else { return };
                self.sps = Bytes::copy_from_slice(bytes);
                CodecParameters::H264(H264Parameters {
                    profile_level_id: sps.profile_level_id(),
                    width: sps.width,
                    height: sps.height,
                    fps: sps.fps,
                    max_reorder_frames: sps.max_reorder_frames,
                })
            }
            codec => match video::picture(codec, &pending.payload) {
                Some(picture) => CodecParameters::Video(picture),
                None => return,
            },
        };
        if self.parameters.as_ref() != Some(&parameters) {
            self.parameters = Some(parameters.clone());
            out.push(FeedItem::Parameters { track: self.track, parameters });
        }
    }

    fn lose(&mut self, missing: Range<u64>, out: &mut Output) {
        self.lost += missing.end - missing.start;
        out.push(FeedItem::Lost { track: self.track, from: SeqNo(missing.start), to: SeqNo(missing.end) });
    }
}

/// Whether number and timestamp fit what came before in the session.
fn is_plausible(run: &Run, now: Instant, header: &RtpHeader, track: Track, timeline: &Timeline) -> bool {
    let Some(seq) = header.seq.nearest_to(run.highest) else { return false };
    let Some((step, elapsed)) = timeline.step(track, now, header.timestamp) else { return false };
    match seq.since(run.highest) {
        Some(ahead @ 1..=MAX_AHEAD) => {
            let elapsed = i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX / 2);
            let leap = elapsed.saturating_add(MAX_LEAP);
            debug_assert!(ahead > 0, "zero is a duplicate");
            (-MAX_BACK..=leap).contains(&step)
        }
        Some(0) => true,
        Some(_) => false,
        None => {
            let behind = run.highest.since(seq).unwrap_or(u64::MAX);
            behind <= Arrivals::REACH
                && (-MAX_LATE..=MAX_BACK).contains(&step)
                && now.saturating_duration_since(run.newest_at) < SILENCE
        }
    }
}
