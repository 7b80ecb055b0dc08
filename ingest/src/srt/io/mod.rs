//! Sockets and tasks: one task for each socket, which answers strangers and hands datagrams on, and one for each caller.

mod session;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use heliograph_relay::grow_receive_buffer;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{net::UdpSocket, sync::mpsc, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{
    SrtSettings,
    handshake::{Conclusion, Cookies, Head, Knock, Rejection},
};
use crate::{
    house::House,
    tcp::{ListenError, lacks_address_family},
};
use session::Newcomer;

/// The SRT door, open until its house closes or until it is dropped.
pub struct SrtServer {
    shared: Arc<Shared>,
    addrs: Vec<SocketAddr>,
}

struct Shared {
    settings: SrtSettings,
    house: Arc<House>,
    /// Cancelled when the house closes, or when the door is dropped.
    stop: CancellationToken,
}

impl SrtServer {
    /// Opens the sockets and starts to serve. Needs a tokio runtime.
    ///
    /// # Errors
    /// A port is taken, or an address is not ours.
    pub fn start(settings: SrtSettings, house: Arc<House>) -> Result<Self, ListenError> {
        let sockets = bind_all(&settings.listen)?;
        let addrs: Vec<_> = sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect();
        let stop = house.stop().child_token();
        let shared = Arc::new(Shared { settings, house, stop });
        for socket in sockets {
            let port = Port {
                shared: Arc::clone(&shared),
                socket: Arc::new(socket),
                cookies: Cookies::new(Instant::now()),
                socket_id: rand::random::<u32>() | 1,
                callers: HashMap::new(),
            };
            shared.house.sessions().spawn(port.run());
        }
        tracing::info!(?addrs, "SRT door is open");
        Ok(Self { shared, addrs })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }
}

impl Drop for SrtServer {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

/// One socket, and who calls there.
struct Port {
    shared: Arc<Shared>,
    socket: Arc<UdpSocket>,
    cookies: Cookies,
    /// What we go by before a caller has a session.
    socket_id: u32,
    /// As many as the house lets in.
    callers: HashMap<SocketAddr, Caller>,
}

struct Caller {
    remote_socket_id: u32,
    /// Closed when its session has ended.
    datagrams: mpsc::Sender<Bytes>,
}

impl Port {
    async fn run(mut self) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.shared.stop.clone();
        loop {
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok((length, from)) => self.on_datagram(from, &buffer[..length]),
                    Err(error) => {
                        tracing::warn!(%error, "cannot read from the SRT socket");
                        tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                    }
                },
                _ = sweep.tick() => self.callers.retain(|_, caller| !caller.datagrams.is_closed()),
                () = stop.cancelled() => return,
            }
        }
    }

    fn on_datagram(&mut self, from: SocketAddr, datagram: &[u8]) {
        let knock = Knock::parse(datagram);
        if let Some(caller) = self.callers.get(&from).filter(|caller| !caller.datagrams.is_closed()) {
            let other = matches!(&knock, Some(Knock::Conclusion(conclusion))
                if conclusion.socket_id != caller.remote_socket_id);
            if !other && !matches!(knock, Some(Knock::Induction(_))) {
                // A session that does not keep up loses packets, which SRT asks for again.
                let _ = caller.datagrams.try_send(Bytes::copy_from_slice(datagram));
                return;
            }
        }
        let now = Instant::now();
        match knock {
            Some(Knock::Induction(head)) => self.welcome(now, from, &head),
            Some(Knock::Conclusion(conclusion)) if self.cookies.is_good(now, from, conclusion.cookie) => {
                self.let_in(now, from, *conclusion);
            }
            _ => {}
        }
    }

    fn welcome(&self, now: Instant, from: SocketAddr, head: &Head) {
        // No longer than what came, so nobody can be flooded with our help.
        let answer = head.induction(self.socket_id, self.cookies.give(now, from));
        let _ = self.socket.try_send_to(&answer, from);
    }

    fn let_in(&mut self, now: Instant, from: SocketAddr, conclusion: Conclusion) {
        let Some(place) = self.shared.house.enter(from.ip()) else {
            tracing::debug!(remote = %from, "too many unauthenticated callers");
            let answer = conclusion.rejected(self.socket_id, Rejection::Overload);
            let _ = self.socket.try_send_to(&answer, from);
            return;
        };
        let (sender, datagrams) = mpsc::channel(QUEUE);
        let caller = Caller { remote_socket_id: conclusion.socket_id, datagrams: sender };
        // One that called from there before has lost its way back: its queue is closed.
        self.callers.insert(from, caller);
        let newcomer = Newcomer {
            shared: Arc::clone(&self.shared),
            socket: Arc::clone(&self.socket),
            remote: from,
            socket_id: rand::random::<u32>() | 1,
            arrived: now,
            conclusion,
            datagrams,
        };
        // In a task of its own, so that whatever goes wrong there stays there.
        self.shared.house.sessions().spawn(newcomer.serve(place));
    }
}

fn bind_all(addrs: &[SocketAddr]) -> Result<Vec<UdpSocket>, ListenError> {
    let mut sockets = Vec::new();
    let mut skipped = None;
    for &addr in addrs {
        match bind(addr) {
            Ok(socket) => sockets.push(socket),
            Err(source) if addr.ip().is_unspecified() && lacks_address_family(&source) => {
                tracing::warn!(%addr, error = %source, "this machine lacks an address family; not listening there");
                skipped = Some(ListenError { addr, source });
            }
            Err(source) => return Err(ListenError { addr, source }),
        }
    }
    match skipped {
        Some(error) if sockets.is_empty() => Err(error),
        _ => Ok(sockets),
    }
}

fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    grow_receive_buffer(&socket, RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    UdpSocket::from_std(socket.into())
}

const MAX_DATAGRAM: usize = 2048;
/// A keyframe of 8 Mbit/s has two hundred packets.
const QUEUE: usize = 1024;
const RECEIVE_BUFFER: usize = 4 << 20;
const SWEEP_EVERY: Duration = Duration::from_secs(1);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);
