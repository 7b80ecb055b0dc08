//! What viewers' sockets cost: the resident memory of the process before and after a thousand of them.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    num::NonZeroUsize,
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

/// An upgrade, and the first message of this kind; the client's own memory is that of its file descriptor.
fn join(address: SocketAddr, query: &str, event: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        socket,
        "GET /websocket?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    while !read.windows(event.len()).any(|window| window == event) {
        let length = socket.read(&mut chunk).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&chunk[..length]);
    }
    socket
}

/// As much as a browser's answer, in an event that the server does not know.
fn say_a_lot(socket: &mut TcpStream) {
    let text = format!(r#"{{"event":"noise","data":"{}"}}"#, "x".repeat(6000));
    // A masked text frame with a 16-bit length; the mask is zero.
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    socket.write_all(&frame).unwrap();
}

fn serve(settings: RelaySettings) -> (Runtime, Relay, SocketAddr) {
    let runtime = Runtime::new().unwrap();
    let (relay, address) = runtime.block_on(async {
        let relay = Relay::start(settings).unwrap();
        let settings =
            SignalingSettings { max_pending_sockets_per_address: u32::MAX, ..SignalingSettings::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = public_router(relay.clone(), Arc::new(settings));
        tokio::spawn(axum::serve(listener, router).into_future());
        (relay, address)
    });
    (runtime, relay, address)
}

#[test]
fn a_waiting_viewer_costs_less_than_24_kib() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings =
        RelaySettings { ports: free..=free, workers: NonZeroUsize::new(1), ..RelaySettings::default() };
    let (_runtime, _relay, address) = serve(settings);
    let join = |number: u64| {
        let mut socket = join(address, &format!("channel=den-{number}"), b"offline");
        say_a_lot(&mut socket);
        socket
    };
    let warm: Vec<_> = (0..50).map(join).collect();
    let before = resident();
    let sockets: Vec<_> = (0..SOCKETS).map(join).collect();
    let each = resident().saturating_sub(before) / SOCKETS;
    println!("{each} bytes for each waiting viewer");
    assert!(each < LIMIT, "{each} bytes for each waiting viewer");
    drop((warm, sockets));
}
