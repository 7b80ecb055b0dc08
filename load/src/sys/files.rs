//! How many files this process may have open: each viewer is one, two with a WebSocket.

use std::io;

/// Raises the limit of open files to at least `wanted` where that is allowed, and returns the limit in force.
///
/// # Errors
/// When the limit cannot even be read.
pub(crate) fn allow(wanted: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: one writable rlimit.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur >= wanted {
        return Ok(limit.rlim_cur);
    }
    // First also the hard limit, which only root may raise; else as far as it goes.
    for hard in [limit.rlim_max.max(wanted), limit.rlim_max] {
        let raised = libc::rlimit { rlim_cur: wanted.min(hard), rlim_max: hard };
        // SAFETY: one readable rlimit.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
            return Ok(raised.rlim_cur);
        }
    }
    Ok(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_high_enough_stays() {
        let now = allow(1).expect("readable");
        assert!(now >= 1);
        assert_eq!(allow(now).expect("readable"), now);
    }
}
