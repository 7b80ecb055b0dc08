//! What a STUN server sees of our sockets: asked again and again, from the socket itself.

use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use heliograph_edge::ice;

/// A STUN server is asked again this often: it also keeps a NAT's mapping alive.
const EVERY: Duration = Duration::from_secs(20);

/// How long to wait before asking again. Requests get lost: quickly at first, then to keep mappings alive.
pub(crate) fn pause(answered: bool, round: u32) -> Duration {
    if answered || round > 5 { EVERY } else { Duration::from_secs(1) }
}

/// The addresses of a STUN server, `host:port`.
pub(crate) async fn resolve(server: &str) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<_> = tokio::net::lookup_host(server).await?.collect();
    // NAT is an affair of IPv4.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    Ok(addresses)
}

/// Of one socket: whom was asked what, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Discovery(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    asked: Option<(SocketAddr, [u8; 12])>,
    found: Option<SocketAddr>,
}

impl Discovery {
    /// The request to send to this server.
    pub(crate) fn ask(&self, server: SocketAddr, transaction: [u8; 12]) -> Vec<u8> {
        self.state().asked = Some((server, transaction));
        ice::discovery_request(transaction)
    }

    /// Whether this is the server's answer, which is kept then.
    pub(crate) fn take(&self, from: SocketAddr, datagram: &[u8]) -> bool {
        let mut state = self.state();
        let Some((_, transaction)) = state.asked.filter(|(server, _)| *server == from) else { return false };
        let found = ice::parse_discovery_answer(datagram, transaction);
        state.found = found.or(state.found);
        found.is_some()
    }

    /// What the newest answer said.
    pub(crate) fn found(&self) -> Option<SocketAddr> {
        self.state().found
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
