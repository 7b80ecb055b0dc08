import type { PlaybackStats } from "./playbackStats";

/**
 * Below this a browser's own reckoning will do: Chromium holds pictures back for a round trip longer when packets get
 * lost, and what then comes late is not seen.
 */
const LONG_WAY_MS = 70;
/** Until a gap shows (the next packet may belong to the next picture), and for decoding. */
const NOTICE_MS = 60;
/** So many packets that came at the second try within so many looks at playback are a network that loses some. */
const SEVERAL = 3;
const LOOKS = 10;
/** The first seconds say little: what a viewer missed goes out at once, and waits in the queue of a narrow line. */
const FIRST_LOOKS = 5;
/** The last losses are so long ago: there are none any more. */
const FORGET_MS = 30_000;
/** Round trips vary, and pictures should not run slower and faster for that. */
const STEP_MS = 20;

/** Notices that packets get lost on a long way, where asking for them again takes longer than pictures are held back. */
export class RecoveryWatch {
  #looks: { readonly recovered: number; readonly parity: number; readonly roundTripMs: number }[] = [];
  #lostAtMs: number | null = null;
  #holdMs: number | null = null;

  /** Takes a look at playback that goes on; how long pictures should be held back, or null for no longer than usual. */
  look({ atMs, video, path }: PlaybackStats): number | null {
    const roundTripMs = path?.roundTripMs ?? null;
    if (!video || roundTripMs === null) return this.#holdMs;
    this.#looks = [...this.#looks, { recovered: video.packetsRecovered, parity: video.parityPackets, roundTripMs }].slice(-LOOKS);
    if (this.#looks.length < FIRST_LOOKS) return this.#holdMs;
    const recovered = video.packetsRecovered - (this.#looks[0]?.recovered ?? 0);
    if (recovered >= SEVERAL) this.#lostAtMs = atMs;
    // A single slow answer says more about a busy machine than about the way.
    const wayMs = Math.min(...this.#looks.map((one) => one.roundTripMs));
    // Nobody has to wait for what is mended without asking.
    const mended = video.parityPackets > (this.#looks.at(-2)?.parity ?? 0);
    if (mended || this.#lostAtMs === null || atMs - this.#lostAtMs > FORGET_MS || wayMs < LONG_WAY_MS) this.#holdMs = null;
    else {
      const wantedMs = Math.ceil((wayMs + NOTICE_MS) / STEP_MS) * STEP_MS;
      if (this.#holdMs === null || Math.abs(wantedMs - this.#holdMs) > STEP_MS) this.#holdMs = wantedMs;
    }
    return this.#holdMs;
  }
}
