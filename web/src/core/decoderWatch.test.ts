import { describe, expect, it } from "vitest";
import { DecoderWatch } from "./decoderWatch";
import { readPlayback } from "./playbackStats";

/** Looks at a stream of 30 pictures a second, one look in `everyMs`; each entry: how many were decoded since the last one. */
function verdicts(decoded: readonly number[], everyMs = 500, { received = 30, lost = 0 } = {}): boolean[] {
  const watch = new DecoderWatch();
  const video = { framesReceived: 0, framesDecoded: 0, packetsLost: 0 };
  return decoded.map((count, index) => {
    video.framesReceived += (received * everyMs) / 1000;
    video.framesDecoded += count;
    video.packetsLost += lost;
    return watch.look(readPlayback(new Map([["v", { type: "inbound-rtp", kind: "video", ...video }]]), index * everyMs));
  });
}

describe("DecoderWatch", () => {
  const all = [15, 15, 15, 15, 15];

  it("finds nothing where all pictures are decoded, or half of them, or the pictures are few", () => {
    expect(verdicts([...all, ...all])).not.toContain(true);
    expect(verdicts([7, 7, 7, 7, 7, 7, 7, 7])).not.toContain(true);
    expect(verdicts([0, 0, 0, 0, 0, 0, 0, 0], 500, { received: 4 })).not.toContain(true);
    expect(verdicts([0, 0, 0, 0, 0, 0, 0, 0], 500, { lost: 1 })).not.toContain(true);
  });

  it("is told of a hiccup, and forgives it", () => {
    expect(verdicts([...all, 0, 0, 0, 15, 15, 15])).not.toContain(true);
  });

  it("notices after two seconds that the picture stands still or crawls", () => {
    expect(verdicts([...all, 0, 0, 0, 0])).toEqual([...Array<boolean>(8).fill(false), true]);
    expect(verdicts([...all, 2, 1, 3, 2])).toEqual([...Array<boolean>(8).fill(false), true]);
  });

  it("notices at the slowest rate of looks as well", () => {
    expect(verdicts([30, 30, 30, 4, 3], 1_000)).toEqual([false, false, false, false, true]);
  });

  it("stays with that while pictures come in fits and starts, and is content after a second and a half of keeping up", () => {
    expect(verdicts([...all, 0, 0, 0, 0, 15, 2, 12, 3, 1, 15, 15, 15])).toEqual([
      ...Array<boolean>(8).fill(false),
      ...Array<boolean>(8).fill(true),
      false,
    ]);
  });

  it("goes by when the figures were taken, not by when the browser gets round to telling them", () => {
    const watch = new DecoderWatch();
    const look = (timestamp: number, framesReceived: number): boolean =>
      watch.look(readPlayback(new Map([["v", { type: "inbound-rtp", kind: "video", timestamp, framesReceived }]]), 90_000));
    expect([look(0, 0), look(2_000, 60), look(2_250, 67), look(3_500, 105)]).toEqual([false, true, true, true]);
  });

  it("is no longer concerned when pictures stop arriving", () => {
    const watch = new DecoderWatch();
    const look = (atMs: number, framesReceived: number): boolean =>
      watch.look(readPlayback(new Map([["v", { type: "inbound-rtp", kind: "video", framesReceived }]]), atMs));
    expect([look(0, 0), look(1_000, 30), look(2_000, 60)]).toEqual([false, false, true]);
    expect([look(3_000, 61), look(4_000, 61), look(4_500, 61)]).toEqual([true, false, false]);
  });
});
