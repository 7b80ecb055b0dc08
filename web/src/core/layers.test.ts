import { describe, expect, it } from "vitest";
import { layerNames, NO_LAYERS, readLayers } from "./layers";

const layer = (rid: string, width: number, height: number) => ({ rid, width, height });

describe("layers of a picture", () => {
  it("are called by the shorter side, and by name where that says nothing", () => {
    expect(layerNames([layer("h", 1280, 720), layer("m", 640, 360)])).toEqual(["720p", "360p"]);
    expect(layerNames([layer("h", 720, 1280), layer("a", 360, 640), layer("b", 640, 360)])).toEqual([
      "720p",
      "360p (a)",
      "360p (b)",
    ]);
  });

  it("are taken as documented and not otherwise", () => {
    const two = [layer("h", 1280, 720), layer("l", 320, 180)];
    expect(readLayers(two)).toEqual(two);
    expect(readLayers([...two, { rid: 7, width: 1, height: 1 }, null, "x", { rid: "n" }])).toEqual(two);
    for (const none of [undefined, null, "h", [], [two[0]], {}]) expect(readLayers(none)).toBe(NO_LAYERS);
  });
});
