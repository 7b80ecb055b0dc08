//! Many datagrams to many peers in one system call.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::ptr;

use super::datagram::{ControlBuffer, ControlWriter, RawAddress};
use super::socket::MediaSocket;

/// Most messages of one call. The kernel's own limit is 1024; past a few dozen nothing is gained.
pub(crate) const MAX_MESSAGES: usize = 64;

/// One message: a stretch of the send buffer to one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message {
    /// Where it starts in the buffer.
    pub(crate) start: u32,
    /// Bytes in all.
    pub(crate) len: u32,
    /// Size of each datagram but the last, which may be shorter; 0 when the message is one datagram.
    pub(crate) segment: u16,
    /// Where to.
    pub(crate) remote: SocketAddr,
    /// Where from, on a wildcard socket.
    pub(crate) local: Option<IpAddr>,
}

/// The kernel's view of a batch of messages, kept between calls so that nothing is allocated.
pub(crate) struct BatchSender {
    headers: Box<[libc::mmsghdr; MAX_MESSAGES]>,
    vectors: Box<[libc::iovec; MAX_MESSAGES]>,
    addresses: Box<[RawAddress; MAX_MESSAGES]>,
    controls: Box<[ControlBuffer; MAX_MESSAGES]>,
}

// SAFETY: the raw pointers inside only ever point at the boxes of the same value and at the buffer given to
// `send`; they are rewritten at the start of each call, so moving the value to another thread is harmless.
unsafe impl Send for BatchSender {}

impl BatchSender {
    pub(crate) fn new() -> BatchSender {
        // SAFETY: these are plain C structs for which all-zero bytes are a valid value.
        let (header, vector) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        BatchSender {
            headers: Box::new([header; MAX_MESSAGES]),
            vectors: Box::new([vector; MAX_MESSAGES]),
            addresses: Box::new([RawAddress::EMPTY; MAX_MESSAGES]),
            controls: Box::new([ControlBuffer::EMPTY; MAX_MESSAGES]),
        }
    }

    /// Sends the first [`MAX_MESSAGES`] of `messages` and returns how many the kernel took.
    ///
    /// # Errors
    /// The error of the first message; nothing was sent then.
    ///
    /// # Panics
    /// When a message reaches past the end of `buffer`: a fault of the caller.
    pub(crate) fn send(
        &mut self,
        socket: &MediaSocket,
        buffer: &[u8],
        messages: &[Message],
    ) -> io::Result<usize> {
        let count = messages.len().min(MAX_MESSAGES);
        if count == 0 {
            return Ok(0);
        }
        let ipv6 = socket.is_ipv6();
        for (i, message) in messages[..count].iter().enumerate() {
            let bytes = &buffer[message.start as usize..][..message.len as usize];
            self.vectors[i] =
                libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            let name_len = self.addresses[i].write(message.remote, ipv6);
            let mut control = ControlWriter::new(&mut self.controls[i]);
            if message.segment != 0 {
                control.segment(message.segment);
            }
            if let Some(local) = message.local {
                control.source(local, ipv6);
            }
            let control_len = control.len();
            let header = &mut self.headers[i].msg_hdr;
            header.msg_name = (&raw mut self.addresses[i]).cast();
            header.msg_namelen = name_len;
            header.msg_iov = &raw mut self.vectors[i];
            header.msg_iovlen = 1;
            header.msg_control =
                if control_len == 0 { ptr::null_mut() } else { (&raw mut self.controls[i]).cast() };
            header.msg_controllen = control_len;
            header.msg_flags = 0;
        }
        // SAFETY: `count` headers were just filled with pointers into boxes owned by `self` and into `buffer`,
        // all alive until the call returns; the kernel only reads through them.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count as libc::c_uint,
                libc::MSG_DONTWAIT,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::super::socket::BufferSizes;
    use super::*;

    #[test]
    fn runs_arrive_as_single_datagrams_in_order() {
        let socket = MediaSocket::bind(None, 0, BufferSizes { receive: 1 << 16, send: 1 << 20 }).unwrap();
        let receivers = ["127.0.0.1:0", "127.0.0.1:0"].map(|a| UdpSocket::bind(a).unwrap());
        let buffer: Vec<u8> = (0..2500u32).map(|i| (i % 251) as u8).collect();
        let mut messages = Vec::new();
        for receiver in &receivers {
            receiver.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            let remote = receiver.local_addr().unwrap();
            let local = Some("127.0.0.1".parse().unwrap());
            messages.push(Message { start: 0, len: 2500, segment: 1000, remote, local });
            messages.push(Message { start: 7, len: 11, segment: 0, remote, local });
        }
        assert_eq!(BatchSender::new().send(&socket, &buffer, &messages).unwrap(), 4);
        for receiver in &receivers {
            let mut datagram = [0u8; 2048];
            for expected in [&buffer[..1000], &buffer[1000..2000], &buffer[2000..], &buffer[7..18]] {
                let (len, from) = receiver.recv_from(&mut datagram).unwrap();
                assert_eq!(&datagram[..len], expected);
                assert_eq!(from.port(), socket.local().port());
            }
        }
    }

    #[test]
    fn too_large_a_segment_is_an_error_of_the_first_message() {
        let socket = MediaSocket::bind(
            Some("127.0.0.1".parse().unwrap()),
            0,
            BufferSizes { receive: 1, send: 1 << 20 },
        )
        .unwrap();
        let buffer = vec![0u8; 65_600];
        let remote = "127.0.0.1:9".parse().unwrap();
        let message = Message { start: 0, len: 65_600, segment: 1200, remote, local: None };
        let error = BatchSender::new().send(&socket, &buffer, &[message]).unwrap_err();
        assert!(matches!(error.raw_os_error(), Some(libc::EMSGSIZE | libc::EINVAL)), "{error}");
    }
}
