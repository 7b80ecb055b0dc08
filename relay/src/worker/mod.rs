//! An egress worker: one thread, one UDP socket, its own copy of each ring, its viewers for life.
//!
//! Nothing here is shared on the hot path: media comes as refcounted packets through the worker's queue, viewers
//! live in a table of the worker's own, sealed packets go into one buffer and out in few system calls. A round of
//! the loop takes what has come, gives every viewer a turn, and looks at the receive side at least every two
//! milliseconds also while a burst goes out.

mod onset;
pub(crate) mod outbox;
pub(crate) mod queue;
mod receive;
pub(crate) mod stats;
pub(crate) mod stream;
mod wheel;

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use heliograph_media::NtpTime;
use rand::{SeedableRng, rngs::StdRng};
use tracing::{debug, info, warn};

use self::{
    outbox::{Lane, Outbox, Target},
    queue::{Command, Commands, SocketFacts, WorkerPort},
    stats::Counters,
    stream::WorkerStream,
    wheel::{Entry, TimerKind, Wheel},
};
use crate::{
    CloseReason, FeedBatch, RingLimits, StreamId, Track, ViewerId,
    handshake::Outcome,
    stream::LiveStream,
    sys::{
        cpu, poll::Poller, prefetch::prefetch, recv::BatchReceiver, send::BatchSender, socket::MediaSocket,
    },
    viewer::{
        Patience, Stage, Viewer,
        last_flight::SentFlight,
        player::{Player, PlayerMedia, Scratch, Turn},
    },
};

/// The receive side is emptied at least this often, also inside a burst.
const SERVE_EVERY: Duration = Duration::from_millis(2);
/// Turns between two looks at the clock.
const SLICE_TURNS: usize = 64;
/// Viewers' slow timers: reports, consent, limits.
const SLOW_EVERY: Duration = Duration::from_secs(1);
/// Streams that ended a moment ago: a session may still be on its way to them.
const ENDED_REMEMBERED: usize = 64;
/// Whatever a viewer waits for until it is connected goes so often: single packets of which one lost costs 50 to 150 ms. They
/// go to who knows the session's password, at an address that it can forge, as with every ICE agent (RFC 8445 section 19.5.1):
/// twice as much then, for as long as one session may take to connect.
const HANDSHAKE_COPIES: usize = 2;

/// A keyframe that came so long ago is no good start for a joiner.
const OLD_KEYFRAME: Duration = Duration::from_secs(3);

/// What a worker needs to know.
#[derive(Clone, Debug)]
pub(crate) struct WorkerSettings {
    pub(crate) ring: RingLimits,
    pub(crate) patience: Patience,
    /// Processor to stay on.
    pub(crate) pin: Option<usize>,
}

/// The relay's clock as NTP time, the same for all reports of a process: steps of the system clock after the
/// start must not swing lip sync.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock {
    at: Instant,
    unix: Duration,
}

