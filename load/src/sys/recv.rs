//! Many datagrams out of one socket in one system call, still joined as the kernel delivered them (`UDP_GRO`), with the
//! moment each group arrived.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use socket2::Socket;

use super::clock::Mono;

/// Groups taken per call.
pub(crate) const BATCH: usize = 4;
/// Longest group: 64 KiB is the most that UDP can join.
const GROUP: usize = 1 << 16;
/// Room for a timestamp and a segment size, with their headers.
const CONTROL: usize = 96;

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// Buffers for one receive call.
pub(crate) struct Receiver {
    headers: Box<[libc::mmsghdr; BATCH]>,
    vectors: Box<[libc::iovec; BATCH]>,
    addresses: Box<[libc::sockaddr_in6; BATCH]>,
    controls: Box<[Control; BATCH]>,
    bytes: Box<[u8]>,
    filled: usize,
}

// SAFETY: the raw pointers inside only ever point at the boxes of the same value and are rewritten at the start
// of each call.
unsafe impl Send for Receiver {}

/// Datagrams of one sender that came together; each has `segment` bytes, the last may be shorter.
pub(crate) struct Group<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) segment: usize,
    /// When the kernel had it, on the wall clock in nanoseconds; the caller subtracts [`super::clock::wall_minus_mono`].
    wall_ns: Option<u64>,
    from: &'a libc::sockaddr_in6,
}

impl Group<'_> {
    /// When the kernel had it.
    pub(crate) fn arrived(&self, wall_minus_mono: u64) -> Option<Mono> {
        self.wall_ns.map(|wall| Mono(wall.saturating_sub(wall_minus_mono)))
    }

    /// Who sent it; only needed for what is handed to the peer connection.
    pub(crate) fn from(&self) -> Option<SocketAddr> {
        let port = u16::from_be(self.from.sin6_port);
        match i32::from(self.from.sin6_family) {
            libc::AF_INET => {
                // sockaddr_in { family, port, addr, .. }: the address lies where sin6_flowinfo does.
                let ip = Ipv4Addr::from(self.from.sin6_flowinfo.to_ne_bytes());
                Some(SocketAddr::new(ip.into(), port))
            }
            libc::AF_INET6 => Some(SocketAddr::new(Ipv6Addr::from(self.from.sin6_addr.s6_addr).into(), port)),
            _ => None,
        }
    }

    /// The single datagrams.
    pub(crate) fn datagrams(&self) -> std::slice::Chunks<'_, u8> {
        self.bytes.chunks(self.segment)
    }
}

impl Receiver {
    pub(crate) fn new() -> Receiver {
        // SAFETY: these are plain C structs for which all-zero bytes are a valid value.
        let (header, vector, address) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        Receiver {
            headers: Box::new([header; BATCH]),
            vectors: Box::new([vector; BATCH]),
            addresses: Box::new([address; BATCH]),
            controls: Box::new([Control([0; CONTROL]); BATCH]),
            bytes: vec![0; BATCH * GROUP].into_boxed_slice(),
            filled: 0,
        }
    }

    /// Takes what is there, without waiting, and returns how many groups; 0 when the socket is empty.
    ///
    /// # Errors
    /// Whatever the kernel reports other than "nothing there" (for example an ICMP error of an earlier send).
    pub(crate) fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        for (i, bytes) in self.bytes.chunks_exact_mut(GROUP).enumerate() {
            self.vectors[i] = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: GROUP };
            let header = &mut self.headers[i].msg_hdr;
            header.msg_name = (&raw mut self.addresses[i]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            header.msg_iov = &raw mut self.vectors[i];
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut self.controls[i]).cast();
            header.msg_controllen = CONTROL;
            header.msg_flags = 0;
        }
        self.filled = 0;
        // SAFETY: all `BATCH` headers point into boxes owned by `self` with their true lengths; the kernel
        // writes only within those.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if let Ok(received) = usize::try_from(received) {
            self.filled = received;
            return Ok(received);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
            _ => Err(error),
        }
    }

    /// The `i`-th group of the last call.
    pub(crate) fn group(&self, i: usize) -> Group<'_> {
        debug_assert!(i < self.filled);
        let header = &self.headers[i];
        let len = (header.msg_len as usize).min(GROUP);
        let control = &self.controls[i].0[..header.msg_hdr.msg_controllen.min(CONTROL)];
        let (segment, wall_ns) = read_control(control);
        Group {
            bytes: &self.bytes[i * GROUP..i * GROUP + len],
            segment: segment.unwrap_or(len).max(1),
            wall_ns,
            from: &self.addresses[i],
        }
    }
}

