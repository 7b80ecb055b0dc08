//! ffmpeg as a child process.
//!
//! Media comes from it as RTP over two Unix datagram sockets, one per medium. Compared with a pipe and a
//! container: an RTP packet says at once where a picture ends, so that no picture waits for the next one, and
//! neither medium waits for the other to be interleaved. Compared with UDP on loopback: a full socket makes
//! ffmpeg wait instead of losing packets.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, bail};
use bytes::Bytes;
use heliograph_media::h264::annex_b;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixDatagram,
    process::{Child, Command},
};

use crate::orphans::dies_with_us;

/// Largest RTP packet ffmpeg is asked to make.
const PACKET_SIZE: &str = "1392";
/// Lines of ffmpeg's complaints that are kept for the error message.
const KEPT_LINES: usize = 8;

/// A running ffmpeg and the sockets its media comes from. Dropping it kills the process.
pub(super) struct Ffmpeg {
    child: Child,
    /// H.264 as RTP, unless the source has none.
    pub(super) video: Option<UnixDatagram>,
    /// Opus as RTP, unless the source has none.
    pub(super) audio: Option<UnixDatagram>,
    complaints: Arc<Mutex<VecDeque<String>>>,
    _folder: Option<Folder>,
}

/// One output of ffmpeg: which stream, and how it is encoded.
pub(super) type OutputArgs = Vec<String>;

impl Ffmpeg {
    /// Starts `ffmpeg <inputs> <video args> -f rtp <socket> <audio args> -f rtp <socket>`.
    pub(super) fn start(
        inputs: &[String],
        video: Option<&OutputArgs>,
        audio: Option<&OutputArgs>,
    ) -> anyhow::Result<Self> {
        let folder = Folder::create()?;
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error"]).args(inputs);
        let mut output = |args: Option<&OutputArgs>, name: &str, payload_type: &str| -> anyhow::Result<_> {
            let Some(args) = args else { return Ok(None) };
            let path = folder.0.join(name);
            let socket =
                UnixDatagram::bind(&path).with_context(|| format!("cannot bind {}", path.display()))?;
            command.args(args).args(["-avoid_negative_ts", "disabled", "-packetsize", PACKET_SIZE]);
            command.args(["-type", "datagram", "-payload_type", payload_type, "-f", "rtp"]);
            command.arg(format!("unix:{}", path.display()));
            Ok(Some(socket))
        };
        let video = output(video, "video", "96")?;
        let audio = output(audio, "audio", "97")?;
        let (child, complaints) = spawn(command, Stdio::null())?;
        Ok(Self { child, video, audio, complaints, _folder: Some(folder) })
    }

    /// Starts `ffmpeg <inputs> <outputs> -f <format> <address>`, which sends by itself. `secret` are options of the
    /// output, `name=value`, that nobody sees: a command line is shown to everybody on the machine.
    pub(super) async fn start_muxed(
        inputs: &[String],
        outputs: &[String],
        format: &str,
        secret: &str,
        address: &str,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error"]).args(inputs).args(outputs);
        // A file of options; this one is a pipe.
        command.args(["-flush_packets", "1", "-fpre", "/dev/stdin", "-f", format, address]);
        let (mut child, complaints) = spawn(command, Stdio::piped())?;
        if let Some(mut options) = child.stdin.take() {
            options.write_all(format!("{secret}\n").as_bytes()).await.context("telling ffmpeg the key")?;
        }
        Ok(Self { child, video: None, audio: None, complaints, _folder: None })
    }

    /// Waits for the end of the process: an error with ffmpeg's own words unless it ended by itself, content.
    pub(super) async fn finished(&mut self) -> anyhow::Result<()> {
        let status = self.child.wait().await.context("waiting for ffmpeg")?;
        if status.success() {
            return Ok(());
        }
        let kept = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        let words: Vec<_> = kept.iter().map(String::as_str).collect();
        bail!("ffmpeg failed ({status}): {}", words.join("; "))
    }
}

/// The process, and the last of what it complains about.
fn spawn(mut command: Command, stdin: Stdio) -> anyhow::Result<(Child, Arc<Mutex<VecDeque<String>>>)> {
    dies_with_us(&mut command);
    command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(missing("ffmpeg"))?;
    let complaints = Arc::new(Mutex::new(VecDeque::new()));
    if let Some(stderr) = child.stderr.take() {
        let complaints = complaints.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                tracing::debug!(%line, "ffmpeg");
                let mut kept = complaints.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == KEPT_LINES {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
        });
    }
    Ok((child, complaints))
}

/// What a media file holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct FileFacts {
    pub(super) video: Option<StreamFacts>,
    pub(super) audio: Option<StreamFacts>,
    /// H.264 parameter sets, wherever the file keeps them.
    pub(super) parameters: Vec<Bytes>,
}