impl WallClock {
    pub(crate) fn start() -> Self {
        Self { at: Instant::now(), unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    /// Time since 1970.
    pub(crate) fn unix(&self, now: Instant) -> Duration {
        self.unix + now.saturating_duration_since(self.at)
    }

    pub(crate) fn ntp(&self, now: Instant) -> NtpTime {
        NtpTime::from_unix(self.unix(now))
    }
}

/// Starts a worker on `socket`.
///
/// # Errors
/// When the process is out of descriptors or threads.
pub(crate) fn start(
    index: u16,
    socket: MediaSocket,
    settings: WorkerSettings,
    wall: WallClock,
) -> io::Result<(Arc<WorkerPort>, JoinHandle<()>)> {
    let (queue, commands) = mpsc::channel();
    let waker = crate::sys::poll::Waker::new()?;
    let poller = Poller::new(&socket, &waker)?;
    let facts = SocketFacts {
        local: socket.local(),
        ipv6: socket.is_ipv6(),
        wildcard: socket.is_wildcard(),
        gso: socket.has_gso(),
    };
    let port = Arc::new(WorkerPort::new(index, &facts, queue, waker));
    let worker = Worker::new(Arc::clone(&port), socket, settings, wall);
    let thread = thread::Builder::new()
        .name(format!("egress-{index}"))
        .spawn(move || worker.run(&poller, &commands))?;
    Ok((port, thread))
}

/// Sends what lies in the outbox and is bound to this worker's socket.
struct Wire {
    socket: MediaSocket,
    sender: BatchSender,
    outbox: Outbox,
    counters: Counters,
    /// Slots whose runs the kernel refused in the last flush.
    refused: Vec<u32>,
}

impl Wire {
    fn lane(&mut self, target: Target) -> Lane<'_> {
        Lane { target, outbox: &mut self.outbox, counters: &mut self.counters }
    }

    fn flush(&mut self) {
        if !self.outbox.is_empty() {
            self.outbox.flush(&self.socket, &mut self.sender, &mut self.counters, &mut self.refused);
        }
    }
}

struct Worker {
    port: Arc<WorkerPort>,
    settings: WorkerSettings,
    wall: WallClock,
    wire: Wire,
    receiver: Option<BatchReceiver>,
    streams: HashMap<StreamId, WorkerStream>,
    viewers: Vec<Option<Box<Viewer>>>,
    addresses: HashMap<SocketAddr, u32>,
    wheel: Wheel,
    /// Streams whose viewers have turns left, in order.
    rounds: VecDeque<StreamId>,
    ended: VecDeque<(StreamId, CloseReason)>,
    rng: StdRng,
    due: Vec<Entry>,
    scratch: Scratch,
    discovery: Option<(SocketAddr, [u8; 12])>,
    served: Instant,
    cpu_read: Instant,
    stopping: bool,
}

impl Worker {
    fn new(port: Arc<WorkerPort>, socket: MediaSocket, settings: WorkerSettings, wall: WallClock) -> Self {
        let now = Instant::now();
        Self {
            port,
            settings,
            wall,
            wire: Wire {
                socket,
                sender: BatchSender::new(),
                outbox: Outbox::new(),
                counters: Counters::default(),
                refused: Vec::new(),
            },
            receiver: Some(BatchReceiver::new()),
            streams: HashMap::new(),
            viewers: Vec::new(),
            addresses: HashMap::new(),
            wheel: Wheel::new(now),
            rounds: VecDeque::new(),
            ended: VecDeque::new(),
            rng: StdRng::from_rng(&mut rand::rng()),
            due: Vec::new(),
            scratch: Scratch::default(),
            discovery: None,
            served: now,
            cpu_read: now,
            stopping: false,
        }
    }

    fn run(mut self, poller: &Poller, commands: &Commands) {
        if let Some(cpu) = self.settings.pin
            && let Err(error) = cpu::pin_to(cpu)
        {
            warn!(worker = self.port.index, cpu, %error, "cannot pin the egress thread");
        }
        while !self.stopping {
            let timeout = self.wheel.next_due().map(|due| due.saturating_duration_since(Instant::now()));
            let ready = match poller.wait(timeout) {
                Ok(ready) => ready,
                Err(error) => {
                    // A bad descriptor: nothing can be served any more, and spinning helps nobody.
                    tracing::error!(worker = self.port.index, %error, "egress worker cannot wait for its socket");
                    break;
                }
            };
            if ready.woken {
                self.port.waker().take();
            }
            self.serve(commands, ready.socket);
            self.fan_out(commands);
            self.flush();
            self.publish();
        }
        self.end_all(&CloseReason::ServerShutdown);
        self.flush();
        self.publish();
    }

    /// Everything but media: what has come in, what is due, what others want.
    fn serve(&mut self, commands: &Commands, socket: bool) {
        let now = Instant::now();
        self.served = now;
        if socket {
            self.receive(now, commands);
        }
        self.take_commands(now, commands);
        self.fire_timers(now);
        // Here too: under overload a fan-out may not end for long, and that is when figures matter.
        self.publish();
    }

