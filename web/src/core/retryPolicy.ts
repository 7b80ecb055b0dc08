/** How long to wait before trying again. */
export interface RetryPolicy {
  readonly firstMs: number;
  readonly longestMs: number;
  /** 0.5 spreads each delay from half of it to one and a half times. */
  readonly jitter: number;
}

/** The spread keeps thousands of viewers from coming back to a restarted server at the same instant. */
export const RETRY: RetryPolicy = { firstMs: 250, longestMs: 10_000, jitter: 0.5 };

/**
 * The delay before try number `retry` (0 is the first one after a failure), doubling each time.
 * `random` gives numbers from 0 up to but not including 1.
 */
export function retryDelayMs(retry: number, random: () => number, policy: RetryPolicy = RETRY): number {
  const middleMs = Math.min(policy.firstMs * 2 ** Math.min(retry, 30), policy.longestMs);
  const spread = 1 + policy.jitter * (2 * random() - 1);
  return Math.round(Math.min(middleMs * spread, policy.longestMs));
}
