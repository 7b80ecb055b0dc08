import type { Sound } from "./studioMessages";

/** The lowest level that the meter shows, in decibels of full scale. */
export const METER_FLOOR_DB = -60;
/** A pause in speech is no silence yet. */
const SILENT_S = 5;
const QUIET_DB = -30;
/** Just below full scale: what comes above it is cut off. */
const LOUD_DB = -1;

export type Loudness = "silent" | "quiet" | "good" | "loud";

/** What a streamer should make of a level. */
export function loudness({ peak_dbfs, silent_for_s }: Sound): Loudness {
  if (silent_for_s >= SILENT_S) return "silent";
  if (peak_dbfs >= LOUD_DB) return "loud";
  return peak_dbfs < QUIET_DB ? "quiet" : "good";
}

/** How far a meter is filled at a level, from 0 to 1. */
export function meterShare(dbfs: number): number {
  return Math.min(1, Math.max(0, 1 - dbfs / METER_FLOOR_DB));
}
