import type { PlaybackStats } from "./playbackStats";

/** Two seconds without a new picture are no hiccup any more. */
export const STALL_AFTER_MS = 2_000;

export type Flow = "nothing-yet" | "flowing" | "stalled";

/**
 * Judges from successive figures whether media moves. Video decides when there is any; a stream of sound alone
 * counts its packets.
 */
export class FlowWatch {
  #progress = 0;
  #lastMoveMs: number | null = null;

  judge(stats: PlaybackStats, expectsVideo: boolean): Flow {
    const progress = expectsVideo ? (stats.video?.framesDecoded ?? 0) : (stats.audio?.packetsReceived ?? 0);
    if (progress > this.#progress) {
      this.#progress = progress;
      this.#lastMoveMs = stats.atMs;
    }
    if (this.#lastMoveMs === null) return "nothing-yet";
    return stats.atMs - this.#lastMoveMs >= STALL_AFTER_MS ? "stalled" : "flowing";
  }
}
