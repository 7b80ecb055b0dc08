//! TCP listeners and connections of doors.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

/// Listens on all of these. One that is unspecified (`[::]`) and whose address family this machine lacks is skipped, as
/// long as another one listens.
pub(crate) fn listen_all(addrs: &[SocketAddr]) -> Result<Vec<TcpListener>, ListenError> {
    let mut listeners = Vec::new();
    let mut skipped = None;
    for &addr in addrs {
        match listen(addr) {
            Ok(listener) => listeners.push(listener),
            Err(source) if addr.ip().is_unspecified() && lacks_address_family(&source) => {
                tracing::warn!(%addr, error = %source, "this machine lacks an address family; not listening there");
                skipped = Some(ListenError { addr, source });
            }
            Err(source) => return Err(ListenError { addr, source }),
        }
    }
    match skipped {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok(listeners),
    }
}

/// The port is taken, or the address is not ours.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}: {source}")]
pub struct ListenError {
    /// The one in the settings.
    pub addr: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// An IPv6 listener takes no IPv4 connections: there is another one for those.
fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Each reply leaves at once and alone; a vanished peer is noticed even when nobody writes.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

pub(crate) fn lacks_address_family(error: &io::Error) -> bool {
    /// `EAFNOSUPPORT` of Linux; the standard library has no name for it.
    const ADDRESS_FAMILY_NOT_SUPPORTED: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(ADDRESS_FAMILY_NOT_SUPPORTED)
}

const BACKLOG: i32 = 1024;
const KEEPALIVE: Duration = Duration::from_secs(30);
