//! The face of the relay.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use heliograph_media::Ssrc;
use tokio::{runtime::Handle, sync::watch, time};
use tracing::info;

use crate::{
    AllocateError, Allocation, Allocator, AudienceSnapshot, BoxFuture, Capacity, ChannelName, CloseReason,
    GrantedSockets, RelaySettings, Sinks, SoundLevel, StreamId, StreamRequest, StreamSnapshot,
    TrackDescription, Uplink, WorkerSnapshot,
    allocation::checked_tracks,
    capacity::{self, watch::Board},
    egress::Egress,
    inlet::{self, Inlet, InletSettings},
    kernel_drops,
    pool::PortPool,
    stream::{LiveStream, Streams},
};

/// A running relay. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Relay {
    pub(crate) inner: Arc<Inner>,
}

/// What the parts of a relay share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: RelaySettings,
    pub(crate) streams: Streams,
    /// Everyone who reads media.
    pub(crate) sinks: Sinks,
    pub(crate) pool: PortPool,
    runtime: Handle,
    /// Held while a stream appears or goes, so that nobody is given a port that is just closing. `true` once
    /// the relay shuts down.
    allocating: Mutex<bool>,
    pub(crate) egress: Arc<Egress>,
    /// What the machine can carry.
    pub(crate) board: Board,
}

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// A socket could not be opened.
    #[error("cannot bind {address}: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A setting makes no sense.
    #[error("{key}: {problem}")]
    Setting {
        /// Its name.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// Started outside of a tokio runtime.
    #[error("a relay needs a tokio runtime")]
    NoRuntime,
}

/// Longest title kept, in characters.
const MAX_NAME: usize = 200;

impl Relay {
    /// Starts a relay; needs a tokio runtime around it.
    ///
    /// # Errors
    /// When a setting makes no sense or a socket cannot be opened.
    pub fn start(settings: RelaySettings) -> Result<Self, RelayError> {
        let runtime = Handle::try_current().map_err(|_| RelayError::NoRuntime)?;
        check(&settings)?;
        let pool = PortPool::new(
            settings.rtp_addr,
            settings.rtp_ports.clone(),
            settings.port_rest,
            settings.receive_buffer,
        );
        let egress = Arc::new(Egress::start(&settings)?);
        let sinks = Sinks::default();
        for worker in egress.sinks() {
            sinks.add(worker);
        }
        let inner = Arc::new(Inner {
            settings,
            streams: Streams::default(),
            sinks,
            egress,
            board: Board::default(),
            pool,
            runtime,
            allocating: Mutex::new(false),
        });
        if let Some(port) = inner.settings.permanent_port {
            inner.start_permanent(port)?;
        }
        inner.runtime.spawn(kernel_drops::watch(Arc::downgrade(&inner)));
        inner.runtime.spawn(capacity::watch::watch(Arc::downgrade(&inner)));
        Ok(Self { inner })
    }

