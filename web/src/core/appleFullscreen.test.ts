import { describe, expect, it } from "vitest";
import { resumeAfterAppleFullscreen } from "./appleFullscreen";

describe("leaving the full screen of an iPhone", () => {
  function start() {
    let nowMs = 0;
    let plays = 0;
    const video = Object.assign(new EventTarget(), {
      paused: false,
      play: () => {
        plays += 1;
        video.paused = false;
        return Promise.resolve();
      },
    });
    const stop = resumeAfterAppleFullscreen(video as unknown as HTMLVideoElement, () => nowMs);
    const happens = (name: "pause" | "webkitendfullscreen", atMs: number): number => {
      nowMs = atMs;
      if (name === "pause") video.paused = true;
      video.dispatchEvent(new Event(name));
      return plays;
    };
    return { happens, stop };
  }

  it.each([
    ["before", "pause", "webkitendfullscreen"],
    ["after", "webkitendfullscreen", "pause"],
  ] as const)("goes on when the browser stops it right %s leaving", (_, first, second) => {
    const { happens } = start();
    expect(happens(first, 10_000)).toBe(0);
    expect(happens(second, 10_200)).toBe(1);
  });

  it("stays as it was when the viewer had stopped it there, or stops it later", () => {
    const { happens } = start();
    happens("pause", 1_000);
    expect(happens("webkitendfullscreen", 9_000)).toBe(0);
    expect(happens("pause", 20_000)).toBe(0);
  });

  it("leaves a video alone that is somebody else's by now", () => {
    const { happens, stop } = start();
    stop();
    happens("pause", 1_000);
    expect(happens("webkitendfullscreen", 1_000)).toBe(0);
  });
});
