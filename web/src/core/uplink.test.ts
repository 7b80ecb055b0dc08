import { describe, expect, it } from "vitest";
import { readUplink } from "./uplink";

describe("readUplink", () => {
  it("takes what the server says, and nothing else", () => {
    expect(readUplink({ delay_ms: 25, arrival_ms: 20, basis: "capture" })).toEqual({ delay_ms: 25, arrival_ms: 20, basis: "capture" });
    expect(readUplink({ delay_ms: 0, arrival_ms: 0, basis: "network", more: 1 })).toEqual({ delay_ms: 0, arrival_ms: 0, basis: "network" });
    for (const nonsense of [undefined, null, 25, {}]) expect(readUplink(nonsense)).toBeNull();
    for (const wrong of [{ delay_ms: "25" }, { basis: "guess" }, { delay_ms: 60_001 }, { arrival_ms: -1 }, { arrival_ms: undefined }]) {
      expect(readUplink({ delay_ms: 25, arrival_ms: 20, basis: "capture", ...wrong })).toBeNull();
    }
  });
});
