//! aiortc, a WebRTC stack in Python, as a foreign publisher over WHIP.

use crate::foreign::Foreign;

/// Publishes 25 moving pictures a second (`codec`: `h264` or `vp8`) and a tone, for as long as it lives.
pub fn publish(url: &str, key: &str, codec: &str) -> anyhow::Result<Foreign> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/support/aiortc_publisher.py");
    // Debian's own Python: another one before it does not see Debian's packages.
    Foreign::start("/usr/bin/python3", "python3-aiortc", [script, url, key, codec])
}
