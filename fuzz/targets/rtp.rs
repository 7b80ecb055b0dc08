//! RTP headers, and the first bytes of what they carry.
#![no_main]

use heliograph_media::{
    h264, opus,
    rtp::{HEADER_LEN, RtpHeader, write_rtp_header},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| {
    let Ok(header) = RtpHeader::parse(packet) else { return };
    let payload = &packet[header.payload.clone()];
    let _ = h264::probe(payload);
    if let Some(duration) = opus::duration(payload) {
        assert!(duration <= opus::MAX_DURATION);
    }

    let mut bare = [0; HEADER_LEN];
    write_rtp_header(
        &mut bare,
        header.marker,
        header.payload_type,
        header.seq,
        header.timestamp,
        header.ssrc,
    );
    let again = RtpHeader::parse(&[&bare, payload].concat()).expect("what we write we read");
    assert_eq!(again, RtpHeader { payload: HEADER_LEN..HEADER_LEN + payload.len(), ..header });
});
