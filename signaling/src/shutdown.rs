//! Going down in order: everybody is told, then the server waits until the last socket is closed.

use std::{future::Future, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Shared by the program, which begins the shutdown, and every socket, which says goodbye.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tracker: TaskTracker,
}

impl Shutdown {
    /// Refuses new viewers and tells the present ones (`close` event `server_shutdown`).
    pub fn begin(&self) {
        self.token.cancel();
        self.tracker.close();
    }

    /// Waits until every socket is closed, at most `deadline`. Returns whether all were.
    pub async fn finished(&self, deadline: Duration) -> bool {
        tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok()
    }

    pub(crate) fn begun(&self) -> bool {
        self.token.is_cancelled()
    }

    pub(crate) async fn wait(&self) {
        self.token.cancelled().await;
    }

    /// A future that [`Self::finished`] waits for.
    pub(crate) fn track<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.tracker.track_future(future)
    }
}
