import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { joining } from "../testing/fakes";
import { EarlyVideos } from "./earlyVideo";

const play = vi.fn<() => Promise<void>>();
const pictures: (() => void)[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  play.mockImplementation(() => Promise.resolve());
  vi.spyOn(HTMLMediaElement.prototype, "play").mockImplementation(play);
  Object.assign(HTMLVideoElement.prototype, { requestVideoFrameCallback: (seen: () => void) => pictures.push(seen) });
});
afterEach(() => {
  pictures.length = 0;
  Reflect.deleteProperty(HTMLVideoElement.prototype, "requestVideoFrameCallback");
  vi.useRealTimers();
});

it("plays what there is already, and tells the session of its first picture", async () => {
  const { session } = await joining();
  const video = new EarlyVideos(document).prepare(session);
  expect(video.muted).toBe(true);
  expect(video.srcObject).toBe(session.snapshot().stream);
  expect(play).toHaveBeenCalledTimes(1);
  expect(session.snapshot().state.kind).toBe("waiting");
  for (const seen of pictures) seen();
  expect(session.snapshot().state.kind).toBe("live");
});

it("bears a browser that wants to be asked first", async () => {
  play.mockImplementation(() => Promise.reject(new DOMException("no", "NotAllowedError")));
  const { session } = await joining();
  expect(new EarlyVideos(document).prepare(session).srcObject).not.toBeNull();
  await Promise.resolve();
});

it("hands over the prepared video once, as it is, and leaves it alone from then on", async () => {
  const { session } = await joining();
  const videos = new EarlyVideos(document);
  const video = videos.prepare(session);
  expect(videos.take(session.target)).toBe(video);
  const { srcObject } = video;
  session.close();
  expect(video.srcObject).toBe(srcObject);
  const other = videos.take(session.target);
  expect(other).not.toBe(video);
  expect(other.srcObject).toBeNull();
});

it("lets go of a stream that has ended", async () => {
  const { session } = await joining();
  const video = new EarlyVideos(document).prepare(session);
  session.close();
  expect(video.srcObject).toBeNull();
});
