import { expect, it } from "vitest";
import { gridLayout } from "./gridLayout";

const DESK = { width: 1600, height: 900 };
const PHONE = { width: 390, height: 844 };
const PHONE_LYING = { width: 844, height: 390 };

it.each([
  [0, DESK, 1],
  [1, DESK, 1],
  [2, DESK, 2],
  [3, DESK, 2],
  [4, DESK, 2],
  [6, DESK, 3],
  [9, DESK, 3],
  [2, PHONE, 1],
  [4, PHONE, 1],
  [2, PHONE_LYING, 2],
  [3, PHONE_LYING, 3],
])("%i pictures in %o stand in %i columns", (count, window, columns) => {
  const grid = gridLayout(count, window);
  expect(grid.columns).toBe(columns);
  expect(grid.widthPx * columns).toBeLessThanOrEqual(window.width);
});
