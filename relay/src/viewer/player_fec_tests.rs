//! Parity packets: what they mend, for whom they are sent and for whom not.

use proptest::prelude::*;

use super::*;

const FEC: Ssrc = Ssrc(0x4444);

/// A packet as a receiver has it after decryption.
#[derive(Clone, Debug)]
struct Plain {
    ssrc: u32,
    seq: u16,
    bytes: Vec<u8>,
}

/// A receiver that knows nothing but the draft (section 4.2: the form with a mask, of one source).
#[derive(Clone, Default)]
struct Decoder {
    media: HashMap<u16, Vec<u8>>,
    parity: Vec<(Vec<u16>, Vec<u8>)>,
}

impl Decoder {
    fn take(&mut self, packet: &Plain) {
        if packet.ssrc == VIDEO.0 {
            self.media.insert(packet.seq, packet.bytes.clone());
        } else if packet.ssrc == FEC.0 {
            let parity = &packet.bytes[12..];
            assert_eq!((parity[0] >> 6, &parity[8..12]), (0, &[1, 0, 0, 0][..]), "one source, with a mask");
            assert_eq!(parity[12..16], VIDEO.0.to_be_bytes());
            let base = u16::from_be_bytes([parity[16], parity[17]]);
            let near = u16::from_be_bytes([parity[18], parity[19]]);
            let mut covered: Vec<u16> = (0..15).filter(|bit| near >> (14 - bit) & 1 == 1).collect();
            let mut end = 20;
            if near & 0x8000 == 0 {
                let far = u32::from_be_bytes(parity[20..24].try_into().unwrap());
                assert_ne!(far & 0x8000_0000, 0, "nothing reaches further");
                covered.extend((0..31).filter(|bit| far >> (30 - bit) & 1 == 1).map(|bit| 15 + bit));
                end = 24;
            }
            let covered = covered.into_iter().map(|offset| base.wrapping_add(offset)).collect();
            let mut rest = parity[..8].to_vec();
            rest.extend(&parity[end..]);
            self.parity.push((covered, rest));
        }
        while self.mend() {}
    }

    /// Mends one packet, if one is the only one that is missing of what some parity packet covers.
    fn mend(&mut self) -> bool {
        let only = |(covered, rest): &(Vec<u16>, Vec<u8>)| {
            let missing: Vec<u16> = covered.iter().copied().filter(|s| !self.media.contains_key(s)).collect();
            (missing.len() == 1).then(|| (missing[0], covered.clone(), rest.clone()))
        };
        let Some((seq, covered, mut rest)) = self.parity.iter().find_map(only) else { return false };
        for other in covered.iter().filter_map(|seq| self.media.get(seq)) {
            let length = (other.len() - 12) as u16;
            let fixed = [&other[..2], &length.to_be_bytes(), &other[4..8]].concat();
            for (byte, with) in rest.iter_mut().zip(fixed.iter().chain(&other[12..])) {
                *byte ^= with;
            }
        }
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let mut packet = vec![rest[0] & 0x3f | 0x80, rest[1]];
        packet.extend(seq.to_be_bytes());
        packet.extend(&rest[4..8]);
        packet.extend(VIDEO.0.to_be_bytes());
        packet.extend(&rest[8..8 + length]);
        self.media.insert(seq, packet);
        true
    }
}

impl World {
    /// A viewer in live that takes parity packets.
    fn with_fec(seed: u64) -> Self {
        Self::with_fec_and(seed, None)
    }

    /// It wants to be told capture times, too.
    fn with_fec_and(seed: u64, capture_time_ext: Option<u8>) -> Self {
        let mut agreed = NegotiatedTrack { capture_time_ext, ..track(VIDEO, VIDEO_PT, true) };
        agreed.fec = PayloadType::new(118)
            .map(|payload_type| heliograph_edge::sdp::NegotiatedFec { payload_type, ssrc: FEC });
        let mut world = Self::of(agreed, seed);
        world.past(1, 1, 2);
        world.start();
        world.pass(Duration::from_millis(50));
        world.turns();
        world.plain();
        world
    }

