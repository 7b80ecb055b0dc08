//! Several video tracks over Enhanced RTMP, from FFmpeg 8: layers of one picture, as a simulcast over WHIP has them.

use std::time::Duration;

use anyhow::ensure;
use heliograph_tests::{
    pyav,
    server::ServerPlan,
    viewer::{ViewerReport, whep::WhepViewer, ws::WsViewer},
    wait::until,
};
use serde_json::{Value, json};

use crate::{foreign::went_on, turn};

const SOON: Duration = Duration::from_secs(20);
/// The largest one is not the first one, and the fourth is in another codec.
const TRACKS: &str = "libx264@320x180,libx264@640x360,libx264@160x90,libx265@160x90";
/// 25 pictures a second.
const FRAME_TICKS: u64 = 3600;
/// A viewer that changes layers goes on with the old one until the new one has a keyframe: it sees no pause worth
/// mentioning. Far above what a busy machine makes of that.
const NONSENSE: Duration = Duration::from_secs(3);

/// What OBS asks, and what it goes by: nothing but status 200, and the words in the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn obs_is_told_which_sizes_to_send() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let key = server.channel(0).key_text.clone();
    let ask = async |key: &str| -> anyhow::Result<Value> {
        let canvas = json!({"width": 1280, "height": 720, "canvas_width": 1280, "canvas_height": 720,
            "framerate": {"numerator": 30, "denominator": 1}});
        let question = json!({"service": "IVS", "schema_version": "2025-01-25", "authentication": key,
            "client": {"name": "obs-studio", "version": "32.0.0", "supported_codecs": ["h264"]},
            "capabilities": {"cpu": {"physical_cores": 8, "logical_cores": 16, "speed": null, "name": null}},
            "preferences": {"vod_track_audio": false, "canvases": [canvas]}});
        let request = server.http().post(server.url("/multitrack")).json(&question);
        Ok(request.send().await?.error_for_status()?.json().await?)
    };
    let answer = ask(&key).await?;
    ensure!(answer["status"]["result"] == "success", "{answer}");
    let heights: Vec<_> = answer["encoder_configurations"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|encoder| encoder["height"].as_u64().unwrap_or(0))
        .collect();
    ensure!(heights == [720, 480, 360], "{heights:?}");
    let endpoint = format!("rtmp://127.0.0.1:{}/live/{{stream_key}}", server.ports().rtmp());
    ensure!(answer["ingest_endpoints"][0]["url_template"] == endpoint.as_str(), "{answer}");
    let answer = ask("1000-wrong").await?;
    ensure!(answer["status"]["result"] == "error", "{answer}");
    ensure!(answer["status"]["html_en_us"].to_string().contains("The stream key is not right"), "{answer}");
    ensure!(server.log().contains("publisher refused door=multitrack"), "{}", server.log());
    let other = server.http().post(server.url("/multitrack")).body(key).send().await?;
    ensure!(other.status() == 415, "{}", other.status());

    // To be pasted, without a key.
    let look = async |query: &str| server.http().get(server.url(&format!("/multitrack{query}"))).send().await;
    let answer: Value = look("?width=1280&height=720&sizes=2").await?.error_for_status()?.json().await?;
    ensure!(answer["encoder_configurations"].as_array().is_some_and(|all| all.len() == 2), "{answer}");
    ensure!(answer["ingest_endpoints"][0]["url_template"] == endpoint.as_str(), "{answer}");
    for nonsense in ["?fps=0", "?width=wide", "?kbps=-1"] {
        let answer = look(nonsense).await?;
        ensure!(answer.status() == 400, "{nonsense}: {}", answer.status());
    }
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tracks_of_several_sizes_are_layers() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let url = format!("rtmp://127.0.0.1:{}/live/{}", server.ports().rtmp(), server.channel(0).key_text);
    let publish = || pyav::publish("flv", &url, TRACKS, "aac,aac", &[]);
    let publisher = publish()?;
    let listed = async || {
        let streams = server.streams().await.ok()?;
        let layers = streams.first()?["layers"].as_array()?.clone();
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| (layer["rid"].as_str().unwrap_or_default().to_owned(), layer["width"].as_u64()))
            .collect();
        (layers.len() == 3).then_some(layers)
    };
    let layers = until("three layers", SOON, listed).await?;
    let expected = [("1", 640), ("0", 320), ("2", 160)].map(|(rid, width)| (rid.to_owned(), Some(width)));
    ensure!(layers == expected, "{layers:?}");

    // The best one by itself, then another by hand.
    let viewer = WsViewer::join(&server, "channel=one").await?;
    let report = viewer.watch().more(50, SOON).await?;
    report.check_complete(FRAME_TICKS)?;
    report.check_sound()?;
    ensure!(report.video.size == Some((640, 360)), "{:?}", report.video.size);
    for (rid, size) in [("2", (160, 90)), ("1", (640, 360)), ("0", (320, 180))] {
        viewer.watch().begin_anew();
        viewer.say(&format!(r#"{{"event": "layer", "data": "{rid}"}}"#));
        let has_changed = |report: &ViewerReport| report.video.size == Some(size);
        viewer.watch().until(&format!("layer {rid}"), SOON, has_changed).await?;
        let report = viewer.watch().more(10, SOON).await?;
        report.check_continuous(FRAME_TICKS)?;
        println!("to layer {rid}: {:?} without a packet of it", report.video.longest_pause);
        ensure!(report.video.longest_pause < NONSENSE, "{:?}", report.video.longest_pause);
    }
    let second = WhepViewer::join(&server, "/whep/one?layer=2").await?;
    let report = second.watch().more(10, SOON).await?;
    ensure!(report.video.size == Some((160, 90)), "{:?}", report.video.size);

    // It goes on for them with the next publisher, in the layer that was chosen.
    publisher.kill().await?;
    viewer.watch().begin_anew();
    let publisher = publish()?;
    let report = viewer.watch().more(75, SOON).await?;
    went_on(&report)?;
    let is_back = |report: &ViewerReport| report.video.size == Some((320, 180));
    viewer.watch().until("its layer again", SOON, is_back).await?;
    let log = server.log();
    for words in ["video track 3 is H.265", "audio track 1"] {
        ensure!(log.matches(words).count() == 2, "once for each publisher: {words} in {log}");
    }
    publisher.finish().await?;
    server.wait_for_state("one", "away", SOON).await?;
    server.check_health()?;
    server.stop().await
}
