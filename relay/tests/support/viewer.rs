//! A viewer on str0m: its own socket, its own thread, real time.

use std::{
    net::{SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use heliograph_relay::{Relay, StreamId, ViewerHandle, WatchError, WatchRequest};
use str0m::{
    Candidate, Event, Input, Output, Rtc, RtcConfig,
    change::{SdpAnswer, SdpOffer},
    media::{Direction, KeyframeRequestKind, MediaKind},
    net::{Protocol, Receive},
    rtp::{Extension, RtpPacket},
};

/// What it may do badly.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manners {
    /// One received media packet in so many is thrown away.
    pub lose_one_in: Option<u32>,
    /// Ask for a keyframe this long after connecting.
    pub ask_keyframe_after: Option<Duration>,
    /// Go on from another port this long after connecting, as behind a NAT that was restarted.
    pub move_after: Option<Duration>,
    /// Watch over IPv6.
    pub ipv6: bool,
    /// The last thing it sends looks like a DTLS alert.
    pub alert_at_end: bool,
}

impl Manners {
    fn bind(self) -> UdpSocket {
        UdpSocket::bind(if self.ipv6 { "[::1]:0" } else { "127.0.0.1:0" }).unwrap()
    }

    fn request(self) -> WatchRequest {
        let local = if self.ipv6 { std::net::Ipv6Addr::LOCALHOST.into() } else { [127, 0, 0, 1].into() };
        WatchRequest { local_ip: Some(local), remote: local, transport: "test" }
    }
}

/// Everything a viewer saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub connected: Option<Duration>,
    /// Since the beginning of signaling, for each packet.
    pub video: Vec<(Duration, RtpPacket)>,
    pub audio: Vec<(Duration, RtpPacket)>,
    /// Media packets thrown away.
    pub lost: u32,
    /// When it went on from another port.
    pub moved: Option<Duration>,
}

impl Seen {
    /// Sequence numbers in order, each once.
    pub fn numbers(packets: &[(Duration, RtpPacket)]) -> Vec<u64> {
        let mut numbers: Vec<u64> = packets.iter().map(|(_, packet)| *packet.seq_no).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Numbers missing between the first and the last.
    pub fn holes(packets: &[(Duration, RtpPacket)]) -> u64 {
        let numbers = Self::numbers(packets);
        match (numbers.first(), numbers.last()) {
            (Some(first), Some(last)) => last - first + 1 - numbers.len() as u64,
            _ => 0,
        }
    }
}

fn build(address: SocketAddr) -> Rtc {
    let mut rtc = RtcConfig::new()
        .set_rtp_mode(true)
        .clear_codecs()
        .enable_h264(true)
        .enable_opus(true, false)
        .set_extension(5, Extension::PlayoutDelay)
        .build(Instant::now());
    rtc.add_local_candidate(Candidate::host(address, "udp").unwrap()).unwrap();
    rtc
}

/// A viewer that has signaled and now only has to run.
pub struct Viewer {
    rtc: Rtc,
    socket: UdpSocket,
    began: Instant,
    pub handle: ViewerHandle,
    manners: Manners,
}

impl Viewer {
    /// We offer, the viewer answers.
    pub async fn by_offer(relay: &Relay, stream: StreamId, manners: Manners) -> Result<Self, WatchError> {
        let began = Instant::now();
        let socket = manners.bind();
        let (mut handle, offer) = relay.watch_offer(stream, manners.request()).await?;
        // str0m answers actpass with passive, always, where browsers answer active: it must be told.
        let offer = SdpOffer::from_sdp_string(&offer.replace("a=setup:actpass", "a=setup:passive")).unwrap();
        let mut rtc = build(socket.local_addr().unwrap());
        let answer = rtc.sdp_api().accept_offer(offer).unwrap();
        handle.accept_answer(&answer.to_sdp_string())?;
        Ok(Self { rtc, socket, began, handle, manners })
    }

    /// The viewer offers (WHEP).
    pub async fn by_answer(relay: &Relay, stream: StreamId, manners: Manners) -> Result<Self, WatchError> {
        let began = Instant::now();
        let socket = manners.bind();
        let mut rtc = build(socket.local_addr().unwrap());
        let mut api = rtc.sdp_api();
        api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        let (handle, answer) = relay.watch_answer(stream, manners.request(), &offer.to_sdp_string()).await?;
        rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&answer).unwrap()).unwrap();
        Ok(Self { rtc, socket, began, handle, manners })
    }

    /// Watches for so long.
    pub async fn watch(self, time: Duration) -> (ViewerHandle, Seen) {
        let Self { rtc, socket, began, handle, manners } = self;
        let watching = thread::spawn(move || run(rtc, socket, began, manners, time));
        let seen = tokio::task::spawn_blocking(|| watching.join().unwrap()).await.unwrap();
        (handle, seen)
    }
}

fn run(mut rtc: Rtc, mut socket: UdpSocket, began: Instant, manners: Manners, time: Duration) -> Seen {
    let mut seen = Seen::default();
    let mut buffer = [0; 2048];
    let mut media = 0_u32;
    let mut asked = false;
    let mut moved = false;
    let mut server = None;
    let local = socket.local_addr().unwrap();
    let end = Instant::now() + time;
    loop {
        let timer = loop {
            match rtc.poll_output().unwrap() {
                Output::Timeout(at) => break at,
                Output::Transmit(sent) => {
                    let _ = socket.send_to(&sent.contents, sent.destination);
                }
                Output::Event(Event::Connected) => seen.connected = Some(began.elapsed()),
                Output::Event(Event::RtpPacket(packet)) => {
                    let is_video = packet.header.payload_type != 111.into()
                        && rtc.codec_config().params().iter().any(|params| {
                            params.pt() == packet.header.payload_type && params.spec().codec.is_video()
                        });
                    let list = if is_video { &mut seen.video } else { &mut seen.audio };
                    list.push((began.elapsed(), packet));
                }
                Output::Event(_) => {}
            }
        };
        let now = Instant::now();
        if now >= end {
            if manners.alert_at_end {
                let alert = [21, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0];
                socket.send_to(&alert, server.unwrap()).unwrap();
            }
            return seen;
        }
        if let (Some(after), Some(connected), Some((_, first))) =
            (manners.ask_keyframe_after, seen.connected, seen.video.first())
            && !asked
            && began.elapsed() > connected + after
        {
            asked = true;
            let mut api = rtc.direct_api();
            api.stream_rx(&first.header.ssrc).unwrap().request_keyframe(KeyframeRequestKind::Pli);
            continue;
        }
        if let (Some(after), Some(connected)) = (manners.move_after, seen.connected)
            && !moved
            && began.elapsed() > connected + after
        {
            moved = true;
            socket = manners.bind();
            seen.moved = Some(began.elapsed());
        }
        let wait = timer.min(end).min(now + Duration::from_millis(20)).saturating_duration_since(now);
        socket.set_read_timeout(Some(wait.max(Duration::from_micros(100)))).unwrap();
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) => {
                server = Some(from);
                let datagram = &buffer[..len];
                let is_media = datagram[0] >> 6 == 2 && !(192..=223).contains(&datagram[1]);
                media += u32::from(is_media);
                if is_media && manners.lose_one_in.is_some_and(|one_in| media.is_multiple_of(one_in)) {
                    seen.lost += 1;
                    continue;
                }
                if let Ok(receive) = Receive::new(Protocol::Udp, from, local, datagram) {
                    rtc.handle_input(Input::Receive(Instant::now(), receive)).unwrap();
                }
            }
            Err(_) => rtc.handle_input(Input::Timeout(Instant::now())).unwrap(),
        }
    }
}
