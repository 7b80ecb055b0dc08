//! Publishers over WHIP: another WebRTC stack than ours sends, the server passes on, viewers of two makes see.

use std::time::{Duration, Instant};

use heliograph_tests::{
    clip::Clip,
    publisher::ClipPublisher,
    server::ServerPlan,
    viewer::{whep::WhepViewer, ws::WsViewer},
    whip::{WhipPlan, WhipPublisher},
};
use tokio::net::UdpSocket;

use crate::{FRAME_TICKS, turn};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_see_and_hear_everything_and_the_end_is_told() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let publisher = WhipPublisher::start(&server, 0, &clip, WhipPlan::default()).await?;
    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    let second = WhepViewer::join(&server, "/whep/one").await?;
    let report = viewer.watch().more(150, Duration::from_secs(15)).await?;
    report.check_complete(FRAME_TICKS)?;
    assert!(report.sender_reports >= 2, "sender reports for both media");
    second.watch().more(30, SOON).await?;
    assert_eq!(publisher.delete().await?, 200);
    viewer.watch().until("away told", SOON, |report| report.state() == Some("away")).await?;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losses_on_the_uplink_are_repaired_or_a_keyframe_is_asked_for() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    for without_rtx in [false, true] {
        let mut server = ServerPlan::new().start().await?;
        let clip = Clip::standard().await?;
        let plan = WhipPlan { lose_every: Some(40), without_rtx };
        let publisher = WhipPublisher::start(&server, 0, &clip, plan).await?;
        server.wait_for_state("one", "live", SOON).await?;
        let viewer = WsViewer::join(&server, "channel=one").await?;
        let report = viewer.watch().more(150, Duration::from_secs(15)).await?;
        let progress = publisher.progress();
        println!("uplink, without a stream for retransmissions: {without_rtx}: {progress:?}");
        assert!(progress.lost > 5);
        if without_rtx {
            // This library sends again only in a stream of its own: what is lost stays lost.
            assert!(progress.keyframes_asked > 0, "a picture lost for good costs a keyframe request");
        } else {
            report.check_complete(FRAME_TICKS)?;
        }
        server.check_health()?;
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_publisher_comes_back_through_any_door_to_the_same_viewers() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let first = WhipPublisher::start(&server, 0, &clip, WhipPlan::default()).await?;
    let before = server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(30, SOON).await?;

    first.kill().await;
    // An encoder tries again and again; after three seconds of silence it is let in.
    let second =
        comes_back(async || WhipPublisher::start(&server, 0, &clip, WhipPlan::default()).await).await?;
    viewer.watch().more(60, SOON).await?;
    assert_eq!(second.delete().await?, 200);
    // The same channel through the other door.
    let third = comes_back(async || Ok(ClipPublisher::start(&server, 0, &clip).await?)).await?;
    let report = viewer.watch().more(60, SOON).await?;
    for track in [&report.video, &report.audio] {
        assert_eq!(track.ssrcs.len(), 1, "one SSRC for life");
        assert_eq!((track.lost(), track.backwards), (0, 0), "no gap in the numbers, no step back in time");
    }
    assert_eq!(report.offers, 1, "the same peer connection");
    let after = server.wait_for_state("one", "live", SOON).await?;
    assert_eq!(before["port"], after["port"], "the channel keeps its port");
    third.finish().await;
    server.check_health()?;
    server.stop().await
}

/// Publishes as soon as the door lets it in: after a kill it does not know yet that nobody is there.
pub(crate) async fn comes_back<T>(mut publish: impl AsyncFnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let deadline = Instant::now() + SOON;
    loop {
        match publish().await {
            Ok(publisher) => return Ok(publisher),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_at_the_media_port_disturb_nobody() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let _publisher =
        WhipPublisher::start_at(&server, "/whip", &server.channel(0).key_text, &clip, WhipPlan::default())
            .await?;
    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(30, SOON).await?;
    let stranger = UdpSocket::bind("127.0.0.1:0").await?;
    for round in 0..2_000_u32 {
        let mut noise = [0; 64];
        for (at, byte) in noise.iter_mut().enumerate() {
            *byte = (round as usize * 31 + at * 7) as u8;
        }
        // STUN, DTLS and RTP by their first bytes, and none of them.
        noise[0] = [0, 22, 128, 255][round as usize % 4];
        if round % 4 == 0 {
            noise[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        }
        stranger.send_to(&noise, (std::net::Ipv4Addr::LOCALHOST, server.ports().whip())).await?;
    }
    let mut buffer = [0; 64];
    let answered = tokio::time::timeout(Duration::from_millis(300), stranger.recv(&mut buffer)).await;
    assert!(answered.is_err(), "strangers get no answer");
    let report = viewer.watch().more(60, SOON).await?;
    assert_eq!((report.video.lost(), report.audio.lost()), (0, 0));
    server.check_health()?;
    server.stop().await
}
