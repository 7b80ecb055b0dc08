//! A relay with real sockets: what an ingest meets on the loopback side.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    ops::RangeInclusive,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use heliograph_media::{
    PayloadType, Ssrc, WireSeq,
    rtcp::{self, Rtcp},
    rtp,
};
use heliograph_relay::{
    AllocateError, Allocator as _, ChannelName, CloseReason, FeedBatch, FeedItem, FeedSink, Relay,
    RelayError, RelaySettings, StreamRequest, StreamState, Track, TrackRing,
};
use tokio::time;

/// Free ports below the ephemeral ones; other processes look for theirs elsewhere.
fn ports(size: u16) -> RangeInclusive<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = u16::try_from(std::process::id() % 50).unwrap();
    loop {
        let first = 24_600 + process * 100 + NEXT.fetch_add(size, Ordering::Relaxed) % 90;
        let range = first..=first + (size - 1);
        if range.clone().all(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
            return range;
        }
    }
}

fn settings(pool: u16) -> RelaySettings {
    RelaySettings {
        rtp_ports: ports(pool),
        ports: ports(4),
        media_addr: Some(Ipv4Addr::LOCALHOST.into()),
        port_rest: Duration::from_millis(300),
        ..RelaySettings::default()
    }
}

fn request(channel: &str) -> StreamRequest {
    StreamRequest { channel: Some(ChannelName::new(channel).unwrap()), ..StreamRequest::default() }
}

/// Keeps everything it hears.
#[derive(Default)]
struct Reader(Mutex<Vec<FeedBatch>>);

impl FeedSink for Reader {
    fn deliver(&self, batch: &Arc<FeedBatch>) {
        self.0.lock().unwrap().push((**batch).clone());
    }
}

impl Reader {
    fn items(&self) -> Vec<FeedItem> {
        self.0.lock().unwrap().iter().flat_map(|batch| batch.items.clone()).collect()
    }

    fn ended(&self) -> Option<CloseReason> {
        self.items()
            .into_iter()
            .find_map(|item| if let FeedItem::Ended(why) = item { Some(why) } else { None })
    }
}

/// Sends as `ffmpeg -f rtp` does: a socket per medium.
struct Sender {
    socket: UdpSocket,
    to: SocketAddr,
    payload_type: PayloadType,
    ssrc: Ssrc,
    seq: u16,
}

