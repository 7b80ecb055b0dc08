//! Sockets, tasks and timers around the machine of [`protocol`](super::protocol).

mod session;

use std::{net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use openssl::ssl::Ssl;
use tokio::net::{TcpListener, TcpStream};
use tokio_openssl::SslStream;
use tokio_util::sync::CancellationToken;

use super::RtmpSettings;
use crate::{
    house::{House, Place},
    tcp,
};
use session::Session;

pub use tcp::ListenError;

/// The RTMP door, open until its house closes or until it is dropped.
pub struct RtmpServer {
    shared: Arc<Shared>,
    addrs: Vec<SocketAddr>,
}

struct Shared {
    settings: RtmpSettings,
    house: Arc<House>,
    /// Cancelled when the house closes, or when the door is dropped.
    stop: CancellationToken,
}

impl RtmpServer {
    /// Opens the listeners and starts to serve. Needs a tokio runtime.
    ///
    /// # Errors
    /// A port is taken, or an address is not ours.
    pub fn start(settings: RtmpSettings, house: Arc<House>) -> Result<Self, ListenError> {
        let plain = tcp::listen_all(&settings.listen)?;
        let tls = tcp::listen_all(&settings.listen_tls)?;
        let addrs: Vec<_> =
            plain.iter().chain(&tls).filter_map(|listener| listener.local_addr().ok()).collect();
        let stop = house.stop().child_token();
        let shared = Arc::new(Shared { settings, house, stop });
        for (listener, tls) in
            plain.into_iter().map(|plain| (plain, false)).chain(tls.into_iter().map(|tls| (tls, true)))
        {
            shared.house.sessions().spawn(accept(Arc::clone(&shared), listener, tls));
        }
        tracing::info!(?addrs, "RTMP door is open");
        Ok(Self { shared, addrs })
    }

    /// Where it listens, those with TLS last.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }
}

impl Drop for RtmpServer {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, tls: bool) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, remote)) => {
                // Whoever floods us is not worth an answer.
                let Some(place) = shared.house.enter(remote.ip()) else {
                    tracing::debug!(%remote, "too many unauthenticated connections");
                    continue;
                };
                shared.house.sessions().spawn(serve(Arc::clone(&shared), stream, remote, place, tls));
            }
            Err(error) => {
                // Most likely out of file descriptors: closing sessions will free some.
                tracing::warn!(%error, "cannot accept an RTMP connection");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream, remote: SocketAddr, place: Place, tls: bool) {
    if let Err(error) = tcp::prepare(&stream) {
        tracing::debug!(%remote, %error, "an RTMP connection died at once");
        return;
    }
    if !tls {
        return Session::new(shared, remote, place).run(stream).await;
    }
    let Some(acceptor) = &shared.settings.tls else { return };
    let secure = Ssl::new(acceptor.context()).and_then(|ssl| SslStream::new(ssl, stream));
    let Ok(mut secure) = secure else { return };
    let handshake = tokio::time::timeout(shared.settings.handshake_timeout, Pin::new(&mut secure).accept());
    let done = tokio::select! {
        done = handshake => done,
        () = shared.stop.cancelled() => return,
    };
    match done {
        Ok(Ok(())) => Session::new(shared, remote, place).run(secure).await,
        Ok(Err(error)) => tracing::debug!(%remote, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(%remote, "TLS handshake too slow"),
    }
}

const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);
