//! One live stream as everybody but its inlet sees it, and the list of them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    time::{Instant, SystemTime},
};

use dashmap::DashMap;
use heliograph_media::{Codec, MediaKind};
use serde::Serialize;
use tokio::sync::{Notify, watch};

use crate::{
    ChannelName, CloseReason, CodecParameters, SoundLevel, StreamId, Track, TrackDescription, Unplayable,
    Uplink, ViewerDelays, Warning, delays::Delays, sound::Sound, unplayable::UnplayableCounts,
};

/// Whether media flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamState {
    /// Allocated; no media yet.
    #[default]
    Waiting,
    /// Media flows.
    Live,
    /// No media for about a second.
    Away,
}

/// A stream at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct StreamSnapshot {
    /// Its identity while it lives.
    pub id: StreamId,
    /// Where its RTP comes in.
    pub port: u16,
    /// The channel it was allocated for.
    pub channel: Option<String>,
    /// Its title.
    pub name: Option<String>,
    /// When it was allocated.
    pub since: SystemTime,
    /// Whether media flows.
    pub state: StreamState,
    /// It never closes for silence.
    pub permanent: bool,
    /// Its tracks, as allocated; of a picture in layers the best one.
    pub tracks: Vec<TrackSnapshot>,
    /// The layers of the picture, best first; empty unless there are several.
    pub layers: Vec<TrackSnapshot>,
    /// Connected viewers.
    pub viewers: u32,
    /// How late they see it.
    pub viewer_delays: ViewerDelays,
    /// How late it is already when it gets here, when that is known.
    pub uplink: Option<Uplink>,
    /// How many cannot decode it.
    pub unplayable: Unplayable,
    /// Viewers get silence instead of the sound.
    pub muted: bool,
    /// How loud it is, while somebody measures and it is not muted.
    pub sound: Option<SoundLevel>,
    /// What the streamer should know.
    #[serde(skip)]
    pub warnings: Vec<Warning>,
    /// Datagrams that were not taken, by cause.
    pub refused: BTreeMap<&'static str, u64>,
}

/// A track at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct TrackSnapshot {
    /// Picture or sound.
    pub kind: MediaKind,
    /// The layer's name (RFC 8851), in a simulcast.
    pub rid: Option<String>,
    /// How it is coded.
    pub codec: Codec,
    /// RTP payload type on the way in.
    pub payload_type: u8,
    /// H.264 profile and level, when known.
    pub profile_level_id: Option<[u8; 3]>,
    /// Pixels, when known.
    pub width: Option<u32>,
    /// Pixels, when known.
    pub height: Option<u32>,
    /// Pictures per second: as announced, else as counted over the last seconds.
    pub fps: Option<f64>,
    /// Over the last second.
    pub bitrate_bps: u64,
    /// Taken since the stream began.
    pub packets: u64,
    /// Missing for good since the stream began.
    pub lost: u64,
    /// Between the last two keyframes, in milliseconds.
    pub keyframe_interval_ms: Option<u64>,
    /// How much slower than ours the encoder's clock runs, in parts per million, when it can be told.
    pub drift_ppm: Option<i32>,
    /// Refused since the stream began, whatever the cause.
    pub malformed: u64,
}

/// What the inlet tells about its stream, refreshed a few times a second and at every change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) state: StreamState,
    pub(crate) tracks: Vec<TrackSnapshot>,
    pub(crate) layers: Vec<TrackSnapshot>,
    /// Of [`Track::Video`] and [`Track::Audio`].
    pub(crate) parameters: [Option<CodecParameters>; 2],
    pub(crate) warnings: Vec<Warning>,
    pub(crate) uplink: Option<Uplink>,
    pub(crate) refused: BTreeMap<&'static str, u64>,
}

/// The shared side of a stream. The inlet's task owns everything else.
#[derive(Debug)]
pub(crate) struct LiveStream {
    pub(crate) id: StreamId,
    pub(crate) port: u16,
    pub(crate) since: SystemTime,
    pub(crate) permanent: bool,
    /// What can change while it lives: an ingest that comes back may describe it anew.
    described: Mutex<Described>,
    report: Mutex<Report>,
    /// Codes of the warnings that the log has.
    logged: Mutex<Vec<&'static str>>,
    /// Connected viewers: written by the egress side, read by everyone.
    pub(crate) viewers: AtomicU32,
    /// How late they see it.
    pub(crate) delays: Delays,
    /// How many cannot decode it.
    pub(crate) unplayable: UnplayableCounts,
    /// Keyframes are wanted, one bit for each track; taken by the inlet.
    keyframes_wanted: AtomicU8,
    /// The publisher has been seen to answer such wishes.
    pub(crate) answers_keyframe_requests: AtomicBool,
    /// Viewers get silence instead of the sound.
    pub(crate) muted: AtomicBool,
    /// How loud it is.
    pub(crate) sound: Sound,
    /// Wakes the inlet for a wish or for its end.
    pub(crate) wake: Notify,
    ending: Mutex<Option<CloseReason>>,
    /// Bumped when the stream was allocated again: a new source may take over at once.
    pub(crate) allocations: AtomicU64,
    /// Datagrams that the kernel dropped because the inlet did not read them in time.
    pub(crate) kernel_drops: AtomicU64,
}

