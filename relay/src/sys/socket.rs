//! The UDP socket of one egress worker.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};

/// A non-blocking UDP socket that knows its family and whether it is bound to the wildcard address.
#[derive(Debug)]
pub(crate) struct MediaSocket {
    socket: Socket,
    local: SocketAddr,
    ipv6: bool,
    wildcard: bool,
    gso: bool,
    buffers: BufferSizes,
}

/// What the kernel granted, in bytes of its own accounting (twice the payload, socket(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BufferSizes {
    pub(crate) receive: usize,
    pub(crate) send: usize,
}

impl MediaSocket {
    /// Binds `port` on `address`; without an address on all IPv4 and IPv6 addresses at once, or on all
    /// IPv4 addresses when the host has no IPv6.
    ///
    /// # Errors
    /// The operating system's refusal, for example a port in use.
    pub(crate) fn bind(address: Option<IpAddr>, port: u16, wanted: BufferSizes) -> io::Result<MediaSocket> {
        match address {
            Some(ip) => Self::bind_one(ip, port, wanted),
            None => match Self::bind_one(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port, wanted) {
                Err(error) if no_ipv6(&error) => {
                    Self::bind_one(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port, wanted)
                }
                other => other,
            },
        }
    }

    fn bind_one(ip: IpAddr, port: u16, wanted: BufferSizes) -> io::Result<MediaSocket> {
        let domain = if ip.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
        let wildcard = ip.is_unspecified();
        if ip.is_ipv6() {
            socket.set_only_v6(!wildcard)?;
        }
        if wildcard {
            let (level, option) = match ip {
                IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
                IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
            };
            set_option(&socket, level, option, 1)?;
        }
        // A full receive queue must not turn into ICMP-driven send errors for unrelated viewers, and path
        // MTU discovery stays on the kernel's default; both are the defaults of unconnected UDP sockets.
        socket.bind(&SocketAddr::new(ip, port).into())?;
        let buffers = BufferSizes {
            receive: grow_receive_buffer(&socket, wanted.receive),
            send: grow(&socket, libc::SO_SNDBUF, libc::SO_SNDBUFFORCE, wanted.send),
        };
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
        // Setting the option to zero changes nothing and fails where the kernel does not know it (before 4.18).
        let gso = set_option(&socket, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok();
        Ok(MediaSocket { socket, local, ipv6: ip.is_ipv6(), wildcard, gso, buffers })
    }

    /// The bound address; the port is never zero.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether the kernel takes IPv6 addresses here (IPv4 peers then in their mapped form).
    pub(crate) fn is_ipv6(&self) -> bool {
        self.ipv6
    }

    /// Whether answers must name the address that was hit.
    pub(crate) fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// Whether the kernel can cut one large send into datagrams.
    pub(crate) fn has_gso(&self) -> bool {
        self.gso
    }

    /// Buffer sizes the kernel granted.
    pub(crate) fn buffers(&self) -> BufferSizes {
        self.buffers
    }

    /// Makes the kernel refuse runs (EINVAL), as it does where checksums cannot be offloaded.
    #[cfg(test)]
    pub(crate) fn refuse_runs(&self) {
        set_option(&self.socket, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).expect("a known option");
    }

    /// Waits until the socket takes data again, at most `timeout_ms`. True when it does.
    pub(crate) fn wait_writable(&self, timeout_ms: i32) -> bool {
        let mut poll = libc::pollfd { fd: self.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        // SAFETY: one valid pollfd on the stack, count one.
        let ready = unsafe { libc::poll(&raw mut poll, 1, timeout_ms) };
        ready == 1
    }
}

impl AsRawFd for MediaSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn no_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL | libc::EPROTONOSUPPORT))
}

fn set_option(
    socket: &Socket,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the pointer and length describe a live c_int, which is what all options used here expect.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Asks for a receive buffer of `wanted` bytes, past `net.core.rmem_max` where the process may (`CAP_NET_ADMIN`), and
/// returns what the kernel granted.
pub fn grow_receive_buffer(socket: &Socket, wanted: usize) -> usize {
    grow(socket, libc::SO_RCVBUF, libc::SO_RCVBUFFORCE, wanted)
}

/// Asks for a buffer of `wanted` bytes, past the system limit where we are allowed to, and returns what we got.
fn grow(socket: &Socket, option: libc::c_int, force: libc::c_int, wanted: usize) -> usize {
    let value = libc::c_int::try_from(wanted).unwrap_or(libc::c_int::MAX);
    if set_option(socket, libc::SOL_SOCKET, force, value).is_err() {
        // Without CAP_NET_ADMIN the kernel silently caps this at net.core.{r,w}mem_max.
        let _ = set_option(socket, libc::SOL_SOCKET, option, value);
    }
    let granted =
        if option == libc::SO_RCVBUF { socket.recv_buffer_size() } else { socket.send_buffer_size() };
    granted.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const SMALL: BufferSizes = BufferSizes { receive: 1 << 16, send: 1 << 16 };

    #[test]
    fn wildcard_takes_both_families() {
        let socket = MediaSocket::bind(None, 0, SMALL).unwrap();
        assert!(socket.is_wildcard());
        assert_ne!(socket.local().port(), 0);
        assert!(socket.buffers().receive >= 1 << 16);
    }

    #[test]
    fn a_receive_buffer_is_as_large_as_was_said() {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        let granted = grow_receive_buffer(&socket, 1 << 16);
        // The kernel doubles what it is asked for, for its own book-keeping.
        assert!(granted >= 1 << 16);
        assert_eq!(granted, socket.recv_buffer_size().unwrap());
    }

    #[test]
    fn a_port_in_use_is_refused() {
        let first = MediaSocket::bind(Some("127.0.0.1".parse().unwrap()), 0, SMALL).unwrap();
        let again = MediaSocket::bind(Some("127.0.0.1".parse().unwrap()), first.local().port(), SMALL);
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
