import { describe, expect, it } from "vitest";
import { layout } from "./pictureInPicture";
import { level } from "./level";

describe("the screen with the camera in its corner", () => {
  it("keeps the corner in proportion and inside", () => {
    expect(layout([1920, 1080], [1280, 720])).toEqual({ size: [1920, 1080], camera: [1469, 814, 422, 237] });
  });

  it("sends no more than 1080 lines, in even numbers", () => {
    const large = layout([3840, 2400], [640, 480]);
    expect(large?.size).toEqual([1728, 1080]);
    expect(layout([1367, 767], [640, 480])?.size).toEqual([1368, 768]);
  });

  it("waits until sizes are known", () => {
    expect(layout([0, 0], [640, 480])).toBeNull();
  });
});

describe("the level of sound", () => {
  it("goes from silence to as loud as can be", () => {
    expect(level(new Float32Array(8))).toBe(0);
    expect(level(new Float32Array(8).fill(1))).toBe(1);
    expect(level(new Float32Array(8).fill(0.001))).toBeCloseTo(0);
    expect(level(new Float32Array(8).fill(0.0316))).toBeCloseTo(0.5, 2);
  });
});