/// Segment size and arrival time, from the control messages of a receive.
fn read_control(control: &[u8]) -> (Option<usize>, Option<u64>) {
    let header = size_of::<libc::cmsghdr>();
    let word = size_of::<usize>();
    let (mut segment, mut arrived) = (None, None);
    let mut rest = control;
    while let Some(head) = rest.get(..header) {
        // cmsghdr { cmsg_len: usize, cmsg_level: i32, cmsg_type: i32 } on every 64-bit and 32-bit Linux.
        let int = |bytes: &[u8]| bytes.try_into().map(i32::from_ne_bytes).unwrap_or(-1);
        let len = head[..word].try_into().map(usize::from_ne_bytes).unwrap_or(0);
        let (level, kind) = (int(&head[word..word + 4]), int(&head[word + 4..word + 8]));
        let Some(data) = rest.get(header..len) else { break };
        match (level, kind) {
            (libc::SOL_UDP, libc::UDP_GRO) if data.len() >= 4 => {
                segment = usize::try_from(int(&data[..4])).ok().filter(|&size| size > 0);
            }
            (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS) if data.len() >= 2 * word => {
                let number = |bytes: &[u8]| bytes.try_into().map(usize::from_ne_bytes).unwrap_or(0) as u64;
                arrived = Some(number(&data[..word]) * 1_000_000_000 + number(&data[word..2 * word]));
            }
            _ => {}
        }
        rest = rest.get(len.div_ceil(word) * word..).unwrap_or_default();
    }
    (segment, arrived)
}

const _: () = assert!(size_of::<libc::cmsghdr>() == size_of::<usize>() + 8);
const _: () = assert!(size_of::<libc::timespec>() == 2 * size_of::<usize>());
const _: () = assert!(
    std::mem::offset_of!(libc::sockaddr_in, sin_addr)
        == std::mem::offset_of!(libc::sockaddr_in6, sin6_flowinfo)
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::net::UdpSocket;

    use super::super::clock::wall_minus_mono;
    use super::super::socket::bind;
    use super::*;

    #[test]
    fn datagrams_with_sender_and_arrival() {
        for ip in ["127.0.0.1", "::1"] {
            let socket = bind(ip.parse().unwrap(), true).unwrap();
            let mut receiver = Receiver::new();
            assert_eq!(receiver.receive(&socket).unwrap(), 0);
            let peer = UdpSocket::bind((ip, 0)).unwrap();
            let before = Mono::now();
            for text in ["one", "three"] {
                peer.send_to(text.as_bytes(), socket.local_addr().unwrap().as_socket().unwrap()).unwrap();
            }
            let after = Mono::now();
            assert_eq!(receiver.receive(&socket).unwrap(), 2);
            for (i, text) in ["one", "three"].iter().enumerate() {
                let group = receiver.group(i);
                assert_eq!(group.datagrams().collect::<Vec<_>>(), [text.as_bytes()]);
                assert_eq!(group.from(), Some(peer.local_addr().unwrap()));
                let arrived = group.arrived(wall_minus_mono()).unwrap();
                let slack = 50_000;
                assert!(arrived.0 + slack >= before.0 && arrived.0 <= after.0 + slack);
            }
        }
    }

    #[test]
    fn control_messages_that_make_no_sense_are_ignored() {
        assert_eq!(read_control(&[]), (None, None));
        assert_eq!(read_control(&[0; 40]), (None, None));
        assert_eq!(read_control(&[0xff; 40]), (None, None));
    }
}
