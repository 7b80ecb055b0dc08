//! A publisher whose packets tell where they belong, and viewers on another WebRTC stack (str0m).

#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "tests; not each of them uses everything")]

pub mod publisher;
pub mod viewer;

use std::{net::Ipv4Addr, time::Duration};

use heliograph_relay::{ChannelName, Relay, RelaySettings, StreamId, StreamRequest};

/// Workers on any loopback port.
pub fn relay(workers: usize) -> Relay {
    Relay::start(settings(workers)).unwrap()
}

pub fn settings(workers: usize) -> RelaySettings {
    RelaySettings {
        rtp_ports: free_ports(),
        ports: 0..=0,
        media_addr: Some(Ipv4Addr::LOCALHOST.into()),
        workers: std::num::NonZeroUsize::new(workers),
        max_pending_per_address: 1_000,
        port_rest: Duration::from_millis(100),
        ..RelaySettings::default()
    }
}

pub fn stream(relay: &Relay, channel: &str) -> (StreamId, u16) {
    let channel = Some(ChannelName::new(channel).unwrap());
    let port = relay.allocate_now(StreamRequest { channel, ..StreamRequest::default() }).unwrap().port;
    (relay.stream_by_port(port).unwrap().id, port)
}

fn free_ports() -> std::ops::RangeInclusive<u16> {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = (std::process::id() % 200) as u16;
    loop {
        let first = 25_600 + process * 30 + NEXT.fetch_add(2, Ordering::Relaxed) % 28;
        if (first..=first + 1).all(|port| std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
            return first..=first + 1;
        }
    }
}
