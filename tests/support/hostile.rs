//! Strangers, broken clients, and clients that are right in unusual ways.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use heliograph_ingest::ftl::client::StreamKey;
use rand::RngExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::server::Server;

/// An address of this machine that is not the server's nor a publisher's.
pub const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// An FTL control connection of which every byte is the caller's.
#[derive(Debug)]
pub struct RawFtl(TcpStream);

impl RawFtl {
    /// Connects, and says nothing.
    pub async fn connect(server: &Server) -> anyhow::Result<Self> {
        Ok(Self(TcpStream::connect((Server::HOST, server.ports().ftl())).await?))
    }

    /// Connects and proves the key.
    pub async fn authenticated(server: &Server, key: &StreamKey) -> anyhow::Result<Self> {
        let mut ftl = Self::connect(server).await?;
        ftl.send("HMAC\r\n\r\n").await?;
        let challenge = ftl.line().await?;
        let challenge = hex(challenge.strip_prefix("200 ").context("a challenge")?)?;
        ftl.send(&format!("CONNECT {} ${}\r\n\r\n", key.channel_id(), key.answer(&challenge))).await?;
        let welcome = ftl.line().await?;
        ensure!(welcome.starts_with("200"), "CONNECT: {welcome}");
        Ok(ftl)
    }

    /// Sends the metadata line by line and the dot, and returns the answer.
    pub async fn announce(&mut self, lines: &[&str]) -> anyhow::Result<String> {
        for line in lines.iter().chain(&["."]) {
            self.send(&format!("{line}\r\n\r\n")).await?;
        }
        self.line().await
    }

    /// Sends bytes.
    pub async fn send(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.0.write_all(text.as_bytes()).await?)
    }

    /// The next line of the server; an error when it closes or says nothing for 15 s.
    pub async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        loop {
            let byte = tokio::time::timeout(Duration::from_secs(15), self.0.read_u8());
            match byte.await.context("the server says nothing")?? {
                b'\n' => return Ok(line),
                byte => line.push(char::from(byte)),
            }
        }
    }

    /// Waits for the end of the connection and returns what came before it.
    pub async fn rest(&mut self) -> anyhow::Result<String> {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(15), self.0.read_to_end(&mut rest));
        match read.await.context("the server keeps the connection open")? {
            // A reset is an end, too.
            Ok(_) | Err(_) => Ok(String::from_utf8_lossy(&rest).into_owned()),
        }
    }
}

/// The UDP port of a `200 hi. Use UDP port N` line.
pub fn told_port(line: &str) -> anyhow::Result<u16> {
    let port = line.rsplit(' ').next().and_then(|word| word.parse().ok());
    port.with_context(|| format!("no port in {line:?}"))
}

/// Reads hex digits.
fn hex(digits: &str) -> anyhow::Result<Vec<u8>> {
    let digits = digits.trim_end().as_bytes();
    digits.chunks(2).map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

/// What a stranger's datagrams look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Junk {
    /// Random bytes of random length.
    Random,
    /// Beginnings of real packets.
    Truncated,
    /// Larger than any packet of ours.
    Oversize,
    /// Well-formed RTP of a live stream, from the wrong address.
    Rtp {
        /// Its SSRC.
        ssrc: u32,
        /// Its payload type.
        payload_type: u8,
    },
    /// STUN binding requests that nobody asked for.
    Stun,
    /// Pieces of DTLS ClientHellos.
    DtlsFragments,
}

