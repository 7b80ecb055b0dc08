//! What is on the air, read from the relay once per change for everybody who waits for it, instead of once per
//! change and waiting viewer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, UNIX_EPOCH},
};

use bytes::Bytes;
use heliograph_media::MediaKind;
use heliograph_relay::{StreamId, StreamSnapshot, StreamState, TrackSnapshot, Warning};
use tokio::sync::watch;

use crate::{
    backend::Backend,
    messages::{
        ChannelState, Layer, LayerEntry, StateChange, StreamEntry, StreamsDocument, TrackEntry, TrackKind,
        Uplink, UplinkBasis, WarningEntry, milliseconds,
    },
};

/// A document of counts may be this old: it bounds what asking for it costs.
const DOCUMENT_AGE: Duration = Duration::from_secs(1);

/// The streams by port and by channel, and `/streams` as bytes.
pub(crate) struct Directory {
    backend: Arc<dyn Backend>,
    /// The receiver that tells which version of the relay's streams is the newest.
    version: watch::Receiver<u64>,
    listing: watch::Receiver<Arc<Listing>>,
    document: Mutex<Option<Document>>,
}

struct Document {
    version: u64,
    made: Instant,
    json: Bytes,
}

/// The streams at one moment.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    by_port: HashMap<u16, Arc<Brief>>,
    by_channel: HashMap<String, Arc<Brief>>,
}

/// What a waiting viewer has to know of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Brief {
    pub(crate) id: StreamId,
    pub(crate) port: u16,
    pub(crate) channel: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) state: ChannelState,
    pub(crate) layers: Vec<Layer>,
}

impl Directory {
    /// Starts reading the relay's changes. The task ends with the relay or with the last reader.
    pub(crate) fn start(backend: Arc<dyn Backend>) -> Self {
        let mut changes = backend.changes();
        let version = changes.clone();
        changes.mark_unchanged();
        let (sender, listing) = watch::channel(Arc::new(Listing::new(backend.streams())));
        let reader = Arc::downgrade(&backend);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return },
                    () = sender.closed() => return,
                }
                let Some(backend) = reader.upgrade() else { return };
                sender.send_replace(Arc::new(Listing::new(backend.streams())));
            }
        });
        Self { backend, version, listing, document: Mutex::new(None) }
    }

    /// Wakes at each change. Look at [`Backend`] once after subscribing, or a change in between is missed.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Listing>> {
        let mut listing = self.listing.clone();
        listing.mark_unchanged();
        listing
    }

    /// `/streams`, never older than the relay's newest change, its counts never older than a second.
    pub(crate) fn document(&self) -> Bytes {
        let version = *self.version.borrow();
        let mut document = self.document.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(document) = &*document
            && document.version == version
            && document.made.elapsed() < DOCUMENT_AGE
        {
            return document.json.clone();
        }
        let json = Bytes::from(streams_json(self.backend.streams()));
        *document = Some(Document { version, made: Instant::now(), json: json.clone() });
        json
    }
}

impl Listing {
    fn new(streams: Vec<StreamSnapshot>) -> Self {
        let mut listing = Self::default();
        for stream in streams {
            let brief = Arc::new(Brief::from(&stream));
            if let Some(channel) = stream.channel {
                listing.by_channel.insert(channel.to_string(), Arc::clone(&brief));
            }
            listing.by_port.insert(brief.port, brief);
        }
        listing
    }

    pub(crate) fn by_port(&self, port: u16) -> Option<&Arc<Brief>> {
        self.by_port.get(&port)
    }

    pub(crate) fn by_channel(&self, channel: &str) -> Option<&Arc<Brief>> {
        self.by_channel.get(channel)
    }
}

impl From<&StreamSnapshot> for Brief {
    fn from(stream: &StreamSnapshot) -> Self {
        Self {
            id: stream.id,
            port: stream.port,
            channel: stream.channel.as_ref().map(ToString::to_string),
            name: stream.name.clone(),
            state: state_of(stream.state),
            layers: stream.layers.iter().filter_map(layer).collect(),
        }
    }
}

impl Brief {
    /// The `state` event that tells of it.
    pub(crate) fn change(&self) -> StateChange {
        StateChange {
            state: self.state,
            channel: self.channel.clone(),
            port: Some(self.port),
            name: self.name.clone(),
            layers: self.layers.clone(),
        }
    }
}

fn state_of(state: StreamState) -> ChannelState {
    match state {
        StreamState::Waiting => ChannelState::Waiting,
        StreamState::Live => ChannelState::Live,
        StreamState::Away => ChannelState::Away,
    }
}

fn streams_json(mut streams: Vec<StreamSnapshot>) -> Vec<u8> {
    streams.sort_unstable_by_key(|stream| stream.port);
    let document = StreamsDocument { streams: streams.into_iter().map(entry).collect() };
    serde_json::to_vec(&document).expect("strings and finite numbers become JSON")
}

fn entry(stream: StreamSnapshot) -> StreamEntry {
    let mut tracks: Vec<TrackEntry> = stream.tracks.iter().map(track).collect();
    tracks.sort_by_key(|track| track.kind == TrackKind::Audio);
    StreamEntry {
        channel: stream.channel.map(|channel| channel.to_string()),
        name: stream.name,
        port: stream.port,
        since_ms: stream
            .since
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
        state: state_of(stream.state),
        viewers: stream.viewers,
        bitrate_bps: tracks.iter().map(|track| track.bitrate_bps).sum(),
        tracks,
        layers: stream.layers.iter().map(layer_entry).collect(),
        uplink: stream.uplink.map(uplink),
        warnings: stream.warnings.iter().map(warning).collect(),
    }
}

/// As viewers are told.
pub(crate) fn uplink(uplink: heliograph_relay::Uplink) -> Uplink {
    Uplink {
        delay_ms: milliseconds(uplink.delay),
        arrival_ms: milliseconds(uplink.on_arrival),
        basis: match uplink.basis {
            heliograph_relay::UplinkBasis::Capture => UplinkBasis::Capture,
            heliograph_relay::UplinkBasis::Network => UplinkBasis::Network,
        },
    }
}

fn layer(track: &TrackSnapshot) -> Option<Layer> {
    Some(Layer { rid: track.rid.clone()?, width: track.width?, height: track.height? })
}

fn layer_entry(track: &TrackSnapshot) -> LayerEntry {
    LayerEntry {
        rid: track.rid.clone().unwrap_or_default(),
        width: track.width,
        height: track.height,
        fps: track.fps.filter(|fps| fps.is_finite()),
        bitrate_bps: track.bitrate_bps,
    }
}

fn warning(warning: &Warning) -> WarningEntry {
    WarningEntry { code: warning.code().to_owned(), message: warning.to_string() }
}

fn track(track: &TrackSnapshot) -> TrackEntry {
    TrackEntry {
        kind: match track.kind {
            MediaKind::Video => TrackKind::Video,
            MediaKind::Audio => TrackKind::Audio,
        },
        codec: track.codec.word().to_owned(),
        profile: track
            .profile_level_id
            .map(|[profile, constraints, level]| format!("{profile:02x}{constraints:02x}{level:02x}")),
        width: track.width,
        height: track.height,
        fps: track.fps.filter(|fps| fps.is_finite()),
        keyframe_interval_ms: track.keyframe_interval_ms,
        bitrate_bps: track.bitrate_bps,
    }
}
