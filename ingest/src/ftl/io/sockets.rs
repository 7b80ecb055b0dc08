//! Sockets with the options that each of them needs.

use std::{io, net::SocketAddr};

use heliograph_relay::grow_receive_buffer;
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
    grow_receive_buffer(&socket, receive_buffer);
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    UdpSocket::from_std(socket.into())
}
