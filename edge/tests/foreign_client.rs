//! The whole edge against a WebRTC stack that is not ours (str0m), in memory and over virtual time.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use heliograph_edge::dtls::{DtlsContext, DtlsEndpoint, DtlsStatus, Identity, is_dtls};
use heliograph_edge::ice::{CheckOutcome, IceCredentials, IceLite, Route, is_stun};
use heliograph_edge::path::Path;
use heliograph_edge::sdp::{self, AudioSource, LocalDescription, Negotiated, VideoSource};
use heliograph_edge::srtp::{PacketIndex, RtcpOpener, RtcpSealer, RtpSealer};
use heliograph_media::rtcp::{Rtcp, SenderInfo, is_rtcp, parse_compound, write_sender_report};
use heliograph_media::video::VideoFormat;
use heliograph_media::{NtpTime, Ssrc};
use rand::SeedableRng as _;
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::config::DtlsVersion;
use str0m::media::{Direction, KeyframeRequestKind, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, RtpPacket};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

const VIEWER: &str = "192.0.2.9:50000";
const SERVER: &str = "198.51.100.1:20000";
const ONE_WAY: Duration = Duration::from_millis(5);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Our side: what the relay does with the edge, for one viewer and without sockets.
struct Server {
    credentials: IceCredentials,
    identity: Identity,
    ice: IceLite,
    dtls: Option<DtlsEndpoint>,
    media: Option<Media>,
    heard: Vec<Rtcp>,
}

struct Media {
    sealer: RtpSealer,
    reports: RtcpSealer,
    opener: RtcpOpener,
}

const VIDEO: VideoSource = VideoSource {
    format: VideoFormat::H264 { profile_level_id: [0x64, 0, 0x28] },
    ssrc: Ssrc(0x1111_0001),
    rtx_ssrc: Ssrc(0x1111_0002),
    fec_ssrc: Ssrc(0x1111_0003),
};
const AUDIO: AudioSource = AudioSource { ssrc: Ssrc(0x2222_0001) };

impl Server {
    fn new() -> Self {
        let route = Route { worker: 1, slot: 2 };
        let credentials = IceCredentials::generate(route, &mut rand::rngs::StdRng::seed_from_u64(4));
        Self {
            ice: IceLite::new(&credentials),
            credentials,
            identity: Identity::generate().unwrap(),
            dtls: None,
            media: None,
            heard: Vec::new(),
        }
    }

    fn describe<T>(&self, with: impl FnOnce(&LocalDescription<'_>) -> T) -> T {
        with(&LocalDescription {
            ice: &self.credentials,
            fingerprint: self.identity.fingerprint(),
            candidates: &[address(SERVER), address("[2001:db8::1]:20000")],
            cname: "cname",
            msid: "stream",
            video: Some(VIDEO),
            audio: Some(AUDIO),
        })
    }

    fn begin(&mut self, negotiated: &Negotiated) {
        self.ice.set_remote(&negotiated.remote_ufrag);
        let expected = negotiated.fingerprints.clone();
        self.dtls =
            Some(DtlsEndpoint::accept(&DtlsContext::new().unwrap(), &self.identity, expected).unwrap());
    }

    /// One datagram in, any number out.
    fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) -> Vec<Vec<u8>> {
        let path = Path::udp(from, None);
        if is_stun(datagram) {
            let mut answer = Vec::new();
            let outcome = self.ice.on_datagram(now, path, datagram, &mut answer);
            assert!(matches!(outcome, CheckOutcome::Answered { .. }), "{outcome:?}");
            return vec![answer];
        }
        assert!(self.ice.validated(path), "nothing else comes before a check");
        if is_dtls(datagram) {
            let dtls = self.dtls.as_mut().unwrap();
            dtls.handle_datagram(datagram);
            match dtls.status() {
                DtlsStatus::Connected(keys) if self.media.is_none() => {
                    self.media = Some(Media {
                        sealer: RtpSealer::new(&keys.local).unwrap(),
                        reports: RtcpSealer::new(&keys.local).unwrap(),
                        opener: RtcpOpener::new(&keys.remote).unwrap(),
                    });
                }
                DtlsStatus::Failed(error) => panic!("{error}"),
                _ => {}
            }
            return std::iter::from_fn(|| dtls.poll_transmit()).collect();
        }
        assert!(is_rtcp(datagram));
        let plain = self.media.as_mut().unwrap().opener.open(datagram).unwrap();
        self.heard.extend(parse_compound(plain).unwrap());
        Vec::new()
    }

    fn seal(&self, index: u64, payload_type: u8, ssrc: Ssrc, osn: &[u8], payload: &[u8]) -> Vec<u8> {
        // One header extension element: playout delay 0 to 500 ms.
        let mut header =
            [0x90, payload_type, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0xbe, 0xde, 0, 1, 0x22, 0, 0, 50];
        header[2..4].copy_from_slice(&(index as u16).to_be_bytes());
        header[4..8].copy_from_slice(&(3_000 * index as u32).to_be_bytes());
        header[8..12].copy_from_slice(&ssrc.0.to_be_bytes());
        let mut packet = vec![0; 1500];
        let sealer = &self.media.as_ref().unwrap().sealer;
        let len = sealer.seal(PacketIndex(index), &header, [osn, payload], &mut packet).unwrap();
        packet.truncate(len);
        packet
    }
}

