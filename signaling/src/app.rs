//! What the handlers of one router share.

use std::sync::Arc;

use heliograph_relay::StreamId;

use crate::{
    admission::Admission,
    backend::Backend,
    directory::{self, Directory},
    messages::ClockAnswer,
    preview,
    settings::SignalingSettings,
    whep_sessions::WhepSessions,
};

pub(crate) struct App {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) settings: Arc<SignalingSettings>,
    pub(crate) directory: Directory,
    pub(crate) sockets: Admission,
    pub(crate) event_readers: Admission,
    pub(crate) whep: WhepSessions,
    /// Stills of what is live; filled once it reads the relay's media.
    pub(crate) keyframes: Arc<preview::Keyframes>,
    pub(crate) previews: preview::Budget,
}

impl App {
    /// The server's clock, and how late `stream` is already when it gets here: the answer to a viewer's `clock`.
    pub(crate) fn clock(&self, client_us: u64, stream: Option<StreamId>) -> ClockAnswer {
        let server_us = u64::try_from(self.backend.report_clock().as_micros()).unwrap_or(u64::MAX);
        let uplink = stream.and_then(|stream| self.backend.uplink(stream)).map(directory::uplink);
        ClockAnswer { client_us, server_us, uplink }
    }

    /// Must be called inside a Tokio runtime.
    pub(crate) fn new(backend: Arc<dyn Backend>, settings: Arc<SignalingSettings>) -> Arc<Self> {
        Arc::new(Self {
            directory: Directory::start(Arc::clone(&backend)),
            sockets: Admission::new(settings.max_sockets, settings.max_pending_sockets_per_address),
            event_readers: Admission::new(settings.max_event_readers, settings.max_event_readers_per_address),
            whep: WhepSessions::default(),
            keyframes: Arc::default(),
            previews: preview::Budget::default(),
            backend,
            settings,
        })
    }
}
