#![allow(clippy::unwrap_used, reason = "tests")]

use heliograph_media::{Codec, PayloadType};
use proptest::prelude::*;

use super::*;
use crate::ftl::control::AnnouncedTrack;

const VIDEO: u32 = 1235;
const AUDIO: u32 = 1234;
const SPS: &[u8] = &[0x67, 0x4d, 0x40, 0x1f];
const PPS: &[u8] = &[0x68, 0xee];
const IDR: &[u8] = &[0x65, 0x88, 0x80];
const SLICE: &[u8] = &[0x41, 0x9a, 0x00];
const OPUS: &[u8] = &[0xfc, 0xff, 0xfe];
const OUR_FIRST_SSRC: u32 = 0xaa00_0000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn rtp(payload_type: u8, seq: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x80, payload_type];
    datagram.extend(seq.to_be_bytes());
    datagram.extend(timestamp.to_be_bytes());
    datagram.extend(ssrc.to_be_bytes());
    datagram.extend(payload);
    datagram
}

fn announcement() -> Announcement {
    let track =
        |codec, payload_type, ssrc| Some(AnnouncedTrack { codec, payload_type, ssrc: Some(Ssrc(ssrc)) });
    Announcement {
        vendor_name: String::new(),
        vendor_version: String::new(),
        video: track(Codec::H264, PayloadType::H264, VIDEO),
        audio: track(Codec::Opus, PayloadType::OPUS, AUDIO),
    }
}

/// A session in virtual time, with everything it sent.
struct Sim {
    session: MediaSession,
    start: Instant,
    now: Instant,
    from: SocketAddr,
    to_publisher: Vec<Vec<u8>>,
    to_relay: Vec<Vec<u8>>,
}

impl Sim {
    fn new() -> Self {
        Self::with(announcement(), Some(ms(30)))
    }

    fn with(announcement: Announcement, round_trip: Option<Duration>) -> Self {
        let now = Instant::now();
        let mut next = OUR_FIRST_SSRC;
        let fresh_ssrc = move || {
            next += 1;
            Ssrc(next - 1)
        };
        let parameters = MediaParameters {
            announcement,
            control_ip: "192.0.2.1".parse().unwrap(),
            hold: ms(150),
            nack: true,
            round_trip,
            wall_clock: NtpTime::from_unix(Duration::from_secs(1_700_000_000)),
            fresh_ssrc: Box::new(fresh_ssrc),
        };
        Self {
            session: MediaSession::new(now, parameters),
            start: now,
            now,
            from: "192.0.2.1:5000".parse().unwrap(),
            to_publisher: Vec::new(),
            to_relay: Vec::new(),
        }
    }

    /// A session whose both media have begun: video 0..3 and audio 0.
    fn running() -> Self {
        let mut sim = Self::new();
        for (seq, payload) in [SPS, PPS, IDR].into_iter().enumerate() {
            sim.video(u16::try_from(seq).unwrap(), 0, payload);
        }
        sim.audio(0, 0, OPUS);
        sim
    }

    fn get(&mut self, datagram: &[u8]) {
        self.get_from(self.from, datagram);
    }

    fn get_from(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.session.on_datagram(self.now, from, datagram);
        self.drain();
    }

    fn video(&mut self, seq: u16, timestamp: u32, payload: &[u8]) {
        self.get(&rtp(96, seq, timestamp, VIDEO, payload));
    }

