//! The relay's knobs. Defaults work.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroUsize,
    ops::RangeInclusive,
    time::Duration,
};

use crate::{ChannelName, PlayoutSettings, RingLimits};

/// Settings of a relay.
#[derive(Clone, Debug)]
pub struct RelaySettings {
    /// Where RTP from ingest is taken. Anything but loopback lets the network inject media.
    pub rtp_addr: IpAddr,
    /// Ports for RTP from ingest, one per live stream.
    pub rtp_ports: RangeInclusive<u16>,
    /// Port of a stream that always exists, outside the pool (`--rtp-port`).
    pub permanent_port: Option<u16>,
    /// Where viewers' UDP is taken; `None` = all addresses, IPv4 and IPv6.
    pub media_addr: Option<IpAddr>,
    /// UDP ports for viewers; the first ones are used, one per worker.
    pub ports: RangeInclusive<u16>,
    /// Egress threads; `None` = as many as this process may use cores.
    pub workers: Option<NonZeroUsize>,
    /// Pins each egress thread to a core. Helps on machines that do nothing else.
    pub pin_workers: bool,
    /// Addresses told to viewers instead of those of the interfaces.
    pub announced: Vec<AnnouncedAddress>,
    /// `host:port` of a STUN server that tells the public address, asked from each worker's socket.
    pub stun_server: Option<String>,
    /// A stream without RTP for this long is closed, unless it is permanent.
    pub idle_timeout: Duration,
    /// A released RTP port stays bound this long before it is handed out again, so that stragglers of the
    /// old stream cannot reach the new one.
    pub port_rest: Duration,
    /// How long viewers' browsers may hold pictures back.
    pub playout: PlayoutSettings,
    /// The same for channels that have their own.
    pub channel_playout: HashMap<ChannelName, PlayoutSettings>,
    /// Viewers at once, all streams together. Each costs about a kilobyte here and a stream's bitrate on the
    /// network.
    pub max_viewers: u32,
    /// Share of a core, 0 to 1, that an egress worker may use before it takes no more viewers; `None`: no limit.
    /// Counted over some seconds, without what joining costs.
    pub max_egress_cpu: Option<f64>,
    /// Viewer sessions per address that are not connected yet.
    pub max_pending_per_address: u32,
    /// A viewer that was made an offer has this long to answer.
    pub answer_timeout: Duration,
    /// From the answer to an encrypted connection.
    pub connect_timeout: Duration,
    /// A viewer whose browser has not confirmed for this long that it wants the stream is gone (RFC 7675).
    pub silence_timeout: Duration,
    /// The same after a goodbye that anybody could have written.
    pub silence_after_alert: Duration,
    /// Kernel send buffer of each egress socket, bytes. Twice a keyframe burst to all viewers is a good size; the
    /// kernel may grant less (`net.core.wmem_max`).
    pub viewer_send_buffer: usize,
    /// Kernel receive buffer of each egress socket, bytes (`net.core.rmem_max`).
    pub viewer_receive_buffer: usize,
    /// What the rings keep.
    pub ring: RingLimits,
    /// Kernel receive buffer of each stream's socket, bytes. The kernel may grant less (`net.core.rmem_max`).
    pub receive_buffer: usize,
}

/// A public address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnnouncedAddress {
    /// As it is.
    Ip(IpAddr),
    /// Resolved at start and again when a viewer joins, at most every 30 s.
    Name(String),
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            rtp_addr: IpAddr::V4(Ipv4Addr::LOCALHOST),
            rtp_ports: 24_000..=24_499,
            permanent_port: None,
            media_addr: None,
            ports: 20_000..=20_500,
            workers: None,
            pin_workers: false,
            announced: Vec::new(),
            stun_server: None,
            idle_timeout: Duration::from_secs(60),
            port_rest: Duration::from_secs(5),
            playout: PlayoutSettings::default(),
            channel_playout: HashMap::new(),
            max_viewers: 10_000,
            max_egress_cpu: Some(0.9),
            max_pending_per_address: 50,
            answer_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(15),
            silence_timeout: Duration::from_secs(30),
            silence_after_alert: Duration::from_secs(8),
            viewer_send_buffer: 8 << 20,
            viewer_receive_buffer: 4 << 20,
            ring: RingLimits::default(),
            receive_buffer: 4 << 20,
        }
    }
}
