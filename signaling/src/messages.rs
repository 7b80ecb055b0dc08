//! Everything that crosses the wire between this crate and a viewer's page, as one schema.
//!
//! The TypeScript twin, `web/src/core/messages.ts`, is generated from these types by a test; `docs/messages.md`
//! explains each of them with an example. Numbers carry their unit in their name.

use std::time::Duration;

use serde::{Deserialize, Serialize};
#[cfg(test)]
use ts_rs::TS;

/// As numbers on the wire: whole milliseconds, as many as fit.
pub(crate) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// A WebSocket text frame from the server to a viewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The server's SDP offer, with all its candidates inside. Each offer starts a new peer connection: on a
    /// second one (the channel went off the air and came back) the page drops its old connection first.
    Offer(SessionDescription),
    /// One more candidate of the server. Never before the offer it belongs to.
    Candidate(IceCandidate),
    /// How many people watch: at once to whoever joins, to the others at most once a second.
    Info(ViewerCount),
    /// What the watched channel or port is doing now.
    State(StateChange),
    /// The playout delay in force: the answer to the viewer's own `playout`, and with each new offer after one.
    Playout(PlayoutRange),
    /// The server's clock: the answer to the viewer's `clock`.
    Clock(ClockAnswer),
    /// Something went wrong. The connection goes on unless `close` follows.
    Error(Notice),
    /// The server is about to close this socket, and why. Always comes before the close frame.
    Close(Notice),
}

/// A WebSocket text frame from a viewer to the server. Other events are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum ViewerMessage {
    /// The answer to the newest offer.
    Answer(SessionDescription),
    /// A candidate of the browser, as `RTCIceCandidate.toJSON()` writes it. Checked for its shape and not used:
    /// the server learns the viewer's address from the viewer's own connectivity checks. `null` (the end of the
    /// candidates) is allowed.
    Candidate(Option<IceCandidate>),
    /// How long the browser may hold pictures back, for this socket; `null`: what is usual on the channel.
    Playout(Option<PlayoutWish>),
    /// Which layer of the picture to send, by its `rid`; `null`, or a name that the stream does not have: the best one
    /// that the network carries. For this socket.
    Layer(Option<String>),
    /// Asks for the server's clock; answered at once.
    Clock(ClockQuestion),
    /// How late the viewer sees the broadcast; for the streamer's figures. Every ten seconds is enough.
    Delay(DelayReport),
}

/// `RTCSessionDescriptionInit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct SessionDescription {
    /// `offer` from the server, `answer` from the viewer.
    #[serde(rename = "type")]
    pub kind: SdpKind,
    /// The session description, lines ended by CR LF.
    pub sdp: String,
}

/// The role of a session description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
#[serde(rename_all = "lowercase")]
pub enum SdpKind {
    /// Proposes a session.
    Offer,
    /// Accepts one.
    Answer,
}

/// `RTCIceCandidateInit`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
#[serde(rename_all = "camelCase", default)]
pub struct IceCandidate {
    /// The line as in SDP, `candidate:...`; empty at the end of the candidates.
    pub candidate: String,
    /// Which m-line it belongs to, by name.
    #[cfg_attr(test, ts(optional = nullable))]
    pub sdp_mid: Option<String>,
    /// Which m-line it belongs to, by position.
    #[cfg_attr(test, ts(optional = nullable))]
    pub sdp_m_line_index: Option<u16>,
    /// The ICE user name it belongs to.
    #[cfg_attr(test, ts(optional = nullable))]
    pub username_fragment: Option<String>,
}

/// The data of `info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct ViewerCount {
    /// People watching this stream, oneself included.
    pub no_connections: u32,
}

/// The data of `playout` from a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct PlayoutWish {
    /// Lower bound, in milliseconds.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Option<u32>", optional))]
    pub min_ms: u32,
    /// Upper bound, in milliseconds: not below the lower one, at most 40950.
    pub max_ms: u32,
}

/// The data of `playout` from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct PlayoutRange {
    /// Lower bound, in milliseconds.
    pub min_ms: u32,
    /// Upper bound, in milliseconds.
    pub max_ms: u32,
    /// The most that may be asked for on this channel, in milliseconds.
    pub limit_ms: u32,
}

/// The data of `clock` from a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct ClockQuestion {
    /// When the viewer asked, in microseconds of a clock of its own; comes back unchanged.
    #[cfg_attr(test, ts(type = "number"))]
    pub client_us: u64,
}

/// The data of `delay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct DelayReport {
    /// From the camera to the screen as far as the page knows (`Uplink` included), in milliseconds, at most 60000.
    pub delay_ms: u32,
}

/// The data of `clock` from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct ClockAnswer {
    /// As in the question.
    #[cfg_attr(test, ts(type = "number"))]
    pub client_us: u64,
    /// Microseconds since 1970 on the clock that the sender reports go by.
    #[cfg_attr(test, ts(type = "number"))]
    pub server_us: u64,
    /// How late what is watched is already when it gets to the server; absent while that is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub uplink: Option<Uplink>,
}

/// The way from camera or encoder to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct Uplink {
    /// What a viewer adds to what it measures against the sender reports. Milliseconds, at most 60000.
    pub delay_ms: u32,
    /// What the quickest media of the last seconds took until it got to the server: for a viewer that does not go by the sender
    /// reports. Milliseconds, at most 60000.
    pub arrival_ms: u32,
    /// What is in them.
    pub basis: UplinkBasis,
}

/// What is in an `Uplink`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
#[serde(rename_all = "lowercase")]
pub enum UplinkBasis {
    /// All from the capture on, by the publisher's own clock.
    Capture,
    /// The network, and what the server holds back on purpose; not what camera and encoder need.
    Network,
}

