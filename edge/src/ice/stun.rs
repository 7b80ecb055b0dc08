//! What is read from and written to the wire.

use super::Route;

/// Whether a datagram is STUN, by its first two bits, length and magic cookie (RFC 7983, RFC 8489 section 5).
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= 20 && datagram[0] < 4 && datagram[4..8] == [0x21, 0x12, 0xa4, 0x42]
}

/// The route that a check's USERNAME names. A cheap look without allocation, for demultiplexing; it trusts nothing.
pub fn route_of(_datagram: &[u8]) -> Option<Route> {
    todo!()
}
