//! A relay and an authoriser that write down what they are told, and a publisher made of bare sockets.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(dead_code, reason = "each test program uses a part")]

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use heliograph_ingest::{
    Secret,
    auth::{Attempt, Authoriser, EndReason, Ending, Publication, PublicationMetadata, Verdict, digest},
    ftl::{FtlServer, FtlSettings},
    house::{House, HouseSettings},
};
use heliograph_relay::{AllocateError, Allocation, Allocator, ChannelName, StreamRequest};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// RTCP's packet type for applications (RFC 3550 section 6.7).
const APP: u8 = 204;

/// Waits until `look` finds something; fails the test after ten seconds.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Datagrams and their senders.
pub(crate) type Received = Arc<Mutex<Vec<(SocketAddr, Vec<u8>)>>>;

/// Hands out real ports and keeps what arrives there.
#[derive(Default)]
pub(crate) struct FakeRelay {
    state: Mutex<RelayState>,
}

#[derive(Default)]
struct RelayState {
    open: HashMap<ChannelName, (u16, Received, tokio_util::task::AbortOnDropHandle<()>)>,
    requests: Vec<StreamRequest>,
    released: Vec<u16>,
    failure: Option<AllocateError>,
}

impl FakeRelay {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// From now on every request fails.
    pub(crate) fn fail(&self, error: AllocateError) {
        self.state.lock().unwrap().failure = Some(error);
    }

    pub(crate) fn port(&self, channel: &str) -> Option<u16> {
        self.state.lock().unwrap().open.get(&channel.parse::<ChannelName>().unwrap()).map(|open| open.0)
    }

    /// Media and sender reports; not what the ingest tells of delays, which comes when it likes.
    pub(crate) fn received(&self, channel: &str) -> Vec<(SocketAddr, Vec<u8>)> {
        let state = self.state.lock().unwrap();
        let open = state.open.get(&channel.parse::<ChannelName>().unwrap());
        let mut all = open.map(|open| open.1.lock().unwrap().clone()).unwrap_or_default();
        all.retain(|(_, datagram)| datagram[1] != APP);
        all
    }

    /// Media packets of a payload type.
    pub(crate) fn rtp(&self, channel: &str, payload_type: u8) -> Vec<Vec<u8>> {
        let all = self.received(channel).into_iter().map(|(_, datagram)| datagram);
        all.filter(|datagram| datagram[1] & 0x7f == payload_type && !(200..=205).contains(&datagram[1]))
            .collect()
    }

    pub(crate) fn requests(&self) -> Vec<StreamRequest> {
        self.state.lock().unwrap().requests.clone()
    }

    pub(crate) fn released(&self) -> Vec<u16> {
        self.state.lock().unwrap().released.clone()
    }

    /// Closes a port without a word, as a relay that is restarted does.
    pub(crate) fn crash(&self) {
        self.state.lock().unwrap().open.clear();
    }
}

impl Allocator for FakeRelay {
    fn allocate(&self, request: StreamRequest) -> BoxFuture<'_, Result<Allocation, AllocateError>> {
        async move {
            let mut state = self.state.lock().unwrap();
            state.requests.push(request.clone());
            if let Some(error) = &state.failure {
                return Err(error.clone());
            }
            let channel = request.channel.unwrap();
            if let Some(open) = state.open.get(&channel) {
                return Ok(Allocation { port: open.0 });
            }
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            let socket = UdpSocket::from_std(socket).unwrap();
            let port = socket.local_addr().unwrap().port();
            let received = Received::default();
            let sink = Arc::clone(&received);
            let task = tokio::spawn(async move {
                let mut buffer = [0; 2048];
                while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                    sink.lock().unwrap().push((from, buffer[..length].to_vec()));
                }
            });
            state.open.insert(channel, (port, received, tokio_util::task::AbortOnDropHandle::new(task)));
            Ok(Allocation { port })
        }
        .boxed()
    }

    fn release(&self, port: u16) -> BoxFuture<'_, Result<bool, AllocateError>> {
        async move {
            let mut state = self.state.lock().unwrap();
            state.released.push(port);
            let before = state.open.len();
            state.open.retain(|_, open| open.0 != port);
            Ok(state.open.len() < before)
        }
        .boxed()
    }
}

