//! The ports that RTP from ingest comes in at: one per live stream.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
    net::{IpAddr, SocketAddr, UdpSocket},
    ops::RangeInclusive,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, Socket, Type};
use tracing::{info, warn};

use crate::{AllocateError, grow_receive_buffer};

/// Hands out bound sockets, and keeps what is given back out of use for a while.
#[derive(Debug)]
pub(crate) struct PortPool {
    address: IpAddr,
    range: RangeInclusive<u16>,
    rest: Duration,
    receive_buffer: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Ports nobody uses, longest unused first: a port comes back as late as possible.
    free: VecDeque<u16>,
    /// Given back a moment ago; the socket keeps others out, and stragglers from the next stream.
    resting: VecDeque<(u16, Instant, Option<UdpSocket>)>,
    /// Held by other programs when last tried, and whether that has been said.
    unbindable: BTreeMap<u16, io::ErrorKind>,
}

/// How the ports of a pool are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolUse {
    pub(crate) size: usize,
    pub(crate) busy: usize,
    pub(crate) resting: usize,
    pub(crate) unbindable: usize,
}

impl fmt::Display for PoolUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, busy, resting, unbindable } = self;
        write!(f, "{size} ports: {busy} in use, {resting} resting, {unbindable} held by other programs")
    }
}

impl PortPool {
    pub(crate) fn new(
        address: IpAddr,
        range: RangeInclusive<u16>,
        rest: Duration,
        receive_buffer: usize,
    ) -> Self {
        let state =
            State { free: range.clone().collect(), resting: VecDeque::new(), unbindable: BTreeMap::new() };
        Self { address, range, rest, receive_buffer, state: Mutex::new(state) }
    }

    /// A port and its socket: the wished one, or the one unused for longest.
    ///
    /// # Errors
    /// `PoolEmpty`, or for a wish `OutsidePool` and `PortTaken`.
    pub(crate) fn take(&self, now: Instant, wanted: Option<u16>) -> Result<(u16, UdpSocket), AllocateError> {
        let mut state = self.lock();
        state.wake(now, self.rest);
        if let Some(port) = wanted {
            if !self.range.contains(&port) {
                return Err(AllocateError::OutsidePool);
            }
            let place = state.free.iter().position(|&free| free == port).ok_or(AllocateError::PortTaken)?;
            let socket = self.try_port(&mut state, port).ok_or(AllocateError::PortTaken)?;
            state.free.remove(place);
            return Ok((port, socket));
        }
        for _ in 0..state.free.len() {
            let Some(port) = state.free.pop_front() else { break };
            if let Some(socket) = self.try_port(&mut state, port) {
                return Ok((port, socket));
            }
            state.free.push_back(port);
        }
        let used = self.usage_of(&state);
        warn!(%used, "no RTP port left");
        Err(AllocateError::PoolEmpty)
    }

    /// A port comes back with its socket. Ports that are not the pool's are simply closed.
    pub(crate) fn give_back(&self, now: Instant, port: u16, socket: Option<UdpSocket>) {
        if !self.range.contains(&port) {
            return;
        }
        if let Some(socket) = &socket {
            // A connected socket takes datagrams from its peer only: from here on the kernel drops them
            // instead of filling a buffer nobody reads.
            let _ = socket.connect(SocketAddr::new(self.address, port));
        }
        self.lock().resting.push_back((port, now, socket));
    }

