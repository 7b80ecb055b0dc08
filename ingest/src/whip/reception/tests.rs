//! A publisher and a relay in virtual time.
#![allow(clippy::unwrap_used, reason = "tests")]

use heliograph_media::{Codec, PayloadType, rtp::HEADER_LEN, rtp::write_rtp_header};

use super::*;

const VIDEO_SSRC: Ssrc = Ssrc(0x1111);
const RTX_SSRC: Ssrc = Ssrc(0x2222);
const AUDIO_SSRC: Ssrc = Ssrc(0x3333);
/// 1280x720.
const SPS: &[u8] = &[
    0x67, 0x4d, 0x40, 0x1f, 0xec, 0xa0, 0x28, 0x02, 0xdd, 0x80, 0x88, 0x00, 0x00, 0x03, 0x00, 0x08, 0x00,
    0x00, 0x03, 0x01, 0xe4, 0x78, 0xc1, 0x8c, 0xb0,
];
const IDR: &[u8] = &[0x65, 0x88, 0x80, 0x01];
const DELTA: &[u8] = &[0x61, 0x9a, 0x80, 0x01];

fn payload_type(number: u8) -> PayloadType {
    PayloadType::new(number).unwrap()
}

fn video_track() -> IncomingTrack {
    IncomingTrack {
        mid: Some("1".to_owned()),
        codec: Codec::H264,
        payload_type: payload_type(102),
        rtx_payload_type: Some(payload_type(103)),
        nack: true,
        pli: true,
        fir: true,
        remb: true,
        transport_cc_ext: Some(3),
        simulcast: None,
    }
}

fn audio_track() -> IncomingTrack {
    IncomingTrack {
        mid: Some("0".to_owned()),
        codec: Codec::Opus,
        payload_type: payload_type(111),
        rtx_payload_type: None,
        nack: false,
        pli: false,
        fir: false,
        remb: false,
        transport_cc_ext: Some(3),
        simulcast: None,
    }
}

struct Sim {
    reception: Reception,
    now: Instant,
    relay: Vec<Vec<u8>>,
    publisher: Vec<Rtcp>,
    /// Transport-wide feedback, which nobody here reads otherwise.
    feedback: usize,
    remb: usize,
    transport_seq: u16,
}

impl Sim {
    fn new(video: IncomingTrack, audio: Option<IncomingTrack>) -> Self {
        let now = Instant::now();
        let mut next = 0xaaaa_0000;
        let fresh_ssrc = Box::new(move || {
            next += 1;
            Ssrc(next)
        });
        let parameters = ReceptionParameters {
            video: Some(video),
            audio,
            hold: Duration::from_millis(150),
            ceiling: None,
            wall_clock: NtpTime::from_unix(Duration::from_secs(1_700_000_000)),
            fresh_ssrc,
        };
        let reception = Reception::new(now, parameters);
        let (relay, publisher) = (Vec::new(), Vec::new());
        Self { reception, now, relay, publisher, feedback: 0, remb: 0, transport_seq: 65_530 }
    }

    fn usual() -> Self {
        Self::new(video_track(), Some(audio_track()))
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.reception.next_transmit() {
            match transmit {
                Transmit::Relay(datagram) => self.relay.push(datagram),
                Transmit::Publisher(datagram) => {
                    self.feedback += usize::from(datagram[..2] == [0x8f, 205]);
                    self.remb += usize::from(datagram.windows(4).any(|word| word == b"REMB"));
                    self.publisher.extend(rtcp::parse_compound(&datagram).unwrap());
                }
            }
        }
    }

