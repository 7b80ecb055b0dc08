//! Publishers with B-frames whose pictures are encoded anew.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use heliograph_tests::{
    ffmpeg::{AAC, Ffmpeg},
    foreign::Foreign,
    server::{Server, ServerPlan},
    viewer::ws::WsViewer,
};

use crate::turn;

const SOON: Duration = Duration::from_secs(20);
/// 25 pictures a second.
const FRAME_TICKS: u64 = 3600;
/// Two B-frames between any two others.
const B_FRAMES: &str = "-c:v libx264 -preset ultrafast -bf 2 -b_strategy 0 -g 50 -b:v 1500k -pix_fmt yuv420p";

fn publish(server: &Server, door: &str, key: &str, video: &str) -> anyhow::Result<Foreign> {
    match door {
        "rtmp" => Ffmpeg::rtmp(&format!("rtmp://127.0.0.1:{}/live/{key}", server.ports().rtmp()), video, AAC),
        _ => Ffmpeg::srt(&format!("srt://127.0.0.1:{}?streamid={key}", server.ports().srt()), video, AAC),
    }
}

/// Processes that this server has started and that are there still.
fn children(server: u32) -> Vec<u32> {
    let parent = |process: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // Behind the name, which may hold anything: the state, then the parent.
        let mut behind = stat.rsplit_once(')')?.1.split_whitespace();
        (behind.next()? != "Z").then_some(())?;
        behind.next()?.parse().ok()
    };
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|&id| parent(id) == Some(server)).collect()
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) -> anyhow::Result<()> {
    let began = Instant::now();
    while !is_so() {
        ensure!(began.elapsed() < SOON, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b_frames_are_taken_out_and_sound_stays_in_step() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().flag("--b-frames", "reencode").start().await?;
    let key = server.channel(0).key_text.clone();
    for door in ["rtmp", "srt"] {
        let publisher = publish(&server, door, &key, B_FRAMES)?;
        server.wait_for_state("one", "live", SOON).await?;
        let viewer = WsViewer::join(&server, "channel=one").await?;
        // Until ffmpeg has started, viewers see the last of the publisher before.
        assert_eq!(viewer.watch().more(60, SOON).await?.video.b_slices, 0, "{door}: B-slices");
        viewer.watch().begin_anew();
        let report = viewer.watch().more(75, SOON).await?;
        report.check_continuous(FRAME_TICKS)?;
        report.check_sound()?;
        assert_eq!(report.video.b_slices, 0, "{door}: B-slices");
        assert_eq!(report.video.span() % FRAME_TICKS, 0, "{door}: times are as they were");
        let late = |track: Option<f64>| track.context("sender reports");
        let (picture, sound) = (late(report.video.lateness())?, late(report.audio.lateness())?);
        println!(
            "{door}, re-encoded: sound {:.0} ms after its picture (goal 60 either way)",
            (sound - picture) * 1e3
        );
        assert!((sound - picture).abs() < 0.3, "sound {sound} s, pictures {picture} s");
        assert_eq!(children(server.pid()).len(), 1, "one ffmpeg");
        publisher.finish().await?;
        server.wait_for_state("one", "away", SOON).await?;
        until("the end of ffmpeg", || children(server.pid()).is_empty()).await?;
    }
    // Nothing is done to what needs nothing.
    let publisher = publish(&server, "rtmp", &key, heliograph_tests::ffmpeg::X264)?;
    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(50, SOON).await?;
    viewer.watch().begin_anew();
    viewer.watch().more(25, SOON).await?.check_continuous(FRAME_TICKS)?;
    assert_eq!(children(server.pid()), [0; 0]);
    publisher.finish().await?;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_are_let_through_when_nothing_can_encode_them() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let plan = ServerPlan::new().channels(&["one", "two"]);
    let mut server = plan.flag("--b-frames", "reencode").flag("--reencode-max", 1).start().await?;
    let keys = [0, 1].map(|index| server.channel(index).key_text.clone());
    let first = publish(&server, "rtmp", &keys[0], B_FRAMES)?;
    until("re-encoding", || children(server.pid()).len() == 1 && server.log().contains("encoded anew"))
        .await?;
    server.wait_for_state("one", "live", SOON).await?;
    // One more than may.
    let second = publish(&server, "srt", &keys[1], B_FRAMES)?;
    until("the limit", || server.log().contains("which is the limit")).await?;
    let passed = WsViewer::join(&server, "channel=two").await?;
    let report = passed.watch().more(25, SOON).await?;
    assert!(report.video.b_slices > 0 && report.video.lost() == 0);
    // ffmpeg dies: its stream goes on with the publisher's own pictures.
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(25, SOON).await?;
    let ffmpeg = children(server.pid());
    let killed = std::process::Command::new("kill").args(["-KILL", &ffmpeg[0].to_string()]).status()?;
    ensure!(killed.success() && ffmpeg.len() == 1, "kill");
    until("a word about it", || server.log().contains("ffmpeg ended")).await?;
    viewer.watch().begin_anew();
    let report = viewer.watch().more(50, SOON).await?;
    assert!(report.video.b_slices > 0, "no B-slice");
    assert_eq!((report.video.ssrcs.len(), report.video.lost()), (1, 0));
    let warned = |streams: &[serde_json::Value]| streams[0]["warnings"].to_string().contains("b_frames");
    assert!(warned(&server.streams().await?));
    second.finish().await?;
    first.finish().await?;
    server.check_health()?;
    // It does not outlive the server, either.
    let last = publish(&server, "rtmp", &keys[0], B_FRAMES)?;
    until("re-encoding", || children(server.pid()).len() == 1).await?;
    let ffmpeg = children(server.pid())[0];
    server.kill()?;
    until("the end of ffmpeg", || !std::path::Path::new(&format!("/proc/{ffmpeg}")).exists()).await?;
    drop(last);
    Ok(())
}
