import { isFirefox } from "./firefox";
import type { PlayoutWish } from "./messages";

/** What a viewer can choose: how long pictures and sound are held back so that they play evenly and together. */
export type LatencyMode = "lowest" | "balanced" | "smooth";

/** In the order of the delay. */
export const LATENCY_MODES: readonly LatencyMode[] = ["lowest", "balanced", "smooth"];
export const DEFAULT_LATENCY: LatencyMode = "balanced";

/** What servers allow that say nothing else: the upper bound of the playout delay that they send. */
export const USUAL_LIMIT_MS = 500;
/** What smooth aims at. */
const SMOOTH_MS = 1_000;
/** The browser needs some room between what we aim at and the upper bound. */
const ROOM = 1.25;

/**
 * How long balanced holds pictures back at least. Chromium plays sound 30 to 60 ms after it has arrived, on a clean
 * network too (its buffer aims at one or two packets), and pictures at once; its synchroniser starts after two
 * seconds, ignores what is below 30 ms, and moves 15 ms in three seconds. Measured on loopback, headless, with flash and
 * beep: nothing held back, sound comes 36 to 40 ms after its picture (70 to 90 in the first second); at 50 ms, mostly
 * 0 to 10 ms from the second second on, now and then 13 to 30 before it, and more on a busy machine. The price is 30 to 45 ms of delay: 55 to 70 ms from drawing to seeing, not 25.
 */
const BALANCED_PICTURE_MS = 50;

/** For `RTCRtpReceiver.jitterBufferTarget`; null leaves it to the browser. */
export interface JitterTargets {
  readonly videoMs: number | null;
  readonly audioMs: number | null;
}

/**
 * The least delay to ask the browser for. `limitMs`: what the server allows at present; `recoveryMs`: how long a packet
 * takes that has to be asked for again, where that happens and takes long (see `recoveryWatch.ts`). Whoever wants the
 * lowest delay gets a picture that stutters there.
 */
export function jitterTargets(mode: LatencyMode, limitMs: number, recoveryMs: number | null = null): JitterTargets {
  switch (mode) {
    case "lowest":
      return { videoMs: null, audioMs: null };
    case "balanced":
      return {
        videoMs: Math.max(BALANCED_PICTURE_MS, Math.min(recoveryMs ?? 0, Math.floor(limitMs / ROOM))),
        audioMs: null,
      };
    case "smooth": {
      const targetMs = Math.min(SMOOTH_MS, Math.floor(limitMs / ROOM));
      return { videoMs: targetMs, audioMs: targetMs };
    }
  }
}

/**
 * What to ask for pictures that were held back and no longer are to be; null: nothing. Firefox (seen in 153) plays pictures
 * without any delay by another clock: where it goes over to that while it plays, the last picture stays for many seconds.
 */
export function restTargetMs(userAgent: string): number | null {
  return isFirefox(userAgent) ? 1 : null;
}

/** What the server has to be asked for; null: what is usual. */
export function playoutWish(mode: LatencyMode): PlayoutWish | null {
  return mode === "smooth" ? { min_ms: 0, max_ms: SMOOTH_MS * ROOM } : null;
}

export function isLatencyMode(value: unknown): value is LatencyMode {
  return LATENCY_MODES.some((mode) => mode === value);
}