/// What an authoriser was told.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Started(Publication),
    Metadata(Publication, PublicationMetadata),
    Ended(Publication, Ending),
}

/// Knows every channel under one secret; channel `n` is named `c<n>`.
pub(crate) struct FakeAuthoriser {
    secret: Secret,
    told: Mutex<Vec<Told>>,
    /// Answers nothing at all.
    pub(crate) mute: bool,
}

impl FakeAuthoriser {
    pub(crate) fn new(secret: &str) -> Arc<Self> {
        Arc::new(Self { secret: Secret::new(secret).unwrap(), told: Mutex::default(), mute: false })
    }

    pub(crate) fn mute() -> Arc<Self> {
        Arc::new(Self { secret: Secret::new("any").unwrap(), told: Mutex::default(), mute: true })
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    pub(crate) fn ends(&self) -> Vec<(Publication, Ending)> {
        let ends = self.told().into_iter().filter_map(|told| match told {
            Told::Ended(publication, ending) => Some((publication, ending)),
            _ => None,
        });
        ends.collect()
    }

    pub(crate) async fn ended(&self, reason: EndReason) -> (Publication, Ending) {
        eventually(&format!("an end by {reason}"), || {
            self.ends().into_iter().find(|(_, ending)| ending.reason == reason)
        })
        .await
    }

    fn tell(&self, told: Told) -> BoxFuture<'_, ()> {
        self.told.lock().unwrap().push(told);
        std::future::ready(()).boxed()
    }
}

impl Authoriser for FakeAuthoriser {
    fn check(&self, attempt: Attempt) -> BoxFuture<'_, Verdict> {
        async move {
            if self.mute {
                return std::future::pending().await;
            }
            if digest::proves(&self.secret, &attempt.challenge, &attempt.digest) {
                let channel = format!("c{}", attempt.channel_id).parse().unwrap();
                Verdict::Allow { channel, name: None }
            } else {
                Verdict::Deny { reason: "wrong".to_owned() }
            }
        }
        .boxed()
    }

    fn started(&self, publication: Publication) -> BoxFuture<'_, ()> {
        self.tell(Told::Started(publication))
    }

    fn metadata(&self, publication: Publication, metadata: PublicationMetadata) -> BoxFuture<'_, ()> {
        self.tell(Told::Metadata(publication, metadata))
    }

    fn ended(&self, publication: Publication, ending: Ending) -> BoxFuture<'_, ()> {
        self.tell(Told::Ended(publication, ending))
    }
}

/// Settings for a server on loopback with ports of its own.
pub(crate) fn settings() -> FtlSettings {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let mine = 12_000 + u16::try_from(std::process::id() % 16).unwrap() * 640;
    let first = mine + NEXT.fetch_add(16, Ordering::Relaxed);
    FtlSettings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        media_ports: first..=first + 15,
        ..FtlSettings::default()
    }
}

/// A server, its relay and its authoriser.
pub(crate) struct World {
    pub(crate) house: Arc<House>,
    server: FtlServer,
    pub(crate) relay: Arc<FakeRelay>,
    pub(crate) authoriser: Arc<FakeAuthoriser>,
    pub(crate) addr: SocketAddr,
}

impl World {
    pub(crate) fn start(settings: FtlSettings) -> Self {
        Self::with(HouseSettings::default(), settings, FakeAuthoriser::new("secret"))
    }

    pub(crate) fn in_house(house: HouseSettings) -> Self {
        Self::with(house, settings(), FakeAuthoriser::new("secret"))
    }

    pub(crate) fn with(house: HouseSettings, settings: FtlSettings, authoriser: Arc<FakeAuthoriser>) -> Self {
        let relay = FakeRelay::new();
        let house = House::new(house, authoriser.clone(), relay.clone());
        let server = FtlServer::start(settings, Arc::clone(&house)).unwrap();
        let addr = server.local_addrs()[0];
        Self { house, server, relay, authoriser, addr }
    }
}

