//! Everything that reaches a worker from outside its thread: media batches and commands, in one queue with one
//! bell.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender},
    },
};

use heliograph_edge::ice::IceCredentials;

use super::stats::{Published, WorkerSnapshot};
use crate::{
    CloseReason, FeedBatch, FeedItem, FeedSink, PlayoutDelay, StreamId, Track, ViewerId,
    candidates::Reach,
    handshake::{HandshakeLink, Outcome},
    stream::LiveStream,
    sys::poll::Waker,
    viewer::{Viewer, player::PlayerMedia},
};

/// Packets that may wait for a worker. At this point it is seconds behind; what comes is dropped (and counted)
/// until it has caught up.
const MOST_PACKETS: usize = 1 << 15;
/// A worker that serves no viewer of a stream is not woken for its packets until so many wait.
const UNWATCHED_PACKETS: usize = 1 << 11;

/// What a worker is told.
pub(crate) enum Command {
    Media(Arc<FeedBatch>),
    /// A new session.
    Join {
        slot: u32,
        viewer: Box<Viewer>,
        stream: Arc<LiveStream>,
    },
    /// The viewer's description.
    Answer {
        slot: u32,
        id: ViewerId,
        remote_ufrag: String,
        media: Box<PlayerMedia>,
        handshake: HandshakeLink,
    },
    /// New ICE credentials on both sides.
    Restart {
        slot: u32,
        id: ViewerId,
        local: IceCredentials,
        remote_ufrag: String,
    },
    /// News from the handshake threads.
    Handshake {
        slot: u32,
        id: ViewerId,
        datagrams: Vec<Vec<u8>>,
        outcome: Option<Outcome>,
    },
    /// The viewer's browser may hold pictures back so long.
    Playout {
        slot: u32,
        id: ViewerId,
        playout: PlayoutDelay,
    },
    /// The viewer wants this layer of the picture; `None`: as its network permits.
    Layer {
        slot: u32,
        id: ViewerId,
        layer: Option<Track>,
    },
    Close {
        slot: u32,
        id: ViewerId,
        reason: CloseReason,
    },
    /// Ask this STUN server for the address of the worker's socket.
    Discover {
        server: SocketAddr,
        transaction: [u8; 12],
    },
    /// End all sessions and the thread.
    Shutdown(CloseReason),
}

/// A worker as others see it.
#[derive(Debug)]
pub(crate) struct WorkerPort {
    pub(crate) index: u16,
    /// The socket's bound address.
    pub(crate) local: SocketAddr,
    /// Whether the socket takes IPv6 too, or only.
    pub(crate) ipv6: bool,
    pub(crate) wildcard: bool,
    pub(crate) gso: bool,
    /// Sessions given to this worker, connected or not.
    pub(crate) sessions: AtomicU32,
    /// Sessions that it may have before new ones go elsewhere.
    seats: AtomicU32,
    pub(crate) published: Published,
    queue: Sender<Command>,
    waker: Waker,
    /// One bit per stream, by its number modulo 64: set while the worker has viewers of such a stream.
    watched: AtomicU64,
    waiting_packets: AtomicUsize,
    lost_batches: AtomicU64,
    slots: Mutex<Slots>,
    discovered: Mutex<Option<SocketAddr>>,
}

/// Which places in the worker's table are free. The table itself belongs to the worker's thread.
#[derive(Debug, Default)]
struct Slots {
    free: Vec<u32>,
    next: u32,
}

/// What [`WorkerPort::new`] is told about the socket.
pub(crate) struct SocketFacts {
    pub(crate) local: SocketAddr,
    pub(crate) ipv6: bool,
    pub(crate) wildcard: bool,
    pub(crate) gso: bool,
}

impl WorkerPort {
    pub(crate) fn new(index: u16, socket: &SocketFacts, queue: Sender<Command>, waker: Waker) -> Self {
        Self {
            index,
            local: socket.local,
            ipv6: socket.ipv6,
            wildcard: socket.wildcard,
            gso: socket.gso,
            sessions: AtomicU32::new(0),
            seats: AtomicU32::new(u32::MAX),
            published: Published::default(),
            queue,
            waker,
            watched: AtomicU64::new(0),
            waiting_packets: AtomicUsize::new(0),
            lost_batches: AtomicU64::new(0),
            slots: Mutex::default(),
            discovered: Mutex::default(),
        }
    }

    /// What decides where it can be reached.
    pub(crate) fn reach(&self) -> Reach {
        let (port, discovered) = (self.local.port(), self.discovered());
        Reach { port, ipv6: self.ipv6, wildcard: self.wildcard, discovered }
    }

    /// Tells the worker something. Lost when its thread has ended, and then nobody waits for the effect.
    pub(crate) fn send(&self, command: Command) {
        if self.queue.send(command).is_ok() {
            self.waker.wake();
        }
    }

