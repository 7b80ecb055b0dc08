//! One viewer against a synthetic stream, in virtual time, with its packets opened again.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use heliograph_edge::{
    path::UdpPath,
    srtp::{MasterKey, Profile, RtpOpener},
};
use heliograph_media::{ClockRate, Codec, PayloadType, WireSeq, rtp::RtpHeader};
use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::viewer::video::EAGER;
use crate::{
    FeedBatch, FeedItem, Packet, RingLimits, StartParts, StreamId,
    worker::{
        WallClock,
        outbox::{Outbox, Target},
        stats::Counters,
        stream::WorkerStream,
    },
};

const VIDEO: Ssrc = Ssrc(0x1111);
const RTX: Ssrc = Ssrc(0x2222);
const AUDIO: Ssrc = Ssrc(0x3333);
const VIDEO_PT: u8 = 102;
const PICTURE: Duration = Duration::from_millis(40);

/// A packet the viewer got.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Got {
    ssrc: Ssrc,
    /// Rollover counter and number.
    index: u64,
    timestamp: u32,
    header_len: usize,
    /// The ring's number, from the payload; of an RTX packet behind its original number.
    ring: u64,
    osn: Option<u16>,
    sealed: Vec<u8>,
}

struct World {
    now: Instant,
    stream: WorkerStream,
    player: Player,
    opener: RtpOpener,
    /// Every (SSRC, index) and what was sealed under it.
    sealed: HashMap<(u32, u64), Vec<u8>>,
    feedback: RtcpSealer,
    outbox: Outbox,
    /// What the outbox was emptied of.
    sent: Vec<Vec<u8>>,
    counters: Counters,
    next: [u64; 2],
    picture: u64,
    /// What the publisher says to keyframe requests.
    answers: bool,
}

fn key(seed: u8) -> MasterKey {
    MasterKey::new(Profile::AeadAes128Gcm, &[seed; 16], &[seed; 12]).unwrap()
}

fn track(ssrc: Ssrc, payload_type: u8, rtx: bool) -> NegotiatedTrack {
    NegotiatedTrack {
        mid: Some("0".to_owned()),
        payload_type: PayloadType::new(payload_type).unwrap(),
        rtx_payload_type: PayloadType::new(103).filter(|_| rtx),
        profile_level_id: None,
        nack: true,
        playout_delay_ext: Some(3),
        mid_ext: Some(4),
        capture_time_ext: None,
        transport_cc_ext: None,
        ssrc,
        rtx_ssrc: rtx.then_some(RTX),
        fec: None,
    }
}

impl World {
    fn new(rtx: bool) -> Self {
        Self::seeded(rtx, 1)
    }

    fn seeded(rtx: bool, seed: u64) -> Self {
        Self::of(track(VIDEO, VIDEO_PT, rtx), seed)
    }

    fn of(video: NegotiatedTrack, seed: u64) -> Self {
        let keys = SrtpKeys { local: key(1), remote: key(2) };
        let media = PlayerMedia {
            video: Some(video),
            audio: Some(track(AUDIO, 111, false)),
            cname: "cname".into(),
            playout: PlayoutDelay::new(Duration::ZERO, Duration::from_millis(500)),
            video_codec: Codec::Vp8,
            layer: None,
        };
        let player = Player::new(media, &keys, &mut StdRng::seed_from_u64(seed)).unwrap();
        let mut stream = WorkerStream::new(RingLimits::default(), WallClock::start());
        stream.add_player(0);
        let mut world = Self {
            now: Instant::now(),
            stream,
            player,
            opener: RtpOpener::new(&keys.local).unwrap(),
            sealed: HashMap::new(),
            feedback: RtcpSealer::new(&keys.remote).unwrap(),
            outbox: Outbox::new(),
            sent: Vec::new(),
            counters: Counters::default(),
            next: [100_000, 500_000],
            picture: 0,
            answers: false,
        };
        for track in Track::ALL {
            let rate = Codec::clock_rate(if track.is_video() { Codec::H264 } else { Codec::Opus });
            let clock = TrackClock { at: world.now, timestamp: 1 << 33, rate };
            world.feed(vec![FeedItem::Clock { track, clock, settled: true }]);
        }
        world
    }

    fn feed(&mut self, items: Vec<FeedItem>) {
        self.stream.take(&FeedBatch { stream: StreamId(1), items }, self.now);
    }

