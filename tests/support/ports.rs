//! Ports for one server: below the system's ephemeral range, so that no passing socket can sit on them.

use std::{
    net::{Ipv4Addr, TcpListener, UdpSocket},
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::bail;

/// Ports of one block.
const BLOCK: u16 = 63;
/// First port that may be used, and the first that may not.
const RANGE: (u16, u16) = (10_000, 19_900);

/// The ports of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortBlock {
    base: u16,
}

impl PortBlock {
    /// A block in which every port is free right now, for TCP and UDP. Test programs that run at once start at
    /// different places.
    pub fn find() -> anyhow::Result<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let blocks = (RANGE.1 - RANGE.0) / BLOCK;
        let offset =
            u16::try_from(std::process::id() % u32::from(blocks)).expect("below the number of blocks");
        for _ in 0..blocks {
            let block = (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % blocks;
            let base = RANGE.0 + block * BLOCK;
            if (base..base + BLOCK).all(is_free) {
                return Ok(Self { base });
            }
        }
        bail!("no {BLOCK} free ports in a row between {} and {}", RANGE.0, RANGE.1)
    }

    /// Web page, WebSocket, WHEP.
    pub fn web(self) -> u16 {
        self.base
    }

    /// Allocation API.
    pub fn control(self) -> u16 {
        self.base + 1
    }

    /// FTL control.
    pub fn ftl(self) -> u16 {
        self.base + 2
    }

    /// RTP port of the permanent stream.
    pub fn permanent(self) -> u16 {
        self.base + 3
    }

    /// For a scenario's own use.
    pub fn spare(self, index: u16) -> u16 {
        assert!(index < 4, "four spare ports");
        self.base + 4 + index
    }

    /// Media over WHIP (UDP), and its requests where they have a listener of their own (TCP).
    pub fn whip(self) -> u16 {
        self.base + 8
    }

    /// Metrics.
    pub fn metrics(self) -> u16 {
        self.base + 9
    }

    /// RTMP.
    pub fn rtmp(self) -> u16 {
        self.base + 60
    }

    /// RTMP with TLS.
    pub fn rtmps(self) -> u16 {
        self.base + 61
    }

    /// SRT.
    pub fn srt(self) -> u16 {
        self.base + 62
    }

    /// `count` FTL media ports, as the flag wants them.
    pub fn media(self, count: u16) -> String {
        range(self.base + 10, count, 20)
    }

    /// `count` RTP ports of the relay.
    pub fn rtp(self, count: u16) -> String {
        range(self.base + 30, count, 20)
    }

    /// UDP ports towards viewers.
    pub fn viewers(self) -> String {
        range(self.base + 50, 10, 10)
    }
}

fn range(first: u16, count: u16, most: u16) -> String {
    assert!((1..=most).contains(&count), "1 to {most} ports");
    format!("{first}-{}", first + count - 1)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        && UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
