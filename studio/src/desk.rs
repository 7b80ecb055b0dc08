//! The picture of a channel for its streamer, put together from the relay and from the publisher's door.

use std::time::{Duration, Instant, UNIX_EPOCH};

use heliograph_media::MediaKind;
use heliograph_relay::{ChannelName, SoundLevel, StreamState, TrackSnapshot, ViewerDelays};

use crate::{
    App,
    messages::{Desk, DeskState, DeskWarning, Medium, Sound, Unplayable, ViewerDelay},
};

/// How the channel is doing now.
pub(crate) fn look(app: &App, channel: &ChannelName) -> Desk {
    let stream = app.streams.stream(channel);
    let closed_for_s = app.publishers.held_until(channel).map(|until| {
        u32::try_from(until.saturating_duration_since(Instant::now()).as_secs() + 1).unwrap_or(u32::MAX)
    });
    let mut desk = Desk {
        channel: channel.to_string(),
        title: None,
        doors: app.settings.doors.clone(),
        state: DeskState::Offline,
        since_ms: None,
        closed_for_s,
        viewers: 0,
        delay: None,
        unplayable: Unplayable::default(),
        muted: false,
        video: None,
        audio: None,
        sound: None,
        uplink: app.publishers.uplink(channel),
        warnings: Vec::new(),
    };
    let Some(stream) = stream else { return desk };
    desk.title = stream.name;
    desk.state = match stream.state {
        StreamState::Waiting => DeskState::Waiting,
        StreamState::Live => DeskState::Live,
        StreamState::Away => DeskState::Away,
    };
    let since = stream.since.duration_since(UNIX_EPOCH).unwrap_or_default();
    desk.since_ms = Some(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    desk.viewers = stream.viewers;
    desk.delay = delay(stream.viewer_delays);
    let heliograph_relay::Unplayable { without_picture, without_sound, turned_away } = stream.unplayable;
    desk.unplayable = Unplayable { without_picture, without_sound, turned_away };
    desk.muted = stream.muted;
    desk.sound = stream.sound.map(sound);
    for track in &stream.tracks {
        match track.kind {
            MediaKind::Video => desk.video = Some(medium(track)),
            MediaKind::Audio => desk.audio = Some(medium(track)),
        }
    }
    let warnings = stream
        .warnings
        .iter()
        .map(|warning| DeskWarning { code: warning.code().to_owned(), message: warning.to_string() });
    desk.warnings.extend(warnings);
    if desk.uplink.as_ref().is_some_and(|uplink| uplink.reencoded) {
        desk.warnings.push(DeskWarning {
            code: "reencoded".to_owned(),
            message: "The encoder uses B-frames, so the server encodes the picture anew: that costs delay and quality. Set \
                      their number to 0 (OBS: Settings, Output, B-frames; or the tune \"zerolatency\")."
                .to_owned(),
        });
    }
    if desk.uplink.as_ref().is_some_and(|uplink| uplink.tracks_left_out > 0) {
        desk.warnings.push(DeskWarning {
            code: "tracks_left_out".to_owned(),
            message: "The encoder sends tracks that do not reach viewers: there may be four of the picture, all in the codec of \
                      the first, and one of sound."
                .to_owned(),
        });
    }
    desk.warnings.extend(unplayable(&desk, &stream.tracks));
    desk
}

/// What it means that viewers cannot play the stream, and what reaches them.
fn unplayable(desk: &Desk, tracks: &[TrackSnapshot]) -> Option<DeskWarning> {
    let Unplayable { without_picture, without_sound, turned_away } = desk.unplayable;
    let codec = |kind| {
        tracks
            .iter()
            .find(|track| track.kind == kind)
            .map_or("it".to_owned(), |track| track.codec.to_string())
    };
    let mut parts = Vec::new();
    if without_picture > 0 {
        let codec = codec(MediaKind::Video);
        parts.push(format!(
            "{} no picture, because their browsers cannot decode {codec}",
            viewers(without_picture, "see")
        ));
    }
    if without_sound > 0 {
        let codec = codec(MediaKind::Audio);
        parts.push(format!(
            "{} no sound, because their browsers cannot decode {codec}",
            viewers(without_sound, "hear")
        ));
    }
    if turned_away > 0 {
        parts.push(format!("{turned_away} could play nothing and were turned away"));
    }
    (!parts.is_empty()).then(|| DeskWarning {
        code: "codec".to_owned(),
        message: format!(
            "{}. H.264 reaches everybody (OBS: Settings, Output, Video Encoder).",
            parts.join("; ")
        ),
    })
}

fn viewers(count: u32, verb: &str) -> String {
    if count == 1 { format!("1 viewer {verb}s") } else { format!("{count} viewers {verb}") }
}

fn delay(delays: ViewerDelays) -> Option<ViewerDelay> {
    let milliseconds = |delay: Duration| u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
    Some(ViewerDelay {
        viewers: delays.viewers,
        p50_ms: milliseconds(delays.p50?),
        p95_ms: milliseconds(delays.p95?),
    })
}

fn sound(level: SoundLevel) -> Sound {
    let tenths = |decibels: f32| (decibels * 10.0).round() / 10.0;
    Sound {
        peak_dbfs: tenths(level.peak_dbfs),
        rms_dbfs: tenths(level.rms_dbfs),
        silent_for_s: u32::try_from(level.silent_for.as_secs()).unwrap_or(u32::MAX),
    }
}

fn medium(track: &TrackSnapshot) -> Medium {
    Medium {
        codec: track.codec.word().to_owned(),
        bitrate_bps: track.bitrate_bps,
        width: track.width,
        height: track.height,
        fps: track.fps.filter(|fps| fps.is_finite()),
        keyframe_interval_ms: track.keyframe_interval_ms,
        drift_ppm: track.drift_ppm,
        packets: track.packets,
        lost: track.lost,
    }
}