    fn packet(&self, seq: u64, timestamp: u64, bits: [bool; 2], parts: StartParts) -> Arc<Packet> {
        let [start, marker] = bits;
        let mut payload = seq.to_be_bytes().to_vec();
        payload.resize(1000, 7);
        Arc::new(Packet {
            seq: SeqNo(seq),
            timestamp,
            marker,
            keyframe_start: start && parts.has(StartParts::SEQUENCE_PARAMETERS),
            frame_start: start,
            parts,
            arrival: self.now,
            payload: Bytes::from(payload),
        })
    }

    /// The packets of the next picture.
    fn picture(&mut self, keyframe: bool, count: u64) -> Vec<Arc<Packet>> {
        let first = self.next[0];
        self.next[0] += count;
        let timestamp = (1 << 33) + 3_600 * self.picture;
        self.picture += 1;
        (0..count)
            .map(|i| {
                let parts = if keyframe && i == 0 { StartParts::ALL } else { StartParts::NONE };
                self.packet(first + i, timestamp, [i == 0, i + 1 == count], parts)
            })
            .collect()
    }

    fn publish(&mut self, packets: Vec<Arc<Packet>>) {
        self.feed(vec![FeedItem::Packets { track: Track::Video, packets }]);
    }

    /// So many pictures, forty milliseconds each, with a sound; nothing is sent to the viewer.
    fn past(&mut self, pictures: u64, interval: u64, count: u64) {
        for _ in 0..pictures {
            let keyframe = self.picture.is_multiple_of(interval);
            let packets = self.picture(keyframe, if keyframe { 4 * count } else { count });
            self.publish(packets);
            self.sound();
            self.now += PICTURE;
        }
    }

