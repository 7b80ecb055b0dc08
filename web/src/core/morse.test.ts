import { expect, it } from "vitest";
import { flashes, nameNumber } from "./morse";

it("flashes SOS", () => {
  expect(flashes("SOS", 100).map((flash) => flash.length)).toEqual([1, 1, 1, 3, 3, 3, 1, 1, 1]);
  expect(flashes("et", 100)).toEqual([
    { at: 0, length: 1 },
    { at: 4, length: 3 },
  ]);
});

it("knows letters with accents and gives every script a picture", () => {
  expect(flashes("é", 100)).toEqual(flashes("e", 100));
  expect(flashes("日本", 100).length).toBeGreaterThan(3);
  expect(flashes("!?", 100)).toEqual([]);
});

it("never grows beyond the room there is", () => {
  for (const { at, length } of flashes("x".repeat(500), 60)) expect(at + length).toBeLessThanOrEqual(60);
});

it("nameNumber is the same for the same name and lies between 0 and 1", () => {
  for (const name of ["", "dawn", "dusk", "日本"]) {
    expect(nameNumber(name, 1)).toBe(nameNumber(name, 1));
    expect(nameNumber(name, 1)).toBeGreaterThanOrEqual(0);
    expect(nameNumber(name, 1)).toBeLessThan(1);
  }
  expect(nameNumber("dawn", 1)).not.toBe(nameNumber("dawn", 2));
});
