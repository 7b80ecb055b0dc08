//! The media port of an FTL session: pings, RTP and reports of the publisher, strangers, and the relay's feedback.
//!
//! Records of two bytes (how, length) and a body; see [`Record`].
#![no_main]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use heliograph_ingest::ftl::{
    control::{AnnouncedTrack, Announcement},
    media::{MediaParameters, MediaSession, Transmit},
};
use heliograph_media::{
    Codec, NtpTime, PayloadType, Ssrc, WireSeq,
    rtcp::{is_rtcp, parse_compound},
    rtp::{HEADER_LEN, RtpHeader, write_rtp_header},
};
use libfuzzer_sys::fuzz_target;

const PUBLISHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const VIDEO: Ssrc = Ssrc(1_235);
const AUDIO: Ssrc = Ssrc(1_234);

fuzz_target!(|data: &[u8]| {
    let mut now = Instant::now();
    let mut next_ssrc = 0x0100_0000;
    let track = |codec, payload_type, ssrc| Some(AnnouncedTrack { codec, payload_type, ssrc: Some(ssrc) });
    let mut session = MediaSession::new(
        now,
        MediaParameters {
            announcement: Announcement {
                vendor_name: String::new(),
                vendor_version: String::new(),
                video: track(Codec::H264, PayloadType::H264, VIDEO),
                audio: track(Codec::Opus, PayloadType::OPUS, AUDIO),
            },
            control_ip: PUBLISHER,
            hold: Duration::from_millis(200),
            nack: true,
            round_trip: None,
            wall_clock: NtpTime::from_unix(Duration::from_secs(1_700_000_000)),
            fresh_ssrc: Box::new(move || {
                next_ssrc += 1;
                Ssrc(next_ssrc)
            }),
        },
    );
    let mut taken = 0;
    let mut passed_on = 0;
    let mut rest = data;
    while let Some((record, behind)) = Record::next(rest) {
        rest = behind;
        now += record.after();
        if session.deadline().is_some_and(|deadline| deadline <= now) {
            session.on_deadline(now);
            assert!(session.deadline().is_none_or(|deadline| deadline > now), "it would spin");
            passed_on += drain(&mut session);
        }
        let datagram = record.datagram();
        if record.is_feedback() {
            session.on_relay_datagram(&datagram);
        } else {
            taken += 1;
            session.on_datagram(now, record.source(), &datagram);
        }
        passed_on += drain(&mut session);
        let _ = session.health(now);
    }
    assert!(passed_on <= taken, "more packets went on than came in");
    session.finish();
    drain(&mut session);
});

/// Looks at everything that goes out; says how many media packets went to the relay.
fn drain(session: &mut MediaSession) -> usize {
    let mut media = 0;
    while let Some(transmit) = session.next_transmit() {
        match transmit {
            Transmit::Publisher { to, datagram } => {
                assert_eq!(to.ip().to_canonical(), PUBLISHER, "a stranger is answered");
                assert!(datagram.len() <= 1_500);
            }
            Transmit::Relay(datagram) if is_rtcp(&datagram) => {
                parse_compound(&datagram).expect("our own report is well-formed");
            }
            Transmit::Relay(datagram) => {
                let header = RtpHeader::parse(&datagram).expect("well-formed, or it would not go on");
                assert!(header.ssrc.0 > 0x0100_0000, "the publisher's SSRC stays outside");
                assert!(!header.payload.is_empty());
                media += 1;
            }
        }
    }
    media
}

/// `how`: bits 0-1 source, bits 2-3 time passed, bits 4-6 kind. Media records begin with two bytes of sequence number.
struct Record<'a> {
    how: u8,
    body: &'a [u8],
}

impl<'a> Record<'a> {
    fn next(data: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let [how, length, rest @ ..] = data else { return None };
        let (body, behind) = rest.split_at(usize::from(*length).min(rest.len()));
        Some((Self { how: *how, body }, behind))
    }

    fn source(&self) -> SocketAddr {
        match self.how & 3 {
            0 | 1 => SocketAddr::new(PUBLISHER, 50_000),
            2 => SocketAddr::new(PUBLISHER, 50_001),
            _ => SocketAddr::from(([203, 0, 113, 9], 50_000)),
        }
    }

    fn after(&self) -> Duration {
        Duration::from_millis([0, 10, 150, 1_100][usize::from(self.how >> 2 & 3)])
    }

    fn is_feedback(&self) -> bool {
        self.how >> 4 & 7 == 7
    }

    fn datagram(&self) -> Vec<u8> {
        let (payload_type, ssrc, rate) = match self.how >> 4 & 7 {
            2 | 3 => (PayloadType::H264, VIDEO, 3_000),
            4 | 5 => (PayloadType::OPUS, AUDIO, 960),
            _ => return self.body.to_vec(),
        };
        let [high, low, payload @ ..] = self.body else { return self.body.to_vec() };
        let seq = u16::from_be_bytes([*high, *low]);
        let mut header = [0; HEADER_LEN];
        let timestamp = u32::from(seq).wrapping_mul(rate);
        write_rtp_header(&mut header, self.how & 0x10 != 0, payload_type, WireSeq(seq), timestamp, ssrc);
        [&header, payload].concat()
    }
}
