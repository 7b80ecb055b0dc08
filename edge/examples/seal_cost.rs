//! What sealing costs: nanoseconds per 1200-byte packet for each profile, on this machine.
//!
//! `cargo run --release -p heliograph-edge --example seal_cost`

#![allow(clippy::print_stdout, reason = "printing is its purpose")]

use std::hint::black_box;
use std::time::Instant;

use heliograph_edge::srtp::{MasterKey, PacketIndex, Profile, RtpSealer};

const PAYLOAD: usize = 1180;
const PACKETS: u64 = 400_000;
const ROUNDS: usize = 5;

fn main() {
    println!("one 1200-byte RTP packet (12 header, 8 extension, {PAYLOAD} payload), best of {ROUNDS} rounds");
    for profile in Profile::ALL {
        let key = vec![7; profile.key_len()];
        let salt = vec![9; profile.salt_len()];
        let master = MasterKey::new(profile, &key, &salt).expect("lengths come from the profile");
        let sealer = RtpSealer::new(&master).expect("a valid key");
        let live = (0..ROUNDS).map(|_| nanoseconds(&sealer, &[])).fold(f64::INFINITY, f64::min);
        let again = (0..ROUNDS).map(|_| nanoseconds(&sealer, &[1, 2])).fold(f64::INFINITY, f64::min);
        println!("{profile:20} {live:6.0} ns live   {again:6.0} ns as RTX");
    }
}

fn nanoseconds(sealer: &RtpSealer, original_sequence: &[u8]) -> f64 {
    let payload = vec![0x5a; PAYLOAD];
    let mut header = [0x90, 102, 0, 0, 0, 0, 0, 0, 0xca, 0xfe, 0xba, 0xbe, 0xbe, 0xde, 0, 1, 0x22, 0, 0, 50];
    let mut out = vec![0; 1300];
    let begin = Instant::now();
    for index in 0..PACKETS {
        header[2..4].copy_from_slice(&(index as u16).to_be_bytes());
        let parts = [original_sequence, &payload[..]];
        let len = sealer.seal(PacketIndex(index), black_box(&header), parts, &mut out);
        black_box(len.expect("the buffer is large enough"));
    }
    begin.elapsed().as_nanos() as f64 / PACKETS as f64
}
