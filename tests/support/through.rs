//! Foreign publishers for the raw pictures and samples of the pattern: one program that encodes and sends both.

use std::{net::Ipv4Addr, process::Stdio, time::Duration};

use anyhow::Context;
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::timeout,
};

use crate::encoder::{RawInput, VideoPlan};

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Program {
    /// H.264 and AAC to an RTMP or SRT address.
    Ffmpeg,
    /// The same.
    Gstreamer,
    /// H.264 and Opus to a WHIP address.
    Aiortc,
}

/// A running one. Dropping it kills it.
#[derive(Debug)]
pub struct Through(Child);

impl Through {
    /// Starts it; samples (16 bits, stereo, 48 kHz) go into the second end. `key` is for addresses that have none in them.
    pub async fn start(
        program: Program,
        plan: &VideoPlan,
        url: &str,
        key: Option<&str>,
    ) -> anyhow::Result<(RawInput, TcpStream, Self)> {
        // A process has one standard input, so samples come over a connection.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (name, package, words) = match program {
            Program::Ffmpeg => ("ffmpeg", "ffmpeg", ffmpeg(plan, url, port)),
            Program::Gstreamer => {
                ("gst-launch-1.0", "gstreamer1.0-tools gstreamer1.0-plugins-bad", gstreamer(plan, url, port))
            }
            Program::Aiortc => {
                let words = aiortc(plan, url, key.context("--key")?, port);
                // Debian's own Python: another one before it does not see Debian's packages.
                ("/usr/bin/python3", "python3-aiortc", words)
            }
        };
        let mut child = Command::new(name)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} is needed for this (apt-get install {package})"))?;
        let pipe = child.stdin.take().context("a pipe")?;
        let (samples, _) = timeout(Duration::from_secs(10), listener.accept()).await.context(name)??;
        Ok((RawInput::new(pipe), samples, Self(child)))
    }

    /// Waits for its end, which nobody wants.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        anyhow::bail!("the publishing program ended: {}", self.0.wait().await?)
    }
}

fn split(words: &str) -> Vec<String> {
    words.split_whitespace().map(ToOwned::to_owned).collect()
}

fn ffmpeg(plan: &VideoPlan, url: &str, port: u16) -> Vec<String> {
    let VideoPlan { width, height, fps, keyint, kbit, profile } = plan;
    // As the document on publishing says.
    let rest = if url.starts_with("rtp:") {
        let each =
            format!("-f rtp {url}?pkt_size=1200&rtcpport={}", url.rsplit(':').next().unwrap_or_default());
        format!("-payload_type 96 {each} -map 0:a -c:a libopus -payload_type 97 {each}")
    } else {
        let container = if url.starts_with("srt:") { "-f mpegts -pes_payload_size 0" } else { "-f flv" };
        format!("-map 0:a -c:a aac -b:a 128k -flush_packets 1 {container} {url}")
    };
    split(&format!(
        "-hide_banner -loglevel error -probesize 32 -analyzeduration 0 -fflags nobuffer \
         -f s16le -ar 48000 -ac 2 -i tcp://127.0.0.1:{port} -probesize 32 -analyzeduration 0 -fflags nobuffer \
         -f rawvideo -pix_fmt yuv420p -s {width}x{height} -r {fps} -i pipe:0 \
         -map 1:v -c:v libx264 -preset ultrafast -tune zerolatency -profile:v {profile} -bf 0 -g {keyint} \
         -keyint_min {keyint} -sc_threshold 0 -b:v {kbit}k -maxrate {kbit}k -bufsize {}k \
         {rest}",
        kbit / 2
    ))
}

fn gstreamer(plan: &VideoPlan, url: &str, port: u16) -> Vec<String> {
    let VideoPlan { width, height, fps, keyint, kbit, .. } = plan;
    // As the document says, here too.
    let audio = if url.starts_with("srt:") { "opusenc" } else { "avenc_aac ! aacparse" };
    let sink = match url.strip_prefix("srt:").and_then(|rest| rest.split_once("?streamid=")) {
        Some((address, key)) => format!(
            "mpegtsmux alignment=7 name=mux ! srtsink uri=srt:{address} mode=caller streamid={key} latency=120 sync=false"
        ),
        None => format!("flvmux streamable=true name=mux ! rtmp2sink location={url} sync=false"),
    };
    split(&format!(
        "--quiet {sink} fdsrc fd=0 blocksize={} ! rawvideoparse width={width} height={height} format=i420 framerate={fps}/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast bframes=0 key-int-max={keyint} bitrate={kbit} \
         ! h264parse config-interval=-1 ! queue ! mux. tcpclientsrc host=127.0.0.1 port={port} blocksize=1920 \
         ! rawaudioparse pcm-format=s16le sample-rate=48000 num-channels=2 ! audioconvert ! {audio} \
         ! queue ! mux.",
        width * height * 3 / 2
    ))
}

fn aiortc(plan: &VideoPlan, url: &str, key: &str, port: u16) -> Vec<String> {
    let VideoPlan { width, height, fps, .. } = plan;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/support/aiortc_publisher.py");
    split(&format!("{script} {url} {key} h264 {width} {height} {fps} {port}"))
}
