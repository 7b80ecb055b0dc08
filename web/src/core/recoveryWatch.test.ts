import { describe, expect, it } from "vitest";
import type { PlaybackStats, VideoStats } from "./playbackStats";
import { RecoveryWatch } from "./recoveryWatch";

/** A look a second at a way of so long; each takes how many packets came at the second try since the last one. */
function looks(recovered: readonly number[], roundTripMs: number | readonly (number | null)[], parity: readonly number[] = []) {
  const watch = new RecoveryWatch();
  let packetsRecovered = 7;
  let parityPackets = 0;
  return recovered.map((more, second) => {
    packetsRecovered += more;
    parityPackets += parity[second] ?? 0;
    const trip = typeof roundTripMs === "number" ? roundTripMs : (roundTripMs[second] ?? null);
    const stats = {
      atMs: second * 1000,
      video: { packetsRecovered, parityPackets } as VideoStats,
      audio: null,
      path: { roundTripMs: trip } as PlaybackStats["path"],
      seen: null,
    };
    return watch.look(stats);
  });
}

describe("RecoveryWatch", () => {
  it("holds back for a round trip where packets get lost", () => {
    expect(looks([0, 1, 1, 0, 0, 1, 4], 200)).toEqual([null, null, null, null, null, 260, 260]);
  });

  it.each([
    ["nothing gets lost", [0, 0, 0, 0], 200],
    ["what is sent again unasked at the beginning", [5, 0, 0, 0], 200],
    ["one packet now and then", [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 200],
    ["a short way", [0, 9, 9, 9, 9, 9, 9], 40],
    ["a queue that is long at first", [0, 9, 9, 9, 9, 0, 0], [300, 250, 200, 150, 60, 50, 50]],
  ])("leaves it at that: %s", (_name, recovered, roundTripMs) => {
    expect(looks(recovered, roundTripMs).every((holdMs) => holdMs === null)).toBe(true);
  });

  it("does not wait for what parity packets mend, and does again without them", () => {
    const parity = [0, 80, 80, 80, 80, 80, 0, 0];
    expect(looks(parity.map(() => 5), 200, parity)).toEqual([null, null, null, null, null, null, 260, 260]);
  });

  it("does not follow every answer that comes late", () => {
    const trips = [100, 110, 120, 100, 100, 900, 100, 110];
    expect(looks(trips.map(() => 5), trips).slice(4)).toEqual([160, 160, 160, 160]);
  });

  it("follows another way, and waits where the way is not known", () => {
    const trips = [200, 200, 200, 200, 200, null, ...Array.from({ length: 12 }, () => 300)];
    const seen = looks(trips.map(() => 5), trips);
    expect(seen.slice(4, 7)).toEqual([260, 260, 260]);
    expect(seen.at(-1)).toBe(360);
  });

  it("ends some time after the last loss", () => {
    const seen = looks([0, 5, ...Array.from({ length: 60 }, () => 0)], 200);
    expect(seen[30]).toBe(260);
    expect(seen.at(-1)).toBeNull();
  });
});
