import { expect, it } from "vitest";
import { linePoints, roundAbove } from "./chart";

it.each([
  [0, 1],
  [-3, 1],
  [0.03, 0.05],
  [1, 1],
  [1.01, 2],
  [43, 50],
  [99, 100],
  [501, 1000],
])("above %d the scale ends at %d", (value, top) => {
  expect(roundAbove(value)).toBe(top);
});

it("a line has a gap where nothing is known", () => {
  const points = [
    { x: 0, y: 0 },
    { x: 30, y: 5 },
    { x: 40, y: null },
    { x: 60, y: 10 },
  ];
  const { path, topY } = linePoints(points, { width: 120, height: 50, spanX: 60 });
  expect(topY).toBe(10);
  expect(path).toBe("M0.0 50.0L60.0 25.0M120.0 0.0");
  expect(linePoints([], { width: 1, height: 1, spanX: 1 })).toEqual({ path: "", topY: 1 });
});
