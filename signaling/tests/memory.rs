//! What a waiting viewer costs: the resident memory of the process before and after a thousand sockets.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use heliograph_relay::{Relay, RelaySettings};
use heliograph_signaling::{SignalingSettings, public_router};
use tokio::runtime::Runtime;

const SOCKETS: u64 = 1000;
const LIMIT: u64 = 24 * 1024;

/// Bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// An upgrade, and the first message; the client's own memory is that of its file descriptor.
fn join(address: SocketAddr, number: u64) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(
        socket,
        "GET /websocket?channel=den-{number} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let mut read = Vec::new();
    let mut chunk = [0; 512];
    while !read.windows(7).any(|window| window == b"offline") {
        let length = socket.read(&mut chunk).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&chunk[..length]);
    }
    socket
}

#[test]
fn a_waiting_viewer_costs_less_than_24_kib() {
    let runtime = Runtime::new().unwrap();
    let address = runtime.block_on(async {
        let relay = Relay::start(RelaySettings::default()).unwrap();
        let settings =
            SignalingSettings { max_pending_sockets_per_address: u32::MAX, ..SignalingSettings::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, public_router(relay, Arc::new(settings))).into_future());
        address
    });
    let warm: Vec<_> = (0..50).map(|number| join(address, number)).collect();
    let before = resident();
    let sockets: Vec<_> = (0..SOCKETS).map(|number| join(address, number)).collect();
    let each = resident().saturating_sub(before) / SOCKETS;
    println!("{each} bytes for each waiting viewer");
    assert!(each < LIMIT, "{each} bytes for each waiting viewer");
    drop((warm, sockets));
}
