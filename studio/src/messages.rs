//! What crosses the wire at the desk. `docs/messages.md` explains it to people; the TypeScript twin in
//! `web/src/core/studioMessages.ts` is generated.

use std::fmt;

use serde::{Deserialize, Serialize};
#[cfg(test)]
use ts_rs::TS;

/// Body of `POST /studio/api/session`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(TS))]
pub struct SignIn {
    /// The stream key, as it stands in the encoder.
    pub key: String,
}

/// Body of `POST /studio/api/title`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(TS))]
pub struct NewTitle {
    /// At most 200 characters; empty for none.
    pub title: String,
}

/// Body of `POST /studio/api/muted`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(TS))]
pub struct Mute {
    /// Viewers get silence.
    pub muted: bool,
}

/// How a channel is doing, for its streamer: `GET /studio/api/desk`, and each event of `/studio/api/events`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct Desk {
    /// The channel.
    pub channel: String,
    /// Its title, if any.
    pub title: Option<String>,
    /// Where encoders send to.
    pub doors: Doors,
    /// What viewers see.
    pub state: DeskState,
    /// On the air since, in milliseconds since 1970.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub since_ms: Option<u64>,
    /// The streamer ended the stream: for so many more seconds encoders are turned away.
    pub closed_for_s: Option<u32>,
    /// People watching.
    pub viewers: u32,
    /// How late they see it; `null` while no page tells.
    pub delay: Option<ViewerDelay>,
    /// How many cannot play it.
    pub unplayable: Unplayable,
    /// Viewers get silence.
    pub muted: bool,
    /// The picture, as it arrives.
    pub video: Option<Medium>,
    /// The sound, as it arrives.
    pub audio: Option<Medium>,
    /// How loud it is; `null` while nothing is heard of it, or the channel is muted.
    pub sound: Option<Sound>,
    /// The encoder, and the way from there.
    pub uplink: Option<Uplink>,
    /// What to change, most urgent first.
    pub warnings: Vec<DeskWarning>,
}

/// See [`Desk::state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(TS))]
pub enum DeskState {
    /// Nobody publishes.
    Offline,
    /// A publisher was let in; no media yet.
    Waiting,
    /// On the air.
    Live,
    /// No media for about a second; viewers see the last picture.
    Away,
}

/// One medium as it arrives.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct Medium {
    /// `h264`, `opus` and so on.
    pub codec: String,
    /// Over the last second, bits per second.
    #[cfg_attr(test, ts(type = "number"))]
    pub bitrate_bps: u64,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Pictures per second.
    pub fps: Option<f64>,
    /// Between the last two keyframes.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub keyframe_interval_ms: Option<u64>,
    /// How much slower than the server's the encoder's clock runs, in parts per million.
    pub drift_ppm: Option<i32>,
    /// Packets since the stream began.
    #[cfg_attr(test, ts(type = "number"))]
    pub packets: u64,
    /// Of those, missing for good.
    #[cfg_attr(test, ts(type = "number"))]
    pub lost: u64,
}

/// How loud the broadcast is, in decibels of full scale: 0 is the loudest that can be coded, -127 is nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct Sound {
    /// The highest sample of the last second.
    pub peak_dbfs: f32,
    /// The mean power of the last second.
    pub rms_dbfs: f32,
    /// Nothing was above -60 since so many seconds; 0 while there is sound.
    pub silent_for_s: u32,
}

/// How late viewers see the broadcast: from the server to their screens, the newest word of each page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct ViewerDelay {
    /// Viewers whose pages tell; those over WHEP have no way to.
    pub viewers: u32,
    /// For half of them it is at most so much, in milliseconds.
    pub p50_ms: u32,
    /// For 95 of 100.
    pub p95_ms: u32,
}

/// Viewers whose browsers do not know the format of the picture or of the sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct Unplayable {
    /// They hear the sound now, and see nothing.
    pub without_picture: u32,
    /// They see the picture now, and hear nothing.
    pub without_sound: u32,
    /// So often somebody could play nothing at all and was turned away, since the stream began.
    pub turned_away: u32,
}

/// Who publishes, and how the way from there is doing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct Uplink {
    /// `ftl`, `whip`, `rtmp` or `srt`.
    pub door: String,
    /// The publishing program, as it calls itself; empty when it does not.
    pub encoder: String,
    /// Its address.
    pub remote: String,
    /// What arrives, bits per second, headers included.
    #[cfg_attr(test, ts(type = "number"))]
    pub bitrate_bps: u64,
    /// What the channel may send, if there is a limit.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub limit_bps: Option<u64>,
    /// Packets that never came, since it began.
    #[cfg_attr(test, ts(type = "number"))]
    pub lost: u64,
    /// Packets asked for again.
    #[cfg_attr(test, ts(type = "number"))]
    pub requested_again: u64,
    /// Between the server and the encoder, when measured.
    pub round_trip_ms: Option<f64>,
    /// How unevenly media comes from there, when measured.
    pub jitter_ms: Option<f64>,
    /// The server encodes the pictures anew, because they come with B-frames.
    pub reencoded: bool,
    /// Tracks that do not reach viewers: of another codec than the first, too many, or further sound.
    pub tracks_left_out: u32,
}

/// One thing to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct DeskWarning {
    /// A short stable word; the same as in `/streams`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// Where encoders send to: ports on the host under which the page was reached, `null` where a door is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct Doors {
    /// FTL's control port; clients know 8084 only.
    pub ftl_port: Option<u16>,
    /// RTMP.
    pub rtmp_port: Option<u16>,
    /// RTMP over TLS.
    pub rtmps_port: Option<u16>,
    /// SRT.
    pub srt: Option<SrtDoor>,
    /// WHIP, over the port of the page: `/whip/{channel}`.
    pub whip: bool,
}

/// How encoders come in over SRT. `Debug` does not show the passphrase.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct SrtDoor {
    /// Over UDP; the server listens.
    pub port: u16,
    /// So long lost packets are waited for at least, in milliseconds; encoders may ask for more.
    pub latency_ms: u32,
    /// What they must encrypt with; `null`: they must not encrypt. The desk shows it to whoever has a stream key, since nobody
    /// can publish without it.
    pub passphrase: Option<String>,
}

impl fmt::Debug for SrtDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtDoor")
            .field("port", &self.port)
            .field("latency_ms", &self.latency_ms)
            .finish_non_exhaustive()
    }
}
