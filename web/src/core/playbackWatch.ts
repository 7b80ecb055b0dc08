import type { SeenPicture } from "./captureTimes";
import type { ClockOffset } from "./clockSync";
import { DelayReport } from "./delayReport";
import { FlowWatch } from "./flowWatch";
import type { Uplink } from "./messages";
import type { PeerLink } from "./peerLink";
import { type PlaybackStats, readPlayback } from "./playbackStats";
import { RecoveryWatch } from "./recoveryWatch";
import type { StallReason } from "./viewerState";

const EVERY_MS = 1_000;
/** While people wait for a picture they notice a second. */
const EVERY_WAITING_MS = 250;

export interface PlaybackParts {
  readonly nowMs: () => number;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
  /** The viewer sees pictures that move. */
  readonly isLive: () => boolean;
  readonly expectsVideo: () => boolean;
  readonly clock: () => ClockOffset | null;
  readonly uplink: () => Uplink | null;
  readonly onFlow: (found: Flowing) => void;
  readonly onStall: (atMs: number, reason: StallReason) => void;
}

/** What was found while pictures move. */
export interface Flowing {
  /** To tell the server; null: not now. */
  readonly delayMs: number | null;
  /** How long pictures should be held back for lost packets; null: no longer than usual. */
  readonly recoveryMs: number | null;
}

/** Looks at a peer connection again and again: whether media moves, how late it is, what gets lost. */
export class PlaybackWatch {
  readonly #parts: PlaybackParts;
  #flow = new FlowWatch();
  #recovery = new RecoveryWatch();
  #delay: DelayReport;
  #playback: PlaybackStats | null = null;
  #seen: SeenPicture | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts what is watched; whatever comes from an earlier look is ignored. */
  #watched = 0;

  constructor(parts: PlaybackParts) {
    this.#parts = parts;
    this.#delay = new DelayReport(parts.random);
  }

  /** The figures of the last look, at most a second old while media flows. */
  get playback(): PlaybackStats | null {
    return this.#playback;
  }

  /** Begins anew, for another attempt. */
  reset(): void {
    this.#recovery = new RecoveryWatch();
    this.#playback = null;
    this.renew();
  }

  /** Another peer connection: its figures count from zero. */
  renew(): void {
    this.stop();
    this.#flow = new FlowWatch();
    this.#delay = new DelayReport(this.#parts.random);
    this.#seen = null;
  }

  /** A picture was shown of which is known when it was captured; or null for one of which it is not. */
  seen(picture: SeenPicture | null): void {
    this.#seen = picture;
  }

  /** Media can flow. */
  watch(link: PeerLink): void {
    this.stop();
    this.#later(link, this.#watched);
  }

  stop(): void {
    this.#watched += 1;
    clearTimeout(this.#timer);
  }

  #later(link: PeerLink, watched: number): void {
    this.#timer = setTimeout(
      () => {
        void this.#look(link, watched);
      },
      this.#parts.isLive() ? EVERY_MS : EVERY_WAITING_MS,
    );
  }

  async #look(link: PeerLink, watched: number): Promise<void> {
    const report = await link.peer.getStats().catch(() => null);
    if (watched !== this.#watched) return;
    // TypeScript knows the report as a map of `any`.
    if (report) this.#judge(readPlayback(report as Iterable<readonly [string, unknown]>, this.#parts.nowMs(), this.#seen));
    // What was found may have ended it.
    if (watched === this.#watched) this.#later(link, watched);
  }

  #judge(playback: PlaybackStats): void {
    const { expectsVideo, clock, uplink, onFlow, onStall } = this.#parts;
    this.#playback = playback;
    const flow = this.#flow.judge(playback, expectsVideo());
    if (flow === "flowing") {
      onFlow({ delayMs: this.#delay.look(playback, clock(), uplink()), recoveryMs: this.#recovery.look(playback) });
    }
    if (flow === "stalled") onStall(playback.atMs, this.#flow.reason(playback));
  }
}
