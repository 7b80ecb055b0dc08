//! An inlet's socket and clock.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio::{net::UdpSocket, time};
use tracing::{debug, info, warn};

use super::Inlet;
use crate::{CloseReason, FeedBatch, FeedItem, relay::Inner, stream::LiveStream};

/// Room for the largest datagram that is read whole; a longer one is cut and then refused.
const DATAGRAM: usize = 2_048;
/// Datagrams share allocations of this size.
const CHUNK: usize = 32 << 10;
/// At most so many datagrams before the readers hear of them.
const BURST: usize = 512;
/// How often the shared report is made anew.
const REPORT: Duration = Duration::from_millis(500);
/// How often malformed datagrams may be logged.
const COMPLAIN: Duration = Duration::from_secs(10);

/// Runs a stream's inlet until the stream ends, then takes the stream off the list.
pub(crate) async fn run(relay: Arc<Inner>, stream: Arc<LiveStream>, socket: UdpSocket, inlet: Inlet) {
    let mut shell = Shell::new(relay, stream, inlet);
    let reason = shell.live(&socket).await;
    let (relay, stream) = (&shell.relay, &shell.stream);
    let seconds = stream.since.elapsed().unwrap_or_default().as_secs();
    info!(stream = %stream.id, port = stream.port, seconds, reason = reason.code(), "stream ended");
    relay.streams.remove(stream.id);
    relay.sinks.deliver(FeedBatch { stream: stream.id, items: vec![FeedItem::Ended(reason)] });
    relay.pool.give_back(Instant::now(), stream.port, socket.into_std().ok());
}

struct Shell {
    relay: Arc<Inner>,
    stream: Arc<LiveStream>,
    inlet: Inlet,
    chunk: BytesMut,
    allocations: u64,
    next_report: Instant,
    complained: Option<(Instant, u64)>,
    kernel_drops: u64,
}

impl Shell {
    fn new(relay: Arc<Inner>, stream: Arc<LiveStream>, inlet: Inlet) -> Self {
        Self {
            inlet,
            relay,
            stream,
            chunk: BytesMut::new(),
            allocations: 0,
            next_report: Instant::now(),
            complained: None,
            kernel_drops: 0,
        }
    }

    async fn live(&mut self, socket: &UdpSocket) -> CloseReason {
        let stream = Arc::clone(&self.stream);
        loop {
            tokio::select! {
                ready = socket.readable() => match ready {
                    Ok(()) => {
                        self.drain(socket);
                        self.gather(socket).await;
                    }
                    Err(error) => return CloseReason::Internal(format!("RTP socket: {error}")),
                },
                () = stream.wake.notified() => {}
                () = time::sleep_until(self.inlet.next_tick().into()) => self.inlet.on_tick(Instant::now()),
            }
            if let Some(reason) = self.stream.ending() {
                return reason;
            }
            let now = Instant::now();
            self.wishes(now);
            self.pass_on(now, socket);
            if self.inlet.is_idle(now) && self.relay.close_idle(&self.stream, self.allocations) {
                return CloseReason::PublisherGone;
            }
        }
    }

    /// Waits a few microseconds for the rest of a picture, and lets others work meanwhile: the one who forwards
    /// these packets may be among them.
    async fn gather(&mut self, socket: &UdpSocket) {
        let mut came = true;
        while self.inlet.gathers(Instant::now(), came) {
            tokio::task::yield_now().await;
            came = self.drain(socket);
        }
    }

    /// Reads until the socket is empty: one batch for the readers, however many datagrams. Whether there were any.
    fn drain(&mut self, socket: &UdpSocket) -> bool {
        for count in 0..BURST {
            match self.receive(socket) {
                Ok((from, length)) => {
                    // Before each one: who was just given this port again may be sending already.
                    self.note_allocation();
                    let datagram = self.chunk.split_to(length).freeze();
                    self.inlet.on_datagram(Instant::now(), from, &datagram);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return count > 0,
                // An answer of ours found nobody (ICMP): no concern of this direction.
                Err(_) => {}
            }
        }
        true
    }

    fn receive(&mut self, socket: &UdpSocket) -> io::Result<(SocketAddr, usize)> {
        if self.chunk.len() < DATAGRAM {
            self.chunk = BytesMut::zeroed(CHUNK);
        }
        let (length, from) = socket.try_recv_from(&mut self.chunk[..DATAGRAM])?;
        Ok((from, length))
    }

    fn note_allocation(&mut self) {
        let allocations = self.stream.allocations.load(Ordering::Acquire);
        if allocations != self.allocations {
            self.allocations = allocations;
            let now = Instant::now();
            self.inlet.allocated_again(now, &self.stream.tracks());
            self.next_report = now;
        }
    }

    fn wishes(&mut self, now: Instant) {
        self.note_allocation();
        for track in self.stream.take_keyframe_wishes() {
            self.inlet.request_keyframe(now, track);
        }
        self.inlet.mute(now, self.stream.muted.load(Ordering::Relaxed));
        let dropped = self.stream.kernel_drops.load(Ordering::Relaxed);
        if dropped > self.kernel_drops {
            self.kernel_drops = dropped;
            self.inlet.on_kernel_drops(now);
        }
    }

    fn pass_on(&mut self, now: Instant, socket: &UdpSocket) {
        let answers = self.inlet.answers_keyframe_requests();
        self.stream.answers_keyframe_requests.store(answers, Ordering::Release);
        let items = self.inlet.take_items();
        let is_news = |item: &FeedItem| {
            !matches!(item, FeedItem::Packets { .. } | FeedItem::Clock { .. } | FeedItem::Uplink(_))
        };
        let news = items.iter().any(is_news);
        let changed = self.stream.state() != self.inlet.state() || news;
        if changed || now >= self.next_report {
            self.next_report = now + REPORT;
            self.report(now);
        }
        // After the report: whoever reacts to the batch finds the parameters there.
        self.relay.sinks.deliver(FeedBatch { stream: self.stream.id, items });
        for transmit in self.inlet.take_transmits() {
            if let Err(error) = socket.try_send_to(&transmit.packet, transmit.to) {
                debug!(stream = %self.stream.id, to = %transmit.to, %error, "RTCP to the publisher not sent");
            }
        }
        self.complain(now);
    }

    fn report(&mut self, now: Instant) {
        self.inlet.on_sound(now, self.stream.sound.level(now).map(|level| level.silent_for));
        if self.stream.set_report(self.inlet.report(now)) {
            let state = self.inlet.state();
            debug!(stream = %self.stream.id, port = self.stream.port, ?state, "stream changed");
            self.relay.streams.changed();
        }
    }

    fn complain(&mut self, now: Instant) {
        let malformed = self.inlet.malformed();
        let (due, before) = match self.complained {
            Some((at, before)) => (now.saturating_duration_since(at) >= COMPLAIN, before),
            None => (true, 0),
        };
        if due && malformed > before {
            self.complained = Some((now, malformed));
            let refused = self.inlet.report(now).refused;
            warn!(stream = %self.stream.id, port = self.stream.port, ?refused, "malformed datagrams dropped");
        }
    }
}
