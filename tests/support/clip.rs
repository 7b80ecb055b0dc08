//! A pre-encoded clip, so that many publishers cost next to nothing.

use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use heliograph_media::h264::annex_b;
use tokio::sync::OnceCell;

use crate::scratch::Scratch;

/// How a clip is encoded.
#[derive(Debug, Clone, Copy)]
pub struct ClipPlan {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Pictures per second.
    pub fps: u32,
    /// Pictures from one keyframe to the next.
    pub keyint: u32,
    /// Keyframe intervals in the clip.
    pub intervals: u32,
    /// Video bitrate in kbit/s.
    pub kbit: u32,
}

impl Default for ClipPlan {
    fn default() -> Self {
        Self { width: 640, height: 360, fps: 30, keyint: 60, intervals: 3, kbit: 800 }
    }
}

/// Encoded pictures and sounds that can be played in a loop: every pass begins with a keyframe.
#[derive(Debug)]
pub struct Clip {
    /// How it was made.
    pub plan: ClipPlan,
    /// Access units: NAL units without start codes.
    pub frames: Vec<Vec<Bytes>>,
    /// Opus packets of 20 ms.
    pub audio: Vec<Bytes>,
}

impl Clip {
    /// 640x360, 30 pictures a second, a keyframe every 2 s: made once per test program.
    pub async fn standard() -> anyhow::Result<Arc<Self>> {
        static CLIP: OnceCell<Arc<Clip>> = OnceCell::const_new();
        CLIP.get_or_try_init(async || Self::make(ClipPlan::default()).map(Arc::new)).await.cloned()
    }

    /// Encodes a moving picture and a tone with ffmpeg.
    pub fn make(plan: ClipPlan) -> anyhow::Result<Self> {
        let folder = Scratch::new()?;
        let (video, audio) = (folder.path().join("clip.h264"), folder.path().join("clip.opus"));
        let seconds = f64::from(plan.keyint * plan.intervals) / f64::from(plan.fps);
        let ClipPlan { width, height, fps, keyint, kbit, .. } = plan;
        let rate = format!("{kbit}k");
        encode(&[
            "-f lavfi -i",
            &format!("testsrc2=size={width}x{height}:rate={fps}"),
            &format!(
                "-f lavfi -i sine=frequency=440:sample_rate=48000 -t {seconds} -map 0:v -pix_fmt yuv420p"
            ),
            "-c:v libx264 -preset veryfast -tune zerolatency -profile:v main -bf 0",
            &format!(
                "-g {keyint} -keyint_min {keyint} -sc_threshold 0 -b:v {rate} -maxrate {rate} -bufsize {rate}"
            ),
            "-x264-params aud=1 -f h264",
            path(&video)?,
            &format!("-t {seconds} -map 1:a -c:a libopus -ac 2 -b:a 96k -frame_duration 20 -f ogg"),
            path(&audio)?,
        ])?;
        let frames = access_units(&fs::read(&video)?);
        let mut audio = ogg_packets(&fs::read(&audio)?)?;
        audio.drain(..audio.len().min(2));
        ensure!(frames.len() == (keyint * plan.intervals) as usize, "{} frames", frames.len());
        ensure!(
            frames.iter().step_by(keyint as usize).all(|nals| is_keyframe(nals)),
            "keyframes where they belong"
        );
        // A loop must not drift: exactly as much sound as pictures.
        let wanted = (seconds * 50.0).round() as usize;
        ensure!(audio.len() >= wanted, "{} Opus packets", audio.len());
        audio.truncate(wanted);
        Ok(Self { plan, frames, audio })
    }

    /// Time from one picture to the next.
    pub fn frame_time(&self) -> Duration {
        Duration::from_secs(1) / self.plan.fps
    }

    /// Time from one keyframe to the next.
    pub fn keyframe_interval(&self) -> Duration {
        self.frame_time() * self.plan.keyint
    }
}

/// Whether an access unit begins with a parameter set, as every keyframe must.
pub fn is_keyframe(nals: &[Bytes]) -> bool {
    nals.first().is_some_and(|nal| nal.first().is_some_and(|first| first & 0x1f == 7))
}

fn encode(words: &[&str]) -> anyhow::Result<()> {
    let words = words.iter().flat_map(|words| words.split(' '));
    let output = Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(words).output();
    let output = output.context("ffmpeg is needed for this test (apt-get install ffmpeg)")?;
    ensure!(output.status.success(), "ffmpeg: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path in UTF-8")
}

/// Cuts a byte stream at its delimiters, and leaves those and SEI out.
fn access_units(stream: &[u8]) -> Vec<Vec<Bytes>> {
    let mut units: Vec<Vec<Bytes>> = Vec::new();
    for nal in annex_b::nal_units(stream) {
        match nal.first().map(|first| first & 0x1f) {
            Some(9) => units.push(Vec::new()),
            Some(6) | None => {}
            Some(_) => {
                if let Some(unit) = units.last_mut() {
                    unit.push(Bytes::copy_from_slice(nal));
                }
            }
        }
    }
    units
}

/// The packets of an Ogg file (RFC 3533 section 6), headers included.
fn ogg_packets(mut file: &[u8]) -> anyhow::Result<Vec<Bytes>> {
    let mut packets = Vec::new();
    let mut packet = Vec::new();
    while !file.is_empty() {
        let (header, rest) = file.split_at_checked(27).context("an Ogg page header")?;
        if !header.starts_with(b"OggS") {
            bail!("not an Ogg page");
        }
        let (lacing, mut body) =
            rest.split_at_checked(usize::from(header[26])).context("an Ogg segment table")?;
        for &len in lacing {
            let (segment, after) = body.split_at_checked(usize::from(len)).context("an Ogg segment")?;
            packet.extend_from_slice(segment);
            body = after;
            if len < 255 {
                packets.push(Bytes::from(std::mem::take(&mut packet)));
            }
        }
        file = body;
    }
    Ok(packets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_standard_clip_loops() {
        let clip = Clip::standard().await.expect("ffmpeg");
        assert_eq!((clip.frames.len(), clip.audio.len()), (180, 300));
        assert_eq!(clip.frames.iter().filter(|nals| is_keyframe(nals)).count(), 3);
        assert!(clip.audio.iter().all(|packet| !packet.is_empty() && packet.len() < 1275));
        assert_eq!(clip.keyframe_interval().as_millis(), 1999, "a third of a tick is lost to nanoseconds");
    }
}
