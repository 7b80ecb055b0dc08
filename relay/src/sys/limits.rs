//! How many files the process may have open.

use std::io;

/// Soft and hard limit on open files.
///
/// # Errors
/// The operating system's refusal.
pub(crate) fn files() -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: one writable rlimit.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if result == 0 { Ok((limit.rlim_cur, limit.rlim_max)) } else { Err(io::Error::last_os_error()) }
}

/// Sets the soft limit; the hard one stays.
///
/// # Errors
/// The operating system's refusal, for example above the hard limit.
pub(crate) fn set_files(soft: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: files()?.1 };
    // SAFETY: one readable rlimit.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
