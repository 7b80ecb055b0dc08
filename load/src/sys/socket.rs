//! The UDP socket of one viewer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, Socket, Type};

/// Room for the burst of a keyframe that comes while the reader is elsewhere, in bytes.
const RECEIVE_BUFFER: usize = 1 << 20;
/// Position of the drop counter in what `SO_MEMINFO` fills in (`SK_MEMINFO_DROPS`, linux/sock_diag.h).
const MEMINFO_DROPS: usize = 8;

/// A non-blocking socket on a port that the system chose.
///
/// Datagrams carry the moment when the kernel had them (`SO_TIMESTAMPNS`), so what a busy reader takes to come round is
/// not counted as the server's delay.
///
/// # Errors
/// The system's refusal, for example no more ports.
pub(crate) fn bind(ip: IpAddr, receive_offload: bool) -> io::Result<Socket> {
    let domain = if ip.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    socket.bind(&SocketAddr::new(ip, 0).into())?;
    if set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER as libc::c_int).is_err() {
        // Without CAP_NET_ADMIN the kernel silently caps this at net.core.rmem_max.
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    }
    set(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    if receive_offload {
        // Kernels before 5.0 do not know it, and deliver datagrams one by one.
        let _ = set(&socket, libc::SOL_UDP, libc::UDP_GRO, 1);
    }
    Ok(socket)
}

/// Datagrams that the kernel dropped because this socket's buffer was full: our fault, not the server's.
pub(crate) fn dropped(socket: &Socket) -> u64 {
    let mut info = [0_u32; MEMINFO_DROPS + 1];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: pointer and length describe a live, writable array.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result == 0 { u64::from(info[MEMINFO_DROPS]) } else { 0 }
}

fn set(socket: &Socket, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let socket = bind("127.0.0.1".parse().unwrap(), true).unwrap();
        assert_eq!(dropped(&socket), 0);
        socket.set_recv_buffer_size(4096).unwrap();
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap().as_socket().unwrap();
        for _ in 0..50 {
            peer.send_to(&[0; 1200], to).unwrap();
        }
        assert!((1..50).contains(&dropped(&socket)));
    }
}
