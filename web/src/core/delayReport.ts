import type { ClockOffset } from "./clockSync";
import { FigureLog } from "./figures";
import type { Uplink } from "./messages";
import type { PlaybackStats } from "./playbackStats";

/** Between two reports; the server asks for no more than the streamer can read. */
export const REPORT_EVERY_MS = 10_000;
/** A figure needs some seconds of playback. */
const FIRST_AFTER_MS = 4_000;
/** What the server takes. More than a minute is a clock that was set meanwhile. */
const MOST_MS = 60_000;

/** Says now and then how late the picture is, for the streamer's desk. */
export class DelayReport {
  readonly #log = new FigureLog();
  readonly #random: () => number;
  #dueMs: number | null = null;

  /** `random`: from 0 up to but not including 1; viewers who come at once do not report at once. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Takes a look at playback that goes on; the delay to report, in whole milliseconds, or null for not now. */
  look(stats: PlaybackStats, clock: ClockOffset | null, uplink: Uplink | null): number | null {
    const { delayMs } = this.#log.push(stats, clock, uplink).now;
    this.#dueMs ??= stats.atMs + FIRST_AFTER_MS + this.#random() * (REPORT_EVERY_MS - FIRST_AFTER_MS);
    if (delayMs === null || delayMs < 0 || delayMs > MOST_MS || stats.atMs < this.#dueMs) return null;
    this.#dueMs = stats.atMs + REPORT_EVERY_MS;
    return Math.round(delayMs);
  }
}
