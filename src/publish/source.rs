//! Where the media comes from: ffmpeg as a child, or somebody else's RTP on loopback.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU16,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use heliograph_media::rtcp::is_rtcp;
use tokio::{
    net::{UdpSocket, UnixDatagram},
    sync::mpsc,
    task::JoinHandle,
};

use super::{
    args::PublishArgs,
    ffmpeg::{self, Ffmpeg, FileFacts},
    frames::{AudioFrames, Frame, VideoFrames},
    recipe::{self, Recipe},
};

/// Frames between the source and the uplink: a quarter of a second.
const QUEUE: usize = 64;
/// Largest datagram looked at.
const MAX_DATAGRAM: usize = 65_536;

/// A source that is known to exist, and what it holds.
#[derive(Debug)]
pub(super) enum Plan {
    TestPicture,
    File(PathBuf, FileFacts),
    Live { video: Option<NonZeroU16>, audio: Option<NonZeroU16> },
}

impl Plan {
    /// Looks at what the flags ask for.
    pub(super) async fn make(args: &PublishArgs) -> anyhow::Result<Self> {
        if let Some(file) = &args.file {
            let facts = ffmpeg::look_into(file).await?;
            return Ok(Self::File(file.clone(), facts));
        }
        if args.rtp_video.is_some() || args.rtp_audio.is_some() {
            return Ok(Self::Live { video: args.rtp_video, audio: args.rtp_audio });
        }
        Ok(Self::TestPicture)
    }

    pub(super) fn has_video(&self) -> bool {
        match self {
            Self::TestPicture => true,
            Self::File(_, facts) => facts.video.is_some(),
            Self::Live { video, .. } => video.is_some(),
        }
    }

    pub(super) fn has_audio(&self) -> bool {
        match self {
            Self::TestPicture => true,
            Self::File(_, facts) => facts.audio.is_some(),
            Self::Live { audio, .. } => audio.is_some(),
        }
    }
}

/// A running source.
#[derive(Debug)]
pub(super) struct Source {
    frames: mpsc::Receiver<Frame>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Source {
    pub(super) async fn start(plan: &Plan, args: &PublishArgs) -> anyhow::Result<Self> {
        let (out, frames) = mpsc::channel(QUEUE);
        let task = match plan {
            Plan::TestPicture => tokio::spawn(encode(recipe::test_picture(args), out)),
            Plan::File(path, facts) => tokio::spawn(encode(recipe::file(args, path, facts), out)),
            Plan::Live { video, audio } => {
                let (video, audio) = (bind(*video).await?, bind(*audio).await?);
                tokio::spawn(listen(video, audio, out))
            }
        };
        Ok(Self { frames, task })
    }

    /// The next frame; `None` when the source is over.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        self.frames.recv().await
    }

    /// How the source ended.
    pub(super) async fn outcome(mut self) -> anyhow::Result<()> {
        self.frames.close();
        (&mut self.task).await.context("the source's task")?
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs ffmpeg and forwards what it makes, until it ends or nobody listens.
async fn encode(recipe: Recipe, out: mpsc::Sender<Frame>) -> anyhow::Result<()> {
    let mut ffmpeg = Ffmpeg::start(&recipe.inputs, recipe.video.as_ref(), recipe.audio.as_ref())?;
    let (video, audio) = (ffmpeg.video.take(), ffmpeg.audio.take());
    let mut media = Media::new(recipe.parameters);
    let (mut video_packet, mut audio_packet) = (vec![0; MAX_DATAGRAM], vec![0; MAX_DATAGRAM]);
    let outcome = loop {
        tokio::select! {
            // The end comes last: what ffmpeg sent before it is still in the sockets.
            biased;
            len = receive(video.as_ref(), &mut video_packet) => media.video(&video_packet[..len?], recipe.video_start),
            len = receive(audio.as_ref(), &mut audio_packet) => media.audio(&audio_packet[..len?], recipe.audio_start),
            outcome = ffmpeg.finished() => break outcome,
        }
        if !media.hand_over(&out).await {
            break Ok(());
        }
    };
    media.warn_of_losses();
    outcome
}

/// Forwards RTP from loopback ports for as long as somebody listens. The two media are aligned by the arrival
/// of their first packets.
async fn listen(
    video: Option<UdpSocket>,
    audio: Option<UdpSocket>,
    out: mpsc::Sender<Frame>,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut media = Media::new(Vec::new());
    let (mut video_packet, mut audio_packet) = (vec![0; MAX_DATAGRAM], vec![0; MAX_DATAGRAM]);
    loop {
        tokio::select! {
            len = receive(video.as_ref(), &mut video_packet) => media.video(&video_packet[..len?], begun.elapsed()),
            len = receive(audio.as_ref(), &mut audio_packet) => media.audio(&audio_packet[..len?], begun.elapsed()),
            () = out.closed() => {}
        }
        if !media.hand_over(&out).await {
            media.warn_of_losses();
            return Ok(());
        }
    }
}

async fn bind(port: Option<NonZeroU16>) -> anyhow::Result<Option<UdpSocket>> {
    let Some(port) = port else { return Ok(None) };
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port.get()));
    let socket = UdpSocket::bind(addr).await.with_context(|| format!("cannot take RTP on {addr}/udp"))?;
    Ok(Some(socket))
}

/// Either kind of socket that RTP may come from.
trait Datagrams {
    async fn receive(&self, buffer: &mut [u8]) -> std::io::Result<usize>;
}

impl Datagrams for UnixDatagram {
    async fn receive(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.recv(buffer).await
    }
}

impl Datagrams for UdpSocket {
    async fn receive(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.recv(buffer).await
    }
}

/// The next datagram; never comes back without a socket.
async fn receive<S: Datagrams>(socket: Option<&S>, buffer: &mut [u8]) -> anyhow::Result<usize> {
    match socket {
        Some(socket) => Ok(socket.receive(buffer).await?),
        None => std::future::pending().await,
    }
}

/// The two media of a source and the frames they gave.
struct Media {
    video: VideoFrames,
    audio: AudioFrames,
    ready: Vec<Frame>,
    /// The warning about missing parameter sets was given.
    warned: bool,
}

impl Media {
    fn new(parameters: Vec<Bytes>) -> Self {
        Self {
            video: VideoFrames::new(parameters),
            audio: AudioFrames::new(),
            ready: Vec::new(),
            warned: false,
        }
    }

    fn video(&mut self, packet: &[u8], first_due: Duration) {
        if !is_rtcp(packet) {
            self.video.push(packet, first_due, &mut self.ready);
            if self.video.bare_keyframes() > 0 && !self.warned {
                self.warned = true;
                tracing::warn!(
                    "keyframes come without their parameter sets, and nothing can be sent; give ffmpeg \
                     `-bsf:v h264_mp4toannexb` when it copies"
                );
            }
        }
    }

    fn audio(&mut self, packet: &[u8], first_due: Duration) {
        if !is_rtcp(packet) {
            self.audio.push(packet, first_due, &mut self.ready);
        }
    }

    /// Sends what is ready; `false` when nobody listens any more.
    async fn hand_over(&mut self, out: &mpsc::Sender<Frame>) -> bool {
        for frame in self.ready.drain(..) {
            if out.send(frame).await.is_err() {
                return false;
            }
        }
        !out.is_closed()
    }

    fn warn_of_losses(&self) {
        if self.video.broken() > 0 {
            tracing::warn!(
                broken = self.video.broken(),
                "packets or NAL units of the source could not be used"
            );
        }
    }
}