/// The viewer and the network between both.
struct World {
    rtc: Rtc,
    server: Server,
    now: Instant,
    to_viewer: VecDeque<(Instant, Vec<u8>)>,
    to_server: VecDeque<(Instant, Vec<u8>)>,
    packets: Vec<RtpPacket>,
    connected: bool,
}

impl World {
    fn new(version: DtlsVersion) -> Self {
        let now = Instant::now();
        let mut rtc = RtcConfig::new()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_h264(true)
            .enable_opus(true, false)
            .set_extension(5, Extension::PlayoutDelay)
            .set_dtls_version(version)
            .build(now);
        rtc.add_local_candidate(Candidate::host(address(VIEWER), "udp").unwrap()).unwrap();
        Self {
            rtc,
            server: Server::new(),
            now,
            to_viewer: VecDeque::new(),
            to_server: VecDeque::new(),
            packets: Vec::new(),
            connected: false,
        }
    }

    /// We offer.
    fn offered(version: DtlsVersion) -> (Self, Negotiated) {
        let mut world = Self::new(version);
        let offer = world.server.describe(sdp::offer);
        // str0m answers actpass with passive, always, where browsers answer active: it must be told.
        let offer = offer.replace("a=setup:actpass", "a=setup:passive");
        let offer = SdpOffer::from_sdp_string(&offer).unwrap();
        let answer = world.rtc.sdp_api().accept_offer(offer).unwrap().to_sdp_string();
        let negotiated = world.server.describe(|local| sdp::parse_answer(&answer, local)).unwrap();
        world.server.begin(&negotiated);
        (world, negotiated)
    }

    /// The viewer offers, audio first.
    fn answered() -> (Self, Negotiated) {
        let mut world = Self::new(DtlsVersion::Dtls12);
        let mut api = world.rtc.sdp_api();
        api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        let offer = offer.to_sdp_string();
        let (answer, negotiated) = world.server.describe(|local| sdp::answer(&offer, local)).unwrap();
        let answer = SdpAnswer::from_sdp_string(&answer).unwrap();
        world.rtc.sdp_api().accept_answer(pending, answer).unwrap();
        world.server.begin(&negotiated);
        (world, negotiated)
    }

    /// Takes everything out of the viewer; the moment of its next timer.
    fn drain(&mut self) -> Instant {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) => return at,
                Output::Transmit(sent) if sent.destination == address(SERVER) => {
                    self.to_server.push_back((self.now + ONE_WAY, sent.contents.to_vec()));
                }
                Output::Transmit(_) => {}
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::RtpPacket(packet)) => self.packets.push(packet),
                Output::Event(_) => {}
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let timer = self.drain();
            let queues = [&self.to_server, &self.to_viewer];
            let arrivals = queues.iter().filter_map(|queue| queue.front()).map(|(at, _)| *at);
            let next = arrivals.chain([timer]).min().unwrap().max(self.now);
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
            if let Some(mut datagram) = arrived(&mut self.to_server, next) {
                for answer in self.server.receive(next, address(VIEWER), &mut datagram) {
                    self.to_viewer.push_back((next + ONE_WAY, answer));
                }
            } else if let Some(datagram) = arrived(&mut self.to_viewer, next) {
                let receive =
                    Receive::new(Protocol::Udp, address(SERVER), address(VIEWER), &datagram).unwrap();
                self.rtc.handle_input(Input::Receive(next, receive)).unwrap();
            } else {
                self.rtc.handle_input(Input::Timeout(next)).unwrap();
            }
        }
    }

    fn connect(&mut self) -> Duration {
        let start = self.now;
        while !(self.connected && self.server.media.is_some()) {
            assert!(self.now - start < Duration::from_secs(3), "no connection in three seconds");
            self.run(Duration::from_millis(1));
        }
        self.now - start
    }

    fn send(&mut self, packet: Vec<u8>) {
        self.to_viewer.push_back((self.now + ONE_WAY, packet));
    }
}

/// The first datagram of a queue, once its time has come.
fn arrived(queue: &mut VecDeque<(Instant, Vec<u8>)>, now: Instant) -> Option<Vec<u8>> {
    queue.front().filter(|(at, _)| *at <= now)?;
    queue.pop_front().map(|(_, datagram)| datagram)
}

#[test]
fn our_offer_connects() {
    let (mut world, negotiated) = World::offered(DtlsVersion::Dtls12);
    assert!(negotiated.missing.is_empty());
    assert!(negotiated.video.as_ref().unwrap().rtx_payload_type.is_some());
    let took = world.connect();
    assert!(took < Duration::from_millis(300), "{took:?}");
    assert_eq!(world.server.ice.selected(), Some(Path::udp(address(VIEWER), None)));
}

