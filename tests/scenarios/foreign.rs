//! Publishers that nobody here has written, beside ffmpeg: OBS Studio and GStreamer over RTMP and SRT, aiortc over
//! WHIP, FFmpeg 8 over WHIP and Enhanced RTMP, ffmpeg over plain RTP.

use std::time::Duration;

use anyhow::{Context, ensure};
use heliograph_tests::{
    aiortc,
    ffmpeg::Ffmpeg,
    foreign::Foreign,
    gstreamer::{AVENC_AAC, GStreamer, OPENH264, OPUS, VOAACENC, X264},
    obs::{Obs, Output, Screen},
    ports::PortBlock,
    pyav,
    server::{Server, ServerPlan},
    viewer::{ViewerReport, whep::WhepViewer, ws::WsViewer},
    wait::until,
};

use crate::{srt::is_decoded, turn};

const SOON: Duration = Duration::from_secs(15);
/// 25 pictures a second.
const FRAME_TICKS: u64 = 3600;

/// What can be said of the times in a stream.
#[derive(Clone, Copy, PartialEq)]
enum Times {
    /// As they were in the source.
    Exact,
    /// GStreamer's `flvmux` moves them when a busy machine makes one track late for the other.
    Moved,
}

/// Pictures and sound reach a viewer.
async fn is_watched(server: &Server, times: Times, publisher: Foreign) -> anyhow::Result<()> {
    let (viewer, publisher) = watched(server, times, publisher).await?;
    publisher.finish().await?;
    viewer.leave();
    server.wait_for_state("one", "away", SOON).await?;
    Ok(())
}

async fn watched(server: &Server, times: Times, publisher: Foreign) -> anyhow::Result<(WsViewer, Foreign)> {
    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(server, "channel=one").await?;
    let report = viewer.watch().more(50, SOON).await?;
    report.check_complete(if times == Times::Exact { FRAME_TICKS } else { u64::MAX })?;
    if times == Times::Exact {
        report.check_sound()?;
    }
    Ok((viewer, publisher))
}

/// Across publishers: one peer connection, one SSRC for each track, nothing lost and no step back in time.
pub(crate) fn went_on(report: &ViewerReport) -> anyhow::Result<()> {
    ensure!(report.offers == 1, "the same peer connection");
    for (name, track) in [("pictures", &report.video), ("sound", &report.audio)] {
        let figures = (track.ssrcs.len(), track.lost(), track.backwards);
        ensure!(figures == (1, 0, 0), "{name}: SSRCs, lost, steps back: {figures:?}");
    }
    Ok(())
}

/// The same for viewers of two makes; killed and started again at once, it goes on for them.
async fn is_watched_killed_and_back(
    server: &Server,
    times: Times,
    publish: impl Fn() -> anyhow::Result<Foreign>,
) -> anyhow::Result<()> {
    let (viewer, publisher) = watched(server, times, publish()?).await?;
    let second = WhepViewer::join(server, "/whep/one").await?;
    second.watch().more(25, SOON).await?;
    publisher.kill().await?;
    let publisher = publish()?;
    let report = viewer.watch().more(50, SOON).await?;
    went_on(&report)?;
    publisher.finish().await?;
    server.wait_for_state("one", "away", SOON).await?;
    Ok(())
}

fn srt(server: &Server, key: &str, video: &str, audio: &str) -> anyhow::Result<Foreign> {
    let url = format!("srt://127.0.0.1:{}", server.ports().srt());
    GStreamer::srt(&url, &format!("streamid={key} latency=120"), video, audio)
}

fn rtmp(server: &Server, key: &str, video: &str, audio: &str) -> anyhow::Result<Foreign> {
    GStreamer::rtmp(&format!("rtmp://127.0.0.1:{}/live/{key}", server.ports().rtmp()), video, audio)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gstreamer_over_srt() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let key = server.channel(0).key_text.clone();
    is_watched_killed_and_back(&server, Times::Exact, || srt(&server, &key, X264, AVENC_AAC)).await?;
    for (video, audio) in [(OPENH264, VOAACENC), (X264, OPUS)] {
        println!("srt: {video}, {audio}");
        is_watched(&server, Times::Exact, srt(&server, &key, video, audio)?).await?;
    }
    let said = srt(&server, "1000-wrong", X264, AVENC_AAC)?.gives_up(SOON).await?;
    // It does not show why, so the log has to.
    ensure!(said.contains("SRT socket"), "{said}");
    ensure!(server.log().contains("publisher refused"), "{}", server.log());
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gstreamer_over_rtmp() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let key = server.channel(0).key_text.clone();
    is_watched_killed_and_back(&server, Times::Moved, || rtmp(&server, &key, X264, AVENC_AAC)).await?;
    is_watched(&server, Times::Moved, rtmp(&server, &key, OPENH264, VOAACENC)?).await?;
    let said = rtmp(&server, "1000-wrong", X264, AVENC_AAC)?.gives_up(SOON).await?;
    ensure!(said.contains("wrong stream key or channel"), "{said}");
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aiortc_over_whip() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let (url, key) = (server.url("/whip/one"), server.channel(0).key_text.clone());
    is_watched_killed_and_back(&server, Times::Exact, || aiortc::publish(&url, &key, "h264")).await?;
    let said = aiortc::publish(&url, "1000-wrong", "h264")?.gives_up(SOON).await?;
    ensure!(said.contains("401") && said.contains("the stream key is not right"), "{said}");
    server.check_health()?;
    server.stop().await
}

