//! `heliograph publish` over what others speak, too.

use std::{fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use heliograph_tests::{
    ports::PortBlock,
    server::{Server, ServerPlan, program},
    viewer::ws::WsViewer,
    wait::until,
};
use tokio::{process::Command, time::timeout};

use crate::turn;

const SOON: Duration = Duration::from_secs(15);

/// Programs that this process has started.
fn children(id: u32) -> anyhow::Result<Vec<u32>> {
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        let text = fs::read_to_string(thread?.path().join("children"))?;
        children.extend(text.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    Ok(children)
}

/// Empty for a process that has ended.
fn command_line(id: u32) -> String {
    let words = fs::read(Path::new("/proc").join(id.to_string()).join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_its_key_to_itself_and_takes_its_child_along() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().channels(&["one", "two", "three"]).start().await?;
    let rtmp = format!("rtmp://{}:{}/live", Server::HOST, server.ports().rtmp());
    let srt = format!("srt://{}:{}", Server::HOST, server.ports().srt());
    let ways = [("--rtmp", rtmp), ("--srt", srt), ("--whip", server.url("/whip"))];
    for (at, (flag, url)) in ways.into_iter().enumerate() {
        let channel = server.channel(at);
        let mut publisher = Command::new(program()?)
            .args(["publish", flag, &url, "--test-picture", "--size", "320x180"])
            .env("HELIOGRAPH_STREAM_KEY", &channel.key_text)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        server.wait_for_state(&channel.name, "live", SOON).await?;
        let id = publisher.id().context("a running process")?;
        let children = children(id)?;
        ensure!(children.iter().any(|&child| command_line(child).contains("ffmpeg")), "{flag}: no ffmpeg");
        for &process in children.iter().chain([&id]) {
            let words = command_line(process);
            ensure!(!words.contains("secretOf"), "{flag}: everybody can read the key: {words}");
        }
        publisher.kill().await?;
        until("ffmpeg to end", SOON, async || {
            children.iter().all(|&child| command_line(child).is_empty()).then_some(())
        })
        .await?;
        server.wait_for_state(&channel.name, "away", SOON).await?;
    }
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_whip_it_comes_back_after_the_server_did_and_says_why_it_may_not() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let ports = PortBlock::find()?;
    let mut server = ServerPlan::new().start_on(ports).await?;
    let publish = |url: &str, key: &str, more: &[&str]| {
        Command::new(program()?)
            .args(["publish", "--whip", url, "--test-picture", "--size", "320x180"])
            .args(more)
            .env("HELIOGRAPH_STREAM_KEY", key)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("heliograph publish")
    };
    let refused = publish(&server.url("/whip/one"), "1000-wrong", &["--retry"])?;
    let said = timeout(SOON, refused.wait_with_output()).await.context("it goes on")??;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(said.contains("the stream key is not right for this channel"), "{said}");

    let key = server.channel(0).key_text.clone();
    let _publisher = publish(&server.url("/whip/one"), &key, &["--retry"])?;
    server.wait_for_state("one", "live", SOON).await?;
    server.stop().await?;
    let mut server = ServerPlan::new().start_on(ports).await?;
    server.wait_for_state("one", "live", Duration::from_secs(40)).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    let report = viewer.watch().more(40, SOON).await?;
    for track in [&report.video, &report.audio] {
        ensure!(track.lost() == 0, "{} packets lost", track.lost());
    }
    server.check_health()?;
    server.stop().await
}
