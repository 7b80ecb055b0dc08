//! An RTMP connection from its first byte: handshake, chunks, commands, in any pieces, with a verdict in between.
//!
//! The first byte says how the rest is cut and whether a good handshake comes first.
#![no_main]

use std::time::{Duration, Instant};

use heliograph_ingest::{
    auth::EndReason,
    rtmp::protocol::{Protocol, ProtocolSettings, Step},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&how, rest)) = data.split_first() else { return };
    let mut now = Instant::now();
    let settings = ProtocolSettings { handshake_timeout: Duration::from_secs(10), random: [7; 8] };
    let mut protocol = Protocol::new(now, settings);
    let mut bytes = Vec::new();
    if how & 1 == 0 {
        bytes.push(3);
        bytes.resize(1 + 2 * 1536, 0);
    }
    bytes.extend(rest);
    let mut ended = false;
    for piece in bytes.chunks(1 + usize::from(how >> 1) * 40) {
        protocol.on_bytes(now, piece);
        now += Duration::from_millis(10);
        if drain(&mut protocol, now, &mut ended) {
            protocol.on_bytes(now, b"more");
            assert_eq!(protocol.next_step(), Step::Close, "nothing comes after the end");
            return;
        }
    }
    protocol.on_eof();
    assert!(drain(&mut protocol, now, &mut ended) && ended, "a connection at its end is over");
});

/// Does what a shell does; true when the connection is to be closed.
fn drain(protocol: &mut Protocol, now: Instant, ended: &mut bool) -> bool {
    for _ in 0..100_000 {
        match protocol.next_step() {
            Step::Send(bytes) => assert!(!bytes.is_empty()),
            Step::Check(key) if key.reveal().len() % 2 == 0 => protocol.on_accepted(now),
            Step::Check(_) => protocol.close(EndReason::Denied, "no"),
            Step::Media(tag) => assert!(!tag.body.is_empty()),
            Step::Metadata(metadata) => assert!(metadata.encoder.chars().count() <= 100),
            Step::Ended(_) => assert!(!std::mem::replace(ended, true), "ends twice"),
            Step::Close => return true,
            Step::Wait(_) => return false,
        }
    }
    panic!("never waits");
}