/// What matters of one stream in a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct StreamFacts {
    pub(super) codec: String,
    /// Pictures that are decoded before an earlier shown one: B-frames.
    pub(super) reorder: u64,
    /// Time of the first packet, in seconds.
    pub(super) start: f64,
}

/// Asks ffprobe what is in a file.
pub(super) async fn look_into(file: &Path) -> anyhow::Result<FileFacts> {
    if !file.exists() {
        bail!("--file: {} does not exist", file.display());
    }
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-print_format", "json", "-show_streams", "-i"]).arg(file);
    let output =
        command.stdin(Stdio::null()).kill_on_drop(true).output().await.map_err(missing("ffprobe"))?;
    if !output.status.success() {
        bail!("--file: {}: {}", file.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut facts = parse_facts(&output.stdout).context("reading what ffprobe says")?;
    if facts == FileFacts::default() {
        bail!("--file: {} holds neither video nor audio", file.display());
    }
    if facts.video.as_ref().is_some_and(|video| video.codec == "h264") {
        facts.parameters = parameter_sets(file).await?;
    }
    Ok(facts)
}

/// The parameter sets in front of the first picture of a file.
async fn parameter_sets(file: &Path) -> anyhow::Result<Vec<Bytes>> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i"]).arg(file);
    command.args([
        "-map",
        "0:v:0",
        "-c",
        "copy",
        "-bsf:v",
        "h264_mp4toannexb",
        "-frames:v",
        "1",
        "-f",
        "h264",
        "-",
    ]);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.map_err(missing("ffmpeg"))?;
    let is_parameter_set = |nal: &&[u8]| nal.first().is_some_and(|first| matches!(first & 0x1f, 7 | 8));
    Ok(annex_b::nal_units(&output.stdout).filter(is_parameter_set).map(Bytes::copy_from_slice).collect())
}

fn parse_facts(json: &[u8]) -> anyhow::Result<FileFacts> {
    let all: serde_json::Value = serde_json::from_slice(json)?;
    let mut facts = FileFacts::default();
    for stream in all["streams"].as_array().into_iter().flatten() {
        let slot = match stream["codec_type"].as_str() {
            Some("video") if stream["disposition"]["attached_pic"] != 1 => &mut facts.video,
            Some("audio") => &mut facts.audio,
            _ => continue,
        };
        slot.get_or_insert_with(|| StreamFacts {
            codec: stream["codec_name"].as_str().unwrap_or_default().to_owned(),
            reorder: stream["has_b_frames"].as_u64().unwrap_or(0),
            start: stream["start_time"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0.0),
        });
    }
    Ok(facts)
}

/// Words for a program that could not be started.
fn missing(program: &'static str) -> impl Fn(std::io::Error) -> anyhow::Error {
    move |error| match error.kind() {
        std::io::ErrorKind::NotFound => anyhow::anyhow!(
            "{program} is not installed, and this source needs it; on Debian and Ubuntu: apt-get install ffmpeg \
             fonts-dejavu-core (other systems: https://ffmpeg.org/download.html)"
        ),
        _ => anyhow::Error::new(error).context(format!("cannot start {program}")),
    }
}

/// A private folder for the sockets, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn create() -> anyhow::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!(
            "heliograph-{}-{number}-{:08x}",
            std::process::id(),
            rand::random::<u32>()
        ));
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A left-over folder of two sockets is no reason to fail.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_from_the_first_stream_of_each_kind() {
        let json = br#"{"streams":[
            {"codec_type":"video","codec_name":"mjpeg","disposition":{"attached_pic":1}},
            {"codec_type":"video","codec_name":"h264","has_b_frames":2,"start_time":"0.040000"},
            {"codec_type":"audio","codec_name":"opus","start_time":"-0.007000"},
            {"codec_type":"audio","codec_name":"aac"},
            {"codec_type":"subtitle","codec_name":"srt"}]}"#;
        let facts = parse_facts(json).expect("parses");
        assert_eq!(facts.video, Some(StreamFacts { codec: "h264".into(), reorder: 2, start: 0.04 }));
        assert_eq!(facts.audio, Some(StreamFacts { codec: "opus".into(), reorder: 0, start: -0.007 }));
        assert_eq!(parse_facts(b"{}").expect("parses"), FileFacts::default());
        assert!(parse_facts(b"").is_err());
    }

    #[test]
    fn a_missing_program_says_what_to_install() {
        let words = missing("ffmpeg")(std::io::ErrorKind::NotFound.into()).to_string();
        assert!(words.contains("apt-get install ffmpeg"), "{words}");
    }
}
