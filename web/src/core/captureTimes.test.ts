import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { askForCaptureTimes, followPictures, seenPicture, type ShownPicture } from "./captureTimes";

const CAPTURE_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";
const MID = "urn:ietf:params:rtp-hdrext:sdes:mid";

describe("askForCaptureTimes", () => {
  const control = (uris: string[], set = vi.fn()): { transceiver: RTCRtpTransceiver; set: typeof set } => {
    const extensions = uris.map((uri) => ({ uri, direction: uri === CAPTURE_TIME ? "stopped" : "sendrecv" }));
    const transceiver = { getHeaderExtensionsToNegotiate: () => extensions, setHeaderExtensionsToNegotiate: set };
    return { transceiver: transceiver as unknown as RTCRtpTransceiver, set };
  };

  it("switches them on and leaves the others as they are", () => {
    const { transceiver, set } = control([MID, CAPTURE_TIME]);
    askForCaptureTimes(transceiver);
    expect(set).toHaveBeenCalledExactlyOnceWith([
      { uri: MID, direction: "sendrecv" },
      { uri: CAPTURE_TIME, direction: "sendrecv" },
    ]);
  });

  it("does without where the browser does not know them, has no such list or refuses", () => {
    const { transceiver, set } = control([MID]);
    askForCaptureTimes(transceiver);
    expect(set).not.toHaveBeenCalled();
    askForCaptureTimes({} as RTCRtpTransceiver);
    const refuses = vi.fn(() => {
      throw new TypeError("no");
    });
    askForCaptureTimes(control([CAPTURE_TIME], refuses).transceiver);
    expect(refuses).toHaveBeenCalledOnce();
  });
});

describe("seenPicture", () => {
  const NTP = 2_208_988_800_000;
  const newest = { rtpTimestamp: 900_000, captureTimestamp: NTP + 1_700_000_000_100, senderCaptureTimeOffset: 0 };

  it.each([
    [900_000, 1_700_000_000_100],
    [897_000, 1_700_000_000_100 - 3_000 / 90],
    [903_000, 1_700_000_000_100 + 3_000 / 90],
  ])("reckons from the newest picture to the one on the screen: %i", (rtpTimestamp, capturedUnixMs) => {
    const seen = seenPicture(newest, { expectedDisplayTime: 5_000, rtpTimestamp });
    expect(seen?.atMs).toBe(5_000);
    expect(seen?.capturedUnixMs).toBeCloseTo(capturedUnixMs, 3);
  });

  it("reckons across the end of the timestamps", () => {
    const seen = seenPicture({ ...newest, rtpTimestamp: 1_500 }, { expectedDisplayTime: 5_000, rtpTimestamp: 2 ** 32 - 1_500 });
    expect(seen?.capturedUnixMs).toBeCloseTo(1_700_000_000_100 - 3_000 / 90, 3);
  });

  it("knows nothing where the browser does not", () => {
    const shown = { expectedDisplayTime: 5_000, rtpTimestamp: 900_000 };
    expect(seenPicture(undefined, shown)).toBeNull();
    expect(seenPicture({ rtpTimestamp: 900_000 }, shown)).toBeNull();
    expect(seenPicture(newest, { expectedDisplayTime: 5_000 })).toBeNull();
    expect(seenPicture(newest, { ...shown, rtpTimestamp: 4_000_000 }), "of another stream").toBeNull();
  });
});

describe("followPictures", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("looks at one picture a second until it is told to stop", () => {
    const asked: ((now: number, shown: ShownPicture) => void)[] = [];
    const requestVideoFrameCallback = (callback: (typeof asked)[number]): number => asked.push(callback);
    const video = { requestVideoFrameCallback } as unknown as HTMLVideoElement;
    const onShown = vi.fn();
    const stop = followPictures(video, onShown);
    expect(asked).toHaveLength(1);
    asked[0]?.(0, { expectedDisplayTime: 7 });
    expect(onShown).toHaveBeenCalledExactlyOnceWith({ expectedDisplayTime: 7 });
    vi.advanceTimersByTime(999);
    expect(asked).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(asked).toHaveLength(2);
    stop();
    asked[1]?.(0, { expectedDisplayTime: 8 });
    expect(onShown).toHaveBeenCalledOnce();
    expect(followPictures({} as HTMLVideoElement, onShown)).toBeTypeOf("function");
  });
});
