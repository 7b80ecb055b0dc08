// Generated from signaling/src/messages.rs: do not edit.
// After a change there: HELIOGRAPH_UPDATE_MESSAGES=1 cargo test -p heliograph-signaling messages
/* eslint-disable */

/** A WebSocket text frame from the server to a viewer. */
export type ServerMessage = { "event": "offer", "data": SessionDescription } | { "event": "candidate", "data": IceCandidate } | { "event": "info", "data": ViewerCount } | { "event": "state", "data": StateChange } | { "event": "playout", "data": PlayoutRange } | { "event": "clock", "data": ClockAnswer } | { "event": "error", "data": Notice } | { "event": "close", "data": Notice };

/** A WebSocket text frame from a viewer to the server. Other events are ignored. */
export type ViewerMessage = { "event": "answer", "data": SessionDescription } | { "event": "candidate", "data": IceCandidate | null } | { "event": "playout", "data": PlayoutWish | null } | { "event": "layer", "data": string | null } | { "event": "clock", "data": ClockQuestion } | { "event": "delay", "data": DelayReport };

/** `RTCSessionDescriptionInit`. */
export type SessionDescription = {
  /** `offer` from the server, `answer` from the viewer. */
  type: SdpKind,
  /** The session description, lines ended by CR LF. */
  sdp: string,
};

/** The role of a session description. */
export type SdpKind = "offer" | "answer";

/** `RTCIceCandidateInit`. */
export type IceCandidate = {
  /** The line as in SDP, `candidate:...`; empty at the end of the candidates. */
  candidate: string,
  /** Which m-line it belongs to, by name. */
  sdpMid?: string | null,
  /** Which m-line it belongs to, by position. */
  sdpMLineIndex?: number | null,
  /** The ICE user name it belongs to. */
  usernameFragment?: string | null,
};

/** The data of `info`. */
export type ViewerCount = {
  /** People watching this stream, oneself included. */
  no_connections: number,
};

/** The data of `playout` from a viewer. */
export type PlayoutWish = {
  /** Lower bound, in milliseconds. */
  min_ms?: number,
  /** Upper bound, in milliseconds: not below the lower one, at most 40950. */
  max_ms: number,
};

/** The data of `playout` from the server. */
export type PlayoutRange = {
  /** Lower bound, in milliseconds. */
  min_ms: number,
  /** Upper bound, in milliseconds. */
  max_ms: number,
  /** The most that may be asked for on this channel, in milliseconds. */
  limit_ms: number,
};

/** The data of `clock` from a viewer. */
export type ClockQuestion = {
  /** When the viewer asked, in microseconds of a clock of its own; comes back unchanged. */
  client_us: number,
};

/** The data of `delay`. */
export type DelayReport = {
  /** From the camera to the screen as far as the page knows (`Uplink` included), in milliseconds, at most 60000. */
  delay_ms: number,
};

/** The data of `clock` from the server. */
export type ClockAnswer = {
  /** As in the question. */
  client_us: number,
  /** Microseconds since 1970 on the clock that the sender reports go by. */
  server_us: number,
  /** How late what is watched is already when it gets to the server; absent while that is not known. */
  uplink?: Uplink,
};

/** The way from camera or encoder to the server. */
export type Uplink = {
  /** What a viewer adds to what it measures against the sender reports. Milliseconds, at most 60000. */
  delay_ms: number,
  /** What the quickest media of the last seconds took until it got to the server: for a viewer that does not go by the sender
   * reports. Milliseconds, at most 60000. */
  arrival_ms: number,
  /** What is in them. */
  basis: UplinkBasis,
};

/** What is in an `Uplink`. */
export type UplinkBasis = "capture" | "network";

/** The data of `state`. */
export type StateChange = {
  /** The state now. */
  state: ChannelState,
  /** The channel, when the stream belongs to one. */
  channel?: string,
  /** The stream's port, when there is a stream. */
  port?: number,
  /** The title that the streamer gave, if any. */
  name?: string,
  /** The layers of the picture, best first; absent unless there are several. */
  layers?: Array<Layer>,
};

/** A layer of a picture, in `StateChange`: what a viewer may ask for. */
export type Layer = {
  /** Its name: what `layer` asks for. */
  rid: string,
  /** Pixels. */
  width: number,
  /** Pixels. */
  height: number,
};

/** What a channel or a stream is doing. */
export type ChannelState = "offline" | "waiting" | "live" | "away";

