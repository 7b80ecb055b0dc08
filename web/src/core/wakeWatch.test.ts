import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { watchWake } from "./wakeWatch";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("notices that the computer slept, once, and nothing else", () => {
  let sleptMs = 0;
  const woke = vi.fn();
  const stop = watchWake(woke, () => performance.now() + sleptMs);
  vi.advanceTimersByTime(60_000);
  expect(woke).not.toHaveBeenCalled();
  // A busy machine is late as well.
  sleptMs = 12_000;
  vi.advanceTimersByTime(5_000);
  expect(woke).not.toHaveBeenCalled();
  sleptMs += 3_600_000;
  vi.advanceTimersByTime(10_000);
  expect(woke).toHaveBeenCalledOnce();
  stop();
  sleptMs += 3_600_000;
  vi.advanceTimersByTime(60_000);
  expect(woke).toHaveBeenCalledOnce();
});
