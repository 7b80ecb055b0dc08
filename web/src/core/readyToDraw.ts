import type { ViewerSession } from "./viewerSession";

/**
 * Resolves when the first picture of `session` has been shown, when there is something else to say, or after `limitMs`.
 * Drawing a page takes the browser longer than connecting does, so whatever waits for the same thread would wait for it.
 */
export function readyToDraw(session: ViewerSession, limitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const look = (): void => {
      const { kind } = session.snapshot().state;
      if (kind !== "idle" && kind !== "connecting" && kind !== "waiting") done();
    };
    const timer = setTimeout(done, limitMs);
    const stop = session.subscribe(look);
    look();
  });
}
