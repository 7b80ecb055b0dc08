//! One thread with many viewers: reads their sockets in rounds, keeps their timers, and says what it saw.
//!
//! It reads all sockets in rounds instead of asking the kernel which of them have something. Who sends to a socket that
//! somebody waits for, be it in epoll, has to tell him for each datagram: on loopback that is the server that is being
//! measured, and it was a fourteenth of its processor time. Viewers on a network cost it nothing of the kind. Arrival times
//! come from the kernel, so the rounds do not blur them. Only sockets that shake hands are waited for.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc as async_mpsc, oneshot};

use crate::{
    error::JoinError,
    histogram::Histogram,
    sys::{
        clock::{Mono, precise_timers, sleep_until, thread_cpu, wall_minus_mono},
        poll::Poller,
        recv::{BATCH, Receiver},
    },
    viewer::{News, Role, Viewer, ViewerReport},
    watched::{Phase, Tally, Watched},
};

/// Time from round to round when all is calm: at least this, ...
const ROUND: Duration = Duration::from_millis(2);
/// ... and so much for each viewer, of which looking into an empty socket takes a tenth.
const ROUND_OF_ONE: Duration = Duration::from_micros(3);
/// The same while viewers shake hands: each needs half a dozen rounds.
const BUSY_ROUND: Duration = Duration::from_micros(200);
/// Longest sleep without viewers.
const IDLE: Duration = Duration::from_millis(20);
/// Receive calls on one socket before the others get their turn; the next round finds what is left.
const CALLS: usize = 16;
/// Sockets read before those that shake hands are looked at again. A keyframe to everybody takes us tens of milliseconds to
/// read, which a handshake with its six datagrams would wait for several times, and the server would be blamed.
const GREET_EVERY: usize = 16;
/// How often the figures are shown to others.
const SHOW: Duration = Duration::from_millis(200);
/// A viewer that leaves reads so long what is still on the way to it.
pub(crate) const LINGER: Duration = Duration::from_millis(500);
/// A slow viewer reads for this long, and then does not read for the other.
const SLOW_READS: Duration = Duration::from_secs(3);
const SLOW_PAUSES: Duration = Duration::from_secs(2);

/// What the thread is told.
pub(crate) enum Order {
    /// A viewer that has signaled; the answer comes when it is connected, or never will be.
    Join(Box<Viewer>, oneshot::Sender<Result<Duration, JoinError>>),
    /// A viewer ends: it reads on for a moment, and then closes its socket.
    Leave(usize),
    /// The run is over.
    Finish,
}

/// A viewer that was connected and is not any more, without having been told to leave.
#[derive(Debug)]
pub(crate) struct Gone {
    pub(crate) id: usize,
}

/// What others may look at while the thread runs.
#[derive(Debug)]
pub(crate) struct View {
    /// Packets received in all, exact at any moment.
    pub(crate) packets: AtomicU64,
    /// The same in bytes.
    pub(crate) bytes: AtomicU64,
    shown: Mutex<Shown>,
}

/// See [`View`]; as it was at most [`SHOW`] ago.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) connected: usize,
    /// Probes with a clean start, by stream.
    pub(crate) clean_probes: Vec<usize>,
    /// Packets that did not come so far, of viewers that read all the time.
    pub(crate) missing: u64,
    /// Latency since somebody took it last, in microseconds.
    pub(crate) latency_us: Histogram,
    /// Processor time of the thread.
    pub(crate) cpu: Duration,
}

impl View {
    pub(crate) fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's own figures, at its end.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) viewers: Vec<ViewerReport>,
    /// Latency in microseconds by stream, one for each [`Phase::BOTH`].
    pub(crate) latency_us: Vec<[Histogram; 2]>,
    /// From arrival in the kernel to our reading, in microseconds, one value for each group of datagrams.
    pub(crate) read_delay_us: Histogram,
    /// Receive calls, groups and datagrams.
    pub(crate) calls: u64,
    pub(crate) groups: u64,
    pub(crate) datagrams: u64,
}

/// The running thread.
pub(crate) struct Worker {
    orders: mpsc::Sender<Order>,
    pub(crate) view: Arc<View>,
    thread: JoinHandle<io::Result<Outcome>>,
}

