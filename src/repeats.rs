//! TCP that repeats what got lost soon: a viewer's first words are a few packets, and each of them is waited for.

#![allow(unsafe_code, reason = "an option of Linux for which no crate has a name yet")]

use std::os::fd::{AsFd, AsRawFd};

/// `TCP_RTO_MIN_US` of <linux/tcp.h>, since Linux 6.15 or 6.16.
const TCP_RTO_MIN_US: libc::c_int = 45;
/// The least time without an acknowledgement after which a packet is sent again, beyond a round trip. Linux waits for
/// 200 ms; receivers that hold acknowledgements back do so for about 40 ms, and hardly ever in the beginning.
const LEAST_MICROSECONDS: libc::c_int = 60_000;

/// Has the system repeat lost packets of this listener's connections after a round trip and 60 ms. Older systems keep their
/// 200 ms. A connection takes it over from its listener, and has to: what its handshake measures is rounded up to it.
pub(crate) fn soon(listener: &impl AsFd) {
    let micros = LEAST_MICROSECONDS;
    let size = size_of_val(&micros) as libc::socklen_t;
    // SAFETY: the descriptor is open as long as it is borrowed; the call reads `size` bytes of a number.
    let _ = unsafe {
        libc::setsockopt(
            listener.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            TCP_RTO_MIN_US,
            (&raw const micros).cast(),
            size,
        )
    };
}
