//! How soon the first picture is there, wherever in the keyframe interval one joins.

use std::time::Duration;

use heliograph_tests::{
    clip::{Clip, ClipPlan},
    publisher::ClipPublisher,
    server::ServerPlan,
    viewer::ws::WsViewer,
};

use crate::{FRAME_TICKS, turn};

/// A picture a second after one joined is no join at once; the browser tests measure the real figures.
const NONSENSE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_at_10_50_and_95_percent_of_an_interval() -> anyhow::Result<()> {
    let _turn = turn::alone().await;
    println!("interval  join at  first picture");
    for plan in [ClipPlan::default(), ClipPlan { keyint: 249, intervals: 1, ..ClipPlan::default() }] {
        let clip = Clip::make(plan)?.into();
        let mut server = ServerPlan::new().start().await?;
        let publisher = ClipPublisher::start(&server, 0, &clip).await?;
        server.wait_for_state("one", "live", Duration::from_secs(10)).await?;
        let mut viewers = Vec::new();
        for share in [0.1, 0.5, 0.95] {
            publisher.phase(share).await;
            let viewer = WsViewer::join(&server, "channel=one").await?;
            let report =
                viewer.watch().until("a picture", NONSENSE * 5, |report| report.video.frames > 0).await?;
            let first = report.first_picture().unwrap();
            println!(
                "{:>6.1} s  {:>5.0} %  {:>10} ms",
                clip.keyframe_interval().as_secs_f32(),
                share * 100.0,
                first.as_millis()
            );
            assert!(first < NONSENSE, "{first:?} at {share}");
            viewers.push(viewer);
        }
        for viewer in &viewers {
            let report = viewer.watch().more(60, Duration::from_secs(10)).await?;
            report.check_complete(FRAME_TICKS)?;
        }
        publisher.finish().await;
        server.check_health()?;
        server.stop().await?;
    }
    Ok(())
}
