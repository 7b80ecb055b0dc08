// Generated from studio/src/messages.rs: do not edit.
// After a change there: HELIOGRAPH_UPDATE_MESSAGES=1 cargo test -p heliograph-studio messages
/* eslint-disable */

/** Body of `POST /studio/api/session`. */
export type SignIn = {
  /** The stream key, as it stands in the encoder. */
  key: string,
};

/** Body of `POST /studio/api/title`. */
export type NewTitle = {
  /** At most 200 characters; empty for none. */
  title: string,
};

/** Body of `POST /studio/api/muted`. */
export type Mute = {
  /** Viewers get silence. */
  muted: boolean,
};

/** How a channel is doing, for its streamer: `GET /studio/api/desk`, and each event of `/studio/api/events`. */
export type Desk = {
  /** The channel. */
  channel: string,
  /** Its title, if any. */
  title: string | null,
  /** Where encoders send to. */
  doors: Doors,
  /** What viewers see. */
  state: DeskState,
  /** On the air since, in milliseconds since 1970. */
  since_ms: number | null,
  /** The streamer ended the stream: for so many more seconds encoders are turned away. */
  closed_for_s: number | null,
  /** People watching. */
  viewers: number,
  /** How late they see it; `null` while no page tells. */
  delay: ViewerDelay | null,
  /** How many cannot play it. */
  unplayable: Unplayable,
  /** Viewers get silence. */
  muted: boolean,
  /** The picture, as it arrives. */
  video: Medium | null,
  /** The sound, as it arrives. */
  audio: Medium | null,
  /** How loud it is; `null` while nothing is heard of it, or the channel is muted. */
  sound: Sound | null,
  /** The encoder, and the way from there. */
  uplink: Uplink | null,
  /** What to change, most urgent first. */
  warnings: Array<DeskWarning>,
};

/** See [`Desk::state`]. */
export type DeskState = "offline" | "waiting" | "live" | "away";

/** One medium as it arrives. */
export type Medium = {
  /** `h264`, `opus` and so on. */
  codec: string,
  /** Over the last second, bits per second. */
  bitrate_bps: number,
  /** Pixels. */
  width: number | null,
  /** Pixels. */
  height: number | null,
  /** Pictures per second. */
  fps: number | null,
  /** Between the last two keyframes. */
  keyframe_interval_ms: number | null,
  /** How much slower than the server's the encoder's clock runs, in parts per million. */
  drift_ppm: number | null,
  /** Packets since the stream began. */
  packets: number,
  /** Of those, missing for good. */
  lost: number,
};

/** How loud the broadcast is, in decibels of full scale: 0 is the loudest that can be coded, -127 is nothing at all. */
export type Sound = {
  /** The highest sample of the last second. */
  peak_dbfs: number,
  /** The mean power of the last second. */
  rms_dbfs: number,
  /** Nothing was above -60 since so many seconds; 0 while there is sound. */
  silent_for_s: number,
};

/** How late viewers see the broadcast: from the server to their screens, the newest word of each page. */
export type ViewerDelay = {
  /** Viewers whose pages tell; those over WHEP have no way to. */
  viewers: number,
  /** For half of them it is at most so much, in milliseconds. */
  p50_ms: number,
  /** For 95 of 100. */
  p95_ms: number,
};

/** Viewers whose browsers do not know the format of the picture or of the sound. */
export type Unplayable = {
  /** They hear the sound now, and see nothing. */
  without_picture: number,
  /** They see the picture now, and hear nothing. */
  without_sound: number,
  /** So often somebody could play nothing at all and was turned away, since the stream began. */
  turned_away: number,
};

/** Who publishes, and how the way from there is doing. */
export type Uplink = {
  /** `ftl`, `whip`, `rtmp` or `srt`. */
  door: string,
  /** The publishing program, as it calls itself; empty when it does not. */
  encoder: string,
  /** Its address. */
  remote: string,
  /** What arrives, bits per second, headers included. */
  bitrate_bps: number,
  /** What the channel may send, if there is a limit. */
  limit_bps: number | null,
  /** Packets that never came, since it began. */
  lost: number,
  /** Packets asked for again. */
  requested_again: number,
  /** Between the server and the encoder, when measured. */
  round_trip_ms: number | null,
  /** How unevenly media comes from there, when measured. */
  jitter_ms: number | null,
  /** The server encodes the pictures anew, because they come with B-frames. */
  reencoded: boolean,
  /** Tracks that do not reach viewers: of another codec than the first, too many, or further sound. */
  tracks_left_out: number,
};

/** One thing to change. */
export type DeskWarning = {
  /** A short stable word; the same as in `/streams`. */
  code: string,
  /** A sentence for people. */
  message: string,
};

/** Where encoders send to: ports on the host under which the page was reached, `null` where a door is closed. */
export type Doors = {
  /** FTL's control port; clients know 8084 only. */
  ftl_port: number | null,
  /** RTMP. */
  rtmp_port: number | null,
  /** RTMP over TLS. */
  rtmps_port: number | null,
  /** SRT. */
  srt: SrtDoor | null,
  /** WHIP, over the port of the page: `/whip/{channel}`. */
  whip: boolean,
};

/** How encoders come in over SRT. `Debug` does not show the passphrase. */
export type SrtDoor = {
  /** Over UDP; the server listens. */
  port: number,
  /** So long lost packets are waited for at least, in milliseconds; encoders may ask for more. */
  latency_ms: number,
  /** What they must encrypt with; `null`: they must not encrypt. The desk shows it to whoever has a stream key, since nobody
   * can publish without it. */
  passphrase: string | null,
};
