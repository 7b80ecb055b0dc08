//! The whole way: RTP into a real relay, a viewer of another make (str0m) that finds it through signaling.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket as StdUdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::HeaderMap,
};
use futures_util::{SinkExt, StreamExt};
use heliograph_relay::{Relay, RelaySettings};
use heliograph_signaling::{ConnectionAddresses, SignalingSettings, control_router, public_router};
use serde_json::{Value, json};
use str0m::{
    Candidate, Event, Input, Output, Rtc, RtcConfig,
    change::{SdpAnswer, SdpOffer},
    media::{Direction, MediaKind},
    net::{Protocol, Receive},
};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
    time::{interval, sleep, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};
use tower::ServiceExt;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Constrained Baseline, level 3.1, 1280x720.
const SPS: &[u8] = &[
    0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00,
    0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x24, 0x80,
];
const PPS: &[u8] = &[0x68, 0xef, 0xbc, 0x80];

fn free_port() -> u16 {
    StdUdpSocket::bind((LOOPBACK, 0)).unwrap().local_addr().unwrap().port()
}

/// A relay and both routers, the public one also on a listener.
struct House {
    relay: Relay,
    settings: Arc<SignalingSettings>,
    public: Router,
    control: Router,
    address: SocketAddr,
}

impl House {
    async fn open() -> Self {
        let (rtp, media) = (free_port(), free_port());
        let relay = Relay::start(RelaySettings {
            rtp_ports: rtp..=rtp,
            ports: media..=media,
            media_addr: Some(LOOPBACK),
            workers: std::num::NonZeroUsize::new(1),
            port_rest: Duration::from_millis(50),
            ..RelaySettings::default()
        })
        .unwrap();
        let settings = Arc::new(SignalingSettings::default());
        let public = public_router(relay.clone(), Arc::clone(&settings));
        let control = control_router(relay.clone(), Arc::clone(&settings));
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, public.clone()).into_future());
        Self { relay, settings, public, control, address }
    }

    async fn allocate(&self, channel: &str) -> u16 {
        let body = json!({"channel": channel}).to_string();
        let (status, _, text) = ask(&self.control, "POST", "/stream", &[("host", "localhost")], body).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["port"].as_u64().unwrap().try_into().unwrap()
    }

    async fn release(&self, port: u16) {
        let path = format!("/stream?port={port}");
        let (status, ..) = ask(&self.control, "DELETE", &path, &[("host", "localhost")], String::new()).await;
        assert_eq!(status, 204);
    }

    async fn join(&self, query: &str) -> Page {
        Page(connect_async(format!("ws://{}/websocket{query}", self.address)).await.unwrap().0)
    }
}

