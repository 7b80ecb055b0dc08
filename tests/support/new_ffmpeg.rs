//! An `ffmpeg` much newer than Debian's.

use std::path::PathBuf;

use anyhow::Context;

/// The program, which the Python package `imageio-ffmpeg` brings.
///
/// # Errors
/// When it is not installed.
pub fn program() -> anyhow::Result<PathBuf> {
    // Where scripts/test.sh installs it: the versions of Python and ffmpeg are in the path.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/pyav/lib");
    let pythons = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut programs = pythons
        .filter_map(|python| std::fs::read_dir(python.path().join(BINARIES)).ok())
        .flat_map(|binaries| binaries.flatten().map(|binary| binary.path()));
    let is_program = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("ffmpeg-"))
    };
    programs.find(is_program).context("a new ffmpeg is needed for this: scripts/pyav.sh installs it")
}

const BINARIES: &str = "site-packages/imageio_ffmpeg/binaries";