    fn sound(&mut self) {
        let seq = self.next[1];
        self.next[1] += 1;
        let packet = self.packet(seq, 960 * seq, [true, true], StartParts::NONE);
        self.feed(vec![FeedItem::Packets { track: Track::Audio, packets: vec![packet] }]);
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Player, Instant, &StreamView<'_>, &mut Lane<'_>) -> T) -> T {
        let path = UdpPath { remote: "127.0.0.1:9".parse().unwrap(), local: None };
        let target = Target { path, slot: 0, runs: true };
        let mut lane = Lane { target, outbox: &mut self.outbox, counters: &mut self.counters };
        let result = act(&mut self.player, self.now, &self.stream.view(), &mut lane);
        self.sent.append(&mut self.outbox.take_packets());
        result
    }

    fn wants_reports(&self) -> bool {
        self.player.wants_reports(self.now, &self.stream.view())
    }

    fn start(&mut self) {
        self.with(|player, now, stream, lane| {
            player.start(now, stream);
            player.on_fast(now, stream, lane);
        });
    }

    /// Turns until nothing is left.
    fn turns(&mut self) -> usize {
        let mut turns = 1;
        while self.with(Player::turn) != Turn::Done {
            turns += 1;
        }
        turns
    }

    /// Time passes, with the fast timer every two milliseconds.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += pace::INTERVAL;
            self.with(Player::on_fast);
        }
    }

    fn feedback(&mut self, plain: &[u8]) {
        let mut sealed = Vec::new();
        self.feedback.seal(plain, &mut sealed).unwrap();
        let answers = self.answers;
        self.with(|player, now, stream, lane| {
            player.on_rtcp(now, NtpTime(1 << 40), &mut sealed, stream, |_| answers, lane).unwrap();
        });
    }

    fn nack(&mut self, lost: &[u64]) {
        let lost: Vec<_> = lost.iter().map(|&index| WireSeq(index as u16)).collect();
        let mut plain = Vec::new();
        rtcp::write_nack(&mut plain, Ssrc(9), VIDEO, &lost);
        self.feedback(&plain);
    }

    fn pli(&mut self) {
        let mut plain = Vec::new();
        rtcp::write_pli(&mut plain, Ssrc(9), VIDEO);
        self.feedback(&plain);
    }

    /// What has come, opened. Fails when one number was sealed with two texts.
    fn got(&mut self) -> Vec<Got> {
        let mut got = Vec::new();
        for sealed in std::mem::take(&mut self.sent) {
            if rtcp::is_rtcp(&sealed) {
                continue;
            }
            let seen = RtpHeader::parse(&sealed).unwrap();
            let mut plain = sealed.clone();
            let (index, plain) = match self.opener.open(&mut plain) {
                Ok((index, len)) => (index.0, &plain[..len]),
                // Again the same packet: find its number among those already opened.
                Err(SrtpError::Replayed) => {
                    let again = self.sealed.iter().find(|(_, before)| **before == sealed);
                    let (&(_, index), _) = again.expect("one number, one text");
                    got.push(Got {
                        ssrc: seen.ssrc,
                        index,
                        timestamp: seen.timestamp,
                        header_len: seen.payload.start,
                        ring: 0,
                        osn: None,
                        sealed,
                    });
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            let header = RtpHeader::parse(plain).unwrap();
            let payload = &plain[header.payload.clone()];
            let is_rtx = header.ssrc == RTX;
            let (osn, rest) = payload.split_at(if is_rtx { 2 } else { 0 });
            let old = self.sealed.insert((header.ssrc.0, index), sealed.clone());
            assert!(old.is_none_or(|old| old == sealed), "one number, one text");
            got.push(Got {
                ssrc: header.ssrc,
                index,
                timestamp: header.timestamp,
                header_len: header.payload.start,
                ring: u64::from_be_bytes(rest[..8].try_into().unwrap()),
                osn: is_rtx.then(|| u16::from_be_bytes([osn[0], osn[1]])),
                sealed,
            });
        }
        got
    }

    fn got_video(&mut self) -> Vec<Got> {
        self.got().into_iter().filter(|got| got.ssrc == VIDEO).collect()
    }
}

fn gap_free(got: &[Got]) -> bool {
    got.windows(2).all(|pair| pair[1].index == pair[0].index + 1)
}

#[test]
fn joining_starts_at_the_keyframe_and_is_paced() {
    let mut world = World::new(true);
    // 48 pictures of 10 kB after a keyframe of 40 kB: 520 kB of past, 2 Mbit/s.
    world.past(49, 50, 10);
    world.start();
    let at_once = world.got();
    assert!(at_once.iter().all(|got| got.ssrc == VIDEO), "sound is never replayed");
    assert_eq!(at_once[0].ring, 100_000);
    assert!(at_once[0].index < 1 << 15, "away from the wrap");
    let bytes: usize = at_once.iter().map(|got| got.sealed.len()).sum();
    assert!((64 << 10..(64 << 10) + 1100).contains(&bytes), "{bytes}");
    assert!(!world.wants_reports(), "no reports before live");

    world.pass(Duration::from_millis(18));
    let mut video = at_once.clone();
    let soon = world.got();
    assert!(soon.iter().all(|got| got.ssrc == VIDEO));
    world.pass(Duration::from_millis(2));
    let (again, media): (Vec<_>, Vec<_>) = world.got().into_iter().partition(|got| got.ssrc == RTX);
    assert_eq!(again.len(), 1);
    assert_eq!(
        (again[0].ring, again[0].osn),
        (100_000, Some(at_once[0].index as u16)),
        "the first packet again"
    );
    video.extend(soon.into_iter().chain(media));

    // (540 kB - 64 KiB) at ten times 2 Mbit/s.
    world.pass(Duration::from_millis(120));
    assert!(matches!(world.player.video.as_ref().unwrap().phase, Phase::Replaying(_)));
    world.pass(Duration::from_millis(60));
    assert!(matches!(world.player.video.as_ref().unwrap().phase, Phase::Live));
    assert!(world.wants_reports(), "reports from the start of live");
    world.past(1, 1000, 10);
    world.turns();
    let got = world.got();
    assert_eq!(got.iter().filter(|got| got.ssrc == AUDIO).count(), 1);
    video.extend(got.into_iter().filter(|got| got.ssrc == VIDEO));
    assert!(gap_free(&video));
    assert_eq!(video.last().unwrap().ring, world.next[0] - 1);
}

#[test]
fn a_replay_is_live_from_its_first_timestamp() {
    let mut world = World::new(true);
    // As above: 2 Mbit/s at 20 Mbit/s, so that 1960 ms take 218.
    world.past(49, 50, 10);
    world.start();
    let mut video = world.got_video();
    for _ in 0..12 {
        let picture = world.picture(false, 10);
        world.publish(picture);
        world.pass(PICTURE);
        world.turns();
        video.extend(world.got_video());
    }
    let pictures: Vec<_> = video.chunk_by(|a, b| a.timestamp == b.timestamp).collect();
    assert_eq!(pictures.len(), 49 + 12, "each has a timestamp of its own");
    let steps: Vec<_> = pictures.windows(2).map(|pair| pair[1][0].timestamp - pair[0][0].timestamp).collect();
    // The newest picture came 40 ms ago. The keyframe and two pictures go out at once.
    assert_eq!(pictures[0][0].timestamp, 49 * 3_600 + 2);
    assert!(steps[..3].iter().all(|&step| step == 36), "{steps:?}");
    // What was taken in 40 ms takes 4 ms; the last ones are what they are.
    assert!(steps[3..50].iter().all(|step| (360..=361).contains(step)), "{steps:?}");
    assert!(steps[55..].iter().all(|&step| step == 3_600), "{steps:?}");
    assert_eq!(pictures[60][0].timestamp, 60 * 3_600);

    // What is sent again says the same, also as another packet.
    let media: Vec<_> = video.iter().filter(|got| got.osn.is_none()).collect();
    let asked = media[200];
    world.nack(&[asked.index]);
    let again = world.got();
    assert_eq!((again.len(), again[0].ssrc), (1, RTX));
    assert_eq!((again[0].ring, again[0].timestamp), (asked.ring, asked.timestamp));
}

#[test]
fn a_packet_of_a_replay_that_is_sent_again_without_rtx_is_the_same_to_the_last_byte() {
    let mut world = World::new(false);
    world.past(30, 1000, 10);
    world.start();
    world.pass(Duration::from_secs(1));
    let sent = world.got_video();
    world.pli();
    world.pass(Duration::from_secs(1));
    let replayed = world.got_video();
    assert_eq!(replayed[0].ring, sent[0].ring);
    assert!(replayed[0].timestamp > sent.last().unwrap().timestamp, "it follows what was sent");
    for asked in [&sent[250], &replayed[250]] {
        world.nack(&[asked.index]);
        let again = world.got();
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].sealed, asked.sealed);
    }
}

