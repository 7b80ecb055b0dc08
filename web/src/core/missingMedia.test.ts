import { describe, expect, it } from "vitest";
import { fitOffer, type Playable, playableBy } from "./missingMedia";

const offer = (group: string) =>
  [
    "v=0",
    `a=group:BUNDLE ${group}`,
    "m=video 9 UDP/TLS/RTP/SAVPF 102 103",
    "a=mid:0",
    "a=rtpmap:102 H264/90000",
    "a=rtpmap:103 rtx/90000",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "a=mid:1",
    "a=rtpmap:111 opus/48000/2",
    "",
  ].join("\r\n");
const plays = (video: string[] | null, audio: string[] | null): Playable => (kind) => {
  const known = kind === "video" ? video : audio;
  return known && new Set(known);
};
const NO_PICTURE = [{ kind: "video", codec: "h264" }];
const NO_SOUND = [{ kind: "audio", codec: "opus" }];

describe("fitOffer", () => {
  it.each([
    ["everything", ["vp8", "h264"], ["opus"], "0 1", []],
    ["all but the picture", ["vp8", "rtx"], ["opus"], "1", NO_PICTURE],
    ["all but the sound", ["h264"], ["pcmu"], "0", NO_SOUND],
    ["nothing", ["vp8"], ["pcmu"], "0 1", [...NO_PICTURE, ...NO_SOUND]],
    ["who knows what", null, null, "0 1", []],
  ])("to a browser that plays %s", (_, video, audio, group, missing) => {
    expect(fitOffer(offer("0 1"), plays(video, audio))).toEqual({ sdp: offer(group), missing });
  });
});

it("knows formats by the browser's own list", () => {
  const getCapabilities = (kind: string) => (kind === "video" ? { codecs: [{ mimeType: "video/H264", clockRate: 90_000 }], headerExtensions: [] } : null);
  expect([...(playableBy({ getCapabilities })("video") ?? [])]).toEqual(["h264"]);
  expect(playableBy({ getCapabilities })("audio")).toBeNull();
  expect(playableBy(undefined)("video")).toBeNull();
});
