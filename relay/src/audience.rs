//! Who watches: seats in the house, places in the queue at the door, and the count that viewers see.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::watch};

use crate::{AudienceSnapshot, CloseReason, StreamId, audience_stats::AudienceStats, stream::LiveStream};

/// Viewers hear of a changed count at most this often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Sessions in all and sessions that are not connected yet, per address; both bounded.
#[derive(Debug)]
pub(crate) struct House {
    max_sessions: u32,
    max_waiting: u32,
    sessions: AtomicU32,
    /// What the machine carries besides what each worker does; see [`House::set_seats`].
    seats: AtomicU32,
    waiting: Mutex<HashMap<IpAddr, u32>>,
    audiences: Mutex<HashMap<StreamId, Weak<Audience>>>,
    stats: AudienceStats,
    runtime: Handle,
}

/// Why nobody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// All seats are taken.
    Full,
    /// More viewers than the machine can serve well.
    Overloaded,
    /// This address has too many sessions that are not connected.
    TooManyWaiting,
}

impl House {
    pub(crate) fn new(max_sessions: u32, max_waiting: u32, runtime: Handle) -> Arc<Self> {
        Arc::new(Self {
            max_sessions,
            max_waiting,
            sessions: AtomicU32::new(0),
            seats: AtomicU32::new(u32::MAX),
            waiting: Mutex::default(),
            audiences: Mutex::default(),
            stats: AudienceStats::default(),
            runtime,
        })
    }

    /// Lets a session of `remote` in.
    pub(crate) fn enter(
        self: &Arc<Self>,
        remote: IpAddr,
        audience: Arc<Audience>,
    ) -> Result<(Seat, WaitingSeat), Refused> {
        let entered = self.take_seat(remote, audience);
        if let Err(refused) = &entered {
            self.stats.refused(*refused);
        }
        entered
    }

    fn take_seat(
        self: &Arc<Self>,
        remote: IpAddr,
        audience: Arc<Audience>,
    ) -> Result<(Seat, WaitingSeat), Refused> {
        let remote = remote.to_canonical();
        let mut waiting = lock(&self.waiting);
        if waiting.get(&remote).is_some_and(|&count| count >= self.max_waiting) {
            return Err(Refused::TooManyWaiting);
        }
        let seats = self.seats.load(Ordering::Relaxed);
        let taken = self.sessions.fetch_update(Ordering::AcqRel, Ordering::Acquire, |sessions| {
            (sessions < self.max_sessions.min(seats)).then_some(sessions + 1)
        });
        match taken {
            Ok(_) => {}
            Err(sessions) if sessions >= self.max_sessions => return Err(Refused::Full),
            Err(_) => return Err(Refused::Overloaded),
        }
        *waiting.entry(remote).or_default() += 1;
        let seat = Seat { house: Arc::clone(self), audience, entered: Instant::now(), watching: false };
        Ok((seat, WaitingSeat { house: Arc::clone(self), remote }))
    }

    /// How many sessions the machine carries, all workers together; `None`: as many as are permitted. Those who
    /// are there already stay.
    pub(crate) fn set_seats(&self, seats: Option<u32>) {
        self.seats.store(seats.unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// A viewer was refused elsewhere because no worker has room.
    pub(crate) fn note_overload(&self) {
        self.stats.refused(Refused::Overloaded);
    }

    /// The audience of a stream, made when it is the first.
    pub(crate) fn audience(&self, stream: &Arc<LiveStream>) -> Arc<Audience> {
        let mut audiences = lock(&self.audiences);
        if let Some(audience) = audiences.get(&stream.id).and_then(Weak::upgrade) {
            return audience;
        }
        audiences.retain(|_, audience| audience.strong_count() > 0);
        let audience = Arc::new(Audience {
            stream: Arc::clone(stream),
            told: watch::Sender::new(stream.viewers.load(Ordering::Relaxed)),
            telling: AtomicBool::new(false),
        });
        audiences.insert(stream.id, Arc::downgrade(&audience));
        audience
    }

    /// Sessions now.
    pub(crate) fn sessions(&self) -> u32 {
        self.sessions.load(Ordering::Acquire)
    }

    /// Figures for operators.
    pub(crate) fn snapshot(&self) -> AudienceSnapshot {
        self.stats.snapshot(self.sessions())
    }
}

/// The viewers of one stream.
#[derive(Debug)]
pub(crate) struct Audience {
    pub(crate) stream: Arc<LiveStream>,
    told: watch::Sender<u32>,
    /// Somebody will tell soon.
    telling: AtomicBool,
}

impl Audience {
    /// Changes of the count, at most one a second.
    pub(crate) fn counts(&self) -> watch::Receiver<u32> {
        self.told.subscribe()
    }

    /// The count at this moment.
    pub(crate) fn now(&self) -> u32 {
        self.stream.viewers.load(Ordering::Relaxed)
    }

    fn changed(self: &Arc<Self>, runtime: &Handle) {
        if self.telling.swap(true, Ordering::AcqRel) {
            return;
        }
        let audience = Arc::clone(self);
        runtime.spawn(async move {
            tokio::time::sleep(TELL_EVERY).await;
            audience.telling.store(false, Ordering::Release);
            let count = audience.now();
            audience.told.send_if_modified(|told| std::mem::replace(told, count) != count);
        });
    }
}

/// One session's seat; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    house: Arc<House>,
    audience: Arc<Audience>,
    entered: Instant,
    watching: bool,
}

impl Seat {
    /// The session is connected: it counts as a viewer.
    pub(crate) fn watch(&mut self) {
        if !self.watching {
            self.watching = true;
            self.house.stats.joined(self.entered.elapsed());
            self.audience.stream.viewers.fetch_add(1, Ordering::Relaxed);
            self.audience.changed(&self.house.runtime);
        }
    }

