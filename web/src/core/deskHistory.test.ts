import { describe, expect, it } from "vitest";
import { DeskHistory, HISTORY_MS, historyPoints } from "./deskHistory";
import { encoderSetups, srtAddress } from "./encoderSetup";
import type { Desk, Medium } from "./studioMessages";

const VIDEO: Medium = {
  codec: "h264",
  bitrate_bps: 2_500_000,
  width: 1280,
  height: 720,
  fps: 30,
  keyframe_interval_ms: 2000,
  drift_ppm: 12,
  packets: 0,
  lost: 0,
};

function desk(video: Partial<Medium> = {}, changes: Partial<Desk> = {}): Desk {
  return {
    channel: "the den",
    title: null,
    doors: { ftl_port: 8084, rtmp_port: 1935, rtmps_port: 1936, whip: true, srt: null },
    state: "live",
    since_ms: 1,
    closed_for_s: null,
    viewers: 2,
    muted: false,
    video: { ...VIDEO, ...video },
    audio: null,
    sound: null,
    delay: null,
    unplayable: { without_picture: 0, without_sound: 0, turned_away: 0 },
    uplink: null,
    warnings: [],
    ...changes,
  };
}

describe("DeskHistory", () => {
  it("says what was lost in the last seconds, not since the beginning", () => {
    const history = new DeskHistory();
    history.push(desk({ packets: 0, lost: 0 }), 0);
    expect(history.push(desk({ packets: 900, lost: 100 }), 1_000).at(-1)?.lossPercent).toBeCloseTo(10);
    for (let second = 2; second <= 20; second += 1) history.push(desk({ packets: second * 900, lost: 100 }), second * 1_000);
    expect(history.push(desk({ packets: 21 * 900, lost: 100 }), 21_000).at(-1)?.lossPercent).toBe(0);
  });

  it("begins anew with another stream", () => {
    const history = new DeskHistory();
    history.push(desk({ packets: 90_000, lost: 5 }), 0);
    expect(history.push(desk({ packets: 10, lost: 0 }), 1_000).at(-1)?.lossPercent).toBeNull();
  });

  it("takes what arrives at the door for the bitrate, else what the tracks have", () => {
    const history = new DeskHistory();
    expect(history.push(desk(), 0).at(-1)?.bitrateMbit).toBe(2.5);
    const uplink = { door: "ftl", encoder: "", remote: "", bitrate_bps: 3e6, lost: 0, requested_again: 0, round_trip_ms: 12, jitter_ms: 1, reencoded: false, tracks_left_out: 0, limit_bps: null };
    expect(history.push(desk({}, { uplink }), 1_000).at(-1)).toMatchObject({ bitrateMbit: 3, roundTripMs: 12 });
    expect(history.push(desk({}, { state: "away" }), 2_000).at(-1)?.bitrateMbit).toBeNull();
  });

  it("keeps five minutes, the newest at the end of the chart", () => {
    const history = new DeskHistory();
    for (let second = 0; second < 400; second += 1) history.push(desk(), second * 1_000);
    const moments = history.push(desk(), 400_000);
    expect(moments[0]?.atMs).toBe(400_000 - HISTORY_MS);
    expect(historyPoints(moments, (moment) => moment.viewers).at(-1)).toEqual({ x: HISTORY_MS, y: 2 });
  });
});

describe("encoderSetups", () => {
  const page = { origin: "https://tv.example.org", hostname: "tv.example.org" };

  it("names the server as it was reached", () => {
    expect(encoderSetups(desk(), page)).toEqual([
      { kind: "obs-whip", server: "https://tv.example.org/whip/the%20den" },
      { kind: "obs-ftl", server: "ftl://tv.example.org" },
      { kind: "obs-rtmp", server: "rtmp://tv.example.org/live" },
      { kind: "rtmps", server: "rtmps://tv.example.org:1936/live" },
    ]);
  });

  it("puts everything that SRT needs into one address", () => {
    const srt = { port: 8890, latency_ms: 120, passphrase: null };
    const [way] = encoderSetups(desk({}, { doors: { ftl_port: null, rtmp_port: null, rtmps_port: null, whip: false, srt } }), page);
    expect(way).toEqual({ kind: "srt", server: "srt://tv.example.org:8890", srt });
    const address = (passphrase: string | null) => srtAddress({ server: "srt://h:8890", srt: { ...srt, passphrase } }, "77-key");
    expect(address(null)).toBe("srt://h:8890?streamid=77-key");
    expect(address("long_enough-1")).toBe("srt://h:8890?streamid=77-key&passphrase=long_enough-1");
    expect(address("with & signs")).toBe("srt://h:8890?streamid=77-key");
  });

  it("leaves out doors that are closed", () => {
    const doors = { ftl_port: null, rtmp_port: 1940, rtmps_port: null, whip: false, srt: null };
    expect(encoderSetups(desk({}, { doors }), page)).toEqual([{ kind: "obs-rtmp", server: "rtmp://tv.example.org:1940/live" }]);
  });
});
