//! The face of the relay.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::sync::watch;

use crate::{
    RelaySettings, Sinks, StreamId, StreamSnapshot, WorkerSnapshot,
    egress::Egress,
    stream::{LiveStream, Streams},
};

/// A running relay. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Relay {
    inner: Arc<Inner>,
}

/// What the parts of a relay share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: RelaySettings,
    pub(crate) streams: Streams,
    /// Everyone who reads media.
    pub(crate) sinks: Sinks,
    pub(crate) egress: Arc<Egress>,
}

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// A socket could not be opened.
    #[error("cannot bind {address}: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A setting makes no sense.
    #[error("{key}: {problem}")]
    Setting {
        /// Its name.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

impl Relay {
    /// Starts a relay; needs a tokio runtime around it.
    ///
    /// # Errors
    /// When a setting makes no sense or a socket cannot be opened.
    pub fn start(settings: RelaySettings) -> Result<Self, RelayError> {
        let egress = Arc::new(Egress::start(&settings)?);
        let sinks = Sinks::default();
        for worker in egress.sinks() {
            sinks.add(worker);
        }
        Ok(Self { inner: Arc::new(Inner { settings, streams: Streams::default(), sinks, egress }) })
    }

    /// All streams, in the order in which they were allocated.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamSnapshot> {
        self.inner.streams.all().iter().map(|stream| stream.snapshot()).collect()
    }

    /// The stream whose RTP comes in at `port`.
    #[must_use]
    pub fn stream_by_port(&self, port: u16) -> Option<StreamSnapshot> {
        self.inner.streams.by_port(port).map(|stream| stream.snapshot())
    }

    /// The stream of a channel.
    #[must_use]
    pub fn stream_by_channel(&self, channel: &str) -> Option<StreamSnapshot> {
        self.inner.streams.by_channel(channel).map(|stream| stream.snapshot())
    }

    /// Changes whenever a stream appears, goes away, comes back or ends, so that one can read
    /// [`Relay::streams`] again.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.streams.changes()
    }

    /// Everyone who reads media of this relay; others may join.
    #[must_use]
    pub fn sinks(&self) -> &Sinks {
        &self.inner.sinks
    }

    /// Figures of the egress workers, in the order of their ports.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerSnapshot> {
        self.inner.egress.snapshots()
    }

    pub(crate) fn settings(&self) -> &RelaySettings {
        &self.inner.settings
    }

    /// What a join needs; `None` for a stream that is gone.
    pub(crate) fn egress_and_stream(&self, stream: StreamId) -> Option<(Arc<Egress>, Arc<LiveStream>)> {
        Some((Arc::clone(&self.inner.egress), self.inner.streams.get(stream)?))
    }
}
