import type { Point } from "./chart";
import type { Desk } from "./studioMessages";

/** The charts show so much. */
export const HISTORY_MS = 5 * 60_000;
/** Loss is what went missing within this time. */
const LOSS_OVER_MS = 10_000;

export interface DeskMoment {
  readonly atMs: number;
  readonly bitrateMbit: number | null;
  readonly fps: number | null;
  readonly lossPercent: number | null;
  readonly roundTripMs: number | null;
  readonly viewers: number;
  /** So late or less 95 of 100 viewers are. */
  readonly delayMs: number | null;
}

interface Counted {
  readonly atMs: number;
  readonly packets: number;
  readonly lost: number;
}

/** The last minutes of a channel, from one look at its desk after the other. */
export class DeskHistory {
  #moments: DeskMoment[] = [];
  #counted: Counted[] = [];

  push(desk: Desk, atMs: number): readonly DeskMoment[] {
    const { video, audio, uplink } = desk;
    const packets = (video?.packets ?? 0) + (audio?.packets ?? 0);
    const lost = (video?.lost ?? 0) + (audio?.lost ?? 0);
    // A new stream counts from zero.
    const before = this.#counted.at(-1);
    if (before && packets < before.packets) this.#counted = [];
    this.#counted.push({ atMs, packets, lost });
    while (this.#counted.length > 2 && atMs - (this.#counted[1]?.atMs ?? 0) >= LOSS_OVER_MS) this.#counted.shift();
    const since = this.#counted[0] ?? { packets, lost };
    const came = packets - since.packets;
    const missing = Math.max(0, lost - since.lost);
    const on = desk.state === "live";
    this.#moments = [
      ...this.#moments.filter((moment) => atMs - moment.atMs <= HISTORY_MS),
      {
        atMs,
        bitrateMbit: on ? (uplink?.bitrate_bps ?? (video?.bitrate_bps ?? 0) + (audio?.bitrate_bps ?? 0)) / 1e6 : null,
        fps: on ? (video?.fps ?? null) : null,
        lossPercent: on && came + missing > 0 ? (missing / (came + missing)) * 100 : null,
        roundTripMs: uplink?.round_trip_ms ?? null,
        viewers: desk.viewers,
        delayMs: desk.delay?.p95_ms ?? null,
      },
    ];
    return this.#moments;
  }
}

/** One line of a chart, the newest moment at its end. */
export function historyPoints(moments: readonly DeskMoment[], value: (moment: DeskMoment) => number | null): Point[] {
  const until = moments.at(-1)?.atMs ?? 0;
  return moments.map((moment) => ({ x: moment.atMs - until + HISTORY_MS, y: value(moment) }));
}