    /// Lets time pass, with every deadline on the way.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let deadline = self.reception.deadline(self.now);
            if deadline > end {
                break;
            }
            self.now = self.now.max(deadline);
            self.reception.on_deadline(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn rtp(&mut self, payload_type: PayloadType, seq: u16, timestamp: u32, ssrc: Ssrc, payload: &[u8]) {
        let packet = self.packet(payload_type, seq, timestamp, ssrc, payload);
        self.reception.on_rtp(self.now, &packet);
        self.drain();
    }

    fn packet(
        &mut self,
        payload_type: PayloadType,
        seq: u16,
        timestamp: u32,
        ssrc: Ssrc,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut header = [0; HEADER_LEN];
        write_rtp_header(&mut header, true, payload_type, WireSeq(seq), timestamp, ssrc);
        header[0] |= 0x10;
        self.transport_seq = self.transport_seq.wrapping_add(1);
        let [high, low] = self.transport_seq.to_be_bytes();
        let extension = [0xbe, 0xde, 0, 1, 0x31, high, low, 0];
        [&header[..], &extension, payload].concat()
    }

    fn video(&mut self, seq: u16, timestamp: u32, payload: &[u8]) {
        self.rtp(payload_type(102), seq, timestamp, VIDEO_SSRC, payload);
    }

    fn retransmit(&mut self, rtx_seq: u16, seq: u16, timestamp: u32, payload: &[u8]) {
        let payload = [&seq.to_be_bytes(), payload].concat();
        self.rtp(payload_type(103), rtx_seq, timestamp, RTX_SSRC, &payload);
    }

    fn audio(&mut self, seq: u16, timestamp: u32) {
        self.rtp(payload_type(111), seq, timestamp, AUDIO_SSRC, &[0xfc, 1, 2]);
    }

    /// What went to the relay as RTP: payload type, number, timestamp, SSRC.
    fn relayed(&self) -> Vec<(u8, u16, u32, u32)> {
        let media = self.relay.iter().filter(|datagram| !rtcp::is_rtcp(datagram));
        media
            .map(|datagram| {
                let header = RtpHeader::parse(datagram).unwrap();
                assert_eq!(header.payload.start, HEADER_LEN, "extensions stay behind");
                (header.payload_type.get(), header.seq.0, header.timestamp, header.ssrc.0)
            })
            .collect()
    }

    fn numbers(&self) -> Vec<u16> {
        self.relayed().iter().filter(|packet| packet.0 == 96).map(|packet| packet.1).collect()
    }

    fn plis(&self) -> usize {
        self.publisher.iter().filter(|packet| matches!(packet, Rtcp::Pli { media: VIDEO_SSRC })).count()
    }
}

#[test]
fn media_goes_on_under_our_own_numbers() {
    let mut sim = Sim::usual();
    // Before a keyframe nothing goes on, and one is asked for.
    sim.video(7, 90_000, DELTA);
    assert_eq!((sim.relayed().len(), sim.plis()), (0, 1));
    sim.video(8, 93_000, SPS);
    sim.video(9, 93_000, IDR);
    sim.audio(40_000, 5);
    let ssrcs = (0xaaaa_0004, 0xaaaa_0005);
    assert_eq!(sim.relayed(), [(96, 8, 93_000, ssrcs.0), (96, 9, 93_000, ssrcs.0), (97, 40_000, 5, ssrcs.1)]);
    assert_eq!(sim.reception.health(sim.now).picture, Some((1280, 720)));
    sim.reception.finish();
    sim.drain();
    let bye = rtcp::parse_compound(sim.relay.last().unwrap()).unwrap();
    assert_eq!(bye, [Rtcp::Bye { ssrcs: vec![Ssrc(ssrcs.0), Ssrc(ssrcs.1)] }]);
}

#[test]
fn a_gap_is_asked_for_and_filled_from_the_retransmission_stream() {
    for start in [100_u16, 65_533] {
        let mut sim = Sim::usual();
        let seq = |n: u16| start.wrapping_add(n);
        sim.video(seq(0), 0, SPS);
        sim.video(seq(1), 0, IDR);
        sim.video(seq(3), 3_000, DELTA);
        sim.video(seq(4), 6_000, DELTA);
        assert_eq!(sim.numbers(), [seq(0), seq(1)], "the rest is held");
        sim.wait(Duration::from_millis(10));
        let nacks: Vec<_> =
            sim.publisher.iter().filter(|packet| matches!(packet, Rtcp::Nack { .. })).collect();
        let Rtcp::Nack { media: VIDEO_SSRC, lost, .. } = nacks[0] else { panic!("{nacks:?}") };
        assert_eq!((nacks.len(), &lost[..]), (1, &[WireSeq(seq(2))][..]));
        // Padding, a repetition of what came, and then the answer.
        sim.rtp(payload_type(103), 9, 0, RTX_SSRC, &[]);
        sim.retransmit(10, seq(1), 0, IDR);
        sim.wait(Duration::from_millis(20));
        sim.retransmit(11, seq(2), 1_500, DELTA);
        assert_eq!(sim.numbers(), [0, 1, 2, 3, 4].map(seq));
        assert_eq!(sim.relayed()[2].2, 1_500);
        let health = sim.reception.health(sim.now);
        assert_eq!((health.lost(), health.video.unwrap().recovered), (0, 1));
        assert!(health.round_trip.is_some_and(|trip| trip >= Duration::from_millis(20)));
        assert_eq!(sim.plis(), 0);
    }
}

#[test]
fn what_is_lost_for_good_costs_a_keyframe_request() {
    let mut sim = Sim::usual();
    sim.video(1, 0, SPS);
    sim.video(2, 0, IDR);
    sim.video(4, 3_000, DELTA);
    sim.wait(Duration::from_millis(400));
    assert_eq!(sim.numbers(), [1, 2, 4]);
    assert_eq!(sim.plis(), 1);
    // Again, as long as none comes.
    sim.wait(Duration::from_millis(400));
    assert_eq!(sim.plis(), 2);
    sim.video(5, 6_000, SPS);
    sim.video(6, 6_000, IDR);
    sim.wait(Duration::from_secs(3));
    assert_eq!(sim.plis(), 2);
}

#[test]
fn keyframes_that_viewers_want_are_asked_for_now_and_then() {
    let mut sim = Sim::usual();
    sim.video(1, 0, IDR);
    let mut pli = Vec::new();
    rtcp::write_pli(&mut pli, Ssrc(1), Ssrc(0xaaaa_0004));
    for seq in 2..102 {
        sim.reception.on_relay_datagram(sim.now, &pli);
        sim.drain();
        sim.wait(Duration::from_millis(10));
        // It answers every time.
        sim.video(seq, u32::from(seq) * 900, IDR);
    }
    assert!((2..=3).contains(&sim.plis()), "{} in a second", sim.plis());
    let health = sim.reception.health(sim.now);
    assert_eq!((health.keyframes_wanted, health.keyframes_requested), (100, sim.plis() as u64));
}

#[test]
fn whoever_cannot_be_asked_is_not() {
    let plain = IncomingTrack {
        nack: false,
        pli: false,
        fir: true,
        remb: false,
        rtx_payload_type: None,
        transport_cc_ext: None,
        ..video_track()
    };
    let mut sim = Sim::new(plain.clone(), None);
    sim.video(1, 0, DELTA);
    assert!(matches!(&sim.publisher[..], [Rtcp::Fir { media }] if media[..] == [(VIDEO_SSRC, 1)]));
    sim.video(2, 0, IDR);
    sim.video(4, 3_000, DELTA);
    sim.wait(Duration::from_millis(20));
    // Nothing can come any more: what was overtaken is not waited for longer.
    assert_eq!(sim.numbers(), [2, 4]);
    assert!(!sim.publisher.iter().any(|packet| matches!(packet, Rtcp::Nack { .. })));
    assert_eq!((sim.feedback, sim.remb), (0, 0));

    let mut sim = Sim::new(IncomingTrack { fir: false, ..plain }, None);
    sim.video(1, 0, DELTA);
    sim.wait(Duration::from_millis(100));
    assert_eq!(sim.publisher, []);
}

#[test]
fn the_publisher_hears_how_its_packets_arrive() {
    let mut sim = Sim::usual();
    let mut report = Vec::new();
    let theirs = NtpTime(0x1234_5678_9abc_def0);
    let info = SenderInfo { ssrc: VIDEO_SSRC, ntp: theirs, rtp_timestamp: 0, packets: 1, octets: 2 };
    rtcp::write_sender_report(&mut report, &info, &[]);
    sim.video(1, 0, IDR);
    sim.reception.on_rtcp(sim.now, &report);
    for n in 1..100_u16 {
        sim.wait(Duration::from_millis(10));
        if n % 10 != 0 {
            sim.video(1 + n, u32::from(n) * 900, DELTA);
        }
    }
    let blocks: Vec<_> = sim
        .publisher
        .iter()
        .filter_map(|packet| match packet {
            Rtcp::ReceiverReport { reports, .. } => reports.first(),
            _ => None,
        })
        .collect();
    assert_eq!(blocks.len(), 1, "every half second");
    let block = blocks[0];
    assert_eq!((block.ssrc, block.last_sr), (VIDEO_SSRC, theirs.middle32()));
    assert!((20..=30).contains(&block.fraction_lost), "a tenth of 256: {}", block.fraction_lost);
    assert_eq!(block.delay_since_last_sr, 1 << 15);
    // Nine in half a second, for as long as packets come: every 50 ms at most.
    assert!((15..=20).contains(&sim.feedback), "{}", sim.feedback);
    assert_eq!(sim.remb, 0, "one estimate is enough");

    let mut sim = Sim::new(IncomingTrack { transport_cc_ext: None, ..video_track() }, None);
    sim.video(1, 0, IDR);
    sim.wait(Duration::from_secs(1));
    assert_eq!((sim.feedback, sim.remb), (0, 2));
}

#[test]
fn sender_reports_keep_sound_and_picture_together() {
    let mut sim = Sim::usual();
    sim.video(1, 500_000, IDR);
    sim.audio(1, 900_000);
    let later = |base: u64, by: Duration| {
        NtpTime(base + (u64::from(by.subsec_nanos()) << 32) / 1_000_000_000 + (by.as_secs() << 32))
    };
    let mut send = |ssrc, ntp, rtp_timestamp| {
        let mut report = Vec::new();
        let info = SenderInfo { ssrc, ntp, rtp_timestamp, packets: 7, octets: 8 };
        rtcp::write_sender_report(&mut report, &info, &[]);
        sim.reception.on_rtcp(sim.now, &report);
        sim.drain();
    };
    send(VIDEO_SSRC, NtpTime(77 << 32), 500_000);
    send(AUDIO_SSRC, later(77 << 32, Duration::from_millis(250)), 912_000);
    send(Ssrc(5), NtpTime(77 << 32), 1); // nobody's
    let reports: Vec<_> = sim.relay.iter().filter(|datagram| rtcp::is_rtcp(datagram)).collect();
    let read = |datagram: &[u8]| match &rtcp::parse_compound(datagram).unwrap()[..] {
        [Rtcp::SenderReport { ssrc, ntp, rtp_timestamp, .. }] => (ssrc.0, *ntp, *rtp_timestamp),
        other => panic!("{other:?}"),
    };
    assert_eq!(reports.len(), 2);
    let (video, audio) = (read(reports[0]), read(reports[1]));
    assert_eq!((video.0, video.2), (0xaaaa_0004, 500_000));
    assert_eq!((audio.0, audio.2), (0xaaaa_0005, 912_000));
    let apart = audio.1.since(video.1).unwrap();
    assert!(apart.abs_diff(Duration::from_millis(250)) < Duration::from_micros(1), "{apart:?}");
    assert_eq!(video.1.0 >> 32, NtpTime::from_unix(Duration::from_secs(1_700_000_000)).0 >> 32);
}

#[test]
fn padding_leaves_no_hole() {
    let mut sim = Sim::usual();
    sim.video(1, 0, IDR);
    sim.video(2, 0, &[]);
    sim.video(3, 0, &[]);
    sim.video(4, 3_000, DELTA);
    assert_eq!(sim.numbers(), [1, 2]);
}

#[test]
fn a_publisher_that_starts_over_gets_a_new_source() {
    let mut sim = Sim::usual();
    sim.video(1, 0, IDR);
    // Another source under the same payload type is nobody while the first one sends...
    sim.rtp(payload_type(102), 500, 9, Ssrc(0x9999), IDR);
    assert_eq!(sim.relayed().len(), 1);
    // ...and the publisher when that has gone.
    sim.wait(Duration::from_secs(2));
    sim.rtp(payload_type(102), 500, 9, Ssrc(0x9999), DELTA);
    sim.rtp(payload_type(102), 501, 9, Ssrc(0x9999), IDR);
    let relayed = sim.relayed();
    assert_eq!(relayed.len(), 2);
    assert_ne!(relayed[0].3, relayed[1].3);
    assert_eq!(relayed[1].1, 501);
}

#[test]
fn hostile_bytes_are_counted() {
    let mut sim = Sim::usual();
    for bytes in [&[][..], &[0x80], &[0xff; 40], &[0x80; 11], &[0x80, 99, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]] {
        sim.reception.on_rtp(sim.now, bytes);
        sim.reception.on_relay_datagram(sim.now, bytes);
    }
    sim.reception.on_rtcp(sim.now, &[0x80, 200, 0, 9]);
    sim.wait(Duration::from_secs(1));
    assert!(sim.relay.is_empty());
    assert_eq!(sim.reception.health(sim.now).malformed, 6);
}

#[test]
fn an_hour_of_loss_stays_in_order_and_bounded() {
    // Numbers of a fixed sequence, so that a run can be repeated.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut sim = Sim::usual();
    let mut seq = 0_u16;
    let mut rtx_seq = 0_u16;
    for picture in 0..20_000_u32 {
        let payload = if picture % 50 == 0 { IDR } else { DELTA };
        for _ in 0..3 {
            seq = seq.wrapping_add(1);
            if random() % 20 == 0 {
                sim.transport_seq = sim.transport_seq.wrapping_add(1);
                continue;
            }
            sim.video(seq, picture * 3_000, payload);
        }
        sim.wait(Duration::from_millis(33));
        // Four of five requests are answered.
        let asked: Vec<WireSeq> = sim
            .publisher
            .drain(..)
            .flat_map(|packet| if let Rtcp::Nack { lost, .. } = packet { lost } else { Vec::new() })
            .collect();
        for lost in asked {
            if random() % 5 != 0 {
                rtx_seq = rtx_seq.wrapping_add(1);
                sim.retransmit(rtx_seq, lost.0, picture * 3_000, payload);
            }
        }
    }
    sim.wait(Duration::from_secs(1));
    let numbers = sim.numbers();
    let health = sim.reception.health(sim.now);
    let video = health.video.unwrap();
    assert_eq!(numbers.len() as u64, video.packets);
    assert!(video.lost < 200, "{video:?}");
    let backwards = numbers.windows(2).filter(|pair| pair[1].wrapping_sub(pair[0]) > 1 << 15).count();
    assert!(backwards as u64 <= video.late, "{backwards} {video:?}");
}

mod layers;
