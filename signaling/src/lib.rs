//! HTTP and WebSocket: viewer negotiation, WHEP resources, stream allocation, what is live.

pub mod messages;
