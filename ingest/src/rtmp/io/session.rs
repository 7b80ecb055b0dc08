//! One publisher: its connection, its sound, its seat in the house.

use std::{
    future::pending,
    io,
    net::SocketAddr,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::{BoxFuture, FutureExt as _};
use heliograph_audio::OpusFrame;
use heliograph_media::NtpTime;
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
    house::{House, Place, PlainKey, Refusal, Seat, SeatEvent},
    outlet::{Outlet, Picture},
    rtmp::{
        BFrames, Feed, Part, StreamKey,
        opus_clock::OpusClock,
        protocol::{Metadata, Protocol, ProtocolSettings, Step, Tag, TagKind},
    },
    transcode::AudioThread,
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
    live: Option<Live>,
    stopping: bool,
}

/// Set while the session is live.
struct Live {
    seat: Seat,
    feed: Feed,
    outlet: Outlet,
    /// With the first AAC.
    audio: Option<AudioThread>,
    aac: Option<Vec<u8>>,
    opus: OpusClock,
    metadata: Metadata,
    audio_codec: &'static str,
    has_video: bool,
    tags: u64,
    bytes: u64,
    bytes_at_tick: u64,
    bitrate: u64,
    last_media: Instant,
    next_tick: Instant,
    told_of_b_frames: bool,
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
                Step::Media(tag) => self.on_tag(&tag),
                Step::Metadata(metadata) => self.on_metadata(metadata),
                Step::Ended(reason) => self.on_ended(reason),
                Step::Close => return ControlFlow::Break(()),
                Step::Wait(wait) => {
                    let tick = self.live.as_ref().map(|live| live.next_tick);
                    return ControlFlow::Continue(wait.into_iter().chain(tick).min());
                }
            }
        }
    }

    fn check(&mut self, key: &StreamKey) {
        let Some(place) = self.place.take() else { return self.end(EndReason::Internal) };
        let house = Arc::clone(&self.shared.house);
        let key = plain_key(key);
        self.opening = Some(open(house, self.id, self.remote, key, place).boxed());
    }

    fn on_opened(&mut self, opened: Result<Seat, Refusal>) {
        let seat = match opened {
            Ok(seat) => seat,
            Err(refusal) => return self.end(refusal.reason),
        };
        let now = Instant::now();
        let wall_clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.live = Some(Live {
            seat,
            feed: Feed::default(),
            outlet: Outlet::new(NtpTime::from_unix(wall_clock), Box::new(|| rand::rng().random())),
            audio: None,
            aac: None,
            opus: OpusClock::default(),
            metadata: Metadata::default(),
            audio_codec: "",
            has_video: false,
            tags: 0,
            bytes: 0,
            bytes_at_tick: 0,
            bitrate: 0,
            last_media: now,
            next_tick: now + TICK,
            told_of_b_frames: false,
        });
        self.protocol.on_accepted(now);
    }

    fn on_metadata(&mut self, metadata: Metadata) {
        if let Some(live) = &mut self.live {
            tracing::debug!(encoder = %metadata.encoder, "said who it is");
            live.metadata = metadata;
        }
    }

    fn on_tag(&mut self, tag: &Tag) {
        let Some(live) = &mut self.live else { return };
        let now = Instant::now();
        live.last_media = now;
        live.seat.heard(now);
        live.tags += 1;
        live.bytes += tag.body.len() as u64;
        for part in live.feed.parts(tag) {
            match part {
                Part::Unsupported(what) => {
                    tracing::warn!(%what, "publisher cannot be shown");
                    return self.protocol.close(EndReason::UnsupportedMedia, &what.to_string());
                }
                part => live.on_part(now, part, self.shared.settings.opus_bitrate),
            }
        }
        if live.outlet.reordered() && !live.told_of_b_frames {
            live.told_of_b_frames = true;
            tracing::warn!("the publisher sends B-frames: pictures will judder; they should be off");
            if self.shared.settings.b_frames == BFrames::Refuse {
                let words = "B-frames are not allowed here: set them to 0 in the encoder";
                self.protocol.close(EndReason::UnsupportedMedia, words);
            }
        }
    }

    fn on_live(&mut self, event: LiveEvent) {
        match event {
            LiveEvent::Seat(SeatEvent::End(reason)) => self.end(reason),
            LiveEvent::Seat(SeatEvent::Readable) => {
                let Some(live) = &mut self.live else { return };
                let mut buffer = [0; MAX_DATAGRAM];
                for _ in 0..MAX_BATCH {
                    // Wishes for keyframes and lost packets, which RTMP cannot pass on.
                    if live.seat.receive(&mut buffer).is_none() {
                        break;
                    }
                }
            }
            LiveEvent::Sound(frame) => {
                let Some(Live { outlet, seat, .. }) = &mut self.live else { return };
                outlet.sound(Instant::now(), frame.at, &frame.payload, &mut |datagram| seat.send(datagram));
            }
        }
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        self.protocol.on_deadline(now);
        let round_trip = self.protocol.round_trip();
        let Some(live) = &mut self.live else { return };
        if now < live.next_tick {
            return;
        }
        live.next_tick = now + TICK;
        if now.saturating_duration_since(live.last_media) >= self.shared.settings.media_timeout {
            return self.end(EndReason::NoMedia);
        }
        let metadata = live.report(now, round_trip);
        if let Some(reason) = live.seat.tick(now, metadata) {
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
        let Some(live) = self.live.take() else {
            tracing::debug!(%reason, "ended before it was live");
            return;
        };
        let late = live.audio.as_ref().map_or(0, AudioThread::dropped);
        tracing::debug!(tags = live.tags, broken = live.feed.broken(), late, "media at the end");
        live.seat.end(reason, live.bytes);
    }
}

