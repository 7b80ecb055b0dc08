//! A relay that does what a test tells it: no media, no threads, no sockets.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use heliograph_media::{Codec, MediaKind};
use heliograph_relay::{
    AllocateError, Allocation, Allocator, BoxFuture, Capacity, CloseReason, FeedSink, PlayoutDelay,
    PlayoutSettings, StreamId, StreamRequest, StreamSnapshot, StreamState, TrackSnapshot, Uplink,
    ViewerEvent, Warning, WatchError, WatchRequest,
};
use tokio::sync::{mpsc, watch};

use crate::backend::{Backend, Join, Viewer};

/// The offer that the relay makes to its first viewer; each further one has the next number.
pub(super) fn offer(number: usize) -> String {
    format!("v=0\r\no=- {number} 1 IN IP4 0.0.0.0\r\ns=offer\r\n")
}

#[derive(Default)]
pub(super) struct FakeRelay {
    streams: Mutex<Vec<StreamSnapshot>>,
    changes: watch::Sender<u64>,
    /// How long an offer or an answer takes.
    pub(super) join_delay: Mutex<Duration>,
    /// What happens to the next viewers instead of joining, last first.
    pub(super) refusals: Mutex<Vec<WatchError>>,
    pub(super) capacity: Mutex<Capacity>,
    pub(super) allocation: Mutex<Option<Result<u16, AllocateError>>>,
    pub(super) requests: Mutex<Vec<StreamRequest>>,
    pub(super) released: Mutex<Vec<u16>>,
    pub(super) watched: Mutex<Vec<WatchRequest>>,
    pub(super) readers: Mutex<Vec<Arc<dyn FeedSink>>>,
    viewers: Mutex<Vec<Arc<FakeViewer>>>,
    next_stream: AtomicU32,
}

/// What a test sees of a viewer session.
pub(super) struct FakeViewer {
    pub(super) events: mpsc::UnboundedSender<ViewerEvent>,
    pub(super) answers: Mutex<Vec<String>>,
    pub(super) candidates: Mutex<Vec<String>>,
    pub(super) restarts: Mutex<Vec<String>>,
    pub(super) playout: Mutex<Vec<Option<PlayoutDelay>>>,
    pub(super) delays: Mutex<Vec<Duration>>,
    pub(super) layers: Mutex<Vec<Option<String>>>,
    pub(super) closed: Mutex<Option<CloseReason>>,
    pub(super) gone: AtomicBool,
}

struct Handle {
    shared: Arc<FakeViewer>,
    events: mpsc::UnboundedReceiver<ViewerEvent>,
}

impl FakeRelay {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// A stream appears.
    pub(super) fn publish(&self, port: u16, channel: Option<&str>, state: StreamState) -> StreamId {
        let id = StreamId(u64::from(self.next_stream.fetch_add(1, Ordering::Relaxed)) + 1);
        self.streams.lock().unwrap().push(snapshot(id, port, channel, state));
        self.changed();
        id
    }

    pub(super) fn set_state(&self, port: u16, state: StreamState) {
        for stream in self.streams.lock().unwrap().iter_mut().filter(|stream| stream.port == port) {
            stream.state = state;
        }
        self.changed();
    }

    /// How late a stream is already when it gets here.
    pub(super) fn set_uplink(&self, port: u16, uplink: Uplink) {
        for stream in self.streams.lock().unwrap().iter_mut().filter(|stream| stream.port == port) {
            stream.uplink = Some(uplink);
        }
    }