    /// What has come, decrypted.
    fn plain(&mut self) -> Vec<Plain> {
        let media = std::mem::take(&mut self.sent).into_iter().filter(|packet| !rtcp::is_rtcp(packet));
        media
            .map(|mut packet| {
                let (_, len) = self.opener.open(&mut packet).unwrap();
                packet.truncate(len);
                let header = RtpHeader::parse(&packet).unwrap();
                Plain { ssrc: header.ssrc.0, seq: u16::from_be_bytes([packet[2], packet[3]]), bytes: packet }
            })
            .collect()
    }

    /// The viewer reports what it lost, in 1/256, and lets the round trip be measured.
    fn reports(&mut self, fraction_lost: u8, round_trip: Duration) {
        let block = rtcp::ReportBlock {
            ssrc: VIDEO,
            fraction_lost,
            last_sr: (1 << 24) - (round_trip.as_micros() * 65_536 / 1_000_000) as u32,
            ..Default::default()
        };
        let mut plain = Vec::new();
        rtcp::write_receiver_report(&mut plain, Ssrc(9), &[block]);
        self.feedback(&plain);
    }

    /// One more picture of so many packets, and what goes out for it.
    fn shows(&mut self, count: u64) -> Vec<Plain> {
        let packets = self.picture(false, count);
        self.publish(packets);
        self.now += PICTURE;
        self.turns();
        self.plain()
    }

    fn parity_in(&mut self, pictures: usize) -> usize {
        (0..pictures).map(|_| self.shows(10).iter().filter(|packet| packet.ssrc == FEC.0).count()).sum()
    }
}

const LONG: Duration = Duration::from_millis(200);

#[test]
fn parity_packets_are_for_losses_on_a_long_way() {
    for (lost, trip, least, most) in [
        (0, LONG, 0, 0),
        (5, Duration::from_millis(40), 0, 0),
        (1, LONG, 190, 210),
        (5, LONG, 290, 310),
        (12, LONG, 390, 410),
        (90, LONG, 0, 0),
    ] {
        let mut world = World::with_fec(1);
        world.reports(lost, trip);
        let parity = world.parity_in(100);
        assert!((least..=most).contains(&parity), "{lost}, {trip:?}: {parity}");
        assert_eq!(world.counters.parity, parity as u64);
    }
    // Whoever did not say that it takes them gets none.
    let mut world = World::new(true);
    world.past(1, 1, 2);
    world.start();
    world.reports(12, LONG);
    world.shows(10);
    assert_eq!(world.parity_in(10), 0);
}

#[test]
fn the_first_request_begins_it_where_the_handshake_showed_a_long_way() {
    for (trip, most) in [(None, 0), (Some(Duration::from_millis(40)), 0), (Some(LONG), 40)] {
        let mut world = World::with_fec(1);
        trip.into_iter().for_each(|trip| world.player.set_way(trip));
        let seqs: Vec<u64> = world.shows(10).iter().map(|packet| packet.seq.into()).collect();
        assert_eq!(world.parity_in(10), 0, "nothing is lost yet");
        world.nack(&[seqs[2]]);
        world.plain();
        let parity = world.parity_in(10);
        assert!((most / 2..=most).contains(&parity), "{trip:?}: {parity}");
    }
}

#[test]
fn whoever_loses_many_in_a_row_gets_them_again_instead() {
    let mut world = World::with_fec(1);
    world.reports(5, LONG);
    assert_eq!(world.parity_in(10), 30);
    for _ in 0..2 {
        let seqs: Vec<u64> = world.shows(10).iter().map(|packet| packet.seq.into()).collect();
        world.nack(&seqs[..4]);
        world.plain();
    }
    assert_eq!(world.parity_in(10), 0);
}

/// Pictures are held back for a round trip by whoever knows it.
#[test]
fn where_parity_packets_mend_the_round_trip_is_not_told() {
    let asks = |world: &mut World| {
        let mut plain = Vec::new();
        rtcp::write_nack(&mut plain, Ssrc(9), VIDEO, &[WireSeq(1)]);
        // A receiver reference time (RFC 3611 section 4.4).
        plain.extend([0x80, 207, 0, 4, 0, 0, 0, 9, 4, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0]);
        world.sent.clear();
        world.feedback(&plain);
        world.now += Duration::from_secs(1);
        world.sent.iter().any(|packet| rtcp::is_rtcp(packet))
    };
    for (trip, is_told) in [(LONG, false), (Duration::from_millis(40), true)] {
        let mut world = World::with_fec(1);
        assert!(!asks(&mut world), "the way is not known yet");
        world.reports(5, trip);
        assert_eq!(asks(&mut world), is_told, "{trip:?}");
    }
}

