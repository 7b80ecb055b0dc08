//! ICE-lite (RFC 8445 section 2.5): we answer checks, the peer chooses.
//!
//! We never send checks of our own, so candidates of the peer are accepted and never looked at.

mod credentials;
mod discovery;
mod lite;
mod seen;
mod stun;
#[cfg(test)]
mod tests;

pub use credentials::{IceCredentials, Route};
pub use discovery::{discovery_request, parse_discovery_answer};
pub use lite::{CheckOutcome, IceLite};
pub use stun::{is_stun, route_of};
