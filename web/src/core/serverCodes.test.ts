import { describe, expect, it } from "vitest";
import { causeOf, causeOfStatus, isFinal } from "./serverCodes";

describe("causeOf", () => {
  it("knows the server's words, however they are joined", () => {
    expect(causeOf("stream_ended", "")).toEqual({ code: "ended" });
    expect(causeOf("stream-ended", "over")).toEqual({ code: "ended", detail: "over" });
  });

  it("keeps the sentence of a word it does not know", () => {
    expect(causeOf("raining", "the mirror is wet")).toEqual({ code: "other", detail: "the mirror is wet" });
  });
});

it.each([
  [401, "not-allowed"],
  [403, "not-allowed"],
  [404, "no-stream"],
  [409, "no-stream"],
  [415, "codec"],
  [422, "codec"],
  [429, "full"],
  [503, "full"],
  [500, "other"],
])("causeOfStatus %i", (status, code) => {
  expect(causeOfStatus(status, "")).toEqual({ code });
});

it("only what cannot change is final", () => {
  expect(isFinal({ code: "codec" })).toBe(true);
  expect(isFinal({ code: "not-allowed" })).toBe(true);
  expect(isFinal({ code: "full" })).toBe(false);
  expect(isFinal({ code: "other" })).toBe(false);
});
