//! What all sessions of the door have in common.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::ports::MediaPorts;
use crate::{ftl::FtlSettings, house::House};

pub(super) struct Shared {
    pub(super) settings: FtlSettings,
    pub(super) house: Arc<House>,
    /// Cancelled with the door, at the latest with the house.
    pub(super) stop: CancellationToken,
    ports: Mutex<MediaPorts>,
}

impl Shared {
    pub(super) fn new(settings: FtlSettings, house: Arc<House>) -> Self {
        Self {
            ports: Mutex::new(MediaPorts::new(settings.media_ports.clone(), settings.port_rest)),
            stop: house.stop().child_token(),
            settings,
            house,
        }
    }

    pub(super) fn ports(&self) -> MutexGuard<'_, MediaPorts> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
