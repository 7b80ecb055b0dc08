//! One ffmpeg that takes pictures in on one pipe and gives them back on another.

use std::{
    collections::VecDeque,
    io,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{ChildStderr, ChildStdin, ChildStdout},
    sync::mpsc,
};

use super::{Failure, Reencoders, encoder::Encoder, flv};
use crate::rtmp::flv::{AvcConfiguration, Video, VideoCodec};

/// What comes out of it.
#[derive(Debug)]
pub(super) enum Output {
    /// Parameter sets of the pictures that follow.
    Sets(Vec<Bytes>),
    Picture {
        /// Milliseconds.
        show: u32,
        key: bool,
        /// NAL units, each behind four bytes of length.
        body: Bytes,
    },
    /// The last.
    Failed(Failure),
}

/// The pictures on their way in.
#[derive(Debug)]
pub(super) struct Input {
    /// Tags of FLV.
    pub(super) tags: mpsc::Receiver<Bytes>,
    /// Bytes that wait in there.
    pub(super) waiting: Arc<AtomicUsize>,
}

/// Runs until one of the ends goes away; dropping it kills ffmpeg.
pub(super) async fn run(reencoders: Arc<Reencoders>, input: Input, output: mpsc::Sender<Output>) {
    let failure = match reencoders.encoder().await {
        Ok(encoder) => follow(&reencoders, encoder, input, &output).await,
        Err(failure) => failure,
    };
    // Nobody may listen any more.
    let _ = output.send(Output::Failed(failure)).await;
}

async fn follow(
    reencoders: &Reencoders,
    encoder: Encoder,
    input: Input,
    output: &mpsc::Sender<Output>,
) -> Failure {
    let mut command = reencoders.command();
    command
        .args(encoder.device.split_whitespace())
        .args(DECODE.split_whitespace())
        .arg(encoder.name)
        .args(encoder.options.split_whitespace())
        .args(ENCODE.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Failure::NotStarted(error.to_string()),
    };
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Failure::NotStarted("no pipes".to_owned());
    };
    let mut words = VecDeque::new();
    let through = async {
        tokio::select! {
            () = read(stdout, output) => {}
            // Its pipe is closed: it has ended.
            _ = feed(stdin, input) => {}
        }
        let _ = child.start_kill();
    };
    tokio::join!(through, listen(stderr, &mut words));
    let status = child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
    words.push_back(status);
    Failure::Ended(words.into_iter().collect::<Vec<_>>().join("; "))
}

async fn feed(mut stdin: ChildStdin, mut input: Input) -> io::Result<()> {
    stdin.write_all(flv::HEADER).await?;
    while let Some(tag) = input.tags.recv().await {
        stdin.write_all(&tag).await?;
        input.waiting.fetch_sub(tag.len(), Ordering::Relaxed);
    }
    Ok(())
}

/// Ends with ffmpeg's output.
async fn read(stdout: ChildStdout, output: &mpsc::Sender<Output>) {
    let mut stdout = BufReader::new(stdout);
    let mut header = [0; flv::HEADER.len()];
    if stdout.read_exact(&mut header).await.is_err() {
        return;
    }
    while let Some((decode, tag)) = flv::next(&mut stdout).await {
        let out = match flv::read(&tag) {
            Some(Video::Configuration(VideoCodec::Avc, record)) => {
                AvcConfiguration::parse(record).ok().map(|record| Output::Sets(record.parameter_sets))
            }
            Some(Video::Picture { key, composition, body, .. }) => Some(Output::Picture {
                show: decode.wrapping_add_signed(composition),
                key,
                body: tag.slice_ref(body),
            }),
            _ => None,
        };
        if let Some(out) = out
            && output.send(out).await.is_err()
        {
            return;
        }
    }
}

/// Keeps ffmpeg's last words.
async fn listen(stderr: ChildStderr, words: &mut VecDeque<String>) {
    let mut lines = BufReader::new(stderr.take(MOST_WORDS)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!(%line, "ffmpeg");
        if words.len() == KEPT_LINES {
            words.pop_front();
        }
        words.push_back(line);
    }
    // It must not wait until somebody reads the rest.
    let _ = tokio::io::copy(&mut lines.into_inner().into_inner().into_inner(), &mut tokio::io::sink()).await;
}

/// Pictures of any kind of H.264, as they come: nothing is gathered to guess what they are, and no frame waits in a thread of
/// its own.
const DECODE: &str = "-flags low_delay -analyzeduration 0 -probesize 32 -thread_type slice -f flv -i pipe:0 \
                      -map 0:v:0 -copyts -fps_mode passthrough -enc_time_base 1:1000 -c:v";
/// A keyframe every two seconds, which is what viewers who join count on.
const ENCODE: &str = "-g 250 -force_key_frames expr:isnan(prev_forced_t)+gte(t,prev_forced_t+2) \
                      -avoid_negative_ts disabled -flush_packets 1 -flvflags no_duration_filesize -f flv pipe:1";
const KEPT_LINES: usize = 4;
/// Bytes of complaints that are read line by line.
const MOST_WORDS: u64 = 64 << 10;
