//! How many processors we may use, which, and how much of one a thread has used.

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

/// Egress workers to start when the operator gives no number: the processors in the inherited affinity mask,
/// but no more than the control group's quota pays for.
pub(crate) fn default_workers() -> NonZeroUsize {
    let mask = allowed_cpus().map_or(1, |cpus| cpus.len());
    let quota = cgroup_quota(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"));
    let workers = quota.map_or(mask, |q| mask.min(q.ceil() as usize));
    NonZeroUsize::new(workers).unwrap_or(NonZeroUsize::MIN)
}

/// The processors the calling thread may run on, in ascending order.
///
/// # Errors
/// Where the kernel has more processors than the mask of the C library holds.
pub(crate) fn allowed_cpus() -> io::Result<Vec<usize>> {
    // SAFETY: an all-zero cpu_set_t is the empty set; the length passed is its size, and CPU_ISSET only reads
    // within it for indexes below CPU_SETSIZE.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((0..libc::CPU_SETSIZE as usize).filter(|&cpu| libc::CPU_ISSET(cpu, &set)).collect())
    }
}

/// Keeps the calling thread on one processor. Callers pick it from [`allowed_cpus`].
///
/// # Errors
/// When the processor is not ours to use.
pub(crate) fn pin_to(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: as above; `cpu` is below CPU_SETSIZE.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Processor time (user and system) the calling thread has used.
pub(crate) fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: one writable timespec; the clock exists on every Linux.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    if result == 0 {
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
    } else {
        Duration::ZERO
    }
}

/// Processors granted by the control group (version 2, or version 1 as fallback); none when unlimited.
fn cgroup_quota(membership: &Path, root: &Path) -> Option<f64> {
    let membership = fs::read_to_string(membership).ok()?;
    let mut tightest: Option<f64> = None;
    let mut take = |quota: Option<f64>| {
        if let Some(quota) = quota {
            tightest = Some(tightest.map_or(quota, |t| t.min(quota)));
        }
    };
    for line in membership.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let path = Path::new(path.trim_start_matches('/'));
        if controllers.is_empty() {
            // Every ancestor may set a limit of its own; the tightest holds.
            for dir in path.ancestors() {
                let max = fs::read_to_string(root.join(dir).join("cpu.max")).ok();
                take(max.as_deref().and_then(parse_cpu_max));
            }
        } else if controllers.split(',').any(|c| c == "cpu") {
            for dir in path.ancestors() {
                let dir = root.join("cpu").join(dir);
                let quota = fs::read_to_string(dir.join("cpu.cfs_quota_us")).ok();
                let period = fs::read_to_string(dir.join("cpu.cfs_period_us")).ok();
                if let (Some(quota), Some(period)) = (quota, period) {
                    take(parse_cpu_max(&format!("{} {}", quota.trim(), period.trim())));
                }
            }
        }
    }
    tightest
}

/// `"200000 100000"` is two processors, `"max 100000"` (or -1) no limit.
fn parse_cpu_max(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let quota: f64 = words.next()?.parse().ok()?;
    let period: f64 = words.next().unwrap_or("100000").parse().ok()?;
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn quota_texts() {
        for (text, expected) in [
            ("max 100000\n", None),
            ("200000 100000\n", Some(2.0)),
            ("50000 100000", Some(0.5)),
            ("-1 100000", None),
            ("", None),
            ("0 0", None),
        ] {
            assert_eq!(parse_cpu_max(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_tightest_ancestor_counts() {
        let root = std::env::temp_dir().join(format!("heliograph-cgroup-{}", std::process::id()));
        let leaf = root.join("machine/app");
        fs::create_dir_all(&leaf).unwrap();
        fs::write(leaf.join("cpu.max"), "400000 100000\n").unwrap();
        fs::write(root.join("machine/cpu.max"), "150000 100000\n").unwrap();
        fs::write(root.join("membership"), "0::/machine/app\n").unwrap();
        let quota = cgroup_quota(&root.join("membership"), &root);
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(quota, Some(1.5));
    }

    #[test]
    fn the_mask_is_not_empty_and_pinning_stays_inside_it() {
        let cpus = allowed_cpus().unwrap();
        assert!(!cpus.is_empty());
        let first = cpus[0];
        std::thread::spawn(move || {
            pin_to(first).unwrap();
            assert_eq!(allowed_cpus().unwrap(), [first]);
        })
        .join()
        .unwrap();
        assert!(pin_to(usize::MAX).is_err());
        assert!(default_workers().get() <= cpus.len());
        assert!(thread_time() > Duration::ZERO);
    }
}
