//! PyAV, which brings an FFmpeg much newer than Debian's: Enhanced RTMP and WHIP as others write them.

use anyhow::ensure;

use crate::foreign::Foreign;

/// Publishes 25 moving pictures a second and a tone, for as long as it lives, with the muxer `format` and encoders by their
/// FFmpeg names; `options` are the muxer's, as `name=value`.
pub fn publish(
    format: &str,
    url: &str,
    video: &str,
    audio: &str,
    options: &[&str],
) -> anyhow::Result<Foreign> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/support/pyav_publisher.py");
    // Where scripts/test.sh installs it.
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/pyav/bin/python");
    ensure!(std::fs::exists(python)?, "PyAV is needed for this: scripts/pyav.sh installs it");
    let words = [script, format, url, video, audio].into_iter().chain(options.iter().copied());
    Foreign::start(python, "python3-venv", words)
}
