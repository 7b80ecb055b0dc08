//! The UDP port of all publishers, and whose a datagram is: ICE checks name their session, everything else goes by the
//! address from which such a check has proven itself.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use heliograph_edge::{
    ice::{self, Route},
    path::UdpPath,
};
use heliograph_relay::{PublicPort, Received};
use tokio::sync::mpsc;

use super::peer;
use crate::house::House;

/// The port; clones share it.
#[derive(Clone)]
pub(super) struct Port {
    socket: Arc<PublicPort>,
    table: Arc<Mutex<Table>>,
}

/// A datagram for one session.
pub(super) struct Datagram {
    pub(super) at: Instant,
    pub(super) path: UdpPath,
    pub(super) bytes: Vec<u8>,
}

/// Who gets which datagrams.
#[derive(Default)]
struct Table {
    next: u32,
    sessions: HashMap<u32, mpsc::Sender<Datagram>>,
    addresses: HashMap<SocketAddr, u32>,
}

/// A session's place at the port; leaves when it is dropped.
pub(super) struct Slot {
    port: Port,
    number: u32,
    /// Oldest first.
    addresses: VecDeque<SocketAddr>,
}

impl Port {
    /// Serves the socket until the house closes.
    pub(super) fn serve(socket: PublicPort, house: &House) -> Self {
        let port = Self { socket: Arc::new(socket), table: Arc::default() };
        let (serving, stop) = (port.clone(), house.stop().clone());
        // No session of the house: the last goodbyes need the socket, and no shutdown should wait for it.
        tokio::spawn(async move {
            tokio::select! {
                _ = async { tokio::join!(serving.receive(), serving.socket.discover()) } => {}
                () = stop.cancelled() => {}
            }
        });
        port
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.socket.local()
    }

    /// Where a publisher is told to send to. `reached` is the address of ours that its request has reached.
    pub(super) async fn candidates(&self, reached: Option<IpAddr>) -> Vec<SocketAddr> {
        self.socket.candidates(reached).await
    }

    /// A place for one more session, and its datagrams.
    pub(super) fn slot(&self) -> (Slot, mpsc::Receiver<Datagram>) {
        let (sender, datagrams) = mpsc::channel(QUEUE);
        let mut table = self.table();
        while table.sessions.contains_key(&table.next) {
            table.next = table.next.wrapping_add(1);
        }
        let number = table.next;
        table.next = table.next.wrapping_add(1);
        table.sessions.insert(number, sender);
        (Slot { port: self.clone(), number, addresses: VecDeque::new() }, datagrams)
    }

    /// Sends to a publisher. What the kernel does not take is lost, as on any network.
    pub(super) fn send(&self, path: UdpPath, datagram: &[u8]) {
        if let Err(error) = self.socket.send(path, datagram) {
            tracing::debug!(%error, "a datagram to a publisher was not sent");
        }
    }

    async fn receive(&self) {
        let mut received = Received::new();
        loop {
            let take = |path: UdpPath, bytes: &mut [u8]| self.table().hand_over(Instant::now(), path, bytes);
            if let Err(error) = self.socket.receive(&mut received, take).await {
                // Of an earlier send to somebody; it is theirs, and now it is taken.
                tracing::trace!(%error, "WHIP port");
            }
            // A flood must not keep others from their turn.
            tokio::task::yield_now().await;
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn hand_over(&self, at: Instant, path: UdpPath, bytes: &[u8]) {
        let number = match ice::route_of(bytes) {
            Some(route) if route.worker == WORKER => Some(route.slot),
            Some(_) => None,
            None if peer::is_ours(bytes) => self.addresses.get(&path.remote).copied(),
            None => None,
        };
        if let Some(session) = number.and_then(|number| self.sessions.get(&number)) {
            // A session that is a thousand packets behind loses some.
            drop(session.try_send(Datagram { at, path, bytes: bytes.to_vec() }));
        }
    }
}

impl Slot {
    /// What the session's ICE name must say, so that its checks find it.
    pub(super) fn route(&self) -> Route {
        Route { worker: WORKER, slot: self.number }
    }

    /// Datagrams from here are this session's from now on; the check that proves it must be authentic and fresh.
    pub(super) fn own(&mut self, address: SocketAddr) {
        if self.addresses.back() == Some(&address) {
            return;
        }
        let mut table = self.port.table();
        table.addresses.insert(address, self.number);
        self.addresses.retain(|known| *known != address);
        self.addresses.push_back(address);
        if self.addresses.len() > MOST_ADDRESSES
            && let Some(oldest) = self.addresses.pop_front()
        {
            table.forget(oldest, self.number);
        }
    }
}

impl Table {
    /// The address may be somebody else's by now.
    fn forget(&mut self, address: SocketAddr, number: u32) {
        if self.addresses.get(&address) == Some(&number) {
            self.addresses.remove(&address);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.port.table();
        table.sessions.remove(&self.number);
        for address in &self.addresses {
            table.forget(*address, self.number);
        }
    }
}

/// There is one port.
const WORKER: u16 = 0;
/// Datagrams that may wait for their session: a tenth of a second at 100 Mbit/s.
const QUEUE: usize = 1024;
/// A publisher with more interfaces than this loses the oldest.
const MOST_ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn an_address_belongs_to_whoever_proved_it_last() {
        let mut table = Table::default();
        let (sender, mut first) = mpsc::channel(4);
        table.sessions.insert(1, sender);
        let (sender, mut second) = mpsc::channel(4);
        table.sessions.insert(2, sender);
        table.addresses.insert(address(1), 1);
        table.addresses.insert(address(2), 2);
        let path = |port| UdpPath { remote: address(port), local: None };
        let now = Instant::now();
        let rtp = [0x80, 96, 0, 0];
        table.hand_over(now, path(1), &rtp);
        table.hand_over(now, path(2), &rtp);
        table.hand_over(now, path(3), &rtp);
        table.hand_over(now, path(1), b"\xffnonsense");
        table.hand_over(now, path(1), b"");
        assert_eq!(first.try_recv().unwrap().path.remote, address(1));
        assert_eq!(second.try_recv().unwrap().path.remote, address(2));
        assert!(first.try_recv().is_err() && second.try_recv().is_err());
        table.addresses.insert(address(1), 2);
        table.forget(address(1), 1);
        table.hand_over(now, path(1), &rtp);
        assert_eq!(second.try_recv().unwrap().path.remote, address(1));
        table.forget(address(1), 2);
        assert_eq!(table.addresses.len(), 1);
    }
}
