//! Waiting for the socket and for other threads at once: epoll with an eventfd.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Wakes a worker from any thread. Wakes between two rounds of the worker cost one system call in all.
#[derive(Debug)]
pub(crate) struct Waker {
    event: OwnedFd,
    pending: AtomicBool,
}

impl Waker {
    /// # Errors
    /// When the process is out of file descriptors.
    pub(crate) fn new() -> io::Result<Waker> {
        // SAFETY: no pointers are passed; a non-negative result is a descriptor that nobody else owns.
        let event = unsafe {
            let fd = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Waker { event, pending: AtomicBool::new(false) })
    }

    /// Wakes the worker unless a wake is already on its way. Put the work into the queue before calling.
    pub(crate) fn wake(&self) {
        if self.pending.swap(true, Ordering::AcqRel) {
            return;
        }
        let one: u64 = 1;
        // SAFETY: eight readable bytes, as eventfd(2) asks. It can only fail when the counter is full, in which
        // case the worker is awake anyway.
        let _ = unsafe { libc::write(self.event.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// The worker's side: takes the wake. Empty the queue after calling, not before. Call it whenever the poller
    /// says so, even if nothing is pending any more: a late write to the eventfd must be read, or the level
    /// trigger would fire for ever.
    pub(crate) fn take(&self) {
        let mut count: u64 = 0;
        // SAFETY: eight writable bytes, as eventfd(2) asks; non-blocking, so an early read fails harmlessly.
        let _ = unsafe { libc::read(self.event.as_raw_fd(), (&raw mut count).cast(), 8) };
        self.pending.swap(false, Ordering::AcqRel);
    }

    #[cfg(test)]
    /// Whether somebody called since the last [`Waker::take`]; costs no system call.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }
}

/// What a wait ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ready {
    pub(crate) socket: bool,
    pub(crate) woken: bool,
}

/// One socket and one [`Waker`], level-triggered. TCP paths will add theirs here.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

const SOCKET: u64 = 0;
const WAKER: u64 = 1;

impl Poller {
    /// # Errors
    /// When the process is out of file descriptors.
    pub(crate) fn new(socket: &impl AsRawFd, waker: &Waker) -> io::Result<Poller> {
        // SAFETY: no pointers are passed; a non-negative result is a descriptor that nobody else owns.
        let epoll = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        let poller = Poller { epoll };
        poller.add(socket.as_raw_fd(), SOCKET)?;
        poller.add(waker.event.as_raw_fd(), WAKER)?;
        Ok(poller)
    }

    fn add(&self, fd: RawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: a valid epoll_event on the stack; the kernel copies it.
        let result =
            unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits until something is ready, at most `timeout` (forever without one). Rounded up to milliseconds.
    ///
    /// # Errors
    /// Only on a fault of ours (a bad descriptor).
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> io::Result<Ready> {
        let timeout_ms = timeout
            .map_or(-1, |t| libc::c_int::try_from(t.as_micros().div_ceil(1000)).unwrap_or(libc::c_int::MAX));
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 4];
        // SAFETY: `events` has room for the four entries announced.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                events.as_mut_ptr(),
                events.len() as libc::c_int,
                timeout_ms,
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted {
                Ok(Ready::default())
            } else {
                Err(error)
            };
        }
        let mut ready = Ready::default();
        for event in &events[..count as usize] {
            match event.u64 {
                SOCKET => ready.socket = true,
                _ => ready.woken = true,
            }
        }
        Ok(ready)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn wakes_are_merged_and_taken() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let waker = Waker::new().unwrap();
        let poller = Poller::new(&socket, &waker).unwrap();
        let short = Some(Duration::from_millis(1));
        assert_eq!(poller.wait(short).unwrap(), Ready::default());
        waker.wake();
        waker.wake();
        assert_eq!(poller.wait(None).unwrap(), Ready { socket: false, woken: true });
        waker.take();
        assert_eq!(poller.wait(short).unwrap(), Ready::default());
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert_eq!(poller.wait(None).unwrap(), Ready { socket: true, woken: false });
    }
}
