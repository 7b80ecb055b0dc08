//! What the handlers of one router share.

use std::sync::Arc;

use crate::{
    admission::Admission, backend::Backend, directory::Directory, preview::Keyframes,
    settings::SignalingSettings, whep_sessions::WhepSessions,
};

pub(crate) struct App {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) settings: Arc<SignalingSettings>,
    pub(crate) directory: Directory,
    pub(crate) sockets: Admission,
    pub(crate) event_readers: Admission,
    pub(crate) whep: WhepSessions,
    /// Stills of what is live; filled once it reads the relay's media.
    pub(crate) keyframes: Arc<Keyframes>,
}

impl App {
    /// Must be called inside a Tokio runtime.
    pub(crate) fn new(backend: Arc<dyn Backend>, settings: Arc<SignalingSettings>) -> Arc<Self> {
        Arc::new(Self {
            directory: Directory::start(Arc::clone(&backend)),
            sockets: Admission::new(settings.max_sockets, settings.max_pending_sockets_per_address),
            event_readers: Admission::new(settings.max_event_readers, settings.max_event_readers_per_address),
            whep: WhepSessions::default(),
            keyframes: Arc::default(),
            backend,
            settings,
        })
    }
}
