//! WHIP (RFC 9725): publishers come over WebRTC, negotiated by HTTP.
//!
//! | module | what it is |
//! |---|---|
//! | `http` | the requests: who may publish, offers and answers, candidates, ends |
//! | `sessions` | one task for each publisher, and how requests find it |
//! | `port` | the UDP port that all publishers send to, and whose a datagram is |
//! | `peer` | one publisher's ICE, DTLS and SRTP; sans-IO |
//! | `reception` | one publisher's media; sans-IO |
//!
//! The program mounts [`WhipDoor::router`] on a listener of its own choice.

mod http;
mod peer;
mod port;
mod reception;
mod sessions;
mod settings;

use std::{io, net::SocketAddr, sync::Arc};

use axum::Router;
use heliograph_edge::dtls::{DtlsContext, DtlsError};
use heliograph_relay::PublicPort;

use crate::house::House;
use port::Port;
use sessions::Sessions;

pub use http::Caller;
pub use settings::{HTTP_PORT, PORT, WhipSettings};

/// The WHIP door, open until its house closes.
#[derive(Clone)]
pub struct WhipDoor(Arc<Shared>);

struct Shared {
    settings: WhipSettings,
    house: Arc<House>,
    port: Port,
    sessions: Sessions,
    dtls: DtlsContext,
}

impl WhipDoor {
    /// Opens the UDP port and starts to serve it. Needs a tokio runtime.
    ///
    /// # Errors
    /// See [`WhipError`].
    pub fn open(settings: WhipSettings, house: Arc<House>) -> Result<Self, WhipError> {
        let socket = PublicPort::bind(&settings.port)
            .map_err(|source| WhipError::Port { port: settings.port.port, source })?;
        let port = Port::serve(socket, &house);
        tracing::info!(addr = %port.local(), "WHIP door is open");
        let dtls = DtlsContext::new()?;
        Ok(Self(Arc::new(Shared { settings, house, port, sessions: Sessions::default(), dtls })))
    }

    /// Where publishers send their media to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.0.port.local()
    }

    /// `/whip` and what is below it. Whoever serves it puts a [`Caller`] into each request's extensions.
    pub fn router(&self) -> Router {
        http::router(Arc::clone(&self.0))
    }
}

/// Why the door cannot open.
#[derive(Debug, thiserror::Error)]
pub enum WhipError {
    /// The port is taken, or the address is not ours.
    #[error("UDP port {port} cannot be opened: {source}")]
    Port {
        /// The one in the settings.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// OpenSSL lacks something.
    #[error(transparent)]
    Dtls(#[from] DtlsError),
}