async fn ask(
    router: &Router,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> (u16, HeaderMap, String) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let remote = SocketAddr::new(LOOPBACK, 40_000);
    let local = SocketAddr::new(LOOPBACK, 8080);
    let request = request.extension(ConnectionAddresses { remote, local }).body(Body::from(body)).unwrap();
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

struct Page(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Page {
    async fn event(&mut self) -> (String, Value) {
        loop {
            let frame = timeout(Duration::from_secs(20), self.0.next()).await.expect("an event in time");
            match frame {
                Some(Ok(Message::Text(text))) => {
                    let mut message: Value = serde_json::from_str(&text).unwrap();
                    return (message["event"].as_str().unwrap().to_owned(), message["data"].take());
                }
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("an event, not {other:?}"),
            }
        }
    }

    /// The next event of this name; what comes before is skipped, unless it says that something went wrong.
    async fn wait_for(&mut self, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (event, data) = self.event().await;
            if event == name && fits(&data) {
                return data;
            }
            assert!(!matches!(event.as_str(), "error" | "close"), "{event}: {data}");
        }
    }

    async fn wait_for_state(&mut self, state: &str) -> Value {
        self.wait_for("state", |data| data["state"] == state).await
    }
}

/// 25 pictures and 50 sounds a second, a keyframe each second.
fn publish(port: u16) -> JoinHandle<()> {
    tokio::spawn(async move {
        let socket = UdpSocket::bind((LOOPBACK, 0)).await.unwrap();
        socket.connect((LOOPBACK, port)).await.unwrap();
        let packet = |seq: u16, timestamp: u32, payload_type: u8, marker: bool, payload: &[u8]| {
            let mut packet = vec![0x80, payload_type | if marker { 0x80 } else { 0 }];
            packet.extend_from_slice(&seq.to_be_bytes());
            packet.extend_from_slice(&timestamp.to_be_bytes());
            packet.extend_from_slice(&u32::from(payload_type).to_be_bytes());
            packet.extend_from_slice(payload);
            packet
        };
        let (mut video, mut audio) = (0_u16, 0_u16);
        let mut clock = interval(Duration::from_millis(20));
        for tick in 0_u32.. {
            clock.tick().await;
            let sound = packet(audio, tick * 960, 97, false, &[0xfc, 1, 2, 3]);
            audio = audio.wrapping_add(1);
            let mut pictures = Vec::new();
            if tick % 2 == 0 {
                let slice = |kind: u8| [&[kind, 0x88][..], &[7; 900]].concat();
                let nals = match tick % 50 {
                    0 => vec![SPS.to_vec(), PPS.to_vec(), slice(0x65)],
                    _ => vec![slice(0x41)],
                };
                let last = nals.len() - 1;
                for (index, nal) in nals.iter().enumerate() {
                    pictures.push(packet(video, tick * 1800, 96, index == last, nal));
                    video = video.wrapping_add(1);
                }
            }
            for datagram in pictures.iter().chain([&sound]) {
                // Nobody listens any more once the stream is closed.
                let _ = socket.send(datagram).await;
            }
        }
    })
}

/// A viewer with a socket of its own.
struct Viewer {
    rtc: Rtc,
    socket: UdpSocket,
    address: SocketAddr,
    video: u32,
    audio: u32,
}

impl Viewer {
    async fn new() -> Self {
        let socket = UdpSocket::bind((LOOPBACK, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut rtc = RtcConfig::new()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_h264(true)
            .enable_opus(true, false)
            .build(Instant::now());
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap()).unwrap();
        Self { rtc, socket, address, video: 0, audio: 0 }
    }

    /// The answer to an offer. str0m always answers `actpass` with `passive`, where browsers answer `active`.
    fn answer(&mut self, offer: &str) -> String {
        let offer = SdpOffer::from_sdp_string(&offer.replace("a=setup:actpass", "a=setup:passive")).unwrap();
        self.rtc.sdp_api().accept_offer(offer).unwrap().to_sdp_string()
    }

    /// Runs until so many packets of each kind have come.
    async fn watch(&mut self, video: u32, audio: u32) {
        let end = Instant::now() + Duration::from_secs(20);
        let (video, audio) = (self.video + video, self.audio + audio);
        let mut datagram = vec![0; 2000];
        while self.video < video || self.audio < audio {
            assert!(Instant::now() < end, "{} video and {} audio packets came", self.video, self.audio);
            let wake = self.drain().await;
            let wait = wake.saturating_duration_since(Instant::now()).min(Duration::from_millis(100));
            let input = match timeout(wait, self.socket.recv_from(&mut datagram)).await {
                Ok(received) => {
                    let (length, source) = received.unwrap();
                    let receive =
                        Receive::new(Protocol::Udp, source, self.address, &datagram[..length]).unwrap();
                    Input::Receive(Instant::now(), receive)
                }
                Err(_) => Input::Timeout(Instant::now()),
            };
            self.rtc.handle_input(input).unwrap();
        }
    }

    async fn drain(&mut self) -> Instant {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) => return at,
                Output::Transmit(sent) => {
                    self.socket.send_to(&sent.contents, sent.destination).await.unwrap();
                }
                // By size: each picture of the publisher is 902 bytes or a parameter set, each sound 4.
                Output::Event(Event::RtpPacket(packet)) if packet.payload.len() == 4 => self.audio += 1,
                Output::Event(Event::RtpPacket(_)) => self.video += 1,
                Output::Event(_) => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_who_waits_for_a_channel_sees_it_over_the_websocket() {
    let house = House::open().await;
    let mut page = house.join("?channel=den").await;
    assert_eq!(page.wait_for_state("offline").await, json!({"state": "offline", "channel": "den"}));

    let port = house.allocate("den").await;
    page.wait_for_state("waiting").await;
    let publisher = publish(port);
    assert_eq!(page.wait_for_state("live").await["port"], port);
    let offer = page.wait_for("offer", |_| true).await;

    let mut viewer = Viewer::new().await;
    let sdp = viewer.answer(offer["sdp"].as_str().unwrap());
    let answer = json!({"event": "answer", "data": {"type": "answer", "sdp": sdp}}).to_string();
    page.0.send(Message::text(answer)).await.unwrap();
    viewer.watch(50, 50).await;
    page.wait_for("info", |data| data["no_connections"] == 1).await;
    let stream = house.relay.stream_by_channel("den").unwrap();
    assert_eq!(stream.viewers, 1);

    // The publisher falls silent and comes back: the same peer connection goes on.
    publisher.abort();
    page.wait_for_state("away").await;
    let publisher = publish(port);
    page.wait_for_state("live").await;
    viewer.watch(25, 25).await;

    house.release(port).await;
    page.wait_for_state("offline").await;
    publisher.abort();

    house.settings.shutdown.begin();
    let (event, data) = page.event().await;
    assert_eq!((event.as_str(), &data["code"]), ("close", &json!("server_shutdown")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_of_a_port_is_told_when_the_stream_is_deleted() {
    let house = House::open().await;
    let port = house.allocate("den").await;
    let publisher = publish(port);
    let mut page = house.join(&format!("?port={port}")).await;
    let offer = page.wait_for("offer", |_| true).await;
    let mut viewer = Viewer::new().await;
    let sdp = viewer.answer(offer["sdp"].as_str().unwrap());
    let answer = json!({"event": "answer", "data": {"type": "answer", "sdp": sdp}}).to_string();
    page.0.send(Message::text(answer)).await.unwrap();
    viewer.watch(30, 30).await;
    house.release(port).await;
    loop {
        let (event, data) = page.event().await;
        if event == "close" {
            assert_eq!(data["code"], "stream_ended");
            break;
        }
    }
    publisher.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_a_channel_over_whep_restarts_ice_and_leaves() {
    let house = House::open().await;
    let port = house.allocate("den").await;
    let publisher = publish(port);
    let mut viewer = Viewer::new().await;
    let mut api = viewer.rtc.sdp_api();
    api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
    api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
    let (offer, pending) = api.apply().unwrap();
    let sdp = [("content-type", "application/sdp")];
    let (status, headers, answer) =
        ask(&house.public, "POST", "/whep/den", &sdp, offer.to_sdp_string()).await;
    assert_eq!(status, 201, "{answer}");
    viewer.rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&answer).unwrap()).unwrap();
    viewer.watch(50, 50).await;
    assert_eq!(house.relay.stream_by_port(port).unwrap().viewers, 1);

    let session = headers["location"].to_str().unwrap();
    let fragment = [("content-type", "application/trickle-ice-sdpfrag"), ("if-match", "*")];
    let restart = "a=ice-ufrag:next\r\na=ice-pwd:0123456789abcdef01234567\r\n".to_owned();
    let (status, headers, ours) = ask(&house.public, "PATCH", session, &fragment, restart).await;
    assert_eq!(status, 200, "{ours}");
    assert!(ours.contains("a=ice-ufrag:") && ours.contains("a=ice-pwd:"), "{ours}");
    assert!(headers.contains_key("etag"));

    let (status, ..) = ask(&house.public, "DELETE", session, &[], String::new()).await;
    assert_eq!(status, 200);
    for _ in 0..200 {
        if house.relay.stream_by_port(port).unwrap().viewers == 0 {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(house.relay.stream_by_port(port).unwrap().viewers, 0);
    publisher.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_description_is_refused_in_words() {
    let house = House::open().await;
    let port = house.allocate("den").await;
    let publisher = publish(port);
    let sdp = [("content-type", "application/sdp")];
    for body in ["", "hello", "v=0\r\n"] {
        let (status, _, text) = ask(&house.public, "POST", "/whep/den", &sdp, body.to_owned()).await;
        assert_eq!(status, 400, "{text}");
    }
    let mut page = house.join(&format!("?port={port}")).await;
    page.wait_for("offer", |_| true).await;
    let answer = json!({"event": "answer", "data": {"type": "answer", "sdp": "v=0\r\n"}}).to_string();
    page.0.send(Message::text(answer)).await.unwrap();
    loop {
        let (event, data) = page.event().await;
        if event == "close" {
            assert_eq!(data["code"], "bad_answer");
            break;
        }
    }
    publisher.abort();
}
