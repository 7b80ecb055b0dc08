//! The parts of the way from the ring to the send buffer: header, ring lookup, a picture to a crowd.
//!
//! `cargo bench -p heliograph-relay`

#![allow(missing_docs, reason = "the macros make items without")]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use heliograph_media::SeqNo;
use heliograph_relay::{
    RingLimits, TrackRing,
    bench::{Crowd, Patch, picture},
};

const FIRST: SeqNo = SeqNo(1 << 20);

fn patch(criterion: &mut Criterion) {
    let packets = picture(1, FIRST, 9, false);
    let patch = Patch::new();
    criterion.bench_function("header of one packet", |bencher| {
        bencher.iter(|| patch.header(black_box(&packets[3])));
    });
}

/// Two seconds of a 2.6 Mbit/s stream.
fn filled() -> TrackRing {
    let mut ring = TrackRing::new(RingLimits::default());
    let mut next = FIRST;
    for number in 0..60 {
        let packets = if number == 0 { 85 } else { 9 };
        for packet in picture(number, next, packets, number == 0) {
            ring.push(packet);
        }
        next = next + packets as u64;
    }
    ring
}

fn ring(criterion: &mut Criterion) {
    let ring = filled();
    let mut group = criterion.benchmark_group("ring");
    group.bench_function("lookup of one packet, as for a NACK", |bencher| {
        let mut step = 0_u64;
        bencher.iter(|| {
            step = (step + 37) % 600;
            black_box(ring.get(FIRST + step).is_some())
        });
    });
    group.bench_function("the nine packets of a picture, as for a turn", |bencher| {
        bencher.iter(|| {
            ring.packets_from(black_box(FIRST + 590))
                .take(9)
                .map(|packet| packet.payload.len())
                .sum::<usize>()
        });
    });
    group.bench_function("a picture comes in", |bencher| {
        let fresh = picture(60, ring.next(), 9, false);
        bencher.iter_batched(
            || ring.clone(),
            |mut ring| {
                for packet in &fresh {
                    ring.push(packet.clone());
                }
                ring
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn batch(criterion: &mut Criterion) {
    let mut group =
        criterion.benchmark_group("a picture of nine packets to a crowd, sealed into the send buffer");
    for viewers in [50, 200, 500, 1000] {
        let mut crowd = Crowd::new(viewers, false);
        group.throughput(Throughput::Elements(9 * u64::from(viewers)));
        group.bench_function(BenchmarkId::from_parameter(viewers), |bencher| {
            bencher.iter(|| {
                let sealed = crowd.show(9, false);
                assert_eq!(sealed, 9 * u64::from(viewers), "every viewer gets every packet");
            });
        });
    }
    // One picture in thirty tells.
    let mut crowd = Crowd::new(500, true);
    group.throughput(Throughput::Elements(9 * 500));
    group.bench_function("500, with capture times", |bencher| {
        bencher.iter(|| crowd.show(9, false));
    });
    group.finish();
}

criterion_group!(benches, patch, ring, batch);
criterion_main!(benches);
