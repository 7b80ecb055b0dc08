import { describe, expect, it } from "vitest";
import { loudness, meterShare } from "./soundLevel";

describe("loudness", () => {
  it.each([
    [-12, 0, "good"],
    [-30.1, 0, "quiet"],
    [-127, 4, "quiet"],
    [-127, 5, "silent"],
    [-1, 0, "loud"],
    [0, 0, "loud"],
  ] as const)("calls %d dB after %d s of silence %s", (peak_dbfs, silent_for_s, expected) => {
    expect(loudness({ peak_dbfs, rms_dbfs: -40, silent_for_s })).toBe(expected);
  });
});

describe("meterShare", () => {
  it("fills the meter from -60 to 0 decibels, and never more", () => {
    expect([-127, -60, -30, -15, 0, 3].map(meterShare)).toEqual([0, 0, 0.5, 0.75, 1, 1]);
  });
});
