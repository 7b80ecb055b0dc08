import type { ClockOffset } from "./clockSync";
import type { Uplink, UplinkBasis } from "./messages";
import type { PlaybackStats } from "./playbackStats";

/** Where the figure for the delay comes from, but for the way to the server. */
export type DelaySource =
  /** The capture times that the server sends with pictures, and its clock: the whole way. */
  | "capture"
  /** The server's sender reports and its clock: from the server to the screen. */
  | "reports"
  /** Round trip, buffer and decoding added up. */
  | "parts";

/** How playback goes, over the last seconds where that makes sense. Times in milliseconds; null: not known. */
export interface Figures {
  /** From the camera to the screen, as far as that is known: see `uplinkBasis` for what is in it. */
  readonly delayMs: number | null;
  readonly delaySource: DelaySource | null;
  /** From camera or encoder until the server sends: the delay without the parts below, where it is known as a whole. */
  readonly uplinkMs: number | null;
  /** Null: the way to the server is not known and not in the delay. */
  readonly uplinkBasis: UplinkBasis | null;
  /** Half of the round trip. */
  readonly networkMs: number | null;
  readonly bufferMs: number | null;
  readonly decodeMs: number | null;
  readonly roundTripMs: number | null;
  /** Of the packets of the last seconds. */
  readonly lossPercent: number | null;
  readonly lost: number;
  readonly recovered: number;
  readonly freezes: number;
  readonly freezeMs: number;
  readonly bitrateMbit: number | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly fps: number | null;
  readonly codecs: readonly string[];
  readonly srtpCipher: string | null;
  readonly path: string | null;
  readonly clockWithinMs: number | null;
}

/** One point of the chart. */
export interface Moment {
  readonly atMs: number;
  readonly delayMs: number | null;
  readonly bitrateMbit: number | null;
}

export interface FigureReport {
  readonly now: Figures;
  /** The last minute, oldest first. */
  readonly minute: readonly Moment[];
}

/** Averages are taken over this time: shorter ones jump about, longer ones hide what has just happened. */
const WINDOW_MS = 3_000;
export const CHART_MS = 60_000;

/** Turns successive looks at a peer connection into figures for people. */
export class FigureLog {
  #looks: PlaybackStats[] = [];
  #minute: Moment[] = [];

