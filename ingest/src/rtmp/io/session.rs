//! One publisher: its connection, its sound, its seat in the house.

use std::{
    future::pending,
    io,
    net::SocketAddr,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{BoxFuture, FutureExt as _};
use heliograph_relay::TrackDescription;
use rand::RngExt as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};
use tracing::Instrument as _;

use super::Shared;
use crate::{
    auth::{Door, EndReason, PublicationMetadata, SessionId},
    house::{House, Place, PlainKey, Refusal, Seat},
    live::{Live, LiveEvent},
    outlet::Picture,
    rtmp::{
        Feed, Part, StreamKey,
        protocol::{Metadata, Protocol, ProtocolSettings, Step, Tag},
    },
    wait::{finished, sleep_until},
};

/// One connection from its first byte to its end, with everything that belongs to it.
pub(super) struct Session {
    shared: Arc<Shared>,
    remote: SocketAddr,
    id: SessionId,
    protocol: Protocol,
    /// Until the key is proven.
    place: Option<Place>,
    opening: Option<BoxFuture<'static, Result<Seat, Refusal>>>,
    live: Option<Publishing>,
    stopping: bool,
}

/// Set while the session is live.
struct Publishing {
    live: Live,
    feed: Feed,
    metadata: Metadata,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, remote: SocketAddr, place: Place) -> Self {
        let settings = ProtocolSettings {
            handshake_timeout: shared.settings.handshake_timeout,
            random: rand::rng().random(),
        };
        Self {
            shared,
            remote,
            id: SessionId(rand::rng().random()),
            protocol: Protocol::new(Instant::now(), settings),
            place: Some(place),
            opening: None,
            live: None,
            stopping: false,
        }
    }

    pub(super) async fn run(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send) {
        let span = tracing::info_span!("publisher", session = %self.id, remote = %self.remote);
        self.serve(stream).instrument(span).await;
    }

    async fn serve(mut self, mut stream: impl AsyncRead + AsyncWrite + Unpin + Send) {
        tracing::debug!("connected");
        let mut buffer = vec![0; READ];
        while let ControlFlow::Continue(wake) = self.advance(&mut stream).await {
            let shared = &self.shared;
            tokio::select! {
                () = shared.stop.cancelled(), if !self.stopping => {
                    self.stopping = true;
                    self.end(EndReason::ServerShutdown);
                }
                opened = finished(&mut self.opening) => self.on_opened(opened),
                read = stream.read(&mut buffer), if self.protocol.wants_input() => match read {
                    Ok(0) | Err(_) => self.protocol.on_eof(),
                    Ok(length) => self.protocol.on_bytes(Instant::now(), &buffer[..length]),
                },
                event = live_event(self.live.as_mut()) => self.on_live(event),
                () = sleep_until(wake) => self.on_time(),
            }
        }
        close(stream).await;
    }

    /// Does everything that is due; says when to wake up.
    async fn advance(&mut self, stream: &mut (impl AsyncWrite + Unpin)) -> ControlFlow<(), Option<Instant>> {
        loop {
            match self.protocol.next_step() {
                Step::Send(bytes) => {
                    // Answers are short and rare; a peer that does not even read those is none.
                    let written = timeout(WRITE_PATIENCE, async {
                        stream.write_all(&bytes).await?;
                        stream.flush().await
                    });
                    if !matches!(written.await, Ok(Ok(()))) {
                        self.protocol.on_eof();
                    }
                }
                Step::Check(key) => self.check(&key),
                Step::Media(tag) => self.on_tag(&tag).await,
                Step::Metadata(metadata) => self.on_metadata(metadata),
                Step::Ended(reason) => self.on_ended(reason),
                Step::Close => return ControlFlow::Break(()),
                Step::Wait(wait) => {
                    let tick = self.live.as_ref().map(|publishing| publishing.live.next_tick());
                    return ControlFlow::Continue(wait.into_iter().chain(tick).min());
                }
            }
        }
    }

    fn check(&mut self, key: &StreamKey) {
        let Some(place) = self.place.take() else { return self.end(EndReason::Internal) };
        let house = Arc::clone(&self.shared.house);
        let key = key.plain();
        self.opening = Some(open(house, self.id, self.remote, key, place).boxed());
    }

    fn on_opened(&mut self, opened: Result<Seat, Refusal>) {
        let seat = match opened {
            Ok(seat) => seat,
            Err(refusal) => return self.end(refusal.reason),
        };
        let now = Instant::now();
        self.live = Some(Publishing {
            live: Live::new(now, seat, self.shared.settings.opus_bitrate, &self.shared.settings.b_frames),
            feed: Feed::default(),
            metadata: Metadata::default(),
        });
        self.protocol.on_accepted(now);
    }

    fn on_metadata(&mut self, metadata: Metadata) {
        if let Some(live) = &mut self.live {
            tracing::debug!(encoder = %metadata.encoder, "said who it is");
            live.metadata = metadata;
        }
    }

    async fn on_tag(&mut self, tag: &Tag) {
        let Some(Publishing { live, feed, .. }) = &mut self.live else { return };
        let now = Instant::now();
        live.heard(now, tag.body.len());
        for part in feed.parts(tag) {
            match part {
                Part::Unsupported(what) => {
                    tracing::warn!(%what, "publisher cannot be shown");
                    return self.protocol.close(EndReason::UnsupportedMedia, &what.to_string());
                }
                Part::Configuration { layer, track, codec, sets } => {
                    live.configure_video(layer, &track.to_string(), codec, sets).await;
                }
                part => on_part(live, now, part),
            }
        }
        if live.b_frames_forbidden() {
            let words = "B-frames are not allowed here: set them to 0 in the encoder";
            self.protocol.close(EndReason::UnsupportedMedia, words);
        }
    }

    fn on_live(&mut self, event: LiveEvent) {
        let Some(Publishing { live, .. }) = &mut self.live else { return };
        if let Some(reason) = live.on_event(event) {
            self.end(reason);
        }
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        self.protocol.on_deadline(now);
        let round_trip = self.protocol.round_trip();
        let Some(Publishing { live, feed, metadata }) = &mut self.live else { return };
        let said = PublicationMetadata {
            vendor_name: metadata.encoder.clone(),
            video_width: metadata.width,
            video_height: metadata.height,
            discarded: feed.broken(),
            tracks_left_out: u32::try_from(feed.left_out()).unwrap_or(u32::MAX),
            round_trip,
            ..PublicationMetadata::default()
        };
        if let Some(reason) = live.on_time(now, self.shared.settings.media_timeout, said) {
            self.end(reason);
        }
    }

    fn end(&mut self, reason: EndReason) {
        self.protocol.close(reason, goodbye(reason));
    }

    /// The session is over, though the last words are still to be sent.
    fn on_ended(&mut self, reason: EndReason) {
        // Whoever is still being checked or seated leaves by being dropped.
        self.opening = None;
        let Some(Publishing { live, feed, .. }) = self.live.take() else {
            tracing::debug!(%reason, "ended before it was live");
            return;
        };
        live.end(reason, feed.broken());
    }
}

