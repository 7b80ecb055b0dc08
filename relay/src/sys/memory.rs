//! Memory that is free, and free for others too.

/// Gives pages that nothing is allocated in back to the system. The allocator keeps them for itself otherwise:
/// after a rush of handshakes, tens of kilobytes for each. Costs about a millisecond; not for busy threads.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointers; it only walks the allocator's own free lists under their locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