    /// Binds a socket for RTP, inside or outside the pool.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn bind(&self, port: u16) -> io::Result<UdpSocket> {
        let address = SocketAddr::new(self.address, port);
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // As much as the system grants: a keyframe of a fast stream is hundreds of packets at once.
        grow_receive_buffer(&socket, self.receive_buffer);
        socket.bind(&address.into())?;
        Ok(socket.into())
    }

    /// How the ports are spread.
    #[cfg(test)]
    pub(crate) fn usage(&self) -> PoolUse {
        self.usage_of(&self.lock())
    }

    fn usage_of(&self, state: &State) -> PoolUse {
        let size = self.range.len();
        let (resting, unbindable) = (state.resting.len(), state.unbindable.len());
        PoolUse { size, busy: size - state.free.len() - resting, resting, unbindable }
    }

    fn try_port(&self, state: &mut State, port: u16) -> Option<UdpSocket> {
        match self.bind(port) {
            Ok(socket) => {
                if state.unbindable.remove(&port).is_some() {
                    info!(port, "RTP port can be bound again");
                }
                Some(socket)
            }
            Err(error) => {
                if state.unbindable.insert(port, error.kind()) != Some(error.kind()) {
                    warn!(port, %error, "RTP port cannot be bound, skipped");
                }
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ports that have rested long enough are free.
    fn wake(&mut self, now: Instant, rest: Duration) {
        while self.resting.front().is_some_and(|(_, since, _)| now.saturating_duration_since(*since) >= rest)
        {
            if let Some((port, _, socket)) = self.resting.pop_front() {
                drop(socket);
                self.free.push_back(port);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::{
        net::Ipv4Addr,
        sync::atomic::{AtomicU16, Ordering},
    };

    use super::*;

    const REST: Duration = Duration::from_secs(5);

    /// A pool of so many ports that are free, below the ephemeral ones. Other tests, also of other processes, look
    /// for theirs elsewhere.
    fn pool(size: u16) -> (PortPool, u16) {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let process = u16::try_from(std::process::id() % 200).unwrap();
        loop {
            let first = 12_000 + process * 50 + NEXT.fetch_add(size, Ordering::Relaxed) % 50;
            let range = first..=first + (size - 1);
            if range.clone().all(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok()) {
                return (PortPool::new(IpAddr::V4(Ipv4Addr::LOCALHOST), range, REST, 1 << 20), first);
            }
        }
    }

    #[test]
    fn run_dry_rested_and_refilled() {
        let t = Instant::now();
        let (pool, first) = pool(3);
        let taken: Vec<_> = (0..3).map(|_| pool.take(t, None).unwrap()).collect();
        assert_eq!(taken.iter().map(|(port, _)| *port).collect::<Vec<_>>(), [first, first + 1, first + 2]);
        assert_eq!(pool.take(t, None).unwrap_err(), AllocateError::PoolEmpty);
        assert_eq!(pool.usage(), PoolUse { size: 3, busy: 3, resting: 0, unbindable: 0 });

        for (port, socket) in taken.into_iter().rev() {
            pool.give_back(t, port, Some(socket));
        }
        let early = t + REST - Duration::from_millis(1);
        assert_eq!(pool.take(early, None).unwrap_err(), AllocateError::PoolEmpty);
        assert_eq!(pool.take(early, Some(first + 1)).unwrap_err(), AllocateError::PortTaken);
        assert!(UdpSocket::bind(("127.0.0.1", first + 1)).is_err(), "still bound while it rests");
        assert_eq!(pool.take(t + REST, None).unwrap().0, first + 2, "longest unused first");
    }

    #[test]
    fn wishes() {
        let t = Instant::now();
        let (pool, first) = pool(3);
        let (port, _socket) = pool.take(t, Some(first + 1)).unwrap();
        assert_eq!(port, first + 1);
        assert_eq!(pool.take(t, Some(first + 1)).unwrap_err(), AllocateError::PortTaken);
        assert_eq!(pool.take(t, Some(first + 3)).unwrap_err(), AllocateError::OutsidePool);
        assert_eq!(pool.take(t, None).unwrap().0, first);
    }

    #[test]
    fn ports_of_others_are_skipped_and_counted() {
        let t = Instant::now();
        let (pool, first) = pool(3);
        let other = UdpSocket::bind(("127.0.0.1", first)).unwrap();
        let kept: Vec<_> = (0..2).map(|_| pool.take(t, None).unwrap()).collect();
        assert_eq!(kept.iter().map(|(port, _)| *port).collect::<Vec<_>>(), [first + 1, first + 2]);
        assert_eq!(pool.take(t, Some(first)).unwrap_err(), AllocateError::PortTaken);
        assert_eq!(pool.usage(), PoolUse { size: 3, busy: 2, resting: 0, unbindable: 1 });
        drop(other);
        assert_eq!(pool.take(t, None).unwrap().0, first);
        assert_eq!(pool.usage().unbindable, 0);
    }

    #[test]
    fn a_resting_port_hears_nobody() {
        let t = Instant::now();
        let (pool, _) = pool(1);
        let (port, socket) = pool.take(t, None).unwrap();
        let watcher = socket.try_clone().unwrap();
        pool.give_back(t, port, Some(socket));
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        // Refused or lost, but not received.
        let _ = stranger.send_to(b"straggler", ("127.0.0.1", port));
        assert!(watcher.recv(&mut [0; 16]).is_err());
    }
}
