//! The inlet: whatever publishers send to one stream's port becomes one continuous stream here.
//!
//! A sans-IO machine: datagrams and time go in, feed items and RTCP come out. `shell` gives it a socket.

mod arrivals;
mod counters;
mod gate;
mod gather;
mod health;
mod keyframes;
mod latch;
#[cfg(test)]
mod layer_tests;
mod layers;
mod losses;
mod output;
mod rhythm;
mod shell;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod timeline;
mod track;
mod uplink;
#[cfg(test)]
mod uplink_tests;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use heliograph_media::{
    Bitrate, Codec, MediaKind, Ssrc, opus,
    rtcp::{self, Rtcp},
    rtp::RtpHeader,
};

pub(crate) use self::shell::run;
use self::{
    counters::{Counters, Refused},
    gather::Gather,
    health::Symptoms,
    keyframes::KeyframeRequests,
    latch::Latch,
    layers::Layers,
    losses::Losses,
    output::Output,
    timeline::Timeline,
    track::{Described, Taken, TrackInlet},
};
use crate::{
    CodecParameters, FeedItem, RingLimits, StreamState, Track, TrackDescription, TrackSnapshot, Uplink,
    stream::Report,
};

/// No media for so long: the stream is away.
const AWAY: Duration = Duration::from_secs(1);
/// While media flows, and while it does not.
const TICK: Duration = Duration::from_millis(100);
const SLOW_TICK: Duration = Duration::from_secs(1);
/// Between receiver reports.
const REPORTS: Duration = Duration::from_secs(1);
/// Pictures are counted over at least so long.
const PICTURES: Duration = Duration::from_secs(2);
/// So long after it happened a loss in the kernel is worth a warning.
const KERNEL_DROPS: Duration = Duration::from_secs(30);
/// So long after an ingest said that too much comes the warning stays: bitrates waver.
const OVER_LIMIT: Duration = Duration::from_secs(10);

/// What an inlet needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InletSettings {
    /// Silence that ends the stream; `None` for a permanent one.
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) ring: RingLimits,
    /// The relay's own SSRC in receiver reports.
    pub(crate) ssrc: Ssrc,
}

/// RTCP to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transmit {
    pub(crate) to: SocketAddr,
    pub(crate) packet: Vec<u8>,
}

/// One stream's inlet.
#[derive(Debug)]
pub(crate) struct Inlet {
    settings: InletSettings,
    tracks: [Option<TrackInlet>; Track::COUNT],
    latches: [Latch; Track::COUNT],
    /// Where RTCP of a track's publisher came from.
    rtcp_from: [Option<SocketAddr>; Track::COUNT],
    timeline: Timeline,
    keyframes: [KeyframeRequests; Track::COUNT],
    layers: Layers,
    counters: Counters,
    output: Output,
    gather: Gather,
    transmits: Vec<Transmit>,
    state: StreamState,
    /// Newest valid media packet, else when waiting began.
    heard: Instant,
    delivered: Option<Instant>,
    media_since: Option<Instant>,
    next_tick: Instant,
    next_reports: Instant,
    /// Of each track: since when, how many had come then, and their rate before that.
    pictures: [(Instant, u64, Option<f64>); Track::COUNT],
    losses: Losses,
    muted: bool,
    unmuted: Instant,
    silent_since: Option<Instant>,
    kernel_drops: Option<Instant>,
    /// What the publisher may send, and when an ingest said last that it sends more.
    over_limit: Option<(Bitrate, Instant)>,
    /// What readers were told of the way to here.
    told_uplink: Option<Uplink>,
}

impl Inlet {
    pub(crate) fn new(now: Instant, settings: InletSettings, tracks: &[TrackDescription]) -> Self {
        let mut inlet = Self {
            settings,
            tracks: Default::default(),
            latches: Default::default(),
            rtcp_from: [None; Track::COUNT],
            timeline: Timeline::new(),
            keyframes: Default::default(),
            layers: Layers::default(),
            counters: Counters::default(),
            output: Output::default(),
            gather: Gather::default(),
            transmits: Vec::new(),
            state: StreamState::Waiting,
            heard: now,
            delivered: None,
            media_since: None,
            next_tick: now,
            next_reports: now + REPORTS,
            pictures: [(now, 0, None); Track::COUNT],
            losses: Losses::new(now),
            muted: false,
            unmuted: now,
            silent_since: None,
            kernel_drops: None,
            over_limit: None,
            told_uplink: None,
        };
        inlet.describe(tracks);
        inlet
    }

