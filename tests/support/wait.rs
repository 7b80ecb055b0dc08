//! Waiting for something to become true, with a limit and a name.

use std::time::{Duration, Instant};

use anyhow::bail;

/// How often a condition without an event of its own is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks again and again until `condition` gives a value; fails with `what` after `limit`. For conditions that
/// only a question to the server can answer; where there is an event, await that.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return Ok(value);
        }
        if begun.elapsed() > limit {
            bail!("{what}: not within {limit:?}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
