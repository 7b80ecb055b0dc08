//! Children that do not outlive this program, however it ends. The only unsafe code of the program stands here.

#![allow(
    unsafe_code,
    reason = "the standard library has no words for what a child does before it runs its program"
)]

use std::{io, process};

use tokio::process::Command;

/// Has the system kill the child when this program is gone: one that was killed itself cannot do it, and ffmpeg would go
/// on publishing.
pub(crate) fn dies_with_us(command: &mut Command) {
    let parent = process::id();
    let before_it_runs = move || {
        // SAFETY: neither call takes memory of ours, and both may be made between `fork` and `exec`.
        let (done, parent_now) =
            unsafe { (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), libc::getppid()) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        // Killed before the child could ask for that.
        if u32::try_from(parent_now) != Ok(parent) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    };
    // SAFETY: the closure allocates nothing and takes no lock; it makes the two calls above and reads a number.
    unsafe { command.pre_exec(before_it_runs) };
}
