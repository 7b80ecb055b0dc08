//! AAC to Opus on a thread of its own, so that no socket waits for a codec.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use bytes::Bytes;
use heliograph_audio::{
    OpusFrame, Transcoder,
    codec::{AacDecoder, OpusEncoder},
};
use tokio::sync::mpsc;

/// The near end of the thread. Dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct AudioThread {
    jobs: SyncSender<Job>,
    frames: mpsc::Receiver<OpusFrame>,
    dropped: u64,
}

enum Job {
    /// A new stream of AAC, with its AudioSpecificConfig.
    Configure(Bytes),
    /// A frame, and when it begins on the source's clock.
    Frame(Duration, Bytes),
}

impl AudioThread {
    /// `None` when the system gives no thread.
    pub(crate) fn start(bits_per_second: u32) -> Option<Self> {
        let (jobs, work) = sync_channel(QUEUE);
        let (out, frames) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("aac-to-opus".into());
        thread.spawn(move || run(bits_per_second, &work, &out)).ok()?;
        Some(Self { jobs, frames, dropped: 0 })
    }

    /// What follows is coded like this. Sound that is in the decoder is lost.
    pub(crate) fn configure(&mut self, configuration: &[u8]) {
        self.give(Job::Configure(Bytes::copy_from_slice(configuration)));
    }

    /// One AAC frame. When the thread cannot keep up, it is dropped.
    pub(crate) fn push(&mut self, at: Duration, frame: &[u8]) {
        self.give(Job::Frame(at, Bytes::copy_from_slice(frame)));
    }

    /// The next Opus frame. Safe to drop and to call again; never comes back when the thread has died.
    pub(crate) async fn next(&mut self) -> OpusFrame {
        match self.frames.recv().await {
            Some(frame) => frame,
            None => std::future::pending().await,
        }
    }

    /// AAC frames that found the thread too busy.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn give(&mut self, job: Job) {
        if self.jobs.try_send(job).is_err() {
            self.dropped += 1;
        }
    }
}

fn run(bits_per_second: u32, work: &Receiver<Job>, out: &mpsc::Sender<OpusFrame>) {
    let mut transcoder = None;
    let mut frames = Vec::new();
    for job in work {
        match job {
            Job::Configure(configuration) => {
                transcoder = make(bits_per_second, &configuration);
                if transcoder.is_none() {
                    tracing::warn!("this kind of AAC cannot be decoded: there will be no sound");
                }
            }
            Job::Frame(at, frame) => {
                let Some(running) = &mut transcoder else { continue };
                if let Err(error) = running.push(at, &frame, &mut frames) {
                    tracing::error!(%error, "no more sound");
                    transcoder = None;
                }
            }
        }
        for frame in frames.drain(..) {
            // Nobody waits for a session that hangs: what it does not take is lost.
            if let Err(mpsc::error::TrySendError::Closed(_)) = out.try_send(frame) {
                return;
            }
        }
    }
    if let Some(transcoder) = transcoder {
        let (rate, channels) = transcoder.decoder().source();
        tracing::debug!(rate, channels, broken = transcoder.broken(), "AAC ended");
    }
}

fn make(bits_per_second: u32, configuration: &[u8]) -> Option<Transcoder<AacDecoder, OpusEncoder>> {
    let decoder = AacDecoder::new(configuration).ok()?;
    let encoder = OpusEncoder::new(bits_per_second).ok()?;
    Some(Transcoder::new(decoder, encoder))
}

/// More than a second of AAC.
const QUEUE: usize = 64;
