import { describe, expect, it } from "vitest";
import { FigureLog } from "./figures";
import { type PlaybackStats, readPlayback } from "./playbackStats";

/** A look at a connection of 4 Mbit/s and 30 pictures a second, `second` after it began. */
function look(second: number, video: object = {}): PlaybackStats {
  return readPlayback(
    new Map<string, unknown>([
      [
        "v",
        {
          type: "inbound-rtp",
          kind: "video",
          bytesReceived: second * 500_000,
          packetsReceived: second * 400,
          packetsLost: second,
          framesDecoded: second * 30,
          totalDecodeTime: second * 30 * 0.004,
          jitterBufferDelay: second * 30 * 0.05,
          jitterBufferEmittedCount: second * 30,
          ...video,
        },
      ],
      ["T", { type: "transport", selectedCandidatePairId: "P", srtpCipher: "AEAD_AES_128_GCM" }],
      ["P", { type: "candidate-pair", currentRoundTripTime: 0.02, localCandidateId: "L", remoteCandidateId: "L" }],
      ["L", { type: "local-candidate", candidateType: "host", protocol: "udp" }],
    ]),
    second * 1000,
  );
}

describe("FigureLog", () => {
  it("adds up what is known where no clock is", () => {
    const log = new FigureLog();
    log.push(look(1), null, null);
    const { now } = log.push(look(2), null, null);
    expect(now.delayMs).toBeCloseTo(10 + 50 + 4);
    expect(now.delaySource).toBe("parts");
    expect(now.bitrateMbit).toBeCloseTo(4);
    expect(now.lossPercent).toBeCloseTo((1 / 401) * 100);
    expect(now.path).toBe("host udp → host udp");
    expect(now.srtpCipher).toBe("AEAD_AES_128_GCM");
  });

  it("goes by the sender's clock as soon as ours is known against it", () => {
    const log = new FigureLog();
    const playing = { estimatedPlayoutTimestamp: 1_700_000_001_920 };
    const { now } = log.push(look(2, playing), { offsetMs: 1_700_000_000_000, withinMs: 0.4 }, null);
    expect(now.delayMs).toBeCloseTo(80);
    expect(now.delaySource).toBe("reports");
    expect(now.clockWithinMs).toBe(0.4);
  });

  it("goes by capture times where they come with the pictures, over the last seconds", () => {
    const log = new FigureLog();
    const clock = { offsetMs: 1_700_000_000_000, withinMs: 0.4 };
    const uplink = { delay_ms: 40, arrival_ms: 40, basis: "capture" } as const;
    const seen = (second: number, lateMs: number): PlaybackStats => {
      const capturedUnixMs = 1_700_000_000_000 + second * 1000 - lateMs;
      return { ...look(second, { estimatedPlayoutTimestamp: 1_700_000_000_000 + second * 1000 - 80 }), seen: { atMs: second * 1000, capturedUnixMs } };
    };
    log.push(seen(1, 90), clock, uplink);
    const { now } = log.push(seen(2, 110), clock, uplink);
    expect([now.delayMs, now.delaySource, now.uplinkBasis]).toEqual([100, "capture", "capture"]);
    expect(now.uplinkMs, "what is left of the whole").toBeCloseTo(100 - (10 + 50 + 4));
    expect(log.push(seen(3, 70), clock, null).now.delaySource, "nobody says what is in it").toBe("reports");
    expect(log.push(seen(4, -500_000), clock, uplink).now.delaySource, "a clock that was set").toBe("reports");
    const { seen: old } = seen(4, 100);
    expect(new FigureLog().push({ ...seen(9, 0), seen: old }, clock, uplink).now.delaySource, "long ago").toBe("reports");
  });

  it("does not believe a clock that was set", () => {
    const log = new FigureLog();
    const playing = { estimatedPlayoutTimestamp: 1_700_000_009_000 };
    log.push(look(1), null, null);
    const { now } = log.push(look(2, playing), { offsetMs: 1_700_000_000_000, withinMs: 0.4 }, null);
    expect(now.delaySource).toBe("parts");
  });

  it("adds the way to the server, whatever the rest comes from", () => {
    const log = new FigureLog();
    log.push(look(1), null, null);
    const parts = log.push(look(2), null, { delay_ms: 1_500, arrival_ms: 120, basis: "network" }).now;
    expect(parts.delayMs).toBeCloseTo(120 + 10 + 50 + 4);
    expect([parts.uplinkMs, parts.uplinkBasis]).toEqual([120, "network"]);
    const playing = { estimatedPlayoutTimestamp: 1_700_000_002_920 };
    const clock = { offsetMs: 1_700_000_000_000, withinMs: 0.4 };
    const whole = log.push(look(3, playing), clock, { delay_ms: 33, arrival_ms: 33, basis: "capture" }).now;
    expect(whole.delayMs).toBeCloseTo(80 + 33);
    expect(whole.uplinkMs, "the rest of the whole").toBeCloseTo(80 + 33 - (10 + 50 + 4));
    // The reports lag behind a publisher whose media comes sooner now.
    const sooner = { estimatedPlayoutTimestamp: 1_700_000_004_030 };
    const { now } = log.push(look(4, sooner), clock, { delay_ms: 100, arrival_ms: 60, basis: "network" });
    expect([now.delayMs, now.delaySource]).toEqual([70, "reports"]);
  });

  it("averages over the last seconds, not over everything", () => {
    const log = new FigureLog();
    for (let second = 1; second <= 20; second += 1) log.push(look(second), null, null);
    // From here on everything waits ten times as long.
    const slow = (second: number) => ({ jitterBufferDelay: 20 * 30 * 0.05 + (second - 20) * 30 * 0.5 });
    for (let second = 21; second <= 23; second += 1) log.push(look(second, slow(second)), null, null);
    const { now } = log.push(look(24, slow(24)), null, null);
    expect(now.bufferMs).toBeCloseTo(500);
  });

  it("keeps a minute for the chart, and the same look once", () => {
    const log = new FigureLog();
    for (let second = 1; second <= 100; second += 1) log.push(look(second), null, null);
    const { minute } = log.push(look(100), null, null);
    expect(minute[0]?.atMs).toBe(40_000);
    expect(minute.at(-1)?.atMs).toBe(100_000);
    expect(minute).toHaveLength(61);
  });

  it("begins anew with another connection", () => {
    const log = new FigureLog();
    log.push(look(50), null, null);
    const { now } = log.push(look(1), null, null);
    expect(now.bitrateMbit).toBeNull();
    expect(log.push(look(2), null, null).now.bitrateMbit).toBeCloseTo(4);
  });
});
