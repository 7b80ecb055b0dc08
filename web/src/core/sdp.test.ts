import { describe, expect, it } from "vitest";
import { candidateAddresses, refusedMedia, withRoundTripReports, withStereo } from "./sdp";

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

describe("withRoundTripReports", () => {
  it.each([
    [
      "adds to each H.264 format and to no other",
      sdp("a=rtpmap:102 H264/90000", "a=rtcp-fb:102 nack", "a=rtpmap:103 rtx/90000", "a=rtpmap:104 h264/90000"),
      sdp(
        "a=rtpmap:102 H264/90000",
        "a=rtcp-fb:102 rrtr",
        "a=rtcp-fb:102 nack",
        "a=rtpmap:103 rtx/90000",
        "a=rtpmap:104 h264/90000",
        "a=rtcp-fb:104 rrtr",
      ),
    ],
    [
      "says it once",
      sdp("a=rtpmap:102 H264/90000", "a=rtcp-fb:102 rrtr"),
      sdp("a=rtpmap:102 H264/90000", "a=rtcp-fb:102 rrtr"),
    ],
    ["leaves sound alone", sdp("a=rtpmap:111 opus/48000/2"), sdp("a=rtpmap:111 opus/48000/2")],
  ])("%s", (_name, before, after) => {
    expect(withRoundTripReports(before)).toBe(after);
  });
});

it("candidateAddresses names what a firewall would have to let through", () => {
  const sdp = [
    "v=0",
    "a=candidate:1 1 udp 2113937151 203.0.113.5 20000 typ host",
    "a=candidate:1 1 udp 2113937151 203.0.113.5 20000 typ host",
    "a=candidate:2 1 UDP 2113937150 2001:db8::1 20000 typ host",
    "a=candidate:3 1 tcp 2113937150 203.0.113.5 9 typ host",
    "a=candidate:4 1 udp 2113937150 0c3a.local 51234 typ host",
  ].join("\r\n");
  expect(candidateAddresses(sdp)).toEqual(["203.0.113.5:20000", "[2001:db8::1]:20000"]);
  expect(candidateAddresses("")).toEqual([]);
});

describe("refusedMedia", () => {
  it("names what has port zero", () => {
    expect(refusedMedia("v=0\r\nm=video 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n")).toEqual(["video"]);
    expect(refusedMedia("m=video 9 UDP/TLS/RTP/SAVPF 96\nm=audio 9 UDP/TLS/RTP/SAVPF 111\n")).toEqual([]);
  });
});