/// The data of `state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct StateChange {
    /// The state now.
    pub state: ChannelState,
    /// The channel, when the stream belongs to one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub channel: Option<String>,
    /// The stream's port, when there is a stream.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub port: Option<u16>,
    /// The title that the streamer gave, if any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub name: Option<String>,
    /// The layers of the picture, best first; absent unless there are several.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    #[cfg_attr(test, ts(as = "Option<Vec<Layer>>", optional))]
    pub layers: Vec<Layer>,
}

/// A layer of a picture, in `StateChange`: what a viewer may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct Layer {
    /// Its name: what `layer` asks for.
    pub rid: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// What a channel or a stream is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
#[serde(rename_all = "lowercase")]
pub enum ChannelState {
    /// Nobody publishes. The socket stays open, and an offer comes when somebody does.
    Offline,
    /// A publisher has been let in; no media yet.
    Waiting,
    /// On the air.
    Live,
    /// The publisher has stopped without a word and may come back within its grace time. The peer connection
    /// stays; the picture stands still and moves on by itself.
    Away,
}

/// The data of `error` and `close`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct Notice {
    /// A short stable word for programs, such as `stream_ended`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// `GET /streams`, and the data of each `streams` event of `GET /events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct StreamsDocument {
    /// Everything that has a port, in the order of ports.
    pub streams: Vec<StreamEntry>,
}

/// One stream in `StreamsDocument`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct StreamEntry {
    /// The channel, absent for a stream that is known only by its port.
    pub channel: Option<String>,
    /// The title that the streamer gave, if any.
    pub name: Option<String>,
    /// The port: `?port=N` watches it.
    pub port: u16,
    /// When it went on the air, in milliseconds since 1970.
    #[cfg_attr(test, ts(type = "number"))]
    pub since_ms: u64,
    /// Never `offline`: such a channel has no entry.
    pub state: ChannelState,
    /// People watching.
    pub viewers: u32,
    /// Sum over the tracks, in bits per second of payload.
    #[cfg_attr(test, ts(type = "number"))]
    pub bitrate_bps: u64,
    /// Video first; of a picture in layers the best one.
    pub tracks: Vec<TrackEntry>,
    /// The layers of the picture, best first; absent unless there are several.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    #[cfg_attr(test, ts(as = "Option<Vec<LayerEntry>>", optional))]
    pub layers: Vec<LayerEntry>,
    /// How late it is already when it gets to the server; `null` while that is not known.
    pub uplink: Option<Uplink>,
    /// What the streamer should change, most urgent first.
    pub warnings: Vec<WarningEntry>,
}

/// One layer of a picture (simulcast), in `StreamEntry`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct LayerEntry {
    /// Its name, as the publisher chose it.
    pub rid: String,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Pictures per second.
    pub fps: Option<f64>,
    /// Bits per second of payload.
    #[cfg_attr(test, ts(type = "number"))]
    pub bitrate_bps: u64,
}

/// One thing that a streamer should change, in `StreamEntry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct WarningEntry {
    /// A short stable word for programs (`b_frames`, `keyframe_interval`, ...).
    pub code: String,
    /// A sentence for people: what is wrong, and what to change where.
    pub message: String,
}

/// One track in `StreamEntry`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct TrackEntry {
    /// `video` or `audio`.
    pub kind: TrackKind,
    /// `h264` or `opus`; more may come.
    pub codec: String,
    /// Profile and level as in SDP (`profile-level-id`), six hexadecimal digits.
    pub profile: Option<String>,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Pictures per second.
    pub fps: Option<f64>,
    /// Between the last two keyframes, in milliseconds.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub keyframe_interval_ms: Option<u64>,
    /// Bits per second of payload.
    #[cfg_attr(test, ts(type = "number"))]
    pub bitrate_bps: u64,
}

/// The kind of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
#[serde(rename_all = "lowercase")]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// `GET /config.json`: what a page needs to find the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
#[serde(rename_all = "camelCase")]
pub struct PageConfig {
    /// The WebSocket address, without `?port` or `?channel`.
    pub ws_url: String,
    /// For `new RTCPeerConnection({ iceServers })`.
    pub ice_servers: Vec<IceServer>,
    /// How the page looks, where the operator has a wish.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub branding: Option<Branding>,
}

/// What an operator makes of the page; what is left out is as usual.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
#[serde(rename_all = "camelCase")]
pub struct Branding {
    /// Stands where the program's name would.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub title: Option<String>,
    /// A picture in a corner of the player.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub logo: Option<BrandLogo>,
    /// The strong colour, `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub colour: Option<String>,
    /// What the page stands on in the light scheme, `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub ground_light: Option<String>,
    /// The same in the dark scheme, `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub ground_dark: Option<String>,
}

/// A picture in a corner of the player.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct BrandLogo {
    /// Where the picture is: `https://...`, `http://...`, or a path on this server.
    pub url: String,
    /// Where a click leads.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub link: Option<String>,
    /// Which corner.
    #[serde(default)]
    pub position: Corner,
}

/// A corner of the player; `start` is where a line of text begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
#[serde(rename_all = "kebab-case")]
pub enum Corner {
    /// Above, where lines begin.
    TopStart,
    /// Above, where lines end.
    #[default]
    TopEnd,
    /// Below, where lines begin.
    BottomStart,
    /// Below, where lines end.
    BottomEnd,
}

/// `RTCIceServer`, without credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct IceServer {
    /// `stun:` or `turn:` addresses.
    pub urls: Vec<String>,
}

/// The body of an HTTP error (RFC 9457), `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct Problem {
    /// A short stable word for programs, such as `unknown_stream`.
    pub code: String,
    /// The status line in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, for people.
    pub detail: String,
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
