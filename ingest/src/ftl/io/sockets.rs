//! Sockets with the options that each of them needs.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// A public media port on the address that the publisher's control connection reached.
pub(super) fn bind_media(local: SocketAddr, port: u16, receive_buffer: usize) -> io::Result<UdpSocket> {
    let mut addr = local;
    addr.set_port(port);
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The kernel grants what its limit allows.
    socket.set_recv_buffer_size(receive_buffer)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    UdpSocket::from_std(socket.into())
}