impl Sender {
    fn new(port: u16, payload_type: PayloadType, ssrc: u32) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { socket, to, payload_type, ssrc: Ssrc(ssrc), seq: 65_000 }
    }

    fn send(&mut self, marker: bool, timestamp: u32, payload: &[u8]) {
        let mut header = [0; rtp::HEADER_LEN];
        let seq = WireSeq(self.seq);
        rtp::write_rtp_header(&mut header, marker, self.payload_type, seq, timestamp, self.ssrc);
        self.seq = self.seq.wrapping_add(1);
        self.socket.send_to(&[&header, payload].concat(), self.to).unwrap();
    }

    fn keyframe(&mut self, timestamp: u32, slices: usize) {
        const SPS: &[u8] = &[
            0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
            0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x24, 0x80,
        ];
        self.send(false, timestamp, SPS);
        self.send(false, timestamp, &[0x68, 0xef, 0xbc, 0x80]);
        self.send(false, timestamp, &[&[0x7c, 0x85, 0x88, 0x84], &[1; 1_200][..]].concat());
        for _ in 0..slices {
            self.send(false, timestamp, &[&[0x7c, 0x05], &[2; 1_300][..]].concat());
        }
        self.send(true, timestamp, &[0x7c, 0x45, 3]);
    }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..300 {
        if holds() {
            return;
        }
        time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within three seconds: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn media_reaches_the_readers_and_reports_the_publisher() {
    let relay = Relay::start(settings(2)).unwrap();
    let reader = Arc::new(Reader::default());
    relay.sinks().add(Arc::clone(&reader) as Arc<dyn FeedSink>);
    let port = relay.allocate_now(request("demo")).unwrap().port;
    let stream = relay.stream_by_channel("demo").unwrap();
    assert_eq!((stream.port, stream.state, stream.tracks.len()), (port, StreamState::Waiting, 2));

    let mut video = Sender::new(port, PayloadType::H264, 0xaaaa);
    let mut audio = Sender::new(port, PayloadType::OPUS, 0xbbbb);
    let mut changes = relay.changes();
    for picture in 0..40_u32 {
        // A large keyframe at once, as encoders send it: hundreds of packets.
        video.keyframe(1_000_000 + picture * 3_600, 300);
        for sound in 0..2 {
            audio.send(false, 77 + (picture * 2 + sound) * 960, &[0xfc, 0xff, 0xfe]);
        }
        time::sleep(Duration::from_millis(40)).await;
    }
    time::timeout(Duration::from_secs(1), changes.changed()).await.unwrap().unwrap();
    eventually("everything is there", || {
        let stream = relay.stream_by_port(port).unwrap();
        stream.tracks.iter().map(|track| track.packets).collect::<Vec<_>>() == [40 * 304, 80]
    })
    .await;
    let stream = relay.stream_by_port(port).unwrap();
    assert_eq!(stream.state, StreamState::Live);
    assert_eq!((stream.tracks[0].width, stream.tracks[0].height), (Some(1280), Some(720)));
    assert_eq!(stream.refused, std::collections::BTreeMap::new());

    let mut ring = TrackRing::new(RelaySettings::default().ring);
    for item in reader.items() {
        if let FeedItem::Packets { track: Track::Video, packets } = item {
            for packet in packets {
                ring.push(packet);
            }
        }
    }
    assert_eq!(ring.packets_from(ring.oldest()).count(), 40 * 304);
    assert_eq!(ring.newest_keyframe(), Some(heliograph_media::SeqNo(ring.next().0 - 304)));
    // One wake-up per burst and reader, not per packet.
    assert!(reader.0.lock().unwrap().len() < 4_000, "{} batches", reader.0.lock().unwrap().len());

    let mut buffer = [0; 1_500];
    let length = video.socket.recv(&mut buffer).expect("a receiver report by now");
    let reports = rtcp::parse_compound(&buffer[..length]).unwrap();
    let Rtcp::ReceiverReport { reports, .. } = &reports[0] else { panic!("{reports:?}") };
    assert_eq!((reports[0].ssrc, reports[0].cumulative_lost), (Ssrc(0xaaaa), 0));

    assert!(relay.release(port, CloseReason::StreamEnded));
    assert!(!relay.release(port, CloseReason::StreamEnded));
    assert!(relay.streams().is_empty());
    eventually("readers hear the end", || reader.ended() == Some(CloseReason::StreamEnded)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn allocation_as_the_contract_says() {
    let settings = RelaySettings { permanent_port: Some(*ports(1).start()), ..settings(2) };
    let (pool, permanent) = (settings.rtp_ports.clone(), settings.permanent_port.unwrap());
    let relay = Relay::start(settings).unwrap();
    assert!(relay.stream_by_port(permanent).unwrap().permanent);
    assert!(!relay.release(permanent, CloseReason::Kicked), "it always exists");

    let port = relay.allocate(request("a")).await.unwrap().port;
    assert_eq!(port, *pool.start());
    assert_eq!(relay.allocate(request("a")).await.unwrap().port, port, "the same again");
    let wish = |port| StreamRequest { port: Some(port), ..StreamRequest::default() };
    for (wanted, error) in [
        (port, AllocateError::PortTaken),
        (permanent, AllocateError::PortTaken),
        (9, AllocateError::OutsidePool),
        (0, AllocateError::OutsidePool),
    ] {
        assert_eq!(relay.allocate(wish(wanted)).await, Err(error), "{wanted}");
    }
    assert_eq!(relay.allocate(wish(*pool.end())).await.unwrap().port, *pool.end());
    assert_eq!(relay.allocate(StreamRequest::default()).await, Err(AllocateError::PoolEmpty));
    assert_eq!(relay.streams().len(), 3);

    // Given back, it rests, then it is there again, for another stream.
    let before = relay.stream_by_port(port).unwrap().id;
    assert!(relay.release(port, CloseReason::StreamEnded));
    assert_eq!(relay.allocate(request("a")).await, Err(AllocateError::PoolEmpty));
    time::sleep(Duration::from_millis(400)).await;
    assert_eq!(relay.allocate(request("a")).await.unwrap().port, port);
    assert_ne!(relay.stream_by_port(port).unwrap().id, before);

    let released = heliograph_relay::Allocator::release(&relay, 9).await;
    assert_eq!(released, Ok(false));
    relay.shutdown(Duration::from_secs(2)).await;
    assert!(relay.streams().is_empty());
    assert!(matches!(relay.allocate(request("b")).await, Err(AllocateError::Unreachable(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_closes_and_a_permanent_one_does_not() {
    let permanent = *ports(1).start();
    let settings = RelaySettings {
        idle_timeout: Duration::from_millis(500),
        permanent_port: Some(permanent),
        ..settings(1)
    };
    let relay = Relay::start(settings).unwrap();
    let reader = Arc::new(Reader::default());
    relay.sinks().add(Arc::clone(&reader) as Arc<dyn FeedSink>);
    let port = relay.allocate_now(StreamRequest::default()).unwrap().port;
    let mut audio = Sender::new(port, PayloadType::OPUS, 1);
    audio.send(false, 0, &[0xfc]);
    eventually("it lives", || {
        relay.stream_by_port(port).is_some_and(|stream| stream.state == StreamState::Live)
    })
    .await;
    eventually("it closes", || relay.stream_by_port(port).is_none()).await;
    eventually("readers hear why", || reader.ended() == Some(CloseReason::PublisherGone)).await;
    assert_eq!(relay.streams().len(), 1);
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_by_name() {
    let refused = |settings| match Relay::start(settings) {
        Err(RelayError::Setting { key, .. }) => key,
        other => panic!("{other:?}"),
    };
    let permanent = *ports(1).start();
    let good = settings(1);
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    let backwards = 24_010..=24_000;
    assert_eq!(refused(RelaySettings { rtp_ports: backwards, ..good.clone() }), "rtp_ports");
    assert_eq!(
        refused(RelaySettings { permanent_port: Some(*good.rtp_ports.start()), ..good.clone() }),
        "permanent_port"
    );
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, permanent)).unwrap();
    let clash = RelaySettings { permanent_port: Some(permanent), ..good };
    assert!(matches!(Relay::start(clash), Err(RelayError::Bind { .. })));
    drop(taken);
}
