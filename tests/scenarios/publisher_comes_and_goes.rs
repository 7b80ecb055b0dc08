//! A publisher killed, restarted, taken over: viewers keep their peer connections, and the picture goes on.

use std::time::Duration;

use heliograph_ingest::ftl::client::ClientError;
use heliograph_tests::{
    clip::Clip,
    publisher::ClipPublisher,
    server::{Server, ServerPlan},
    viewer::{ViewerReport, whep::WhepViewer, ws::WsViewer},
};

use crate::turn;

const SOON: Duration = Duration::from_secs(10);
const RESUME: Duration = Duration::from_secs(20);

/// What must hold for a viewer across any change of publisher.
fn check_one_connection(report: &ViewerReport) {
    for track in [&report.video, &report.audio] {
        assert_eq!(track.ssrcs.len(), 1, "one SSRC for life");
        assert_eq!((track.lost(), track.backwards), (0, 0), "no gap in the numbers, no step back in time");
    }
    assert!(report.closed.is_none(), "{:?}", report.closed);
}

/// Two viewers of different making, who have seen a few pictures.
async fn audience(server: &Server) -> anyhow::Result<(WsViewer, WhepViewer)> {
    let first = WsViewer::join(server, "channel=one").await?;
    let second = WhepViewer::join(server, "/whep/one").await?;
    first.watch().more(30, SOON).await?;
    second.watch().more(30, SOON).await?;
    // This library drops packets of the first burst when its queue is full.
    second.watch().begin_anew();
    Ok((first, second))
}

async fn check_pictures_go_on((first, second): &(WsViewer, WhepViewer)) -> anyhow::Result<()> {
    let report = first.watch().more(60, RESUME).await?;
    assert_eq!(report.offers, 1, "the same peer connection");
    check_one_connection(&report);
    check_one_connection(&second.watch().more(60, RESUME).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_publisher_comes_back_to_the_same_viewers() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    let before = server.wait_for_state("one", "live", SOON).await?;
    let audience = audience(&server).await?;

    publisher.kill().await;
    audience.0.watch().until("away told", SOON, |report| report.state() == Some("away")).await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    check_pictures_go_on(&audience).await?;
    let after = server.wait_for_state("one", "live", SOON).await?;
    assert_eq!(before["port"], after["port"], "the channel keeps its port");
    audience.0.watch().until("live told", SOON, |report| report.state() == Some("live")).await?;
    publisher.finish().await;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_restarts_at_once_keeps_its_viewers() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let mut publisher = ClipPublisher::start(&server, 0, &clip).await?;
    server.wait_for_state("one", "live", SOON).await?;
    let audience = audience(&server).await?;
    for _ in 0..3 {
        publisher.finish().await;
        publisher = ClipPublisher::start(&server, 0, &clip).await?;
        check_pictures_go_on(&audience).await?;
    }
    publisher.finish().await;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_whose_cable_was_pulled_is_taken_over_after_three_seconds() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let old = ClipPublisher::start(&server, 0, &clip).await?;
    server.wait_for_state("one", "live", SOON).await?;
    let audience = audience(&server).await?;

    // While the old one lives, a second one is refused, and nobody is disturbed.
    let refused = ClipPublisher::start(&server, 0, &clip).await.unwrap_err();
    assert!(matches!(&refused, ClientError::Refused(refusal) if refusal.code == 406), "{refused}");
    check_pictures_go_on(&audience).await?;

    old.client().go_silent().await?;
    let new = heliograph_tests::wait::until("the take-over", SOON, async || {
        ClipPublisher::start(&server, 0, &clip).await.ok()
    })
    .await?;
    check_pictures_go_on(&audience).await?;
    let end = old.ended().await;
    assert!(matches!(&*end, ClientError::Ended(_)), "a numbered line comes before the close: {end}");
    new.finish().await;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_publisher_is_taken_over_when_the_settings_allow_it() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().flag("--take-over", "true").start().await?;
    let clip = Clip::standard().await?;
    let old = ClipPublisher::start(&server, 0, &clip).await?;
    server.wait_for_state("one", "live", SOON).await?;
    let audience = audience(&server).await?;
    let new = ClipPublisher::start(&server, 0, &clip).await?;
    let end = old.ended().await;
    assert!(matches!(&*end, ClientError::Ended(_)), "{end}");
    check_pictures_go_on(&audience).await?;
    // OBS reconnects even after a code: the ousted one must not oust in turn.
    let again = ClipPublisher::start(&server, 0, &clip).await.unwrap_err();
    assert!(matches!(&again, ClientError::Refused(refusal) if refusal.code == 406), "{again}");
    check_pictures_go_on(&audience).await?;
    new.finish().await;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_shuts_down_tells_everybody_why() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    server.wait_for_state("one", "live", SOON).await?;
    let (viewer, _whep) = audience(&server).await?;
    server.stop().await?;
    let end = publisher.ended().await;
    assert!(matches!(&*end, ClientError::Ended(refusal) if refusal.code == 410), "{end}");
    let report = viewer.watch().until("a reason", SOON, |report| report.closed.is_some()).await?;
    assert!(report.events.iter().any(|(name, _)| name == "close"), "{:?}", report.events);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_are_let_go_with_a_reason_when_nobody_comes_back() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().flag("--publisher-grace-s", 1).start().await?;
    let clip = Clip::standard().await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    let stream = server.wait_for_state("one", "live", SOON).await?;
    let by_channel = WsViewer::join(&server, "channel=one").await?;
    let by_port = WsViewer::join(&server, &format!("port={}", stream["port"])).await?;
    by_channel.watch().more(30, SOON).await?;
    by_port.watch().more(30, SOON).await?;
    publisher.kill().await;
    // A channel may come back: its viewer stays on the line. A port is gone for good.
    by_channel.watch().until("offline told", RESUME, |report| report.state() == Some("offline")).await?;
    let report = by_port.watch().until("the end", RESUME, |report| report.closed.is_some()).await?;
    assert!(report.events.iter().any(|(name, _)| name == "close"), "{:?}", report.events);
    server.wait_until_gone("one", SOON).await?;
    // And when the channel does come back, its viewer gets a fresh offer on the same socket.
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    let report = by_channel.watch().until("a second offer", RESUME, |report| report.offers == 2).await?;
    assert!(report.closed.is_none());
    by_channel.watch().more(30, SOON).await?;
    publisher.finish().await;
    server.check_health()?;
    server.stop().await
}