/// The command in the document, on another port and with less to encode.
fn plain_rtp(port: u16) -> anyhow::Result<Foreign> {
    let command = include_str!("../../docs/publishing.md")
        .split("```sh\n")
        .filter_map(|rest| rest.split("```").next())
        .find(|block| block.contains("-f rtp"))
        .context("the document has no such command")?
        .replace("\\\n", " ")
        .replace('\'', "")
        .replace("65535", &port.to_string())
        .replace("1280x720:rate=30", "640x360:rate=25");
    let (words, last) = command.trim().rsplit_once(' ').context("a command")?;
    Ffmpeg::start(words.trim_start_matches("ffmpeg"), last)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_over_plain_rtp() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let ports = PortBlock::find()?;
    let port = ports.permanent();
    let mut server = ServerPlan::new().flag("--rtp-port", port).start_on(ports).await?;
    let publisher = plain_rtp(port)?;
    let (viewer, second) =
        (WsViewer::join(&server, "").await?, WhepViewer::join(&server, &format!("/whep?port={port}")).await?);
    let report = viewer.watch().more(50, SOON).await?;
    report.check_complete(FRAME_TICKS)?;
    report.check_sound()?;
    second.watch().more(25, SOON).await?;
    publisher.kill().await?;
    until("the stream to be away", SOON, async || {
        (viewer.watch().now().state() == Some("away")).then_some(())
    })
    .await?;
    let publisher = plain_rtp(port)?;
    let report = viewer.watch().more(50, SOON).await?;
    went_on(&report)?;
    publisher.finish().await?;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn obs_over_rtmp_and_srt() -> anyhow::Result<()> {
    let _turn = turn::alone().await;
    let mut server = ServerPlan::new().start().await?;
    let screen = Screen::start().await?;
    let key = server.channel(0).key_text.clone();
    let rtmp = format!("rtmp://127.0.0.1:{}/live", server.ports().rtmp());
    // A wrong key is told to whoever presses the button, and OBS does not try again.
    let mistaken = Obs::start(&screen, &rtmp, "1000-wrong", Output::AsItComes)?;
    let told = async || mistaken.log().contains("wrong stream key or channel").then_some(());
    until("OBS to say that the key is wrong", SOON, told).await?;
    drop(mistaken);

    // As it comes, with B-frames: watched, not smooth, and its streamer is told what to set. Killed, it keeps its viewers.
    let obs = Obs::start(&screen, &rtmp, &key, Output::AsItComes)?;
    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(50, SOON).await?;
    let warnings = server.wait_for_state("one", "live", SOON).await?["warnings"].to_string();
    ensure!(warnings.contains("b_frames"), "{warnings}");
    obs.kill().await?;

    // As the documents say, and over the other door.
    let srt = format!("srt://127.0.0.1:{}?streamid={key}", server.ports().srt());
    for (url, key) in [(&*rtmp, &*key), (&*srt, "")] {
        let obs = Obs::start(&screen, url, key, Output::AsDocumented)?;
        let report = viewer.watch().more(50, SOON).await?;
        for (name, track) in [("pictures", &report.video), ("sound", &report.audio)] {
            ensure!(track.ssrcs.len() == 1 && track.lost() == 0, "{url}: {name}: {} lost", track.lost());
        }
        let second = WsViewer::join(&server, "channel=one").await?;
        let report = second.watch().more(30, SOON).await?;
        // OBS leaves pictures out where its machine is too slow.
        report.check_continuous(u64::MAX)?;
        report.check_sound()?;
        obs.stop()?;
        server.wait_for_state("one", "away", SOON).await?;
    }
    ensure!(viewer.watch().now().offers == 1, "the same peer connection");
    ensure!(!server.log().contains("secretOf"), "the stream key is in the log");
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_8_over_whip() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let (url, key) = (server.url("/whip/one"), server.channel(0).key_text.clone());
    let publish =
        |key: &str| pyav::publish("whip", &url, "libx264", "libopus", &[&format!("authorization={key}")]);
    // It insists on being the passive side of DTLS, so the server is the active one.
    is_watched_killed_and_back(&server, Times::Exact, || publish(&key)).await?;
    let said = publish("1000-wrong")?.gives_up(SOON).await?;
    ensure!(said.contains("401 Unauthorized"), "{said}");
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_8_over_enhanced_rtmp() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let url = format!("rtmp://127.0.0.1:{}/live/{}", server.ports().rtmp(), server.channel(0).key_text);
    let publisher = pyav::publish("flv", &url, "libx265", "aac", &[])?;
    let live = async || {
        let streams = server.streams().await.ok()?;
        streams.iter().any(|stream| stream["tracks"].to_string().contains("h265")).then_some(())
    };
    until("H.265 to be live", SOON, live).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(10, SOON).await?;
    viewer.watch().keep();
    let report = viewer.watch().more(60, SOON).await?;
    report.check_continuous(FRAME_TICKS)?;
    report.check_sound()?;
    is_decoded(&report.video.kept.unwrap_or_default())?;
    publisher.finish().await?;
    server.wait_for_state("one", "away", SOON).await?;
    server.check_health()?;
    server.stop().await
}
