//! What the documents tell people to type.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::ensure;
use heliograph_tests::{
    new_ffmpeg,
    scratch::Scratch,
    server::{ServerPlan, program},
    viewer::ws::WsViewer,
};
use tokio::time::timeout;

use crate::turn;

const SOON: Duration = Duration::from_secs(15);

/// The commands of a document that publish, as people copy them.
fn commands(document: &str) -> Vec<String> {
    let blocks = document.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(|block| {
        block.replace("\\\n", " ").lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    });
    lines.filter(|line| line.contains("HOST")).collect()
}

/// As a shell would see them, as far as these documents go: words between quotes belong together.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(place, part)| if place % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_in_the_document_on_publishing_works() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let folder = Scratch::new()?;
    let clip = folder.path().join("clip.mp4");
    let made = Command::new("ffmpeg")
        .args(
            "-v error -f lavfi -i testsrc2=size=320x180:rate=25:duration=20 -f lavfi -i sine=duration=20"
                .split(' '),
        )
        .args("-c:v libx264 -preset ultrafast -c:a aac -shortest".split(' '))
        .arg(&clip)
        .status()?;
    ensure!(made.success(), "no clip");
    let commands = commands(include_str!("../../docs/publishing.md"));
    let ways = ["rtmp://HOST", "srt://HOST", "--whip http://HOST", "--to HOST"];
    for (way, least) in ways.into_iter().zip([5, 3, 1, 1]) {
        let found = commands.iter().filter(|line| line.contains(way)).count();
        assert!(found >= least, "{way}: {found} of {commands:?}");
    }
    let (key, ports) = (server.channel(0).key_text.clone(), server.ports());
    for command in commands {
        println!("{command}");
        let line = command
            .replace("rtmp://HOST/", &format!("rtmp://127.0.0.1:{}/", ports.rtmp()))
            .replace("srt://HOST:8890", &format!("srt://127.0.0.1:{}", ports.srt()))
            .replace("http://HOST:8080/", &server.url("/"))
            .replace("--to HOST", &format!("--to 127.0.0.1 --port {}", ports.ftl()))
            .replace("KEY", &key)
            .replace("CHANNEL", "one")
            // Nothing else may run on the machine's two processors otherwise.
            .replace("1280x720", "640x360")
            .replace("width=1280,height=720", "width=640,height=360")
            .replace("clip.mp4", "FILE")
            .replace("FILE", &clip.display().to_string());
        let mut words = words(&line).into_iter();
        let program = match words.next() {
            Some("heliograph") => program()?.to_owned(),
            // Debian's is too old for these.
            Some("ffmpeg") if ["-f whip", "-filter_complex"].iter().any(|words| line.contains(words)) => {
                new_ffmpeg::program()?
            }
            Some(other) => other.into(),
            None => continue,
        };
        let mut publisher = tokio::process::Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        server.wait_for_state("one", "live", SOON).await?;
        let viewer = WsViewer::join(&server, "channel=one").await?;
        let report = viewer.watch().more(40, SOON).await?;
        for (name, track) in [("picture", &report.video), ("sound", &report.audio)] {
            ensure!(track.packets > 20 && track.lost() == 0, "{name}: {} packets, {command}", track.packets);
        }
        // Politely: `heliograph publish` has a child of its own to end.
        let id = publisher.id().unwrap_or_default().to_string();
        ensure!(Command::new("kill").args(["-INT", &id]).status()?.success(), "kill");
        timeout(SOON, publisher.wait()).await??;
        server.wait_for_state("one", "away", SOON).await?;
    }
    server.check_health()?;
    server.stop().await
}
