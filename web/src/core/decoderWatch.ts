import type { PlaybackStats } from "./playbackStats";

/** Judged over at least so long: a moment without pictures is a hiccup. */
const BEHIND_AFTER_MS = 2_000;
/** Fewer pictures in a second are a slide show. */
const SLIDES_PER_S = 5;
/** A picture that moves slowly because this much of it is left is no slide show of the device's. */
const BEHIND_SHARE = 1 / 3;
/** It has to keep up for so long before it counts: a device that has too much to do decodes in fits and starts. */
const KEEPS_UP_AFTER_MS = 1_500;
const KEEPS_UP_SHARE = 3 / 4;
/** Older looks are of no use; a look is at most a second and a bit after the one before. */
const FORGET_MS = 2 * BEHIND_AFTER_MS;

interface Look {
  readonly atMs: number;
  readonly received: number;
  readonly decoded: number;
  readonly lost: number;
}

/** Notices a device that decodes too few of the pictures that arrive whole: what it shows crawls, or stands still. */
export class DecoderWatch {
  #looks: readonly Look[] = [];
  #behind = false;

  get behind(): boolean {
    return this.#behind;
  }

  /** Takes a look; whether the device is behind. */
  look({ atMs: answeredMs, video }: PlaybackStats): boolean {
    if (!video) return this.#behind;
    const atMs = video.takenMs ?? answeredMs;
    const now: Look = { atMs, received: video.framesReceived, decoded: video.framesDecoded, lost: video.packetsLost };
    this.#looks = [...this.#looks.filter((look) => atMs - look.atMs <= FORGET_MS), now];
    const spanMs = this.#behind ? KEEPS_UP_AFTER_MS : BEHIND_AFTER_MS;
    const before = this.#looks.filter((look) => atMs - look.atMs >= spanMs).at(-1);
    if (before) this.#behind = isBehind(before, now, this.#behind);
    return this.#behind;
  }
}

function isBehind(before: Look, now: Look, already: boolean): boolean {
  const seconds = (now.atMs - before.atMs) / 1000;
  const [received, decoded] = [now.received - before.received, now.decoded - before.decoded];
  // Where something is missing, pictures cannot be decoded, however fast the device is.
  if (now.lost > before.lost || received < SLIDES_PER_S * seconds) return false;
  if (already) return decoded < received * KEEPS_UP_SHARE;
  return decoded < received * BEHIND_SHARE && decoded < SLIDES_PER_S * seconds;
}