    fn take_commands(&mut self, now: Instant, commands: &Commands) {
        while let Ok(command) = commands.try_recv() {
            match command {
                Command::Media(batch) => self.on_media(now, &batch),
                Command::Join { slot, viewer, stream } => self.on_join(now, slot, viewer, stream),
                Command::Answer { slot, id, remote_ufrag, media, handshake } => {
                    self.on_answer(now, slot, id, &remote_ufrag, *media, handshake);
                }
                Command::Restart { slot, id, local, remote_ufrag } => {
                    if let Some(viewer) = self.viewer(slot, id) {
                        viewer.ice.restart(&local, &remote_ufrag);
                    }
                }
                Command::Handshake { slot, id, datagrams, outcome } => {
                    self.on_handshake(now, slot, id, &datagrams, outcome);
                }
                Command::Playout { slot, id, playout } => {
                    if let Some(viewer) = self.viewer(slot, id) {
                        viewer.set_playout(playout);
                    }
                }
                Command::Layer { slot, id, layer } => self.on_layer(now, slot, id, layer),
                Command::Close { slot, id, reason } => {
                    if self.viewer(slot, id).is_some() {
                        self.remove(slot, reason);
                    }
                }
                Command::Discover { server, transaction } => self.discover(server, transaction),
                Command::Shutdown(reason) => {
                    self.end_all(&reason);
                    self.stopping = true;
                }
            }
        }
    }

    fn on_media(&mut self, now: Instant, batch: &FeedBatch) {
        self.port.taken(batch);
        let (limits, wall) = (self.settings.ring, self.wall);
        let stream = self.streams.entry(batch.stream).or_insert_with(|| WorkerStream::new(limits, wall));
        match stream.take(batch, now) {
            Some(reason) => self.end_stream(batch.stream, &reason),
            None => {
                if stream.wants_round() {
                    self.rounds.push_back(batch.stream);
                }
            }
        }
    }

    /// Gives every viewer of every stream with something new its turns, streams taking turns too.
    fn fan_out(&mut self, commands: &Commands) {
        while let Some(id) = self.rounds.pop_front() {
            if self.slice(id) {
                self.rounds.push_back(id);
            }
            if self.wire.outbox.is_filled() {
                self.flush();
            }
            if self.served.elapsed() >= SERVE_EVERY {
                self.flush();
                self.serve(commands, true);
            }
        }
    }

    /// A few turns of one stream. True when there are more.
    fn slice(&mut self, id: StreamId) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else { return false };
        let now = Instant::now();
        for _ in 0..SLICE_TURNS {
            let Some(slot) = stream.next_turn() else { return false };
            let mut more = false;
            prefetch_turns(&self.viewers, stream);
            if let Some(Some(viewer)) = self.viewers.get_mut(slot as usize)
                && let Some((player, target)) = playing(viewer, slot, &self.port)
            {
                match player.turn(now, &stream.view(), &mut self.wire.lane(target)) {
                    Turn::Done => {}
                    Turn::More => more = true,
                    // The same viewer goes on after the flush.
                    Turn::Full => return true,
                }
                if let Some(layer) = player.take_keyframe_wish(now)
                    && let Some(live) = &stream.live
                {
                    live.request_keyframe(layer);
                }
                if let Some(at) = player.next_fast(now) {
                    arm_fast(&mut self.wheel, viewer, slot, at);
                }
            }
            stream.turn_done(more);
            if self.wire.outbox.is_filled() {
                return true;
            }
        }
        true
    }

    fn flush(&mut self) {
        self.wire.flush();
        while let Some(slot) = self.wire.refused.pop() {
            if let Some(Some(viewer)) = self.viewers.get_mut(slot as usize) {
                viewer.runs = false;
            }
        }
    }