    /// All streams, in the order in which they were allocated.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamSnapshot> {
        self.inner.streams.all().iter().map(|stream| stream.snapshot()).collect()
    }

    /// The stream whose RTP comes in at `port`.
    #[must_use]
    pub fn stream_by_port(&self, port: u16) -> Option<StreamSnapshot> {
        self.inner.streams.by_port(port).map(|stream| stream.snapshot())
    }

    /// The stream of a channel.
    #[must_use]
    pub fn stream_by_channel(&self, channel: &str) -> Option<StreamSnapshot> {
        self.inner.streams.by_channel(channel).map(|stream| stream.snapshot())
    }

    /// Gives the stream of a channel another title, or none. `false` when the channel is off the air.
    #[expect(clippy::must_use_candidate, reason = "done either way")]
    pub fn rename(&self, channel: &str, name: Option<&str>) -> bool {
        let Some(stream) = self.inner.streams.by_channel(channel) else { return false };
        stream.rename(name.map(|name| name.chars().take(MAX_NAME).collect()));
        self.inner.streams.changed();
        true
    }

    /// Viewers of the channel get silence instead of the sound, or the sound again. `false` when it is off the air.
    #[expect(clippy::must_use_candidate, reason = "done either way")]
    pub fn mute(&self, channel: &str, muted: bool) -> bool {
        let Some(stream) = self.inner.streams.by_channel(channel) else { return false };
        stream.mute(muted);
        self.inner.streams.changed();
        true
    }

    /// How late a stream's media is already when it gets here, when that is known.
    #[must_use]
    pub fn uplink(&self, stream: StreamId) -> Option<Uplink> {
        self.inner.streams.get(stream)?.uplink()
    }

    /// Says how loud a stream is. Whoever measures it says so more often than once in three seconds.
    pub fn note_sound(&self, stream: StreamId, level: SoundLevel) {
        if let Some(stream) = self.inner.streams.get(stream) {
            stream.sound.note(Instant::now(), level);
        }
    }

    /// Changes whenever a stream appears, goes away, comes back or ends, or its coding or its warnings change,
    /// so that one can read [`Relay::streams`] again.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.streams.changes()
    }

    /// Everyone who reads media of this relay; others may join.
    #[must_use]
    pub fn sinks(&self) -> &Sinks {
        &self.inner.sinks
    }

    /// Figures of the egress workers, in the order of their ports.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerSnapshot> {
        self.inner.egress.snapshots()
    }

    /// What the system granted to the egress sockets.
    #[must_use]
    pub fn sockets(&self) -> GrantedSockets {
        self.inner.egress.granted
    }

    /// Figures of the viewer sessions of all workers.
    #[must_use]
    pub fn audience(&self) -> AudienceSnapshot {
        self.inner.egress.house.snapshot()
    }

    /// What this machine can carry and what limits it first, as of the last second.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        self.inner.board.read().unwrap_or_default()
    }

    /// Time since 1970 on the clock of the sender reports (RFC 3550 section 6.4.1) that viewers get: what a viewer
    /// compares its own clock with. Steps of the system clock after the start are not in it.
    #[must_use]
    pub fn report_clock(&self) -> Duration {
        self.inner.egress.wall.unix(Instant::now())
    }

    pub(crate) fn settings(&self) -> &RelaySettings {
        &self.inner.settings
    }

    /// What a join needs; `None` for a stream that is gone.
    pub(crate) fn egress_and_stream(&self, stream: StreamId) -> Option<(Arc<Egress>, Arc<LiveStream>)> {
        Some((Arc::clone(&self.inner.egress), self.inner.streams.get(stream)?))
    }

    /// Gives a stream a port, or says again which one it has; see [`Allocator::allocate`].
    ///
    /// # Errors
    /// See [`AllocateError`].
    pub fn allocate_now(&self, request: StreamRequest) -> Result<Allocation, AllocateError> {
        self.inner.allocate(request)
    }

    /// Ends the stream at `port`; `false` when there is none, or when it is the permanent one.
    #[expect(clippy::must_use_candidate, reason = "done either way")]
    pub fn release(&self, port: u16, reason: CloseReason) -> bool {
        self.inner.release(port, reason)
    }

    /// Ends every stream and every viewer session and waits until all are gone, at most for `deadline`.
    pub async fn shutdown(&self, deadline: Duration) {
        *self.inner.allocating() = true;
        let mut changes = self.changes();
        for stream in self.inner.streams.all() {
            stream.end(CloseReason::ServerShutdown);
        }
        let all_gone = async {
            while !self.inner.streams.is_empty() {
                if changes.changed().await.is_err() {
                    break;
                }
            }
        };
        let end = Instant::now() + deadline;
        let _ = time::timeout_at(end.into(), all_gone).await;
        self.inner.egress.shutdown(end).await;
    }
}

impl Allocator for Relay {
    fn allocate(&self, request: StreamRequest) -> BoxFuture<'_, Result<Allocation, AllocateError>> {
        let allocation = self.allocate_now(request);
        Box::pin(async move { allocation })
    }

    fn release(&self, port: u16) -> BoxFuture<'_, Result<bool, AllocateError>> {
        let released = self.inner.release(port, CloseReason::StreamEnded);
        Box::pin(async move { Ok(released) })
    }
}