proptest! {
    /// Any one packet of each picture, whatever the pictures: the same to the last byte, at once.
    #[test]
    fn one_loss_in_each_picture_is_mended(
        pictures in proptest::collection::vec((4_u64..40, any::<u64>()), 1..30),
        (seed, share) in (0_u64..1000, 5_u8..30),
    ) {
        let mut world = World::with_fec(seed);
        world.reports(share, LONG);
        let mut decoder = Decoder::default();
        for (count, lost) in pictures {
            let sent = world.shows(count);
            let media: Vec<&Plain> = sent.iter().filter(|packet| packet.ssrc == VIDEO.0).collect();
            let lost = media[lost as usize % media.len()];
            for packet in sent.iter().filter(|packet| (packet.ssrc, packet.seq) != (lost.ssrc, lost.seq)) {
                decoder.take(packet);
            }
            prop_assert_eq!(decoder.media.get(&lost.seq), Some(&lost.bytes));
        }
    }
}

/// What mends is what was sent, also where some packets tell capture times: those are not mended, and spoil no other.
#[test]
fn packets_that_tell_capture_times_spoil_nothing() {
    let mut world = World::with_fec_and(1, Some(6));
    let delay = Duration::from_millis(70);
    let uplink = crate::Uplink { delay, on_arrival: delay, basis: crate::UplinkBasis::Network };
    world.feed(vec![FeedItem::Uplink(Some(uplink))]);
    world.reports(12, LONG);
    let tells = |packet: &Plain| heliograph_media::rtp::extension(&packet.bytes, 6).is_some();
    let (mut told, mut mended) = (0, 0);
    let mut all = Decoder::default();
    for picture in 0..200 {
        let sent = world.shows(10);
        let media: Vec<&Plain> = sent.iter().filter(|packet| packet.ssrc == VIDEO.0).collect();
        told += media.iter().filter(|packet| tells(packet)).count();
        for lost in &media {
            let mut decoder = all.clone();
            for packet in sent.iter().filter(|packet| packet.seq != lost.seq || packet.ssrc != lost.ssrc) {
                decoder.take(packet);
            }
            if let Some(bytes) = decoder.media.get(&lost.seq) {
                assert_eq!(bytes, &lost.bytes, "picture {picture}");
                mended += 1;
            }
        }
        sent.iter().for_each(|packet| all.take(packet));
        all.parity.clear();
    }
    assert!((5..=20).contains(&told), "{told}");
    assert!(mended > 500, "{mended}");
}

/// What the table in docs/bad-networks.md rests on: of pictures of ten packets, all lost and late ones counted.
#[test]
fn few_pictures_are_left_over() {
    for (share, of_256, most) in [(5, 5, 1), (13, 13, 8)] {
        let mut world = World::with_fec(7);
        world.reports(share, LONG);
        let mut rng = StdRng::seed_from_u64(3);
        let mut decoder = Decoder::default();
        let mut sent: Vec<Vec<u16>> = Vec::new();
        let mut left = 0;
        for _ in 0..1000 {
            let packets = world.shows(10);
            sent.push(packets.iter().filter(|p| p.ssrc == VIDEO.0).map(|p| p.seq).collect());
            for packet in packets {
                if rng.random_range(0..256) >= of_256 {
                    decoder.take(&packet);
                }
            }
            decoder.parity.drain(..decoder.parity.len().saturating_sub(12));
            // With the parity packets of the next picture.
            if let [.., before, _] = &sent[..] {
                left += usize::from(before.iter().any(|seq| !decoder.media.contains_key(seq)));
            }
        }
        assert!(left <= most, "{share}/256 lost: {left} of 1000 pictures left over");
    }
}
