import { describe, expect, it } from "vitest";
import { measuredOpeningMs, secondTryAfterMs } from "./secondTry";

describe("secondTryAfterMs", () => {
  it.each([
    [null, null],
    [2, 120],
    [82, 133],
    [400, 530],
    [775, 999],
    [776, null],
    [2080, null],
  ])("where a socket takes %s ms to open: %s", (openingMs, expected) => {
    expect(secondTryAfterMs(openingMs)).toBe(expected);
  });
});

describe("measuredOpeningMs", () => {
  const plain = { connectStart: 10, secureConnectionStart: 0, connectEnd: 51, requestStart: 51, responseStart: 95 };
  const measured = (entries: object[], url = "wss://tv.example/websocket") =>
    measuredOpeningMs(
      { location: { host: "tv.example" }, performance: { getEntriesByType: () => entries } } as unknown as Window,
      url,
    );

  it.each([
    ["a new connection", plain, 82],
    ["one whose first packet was lost", { ...plain, connectStart: -1000 }, 88],
    ["one whose answer was lost", { ...plain, responseStart: 351 }, 82],
    ["a new connection with TLS", { ...plain, secureConnectionStart: 50, connectEnd: 130, requestStart: 130, responseStart: 175 }, 160],
    ["a connection that was there", { ...plain, connectStart: 51 }, 176],
    ["a page out of the cache", { ...plain, connectStart: 51, responseStart: 51 }, null],
  ])("%s", (_name, entry, expected) => {
    expect(measured([entry])).toBe(expected);
  });

  it("knows nothing of other servers, or where the browser does not tell", () => {
    expect(measured([plain], "wss://media.example/websocket")).toBeNull();
    expect(measured([])).toBeNull();
  });
});
