//! The clocks that other processes share with us.

use std::io;
use std::time::Duration;

/// A moment of `CLOCK_MONOTONIC` in nanoseconds. All processes of a machine read the same clock, so a moment may
/// travel inside a packet; `std::time::Instant` hides its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Mono(pub(crate) u64);

impl Mono {
    /// Now.
    pub(crate) fn now() -> Mono {
        Mono(read(libc::CLOCK_MONOTONIC))
    }

    /// Time since `earlier`; zero when that lies ahead.
    pub(crate) fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment, later.
    pub(crate) fn plus(self, duration: Duration) -> Mono {
        Mono(self.0.saturating_add(nanos(duration)))
    }
}

/// A duration in nanoseconds; 584 years at most.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How far the monotonic clock lies behind the wall clock, in nanoseconds: the kernel stamps received datagrams with
/// the latter.
pub(crate) fn wall_minus_mono() -> u64 {
    // The smallest of a few readings: between the two calls the thread may be put aside.
    let reading = || {
        let mono = read(libc::CLOCK_MONOTONIC);
        read(libc::CLOCK_REALTIME).saturating_sub(mono)
    };
    (0..3).map(|_| reading()).min().unwrap_or(0)
}

/// Processor time (user and system) of a process, of all its threads, also of those that ended.
///
/// # Errors
/// When there is no such process.
pub(crate) fn process_cpu(pid: u32) -> io::Result<Duration> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut clock: libc::clockid_t = 0;
    // SAFETY: one writable clock id.
    let error = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: one writable timespec.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::from_nanos(as_nanos(time)))
}

/// Processor time of the calling thread.
pub(crate) fn thread_cpu() -> Duration {
    Duration::from_nanos(read(libc::CLOCK_THREAD_CPUTIME_ID))
}

/// Sleeps until a moment, as exactly as the kernel can.
pub(crate) fn sleep_until(due: Mono) {
    let at = libc::timespec {
        tv_sec: (due.0 / 1_000_000_000).try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: (due.0 % 1_000_000_000).try_into().unwrap_or(0),
    };
    // SAFETY: one readable timespec; the remaining time is not asked for. A signal ends the sleep early, and
    // the caller's loop looks at the clock anyway.
    unsafe {
        libc::clock_nanosleep(
            libc::CLOCK_MONOTONIC,
            libc::TIMER_ABSTIME,
            &raw const at,
            std::ptr::null_mut(),
        );
    }
}

/// Asks the kernel not to merge this thread's timers with later ones (50 us by default).
pub(crate) fn precise_timers() {
    // SAFETY: PR_SET_TIMERSLACK takes a number and no pointers; a refusal leaves the default.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1_000 as libc::c_ulong);
    }
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: one writable timespec; these clocks always exist.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    as_nanos(time)
}

fn as_nanos(time: libc::timespec) -> u64 {
    let (seconds, rest) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0) * 1_000_000_000 + rest.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_the_one_of_the_standard_library() {
        let (mine, theirs) = (Mono::now(), std::time::Instant::now());
        sleep_until(mine.plus(Duration::from_millis(5)));
        let (mine, theirs) = (Mono::now().since(mine), theirs.elapsed());
        assert!(mine >= Duration::from_millis(5));
        assert!(mine.abs_diff(theirs) < Duration::from_millis(5), "{mine:?} {theirs:?}");
    }

    #[test]
    fn processor_time_of_a_process_grows_with_its_work() {
        let before = process_cpu(std::process::id()).expect("our own");
        let start = thread_cpu();
        let mut sum = 0_u64;
        while thread_cpu() - start < Duration::from_millis(3) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(process_cpu(std::process::id()).expect("our own") - before >= Duration::from_millis(3));
        assert!(process_cpu(u32::MAX).is_err());
    }
}
