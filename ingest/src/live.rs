//! A publisher that is live, for doors whose publishers do not send RTP themselves: its seat, its sound, its figures.

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use heliograph_audio::OpusFrame;
use heliograph_media::{ClockRate, Codec, NtpTime, PayloadType};
use heliograph_relay::TrackDescription;
use rand::RngExt as _;

use crate::{
    auth::{EndReason, PublicationMetadata},
    house::{Seat, SeatEvent},
    layers::{self, Layer},
    outlet::{LongestWait, OpusClock, Outlet, Pace, Picture, Waiting},
    reencode::{Encoded, Reencoders, Stage, StageEvent},
    rtmp::flv::nal_units,
    transcode::AudioThread,
    uplink::Jitter,
    wait::sleep_until,
};

/// What becomes of publishers with B-frames. Browsers show a live stream's pictures as they come, so pictures in another
/// order than they are shown in judder.
#[derive(Clone, Debug, Default)]
pub enum BFrames {
    /// They are let through, and the log says so.
    #[default]
    Warn,
    /// They are told to turn B-frames off.
    Refuse,
    /// Their pictures are encoded anew when they are H.264. When that does not work, they are let through.
    Reencode(Arc<Reencoders>),
}

/// Set while a session is live.
pub(crate) struct Live {
    seat: Seat,
    outlet: Outlet,
    /// Where B-frames are to be taken out.
    stage: Option<Stage>,
    refuses_b_frames: bool,
    /// One for all: layers go on together, as far as they come together.
    pace: Pace,
    /// What comes too early to go on.
    pictures: [Waiting; Layer::MOST],
    sounds: Waiting,
    /// What the layers are called that the relay was told of; empty until there are several.
    layers: Vec<String>,
    held: LongestWait,
    opus_bitrate: u32,
    /// With the first AAC.
    audio: Option<AudioThread>,
    aac: Option<Vec<u8>>,
    opus: OpusClock,
    audio_codec: &'static str,
    has_video: bool,
    packets: u64,
    bytes: u64,
    bytes_at_tick: u64,
    bitrate: u64,
    last_media: Instant,
    next_tick: Instant,
    told_of_b_frames: bool,
    sound_jitter: Jitter,
    picture_jitter: Jitter,
}

/// Something for [`Live::on_event`].
pub(crate) enum LiveEvent {
    Seat(SeatEvent),
    Sound(OpusFrame),
    Stage(StageEvent),
    /// The time of something that waits has come.
    Due,
}

