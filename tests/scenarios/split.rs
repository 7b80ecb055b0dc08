//! Ingest and relay as two processes, joined only by the allocation API and loopback RTP.

use std::time::Duration;

use heliograph_tests::{
    clip::Clip, ports::PortBlock, publisher::ClipPublisher, server::ServerPlan, viewer::ws::WsViewer,
};

use crate::{FRAME_TICKS, turn};

const SOON: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ingest_and_relay_apart_broadcast_as_one() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut relay = ServerPlan::new().parts("relay").start().await?;
    let ports = PortBlock::find()?;
    let plan = ServerPlan::new().parts("ingest").flag("--relay-url", relay.control_url(""));
    let mut ingest = plan.start_on(ports).await?;
    let clip = Clip::standard().await?;
    let publisher = ClipPublisher::start(&ingest, 0, &clip).await?;
    relay.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&relay, "channel=one").await?;
    viewer.watch().more(60, SOON).await?.check_complete(FRAME_TICKS)?;

    // An ingest that fell over and is started anew finds the channel's stream again; viewers keep their connection.
    ingest.kill()?;
    publisher.ended().await;
    let plan = ServerPlan::new().parts("ingest").flag("--relay-url", relay.control_url(""));
    let mut ingest = plan.start_on(ports).await?;
    let publisher = ClipPublisher::start(&ingest, 0, &clip).await?;
    let report = viewer.watch().more(60, SOON).await?;
    assert_eq!((report.offers, report.video.ssrcs.len()), (1, 1));
    publisher.finish().await;
    relay.check_health()?;
    ingest.check_health()?;
    ingest.stop().await?;
    relay.stop().await
}
