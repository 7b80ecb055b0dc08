//! What a viewer received, packet by packet, in figures that a scenario can check.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, ensure};
use heliograph_media::{
    SeqNo, SeqUnwrapper, TimestampUnwrapper, WireSeq,
    h264::{self, Sps},
};
use serde_json::Value;
use tokio::sync::watch;

/// One RTP packet as a viewer's library hands it over.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// When.
    pub at: Instant,
    /// The stream.
    pub ssrc: u32,
    /// Its number.
    pub seq: u16,
    /// Its time.
    pub timestamp: u32,
    /// The end of a picture.
    pub marker: bool,
    /// What it carries.
    pub payload: &'a [u8],
    /// When it was to be shown or heard by the sender's clock, once a sender report has told.
    pub due: Option<SystemTime>,
    /// When it was captured, where the packet tells (abs-capture-time).
    pub captured: Option<SystemTime>,
}

/// Negative when that is still to come.
fn seconds_since(at: SystemTime) -> f64 {
    match SystemTime::now().duration_since(at) {
        Ok(since) => since.as_secs_f64(),
        Err(early) => -early.duration().as_secs_f64(),
    }
}

/// One track of one viewer.
#[derive(Debug, Clone, Default)]
pub struct TrackReport {
    /// Distinct packets.
    pub packets: u64,
    /// Packets that came twice or more.
    pub repeated: u64,
    /// Marker bits: pictures that were finished.
    pub frames: u64,
    /// When the first packet came.
    pub first_at: Option<Instant>,
    /// When the newest packet came.
    pub newest_at: Option<Instant>,
    /// When the first picture was finished.
    pub first_frame_at: Option<Instant>,
    /// All SSRCs seen: one, however often the publisher restarts.
    pub ssrcs: BTreeSet<u32>,
    /// NAL unit type (or its packet's) at the start of the first packet: 7 is the parameter set it should be.
    pub first_nal: u8,
    /// The newest packet is the last of its picture.
    pub ends_a_picture: bool,
    /// Timestamps of the first and the newest packet, unwrapped. A replay's are squeezed into the time it takes.
    pub timestamps: Option<(u64, u64)>,
    /// Largest step from one picture's timestamp to the next, in ticks.
    pub largest_step: u64,
    /// Times a timestamp went back.
    pub backwards: u64,
    /// Longest time between two packets.
    pub longest_pause: Duration,
    /// Bytes of payload.
    pub octets: u64,
    /// Packets in which a B-slice of H.264 begins.
    pub b_slices: u64,
    /// Width and height of H.264 in pixels, as its newest parameter set has it.
    pub size: Option<(u32, u32)>,
    /// How late packets came against the sender's clock: seconds, in sum, and of how many.
    lateness: (f64, u32),
    /// How many packets told when they were captured, and how many seconds after that the newest of them came.
    pub captures: (u32, f64),
    /// Payloads, when [`Watch::keep`] was called.
    pub kept: Option<Vec<Vec<u8>>>,
    missing: BTreeSet<SeqNo>,
    seqs: Option<SeqNo>,
    seq_unwrapper: SeqUnwrapper,
    timestamp_unwrapper: TimestampUnwrapper,
}

impl TrackReport {
    /// Sequence numbers that never came.
    pub fn lost(&self) -> usize {
        self.missing.len()
    }

    /// Distance between the first and the newest timestamp, in ticks.
    pub fn span(&self) -> u64 {
        self.timestamps.map_or(0, |(first, newest)| newest - first)
    }

    /// How late packets came in the mean against the sender's clock, in seconds; on this machine that is the time from their
    /// source.
    pub fn lateness(&self) -> Option<f64> {
        let (sum, count) = self.lateness;
        (count > 0).then(|| sum / f64::from(count))
    }

