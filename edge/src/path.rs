//! The way between one peer and us: the unit that ICE validates and selects.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// One way to a peer. Two datagrams belong to the same path when all of this is equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// Datagrams on a shared UDP socket.
    Udp(UdpPath),
    /// A TCP connection with RFC 4571 framing.
    Tcp(TcpPath),
}

/// A UDP path: who sent, and which of our addresses was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UdpPath {
    /// The peer's address, as the socket gave it.
    pub remote: SocketAddr,
    /// Our address that the datagram hit, so that the answer can leave from it; `None` when the socket is
    /// bound to one address anyway.
    pub local: Option<IpAddr>,
}

/// A TCP path. The number belongs to whoever owns the connections; a new connection is a new path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TcpPath {
    /// Which connection.
    pub connection: u64,
    /// The peer's address.
    pub remote: SocketAddr,
}

impl Path {
    /// A UDP path; `local` is the address the datagram hit, when known.
    pub const fn udp(remote: SocketAddr, local: Option<IpAddr>) -> Self {
        Self::Udp(UdpPath { remote, local })
    }

    /// The peer's address.
    pub const fn remote(&self) -> SocketAddr {
        match self {
            Self::Udp(path) => path.remote,
            Self::Tcp(path) => path.remote,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(path) => write!(f, "udp {}", path.remote),
            Self::Tcp(path) => write!(f, "tcp {}", path.remote),
        }
    }
}