#[test]
fn sizes_within_a_frame_are_equal() {
    let mut world = World::new(true);
    world.past(1, 50, 10);
    world.start();
    let keyframe = world.got_video();
    assert_eq!(keyframe.len(), 40);
    assert!(keyframe.iter().all(|got| got.timestamp == keyframe[0].timestamp));
    // Fixed header, extension header, playout delay, media id with padding.
    assert!(keyframe.iter().all(|got| got.header_len == 24));
    let mut report = Vec::new();
    let block = rtcp::ReportBlock { ssrc: VIDEO, ..rtcp::ReportBlock::default() };
    rtcp::write_receiver_report(&mut report, Ssrc(9), &[block]);
    // In the middle of a picture: the media id stays until its end.
    let next = world.picture(false, 6);
    world.publish(next[..3].to_vec());
    world.turns();
    world.feedback(&report);
    world.publish(next[3..].to_vec());
    world.past(1, 50, 5);
    world.turns();
    let lens: Vec<_> = world.got_video().iter().map(|got| got.header_len).collect();
    assert_eq!(lens, [24, 24, 24, 24, 24, 24, 20, 20, 20, 20, 20]);
}

#[test]
fn a_newer_keyframe_is_jumped_to_at_a_frame_boundary() {
    let mut world = World::new(true);
    world.past(49, 50, 10);
    world.start();
    let before = world.got_video();
    world.past(2, 50, 10);
    world.pass(Duration::from_millis(60));
    let after = world.got_video();
    let all: Vec<_> = before.into_iter().chain(after).collect();
    assert!(gap_free(&all));
    let jump = all.windows(2).find(|pair| pair[1].ring != pair[0].ring + 1).unwrap();
    let new_keyframe = 100_000 + 40 + 49 * 10;
    assert_eq!(jump[1].ring, new_keyframe);
    assert_eq!((jump[0].ring - 100_000 - 40) % 10, 9, "behind the last packet of a picture");
    assert_eq!(all.last().unwrap().ring, world.next[0] - 1, "and then all of it");
}

#[test]
fn without_a_keyframe_sound_plays_and_pictures_wait() {
    let mut world = World::new(true);
    world.start();
    let lone = world.picture(false, 5);
    world.publish(lone);
    world.sound();
    world.turns();
    assert!(world.got().iter().all(|got| got.ssrc == AUDIO));
    world.past(2, 2, 3);
    world.turns();
    world.pass(Duration::from_millis(4));
    let video = world.got_video();
    assert_eq!(video[0].ring, 100_005 + 3, "the third picture is the keyframe");
}

#[test]
fn a_burst_goes_out_in_several_turns() {
    let mut world = World::new(true);
    world.past(1, 1000, 10);
    world.start();
    world.got();
    let burst = world.picture(true, 120);
    world.publish(burst);
    assert_eq!(world.turns(), 3);
    assert_eq!(world.got_video().len(), 120);
}

