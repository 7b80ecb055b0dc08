//! What sealing one 1200-byte RTP packet costs, for each profile, live and as RTX.
//!
//! `cargo bench -p heliograph-edge`

#![allow(missing_docs, reason = "the macros make items without")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use heliograph_edge::srtp::{MasterKey, PacketIndex, Profile, RtpSealer};

const PAYLOAD: usize = 1180;
const HEADER: [u8; 20] =
    [0x90, 102, 0, 0, 0, 0, 0, 0, 0xca, 0xfe, 0xba, 0xbe, 0xbe, 0xde, 0, 1, 0x22, 0, 0, 50];

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal");
    group.throughput(Throughput::Bytes((HEADER.len() + PAYLOAD) as u64));
    let payload = vec![0x5a; PAYLOAD];
    let mut out = vec![0; 1300];
    for profile in Profile::ALL {
        let (key, salt) = (vec![7; profile.key_len()], vec![9; profile.salt_len()]);
        let master = MasterKey::new(profile, &key, &salt).expect("lengths come from the profile");
        let sealer = RtpSealer::new(&master).expect("a valid key");
        for (kind, original) in [("live", &[][..]), ("rtx", &[1, 2][..])] {
            let mut index = 0_u64;
            group.bench_function(BenchmarkId::new(profile.to_string(), kind), |bencher| {
                bencher.iter(|| {
                    let mut header = HEADER;
                    header[2..4].copy_from_slice(&(index as u16).to_be_bytes());
                    let parts = [original, &payload[..]];
                    let len = sealer.seal(PacketIndex(index), black_box(&header), parts, &mut out);
                    index += 1;
                    black_box(len.expect("the buffer is large enough"))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, seal);
criterion_main!(benches);
