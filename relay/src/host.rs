//! What this machine grants the process: open files for now.

use std::{fs, io, os::unix::fs::MetadataExt as _};

use crate::sys::limits;

/// More files than this nobody needs, and some programs that inherit the limit walk through all of it.
const MOST_FILES: u64 = 1 << 20;

/// The limit on open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimit {
    /// What holds now.
    pub soft: u64,
    /// How far the process may raise it.
    pub hard: u64,
}

/// The limit on open files; `None` where the system does not tell.
#[must_use]
pub fn file_limit() -> Option<FileLimit> {
    limits::files().ok().map(|(soft, hard)| FileLimit { soft, hard })
}

/// Raises the soft limit on open files as far as the process may, and returns what holds then. Programs that it
/// starts inherit it.
///
/// # Errors
/// The operating system's refusal.
pub fn raise_file_limit() -> io::Result<FileLimit> {
    let (soft, hard) = limits::files()?;
    let wanted = hard.min(MOST_FILES);
    if soft < wanted {
        limits::set_files(wanted)?;
    }
    let (soft, hard) = limits::files()?;
    Ok(FileLimit { soft, hard })
}

/// Open files of this process; `None` where the system does not tell.
#[must_use]
pub fn open_files() -> Option<u64> {
    const TABLE: &str = "/proc/self/fd";
    // Since Linux 6.2 the folder's size is the number; before, one has to count.
    match fs::metadata(TABLE).ok()?.size() {
        // Counting opens the folder itself.
        0 => Some(fs::read_dir(TABLE).ok()?.count().saturating_sub(1) as u64),
        size => Some(size),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn open_files_are_counted() {
        let before = open_files().unwrap();
        let held: Vec<_> = (0..50).map(|_| fs::File::open("/proc/self/stat").unwrap()).collect();
        let during = open_files().unwrap();
        // Other tests open and close files meanwhile, but not fifty.
        assert!(during >= before + 25, "{before} -> {during}");
        assert_eq!(held.len(), 50);
        assert!(during <= file_limit().unwrap().soft);
    }

    #[test]
    fn the_limit_is_raised_to_the_hard_one() {
        let limit = raise_file_limit().unwrap();
        assert!(limit.soft >= limit.hard.min(MOST_FILES));
        assert_eq!(file_limit(), Some(limit));
    }
}
