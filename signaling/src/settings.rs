//! The settings of this crate, each with what raising it costs.

use std::{net::IpAddr, time::Duration};

use crate::{control::ControlToken, messages::Branding, shutdown::Shutdown};

/// How signaling behaves. The defaults work for one public server without a proxy in front.
#[derive(Debug, Clone)]
pub struct SignalingSettings {
    /// The WebSocket address told to pages in `config.json`. A bare `wss://host` gets `/websocket` added. Unset:
    /// the address under which the page itself asked.
    pub ws_url: Option<String>,
    /// `stun:` and `turn:` addresses handed to viewers in `config.json` and in WHEP `Link` headers.
    pub ice_servers: Vec<String>,
    /// How the page looks; told in `config.json`.
    pub branding: Option<Branding>,
    /// Whether the public listener speaks TLS: `wss` instead of `ws` in `config.json`.
    pub tls: bool,
    /// The port of the stream that is meant when a viewer names neither port nor channel.
    pub default_port: Option<u16>,

    /// Opens `/stream` on the public listener to everybody, for ingests that know no token.
    pub stream_api_open: bool,
    /// The token that opens `/stream` on the public listener.
    pub token: ControlToken,
    /// Host names, besides loopback ones, under which the control listener may be addressed.
    pub control_hosts: Vec<String>,

    /// Reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,

    /// WebSockets at once, about 20 KiB of memory each.
    pub max_sockets: u32,
    /// WebSockets of one address (IPv6: of one /64) that do not watch yet: negotiating, or waiting for a channel.
    pub max_pending_sockets_per_address: u32,
    /// Readers of `/events` at once.
    pub max_event_readers: u32,
    /// Readers of `/events` of one address (IPv6: of one /64).
    pub max_event_readers_per_address: u32,

    /// Time between two pings on a WebSocket. Proxies cut a silent connection after 60 s.
    pub ping_interval: Duration,
    /// A WebSocket that has not sent anything (not even a pong) for this long is dropped.
    pub silence_limit: Duration,
    /// A WebSocket that does not take a message within this time is dropped.
    pub write_limit: Duration,
    /// Time for a viewer to answer an offer.
    pub answer_limit: Duration,
    /// Time for the body of a request to arrive.
    pub body_limit: Duration,
    /// Shortest time between two documents on `/events`.
    pub events_interval: Duration,

    /// Tells every viewer that the server goes down.
    pub shutdown: Shutdown,
}

impl Default for SignalingSettings {
    fn default() -> Self {
        Self {
            ws_url: None,
            ice_servers: Vec::new(),
            branding: None,
            tls: false,
            default_port: None,
            stream_api_open: false,
            token: ControlToken::generate(),
            control_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            max_sockets: 20_000,
            max_pending_sockets_per_address: 256,
            max_event_readers: 10_000,
            max_event_readers_per_address: 256,
            ping_interval: Duration::from_secs(25),
            silence_limit: Duration::from_secs(120),
            write_limit: Duration::from_secs(10),
            answer_limit: Duration::from_secs(10),
            body_limit: Duration::from_secs(10),
            events_interval: Duration::from_secs(1),
            shutdown: Shutdown::default(),
        }
    }
}