    /// The stream was allocated again: its tracks may be others, and its source need not wait for silence.
    pub(crate) fn allocated_again(&mut self, now: Instant, tracks: &[TrackDescription]) {
        self.heard = self.heard.max(now);
        self.describe(tracks);
        for latch in &mut self.latches {
            latch.reopen();
        }
    }

    /// Takes a datagram.
    pub(crate) fn on_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &Bytes) {
        if rtcp::is_rtcp(datagram) {
            return self.on_rtcp(now, from, datagram);
        }
        let Ok(header) = RtpHeader::parse(datagram) else { return self.counters.add(Refused::NotRtp) };
        let track = Track::ALL.into_iter().find(|track| {
            self.tracks[track.index()]
                .as_ref()
                .is_some_and(|inlet| inlet.payload_type() == Some(header.payload_type))
        });
        let Some(track) = track else { return self.counters.add(Refused::PayloadType) };
        let Some(inlet) = &mut self.tracks[track.index()] else { return };
        let new_session = inlet.ssrc() != Some(header.ssrc);
        if !self.latches[track.index()].accepts(now, from, new_session) {
            return inlet.counters.add(Refused::ForeignSource);
        }
        let before = inlet.ssrc();
        let mut payload = datagram.slice(header.payload.clone());
        if self.muted && inlet.codec() == Codec::Opus {
            // What is no Opus is refused further on.
            payload = opus::silence_like(&payload).map_or(payload, Bytes::from);
        }
        let taken = inlet.on_packet(now, &header, payload, &mut self.timeline, &mut self.output);
        if taken == Taken::No {
            return;
        }
        if self.latches[track.index()].hold(now, from) {
            self.rtcp_from[track.index()] = None;
        }
        let new_session = inlet.ssrc() != before;
        if track.is_video() {
            let keyframes = &mut self.keyframes[track.index()];
            if new_session {
                keyframes.forget();
            }
            match taken {
                Taken::Delivered { keyframe: true } => keyframes.keyframe(now),
                // A session that begins in the middle of a picture group: perhaps the publisher can help.
                Taken::Held { in_vain: true } => self.request_keyframe(now, track),
                _ => {}
            }
        }
        self.heard = now;
        self.clocks(now);
        if let Taken::Delivered { keyframe } = taken {
            self.on_delivered(now);
            if keyframe {
                // Perhaps the first one of its layer, or of another size.
                self.rank_layers(now);
            }
        }
    }

    /// Somebody wants a keyframe of the picture, or of one layer of it; the publisher is asked if that makes sense.
    pub(crate) fn request_keyframe(&mut self, now: Instant, track: Track) {
        let Some(inlet) = &self.tracks[track.index()] else { return };
        let (Some(ssrc), is_layer) = (inlet.ssrc(), inlet.rid().is_some()) else { return };
        let Some(to) = self.rtcp_destination(track) else { return };
        let keyframes = &mut self.keyframes[track.index()];
        let ask = if is_layer { keyframes.wish_of_layer(now) } else { keyframes.wish(now) };
        if ask {
            let mut packet = Vec::new();
            // A report in front, as RFC 3550 section 6.1 wants it: not every sender accepts less.
            rtcp::write_receiver_report(&mut packet, self.settings.ssrc, &[]);
            rtcp::write_pli(&mut packet, self.settings.ssrc, ssrc);
            self.transmits.push(Transmit { to, packet });
        }
    }

    /// The publisher has been seen to answer wishes for keyframes.
    pub(crate) fn answers_keyframe_requests(&self) -> bool {
        self.keyframes.iter().any(KeyframeRequests::answered)
    }

    /// Sound becomes silence, until it is unmuted: numbers and times stay, so nobody hears a gap concealed.
    pub(crate) fn mute(&mut self, now: Instant, muted: bool) {
        if self.muted && !muted {
            self.unmuted = now;
        }
        self.muted = muted;
    }

    /// Somebody listens: the sound has been silent for so long, zero while something is heard. `None`: nobody can tell.
    pub(crate) fn on_sound(&mut self, now: Instant, silent_for: Option<Duration>) {
        self.silent_since = silent_for.filter(|time| !time.is_zero()).and_then(|time| now.checked_sub(time));
    }

    /// The kernel dropped datagrams of this stream.
    pub(crate) fn on_kernel_drops(&mut self, now: Instant) {
        self.kernel_drops = Some(now);
    }

    /// When to call [`Inlet::on_tick`] at the latest.
    pub(crate) fn next_tick(&self) -> Instant {
        self.next_tick
    }

    /// Time passes.
    pub(crate) fn on_tick(&mut self, now: Instant) {
        self.next_tick = now + if self.state == StreamState::Live { TICK } else { SLOW_TICK };
        for track in self.tracks.iter_mut().flatten() {
            track.tick(now, &mut self.output);
        }
        self.timeline.tick(now);
        self.keyframes.iter_mut().for_each(|keyframes| keyframes.tick(now));
        self.rank_layers(now);
        self.clocks(now);
        self.tell_uplink(now);
        if self.state == StreamState::Live
            && self.delivered.is_some_and(|newest| now.saturating_duration_since(newest) >= AWAY)
        {
            self.state = StreamState::Away;
            self.media_since = None;
            self.output.push(FeedItem::Away);
        }
        if now >= self.next_reports {
            self.next_reports = now + REPORTS;
            if self.state == StreamState::Live {
                self.write_reports(now);
            }
        }
        self.count_pictures(now);
        let tracks = self.tracks.iter().flatten();
        let (packets, lost) =
            tracks.fold((0, 0), |(packets, lost), track| (packets + track.packets, lost + track.lost));
        self.losses.look(now, packets, lost);
    }

    /// Nothing valid came for the idle time: the stream should close.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        self.settings.idle_timeout.is_some_and(|limit| now.saturating_duration_since(self.heard) >= limit)
    }

    /// Whether media flows.
    pub(crate) fn state(&self) -> StreamState {
        self.state
    }

    /// Whether the readers should be told only after another look at the socket, since the rest of a picture is
    /// probably on its way. `came`: something came since the last call.
    pub(crate) fn gathers(&mut self, now: Instant, came: bool) -> bool {
        self.gather.goes_on(now, self.output.is_mid_picture(), came)
    }

    /// What happened since the last call, for the readers.
    pub(crate) fn take_items(&mut self) -> Vec<FeedItem> {
        self.output.take()
    }

    /// RTCP to send.
    pub(crate) fn take_transmits(&mut self) -> Vec<Transmit> {
        std::mem::take(&mut self.transmits)
    }

    /// Datagrams that a sound sender would not have sent.
    pub(crate) fn malformed(&self) -> u64 {
        self.all_counters().malformed()
    }

    /// For snapshots.
    pub(crate) fn report(&self, now: Instant) -> Report {
        let snapshot = |track: Track| {
            let inlet = self.tracks[track.index()].as_ref().filter(|inlet| inlet.payload_type().is_some())?;
            Some(self.track_snapshot(now, track, inlet))
        };
        let layers: Vec<_> = self.layers.all().iter().filter_map(|track| snapshot(*track)).collect();
        // Whoever knows nothing of layers hears of the best one.
        let picture = layers.first().cloned().or_else(|| snapshot(Track::Video));
        let parameters =
            |track: Track| self.tracks[track.index()].as_ref().and_then(|inlet| inlet.parameters().cloned());
        Report {
            state: self.state,
            tracks: picture.into_iter().chain(snapshot(Track::Audio)).collect(),
            layers,
            parameters: [parameters(Track::Video), parameters(Track::Audio)],
            warnings: self.symptoms(now).warnings(
                now,
                self.settings.ring.keyframe_run_max,
                self.settings.ring.keyframe_run_bytes,
            ),
            uplink: self.timeline.uplink(now).filter(|_| self.state == StreamState::Live),
            refused: self.all_counters().by_label(),
        }
    }

    /// Finds out which layers flow, best first, and tells the readers if that is news.
    fn rank_layers(&mut self, now: Instant) {
        let tracks = &self.tracks;
        let seen = Track::LAYERS.map(|track| {
            let inlet = tracks[track.index()].as_ref().filter(|inlet| inlet.payload_type().is_some())?;
            Some((inlet.parameters()?.size()?, inlet.heard?))
        });
        if let Some(layers) = self.layers.rank(now, seen) {
            self.output.push(FeedItem::Layers(layers));
        }
    }

    /// The best layer of the picture.
    fn picture(&self) -> Option<&TrackInlet> {
        self.tracks[self.layers.best().index()].as_ref()
    }

    fn describe(&mut self, tracks: &[TrackDescription]) {
        for track in Track::ALL {
            let described = Described::find(track, tracks);
            match (&mut self.tracks[track.index()], described) {
                (Some(inlet), described) => inlet.describe(described.as_ref()),
                (slot @ None, Some(described)) => *slot = Some(TrackInlet::new(track, &described)),
                (None, None) => {}
            }
        }
    }

    fn on_delivered(&mut self, now: Instant) {
        self.delivered = Some(now);
        self.media_since.get_or_insert(now);
        match self.state {
            StreamState::Live => {}
            StreamState::Waiting => self.state = StreamState::Live,
            StreamState::Away => {
                self.state = StreamState::Live;
                self.output.push(FeedItem::Back);
            }
        }
        self.next_tick = self.next_tick.min(now + TICK);
    }

    /// Says where the tracks lie on the relay's clock, if that is news.
    fn clocks(&mut self, now: Instant) {
        if !self.timeline.take_change() {
            return;
        }
        let settled = self.timeline.is_settled();
        for track in Track::ALL {
            if let Some(clock) = self.timeline.clock(track) {
                self.output.push(FeedItem::Clock { track, clock, settled });
            }
        }
        self.tell_uplink(now);
    }

    /// Says how late the media is when it gets here, if that is news.
    fn tell_uplink(&mut self, now: Instant) {
        let uplink = self.timeline.uplink(now);
        if uplink != self.told_uplink {
            self.told_uplink = uplink;
            self.output.push(FeedItem::Uplink(uplink));
        }
    }

    fn on_rtcp(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let held = |latch: &Latch| latch.source().is_some_and(|source| source.ip() == from.ip());
        let known = self.latches.iter().any(held);
        if !known && self.latches.iter().any(|latch| latch.source().is_some()) {
            return self.counters.add(Refused::ForeignRtcp);
        }
        let Ok(packets) = rtcp::parse_compound(datagram) else { return self.counters.add(Refused::BadRtcp) };
        for packet in packets {
            match packet {
                Rtcp::SenderReport { ssrc, ntp, rtp_timestamp, .. } => {
                    self.timeline.report(ssrc, ntp, rtp_timestamp);
                    let Some(index) = self.track_of(ssrc) else { continue };
                    if let Some(reception) = self.tracks[index].as_mut().and_then(TrackInlet::reception) {
                        reception.sender_report(now, ntp);
                    }
                    if known {
                        self.rtcp_from[index] = Some(from);
                    }
                }
                Rtcp::LeastDelay { delay } => self.timeline.least_delay(now, delay),
                Rtcp::Captured { ssrc, rtp_timestamp, ago } => {
                    self.timeline.captured(now, ssrc, rtp_timestamp, ago);
                }
                Rtcp::OverLimit { limit } => self.over_limit = Some((limit, now)),
                Rtcp::Bye { ssrcs } => {
                    // The next session may come from another socket, and need not wait for silence.
                    for ssrc in ssrcs {
                        if let Some(index) = self.track_of(ssrc) {
                            self.latches[index].reopen();
                        }
                    }
                }
                _ => {}
            }
        }
        self.clocks(now);
        self.tell_uplink(now);
    }

    fn track_of(&self, ssrc: Ssrc) -> Option<usize> {
        self.tracks.iter().position(|track| track.as_ref().is_some_and(|track| track.ssrc() == Some(ssrc)))
    }

    fn rtcp_destination(&self, track: Track) -> Option<SocketAddr> {
        self.rtcp_from[track.index()].or_else(|| self.latches[track.index()].source())
    }

    fn write_reports(&mut self, now: Instant) {
        let mut reports: Vec<(SocketAddr, Vec<rtcp::ReportBlock>)> = Vec::new();
        for track in Track::ALL {
            let Some(to) = self.rtcp_destination(track) else { continue };
            let Some(reception) = self.tracks[track.index()].as_mut().and_then(TrackInlet::reception) else {
                continue;
            };
            let block = reception.block(now);
            match reports.iter_mut().find(|(other, _)| *other == to) {
                Some((_, blocks)) => blocks.push(block),
                None => reports.push((to, vec![block])),
            }
        }
        for (to, blocks) in reports {
            let mut packet = Vec::new();
            rtcp::write_receiver_report(&mut packet, self.settings.ssrc, &blocks);
            rtcp::write_sdes_cname(&mut packet, self.settings.ssrc, "relay");
            self.transmits.push(Transmit { to, packet });
        }
    }

    fn count_pictures(&mut self, now: Instant) {
        for track in Track::LAYERS {
            let Some(video) = &self.tracks[track.index()] else { continue };
            let (since, before, rate) = &mut self.pictures[track.index()];
            let passed = now.saturating_duration_since(*since);
            if passed >= PICTURES {
                #[expect(clippy::cast_precision_loss, reason = "a picture rate needs few digits")]
                let counted = (video.frames - *before) as f64 / passed.as_secs_f64();
                *rate = (counted > 0.0).then_some((counted * 100.0).round() / 100.0);
                (*since, *before) = (now, video.frames);
            }
        }
    }

    fn all_counters(&self) -> Counters {
        let mut all = self.counters.clone();
        self.tracks.iter().flatten().for_each(|track| all.merge(&track.counters));
        all
    }

    fn track_snapshot(&self, now: Instant, which: Track, track: &TrackInlet) -> TrackSnapshot {
        let h264 = match track.parameters() {
            Some(CodecParameters::H264(parameters)) => Some(parameters),
            _ => None,
        };
        let size = track.parameters().and_then(CodecParameters::size);
        let counted = self.pictures[which.index()].2.filter(|_| track.codec().kind() == MediaKind::Video);
        TrackSnapshot {
            kind: track.codec().kind(),
            rid: track.rid().map(str::to_owned),
            codec: track.codec(),
            payload_type: track.payload_type().map_or(0, heliograph_media::PayloadType::get),
            profile_level_id: h264.map(|parameters| parameters.profile_level_id),
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            fps: h264.and_then(|parameters| parameters.fps).or(counted),
            bitrate_bps: track.rate.rate(now).as_bps(),
            packets: track.packets,
            lost: track.lost,
            keyframe_interval_ms: track
                .rhythm
                .keyframe_interval()
                .map(|interval| u64::try_from(interval.as_millis()).unwrap_or(u64::MAX)),
            drift_ppm: track.rhythm.drift_ppm(),
            malformed: track.counters.malformed(),
        }
    }

    fn symptoms(&self, now: Instant) -> Symptoms {
        let heard = |inlet: Option<&TrackInlet>| {
            inlet.filter(|inlet| inlet.payload_type().is_some()).map(|inlet| inlet.heard)
        };
        let video = self.picture();
        let flows = self.state == StreamState::Live;
        // After a pause sound may come first, and what is known of pictures is from before it.
        let pictures = video
            .filter(|video| video.heard.is_some_and(|heard| now.saturating_duration_since(heard) < AWAY));
        Symptoms {
            media_since: self.media_since,
            video: heard(video),
            audio: heard(self.tracks[Track::Audio.index()].as_ref()),
            held_since: pictures.and_then(TrackInlet::held_since),
            keyframe: pictures.filter(|_| flows).and_then(|video| video.keyframe),
            run_bytes: pictures.filter(|_| flows).map_or(0, |video| video.run_bytes),
            keyframe_interval: video.filter(|_| flows).and_then(|video| video.rhythm.keyframe_interval()),
            b_frames: video.is_some_and(|video| video.b_frames),
            silent_since: self
                .silent_since
                .filter(|_| flows && !self.muted)
                .map(|since| since.max(self.unmuted)),
            profile_level_id: match video.and_then(TrackInlet::parameters) {
                Some(CodecParameters::H264(parameters)) => Some(parameters.profile_level_id),
                _ => None,
            },
            unsteady: flows && video.is_some_and(|video| video.rhythm.is_unsteady()),
            drift_ppm: video.filter(|_| flows).and_then(|video| video.rhythm.drift_ppm()),
            loss_per_mille: self.losses.per_mille(),
            over_limit: self
                .over_limit
                .filter(|(_, said)| now.saturating_duration_since(*said) < OVER_LIMIT)
                .map(|(limit, _)| limit),
            kernel_drops: self
                .kernel_drops
                .is_some_and(|dropped| now.saturating_duration_since(dropped) < KERNEL_DROPS),
        }
    }
}
