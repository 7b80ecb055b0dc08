//! A publisher of several layers.

use heliograph_edge::sdp::Simulcast;

use super::*;

const RID_EXT: u8 = 10;
const REPAIRED_RID_EXT: u8 = 11;
const HIGH: Ssrc = Ssrc(0x7001);
const LOW: Ssrc = Ssrc(0x7002);
const LOW_RTX: Ssrc = Ssrc(0x7003);

fn sim() -> Sim {
    let simulcast = Simulcast {
        rids: vec!["h".to_owned(), "lo".to_owned()],
        rid_ext: RID_EXT,
        repaired_rid_ext: Some(REPAIRED_RID_EXT),
    };
    let video = IncomingTrack { simulcast: Some(simulcast), transport_cc_ext: None, ..video_track() };
    Sim::new(video, Some(audio_track()))
}

impl Sim {
    /// A packet of a layer, with its name or without.
    fn layer(&mut self, ssrc: Ssrc, rid: Option<&str>, seq: u16, timestamp: u32, payload: &[u8]) {
        self.named(payload_type(102), ssrc, rid.map(|rid| (RID_EXT, rid)), seq, timestamp, payload);
    }

    fn named(
        &mut self,
        payload_type: PayloadType,
        ssrc: Ssrc,
        name: Option<(u8, &str)>,
        seq: u16,
        timestamp: u32,
        payload: &[u8],
    ) {
        let mut packet = vec![0; HEADER_LEN];
        write_rtp_header(
            packet.as_mut_slice().try_into().unwrap(),
            true,
            payload_type,
            WireSeq(seq),
            timestamp,
            ssrc,
        );
        if let Some((id, name)) = name {
            let mut elements = vec![id << 4 | (name.len() - 1) as u8];
            elements.extend(name.bytes());
            elements.resize(elements.len().next_multiple_of(4), 0);
            packet[0] |= 0x10;
            packet.extend([0xbe, 0xde, 0, (elements.len() / 4) as u8]);
            packet.extend(elements);
        }
        packet.extend(payload);
        self.reception.on_rtp(self.now, &packet);
        self.drain();
    }

    fn asked(&self, ssrc: Ssrc) -> usize {
        self.publisher.iter().filter(|packet| matches!(packet, Rtcp::Pli { media } if *media == ssrc)).count()
    }
}

#[test]
fn layers_are_known_by_name_and_then_by_ssrc() {
    let mut sim = sim();
    sim.layer(HIGH, None, 1, 0, SPS);
    assert_eq!(sim.reception.health(sim.now).malformed, 1, "whose it is, nobody knows");
    sim.layer(HIGH, Some("x"), 1, 0, SPS);
    assert_eq!(sim.reception.health(sim.now).malformed, 2, "a name that was not agreed");
    sim.layer(HIGH, Some("h"), 1, 0, SPS);
    sim.layer(HIGH, Some("h"), 2, 0, IDR);
    sim.layer(LOW, Some("lo"), 700, 77, SPS);
    sim.layer(LOW, None, 701, 77, IDR);
    sim.layer(HIGH, None, 3, 3_000, DELTA);
    sim.audio(5, 5);
    let relayed = sim.relayed();
    let found: Vec<_> = relayed.iter().map(|packet| (packet.0, packet.1)).collect();
    assert_eq!(found, [(96, 1), (96, 2), (98, 700), (98, 701), (96, 3), (97, 5)]);
    assert_ne!(relayed[0].3, relayed[2].3);
    let health = sim.reception.health(sim.now);
    assert_eq!((health.picture, health.video.unwrap().packets), (Some((1280, 720)), 5));
    sim.reception.finish();
    sim.drain();
    let bye = rtcp::parse_compound(sim.relay.last().unwrap()).unwrap();
    assert!(matches!(&bye[..], [Rtcp::Bye { ssrcs }] if ssrcs.len() == 3));
}

#[test]
fn what_was_lost_of_a_layer_is_asked_for_and_found_by_name() {
    let mut sim = sim();
    sim.layer(HIGH, Some("h"), 1, 0, SPS);
    sim.layer(LOW, Some("lo"), 1, 0, SPS);
    sim.layer(LOW, Some("lo"), 2, 0, IDR);
    sim.layer(LOW, None, 4, 6_000, DELTA);
    sim.wait(Duration::from_millis(10));
    let asked =
        |packet: &Rtcp| matches!(packet, Rtcp::Nack { media: LOW, lost, .. } if lost[..] == [WireSeq(3)]);
    assert!(sim.publisher.iter().any(asked));
    let payload = [&3_u16.to_be_bytes()[..], DELTA].concat();
    sim.named(payload_type(103), LOW_RTX, None, 50, 3_000, &payload);
    assert_eq!(sim.reception.health(sim.now).malformed, 1);
    sim.named(payload_type(103), LOW_RTX, Some((REPAIRED_RID_EXT, "lo")), 51, 3_000, &payload);
    let low: Vec<_> = sim.relayed().iter().filter(|packet| packet.0 == 98).map(|packet| packet.1).collect();
    assert_eq!(low, [1, 2, 3, 4]);
}

#[test]
fn a_keyframe_is_asked_of_the_layer_that_viewers_want() {
    let mut sim = sim();
    for (ssrc, rid) in [(HIGH, "h"), (LOW, "lo")] {
        sim.layer(ssrc, Some(rid), 1, 0, SPS);
        sim.layer(ssrc, Some(rid), 2, 0, IDR);
    }
    let low = sim.relayed().iter().find(|packet| packet.0 == 98).unwrap().3;
    let mut wish = Vec::new();
    rtcp::write_pli(&mut wish, Ssrc(1), Ssrc(low));
    sim.reception.on_relay_datagram(sim.now, &wish);
    sim.drain();
    assert_eq!((sim.asked(HIGH), sim.asked(LOW)), (0, 1));
}