    fn add(&mut self, packet: &Received<'_>) {
        let seq = self.seq_unwrapper.extend(WireSeq(packet.seq));
        let timestamp = self.timestamp_unwrapper.extend(packet.timestamp);
        match self.seqs {
            None => {
                self.first_at = Some(packet.at);
                self.first_nal = match packet.payload {
                    // The first one of an aggregation.
                    [stap_a, _, _, first, ..] if stap_a & 0x1f == 24 => first & 0x1f,
                    [first, ..] => first & 0x1f,
                    [] => 0,
                };
                self.timestamps = Some((timestamp, timestamp));
            }
            Some(highest) if seq > highest => {
                let mut between = highest.next();
                while between < seq {
                    self.missing.insert(between);
                    between = between.next();
                }
            }
            // Earlier than the very first, or late, or again.
            Some(_) if self.missing.remove(&seq) => {}
            Some(_) => {
                self.repeated += 1;
                return;
            }
        }
        if self.seqs.is_none_or(|highest| seq > highest) {
            self.seqs = Some(seq);
            self.ends_a_picture = packet.marker;
            if let Some((_, newest)) = &mut self.timestamps {
                self.backwards += u64::from(timestamp < *newest);
                self.largest_step = self.largest_step.max(timestamp.saturating_sub(*newest));
                *newest = timestamp.max(*newest);
            }
        }
        if let Some(before) = self.newest_at {
            self.longest_pause = self.longest_pause.max(packet.at.saturating_duration_since(before));
        }
        self.newest_at = Some(packet.at);
        self.packets += 1;
        self.octets += packet.payload.len() as u64;
        if let Some(due) = packet.due {
            self.lateness = (self.lateness.0 + seconds_since(due), self.lateness.1 + 1);
        }
        if let Some(captured) = packet.captured {
            self.captures = (self.captures.0 + 1, seconds_since(captured));
        }
        if let Some(kept) = &mut self.kept {
            kept.push(packet.payload.to_vec());
        }
        self.ssrcs.insert(packet.ssrc);
        if packet.marker {
            self.frames += 1;
            self.first_frame_at.get_or_insert(packet.at);
        }
    }

    /// Forgets everything but the SSRCs, to measure from here on.
    fn begin_anew(&mut self) {
        let kept = self.kept.take().map(|_| Vec::new());
        *self = Self { ssrcs: std::mem::take(&mut self.ssrcs), kept, ..Self::default() };
    }
}

/// Everything one viewer saw.
#[derive(Debug, Clone)]
pub struct ViewerReport {
    /// When the viewer began to negotiate.
    pub began: Instant,
    /// When ICE and DTLS were through.
    pub connected: Option<Instant>,
    /// H.264.
    pub video: TrackReport,
    /// Opus.
    pub audio: TrackReport,
    /// Events of the signaling connection, newest last: name and data.
    pub events: Vec<(String, Value)>,
    /// Offers received: more than one means a new peer connection.
    pub offers: u32,
    /// Sender reports received.
    pub sender_reports: u64,
    /// The viewer is over, and why.
    pub closed: Option<String>,
}

impl ViewerReport {
    /// An empty one.
    pub fn new(began: Instant) -> Self {
        Self {
            began,
            connected: None,
            video: TrackReport::default(),
            audio: TrackReport::default(),
            events: Vec::new(),
            offers: 0,
            sender_reports: 0,
            closed: None,
        }
    }

    /// Forgets what was counted of both tracks, to measure from here on; their SSRCs stay known.
    pub fn begin_anew(&mut self) {
        self.video.begin_anew();
        self.audio.begin_anew();
    }

    /// A new peer connection: nothing counted before belongs to it.
    pub fn begin_connection(&mut self) {
        (self.video, self.audio) = (TrackReport::default(), TrackReport::default());
        self.offers += 1;
    }

    /// Counts a packet.
    pub fn add(&mut self, is_video: bool, packet: &Received<'_>) {
        if is_video {
            self.video.b_slices += u64::from(h264::probe(packet.payload).is_ok_and(|seen| seen.b_slice));
            if let Some(sps) = h264::sps_in(packet.payload).and_then(|sps| Sps::parse(sps).ok()) {
                self.video.size = Some((sps.width, sps.height));
            }
            self.video.add(packet);
        } else {
            self.audio.add(packet);
        }
    }

    /// Time from the start of negotiation to the first finished picture.
    pub fn first_picture(&self) -> Option<Duration> {
        Some(self.video.first_frame_at? - self.began)
    }

    /// The newest viewer count told.
    pub fn viewers(&self) -> Option<u64> {
        self.events.iter().rev().find(|(name, _)| name == "info")?.1["no_connections"].as_u64()
    }

    /// The newest state told.
    pub fn state(&self) -> Option<&str> {
        self.events.iter().rev().find(|(name, _)| name == "state")?.1["state"].as_str()
    }

    /// Fails unless everything came: [`check_continuous`](Self::check_continuous), and from a keyframe on.
    pub fn check_complete(&self, ticks_per_frame: u64) -> anyhow::Result<()> {
        ensure!(self.video.first_nal == 7, "the first video packet is no SPS but {}", self.video.first_nal);
        self.check_continuous(ticks_per_frame)
    }

    /// Fails unless sound keeps its own pace: as long as the pictures, 20 ms each, without a gap.
    pub fn check_sound(&self) -> anyhow::Result<()> {
        let (video, audio) = (self.video.span() as f64 / 90_000.0, self.audio.span() as f64 / 48_000.0);
        ensure!((video - audio).abs() < 0.3, "{video} s of pictures, {audio} s of sound");
        ensure!(self.audio.largest_step == 960, "a gap in the sound: {} samples", self.audio.largest_step);
        Ok(())
    }

