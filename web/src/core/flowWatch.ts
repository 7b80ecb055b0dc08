import { DecoderWatch } from "./decoderWatch";
import type { PlaybackStats } from "./playbackStats";
import type { StallReason } from "./viewerState";

/** Two seconds without a new picture are no hiccup any more. */
export const STALL_AFTER_MS = 2_000;
/** So many packets in the time without a picture mean that data arrives. */
const SOME_PACKETS = 10;

export type Flow = "nothing-yet" | "flowing" | "stalled";

/**
 * Judges from successive figures whether media moves. Video decides when there is any; a stream of sound alone
 * counts its packets.
 */
export class FlowWatch {
  #progress = 0;
  /** The figures when it moved last. */
  #last: PlaybackStats | null = null;
  readonly #decoder = new DecoderWatch();

  judge(stats: PlaybackStats, expectsVideo: boolean): Flow {
    const progress = expectsVideo ? (stats.video?.framesDecoded ?? 0) : (stats.audio?.packetsReceived ?? 0);
    if (progress > this.#progress) {
      this.#progress = progress;
      this.#last = stats;
    }
    const behind = expectsVideo && this.#decoder.look(stats);
    if (this.#last === null) return "nothing-yet";
    return behind || stats.atMs - this.#last.atMs >= STALL_AFTER_MS ? "stalled" : "flowing";
  }

  /** Why it stands still, or crawls, as far as the figures tell. */
  reason(stats: PlaybackStats): StallReason {
    if (this.#decoder.behind) return "device";
    const [before, now] = [this.#last?.video, stats.video];
    if (!before || !now) return "network";
    if (now.packetsReceived - before.packetsReceived < SOME_PACKETS) return "network";
    const lost = now.packetsLost - before.packetsLost;
    // A decoder that lacks a reference waits for the next whole picture: that is the network's doing as well.
    if (lost > 0 || now.framesReceived <= before.framesReceived) return "loss";
    return "device";
  }
}