    /// How many sessions it can carry; `None`: as many as come.
    pub(crate) fn set_seats(&self, seats: Option<u32>) {
        self.seats.store(seats.unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Whether it can carry one more session.
    pub(crate) fn has_room(&self) -> bool {
        self.sessions.load(Ordering::Relaxed) < self.seats.load(Ordering::Relaxed)
    }

    /// Takes a place in the worker's table.
    pub(crate) fn take_slot(&self) -> u32 {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        let mut slots = lock(&self.slots);
        slots.free.pop().unwrap_or_else(|| {
            slots.next += 1;
            slots.next - 1
        })
    }

    /// Gives a place back. Only the worker may do so, once nothing points there any more; or whoever took it and
    /// never told the worker.
    pub(crate) fn free_slot(&self, slot: u32) {
        lock(&self.slots).free.push(slot);
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    /// The public address that a STUN server saw.
    pub(crate) fn discovered(&self) -> Option<SocketAddr> {
        *lock(&self.discovered)
    }

    pub(crate) fn set_discovered(&self, address: SocketAddr) {
        *lock(&self.discovered) = Some(address);
    }

    pub(crate) fn snapshot(&self) -> WorkerSnapshot {
        let mut snapshot =
            self.published.snapshot(self.local.port(), self.gso, self.sessions.load(Ordering::Relaxed));
        snapshot.batches_lost = self.lost_batches.load(Ordering::Relaxed);
        snapshot
    }

    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// The worker's side of the media bound: a batch was taken from the queue.
    pub(super) fn taken(&self, batch: &FeedBatch) {
        self.waiting_packets.fetch_sub(packets(batch), Ordering::Relaxed);
    }

    /// The worker's side of the bell: which streams are worth waking up for.
    pub(super) fn watch(&self, streams: impl Iterator<Item = StreamId>) {
        self.watched.store(streams.fold(0, |bits, stream| bits | bit(stream)), Ordering::Relaxed);
    }
}

impl FeedSink for WorkerPort {
    fn deliver(&self, batch: &Arc<FeedBatch>) {
        let count = packets(batch);
        let waiting = self.waiting_packets.fetch_add(count, Ordering::Relaxed) + count;
        let mut batch = Arc::clone(batch);
        if waiting > MOST_PACKETS && count > 0 {
            self.waiting_packets.fetch_sub(count, Ordering::Relaxed);
            self.lost_batches.fetch_add(1, Ordering::Relaxed);
            // Packets may be missed; the rest of the story may not.
            let items: Vec<_> = batch
                .items
                .iter()
                .filter(|item| !matches!(item, FeedItem::Packets { .. }))
                .cloned()
                .collect();
            if items.is_empty() {
                return;
            }
            batch = Arc::new(FeedBatch { stream: batch.stream, items });
        }
        let watched = self.watched.load(Ordering::Relaxed) & bit(batch.stream) != 0;
        if self.queue.send(Command::Media(batch)).is_ok() && (watched || waiting > UNWATCHED_PACKETS) {
            self.waker.wake();
        }
    }
}

/// The worker's end of the queue.
pub(crate) type Commands = Receiver<Command>;

fn bit(stream: StreamId) -> u64 {
    1 << (stream.0 % 64)
}

fn packets(batch: &FeedBatch) -> usize {
    let count = |item: &FeedItem| match item {
        FeedItem::Packets { packets, .. } => packets.len(),
        _ => 0,
    };
    batch.items.iter().map(count).sum()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere leaves whole values behind: each critical section only copies or replaces.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::{sync::mpsc, time::Instant};

    use bytes::Bytes;
    use heliograph_media::SeqNo;

    use super::*;
    use crate::{Packet, StartParts, Track};

    fn port() -> (WorkerPort, Commands) {
        let (queue, commands) = mpsc::channel();
        let facts =
            SocketFacts { local: "127.0.0.1:1".parse().unwrap(), ipv6: false, wildcard: false, gso: true };
        (WorkerPort::new(0, &facts, queue, Waker::new().unwrap()), commands)
    }

    fn batch(count: usize) -> Arc<FeedBatch> {
        let packet = Arc::new(Packet {
            seq: SeqNo(1),
            timestamp: 0,
            marker: false,
            frame_start: true,
            keyframe_start: false,
            parts: StartParts::NONE,
            arrival: Instant::now(),
            payload: Bytes::new(),
        });
        let packets = FeedItem::Packets { track: Track::Video, packets: vec![packet; count] };
        Arc::new(FeedBatch { stream: StreamId(5), items: vec![packets, FeedItem::Away] })
    }

    #[test]
    fn an_unwatched_stream_does_not_wake() {
        let (port, commands) = port();
        port.deliver(&batch(10));
        assert!(!port.waker.is_pending());
        port.watch([StreamId(6)].into_iter());
        port.deliver(&batch(10));
        assert!(!port.waker.is_pending());
        port.watch([StreamId(5)].into_iter());
        port.deliver(&batch(10));
        assert!(port.waker.is_pending());
        assert_eq!(commands.try_iter().count(), 3);
    }

    #[test]
    fn the_queue_is_bounded_but_keeps_the_story() {
        let (port, commands) = port();
        for _ in 0..MOST_PACKETS / 1000 + 10 {
            port.deliver(&batch(1000));
        }
        assert!(port.waker.is_pending(), "woken in the end");
        let (mut taken, mut away) = (0, 0);
        for command in commands.try_iter() {
            let Command::Media(batch) = command else { panic!() };
            port.taken(&batch);
            taken += packets(&batch);
            away += batch.items.iter().filter(|item| matches!(item, FeedItem::Away)).count();
        }
        assert!(taken <= MOST_PACKETS);
        assert_eq!(away, MOST_PACKETS / 1000 + 10);
        assert_eq!(port.waiting_packets.load(Ordering::Relaxed), 0);
        assert_eq!(port.snapshot().batches_lost, 10);
    }

    #[test]
    fn slots_are_used_again() {
        let (port, _commands) = port();
        assert_eq!((port.take_slot(), port.take_slot()), (0, 1));
        port.free_slot(0);
        assert_eq!((port.take_slot(), port.take_slot()), (0, 2));
        assert_eq!(port.sessions.load(Ordering::Relaxed), 3);
    }
}
