//! ffmpeg as a foreign publisher.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time::timeout,
};

/// A running ffmpeg; dropping it kills it.
#[derive(Debug)]
pub struct Ffmpeg(Child);

/// Pictures without B-frames, as the documents tell people to send.
pub const X264: &str = "-c:v libx264 -preset ultrafast -tune zerolatency -g 50 -b:v 1500k -pix_fmt yuv420p";
/// AAC-LC at 44.1 kHz, so that the rate has to be changed as well.
pub const AAC: &str = "-c:a aac -b:a 128k -ar 44100 -ac 2";

const INPUTS: &str =
    "-re -f lavfi -i testsrc2=size=640x360:rate=25 -re -f lavfi -i sine=frequency=440:sample_rate=44100";

impl Ffmpeg {
    /// Publishes 25 moving pictures a second and a tone to an RTMP address, for as long as it lives.
    pub fn rtmp(url: &str, video: &str, audio: &str) -> anyhow::Result<Self> {
        Self::start(&format!("{INPUTS} {video} {audio} -f flv"), url)
    }

    /// The same to an SRT address.
    pub fn srt(url: &str, video: &str, audio: &str) -> anyhow::Result<Self> {
        Self::start(&format!("{INPUTS} {video} {audio} -f mpegts"), url)
    }

    /// Runs it with these words and `last` as the last one.
    pub fn start(words: &str, last: &str) -> anyhow::Result<Self> {
        let mut command = Command::new("ffmpeg");
        command.args(["-hide_banner", "-loglevel", "warning"]).args(words.split_whitespace()).arg(last);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("ffmpeg is needed for this (apt-get install ffmpeg)")?;
        Ok(Self(child))
    }

    /// Vanishes without a word.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.0.kill().await?)
    }

    /// Ends as somebody who presses `q`: says goodbye.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        let id = self.0.id().context("still running")?;
        ensure!(Command::new("kill").args(["-TERM", &id.to_string()]).status().await?.success(), "kill");
        timeout(Duration::from_secs(10), self.0.wait()).await.context("ffmpeg does not end")??;
        Ok(())
    }

    /// Waits until it gives up, and returns what it said.
    pub async fn gives_up(mut self, limit: Duration) -> anyhow::Result<String> {
        let mut said = String::new();
        if let Some(mut stderr) = self.0.stderr.take() {
            timeout(limit, stderr.read_to_string(&mut said)).await.context("ffmpeg goes on")??;
        }
        let status = timeout(limit, self.0.wait()).await.context("ffmpeg goes on")??;
        ensure!(!status.success(), "ffmpeg is content: {said}");
        Ok(said)
    }
}
