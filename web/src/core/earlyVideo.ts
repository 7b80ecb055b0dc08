import { type Target, targetQuery } from "./target";
import type { ViewerSession } from "./viewerSession";

/** A video element as players want it. */
export function makeVideo(document: Document): HTMLVideoElement {
  const video = document.createElement("video");
  // Nothing with sound may start by itself.
  video.muted = true;
  video.playsInline = true;
  return video;
}

/**
 * Videos that play what a session has before there is a page around it. Whoever draws the page takes the element over,
 * and with it the care for everything.
 */
export class EarlyVideos {
  readonly #document: Document;
  readonly #early = new Map<string, { readonly video: HTMLVideoElement; readonly stop: () => void }>();

  constructor(document: Document) {
    this.#document = document;
  }

  /** A video for `session`, which plays as soon as there is something to play. */
  prepare(session: ViewerSession): HTMLVideoElement {
    const video = makeVideo(this.#document);
    const follow = (): void => {
      const { stream } = session.snapshot();
      if (video.srcObject === stream) return;
      video.srcObject = stream;
      if (!stream) return;
      // Missing in old browsers; the session then notices pictures by its figures.
      if ("requestVideoFrameCallback" in video) {
        video.requestVideoFrameCallback(() => {
          session.pictureShown(stream);
        });
      }
      // The page tries again, and says so when the browser wants to be asked.
      video.play().catch(() => undefined);
    };
    this.#early.set(targetQuery(session.target), { video, stop: session.subscribe(follow) });
    follow();
    return video;
  }

  /** The video for `target`: the prepared one when nobody has it yet, otherwise a new one. */
  take(target: Target): HTMLVideoElement {
    const key = targetQuery(target);
    const early = this.#early.get(key);
    this.#early.delete(key);
    early?.stop();
    return early?.video ?? makeVideo(this.#document);
  }
}
