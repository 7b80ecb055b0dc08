import { expect, it } from "vitest";
import { codecName } from "./codecName";

it("writes codecs as people do, and those it does not know as they come", () => {
  expect(["h265", "av1", "opus", "h266", undefined].map(codecName)).toEqual(["H.265", "AV1", "Opus", "H266", "?"]);
});
