//! Every knob of the FTL door.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

/// How the FTL door behaves. The defaults suit OBS and the FTL SDK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FtlSettings {
    /// Control listeners. FTL clients know port 8084 only. One that is unspecified (`[::]`) and whose address family
    /// this machine lacks is skipped, as long as another one listens.
    pub listen: Vec<SocketAddr>,
    /// UDP ports for media, one per live stream; they must be reachable from outside.
    pub media_ports: RangeInclusive<u16>,
    /// A media port rests this long before another stream gets it, so that stragglers of the old one find nobody.
    pub port_rest: Duration,
    /// Receive buffer asked for each media port, bytes. A keyframe comes as a burst of up to 200 packets. The kernel
    /// grants at most `net.core.rmem_max`.
    pub receive_buffer: usize,
    /// A connection must prove its key within this time, and again finish its handshake.
    pub handshake_timeout: Duration,
    /// A session from which nothing at all was heard for this long is over. Encoders ping every 25 ms.
    pub silence_timeout: Duration,
    /// A session without a `PING` on its control connection for this long is over. Encoders ping every 5 s and give
    /// up themselves after 30 s without an answer.
    pub ping_timeout: Duration,
    /// A session that is alive but sends no media for this long is over.
    pub media_timeout: Duration,
    /// How long packets behind a gap are held for the missing ones. Raising it makes more retransmissions useful and
    /// every loss more visible as a pause. See `ftl::media` for how the round trip counts.
    pub hold: Duration,
    /// Ask the publisher for lost packets. OBS shows each packet asked for as a dropped frame.
    pub nack: bool,
}

impl Default for FtlSettings {
    fn default() -> Self {
        Self {
            listen: vec![
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)),
                SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)),
            ],
            media_ports: 8100..=8199,
            port_rest: Duration::from_secs(10),
            receive_buffer: 4 << 20,
            handshake_timeout: Duration::from_secs(10),
            silence_timeout: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(30),
            media_timeout: Duration::from_secs(30),
            hold: Duration::from_millis(150),
            nack: true,
        }
    }
}

/// The control port of FTL; clients cannot be told another one.
pub const PORT: u16 = 8084;
