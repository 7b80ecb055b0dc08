//! Viewers that leave, vanish, or move.

use std::time::{Duration, Instant};

use heliograph_tests::{
    clip::Clip,
    publisher::ClipPublisher,
    server::ServerPlan,
    viewer::{whep::WhepViewer, ws::WsViewer},
};

use crate::{FRAME_TICKS, turn};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_killed_without_a_word_disappears_and_disturbs_nobody() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    server.wait_for_state("one", "live", SOON).await?;
    let witness = WsViewer::join(&server, "channel=one").await?;
    let victim = WsViewer::join(&server, "channel=one").await?;
    victim.watch().more(30, SOON).await?;
    witness.watch().until("both counted", SOON, |report| report.viewers() == Some(2)).await?;
    witness.watch().begin_anew();

    victim.freeze();
    let frozen = Instant::now();
    let limit = Duration::from_secs(45);
    let report = witness.watch().until("one counted", limit, |report| report.viewers() == Some(1)).await?;
    let gone = frozen.elapsed();
    println!("a silent viewer disappeared after {:.1} s", gone.as_secs_f32());
    assert!(gone > Duration::from_secs(20), "not while consent may still come: {gone:?}");
    report.check_continuous(FRAME_TICKS)?;
    assert!(report.video.longest_pause < Duration::from_secs(1), "{:?}", report.video.longest_pause);
    publisher.finish().await;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_closes_its_peer_connection_only_disappears_within_seconds() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WhepViewer::join(&server, "/whep/one").await?;
    viewer.watch().more(30, SOON).await?;
    viewer.close().await?;
    // The DTLS alert shortens the wait for consent from 30 s to 8 s.
    server.wait_for_viewers("one", 0, Duration::from_secs(20)).await?;
    publisher.finish().await;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_whose_network_changes_goes_on() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(30, SOON).await?;
    viewer.roam();
    // What was sent to the old port meanwhile is lost; the next check from the new one brings the stream there.
    let report = viewer.watch().more(150, Duration::from_secs(20)).await?;
    assert_eq!(report.offers, 1);
    assert_eq!(report.video.ssrcs.len(), 1);
    println!("roaming: {} packets lost, longest pause {:?}", report.video.lost(), report.video.longest_pause);
    publisher.finish().await;
    server.check_health()?;
    server.stop().await
}