    fn fire_timers(&mut self, now: Instant) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.advance(now, &mut due);
        for entry in due.drain(..) {
            if self.wire.outbox.is_filled() {
                self.flush();
            }
            match entry.kind {
                TimerKind::Fast => self.on_fast(now, entry),
                TimerKind::Slow => self.on_slow(now, entry),
            }
        }
        self.due = due;
    }

    fn on_fast(&mut self, now: Instant, entry: Entry) {
        let Some(Some(viewer)) = self.viewers.get_mut(entry.slot as usize) else { return };
        if viewer.fast_tick != entry.tick {
            return;
        }
        viewer.fast_tick = 0;
        let Some(stream) = self.streams.get(&viewer.stream) else { return };
        let Some((player, target)) = playing(viewer, entry.slot, &self.port) else { return };
        let lane = &mut self.wire.lane(target);
        player.on_fast(now, &stream.view(), lane);
        if player.wants_reports(now, &stream.view()) {
            player.send_reports(now, self.wall.ntp(now), &stream.view(), lane, &mut self.scratch);
        }
        if let Some(at) = player.next_fast(now) {
            arm_fast(&mut self.wheel, viewer, entry.slot, at);
        }
    }

    fn on_slow(&mut self, now: Instant, entry: Entry) {
        let Some(Some(viewer)) = self.viewers.get_mut(entry.slot as usize) else { return };
        if viewer.slow_tick != entry.tick {
            return;
        }
        if let Some(reason) = viewer.overdue(now, &self.settings.patience) {
            self.remove(entry.slot, reason);
            return;
        }
        viewer.slow_tick = self.wheel.add(entry.slot, TimerKind::Slow, now + SLOW_EVERY);
        if let Some(stream) = self.streams.get(&viewer.stream)
            && let Some((player, target)) = playing(viewer, entry.slot, &self.port)
        {
            player.on_slow(now, &stream.view());
            if !player.wants_reports(now, &stream.view()) {
                return;
            }
            let lane = &mut self.wire.lane(target);
            player.send_reports(now, self.wall.ntp(now), &stream.view(), lane, &mut self.scratch);
        }
    }

    fn on_join(&mut self, now: Instant, slot: u32, mut viewer: Box<Viewer>, live: Arc<LiveStream>) {
        let place = slot as usize;
        if self.viewers.len() <= place {
            self.viewers.resize_with(place + 1, || None);
        }
        viewer.slow_tick = self.wheel.add(slot, TimerKind::Slow, now + SLOW_EVERY);
        let id = viewer.stream;
        self.viewers[place] = Some(viewer);
        if let Some((_, reason)) = self.ended.iter().find(|(ended, _)| *ended == id) {
            let reason = reason.clone();
            self.remove(slot, reason);
            return;
        }
        let (limits, wall) = (self.settings.ring, self.wall);
        let stream = self.streams.entry(id).or_insert_with(|| WorkerStream::new(limits, wall));
        stream.sessions += 1;
        stream.live = Some(live);
        if stream.sessions == 1 {
            self.watch();
        }
    }

    fn on_answer(
        &mut self,
        now: Instant,
        slot: u32,
        id: ViewerId,
        remote_ufrag: &str,
        media: PlayerMedia,
        handshake: crate::handshake::HandshakeLink,
    ) {
        let Some(viewer) = self.viewer(slot, id) else { return };
        viewer.ice.set_remote(remote_ufrag);
        for datagram in viewer.on_answer(now, media) {
            handshake.datagram(&datagram);
        }
        viewer.handshake = Some(handshake);
    }

    fn on_layer(&mut self, now: Instant, slot: u32, id: ViewerId, layer: Option<Track>) {
        let Some(viewer) = self.viewer(slot, id) else { return };
        viewer.pick_layer(layer);
        let stream = viewer.stream;
        // Asks for a keyframe with the next turn; the old layer may have stopped.
        if let Some(stream) = self.streams.get_mut(&stream)
            && let Some(Some(viewer)) = self.viewers.get_mut(slot as usize)
            && let Some((player, _)) = playing(viewer, slot, &self.port)
        {
            player.on_slow(now, &stream.view());
            if let (Some(layer), Some(live)) = (player.take_keyframe_wish(now), &stream.live) {
                live.request_keyframe(layer);
            }
        }
    }

    fn on_handshake(
        &mut self,
        now: Instant,
        slot: u32,
        id: ViewerId,
        datagrams: &[Vec<u8>],
        outcome: Option<Outcome>,
    ) {
        let Some(viewer) = self.viewer(slot, id) else { return };
        if let Some(target) = target(viewer, slot, true) {
            // A kilobyte more, and nobody waits for a timer. Without our last flight the viewer can open nothing of what
            // follows it at once.
            for datagram in std::iter::repeat_n(datagrams, HANDSHAKE_COPIES).flatten() {
                // One datagram each: handshake flights are not worth a run, and some paths refuse those.
                self.wire.outbox.push(&target, datagram);
            }
        }
        match outcome {
            None => {}
            Some(Outcome::Connected { keys, round_trip }) => {
                if let Some(viewer) = self.viewer(slot, id) {
                    viewer.handshake = None;
                    viewer.last_flight = Some(SentFlight::new(now, datagrams, round_trip));
                }
                self.on_keys(now, slot, &keys);
            }
            Some(Outcome::Failed(reason)) => self.remove(slot, reason),
        }
    }

    fn on_keys(&mut self, now: Instant, slot: u32, keys: &heliograph_edge::srtp::SrtpKeys) {
        let Some(Some(viewer)) = self.viewers.get_mut(slot as usize) else { return };
        let stage = std::mem::replace(&mut viewer.stage, Stage::Signaling { early: Vec::new() });
        let Stage::Handshaking { media } = stage else {
            viewer.stage = stage;
            return;
        };
        let mut player = match Player::new(*media, keys, &mut self.rng) {
            Ok(player) => Box::new(player),
            Err(error) => {
                self.remove(slot, CloseReason::Internal(error.to_string()));
                return;
            }
        };
        viewer.since = now;
        viewer.waiting = None;
        viewer.seat.watch();
        viewer.mailbox.connected();
        debug!(viewer = %viewer.id, stream = %viewer.stream, profile = ?keys.profile(), "viewer connected");
        if let Some(trip) = viewer.trip {
            player.set_way(trip);
        }
        if let Some(stream) = self.streams.get_mut(&viewer.stream) {
            player.start(now, &stream.view());
            stream.add_player(slot);
            // Publishers over WebRTC send a keyframe when asked and hardly ever otherwise: whoever joins long after the
            // last one would have to catch up with all that followed.
            let view = stream.view();
            let ring = view.ring(player.layer());
            let newest = ring.newest_keyframe().and_then(|seq| ring.get(seq));
            let old =
                newest.is_none_or(|packet| now.saturating_duration_since(packet.arrival) > OLD_KEYFRAME);
            if old && let Some(live) = &stream.live {
                live.request_keyframe(player.layer());
            }
        }
        viewer.stage = Stage::Playing(player);
        self.first_burst(now, slot);
    }

    /// Nothing of what was sent so far could be opened: it begins again.
    fn on_unheard(&mut self, now: Instant, slot: u32) {
        let Some(Some(viewer)) = self.viewers.get_mut(slot as usize) else { return };
        if let Some(stream) = self.streams.get(&viewer.stream)
            && let Some((player, _)) = playing(viewer, slot, &self.port)
        {
            player.start_again(now, &stream.view());
            self.first_burst(now, slot);
        }
    }

    fn first_burst(&mut self, now: Instant, slot: u32) {
        let Some(Some(viewer)) = self.viewers.get_mut(slot as usize) else { return };
        // It goes out with this tick.
        arm_fast(&mut self.wheel, viewer, slot, now);
        if let Some(stream) = self.streams.get(&viewer.stream)
            && let Some((player, target)) = playing(viewer, slot, &self.port)
        {
            player.on_fast(now, &stream.view(), &mut self.wire.lane(target));
        }
    }

    fn viewer(&mut self, slot: u32, id: ViewerId) -> Option<&mut Viewer> {
        self.viewers.get_mut(slot as usize)?.as_deref_mut().filter(|viewer| viewer.id == id)
    }

    fn end_stream(&mut self, id: StreamId, reason: &CloseReason) {
        if self.ended.len() == ENDED_REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back((id, reason.clone()));
        let slots: Vec<u32> = (0..self.viewers.len() as u32)
            .filter(|&slot| self.viewers[slot as usize].as_ref().is_some_and(|viewer| viewer.stream == id))
            .collect();
        for slot in slots {
            self.remove(slot, reason.clone());
        }
        self.streams.remove(&id);
        self.watch();
    }

    fn end_all(&mut self, reason: &CloseReason) {
        for slot in 0..self.viewers.len() as u32 {
            self.remove(slot, reason.clone());
        }
    }

    /// Ends a session: says goodbye, tells why, and lets go of everything that points there.
    fn remove(&mut self, slot: u32, reason: CloseReason) {
        let Some(mut viewer) = self.viewers.get_mut(slot as usize).and_then(Option::take) else { return };
        if self.wire.outbox.is_filled() {
            self.flush();
        }
        if let Some((player, target)) = playing(&mut viewer, slot, &self.port) {
            player.send_bye(&mut self.wire.lane(target), &mut self.scratch);
        }
        for address in &viewer.addresses {
            if self.addresses.get(address) == Some(&slot) {
                self.addresses.remove(address);
            }
        }
        let mut last = false;
        if let Some(stream) = self.streams.get_mut(&viewer.stream) {
            stream.remove_player(slot);
            stream.sessions = stream.sessions.saturating_sub(1);
            last = stream.sessions == 0;
        }
        info!(viewer = %viewer.id, stream = %viewer.stream, reason = reason.code(), "viewer session ended");
        viewer.seat.ending(&reason);
        let mailbox = Arc::clone(&viewer.mailbox);
        // Seats first, so that whoever reads of the end finds them free.
        drop(viewer);
        self.port.free_slot(slot);
        mailbox.ended(reason);
        if last {
            self.watch();
        }
    }

    fn watch(&self) {
        let watched = self.streams.iter().filter(|(_, stream)| stream.sessions > 0).map(|(&id, _)| id);
        self.port.watch(watched);
    }

    fn publish(&mut self) {
        let now = Instant::now();
        if now.saturating_duration_since(self.cpu_read) >= Duration::from_millis(100) {
            self.cpu_read = now;
            self.wire.counters.set_cpu(cpu::thread_time());
        }
        self.port.published.publish(&self.wire.counters);
    }
}

