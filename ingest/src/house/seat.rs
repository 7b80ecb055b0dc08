//! A publisher that holds its channel: the way to the relay, orders from outside, reports.

use std::{
    future::pending,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::{BoxFuture, FutureExt as _};
use heliograph_media::{Bitrate, Ssrc, rtcp};
use heliograph_relay::{AllocateError, ChannelName, StreamRequest, TrackDescription};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Ending, Guest, PublisherSnapshot,
    ceiling::{Ceiling, Finding},
    channels::SessionHandle,
    least_delay::LeastDelay,
    link::{RelayLink, Remedy, Trouble},
};
use crate::{
    auth::{EndReason, PublicationMetadata},
    wait::finished,
};

/// The channel is held, and media may go to the relay. Dropping it gives the channel back
/// ([`EndReason::ConnectionLost`]); its grace time begins then.
pub struct Seat {
    guest: Guest,
    handle: Handle,
    orders: mpsc::Receiver<EndReason>,
    request: StreamRequest,
    link: Option<RelayLink>,
    trouble: Trouble,
    ceiling: Ceiling,
    least_delay: LeastDelay,
    relinking: Option<BoxFuture<'static, Result<RelayLink, AllocateError>>>,
    since: Instant,
    since_wall: SystemTime,
    next_metadata: Instant,
    ended: bool,
}

/// Something for the door to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatEvent {
    /// The relay has sent something: [`Seat::receive`] it.
    Readable,
    /// End the session for this reason.
    End(EndReason),
}

impl Seat {
    pub(super) fn claimed(
        guest: Guest,
        handle: Handle,
        orders: mpsc::Receiver<EndReason>,
        request: StreamRequest,
    ) -> Self {
        let now = Instant::now();
        let next_metadata = now + guest.house.settings.metadata_interval;
        let ceiling = Ceiling::new(&guest.house.settings.bitrate, guest.channel());
        Self {
            guest,
            handle,
            orders,
            request,
            link: None,
            trouble: Trouble::default(),
            ceiling,
            least_delay: LeastDelay::default(),
            relinking: None,
            since: now,
            since_wall: SystemTime::now(),
            next_metadata,
            ended: false,
        }
    }

    pub(super) fn go_live(&mut self, link: RelayLink, port: Option<u16>) {
        let now = Instant::now();
        (self.since, self.since_wall) = (now, SystemTime::now());
        self.handle.heard.begin(now);
        let publication = &mut self.guest.publication;
        (publication.port, publication.relay_port) = (port, Some(link.port));
        tracing::info!(
            channel = %publication.channel,
            door = %publication.door,
            port = publication.port,
            relay_port = link.port,
            "publisher is live"
        );
        self.link = Some(link);
        if let Some(reports) = self.guest.reports() {
            reports.started(self.guest.publication.clone());
        }
        self.publish_snapshot(PublicationMetadata::default());
    }

    pub(super) fn request(&self) -> &StreamRequest {
        &self.request
    }

    /// What is published.
    #[must_use]
    pub fn channel(&self) -> &ChannelName {
        self.guest.channel()
    }

    /// Where the media goes; 0 before there is a port.
    #[must_use]
    pub fn relay_port(&self) -> u16 {
        self.link.as_ref().map_or(0, |link| link.port)
    }

    /// Since when the channel is held.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Media of the publisher came at `at`. A session that was silent for long may be taken over.
    pub fn heard(&self, at: Instant) {
        self.handle.heard.set(at);
    }

    /// Tells the relay that other tracks come than were described, and waits until it knows.
    pub async fn describe(&mut self, tracks: Vec<TrackDescription>) {
        self.request.tracks = tracks;
        self.relinking = None;
        let relinked = self.guest.house.link(self.request.clone(), self.link.clone()).await;
        self.on_relinked(relinked);
    }

