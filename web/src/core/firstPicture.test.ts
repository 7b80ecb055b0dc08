import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { firstPicture } from "./firstPicture";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A video element as far as it is used. `present`: what it was asked to call. */
function fakeVideo({ callsBack = true, width = 640 } = {}) {
  const video = {
    videoWidth: width,
    src: "",
    onloadeddata: null as (() => void) | null,
    onerror: null as (() => void) | null,
    removeAttribute: vi.fn(),
    load: vi.fn(),
  };
  let present: () => void = () => undefined;
  const requestVideoFrameCallback = (call: () => void) => {
    present = call;
  };
  const element = (callsBack ? Object.assign(video, { requestVideoFrameCallback }) : video) as unknown as HTMLVideoElement;
  const found = vi.fn();
  void firstPicture("/preview", element).then(found);
  return {
    element,
    found,
    release: video.load,
    load: () => video.onloadeddata?.(),
    fail: () => video.onerror?.(),
    present: () => {
      present();
    },
  };
}
const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

describe("firstPicture", () => {
  it("waits until there is something to draw, whichever comes first", async () => {
    const { element, found, load, present } = fakeVideo();
    load();
    await pass(16);
    expect(found).not.toHaveBeenCalled();
    present();
    await pass();
    expect(found).toHaveBeenCalledWith(element);

    const early = fakeVideo();
    early.present();
    await pass();
    expect(early.found).not.toHaveBeenCalled();
    early.load();
    await pass();
    expect(early.found).toHaveBeenCalledWith(early.element);
  });

  it("does not wait where nobody calls back", async () => {
    const old = fakeVideo({ callsBack: false });
    old.load();
    await pass();
    expect(old.found).toHaveBeenCalledWith(old.element);

    const silent = fakeVideo();
    silent.load();
    await pass(250);
    expect(silent.found).toHaveBeenCalledWith(silent.element);
    expect(silent.release).not.toHaveBeenCalled();
    silent.present();
    await pass(5_000);
    expect(silent.found).toHaveBeenCalledTimes(1);
  });

  it("is nothing where there is no picture, and lets go of the decoder", async () => {
    const broken = fakeVideo();
    broken.fail();
    const soundOnly = fakeVideo({ width: 0 });
    soundOnly.load();
    const stuck = fakeVideo();
    await pass(5_000);
    for (const { found, release } of [broken, soundOnly, stuck]) {
      expect(found).toHaveBeenCalledWith(null);
      expect(release).toHaveBeenCalledTimes(1);
    }
  });
});
