//! Tells the authoriser what becomes of one publication: in order, and without anybody waiting for it.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::timeout};
use tokio_util::task::TaskTracker;

use crate::auth::{Authoriser, Ending, Publication, PublicationMetadata};

/// The way to the task that tells.
pub(super) struct Reports(mpsc::Sender<Report>);

enum Report {
    Started(Publication),
    Metadata(Publication, PublicationMetadata),
    Ended(Publication, Ending),
}

impl Reports {
    pub(super) fn start(tasks: &TaskTracker, authoriser: Arc<dyn Authoriser>) -> Self {
        let (sender, mut reports) = mpsc::channel(QUEUE);
        tasks.spawn(async move {
            while let Some(report) = reports.recv().await {
                let telling = match report {
                    Report::Started(publication) => authoriser.started(publication),
                    Report::Metadata(publication, metadata) => authoriser.metadata(publication, metadata),
                    Report::Ended(publication, ending) => authoriser.ended(publication, ending),
                };
                if timeout(DEADLINE, telling).await.is_err() {
                    tracing::warn!("the authoriser takes too long to hear a report");
                }
            }
        });
        Self(sender)
    }

    pub(super) fn started(&self, publication: Publication) {
        let _ = self.0.try_send(Report::Started(publication));
    }

    /// Skipped when the queue is filling up, so that the end always has room.
    pub(super) fn metadata(&self, publication: Publication, metadata: PublicationMetadata) {
        if self.0.capacity() > 2 {
            let _ = self.0.try_send(Report::Metadata(publication, metadata));
        }
    }

    pub(super) fn ended(self, publication: Publication, ending: Ending) {
        let _ = self.0.try_send(Report::Ended(publication, ending));
    }
}

const QUEUE: usize = 8;
const DEADLINE: Duration = Duration::from_secs(5);