impl Junk {
    /// One datagram.
    pub fn datagram(self, rng: &mut impl rand::Rng, into: &mut Vec<u8>) {
        into.clear();
        match self {
            Self::Random => {
                let len = rng.random_range(0..600);
                into.resize(len, 0);
                rng.fill_bytes(into);
            }
            Self::Oversize => into.resize(rng.random_range(2_000..9_000), 0x80),
            Self::Truncated => {
                let others = [Self::Rtp { ssrc: 1, payload_type: 96 }, Self::Stun, Self::DtlsFragments];
                others[rng.random_range(0..others.len())].datagram(rng, into);
                into.truncate(rng.random_range(0..into.len()));
            }
            Self::Rtp { ssrc, payload_type } => {
                into.extend([0x80, payload_type]);
                into.extend(rng.random::<u16>().to_be_bytes());
                into.extend(rng.random::<u32>().to_be_bytes());
                into.extend(ssrc.to_be_bytes());
                into.push(0x65);
                into.resize(12 + rng.random_range(1..1380), 0x11);
            }
            Self::Stun => {
                // A binding request with a USERNAME and nothing to prove it.
                let name = format!("{:016x}:{:08x}", rng.random::<u64>(), rng.random::<u32>());
                let padded = name.len().next_multiple_of(4);
                into.extend([0, 1]);
                into.extend(u16::try_from(4 + padded).unwrap_or(0).to_be_bytes());
                into.extend(0x2112_a442_u32.to_be_bytes());
                into.extend(rng.random::<[u8; 12]>());
                into.extend([0, 6]);
                into.extend(u16::try_from(name.len()).unwrap_or(0).to_be_bytes());
                into.extend(name.as_bytes());
                into.resize(20 + 4 + padded, 0);
            }
            Self::DtlsFragments => {
                // A handshake record that holds one fragment of a longer ClientHello.
                let (total, offset) = (rng.random_range(200..100_000_u32), rng.random_range(0..50_000_u32));
                let len = rng.random_range(1..1_000_usize);
                into.extend([22, 0xfe, 0xfd, 0, 0]);
                into.extend(&rng.random::<u64>().to_be_bytes()[2..]);
                into.extend(u16::try_from(12 + len).unwrap_or(0).to_be_bytes());
                into.push(1);
                into.extend(&total.to_be_bytes()[1..]);
                into.extend([0, 0]);
                into.extend(&offset.to_be_bytes()[1..]);
                into.extend(&u32::try_from(len).unwrap_or(0).to_be_bytes()[1..]);
                into.resize(into.len() + len, 0xee);
            }
        }
    }
}

/// Sends `count` datagrams of the given kinds to the given ports, `per_second` of them, from `source`. Blocks.
pub fn flood(
    source: IpAddr,
    ports: &[u16],
    kinds: &[Junk],
    count: u64,
    per_second: u64,
) -> anyhow::Result<()> {
    let socket = UdpSocket::bind((source, 0))?;
    let mut rng = rand::rng();
    let mut datagram = Vec::new();
    let begun = Instant::now();
    let burst = (per_second / 1000).max(1);
    for index in 0..count {
        if index % burst == 0 {
            let due = begun + Duration::from_nanos(index * 1_000_000_000 / per_second);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let kind = kinds[rng.random_range(0..kinds.len())];
        kind.datagram(&mut rng, &mut datagram);
        let port = ports[rng.random_range(0..ports.len())];
        // A closed port answers the datagram before with an error; the flood goes on.
        let _ = socket.send_to(&datagram, SocketAddr::from((Server::HOST, port)));
    }
    Ok(())
}

/// One TCP connection that behaves badly in one of many ways. Returns when it is over.
pub async fn bad_connection(port: u16, source: IpAddr, way: u64) -> anyhow::Result<()> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(source, 0))?;
    let mut stream = socket.connect(SocketAddr::from((Server::HOST, port))).await?;
    let garbage: Vec<u8> = (0..700).map(|_| rand::random()).collect();
    let long = vec![b'A'; 20_000];
    let pieces: Vec<&[u8]> = match way % 12 {
        0 => vec![],
        1 => vec![&garbage],
        2 => vec![b"HMAC\r\n\r\n"],
        3 => vec![b"HMAC\r\n\r\n", b"CONNECT\r\n\r\n"],
        4 => vec![b"HMAC\r\n\r\n", b"CONNECT 1000 $0000\r\n\r\n"],
        5 => vec![b"CONNECT 1000 $", &long],
        6 => vec![&long],
        7 => vec![b".\r\n\r\n", b"PING 1\r\n\r\n", b"DISCONNECT\r\n\r\n"],
        8 => vec![b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
        9 => vec![b"GET /websocket?port=99999999 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"],
        10 => vec![b"POST /whep/one HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", &garbage],
        _ => vec![b"GET /websocket HTTP/1.1\r\n", &garbage, b"\r\n\r\n"],
    };
    for piece in pieces {
        if stream.write_all(piece).await.is_err() {
            break;
        }
    }
    if way.is_multiple_of(3) {
        // Some hear what the server says to it, others leave at once.
        let mut answer = [0; 256];
        let _ = tokio::time::timeout(Duration::from_millis(5), stream.read(&mut answer)).await;
    }
    Ok(())
}