#[derive(Clone, Debug)]
struct Described {
    channel: Option<ChannelName>,
    name: Option<String>,
    tracks: Arc<[TrackDescription]>,
}

impl LiveStream {
    pub(crate) fn new(
        id: StreamId,
        port: u16,
        permanent: bool,
        channel: Option<ChannelName>,
        name: Option<String>,
        tracks: Vec<TrackDescription>,
    ) -> Self {
        Self {
            id,
            port,
            since: SystemTime::now(),
            permanent,
            described: Mutex::new(Described { channel, name, tracks: tracks.into() }),
            report: Mutex::default(),
            logged: Mutex::default(),
            muted: AtomicBool::new(false),
            sound: Sound::default(),
            viewers: AtomicU32::new(0),
            delays: Delays::default(),
            unplayable: UnplayableCounts::default(),
            keyframes_wanted: AtomicU8::new(0),
            answers_keyframe_requests: AtomicBool::new(false),
            wake: Notify::new(),
            ending: Mutex::new(None),
            allocations: AtomicU64::new(0),
            kernel_drops: AtomicU64::new(0),
        }
    }

    /// Asks the publisher for a keyframe of the picture or of one layer of it. `false`: this publisher is not known to
    /// answer, so the one who asks has to help himself; the wish is still passed on now and then to find out.
    pub(crate) fn request_keyframe(&self, track: Track) -> bool {
        let bit = 1 << track.index();
        if self.keyframes_wanted.fetch_or(bit, Ordering::AcqRel) & bit == 0 {
            self.wake.notify_one();
        }
        self.answers_keyframe_requests.load(Ordering::Acquire)
    }

    /// For the inlet: of which tracks somebody wished for a keyframe since the last call.
    pub(crate) fn take_keyframe_wishes(&self) -> impl Iterator<Item = Track> {
        let wanted = self.keyframes_wanted.swap(0, Ordering::AcqRel);
        Track::LAYERS.into_iter().filter(move |track| wanted & 1 << track.index() != 0)
    }

    /// The track of a layer by its name; `None` when there is no such layer, or there are none.
    pub(crate) fn layer(&self, rid: &str) -> Option<Track> {
        let tracks = self.tracks();
        let video = tracks.iter().find(|track| track.kind == MediaKind::Video)?;
        let further = video.layers.iter().map(|layer| layer.rid.as_str());
        let names = std::iter::once(video.rid.as_deref().unwrap_or_default()).chain(further);
        let named = Track::LAYERS.into_iter().zip(names).find(|(_, name)| !name.is_empty() && *name == rid);
        named.map(|(track, _)| track)
    }

    /// The tracks as allocated.
    pub(crate) fn tracks(&self) -> Arc<[TrackDescription]> {
        lock(&self.described).tracks.clone()
    }

    /// The channel it is for.
    pub(crate) fn channel(&self) -> Option<ChannelName> {
        lock(&self.described).channel.clone()
    }

    /// What the packets say about a track; `None` before the first parameter set.
    pub(crate) fn parameters(&self, track: Track) -> Option<CodecParameters> {
        lock(&self.report).parameters.get(track.index()).cloned().flatten()
    }

    /// How late the media is already when it gets here.
    pub(crate) fn uplink(&self) -> Option<Uplink> {
        lock(&self.report).uplink
    }

    /// Whether media flows.
    pub(crate) fn state(&self) -> StreamState {
        lock(&self.report).state
    }

    /// Replaces the report; `true` when something changed that others wait for: state, coding, warnings.
    pub(crate) fn set_report(&self, report: Report) -> bool {
        let mut present = lock(&self.report);
        let rids = |report: &Report| report.layers.iter().map(|layer| layer.rid.clone()).collect::<Vec<_>>();
        let news = (present.state, &present.parameters, &present.warnings, rids(&present))
            != (report.state, &report.parameters, &report.warnings, rids(&report));
        self.log_new(&report.warnings);
        *present = report;
        news
    }