    /// Sends one RTP or RTCP datagram to the relay. A full buffer loses it.
    pub fn send(&mut self, datagram: &[u8]) {
        let Some(link) = &self.link else { return };
        if let Err(error) = link.socket.try_send(datagram)
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            self.trouble.note(Instant::now());
            // The error was about an earlier datagram; this one was not sent.
            drop(link.socket.try_send(datagram));
        }
    }

    /// The next RTCP datagram of the relay: its length in `buffer`, or `None` when there is none now.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let link = self.link.as_ref()?;
        // Each refusal is read once, so this ends.
        loop {
            match link.socket.try_recv(buffer) {
                Ok(length) => return Some(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => self.trouble.note(Instant::now()),
            }
        }
    }

    /// Waits for the next thing to do. Safe to drop and to call again.
    pub async fn event(&mut self) -> SeatEvent {
        let stop = self.guest.house.stop().clone();
        loop {
            let Some(link) = &self.link else { return pending().await };
            tokio::select! {
                () = stop.cancelled(), if !self.ended => {
                    self.ended = true;
                    return SeatEvent::End(EndReason::ServerShutdown);
                }
                Some(reason) = self.orders.recv() => return SeatEvent::End(reason),
                relinked = finished(&mut self.relinking) => self.on_relinked(relinked),
                _ = link.socket.readable() => return SeatEvent::Readable,
            }
        }
    }

    fn on_relinked(&mut self, relinked: Result<RelayLink, AllocateError>) {
        match relinked {
            Ok(link) => {
                let publication = &mut self.guest.publication;
                publication.relay_port = Some(link.port);
                self.guest.house.channels().set_link(&publication.channel, publication.session, link.clone());
                self.link = Some(link);
            }
            Err(error) => tracing::warn!(%error, "the relay gives no port"),
        }
    }

    /// To be called about twice a second with how the publisher is doing: shows it, reports it when that is due, tells the
    /// relay how long its media takes at least, and asks a relay that was restarted for the port again. `Some` when the
    /// session must end.
    pub fn tick(&mut self, now: Instant, metadata: PublicationMetadata) -> Option<EndReason> {
        let sends = Bitrate::bps(metadata.bitrate_bps);
        if now >= self.next_metadata {
            self.next_metadata = now + self.guest.house.settings.metadata_interval;
            if let Some(reports) = self.guest.reports() {
                reports.metadata(self.guest.publication.clone(), metadata.clone());
            }
        }
        if let Some(delay) = self.least_delay.now(now, metadata.round_trip, metadata.held) {
            let mut datagram = Vec::with_capacity(16);
            // About the session, not about one of its tracks.
            rtcp::write_least_delay(&mut datagram, Ssrc(0), delay);
            self.send(&datagram);
        }
        self.publish_snapshot(metadata);
        match self.ceiling.look(now, sends) {
            Finding::Fine => {}
            Finding::Over(limit) => {
                // The relay warns the streamer, and says it once in the log.
                tracing::debug!(channel = %self.channel(), %sends, %limit, "publisher sends more than it may");
                let mut datagram = Vec::with_capacity(16);
                rtcp::write_over_limit(&mut datagram, Ssrc(0), limit);
                self.send(&datagram);
            }
            Finding::Cut => return Some(EndReason::BitrateTooHigh),
        }
        match self.trouble.remedy(now) {
            Remedy::None => None,
            Remedy::GiveUp => Some(EndReason::RelayUnavailable),
            Remedy::AskAgain => {
                tracing::warn!(
                    relay_port = self.relay_port(),
                    "the relay's port is closed; asking for it again"
                );
                let house = Arc::clone(&self.guest.house);
                let (request, link) = (self.request.clone(), self.link.clone());
                if self.relinking.is_none() {
                    self.relinking = Some(async move { house.link(request, link).await }.boxed());
                }
                None
            }
        }
    }

    fn publish_snapshot(&self, metadata: PublicationMetadata) {
        let publication = &self.guest.publication;
        let snapshot = PublisherSnapshot {
            session: publication.session,
            channel: publication.channel.clone(),
            door: publication.door,
            remote: publication.remote,
            since: self.since_wall,
            port: publication.port,
            relay_port: self.relay_port(),
            metadata,
        };
        *self.handle.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
    }

    /// Leaves the channel. `bytes` of media were received.
    pub fn end(mut self, reason: EndReason, bytes: u64) {
        self.leave(reason, bytes);
    }

    fn leave(&mut self, reason: EndReason, bytes: u64) {
        *self.handle.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.handle.stopped.cancel();
        let house = Arc::clone(&self.guest.house);
        let channel = self.guest.channel().clone();
        let duration = if self.link.is_some() { self.since.elapsed() } else { Duration::ZERO };
        if self.link.take().is_some() {
            tracing::info!(%channel, %reason, seconds = duration.as_secs(), bytes, "publisher is gone");
        }
        let generation = house.channels().leave(&channel, self.guest.session());
        if let Some(generation) = generation {
            let keeper = Arc::clone(&house);
            house.sessions.spawn(async move { keeper.release_after_grace(&channel, generation).await });
        }
        self.guest.report_end(Ending { reason, duration, bytes });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.handle.stopped.is_cancelled() {
            self.leave(EndReason::ConnectionLost, 0);
        }
    }
}

/// What others can do with a running session.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    remote: SocketAddr,
    heard: Heard,
    orders: mpsc::Sender<EndReason>,
    snapshot: Arc<Mutex<Option<PublisherSnapshot>>>,
    /// Cancelled when the session sends no more media.
    stopped: CancellationToken,
}

impl Handle {
    pub(super) fn new(now: Instant, remote: SocketAddr) -> (Self, mpsc::Receiver<EndReason>) {
        let (orders, receiver) = mpsc::channel(4);
        let snapshot = Arc::default();
        let stopped = CancellationToken::new();
        (Self { remote, heard: Heard::new(now), orders, snapshot, stopped }, receiver)
    }

    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Tells the session to end; false when it has ended already.
    pub(super) fn order(&self, reason: EndReason) -> bool {
        self.orders.try_send(reason).is_ok()
    }

    pub(super) async fn stopped(&self) {
        self.stopped.cancelled().await;
    }

    pub(super) fn snapshot(&self) -> Option<PublisherSnapshot> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl SessionHandle for Handle {
    fn address(&self) -> IpAddr {
        self.remote.ip().to_canonical()
    }

    fn last_heard(&self) -> Instant {
        self.heard.get()
    }

    fn has_sent(&self) -> bool {
        self.heard.something()
    }
}

/// The last time a session's media was heard, readable from other tasks.
#[derive(Clone, Debug)]
struct Heard {
    base: Instant,
    times: Arc<Times>,
}

/// Milliseconds since the base.
#[derive(Debug, Default)]
struct Times {
    /// When the session went live.
    live: AtomicU64,
    last: AtomicU64,
}

impl Heard {
    fn new(now: Instant) -> Self {
        Self { base: now, times: Arc::default() }
    }

    /// Nothing was heard yet, and silence counts from here.
    fn begin(&self, at: Instant) {
        self.times.live.store(self.millis(at), Ordering::Relaxed);
        self.set(at);
    }

    fn set(&self, at: Instant) {
        self.times.last.store(self.millis(at), Ordering::Relaxed);
    }

    fn get(&self) -> Instant {
        self.base + Duration::from_millis(self.times.last.load(Ordering::Relaxed))
    }

    fn something(&self) -> bool {
        self.times.last.load(Ordering::Relaxed) > self.times.live.load(Ordering::Relaxed)
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.base).as_millis()).unwrap_or(u64::MAX)
    }
}