fn on_part(live: &mut Live, now: Instant, part: Part<'_>) {
    match part {
        Part::Picture { layer, show, key, units } => {
            live.picture(now, layer, Picture { show, key, units: &units });
        }
        Part::AacConfiguration(configuration) => live.aac_configuration(configuration),
        Part::Aac(at, frame) => live.aac(at, frame),
        Part::Opus(at, packet) => live.opus(now, at, packet),
        Part::PicturesJumped(layer) => live.video_jumped(layer),
        Part::SoundJumped => live.audio_jumped(),
        Part::LeftOut(why) => tracing::warn!(%why, "a track does not reach viewers"),
        // Done before.
        Part::Configuration { .. } | Part::Unsupported(_) => {}
    }
}

/// Shows the key, then takes the channel. What will be sent is known only later; viewers are offered both.
async fn open(
    house: Arc<House>,
    id: SessionId,
    remote: SocketAddr,
    key: Option<PlainKey>,
    place: Place,
) -> Result<Seat, Refusal> {
    let guest = house.admit_key(id, Door::Rtmp, remote, key.as_ref(), place).await?;
    guest.sit(TrackDescription::defaults(), None).await
}

/// What the encoder's user reads.
fn goodbye(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Denied => "wrong stream key or channel",
        EndReason::NoVerdict => "the stream key cannot be checked now",
        EndReason::ChannelInUse => "the channel is live already",
        EndReason::RelayUnavailable => "no relay",
        EndReason::TakenOver => "taken over by another publisher",
        EndReason::ServerShutdown => "the server is shutting down",
        EndReason::BitrateTooHigh => "the bitrate is above the channel's limit",
        EndReason::ForeignNetwork => "publishing is not allowed from this network",
        EndReason::EndedByStreamer => "ended by the streamer; the channel is closed for a while",
        EndReason::NoMedia | EndReason::Silent => "no media for too long",
        _ => "internal error",
    }
}

/// Waits for the seat or for sound.
async fn live_event(live: Option<&mut Publishing>) -> LiveEvent {
    match live {
        Some(publishing) => publishing.live.event().await,
        None => pending().await,
    }
}

/// Says that there will be no more and reads what is still coming: closing over unread bytes would send a reset, which
/// may overtake the last words.
async fn close(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let _ = timeout(LINGER, async {
        stream.shutdown().await?;
        let mut buffer = vec![0; READ];
        while stream.read(&mut buffer).await? > 0 {}
        io::Result::Ok(())
    })
    .await;
}

const READ: usize = 16 << 10;
const WRITE_PATIENCE: Duration = Duration::from_secs(1);
const LINGER: Duration = Duration::from_secs(1);
