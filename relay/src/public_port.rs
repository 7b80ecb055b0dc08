//! A public UDP port beside those of the egress workers, opened and announced the same way: for publishers who come
//! over WebRTC.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use heliograph_edge::path::UdpPath;
use rand::RngExt as _;

use crate::{
    AnnouncedAddress,
    candidates::{Candidates, Reach},
    discovery::{self, Discovery},
    sys::{
        ready::Ready,
        recv::BatchReceiver,
        send::{BatchSender, Message},
        socket::{BufferSizes, MediaSocket},
    },
};

/// Where a port is opened, and what is told about it.
#[derive(Clone, Debug)]
pub struct PublicPortSettings {
    /// The address; `None` = all of them, IPv4 and IPv6.
    pub address: Option<IpAddr>,
    /// The UDP port; 0 = any that is free.
    pub port: u16,
    /// Addresses told to peers instead of those of the interfaces.
    pub announced: Vec<AnnouncedAddress>,
    /// `host:port` of a STUN server that tells our public address, where none is announced; see [`PublicPort::discover`].
    pub stun_server: Option<String>,
    /// Kernel receive buffer, bytes. The kernel may grant less (`net.core.rmem_max`).
    pub receive_buffer: usize,
    /// Kernel send buffer, bytes. The kernel may grant less (`net.core.wmem_max`).
    pub send_buffer: usize,
}

/// A non-blocking UDP socket that knows where it can be reached, and answers from the address that was hit.
pub struct PublicPort {
    socket: Ready,
    candidates: Candidates,
    stun_server: Option<String>,
    discovery: Discovery,
    sender: Mutex<BatchSender>,
}

/// Room for what comes in one go, kept between calls.
pub struct Received(BatchReceiver);

impl PublicPort {
    /// Opens the port. Needs a tokio runtime.
    ///
    /// # Errors
    /// The operating system's refusal, for example a port in use.
    pub fn bind(settings: &PublicPortSettings) -> io::Result<Self> {
        let buffers = BufferSizes { receive: settings.receive_buffer, send: settings.send_buffer };
        Ok(Self {
            socket: Ready::new(MediaSocket::bind(settings.address, settings.port, buffers)?)?,
            candidates: Candidates::new(settings.address, settings.announced.clone()),
            stun_server: settings.stun_server.clone(),
            discovery: Discovery::default(),
            sender: Mutex::new(BatchSender::new()),
        })
    }

    /// The bound address; the port is never zero.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.socket.get().local()
    }

    /// Where a peer is told to send to, best first. `reached` is the address of ours that it has reached already.
    pub async fn candidates(&self, reached: Option<IpAddr>) -> Vec<SocketAddr> {
        let socket = Reach {
            port: self.local().port(),
            ipv6: self.socket.get().is_ipv6(),
            wildcard: self.socket.get().is_wildcard(),
            discovered: self.discovery.found(),
        };
        self.candidates.of(socket, reached).await
    }

    /// Asks the STUN server for the public address of this port, again and again; the answer is noticed by
    /// [`receive`](Self::receive). Ends at once where there is no server.
    pub async fn discover(&self) {
        let Some(server) = &self.stun_server else { return };
        let mut told = None;
        for round in 0_u32.. {
            match discovery::resolve(server).await {
                Ok(addresses) => {
                    let reachable = |address: &&SocketAddr| address.is_ipv4() || self.socket.get().is_ipv6();
                    if let Some(&server) = addresses.iter().find(reachable) {
                        let request = self.discovery.ask(server, rand::rng().random());
                        // A request that cannot be sent is as good as lost.
                        let _ = self.send(UdpPath { remote: server, local: None }, &request);
                    }
                }
                Err(error) => tracing::warn!(server, %error, "cannot resolve the STUN server"),
            }
            tokio::time::sleep(discovery::pause(told.is_some(), round)).await;
            let found = self.discovery.found();
            if found.is_some() && found != told {
                tracing::info!(port = self.local().port(), public = ?found, "public address discovered");
                told = found;
            }
        }
    }

    /// Waits for datagrams, gives each to `take` and returns how many there were. Datagrams longer than 2048 bytes are
    /// cut.
    ///
    /// # Errors
    /// Whatever the kernel reports other than "nothing there" (for example an ICMP error of an earlier send).
    pub async fn receive(
        &self,
        into: &mut Received,
        mut take: impl FnMut(UdpPath, &mut [u8]),
    ) -> io::Result<usize> {
        let count = self.socket.readable(|socket| into.0.receive(socket)).await?;
        for at in 0..count {
            if let Some(datagram) = into.0.datagram(at) {
                let path = UdpPath { remote: datagram.remote, local: datagram.local };
                if matches!(datagram.bytes.first(), Some(0..=3))
                    && self.discovery.take(path.remote, datagram.bytes)
                {
                    continue;
                }
                take(path, datagram.bytes);
            }
        }
        Ok(count)
    }

    /// Sends one datagram, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when the send buffer is full, and whatever else the kernel says.
    pub fn send(&self, path: UdpPath, datagram: &[u8]) -> io::Result<()> {
        let len = u32::try_from(datagram.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let local = path.local.filter(|_| self.socket.get().is_wildcard());
        let message = Message { start: 0, len, segment: 0, remote: path.remote, local };
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.send(self.socket.get(), datagram, &[message]).map(drop)
    }
}

impl fmt::Debug for PublicPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicPort").field("local", &self.local()).finish_non_exhaustive()
    }
}

impl Received {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self(BatchReceiver::new())
    }
}

impl Default for Received {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::{net::UdpSocket, time::Duration};

    use super::*;

    #[tokio::test]
    async fn answers_leave_from_the_address_that_was_hit() {
        let port = PublicPort::bind(&PublicPortSettings {
            address: None,
            port: 0,
            announced: Vec::new(),
            stun_server: None,
            receive_buffer: 1 << 16,
            send_buffer: 1 << 16,
        })
        .unwrap();
        let number = port.local().port();
        let told = port.candidates(Some("127.0.0.2".parse().unwrap())).await;
        assert!(told.contains(&SocketAddr::new("127.0.0.2".parse().unwrap(), number)), "{told:?}");

        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        peer.send_to(b"question", ("127.0.0.2", number)).unwrap();
        let (mut received, mut from) = (Received::new(), None);
        let count = port.receive(&mut received, |path, bytes| {
            assert_eq!(bytes, b"question");
            from = Some(path);
        });
        assert_eq!(count.await.unwrap(), 1);
        port.send(from.unwrap(), b"answer").unwrap();
        let mut buffer = [0; 16];
        let (length, answered) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], answered), (&b"answer"[..], ([127, 0, 0, 2], number).into()));
    }
}
