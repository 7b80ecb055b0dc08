//! Waiting for what may not be there.

use std::{future::pending, time::Instant};

use futures_util::future::BoxFuture;

/// Waits for a future that may not be there; when it is done, it is not there any more. Safe to drop and to call again.
pub(crate) async fn finished<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    let Some(running) = future else { return pending().await };
    let result = running.await;
    *future = None;
    result
}

/// Waits until `at`; without it, for ever.
pub(crate) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => pending().await,
    }
}