  /** Takes the newest look. `clock`: the server's; `uplink`: the way to the server. */
  push(stats: PlaybackStats, clock: ClockOffset | null, uplink: Uplink | null): FigureReport {
    const last = this.#looks.at(-1);
    // Another peer connection counts from zero again.
    if (last && bytes(stats) < bytes(last)) this.#looks = [];
    if (last?.atMs !== stats.atMs) this.#looks.push(stats);
    while (this.#looks.length > 2 && stats.atMs - (this.#looks[1]?.atMs ?? 0) >= WINDOW_MS) this.#looks.shift();
    const now = figuresOf(this.#looks[0] ?? stats, stats, clock, uplink, this.#seenLag(stats));
    const { delayMs, bitrateMbit } = now;
    if (last?.atMs !== stats.atMs) this.#minute.push({ atMs: stats.atMs, delayMs, bitrateMbit });
    this.#minute = this.#minute.filter((moment) => stats.atMs - moment.atMs <= CHART_MS);
    return { now, minute: this.#minute };
  }

  /** How long after their capture by the server's clock pictures were seen on ours, on average over the last seconds. */
  #seenLag({ atMs }: PlaybackStats): number | null {
    const seen = this.#looks.flatMap((look) => (look.seen && atMs - look.seen.atMs < WINDOW_MS ? [look.seen] : []));
    return share(seen.reduce((sum, picture) => sum + (picture.atMs - picture.capturedUnixMs), 0), seen.length);
  }
}

function figuresOf(before: PlaybackStats, now: PlaybackStats, clock: ClockOffset | null, uplink: Uplink | null, seenLagMs: number | null): Figures {
  const { video, audio, path } = now;
  const main = video ?? audio;
  const mainBefore = video ? before.video : before.audio;
  const spanMs = now.atMs - before.atMs;
  const roundTripMs = path?.roundTripMs ?? null;
  const networkMs = roundTripMs === null ? null : roundTripMs / 2;
  const bufferMs = main
    ? share(main.jitterBufferSumMs - (mainBefore?.jitterBufferSumMs ?? 0), main.jitterBufferCount - (mainBefore?.jitterBufferCount ?? 0))
    : null;
  const decodeMs = video
    ? share(video.decodeSumMs - (before.video?.decodeSumMs ?? 0), video.framesDecoded - (before.video?.framesDecoded ?? 0))
    : null;
  const came = main ? main.packetsReceived - (mainBefore?.packetsReceived ?? 0) : 0;
  const missing = main ? Math.max(0, main.packetsLost - (mainBefore?.packetsLost ?? 0)) : 0;
  const reported = clock && main?.playoutUnixMs ? now.atMs + clock.offsetMs - main.playoutUnixMs : null;
  const parts = networkMs !== null && bufferMs !== null ? networkMs + bufferMs + (decodeMs ?? 0) : null;
  // The reports follow the publisher slowly, so that from the server on it may be less than nothing while the way to the server
  // has got shorter; both together are not. A whole below nothing, or of more than a minute, is a clock that was set meanwhile.
  const uplinkMs = uplink?.delay_ms ?? 0;
  const sound = (whole: number): boolean => whole > 0 && whole < 60_000;
  // Without the way to the server nobody could say what is in a capture time.
  const captured = clock && uplink && seenLagMs !== null ? clock.offsetMs + seenLagMs : null;
  const [delayMs, delaySource]: [number | null, DelaySource | null] =
    captured !== null && sound(captured)
      ? [captured, "capture"]
      : reported !== null && sound(reported + uplinkMs)
        ? [reported + uplinkMs, "reports"]
        : parts === null
          ? [null, null]
          : [parts + (uplink?.arrival_ms ?? 0), "parts"];
  return {
    delayMs,
    delaySource,
    // What is left of the whole, so that the parts add up to it: `delay_ms` is about the server's reports alone.
    uplinkMs: uplink && delaySource !== "parts" && delayMs !== null && parts !== null ? Math.max(0, delayMs - parts) : (uplink?.arrival_ms ?? null),
    uplinkBasis: uplink?.basis ?? null,
    networkMs,
    bufferMs,
    decodeMs,
    roundTripMs,
    lossPercent: came + missing > 0 ? (missing / (came + missing)) * 100 : null,
    lost: (video?.packetsLost ?? 0) + (audio?.packetsLost ?? 0),
    recovered: (video?.packetsRecovered ?? 0) + (audio?.packetsRecovered ?? 0),
    freezes: video?.freezes ?? 0,
    freezeMs: video?.freezeMs ?? 0,
    bitrateMbit: spanMs > 0 ? ((bytes(now) - bytes(before)) * 8) / spanMs / 1000 : null,
    width: video?.width ?? null,
    height: video?.height ?? null,
    fps: video?.framesPerSecond ?? null,
    codecs: [video?.codec, audio?.codec].filter((codec) => typeof codec === "string").map((codec) => codec.replace(/^\w+\//, "")),
    srtpCipher: path?.srtpCipher ?? null,
    path: path?.localCandidate && path.remoteCandidate ? `${path.localCandidate} → ${path.remoteCandidate}` : null,
    clockWithinMs: clock?.withinMs ?? null,
  };
}

function bytes(stats: PlaybackStats): number {
  return (stats.video?.bytesReceived ?? 0) + (stats.audio?.bytesReceived ?? 0);
}

function share(sum: number, count: number): number | null {
  return count > 0 ? sum / count : null;
}
