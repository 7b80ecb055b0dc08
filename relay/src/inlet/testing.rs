//! A publisher that lives in virtual time, and a reader that checks what every reader may rely on.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use heliograph_media::{NtpTime, PayloadType, SeqNo, Ssrc, WireSeq, rtcp, rtp};

use super::{Inlet, InletSettings, Transmit};
use crate::{
    CodecParameters, FeedItem, Packet, Pushed, RingLimits, StartParts, StreamState, Track, TrackClock,
    TrackDescription, TrackRing, Uplink,
};

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Constrained Baseline, level 3.1, 1280x720.
pub(super) const SPS: &[u8] = &[
    0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00,
    0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x24, 0x80,
];
pub(super) const PPS: &[u8] = &[0x68, 0xef, 0xbc, 0x80];

/// One medium of a publisher.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) ssrc: Ssrc,
    pub(super) payload_type: PayloadType,
    pub(super) seq: u16,
    pub(super) timestamp: u32,
}

impl Sender {
    pub(super) fn packet(&mut self, marker: bool, payload: &[u8]) -> Bytes {
        let mut header = [0; rtp::HEADER_LEN];
        let seq = WireSeq(self.seq);
        rtp::write_rtp_header(&mut header, marker, self.payload_type, seq, self.timestamp, self.ssrc);
        self.seq = self.seq.wrapping_add(1);
        Bytes::from([&header, payload].concat())
    }

    pub(super) fn report(&self, ntp: NtpTime, timestamp: u32) -> Bytes {
        let mut out = Vec::new();
        let info = rtcp::SenderInfo { ssrc: self.ssrc, ntp, rtp_timestamp: timestamp, packets: 1, octets: 1 };
        rtcp::write_sender_report(&mut out, &info, &[]);
        Bytes::from(out)
    }
}

/// A publisher: 25 pictures and 50 sounds a second.
#[derive(Clone, Debug)]
pub(super) struct Publisher {
    pub(super) from: SocketAddr,
    pub(super) video: Sender,
    pub(super) audio: Sender,
    /// Pictures from one keyframe to the next.
    pub(super) interval: u32,
    pub(super) pictures: u32,
}

impl Publisher {
    pub(super) const PICTURE: Duration = Duration::from_millis(40);

    pub(super) fn new(port: u16, ssrc: u32) -> Self {
        let sender = |ssrc, payload_type| Sender { ssrc: Ssrc(ssrc), payload_type, seq: 0, timestamp: 0 };
        Self {
            from: address(port),
            video: sender(ssrc + 1, PayloadType::H264),
            audio: sender(ssrc, PayloadType::OPUS),
            interval: 50,
            pictures: 0,
        }
    }

    /// The packets of the next picture.
    pub(super) fn picture(&mut self) -> Vec<Bytes> {
        let key = self.pictures.is_multiple_of(self.interval);
        self.pictures += 1;
        let packets = if key { self.keyframe() } else { self.delta() };
        self.video.timestamp = self.video.timestamp.wrapping_add(3_600);
        packets
    }

    pub(super) fn keyframe(&mut self) -> Vec<Bytes> {
        vec![
            self.video.packet(false, SPS),
            self.video.packet(false, PPS),
            self.video.packet(false, &[0x7c, 0x85, 0x88, 0x84, 1]),
            self.video.packet(false, &[0x7c, 0x05, 2, 2, 2]),
            self.video.packet(true, &[0x7c, 0x45, 3, 3, 3]),
        ]
    }

    pub(super) fn delta(&mut self) -> Vec<Bytes> {
        vec![
            self.video.packet(false, &[0x7c, 0x81, 0x9a, 0x24, 1]),
            self.video.packet(true, &[0x7c, 0x41, 2, 2]),
        ]
    }

    pub(super) fn sound(&mut self) -> Bytes {
        let packet = self.audio.packet(false, &[0xfc, 0xff, 0xfe]);
        self.audio.timestamp = self.audio.timestamp.wrapping_add(960);
        packet
    }
}