impl Live {
    /// `opus_bitrate` is what Opus made from AAC aims at, bits per second.
    pub(crate) fn new(now: Instant, seat: Seat, opus_bitrate: u32, b_frames: &BFrames) -> Self {
        let wall_clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            seat,
            outlet: Outlet::new(NtpTime::from_unix(wall_clock), Box::new(|| rand::rng().random())),
            stage: match b_frames {
                BFrames::Reencode(reencoders) => Some(Stage::new(Arc::clone(reencoders))),
                BFrames::Warn | BFrames::Refuse => None,
            },
            refuses_b_frames: matches!(b_frames, BFrames::Refuse),
            pace: Pace::default(),
            pictures: Default::default(),
            sounds: Waiting::default(),
            layers: Vec::new(),
            held: LongestWait::default(),
            opus_bitrate,
            audio: None,
            aac: None,
            opus: OpusClock::default(),
            audio_codec: "",
            has_video: false,
            packets: 0,
            bytes: 0,
            bytes_at_tick: 0,
            bitrate: 0,
            last_media: now,
            next_tick: now + TICK,
            told_of_b_frames: false,
            sound_jitter: Jitter::new(ClockRate::VIDEO),
            picture_jitter: Jitter::new(ClockRate::VIDEO),
        }
    }

    /// A packet, message or tag of media came, whatever is in it.
    pub(crate) fn heard(&mut self, now: Instant, bytes: usize) {
        self.last_media = now;
        self.seat.heard(now);
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    pub(crate) fn picture(&mut self, now: Instant, layer: Layer, picture: Picture<'_>) {
        self.has_video = true;
        if layer == Layer::FIRST {
            self.picture_jitter.on_time(now, picture.show);
        }
        let stage = self.stage.as_mut().filter(|_| layer == Layer::FIRST);
        let is_taken = stage.is_some_and(|stage| stage.take(now, picture));
        if !is_taken {
            self.show(now, layer, picture, true);
        }
    }

    /// Without its `pace`, a picture goes on at once, and nobody waits for it.
    fn show(&mut self, now: Instant, layer: Layer, picture: Picture<'_>, paced: bool) {
        let Self { seat, outlet, pace, pictures, held, .. } = self;
        // Pictures in another order than they are shown in have no even pace.
        let due = if outlet.is_reordered(layer) || !paced { now } else { pace.due(now, picture.show) };
        held.note(due.saturating_duration_since(now));
        let waiting = &mut pictures[layer.index()];
        outlet.picture(now, layer, picture, &mut |datagram| {
            waiting.pass(now, due, datagram, &mut |datagram| seat.send(datagram));
        });
    }

    /// How the publisher's pictures are coded.
    pub(crate) fn codec(&self) -> Codec {
        self.outlet.codec()
    }

    /// How the pictures of a layer are coded that follow; all layers are coded alike. The relay is told when the codec or
    /// the layer is new, before the first of them. When the first layer comes in another codec, all others are gone.
    pub(crate) async fn configure_video(&mut self, layer: Layer, name: &str, codec: Codec, sets: Vec<Bytes>) {
        let other_codec = layer == Layer::FIRST && codec != self.outlet.codec();
        if other_codec {
            tracing::info!(%codec, "pictures are in another codec");
            self.layers.truncate(1);
        }
        let other_name = self.layers.get(layer.index()).is_none_or(|known| known != name);
        match self.layers.get_mut(layer.index()) {
            Some(known) => name.clone_into(known),
            None => self.layers.push(name.to_owned()),
        }
        if other_codec || other_name && layer != Layer::FIRST {
            self.describe(codec).await;
        }
        if layer != Layer::FIRST {
            if other_name {
                tracing::info!(name, layers = self.layers.len(), "the picture comes in several layers");
                // Whoever had this place before was another one.
                self.outlet.restart_pictures(layer);
            }
            if let Some(stage) = &mut self.stage {
                stage.leave_to_layers();
            }
            return self.outlet.configure(layer, codec, sets);
        }
        if let Some(stage) = &mut self.stage {
            stage.configure(codec, sets.clone());
            if stage.is_encoding() {
                // Viewers get pictures with other parameter sets.
                return;
            }
        }
        self.outlet.configure(layer, codec, sets);
    }

    async fn describe(&mut self, codec: Codec) {
        let names = if self.layers.len() > 1 { &self.layers[..] } else { &[] };
        let video = layers::picture(codec, names);
        self.seat.describe(vec![video, TrackDescription::opus(PayloadType::OPUS)]).await;
    }

    fn on_stage(&mut self, event: StageEvent) {
        match event {
            StageEvent::Restart(sets) | StageEvent::GivenUp(sets) => {
                self.outlet.restart_pictures(Layer::FIRST);
                self.outlet.configure(Layer::FIRST, Codec::H264, sets);
            }
            StageEvent::Picture { encoded: Encoded { show, key, body }, late } => {
                // What waited until the encoder had started is not what sound waits for.
                if let Ok(units) = nal_units(&body, 4) {
                    let picture = Picture { show, key, units: &units };
                    self.show(Instant::now(), Layer::FIRST, picture, !late);
                }
            }
        }
    }

    /// AudioSpecificConfig of the AAC that follows. Some encoders repeat it.
    pub(crate) fn aac_configuration(&mut self, configuration: &[u8]) {
        self.audio_codec = "AAC";
        if self.aac.as_deref() != Some(configuration) {
            self.aac = Some(configuration.to_vec());
            self.configure_audio();
        }
    }

    /// One AAC frame, and when it is to be heard.
    pub(crate) fn aac(&mut self, at: Duration, frame: &[u8]) {
        self.sound_jitter.on_time(self.last_media, at);
        if let Some(audio) = &mut self.audio {
            audio.push(at, frame);
        }
    }

    /// One Opus packet, and when it is to be heard.
    pub(crate) fn opus(&mut self, now: Instant, at: Duration, packet: &[u8]) {
        self.audio_codec = "OPUS";
        self.sound_jitter.on_time(now, at);
        if let Some(at) = self.opus.place(at, packet) {
            self.sound(now, at, packet);
        }
    }

    /// One Opus packet that is to be heard `at` samples (48 kHz) after the media clock's zero.
    fn sound(&mut self, now: Instant, at: u64, packet: &[u8]) {
        let Self { seat, outlet, pace, sounds, .. } = self;
        let due = pace.due(now, ClockRate::OPUS.duration(at));
        outlet.sound(now, at, packet, &mut |datagram| {
            sounds.pass(now, due, datagram, &mut |datagram| seat.send(datagram));
        });
    }

    /// The publisher's clock of a layer's pictures jumped.
    pub(crate) fn video_jumped(&mut self, layer: Layer) {
        tracing::info!("the publisher's clock of pictures jumped");
        self.pace = Pace::default();
        if let Some(stage) = self.stage.as_mut().filter(|_| layer == Layer::FIRST) {
            stage.jumped();
        }
        self.outlet.restart_pictures(layer);
    }

    /// The publisher's clock of sound jumped.
    pub(crate) fn audio_jumped(&mut self) {
        tracing::info!("the publisher's clock of sound jumped");
        self.pace = Pace::default();
        self.outlet.restart_audio();
        self.opus = OpusClock::default();
        // A new thread: the old one may still have sound of before.
        self.audio = None;
        self.configure_audio();
    }

    fn configure_audio(&mut self) {
        let Some(configuration) = &self.aac else { return };
        if self.audio.is_none() {
            self.audio = AudioThread::start(self.opus_bitrate);
        }
        match &mut self.audio {
            Some(audio) => audio.configure(configuration),
            None => tracing::error!("no thread for sound"),
        }
    }

    /// Whether B-frames came that are not allowed; `true` once.
    pub(crate) fn b_frames_forbidden(&mut self) -> bool {
        // Those that begin before the first keyframe are a matter of the stage.
        let is_stage_at_it = self.outlet.codec() == Codec::H264
            && self.stage.as_ref().is_some_and(|stage| !stage.has_given_up());
        if !self.outlet.reordered() || self.told_of_b_frames || is_stage_at_it {
            return false;
        }
        self.told_of_b_frames = true;
        if self.refuses_b_frames {
            tracing::warn!("the publisher sends B-frames, which are refused here; they should be off");
        } else {
            // The relay sees them as well, warns the streamer, and says it once in the log.
            tracing::debug!("the publisher sends B-frames: pictures will judder; they should be off");
        }
        self.refuses_b_frames
    }

    /// Waits for the seat, for sound, or for the time to go on. Safe to drop and to call again.
    pub(crate) async fn event(&mut self) -> LiveEvent {
        let sound = async {
            match &mut self.audio {
                Some(audio) => audio.next().await,
                None => pending().await,
            }
        };
        let stage = async {
            match &mut self.stage {
                Some(stage) => stage.event().await,
                None => pending().await,
            }
        };
        let due = self.pictures.iter().chain([&self.sounds]).filter_map(Waiting::next).min();
        tokio::select! {
            event = self.seat.event() => LiveEvent::Seat(event),
            frame = sound => LiveEvent::Sound(frame),
            event = stage => LiveEvent::Stage(event),
            () = sleep_until(due) => LiveEvent::Due,
        }
    }

    /// Some when the session must end.
    pub(crate) fn on_event(&mut self, event: LiveEvent) -> Option<EndReason> {
        match event {
            LiveEvent::Seat(SeatEvent::End(reason)) => return Some(reason),
            LiveEvent::Seat(SeatEvent::Readable) => {
                let mut buffer = [0; MAX_DATAGRAM];
                for _ in 0..MAX_BATCH {
                    // Wishes for keyframes and lost packets, which cannot be passed on.
                    if self.seat.receive(&mut buffer).is_none() {
                        break;
                    }
                }
            }
            LiveEvent::Stage(event) => self.on_stage(event),
            LiveEvent::Sound(frame) => self.sound(Instant::now(), frame.at, &frame.payload),
            LiveEvent::Due => {
                let now = Instant::now();
                let Self { seat, pictures, sounds, .. } = self;
                for waiting in [sounds].into_iter().chain(pictures) {
                    waiting.flush(now, &mut |datagram| seat.send(datagram));
                }
            }
        }
        None
    }

    /// When [`Self::on_time`] has something to do.
    pub(crate) fn next_tick(&self) -> Instant {
        self.next_tick
    }

    /// Reports how it goes when that is due: `said` is what the door knows, the rest is filled in here. Some when the
    /// session must end.
    pub(crate) fn on_time(
        &mut self,
        now: Instant,
        media_timeout: Duration,
        said: PublicationMetadata,
    ) -> Option<EndReason> {
        if now < self.next_tick {
            return None;
        }
        self.next_tick = now + TICK;
        if now.saturating_duration_since(self.last_media) >= media_timeout {
            return Some(EndReason::NoMedia);
        }
        let bits = (self.bytes - self.bytes_at_tick) * 8 * 1_000 / TICK.as_millis() as u64;
        self.bytes_at_tick = self.bytes;
        // About the last two seconds.
        self.bitrate = if self.bitrate == 0 { bits } else { (self.bitrate * 3 + bits) / 4 };
        let (video_width, video_height) =
            self.outlet.picture_size().unwrap_or((said.video_width, said.video_height));
        let metadata = PublicationMetadata {
            video_codec: match self.outlet.codec() {
                _ if !self.has_video => "",
                Codec::H265 => "H265",
                Codec::Av1 => "AV1",
                _ => "H264",
            },
            audio_codec: self.audio_codec,
            video_width,
            video_height,
            stream_time: now.saturating_duration_since(self.seat.since()),
            packets: self.packets,
            bitrate_bps: self.bitrate,
            // Pictures with B-frames come in another order than they are shown in.
            jitter: self.sound_jitter.get().or(self.picture_jitter.get()),
            reencoded: self.stage.as_ref().is_some_and(Stage::is_encoding),
            held: said.held + self.held.take(),
            ..said
        };
        self.seat.tick(now, metadata)
    }

    /// Leaves the channel. `broken` is what could not be read.
    pub(crate) fn end(self, reason: EndReason, broken: u64) {
        let late = self.audio.as_ref().map_or(0, AudioThread::dropped);
        let left_out = self.stage.as_ref().map_or(0, Stage::left_out);
        tracing::debug!(packets = self.packets, broken, late, left_out, "media at the end");
        self.seat.end(reason, self.bytes);
    }
}

const MAX_DATAGRAM: usize = 2048;
const MAX_BATCH: usize = 64;
const TICK: Duration = Duration::from_millis(500);