#[test]
fn a_hole_stays_a_hole_until_its_packet_comes_late() {
    let mut world = World::new(true);
    world.past(1, 1000, 10);
    world.start();
    let base = world.got_video().last().unwrap().index;
    let picture = world.picture(false, 6);
    let (late, rest): (Vec<_>, Vec<_>) = picture.into_iter().enumerate().partition(|(i, _)| *i == 2);
    world.publish(rest.into_iter().map(|(_, packet)| packet).collect());
    world.turns();
    let indexes: Vec<_> = world.got_video().iter().map(|got| got.index - base).collect();
    assert_eq!(indexes, [1, 2, 4, 5, 6]);
    world.publish(late.into_iter().map(|(_, packet)| packet).collect());
    world.turns();
    world.turns();
    let indexes: Vec<_> = world.got_video().iter().map(|got| got.index - base).collect();
    assert_eq!(indexes, [3], "once");
}

#[test]
fn nacks_are_answered_as_rtx_once_per_round_trip() {
    let mut world = World::new(true);
    world.past(5, 1000, 10);
    world.start();
    let sent = world.got_video();
    let asked = [sent[3].index, sent[7].index];
    world.nack(&asked);
    world.nack(&asked);
    let got = world.got();
    assert!(got.iter().all(|got| got.ssrc == RTX) && gap_free(&got));
    assert_eq!(got.iter().map(|got| got.ring).collect::<Vec<_>>(), [sent[3].ring, sent[7].ring]);
    assert_eq!(got.iter().map(|got| u64::from(got.osn.unwrap())).collect::<Vec<_>>(), asked);
    assert_eq!(world.counters.resend_duplicate, 2);
    world.now += Duration::from_secs(1);
    world.nack(&asked);
    assert_eq!(world.got().len(), 2);
}

#[test]
fn a_viewer_without_rtx_gets_the_same_bytes() {
    let mut world = World::new(false);
    world.past(2, 1000, 10);
    world.start();
    let sent = world.got_video();
    // The media id is dropped later; what goes again goes as it was.
    let mut report = Vec::new();
    let block = rtcp::ReportBlock { ssrc: VIDEO, ..rtcp::ReportBlock::default() };
    rtcp::write_receiver_report(&mut report, Ssrc(9), &[block]);
    world.feedback(&report);
    world.past(1, 1000, 10);
    world.turns();
    let later = world.got_video();
    assert_ne!(later[0].header_len, sent[5].header_len);
    world.nack(&[sent[5].index, later[2].index]);
    let again: Vec<_> = world.got().into_iter().map(|got| got.sealed).collect();
    assert_eq!(again, [sent[5].sealed.clone(), later[2].sealed.clone()]);
}

#[test]
fn nothing_older_than_a_keyframe_that_was_shown_is_sent_again() {
    let mut world = World::new(true);
    world.past(2, 1000, 10);
    world.start();
    let old = world.got_video();
    let keyframe = world.picture(true, 5);
    world.publish(keyframe);
    world.turns();
    let new = world.got_video();
    world.now += Duration::from_millis(499);
    let asked = [old[3].index, new[1].index, new.last().unwrap().index + 1];
    world.nack(&asked);
    let rings = |got: Vec<Got>| got.iter().map(|got| got.ring).collect::<Vec<_>>();
    assert_eq!(rings(world.got()), [old[3].ring, new[1].ring], "still in the viewer's buffer");
    assert_eq!(world.counters.resend_gone, 1);
    world.now += Duration::from_millis(100);
    world.nack(&asked);
    assert_eq!(rings(world.got()), [new[1].ring]);
    assert_eq!(world.counters.resend_gone, 3);
}

#[test]
fn a_viewer_that_loses_packets_may_measure_the_round_trip() {
    let mut world = World::new(true);
    world.past(5, 1000, 10);
    world.start();
    let sent = world.got_video();
    // Extended report of 9: its clock says 1.5 s.
    let mut request = vec![0x80, 207, 0, 4, 0, 0, 0, 9, 4, 0, 0, 2];
    request.extend(0x0000_0001_8000_0000_u64.to_be_bytes());
    let ask = |world: &mut World| {
        let mut report = Vec::new();
        rtcp::write_receiver_report(&mut report, Ssrc(9), &[]);
        report.extend(&request);
        world.feedback(&report);
        std::mem::take(&mut world.sent)
    };
    assert!(ask(&mut world).is_empty(), "nothing was lost");
    world.nack(&[sent[4].index]);
    world.got();
    let mut answer = ask(&mut world);
    assert_eq!(answer.len(), 1);
    let mut opener = RtcpOpener::new(&key(1)).unwrap();
    let mut expected = Vec::new();
    rtcp::write_receiver_report(&mut expected, VIDEO, &[]);
    rtcp::write_delay_since_reference_time(&mut expected, VIDEO, Ssrc(9), NtpTime(3 << 31), 0);
    assert_eq!(opener.open(&mut answer[0]).unwrap(), expected);
    assert!(ask(&mut world).is_empty(), "just answered");
    world.now += Duration::from_secs(1);
    assert_eq!(ask(&mut world).len(), 1);
}

