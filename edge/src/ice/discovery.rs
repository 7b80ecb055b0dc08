//! Asking a STUN server for our address as others see it (RFC 8489 section 2).

use std::net::SocketAddr;

/// A binding request without credentials, for a configured STUN server.
pub fn discovery_request(_transaction: [u8; 12]) -> Vec<u8> {
    todo!()
}

/// The address a STUN server saw, when `datagram` is the success answer to `transaction`.
pub fn parse_discovery_answer(_datagram: &[u8], _transaction: [u8; 12]) -> Option<SocketAddr> {
    todo!()
}
