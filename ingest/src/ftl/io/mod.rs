//! Sockets, tasks and timers around the machines of [`control`](super::control) and [`media`](super::media).

mod ports;
mod session;
mod shared;
mod sockets;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use super::FtlSettings;
use crate::{
    house::House,
    tcp::{self, ListenError},
};
use session::Session;
use shared::Shared;

/// The FTL door, open until its house closes or until it is dropped.
pub struct FtlServer {
    shared: Arc<Shared>,
    addrs: Vec<SocketAddr>,
}

impl FtlServer {
    /// Opens the listeners and starts to serve. Needs a tokio runtime.
    pub fn start(settings: FtlSettings, house: Arc<House>) -> Result<Self, FtlError> {
        if settings.media_ports.is_empty() {
            return Err(FtlError::NoMediaPorts);
        }
        if settings.listen.is_empty() {
            return Err(FtlError::NoListener);
        }
        let listeners = tcp::listen_all(&settings.listen)?;
        let mut addrs = Vec::new();
        for listener in &listeners {
            addrs.push(listener.local_addr().map_err(|source| FtlError::Socket { source })?);
        }
        let shared = Arc::new(Shared::new(settings, house));
        for listener in listeners {
            shared.house.sessions().spawn(accept(Arc::clone(&shared), listener));
        }
        tracing::info!(?addrs, "FTL door is open");
        Ok(Self { shared, addrs })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }
}

impl Drop for FtlServer {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

/// Why the door cannot open.
#[derive(Debug, thiserror::Error)]
pub enum FtlError {
    /// The port is taken, or the address is not ours.
    #[error("FTL {0}")]
    Listen(#[from] ListenError),
    /// A socket that was just opened does not answer.
    #[error("FTL listener: {source}")]
    Socket {
        /// What the system said.
        source: io::Error,
    },
    /// The settings name no address.
    #[error("FTL has no address to listen on")]
    NoListener,
    /// The settings leave no port for media.
    #[error("FTL has no media ports: the range is empty")]
    NoMediaPorts,
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, remote)) => admit(&shared, stream, remote),
            Err(error) => {
                // Most likely out of file descriptors: closing sessions will free some.
                tracing::warn!(%error, "cannot accept an FTL connection");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

fn admit(shared: &Arc<Shared>, stream: TcpStream, remote: SocketAddr) {
    let Some(place) = shared.house.enter(remote.ip()) else {
        tracing::debug!(%remote, "too many unauthenticated connections");
        // Fits any fresh socket's buffer; whoever floods us is not worth waiting for.
        let _ = SockRef::from(&stream).send(b"500 too many connections\n");
        return;
    };
    match Session::new(Arc::clone(shared), stream, remote, place) {
        Ok(session) => drop(shared.house.sessions().spawn(session.run())),
        Err(error) => tracing::debug!(%remote, %error, "an FTL connection died at once"),
    }
}

const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);
