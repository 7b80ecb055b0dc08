//! Every knob that all doors share.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use ipnet::IpNet;

use super::BitrateLimits;

/// How publishers are let in, whatever protocol they speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HouseSettings {
    /// Where the relay's RTP ports are.
    pub relay_addr: IpAddr,
    /// Connections of one address (IPv6: one /64) that have not proven a key yet, all doors together.
    pub unauthenticated_per_address: usize,
    /// The same for all addresses together.
    pub unauthenticated_total: usize,
    /// A publisher that returns within this time finds its channel, its relay port and its viewers as it left them,
    /// also through another door.
    pub grace: Duration,
    /// Whether a second publisher with the right key may take a channel from one that is sending.
    pub takeover: Takeover,
    /// A session that sent no media for this long may always be taken over.
    pub takeover_silence: Duration,
    /// The same for a newcomer from the address of the silent one: mostly a publisher that was killed and started again,
    /// over a protocol whose connections do not tell (SRT, WHIP). Longer than the pauses of a line that is well enough.
    pub restart_silence: Duration,
    /// How much a publisher may send.
    pub bitrate: BitrateLimits,
    /// Where publishers may come from; empty for anywhere.
    pub networks: Vec<IpNet>,
    /// How often the authoriser hears how a publication is doing.
    pub metadata_interval: Duration,
}

impl Default for HouseSettings {
    fn default() -> Self {
        Self {
            relay_addr: Ipv4Addr::LOCALHOST.into(),
            unauthenticated_per_address: 64,
            unauthenticated_total: 4096,
            grace: Duration::from_secs(30),
            takeover: Takeover::WhenSilent,
            takeover_silence: Duration::from_secs(3),
            restart_silence: Duration::from_millis(700),
            bitrate: BitrateLimits::default(),
            networks: Vec::new(),
            metadata_interval: Duration::from_secs(10),
        }
    }
}

/// What happens when a second publisher proves the key of a channel that is live and sending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Takeover {
    /// It is told that the channel is in use.
    #[default]
    WhenSilent,
    /// It gets the channel, at most once per channel in this time. The ousted address is told that the channel is
    /// in use for as long as the new session lives: OBS reconnects whatever it is told, so two encoders would oust
    /// each other for ever.
    Every(Duration),
}

impl Takeover {
    /// A take-over once per channel in 60 s.
    pub const ALLOWED: Self = Self::Every(Duration::from_secs(60));
}
