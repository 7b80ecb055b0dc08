//! Who is asking: the addresses of a connection, seen through trusted reverse proxies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{Extensions, HeaderMap, request::Parts},
};
use std::{convert::Infallible, sync::Arc};

use crate::app::App;

/// Both ends of a TCP connection, put into each of its requests' extensions by whoever serves the
/// routers. Without it, viewers are not told apart by address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionAddresses {
    /// The other side.
    pub remote: SocketAddr,
    /// Our side: the address under which the client reached us.
    pub local: SocketAddr,
}

impl ConnectionAddresses {
    /// The address of the person behind a request, seen through trusted reverse proxies, and the address under which
    /// they reached this machine: none behind a proxy.
    #[must_use]
    pub fn person(self, trusted_proxies: &[IpAddr], headers: &HeaderMap) -> (IpAddr, Option<IpAddr>) {
        let (remote, local) = (self.remote.ip().to_canonical(), self.local.ip().to_canonical());
        let Client { ip, local } = seen_through(trusted_proxies, remote, Some(local), headers);
        (ip, local)
    }
}

/// The person behind a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    /// Their address, as far as trusted proxies tell it.
    pub(crate) ip: IpAddr,
    /// The address under which they reached this machine; none behind a proxy.
    pub(crate) local: Option<IpAddr>,
}

impl FromRequestParts<Arc<App>> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        Ok(client(&app.settings.trusted_proxies, &parts.extensions, &parts.headers))
    }
}

fn client(trusted: &[IpAddr], extensions: &Extensions, headers: &HeaderMap) -> Client {
    let ends = extensions.get::<ConnectionAddresses>();
    let remote = ends
        .map(|ends| ends.remote)
        .or_else(|| extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0))
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip().to_canonical());
    let local = ends.map(|ends| ends.local.ip().to_canonical());
    seen_through(trusted, remote, local, headers)
}

/// Walks `X-Forwarded-For` from the right for as long as trusted proxies wrote it.
fn seen_through(trusted: &[IpAddr], remote: IpAddr, local: Option<IpAddr>, headers: &HeaderMap) -> Client {
    if !trusted.contains(&remote) {
        return Client { ip: remote, local };
    }
    let mut ip = remote;
    let hops = headers.get_all("x-forwarded-for").into_iter().rev();
    for hop in hops.filter_map(|value| value.to_str().ok()).flat_map(|value| value.rsplit(',')) {
        match parse_hop(hop.trim()) {
            Some(address) if trusted.contains(&ip) => ip = address,
            _ => break,
        }
    }
    Client { ip, local: None }
}

/// An address with or without a port, as proxies write them.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    hop.parse::<IpAddr>()
        .or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()))
        .or_else(|_| hop.trim_matches(['[', ']']).parse::<Ipv6Addr>().map(IpAddr::V6))
        .ok()
        .map(|ip| ip.to_canonical())
}

/// What counts as one neighbour when something is limited per address: an IPv4 address, or an IPv6 /64, which is
/// what one household or host gets.
pub(crate) fn neighbourhood(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[track_caller]
    fn check(trusted: &[&str], remote: &str, forwarded: &[&str], wanted: &str) {
        let trusted: Vec<IpAddr> = trusted.iter().map(|ip| ip.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let client =
            seen_through(&trusted, remote.parse().unwrap(), Some(Ipv4Addr::LOCALHOST.into()), &headers);
        assert_eq!(client.ip, wanted.parse::<IpAddr>().unwrap(), "{forwarded:?}");
    }

    #[test]
    fn strangers_cannot_choose_their_address() {
        check(&[], "192.0.2.1", &["198.51.100.7"], "192.0.2.1");
        check(&["127.0.0.1"], "192.0.2.1", &["198.51.100.7"], "192.0.2.1");
        check(&["127.0.0.1"], "127.0.0.1", &["10.9.9.9, 198.51.100.7"], "198.51.100.7");
    }

    #[test]
    fn trusted_proxies_are_seen_through() {
        check(&["127.0.0.1"], "127.0.0.1", &[], "127.0.0.1");
        check(&["127.0.0.1"], "127.0.0.1", &["2001:db8::7"], "2001:db8::7");
        check(&["127.0.0.1"], "127.0.0.1", &["[2001:db8::7]:443"], "2001:db8::7");
        check(&["127.0.0.1"], "127.0.0.1", &["198.51.100.7:50000"], "198.51.100.7");
        check(&["127.0.0.1", "10.0.0.1"], "127.0.0.1", &["198.51.100.7, 10.0.0.1"], "198.51.100.7");
        check(&["127.0.0.1", "10.0.0.1"], "127.0.0.1", &["198.51.100.7", "10.0.0.1"], "198.51.100.7");
        check(&["127.0.0.1"], "127.0.0.1", &["198.51.100.7, nonsense"], "127.0.0.1");
    }

    #[test]
    fn behind_a_proxy_its_own_address_is_no_candidate() {
        let proxy = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let seen = seen_through(&[proxy], proxy, Some(proxy), &HeaderMap::new());
        assert_eq!(seen.local, None);
        assert_eq!(seen_through(&[], proxy, Some(proxy), &HeaderMap::new()).local, Some(proxy));
    }

    #[test]
    fn one_household_counts_once() {
        let at = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(at("2001:db8:0:1::1"), at("2001:db8:0:1:ffff::9"));
        assert_ne!(at("2001:db8:0:1::1"), at("2001:db8:0:2::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    }
}
