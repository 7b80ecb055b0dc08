//! A publisher that plays a clip in a loop, at its pace.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use heliograph_ingest::ftl::client::{ClientError, ClientSettings, FtlClient, UplinkStats};
use tokio::{sync::watch, task::JoinHandle, time::sleep_until};

use crate::{clip::Clip, server::Server};

/// What a publisher has sent so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Pictures handed to the client.
    pub frames: u64,
    /// Of those, keyframes.
    pub keyframes: u64,
    /// When the newest keyframe was handed over.
    pub newest_keyframe: Option<Instant>,
}

/// A publisher on the air; dropping it vanishes without a word, like a killed encoder.
#[derive(Debug)]
pub struct ClipPublisher {
    client: Arc<FtlClient>,
    clip: Arc<Clip>,
    progress: watch::Receiver<Progress>,
    limit: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl ClipPublisher {
    /// Connects as the given channel of the keys file and begins to play.
    pub async fn start(server: &Server, channel: usize, clip: &Arc<Clip>) -> Result<Self, ClientError> {
        Self::start_with(server.ports().ftl(), server.channel(channel).client_settings(), clip).await
    }

    /// The same with other settings.
    pub async fn start_with(
        ftl_port: u16,
        settings: ClientSettings,
        clip: &Arc<Clip>,
    ) -> Result<Self, ClientError> {
        let client = Arc::new(FtlClient::connect(&Server::HOST.to_string(), ftl_port, settings).await?);
        let (progress_out, progress) = watch::channel(Progress::default());
        let (limit, limits) = watch::channel(u64::MAX);
        let task = tokio::spawn(play(client.clone(), clip.clone(), progress_out, limits));
        Ok(Self { client, clip: clip.clone(), progress, limit, task })
    }

    /// The client underneath.
    pub fn client(&self) -> &FtlClient {
        &self.client
    }

    /// What was sent so far.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Waits until this many pictures were sent.
    pub async fn sent(&self, frames: u64) {
        // The player only ends with the session; then there is nothing left to wait for.
        let _ = self.progress.clone().wait_for(|progress| progress.frames >= frames).await;
    }

    /// Waits for the next moment that lies this share (0 to 1) of an interval after a keyframe.
    pub async fn phase(&self, share: f64) {
        let after = self.clip.keyframe_interval().mul_f64(share);
        let mut progress = self.progress.clone();
        let in_time = |progress: &Progress| {
            progress.newest_keyframe.map(|at| at + after).filter(|&due| due > Instant::now())
        };
        let waited = progress.wait_for(|progress| in_time(progress).is_some()).await;
        let due = waited.ok().and_then(|progress| in_time(&progress));
        if let Some(due) = due {
            sleep_until(due.into()).await;
        }
    }

    /// Stops after the next `frames` pictures, stays connected, and says how many were sent in all.
    pub async fn stop_media_after(&self, frames: u64) -> u64 {
        let last = self.progress().frames + frames;
        self.limit.send_replace(last);
        self.sent(last).await;
        self.progress().frames
    }

    /// Waits for the session's end and says why it ended.
    pub async fn ended(&self) -> Arc<ClientError> {
        self.client.ended().await
    }

    /// Ends as a streamer who presses the button, and returns the figures.
    pub async fn finish(self) -> UplinkStats {
        let Self { client, task, .. } = self;
        task.abort();
        // The task holds the other reference until it is gone.
        let _ = task.await;
        match Arc::into_inner(client) {
            Some(client) => client.disconnect().await,
            None => UplinkStats::default(),
        }
    }

    /// Vanishes: sockets closed, nothing said.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn play(
    client: Arc<FtlClient>,
    clip: Arc<Clip>,
    progress: watch::Sender<Progress>,
    mut limits: watch::Receiver<u64>,
) {
    let begun = Instant::now();
    let (mut frame, mut packet) = (0_u64, 0_u64);
    loop {
        let frame_due = Duration::from_nanos(frame * 1_000_000_000 / u64::from(clip.plan.fps));
        let packet_due = Duration::from_millis(20 * packet);
        sleep_until((begun + frame_due.min(packet_due)).into()).await;
        if frame >= *limits.borrow() {
            // Stands still until it may go on, which no scenario asks for.
            let _ = limits.changed().await;
            continue;
        }
        let sent = if packet_due <= frame_due {
            let sound = &clip.audio[(packet % clip.audio.len() as u64) as usize];
            packet += 1;
            client.audio(packet_due, sound.clone()).await
        } else {
            let nals = &clip.frames[(frame % clip.frames.len() as u64) as usize];
            let is_keyframe = frame % u64::from(clip.plan.keyint) == 0;
            frame += 1;
            let sent = client.video(frame_due, nals.clone()).await;
            progress.send_modify(|progress| {
                progress.frames = frame;
                if is_keyframe {
                    progress.keyframes += 1;
                    progress.newest_keyframe = Some(Instant::now());
                }
            });
            sent
        };
        if sent.is_err() {
            return;
        }
    }
}
