//! A million datagrams and ten thousand connections of strangers, while a broadcast goes on.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use heliograph_tests::{
    clip::Clip,
    hostile::{Junk, STRANGER, bad_connection, flood},
    publisher::ClipPublisher,
    server::{Server, ServerPlan},
    viewer::ws::WsViewer,
};

use crate::{FRAME_TICKS, turn};

const DATAGRAMS: u64 = 1_000_000;
const CONNECTIONS: u64 = 10_000;
/// Datagrams a second: as many as two processors can send beside everything else.
const PER_SECOND: u64 = 50_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_datagrams_and_ten_thousand_connections_leave_the_broadcast_undisturbed()
-> anyhow::Result<()> {
    let _turn = turn::alone().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    let stream = server.wait_for_state("one", "live", Duration::from_secs(10)).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(60, Duration::from_secs(10)).await?;
    viewer.watch().begin_anew();

    let media = publisher.client().media_addr().port();
    let relay = u16::try_from(stream["port"].as_u64().unwrap())?;
    let egress: u16 = server.ports().viewers().split('-').next().unwrap().parse()?;
    let (video, audio) = (server.channel(0).key.channel_id() + 1, server.channel(0).key.channel_id());
    let kinds = [
        Junk::Random,
        Junk::Truncated,
        Junk::Oversize,
        Junk::Rtp { ssrc: video, payload_type: 96 },
        Junk::Rtp { ssrc: audio, payload_type: 97 },
        Junk::Stun,
        Junk::DtlsFragments,
    ];
    // Somebody who was let in, and then sends pieces of handshakes from the address that was found good.
    let insider = WsViewer::join(&server, "channel=one").await?;
    let mut fragment = Vec::new();
    for round in 0..2 {
        for _ in 0..1000 {
            Junk::DtlsFragments.datagram(&mut rand::rng(), &mut fragment);
            insider.inject(fragment.clone());
        }
        if round == 0 {
            // Whether it gets through the handshake is its own affair.
            let _ = insider.watch().connected().await;
        }
    }

    let begun = Instant::now();
    // A stranger everywhere, and somebody at the publisher's and viewers' own address at the viewers' port.
    let strangers = tokio::task::spawn_blocking(move || {
        flood(STRANGER, &[media, relay, egress], &kinds, DATAGRAMS * 3 / 4, PER_SECOND * 3 / 4)
    });
    let neighbours = tokio::task::spawn_blocking(move || {
        flood(Server::HOST, &[egress], &kinds, DATAGRAMS / 4, PER_SECOND / 4)
    });
    let doors = [server.ports().ftl(), server.ports().web(), server.ports().control()];
    let refused = stream::iter(0..CONNECTIONS)
        .map(|way| {
            let [_, _, _, last] = way.to_be_bytes()[4..].try_into().expect("four bytes");
            let source = IpAddr::V4(Ipv4Addr::new(127, 0, 1, last));
            bad_connection(doors[(way / 12 % 3) as usize], source, way)
        })
        .buffer_unordered(50)
        .filter(|outcome| std::future::ready(outcome.is_err()))
        .count()
        .await;
    strangers.await??;
    neighbours.await??;
    println!(
        "hostile: {DATAGRAMS} datagrams, {CONNECTIONS} connections ({refused} refused) in {:?}",
        begun.elapsed()
    );

    let report = viewer.watch().more(30, Duration::from_secs(10)).await?;
    println!("a viewer meanwhile: longest pause {:?}", report.video.longest_pause);
    report.check_continuous(FRAME_TICKS)?;
    assert_eq!(report.offers, 1);
    assert!(report.video.longest_pause < Duration::from_millis(1500), "{:?}", report.video.longest_pause);

    // The doors are open for honest people.
    let late = WsViewer::join(&server, "channel=one").await?;
    late.watch().more(30, Duration::from_secs(10)).await?.check_complete(FRAME_TICKS)?;
    publisher.finish().await;
    let resident = server.resident_kib()?;
    println!("{resident} KiB resident afterwards");
    assert!(resident < 200 * 1024, "{resident} KiB");
    server.check_health()?;
    server.stop().await
}
