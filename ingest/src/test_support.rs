//! What the tests of this crate share.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use rand::RngExt as _;

/// A folder of its own for a test, removed at the end.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        let path =
            std::env::temp_dir().join(format!("heliograph-ingest-{:016x}", rand::rng().random::<u64>()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