impl Live {
    fn on_part(&mut self, now: Instant, part: Part<'_>, opus_bitrate: u32) {
        let Self { seat, outlet, .. } = self;
        match part {
            Part::ParameterSets(sets) => outlet.set_parameters(sets),
            Part::Picture { show, key, units } => {
                self.has_video = true;
                let picture = Picture { show, key, units: &units };
                outlet.picture(now, picture, &mut |datagram| seat.send(datagram));
            }
            Part::AacConfiguration(configuration) => {
                self.audio_codec = "AAC";
                // Some encoders repeat it.
                if self.aac.as_deref() != Some(configuration) {
                    self.aac = Some(configuration.to_vec());
                    self.configure_audio(opus_bitrate);
                }
            }
            Part::Aac(at, frame) => {
                if let Some(audio) = &mut self.audio {
                    audio.push(at, frame);
                }
            }
            Part::Opus(at, packet) => {
                self.audio_codec = "OPUS";
                if let Some(at) = self.opus.place(at, packet) {
                    outlet.sound(now, at, packet, &mut |datagram| seat.send(datagram));
                }
            }
            Part::Jump(TagKind::Video) => {
                tracing::info!("the publisher's clock of pictures jumped");
                outlet.restart_video();
            }
            Part::Jump(TagKind::Audio) => {
                tracing::info!("the publisher's clock of sound jumped");
                outlet.restart_audio();
                self.opus = OpusClock::default();
                // A new thread: the old one may still have sound of before.
                self.audio = None;
                self.configure_audio(opus_bitrate);
            }
            Part::OtherTrack(kind, number) => {
                tracing::info!(?kind, number, "another track is not relayed: viewers get track 0");
            }
            Part::Unsupported(_) => {}
        }
    }

    fn configure_audio(&mut self, opus_bitrate: u32) {
        let Some(configuration) = &self.aac else { return };
        if self.audio.is_none() {
            self.audio = AudioThread::start(opus_bitrate);
        }
        match &mut self.audio {
            Some(audio) => audio.configure(configuration),
            None => tracing::error!("no thread for sound"),
        }
    }

    fn report(&mut self, now: Instant, round_trip: Option<Duration>) -> PublicationMetadata {
        let bits = (self.bytes - self.bytes_at_tick) * 8 * 1_000 / TICK.as_millis() as u64;
        self.bytes_at_tick = self.bytes;
        // About the last two seconds.
        self.bitrate = if self.bitrate == 0 { bits } else { (self.bitrate * 3 + bits) / 4 };
        let said = (self.metadata.width, self.metadata.height);
        let (video_width, video_height) = self.outlet.picture_size().unwrap_or(said);
        PublicationMetadata {
            vendor_name: self.metadata.encoder.clone(),
            video_codec: if self.has_video { "H264" } else { "" },
            audio_codec: self.audio_codec,
            video_width,
            video_height,
            stream_time: now.saturating_duration_since(self.seat.since()),
            packets: self.tags,
            discarded: self.feed.broken(),
            bitrate_bps: self.bitrate,
            round_trip,
            ..PublicationMetadata::default()
        }
    }
}

/// A key that can be one: the house slows down whoever has none.
fn plain_key(key: &StreamKey) -> Option<PlainKey> {
    let channel = match key.channel() {
        Some(name) => Some(name.parse().ok()?),
        None => None,
    };
    PlainKey::parse(channel, key.reveal())
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

enum LiveEvent {
    Seat(SeatEvent),
    Sound(OpusFrame),
}

/// Waits for the seat or for sound.
async fn live_event(live: Option<&mut Live>) -> LiveEvent {
    let Some(live) = live else { return pending().await };
    let sound = async {
        match &mut live.audio {
            Some(audio) => audio.next().await,
            None => pending().await,
        }
    };
    tokio::select! {
        event = live.seat.event() => LiveEvent::Seat(event),
        frame = sound => LiveEvent::Sound(frame),
    }
}

/// Waits for a future that may not be there; when it is done, it is not there any more.
async fn finished<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    let Some(running) = future else { return pending().await };
    let result = running.await;
    *future = None;
    result
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
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
const MAX_DATAGRAM: usize = 2048;
const MAX_BATCH: usize = 64;
const TICK: Duration = Duration::from_millis(500);
const WRITE_PATIENCE: Duration = Duration::from_secs(1);
const LINGER: Duration = Duration::from_secs(1);
