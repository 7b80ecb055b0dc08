//! Raw pictures and sounds through ffmpeg, with as little delay as it can do.
//!
//! One process per medium, fed through its standard input. What comes out is RTP on a Unix datagram socket: the
//! marker bit says at once where a picture ends, and a full socket makes ffmpeg wait instead of losing packets.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use heliograph_media::{
    ClockRate, SeqUnwrapper, TimestampUnwrapper,
    h264::{DEFAULT_MAX_NAL, Depacketiser},
    rtcp::is_rtcp,
    rtp::RtpHeader,
};
use tokio::{
    io::AsyncWriteExt,
    net::UnixDatagram,
    process::{Child, ChildStdin, Command},
};

use crate::scratch::Scratch;

/// How pictures are encoded.
#[derive(Debug, Clone)]
pub struct VideoPlan {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Pictures per second.
    pub fps: u32,
    /// Pictures from one keyframe to the next.
    pub keyint: u32,
    /// Bitrate in kbit/s.
    pub kbit: u32,
    /// x264's name of the H.264 profile.
    pub profile: String,
}

/// The end into which raw pictures or samples are written.
#[derive(Debug)]
pub struct RawInput {
    pipe: ChildStdin,
    /// What has to come before anything else.
    header: Vec<u8>,
}

impl RawInput {
    pub(crate) fn new(pipe: ChildStdin) -> Self {
        Self { pipe, header: Vec::new() }
    }

    /// Writes one picture or a run of samples.
    pub async fn write(&mut self, raw: &[u8]) -> anyhow::Result<()> {
        for part in [&std::mem::take(&mut self.header)[..], raw] {
            self.pipe.write_all(part).await.context("ffmpeg takes no more input")?;
        }
        Ok(())
    }
}

/// The end that RTP comes out of.
#[derive(Debug)]
struct RtpOutput {
    socket: UnixDatagram,
    timestamps: TimestampUnwrapper,
    first: Option<u64>,
    rate: ClockRate,
    buffer: Vec<u8>,
    _child: Child,
    _folder: Scratch,
}

impl RtpOutput {
    /// The next packet's header, and its time since the first one.
    async fn next(&mut self) -> anyhow::Result<(RtpHeader, Duration)> {
        loop {
            let len = self.socket.recv(&mut self.buffer).await?;
            if is_rtcp(&self.buffer[..len]) {
                continue;
            }
            let header = RtpHeader::parse(&self.buffer[..len])?;
            let ticks = self.timestamps.extend(header.timestamp);
            let first = *self.first.get_or_insert(ticks);
            return Ok((header, self.rate.duration(ticks.saturating_sub(first))));
        }
    }
}

/// Encoded pictures.
#[derive(Debug)]
pub struct VideoOutput {
    rtp: RtpOutput,
    seqs: SeqUnwrapper,
    depacketiser: Depacketiser,
    /// The picture in progress: kept here, so that waiting for the next one can be given up and taken up again.
    nals: Vec<Bytes>,
}

impl VideoOutput {
    /// The next access unit: time since the first picture, NAL units without start codes and SEI. Cancel safe.
    pub async fn next(&mut self) -> anyhow::Result<(Duration, Vec<Bytes>)> {
        loop {
            let (header, time) = self.rtp.next().await?;
            let seq = self.seqs.extend(header.seq);
            let nals = &mut self.nals;
            self.depacketiser.push(seq, &self.rtp.buffer[header.payload.clone()], |nal| {
                if nal.first().is_some_and(|first| !matches!(first & 0x1f, 6 | 9)) {
                    nals.push(Bytes::copy_from_slice(nal));
                }
            })?;
            if header.marker {
                return Ok((time, std::mem::take(&mut self.nals)));
            }
        }
    }
}

/// Encoded sound.
#[derive(Debug)]
pub struct AudioOutput(RtpOutput);

impl AudioOutput {
    /// How far the first packet stands before the first sample: libopus' look-ahead.
    pub const LOOK_AHEAD: Duration = Duration::from_micros(6_500);

