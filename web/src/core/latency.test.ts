import { describe, expect, it } from "vitest";
import { jitterTargets, LATENCY_MODES, playoutWish, USUAL_LIMIT_MS } from "./latency";

describe("jitterTargets", () => {
  it.each([
    ["lowest", 500, { videoMs: null, audioMs: null }],
    ["lowest", 4000, { videoMs: null, audioMs: null }],
    ["balanced", 500, { videoMs: 50, audioMs: null }],
    ["smooth", 500, { videoMs: 400, audioMs: 400 }],
    ["smooth", 1250, { videoMs: 1000, audioMs: 1000 }],
    ["smooth", 4000, { videoMs: 1000, audioMs: 1000 }],
    ["smooth", 801, { videoMs: 640, audioMs: 640 }],
  ] as const)("%s where the server allows %i ms", (mode, limitMs, targets) => {
    expect(jitterTargets(mode, limitMs)).toEqual(targets);
  });

  it.each([
    ["lowest", 260, null],
    ["balanced", null, 50],
    ["balanced", 20, 50],
    ["balanced", 260, 260],
    ["balanced", 900, 400],
    ["smooth", 260, 400],
  ] as const)("%s where a second try takes %s ms", (mode, recoveryMs, videoMs) => {
    expect(jitterTargets(mode, 500, recoveryMs).videoMs).toBe(videoMs);
  });

  it("never asks for more than the server allows or was asked for", () => {
    for (const mode of LATENCY_MODES) {
      const { videoMs, audioMs } = jitterTargets(mode, playoutWish(mode)?.max_ms ?? USUAL_LIMIT_MS);
      expect(Math.max(videoMs ?? 0, audioMs ?? 0)).toBeLessThanOrEqual(playoutWish(mode)?.max_ms ?? USUAL_LIMIT_MS);
    }
  });
});