#[test]
fn above_two_percent_loss_each_goes_twice() {
    let mut world = World::new(true);
    world.past(5, 1000, 10);
    world.start();
    let sent = world.got_video();
    // The first packet again is past.
    world.pass(Duration::from_millis(30));
    world.got();
    let mut report = Vec::new();
    let block = rtcp::ReportBlock { ssrc: VIDEO, fraction_lost: 20, ..rtcp::ReportBlock::default() };
    rtcp::write_receiver_report(&mut report, Ssrc(9), &[block]);
    world.feedback(&report);
    world.nack(&[sent[4].index]);
    assert_eq!(world.got().len(), 1);
    world.pass(Duration::from_millis(8));
    assert_eq!(world.got().len(), 0);
    world.pass(Duration::from_millis(4));
    let second = world.got();
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].ring, sent[4].ring);
}

#[test]
fn more_than_a_hundred_missing_at_once_means_a_new_start() {
    let mut world = World::new(true);
    world.past(30, 1000, 10);
    world.start();
    world.pass(Duration::from_secs(1));
    let sent = world.got_video();
    let missing: Vec<_> = sent[10..150].iter().map(|got| got.index).collect();
    world.nack(&missing);
    world.pass(Duration::from_secs(1));
    let got = world.got_video();
    assert_eq!(got[0].ring, 100_000);
    assert_eq!(got[0].index, sent.last().unwrap().index + 1);
    assert_eq!(got.last().unwrap().ring, world.next[0] - 1);
    assert_eq!(world.counters.fell_behind, 1);
    // Not again within two seconds.
    world.nack(&missing);
    assert_eq!(world.counters.fell_behind, 1);
}

#[test]
fn a_backlog_is_skipped_at_the_newest_keyframe() {
    let mut world = World::new(true);
    world.past(1, 1000, 10);
    world.start();
    let sent = world.got_video();
    // The worker does not come to this viewer for 70 pictures; a keyframe was among them.
    world.past(60, 1000, 10);
    let keyframe = world.next[0];
    world.past(10, 61, 10);
    world.turns();
    let got = world.got_video();
    assert_eq!((got[0].ring, got[0].index), (keyframe, sent.last().unwrap().index + 1));
    assert_eq!(got.last().unwrap().ring, world.next[0] - 1);
    assert!(gap_free(&got));
    assert_eq!(world.counters.fell_behind, 1);
}

#[test]
fn keyframe_requests() {
    let mut world = World::new(true);
    world.past(30, 1000, 10);
    world.start();
    world.pli();
    world.pass(Duration::from_millis(150));
    let sent = world.got_video();
    assert_eq!(sent[0].ring, 100_000);
    world.pli();
    assert_eq!(world.counters.replays, 0, "ignored while the replay runs and right after it");
    world.pass(Duration::from_secs(1));
    world.pli();
    world.pass(Duration::from_secs(1));
    let again = world.got_video();
    assert_eq!((again[0].ring, again[0].index), (100_000, sent.last().unwrap().index + 1));
    assert_eq!(world.counters.replays, 1);

    // A publisher that answers gets half a second.
    world.now += Duration::from_secs(5);
    world.past(1, 1000, 10);
    world.turns();
    world.answers = true;
    world.pli();
    assert_eq!(world.counters.replays, 1);
    world.now += Duration::from_millis(600);
    world.pli();
    assert_eq!(world.counters.replays, 2);
}

#[test]
fn requests_while_the_publisher_is_away_bring_no_old_pictures() {
    let mut world = World::new(true);
    world.past(30, 1000, 10);
    world.start();
    world.pass(Duration::from_secs(3));
    world.got();
    for _ in 0..10 {
        world.pli();
        world.pass(Duration::from_millis(500));
    }
    assert_eq!((world.counters.replays, world.got().len()), (0, 0));

    // Whoever joins meanwhile and misses something is helped.
    world.past(1, 1000, 10);
    world.turns();
    world.got();
    world.pli();
    assert_eq!(world.counters.replays, 1, "the stream goes on");
    let mut late = World::new(true);
    late.past(30, 1000, 10);
    late.now += Duration::from_secs(20);
    late.start();
    late.pass(Duration::from_millis(500));
    late.pli();
    assert_eq!(late.counters.replays, 1);
}

