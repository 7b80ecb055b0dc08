//! All viewers: lets them join and leave, and knows who is there.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::sync::{Semaphore, mpsc};

use crate::{
    error::JoinError,
    histogram::Histogram,
    settings::{LoadSettings, TransportMix},
    signal::{Joiner, Session},
    sys::clock::Mono,
    viewer::{Plan, Role, Transport},
    watched::Watched,
    worker::{Gone, Order, Outcome, Worker},
};

/// Goodbyes under way at once.
const GOODBYES: usize = 64;

/// Everybody.
pub(crate) struct Crowd {
    settings: LoadSettings,
    joiner: Arc<Joiner>,
    streams: Arc<[Arc<Watched>]>,
    workers: Vec<Worker>,
    turns: Arc<Semaphore>,
    next: usize,
    under_way: usize,
    present: BTreeMap<usize, Session>,
    /// Ordinary viewers in the order in which they came: churn takes the oldest.
    ordinary: VecDeque<(usize, Kind)>,
    joined: mpsc::UnboundedReceiver<Joined>,
    tell_joined: mpsc::UnboundedSender<Joined>,
    gone: mpsc::UnboundedReceiver<Gone>,
    pub(crate) counts: Counts,
}

/// What a viewer is, apart from its number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) stream: usize,
    pub(crate) role: Role,
    pub(crate) transport: Transport,
    pub(crate) slow: bool,
    /// Joins during the hold, in somebody's place.
    pub(crate) late: bool,
}

/// How joining went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) connected: usize,
    pub(crate) failed: usize,
    pub(crate) lost: usize,
    pub(crate) last_failure: Option<String>,
    /// Handshakes so far, in microseconds.
    pub(crate) handshake_us: Histogram,
    pub(crate) left: usize,
    pub(crate) late: usize,
}

struct Joined {
    id: usize,
    kind: Kind,
    result: Result<(Session, Duration), JoinError>,
}

impl Crowd {
    pub(crate) fn start(
        settings: &LoadSettings,
        joiner: Joiner,
        streams: Arc<[Arc<Watched>]>,
    ) -> std::io::Result<Self> {
        let (tell_gone, gone) = mpsc::unbounded_channel();
        let (tell_joined, joined) = mpsc::unbounded_channel();
        let workers = (0..settings.threads)
            .map(|_| Worker::start(Arc::clone(&streams), tell_gone.clone()))
            .collect::<std::io::Result<_>>()?;
        Ok(Self {
            settings: settings.clone(),
            joiner: Arc::new(joiner),
            streams,
            workers,
            turns: Arc::new(Semaphore::new(settings.concurrency)),
            next: 0,
            under_way: 0,
            present: BTreeMap::new(),
            ordinary: VecDeque::new(),
            joined,
            tell_joined,
            gone,
            counts: Counts::default(),
        })
    }

    pub(crate) fn workers(&self) -> &[Worker] {
        &self.workers
    }

    /// Joins that have begun and not ended.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way
    }

    /// Viewers that are there.
    pub(crate) fn present(&self) -> usize {
        self.present.len()
    }

    /// Packets and bytes that all viewers received so far.
    pub(crate) fn received(&self) -> (u64, u64) {
        self.workers.iter().fold((0, 0), |(packets, bytes), worker| {
            let view = &worker.view;
            (packets + view.packets.load(Ordering::Acquire), bytes + view.bytes.load(Ordering::Acquire))
        })
    }

    /// The transport of the `index`-th viewer.
    pub(crate) fn transport(&self, index: usize) -> Transport {
        match self.settings.transport {
            TransportMix::Whep => Transport::Whep,
            TransportMix::WebSocket => Transport::WebSocket,
            TransportMix::Both if index.is_multiple_of(2) => Transport::Whep,
            TransportMix::Both => Transport::WebSocket,
        }
    }

    /// Lets a viewer join; the result comes later.
    pub(crate) fn join(&mut self, kind: Kind) {
        let id = self.next;
        self.next += 1;
        self.under_way += 1;
        let orders = self.workers[id % self.workers.len()].orders();
        let (joiner, turns) = (Arc::clone(&self.joiner), Arc::clone(&self.turns));
        let (watched, tell) = (Arc::clone(&self.streams[kind.stream]), self.tell_joined.clone());
        let (loss, seed) = (self.settings.loss_threshold(), self.settings.seed);
        tokio::spawn(async move {
            // The semaphore is never closed.
            let _turn = turns.acquire().await;
            let plan = Plan {
                id,
                stream: kind.stream,
                role: kind.role,
                transport: kind.transport,
                slow: kind.slow,
                late: kind.late,
                loss,
                seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(id as u64),
                began: Mono::now(),
            };
            let result = joiner.join(plan, &watched.place, &orders).await;
            let _ = tell.send(Joined { id, kind, result });
        });
    }

    /// Takes note of who came and who went.
    pub(crate) fn take_notes(&mut self) {
        while let Ok(Joined { id, kind, result }) = self.joined.try_recv() {
            self.under_way -= 1;
            match result {
                Ok((session, took)) => {
                    self.counts.connected += 1;
                    self.counts.late += usize::from(kind.late);
                    self.counts.handshake_us.add(took.as_micros() as u64);
                    self.present.insert(id, session);
                    if kind.role != Role::Probe && !kind.slow {
                        self.ordinary.push_back((id, kind));
                    }
                }
                Err(error) => {
                    self.counts.failed += 1;
                    self.counts.last_failure = Some(error.to_string());
                }
            }
        }
        while let Ok(Gone { id }) = self.gone.try_recv() {
            if let Some(session) = self.present.remove(&id) {
                self.counts.lost += 1;
                self.ordinary.retain(|(other, _)| *other != id);
                self.say_goodbye(session);
            }
        }
    }

    /// The oldest ordinary viewer leaves, and a new one like it joins.
    pub(crate) fn replace_oldest(&mut self) {
        let Some((id, kind)) = self.ordinary.pop_front() else { return };
        let Some(session) = self.present.remove(&id) else { return };
        let worker = &self.workers[id % self.workers.len()];
        worker.tell(Order::Leave(id));
        self.counts.left += 1;
        // It reads on for a moment, or what is on its way would look lost.
        let joiner = Arc::clone(&self.joiner);
        tokio::spawn(async move {
            tokio::time::sleep(crate::worker::LINGER).await;
            session.end(&joiner.server).await;
        });
        self.join(Kind { late: true, ..kind });
    }

    fn say_goodbye(&self, session: Session) {
        let joiner = Arc::clone(&self.joiner);
        tokio::spawn(async move { session.end(&joiner.server).await });
    }

    /// Ends the threads, says goodbye for everybody, and returns what was seen.
    pub(crate) async fn finish(mut self) -> std::io::Result<Vec<Outcome>> {
        self.take_notes();
        let workers = std::mem::take(&mut self.workers);
        let outcomes = tokio::task::spawn_blocking(move || {
            workers.into_iter().map(Worker::finish).collect::<std::io::Result<Vec<_>>>()
        });
        let outcomes = outcomes.await.map_err(std::io::Error::other)?;
        let turns = Arc::new(Semaphore::new(GOODBYES));
        let mut goodbyes = tokio::task::JoinSet::new();
        for session in std::mem::take(&mut self.present).into_values() {
            let (turns, joiner) = (Arc::clone(&turns), Arc::clone(&self.joiner));
            goodbyes.spawn(async move {
                let _turn = turns.acquire().await;
                session.end(&joiner.server).await;
            });
        }
        goodbyes.join_all().await;
        outcomes
    }
}
