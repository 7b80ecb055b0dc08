//! What signaling needs from a relay, as a trait: its tests put a scripted relay in place of one with sockets,
//! threads and handshakes.

use std::{sync::Arc, time::Duration};

use heliograph_relay::{
    Allocator, BoxFuture, Capacity, CloseReason, FeedSink, PlayoutDelay, Relay, StreamId, StreamSnapshot,
    Uplink, ViewerEvent, ViewerHandle, WatchError, WatchRequest,
};
use tokio::sync::watch;

/// A relay.
pub(crate) trait Backend: Send + Sync + 'static {
    fn streams(&self) -> Vec<StreamSnapshot>;
    fn stream_by_port(&self, port: u16) -> Option<StreamSnapshot>;
    fn stream_by_channel(&self, channel: &str) -> Option<StreamSnapshot>;
    /// Bumped whenever a stream appears, changes its state or ends.
    fn changes(&self) -> watch::Receiver<u64>;
    /// Hands all media to a reader from now on.
    fn add_reader(&self, reader: Arc<dyn FeedSink>);
    /// Time since 1970 on the clock of the sender reports to viewers.
    fn report_clock(&self) -> Duration;
    /// How late a stream's media is already when it gets here.
    fn uplink(&self, stream: StreamId) -> Option<Uplink>;
    /// What the machine can carry.
    fn capacity(&self) -> Capacity;
    fn allocator(&self) -> &dyn Allocator;
    /// Starts a viewer session with an offer of ours.
    fn watch_offer(&self, stream: StreamId, request: WatchRequest) -> Join<'_>;
    /// Starts a viewer session with the answer to an offer of theirs.
    fn watch_answer<'a>(&'a self, stream: StreamId, request: WatchRequest, offer: &'a str) -> Join<'a>;
}

/// A viewer session and our session description, once the relay has made both.
pub(crate) type Join<'a> = BoxFuture<'a, Result<(Box<dyn Viewer>, String), WatchError>>;

/// A viewer session in a relay. Dropping it ends it.
pub(crate) trait Viewer: Send {
    fn accept_answer(&mut self, sdp: &str) -> Result<(), WatchError>;
    /// Looks at a candidate's shape; it is never used (see `docs/messages.md`).
    fn remote_candidate(&mut self, candidate: &str) -> Result<(), WatchError>;
    /// The viewer restarts ICE under a new name; returns our side of the restart, as a fragment (RFC 8840).
    fn restart(&mut self, ufrag: &str) -> Result<String, WatchError>;
    /// A wish for the playout delay (`None`: what is usual); returns what holds from the next frame on, and the
    /// most that may be asked for.
    fn set_playout(&mut self, wish: Option<PlayoutDelay>) -> (PlayoutDelay, Duration);
    /// How late the viewer sees the stream, as its page says.
    fn report_delay(&mut self, delay: Duration);
    /// Which layer of the picture, by name; `None`: as the network permits.
    fn pick_layer(&mut self, rid: Option<&str>);
    fn close(&mut self, reason: CloseReason);
    /// The next thing that happened, `None` when nothing can any more. Safe to drop and ask again.
    fn next_event(&mut self) -> BoxFuture<'_, Option<ViewerEvent>>;
}

impl Backend for Relay {
    fn streams(&self) -> Vec<StreamSnapshot> {
        Relay::streams(self)
    }

    fn stream_by_port(&self, port: u16) -> Option<StreamSnapshot> {
        Relay::stream_by_port(self, port)
    }

    fn stream_by_channel(&self, channel: &str) -> Option<StreamSnapshot> {
        Relay::stream_by_channel(self, channel)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        Relay::changes(self)
    }

    fn add_reader(&self, reader: Arc<dyn FeedSink>) {
        self.sinks().add(reader);
    }

    fn report_clock(&self) -> Duration {
        Relay::report_clock(self)
    }

    fn uplink(&self, stream: StreamId) -> Option<Uplink> {
        Relay::uplink(self, stream)
    }

    fn capacity(&self) -> Capacity {
        Relay::capacity(self)
    }

    fn allocator(&self) -> &dyn Allocator {
        self
    }

    fn watch_offer(&self, stream: StreamId, request: WatchRequest) -> Join<'_> {
        Box::pin(async move {
            let (viewer, sdp) = Relay::watch_offer(self, stream, request).await?;
            Ok((Box::new(viewer) as Box<dyn Viewer>, sdp))
        })
    }

    fn watch_answer<'a>(&'a self, stream: StreamId, request: WatchRequest, offer: &'a str) -> Join<'a> {
        Box::pin(async move {
            let (viewer, sdp) = Relay::watch_answer(self, stream, request, offer).await?;
            Ok((Box::new(viewer) as Box<dyn Viewer>, sdp))
        })
    }
}

impl Viewer for ViewerHandle {
    fn accept_answer(&mut self, sdp: &str) -> Result<(), WatchError> {
        ViewerHandle::accept_answer(self, sdp)
    }

    fn remote_candidate(&mut self, candidate: &str) -> Result<(), WatchError> {
        ViewerHandle::remote_candidate(self, candidate)
    }

    fn restart(&mut self, ufrag: &str) -> Result<String, WatchError> {
        ViewerHandle::ice_restart(self, ufrag)
    }

    fn set_playout(&mut self, wish: Option<PlayoutDelay>) -> (PlayoutDelay, Duration) {
        (ViewerHandle::set_playout(self, wish), self.playout_limit())
    }

    fn report_delay(&mut self, delay: Duration) {
        ViewerHandle::report_delay(self, delay);
    }

    fn pick_layer(&mut self, rid: Option<&str>) {
        ViewerHandle::pick_layer(self, rid);
    }

    fn close(&mut self, reason: CloseReason) {
        ViewerHandle::close(self, reason);
    }

    fn next_event(&mut self) -> BoxFuture<'_, Option<ViewerEvent>> {
        Box::pin(ViewerHandle::next_event(self))
    }
}
