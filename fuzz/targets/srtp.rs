//! SRTP and SRTCP as strangers and broken peers send them; and what we seal, opened again after damage.
//!
//! First byte: profile and shape. The rest is records of one length byte and a packet.
#![no_main]

use heliograph_edge::srtp::{MasterKey, PacketIndex, Profile, RtcpOpener, RtcpSealer, RtpOpener, RtpSealer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [shape, packets @ ..] = data else { return };
    let profile = Profile::ALL[usize::from(shape & 0x7f) % Profile::ALL.len()];
    let key = MasterKey::new(profile, &[0x5a; 32][..profile.key_len()], &[0xa5; 14][..profile.salt_len()])
        .expect("lengths as asked for");
    let mut session = Session {
        rtp_in: RtpOpener::new(&key).expect("key is right"),
        rtp_out: RtpSealer::new(&key).expect("key is right"),
        rtcp_in: RtcpOpener::new(&key).expect("key is right"),
        rtcp_out: RtcpSealer::new(&key).expect("key is right"),
    };
    let rtcp = shape & 0x80 != 0;
    let mut rest = packets;
    while let [length, behind @ ..] = rest {
        let (packet, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        rest = behind;
        if rtcp {
            session.rtcp(packet);
        } else {
            session.rtp(packet);
        }
    }
});

struct Session {
    rtp_in: RtpOpener,
    rtp_out: RtpSealer,
    rtcp_in: RtcpOpener,
    rtcp_out: RtcpSealer,
}

impl Session {
    fn rtp(&mut self, packet: &[u8]) {
        assert!(self.rtp_in.open(&mut packet.to_vec()).is_err(), "nobody forges a tag");
        let Some((header, payload)) = packet.split_at_checked(12) else { return };
        // Only plain headers: they are what we send.
        let header = [&[0x80], &header[1..]].concat();
        let index = PacketIndex(u64::from(u16::from_be_bytes([header[2], header[3]])));
        let mut sealed = vec![0; packet.len() + self.rtp_out.overhead()];
        let length = self.rtp_out.seal(index, &header, [&[], payload], &mut sealed).expect("there is room");
        assert_eq!(length, sealed.len());
        let mut damaged = sealed.clone();
        let at = usize::from(header[1]) % damaged.len();
        damaged[at] ^= 0x01;
        assert!(self.rtp_in.open(&mut damaged).is_err(), "damage is noticed");
        // Refused when it was seen before, or is too far behind.
        if let Ok((opened, length)) = self.rtp_in.open(&mut sealed) {
            assert_eq!(opened.0 & 0xffff, index.0);
            assert_eq!(sealed[..length], [&header, payload].concat());
            assert!(self.rtp_in.open(&mut sealed).is_err(), "nor twice");
        }
    }

    fn rtcp(&mut self, packet: &[u8]) {
        assert!(self.rtcp_in.open(&mut packet.to_vec()).is_err(), "nobody forges a tag");
        let mut sealed = Vec::new();
        if self.rtcp_out.seal(packet, &mut sealed).is_err() {
            assert!(packet.len() < 8 || packet[0] >> 6 != 2);
            return;
        }
        let mut damaged = sealed.clone();
        let at = usize::from(packet[1]) % damaged.len();
        damaged[at] ^= 0x01;
        assert!(self.rtcp_in.open(&mut damaged).is_err(), "damage is noticed");
        let mut copy = sealed.clone();
        // Too many sources are refused.
        if let Ok(plain) = self.rtcp_in.open(&mut copy) {
            assert_eq!(plain, packet);
            assert!(self.rtcp_in.open(&mut sealed).is_err(), "nor twice");
        }
    }
}