    /// The next Opus packet, and its time since the first. Cancel safe.
    pub async fn next(&mut self) -> anyhow::Result<(Duration, Bytes)> {
        let (header, time) = self.0.next().await?;
        Ok((time, Bytes::copy_from_slice(&self.0.buffer[header.payload])))
    }
}

/// Starts an encoder for planar 4:2:0 pictures.
pub fn video(plan: &VideoPlan) -> anyhow::Result<(RawInput, VideoOutput)> {
    let VideoPlan { width, height, fps, keyint, kbit, profile } = plan;
    let input = format!("-f rawvideo -pix_fmt yuv420p -s {width}x{height} -r {fps}");
    let output = format!(
        "-c:v libx264 -preset ultrafast -tune zerolatency -profile:v {profile} -bf 0 -g {keyint} -keyint_min {keyint} \
         -sc_threshold 0 -b:v {kbit}k -maxrate {kbit}k -bufsize {}k",
        kbit / 2
    );
    let (raw, rtp) = start(&input, &output, ClockRate::VIDEO, Vec::new())?;
    let depacketiser = Depacketiser::new(DEFAULT_MAX_NAL);
    Ok((raw, VideoOutput { rtp, seqs: SeqUnwrapper::new(), depacketiser, nals: Vec::new() }))
}

/// Starts an encoder for 16-bit stereo samples at 48 kHz.
pub fn audio() -> anyhow::Result<(RawInput, AudioOutput)> {
    let output = "-c:a libopus -b:a 128k -application audio -frame_duration 20";
    // As WAV and not as bare samples: only there ffmpeg can be told to read 10 ms at once. With its 1024 samples
    // packets would come unevenly, and receivers would wait longer for them.
    let (raw, rtp) = start("-f wav -ignore_length 1 -max_size 1920", output, ClockRate::OPUS, wav_header())?;
    Ok((raw, AudioOutput(rtp)))
}

/// An endless WAV file of 16-bit stereo samples at 48 kHz.
fn wav_header() -> Vec<u8> {
    let mut header = Vec::with_capacity(44);
    header.extend(b"RIFF\xff\xff\xff\xffWAVEfmt ");
    header.extend(16_u32.to_le_bytes());
    // PCM, two channels, samples and bytes per second, bytes and bits per sample.
    header.extend([1, 0, 2, 0]);
    header.extend(48_000_u32.to_le_bytes());
    header.extend(192_000_u32.to_le_bytes());
    header.extend([4, 0, 16, 0]);
    header.extend(b"data\xff\xff\xff\xff");
    header
}

fn start(
    input: &str,
    output: &str,
    rate: ClockRate,
    header: Vec<u8>,
) -> anyhow::Result<(RawInput, RtpOutput)> {
    let folder = Scratch::new()?;
    let path = folder.path().join("rtp");
    let socket = UnixDatagram::bind(&path)?;
    let mut command = Command::new("ffmpeg");
    command.args("-hide_banner -loglevel error -probesize 32 -analyzeduration 0 -fflags nobuffer".split(' '));
    command.args(input.split(' ')).args(["-i", "pipe:0"]).args(output.split(' '));
    command.args(
        "-avoid_negative_ts disabled -packetsize 1392 -type datagram -payload_type 96 -f rtp".split(' '),
    );
    command.arg(format!("unix:{}", path.display()));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .context("ffmpeg is needed for this (apt-get install ffmpeg)")?;
    let pipe = child.stdin.take().context("a pipe")?;
    let rtp = RtpOutput {
        socket,
        timestamps: TimestampUnwrapper::new(),
        first: None,
        rate,
        buffer: vec![0; 65_536],
        _child: child,
        _folder: folder,
    };
    Ok((RawInput { pipe, header }, rtp))
}

/// The moment of a frame or sample run on a clock that began at `begun`.
pub fn due(begun: Instant, index: u64, per_second: u32) -> Instant {
    begun + Duration::from_nanos(index.saturating_mul(1_000_000_000) / u64::from(per_second))
}
