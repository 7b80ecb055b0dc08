//! Folders that vanish.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// A private folder, removed when dropped unless `HELIOGRAPH_KEEP` is set.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one below the system's folder for temporary files.
    pub fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!(
            "heliograph-test-{}-{:08x}",
            std::process::id(),
            rand::random::<u32>()
        ));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("HELIOGRAPH_KEEP").is_none() {
            // What cannot be removed is no reason to fail a test.
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
