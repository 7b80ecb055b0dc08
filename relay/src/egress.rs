//! The egress side as a whole: workers, handshake threads, the doors to both.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use rand::RngExt;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use crate::{
    CloseReason, FeedSink, RelayError, RelaySettings, ViewerId, WorkerSnapshot,
    audience::House,
    candidates::Candidates,
    discovery,
    handshake::Handshakes,
    sys::{
        cpu,
        socket::{BufferSizes, MediaSocket},
    },
    viewer::Patience,
    worker::{
        self, WallClock, WorkerSettings,
        queue::{Command, WorkerPort},
    },
};

/// More handshake threads than this never had work to do: one makes about a thousand handshakes a second.
const MOST_HANDSHAKE_THREADS: usize = 2;

/// What the system granted to the egress sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantedSockets {
    /// Workers, one socket each.
    pub workers: usize,
    /// As many as there would be with enough ports.
    pub wanted_workers: usize,
    /// Send buffer of each, bytes; the smallest.
    pub send: usize,
    /// What was asked for.
    pub wanted_send: usize,
    /// Receive buffer of each, bytes; the smallest.
    pub receive: usize,
    /// What was asked for.
    pub wanted_receive: usize,
    /// The kernel cuts large sends into datagrams.
    pub gso: bool,
}

/// The egress side of a relay.
#[derive(Debug)]
pub(crate) struct Egress {
    pub(crate) workers: Vec<Arc<WorkerPort>>,
    pub(crate) granted: GrantedSockets,
    pub(crate) handshakes: Handshakes,
    pub(crate) house: Arc<House>,
    pub(crate) candidates: Arc<Candidates>,
    /// The clock of all sender reports.
    pub(crate) wall: WallClock,
    threads: Mutex<Vec<JoinHandle<()>>>,
    next_viewer: AtomicU64,
    _discovery: DropGuard,
}

impl Egress {
    /// Binds the first ports of the range, one per worker, and starts the threads. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the range is too small for the workers asked for, no port of it can be bound, or the system is out of
    /// threads.
    pub(crate) fn start(settings: &RelaySettings) -> Result<Self, RelayError> {
        let count = worker::worker_count(settings.workers);
        let buffers =
            BufferSizes { receive: settings.viewer_receive_buffer, send: settings.viewer_send_buffer };
        let sockets = bind(settings, count, buffers)?;
        let sizes: Vec<_> = sockets.iter().map(MediaSocket::buffers).collect();
        let granted = GrantedSockets {
            workers: sockets.len(),
            wanted_workers: count,
            // The kernel counts twice what was asked for: half is for its own bookkeeping (socket(7)).
            send: sizes.iter().map(|size| size.send / 2).min().unwrap_or(0),
            wanted_send: buffers.send,
            receive: sizes.iter().map(|size| size.receive / 2).min().unwrap_or(0),
            wanted_receive: buffers.receive,
            gso: sockets.iter().all(MediaSocket::has_gso),
        };
        let count = sockets.len();
        let wall = WallClock::start();
        let cpus = if settings.pin_workers { cpu::allowed_cpus().unwrap_or_default() } else { Vec::new() };
        let patience = Patience {
            answer: settings.answer_timeout,
            connect: settings.connect_timeout,
            silence: settings.silence_timeout,
            silence_after_alert: settings.silence_after_alert,
        };
        let mut workers = Vec::with_capacity(count);
        let mut threads = Vec::with_capacity(count);
        for (index, socket) in sockets.into_iter().enumerate() {
            let granted = socket.buffers();
            let gso = socket.has_gso();
            info!(worker = index, address = %socket.local(), gso, receive_buffer = granted.receive,
                send_buffer = granted.send, "egress worker");
            let settings = WorkerSettings {
                ring: settings.ring,
                patience,
                pin: if cpus.is_empty() { None } else { Some(cpus[index % cpus.len()]) },
            };
            let (port, thread) =
                worker::start(index as u16, socket, settings, wall).map_err(RelayError::Thread)?;
            workers.push(port);
            threads.push(thread);
        }
        let handshake_threads =
            NonZeroUsize::new(count.min(MOST_HANDSHAKE_THREADS)).unwrap_or(NonZeroUsize::MIN);
        let handshakes =
            Handshakes::start(handshake_threads, settings.connect_timeout).map_err(RelayError::Thread)?;
        let runtime = tokio::runtime::Handle::current();
        let candidates = Arc::new(Candidates::new(settings.media_addr, settings.announced.clone()));
        let discovery = CancellationToken::new();
        runtime.spawn({
            let candidates = Arc::clone(&candidates);
            async move { candidates.warm_up().await }
        });
        if let Some(server) = settings.stun_server.clone() {
            let task = discover(server, workers.clone());
            let stop = discovery.clone();
            runtime.spawn(async move { stop.run_until_cancelled(task).await });
        }
        Ok(Self {
            workers,
            granted,
            handshakes,
            house: House::new(settings.max_viewers, settings.max_pending_per_address, runtime),
            candidates,
            wall,
            threads: Mutex::new(threads),
            next_viewer: AtomicU64::new(1),
            _discovery: discovery.drop_guard(),
        })
    }

