//! H.264 from three sides: RTP payloads, parameter sets and byte streams.
#![no_main]

use heliograph_media::{
    SeqNo,
    h264::{self, Depacketiser, NalType, Packetiser, Sps, annex_b},
};
use libfuzzer_sys::fuzz_target;

const MAX_NAL: usize = 4_096;

fuzz_target!(|data: &[u8]| {
    let probe = h264::probe(data);
    if let Some(sps) = h264::sps_in(data) {
        check_sps(sps);
        if let Ok(probe) = probe {
            assert!(probe.nals.contains(NalType::SPS));
        }
    }
    let _ = h264::pps_in(data);
    check_sps(data);
    check_stream(data);
    check_packets(data);
});

fn check_sps(nal: &[u8]) {
    if let Ok(sps) = Sps::parse(nal) {
        assert!(sps.width > 0 && sps.height > 0 && sps.id < 32);
        assert!(sps.max_reorder_frames.is_none_or(|frames| frames <= 16));
        assert!(sps.fps.is_none_or(|fps| fps.is_finite() && fps > 0.0));
    }
}

/// A byte stream, cut into packets, comes out again. The first byte chooses the packet size.
fn check_stream(stream: &[u8]) {
    let [size, stream @ ..] = stream else { return };
    // Types 24 and above are packets, not NAL units; type 0 is nothing.
    let nals: Vec<&[u8]> = annex_b::nal_units(stream)
        .filter(|nal| nal[0] & 0x80 == 0 && (1..24).contains(&(nal[0] & 0x1f)) && nal.len() <= MAX_NAL)
        .collect();
    let packetiser = Packetiser::new(usize::from(*size));
    let mut depacketiser = Depacketiser::new(MAX_NAL);
    let mut read: Vec<Vec<u8>> = Vec::new();
    let mut payload = Vec::new();
    for (piece, seq) in packetiser.packets(nals.iter().copied()).zip(1..) {
        payload.clear();
        piece.write_to(&mut payload);
        assert_eq!(payload.len(), piece.len());
        h264::probe(&payload).expect("our own packets are well-formed");
        depacketiser.push(SeqNo(seq), &payload, |nal| read.push(nal.to_vec())).expect("likewise");
    }
    assert_eq!(read, nals);
}

/// Packets of one length byte and a payload each; an odd length leaves a hole in front of it.
fn check_packets(mut packets: &[u8]) {
    let mut depacketiser = Depacketiser::new(64);
    let mut seq = SeqNo(0);
    while let [length, rest @ ..] = packets {
        let (payload, behind) = rest.split_at(usize::from(length / 2).min(rest.len()));
        seq = seq + 1 + u64::from(length % 2);
        let mut whole = 0;
        let result = depacketiser.push(seq, payload, |nal| {
            assert!(!nal.is_empty());
            whole += 1;
        });
        if let (Ok(()), Ok(probe)) = (result, h264::probe(payload))
            && probe.fragment.is_none()
        {
            assert!(whole >= 1, "a packet of whole units hands them over at once");
        }
        packets = behind;
    }
}