/// An inlet, the time, and one reader.
#[derive(Debug)]
pub(super) struct World {
    pub(super) inlet: Inlet,
    pub(super) now: Instant,
    pub(super) rings: [TrackRing; Track::COUNT],
    pub(super) clocks: [Option<TrackClock>; Track::COUNT],
    /// What was said of them.
    pub(super) settled: bool,
    pub(super) parameters: [Option<CodecParameters>; Track::COUNT],
    /// As readers were told.
    pub(super) uplink: Option<Uplink>,
    /// Everything but packets, clocks and the way to here.
    pub(super) events: Vec<FeedItem>,
    /// In order of arrival.
    pub(super) packets: [Vec<Packet>; Track::COUNT],
    pub(super) transmits: Vec<Transmit>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with_idle_timeout(Some(Duration::from_secs(60)))
    }

    pub(super) fn with_idle_timeout(idle_timeout: Option<Duration>) -> Self {
        let now = Instant::now();
        let ring = RingLimits::default();
        let settings = InletSettings { idle_timeout, ring, ssrc: Ssrc(0xaaaa_aaaa) };
        Self {
            inlet: Inlet::new(now, settings, &TrackDescription::defaults()),
            now,
            rings: std::array::from_fn(|_| TrackRing::new(ring)),
            clocks: [None; Track::COUNT],
            settled: false,
            parameters: Default::default(),
            uplink: None,
            events: Vec::new(),
            packets: Default::default(),
            transmits: Vec::new(),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "tests make datagrams where they send them")]
    pub(super) fn send(&mut self, from: SocketAddr, datagram: Bytes) {
        self.inlet.on_datagram(self.now, from, &datagram);
        self.read();
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while self.inlet.next_tick() <= until {
            self.now = self.now.max(self.inlet.next_tick());
            self.inlet.on_tick(self.now);
            self.read();
        }
        self.now = until;
    }

    /// Plays for a while, on time and without loss.
    pub(super) fn play(&mut self, publisher: &mut Publisher, time: Duration) {
        self.play_through(publisher, time, |_| true);
    }

    /// Plays for a while; of the packets, counted, only those that `passes` says arrive.
    pub(super) fn play_through(
        &mut self,
        publisher: &mut Publisher,
        time: Duration,
        mut passes: impl FnMut(usize) -> bool,
    ) {
        let until = self.now + time;
        let mut count = 0;
        while self.now < until {
            let mut burst = publisher.picture();
            burst.push(publisher.sound());
            for (half, packets) in [burst, vec![publisher.sound()]].into_iter().enumerate() {
                for packet in packets {
                    if passes(count) {
                        self.send(publisher.from, packet);
                    }
                    count += 1;
                }
                self.wait(Publisher::PICTURE / 2);
                assert!(half < 2);
            }
        }
    }

    pub(super) fn state(&self) -> StreamState {
        self.inlet.state()
    }

    pub(super) fn refused(&self, label: &str) -> u64 {
        self.inlet.report(self.now).refused.get(label).copied().unwrap_or(0)
    }

    pub(super) fn newest(&self, track: Track) -> &Packet {
        self.packets[track.index()].last().unwrap()
    }

    /// Events as short words, and forgets them.
    pub(super) fn take_events(&mut self) -> Vec<String> {
        let word = |item: FeedItem| match item {
            FeedItem::Lost { track, from, to } => format!("lost {track} {}", to.0 - from.0),
            FeedItem::Epoch { track, .. } => format!("epoch {track}"),
            FeedItem::Parameters { track, .. } => format!("parameters {track}"),
            FeedItem::Away => "away".to_owned(),
            FeedItem::Back => "back".to_owned(),
            other => format!("{other:?}"),
        };
        std::mem::take(&mut self.events).into_iter().map(word).collect()
    }

    /// The reader's side, with what it relies on.
    pub(super) fn read(&mut self) {
        for item in self.inlet.take_items() {
            match item {
                FeedItem::Packets { track, packets } => {
                    assert!(!packets.is_empty());
                    for packet in packets {
                        let ring = &mut self.rings[track.index()];
                        let next = ring.next();
                        let pushed = ring.push(packet.clone());
                        assert_eq!(pushed == Pushed::Newest, packet.seq >= next || next == SeqNo(0));
                        assert!(pushed == Pushed::Dropped || ring.get(packet.seq).is_some());
                        self.packets[track.index()].push((*packet).clone());
                    }
                }
                FeedItem::Clock { track, clock, settled } => {
                    self.clocks[track.index()] = Some(clock);
                    self.settled = settled;
                }
                FeedItem::Uplink(uplink) => self.uplink = uplink,
                FeedItem::Epoch { track, first } => {
                    let ring = &self.rings[track.index()];
                    assert!(ring.is_empty() || ring.next() == first, "numbers go on");
                    self.events.push(item);
                }
                FeedItem::Parameters { track, ref parameters } => {
                    self.parameters[track.index()] = Some(parameters.clone());
                    self.events.push(item);
                }
                FeedItem::Lost { from, to, .. } => {
                    assert!(from < to);
                    self.events.push(item);
                }
                other => self.events.push(other),
            }
        }
        for (track, ring) in Track::ALL.into_iter().zip(&mut self.rings) {
            ring.trim(self.now);
            check_ring(track, ring, self.now);
        }
        self.transmits.append(&mut self.inlet.take_transmits());
    }
}

/// What holds for every ring at every moment.
pub(crate) fn check_ring(track: Track, ring: &TrackRing, now: Instant) {
    let limits = RingLimits::default();
    assert!(ring.bytes() <= limits.keyframe_run_bytes);
    if let (Some(oldest), Some(newest)) = (ring.get(ring.oldest()), ring.newest()) {
        assert_eq!(newest.seq.next(), ring.next());
        assert!(now.saturating_duration_since(oldest.arrival) <= limits.keyframe_run_max);
    } else {
        assert!(ring.is_empty(), "neither end is a hole");
    }
    let Some(first) = ring.newest_keyframe() else { return };
    assert!(track.is_video());
    let timestamp = ring.get(first).unwrap().timestamp;
    let unit: Vec<_> = ring.packets_from(first).take_while(|packet| packet.timestamp == timestamp).collect();
    let parts = unit.iter().fold(StartParts::NONE, |all, packet| all.and(packet.parts));
    assert!(parts.has(StartParts::ALL), "everything to start with");
    for pair in unit.windows(2) {
        assert_eq!(pair[0].seq.next(), pair[1].seq, "no hole");
    }
}
