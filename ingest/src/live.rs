//! A publisher that is live, for doors whose publishers do not send RTP themselves: its seat, its sound, its figures.

use std::{
    future::pending,
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
    outlet::{OpusClock, Outlet, Pace, Picture, Waiting},
    transcode::AudioThread,
    wait::sleep_until,
};

/// What becomes of publishers with B-frames. Browsers show a live stream's pictures as they come, so pictures in another
/// order than they are shown in judder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BFrames {
    /// They are let through, and the log says so.
    #[default]
    Warn,
    /// They are told to turn B-frames off.
    Refuse,
}

/// Set while a session is live.
pub(crate) struct Live {
    seat: Seat,
    pub(crate) outlet: Outlet,
    pace: Pace,
    /// What comes too early to go on.
    pictures: Waiting,
    sounds: Waiting,
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
}

/// Something for [`Live::on_event`].
pub(crate) enum LiveEvent {
    Seat(SeatEvent),
    Sound(OpusFrame),
    /// The time of something that waits has come.
    Due,
}

impl Live {
    /// `opus_bitrate` is what Opus made from AAC aims at, bits per second.
    pub(crate) fn new(now: Instant, seat: Seat, opus_bitrate: u32) -> Self {
        let wall_clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            seat,
            outlet: Outlet::new(NtpTime::from_unix(wall_clock), Box::new(|| rand::rng().random())),
            pace: Pace::default(),
            pictures: Waiting::default(),
            sounds: Waiting::default(),
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
        }
    }

    /// A packet, message or tag of media came, whatever is in it.
    pub(crate) fn heard(&mut self, now: Instant, bytes: usize) {
        self.last_media = now;
        self.seat.heard(now);
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    pub(crate) fn picture(&mut self, now: Instant, picture: Picture<'_>) {
        self.has_video = true;
        let Self { seat, outlet, pace, pictures, .. } = self;
        // Pictures in another order than they are shown in have no even pace.
        let due = if outlet.reordered() { now } else { pace.due(now, picture.show) };
        outlet.picture(now, picture, &mut |datagram| {
            pictures.pass(now, due, datagram, &mut |datagram| seat.send(datagram));
        });
    }

    /// How the pictures are coded that follow. The relay is told when that is new, before the first of them.
    pub(crate) async fn configure_video(&mut self, codec: Codec, sets: Vec<Bytes>) {
        if codec != self.outlet.codec() {
            tracing::info!(%codec, "pictures are in another codec");
            let video = TrackDescription::video(codec, PayloadType::H264);
            self.seat.describe(vec![video, TrackDescription::opus(PayloadType::OPUS)]).await;
        }
        self.outlet.configure(codec, sets);
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
        if let Some(audio) = &mut self.audio {
            audio.push(at, frame);
        }
    }

    /// One Opus packet, and when it is to be heard.
    pub(crate) fn opus(&mut self, now: Instant, at: Duration, packet: &[u8]) {
        self.audio_codec = "OPUS";
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

    /// The publisher's clock of the pictures jumped.
    pub(crate) fn video_jumped(&mut self) {
        tracing::info!("the publisher's clock of pictures jumped");
        self.pace = Pace::default();
        self.outlet.restart_video();
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

    /// Whether B-frames came that `rule` does not allow. Says it once in the log.
    pub(crate) fn b_frames_forbidden(&mut self, rule: BFrames) -> bool {
        if !self.outlet.reordered() || self.told_of_b_frames {
            return false;
        }
        self.told_of_b_frames = true;
        tracing::warn!("the publisher sends B-frames: pictures will judder; they should be off");
        rule == BFrames::Refuse
    }

    /// Waits for the seat, for sound, or for the time to go on. Safe to drop and to call again.
    pub(crate) async fn event(&mut self) -> LiveEvent {
        let sound = async {
            match &mut self.audio {
                Some(audio) => audio.next().await,
                None => pending().await,
            }
        };
        let due = [&self.pictures, &self.sounds].into_iter().filter_map(Waiting::next).min();
        tokio::select! {
            event = self.seat.event() => LiveEvent::Seat(event),
            frame = sound => LiveEvent::Sound(frame),
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
            LiveEvent::Sound(frame) => self.sound(Instant::now(), frame.at, &frame.payload),
            LiveEvent::Due => {
                let now = Instant::now();
                let Self { seat, pictures, sounds, .. } = self;
                for waiting in [sounds, pictures] {
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
            ..said
        };
        self.seat.tick(now, metadata)
    }

    /// Leaves the channel. `broken` is what could not be read.
    pub(crate) fn end(self, reason: EndReason, broken: u64) {
        let late = self.audio.as_ref().map_or(0, AudioThread::dropped);
        tracing::debug!(packets = self.packets, broken, late, "media at the end");
        self.seat.end(reason, self.bytes);
    }
}

const MAX_DATAGRAM: usize = 2048;
const MAX_BATCH: usize = 64;
const TICK: Duration = Duration::from_millis(500);
