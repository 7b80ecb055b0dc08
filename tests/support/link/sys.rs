//! The system calls that the standard library has no words for: a namespace of one's own, and a TUN device in it.

#![allow(unsafe_code, reason = "unshare and TUNSETIFF are only offered by the C library")]

use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::AsRawFd,
};

/// Moves the calling thread, and no other, into a network namespace of its own.
///
/// # Errors
/// Without the right to do so.
pub(super) fn leave_network() -> io::Result<()> {
    // SAFETY: takes no pointers; changes which network this thread's later calls see.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A new TUN device in the calling thread's namespace: one IP packet per read and per write. It lasts as long as the
/// file does. Without `IFF_VNET_HDR` the kernel cuts segmentation runs up before it hands them over.
///
/// # Errors
/// Without `/dev/net/tun`, or the right to use it.
pub(super) fn open_tun(name: &str) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: ifreq is plain data, for which all zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero: the name ends there.
    let room = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name[..room].iter_mut().zip(name.bytes()) {
        *to = from.cast_signed() as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one ifreq, which lives on this stack.
    match unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) } {
        0 => Ok(file),
        _ => Err(io::Error::last_os_error()),
    }
}