    /// The workers as readers of all streams. Add them before the first stream begins.
    pub(crate) fn sinks(&self) -> impl Iterator<Item = Arc<dyn FeedSink>> {
        self.workers.iter().map(|worker| Arc::clone(worker) as Arc<dyn FeedSink>)
    }

    /// Figures of all workers.
    pub(crate) fn snapshots(&self) -> Vec<WorkerSnapshot> {
        self.workers.iter().map(|worker| worker.snapshot()).collect()
    }

    /// The worker that has the fewest sessions, of those that can carry one more.
    pub(crate) fn least_loaded(&self) -> Option<&Arc<WorkerPort>> {
        self.workers
            .iter()
            .filter(|worker| worker.has_room())
            .min_by_key(|worker| worker.sessions.load(Ordering::Relaxed))
    }

    pub(crate) fn next_viewer(&self) -> ViewerId {
        ViewerId(self.next_viewer.fetch_add(1, Ordering::Relaxed))
    }

    /// Ends all sessions and the threads, and waits for those until `deadline`.
    pub(crate) async fn shutdown(&self, deadline: Instant) {
        for worker in &self.workers {
            worker.send(Command::Shutdown(CloseReason::ServerShutdown));
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        });
        if tokio::time::timeout_at(deadline.into(), ended).await.is_err() {
            warn!("egress workers did not end in time");
        }
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.send(Command::Shutdown(CloseReason::ServerShutdown));
        }
    }
}

/// One socket per worker on the first ports of the range; a port that another program holds is skipped. Fewer
/// sockets than `count` when the ports do not suffice and nobody insisted on a number of workers.
fn bind(
    settings: &RelaySettings,
    count: usize,
    buffers: BufferSizes,
) -> Result<Vec<MediaSocket>, RelayError> {
    let mut sockets = Vec::with_capacity(count);
    let mut refusal = None;
    let ephemeral = settings.ports == (0..=0);
    let mut ports = settings.ports.clone();
    while sockets.len() < count {
        // The range 0-0 is for tests: any port.
        let Some(port) = (if ephemeral { Some(0) } else { ports.next() }) else { break };
        match MediaSocket::bind(settings.media_addr, port, buffers) {
            Ok(socket) => sockets.push(socket),
            Err(error) => {
                warn!(port, %error, "skipping a port of the viewer range");
                refusal.get_or_insert((port, error));
                if ephemeral {
                    break;
                }
            }
        }
    }
    if sockets.len() == count || (settings.workers.is_none() && !sockets.is_empty()) {
        return Ok(sockets);
    }
    match refusal {
        Some((port, source)) => {
            let ip = settings.media_addr.unwrap_or(IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED));
            Err(RelayError::Bind { address: SocketAddr::new(ip, port), source })
        }
        None => Err(RelayError::Setting {
            key: "ports",
            problem: format!("{count} egress workers need as many UDP ports"),
        }),
    }
}

/// Asks a STUN server for the public address of each worker's socket, again and again.
async fn discover(server: String, workers: Vec<Arc<WorkerPort>>) {
    let mut told = vec![None; workers.len()];
    let mut answered = false;
    for round in 0_u32.. {
        match discovery::resolve(&server).await {
            Ok(addresses) => {
                for worker in &workers {
                    let reachable = |address: &&SocketAddr| address.is_ipv4() || worker.ipv6;
                    if let Some(&server) = addresses.iter().find(reachable) {
                        let transaction = rand::rng().random();
                        worker.send(Command::Discover { server, transaction });
                    }
                }
            }
            Err(error) => warn!(server, %error, "cannot resolve the STUN server"),
        }
        tokio::time::sleep(discovery::pause(answered, round)).await;
        for (worker, told) in workers.iter().zip(&mut told) {
            let address = worker.discovered();
            if address.is_some() && *told != address {
                info!(worker = worker.index, public = ?address, "public address discovered");
                *told = address;
                answered = true;
            }
        }
    }
}