    fn audio(&mut self, seq: u16, timestamp: u32, payload: &[u8]) {
        self.get(&rtp(97, seq, timestamp, AUDIO, payload));
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.session.next_transmit() {
            match transmit {
                Transmit::Publisher { to, datagram } => {
                    assert_eq!(to.ip(), self.from.ip());
                    self.to_publisher.push(datagram);
                }
                Transmit::Relay(datagram) => self.to_relay.push(datagram),
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.session.deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.session.on_deadline(self.now);
            self.drain();
        }
        self.now = until;
        self.session.on_deadline(self.now);
        self.drain();
    }

    /// Sequence numbers that went to the relay under a payload type.
    fn relayed(&self, payload_type: u8) -> Vec<u16> {
        self.relayed_packets(payload_type).iter().map(|p| u16::from_be_bytes([p[2], p[3]])).collect()
    }

    fn relayed_packets(&self, payload_type: u8) -> Vec<&Vec<u8>> {
        self.to_relay.iter().filter(|p| !rtcp::is_rtcp(p) && p[1] & 0x7f == payload_type).collect()
    }

    fn reports(&self) -> Vec<Rtcp> {
        let reports = self.to_relay.iter().filter(|p| rtcp::is_rtcp(p));
        reports.flat_map(|p| rtcp::parse_compound(p).unwrap()).collect()
    }

    /// Numbers asked for, of one medium.
    fn asked(&self, media: u32) -> Vec<u16> {
        let nacks = self.to_publisher.iter().filter(|datagram| datagram[1] == 205);
        let mut numbers = Vec::new();
        for datagram in nacks {
            let packets = rtcp::parse_compound(datagram).unwrap();
            let [Rtcp::Nack { media: about, lost, .. }] = packets.as_slice() else {
                panic!("a NACK stands alone: {packets:?}");
            };
            if about.0 == media {
                numbers.extend(lost.iter().map(|seq| seq.0));
            }
        }
        numbers
    }

    fn health(&self) -> MediaHealth {
        self.session.health(self.now)
    }
}

fn ping() -> Vec<u8> {
    hex::decode("81fa00180000000000f153650000000040e2010000000000").unwrap()
}

#[test]
fn media_goes_on_under_fresh_ssrcs_after_a_report_each() {
    let mut sim = Sim::running();
    sim.pass(ms(20));
    sim.audio(1, 960, OPUS);
    let [Rtcp::SenderReport { ssrc: video, ntp, rtp_timestamp: 0, .. }, second] = &sim.reports()[..] else {
        panic!("one report for each track: {:?}", sim.reports());
    };
    assert_eq!(*ntp, NtpTime::from_unix(Duration::from_secs(1_700_000_000)));
    assert_eq!(video.0, OUR_FIRST_SSRC);
    assert!(
        matches!(second, Rtcp::SenderReport { ssrc, ntp: audio_ntp, rtp_timestamp: 0, .. }
        if ssrc.0 == OUR_FIRST_SSRC + 1 && audio_ntp == ntp),
        "timestamp 0 of both is one instant"
    );
    assert!(rtcp::is_rtcp(&sim.to_relay[0]), "the report comes first");
    assert_eq!(*sim.relayed_packets(96)[0], rtp(96, 0, 0, OUR_FIRST_SSRC, SPS));
    assert_eq!(sim.relayed(96), [0, 1, 2]);
    assert_eq!(sim.relayed(97), [0, 1]);
    assert!(sim.to_publisher.is_empty());
}

#[test]
fn reports_of_the_publisher_are_passed_on_in_our_terms() {
    let mut sim = Sim::running();
    sim.pass(Duration::from_secs(1));
    // Video, timestamp 90000, as in the protocol notes.
    let report = "80c80006000004d3e8fe6f801f9acffa00015f9000000258000aae60";
    sim.get(&hex::decode(report).unwrap());
    let reports = sim.reports();
    let Rtcp::SenderReport { ssrc, ntp, rtp_timestamp, packets, octets, .. } = reports.last().unwrap() else {
        panic!("{reports:?}")
    };
    assert_eq!((ssrc.0, *rtp_timestamp, *packets, *octets), (OUR_FIRST_SSRC, 90_000, 600, 700_000));
    assert_eq!(*ntp, NtpTime::from_unix(Duration::from_secs(1_700_000_001)));
    // Somebody else's SSRC says nothing.
    let foreign = report.replace("000004d3e8", "000009d3e8");
    sim.get(&hex::decode(foreign).unwrap());
    assert_eq!(sim.reports().len(), reports.len());
}

#[test]
fn itg_fault_7_pings_are_echoed() {
    let mut sim = Sim::new();
    let windows = hex::decode("81fa000c00f1536540e20100").unwrap();
    for ping in [ping(), windows] {
        sim.get(&ping);
        assert_eq!(sim.to_publisher.pop(), Some(ping));
    }
    // Only to the control address, only from the latched port.
    sim.get_from("192.0.2.9:5000".parse().unwrap(), &ping());
    sim.get_from("192.0.2.1:5001".parse().unwrap(), &ping());
    assert!(sim.to_publisher.is_empty());
    assert_eq!(sim.health().foreign, 2);
}

#[test]
fn itg_fault_9_speed_test_junk_goes_nowhere() {
    let mut sim = Sim::new();
    let junk = vec![0x55; 1392];
    for seq in 0..1337_u16 {
        if ![7, 8, 900].contains(&seq) {
            sim.audio(seq, 0, &junk);
        }
        sim.pass(Duration::from_micros(750));
    }
    // A report about the burst says nothing about the sound.
    sim.get(&hex::decode("80c80006000004d2e8fe6f7c1f9acffa0000000000000258000aae60").unwrap());
    assert!(sim.to_relay.is_empty());
    assert_eq!(sim.asked(AUDIO), [7, 8, 900], "so that its estimate is honest");
    assert_eq!((sim.health().speed_test_packets, sim.health().speed_test_lost), (1334, 3));
    sim.pass(Duration::from_secs(2));
    // The real thing: both media from 0; a last piece of junk comes late.
    sim.video(0, 0, SPS);
    sim.audio(0, 0, OPUS);
    sim.audio(1336, 0, &junk);
    for seq in 1..20 {
        sim.video(seq, 0, IDR);
        sim.audio(seq, u32::from(seq) * 960, OPUS);
    }
    assert_eq!(sim.relayed(97), (0..20).collect::<Vec<_>>());
    assert_eq!(sim.relayed(96), (0..20).collect::<Vec<_>>());
    assert_eq!(sim.asked(AUDIO).len(), 3);
    assert_eq!(sim.health().audio.unwrap().lost, 0);
}

#[test]
fn the_first_audio_packets_of_a_session_may_overtake_the_first_picture() {
    let mut sim = Sim::new();
    sim.audio(0, 0, OPUS); // looks like the speed test
    sim.video(0, 0, SPS);
    sim.audio(1, 960, OPUS);
    sim.pass(ms(5));
    assert_eq!(sim.asked(AUDIO), [0], "it comes again");
    sim.audio(0, 0, OPUS);
    assert_eq!(sim.relayed(97), [0, 1]);
}

#[test]
fn video_begins_with_a_parameter_set_or_a_keyframe() {
    let stap_a = [&[0x78, 0, 4][..], SPS, &[0, 2], PPS].concat();
    let fu_a_start = [0x7c, 0x85, 0x88, 0x80];
    for first in [SPS, IDR, &stap_a, &fu_a_start] {
        let mut sim = Sim::new();
        for (seq, payload) in [SLICE, PPS, &[0x7c, 0x05, 1, 2], first, SLICE].into_iter().enumerate() {
            sim.video(u16::try_from(seq).unwrap(), 0, payload);
        }
        assert_eq!(sim.relayed(96), [3, 4], "{first:x?}");
    }
}

#[test]
fn itg_fault_8_losses_are_asked_for_held_for_and_filled() {
    let mut sim = Sim::running();
    sim.video(4, 3000, SLICE);
    sim.video(5, 3000, SLICE);
    sim.pass(ms(5));
    assert_eq!(hex::encode(&sim.to_publisher[0]), "81cd0003000004d3000004d300030000");
    sim.pass(ms(25));
    assert_eq!(sim.relayed(96), [0, 1, 2], "later packets wait, so that no viewer sees the gap");
    sim.video(3, 3000, SLICE);
    assert_eq!(sim.relayed(96), [0, 1, 2, 3, 4, 5]);
    let video = sim.health().video.unwrap();
    assert_eq!((video.lost, video.recovered, video.late, video.nacks), (0, 1, 0, 1));
    assert!(sim.health().round_trip.unwrap() < ms(30), "the answer was a measurement");
    // Audio went on meanwhile: media do not wait for each other.
    sim.video(7, 6000, SLICE);
    sim.audio(1, 960, OPUS);
    assert_eq!(sim.relayed(97), [0, 1]);
}

#[test]
fn what_never_comes_is_given_up_and_late_ones_go_out_late() {
    let mut sim = Sim::running();
    sim.video(4, 3000, SLICE);
    sim.pass(ms(300));
    assert_eq!(sim.relayed(96), [0, 1, 2, 4]);
    assert_eq!(sim.health().video.unwrap().lost, 1);
    assert!((2..=4).contains(&sim.asked(VIDEO).len()));
    sim.video(3, 3000, SLICE);
    sim.video(3, 3000, SLICE);
    sim.video(4, 3000, SLICE);
    assert_eq!(sim.relayed(96), [0, 1, 2, 4, 3]);
    let video = sim.health().video.unwrap();
    assert_eq!((video.lost, video.late, video.duplicates), (0, 1, 2));
}

#[test]
fn a_lost_keyframe_burst_is_asked_for_in_datagrams_that_fit() {
    let mut sim = Sim::running();
    // Every second packet of 600 is lost: the worst packing.
    for seq in (3..600).step_by(2) {
        sim.video(seq, 3000, SLICE);
    }
    sim.pass(ms(6));
    let mut asked = sim.asked(VIDEO);
    asked.dedup();
    assert_eq!(asked.len(), 298);
    assert!(sim.to_publisher.iter().all(|datagram| datagram.len() <= 512));
}

#[test]
fn without_nacks_nothing_is_asked() {
    let mut sim = Sim::running();
    sim.session.nack = false;
    sim.video(4, 3000, SLICE);
    sim.pass(ms(300));
    assert!(sim.to_publisher.is_empty());
    assert_eq!(sim.relayed(96), [0, 1, 2, 4]);
}

#[test]
fn numbers_and_timestamps_wrap() {
    let mut sim = Sim::running();
    let mut seq = 3_u16;
    let mut timestamp = 0_u32;
    for frame in 0..70_000_u32 {
        timestamp = timestamp.wrapping_add(90_000); // long gaps, so that it wraps, too
        let swap = frame % 1000 == 0;
        let order = if swap { [seq.wrapping_add(1), seq] } else { [seq, seq.wrapping_add(1)] };
        for seq in order {
            sim.video(seq, timestamp, SLICE);
        }
        seq = seq.wrapping_add(2);
        if frame % 64 == 0 {
            sim.pass(ms(1));
        }
    }
    let relayed = sim.relayed(96);
    assert_eq!(relayed.len(), 3 + 140_000);
    assert!(relayed.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    assert!(sim.asked(VIDEO).is_empty());
    assert_eq!(sim.reports().len(), 2);
}

#[test]
fn counting_anew_within_a_session_begins_an_epoch() {
    let mut sim = Sim::running();
    for seq in 3..5000 {
        sim.video(seq, u32::from(seq) * 10, SLICE);
    }
    let before = sim.relayed(96).len();
    for (seq, payload) in [SPS, PPS, IDR, SLICE].into_iter().enumerate() {
        sim.video(u16::try_from(seq).unwrap(), 0, payload);
    }
    let packets = sim.relayed_packets(96);
    assert_eq!(packets[before..].len(), 4);
    let ssrcs: Vec<&[u8]> = packets[before - 1..].iter().map(|packet| &packet[8..12]).collect();
    assert_ne!(ssrcs[0], ssrcs[1]);
    assert!(ssrcs[1..].iter().all(|ssrc| *ssrc == ssrcs[1]));
}

#[test]
fn bug_f_source_theft() {
    let mut sim = Sim::running();
    let stolen = rtp(96, 3, 3000, VIDEO, b"\x65stolen");
    for thief in ["192.0.2.2:5000", "192.0.2.1:6000", "[2001:db8::1]:5000"] {
        sim.get_from(thief.parse().unwrap(), &stolen);
    }
    assert_eq!(sim.relayed(96), [0, 1, 2]);
    assert_eq!(sim.health().foreign, 3);
    // The session's own router changed the port: silence first, then the new one counts and is answered.
    sim.pass(ms(1500));
    sim.get_from("192.0.2.1:6000".parse().unwrap(), &rtp(96, 3, 3000, VIDEO, SLICE));
    sim.get_from("192.0.2.1:6000".parse().unwrap(), &ping());
    assert_eq!(sim.relayed(96), [0, 1, 2, 3]);
    assert_eq!(sim.to_publisher.len(), 1);
    assert_eq!(sim.health().source, Some("192.0.2.1:6000".parse().unwrap()));
}

#[test]
fn what_was_not_announced_is_dropped() {
    let mut sim = Sim::running();
    sim.get(&rtp(98, 3, 0, VIDEO, SLICE));
    sim.get(&rtp(96, 3, 0, 77, SLICE));
    sim.get(&rtp(97, 1, 0, VIDEO, OPUS));
    sim.get(&rtp(96, 3, 0, VIDEO, &[]));
    sim.get(&[0x80, 96, 0]);
    sim.get(&[]);
    assert_eq!(sim.relayed(96).len() + sim.relayed(97).len(), 4);
    assert_eq!(sim.health().malformed, 6);
}

#[test]
fn bug_k_payload_types_are_as_announced() {
    let mut announced = announcement();
    announced.video.as_mut().unwrap().payload_type = PayloadType::new(102).unwrap();
    announced.video.as_mut().unwrap().ssrc = None;
    let mut sim = Sim::with(announced, None);
    sim.get(&rtp(102, 0, 0, 555, SPS));
    sim.get(&rtp(102, 1, 0, 666, PPS)); // another sender: the first SSRC was latched
    sim.get(&rtp(102, 1, 0, 555, PPS));
    sim.get(&rtp(96, 2, 0, 555, IDR));
    assert_eq!(sim.relayed(102), [0, 1]);
    assert!(sim.relayed(96).is_empty());
}

#[test]
fn sound_alone_needs_no_picture() {
    let mut sim = Sim::with(Announcement { video: None, ..announcement() }, None);
    sim.audio(0, 0, OPUS);
    sim.audio(1, 960, &vec![0; 1392]);
    sim.audio(1, 960, OPUS);
    assert_eq!(sim.relayed(97), [0, 1]);
}

#[test]
fn extensions_padding_and_sources_are_left_behind() {
    let mut sim = Sim::running();
    let mut odd = rtp(96, 3, 3000, VIDEO, &[]);
    odd[0] = 0x80 | 0x20 | 0x10 | 1; // padding, extension, one CSRC
    odd.extend([0, 0, 0, 9]); // CSRC
    odd.extend([0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]); // extension
    odd.extend(SLICE);
    odd.extend([0, 0, 3]); // padding
    sim.get(&odd);
    assert_eq!(**sim.relayed_packets(96).last().unwrap(), rtp(96, 3, 3000, OUR_FIRST_SSRC, SLICE));
}

#[test]
fn the_end_is_told_to_the_relay() {
    let mut sim = Sim::new();
    sim.session.finish();
    sim.drain();
    assert!(sim.to_relay.is_empty(), "nothing began, nothing ends");
    let mut sim = Sim::running();
    sim.session.finish();
    sim.drain();
    let ssrcs = vec![Ssrc(OUR_FIRST_SSRC), Ssrc(OUR_FIRST_SSRC + 1)];
    assert_eq!(sim.reports().pop(), Some(Rtcp::Bye { ssrcs }));
}

#[test]
fn what_the_relay_says_is_counted() {
    let mut sim = Sim::running();
    let mut pli = Vec::new();
    rtcp::write_pli(&mut pli, Ssrc(1), Ssrc(OUR_FIRST_SSRC));
    sim.session.on_relay_datagram(&pli);
    sim.session.on_relay_datagram(b"nonsense");
    sim.drain();
    assert_eq!(sim.health().keyframes_wanted, 1);
    assert!(sim.to_publisher.is_empty());
}

#[test]
fn signs_of_life() {
    let mut sim = Sim::running();
    let media = sim.now;
    sim.pass(ms(500));
    sim.get(&ping());
    assert_eq!(sim.session.last_media(), media);
    assert_eq!(sim.session.last_heard(), sim.now);
    sim.pass(ms(500));
    sim.get_from("192.0.2.9:5000".parse().unwrap(), &ping());
    assert_eq!(sim.session.last_heard(), sim.now - ms(500));
    assert!(sim.now > sim.start);
}

proptest! {
    #[test]
    fn any_datagrams_are_survived(
        datagrams in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..80), any::<bool>(), 0u64..50), 0..200),
    ) {
        let mut sim = Sim::running();
        for (mut datagram, shaped, wait) in datagrams {
            if shaped && datagram.len() > 12 {
                // Good enough to get past the first checks.
                datagram[0] = 0x80;
                datagram[1] = if datagram[1] & 1 == 0 { 96 } else { 97 };
                let ssrc = if datagram[1] == 96 { VIDEO } else { AUDIO };
                datagram[8..12].copy_from_slice(&ssrc.to_be_bytes());
            }
            let before = sim.to_publisher.len();
            sim.get(&datagram);
            // A NACK or an echo, never more than a few datagrams for one.
            prop_assert!(sim.to_publisher.len() - before <= 16);
            sim.pass(ms(wait));
        }
    }
}
