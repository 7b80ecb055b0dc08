//! What all sessions of a server have in common, and the ways through it that several sessions race on.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use heliograph_relay::{AllocateError, Allocator, ChannelName, StreamRequest};
use tokio::{net::UdpSocket, sync::mpsc, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    SessionSnapshot,
    channels::{Channels, Generation, SessionHandle},
    doorkeeper::{AddressGroup, Doorkeeper},
    ports::MediaPorts,
    sockets,
};
use crate::{
    auth::{Authoriser, EndReason},
    ftl::{FtlSettings, control::Code},
};

pub(super) struct Shared {
    pub(super) settings: FtlSettings,
    pub(super) authoriser: Arc<dyn Authoriser>,
    pub(super) allocator: Arc<dyn Allocator>,
    pub(super) stop: CancellationToken,
    /// Sessions; a server that shuts down waits for them.
    pub(super) sessions: TaskTracker,
    /// Events on their way to the authoriser.
    pub(super) events: TaskTracker,
    ports: Mutex<MediaPorts>,
    channels: Mutex<Channels<RelayLink, Handle>>,
    doorkeeper: Mutex<Doorkeeper>,
}

/// The way to the relay of one channel.
#[derive(Clone, Debug)]
pub(super) struct RelayLink {
    pub(super) port: u16,
    pub(super) socket: Arc<UdpSocket>,
}

/// What others can do with a running session.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) remote: SocketAddr,
    pub(super) heard: Heard,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) snapshot: Arc<Mutex<Option<SessionSnapshot>>>,
    /// Cancelled when the session sends no more media.
    pub(super) stopped: CancellationToken,
}

/// The last time a session's UDP was heard, readable from other tasks.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    base: Instant,
    millis: Arc<AtomicU64>,
}

impl Heard {
    pub(super) fn new(now: Instant) -> Self {
        Self { base: now, millis: Arc::default() }
    }

    pub(super) fn set(&self, at: Instant) {
        let millis = at.saturating_duration_since(self.base).as_millis();
        self.millis.store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn get(&self) -> Instant {
        self.base + Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }
}

impl SessionHandle for Handle {
    fn address(&self) -> IpAddr {
        self.remote.ip().to_canonical()
    }

    fn last_heard(&self) -> Instant {
        self.heard.get()
    }
}

/// A command to a session from outside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) reason: EndReason,
    pub(super) code: Code,
    pub(super) words: &'static str,
}

impl Shared {
    pub(super) fn new(
        settings: FtlSettings,
        authoriser: Arc<dyn Authoriser>,
        allocator: Arc<dyn Allocator>,
    ) -> Self {
        Self {
            ports: Mutex::new(MediaPorts::new(settings.media_ports.clone(), settings.port_rest)),
            channels: Mutex::new(Channels::new(settings.takeover, settings.takeover_silence)),
            doorkeeper: Mutex::new(Doorkeeper::new(
                settings.unauthenticated_per_address,
                settings.unauthenticated_total,
            )),
            settings,
            authoriser,
            allocator,
            stop: CancellationToken::new(),
            sessions: TaskTracker::new(),
            events: TaskTracker::new(),
        }
    }

    pub(super) fn ports(&self) -> MutexGuard<'_, MediaPorts> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn channels(&self) -> MutexGuard<'_, Channels<RelayLink, Handle>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn doorkeeper(&self) -> MutexGuard<'_, Doorkeeper> {
        self.doorkeeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place among the strangers of an address, while it is held.
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let group = AddressGroup::from(ip);
        self.doorkeeper().enter(group).then(|| Place { shared: Arc::clone(self), group })
    }

    /// Asks the relay for the channel's port. A port that is there already is confirmed, and its socket kept, so that
    /// the relay sees the same sender as before.
    pub(super) async fn link(
        &self,
        request: StreamRequest,
        present: Option<RelayLink>,
    ) -> Result<RelayLink, AllocateError> {
        let allocation = timeout(RELAY_DEADLINE, self.allocator.allocate(request))
            .await
            .map_err(|_| AllocateError::Unreachable(format!("no answer in {RELAY_DEADLINE:?}")))??;
        if let Some(present) = present.filter(|present| present.port == allocation.port) {
            return Ok(present);
        }
        let socket = sockets::connect_relay(self.settings.relay_addr, allocation.port)
            .map_err(|error| AllocateError::Unreachable(error.to_string()))?;
        Ok(RelayLink { port: allocation.port, socket: Arc::new(socket) })
    }

    /// Waits for the grace time, then gives the channel's port back unless a publisher returned.
    pub(super) async fn release_after_grace(&self, name: &ChannelName, generation: Generation) {
        tokio::select! {
            () = tokio::time::sleep(self.settings.grace) => {}
            () = self.stop.cancelled() => return, // shutdown gives everything back
        }
        let gate = self.channels().gate(name);
        let _gate = gate.lock().await;
        let link = self.channels().expire(name, generation);
        if let Some(link) = link {
            tracing::info!(channel = %name, relay_port = link.port, "no publisher returned; the channel ends");
            self.release(link.port).await;
            self.channels().forget(name);
        }
    }

    /// Gives a relay port back. Failing that, the relay will notice by itself that nothing comes.
    pub(super) async fn release(&self, port: u16) {
        match timeout(RELAY_DEADLINE, self.allocator.release(port)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(relay_port = port, %error, "cannot give a relay port back"),
            Err(_) => tracing::warn!(relay_port = port, "cannot give a relay port back: no answer"),
        }
    }
}

/// One connection's place among the strangers of its address.
pub(super) struct Place {
    shared: Arc<Shared>,
    pub(super) group: AddressGroup,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.doorkeeper().leave(self.group);
    }
}

const RELAY_DEADLINE: Duration = Duration::from_secs(3);