#[test]
fn the_ring_that_starts_anew_is_followed() {
    let mut world = World::new(true);
    world.past(3, 1000, 10);
    world.start();
    let sent = world.got_video();
    world.turns();
    // Another story: far ahead, as after a very long hole.
    world.next[0] += 1 << 15;
    world.past(2, 1, 10);
    world.turns();
    world.pass(Duration::from_millis(10));
    let got = world.got_video();
    assert_eq!(got[0].index, sent.last().unwrap().index + 1, "numbered on");
    assert_eq!(got.last().unwrap().ring, world.next[0] - 1);
}

/// The rollover counter goes up on the way, in the media as in what is sent again; what was lost on either side of the
/// wrap is found, and so is what came late.
#[test]
fn wraps_are_crossed() {
    const WRAP: u64 = 1 << 16;
    let mut world = World::new(true);
    let video = world.player.video.as_mut().unwrap();
    video.sender.begin_at(WRAP - 30);
    video.rtx.as_mut().unwrap().begin_at(WRAP - 3);
    world.past(5, 1000, 10);
    world.start();
    world.pass(Duration::from_millis(30));
    let sent = world.got_video();
    assert!(gap_free(&sent));
    assert_eq!((sent[0].index, sent[79].index), (WRAP - 30, WRAP + 49));
    let asked: Vec<u64> = (WRAP - 4..WRAP + 4).collect();
    world.nack(&asked);
    let again = world.got();
    assert!(gap_free(&again));
    assert_eq!((again[0].index, again[7].index), (WRAP - 2, WRAP + 5), "behind the first one, sent twice");
    let place = |index: u64| sent[(index - sent[0].index) as usize].ring;
    assert_eq!(
        again.iter().map(|got| (got.osn.unwrap(), got.ring)).collect::<Vec<_>>(),
        asked.iter().map(|&index| (index as u16, place(index))).collect::<Vec<_>>()
    );

    // A hole across the next wrap, filled late.
    let next = |world: &World| world.player.video.as_ref().unwrap().sender.cursor().next_out().0;
    while next(&world) + 50 < 2 * WRAP {
        let picture = world.picture(false, 50);
        world.publish(picture);
        world.now += PICTURE;
        world.turns();
        world.got();
    }
    let first = next(&world);
    let hole = 2 * WRAP - 3..2 * WRAP + 3;
    let picture = world.picture(false, 100).into_iter().zip(first..);
    let (late, rest): (Vec<_>, Vec<_>) = picture.partition(|(_, index)| hole.contains(index));
    world.publish(rest.into_iter().map(|(packet, _)| packet).collect());
    world.turns();
    assert!(world.got_video().iter().all(|got| !hole.contains(&got.index)));
    world.publish(late.into_iter().map(|(packet, _)| packet).collect());
    world.turns();
    assert_eq!(world.got_video().iter().map(|got| got.index).collect::<Vec<_>>(), hole.collect::<Vec<_>>());
}

#[test]
fn reports_come_from_the_streams_clock() {
    let mut world = World::new(true);
    world.past(25, 1000, 3);
    world.start();
    world.pass(Duration::from_secs(1));
    world.got();
    assert!(world.wants_reports());
    let mut scratch = Scratch::default();
    world.with(|player, now, stream, lane| {
        player.send_reports(now, NtpTime(7 << 32), stream, lane, &mut scratch);
    });
    assert!(!world.wants_reports());
    let mut opener = RtcpOpener::new(&key(1)).unwrap();
    let mut reports = Vec::new();
    for mut packet in std::mem::take(&mut world.sent) {
        for item in rtcp::parse_compound(opener.open(&mut packet).unwrap()).unwrap() {
            if let Rtcp::SenderReport { ssrc, ntp, rtp_timestamp, packets, .. } = item {
                reports.push((ssrc, ntp, rtp_timestamp, packets));
            }
        }
    }
    // Two seconds after the clock's instant: 2^33 and two seconds of ticks. No sound was sent yet.
    assert_eq!(reports, [(VIDEO, NtpTime(7 << 32), 180_000, 84)]);
    world.now += Duration::from_secs(1);
    assert!(world.wants_reports());
    let clock = *world.stream.view().clock(Track::Video).unwrap();
    world.feed(vec![FeedItem::Clock { track: Track::Video, clock, settled: false }]);
    assert!(!world.wants_reports(), "a clock that may leap is told to nobody");
}

