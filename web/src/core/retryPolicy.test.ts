import { describe, expect, it } from "vitest";
import { RETRY, retryDelayMs } from "./retryPolicy";

describe("retryDelayMs", () => {
  it("doubles from a quarter of a second to ten seconds", () => {
    const middles = Array.from({ length: 9 }, (_, retry) => retryDelayMs(retry, () => 0.5));
    expect(middles).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
  });

  it("spreads delays from half to one and a half times, never beyond the longest", () => {
    expect(retryDelayMs(2, () => 0)).toBe(500);
    expect(retryDelayMs(2, () => 0.999_999)).toBe(1500);
    expect(retryDelayMs(20, () => 0)).toBe(5000);
    expect(retryDelayMs(20, () => 0.999_999)).toBe(RETRY.longestMs);
  });

  it("stays finite after a night of failures", () => {
    expect(retryDelayMs(5000, () => 0.5)).toBe(RETRY.longestMs);
  });
});
