//! The whole of signaling on real sockets and requests, over a scripted relay.

#![allow(clippy::unwrap_used, reason = "tests")]

mod allocation;
mod fake_relay;
mod http;
mod page;
mod requests;
mod viewing;
mod whep;