/// Whatever happens in whatever order, no number is sealed with two texts, numbers have no gaps but the holes
/// that loss left, and the newest packet arrives.
#[test]
fn random_lives() {
    use rand::RngExt;
    for seed in 0..40 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut world = World::seeded(seed % 3 != 0, seed);
        world.past(rng.random_range(0..70), 40, 8);
        world.start();
        let mut seen: Vec<Got> = world.got();
        let mut withheld = Vec::new();
        for _ in 0..400 {
            match rng.random_range(0..12) {
                0 => world.pli(),
                1 if !seen.is_empty() => {
                    let count = rng.random_range(1..140);
                    let asked: Vec<_> =
                        (0..count).map(|_| seen[rng.random_range(0..seen.len())].index).collect();
                    world.nack(&asked);
                }
                2 => world.publish(std::mem::take(&mut withheld)),
                3 => world.next[0] += rng.random_range(0..3),
                4 if rng.random_range(0..10) == 0 => world.next[0] += 40_000,
                5 => {
                    let fraction_lost = rng.random();
                    let mut report = Vec::new();
                    let block = rtcp::ReportBlock { ssrc: VIDEO, fraction_lost, ..Default::default() };
                    rtcp::write_receiver_report(&mut report, Ssrc(9), &[block]);
                    world.feedback(&report);
                }
                _ => {
                    let keyframe = rng.random_range(0..15) == 0;
                    let mut packets = world.picture(keyframe, rng.random_range(1..80));
                    if rng.random_range(0..4) == 0 {
                        withheld.push(packets.remove(rng.random_range(0..packets.len())));
                    }
                    if !packets.is_empty() {
                        world.publish(packets);
                    }
                    world.sound();
                }
            }
            world.turns();
            world.pass(Duration::from_millis(rng.random_range(0..30)));
            seen.extend(world.got());
        }
        world.past(1, 1, 3);
        world.turns();
        world.pass(Duration::from_secs(2));
        world.turns();
        seen.extend(world.got());
        let newest = world.next[0] - 1;
        assert!(seen.iter().any(|got| got.ssrc == VIDEO && got.ring == newest), "seed {seed}");
    }
}

/// The upper bound of the playout delay in a packet, in steps of 10 ms.
fn playout_max(got: &Got) -> u8 {
    assert_eq!(got.sealed[12..14], [0xbe, 0xde]);
    assert_eq!(got.sealed[16..18], [0x32, 0]);
    got.sealed[19]
}

#[test]
fn another_playout_delay_begins_with_a_frame_and_what_was_sent_stays_what_it_was() {
    for rtx in [true, false] {
        let mut world = World::new(rtx);
        world.past(5, 50, 5);
        world.start();
        world.pass(Duration::from_millis(500));
        let before = world.got_video();
        assert!(before.iter().all(|got| playout_max(got) == 50));

        let picture = world.picture(false, 5);
        world.publish(picture[..2].to_vec());
        world.turns();
        let wish = PlayoutDelay::new(Duration::ZERO, Duration::from_secs(2));
        world.player.set_playout(wish);
        world.publish(picture[2..].to_vec());
        world.turns();
        let during = world.got_video();
        assert_eq!(during.iter().map(playout_max).collect::<Vec<_>>(), [50; 5], "in the middle of a frame");

        let picture = world.picture(false, 5);
        world.publish(picture);
        world.sound();
        world.turns();
        let after = world.got();
        assert_eq!(after.iter().map(playout_max).collect::<Vec<_>>(), [200; 6], "sound, too");

        // Whoever asks for a packet from before gets it as it was; RTX has numbers of its own, and the newest delay.
        world.nack(&[during[0].index, after[0].index]);
        let again = world.got();
        assert_eq!(again.len(), 2);
        if rtx {
            assert!(again.iter().all(|got| got.ssrc == RTX && playout_max(got) == 200));
        } else {
            assert_eq!(again[0].sealed, during[0].sealed);
            assert_eq!(again[1].sealed, after[0].sealed);
        }
    }
}

#[path = "player_layer_tests.rs"]
mod layers;

#[path = "player_fec_tests.rs"]
mod fec;

#[path = "player_join_tests.rs"]
mod joining;

#[path = "player_line_tests.rs"]
mod line;

#[path = "player_capture_tests.rs"]
mod capture;
