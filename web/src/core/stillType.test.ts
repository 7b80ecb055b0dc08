import { expect, it } from "vitest";
import { canShowStill } from "./stillType";

it("asks the browser what it plays", () => {
  const canPlayType = (type: string) => (type.includes("vp8") ? "probably" : "");
  expect(canShowStill("vp8", { canPlayType })).toBe(true);
  expect(canShowStill("h265", { canPlayType })).toBe(false);
  expect(canShowStill("h266", { canPlayType: () => "probably" })).toBe(false);
});
