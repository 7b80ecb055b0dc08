import { describe, expect, it } from "vitest";
import { DelayReport, REPORT_EVERY_MS } from "./delayReport";
import { type PlaybackStats, readPlayback } from "./playbackStats";

/** A look after so many seconds: pictures wait for 50 ms, and the round trip is 20 ms. */
function look(seconds: number, roundTripS: number | null = 0.02): PlaybackStats {
  const video = {
    type: "inbound-rtp",
    kind: "video",
    packetsReceived: seconds * 100,
    bytesReceived: seconds * 1000,
    jitterBufferDelay: seconds * 30 * 0.05,
    jitterBufferEmittedCount: seconds * 30,
  };
  const pair = { type: "candidate-pair", nominated: true, currentRoundTripTime: roundTripS };
  return readPlayback(
    [
      ["video", video],
      ["pair", pair],
    ],
    seconds * 1000,
  );
}

function reports(random: number, seconds: number, roundTripS?: number): [number, number][] {
  const report = new DelayReport(() => random);
  return Array.from({ length: seconds }, (_, second) => [second, report.look(look(second, roundTripS), null, null)] as const)
    .filter((one): one is [number, number] => one[1] !== null);
}

describe("DelayReport", () => {
  it("reports every ten seconds, first when there is something to report", () => {
    expect(reports(0, 30)).toEqual([4, 14, 24].map((second) => [second, 60]));
    expect(REPORT_EVERY_MS).toBe(10_000);
  });

  it("spreads those who come at once", () => {
    expect(reports(0.999, 12).map(([second]) => second)).toEqual([10]);
  });

  it("reports the way to the server with the rest", () => {
    const report = new DelayReport(() => 0);
    const uplink = { delay_ms: 1_500, arrival_ms: 100, basis: "network" } as const;
    expect([0, 2, 4].map((second) => report.look(look(second), null, uplink)).at(-1)).toBe(160);
  });

  it("reports nothing that is not known, and nothing that makes no sense", () => {
    const report = new DelayReport(() => 0);
    expect([0, 10, 20].map((second) => report.look(look(second, null), null, null))).toEqual([null, null, null]);
    expect(reports(0, 30, 130)).toEqual([]);
  });
});
