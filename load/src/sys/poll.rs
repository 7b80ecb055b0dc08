//! Which of thousands of sockets have something to read: epoll, edge-triggered. The kernel then need not look at each socket
//! a second time just to find it empty; whoever is told reads until nothing is left.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Sockets told per wait.
pub(crate) const EVENTS: usize = 512;

/// A set of sockets, each with the caller's number.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Box<[libc::epoll_event; EVENTS]>,
    filled: usize,
}

impl Poller {
    /// # Errors
    /// When the process is out of file descriptors.
    pub(crate) fn new() -> io::Result<Poller> {
        // SAFETY: no pointers are passed; a non-negative result is a descriptor that nobody else owns.
        let epoll = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Poller { epoll, events: Box::new([libc::epoll_event { events: 0, u64: 0 }; EVENTS]), filled: 0 })
    }

    /// Watches a socket for something new to read. It leaves the set when it is closed.
    ///
    /// # Errors
    /// When the socket is in the set already, or the system's limit of watches is reached.
    pub(crate) fn add(&self, socket: &impl AsRawFd, number: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket, number)
    }

    /// Stops watching a socket that stays open.
    ///
    /// # Errors
    /// When the socket is not in the set.
    pub(crate) fn remove(&self, socket: &impl AsRawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, socket, 0)
    }

    fn control(&self, operation: libc::c_int, socket: &impl AsRawFd, number: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: number };
        // SAFETY: a valid epoll_event on the stack; the kernel copies it.
        let result =
            unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, socket.as_raw_fd(), &raw mut event) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits until something is ready, at most `timeout` (rounded up to milliseconds, zero means not at all), and
    /// returns how many sockets are.
    ///
    /// # Errors
    /// Only on a fault of ours.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<usize> {
        let timeout_ms =
            libc::c_int::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(libc::c_int::MAX);
        // SAFETY: `events` has room for the `EVENTS` entries announced.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                EVENTS as libc::c_int,
                timeout_ms,
            )
        };
        self.filled = usize::try_from(count).unwrap_or(0);
        if count < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        Ok(self.filled)
    }

    /// The number of the `i`-th socket that is ready.
    pub(crate) fn ready(&self, i: usize) -> u64 {
        debug_assert!(i < self.filled);
        self.events[i].u64
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn tells_which_socket_has_something() {
        let mut poller = Poller::new().unwrap();
        let sockets = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        for (socket, number) in sockets.iter().zip(10..) {
            poller.add(socket, number).unwrap();
        }
        assert_eq!(poller.wait(Duration::ZERO).unwrap(), 0);
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.send_to(b"x", sockets[1].local_addr().unwrap()).unwrap();
        assert_eq!(poller.wait(Duration::from_secs(5)).unwrap(), 1);
        assert_eq!(poller.ready(0), 11);
        assert_eq!(poller.wait(Duration::ZERO).unwrap(), 0, "told once");
        peer.send_to(b"y", sockets[1].local_addr().unwrap()).unwrap();
        assert_eq!(poller.wait(Duration::from_secs(5)).unwrap(), 1, "something new");
        poller.remove(&sockets[1]).unwrap();
        assert_eq!(poller.wait(Duration::ZERO).unwrap(), 0);
    }
}