    /// A stream ends; its viewers are told.
    pub(super) fn end(&self, port: u16, reason: &CloseReason) {
        self.streams.lock().unwrap().retain(|stream| stream.port != port);
        for viewer in self.viewers.lock().unwrap().iter() {
            let _ = viewer.events.send(ViewerEvent::Ended(reason.clone()));
        }
        self.changed();
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|version| *version += 1);
    }

    /// The session of the viewer that joined at this place, waited for.
    pub(super) async fn viewer(&self, place: usize) -> Arc<FakeViewer> {
        for _ in 0..500 {
            if let Some(viewer) = self.viewers.lock().unwrap().get(place) {
                return Arc::clone(viewer);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("viewer {place} never joined");
    }

    pub(super) fn viewer_count(&self) -> usize {
        self.viewers.lock().unwrap().len()
    }

    async fn join(
        &self,
        stream: StreamId,
        request: WatchRequest,
    ) -> Result<(Box<dyn Viewer>, String), WatchError> {
        let delay = *self.join_delay.lock().unwrap();
        tokio::time::sleep(delay).await;
        if let Some(error) = self.refusals.lock().unwrap().pop() {
            return Err(error);
        }
        if !self.streams.lock().unwrap().iter().any(|known| known.id == stream) {
            return Err(WatchError::UnknownStream);
        }
        let (sender, events) = mpsc::unbounded_channel();
        let shared = Arc::new(FakeViewer {
            events: sender,
            answers: Mutex::default(),
            candidates: Mutex::default(),
            restarts: Mutex::default(),
            playout: Mutex::default(),
            delays: Mutex::default(),
            layers: Mutex::default(),
            closed: Mutex::default(),
            gone: AtomicBool::new(false),
        });
        self.watched.lock().unwrap().push(request);
        let mut viewers = self.viewers.lock().unwrap();
        viewers.push(Arc::clone(&shared));
        Ok((Box::new(Handle { shared, events }), offer(viewers.len())))
    }
}

impl Backend for FakeRelay {
    fn streams(&self) -> Vec<StreamSnapshot> {
        self.streams.lock().unwrap().clone()
    }

    fn stream_by_port(&self, port: u16) -> Option<StreamSnapshot> {
        self.streams().into_iter().find(|stream| stream.port == port)
    }

    fn stream_by_channel(&self, channel: &str) -> Option<StreamSnapshot> {
        self.streams().into_iter().find(|stream| stream.channel.as_deref() == Some(channel))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn add_reader(&self, reader: Arc<dyn FeedSink>) {
        self.readers.lock().unwrap().push(reader);
    }

    fn report_clock(&self) -> Duration {
        Duration::from_micros(1_700_000_000_123_456)
    }

    fn uplink(&self, stream: StreamId) -> Option<Uplink> {
        self.streams.lock().unwrap().iter().find(|known| known.id == stream)?.uplink
    }

    fn capacity(&self) -> Capacity {
        self.capacity.lock().unwrap().clone()
    }

    fn allocator(&self) -> &dyn Allocator {
        self
    }

    fn watch_offer(&self, stream: StreamId, request: WatchRequest) -> Join<'_> {
        Box::pin(self.join(stream, request))
    }

    fn watch_answer<'a>(&'a self, stream: StreamId, request: WatchRequest, offer: &'a str) -> Join<'a> {
        Box::pin(async move {
            if !offer.starts_with("v=0") {
                return Err(WatchError::BadSdp("no version line".to_owned()));
            }
            let (viewer, sdp) = self.join(stream, request).await?;
            Ok((viewer, sdp.replace("offer", "answer")))
        })
    }
}

impl Allocator for FakeRelay {
    fn allocate(&self, request: StreamRequest) -> BoxFuture<'_, Result<Allocation, AllocateError>> {
        let wished = request.port;
        self.requests.lock().unwrap().push(request);
        let answer = self.allocation.lock().unwrap().clone().unwrap_or(Ok(wished.unwrap_or(24_000)));
        Box::pin(async move { answer.map(|port| Allocation { port }) })
    }

    fn release(&self, port: u16) -> BoxFuture<'_, Result<bool, AllocateError>> {
        self.released.lock().unwrap().push(port);
        Box::pin(async { Ok(false) })
    }
}

impl Viewer for Handle {
    fn accept_answer(&mut self, sdp: &str) -> Result<(), WatchError> {
        if !sdp.starts_with("v=0") {
            return Err(WatchError::BadSdp("no version line".to_owned()));
        }
        self.shared.answers.lock().unwrap().push(sdp.to_owned());
        Ok(())
    }

    fn remote_candidate(&mut self, candidate: &str) -> Result<(), WatchError> {
        if !candidate.starts_with("candidate:") {
            return Err(WatchError::BadSdp("no candidate".to_owned()));
        }
        self.shared.candidates.lock().unwrap().push(candidate.to_owned());
        Ok(())
    }

    fn restart(&mut self, ufrag: &str) -> Result<String, WatchError> {
        self.shared.restarts.lock().unwrap().push(ufrag.to_owned());
        Ok("a=ice-ufrag:ours\r\n".to_owned())
    }

    fn report_delay(&mut self, delay: Duration) {
        self.shared.delays.lock().unwrap().push(delay);
    }

    fn set_playout(&mut self, wish: Option<PlayoutDelay>) -> (PlayoutDelay, Duration) {
        self.shared.playout.lock().unwrap().push(wish);
        let settings = PlayoutSettings::default();
        (settings.grant(wish), settings.limit)
    }

    fn pick_layer(&mut self, rid: Option<&str>) {
        self.shared.layers.lock().unwrap().push(rid.map(str::to_owned));
    }

    fn close(&mut self, reason: CloseReason) {
        *self.shared.closed.lock().unwrap() = Some(reason);
    }

    fn next_event(&mut self) -> BoxFuture<'_, Option<ViewerEvent>> {
        Box::pin(self.events.recv())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.gone.store(true, Ordering::SeqCst);
    }
}

fn snapshot(id: StreamId, port: u16, channel: Option<&str>, state: StreamState) -> StreamSnapshot {
    StreamSnapshot {
        id,
        port,
        channel: channel.map(str::to_owned),
        name: channel.map(|name| format!("{name} on air")),
        since: UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        state,
        permanent: false,
        tracks: vec![track(MediaKind::Audio, Codec::Opus), track(MediaKind::Video, Codec::H264)],
        layers: Vec::new(),
        viewers: 2,
        muted: false,
        viewer_delays: heliograph_relay::ViewerDelays::default(),
        uplink: None,
        unplayable: heliograph_relay::Unplayable::default(),
        sound: None,
        refused: Default::default(),
        warnings: vec![Warning::BFrames],
    }
}

fn track(kind: MediaKind, codec: Codec) -> TrackSnapshot {
    let video = kind == MediaKind::Video;
    TrackSnapshot {
        kind,
        rid: None,
        codec,
        payload_type: if video { 96 } else { 97 },
        profile_level_id: video.then_some([0x4d, 0x40, 0x1f]),
        width: video.then_some(1280),
        height: video.then_some(720),
        fps: video.then_some(f64::NAN),
        bitrate_bps: if video { 2_500_000 } else { 160_000 },
        packets: 10,
        lost: 1,
        keyframe_interval_ms: None,
        drift_ppm: None,
        malformed: 0,
    }
}
