import { describe, expect, it, vi } from "vitest";
import { isLatencyMode, jitterTargets, LATENCY_MODES, playoutWish, USUAL_LIMIT_MS } from "./latency";
import { LatencyChoice, type Shelf } from "./latencyChoice";

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

  it("never asks for more than the server allows or was asked for", () => {
    for (const mode of LATENCY_MODES) {
      const { videoMs, audioMs } = jitterTargets(mode, playoutWish(mode)?.max_ms ?? USUAL_LIMIT_MS);
      expect(Math.max(videoMs ?? 0, audioMs ?? 0)).toBeLessThanOrEqual(playoutWish(mode)?.max_ms ?? USUAL_LIMIT_MS);
    }
  });
});

describe("LatencyChoice", () => {
  const shelf = (value: string | null) => ({ getItem: vi.fn(() => value), setItem: vi.fn() }) satisfies Shelf;

  it.each([
    ["smooth", "smooth"],
    ["lowest", "lowest"],
    [null, "balanced"],
    ["fastest", "balanced"],
    ["", "balanced"],
  ])("remembers %s as %s", (stored, mode) => {
    expect(new LatencyChoice(() => shelf(stored)).snapshot()).toBe(mode);
  });

  it("tells and remembers what is chosen", () => {
    const place = shelf(null);
    const choice = new LatencyChoice(() => place);
    const heard = vi.fn();
    const stop = choice.subscribe(heard);
    choice.choose("smooth");
    choice.choose("smooth");
    stop();
    choice.choose("lowest");
    expect(heard).toHaveBeenCalledTimes(1);
    expect(choice.snapshot()).toBe("lowest");
    expect(place.setItem.mock.calls.map(([, mode]: unknown[]) => mode)).toEqual(["smooth", "smooth", "lowest"]);
  });

  it("works where nothing can be stored", () => {
    const forbidden = (): Shelf => {
      throw new DOMException("no", "SecurityError");
    };
    const choice = new LatencyChoice(forbidden);
    choice.choose("smooth");
    expect(choice.snapshot()).toBe("smooth");
    expect(isLatencyMode(choice.snapshot())).toBe(true);
  });
});