impl Worker {
    /// # Errors
    /// When the system gives no thread or no poller.
    pub(crate) fn start(
        streams: Arc<[Arc<Watched>]>,
        gone: async_mpsc::UnboundedSender<Gone>,
    ) -> io::Result<Self> {
        let (orders, inbox) = mpsc::channel();
        let view = Arc::new(View {
            packets: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            shown: Mutex::new(Shown { clean_probes: vec![0; streams.len()], ..Shown::default() }),
        });
        let greeter = Poller::new()?;
        let thread = std::thread::Builder::new().name("viewers".to_owned()).spawn({
            let view = Arc::clone(&view);
            move || Running::new(streams, inbox, view, gone, greeter).run()
        })?;
        Ok(Self { orders, view, thread })
    }

    /// Tells it something; false when it has ended.
    pub(crate) fn tell(&self, order: Order) -> bool {
        self.orders.send(order).is_ok()
    }

    /// Where orders go, for those who outlive a borrow.
    pub(crate) fn orders(&self) -> mpsc::Sender<Order> {
        self.orders.clone()
    }

    /// Ends it and takes what it saw.
    ///
    /// # Errors
    /// A fault of ours in the thread.
    pub(crate) fn finish(self) -> io::Result<Outcome> {
        self.tell(Order::Finish);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("a viewers' thread panicked")))
    }
}

/// A viewer with what the thread keeps for it.
struct Seat {
    viewer: Box<Viewer>,
    watched: Arc<Watched>,
    waits: Option<oneshot::Sender<Result<Duration, JoinError>>>,
    /// The entry in the heap that counts.
    armed: Instant,
    leaves: Option<Instant>,
    /// Whether a slow viewer reads now, and when that changes.
    reads: bool,
    turns: Option<Instant>,
}

struct Running {
    streams: Arc<[Arc<Watched>]>,
    inbox: mpsc::Receiver<Order>,
    view: Arc<View>,
    gone: async_mpsc::UnboundedSender<Gone>,
    /// Sockets of those that shake hands.
    greeter: Poller,
    /// Sockets read since it was looked at.
    ungreeted: usize,
    receiver: Receiver,
    seats: Vec<Option<Seat>>,
    free: Vec<usize>,
    /// Seats by viewer, for those who leave.
    places: HashMap<usize, usize>,
    timers: BinaryHeap<(Reverse<Instant>, usize)>,
    tallies: Vec<Tally>,
    shaking_hands: usize,
    finishing: bool,
    outcome: Outcome,
    packets: u64,
    bytes: u64,
    clock_offset: u64,
}

impl Running {
    fn new(
        streams: Arc<[Arc<Watched>]>,
        inbox: mpsc::Receiver<Order>,
        view: Arc<View>,
        gone: async_mpsc::UnboundedSender<Gone>,
        greeter: Poller,
    ) -> Self {
        let outcome = Outcome { latency_us: vec![Default::default(); streams.len()], ..Outcome::default() };
        Self {
            tallies: streams.iter().map(|_| Tally::default()).collect(),
            streams,
            inbox,
            view,
            gone,
            greeter,
            ungreeted: 0,
            receiver: Receiver::new(),
            seats: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
            timers: BinaryHeap::new(),
            shaking_hands: 0,
            finishing: false,
            outcome,
            packets: 0,
            bytes: 0,
            clock_offset: wall_minus_mono(),
        }
    }

    fn run(mut self) -> io::Result<Outcome> {
        precise_timers();
        let mut show = Instant::now();
        // Of the next look at those who shake hands, and of the next round.
        let (mut moment, mut round) = (Mono::now(), Mono::now());
        loop {
            self.take_orders()?;
            if self.finishing {
                return Ok(self.finish());
            }
            if self.places.is_empty() {
                self.greeter.wait(IDLE)?;
            } else {
                // From begin to begin; a round that took longer is followed by the next one at once.
                let busy = if self.shaking_hands > 0 { BUSY_ROUND } else { ROUND };
                moment = moment.plus(busy).min(round).max(Mono::now());
                sleep_until(moment);
            }
            self.greet()?;
            if moment >= round {
                self.read()?;
                round = moment.plus(ROUND.max(ROUND_OF_ONE * self.places.len() as u32));
            }
            let now = Instant::now();
            self.keep_time(now)?;
            if now >= show {
                self.show();
                show = now + SHOW;
            }
        }
    }

