import { describe, expect, it } from "vitest";
import { withStereo } from "./sdp";

const sdp = (...lines: string[]) => [...lines, ""].join("\r\n");

describe("withStereo", () => {
  it.each([
    [
      "adds to the parameters there are",
      sdp("m=audio 9 UDP/TLS/RTP/SAVPF 97", "a=rtpmap:97 opus/48000/2", "a=fmtp:97 minptime=10;useinbandfec=1"),
      sdp("m=audio 9 UDP/TLS/RTP/SAVPF 97", "a=rtpmap:97 opus/48000/2", "a=fmtp:97 minptime=10;useinbandfec=1;stereo=1"),
    ],
    [
      "writes a line where there is none",
      sdp("a=rtpmap:111 opus/48000/2", "a=rtcp-fb:111 transport-cc"),
      sdp("a=rtpmap:111 opus/48000/2", "a=fmtp:111 stereo=1", "a=rtcp-fb:111 transport-cc"),
    ],
    [
      "overrules stereo=0",
      sdp("a=rtpmap:97 OPUS/48000/2", "a=fmtp:97 stereo=0; sprop-stereo=1"),
      sdp("a=rtpmap:97 OPUS/48000/2", "a=fmtp:97 sprop-stereo=1;stereo=1"),
    ],
    ["says it once", sdp("a=rtpmap:97 opus/48000/2", "a=fmtp:97 stereo=1"), sdp("a=rtpmap:97 opus/48000/2", "a=fmtp:97 stereo=1")],
    [
      "leaves other codecs alone",
      sdp("a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1", "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111"),
      sdp("a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1", "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111"),
    ],
    ["leaves nothing as nothing", "", ""],
  ])("%s", (_name, before, after) => {
    expect(withStereo(before)).toBe(after);
  });
});
