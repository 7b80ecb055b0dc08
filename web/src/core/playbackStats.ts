import type { SeenPicture } from "./captureTimes";

/** What the browser says about one moment of playback. Counters run from the start of the peer connection. */
export interface PlaybackStats {
  readonly atMs: number;
  readonly video: VideoStats | null;
  readonly audio: AudioStats | null;
  readonly path: PathStats | null;
  /** The picture that was looked at last, if the server said when it was captured. */
  readonly seen: SeenPicture | null;
}

interface TrackStats {
  readonly bytesReceived: number;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  /** Packets asked for again and received. */
  readonly packetsRecovered: number;
  readonly codec: string | null;
  /** How long a packet waits before it is played, on average since the start. */
  readonly jitterBufferMs: number | null;
  /** The sum behind it, and over how many samples or pictures. */
  readonly jitterBufferSumMs: number;
  readonly jitterBufferCount: number;
  /** What is on the screen now (video) or in the ear was captured then, by the sender's clock; since 1970. */
  readonly playoutUnixMs: number | null;
}

export interface VideoStats extends TrackStats {
  /** When it was so, by a clock of the browser's own: it may answer late where it has too much to do. */
  readonly takenMs: number | null;
  /** Packets from which others can be mended that got lost (forward error correction). */
  readonly parityPackets: number;
  /** Whole pictures, decoded or not. */
  readonly framesReceived: number;
  readonly freezeMs: number;
  /** Time spent on decoding since the start. */
  readonly decodeSumMs: number;
  readonly framesDecoded: number;
  readonly framesDropped: number;
  readonly freezes: number;
  readonly width: number | null;
  readonly height: number | null;
  readonly framesPerSecond: number | null;
}

export interface AudioStats extends TrackStats {
  readonly concealedMs: number;
}

export interface PathStats {
  readonly roundTripMs: number | null;
  readonly localCandidate: string | null;
  readonly remoteCandidate: string | null;
  readonly srtpCipher: string | null;
}

type Entry = Readonly<Record<string, unknown>>;

/** Picks what we show and judge by out of a report of `RTCPeerConnection.getStats()`. */
export function readPlayback(report: Iterable<readonly [string, unknown]>, atMs: number, seen: SeenPicture | null = null): PlaybackStats {
  const entries = new Map<string, Entry>();
  for (const [id, entry] of report) if (typeof entry === "object" && entry !== null) entries.set(id, entry as Entry);
  const all = [...entries.values()];
  const inbound = (kind: string): Entry | undefined =>
    all.find((entry) => entry["type"] === "inbound-rtp" && entry["kind"] === kind);

  const video = inbound("video");
  const audio = inbound("audio");
  return {
    atMs,
    video: video ? readVideo(video, entries) : null,
    audio: audio ? readAudio(audio, entries) : null,
    path: readPath(all, entries),
    seen,
  };
}

function readVideo(entry: Entry, entries: ReadonlyMap<string, Entry>): VideoStats {
  return {
    ...readTrack(entry, entries),
    takenMs: number(entry, "timestamp"),
    parityPackets: count(entry, "fecPacketsReceived"),
    framesReceived: count(entry, "framesReceived"),
    freezeMs: count(entry, "totalFreezesDuration") * 1000,
    decodeSumMs: count(entry, "totalDecodeTime") * 1000,
    framesDecoded: count(entry, "framesDecoded"),
    framesDropped: count(entry, "framesDropped"),
    freezes: count(entry, "freezeCount"),
    width: number(entry, "frameWidth"),
    height: number(entry, "frameHeight"),
    framesPerSecond: number(entry, "framesPerSecond"),
  };
}

function readAudio(entry: Entry, entries: ReadonlyMap<string, Entry>): AudioStats {
  const concealed = count(entry, "concealedSamples") - count(entry, "silentConcealedSamples");
  return { ...readTrack(entry, entries), concealedMs: concealed / 48 };
}

function readTrack(entry: Entry, entries: ReadonlyMap<string, Entry>): TrackStats {
  const codec = entries.get(text(entry, "codecId") ?? "");
  const emitted = count(entry, "jitterBufferEmittedCount");
  return {
    bytesReceived: count(entry, "bytesReceived"),
    packetsReceived: count(entry, "packetsReceived"),
    packetsLost: count(entry, "packetsLost"),
    packetsRecovered: count(entry, "retransmittedPacketsReceived"),
    codec: codec ? text(codec, "mimeType") : null,
    jitterBufferMs: emitted === 0 ? null : (count(entry, "jitterBufferDelay") / emitted) * 1000,
    jitterBufferSumMs: count(entry, "jitterBufferDelay") * 1000,
    jitterBufferCount: emitted,
    playoutUnixMs: unixMs(number(entry, "estimatedPlayoutTimestamp")),
  };
}

function readPath(all: readonly Entry[], entries: ReadonlyMap<string, Entry>): PathStats | null {
  const transport = all.find((entry) => entry["type"] === "transport");
  const selected = transport ? entries.get(text(transport, "selectedCandidatePairId") ?? "") : undefined;
  // Firefox has no transport entry; it marks the pair instead.
  const pair = selected ?? all.find((entry) => entry["type"] === "candidate-pair" && entry["nominated"] === true);
  if (!pair) return null;
  const roundTrip = number(pair, "currentRoundTripTime");
  return {
    roundTripMs: roundTrip === null ? null : roundTrip * 1000,
    localCandidate: candidateWords(entries.get(text(pair, "localCandidateId") ?? "")),
    remoteCandidate: candidateWords(entries.get(text(pair, "remoteCandidateId") ?? "")),
    srtpCipher: transport ? text(transport, "srtpCipher") : null,
  };
}

function candidateWords(candidate: Entry | undefined): string | null {
  if (!candidate) return null;
  return [text(candidate, "candidateType"), text(candidate, "protocol")].filter((word) => word !== null).join(" ");
}

/** From 1900, where NTP and Chromium begin, to 1970. */
const NTP_TO_UNIX_MS = 2_208_988_800_000;

/** From NTP or from 1970 on; null for nothing. */
export function unixMs(ms: number | null): number | null {
  if (ms === null || ms <= 0) return null;
  return ms > NTP_TO_UNIX_MS ? ms - NTP_TO_UNIX_MS : ms;
}

function number(entry: Entry, key: string): number | null {
  const value = entry[key];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function count(entry: Entry, key: string): number {
  return number(entry, key) ?? 0;
}

function text(entry: Entry, key: string): string | null {
  const value = entry[key];
  return typeof value === "string" && value !== "" ? value : null;
}
