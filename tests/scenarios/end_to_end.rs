//! A publisher, the server, a viewer: three implementations, nothing lost.

use std::time::Duration;

use heliograph_tests::{
    clip::Clip,
    publisher::ClipPublisher,
    server::ServerPlan,
    viewer::{whep::WhepViewer, ws::WsViewer},
};

use crate::{FRAME_TICKS, turn};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_viewer_on_channel_and_port_sees_and_hears_everything() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    let stream = server.wait_for_state("one", "live", SOON).await?;
    let by_channel = WsViewer::join(&server, "channel=one").await?;
    let by_port = WsViewer::join(&server, &format!("port={}", stream["port"])).await?;
    for viewer in [&by_channel, &by_port] {
        let report = viewer.watch().more(150, Duration::from_secs(15)).await?;
        report.check_complete(FRAME_TICKS)?;
        assert!(report.sender_reports >= 2, "sender reports for both media");
        assert_eq!(report.offers, 1);
        // A second after the first one at the latest: the publisher has been pinged by then, so that the way is known.
        for track in [&report.video, &report.audio] {
            let (told, ago) = track.captures;
            assert!(told > 0, "nobody says when it was captured");
            println!("captured {ago:.4} s ago");
            assert!((-0.2..5.0).contains(&ago), "captured {ago:.3} s ago");
        }
        assert_eq!(report.events[0].0, "state", "the page can say what happens before media comes");
    }
    by_port.watch().until("both counted", SOON, |report| report.viewers() == Some(2)).await?;
    by_channel.leave();
    by_port.watch().until("one counted", SOON, |report| report.viewers() == Some(1)).await?;
    assert_eq!(publisher.finish().await.nacked, 0, "nothing was asked again on loopback");
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whep_viewer_on_channel_and_port_sees_and_hears_everything() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    let stream = server.wait_for_state("one", "live", SOON).await?;
    let by_channel = WhepViewer::join(&server, "/whep/one").await?;
    let by_port = WhepViewer::join(&server, &format!("/whep?port={}", stream["port"])).await?;
    for viewer in [&by_channel, &by_port] {
        // This library drops packets of the first burst, before its tracks are set up and when its queue is full.
        viewer.watch().more(30, SOON).await?;
        viewer.watch().begin_anew();
        let report = viewer.watch().more(90, Duration::from_secs(15)).await?;
        report.check_continuous(FRAME_TICKS)?;
        assert!(viewer.headers.contains_key("etag"), "ETag for trickling: {:?}", viewer.headers);
    }
    server.wait_for_viewers("one", 2, SOON).await?;
    assert_eq!(by_channel.delete().await?, 200, "the session can be ended");
    server.wait_for_viewers("one", 1, SOON).await?;
    publisher.finish().await;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losses_on_the_uplink_are_repaired_before_anybody_sees_them() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let mut settings = server.channel(0).client_settings();
    settings.media.lose_every = Some(40);
    let publisher = ClipPublisher::start_with(server.ports().ftl(), settings, &clip).await?;
    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    let report = viewer.watch().more(150, Duration::from_secs(15)).await?;
    let stats = publisher.client().stats();
    println!("uplink: {stats:?}");
    assert!(stats.withheld > 5 && stats.resent > 0, "the server asks again");
    report.check_complete(FRAME_TICKS)?;
    publisher.finish().await;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_who_came_before_the_publisher_gets_the_offer_when_there_is_something_to_see()
-> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().until("offline told", SOON, |report| report.state() == Some("offline")).await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    let report = viewer.watch().more(60, Duration::from_secs(15)).await?;
    report.check_complete(FRAME_TICKS)?;
    assert_eq!(report.state(), Some("live"));
    publisher.finish().await;
    server.check_health()?;
    server.stop().await
}
