//! The hot path without sockets, for the benchmarks in `benches/`. Not for anybody else, and hidden from the
//! documentation.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use heliograph_edge::{
    path::UdpPath,
    sdp::NegotiatedTrack,
    srtp::{MasterKey, Profile, SrtpKeys},
};
use heliograph_media::{ClockRate, Codec, PayloadType, SeqNo, Ssrc};
use rand::{SeedableRng, rngs::StdRng};

use crate::{
    FeedBatch, FeedItem, Packet, PlayoutDelay, RingLimits, StartParts, StreamId, Track, TrackClock, Uplink,
    UplinkBasis,
    viewer::{
        player::{Player, PlayerMedia, Turn},
        track::TrackSender,
    },
    worker::{
        WallClock,
        outbox::{Lane, Outbox, Target},
        stats::Counters,
        stream::WorkerStream,
    },
};

/// One picture of a stream: `packets` packets, all of full size but the last.
#[must_use]
pub fn picture(number: u64, first: SeqNo, packets: usize, keyframe: bool) -> Vec<Arc<Packet>> {
    let packet = |index: usize| {
        let last = index + 1 == packets;
        Arc::new(Packet {
            seq: first + index as u64,
            timestamp: number * 3_000,
            marker: last,
            frame_start: index == 0,
            keyframe_start: keyframe && index == 0,
            parts: if keyframe && index == 0 { StartParts::ALL } else { StartParts::NONE },
            arrival: Instant::now(),
            payload: Bytes::from(vec![0x5a; if last { 500 } else { 1_200 }]),
        })
    };
    (0..packets).map(packet).collect()
}

/// So many viewers of one stream in one worker, whose packets go nowhere.
pub struct Crowd {
    stream: WorkerStream,
    players: Vec<(Player, Target)>,
    outbox: Outbox,
    counters: Counters,
    now: Instant,
    next: SeqNo,
    pictures: u64,
}

impl Crowd {
    /// Viewers that have caught up with the stream. `capture_times`: they want to be told when pictures were captured.
    ///
    /// # Panics
    /// Never: keys and payload types are valid.
    #[must_use]
    pub fn new(viewers: u16, capture_times: bool) -> Self {
        let mut stream = WorkerStream::new(RingLimits::default(), WallClock::start());
        let clock = TrackClock { at: Instant::now(), timestamp: 0, rate: ClockRate::VIDEO };
        let uplink = Uplink {
            delay: Duration::from_millis(70),
            on_arrival: Duration::from_millis(70),
            basis: UplinkBasis::Network,
        };
        let items = vec![
            FeedItem::Clock { track: Track::Video, clock, settled: true },
            FeedItem::Uplink(Some(uplink)),
        ];
        stream.take(&FeedBatch { stream: StreamId(1), items }, clock.at);
        let mut rng = StdRng::seed_from_u64(1);
        let players = (0..viewers).map(|slot| {
            let key = |half: u8| {
                let [high, low] = slot.to_be_bytes();
                let mut bytes = [half; 16];
                bytes[..2].copy_from_slice(&[high, low]);
                MasterKey::new(Profile::AeadAes128Gcm, &bytes, &[half; 12]).expect("16 and 12 bytes")
            };
            let keys = SrtpKeys { local: key(1), remote: key(2) };
            let media = PlayerMedia {
                video: Some(NegotiatedTrack { capture_time_ext: capture_times.then_some(5), ..video(slot) }),
                audio: None,
                cname: "bench".into(),
                playout: PlayoutDelay::default(),
                video_codec: Codec::H264,
                layer: None,
            };
            let player = Player::new(media, &keys, &mut rng).expect("keys of the right length");
            stream.add_player(u32::from(slot));
            let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 10_000_u16.wrapping_add(slot)));
            (player, Target { path: UdpPath { remote, local: None }, slot: u32::from(slot), runs: true })
        });
        let players = players.collect();
        let mut crowd = Self {
            stream,
            players,
            outbox: Outbox::new(),
            counters: Counters::default(),
            now: Instant::now(),
            next: SeqNo(1 << 20),
            pictures: 1,
        };
        crowd.show(2, true);
        for _ in 0..100 {
            crowd.now += Duration::from_millis(10);
            let Self { stream, players, outbox, counters, now, .. } = &mut crowd;
            for (player, target) in players {
                player.on_fast(*now, &stream.view(), &mut Lane { target: *target, outbox, counters });
                outbox.discard();
            }
        }
        crowd
    }

    /// A picture of so many packets comes and goes out to every viewer; returns the packets that were sealed.
    pub fn show(&mut self, packets: usize, keyframe: bool) -> u64 {
        let picture = picture(self.pictures, self.next, packets, keyframe);
        self.pictures += 1;
        self.next = self.next + packets as u64;
        self.now += Duration::from_millis(33);
        // On the crowd's own clock: a ring lets go of what came too long before it.
        let packets =
            picture.iter().map(|packet| Arc::new(Packet { arrival: self.now, ..Packet::clone(packet) }));
        let items = vec![FeedItem::Packets { track: Track::Video, packets: packets.collect() }];
        self.stream.take(&FeedBatch { stream: StreamId(1), items }, self.now);
        let mut sealed = 0;
        let Self { stream, players, outbox, counters, now, .. } = self;
        let mut again = true;
        while std::mem::take(&mut again) {
            for (player, target) in players.iter_mut() {
                let turn = player.turn(*now, &stream.view(), &mut Lane { target: *target, outbox, counters });
                again |= turn != Turn::Done;
                if outbox.is_filled() {
                    sealed += outbox.discard();
                }
            }
            sealed += outbox.discard();
        }
        sealed
    }
}

/// One track towards one viewer, for what a header costs.
pub struct Patch(TrackSender);

impl Patch {
    /// A video track with a playout-delay extension.
    #[must_use]
    pub fn new() -> Self {
        Self(TrackSender::new(&video(0), 7, PlayoutDelay::default(), false))
    }

    /// The header of `packet`, as a checksum so that nothing is optimised away.
    #[must_use]
    pub fn header(&self, packet: &Packet) -> usize {
        self.0.header_for_bench(packet)
    }
}

impl Default for Patch {
    fn default() -> Self {
        Self::new()
    }
}

fn video(slot: u16) -> NegotiatedTrack {
    NegotiatedTrack {
        mid: Some("0".to_owned()),
        payload_type: PayloadType::new(102).expect("below 128"),
        rtx_payload_type: PayloadType::new(103),
        profile_level_id: None,
        nack: true,
        playout_delay_ext: Some(3),
        capture_time_ext: None,
        transport_cc_ext: None,
        mid_ext: Some(4),
        ssrc: Ssrc(0x1000_0000 + u32::from(slot)),
        rtx_ssrc: Some(Ssrc(0x2000_0000 + u32::from(slot))),
        fec: None,
    }
}