/// A publisher made of bare sockets, which can do everything wrong.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    pub(crate) media: UdpSocket,
    pub(crate) id: u32,
    /// Where media goes, once live.
    pub(crate) to: SocketAddr,
}

impl Raw {
    /// Connects from an address of this machine.
    pub(crate) async fn connect(server: SocketAddr, from: &str, id: u32) -> Self {
        let from: IpAddr = from.parse().unwrap();
        let socket =
            if from.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() };
        let socket = socket.unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        let stream = socket.connect(server).await.unwrap();
        let media = UdpSocket::bind((from, 0)).await.unwrap();
        Self { stream, media, id, to: server }
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// What one read gives, as clients look at it; empty at the end of the connection.
    pub(crate) async fn hear(&mut self) -> String {
        let mut buffer = [0; 1024];
        let length = timeout(PATIENCE, self.stream.read(&mut buffer)).await.unwrap().unwrap_or(0);
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Asks for a challenge and answers it; returns the reply.
    pub(crate) async fn prove(&mut self, secret: &str) -> String {
        self.say("HMAC\r\n\r\n").await;
        let reply = self.hear().await;
        let challenge = hex::decode(reply.strip_prefix("200 ").unwrap().strip_suffix('\n').unwrap()).unwrap();
        assert_eq!(challenge.len(), 128);
        let digest = digest::digest(&Secret::new(secret).unwrap(), &challenge);
        self.say(&format!("CONNECT {} ${}\r\n\r\n", self.id.cast_signed(), hex::encode(digest))).await;
        self.hear().await
    }

    /// The rest of the handshake; returns the reply to the dot.
    pub(crate) async fn describe(&mut self) -> String {
        let (video, audio) = ((self.id + 1).cast_signed(), self.id.cast_signed());
        let metadata = format!(
            "ProtocolVersion: 0.9\r\n\r\nVendorName: raw\r\n\r\nVideo: true\r\n\r\nVideoCodec: H264\r\n\r\n\
             VideoPayloadType: 96\r\n\r\nVideoIngestSSRC: {video}\r\n\r\nAudio: true\r\n\r\nAudioCodec: OPUS\r\n\r\n\
             AudioPayloadType: 97\r\n\r\nAudioIngestSSRC: {audio}\r\n\r\n.\r\n\r\n"
        );
        self.say(&metadata).await;
        let reply = self.hear().await;
        if let Some(port) = reply.strip_prefix("200 hi. Use UDP port ") {
            self.to.set_port(port.trim_end().parse().unwrap());
        }
        reply
    }

    /// Connects and goes live.
    pub(crate) async fn live(server: SocketAddr, from: &str, id: u32) -> Self {
        let mut raw = Self::connect(server, from, id).await;
        assert_eq!(raw.prove("secret").await, "200\n");
        let reply = raw.describe().await;
        assert!(reply.starts_with("200 hi."), "{reply}");
        raw
    }

    pub(crate) async fn send(&self, datagram: &[u8]) {
        self.media.send_to(datagram, self.to).await.unwrap();
    }

    /// Datagrams that came back, after a while.
    pub(crate) async fn datagram(&self) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let length = timeout(PATIENCE, self.media.recv(&mut buffer)).await.unwrap().unwrap();
        buffer[..length].to_vec()
    }

    pub(crate) fn video(&self, seq: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        rtp(96, seq, timestamp, self.id + 1, payload)
    }

    pub(crate) fn audio(&self, seq: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        rtp(97, seq, timestamp, self.id, payload)
    }
}

pub(crate) fn rtp(payload_type: u8, seq: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x80, payload_type];
    datagram.extend(seq.to_be_bytes());
    datagram.extend(timestamp.to_be_bytes());
    datagram.extend(ssrc.to_be_bytes());
    datagram.extend(payload);
    datagram
}

pub(crate) const SPS: &[u8] = &[0x67, 0x4d, 0x40, 0x1f];
pub(crate) const PPS: &[u8] = &[0x68, 0xee, 0x3c, 0x80];
pub(crate) const IDR: &[u8] = &[0x65, 0x88, 0x80, 0x00, 0x10];
pub(crate) const OPUS: &[u8] = &[0xfc, 0xff, 0xfe];
