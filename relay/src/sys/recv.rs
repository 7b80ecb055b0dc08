//! Many datagrams out of one socket in one system call, with the local address each one hit.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use super::datagram::{ControlBuffer, RawAddress, local_address};
use super::socket::MediaSocket;

/// Datagrams taken per call.
pub(crate) const BATCH: usize = 32;
/// Longest datagram we look at: nothing a viewer sends is longer than an Ethernet frame; longer ones are cut
/// by the kernel and then fail their own checks.
const DATAGRAM: usize = 2048;

/// Buffers for one receive call.
pub(crate) struct BatchReceiver {
    headers: Box<[libc::mmsghdr; BATCH]>,
    vectors: Box<[libc::iovec; BATCH]>,
    addresses: Box<[RawAddress; BATCH]>,
    controls: Box<[ControlBuffer; BATCH]>,
    bytes: Box<[[u8; DATAGRAM]; BATCH]>,
    filled: usize,
}

// SAFETY: the raw pointers inside only ever point at the boxes of the same value and are rewritten at the start
// of each call.
unsafe impl Send for BatchReceiver {}

/// One datagram as it came; the bytes may be changed in place (SRTCP is opened there).
pub(crate) struct Datagram<'a> {
    pub(crate) remote: SocketAddr,
    pub(crate) local: Option<IpAddr>,
    pub(crate) bytes: &'a mut [u8],
}

impl BatchReceiver {
    pub(crate) fn new() -> BatchReceiver {
        // SAFETY: these are plain C structs for which all-zero bytes are a valid value.
        let (header, vector) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        BatchReceiver {
            headers: Box::new([header; BATCH]),
            vectors: Box::new([vector; BATCH]),
            addresses: Box::new([RawAddress::EMPTY; BATCH]),
            controls: Box::new([ControlBuffer::EMPTY; BATCH]),
            bytes: Box::new([[0; DATAGRAM]; BATCH]),
            filled: 0,
        }
    }

    /// Takes what is there, without waiting, and returns how many datagrams; 0 when the socket is empty.
    ///
    /// # Errors
    /// Whatever the kernel reports other than "nothing there" (for example an ICMP error of an earlier send).
    pub(crate) fn receive(&mut self, socket: &MediaSocket) -> io::Result<usize> {
        for i in 0..BATCH {
            self.vectors[i] = libc::iovec { iov_base: self.bytes[i].as_mut_ptr().cast(), iov_len: DATAGRAM };
            let header = &mut self.headers[i].msg_hdr;
            header.msg_name = (&raw mut self.addresses[i]).cast();
            header.msg_namelen = RawAddress::LEN;
            header.msg_iov = &raw mut self.vectors[i];
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut self.controls[i]).cast();
            header.msg_controllen = size_of::<ControlBuffer>();
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
        if received >= 0 {
            self.filled = received as usize;
            return Ok(self.filled);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
            _ => Err(error),
        }
    }

    /// The `i`-th datagram of the last call; none when its sender's address is unreadable.
    pub(crate) fn datagram(&mut self, i: usize) -> Option<Datagram<'_>> {
        if i >= self.filled {
            return None;
        }
        let header = &self.headers[i];
        let remote = self.addresses[i].read(header.msg_hdr.msg_namelen)?;
        let control = &self.controls[i].0[..header.msg_hdr.msg_controllen.min(size_of::<ControlBuffer>())];
        let local = local_address(control);
        let len = (header.msg_len as usize).min(DATAGRAM);
        Some(Datagram { remote, local, bytes: &mut self.bytes[i][..len] })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::net::UdpSocket;

    use super::super::socket::BufferSizes;
    use super::*;

    #[test]
    fn tells_the_address_that_was_hit() {
        let socket = MediaSocket::bind(None, 0, BufferSizes { receive: 1 << 16, send: 1 << 16 }).unwrap();
        let mut receiver = BatchReceiver::new();
        assert_eq!(receiver.receive(&socket).unwrap(), 0);
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        for (target, text) in [("127.0.0.1", "one"), ("127.0.0.2", "two")] {
            peer.send_to(text.as_bytes(), (target, socket.local().port())).unwrap();
        }
        assert_eq!(receiver.receive(&socket).unwrap(), 2);
        for (i, (target, text)) in [("127.0.0.1", "one"), ("127.0.0.2", "two")].iter().enumerate() {
            let datagram = receiver.datagram(i).unwrap();
            assert_eq!(datagram.remote, peer.local_addr().unwrap());
            assert_eq!(datagram.local, Some(target.parse().unwrap()));
            assert_eq!(datagram.bytes, text.as_bytes());
        }
        assert!(receiver.datagram(2).is_none());
    }
}