/// Where a viewer's packets go.
fn target(viewer: &Viewer, slot: u32, single: bool) -> Option<Target> {
    viewer.path.map(|path| Target { path, slot, runs: viewer.runs && !single })
}

/// A connected viewer's player and target.
fn playing<'v>(viewer: &'v mut Viewer, slot: u32, port: &WorkerPort) -> Option<(&'v mut Player, Target)> {
    let target = target(viewer, slot, !port.gso)?;
    match &mut viewer.stage {
        Stage::Playing(player) => Some((player, target)),
        _ => None,
    }
}

/// Brings what the next turns read into the cache: among hundreds of viewers it has been pushed out since their last ones.
fn prefetch_turns(viewers: &[Option<Box<Viewer>>], stream: &WorkerStream) {
    let viewer = |turns| viewers.get(stream.upcoming(turns)? as usize)?.as_deref();
    if let Some(Viewer { path, runs, stage, fast_tick, .. }) = viewer(2) {
        prefetch(path);
        prefetch(runs);
        prefetch(stage);
        prefetch(fast_tick);
    }
    // Where it is stands in what was asked for a turn ago.
    if let Some(Viewer { stage: Stage::Playing(player), .. }) = viewer(1) {
        prefetch(&**player);
    }
}

/// Makes the fast timer fire at `at` at the latest.
fn arm_fast(wheel: &mut Wheel, viewer: &mut Viewer, slot: u32, at: Instant) {
    if viewer.fast_tick != 0 && wheel.instant_of(viewer.fast_tick) <= at {
        return;
    }
    viewer.fast_tick = wheel.add(slot, TimerKind::Fast, at);
}

/// As many as asked for, else as the processors allow.
pub(crate) fn worker_count(wanted: Option<NonZeroUsize>) -> usize {
    wanted.unwrap_or_else(cpu::default_workers).get()
}
