import { describe, expect, it } from "vitest";
import { measuredRoundTripMs, secondTryAfterMs } from "./secondTry";

describe("secondTryAfterMs", () => {
  it.each([
    [null, null],
    [1, 200],
    [40, 220],
    [100, 460],
    [234, 996],
    [235, null],
    [1040, null],
  ])("at a round trip of %s ms: %s", (roundTripMs, expected) => {
    expect(secondTryAfterMs(roundTripMs)).toBe(expected);
  });
});

describe("measuredRoundTripMs", () => {
  const plain = { connectStart: 10, secureConnectionStart: 0, connectEnd: 51, requestStart: 51, responseStart: 95 };
  const measured = (entries: object[], url = "wss://tv.example/websocket") =>
    measuredRoundTripMs(
      { location: { host: "tv.example" }, performance: { getEntriesByType: () => entries } } as unknown as Window,
      url,
    );

  it.each([
    ["a new connection", plain, 41],
    ["a new connection with TLS", { ...plain, secureConnectionStart: 50, connectEnd: 130 }, 40],
    ["a connection that was there", { ...plain, connectStart: 51 }, 44],
    ["a page out of the cache", { ...plain, connectStart: 51, responseStart: 51 }, null],
  ])("%s", (_name, entry, expected) => {
    expect(measured([entry])).toBe(expected);
  });

  it("knows nothing of other servers, or where the browser does not tell", () => {
    expect(measured([plain], "wss://media.example/websocket")).toBeNull();
    expect(measured([])).toBeNull();
  });
});
