//! How a viewer is moved from one layer of the picture to another without noticing more than the picture's size.
//!
//! The old layer goes on until a keyframe of the new one is there as a whole. Then, between two pictures, a new segment of
//! the viewer's numbers begins with it. Timestamps are laid on those of [`Track::Video`] by the layers' clocks; what the
//! viewer has seen already is squeezed into the moment in which it is sent. The numbers inside VP8 and VP9 payloads go on.

use std::time::{Duration, Instant};

use heliograph_media::{Codec, SeqNo, picture_ids::PictureShift};

use super::{
    cursor::Passage,
    layer_choice::{LayerChoice, ViewerReport},
    line::Heard,
    player::StreamView,
    squeeze::Squeeze,
    track::picture_shift,
    video::{Phase, Video, squeeze},
};
use crate::{Track, TrackRing};

/// A keyframe that came longer ago is no place to switch to: too much of what follows has been seen.
const FRESH: Duration = Duration::from_millis(300);
/// Without a packet for so long, the old layer has stopped in the middle of a picture.
const STOPPED: Duration = Duration::from_millis(200);
/// Between two wishes for a keyframe of the same layer.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How much faster than the stream the viewer is brought up to it, in percent.
const PERCENT: u32 = 1_000;

/// Which layer a viewer gets, and which it should get.
#[derive(Debug)]
pub(super) struct Layers {
    codec: Codec,
    current: Track,
    wanted: Track,
    choice: LayerChoice,
    /// The stream's list of layers that was looked at last.
    seen: u32,
    asked: Option<Instant>,
}

impl Layers {
    /// `picked`: what the viewer has asked for.
    pub(super) fn new(codec: Codec, picked: Option<Track>) -> Self {
        let mut choice = LayerChoice::new();
        choice.pick(picked);
        Self { codec, current: Track::Video, wanted: Track::Video, choice, seen: 0, asked: None }
    }

    pub(super) const fn current(&self) -> Track {
        self.current
    }

    /// The old layer goes on until the new one can.
    pub(super) fn is_switching(&self) -> bool {
        self.wanted != self.current
    }

    pub(super) fn pick(&mut self, layer: Option<Track>) {
        self.choice.pick(layer);
        // Whatever the stream has: looked up with the next turn.
        self.seen = self.seen.wrapping_sub(1);
    }

    /// Whether the stream's layers are other ones than at the last look, or the viewer's wish is.
    pub(super) const fn are_news(&self, stream: &StreamView<'_>) -> bool {
        self.seen != stream.layer_changes
    }

    pub(super) fn choose(&mut self, now: Instant, stream: &StreamView<'_>) {
        self.seen = stream.layer_changes;
        let wanted = self.choice.wanted(now, stream.layers, |layer| stream.ring(layer).bitrate(now));
        if wanted != self.wanted {
            (self.wanted, self.asked) = (wanted, None);
        }
    }

    pub(super) fn on_report(&mut self, now: Instant, report: ViewerReport, stream: &StreamView<'_>) {
        let rate = |layer| stream.ring(layer).bitrate(now);
        self.choice.on_report(now, report, self.current, stream.layers, rate);
        self.choose(now, stream);
    }

    /// Arrival times tell of the line. `begins`: as in [`LayerChoice::on_heard`].
    pub(super) fn on_heard(&mut self, now: Instant, heard: &Heard, begins: bool, stream: &StreamView<'_>) {
        let rate = |layer| stream.ring(layer).bitrate(now);
        self.choice.on_heard(now, heard, begins, self.current, stream.layers, rate);
        self.choose(now, stream);
    }

    /// Whether what the line carries decides about the layer.
    pub(super) const fn depend_on_line(&self, stream: &StreamView<'_>) -> bool {
        stream.layers.len() > 1 && self.choice.is_automatic()
    }

    pub(super) fn take_keyframe_wish(&mut self, now: Instant) -> Option<Track> {
        if !self.is_switching() || self.asked.is_some_and(|at| now.saturating_duration_since(at) < ASK_EVERY)
        {
            return None;
        }
        self.asked = Some(now);
        Some(self.wanted)
    }

    /// Nothing has been sent: begins with the layer that is wanted, or with another that can be shown before that.
    pub(super) fn begin(&mut self, stream: &StreamView<'_>) {
        let showable = |layer: &Track| stream.ring(*layer).newest_keyframe().is_some();
        let layers = std::iter::once(&self.wanted).chain(stream.layers);
        self.current = layers.copied().find(showable).unwrap_or(self.wanted);
    }

    /// What packets of the current layer go through after those that went through `last`.
    pub(super) fn passage(&self, now: Instant, last: &Passage, stream: &StreamView<'_>) -> Passage {
        if last.track == self.current {
            return *last;
        }
        Passage { shift: shift(now, self.current, stream), ..Passage::plain(self.current) }
    }
}

impl Video {
    /// Goes on with the layer that is wanted, if it can be shown from here on. Whether it does.
    pub(super) fn switch_layer(&mut self, now: Instant, stream: &StreamView<'_>) -> bool {
        let (old, new) = (stream.ring(self.layers.current), stream.ring(self.layers.wanted));
        let next = self.sender.cursor().next();
        let age = |at: Instant| now.saturating_duration_since(at);
        let between_pictures = self.sender.is_between_pictures()
            || old.get(next).is_some_and(|packet| packet.frame_start)
            || old.newest().is_none_or(|newest| age(newest.arrival) >= STOPPED);
        if !between_pictures {
            return false;
        }
        let keyframe = new.newest_complete_keyframe().and_then(|seq| new.get(seq));
        // While the past is still being sent, more of it may follow.
        let replaying = matches!(self.phase, Phase::Replaying(_));
        let Some(first) = keyframe.filter(|packet| replaying || age(packet.arrival) < FRESH) else {
            return false;
        };
        let passed = self.sender.cursor().passage();
        let last = next.0.checked_sub(1).and_then(|seq| old.get(SeqNo(seq)));
        let track = self.layers.wanted;
        let pictures = match last {
            Some(last) => picture_shift(self.layers.codec, passed, last, first),
            None => PictureShift::NONE,
        };
        let shift = shift(now, track, stream);
        let passage = Passage { track, shift, squeeze: Squeeze::NONE, pictures };
        let squeeze = match &self.phase {
            Phase::Replaying(pacer) => squeeze(&self.sender, &passage, pacer, now, new, first.seq, 0),
            _ => overlap(self.sender.last_timestamp(), shift, first.timestamp, new),
        };
        self.sender.go(first.seq, Passage { squeeze, ..passage });
        (self.layers.current, self.layers.asked) = (track, None);
        self.requests.on_served(now);
        true
    }
}

/// From the timestamps of a layer to those of [`Track::Video`], ticks.
fn shift(now: Instant, layer: Track, stream: &StreamView<'_>) -> i64 {
    match (stream.clock(Track::Video), stream.clock(layer)) {
        (Some(common), Some(own)) if layer != Track::Video => {
            common.timestamp_at(now).wrapping_sub(own.timestamp_at(now)).cast_signed()
        }
        _ => 0,
    }
}

/// How timestamps move when pictures from `from` on follow one with the timestamp `last`, and may have been seen.
fn overlap(last: u64, shift: i64, from: u64, ring: &TrackRing) -> Squeeze {
    let moved = |timestamp: u64| timestamp.saturating_add_signed(shift);
    if moved(from) > last {
        return Squeeze::NONE;
    }
    let newest = moved(ring.newest().map_or(from, |newest| newest.timestamp));
    Squeeze::new(moved(from), newest, newest.max(last), PERCENT)
}