/** The data of `error` and `close`. */
export type Notice = {
  /** A short stable word for programs, such as `stream_ended`. */
  code: string,
  /** A sentence for people. */
  message: string,
};

/** `GET /streams`, and the data of each `streams` event of `GET /events`. */
export type StreamsDocument = {
  /** Everything that has a port, in the order of ports. */
  streams: Array<StreamEntry>,
};

/** One stream in `StreamsDocument`. */
export type StreamEntry = {
  /** The channel, absent for a stream that is known only by its port. */
  channel: string | null,
  /** The title that the streamer gave, if any. */
  name: string | null,
  /** The port: `?port=N` watches it. */
  port: number,
  /** When it went on the air, in milliseconds since 1970. */
  since_ms: number,
  /** Never `offline`: such a channel has no entry. */
  state: ChannelState,
  /** People watching. */
  viewers: number,
  /** Sum over the tracks, in bits per second of payload. */
  bitrate_bps: number,
  /** Video first; of a picture in layers the best one. */
  tracks: Array<TrackEntry>,
  /** The layers of the picture, best first; absent unless there are several. */
  layers?: Array<LayerEntry>,
  /** How late it is already when it gets to the server; `null` while that is not known. */
  uplink: Uplink | null,
  /** What the streamer should change, most urgent first. */
  warnings: Array<WarningEntry>,
};

/** One layer of a picture (simulcast), in `StreamEntry`. */
export type LayerEntry = {
  /** Its name, as the publisher chose it. */
  rid: string,
  /** Pixels. */
  width: number | null,
  /** Pixels. */
  height: number | null,
  /** Pictures per second. */
  fps: number | null,
  /** Bits per second of payload. */
  bitrate_bps: number,
};

/** One track in `StreamEntry`. */
export type TrackEntry = {
  /** `video` or `audio`. */
  kind: TrackKind,
  /** `h264` or `opus`; more may come. */
  codec: string,
  /** Profile and level as in SDP (`profile-level-id`), six hexadecimal digits. */
  profile: string | null,
  /** Pixels. */
  width: number | null,
  /** Pixels. */
  height: number | null,
  /** Pictures per second. */
  fps: number | null,
  /** Between the last two keyframes, in milliseconds. */
  keyframe_interval_ms: number | null,
  /** Bits per second of payload. */
  bitrate_bps: number,
};

/** One thing that a streamer should change, in `StreamEntry`. */
export type WarningEntry = {
  /** A short stable word for programs (`b_frames`, `keyframe_interval`, ...). */
  code: string,
  /** A sentence for people: what is wrong, and what to change where. */
  message: string,
};

/** The kind of a track. */
export type TrackKind = "video" | "audio";

/** `GET /config.json`: what a page needs to find the server. */
export type PageConfig = {
  /** The WebSocket address, without `?port` or `?channel`. */
  wsUrl: string,
  /** For `new RTCPeerConnection({ iceServers })`. */
  iceServers: Array<IceServer>,
  /** How the page looks, where the operator has a wish. */
  branding?: Branding,
};

/** `RTCIceServer`, without credentials. */
export type IceServer = {
  /** `stun:` or `turn:` addresses. */
  urls: Array<string>,
};

/** What an operator makes of the page; what is left out is as usual. */
export type Branding = {
  /** Stands where the program's name would. */
  title?: string,
  /** A picture in a corner of the player. */
  logo?: BrandLogo,
  /** The strong colour, `#rrggbb`. */
  colour?: string,
  /** What the page stands on in the light scheme, `#rrggbb`. */
  groundLight?: string,
  /** The same in the dark scheme, `#rrggbb`. */
  groundDark?: string,
};

/** A picture in a corner of the player. */
export type BrandLogo = {
  /** Where the picture is: `https://...`, `http://...`, or a path on this server. */
  url: string,
  /** Where a click leads. */
  link?: string,
  /** Which corner. */
  position: Corner,
};

/** A corner of the player; `start` is where a line of text begins. */
export type Corner = "top-start" | "top-end" | "bottom-start" | "bottom-end";

/** The body of an HTTP error (RFC 9457), `application/problem+json`. */
export type Problem = {
  /** A short stable word for programs, such as `unknown_stream`. */
  code: string,
  /** The status line in words. */
  title: string,
  /** The HTTP status. */
  status: number,
  /** What happened, for people. */
  detail: string,
};
