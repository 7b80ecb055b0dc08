import { describe, expect, it } from "vitest";
import { FlowWatch } from "./flowWatch";
import { type PlaybackStats, readPlayback } from "./playbackStats";

const REPORT = new Map<string, unknown>([
  ["V", { type: "inbound-rtp", kind: "video", timestamp: 4, codecId: "C", estimatedPlayoutTimestamp: 3908988800000, framesReceived: 61, totalFreezesDuration: 1.5, totalDecodeTime: 0.12, framesDecoded: 60, framesDropped: 1, freezeCount: 2, frameWidth: 1280, frameHeight: 720, framesPerSecond: 30, bytesReceived: 9000, packetsReceived: 80, packetsLost: -1, retransmittedPacketsReceived: 4, fecPacketsReceived: 9, jitterBufferDelay: 3, jitterBufferEmittedCount: 60 }],
  ["A", { type: "inbound-rtp", kind: "audio", packetsReceived: 100, concealedSamples: 960, silentConcealedSamples: 480 }],
  ["C", { type: "codec", mimeType: "video/H264" }],
  ["T", { type: "transport", selectedCandidatePairId: "P", srtpCipher: "AEAD_AES_128_GCM" }],
  ["P", { type: "candidate-pair", currentRoundTripTime: 0.012, localCandidateId: "L", remoteCandidateId: "R" }],
  ["L", { type: "local-candidate", candidateType: "host", protocol: "udp" }],
  ["R", { type: "remote-candidate", candidateType: "host", protocol: "udp" }],
  ["X", null],
]);

describe("readPlayback", () => {
  it("reads what Chrome says", () => {
    expect(readPlayback(REPORT, 5)).toEqual({
      atMs: 5,
      seen: null,
      video: {
        bytesReceived: 9000,
        packetsReceived: 80,
        packetsLost: -1,
        packetsRecovered: 4,
        codec: "video/H264",
        jitterBufferMs: 50,
        jitterBufferSumMs: 3000,
        jitterBufferCount: 60,
        playoutUnixMs: 1_700_000_000_000,
        takenMs: 4,
        parityPackets: 9,
        framesReceived: 61,
        freezeMs: 1500,
        decodeSumMs: 120,
        framesDecoded: 60,
        framesDropped: 1,
        freezes: 2,
        width: 1280,
        height: 720,
        framesPerSecond: 30,
      },
      audio: {
        bytesReceived: 0,
        packetsReceived: 100,
        packetsLost: 0,
        packetsRecovered: 0,
        codec: null,
        jitterBufferMs: null,
        jitterBufferSumMs: 0,
        jitterBufferCount: 0,
        playoutUnixMs: null,
        concealedMs: 10,
      },
      path: { roundTripMs: 12, localCandidate: "host udp", remoteCandidate: "host udp", srtpCipher: "AEAD_AES_128_GCM" },
    });
  });

  it("finds the path where there is no transport entry", () => {
    const report = new Map<string, unknown>([["P", { type: "candidate-pair", nominated: true, currentRoundTripTime: 0.5 }]]);
    expect(readPlayback(report, 0).path).toEqual({ roundTripMs: 500, localCandidate: null, remoteCandidate: null, srtpCipher: null });
  });

  it("has nothing to say about nothing", () => {
    expect(readPlayback(new Map(), 0)).toEqual({ atMs: 0, video: null, audio: null, path: null, seen: null });
  });
});

describe("FlowWatch", () => {
  const at = (atMs: number, framesDecoded: number, packetsReceived = 0): PlaybackStats =>
    readPlayback(
      new Map<string, unknown>([
        ["v", { type: "inbound-rtp", kind: "video", framesDecoded }],
        ["a", { type: "inbound-rtp", kind: "audio", packetsReceived }],
      ]),
      atMs,
    );

  it("waits, flows, stalls after two seconds, and flows again", () => {
    const watch = new FlowWatch();
    expect(watch.judge(at(0, 0), true)).toBe("nothing-yet");
    expect(watch.judge(at(5000, 0), true)).toBe("nothing-yet");
    expect(watch.judge(at(5250, 3), true)).toBe("flowing");
    expect(watch.judge(at(7249, 3), true)).toBe("flowing");
    expect(watch.judge(at(7250, 3), true)).toBe("stalled");
    expect(watch.judge(at(7500, 4), true)).toBe("flowing");
  });

  it.each([
    ["network", { packetsReceived: 100, packetsLost: 0, framesReceived: 30 }],
    ["network", { packetsReceived: 105, packetsLost: 40, framesReceived: 30 }],
    ["loss", { packetsReceived: 200, packetsLost: 5, framesReceived: 40 }],
    ["loss", { packetsReceived: 200, packetsLost: 0, framesReceived: 30 }],
    ["device", { packetsReceived: 200, packetsLost: 0, framesReceived: 40 }],
  ])("says that it is the %s when after standing still it sees %j", (reason, now) => {
    const video = (figures: object) =>
      readPlayback(new Map([["v", { type: "inbound-rtp", kind: "video", framesDecoded: 30, ...figures }]]), 0);
    const watch = new FlowWatch();
    watch.judge(video({ packetsReceived: 100, packetsLost: 0, framesReceived: 30 }), true);
    expect(watch.reason(video(now))).toBe(reason);
  });

  it("does not take sound for a picture, and goes by sound where there is no picture", () => {
    const watch = new FlowWatch();
    expect(watch.judge(at(0, 0, 10), true)).toBe("nothing-yet");
    expect(watch.judge(at(1000, 0, 60), false)).toBe("flowing");
  });
});
