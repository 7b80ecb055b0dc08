import { describe, expect, it } from "vitest";
import { ClockSync, EXCHANGES } from "./clockSync";

const OFFSET_MS = 1_700_000_000_000;

/** An exchange that takes `thereMs` to the server and `backMs` from it. */
function exchange(sync: ClockSync, atMs: number, thereMs: number, backMs: number): void {
  const clientUs = sync.ask(atMs);
  sync.answer(clientUs, (atMs + thereMs + OFFSET_MS) * 1000, atMs + thereMs + backMs);
}

describe("ClockSync", () => {
  it("knows nothing before the first answer", () => {
    expect(new ClockSync().offset).toBeNull();
  });

  it("believes the fastest exchange", () => {
    const sync = new ClockSync();
    exchange(sync, 1000, 90, 10);
    exchange(sync, 1100, 4, 6);
    exchange(sync, 1200, 10, 200);
    expect(sync.offset?.withinMs).toBeCloseTo(5);
    expect(sync.offset?.offsetMs).toBeCloseTo(OFFSET_MS - 1);
  });

  it("is never wrong by more than it says", () => {
    for (const [thereMs, backMs] of [[0, 0], [1, 30], [30, 1], [250, 0]] as const) {
      const sync = new ClockSync();
      exchange(sync, 5000, thereMs, backMs);
      const { offsetMs, withinMs } = sync.offset ?? { offsetMs: 0, withinMs: 0 };
      expect(Math.abs(offsetMs - OFFSET_MS)).toBeLessThanOrEqual(withinMs + 0.01);
    }
  });

  it("takes no answer that nobody asked for, and none twice", () => {
    const sync = new ClockSync();
    const clientUs = sync.ask(10);
    expect(sync.answer(clientUs + 1, 0, 20)).toBe(false);
    expect(sync.answer(clientUs, 0, 20)).toBe(true);
    expect(sync.answer(clientUs, 0, 20)).toBe(false);
  });

  it("keeps the old offset until a new round has its first answer", () => {
    const sync = new ClockSync();
    exchange(sync, 0, 0, 0);
    const old = sync.offset;
    sync.begin();
    expect(sync.offset).toBe(old);
    exchange(sync, 60_000, 40, 40);
    expect(sync.offset?.withinMs).toBeCloseTo(40);
  });

  it("forgets what was never answered", () => {
    const sync = new ClockSync();
    const first = sync.ask(0);
    for (let at = 1; at <= 3 * EXCHANGES; at += 1) sync.ask(at);
    expect(sync.answer(first, 0, 100)).toBe(false);
  });
});
