//! TCP listeners of the HTTP side: plain or TLS, with bounds on what a stranger can hold open.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use heliograph_signaling::ConnectionAddresses;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use openssl::ssl::{Ssl, SslAcceptor, SslFiletype, SslMethod};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_openssl::SslStream;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::settings::TlsFiles;

/// A peer gets this long for its TLS handshake, and again for each request's header.
const PATIENCE: Duration = Duration::from_secs(10);

/// Listens on `port` of `addr`, or of all IPv4 and IPv6 addresses (one socket; IPv4 alone where there is no IPv6).
///
/// # Errors
/// The port is taken or the address is not this machine's; `name` is the setting to look at.
pub(crate) fn listen(name: &str, addr: Option<IpAddr>, port: u16) -> Result<TcpListener> {
    let on = |addr: IpAddr| {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(addr, port))?;
        #[cfg(target_os = "linux")]
        crate::repeats::soon(&socket);
        socket.listen(1024)
    };
    let listener = match addr {
        Some(addr) => on(addr),
        // Linux lets a wildcard IPv6 socket take IPv4 too, unless the machine was told otherwise.
        None => match on(Ipv6Addr::UNSPECIFIED.into()) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => on(Ipv4Addr::UNSPECIFIED.into()),
            done => done,
        },
    };
    listener.with_context(|| format!("{name}: TCP port {port} cannot be listened on"))
}

/// Reads certificate and key for HTTPS.
///
/// # Errors
/// Files that are missing, not PEM, or do not belong together.
pub(crate) fn tls(files: &TlsFiles) -> Result<SslAcceptor> {
    let mut builder =
        SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).context("TLS cannot be set up")?;
    builder
        .set_certificate_chain_file(&files.certificate)
        .with_context(|| format!("ssl_cert: {} is no PEM certificate chain", files.certificate.display()))?;
    builder
        .set_private_key_file(&files.key, SslFiletype::PEM)
        .with_context(|| format!("ssl_key: {} is no PEM private key", files.key.display()))?;
    builder.check_private_key().context("ssl_key does not belong to ssl_cert")?;
    builder.set_alpn_select_callback(|_, offered| {
        // WebSockets over HTTP/2 are not offered, so browsers get HTTP/1.1.
        openssl::ssl::select_next_proto(b"\x08http/1.1", offered).ok_or(openssl::ssl::AlpnError::NOACK)
    });
    Ok(builder.build())
}

/// One listener and what is behind it.
pub(crate) struct Door {
    /// The setting that this door comes from, for logs.
    pub name: &'static str,
    /// Where to accept.
    pub listener: TcpListener,
    /// TLS in front of HTTP.
    pub tls: Option<SslAcceptor>,
    /// What answers.
    pub router: Router,
    /// Bound on connections of one address.
    pub connections_per_address: usize,
}

impl Door {
    /// Serves until `closing` turns true, then lets requests under way finish; the task ends when all have.
    #[must_use]
    pub(crate) fn open(self, closing: watch::Receiver<bool>) -> JoinHandle<()> {
        tokio::spawn(self.run(closing))
    }

    async fn run(self, mut closing: watch::Receiver<bool>) {
        let tls = self.tls.map(Arc::new);
        let crowd = Arc::new(Crowd { limit: self.connections_per_address, present: Mutex::default() });
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_ended) = connections.join_next() => continue,
                _ = closing.wait_for(|&closing| closing) => break,
            };
            let (stream, remote) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors: accepting again at once would only spin.
                    warn!(door = self.name, %error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Some(place) = crowd.enter(remote.ip()) else {
                debug!(door = self.name, %remote, "refused: too many connections from this address");
                continue;
            };
            let (tls, router, closing) = (tls.clone(), self.router.clone(), closing.clone());
            connections.spawn(async move {
                let _place = place;
                if let Err(error) = serve(stream, remote, tls, router, closing).await {
                    debug!(%remote, %error, "connection ended");
                }
            });
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
    }
}

async fn serve(
    stream: TcpStream,
    remote: SocketAddr,
    tls: Option<Arc<SslAcceptor>>,
    router: Router,
    closing: watch::Receiver<bool>,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let ends = ConnectionAddresses { remote: unmapped(remote), local: unmapped(stream.local_addr()?) };
    match tls {
        None => http(stream, ends, router, closing).await,
        Some(acceptor) => {
            let mut stream = SslStream::new(Ssl::new(acceptor.context())?, stream)?;
            tokio::time::timeout(PATIENCE, Pin::new(&mut stream).accept())
                .await
                .context("TLS handshake too slow")??;
            http(stream, ends, router, closing).await
        }
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ends: ConnectionAddresses,
    router: Router,
    mut closing: watch::Receiver<bool>,
) -> Result<()> {
    let asked = Arc::new(AtomicBool::new(false));
    let asking = Arc::clone(&asked);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        asking.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(ends);
        let answer = router.clone().oneshot(request);
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        done = connection.as_mut() => return done.map_err(|error| anyhow::anyhow!("{error}")),
        _ = closing.wait_for(|&closing| closing) => connection.as_mut().graceful_shutdown(),
        () = silence(&asked) => anyhow::bail!("no request in {PATIENCE:?}"),
    }
    connection.await.map_err(|error| anyhow::anyhow!("{error}"))
}

/// Ends when there was no request in time. hyper's own limit begins only with what tells HTTP/1 from HTTP/2.
async fn silence(asked: &AtomicBool) {
    tokio::time::sleep(PATIENCE).await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Puts who asks, and under which address of ours, into each request's extensions as `introduce` says it; seen through
/// trusted reverse proxies. For routers that do not know signaling's types.
pub(crate) fn introduced<T: Clone + Send + Sync + 'static>(
    router: Router,
    trusted_proxies: &[IpAddr],
    introduce: fn(ConnectionAddresses, IpAddr, Option<IpAddr>) -> T,
) -> Router {
    let trusted: Arc<[IpAddr]> = trusted_proxies.into();
    router.layer(middleware::from_fn(move |mut request: Request, next: Next| {
        let trusted = Arc::clone(&trusted);
        async move {
            if let Some(ends) = request.extensions().get::<ConnectionAddresses>().copied() {
                let (ip, local) = ends.person(&trusted, request.headers());
                request.extensions_mut().insert(introduce(ends, ip, local));
            }
            next.run(request).await
        }
    }))
}

/// An IPv4 peer of a dual-stack socket, as the IPv4 address it is.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Who is connected, counted by address.
struct Crowd {
    limit: usize,
    present: Mutex<HashMap<IpAddr, usize>>,
}

struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Crowd {
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let count = present.entry(address).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place { crowd: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = self.crowd.present.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = present.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                present.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_leaves_makes_room_for_itself() {
        let crowd = Arc::new(Crowd { limit: 2, present: Mutex::default() });
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = crowd.enter(one);
        let _second = crowd.enter(one);
        assert!(first.is_some() && crowd.enter(one).is_none());
        assert!(crowd.enter(other).is_some());
        drop(first);
        assert!(crowd.enter(one).is_some());
    }
}
