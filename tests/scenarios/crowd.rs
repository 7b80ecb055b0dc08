//! Eight publishers and fifty viewers at once, on however many processors there are.

use std::time::{Duration, Instant};

use futures_util::future;
use heliograph_tests::{
    clip::Clip,
    publisher::ClipPublisher,
    server::ServerPlan,
    viewer::{ViewerReport, ws::WsViewer},
};

use crate::{FRAME_TICKS, turn};

const CHANNELS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
const VIEWERS: usize = 50;
const LATE: Duration = Duration::from_secs(10);
/// Pictures each viewer has to get: five seconds.
const PICTURES: u64 = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_publishers_and_fifty_viewers_without_loss() -> anyhow::Result<()> {
    let _turn = turn::alone().await;
    let mut server = ServerPlan::new().channels(&CHANNELS).workers(2).start().await?;
    let idle = server.resident_kib()?;
    let clip = Clip::standard().await?;
    // The first viewer of each channel waits for its publisher, and so sees it from the very first picture on.
    let mut viewers = Vec::new();
    for (index, channel) in CHANNELS.iter().enumerate() {
        viewers.push((index, WsViewer::join(&server, &format!("channel={channel}")).await?));
    }
    let mut publishers = Vec::new();
    for index in 0..CHANNELS.len() {
        publishers.push(ClipPublisher::start(&server, index, &clip).await?);
    }
    for channel in CHANNELS {
        server.wait_for_state(channel, "live", Duration::from_secs(10)).await?;
    }
    for index in CHANNELS.len()..VIEWERS {
        let channel = index % CHANNELS.len();
        viewers.push((channel, WsViewer::join(&server, &format!("channel={}", CHANNELS[channel])).await?));
    }
    for (_, viewer) in &viewers {
        viewer.watch().connected().await?;
    }
    let (begun, used) = (Instant::now(), server.processor_time()?);
    let packets = || {
        viewers
            .iter()
            .map(|(_, viewer)| viewer.watch().now())
            .map(|report| report.video.packets + report.audio.packets)
    };
    let before: u64 = packets().sum();
    let limit = Duration::from_secs(30);
    future::try_join_all(viewers.iter().map(|(_, viewer)| viewer.watch().more(PICTURES, limit))).await?;
    let delivered = packets().sum::<u64>() - before;
    let (took, used) = (begun.elapsed(), server.processor_time()? - used);

    // Every publisher stops at a known picture: the first viewer has every single one, and all the others of the
    // channel end on the same one, with none missing in between.
    let mut published = Vec::new();
    for publisher in &publishers {
        published.push(publisher.stop_media_after(5).await);
    }
    let mut last_pictures = Vec::new();
    for (channel, viewer) in &viewers {
        let report = if last_pictures.len() < CHANNELS.len() {
            let all = published[*channel];
            let report =
                viewer.watch().until("every picture", LATE, |report| report.video.frames >= all).await?;
            assert_eq!(report.video.frames, all, "channel {channel}");
            last_pictures.push(report.video.timestamps.unwrap().1);
            report
        } else {
            let last = last_pictures[*channel];
            let begun = |(_, newest): (u64, u64)| newest >= last;
            // A picture counts when its last packet is there.
            let whole = |report: &ViewerReport| report.video.ends_a_picture && report.video.lost() == 0;
            viewer
                .watch()
                .until("the last picture", LATE, |report| {
                    report.video.timestamps.is_some_and(begun) && whole(report)
                })
                .await?
        };
        report.check_complete(FRAME_TICKS)?;
        // The pictures of a replay lie closer together than those of the clip.
        let least = report.video.span() / FRAME_TICKS;
        assert!(
            report.video.frames > least,
            "channel {channel}: {} of {least} pictures",
            report.video.frames
        );
    }
    let stats: Vec<_> = future::join_all(publishers.into_iter().map(ClipPublisher::finish)).await;
    assert!(stats.iter().all(|stats| stats.nacked == 0), "uplink: {stats:?}");
    println!(
        "{VIEWERS} viewers of {} channels: {delivered} packets in {:.1} s, server {:.0} % of one processor, {:.2} us a \
         packet, {} KiB resident ({idle} idle)",
        CHANNELS.len(),
        took.as_secs_f64(),
        100.0 * used.as_secs_f64() / took.as_secs_f64(),
        used.as_secs_f64() * 1e6 / delivered as f64,
        server.resident_kib()?,
    );
    server.check_health()?;
    server.stop().await
}
