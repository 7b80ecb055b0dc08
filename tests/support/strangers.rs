//! People at the doors for publishers who have no key, or a wrong one, or nothing to say.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, UdpSocket},
    time::timeout,
};

use crate::server::Server;

/// A way in for publishers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// FTL.
    Ftl,
    /// RTMP.
    Rtmp,
    /// SRT.
    Srt,
    /// WHIP.
    Whip,
}

impl Door {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ftl, Self::Rtmp, Self::Srt, Self::Whip];

    /// One of 64 addresses of this machine from which strangers come to this door.
    pub fn stranger(self, number: usize) -> IpAddr {
        let host = u8::try_from(1 + number % 64).expect("small");
        IpAddr::V4(Ipv4Addr::new(127, 0, 10 + self as u8, host))
    }

    fn port(self, server: &Server) -> SocketAddr {
        let ports = server.ports();
        let port = match self {
            Self::Ftl => ports.ftl(),
            Self::Rtmp => ports.rtmp(),
            Self::Srt => ports.srt(),
            Self::Whip => ports.web(),
        };
        (Server::HOST, port).into()
    }

    /// Shows a wrong key of channel 1000 and waits until it is told that it is wrong.
    pub async fn try_wrong_key(self, server: &Server, from: IpAddr) -> anyhow::Result<()> {
        let said = match self {
            Self::Ftl => ftl(server, from).await?,
            Self::Rtmp => {
                let mut stream = rtmp(server, from, "1000-wrong").await?;
                rest(&mut stream).await?
            }
            Self::Srt => srt(server, from).await?,
            Self::Whip => {
                let mut stream = connect(from, self.port(server)).await?;
                stream.write_all(WHIP_OFFER).await?;
                rest(&mut stream).await?
            }
        };
        let told = match self {
            Self::Ftl => "405 ",
            Self::Rtmp => "NetStream.Publish.BadName",
            Self::Srt => "2401",
            Self::Whip => "HTTP/1.1 401 ",
        };
        ensure!(said.contains(told), "{self:?}: {said}");
        Ok(())
    }

    /// Connects and says nothing, or half of what is to be said. SRT has no connections: there somebody asks for a cookie and
    /// goes.
    pub async fn say_half(self, server: &Server, number: usize) -> anyhow::Result<Option<TcpStream>> {
        let from = self.stranger(number);
        if self == Self::Srt {
            let socket = UdpSocket::bind((from, 0)).await?;
            socket.send_to(&shake(1, 4, 0), self.port(server)).await?;
            return Ok(None);
        }
        let mut stream = connect(from, self.port(server)).await?;
        let half: &[u8] = match self {
            _ if number.is_multiple_of(2) => &[],
            Self::Ftl => b"HMAC\r\n\r\nCONNECT 10",
            Self::Whip => &WHIP_OFFER[..40],
            _ => &[3; 700],
        };
        stream.write_all(half).await?;
        Ok(Some(stream))
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
const WHIP_OFFER: &[u8] =
    b"POST /whip/one HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer 1000-wrong\r\n\
    Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n";

async fn connect(from: IpAddr, to: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(from, 0))?;
    Ok(socket.connect(to).await?)
}

/// Everything up to the end of the connection.
async fn rest(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut said = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut said))
        .await
        .context("the server keeps the connection open")??;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

async fn ftl(server: &Server, from: IpAddr) -> anyhow::Result<String> {
    let mut stream = connect(from, Door::Ftl.port(server)).await?;
    stream.write_all(b"HMAC\r\n\r\n").await?;
    let mut challenge = [0; 512];
    timeout(PATIENCE, stream.read(&mut challenge)).await??;
    stream.write_all(format!("CONNECT 1000 ${}\r\n\r\n", "0".repeat(128)).as_bytes()).await?;
    rest(&mut stream).await
}

/// Plain RTMP as far as `publish`, byte by byte made here.
pub async fn rtmp(server: &Server, from: IpAddr, key: &str) -> anyhow::Result<TcpStream> {
    let mut stream = connect(from, Door::Rtmp.port(server)).await?;
    let mut hello = vec![3];
    hello.resize(1 + 1536, 0);
    stream.write_all(&hello).await?;
    let mut answer = vec![0; 1 + 2 * 1536];
    timeout(PATIENCE, stream.read_exact(&mut answer)).await??;
    stream.write_all(&answer[1..1537]).await?;
    let text = |text: &str| {
        let mut bytes = vec![2];
        bytes.extend(u16::try_from(text.len()).expect("short").to_be_bytes());
        bytes.extend(text.as_bytes());
        bytes
    };
    let number = |number: f64| [&[0][..], &number.to_be_bytes()].concat();
    let message = |stream_id: u8, body: &[u8]| {
        assert!(body.len() <= 128, "one chunk");
        let mut bytes = vec![3, 0, 0, 0, 0, 0, body.len() as u8, 20, stream_id, 0, 0, 0];
        bytes.extend(body);
        bytes
    };
    let app = [&[0, 3][..], b"app", &text("live"), &[0, 0, 9]].concat();
    let connect = [text("connect"), number(1.0), [&[3][..], &app].concat()].concat();
    let publish = [text("publish"), number(2.0), vec![5], text(key), text("live")].concat();
    stream.write_all(&[message(0, &connect), message(1, &publish)].concat()).await?;
    Ok(stream)
}

/// The fixed part of a handshake of SRT (draft-sharabayko-srt-01 section 3.2.1).
fn shake(kind: u32, version: u32, cookie: u32) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[0] = 0x80;
    for (at, value) in
        [(16, version), (20, 2), (24, 77), (28, 1_500), (32, 8_192), (36, kind), (40, 0xabcd), (44, cookie)]
    {
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
    bytes
}

/// Returns the number of the last answer.
async fn srt(server: &Server, from: IpAddr) -> anyhow::Result<String> {
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect(Door::Srt.port(server)).await?;
    let mut question = shake(1, 4, 0);
    // Datagrams get lost where thousands come at once.
    for _ in 0..40 {
        socket.send(&question).await?;
        let mut answer = [0; 64];
        let Ok(received) = timeout(Duration::from_millis(500), socket.recv(&mut answer)).await else {
            continue;
        };
        ensure!(received? == 64, "no handshake");
        let word = |at: usize| u32::from_be_bytes(answer[at..at + 4].try_into().expect("four bytes"));
        if word(36) != 1 {
            return Ok(word(36).to_string());
        }
        question = shake(u32::MAX, 5, word(44));
        question.extend([0, 1, 0, 3, 0, 1, 5, 0, 0, 0, 0, 0xbf, 0, 80, 0, 200]);
        let id = b"1000-wrong\0\0";
        question.extend([0, 5, 0, 3]);
        question.extend(id.as_chunks::<4>().0.iter().flat_map(|&[a, b, c, d]| [d, c, b, a]));
    }
    bail!("the SRT door does not answer")
}