#[test]
fn our_answer_connects() {
    let (mut world, negotiated) = World::answered();
    assert!(negotiated.video.is_some() && negotiated.audio.is_some());
    world.connect();
    let audio = negotiated.audio.unwrap();
    world.send(world.server.seal(9, audio.payload_type.get(), AUDIO.ssrc, &[], b"sound"));
    world.run(Duration::from_millis(50));
    assert_eq!(&*world.packets[0].payload, b"sound");
}

/// A client that also speaks 1.3 falls back: our OpenSSL knows 1.2 only.
#[test]
fn a_client_that_prefers_dtls_1_3_connects() {
    let (mut world, _) = World::offered(DtlsVersion::Auto);
    world.connect();
}

#[test]
fn media_across_the_sequence_wrap() {
    let (mut world, negotiated) = World::offered(DtlsVersion::Dtls12);
    world.connect();
    let pt = negotiated.video.unwrap().payload_type.get();
    let range = 65_400..65_700u64;
    for index in range.clone() {
        let payload = [&index.to_be_bytes()[..], &[0x41; 900]].concat();
        world.send(world.server.seal(index, pt, VIDEO.ssrc, &[], &payload));
        world.run(Duration::from_millis(2));
    }
    world.run(Duration::from_millis(50));
    let received: Vec<u64> = world
        .packets
        .iter()
        .map(|packet| u64::from_be_bytes(packet.payload[..8].try_into().unwrap()))
        .collect();
    assert_eq!(received, range.collect::<Vec<_>>());
    let delay = &world.packets[0].header.ext_vals;
    assert_eq!(delay.play_delay_max.map(|max| max.as_micros()), Some(500_000));
}

#[test]
fn feedback_and_retransmission() {
    let (mut world, negotiated) = World::offered(DtlsVersion::Dtls12);
    world.connect();
    let video = negotiated.video.unwrap();
    let pt = video.payload_type.get();
    assert!(video.nack);
    for index in 100..200 {
        if index != 150 {
            world.send(world.server.seal(index, pt, VIDEO.ssrc, &[], &index.to_be_bytes()));
        }
        world.run(Duration::from_millis(5));
    }
    let asked = |world: &World| {
        world.server.heard.iter().any(|rtcp| {
            matches!(rtcp, Rtcp::Nack { media, lost, .. }
            if *media == VIDEO.ssrc && lost.iter().any(|seq| seq.0 == 150))
        })
    };
    assert!(asked(&world), "{:?}", world.server.heard);
    let rtx = video.rtx_payload_type.unwrap().get();
    let again = world.server.seal(7, rtx, VIDEO.rtx_ssrc, &150u16.to_be_bytes(), &150u64.to_be_bytes());
    world.send(again);
    world.run(Duration::from_millis(50));
    assert!(world.packets.iter().any(|packet| packet.payload[..] == 150u64.to_be_bytes()));

    let mut api = world.rtc.direct_api();
    api.stream_rx(&VIDEO.ssrc.0.into()).unwrap().request_keyframe(KeyframeRequestKind::Pli);
    world.run(Duration::from_secs(2));
    let heard = |test: fn(&Rtcp) -> bool| world.server.heard.iter().any(test);
    assert!(heard(|rtcp| matches!(rtcp, Rtcp::Pli { media } if *media == VIDEO.ssrc)));
    assert!(heard(|rtcp| matches!(rtcp, Rtcp::ReceiverReport { reports, .. } if !reports.is_empty())));
}

#[test]
fn our_sender_reports_are_read() {
    let (mut world, negotiated) = World::offered(DtlsVersion::Dtls12);
    world.connect();
    let pt = negotiated.video.unwrap().payload_type.get();
    world.send(world.server.seal(1, pt, VIDEO.ssrc, &[], b"first"));
    world.run(Duration::from_millis(50));
    let info = SenderInfo {
        ssrc: VIDEO.ssrc,
        ntp: NtpTime::from_unix(Duration::from_secs(1_800_000_000)),
        rtp_timestamp: 77,
        packets: 1,
        octets: 5,
    };
    let (mut plain, mut sealed) = (Vec::new(), Vec::new());
    write_sender_report(&mut plain, &info, &[]);
    world.server.media.as_mut().unwrap().reports.seal(&plain, &mut sealed).unwrap();
    world.send(sealed);
    world.run(Duration::from_millis(50));
    world.send(world.server.seal(2, pt, VIDEO.ssrc, &[], b"second"));
    world.run(Duration::from_millis(50));
    let sender = world.packets[1].last_sender_info.as_ref().unwrap();
    assert_eq!(sender.rtp_time.numer(), 77);
}

#[test]
fn consent_goes_on() {
    let (mut world, _) = World::offered(DtlsVersion::Dtls12);
    world.connect();
    for _ in 0..6 {
        world.run(Duration::from_secs(10));
        let silence = world.now - world.server.ice.last_check().unwrap();
        assert!(silence < Duration::from_secs(10), "{silence:?}");
    }
}
