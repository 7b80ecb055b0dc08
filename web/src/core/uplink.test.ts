import { describe, expect, it } from "vitest";
import { readUplink } from "./uplink";

describe("readUplink", () => {
  it("takes what the server says, and nothing else", () => {
    expect(readUplink({ delay_ms: 25, basis: "capture" })).toEqual({ delay_ms: 25, basis: "capture" });
    expect(readUplink({ delay_ms: 0, basis: "network", more: 1 })).toEqual({ delay_ms: 0, basis: "network" });
    for (const nonsense of [undefined, null, 25, {}, { delay_ms: "25", basis: "capture" }, { delay_ms: 25, basis: "guess" }, { delay_ms: 60_001, basis: "network" }]) {
      expect(readUplink(nonsense)).toBeNull();
    }
  });
});