    fn take_orders(&mut self) -> io::Result<()> {
        while let Ok(order) = self.inbox.try_recv() {
            match order {
                Order::Join(viewer, waits) => self.seat(viewer, waits)?,
                Order::Leave(id) => self.leave(id),
                Order::Finish => self.finishing = true,
            }
        }
        Ok(())
    }

    fn seat(
        &mut self,
        viewer: Box<Viewer>,
        waits: oneshot::Sender<Result<Duration, JoinError>>,
    ) -> io::Result<()> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.seats.push(None);
            self.seats.len() - 1
        });
        let now = Instant::now();
        let watched = Arc::clone(&self.streams[viewer.plan.stream]);
        self.greeter.add(viewer.socket(), index as u64)?;
        self.places.insert(viewer.plan.id, index);
        let turns = viewer.plan.slow.then(|| now + SLOW_READS);
        self.shaking_hands += 1;
        self.seats[index] =
            Some(Seat { viewer, watched, waits: Some(waits), armed: now, leaves: None, reads: true, turns });
        // Due at once: it has something to send.
        self.timers.push((Reverse(now), index));
        Ok(())
    }

    fn leave(&mut self, id: usize) {
        let Some(&index) = self.places.get(&id) else { return };
        if let Some(seat) = &mut self.seats[index]
            && seat.leaves.is_none()
        {
            seat.viewer.leave(&seat.watched);
            let at = Instant::now() + LINGER;
            seat.leaves = Some(at);
            self.timers.push((Reverse(at), index));
        }
    }

    /// One round over the sockets of all viewers that are connected.
    fn read(&mut self) -> io::Result<()> {
        for index in 0..self.seats.len() {
            if self.seats[index].as_ref().is_some_and(|seat| seat.waits.is_none() && seat.reads) {
                self.read_one(index)?;
                self.greet_in_time()?;
            }
        }
        self.view.packets.store(self.packets, Ordering::Release);
        self.view.bytes.store(self.bytes, Ordering::Release);
        Ok(())
    }

    /// Looks after those that shake hands, and those that are about to.
    fn greet(&mut self) -> io::Result<()> {
        self.ungreeted = 0;
        self.take_orders()?;
        if self.shaking_hands == 0 {
            return Ok(());
        }
        let ready = self.greeter.wait(Duration::ZERO)?;
        for i in 0..ready {
            self.read_one(self.greeter.ready(i) as usize)?;
        }
        self.keep_time(Instant::now())
    }

    fn greet_in_time(&mut self) -> io::Result<()> {
        self.ungreeted += 1;
        if self.ungreeted < GREET_EVERY { Ok(()) } else { self.greet() }
    }

    fn read_one(&mut self, index: usize) -> io::Result<()> {
        let Some(seat) = self.seats.get_mut(index).and_then(Option::as_mut) else { return Ok(()) };
        let tally = &mut self.tallies[seat.watched.index];
        let mut news = None;
        let read_at = Mono::now();
        for _ in 0..CALLS {
            self.outcome.calls += 1;
            // An error is the echo of an earlier send that nobody took: the next call goes on.
            let Ok(groups) = self.receiver.receive(seat.viewer.socket()) else { continue };
            self.outcome.groups += groups as u64;
            for i in 0..groups {
                let group = self.receiver.group(i);
                let arrived = group.arrived(self.clock_offset).unwrap_or(read_at);
                if !seat.viewer.plan.slow {
                    self.outcome.read_delay_us.add(read_at.since(arrived).as_micros() as u64);
                }
                let from = group.from();
                for datagram in group.datagrams() {
                    self.packets += 1;
                    let told = seat.viewer.on_datagram(datagram, from, arrived, &seat.watched, tally);
                    news = news.or(told);
                }
                self.bytes += group.bytes.len() as u64;
            }
            if groups < BATCH {
                break;
            }
        }
        self.rearm(index);
        self.tell(index, news)
    }

    /// Makes sure that the heap knows of a seat's earliest moment.
    fn rearm(&mut self, index: usize) {
        if let Some(seat) = &mut self.seats[index]
            && seat.viewer.timer() < seat.armed
        {
            seat.armed = seat.viewer.timer();
            self.timers.push((Reverse(seat.armed), index));
        }
    }

    fn keep_time(&mut self, now: Instant) -> io::Result<()> {
        while let Some(&(Reverse(at), index)) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            let Some(seat) = &mut self.seats[index] else { continue };
            if seat.leaves.is_some_and(|leaves| leaves <= now) {
                self.remove(index);
                continue;
            }
            if let Some(turn) = seat.turns.filter(|turn| *turn <= now) {
                // Sockets that are not read fill up. Nobody pauses while he shakes hands.
                seat.reads = !seat.reads || seat.waits.is_some();
                seat.turns = Some(turn + if seat.reads { SLOW_READS } else { SLOW_PAUSES });
            }
            let mut news = None;
            if seat.viewer.timer() <= now {
                let tally = &mut self.tallies[seat.watched.index];
                news = seat.viewer.on_time(now, &seat.watched, tally);
            }
            // Entries of the past are gone, and each seat has one for its next moment.
            if at >= seat.armed {
                let next = seat.viewer.timer();
                seat.armed =
                    seat.turns.map_or(next, |turn| next.min(turn)).max(now + Duration::from_micros(1));
                self.timers.push((Reverse(seat.armed), index));
            }
            self.tell(index, news)?;
        }
        Ok(())
    }

    /// Passes on what a viewer had to tell.
    fn tell(&mut self, index: usize, news: Option<News>) -> io::Result<()> {
        let Some(news) = news else { return Ok(()) };
        let Some(seat) = &mut self.seats[index] else { return Ok(()) };
        match (news, seat.waits.take()) {
            (News::Connected(took), Some(waits)) => {
                self.shaking_hands -= 1;
                self.greeter.remove(seat.viewer.socket())?;
                // Whoever waited may have been told to stop.
                let _ = waits.send(Ok(took));
            }
            (News::Connected(_), None) => {}
            (News::Lost(reason), waits) => {
                let id = seat.viewer.plan.id;
                match waits {
                    Some(waits) => {
                        self.shaking_hands -= 1;
                        let _ = waits.send(Err(JoinError::Peer(reason)));
                    }
                    None if seat.leaves.is_none() => {
                        let _ = self.gone.send(Gone { id });
                    }
                    None => {}
                }
                seat.viewer.leave(&seat.watched);
                self.remove(index);
            }
        }
        Ok(())
    }

    fn remove(&mut self, index: usize) {
        let Some(seat) = self.seats[index].take() else { return };
        if seat.waits.is_some() {
            self.shaking_hands -= 1;
        }
        self.places.remove(&seat.viewer.plan.id);
        self.free.push(index);
        self.outcome.viewers.push(seat.viewer.report(&seat.watched, seat.leaves.is_some()));
    }

    /// Shows the figures, and moves the latencies to where they stay.
    fn show(&mut self) {
        self.clock_offset = wall_minus_mono();
        let mut shown = self.view.shown();
        for (tally, kept) in self.tallies.iter_mut().zip(&mut self.outcome.latency_us) {
            for phase in Phase::BOTH {
                let latency = &mut tally.latency_us[phase as usize];
                if latency.count() > 0 {
                    shown.latency_us.merge(latency);
                    kept[phase as usize].merge(latency);
                    latency.clear();
                }
            }
        }
        (shown.connected, shown.missing) = (0, 0);
        shown.clean_probes.fill(0);
        for seat in self.seats.iter().flatten() {
            let viewer = &seat.viewer;
            shown.connected += usize::from(viewer.is_connected() && seat.leaves.is_none());
            if !viewer.plan.slow {
                shown.missing += viewer.missing(&seat.watched);
            }
            if viewer.plan.role == Role::Probe && viewer.is_clean() {
                shown.clean_probes[seat.watched.index] += 1;
            }
        }
        shown.missing +=
            self.outcome.viewers.iter().filter(|left| !left.slow).map(|left| left.missing).sum::<u64>();
        shown.cpu = thread_cpu();
    }

    fn finish(mut self) -> Outcome {
        for index in 0..self.seats.len() {
            self.remove(index);
        }
        self.show();
        self.outcome.datagrams = self.packets;
        self.outcome
    }
}