    /// Fails unless everything since the first packet came, in order, on one SSRC per track, with every picture
    /// of a clip of the given frame time in ticks.
    pub fn check_continuous(&self, ticks_per_frame: u64) -> anyhow::Result<()> {
        for (name, track) in [("video", &self.video), ("audio", &self.audio)] {
            ensure!(track.packets > 0, "{name}: nothing came");
            ensure!(track.lost() == 0, "{name}: {} of {} packets lost", track.lost(), track.packets);
            ensure!(track.ssrcs.len() == 1, "{name}: {} SSRCs", track.ssrcs.len());
            ensure!(track.backwards == 0, "{name}: timestamps went back {} times", track.backwards);
        }
        ensure!(
            self.video.largest_step <= ticks_per_frame,
            "pictures are missing: a step of {} ticks",
            self.video.largest_step
        );
        Ok(())
    }
}

/// An event without its SDP.
fn in_short((name, data): &(String, Value)) -> String {
    if name == "offer" { name.clone() } else { format!("{name} {data}") }
}

/// A viewer's report as it grows.
#[derive(Debug, Clone)]
pub struct Watch(Arc<watch::Sender<ViewerReport>>);

impl Watch {
    /// A writer and its reader.
    pub fn new(began: Instant) -> (Arc<watch::Sender<ViewerReport>>, Self) {
        let sender = Arc::new(watch::Sender::new(ViewerReport::new(began)));
        (sender.clone(), Self(sender))
    }

    /// Measures anew from here on.
    pub fn begin_anew(&self) {
        self.0.send_modify(ViewerReport::begin_anew);
    }

    /// Measures anew from here on, and keeps what pictures are made of.
    pub fn keep(&self) {
        self.0.send_modify(|report| {
            report.begin_anew();
            report.video.kept = Some(Vec::new());
        });
    }

    /// As of now.
    pub fn now(&self) -> ViewerReport {
        self.0.borrow().clone()
    }

    /// Waits until the report fulfils a condition; fails with `what` after `limit`.
    pub async fn until(
        &self,
        what: &str,
        limit: Duration,
        condition: impl Fn(&ViewerReport) -> bool,
    ) -> anyhow::Result<ViewerReport> {
        let mut receiver = self.0.subscribe();
        let waited = tokio::time::timeout(limit, receiver.wait_for(|report| condition(report))).await;
        let report = match waited {
            Ok(Ok(report)) => Some(report.clone()),
            Ok(Err(_)) | Err(_) => None,
        };
        report.with_context(|| {
            let ViewerReport { connected, video, audio, closed, events, .. } = self.now();
            format!(
                "a viewer waited {limit:?} for {what}: connected {}, {} video packets, {} pictures, {} audio \
                 packets, closed {closed:?}, last events {:?}",
                connected.is_some(),
                video.packets,
                video.frames,
                audio.packets,
                events[events.len().saturating_sub(8)..].iter().map(in_short).collect::<Vec<_>>(),
            )
        })
    }

    /// Waits for a connection.
    pub async fn connected(&self) -> anyhow::Result<ViewerReport> {
        self.until("a connection", Duration::from_secs(10), |report| report.connected.is_some()).await
    }

    /// Waits for this many more pictures and audio packets than now.
    pub async fn more(&self, frames: u64, limit: Duration) -> anyhow::Result<ViewerReport> {
        let ViewerReport { video, audio, .. } = self.now();
        let (frames, packets) = (video.frames + frames, audio.packets + frames);
        self.until("more media", limit, |report| {
            report.video.frames >= frames && report.audio.packets >= packets
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(packets: &[(u16, u32)]) -> TrackReport {
        let mut track = TrackReport::default();
        for &(seq, timestamp) in packets {
            track.add(&Received {
                at: Instant::now(),
                ssrc: 1,
                seq,
                timestamp,
                marker: true,
                payload: &[1],
                due: None,
                captured: None,
            });
        }
        track
    }

    #[test]
    fn losses_late_packets_and_repetitions_are_told_apart() {
        for start in [0_u16, 100, 65_530, 65_535] {
            let at = |index: u16| (start.wrapping_add(index), 3000 * u32::from(index));
            let track = report(&[at(0), at(1), at(4), at(3), at(3), at(5)]);
            assert_eq!((track.packets, track.lost(), track.repeated), (5, 1, 1), "from {start}");
            assert_eq!((track.span(), track.largest_step, track.backwards), (15_000, 9000, 0));
        }
    }
}