impl Inner {
    fn allocate(self: &Arc<Self>, request: StreamRequest) -> Result<Allocation, AllocateError> {
        let tracks = checked_tracks(&request)?;
        let name = request.name.map(|name| name.chars().take(MAX_NAME).collect::<String>());
        let shutting_down = self.allocating();
        if *shutting_down {
            return Err(AllocateError::Unreachable("the relay is shutting down".to_owned()));
        }
        if let Some(live) =
            request.channel.as_ref().and_then(|channel| self.streams.by_channel(channel.as_str()))
        {
            if live.can_carry(&tracks) {
                if request.port.is_some_and(|port| port != live.port) {
                    return Err(AllocateError::PortTaken);
                }
                live.describe_again(name, tracks);
                info!(stream = %live.id, port = live.port, "stream allocated again");
                return Ok(Allocation { port: live.port });
            }
            // What viewers agreed on for one codec is no good for another: they have to ask again.
            info!(stream = %live.id, port = live.port, "the channel comes back in another codec");
            live.end(CloseReason::StreamEnded);
        }
        if request.port.is_some_and(|port| self.streams.by_port(port).is_some()) {
            return Err(AllocateError::PortTaken);
        }
        let (port, socket) = self.pool.take(Instant::now(), request.port)?;
        self.start(port, false, request.channel, name, tracks, socket).map_err(|error| {
            AllocateError::Unreachable(format!("the relay cannot use its socket: {error}"))
        })?;
        Ok(Allocation { port })
    }

    fn start_permanent(self: &Arc<Self>, port: u16) -> Result<(), RelayError> {
        let address = SocketAddr::new(self.settings.rtp_addr, port);
        let bind = |source| RelayError::Bind { address, source };
        let socket = self.pool.bind(port).map_err(bind)?;
        self.start(port, true, None, None, TrackDescription::defaults(), socket).map_err(bind)
    }

    fn start(
        self: &Arc<Self>,
        port: u16,
        permanent: bool,
        channel: Option<ChannelName>,
        name: Option<String>,
        tracks: Vec<TrackDescription>,
        socket: std::net::UdpSocket,
    ) -> io::Result<()> {
        let settings = InletSettings {
            idle_timeout: (!permanent).then_some(self.settings.idle_timeout),
            ring: self.settings.ring,
            ssrc: Ssrc(rand::random()),
        };
        let socket = {
            let _runtime = self.runtime.enter();
            tokio::net::UdpSocket::from_std(socket)?
        };
        let channel_label = channel.as_ref().map(|channel| channel.as_str().to_owned());
        let stream =
            Arc::new(LiveStream::new(self.streams.next_id(), port, permanent, channel, name, tracks));
        info!(stream = %stream.id, port, channel = channel_label, permanent, "stream allocated");
        let now = Instant::now();
        let inlet = Inlet::new(now, settings, &stream.tracks());
        // Whoever finds the stream on the list finds its tracks, too.
        stream.set_report(inlet.report(now));
        self.streams.insert(Arc::clone(&stream));
        self.runtime.spawn(inlet::run(Arc::clone(self), stream, socket, inlet));
        Ok(())
    }

    fn release(&self, port: u16, reason: CloseReason) -> bool {
        let _guard = self.allocating();
        let Some(stream) = self.streams.by_port(port).filter(|stream| !stream.permanent) else {
            return false;
        };
        // Off the list at once: an ingest that comes back gets another stream, not the rest of this one.
        self.streams.remove(stream.id);
        stream.end(reason);
        true
    }

    /// Takes a stream off the list for want of media, unless it was allocated again meanwhile.
    pub(crate) fn close_idle(&self, stream: &LiveStream, allocations: u64) -> bool {
        let _guard = self.allocating();
        let idle = stream.allocations.load(Ordering::Acquire) == allocations;
        if idle {
            self.streams.remove(stream.id);
        }
        idle
    }

    fn allocating(&self) -> MutexGuard<'_, bool> {
        self.allocating.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(settings: &RelaySettings) -> Result<(), RelayError> {
    let setting = |key, problem: &str| Err(RelayError::Setting { key, problem: problem.to_owned() });
    if settings.rtp_ports.is_empty() || *settings.rtp_ports.start() == 0 {
        return setting("rtp_ports", "not a range of ports");
    }
    // 0-0 takes any ports: for tests, which run beside each other.
    if settings.ports.is_empty() || (*settings.ports.start() == 0 && *settings.ports.end() != 0) {
        return setting("ports", "not a range of ports");
    }
    if settings.permanent_port.is_some_and(|port| settings.rtp_ports.contains(&port)) {
        return setting("permanent_port", "lies inside rtp_ports");
    }
    if settings.permanent_port == Some(0) {
        return setting("permanent_port", "must not be 0");
    }
    Ok(())
}
