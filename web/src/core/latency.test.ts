import { describe, expect, it } from "vitest";
import { jitterTargets, LATENCY_MODES, playoutWish, restTargetMs, USUAL_LIMIT_MS } from "./latency";

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

describe("restTargetMs", () => {
  it.each([
    ["Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0", 1],
    ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36", null],
    ["Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/153.0 Mobile/15E148 Safari/605.1.15", null],
  ])("of %s", (userAgent, restMs) => {
    expect(restTargetMs(userAgent)).toBe(restMs);
  });
});