    /// The session ends, for the statistics; its seat is given back when this is dropped.
    pub(crate) fn ending(&self, reason: &CloseReason) {
        self.house.stats.ended(reason);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.house.sessions.fetch_sub(1, Ordering::AcqRel);
        if self.watching {
            self.audience.stream.viewers.fetch_sub(1, Ordering::Relaxed);
            self.audience.changed(&self.house.runtime);
        }
    }
}

/// A place in the queue at the door; given back when dropped, at the latest when the session is connected.
#[derive(Debug)]
pub(crate) struct WaitingSeat {
    house: Arc<House>,
    remote: IpAddr,
}

impl Drop for WaitingSeat {
    fn drop(&mut self) {
        let mut waiting = lock(&self.house.waiting);
        if let Some(count) = waiting.get_mut(&self.remote) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.remote);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere leaves whole values behind: each critical section only counts.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn stream(id: u64) -> Arc<LiveStream> {
        Arc::new(LiveStream::new(StreamId(id), 1, false, None, None, Vec::new()))
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test]
    async fn seats_and_queue_are_bounded_and_given_back() {
        let house = House::new(3, 2, Handle::current());
        let audience = house.audience(&stream(1));
        let enter = |last| house.enter(address(last), Arc::clone(&audience));
        let (first, first_waiting) = enter(1).unwrap();
        let second = enter(1).unwrap();
        assert_eq!(enter(1).unwrap_err(), Refused::TooManyWaiting);
        drop(first_waiting);
        let third = enter(1).unwrap();
        assert_eq!(enter(2).unwrap_err(), Refused::Full);
        drop(second);
        house.set_seats(Some(2));
        assert_eq!(
            enter(2).unwrap_err(),
            Refused::Overloaded,
            "no more than there are, and nobody is sent away"
        );
        house.set_seats(None);
        let second = enter(2).unwrap();
        drop((first, second, third));
        assert_eq!(house.sessions(), 0);
        let refused = house.snapshot().refused;
        assert_eq!(refused, [("full", 1), ("overloaded", 1), ("too_many_pending", 1)]);
        assert!(lock(&house.waiting).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_count_is_told_once_a_second() {
        let house = House::new(100, 100, Handle::current());
        let audience = house.audience(&stream(1));
        let mut counts = audience.counts();
        let mut seats = Vec::new();
        for last in 0..10 {
            let (mut seat, _) = house.enter(address(last), Arc::clone(&audience)).unwrap();
            seat.watch();
            seats.push(seat);
        }
        assert_eq!(audience.now(), 10);
        assert!(!counts.has_changed().unwrap());
        counts.changed().await.unwrap();
        assert_eq!(*counts.borrow_and_update(), 10);
        seats.clear();
        counts.changed().await.unwrap();
        assert_eq!(*counts.borrow_and_update(), 0);
    }

    #[tokio::test]
    async fn one_audience_per_stream() {
        let house = House::new(1, 1, Handle::current());
        let stream = stream(7);
        let first = house.audience(&stream);
        assert!(Arc::ptr_eq(&first, &house.audience(&stream)));
    }
}