    /// Whether tracks are coded as those that viewers know; a track more or less is no matter.
    pub(crate) fn can_carry(&self, tracks: &[TrackDescription]) -> bool {
        let present = self.tracks();
        let same = |track: &TrackDescription| {
            present
                .iter()
                .find(|known| known.kind == track.kind)
                .is_none_or(|known| known.codec == track.codec)
        };
        tracks.iter().all(same)
    }

    /// Each kind of warning is logged once in the life of a stream.
    fn log_new(&self, warnings: &[Warning]) {
        if warnings.is_empty() {
            return;
        }
        let mut logged = lock(&self.logged);
        for warning in warnings {
            if !logged.contains(&warning.code()) {
                logged.push(warning.code());
                let channel = lock(&self.described).channel.clone();
                tracing::warn!(
                    channel = channel.as_ref().map(ChannelName::as_str),
                    port = self.port,
                    "{warning}"
                );
            }
        }
    }

    /// An ingest asked again for this stream.
    pub(crate) fn describe_again(&self, name: Option<String>, tracks: Vec<TrackDescription>) {
        let mut described = lock(&self.described);
        if name.is_some() {
            described.name = name;
        }
        described.tracks = tracks.into();
        drop(described);
        self.allocations.fetch_add(1, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// Another title.
    pub(crate) fn rename(&self, name: Option<String>) {
        lock(&self.described).name = name;
    }

    /// Silence, or sound again.
    pub(crate) fn mute(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Tells the inlet to end; the first reason stands.
    pub(crate) fn end(&self, reason: CloseReason) {
        lock(&self.ending).get_or_insert(reason);
        self.wake.notify_one();
    }

    pub(crate) fn ending(&self) -> Option<CloseReason> {
        lock(&self.ending).clone()
    }

    pub(crate) fn snapshot(&self) -> StreamSnapshot {
        let described = lock(&self.described).clone();
        let report = lock(&self.report).clone();
        let muted = self.muted.load(Ordering::Relaxed);
        StreamSnapshot {
            id: self.id,
            port: self.port,
            channel: described.channel.map(String::from),
            name: described.name,
            since: self.since,
            state: report.state,
            permanent: self.permanent,
            tracks: report.tracks,
            layers: report.layers,
            viewers: self.viewers.load(Ordering::Relaxed),
            viewer_delays: self.delays.snapshot(),
            uplink: report.uplink,
            unplayable: self.unplayable.snapshot(),
            muted,
            sound: self.sound.level(Instant::now()).filter(|_| !muted),
            warnings: report.warnings,
            refused: report.refused,
        }
    }
}

/// All live streams.
#[derive(Debug)]
pub(crate) struct Streams {
    by_id: DashMap<StreamId, Arc<LiveStream>>,
    next_id: AtomicU64,
    changes: watch::Sender<u64>,
}

impl Default for Streams {
    fn default() -> Self {
        Self { by_id: DashMap::new(), next_id: AtomicU64::new(1), changes: watch::Sender::new(0) }
    }
}

impl Streams {
    pub(crate) fn next_id(&self) -> StreamId {
        StreamId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn insert(&self, stream: Arc<LiveStream>) {
        self.by_id.insert(stream.id, stream);
        self.changed();
    }

    pub(crate) fn remove(&self, id: StreamId) {
        self.by_id.remove(&id);
        self.changed();
    }

    pub(crate) fn get(&self, id: StreamId) -> Option<Arc<LiveStream>> {
        self.by_id.get(&id).map(|entry| Arc::clone(&entry))
    }

    pub(crate) fn by_port(&self, port: u16) -> Option<Arc<LiveStream>> {
        self.find(|stream| stream.port == port)
    }

    /// The stream of a channel; one that is ending leaves its name to the next.
    pub(crate) fn by_channel(&self, channel: &str) -> Option<Arc<LiveStream>> {
        let named = |stream: &LiveStream| stream.channel().is_some_and(|name| name.as_str() == channel);
        self.find(|stream| named(stream) && stream.ending().is_none())
    }

    /// In the order in which they began.
    pub(crate) fn all(&self) -> Vec<Arc<LiveStream>> {
        let mut all: Vec<_> = self.by_id.iter().map(|entry| Arc::clone(&entry)).collect();
        all.sort_unstable_by_key(|stream| stream.id);
        all
    }

    /// Something worth reading again.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|generation| *generation += 1);
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    fn find(&self, wanted: impl Fn(&LiveStream) -> bool) -> Option<Arc<LiveStream>> {
        self.by_id.iter().find(|entry| wanted(entry)).map(|entry| Arc::clone(&entry))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere leaves whole values behind: each critical section only copies or replaces.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
