//! Where peers are told to send: the addresses of this machine as far as they may reach them.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{AnnouncedAddress, sys::interfaces};

/// Most candidates in one description.
const MOST: usize = 16;
/// How long a resolved name, or the list of interface addresses, is good for.
const FRESH: Duration = Duration::from_secs(30);
/// A joiner waits for a name at most this long; after that the old addresses serve.
const RESOLVE_WITHIN: Duration = Duration::from_secs(2);

/// Answers where a public socket can be reached.
#[derive(Debug)]
pub(crate) struct Candidates {
    /// The address the sockets are bound to, unless it is the wildcard.
    bound: Option<IpAddr>,
    announced: Vec<AnnouncedAddress>,
    names: Mutex<HashMap<String, Resolved>>,
    interfaces: Mutex<Option<(Instant, Vec<IpAddr>)>>,
}

#[derive(Clone, Debug)]
struct Resolved {
    at: Instant,
    addresses: Vec<IpAddr>,
}

/// A socket, as far as it matters who can reach it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    pub(crate) port: u16,
    /// Whether the socket takes IPv6 too, or only.
    pub(crate) ipv6: bool,
    pub(crate) wildcard: bool,
    /// What a STUN server saw.
    pub(crate) discovered: Option<SocketAddr>,
}

impl Candidates {
    /// `bound` is the address of the sockets; `announced` replaces those of the interfaces.
    pub(crate) fn new(bound: Option<IpAddr>, announced: Vec<AnnouncedAddress>) -> Self {
        Self {
            bound: bound.filter(|ip| !ip.is_unspecified()),
            announced,
            names: Mutex::default(),
            interfaces: Mutex::default(),
        }
    }

    /// Resolves the announced names, so that the first viewer does not wait for it.
    pub(crate) async fn warm_up(&self) {
        self.announced_addresses().await;
    }

    /// The candidates of a socket, best first. `signaling` is the local address of the peer's signaling
    /// connection: what the peer has reached there, it reaches here.
    pub(crate) async fn of(&self, socket: Reach, signaling: Option<IpAddr>) -> Vec<SocketAddr> {
        let announced = self.announced_addresses().await;
        let addresses = if announced.is_empty() {
            assemble(self.bound, &self.interface_addresses(), signaling)
        } else {
            // A viewer on this very machine may not get through its own router to the public address.
            announced.into_iter().chain(signaling.filter(IpAddr::is_loopback)).collect()
        };
        let discovered = socket.discovered.filter(|_| self.announced.is_empty());
        let mut candidates: Vec<SocketAddr> = Vec::with_capacity(addresses.len() + 1);
        let own = addresses.into_iter().map(|ip| SocketAddr::new(ip.to_canonical(), socket.port));
        for candidate in own.chain(discovered) {
            let reachable = if candidate.is_ipv6() { socket.ipv6 } else { !socket.ipv6 || socket.wildcard };
            if reachable && !candidates.contains(&candidate) && candidates.len() < MOST {
                candidates.push(candidate);
            }
        }
        candidates
    }

    fn interface_addresses(&self) -> Vec<IpAddr> {
        let mut cached = self.interfaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, addresses)) = &*cached
            && at.elapsed() < FRESH
        {
            return addresses.clone();
        }
        let addresses = interfaces::addresses().unwrap_or_default();
        *cached = Some((Instant::now(), addresses.clone()));
        addresses
    }

    async fn announced_addresses(&self) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for announced in &self.announced {
            match announced {
                AnnouncedAddress::Ip(ip) => addresses.push(*ip),
                AnnouncedAddress::Name(name) => addresses.extend(self.resolve(name).await),
            }
        }
        addresses
    }

    async fn resolve(&self, name: &str) -> Vec<IpAddr> {
        let known = self.names.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(known) = &known
            && known.at.elapsed() < FRESH
        {
            return known.addresses.clone();
        }
        let found = match tokio::time::timeout(RESOLVE_WITHIN, tokio::net::lookup_host((name, 0))).await {
            Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
            Ok(Err(error)) => {
                tracing::warn!(name, %error, "cannot resolve an announced address");
                Vec::new()
            }
            Err(_) => {
                tracing::warn!(name, "resolving an announced address takes too long");
                Vec::new()
            }
        };
        // What was known stays good until something better is known; the next try comes in half a minute.
        let addresses =
            if found.is_empty() { known.map(|known| known.addresses).unwrap_or_default() } else { found };
        let resolved = Resolved { at: Instant::now(), addresses: addresses.clone() };
        self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), resolved);
        addresses
    }
}

/// Without announced addresses: the bound one, or those of the interfaces and of the signaling connection.
fn assemble(bound: Option<IpAddr>, interfaces: &[IpAddr], signaling: Option<IpAddr>) -> Vec<IpAddr> {
    if let Some(bound) = bound {
        return vec![bound];
    }
    let signaling = signaling.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_unspecified());
    let mut addresses: Vec<IpAddr> = signaling.into_iter().filter(|ip| !is_link_local(ip)).collect();
    // `localhost` in the address bar may have meant ::1, which Chrome never pairs; IPv4 loopback is the same machine.
    if signaling.is_some_and(|ip| ip.is_loopback()) {
        addresses.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let mut usable: Vec<IpAddr> = interfaces.iter().map(IpAddr::to_canonical).filter(is_usable).collect();
    usable.sort_by_key(IpAddr::is_ipv6);
    addresses.extend(usable);
    addresses
}

fn is_usable(ip: &IpAddr) -> bool {
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || is_link_local(ip))
}

/// Useless without a zone, or a sign of an interface that has no address.
fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    #[test]
    fn which_addresses_are_told() {
        let interfaces = ips(&["127.0.0.1", "::1", "fd00::2", "fe80::1", "192.0.2.2", "169.254.3.4"]);
        let cases: &[(Option<&str>, Option<&str>, &[&str])] = &[
            // Loopback only when bound or reached there.
            (None, None, &["192.0.2.2", "fd00::2"]),
            (None, Some("192.0.2.2"), &["192.0.2.2", "192.0.2.2", "fd00::2"]),
            (None, Some("127.0.0.1"), &["127.0.0.1", "127.0.0.1", "192.0.2.2", "fd00::2"]),
            (None, Some("::1"), &["::1", "127.0.0.1", "192.0.2.2", "fd00::2"]),
            (None, Some("::ffff:203.0.113.9"), &["203.0.113.9", "192.0.2.2", "fd00::2"]),
            (None, Some("fe80::1"), &["192.0.2.2", "fd00::2"]),
            (Some("127.0.0.1"), Some("192.0.2.2"), &["127.0.0.1"]),
            (Some("192.0.2.2"), None, &["192.0.2.2"]),
        ];
        for (bound, signaling, expected) in cases {
            let bound = bound.map(|ip| ip.parse().unwrap());
            let signaling = signaling.map(|ip| ip.parse().unwrap());
            assert_eq!(assemble(bound, &interfaces, signaling), ips(expected), "{bound:?} {signaling:?}");
        }
    }
}
